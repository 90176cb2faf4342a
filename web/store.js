// What stays in the browser: settings in localStorage, conversations in IndexedDB.

const PREFIX = 'inkstone.';
const FORMAT = 1;
const MAX_IMPORT = 32 << 20;

// Storage may be forbidden; then settings last as long as the page.
const forgotten = new Map();

export function read_setting(name, otherwise, storage = 'localStorage') {
  try {
    const text = window[storage].getItem(PREFIX + name);
    return text === null ? forgotten.get(name) ?? otherwise : JSON.parse(text);
  } catch {
    return forgotten.get(name) ?? otherwise;
  }
}

// null removes it. True if it is stored.
export function write_setting(name, value, storage = 'localStorage') {
  if (value === null) forgotten.delete(name);
  try {
    if (value === null) window[storage].removeItem(PREFIX + name);
    else window[storage].setItem(PREFIX + name, JSON.stringify(value));
    return true;
  } catch {
    if (value !== null) forgotten.set(name, value);
    return false;
  }
}

// ------------------------------------------------------------------------------ conversations
// {id, title, created, updated, system, model, messages: [{role, content, note?, model?, stats?}]}

let database = null;
let channel = null;

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

// Throws if the browser stores nothing. on_change: another tab has changed something.
export async function open_store(on_change) {
  const request = indexedDB.open('inkstone', FORMAT);
  request.onupgradeneeded = () => request.result.createObjectStore('conversations', { keyPath: 'id' });
  database = await done(request);
  database.onversionchange = () => database.close();
  if ('BroadcastChannel' in window) {
    channel = new BroadcastChannel('inkstone');
    channel.onmessage = (event) => on_change(String(event.data));
  }
}

const conversations = (mode) => database.transaction('conversations', mode).objectStore('conversations');

export async function load_conversations() {
  if (!database) return [];
  return (await done(conversations('readonly').getAll())).map(check_conversation).filter(Boolean);
}

export async function load_conversation(id) {
  const found = database ? await done(conversations('readonly').get(id)) : null;
  return found ? check_conversation(found) : null;
}

// Rejects if the storage is full.
export async function save_conversation(conversation) {
  if (!database) return;
  const transaction = database.transaction('conversations', 'readwrite');
  transaction.objectStore('conversations').put(JSON.parse(JSON.stringify(conversation)));
  await new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onabort = () => reject(transaction.error);
  });
  if (channel) channel.postMessage(conversation.id);
}

export async function delete_conversation(id) {
  if (!database) return;
  await done(conversations('readwrite').delete(id));
  if (channel) channel.postMessage(id);
}

export function new_conversation() {
  const now = Date.now();
  return { id: new_id(), title: '', created: now, updated: now, system: '', model: '', messages: [] };
}

function new_id() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

// ---------------------------------------------------------------------------- files in and out

const text_of = (value) => (typeof value === 'string' ? value.replace(/\0/g, '') : '');
const time_of = (value) => (Number.isFinite(value) && value > 0 ? value : Date.now());

function check_message(value) {
  if (!value || (value.role !== 'user' && value.role !== 'assistant') || typeof value.content !== 'string') return null;
  const message = { role: value.role, content: text_of(value.content) };
  if (['stopped', 'length', 'interrupted'].includes(value.note)) message.note = value.note;
  if (value.model) message.model = text_of(value.model);
  if (value.stats && typeof value.stats === 'object') {
    message.stats = {};
    for (const name of ['tokens', 'rate', 'prompt', 'cached', 'first']) {
      if (Number.isFinite(value.stats[name])) message.stats[name] = value.stats[name];
    }
  }
  return message;
}

// A conversation from a file or the database, with nothing in it but what belongs there; or null.
export function check_conversation(value) {
  if (!value || typeof value !== 'object' || !Array.isArray(value.messages)) return null;
  return {
    id: /^[0-9a-f]{24}$/.test(value.id) ? value.id : new_id(),
    title: text_of(value.title).slice(0, 200),
    created: time_of(value.created),
    updated: time_of(value.updated),
    system: text_of(value.system),
    model: text_of(value.model),
    messages: value.messages.map(check_message).filter(Boolean),
  };
}

export function to_json(list) {
  return `${JSON.stringify({ inkstone: FORMAT, conversations: list }, null, 2)}\n`;
}

// Throws 'big' or 'bad'.
export function from_json(text) {
  if (text.length > MAX_IMPORT) throw new Error('big');
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error('bad');
  }
  if (!value || !Number.isInteger(value.inkstone) || !Array.isArray(value.conversations)) throw new Error('bad');
  return value.conversations.map(check_conversation).filter(Boolean);
}

export function to_markdown(conversation, names) {
  const parts = [`# ${conversation.title || names.untitled}`];
  if (conversation.system) parts.push(`## ${names.system}`, conversation.system);
  for (const message of conversation.messages) {
    const name = message.role === 'user' ? names.user : message.model || conversation.model || names.assistant;
    parts.push(`## ${name}`, message.content);
  }
  return `${parts.join('\n\n')}\n`;
}

// A title as a file's name on any system.
export function file_name(title, ending) {
  const name = title.replace(/[\u0000-\u001f\\/:*?"<>|.\s]+/g, ' ').trim().slice(0, 60).replace(/ /g, '-');
  return `${name || 'inkstone'}.${ending}`;
}
