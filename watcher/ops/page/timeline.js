// What an instance was when: a bar of coloured spans, and the same as a table.

import { foreign, h, listOf, plain, refill } from './dom.js';
import { Section } from './section.js';
import { clock, length, nowMs, timeTag } from './times.js';
import { reasonWords, statusMark, toneOf, usually } from './words.js';

const HOUR = 3600;
const RANGES = [[0, 'All'], [30 * 24 * HOUR, '30 days'], [7 * 24 * HOUR, '7 days'], [24 * HOUR, '24 hours'], [HOUR, '1 hour']];

/** The timeline of one instance. */
export class Timeline extends Section {
  constructor(url) {
    super('Timeline', url);
    this.rangeS = 0;
    this.at = -1;
    this.bar = h('div.bar', {
      role: 'group', 'aria-label': 'Timeline: use the arrow keys to go through it',
      onkeydown: (event) => this.move(event), onmouseleave: () => this.leave(),
    });
    this.axis = h('div.axis', { 'aria-hidden': 'true' });
    this.detail = h('p.detail.line');
    this.rows = h('tbody');
    const heads = ['Status', 'From', 'To', 'Lasted', 'Usually', 'Why'].map((words) => h('th', { scope: 'col' }, words));
    const table = h('table', h('thead', h('tr', heads)), this.rows);
    this.ranges = h('div.segments', { role: 'group', 'aria-label': 'Time shown' });
    this.tools.append(this.ranges);
    this.none = h('p.none', { hidden: true }, 'Nothing is known of it yet.');
    this.strip = h('div.strip', h('div', this.bar, this.axis));
    const scroll = h('div.scroll', { tabindex: 0, role: 'region', 'aria-label': 'Timeline as a table' }, table);
    this.content.append(this.strip, this.detail, this.none, h('details', h('summary', 'As a table'), scroll));
  }

  show(body) {
    const spans = listOf(body.items).filter((span) => Number.isFinite(Date.parse(span.began_at)));
    const ageS = spans.length ? (nowMs() - Date.parse(spans[0].began_at)) / 1000 : 0;
    this.none.hidden = spans.length > 0;
    refill(this.ranges, RANGES.filter(([rangeS]) => rangeS < ageS).map(([rangeS, words]) =>
      h('button', { 'aria-pressed': String(rangeS === this.rangeS), onclick: () => this.range(rangeS) }, words)));
    this.ranges.hidden = this.ranges.children.length < 2;
    this.renderBar(spans);
    this.rows.replaceChildren(...spans.toReversed().map(tableRow));
  }

  range(rangeS) {
    this.rangeS = rangeS;
    this.render();
    this.ranges.querySelector('[aria-pressed=true]')?.focus();
  }

  renderBar(spans) {
    const held = this.bar.contains(document.activeElement);
    const [now, pieces] = [nowMs(), []];
    const from = this.rangeS ? now - this.rangeS * 1000 : -Infinity;
    let before = null;
    for (const span of spans) {
      const [began, ended] = [Date.parse(span.began_at), span.ended_at ? Date.parse(span.ended_at) : now];
      if (ended < from) continue;
      if (before !== null && began - before > 1000) pieces.push(gap(began - before));
      pieces.push(this.piece(span, ended - Math.max(began, from), pieces.length));
      before = ended;
    }
    this.bar.replaceChildren(...pieces);
    const first = spans.find((span) => !span.ended_at || Date.parse(span.ended_at) >= from);
    const begin = first ? Math.max(Date.parse(first.began_at), from) : now;
    this.axis.replaceChildren(h('span', clock(begin)), h('span', 'now'));
    this.strip.scrollLeft = this.strip.scrollWidth;
    const buttons = this.buttons();
    const isLooked = this.at >= 0 && (held || this.bar.matches(':hover'));
    this.choose(isLooked ? Math.min(this.at, buttons.length - 1) : buttons.length - 1);
    if (held) buttons[this.at]?.focus();
  }

