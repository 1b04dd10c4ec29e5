// Times and lengths of time in words, by the watcher's clock, going on by themselves.

let skewMs = 0;

/** Take the watcher's clock: that of this machine may be wrong. */
export function setClock(iso) {
  const at = Date.parse(iso);
  if (!Number.isNaN(at)) skewMs = at - Date.now();
}

/** The present time by the watcher's clock, in milliseconds. */
export function nowMs() {
  return Date.now() + skewMs;
}

/** A length of time, two units at most, and no seconds from two minutes on: `45 s`, `24 min`, `1 h 5 min`, `3 d 2 h`. */
export function length(seconds) {
  if (!Number.isFinite(seconds)) return '?';
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 120) return `${whole} s`;
  const minutes = Math.round(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  const [hours, days] = [Math.floor(minutes / 60), Math.floor(minutes / 1440)];
  if (days === 0) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return hours % 24 ? `${days} d ${hours % 24} h` : `${days} d`;
}

const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const YEAR = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const EXACT = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'long' });

/** The time of day, with the day where it is not today: `14:05`, `3 Jul 14:05`. */
export function clock(ms) {
  if (!Number.isFinite(ms)) return '?';
  const [at, today] = [new Date(ms), new Date(nowMs())];
  if (at.toDateString() === today.toDateString()) return CLOCK.format(at);
  return `${(at.getFullYear() === today.getFullYear() ? DAY : YEAR).format(at)} ${CLOCK.format(at)}`;
}

const FORMS = {
  ago: (ms) => (nowMs() - ms < 1500 ? 'just now' : `${length((nowMs() - ms) / 1000)} ago`),
  lasting: (ms) => length((nowMs() - ms) / 1000),
  until: (ms) => (ms <= nowMs() ? 'now' : `in ${length((ms - nowMs()) / 1000)}`),
  clock,
};

/** A time as `<time>`, in a form that stays true as time goes on; the exact time is its title. Null for none. */
export function timeTag(iso, form = 'ago') {
  const ms = typeof iso === 'number' ? iso : Date.parse(iso);
  if (!Number.isFinite(ms)) return null;
  const node = document.createElement('time');
  node.dateTime = new Date(ms).toISOString();
  node.title = EXACT.format(ms);
  return alive(node, () => FORMS[form](ms));
}

/** An element whose text is made anew every second. */
export function alive(node, words) {
  node.dataset.alive = '';
  node.refresh = () => {
    const text = words();
    if (node.textContent !== text) node.textContent = text;
  };
  node.refresh();
  return node;
}

/** Bring everything up to date that goes on by itself. */
export function tick() {
  for (const node of document.querySelectorAll('[data-alive]')) node.refresh?.();
}
