// Starts the page: which part is shown, what is asked when, and whether the watcher can be reached.

import { get, lastNewsMs, onContact } from './api.js';
import { h, keep, plain, shape } from './dom.js';
import { LOOKS, problemsOf } from './headline.js';
import { InstancePage } from './instance.js';
import { filtersOf } from './list.js';
import { Live } from './live.js';
import { Overview } from './overview.js';
import { length, setClock, tick } from './times.js';

const SLOW_MS = 15_000;
const HIDDEN_MS = 60_000;
const NEWS_MS = 300;
const NEWS_AT_MOST_MS = 2000;
const THEMES = ['auto', 'light', 'dark'];

const byId = (id) => document.getElementById(id);
const main = byId('main');

class App {
  constructor() {
    this.status = null;
    this.error = null;
    this.isReached = true;
    this.page = null;
    this.overview = null;
    this.scrolled = 0;
    this.live = new Live('api/v1/stream', {
      onOpen: () => this.load(),
      onReset: () => this.load(),
      onEvent: (event) => this.take(event),
      onLost: () => this.showContact(),
    });
    onContact((isReached) => {
      this.isReached = isReached;
      this.showContact();
    });
  }

  start() {
    addEventListener('hashchange', () => this.route());
    addEventListener('keydown', (event) => this.key(event));
    document.addEventListener('visibilitychange', () => this.seen());
    setInterval(() => this.everySecond(), 1000);
    history.scrollRestoration = 'manual';
    document.querySelector('.skip').addEventListener('click', (event) => {
      event.preventDefault(); // what is behind the '#' is for the places of this page
      main.querySelector('h1').focus();
    });
    this.setTheme(document.documentElement.dataset.theme ?? 'auto');
    byId('theme').addEventListener('click', () => this.setTheme(THEMES[(THEMES.indexOf(this.theme) + 1) % 3]));
    this.route();
    this.live.open();
    this.showContact();
    this.later(SLOW_MS);
  }

  route() {
    const [place, query] = location.hash.slice(1).split('?', 2);
    let parts = [];
    try {
      parts = place.split('/').filter(Boolean).map(decodeURIComponent);
    } catch {
      // Not a place of this page: the overview is shown.
    }
    const isFirst = this.page === null;
    const isFromOne = this.page !== this.overview;
    this.page?.close();
    if (!isFromOne) this.scrolled = scrollY;
    const tools = { canWrite: () => this.status?.can_write === true, done: () => this.load() };
    if (parts[0] === 'instances' && parts.length === 3) {
      this.page = new InstancePage(parts[1], parts[2], tools);
      this.from = location.hash;
    } else {
      this.overview ??= new Overview(filtersOf(query ?? ''), { ...tools, onFilters: (text) => this.rememberFilters(text) });
      if (!isFirst) this.restoreFilters(query ?? '', isFromOne);
      this.page = this.overview;
    }
    main.replaceChildren(this.page.element);
    this.showStatus();
    this.load();
    if (isFirst) return;
    const isBack = this.page === this.overview;
    scrollTo(0, isBack ? this.scrolled : 0);
    const row = isBack && [...main.querySelectorAll('a.row')].find((link) => link.hash === this.from);
    (row || main.querySelector('h1')).focus({ preventScroll: true });
  }

  rememberFilters(text) {
    history.replaceState(null, '', `#/${text && '?'}${text}`);
    this.filters = text;
  }

  /** Back from an instance is back to what was asked for; a link that asks for something asks for that. */
  restoreFilters(query, isFromOne) {
    if (isFromOne && query === '' && this.filters) history.replaceState(null, '', `#/?${this.filters}`);
    else if (query !== (this.filters ?? '')) this.overview.list.set(filtersOf(query));
  }

  /** Everything anew. */
  async load() {
    const page = this.page;
    await Promise.all([this.loadStatus(), page.load()]);
    if (page === this.page) this.showStatus();
  }

  async loadStatus() {
    try {
      this.status = await get('api/v1/status');
      setClock(this.status.now);
      this.error = null;
    } catch (error) {
      this.error = error.message;
    }
    this.showStatus();
  }

