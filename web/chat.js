// The view with conversations.
import { error_element, Run, stats_text } from './answer.js';
import { $, ask_dialog, button, copy_with_notice, el, grow, is_send_key } from './dom.js';
import { put_conversation, show_history, start_history } from './history.js';
import { on_language, t } from './i18n.js';
import { MarkdownView } from './render.js';
import { current_model, is_chat_model, make_request } from './server.js';
import { system_prompt } from './settings.js';
import { new_conversation } from './store.js';

const SAVE_MS = 2000;

let current = new_conversation();
const running = new Map(); // id of a conversation: {run, message, saved_at}
const errors = new WeakMap(); // message: what went wrong
const views = new Map(); // message of the current conversation: {element, ...}
let editing = null; // the message that is being edited

const is_running = (conversation = current) => running.has(conversation.id);

// ------------------------------------------------------------------------------------ answers

// What the model gets: roles take turns, whatever was deleted or failed.
function turns_of(messages) {
  const turns = [];
  for (const { role, content } of messages) {
    if (content === '') continue;
    if (turns.at(-1)?.role === role) turns.at(-1).content += `\n\n${content}`;
    else turns.push({ role, content });
  }
  return turns;
}

function answer() {
  const conversation = current;
  conversation.system = system_prompt();
  conversation.model = current_model();
  const request = make_request(turns_of(conversation.messages));
  const message = { role: 'assistant', content: '', model: conversation.model, note: 'interrupted' };
  conversation.messages.push(message);
  const run = new Run(request, () => on_change(conversation));
  running.set(conversation.id, { run, message, saved_at: performance.now() });
  run.start();
  put_conversation(conversation);
  show_chat();
  scroll_to_end();
}

function on_change(conversation) {
  const entry = running.get(conversation.id);
  if (!entry) return;
  const { run, message } = entry;
  message.content = run.text;
  message.stats = run.stats();
  if (run.state === 'done') {
    running.delete(conversation.id);
    delete message.note;
    if (run.note) message.note = run.note;
    if (run.error) errors.set(message, run.error);
    const had_focus = document.activeElement === $('chat-stop');
    put_conversation(conversation);
    if (conversation === current) {
      show_chat();
      follow();
      if (had_focus) $('chat-input').focus();
    }
  } else {
    if (performance.now() - entry.saved_at > SAVE_MS) {
      entry.saved_at = performance.now();
      put_conversation(conversation);
    }
    if (conversation === current) show_message(message);
  }
}

function send() {
  const text = $('chat-input').value.trim();
  if (text === '' || is_running()) return;
  $('chat-input').value = '';
  grow($('chat-input'));
  if (current.title === '') current.title = text.replace(/\s+/g, ' ').slice(0, 40);
  current.messages.push({ role: 'user', content: text });
  answer();
  $('chat-input').focus();
}

// Ask anew what stands before `index`; what follows goes.
function answer_from(index) {
  if (is_running()) return;
  current.messages.length = index;
  answer();
}

export function stop_chat() {
  const entry = running.get(current.id);
  if (entry) entry.run.stop();
  return Boolean(entry);
}

// ----------------------------------------------------------------------------------- messages

function message_view(message) {
  const text = el('div', { class: message.role === 'user' ? 'text plain' : 'text' });
  const view = {
    text,
    element: el('article', { class: `message ${message.role}` }),
    markdown: message.role === 'user' ? null : new MarkdownView(text),
    wait: el('p', { class: 'wait' }, el('span', { class: 'pulse', 'aria-hidden': 'true' }), t('waiting')),
    note: el('p', { class: 'note' }),
    error: el('div'),
    foot: el('div', { class: 'foot' }),
    stats: el('span', { class: 'stats' }),
    actions: el('span', { class: 'actions' }),
  };
  view.foot.append(view.actions, view.stats);
  view.element.append(el('h3', { text: message.role === 'user' ? t('you') : message.model || t('answer') }),
    view.wait, text, view.error, view.note, view.foot);
  return view;
}

function actions_of(message) {
  const index = current.messages.indexOf(message);
  const is_last = index === current.messages.length - 1;
  const actions = [];
  if (message.content !== '') {
    actions.push(button({ icon: 'copy', label: t(message.role === 'user' ? 'copy_message' : 'copy_answer'),
      onclick: () => copy_with_notice(message.content) }));
  }
  if (is_running()) return actions;
  if (is_chat_model() && message.role === 'user') {
    actions.push(button({ icon: 'edit', label: t('edit'), class: 'edit', onclick: () => edit(message) }));
  }
  if (is_chat_model() && is_last && !errors.has(message)) {
    actions.push(button({ icon: 'again', label: t('regenerate'), class: 'regenerate',
      onclick: () => answer_from(message.role === 'user' ? index + 1 : index) }));
  }
  actions.push(button({ icon: 'delete', class: 'delete', onclick: () => remove(message),
    label: t(message.role === 'user' ? 'delete_question' : 'delete_answer') }));
  return actions;
}

