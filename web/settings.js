// Parameters of generation, the system prompt and the key: the panel, and what requests get of it.
import { forget_key, get_key, is_key_kept, set_key } from './api.js';
import { $, ask_dialog, el, grow, toast } from './dom.js';
import { format_number, on_language, t } from './i18n.js';
import { read_setting, write_setting } from './store.js';

const MAX_SEED = Number.MAX_SAFE_INTEGER;
const FIELDS = [
  { name: 'temperature', min: 0, max: 2, step: 0.1 },
  { name: 'top_p', min: 0, max: 1, step: 0.05 },
  { name: 'top_k', min: 0, max: 1000000, whole: true },
  { name: 'repetition_penalty', min: 0.01, max: 10, step: 0.05 },
  { name: 'presence_penalty', min: -2, max: 2, step: 0.1 },
  { name: 'frequency_penalty', min: -2, max: 2, step: 0.1 },
  { name: 'max_tokens', min: 1, max: 10000000, whole: true },
  { name: 'seed', min: 0, max: MAX_SEED, whole: true },
];

let props = { defaults: {}, chat_template: true, n_ctx: 0, model: '', version: '' };
let values = {}; // only what was set: {temperature: 0.5, stop: '...', system: '...'}

const inputs = new Map();

function check(field, text) {
  const value = Number(text);
  const is_right = text.trim() !== '' && Number.isFinite(value) && value >= field.min && value <= field.max &&
    (!field.whole || Number.isInteger(value));
  return is_right ? value : null;
}

function complaint(field) {
  const { min, max } = field;
  if (max > 10000) return t(max === MAX_SEED ? 'range_from_error' : 'whole_error', { min, max });
  return t(field.whole ? 'whole_error' : 'range_error', { min, max });
}

function default_of(name) {
  if (name === 'seed') return t('default_random');
  const value = props.defaults[name];
  return value === undefined || value === null ? '' : t('by_default', { value: Number(value.toFixed?.(4) ?? value) });
}

export const system_prompt = () => (props.chat_template && values.system ? values.system.trim() : '');

export function stop_texts() {
  const lines = (values.stop || '').split('\n').filter((line) => line !== '');
  return lines.slice(0, 16).map((line) => line.replace(/\\(n|t|\\)/g, (_, c) => ({ n: '\n', t: '\t', '\\': '\\' })[c]));
}

// The parameters of a request; what is not set is left to the server.
export function request_parameters() {
  const request = {};
  for (const field of FIELDS) {
    if (values[field.name] === undefined) continue;
    const name = field.name === 'max_tokens' && props.chat_template ? 'max_completion_tokens' : field.name;
    request[name] = values[field.name];
  }
  if (stop_texts().length > 0) request.stop = stop_texts();
  return request;
}

function store() {
  write_setting('parameters', values);
  $('settings-open').classList.toggle('changed', Object.keys(values).length > 0);
}

function number_input(field) {
  const { name } = field;
  const hint = el('span', { class: 'hint', id: `${name}-hint` });
  const input = el('input', { id: `set-${name}`, type: 'text', inputmode: field.min < 0 ? 'text' : 'decimal',
    autocomplete: 'off', 'aria-describedby': `${name}-hint` });
  const show_hint = () => {
    const text = input.value.trim();
    const is_wrong = text !== '' && check(field, text) === null;
    input.setAttribute('aria-invalid', is_wrong);
    hint.classList.toggle('wrong', is_wrong);
    hint.textContent = is_wrong ? complaint(field) : t(`${name}_hint`, { n: format_number(props.n_ctx) });
    input.placeholder = default_of(name);
  };
  input.addEventListener('input', () => {
    const value = check(field, input.value);
    if (value === null) delete values[name];
    else values[name] = value;
    show_hint();
    store();
  });
  // Arrow keys change it as those of a number field do, from the default if it is empty.
  input.addEventListener('keydown', (event) => {
    const up = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (!up || event.isComposing) return;
    event.preventDefault();
    const step = field.whole ? 1 : field.step;
    const from = check(field, input.value) ?? Number(props.defaults[name] ?? field.min);
    const next = Math.min(field.max, Math.max(field.min, Math.round((from + up * step) * 1000) / 1000));
    input.value = String(next);
    input.dispatchEvent(new Event('input'));
  });
  inputs.set(name, { input, show: () => {
    input.value = values[name] ?? '';
    show_hint();
  } });
  return el('label', { class: 'field' }, el('span', { 'data-t': name }), input, hint);
}

