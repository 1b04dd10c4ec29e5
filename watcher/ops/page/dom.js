// Elements out of data. Text only ever goes in as text: nothing here parses HTML, so no name can become an element.

const SVG = 'http://www.w3.org/2000/svg';
const FOCUSABLE = 'a[href], button, input, select, summary, [tabindex]';
const DISC = 'M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Z';
const SHAPES = {
  check: `${DISC}M6.9 11.5 3.5 8.1l1.3-1.3 2.1 2.1 4.3-4.3 1.3 1.3Z`,
  cross: 'M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1ZM5.7 4.5 4.5 5.7 6.8 8l-2.3 2.3 1.2 1.2L8 9.2l2.3 2.3 1.2-1.2L9.2 8l2.3-2.3-1.2-1.2L8 6.8Z',
  warn: 'M8 1 15.7 14.5H.3ZM7.1 5.8v4.4h1.8V5.8ZM7.1 11.3v1.7h1.8v-1.7Z',
  half: `${DISC}M8 3v10A5 5 0 0 1 8 3Z`,
  ring: `${DISC}M8 3.2a4.8 4.8 0 1 1 0 9.6 4.8 4.8 0 0 1 0-9.6Z`,
  plus: `${DISC}M7.1 4.3v2.8H4.3v1.8h2.8v2.8h1.8V8.9h2.8V7.1H8.9V4.3Z`,
  minus: `${DISC}M4.3 7.1v1.8h7.4V7.1Z`,
  info: `${DISC}M7.1 3.8v1.8h1.8V3.8ZM7.1 6.9v5.3h1.8V6.9Z`,
  what: 'M8 .5 15.5 8 8 15.5.5 8ZM7.2 10.6v1.6h1.6v-1.6ZM5.5 6.6h1.6c0-.7.4-1.1.9-1.1s.9.3.9.8c0 1-1.7 1.1-1.7 3.3h1.6c0-1.5 1.7-1.6 1.7-3.4C10.5 4.9 9.5 4 8 4S5.5 5 5.5 6.6Z',
  square: 'M2 2v12h12V2ZM5 5h6v6H5Z',
};

/**
 * An element, `h('p.facts', {hidden: true}, 'text', node)`: attributes (functions listen; null, undefined and false are
 * left out) may be missing, and children that are null, undefined, false or '' are.
 */
export function h(what, ...parts) {
  const [tag, ...classes] = what.split('.');
  const node = document.createElement(tag);
  if (classes.length > 0) node.className = classes.join(' ');
  const attrs = parts[0]?.constructor === Object ? parts.shift() : {};
  for (const [key, value] of Object.entries(attrs)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? '' : value);
  }
  node.append(...parts.flat(3).filter(Boolean));
  return node;
}

/** A shape that says by its form what its colour says; the words beside it are what is read aloud. */
export function shape(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 16 16');
  svg.setAttribute('class', 'shape');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', SHAPES[name] ?? SHAPES.square);
  path.setAttribute('fill-rule', 'evenodd');
  svg.append(path);
  return svg;
}

/** Anybody's text as one that can be read: what cannot be seen, or would turn the reading direction, becomes U+FFFD. */
export function plain(value) {
  if (value === null || value === undefined) return '';
  const text = typeof value === 'string' ? value : JSON.stringify(value) ?? '';
  return text.replace(/\s+/g, ' ').replace(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/gu, '\ufffd');
}

/** Anybody's text, kept from mixing its direction with what stands around it. */
export function foreign(value, kind = 'name') {
  return h('bdi', { class: kind }, plain(value));
}

/** A link out, only to where a browser may safely go: null for anything but http and https. */
export function outLink(url, words) {
  let target;
  try {
    target = new URL(url);
  } catch {
    return null;
  }
  if (target.protocol !== 'https:' && target.protocol !== 'http:') return null;
  return h('a.out', { href: target.href, target: '_blank', rel: 'noopener noreferrer' }, words);
}

/** Show `items` as the children of `parent`: what did not change stays the same element, and the focus stays where it is. */
export function reconcile(parent, items, keyOf, make) {
  const focus = focusIn(parent);
  const old = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  let next = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    const text = JSON.stringify(item);
    let node = old.get(key);
    old.delete(key);
    if (node === undefined || node.shown !== text) {
      const fresh = make(item);
      fresh.dataset.key = key;
      fresh.shown = text;
      if (node !== undefined) {
        if (node === next) next = fresh;
        node.replaceWith(fresh);
      }
      node = fresh;
    }
    if (node === next) next = next.nextElementSibling;
    else parent.insertBefore(node, next);
  }
  for (const node of old.values()) node.remove();
  focus?.();
}

/** Give an element other children; the focus stays where it is. */
export function refill(parent, nodes) {
  const focus = focusIn(parent);
  parent.replaceChildren(...nodes.filter(Boolean));
  focus?.();
}

function focusIn(parent) {
  const held = document.activeElement;
  if (held === null || !parent.contains(held)) return null;
  const key = held.closest('[data-key]')?.dataset.key;
  const rowOf = () => (key === undefined ? parent : [...parent.children].find((node) => node.dataset.key === key));
  const place = [...rowOf().querySelectorAll(FOCUSABLE)].indexOf(held);
  return () => {
    if (document.activeElement === held) return;
    const target = place < 0 ? rowOf() : rowOf()?.querySelectorAll(FOCUSABLE)[place];
    target?.focus({ preventScroll: true });
  };
}

/** The list it is, or an empty one: an answer may lack anything. */
export function listOf(value) {
  return Array.isArray(value) ? value.filter((item) => item !== null && typeof item === 'object') : [];
}

/** The texts it is, or none. */
export function textsOf(value) {
  return Array.isArray(value) ? value.map(plain) : [];
}

/** What this browser keeps under a name; nothing where it may keep nothing. */
export function kept(name) {
  try {
    return localStorage.getItem(name) ?? '';
  } catch {
    return '';
  }
}

/** Have this browser keep something, if it may. */
export function keep(name, text) {
  try {
    localStorage.setItem(name, text);
  } catch {
    // Then it is asked for again.
  }
}
