// The stream of events, which comes back by itself whatever ended it.

import { heard } from './api.js';

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 15_000;

/** `onOpen` on every connection, also one made again; `onEvent` with each event; `onReset` when events were missed; `onLost`. */
export class Live {
  constructor(url, { onOpen, onEvent, onReset, onLost }) {
    this.url = url;
    this.tell = { onOpen, onEvent, onReset, onLost };
    this.waitMs = FIRST_WAIT_MS;
    this.stream = null;
    this.timer = 0;
  }

  get isOpen() {
    return this.stream?.readyState === EventSource.OPEN;
  }

  open() {
    this.close();
    const stream = new EventSource(this.url);
    this.stream = stream;
    stream.onopen = () => {
      heard();
      this.waitMs = FIRST_WAIT_MS;
      this.tell.onOpen();
    };
    stream.onmessage = (message) => {
      heard();
      const event = parsed(message.data);
      if (event) this.tell.onEvent(event);
    };
    stream.addEventListener('reset', () => {
      heard();
      this.tell.onReset();
    });
    stream.onerror = () => {
      this.tell.onLost();
      // A browser tries again by itself after a broken connection, but gives up for good after an HTTP error.
      if (stream.readyState === EventSource.CLOSED) this.openLater();
    };
  }

  close() {
    clearTimeout(this.timer);
    this.stream?.close();
    this.stream = null;
  }

  openLater() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), this.waitMs);
    this.waitMs = Math.min(this.waitMs * 2, LONGEST_WAIT_MS);
  }
}

function parsed(text) {
  try {
    const event = JSON.parse(text);
    return event !== null && typeof event === 'object' ? event : null;
  } catch {
    return null;
  }
}
