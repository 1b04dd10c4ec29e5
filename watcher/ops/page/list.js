// The instances: searched and filtered by the watcher, so that ten thousand are as quick as ten.

import { path } from './api.js';
import { instanceHref } from './alerts.js';
import { foreign, h, listOf, plain, reconcile } from './dom.js';
import { Section } from './section.js';
import { alive, clock, length, nowMs, timeTag } from './times.js';
import { alertName, isChanging, severityLook, stateOf, statusMark, statusRank, usually } from './words.js';

const PAGE = 100;
const MOST = 1000;
const TYPING_MS = 180;
const MOVES = new Set(['discovered', 'transition', 'deleted', 'missing', 'recovered']);

/** What `#/?…` says of the filters. */
export function filtersOf(query) {
  const asked = new URLSearchParams(query);
  return { q: asked.get('q') ?? '', status: asked.getAll('status'), source: asked.get('source') ?? '', alerting: asked.get('alerting') ?? '' };
}

/** The list with its search, and the counts that filter it. `onFilters(query)` is told what is asked for. */
export class InstanceList extends Section {
  constructor(filters, onFilters) {
    super('Instances', () => this.asked());
    this.filters = filters;
    this.onFilters = onFilters;
    this.limit = PAGE;
    this.counts = h('div.counts', { role: 'group', 'aria-label': 'Filter by status' });
    this.search = h('input', {
      type: 'search', placeholder: 'Search name, id or label=value', 'aria-label': 'Search instances', value: filters.q,
      autocomplete: 'off', spellcheck: 'false', maxlength: 200, oninput: () => this.typed(),
    });
    this.sources = h('select', { 'aria-label': 'Source', onchange: () => this.set({ source: this.sources.value }) });
    this.rows = h('ul.rows');
    this.rows.addEventListener('keydown', (event) => this.move(event));
    this.search.addEventListener('keydown', (event) => this.move(event));
    this.none = h('p.none', { hidden: true });
    this.more = h('button', { class: 'more', hidden: true, onclick: () => this.showMore() });
    this.said = h('p.hidden', { role: 'status' });
    this.tools.append(this.sources, this.search);
    this.content.append(this.none, this.rows, this.more, this.said);
    this.sources.hidden = true;
  }

  asked() {
    const { q, status, source, alerting } = this.filters;
    const isAbsence = (word) => word === 'missing' || word === 'deleted';
    const what = status.some(isAbsence) ? { presence: status.filter(isAbsence) } : status.length ? { status, presence: 'present' } : {};
    return path(['instances'], { q, ...what, source, alerting, order: 'problems', limit: this.limit });
  }

  /** Change what is asked for. */
  set(changes) {
    Object.assign(this.filters, changes);
    this.limit = PAGE;
    if (changes.q !== undefined && changes.q !== this.search.value.trim()) this.search.value = changes.q;
    const { q, status, source, alerting } = this.filters;
    const query = new URLSearchParams([['q', q], ['source', source], ['alerting', alerting]].filter(([, value]) => value));
    for (const word of status) query.append('status', word);
    this.onFilters(query.toString());
    this.renderCounts();
    return this.load();
  }

