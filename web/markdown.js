// Markdown to a tree of plain objects; render.js makes elements of it. Answers are written by a model
// and may be anything: HTML stays text, every step is linear in the length, and nesting is bounded.
//
// Blocks: {type: 'paragraph' | 'heading' | 'code' | 'quote' | 'list' | 'table' | 'rule', start, ...}
// Inlines: strings and {type: 'strong' | 'em' | 'del' | 'link' | 'code' | 'break', ...}

const MAX_BLOCK_DEPTH = 12;
const MAX_INLINE_DEPTH = 16;

// ------------------------------------------------------------------------------------ blocks

const FENCE = /^[ \t]*(`{3,}|~{3,})[ \t]*([^`]*)$/;
const BULLET = /^([ \t]*)([-*+])(?:[ \t]|$)/;
const ORDERED = /^([ \t]*)(\d{1,9})[.)](?:[ \t]|$)/;
const HEADING = /^ {0,3}(#{1,6})(?=[ \t]|$)/;
const QUOTE = /^[ \t]{0,3}>/;

const is_blank = (line) => !/\S/.test(line);

function indent_of(line) {
  let columns = 0;
  for (let i = 0; i < line.length; i++) {
    if (line[i] === ' ') columns++;
    else if (line[i] === '\t') columns += 4 - (columns % 4);
    else break;
  }
  return columns;
}

function strip_indent(line, columns) {
  let at = 0;
  let seen = 0;
  while (seen < columns && (line[at] === ' ' || line[at] === '\t')) {
    seen += line[at] === ' ' ? 1 : 4 - (seen % 4);
    at++;
  }
  return ' '.repeat(Math.max(0, seen - columns)) + line.slice(at);
}

function is_rule(line) {
  return line.length < 200 && /^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/.test(line);
}

function marker_of(line) {
  if (is_rule(line)) return null;
  let found = BULLET.exec(line);
  if (found) {
    return { ordered: false, indent: indent_of(found[1]), start: 1, width: 2, cut: found[1].length + 1 };
  }
  found = ORDERED.exec(line);
  if (!found) return null;
  return {
    ordered: true,
    indent: indent_of(found[1]),
    start: Number(found[2]),
    width: found[2].length + 2,
    cut: found[1].length + found[2].length + 1,
  };
}

// May this line end a paragraph that stands above it?
function interrupts(line, depth) {
  if (FENCE.test(line) || HEADING.test(line) || is_rule(line)) return true;
  if (depth > MAX_BLOCK_DEPTH) return false;
  if (QUOTE.test(line)) return true;
  const marker = marker_of(line);
  return marker !== null && !is_blank(line.slice(marker.cut)) && (!marker.ordered || marker.start === 1);
}

function closes_fence(line, fence) {
  const text = line.trim();
  return text.length >= fence.length && text[0] === fence[0] && /^(`+|~+)$/.test(text);
}

function split_row(line) {
  const cells = [];
  let cell = '';
  let in_code = false;
  const text = line.trim();
  for (let i = text[0] === '|' ? 1 : 0; i < text.length; i++) {
    if (text[i] === '\\' && text[i + 1] === '|') {
      cell += '|';
      i++;
    } else if (text[i] === '|' && !in_code) {
      cells.push(cell.trim());
      cell = '';
    } else {
      if (text[i] === '`') in_code = !in_code;
      cell += text[i];
    }
  }
  if (!is_blank(cell)) cells.push(cell.trim());
  return cells;
}

function alignments_of(line) {
  if (line === undefined || !line.includes('-') || !/^[ \t|:-]+$/.test(line)) return null;
  const cells = split_row(line);
  if (cells.length > 100 || !cells.every((cell) => /^:?-+:?$/.test(cell))) return null;
  return cells.map((cell) => {
    if (cell.endsWith(':')) return cell.startsWith(':') ? 'center' : 'right';
    return cell.startsWith(':') ? 'left' : '';
  });
}

function starts_table(lines, i) {
  if (!lines[i].includes('|')) return false;
  const align = alignments_of(lines[i + 1]);
  return align !== null && split_row(lines[i]).length === align.length;
}

class Blocks {
  constructor(lines, depth) {
    this.lines = depth === MAX_BLOCK_DEPTH ? lines.map((line) => line.trimStart()) : lines;
    this.depth = depth;
    this.i = 0;
  }

