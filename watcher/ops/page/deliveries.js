// Who was told what, and what could not be delivered.

import { path, send } from './api.js';
import { instanceHref } from './alerts.js';
import { foreign, h, listOf, plain, reconcile } from './dom.js';
import { Section } from './section.js';
import { timeTag } from './times.js';
import { count, deliveryMark, deliveryReason, eventWords } from './words.js';

/** Deliveries; with `isOfOne` of one instance, else the dead letters of all, with their receivers. */
export class Deliveries extends Section {
  constructor(url, { canWrite, done, isOfOne = false }) {
    super(isOfOne ? 'Deliveries' : 'Notifications', url);
    this.canWrite = canWrite;
    this.done = done;
    this.isOfOne = isOfOne;
    this.receivers = h('ul.receivers');
    this.none = h('p.none', isOfOne ? 'Nobody was told anything.' : '');
    this.list = h('ul.cards');
    this.trouble = h('p.error', { role: 'alert', hidden: true });
    this.all = h('button', { hidden: true, onclick: () => this.retry('api/v1/deliveries/retry') }, 'Retry all');
    this.tools.append(this.all);
    this.content.append(this.receivers, this.trouble, this.none, this.list);
  }

  show(body) {
    const items = listOf(body.items);
    const canWrite = this.canWrite();
    this.none.hidden = items.length > 0;
    this.all.hidden = this.isOfOne || !canWrite || items.length === 0;
    if (!this.isOfOne) this.count.textContent = items.length ? `${items.length}${body.next ? '+' : ''} failed` : '';
    reconcile(this.list, items.map((item) => ({ item, canWrite })), ({ item }) => String(item.id), ({ item }) => this.card(item));
  }

  /** The receivers out of `/status`. */
  showReceivers(receivers) {
    const items = listOf(receivers);
    reconcile(this.receivers, items, (receiver) => plain(receiver.name), (receiver) => h('li',
      h('strong', foreign(receiver.name)), ' ', h('span.sub', foreign(receiver.type, 'text')),
      receiver.dead > 0 && h('span.tag.tone-bad', `${receiver.dead} failed`),
      receiver.pending > 0 && h('span.tag.tone-busy', `${receiver.pending} pending`)));
    this.none.textContent = items.length ? 'Nothing failed that could be tried again.' : 'No receiver is configured: nobody is told.';
  }

  card(item) {
    const event = item.event ?? {};
    const name = event.instance_name || event.instance_id;
    const ofInstance = event.instance_id && h('a', { href: instanceHref(event.source, event.instance_id) }, foreign(name));
    const at = item.finished_at ?? item.created_at;
    const why = [deliveryReason(item.reason), plain(item.answer), item.held_by && `held by ${plain(item.held_by)}`].filter(Boolean);
    const type = plain(item.receiver_type);
    const retry = () => this.retry(path(['deliveries', String(item.id), 'retry']));
    return h('li', { class: `card${item.state === 'dead' ? ' edge-bad' : ''}` },
      h('p.line', deliveryMark(item.state),
        h('span', 'to ', h('strong', foreign(item.receiver)), type && type !== item.receiver && h('span.sub', ` ${type}`)),
        this.isOfOne && h('span', eventWords(event)), h('span.when', timeTag(at))),
      !this.isOfOne && h('p.facts', ofInstance || h('span', 'source ', foreign(event.source)), h('span', eventWords(event))),
      why.length && h('p.reason', foreign(why.join(': '), 'text')),
      h('p.facts', item.attempts > 1 && h('span', count(item.attempts, 'try', 'tries')),
        item.state === 'pending' && item.next_attempt_at && h('span', 'next try ', timeTag(item.next_attempt_at, 'until'))),
      item.state === 'dead' && this.canWrite() && h('div.do',
        h('button', { 'aria-label': `Retry: ${plain(item.receiver)}, ${plain(name || event.source)}`, onclick: retry }, 'Retry')));
  }

  async retry(url) {
    try {
      await send('POST', url);
      this.trouble.hidden = true;
    } catch (error) {
      this.trouble.textContent = `Not done: ${error.message}`;
      this.trouble.hidden = false;
    }
    await this.done();
  }
}
