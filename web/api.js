// The server's API: keys, requests, streams, errors.
import { EventParser } from './sse.js';
import { read_setting, write_setting } from './store.js';

const SILENCE_MS = 120000; // the server sends a comment now and then, so this long means it is gone

// kind: what happened, in one word that i18n.js has as error_KIND.
export class ApiError extends Error {
  constructor(kind, { status = 0, code = '', message = '', retry_after = 0 } = {}) {
    super(message || kind);
    this.kind = kind;
    this.status = status;
    this.code = code;
    this.detail = message;
    this.retry_after = retry_after; // seconds
  }
}

// --------------------------------------------------------------------------------------- keys

// #key=... in the address is taken, and removed from what the address bar and the history show.
export function take_key_from_address() {
  const found = /(?:^#|&)key=([^&]*)/.exec(location.hash);
  if (!found) return;
  history.replaceState(null, '', location.pathname + location.search);
  let key = found[1];
  try {
    key = decodeURIComponent(key);
  } catch {
    // Not encoded, then.
  }
  if (key) set_key(key, false);
}

export const is_key_kept = () => read_setting('key', '') !== '';
export const get_key = () => read_setting('key', '', 'sessionStorage') || read_setting('key', '');

export function set_key(key, keep) {
  forget_key();
  write_setting('key', key, keep ? 'localStorage' : 'sessionStorage');
}

export function forget_key() {
  write_setting('key', null, 'localStorage');
  write_setting('key', null, 'sessionStorage');
}

// ----------------------------------------------------------------------------------- requests

function kind_of(status, code) {
  if (code === 'context_length_exceeded') return 'context';
  if (code === 'out_of_memory') return 'memory';
  if (code === 'model_not_found') return 'model';
  switch (status) {
  case 401:
    return 'key';
  case 403:
    return 'forbidden';
  case 413:
    return 'large';
  case 429:
    return 'busy';
  case 503:
    return 'draining';
  default:
    return status >= 500 ? 'server' : 'request';
  }
}

// From a body {"error": {message, code}}; the status in a stream follows from the type.
function error_of(body, status, retry_after = 0) {
  const error = body && typeof body.error === 'object' && body.error ? body.error : {};
  const of_type = { server_error: 500, rate_limit_error: 429, authentication_error: 401, permission_error: 403 };
  const code = typeof error.code === 'string' ? error.code : '';
  const known = status || of_type[error.type] || 400;
  const message = typeof error.message === 'string' ? error.message : '';
  return new ApiError(kind_of(known, code), { status: known, code, message, retry_after });
}

// Retry-After: seconds, or a date.
export function parse_retry_after(text) {
  if (!text) return 0;
  const seconds = /^\s*\d+\s*$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.min(3600, Math.max(0, Math.ceil(seconds))) : 0;
}

async function send(path, options) {
  const headers = { ...options.headers };
  // Header values are bytes; what no header can hold is no key.
  const key = get_key();
  if (key && /^[\x21-\x7e]+$/.test(key)) headers.Authorization = `Bearer ${key}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers, cache: 'no-store', credentials: 'omit', redirect: 'error' });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError('offline', { message: error.message });
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => null);
  throw error_of(body, response.status, parse_retry_after(response.headers.get('Retry-After')));
}

async function get_json(path) {
  const response = await send(path, {});
  try {
    return await response.json();
  } catch {
    throw new ApiError('answer', { status: response.status });
  }
}

export async function fetch_props() {
  const props = await get_json('/props');
  return { model: '', chat_template: true, n_ctx: 0, defaults: {}, version: '', authentication: false, ...props };
}

export async function fetch_models() {
  const list = await get_json('/v1/models');
  return Array.isArray(list.data) ? list.data.map((model) => String(model.id)) : [];
}

// Servers behind a balancer that hashes this find the prefix of a conversation in their cache.
async function prefix_key(messages) {
  if (!globalThis.crypto || !crypto.subtle) return null;
  const first = (role) => messages.find((message) => message.role === role)?.content ?? '';
  const bytes = new TextEncoder().encode(`${first('system')}\n${first('user')}`);
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(hash.subarray(0, 8), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

// ------------------------------------------------------------------------------------ streams

// Reads what comes after the last event, so that the connection ends in order and can be used again.
async function drain(reader) {
  while (!(await reader.read()).done);
}

// result.is_complete: nothing that matters follows.
async function* pieces_of(response, abort, result) {
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  try {
    for (;;) {
      let timer;
      const silence = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new ApiError('timeout')), SILENCE_MS);
      });
      const { done, value } = await Promise.race([reader.read(), silence]).finally(() => clearTimeout(timer));
      if (done) return;
      yield decoder.decode(value, { stream: true });
    }
  } catch (error) {
    if (error instanceof ApiError || abort.aborted) throw error;
    throw new ApiError('cut', { message: error.message });
  } finally {
    (result.is_complete ? drain(reader) : reader.cancel()).catch(() => {});
  }
}

function parse_event(data) {
  let event;
  try {
    event = JSON.parse(data);
  } catch {
    throw new ApiError('answer', { message: data.slice(0, 200) });
  }
  if (event && event.error) throw error_of(event, 0);
  return event;
}

// Ask for a completion. request: {messages} or {prompt}, and parameters. Calls on_text(piece) as the
// answer comes; resolves to {finish, usage}. Throws ApiError, or AbortError if `signal` says so.
export async function complete(request, { signal, on_text }) {
  const path = request.messages ? '/v1/chat/completions' : '/v1/completions';
  const headers = { 'Content-Type': 'application/json' };
  const key = request.messages ? await prefix_key(request.messages) : null;
  if (key) headers['X-Prefix-Key'] = key;
  const body = JSON.stringify({ ...request, stream: true, stream_options: { include_usage: true } });
  const response = await send(path, { method: 'POST', headers, body, signal });
  const parser = new EventParser();
  const result = { finish: '', usage: null, is_complete: false };
  for await (const piece of pieces_of(response, signal, result)) {
    for (const data of parser.push(piece)) {
      if (data === '[DONE]') {
        result.is_complete = true;
        return result;
      }
      const event = parse_event(data);
      const choice = event.choices && event.choices[0];
      const text = choice && (choice.delta ? choice.delta.content : choice.text);
      if (typeof text === 'string' && text !== '') on_text(text);
      if (choice && choice.finish_reason) result.finish = choice.finish_reason;
      if (event.usage) result.usage = event.usage;
    }
  }
  // The stream ended without its last line.
  throw new ApiError('cut');
}