  parse() {
    const blocks = [];
    while (this.i < this.lines.length) {
      if (is_blank(this.lines[this.i])) {
        this.i++;
        continue;
      }
      const start = this.i;
      const block = this.next();
      block.start = start;
      blocks.push(block);
    }
    return blocks;
  }

  next() {
    const line = this.lines[this.i];
    const fence = FENCE.exec(line);
    if (fence) return this.code(fence, indent_of(line));
    const heading = HEADING.exec(line);
    if (heading) return this.heading(line, heading);
    if (is_rule(line)) {
      this.i++;
      return { type: 'rule' };
    }
    if (this.depth <= MAX_BLOCK_DEPTH) {
      if (QUOTE.test(line)) return this.quote();
      const marker = marker_of(line);
      if (marker) return this.list(marker);
    }
    if (starts_table(this.lines, this.i)) return this.table();
    return this.paragraph();
  }

  code(fence, indent) {
    const text = [];
    let closed = false;
    for (this.i++; this.i < this.lines.length && !closed; this.i++) {
      closed = closes_fence(this.lines[this.i], fence[1]);
      if (!closed) text.push(strip_indent(this.lines[this.i], indent));
    }
    const language = (/^[\p{L}\p{N}_+#.-]{1,40}/u.exec(fence[2]) || [''])[0];
    return { type: 'code', language, text: text.join('\n'), closed };
  }

  heading(line, found) {
    let text = line.slice(found[0].length).trim();
    let end = text.length;
    while (end > 0 && text[end - 1] === '#') end--;
    if (end === 0 || text[end - 1] === ' ') text = text.slice(0, end).trim();
    this.i++;
    return { type: 'heading', level: found[1].length, text };
  }

  // Lines that begin with ">", and text that goes on below such a line without one.
  quote() {
    const inner = [];
    for (; this.i < this.lines.length; this.i++) {
      const line = this.lines[this.i];
      if (QUOTE.test(line)) {
        const rest = line.slice(line.indexOf('>') + 1);
        inner.push(rest.startsWith(' ') ? rest.slice(1) : rest);
      } else if (is_blank(line) || is_blank(inner.at(-1)) || interrupts(line, this.depth)) {
        break;
      } else {
        inner.push(line);
      }
    }
    return { type: 'quote', blocks: new Blocks(inner, this.depth + 1).parse() };
  }

  list(first) {
    const items = [];
    let loose = false;
    for (let marker = first; marker;) {
      const item = this.item(marker);
      items.push(new Blocks(item.lines, this.depth + 1).parse());
      marker = this.i < this.lines.length ? marker_of(this.lines[this.i]) : null;
      if (marker && (marker.ordered !== first.ordered || marker.indent >= first.indent + 2)) marker = null;
      loose = loose || item.has_gap || (marker !== null && item.ends_blank);
    }
    return { type: 'list', ordered: first.ordered, from: first.start, loose, items };
  }

  // What is indented by two columns more than the marker belongs to it: models are not exact.
  item(marker) {
    const lines = [this.lines[this.i].slice(marker.cut).replace(/^[ \t]{1,4}/, '')];
    const width = marker.indent + marker.width;
    let fence = (FENCE.exec(lines[0]) || [])[1];
    let gap = 0;
    let has_gap = false;
    for (this.i++; this.i < this.lines.length; this.i++) {
      const line = this.lines[this.i];
      if (is_blank(line)) {
        gap++;
        continue;
      }
      const inside = indent_of(line) >= marker.indent + 2;
      if (!inside && !fence && (gap > 0 || marker_of(line) || interrupts(line, this.depth))) break;
      if (gap > 0 && !fence && !marker_of(line)) has_gap = true;
      for (; gap > 0; gap--) lines.push('');
      const text = strip_indent(line, width);
      if (fence) {
        if (closes_fence(text, fence)) fence = undefined;
      } else {
        fence = (FENCE.exec(text) || [])[1];
      }
      lines.push(text);
    }
    return { lines, has_gap, ends_blank: gap > 0 };
  }

  table() {
    const head = split_row(this.lines[this.i]);
    const align = alignments_of(this.lines[this.i + 1]);
    const rows = [];
    for (this.i += 2; this.i < this.lines.length; this.i++) {
      const line = this.lines[this.i];
      if (is_blank(line) || !line.includes('|')) break;
      rows.push(split_row(line).slice(0, head.length));
    }
    return { type: 'table', head, align, rows };
  }

  paragraph() {
    const text = [this.lines[this.i]];
    for (this.i++; this.i < this.lines.length; this.i++) {
      const line = this.lines[this.i];
      if (is_blank(line) || interrupts(line, this.depth) || starts_table(this.lines, this.i)) break;
      text.push(line);
    }
    return { type: 'paragraph', text: text.map((line) => line.trimStart()).join('\n').trimEnd() };
  }
}

// The blocks of a text. `start` of each is the offset in the text of the line where it begins.
export function parse_blocks(text) {
  const lines = text.split('\n');
  const blocks = new Blocks(lines.map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line)), 0).parse();
  let line = 0;
  let offset = 0;
  for (const block of blocks) {
    for (; line < block.start; line++) offset += lines[line].length + 1;
    block.start = offset;
  }
  return blocks;
}

