// The silences that are active or to come.

import { askExpire } from './dialogs.js';
import { foreign, h, listOf, plain, reconcile } from './dom.js';
import { Section } from './section.js';
import { timeTag } from './times.js';

/** The silences of `/silences`. */
export class Silences extends Section {
  constructor({ canWrite, done }) {
    super('Silences', () => 'api/v1/silences?state=active&state=pending');
    this.canWrite = canWrite;
    this.done = done;
    this.list = h('ul.cards');
    this.none = h('p.none', 'None.');
    this.content.append(this.none, this.list);
  }

  show(body) {
    const items = listOf(body.items);
    this.count.textContent = items.length || '';
    this.none.hidden = items.length > 0;
    const canWrite = this.canWrite();
    reconcile(this.list, items.map((silence) => ({ silence, canWrite })), ({ silence }) => plain(silence.id), ({ silence }) => this.card(silence));
  }

  card(silence) {
    const end = async () => {
      if (await askExpire(silence)) await this.done();
    };
    const isPending = silence.state === 'pending';
    return h('li.card',
      h('p.line', h('strong', foreign(matchWords(silence.match), 'text'))),
      h('p.reason', foreign(silence.comment, 'text')),
      h('p.facts',
        h('span', 'by ', foreign(silence.author)),
        isPending && h('span', 'begins ', timeTag(silence.starts_at, 'until')),
        h('span', 'ends ', timeTag(silence.ends_at, 'until'), ', ', timeTag(silence.ends_at, 'clock'))),
      this.canWrite() && h('div.do', h('button', { onclick: end, 'aria-label': `End the silence: ${plain(silence.comment)}` }, 'End now')));
  }
}

function matchWords(match) {
  const keys = { instance_id: 'instance', to: 'to', from: 'from' };
  const parts = Object.entries(match ?? {}).map(([key, value]) => {
    if (key === 'labels') return Object.entries(value ?? {}).map((pair) => pair.map(plain).join('=')).join(', ');
    return `${keys[key] ?? key} ${[value].flat().map(plain).join(' or ')}`;
  });
  return parts.join(', ') || 'Everything';
}
