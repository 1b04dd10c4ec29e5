// Questions before something is changed: who, why, and for how long.

import { path, send } from './api.js';
import { foreign, h, keep, kept, plain } from './dom.js';

const AUTHOR = 'watcher.author';
const DURATIONS = [['1h', '1 hour'], ['4h', '4 hours'], ['12h', '12 hours'], ['until', 'Until …']];

/** Ask in a dialog; `act(form)` does it, and what it raises is shown there. Resolves to whether it was done. */
function ask({ title, fields, button, act, tone = '' }) {
  return new Promise((resolve) => {
    const error = h('p.error', { role: 'alert', hidden: true });
    const go = h('button', { type: 'submit', class: `primary ${tone}` }, button);
    const cancel = h('button', { type: 'button', onclick: () => dialog.close() }, 'Cancel');
    const form = h('form', { novalidate: true }, h('h2', { id: 'dialog-title' }, title), ...fields, error, h('div.buttons', cancel, go));
    const dialog = h('dialog', { 'aria-labelledby': 'dialog-title' }, form);
    const opener = document.activeElement;
    let isDone = false;
    form.addEventListener('submit', async (submitted) => {
      submitted.preventDefault();
      if (go.disabled) return;
      go.disabled = true;
      try {
        await act(form.elements);
        isDone = true;
        dialog.close();
      } catch (raised) {
        error.textContent = `Not done: ${raised.message}`;
        error.hidden = false;
      }
      go.disabled = false;
    });
    dialog.addEventListener('close', () => {
      dialog.remove();
      if (opener?.isConnected) opener.focus();
      else document.querySelector('main h1')?.focus();
      resolve(isDone);
    });
    document.body.append(dialog);
    dialog.showModal();
    [...form.querySelectorAll('input:not([type=radio], [hidden])')].find((field) => !field.value)?.focus();
  });
}

function whoField() {
  return h('label', 'Your name', h('input', { name: 'author', autocomplete: 'name', maxlength: 200, required: true, value: kept(AUTHOR) }));
}

function whyField(isRequired) {
  const words = isRequired ? 'Comment' : 'Comment (optional)';
  return h('label', words, h('input', { name: 'comment', maxlength: 2000, required: isRequired, autocomplete: 'off' }));
}

function who(elements) {
  const name = elements.author.value.trim();
  if (!name) {
    elements.author.focus();
    throw new Error('say who you are');
  }
  keep(AUTHOR, name);
  return name;
}

function about(alert) {
  return foreign(alert.instance_name || alert.instance_id || `source ${alert.source}`);
}

/** Take an alert on. */
export function askAck(alert) {
  return ask({
    title: ['Acknowledge ', about(alert)],
    fields: [h('p.hint', 'You take it on: nobody is reminded of it any more while it lasts.'), whoField(), whyField(false)],
    button: 'Acknowledge',
    act: (elements) => send('POST', path(['alerts', alert.fingerprint, 'ack']), { author: who(elements), comment: elements.comment.value }),
  });
}

/** What of an alert can be silenced: `[words, match]`. */
function scopesOf(alert) {
  const { source, instance_id: id, instance_name: name } = alert;
  const whole = [['All of source ', foreign(source)], { source: [source] }];
  if (!id) return [[['Only that source ', foreign(source), ' does not answer'], { source: [source], kind: ['unreachable', 'reminder'] }], whole];
  return [[['This instance: ', foreign(name || id)], { source: [source], instance_id: [id] }], whole];
}

/** Silence what an alert is of. */
export function askSilence(alert) {
  const scopes = scopesOf(alert);
  const until = h('input', { type: 'datetime-local', name: 'until', 'aria-label': 'Until', hidden: true });
  const durations = DURATIONS.map(([value, words], place) =>
    h('label.choice', h('input', { type: 'radio', name: 'duration', value, checked: place === 0, onchange: toggle }), words),
  );
  function toggle(changed) {
    until.hidden = changed.target.value !== 'until';
    if (until.hidden) return;
    if (!until.value) until.value = localIn(24 * 3600);
    until.focus();
  }
  return ask({
    title: ['Silence ', about(alert)],
    fields: [
      h('p.hint', 'Nothing of it is told until the silence ends; what lasts is told then.'),
      h('fieldset', h('legend', 'What'), scopes.map(([words], place) =>
        h('label.choice', h('input', { type: 'radio', name: 'scope', value: place, checked: place === 0 }), h('span', words)))),
      h('fieldset.choices', h('legend', 'How long'), durations, until),
      whoField(),
      whyField(true),
    ],
    button: 'Silence',
    act: async (elements) => {
      const comment = elements.comment.value.trim();
      const name = who(elements);
      if (!comment) {
        elements.comment.focus();
        throw new Error('say why, in the comment');
      }
      const match = scopes[Number(elements.scope.value)][1];
      const length = elements.duration.value === 'until' ? { ends_at: instantOf(until) } : { duration: elements.duration.value };
      await send('POST', 'api/v1/silences', { match, author: name, comment, ...length });
    },
  });
}

/** End a silence now. */
export function askExpire(silence) {
  return ask({
    title: 'End this silence now?',
    fields: [h('p.hint', 'What it kept back and still lasts is told at once: “', foreign(silence.comment, 'text'), '” of ', foreign(silence.author), '.')],
    button: 'End it',
    act: () => send('DELETE', path(['silences', plain(silence.id)])),
  });
}

function localIn(seconds) {
  const at = new Date(Date.now() + seconds * 1000);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

function instantOf(input) {
  const at = new Date(input.value);
  if (Number.isNaN(at.getTime())) {
    input.focus();
    throw new Error('say until when');
  }
  return at.toISOString();
}
