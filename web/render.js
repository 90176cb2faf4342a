// Elements from the tree of markdown.js. Nothing is ever made from a string of HTML.
import { parse_blocks, parse_inlines } from './markdown.js';
import { button, copy_with_notice, el } from './dom.js';
import { t } from './i18n.js';

const CHUNK = 8192; // characters of code in one element: what grows is laid out anew, the rest is not

function inline_element(node, in_link) {
  switch (node.type) {
  case 'break':
    return el('br');
  case 'code':
    return el('code', { text: node.text });
  case 'text':
    return inlines(node.children, in_link);
  case 'link':
    if (in_link) return inlines(node.children, true);
    return el('a', {
      href: node.href,
      title: node.href,
      target: '_blank',
      rel: 'noopener noreferrer',
      class: node.image ? 'image-link' : undefined,
    }, node.image ? `${t('image')} ` : '', inlines(node.children, true));
  default:
    return el(node.type, {}, inlines(node.children, in_link));
  }
}

function inlines(nodes, in_link = false) {
  const fragment = document.createDocumentFragment();
  for (const node of nodes) {
    fragment.append(typeof node === 'string' ? node : inline_element(node, in_link));
  }
  return fragment;
}

const inline_text = (text) => inlines(parse_inlines(text));

class CodeBlock {
  constructor(block) {
    this.language = block.language;
    this.text = '';
    this.code = el('code');
    const name = block.language || t('code');
    this.element = el('div', { class: 'code' },
      el('div', { class: 'code-head' },
        el('span', { class: 'code-language', text: name }),
        button({ icon: 'copy', text: t('copy'), label: t('copy_code'), class: 'small',
          onclick: () => copy_with_notice(this.text) })),
      el('pre', { tabindex: '0', role: 'region', 'aria-label': t('code_in', { name }) }, this.code));
    this.set(block.text);
  }

  // True if the text goes on from what is shown; then only the new part is added.
  set(text) {
    if (!text.startsWith(this.text)) return false;
    let at = this.text.length;
    this.text = text;
    while (at < text.length) {
      let last = this.code.lastChild;
      if (!last || last.full) {
        last = el('span');
        last.append('');
        this.code.append(last);
      }
      const node = last.firstChild;
      const room = Math.max(0, CHUNK - node.length);
      const line_end = text.indexOf('\n', at + room);
      const end = line_end < 0 ? text.length : line_end + 1;
      node.appendData(text.slice(at, end));
      last.full = line_end >= 0;
      at = end;
    }
    return true;
  }
}

function list_element(block) {
  const list = el(block.ordered ? 'ol' : 'ul');
  if (block.ordered && block.from !== 1) list.setAttribute('start', block.from);
  for (const blocks of block.items) {
    const item = el('li');
    for (const inner of blocks) {
      if (inner.type === 'paragraph' && !block.loose) item.append(inline_text(inner.text));
      else item.append(block_element(inner));
    }
    list.append(item);
  }
  return list;
}

function table_element(block) {
  const row = (cells, tag) => el('tr', {}, ...cells.map((cell, i) => {
    const props = block.align[i] ? { class: `align-${block.align[i]}` } : {};
    if (tag === 'th') props.scope = 'col';
    return el(tag, props, inline_text(cell));
  }));
  return el('div', { class: 'table', tabindex: '0', role: 'region', 'aria-label': t('table') },
    el('table', {}, el('thead', {}, row(block.head, 'th')),
      el('tbody', {}, ...block.rows.map((cells) => row(cells, 'td')))));
}

function block_element(block) {
  switch (block.type) {
  case 'heading':
    // The page has h1 and h2, a message's name is h3.
    return el(`h${Math.min(6, block.level + 3)}`, { class: `level-${block.level}` }, inline_text(block.text));
  case 'code':
    return new CodeBlock(block).element;
  case 'quote':
    return el('blockquote', {}, ...block.blocks.map(block_element));
  case 'list':
    return list_element(block);
  case 'table':
    return table_element(block);
  case 'rule':
    return el('hr');
  default:
    return el('p', {}, inline_text(block.text));
  }
}

// Shows a text that grows. Blocks that are complete stay as they are; what may still change is made
// anew, at most once a frame, and less often if that is slow.
export class MarkdownView {
  constructor(element) {
    this.element = element;
    this.clear();
  }

  clear() {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.timer);
    this.frame = this.timer = 0;
    this.text = '';
    this.base = 0; // offset of the first block that may still change
    this.fixed = 0; // elements that stay
    this.tail_code = null;
    this.element.replaceChildren();
  }

  // The whole text so far. `plain`: it is shown as it is.
  update(text, { final = false, plain = false, onshow } = {}) {
    this.onshow = onshow;
    if (!text.startsWith(this.text.slice(0, this.base))) this.clear();
    this.text = text;
    this.plain = plain;
    this.element.classList.toggle('plain', plain);
    if (final) {
      cancelAnimationFrame(this.frame);
      clearTimeout(this.timer);
      this.frame = this.timer = 0;
      this.show();
    } else if (!this.frame && !this.timer) {
      this.frame = requestAnimationFrame(() => this.show_timed());
    }
  }

  show_timed() {
    this.frame = 0;
    const begin = performance.now();
    this.show();
    this.element.getBoundingClientRect(); // layout is part of the price
    const cost = performance.now() - begin;
    const wait = cost > 12 ? Math.min(5000, cost * 4) : 0;
    if (wait > 0) {
      this.timer = setTimeout(() => {
        this.timer = 0;
        if (this.text !== this.shown) this.frame = requestAnimationFrame(() => this.show_timed());
      }, wait);
    }
  }

  show() {
    this.shown = this.text;
    if (this.plain) this.element.textContent = this.text;
    else this.show_blocks();
    if (this.onshow) this.onshow();
  }

  show_blocks() {
    const rest = this.text.slice(this.base);
    const blocks = parse_blocks(rest);
    if (blocks.length === 1 && blocks[0].type === 'code' && this.tail_code &&
      blocks[0].language === this.tail_code.language && this.tail_code.set(blocks[0].text)) return;
    while (this.element.childNodes.length > this.fixed) this.element.lastChild.remove();
    this.tail_code = null;
    // A block is complete once the next one has begun with a complete line.
    let keep = blocks.length - 1;
    if (keep > 0 && rest.indexOf('\n', blocks[keep].start) < 0) keep--;
    blocks.forEach((block, i) => {
      if (i === blocks.length - 1 && block.type === 'code') {
        this.tail_code = new CodeBlock(block);
        this.element.append(this.tail_code.element);
      } else {
        this.element.append(block_element(block));
      }
    });
    if (keep > 0) {
      this.fixed += keep;
      this.base += blocks[keep].start;
      if (keep < blocks.length - 1) this.tail_code = null;
    }
  }
}
