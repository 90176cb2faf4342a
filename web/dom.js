// Making elements, small dialogs, notices.
import { t } from './i18n.js';

export const $ = (id) => document.getElementById(id);

// el('a', {href, text, onclick}, child, 'text'): attributes, except text and what begins with "on".
export function el(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === 'text') element.textContent = value;
    else if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children);
  return element;
}

export function icon(name) {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(space, 'use');
  use.setAttribute('href', `#icon-${name}`);
  svg.append(use);
  return svg;
}

// A button with an icon, a text, or both. Without a text the label is what it is called.
export function button({ icon: name, text, label, class: names = '', onclick, ...rest }) {
  const props = { type: 'button', class: names || undefined, onclick, ...rest };
  if (label) props['aria-label'] = label;
  if (label && !text) props.title = label;
  const element = el('button', props);
  if (name) element.append(icon(name));
  if (text) element.append(el('span', { text }));
  return element;
}

// ----------------------------------------------------------------------------------- notices

// Said by a screen reader when it is free to.
export function announce(text) {
  $('live').append(el('p', { text }));
  while ($('live').childNodes.length > 8) $('live').firstChild.remove();
}

let toast_timer = 0;
export function toast(text) {
  const element = $('toast');
  element.textContent = text;
  element.classList.add('shown');
  // Above an open dialog, where the browser can.
  element.popover = 'manual';
  element.hidePopover?.();
  element.showPopover?.();
  clearTimeout(toast_timer);
  toast_timer = setTimeout(() => {
    element.classList.remove('shown');
    element.hidePopover?.();
    element.textContent = '';
  }, 4000);
}

async function copy_text(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // There is no clipboard on pages that came over plain HTTP from another machine.
  }
  const area = el('textarea', { class: 'offscreen', 'aria-hidden': 'true' });
  const focus = document.activeElement;
  area.value = text;
  (document.querySelector('dialog[open]') || document.body).append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  if (focus) focus.focus();
  return done;
}

export async function copy_with_notice(text) {
  toast(await copy_text(text) ? t('copied') : t('copy_failed'));
}

export function save_file(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = el('a', { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}

// ----------------------------------------------------------------------------------- dialogs

// Show a dialog of these fields; resolves to true if it was confirmed.
export function ask_dialog({ title, text, ok, danger = false, fields = [] }) {
  return new Promise((resolve) => {
    const heading = el('h2', { id: 'box-title', text: title });
    const form = el('form', { novalidate: true }, heading);
    if (text) form.append(el('p', { text }));
    form.append(...fields);
    const dialog = el('dialog', { class: 'box', 'aria-labelledby': 'box-title' }, form);
    form.append(el('div', { class: 'row end' },
      button({ text: t('cancel'), onclick: () => dialog.close('') }),
      el('button', { type: 'submit', class: danger ? 'danger' : 'primary', text: ok })));
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      dialog.close('ok');
    });
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === 'ok');
    });
    document.body.append(dialog);
    dialog.showModal();
    const first = dialog.querySelector('input, textarea');
    if (first) first.focus();
    if (first && first.type === 'text') first.select();
  });
}

export async function ask_text(title, label, value, ok) {
  const input = el('input', { type: 'text', maxlength: '200' });
  input.value = value;
  const confirmed = await ask_dialog({
    title, ok, fields: [el('label', { class: 'field' }, el('span', { text: label }), input)],
  });
  return confirmed ? input.value.trim() : null;
}

// ---------------------------------------------------------------------------------- keyboard

// Enter sends, Shift+Enter makes a new line, and Enter that ends the writing of a Chinese word does
// neither (229 is how Safari says so after the word has ended).
export function is_send_key(event) {
  return event.key === 'Enter' && !event.shiftKey && !event.ctrlKey && !event.altKey && !event.metaKey &&
    !event.isComposing && event.keyCode !== 229;
}

export function grow(area) {
  area.style.height = 'auto';
  area.style.height = `${area.scrollHeight + area.offsetHeight - area.clientHeight}px`;
}
