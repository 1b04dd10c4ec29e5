// The alerts that fire, worst first, and what can be done about them.

import { askAck, askSilence } from './dialogs.js';
import { foreign, h, listOf, outLink, plain, reconcile } from './dom.js';
import { Section } from './section.js';
import { timeTag } from './times.js';
import { alertName, reasonWords, mark, severityLook, stateOf, statusMark } from './words.js';

const SHOWN = 8;
const RANKS = ['critical', 'warning', 'info'];

/** The page of an instance. */
export function instanceHref(source, id) {
  return `#/instances/${encodeURIComponent(source)}/${encodeURIComponent(id)}`;
}

/** The alerts of a page; `canWrite()` says whether there are buttons, `done` is told of changes. */
export class Alerts extends Section {
  constructor(url, { canWrite, done, isOfOne = false }) {
    super('Alerts', url);
    this.canWrite = canWrite;
    this.done = done;
    this.isOfOne = isOfOne;
    this.isWhole = false;
    this.list = h('ul.alerts');
    this.more = h('button', { class: 'more', onclick: () => this.showAll() });
    this.content.append(this.list, this.more);
    this.element.hidden = true;
  }

  show(body) {
    const found = listOf(body.items).sort(byWeight);
    const shown = this.isWhole ? found : found.slice(0, SHOWN);
    this.count.textContent = found.length ? `${found.length.toLocaleString('en')}${body.next ? '+' : ''}` : '';
    this.element.hidden = found.length === 0;
    this.more.hidden = shown.length === found.length;
    this.more.textContent = `Show all ${found.length}`;
    const canWrite = this.canWrite();
    reconcile(this.list, shown.map((alert) => ({ alert, canWrite })), ({ alert }) => `${plain(alert.fingerprint)} ${plain(alert.starts_at)}`, ({ alert }) => this.card(alert));
  }

  fail(error) {
    super.fail(error);
    this.element.hidden = false;
  }

  showAll() {
    this.isWhole = true;
    this.render();
    this.list.children[SHOWN]?.querySelector('a, button')?.focus();
  }

  card(alert) {
    const [tone] = severityLook(alert.severity);
    const reason = reasonWords(alert.reason);
    const links = [outLink(alert.runbook_url, 'Runbook'), outLink(alert.console_url, 'Console')].filter(Boolean);
    const is = alert.instance_id && stateOf({ presence: alert.name === 'missing' ? 'missing' : '', status: alert.instance_status });
    return h('li', { class: `alert edge-${tone}${alert.acknowledged || alert.silenced_by ? ' taken' : ''}` },
      h('div.what',
        h('p.line', mark(severityLook(alert.severity), alert.severity), h('strong', alertName(alert.name)), this.isOfOne ? null : this.whom(alert)),
        h('p.facts',
          h('span', 'for ', timeTag(alert.starts_at, 'lasting') ?? '?'),
          is && !this.isOfOne && statusMark(is),
          alert.instance_id && !this.isOfOne && h('span', 'source ', foreign(alert.source)),
          links),
        reason && h('p.reason', reason),
        alert.silenced_by && h('p.facts', h('span.tag', 'Quiet'), foreign(alert.silenced_by, 'text')),
        alert.acknowledged && taken(alert.acknowledged)),
      this.canWrite() && h('div.do',
        alert.acknowledged ? null : this.button('Acknowledge', alert, askAck),
        this.button('Silence', alert, askSilence)));
  }

  whom(alert) {
    if (!alert.instance_id) return h('span.whom', 'source ', foreign(alert.source));
    return h('a.whom', { href: instanceHref(alert.source, alert.instance_id) }, foreign(alert.instance_name || alert.instance_id));
  }

  button(words, alert, ask) {
    const of = plain(alert.instance_name || alert.instance_id || alert.source);
    const act = async () => {
      if (await ask(alert)) await this.done();
    };
    return h('button', { 'aria-label': `${words}: ${alertName(alert.name)}, ${of}`, onclick: act }, words);
  }
}

function taken({ author, comment, created_at: at }) {
  return h('p.facts', h('span.tag', 'Acknowledged'), h('span', 'by ', foreign(author), ' ', timeTag(at), comment ? [': ', foreign(comment, 'text')] : null));
}

function byWeight(one, other) {
  const weight = (alert) => (alert.acknowledged || alert.silenced_by ? 10 : 0) + (RANKS.indexOf(alert.severity) + 3) % 3;
  return weight(one) - weight(other) || plain(other.starts_at).localeCompare(plain(one.starts_at));
}
