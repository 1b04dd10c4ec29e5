// Is anything wrong? The sentence, the counts, and everything, worst first.

import { Alerts } from './alerts.js';
import { Deliveries } from './deliveries.js';
import { h } from './dom.js';
import { downOf, Headline } from './headline.js';
import { InstanceList } from './list.js';
import { Silences } from './silences.js';
import { Sources } from './sources.js';

/** The page one begins with. */
export class Overview {
  constructor(filters, { canWrite, done, onFilters }) {
    this.headline = new Headline();
    this.list = new InstanceList(filters, onFilters);
    this.alerts = new Alerts(() => 'api/v1/alerts?order=problems&limit=200', { canWrite, done });
    this.sources = new Sources();
    this.silences = new Silences({ canWrite, done });
    this.deliveries = new Deliveries(() => 'api/v1/deliveries?state=dead&limit=20', { canWrite, done });
    this.readOnly = h('p.note', { hidden: true });
    this.element = h('div.page.overview', this.headline.element, this.list.counts,
      h('div.halves',
        h('div.parts', this.readOnly, this.alerts.element, this.list.element),
        h('div.parts.side', this.sources.element, this.deliveries.element, this.silences.element)));
    this.title = '';
  }

  async load() {
    await Promise.all([this.alerts, this.list, this.sources, this.silences, this.deliveries].map((part) => part.load()));
  }

  /** What events change, without what they do not. */
  async loadNews() {
    await Promise.all([this.alerts.load(), this.list.load()]);
  }

  take(event) {
    if (event.instance_id) this.list.take(event);
    else this.sources.load();
  }

  /** `/status`, or why there is none. */
  showStatus(status, contact) {
    this.headline.show(status, this.sources.body?.items, contact);
    this.compareSources(status, contact);
    this.readOnly.hidden = status === null || status.can_write === true;
    this.readOnly.textContent = `Only to look at: ${status?.why_read_only || 'nothing can be changed from here'}`;
    this.list.showCounts(status, this.sources.body?.items);
    this.list.render();
    this.deliveries.showReceivers(status?.receivers);
    for (const part of [this.alerts, this.silences, this.deliveries]) part.render();
  }

  /** A source may have failed or come back between two answers: those that were asked for first are asked for once more. */
  compareSources(status, contact) {
    if (status === null || status === this.compared || this.sources.body === null) return;
    if (status.sources?.down === downOf(this.sources.body.items).length) return;
    this.compared = status;
    this.sources.load().then(() => this.headline.show(status, this.sources.body.items, contact));
  }

  close() {}
}
