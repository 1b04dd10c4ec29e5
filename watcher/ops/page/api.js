// The API: answers that did not change cost nothing, and errors come in words.

const TIMEOUT_MS = 20_000;
const KEPT = 40;

const kept = new Map();
let contact = () => {};
let newsMs = Date.now();

/** What the API found wrong, or that it could not be reached (`status` 0). */
class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Call `listener` with whether the watcher could be reached, each time that was tried. */
export function onContact(listener) {
  contact = listener;
}

/** When the watcher was last heard of, by this machine's clock. */
export function lastNewsMs() {
  return newsMs;
}

/** The watcher was heard of. */
export function heard() {
  newsMs = Date.now();
}

/** A path of the API out of parts that may be anything, and what is asked of it. */
export function path(parts, query = {}) {
  const asked = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    for (const each of [value].flat()) if (each !== null && each !== undefined && each !== '') asked.append(key, each);
  }
  const text = asked.toString();
  return `api/v1/${parts.map(encodeURIComponent).join('/')}${text && '?'}${text}`;
}

/** The answer to a GET; the very same object as last time where nothing changed. Raises ApiError. */
export async function get(url) {
  const before = kept.get(url);
  const response = await call(url, { headers: before ? { 'If-None-Match': before.etag } : {} });
  if (response.status === 304 && before) return before.body;
  const body = await bodyOf(response);
  const etag = response.headers.get('ETag');
  kept.delete(url);
  if (etag) kept.set(url, { etag, body });
  if (kept.size > KEPT) kept.delete(kept.keys().next().value);
  return body;
}

/** Ask for a change; the answer, null where there is none. Raises ApiError. */
export async function send(method, url, body) {
  const json = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } };
  const response = await call(url, { method, ...json });
  return response.status === 204 ? null : bodyOf(response);
}

async function call(url, options) {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  let response;
  try {
    response = await fetch(url, { cache: 'no-store', signal, ...options });
  } catch {
    contact(false);
    throw new ApiError(signal.aborted ? 'no answer within 20 s' : 'the watcher cannot be reached', 0);
  }
  heard();
  contact(true);
  if (!response.ok && response.status !== 304) throw await problemOf(response);
  return response;
}

async function bodyOf(response) {
  const body = await response.json().catch(() => null);
  if (body === null || typeof body !== 'object') throw new ApiError('the answer cannot be read: is this the watcher?', response.status);
  return body;
}

async function problemOf(response) {
  const body = await response.json().catch(() => null); // a proxy's page is none
  const detail = typeof body?.detail === 'string' && body.detail ? body.detail : `answered HTTP ${response.status}`;
  return new ApiError(response.status === 401 ? `${detail}; reload the page to be asked for it` : detail, response.status);
}
