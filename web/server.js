// What the page knows of the server: its properties, its models, and which of them is chosen.
import { ApiError, fetch_models, fetch_props, get_key } from './api.js';
import { $, el } from './dom.js';
import { describe_error } from './answer.js';
import { t } from './i18n.js';
import { ask_key, request_parameters, set_props, system_prompt } from './settings.js';
import { read_setting, write_setting } from './store.js';

let props = { chat_template: true, model: '' };
let models = [];
let listener = () => {};

export const is_chat_model = () => props.chat_template !== false;
export const current_model = () => {
  const chosen = read_setting('model', '');
  return models.includes(chosen) ? chosen : models[0] || props.model;
};

// A request that carries on these messages, or this prompt.
export function make_request(content) {
  const request = { model: current_model(), ...request_parameters() };
  if (typeof content === 'string') return { ...request, prompt: content };
  const system = system_prompt();
  return { ...request, messages: system ? [{ role: 'system', content: system }, ...content] : content };
}

function show_models() {
  const select = $('model');
  select.replaceChildren(...models.map((name) => el('option', { value: name, text: name })));
  select.value = current_model();
  $('model-field').hidden = models.length < 2;
  $('model-name').hidden = models.length >= 2;
  $('model-name').textContent = current_model();
  $('model-name').title = current_model();
}

async function load_models() {
  for (let asked = false; ; asked = true) {
    try {
      models = await fetch_models();
      return;
    } catch (error) {
      if (!(error instanceof ApiError) || error.kind !== 'key') throw error;
      if (!await ask_key(asked || get_key() !== '')) return;
    }
  }
}

export async function connect() {
  $('banner').hidden = true;
  try {
    props = await fetch_props();
    set_props(props);
    show_models();
    listener();
    await load_models();
    show_models();
  } catch (error) {
    show_banner(describe_error(error), connect);
  }
}

export function show_banner(text, retry) {
  const banner = $('banner');
  banner.replaceChildren(el('span', { text }));
  if (retry) banner.append(el('button', { type: 'button', class: 'small', text: t('retry'), onclick: retry }));
  banner.hidden = false;
}

export function start_server(on_change) {
  listener = on_change;
  $('model').addEventListener('change', () => write_setting('model', $('model').value));
  return connect();
}