// While an answer is written only its text and numbers change.
function show_message(message) {
  const view = views.get(message);
  const run = running.get(current.id)?.message === message ? running.get(current.id).run : null;
  if (view.markdown) {
    view.markdown.update(message.content, { final: !run, onshow: follow });
    view.element.setAttribute('aria-busy', run !== null);
  } else {
    view.text.textContent = message.content;
  }
  view.wait.hidden = !run || run.state !== 'waiting';
  view.stats.textContent = stats_text(message.stats);
  if (run && view.was_running) return;
  view.was_running = Boolean(run);
  view.note.textContent = message.note && !run ? t(`note_${message.note}`) : '';
  const error = errors.get(message);
  const retry = () => answer_from(current.messages.indexOf(message));
  view.error.replaceChildren(...(error && !run ? [error_element(error, retry)] : []));
  view.actions.replaceChildren(...actions_of(message));
}

function edit(message) {
  editing = message;
  const view = views.get(message);
  const area = el('textarea', { 'aria-label': t('edit_label'), rows: '1' });
  area.value = message.content;
  const finish = (text) => {
    editing = null;
    form.remove();
    view.text.hidden = view.foot.hidden = false;
    if (text === null) {
      view.actions.querySelector('.edit')?.focus();
      return;
    }
    const index = current.messages.indexOf(message);
    current.messages[index] = { role: 'user', content: text };
    answer_from(index + 1);
    $('chat-input').focus();
  };
  const accept = () => {
    if (area.value.trim() !== '' && !is_running()) finish(area.value.trim());
  };
  const form = el('div', { class: 'editor' }, area, el('div', { class: 'row end' },
    el('span', { class: 'hint', text: t('edit_hint') }),
    button({ text: t('cancel'), class: 'small', onclick: () => finish(null) }),
    button({ text: t('ask_again'), class: 'small primary', onclick: accept })));
  area.addEventListener('input', () => grow(area));
  area.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && !event.isComposing) {
      event.stopPropagation();
      finish(null);
    } else if (is_send_key(event)) {
      event.preventDefault();
      accept();
    }
  });
  view.text.hidden = view.foot.hidden = true;
  view.element.append(form);
  grow(area);
  area.focus();
}

async function remove(message) {
  const is_question = message.role === 'user';
  const conversation = current;
  const title = `${t(is_question ? 'delete_question' : 'delete_answer')}?`;
  if (!await ask_dialog({ title, ok: t('delete'), danger: true }) || is_running(conversation)) return;
  const index = conversation.messages.indexOf(message);
  const with_answer = is_question && conversation.messages[index + 1]?.role === 'assistant';
  conversation.messages.splice(index, with_answer ? 2 : 1);
  put_conversation(conversation);
  show_chat();
  $('chat-input').focus();
}

// ---------------------------------------------------------------------------------- scrolling

let is_following = true;

function follow() {
  if (is_following) $('chat-scroll').scrollTop = $('chat-scroll').scrollHeight;
}

function scroll_to_end() {
  is_following = true;
  follow();
  show_end_button();
}

function show_end_button() {
  $('chat-end').hidden = is_following;
}

// --------------------------------------------------------------------------------- everything

export function show_chat() {
  const list = $('chat-messages');
  const wanted = new Set(current.messages);
  for (const [message, view] of views) {
    if (wanted.has(message)) continue;
    view.element.remove();
    views.delete(message);
  }
  current.messages.forEach((message, i) => {
    if (!views.has(message)) views.set(message, message_view(message));
    const view = views.get(message);
    if (list.children[i] !== view.element) list.insertBefore(view.element, list.children[i] || null);
    view.was_running = false;
    if (message !== editing) show_message(message);
  });
  const is_empty = current.messages.length === 0;
  $('chat-welcome').hidden = !is_empty || !is_chat_model();
  $('chat-plain').hidden = is_chat_model();
  $('composer').hidden = $('chat-new').disabled = !is_chat_model();
  $('chat-head').hidden = is_empty;
  $('chat-title').textContent = current.title || t('untitled');
  $('chat-send').hidden = is_running();
  $('chat-stop').hidden = !is_running();
  const examples = [1, 2, 3, 4].map((i) => t(`example_${i}`));
  $('chat-examples').replaceChildren(...examples.map((text) => button({ text, class: 'chip', onclick: () => {
    $('chat-input').value = text;
    send();
  } })));
  show_history(current.id, running);
}

export function open_conversation(conversation) {
  current = conversation;
  editing = null;
  views.clear();
  $('chat-messages').replaceChildren();
  show_chat();
  scroll_to_end();
}

// Another tab has changed it.
function on_other_tab(conversation) {
  if (conversation.id === current.id && !is_running() && !editing) open_conversation(conversation);
}

export function start_chat() {
  $('chat-send').addEventListener('click', send);
  $('chat-stop').addEventListener('click', stop_chat);
  $('chat-input').addEventListener('input', () => grow($('chat-input')));
  $('chat-input').addEventListener('keydown', (event) => {
    if (!is_send_key(event)) return;
    event.preventDefault();
    send();
  });
  const scroll = $('chat-scroll');
  scroll.addEventListener('scroll', () => {
    is_following = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 48;
    show_end_button();
  }, { passive: true });
  $('chat-end').addEventListener('click', () => {
    scroll_to_end();
    $('chat-input').focus();
  });
  on_language(() => {
    editing = null;
    views.clear();
    $('chat-messages').replaceChildren();
    show_chat();
  });
  // What is being written is kept, up to here, when the page closes.
  addEventListener('pagehide', () => {
    if (is_running()) put_conversation(current);
  });
  return start_history({
    get_current: () => current,
    is_running,
    open: open_conversation,
    stop: (id) => running.get(id)?.run.stop(),
    on_other_tab,
  });
}