// ----------------------------------------------------------------------------------- inlines

const SPECIAL = /[\\`*_~[\]!<&\n]|https?:\/\//gi;
const BARE_LINK = /https?:\/\/[^\s<>"'`|，。；：！？、（）【】《》「」『』“”‘’]{1,2048}/iy;
const ANGLE_LINK = /<((?:https?:\/\/|mailto:)[^\s<>]{1,2048})>/iy;
const TARGET =
  /\([ \t\n]{0,8}(?:<([^<>\n]{0,2048})>|([^\s()<>]{0,2048}(?:\([^\s()<>]{0,1024}\)[^\s()<>]{0,1024}){0,8}))(?:[ \t\n]{1,8}(?:"[^"]{0,512}"|'[^']{0,512}'))?[ \t\n]{0,8}\)/y;
const ENTITY = /&(?:(amp|lt|gt|quot|apos|nbsp)|#(\d{1,7})|#x([0-9a-f]{1,6}));/iy;
const NAMED = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0' };

// An address that may become a link, or null. Nothing relative: an answer knows no pages of ours.
export function safe_address(address) {
  const text = address.trim();
  return /^(https?:\/\/[^\s/]|mailto:[^\s])/i.test(text) && !/[\u0000-\u0020\u007f]/.test(text) ? text : null;
}

function match_at(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

function decode_entity(found) {
  if (found[1]) return NAMED[found[1].toLowerCase()];
  const code = found[2] ? parseInt(found[2], 10) : parseInt(found[3], 16);
  const is_text = code > 31 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
  return is_text ? String.fromCodePoint(code) : '\ufffd';
}

const is_space = (c) => c === undefined || /\s/.test(c);
const is_word = (c) => c !== undefined && /[\p{L}\p{N}]/u.test(c);

class Inlines {
  constructor(text) {
    this.text = text;
    this.at = 0;
    // Open brackets and emphasis, innermost last; stack[0] is the result.
    this.stack = [{ mark: '', children: [] }];
    this.ticks = null;
  }

  add(node) {
    const children = this.stack.at(-1).children;
    if (typeof node === 'string' && typeof children.at(-1) === 'string') {
      children[children.length - 1] += node;
    } else if (node !== '') {
      children.push(node);
    }
  }

  open(mark, literal) {
    if (this.stack.length > MAX_INLINE_DEPTH) this.add(literal);
    else this.stack.push({ mark, literal, children: [] });
  }

  // What was opened above `depth` and never closed is text after all.
  flatten(depth) {
    while (this.stack.length > depth) {
      const frame = this.stack.pop();
      this.add(frame.literal);
      for (const child of frame.children) this.add(child);
    }
  }

  find(matches) {
    for (let i = this.stack.length - 1; i > 0; i--) {
      if (matches(this.stack[i])) return i;
    }
    return 0;
  }

  parse() {
    const { text } = this;
    while (this.at < text.length) {
      const found = match_at(SPECIAL, text, this.at);
      const end = found ? found.index : text.length;
      this.add(text.slice(this.at, end));
      this.at = end;
      if (found) this.special(text[end]);
    }
    this.flatten(1);
    return this.stack[0].children;
  }

  special(c) {
    const { text, at } = this;
    if (c === '\n') return this.line_end();
    if (c === '\\') return this.escape();
    if (c === '`') return this.code();
    if (c === '*' || c === '_' || c === '~') return this.emphasis(c);
    if (c === ']') return this.close_bracket();
    if (c === '[' || (c === '!' && text[at + 1] === '[')) {
      const literal = c === '[' ? '[' : '![';
      this.at += literal.length;
      return this.open('[', literal);
    }
    if (c === 'h' || c === 'H') return this.bare_link();
    const angle = c === '<' && match_at(ANGLE_LINK, text, at);
    if (angle) return this.take(angle[0].length, link_or_text(angle[1], [angle[1]]));
    const entity = c === '&' && match_at(ENTITY, text, at);
    if (entity) return this.take(entity[0].length, decode_entity(entity));
    return this.take(1, c);
  }

  take(length, node) {
    this.at += length;
    this.add(node);
  }

  line_end() {
    const children = this.stack.at(-1).children;
    if (typeof children.at(-1) === 'string') children[children.length - 1] = children.at(-1).trimEnd();
    this.take(1, { type: 'break' });
  }

  escape() {
    const next = this.text[this.at + 1];
    if (next === '\n') this.at++;
    else if (next !== undefined && /[!-/:-@[-`{-~]/.test(next)) this.take(2, next);
    else this.take(1, '\\');
  }

  // Where runs of each length stand is looked up once, so that unclosed runs cost nothing.
  code() {
    if (!this.ticks) {
      this.ticks = new Map();
      for (const run of this.text.matchAll(/`+/g)) {
        const runs = this.ticks.get(run[0].length);
        if (runs) runs.places.push(run.index);
        else this.ticks.set(run[0].length, { places: [run.index], next: 0 });
      }
    }
    let length = 1;
    while (this.text[this.at + length] === '`') length++;
    const runs = this.ticks.get(length);
    while (runs && runs.next < runs.places.length && runs.places[runs.next] <= this.at) runs.next++;
    const end = runs && runs.places[runs.next];
    if (end === undefined) return this.take(length, '`'.repeat(length));
    let text = this.text.slice(this.at + length, end).replace(/\n/g, ' ');
    if (/^ .* $/.test(text) && /[^ ]/.test(text)) text = text.slice(1, -1);
    this.take(end + length - this.at, { type: 'code', text });
  }

  // More generous than CommonMark where Chinese needs it: **“引文”**之后 is bold.
  emphasis(c) {
    const { text } = this;
    let left = 1;
    while (text[this.at + left] === c) left++;
    const before = text[this.at - 1];
    const after = text[this.at + left];
    this.at += left;
    let closes = !is_space(before);
    let opens = !is_space(after);
    if (c === '_') {
      closes = closes && !is_word(after);
      opens = opens && !is_word(before);
    }
    if (left > 3 || (c === '~' && left !== 2)) return this.add(c.repeat(left));
    while (closes && left > 0) {
      const limit = left;
      const depth = this.find((f) => f.mark === c.repeat(f.mark.length) && f.mark.length <= limit && f.mark !== '');
      if (depth === 0 || this.stack[depth].children.length === 0 && depth === this.stack.length - 1) break;
      this.flatten(depth + 1);
      const frame = this.stack.pop();
      left -= frame.mark.length;
      const type = c === '~' ? 'del' : frame.mark.length === 2 ? 'strong' : 'em';
      this.add({ type, children: frame.children });
    }
    if (!opens) return this.add(c.repeat(left));
    if (left >= 2) this.open(c + c, c + c);
    if (left % 2 === 1) this.open(c, c);
  }

  close_bracket() {
    const depth = this.find((frame) => frame.mark === '[');
    const target = depth > 0 && this.text[this.at + 1] === '(' && match_at(TARGET, this.text, this.at + 1);
    if (!target) {
      if (depth > 0) this.flatten(depth);
      return this.take(1, ']');
    }
    this.flatten(depth + 1);
    const frame = this.stack.pop();
    const address = target[1] ?? target[2];
    const children = frame.children.length > 0 ? frame.children : [address];
    this.at += 1 + target[0].length;
    this.add(link_or_text(address, children, frame.literal === '!['));
  }

  bare_link() {
    const found = match_at(BARE_LINK, this.text, this.at);
    if (!found || is_word(this.text[this.at - 1]) && /[a-z0-9]/i.test(this.text[this.at - 1])) {
      return this.take(1, this.text[this.at]);
    }
    let address = found[0].slice(0, found[0].length - /[.,;:!?*_~\])}]{0,16}$/.exec(found[0])[0].length);
    if (address.includes('(') && found[0][address.length] === ')') address += ')';
    this.take(address.length, link_or_text(address, [address]));
  }
}

function link_or_text(address, children, image = false) {
  const href = safe_address(address);
  if (href) return { type: 'link', href, image, children };
  return { type: 'text', children };
}

export function parse_inlines(text) {
  return new Inlines(text).parse();
}