  typed() {
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.set({ q: this.search.value.trim() }), TYPING_MS);
  }

  clear() {
    clearTimeout(this.typing);
    return this.set({ q: '', status: [], source: '', alerting: '' });
  }

  get isFiltered() {
    const { q, status, source, alerting } = this.filters;
    return Boolean(q || status.length || source || alerting);
  }

  showMore() {
    const from = this.rows.children.length;
    this.limit = Math.min(MOST, this.limit < 300 ? this.limit + 200 : MOST);
    this.load().then(() => this.rows.children[from]?.querySelector('a')?.focus());
  }

  show(body) {
    const items = listOf(body.items);
    const isAll = !body.next;
    const isMost = items.length >= MOST;
    const of = this.isFiltered || !this.total ? '' : ` of ${this.total.toLocaleString('en')}`;
    this.count.textContent = isAll ? items.length : of ? items.length + of : `first ${items.length}`;
    this.none.hidden = items.length > 0;
    this.none.replaceChildren(this.isFiltered ? 'No instance is like that. ' : 'No instance is watched yet.');
    if (this.isFiltered) this.none.append(h('button', { onclick: () => this.clear() }, 'Show all'));
    this.more.hidden = isAll;
    this.more.disabled = isMost;
    this.more.textContent = isMost ? 'These are the first 1,000: search for others' : 'Show more';
    const words = this.isFiltered ? `${isAll ? '' : 'more than '}${items.length} found` : '';
    if (this.said.textContent !== words) this.said.textContent = words;
    reconcile(this.rows, items.map(rowOf), (row) => row.key, makeRow);
  }

  /** The counts by status, out of `/status`; each is a filter. */
  showCounts(status, sources) {
    this.total = status?.instances?.total;
    this.byStatus = Object.entries(status?.instances?.by_status ?? {}).filter(([, number]) => Number.isFinite(number));
    this.firing = Object.values(status?.alerts ?? {}).reduce((sum, number) => sum + (Number(number) || 0), 0);
    const names = listOf(sources).map((source) => plain(source.name));
    this.sources.hidden = names.length < 2 && !this.filters.source;
    const options = [['', 'All sources'], ...[...new Set([...names, this.filters.source])].filter(Boolean).map((name) => [name, name])];
    reconcile(this.sources, options, ([value]) => value, ([value, words]) => h('option', { value }, words));
    this.sources.value = this.filters.source;
    this.renderCounts();
  }

  renderCounts() {
    const { status, alerting } = this.filters;
    const chosen = status.filter((word) => !this.byStatus?.some(([known]) => known === word)).map((word) => [word, 0]);
    const words = [...(this.byStatus ?? []), ...chosen].sort(([one], [other]) => statusRank(one) - statusRank(other) || one.localeCompare(other));
    const chips = [
      { word: '', number: this.total ?? '', isOn: status.length === 0 && !alerting },
      ...words.map(([word, number]) => ({ word, number, isOn: status.includes(word) })),
      ...(this.firing > 0 || alerting ? [{ word: '!', number: '', isOn: Boolean(alerting) }] : []),
    ];
    reconcile(this.counts, chips, (chip) => chip.word, (chip) => this.chip(chip));
  }

  chip({ word, number, isOn }) {
    const label = word === '' ? 'All' : word === '!' ? 'With alerts' : statusMark(word);
    const figure = number === '' ? null : h('span.number', number.toLocaleString('en'));
    const attrs = { 'aria-pressed': String(isOn), disabled: word === 'unseen', onclick: () => this.press(word) };
    return h('button.chip', attrs, figure, ' ', label);
  }

  press(word) {
    const { status, alerting } = this.filters;
    if (word === '') return this.set({ status: [], alerting: '' });
    if (word === '!') return this.set({ alerting: alerting ? '' : 'true' });
    // What is not there has no status: the two cannot be asked for together.
    const isAbsence = (each) => each === 'missing' || each === 'deleted';
    const others = status.filter((each) => each !== word && isAbsence(each) === isAbsence(word));
    return this.set({ status: status.includes(word) ? others : [...others, word] });
  }

  /** Show at once what an event says, where the instance is shown. */
  take(event) {
    const item = listOf(this.body?.items).find((each) => each.source === event.source && each.id === event.instance_id);
    if (item === undefined) return;
    const alerts = listOf(event.alerts);
    const still = listOf(item.alerts).filter((old) => !alerts.some((alert) => alert.name === old.name));
    const changed = { ...item, alerts: [...still, ...alerts.filter((alert) => alert.status === 'firing')] };
    if (MOVES.has(event.kind)) {
      const presence = event.kind === 'missing' || event.kind === 'deleted' ? event.kind : 'present';
      if (presence === 'present' && event.to !== item.status) {
        Object.assign(changed, { since: event.observed_at, reason: event.reason, expected: event.expected });
      }
      Object.assign(changed, { presence, status: event.to ?? item.status });
    }
    this.body = { ...this.body, items: this.body.items.map((each) => (each === item ? changed : each)) };
    this.render();
    const row = [...this.rows.children].find((each) => each.dataset.key === rowOf(changed).key);
    row?.classList.add('flash');
  }

  move(event) {
    if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return;
    const links = [...this.rows.querySelectorAll('a')];
    const place = links.indexOf(document.activeElement);
    const target = event.key === 'ArrowUp' && place === 0 ? this.search : links[place + (event.key === 'ArrowDown' ? 1 : -1)];
    if (target === undefined || (place < 0 && event.key === 'ArrowUp')) return;
    event.preventDefault();
    target.focus();
  }
}

/** What a row shows; an instance that was only seen again is the same row. */
function rowOf(item) {
  const { source, id, name, since, expected, labels, reason } = item;
  const alerts = listOf(item.alerts).map((alert) => ({ name: alert.name, severity: alert.severity }));
  const key = JSON.stringify([source, id]);
  return { key, source, id, name, state: stateOf(item), since, expected, labels, alerts, reason: alerts.length ? reason : null };
}

function makeRow(row) {
  const worst = ['critical', 'warning', 'info'].find((severity) => row.alerts.some((alert) => alert.severity === severity));
  const labels = Object.entries(row.labels ?? {}).slice(0, 3).map(([key, value]) => h('span.label', foreign(`${key}=${plain(value)}`)));
  return h('li', h('a', { class: `row${worst ? ` edge-${severityLook(worst)[0]}` : ''}`, href: instanceHref(row.source, row.id) },
    statusMark(row.state),
    h('span.who', foreign(row.name || row.id), h('span.sub', foreign(row.source), ' ', foreign(row.id, 'id'), labels)),
    progress(row),
    h('span.why',
      row.alerts.map((alert) => h('span', { class: `tag tone-${severityLook(alert.severity)[0]}` }, alertName(alert.name))),
      row.reason && h('span.sub', foreign(row.reason.message || row.reason.code, 'text')))));
}

/** How long a status has lasted, and while it will end by itself: how far it is, and when it should be over. */
export function progress({ state, since, expected, name }) {
  const began = Date.parse(since);
  const median = expected?.median_s;
  if (!Number.isFinite(began)) return h('span.progress');
  if (!isChanging(state) || !(median > 0)) {
    const start = !isChanging(state) && h('span', 'since ', timeTag(since, 'clock'));
    return h('span.progress', h('span.sub', h('span', 'for ', timeTag(since, 'lasting')), start));
  }
  const bar = h('progress', { max: 100, 'aria-label': `${state} of ${plain(name) || 'this instance'}` });
  const lasted = alive(h('span'), () => {
    const seconds = (nowMs() - began) / 1000;
    bar.value = Math.min(100, (100 * seconds) / median);
    bar.className = seconds > (expected.p95_s ?? median) ? 'late' : '';
    return `${length(seconds)}${seconds > median ? ', ' : ' of '}${usually(expected)}`;
  });
  const end = h('span');
  alive(end, () => {
    const overS = (nowMs() - began) / 1000 - median;
    end.className = overS > 0 && bar.className ? 'over' : '';
    return overS > 0 ? `${length(overS)} over` : `until about ${clock(began + median * 1000)}`;
  });
  return h('span.progress', bar, h('span.sub', lasted, end));
}
