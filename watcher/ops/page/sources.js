// The sources: whether they answer, how fast they are asked, and when they last did.

import { foreign, h, listOf, outLink, plain, reconcile } from './dom.js';
import { Section } from './section.js';
import { length, timeTag } from './times.js';
import { count, mark } from './words.js';

const STATES = { up: ['good', 'check', 'answers'], down: ['bad', 'cross', 'does not answer'], untried: ['rest', 'what', 'not asked yet'] };

/** The sources of `/sources`. */
export class Sources extends Section {
  constructor() {
    super('Sources', () => 'api/v1/sources');
    this.list = h('ul.cards');
    this.content.append(this.list);
  }

  show(body) {
    const items = listOf(body.items);
    this.count.textContent = items.length > 1 ? items.length : '';
    const areShared = new Set(items.map((source) => source.replica)).size > 1;
    reconcile(this.list, items, (source) => plain(source.name), (source) => card(source, areShared));
  }
}

function card(source, isShared) {
  const [tone, form, words] = STATES[source.state] ?? ['rest', 'square', plain(source.state) || 'unknown'];
  const isDown = source.state === 'down';
  const facts = [
    isDown && source.failing_since && h('span', 'silent for ', timeTag(source.failing_since, 'lasting')),
    source.last_success_at && h('span', 'last answer ', timeTag(source.last_success_at)),
    isDown && source.retry_at && h('span', 'next try ', timeTag(source.retry_at, 'until')),
    source.stale > 0 && h('span.tone-warn', `${count(source.stale, 'instance')} not seen in time`),
  ];
  const pace = [
    Number.isFinite(source.instances) && h('span', count(source.instances, 'instance')),
    Number.isFinite(source.poll?.interval_s) && h('span', `every ${seconds(source.poll.interval_s)}, at rest ${seconds(source.poll.steady_interval_s)}`),
    source.pace < 1 && h('span.tone-warn', `slowed to ${Math.round(source.pace * 100)} % of its rate`),
    source.stretch > 1 && h('span.tone-warn', `intervals × ${Number(source.stretch).toFixed(1)}`),
    source.lag_s > (source.poll?.interval_s ?? 1) && h('span.tone-warn', `${length(source.lag_s)} behind`),
    isShared && (source.replica ? h('span', 'polled by ', foreign(source.replica)) : h('span.tone-bad', 'polled by no replica')),
    source.region && h('span', foreign(source.region)),
    outLink(source.console_url, 'Console'),
  ];
  return h('li', { class: `card edge-${tone}` },
    h('p.line', mark([tone, form], words), h('strong', foreign(source.name))),
    h('p.facts', facts),
    source.error && h('p.reason', foreign(source.error, 'text')),
    h('p.facts', pace));
}

function seconds(number) {
  return number < 2 ? `${Number(number.toFixed(1))} s` : length(number);
}
