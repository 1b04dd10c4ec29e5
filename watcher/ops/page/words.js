// Statuses, severities, events and deliveries in words, colours and shapes.

import { foreign, h, plain, shape } from './dom.js';
import { length } from './times.js';

/** The statuses in the order in which they matter to somebody who looks for trouble. */
const STATUSES = new Map([
  ['ERROR', ['bad', 'cross']],
  ['missing', ['warn', 'what']],
  ['CREATING', ['begin', 'plus']],
  ['ACTIVE', ['idle', 'ring']],
  ['BUILDING', ['busy', 'half']],
  ['DELETING', ['rest', 'minus']],
  ['BUILT', ['good', 'check']],
  ['deleted', ['rest', 'minus']],
]);
const CHANGING = new Set(['CREATING', 'BUILDING', 'DELETING']);
const SEVERITIES = new Map([['critical', ['bad', 'cross']], ['warning', ['warn', 'warn']], ['info', ['rest', 'info']]]);
const STATES = new Map([
  ['delivered', ['good', 'check', 'Delivered']],
  ['pending', ['busy', 'half', 'Pending']],
  ['dead', ['bad', 'cross', 'Failed']],
  ['suppressed', ['rest', 'minus', 'Kept back']],
]);
const ALERTS = new Map([
  ['error', 'In ERROR'],
  ['build_failed', 'Build failed'],
  ['stuck', 'Stuck'],
  ['missing', 'Missing'],
  ['unreachable', 'Does not answer'],
  ['flapping', 'Flapping'],
]);

/** Where a status stands among the others; words we do not know come last. */
export function statusRank(word) {
  const rank = [...STATUSES.keys()].indexOf(word);
  return rank < 0 ? STATUSES.size : rank;
}

/** The colour of a status, by name. */
export function toneOf(word) {
  return (STATUSES.get(word) ?? ['rest'])[0];
}

/** What an instance is, in one word: its status, or that it is missing, deleted or was never seen. */
export function stateOf(instance) {
  if (instance.presence === 'missing' || instance.presence === 'deleted') return instance.presence;
  return plain(instance.status) || 'unseen';
}

/** Whether a status ends by itself. */
export function isChanging(word) {
  return CHANGING.has(word);
}

/** A word with the shape and the colour that say the same. */
export function mark([tone, form], word) {
  return h('span', { class: `mark tone-${tone}` }, shape(form), foreign(word || '?', 'word'));
}

/** A status as a mark. */
export function statusMark(word) {
  return mark(STATUSES.get(word) ?? ['rest', 'square'], word);
}

/** The colour and the shape of a severity. */
export function severityLook(word) {
  return SEVERITIES.get(word) ?? ['rest', 'info'];
}

/** Where a delivery stands, as a mark. */
export function deliveryMark(state) {
  const [tone, form, word] = STATES.get(state) ?? ['rest', 'square', state];
  return mark([tone, form], word);
}

/** What an alert is called. */
export function alertName(name) {
  return ALERTS.get(name) ?? (plain(name) || 'Alert');
}

/** Why a delivery failed or was kept back: `clientError` is `client error`. */
export function deliveryReason(reason) {
  return plain(reason).replace(/([a-z])([A-Z])/g, (_, a, b) => `${a} ${b.toLowerCase()}`);
}

/** What an event tells, as parts of a sentence. */
export function eventWords(event) {
  const to = event.to === null || event.to === undefined ? '' : plain(event.to);
  switch (event.kind) {
    case 'discovered':
      return ['Seen for the first time', to && ', in ', to && statusMark(to)];
    case 'transition':
      return [event.from ? statusMark(plain(event.from)) : 'unseen', h('span', { 'aria-hidden': 'true' }, ' → '), h('span.hidden', ' to '), statusMark(to)];
    case 'build_failed':
      return ['Build ended without a new image'];
    case 'deleted':
      return ['Deleted'];
    case 'missing':
      return ['Missing: the cloud does not know it any more'];
    case 'stuck':
      return ['Stuck in ', statusMark(to)];
    case 'flapping':
      return [fires(event) ? 'Flapping' : 'Calm again', event.changes ? `: ${event.changes} changes` : ''];
    case 'reminder':
      return ['Reminder: still ', to ? statusMark(to) : 'so'];
    case 'unreachable':
      return ['Does not answer'];
    case 'recovered':
      return event.instance_id ? ['Recovered', to && ', now ', to && statusMark(to)] : ['Answers again'];
    default:
      return [plain(event.kind) || 'Event'];
  }
}

function fires(event) {
  return Array.isArray(event.alerts) && event.alerts.some((alert) => alert?.status === 'firing');
}

/** Why something failed, as the cloud's jobs say it; null where that is not known. */
export function reasonWords(reason) {
  if (reason === null || typeof reason !== 'object') return null;
  const words = [plain(reason.code) && h('code', foreign(reason.code, 'code')), ' ', foreign(reason.message, 'text')];
  if (reason.exact === false) words.push(' ', h('small', '(likely: found by time, not by id)'));
  return words;
}

/** `usually 24 min`, with what that is known from; empty where nothing is expected. */
export function usually(expected) {
  return Number.isFinite(expected?.median_s) ? `usually ${length(expected.median_s)}` : '';
}

/** `1 alert`, `2 alerts`. */
export function count(number, noun, plural = `${noun}s`) {
  return `${Number(number).toLocaleString('en')} ${number === 1 ? noun : plural}`;
}
