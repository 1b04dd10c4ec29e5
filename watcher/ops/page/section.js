// A part of a page that loads by itself, and says by itself what is wrong: the rest goes on.

import { get } from './api.js';
import { h } from './dom.js';

let counter = 0;

/** `url()` is what it shows (null: nothing to load), `show(body)` shows it; `body` is the last answer. */
export class Section {
  constructor(title, url) {
    const id = `section-${(counter += 1)}`;
    this.url = url;
    this.body = null;
    this.turn = 0;
    this.count = h('span.count');
    this.tools = h('div.tools');
    this.error = h('p.error', { role: 'alert', hidden: true });
    this.content = h('div.content');
    const heading = h('h2', { id }, title, ' ', this.count);
    this.element = h('section', { 'aria-labelledby': id }, h('div.head', heading, this.tools), this.error, this.content);
  }

  /** Ask and show; an answer that is overtaken by a later question is dropped. */
  async load() {
    const turn = (this.turn += 1);
    try {
      const body = await get(this.url());
      if (turn !== this.turn) return;
      const isNew = body !== this.body || !this.error.hidden;
      this.body = body;
      if (isNew) this.render();
    } catch (error) {
      if (turn === this.turn) this.fail(error);
    }
  }

  /** Show the last answer (again). */
  render() {
    if (this.body === null) return;
    try {
      this.show(this.body);
      this.error.hidden = true;
    } catch (error) {
      this.fail(error);
    }
  }

  /** Say what is wrong, and leave what was shown before. */
  fail(error) {
    const words = `Cannot show this: ${error.message}`;
    if (this.error.textContent !== words) this.error.textContent = words;
    this.error.hidden = false;
  }
}
