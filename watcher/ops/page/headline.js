// The answer to "is anything wrong?" in one sentence.

import { h, listOf, plain, shape, textsOf } from './dom.js';
import { timeTag } from './times.js';
import { count } from './words.js';

/** The shape of what is as bad as this. */
export const LOOKS = { bad: 'cross', warn: 'warn', good: 'check', rest: 'what', busy: 'half' };
const ORDER = ['bad', 'warn', 'busy'];

/** The sources that do not answer. */
export function downOf(sources) {
  return listOf(sources).filter((source) => source.state === 'down');
}

/** What is wrong, worst first: `{tone, words}`, with `words` to be put into an element. Empty when all is well. */
export function problemsOf(status, sources) {
  const found = [];
  const alerts = status.alerts ?? {};
  const firing = ['critical', 'warning', 'info'].filter((severity) => alerts[severity] > 0);
  const total = firing.reduce((sum, severity) => sum + alerts[severity], 0);
  const down = downOf(sources);
  if (status.healthy === false) {
    found.push({ tone: 'bad', words: ['watcher is not healthy: ', plain(status.why_unhealthy) || 'nobody may be told of anything'] });
  }
  const isOnlySources = down.length > 0 && total > 0 && total === down.filter((source) => listOf(source.alerts).length > 0).length;
  if (total > 0 && !isOnlySources) {
    const words = firing.map((severity) => `${alerts[severity].toLocaleString('en')} ${severity}`);
    if (status.acknowledged > 0) words.push(`${status.acknowledged >= total ? 'all' : status.acknowledged} acknowledged`);
    found.push({ tone: alerts.critical > 0 ? 'bad' : 'warn', words: [`${count(total, 'alert fires', 'alerts fire')}: ${words.join(', ')}`] });
  }
  // What has not been told yet may be over in a moment.
  const tone = down.some((source) => listOf(source.alerts).length > 0) ? 'bad' : 'warn';
  if (down.length === 1) found.push({ tone, words: silent(down[0]) });
  else if (down.length > 1 || status.sources?.down > 0) {
    found.push({ tone, words: [`${count(Math.max(down.length, status.sources?.down ?? 0), 'source does', 'sources do')} not answer`] });
  }
  if (status.deliveries?.dead > 0) {
    found.push({ tone: 'warn', words: [`${count(status.deliveries.dead, 'notification')} could not be delivered`] });
  }
  const [refused] = textsOf(status.configuration?.refused);
  if (refused) found.push({ tone: 'warn', words: ['The configuration file is refused, the one before goes on: ', h('bdi', refused)] });
  const waiting = textsOf(status.configuration?.waiting);
  if (waiting.length > 0) found.push({ tone: 'warn', words: [`A restart is needed to apply ${waiting.join(', ')}`] });
  if (status.why_unwell) found.push({ tone: 'bad', words: ['Not all of the work is done: ', h('bdi', plain(status.why_unwell))] });
  if (status.ready === false) found.push({ tone: 'busy', words: ['watcher is not ready: ', plain(status.why_not_ready)] });
  return found.sort((one, other) => ORDER.indexOf(one.tone) - ORDER.indexOf(other.tone));
}

function silent(source) {
  const since = timeTag(source.failing_since, 'lasting');
  if (since === null) return ['Source ', h('bdi', plain(source.name)), ' does not answer'];
  // The sentence is read aloud when it changes, but not each minute that this goes on.
  return ['Source ', h('bdi', plain(source.name)), ' has not answered for ', h('span', { 'aria-live': 'off' }, since)];
}

/** The sentence at the top. */
export class Headline {
  constructor() {
    this.icon = h('span.icon');
    this.sentence = h('h1', { tabindex: -1 }, 'Asking the watcher …');
    this.also = h('p.also');
    this.element = h('div.headline.tone-rest', this.icon, h('div', { 'aria-live': 'polite', 'aria-atomic': 'true' }, this.sentence, this.also));
    this.shown = '';
  }

  /** `error` is why the status is not known, `isLost` says that what is known may be over. */
  show(status, sources, { error, isLost }) {
    let [tone, words, also] = ['rest', ['Cannot tell how things are: ', error ?? 'no answer yet'], []];
    if (status !== null) {
      const found = problemsOf(status, sources);
      const total = status.instances?.total;
      const well = ['All well: ', Number.isFinite(total) ? `${count(total, 'instance')}, nothing fires` : 'nothing fires'];
      const isKnown = status.healthy === true && Number.isFinite(status.alerts?.critical);
      if (found.length > 0) [tone, words] = [found[0].tone, found[0].words];
      else [tone, words] = isKnown ? ['good', well] : [tone, ['Cannot tell how things are: the answer is not complete']];
      also = found.slice(1);
      if (isLost || error) [tone, words] = ['rest', ['Last known: ', ...words]];
    }
    const shown = JSON.stringify([tone, textOf(words), also.map((each) => textOf(each.words))]);
    if (shown === this.shown) return;
    this.shown = shown;
    this.element.className = `headline tone-${tone}`;
    this.icon.replaceChildren(shape(LOOKS[tone]));
    this.sentence.replaceChildren(...words);
    this.also.replaceChildren(...also.flatMap(({ tone: its, words: more }) => [h('span', { class: `tone-${its}` }, shape(LOOKS[its]), ...more), ' ']));
  }
}

function textOf(words) {
  return words.map((part) => (typeof part === 'string' ? part : part.querySelector('time')?.dateTime ?? part.textContent));
}