function text_input(name, label) {
  const input = el('textarea', { id: `set-${name}`, rows: name === 'system' ? 3 : 2,
    'aria-describedby': `${name}-hint`, spellcheck: 'false' });
  const hint = el('span', { class: 'hint', id: `${name}-hint` });
  input.addEventListener('input', () => {
    if (input.value === '') delete values[name];
    else values[name] = input.value;
    grow(input);
    store();
  });
  inputs.set(name, { input, show: () => {
    input.value = values[name] ?? '';
    input.disabled = name === 'system' && !props.chat_template;
    if (name === 'stop') input.placeholder = t('default_none');
    hint.textContent = t(name === 'stop' ? 'stop_texts_hint' : input.disabled ? 'system_plain' : 'system_hint');
    if (input.offsetParent) grow(input);
  } });
  return el('label', { class: 'field' }, el('span', { 'data-t': label }), input, hint);
}

function show_key_state() {
  $('key-state').textContent = t(!get_key() ? 'key_state_none' : is_key_kept() ? 'key_state_kept' : 'key_state_tab');
  $('key-forget').hidden = !get_key();
}

// Ask for a key; resolves to true if there is a new one.
let asking = null;
export function ask_key(was_wrong = false) {
  asking ??= ask_key_now(was_wrong).finally(() => {
    asking = null;
  });
  return asking;
}

async function ask_key_now(was_wrong) {
  const input = el('input', { type: 'password', id: 'key-input', autocomplete: 'off', spellcheck: 'false' });
  const keep = el('input', { type: 'checkbox', id: 'key-keep' });
  const confirmed = await ask_dialog({
    title: t('key_title'),
    text: was_wrong ? `${t('key_wrong')} ${t('key_text')}` : t('key_text'),
    ok: t('key_use'),
    fields: [el('label', { class: 'field' }, el('span', { text: t('key') }), input),
      el('label', { class: 'check' }, keep, el('span', { text: t('key_keep') }))],
  });
  const key = input.value.trim();
  if (!confirmed || key === '') return false;
  set_key(key, keep.checked);
  show_key_state();
  return true;
}

function show_all() {
  for (const { show } of inputs.values()) show();
  show_key_state();
  $('about').textContent = props.model
    ? t('about', { version: props.version, model: props.model, n: format_number(props.n_ctx) }) : '';
}

export function set_props(new_props) {
  props = new_props;
  show_all();
}

export function start_settings(on_key) {
  const stored = read_setting('parameters', {});
  for (const field of FIELDS) {
    const value = check(field, String(stored?.[field.name] ?? ''));
    if (value !== null) values[field.name] = value;
  }
  for (const name of ['stop', 'system']) {
    if (stored && typeof stored[name] === 'string' && stored[name]) values[name] = stored[name];
  }
  $('set-fields').append(...FIELDS.map(number_input), text_input('stop', 'stop_texts'));
  $('system-field').append(text_input('system', 'system'));
  const dialog = $('settings');
  $('settings-open').addEventListener('click', () => {
    dialog.showModal();
    show_all();
  });
  $('settings-close').addEventListener('click', () => dialog.close());
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close();
  });
  $('settings-reset').addEventListener('click', () => {
    values = values.system ? { system: values.system } : {};
    store();
    show_all();
    toast(t('reset_done'));
  });
  $('key-set').addEventListener('click', async () => {
    if (await ask_key()) on_key();
  });
  $('key-forget').addEventListener('click', () => {
    forget_key();
    show_key_state();
    toast(t('key_forgotten'));
  });
  on_language(show_all);
  store();
}