  buttons() {
    return [...this.bar.querySelectorAll('button')];
  }

  piece(span, ms) {
    const word = wordOf(span);
    const select = (event) => this.choose(this.buttons().indexOf(event.currentTarget));
    const attrs = { class: `span fill-${toneOf(word)}`, tabindex: -1, 'aria-label': textOf(span), onfocus: select, onmouseenter: select, onclick: select };
    const piece = h('button', attrs, h('span', { 'aria-hidden': 'true' }, foreign(word)));
    piece.style.flexGrow = String(Math.max(1, Math.round(ms / 1000)));
    piece.span = span;
    return piece;
  }

  choose(place) {
    const buttons = this.buttons();
    for (const [index, button] of buttons.entries()) {
      button.tabIndex = index === place ? 0 : -1;
      button.classList.toggle('chosen', index === place);
    }
    this.at = place;
    const span = buttons[place]?.span;
    this.detail.replaceChildren(...(span ? detailOf(span) : []));
  }

  /** Back from where the mouse was to what has the focus, else to the present. */
  leave() {
    const buttons = this.buttons();
    const place = buttons.indexOf(document.activeElement);
    this.choose(place < 0 ? buttons.length - 1 : place);
  }

  move(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const buttons = this.buttons();
    buttons[Math.max(0, Math.min(buttons.length - 1, this.at + step))]?.focus();
  }
}

function gap(ms) {
  const piece = h('span.span.gap', { title: `Not there for ${length(ms / 1000)}` });
  piece.style.flexGrow = String(Math.round(ms / 1000));
  return piece;
}

function wordOf(span) {
  return plain(span.status) || 'missing';
}

function lengthS(span) {
  return ((span.ended_at ? Date.parse(span.ended_at) : nowMs()) - Date.parse(span.began_at)) / 1000;
}

function detailOf(span) {
  const end = span.ended_at ? timeTag(span.ended_at, 'clock') : 'now';
  const lasted = span.ended_at ? length(lengthS(span)) : timeTag(span.began_at, 'lasting');
  const than = comparison(span);
  const passed = unseen(span);
  const reason = reasonWords(span.reason);
  return [statusMark(wordOf(span)), h('span', timeTag(span.began_at, 'clock'), ' – ', end), h('strong', lasted),
    than && h('span.sub', than), passed && h('span.sub', passed), reason && h('span.reason', reason)].filter(Boolean);
}

function comparison(span) {
  const median = span.expected?.median_s;
  if (!(median > 0)) return '';
  const over = lengthS(span) - median;
  if (over > Math.max(30, median * 0.1)) return `(${usually(span.expected)}: ${length(over)} longer)`;
  return `(${usually(span.expected)})`;
}

function unseen(span) {
  const words = Array.isArray(span.inferred) ? span.inferred.map(plain).filter(Boolean) : [];
  return words.length ? `after ${words.join(', ')}, passed unseen` : '';
}

function textOf(span) {
  const end = span.ended_at ? `to ${clock(Date.parse(span.ended_at))}` : 'until now';
  return [wordOf(span), `from ${clock(Date.parse(span.began_at))} ${end}`, length(lengthS(span)), comparison(span)].filter(Boolean).join(', ');
}

function tableRow(span) {
  const lasted = span.ended_at ? length(lengthS(span)) : [timeTag(span.began_at, 'lasting'), ' so far'];
  return h('tr',
    h('th', { scope: 'row' }, statusMark(wordOf(span))),
    h('td', timeTag(span.began_at, 'clock')),
    h('td', span.ended_at ? timeTag(span.ended_at, 'clock') : 'lasts'),
    h('td', lasted),
    h('td', span.expected ? length(span.expected.median_s) : ''),
    h('td.wide', [reasonWords(span.reason), unseen(span)].filter(Boolean)));
}
