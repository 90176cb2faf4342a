// The page's frame: start, views, language, theme.
import { take_key_from_address } from './api.js';
import { show_ask, start_ask, stop_ask } from './ask.js';
import { show_chat, start_chat, stop_chat } from './chat.js';
import { $, icon } from './dom.js';
import { close_history } from './history.js';
import { current_language, on_language, set_language, start_language, t } from './i18n.js';
import { connect, start_server } from './server.js';
import { start_settings } from './settings.js';
import { read_setting, write_setting } from './store.js';

const VIEWS = ['ask', 'chat'];
const THEMES = ['system', 'light', 'dark'];

function show_view(name, focus = false) {
  for (const view of VIEWS) {
    const is_shown = view === name;
    $(`view-${view}`).hidden = !is_shown;
    $(`tab-${view}`).setAttribute('aria-selected', is_shown);
    $(`tab-${view}`).tabIndex = is_shown ? 0 : -1;
    if (is_shown && focus) $(`tab-${view}`).focus();
  }
  document.body.dataset.view = name;
  close_history();
  write_setting('view', name);
}

function start_views() {
  for (const view of VIEWS) {
    $(`tab-${view}`).addEventListener('click', () => show_view(view));
    $(`tab-${view}`).addEventListener('keydown', (event) => {
      const other = VIEWS[1 - VIEWS.indexOf(view)];
      const next = { ArrowLeft: other, ArrowRight: other, Home: VIEWS[0], End: VIEWS[1] }[event.key];
      if (!next) return;
      event.preventDefault();
      show_view(next, true);
    });
  }
  $('chat-plain-go').addEventListener('click', () => {
    show_view('ask');
    $('ask-question').focus();
  });
  const view = read_setting('view', 'ask');
  show_view(VIEWS.includes(view) ? view : 'ask');
}

function show_theme_button() {
  const theme = read_setting('theme', 'system');
  const label = t(`theme_${THEMES.includes(theme) ? theme : 'system'}`);
  $('theme').setAttribute('aria-label', label);
  $('theme').title = label;
  $('theme').dataset.choice = theme;
}

function start_theme() {
  $('theme').addEventListener('click', () => {
    const theme = THEMES[(THEMES.indexOf(read_setting('theme', 'system')) + 1) % THEMES.length];
    if (!write_setting('theme', theme)) window.inkstone_theme = theme;
    dispatchEvent(new Event('inkstone-theme'));
    show_theme_button();
  });
  show_theme_button();
  on_language(show_theme_button);
}

// Esc closes what lies above, then stops what is being written.
function on_escape(event) {
  if (event.key !== 'Escape' || event.isComposing || event.defaultPrevented) return;
  if (document.querySelector('dialog[open]') || close_history()) return;
  const stopped = $('view-ask').hidden ? stop_chat() : stop_ask();
  if (stopped) event.preventDefault();
}

async function start() {
  for (const element of document.querySelectorAll('[data-icon]')) element.prepend(icon(element.dataset.icon));
  take_key_from_address();
  addEventListener('hashchange', () => {
    if (!/(?:^#|&)key=/.test(location.hash)) return;
    take_key_from_address();
    connect();
  });
  start_settings(connect);
  start_ask();
  const loaded = start_chat();
  start_views();
  start_theme();
  $('language').addEventListener('click', () => set_language(current_language() === 'zh' ? 'en' : 'zh'));
  document.addEventListener('keydown', on_escape);
  start_language();
  document.body.classList.remove('loading');
  await loaded;
  await start_server(() => {
    show_ask();
    show_chat();
  });
}

start();
