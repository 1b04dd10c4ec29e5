// What happened to this one?

import { get, path } from './api.js';
import { Alerts } from './alerts.js';
import { Deliveries } from './deliveries.js';
import { foreign, h, listOf, outLink, plain, reconcile, refill } from './dom.js';
import { progress } from './list.js';
import { Section } from './section.js';
import { Timeline } from './timeline.js';
import { length, timeTag } from './times.js';
import { eventWords, isChanging, reasonWords, severityLook, stateOf, statusMark, usually } from './words.js';

const PAGE = 50;
const LATER_MS = 2500;

/** The page of one instance. */
export class InstancePage {
  constructor(source, id, { canWrite, done }) {
    this.source = source;
    this.id = id;
    this.body = null;
    const one = { source, instance_id: id };
    this.heading = h('h1', { tabindex: -1 }, foreign(id));
    this.sub = h('p.facts');
    this.error = h('p.error', { role: 'alert', hidden: true });
    this.present = h('div.present');
    this.alerts = new Alerts(() => path(['alerts'], one), { canWrite, done, isOfOne: true });
    this.timeline = new Timeline(() => path(['instances', source, id, 'timeline'], { limit: 200 }));
    this.events = new Events(one);
    this.deliveries = new Deliveries(() => path(['deliveries'], { ...one, limit: PAGE }), { canWrite, done, isOfOne: true });
    this.facts = new Facts();
    this.rest = h('div.parts',
      this.alerts.element, this.timeline.element,
      h('div.columns', this.events.element, this.deliveries.element), this.facts.element);
    this.element = h('div.page.one', h('p.back', h('a', { href: '#/' }, '← All instances')),
      this.heading, this.sub, this.error, this.present, this.rest);
    this.turn = 0;
  }

  get title() {
    return plain(this.body?.name) || plain(this.id);
  }

  async load() {
    await Promise.all([this.loadSelf(), ...[this.alerts, this.timeline, this.events, this.deliveries].map((part) => part.load())]);
  }

  async loadSelf() {
    const turn = (this.turn += 1);
    try {
      const body = await get(path(['instances', this.source, this.id]));
      if (turn !== this.turn) return;
      this.error.hidden = true;
      this.rest.hidden = false;
      this.body = body;
      this.show(body);
    } catch (error) {
      if (turn !== this.turn) return;
      this.error.replaceChildren(error.message);
      this.error.hidden = false;
      if (error.status !== 404) return;
      const all = h('a', { href: '#/' }, 'Show all instances');
      this.present.replaceChildren(h('p', 'It may have been deleted long ago, or is no longer watched. ', all));
      this.rest.hidden = this.body === null;
    }
  }

  show(item) {
    const state = stateOf(item);
    this.heading.replaceChildren(foreign(item.name || this.id));
    refill(this.sub, [
      h('span', 'source ', foreign(item.source)),
      h('span', 'id ', h('code', foreign(item.id, 'id'))),
      item.observed_at && h('span', 'seen ', timeTag(item.observed_at)),
      outLink(item.console_url, 'Console')]);
    const since = timeTag(item.since, 'lasting');
    const known = item.expected && `${usually(item.expected)}, p95 ${length(item.expected.p95_s)}, from ${plain(item.expected.samples)} before`;
    refill(this.present, [
      since && h('p.big', statusMark(state), ' for ', since, known && h('span.sub', known)),
      isChanging(state) && item.expected && progress({ ...item, state })]);
    this.facts.show(item);
  }

  /** An event of the stream. */
  take(event) {
    if (event.source !== this.source || event.instance_id !== this.id) return;
    if (this.body !== null && event.to && event.to !== this.body.status) {
      this.body = { ...this.body, status: event.to, presence: 'present', since: event.observed_at, expected: event.expected };
      this.show(this.body);
      this.present.firstElementChild.classList.add('flash');
    }
    clearTimeout(this.later);
    // Deliveries follow their event.
    this.later = setTimeout(() => this.deliveries.load(), LATER_MS);
  }

  showStatus() {
    this.alerts.render();
    this.deliveries.render();
  }

  close() {
    clearTimeout(this.later);
  }
}

class Events extends Section {
  constructor(one) {
    super('Events', () => path(['events'], { ...one, order: 'newest', limit: this.limit }));
    this.limit = PAGE;
    this.list = h('ol.events', { reversed: true });
    this.none = h('p.none', { hidden: true }, 'None are kept.');
    this.more = h('button', { class: 'more', hidden: true, onclick: () => this.showMore() }, 'Show more');
    this.content.append(this.none, this.list, this.more);
  }

  showMore() {
    this.limit = Math.min(1000, this.limit + 200);
    return this.load();
  }

  show(body) {
    const items = listOf(body.items);
    this.none.hidden = items.length > 0;
    this.more.hidden = !body.next || items.length >= 1000;
    reconcile(this.list, items, (event) => plain(event.id), eventRow);
  }
}

function eventRow(event) {
  const inferred = Array.isArray(event.inferred) ? event.inferred.map(plain).filter(Boolean) : [];
  const alerts = listOf(event.alerts).map((alert) => {
    const tone = alert.status === 'firing' ? severityLook(alert.severity)[0] : 'good';
    return h('span', { class: `tag tone-${tone}` }, `${plain(alert.name)} ${plain(alert.status)}`);
  });
  const ended = event.from && event.from !== event.to;
  const lasted = Number.isFinite(event.duration_s) && h('span.sub', `${ended ? 'after' : 'for'} ${length(event.duration_s)}`);
  const reason = reasonWords(event.reason);
  return h('li',
    h('p.line', h('span', eventWords(event)), lasted, alerts,
      h('span.when', timeTag(event.observed_at, 'clock'), ', ', timeTag(event.observed_at))),
    reason && h('p.reason', reason),
    h('p.facts',
      inferred.length && h('span', `${inferred.join(', ')} passed unseen`), event.flapping && h('span', 'while flapping')));
}

/** Labels, and the record as the cloud gave it. */
class Facts extends Section {
  constructor() {
    super('Details', () => null);
    this.labels = h('dl');
    this.record = h('pre', { tabindex: 0, 'aria-label': 'Raw record' });
    this.content.append(this.labels, h('details', h('summary', 'Raw record of the cloud'), this.record));
  }

  show(item) {
    const facts = [...Object.entries(item.labels ?? {}).map(([key, value]) => [`label ${key}`, value]), ['image', item.image_id]];
    const given = facts.filter(([, value]) => value !== null && value !== undefined && value !== '');
    this.labels.replaceChildren(...given.map(([key, value]) => h('div', h('dt', foreign(key, 'text')), h('dd', foreign(value, 'text')))));
    const text = JSON.stringify(item.instance ?? null, null, 2);
    // Line by line, so that the layout survives while what each line says is made harmless.
    const lines = text.split('\n').map((line) => line.match(/^ */)[0] + plain(line.trimStart()));
    if (this.record.textContent !== lines.join('\n')) this.record.textContent = lines.join('\n');
  }
}
