// The list of conversations, and what can be done with one as a whole.
import { $, ask_dialog, ask_text, el, save_file, toast } from './dom.js';
import { current_language, t } from './i18n.js';
import { show_banner } from './server.js';
import {
  delete_conversation, file_name, from_json, load_conversation, load_conversations, new_conversation, open_store,
  save_conversation, to_json, to_markdown,
} from './store.js';

const conversations = new Map(); // by id
let chat = null; // what chat.js offers: {get_current, is_running, open, stop, on_other_tab}
let running = new Map();
const deleted = new WeakSet(); // a run that ends later must not bring them back

const by_time = () => [...conversations.values()].sort((a, b) => b.updated - a.updated);

// Keep what it says now.
export async function put_conversation(conversation) {
  if (deleted.has(conversation)) return;
  conversation.updated = Date.now();
  conversations.set(conversation.id, conversation);
  try {
    await save_conversation(conversation);
  } catch (error) {
    console.warn(error);
    show_banner(t('store_full'));
  }
}

function time_text(time) {
  const date = new Date(time);
  const is_today = date.toDateString() === new Date().toDateString();
  const style = is_today ? { hour: '2-digit', minute: '2-digit' } : { month: 'short', day: 'numeric' };
  return date.toLocaleString(current_language() === 'zh' ? 'zh-CN' : 'en', style);
}

// The items are made anew only if they say something else, so that the focus stays.
let shown = '';
export function show_history(id, running_now) {
  running = running_now;
  const list = by_time();
  const state = JSON.stringify([current_language(), id,
    list.map((c) => [c.id, c.title, time_text(c.updated), running.has(c.id)])]);
  if (state === shown) return;
  shown = state;
  const focused = document.activeElement?.dataset?.conversation;
  $('history-list').replaceChildren(...list.map((conversation) => {
    const item = el('button', {
      type: 'button', 'data-conversation': conversation.id, 'aria-current': conversation.id === id ? 'true' : null,
      onclick: () => {
        close_history();
        chat.open(conversation);
        $('chat-input').focus();
      },
    }, el('span', { class: 'title', text: conversation.title || t('untitled') }),
    el('span', { class: 'time', text: running.has(conversation.id) ? t('waiting') : time_text(conversation.updated) }));
    return el('li', {}, item);
  }));
  $('history-empty').hidden = list.length > 0;
  $('export-all').disabled = list.length === 0;
  if (focused) document.querySelector(`[data-conversation="${focused}"]`)?.focus();
}

const refresh = () => show_history(chat.get_current().id, running);

// ------------------------------------------------------------------------------ one conversation

async function rename() {
  const conversation = chat.get_current();
  const title = await ask_text(t('rename_title'), t('name'), conversation.title, t('save'));
  if (!title) return;
  conversation.title = title;
  $('chat-title').textContent = title;
  await put_conversation(conversation);
  refresh();
}

async function remove() {
  const conversation = chat.get_current();
  const title = conversation.title || t('untitled');
  if (!await ask_dialog({ title: t('delete_chat_title'), text: t('delete_chat_text', { title }), ok: t('delete'),
    danger: true })) return;
  chat.stop(conversation.id);
  conversations.delete(conversation.id);
  deleted.add(conversation);
  await delete_conversation(conversation.id).catch(console.warn);
  chat.open(new_conversation());
  toast(t('deleted'));
  $('chat-input').focus();
}

function export_markdown() {
  const conversation = chat.get_current();
  const names = { untitled: t('untitled'), system: t('system'), user: t('you'), assistant: t('answer') };
  save_file(file_name(conversation.title, 'md'), 'text/markdown', to_markdown(conversation, names));
}

function export_json(list, title) {
  save_file(file_name(title, 'json'), 'application/json', to_json(list));
}

async function import_file(file) {
  let list;
  try {
    if (file.size > 3 * (32 << 20)) throw new Error('big');
    list = from_json(await file.text());
  } catch (error) {
    toast(t(error.message === 'big' ? 'import_big' : 'import_bad'));
    return;
  }
  let n = 0;
  for (const conversation of list) {
    if (conversations.has(conversation.id) || conversation.messages.length === 0) continue;
    conversations.set(conversation.id, conversation);
    n++;
    try {
      await save_conversation(conversation);
    } catch {
      show_banner(t('store_full'));
      break;
    }
  }
  refresh();
  toast(n > 0 ? t('imported', { n }) : t('import_none'));
}

// ---------------------------------------------------------------------- the drawer on small screens

function open_history() {
  document.body.classList.add('history-open');
  $('history-toggle').setAttribute('aria-expanded', 'true');
  $('conversation').inert = true;
  $('history-close').focus();
}

// True if it was open.
export function close_history() {
  if (!document.body.classList.contains('history-open')) return false;
  document.body.classList.remove('history-open');
  $('history-toggle').setAttribute('aria-expanded', 'false');
  $('conversation').inert = false;
  $('history-toggle').focus();
  return true;
}

async function on_store_change(id) {
  if (chat.is_running({ id })) return;
  const conversation = await load_conversation(id).catch(() => null);
  if (conversation) conversations.set(id, conversation);
  else conversations.delete(id);
  if (conversation) chat.on_other_tab(conversation);
  refresh();
}

export async function start_history(hooks) {
  chat = hooks;
  $('history-toggle').addEventListener('click', open_history);
  $('history-close').addEventListener('click', close_history);
  $('history-shade').addEventListener('click', close_history);
  matchMedia('(min-width: 900px)').addEventListener('change', close_history);
  $('chat-new').addEventListener('click', () => {
    close_history();
    chat.open(new_conversation());
    $('chat-input').focus();
  });
  $('chat-rename').addEventListener('click', rename);
  $('chat-delete').addEventListener('click', remove);
  $('chat-markdown').addEventListener('click', export_markdown);
  $('chat-json').addEventListener('click', () => export_json([chat.get_current()], chat.get_current().title));
  $('export-all').addEventListener('click', () => export_json(by_time(), 'inkstone'));
  $('import').addEventListener('click', () => $('import-file').click());
  $('import-file').addEventListener('change', async (event) => {
    const [file] = event.target.files;
    if (file) await import_file(file);
    event.target.value = '';
  });
  try {
    await open_store(on_store_change);
    for (const conversation of await load_conversations()) conversations.set(conversation.id, conversation);
  } catch (error) {
    console.warn(error);
    show_banner(t('store_missing'));
  }
  const [latest] = by_time();
  if (latest) chat.open(latest);
  else refresh();
}