  /** An event of the stream: shown at once, and what follows from it asked for when no more come, or after two seconds. */
  take(event) {
    this.guard(() => this.page.take(event));
    const now = performance.now();
    this.newsAt ??= now;
    clearTimeout(this.news);
    this.news = setTimeout(() => {
      this.newsAt = undefined;
      this.loadStatus();
      (this.page.loadNews ?? this.page.load).call(this.page);
    }, Math.max(0, Math.min(NEWS_MS, this.newsAt + NEWS_AT_MOST_MS - now)));
    this.showContact();
  }

  showStatus() {
    this.guard(() => {
      this.page.showStatus(this.status, { error: this.error, isLost: !this.isConnected });
      const found = this.status === null ? [] : problemsOf(this.status, this.overview?.sources.body?.items);
      const pill = byId('pill');
      const { tone, words } = found[0] ?? { tone: 'good', words: ['All well'] };
      pill.hidden = this.status === null || this.page === this.overview;
      pill.className = `pill tone-${tone}`;
      pill.replaceChildren(shape(LOOKS[tone]), ...words);
      const critical = this.status?.alerts?.critical ?? 0;
      document.title = `${critical > 0 ? `(${critical}) ` : ''}${this.page.title ? `${this.page.title} · ` : ''}watcher`;
      if (this.status?.version) {
        const among = this.status.replicas > 1 ? ` · replica ${plain(this.status.replica)}, one of ${this.status.replicas}` : '';
        byId('version').textContent = `watcher ${plain(this.status.version)}${among}`;
      }
    });
  }

  get isConnected() {
    return this.isReached && (this.live.isOpen || this.isResting);
  }

  showContact() {
    const wasLost = !byId('banner').hidden;
    const silentMs = Date.now() - lastNewsMs();
    // A stream that is made again within a moment was not lost.
    const isLost = !this.isReached || (!this.isConnected && (wasLost || silentMs > 1000));
    const words = `Connection lost, trying again … last news ${length(silentMs / 1000)} ago`;
    if (isLost && byId('banner').textContent !== words) byId('banner').textContent = words;
    byId('banner').hidden = !isLost;
    const [state, word] = isLost ? ['lost', 'Offline'] : this.isConnected ? ['live', 'Live'] : ['connecting', 'Connecting'];
    byId('live').dataset.state = state;
    byId('live').textContent = word;
    if (isLost !== wasLost) this.showStatus();
  }

  /** What no event tells: sources, deliveries, acknowledgements. */
  later(ms) {
    clearTimeout(this.slow);
    this.slow = setTimeout(async () => {
      if (document.hidden) await this.loadStatus();
      else await this.load();
      this.later(document.hidden ? HIDDEN_MS : SLOW_MS);
    }, ms);
  }

  /** A hidden page gives its connection back: a browser has but six for one server. Its title stays true by the minute. */
  seen() {
    clearTimeout(this.rest);
    if (document.hidden) {
      this.rest = setTimeout(() => {
        this.isResting = true;
        this.live.close();
      }, HIDDEN_MS / 2);
    } else if (this.isResting) {
      this.isResting = false;
      this.live.open();
      this.load();
      this.later(SLOW_MS);
    }
  }

  everySecond() {
    if (document.hidden) return;
    this.guard(tick);
    this.showContact();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
    const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === '/' && !isTyping) {
      event.preventDefault();
      if (this.page !== this.overview) location.hash = `#/`;
      setTimeout(() => this.overview?.list.search.focus());
    } else if (event.key === 'Escape') {
      if (this.page !== this.overview) location.hash = '#/';
      else if (this.overview.list.isFiltered || this.overview.list.search.value) this.overview.list.clear();
      else if (isTyping) event.target.blur();
    }
  }

  setTheme(theme) {
    this.theme = theme;
    if (theme === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    keep('watcher.theme', theme);
    byId('theme').replaceChildren(shape('half'), { auto: ' Auto', light: ' Light', dark: ' Dark' }[theme]);
    byId('theme').setAttribute('aria-label', `Colours: ${theme}. Change`);
  }

  /** Whatever fails here is told on the page, and the rest goes on. */
  guard(work) {
    try {
      work();
    } catch (error) {
      fail(error);
    }
  }
}

function fail(error) {
  byId('failure').replaceChildren('Part of this page failed: ', plain(error?.message ?? error), '. ', h('button', { onclick: () => location.reload() }, 'Load it again'));
  byId('failure').hidden = false;
}

addEventListener('error', (event) => fail(event.error ?? event.message));
addEventListener('unhandledrejection', (event) => fail(event.reason));
new App().start();
