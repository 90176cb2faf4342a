// The view with one question and one answer.
import { error_element, Run, stats_text } from './answer.js';
import { $, button, copy_with_notice, grow, is_send_key } from './dom.js';
import { on_language, t } from './i18n.js';
import { MarkdownView } from './render.js';
import { is_chat_model, make_request } from './server.js';

let run = null;
let view = null;

const is_running = () => run !== null && run.state !== 'done';

function show() {
  const text = run ? run.text : '';
  const is_done = run !== null && run.state === 'done';
  view.update(text, { final: !is_running(), plain: !is_chat_model() });
  $('ask-empty').hidden = run !== null;
  $('ask-wait').hidden = run === null || run.state !== 'waiting';
  $('ask-output').setAttribute('aria-busy', is_running());
  $('ask-submit').hidden = is_running();
  $('ask-stop').hidden = !is_running();
  $('ask-copy').disabled = text === '';
  $('ask-stats').textContent = run ? stats_text(run.stats()) : '';
  $('ask-note').textContent = is_done && run.note ? t(`note_${run.note}`) : '';
  $('ask-error').replaceChildren(...(is_done && run.error ? [error_element(run.error, () => submit())] : []));
}

function submit() {
  const question = $('ask-question').value;
  if (question.trim() === '' || is_running()) {
    $('ask-question').focus();
    return;
  }
  const content = is_chat_model() ? [{ role: 'user', content: question.trim() }] : question;
  const from_button = document.activeElement !== $('ask-question');
  run = new Run(make_request(content), (changed) => {
    if (changed === run) show();
  });
  run.start();
  show();
  if (from_button) $('ask-stop').focus({ preventScroll: true });
  $('ask-output').scrollIntoView({ block: 'nearest' });
}

function clear() {
  if (run) run.stop();
  run = null;
  $('ask-question').value = '';
  grow($('ask-question'));
  show();
  $('ask-question').focus();
}

function show_examples() {
  const kind = is_chat_model() ? 'example' : 'plain_example';
  const examples = [1, 2, 3, 4].map((i) => t(`${kind}_${i}`)).filter((text) => !/^plain_example/.test(text));
  if ($('ask-examples').textContent !== examples.join('')) {
    $('ask-examples').replaceChildren(...examples.map((text) => button({ text, class: 'chip', onclick: () => {
      $('ask-question').value = text;
      grow($('ask-question'));
      $('ask-question').focus();
    } })));
  }
  $('ask-question').placeholder = t(is_chat_model() ? 'question_hint' : 'question_plain_hint');
}

export function show_ask() {
  show_examples();
  show();
}

// True if there was something to stop.
export function stop_ask() {
  const was_running = is_running();
  if (was_running) {
    run.stop();
    $('ask-question').focus();
  }
  return was_running;
}

export function start_ask() {
  view = new MarkdownView($('ask-text'));
  $('ask-submit').addEventListener('click', submit);
  $('ask-stop').addEventListener('click', stop_ask);
  $('ask-clear').addEventListener('click', clear);
  $('ask-copy').addEventListener('click', () => copy_with_notice(run.text));
  $('ask-question').addEventListener('input', () => grow($('ask-question')));
  $('ask-question').addEventListener('keydown', (event) => {
    if (!is_send_key(event)) return;
    event.preventDefault();
    submit();
  });
  on_language(() => {
    view.clear();
    show_ask();
  });
}
