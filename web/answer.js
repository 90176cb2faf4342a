// One answer in the making: Run asks for it, and the functions below show what there is to say
// about it.
import { ApiError, complete, get_key } from './api.js';
import { announce, button, el, icon } from './dom.js';
import { format_number, t } from './i18n.js';
import { ask_key } from './settings.js';

const SPEAK_MS = 5000; // a screen reader hears whole sentences, no oftener than this
const MAX_SPOKEN = 4000; // characters at once

// state: 'waiting', 'writing', 'done'. When done: note ('', 'stopped' or 'length'), or error.
export class Run {
  constructor(request, on_change) {
    this.request = request;
    this.on_change = on_change;
    this.abort = new AbortController();
    this.state = 'waiting';
    this.text = '';
    this.pieces = 0;
    this.note = '';
    this.error = null;
    this.usage = null;
    this.spoken = 0;
    this.spoke_at = 0;
  }

  stop() {
    this.abort.abort();
  }

  async start() {
    this.begun = performance.now();
    announce(t('started'));
    this.spoke_at = this.begun;
    for (let again = true; again;) again = await this.attempt();
    this.state = 'done';
    this.speak(true);
    announce(this.error ? describe_error(this.error) : t(this.note === 'stopped' ? 'stopped' : 'finished'));
    this.on_change(this);
  }

  // True: try again, with another key.
  async attempt() {
    try {
      const { finish, usage } = await complete(this.request, {
        signal: this.abort.signal, on_text: (piece) => this.add(piece),
      });
      this.usage = usage;
      if (finish === 'length') this.note = 'length';
    } catch (error) {
      if (this.abort.signal.aborted) {
        this.note = 'stopped';
      } else if (error instanceof ApiError) {
        this.error = error;
        if (error.kind === 'key' && this.text === '' && await ask_key(get_key() !== '')) {
          this.error = null;
          return !this.abort.signal.aborted;
        }
      } else {
        this.error = new ApiError('answer', { message: String(error) });
        console.error(error);
      }
    }
    return false;
  }

  add(piece) {
    const now = performance.now();
    if (this.pieces === 0) this.first = now;
    this.last = now;
    this.pieces++;
    this.text += piece;
    this.state = 'writing';
    this.speak(false);
    this.on_change(this);
  }

  speak(all) {
    const now = performance.now();
    if (!all && now - this.spoke_at < SPEAK_MS) return;
    const rest = this.text.slice(this.spoken, this.spoken + MAX_SPOKEN);
    const end = all ? rest.length : Math.max(...['. ', '! ', '? ', '。', '！', '？', '\n']
      .map((mark) => rest.lastIndexOf(mark) + 1));
    if (end === 0) return;
    announce(rest.slice(0, end).replace(/[*_`#>|~]+/g, ' ').trim());
    this.spoken += end;
    this.spoke_at = now;
  }

  // Tokens as the server counts them; until it has, the pieces, which are tokens or nearly so.
  stats() {
    const stats = { tokens: this.usage?.completion_tokens ?? this.pieces };
    if (this.pieces > 0) stats.first = (this.first - this.begun) / 1000;
    const seconds = this.pieces > 1 ? (this.last - this.first) / 1000 : 0;
    if (seconds > 0) stats.rate = (stats.tokens - 1) / seconds;
    if (this.usage) {
      stats.prompt = this.usage.prompt_tokens;
      const cached = this.usage.prompt_tokens_details?.cached_tokens;
      if (cached) stats.cached = cached;
    }
    return stats;
  }
}

export function stats_text(stats) {
  if (!stats || !stats.tokens) return '';
  const parts = [t('stat_tokens', { n: format_number(stats.tokens) })];
  if (stats.rate) parts.push(t('stat_rate', { n: format_number(stats.rate, 1) }));
  if (stats.first !== undefined) parts.push(t('stat_first', { n: format_number(stats.first, stats.first < 1 ? 2 : 1) }));
  if (stats.prompt !== undefined) parts.push(t('stat_prompt', { n: format_number(stats.prompt) }));
  if (stats.cached) parts.push(t('stat_cached', { n: format_number(stats.cached) }));
  return parts.join(' · ');
}

export function describe_error(error) {
  return t(`error_${error instanceof ApiError ? error.kind : 'answer'}`);
}

// What went wrong, with the way on. Said to screen readers by Run.
export function error_element(error, on_retry) {
  const box = el('div', { class: 'error' }, icon('warning'), el('p', { text: describe_error(error) }));
  if (error.retry_after > 0) box.append(countdown(error));
  const row = el('div', { class: 'row' });
  if (error.kind === 'key') {
    row.append(button({ text: t('key_set'), class: 'small', onclick: async () => {
      if (await ask_key()) on_retry();
    } }));
  }
  row.append(button({ icon: 'again', text: t('retry'), class: 'small retry', onclick: on_retry }));
  box.append(row);
  if (error.detail) {
    const status = [error.status || '', error.code].filter(Boolean).join(' ');
    box.append(el('details', {}, el('summary', { text: t('details') }),
      el('p', { class: 'detail', lang: 'en', text: status ? `${status}: ${error.detail}` : error.detail })));
  }
  return box;
}

function countdown(error) {
  const element = el('p', { class: 'countdown' });
  error.free_at ??= performance.now() + error.retry_after * 1000;
  const show = () => {
    const left = Math.ceil((error.free_at - performance.now()) / 1000);
    element.textContent = left > 0 ? t('error_wait', { n: left }) : t('error_wait_over');
    if (left <= 0) {
      clearInterval(timer);
      if (element.isConnected) announce(t('error_wait_over'));
    }
  };
  const timer = setInterval(() => (element.isConnected ? show() : clearInterval(timer)), 500);
  show();
  return element;
}
