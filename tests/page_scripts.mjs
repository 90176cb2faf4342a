// The page's scripts without a browser: run by tests/check_page_scripts.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';

import { parse_blocks, parse_inlines, safe_address } from './markdown.js';
import { EventParser } from './sse.js';

// --------------------------------------------------------------------------- as short notation

const inline = (nodes) => nodes.map((node) => {
    if (typeof node === 'string') return node;
    if (node.type === 'break') return '/';
    if (node.type === 'code') return `{${node.text}}`;
    if (node.type === 'link') return `<${node.image ? '!' : ''}${node.href} ${inline(node.children)}>`;
    if (node.type === 'text') return inline(node.children);
    return `${node.type}(${inline(node.children)})`;
}).join('');
const spans = (text) => inline(parse_inlines(text));
const block = (b) => {
    switch (b.type) {
    case 'paragraph': return `p(${spans(b.text)})`;
    case 'heading': return `h${b.level}(${spans(b.text)})`;
    case 'code': return `code[${b.language}](${b.text})${b.closed ? '' : '…'}`;
    case 'quote': return `q(${b.blocks.map(block).join('')})`;
    case 'rule': return 'hr';
    case 'list': return `${b.ordered ? `ol${b.from}` : 'ul'}${b.loose ? '+' : ''}(${
        b.items.map((item) => item.map(block).join('')).join('|')})`;
    default: return `table[${b.align}](${[b.head, ...b.rows].map((row) => row.map(spans).join(',')).join('|')})`;
    }
};
const blocks = (text) => parse_blocks(text).map(block).join('');

function check_all(convert, cases) {
    for (const [text, expected] of cases) assert.equal(convert(text), expected, JSON.stringify(text));
}

// ------------------------------------------------------------------------------------ Markdown

test('emphasis, in Chinese too', () => check_all(spans, [
    ['a **b** c', 'a strong(b) c'],
    ['**“引文”**之后', 'strong(“引文”)之后'],
    ['这是**重点**，不是*斜体*。', '这是strong(重点)，不是em(斜体)。'],
    ['***both*** ~~gone~~', 'strong(em(both)) del(gone)'],
    ['**a *b***', 'strong(a em(b))'],
    ['2 * 3 * 4', '2 * 3 * 4'],
    ['snake_case_name and __init__', 'snake_case_name and strong(init)'],
    ['**open', '**open'],
    ['*a **b*', 'em(a **b)'],
    ['****', '****'],
    ['** a **', '** a **'],
    ['~a~', '~a~'],
]));

test('code spans', () => check_all(spans, [
    ['`a*b*`', '{a*b*}'],
    ['`` a`b ``', '{a`b}'],
    ['`open *a*', '`open em(a)'],
    ['`<b>`', '{<b>}'],
    ['``` x `y`', '``` x {y}'],
]));

test('links: http, https and mailto, nothing else', () => check_all(spans, [
    ['[a](https://example.org)', '<https://example.org a>'],
    ['[a *b*](http://example.org "t")', '<http://example.org a em(b)>'],
    ['[a](<https://example.org/x y>)', 'a'],
    ['[a](https://example.org/b_(c))', '<https://example.org/b_(c) a>'],
    ['[a](mailto:a@example.org)', '<mailto:a@example.org a>'],
    ['[a](javascript:alert(1))', 'a'],
    ['[a](JaVaScRiPt:alert(1))', 'a'],
    ['[a](data:text/html,x)', 'a'],
    ['[a](vbscript:x)', 'a'],
    ['[a](//example.org)', 'a'],
    ['[a](/v1/models)', 'a'],
    ['[a](&#106;avascript:alert)', 'a'],
    ['![alt](http://example.org/a.png)', '<!http://example.org/a.png alt>'],
    ['![](http://example.org/a.png)', '<!http://example.org/a.png http://example.org/a.png>'],
    ['![alt](data:image/svg+xml,x)', 'alt'],
    ['<https://example.org/a>', '<https://example.org/a https://example.org/a>'],
    ['<javascript:x>', '<javascript:x>'],
    ['见https://example.org/a。', '见<https://example.org/a https://example.org/a>。'],
    ['(see https://example.org/a_(b)).', '(see <https://example.org/a_(b) https://example.org/a_(b)>).'],
    ['[a] (b) [c', '[a] (b) [c'],
    ['[**a](https://example.org)**', '<https://example.org **a>**'],
    ['xhttps://example.org', 'xhttps://example.org'],
]));

test('addresses', () => {
    for (const bad of ['java\nscript:x', 'https://', 'http:x', ' javascript:x', 'blob:x', 'https:\\\\x', 'a b', 'http://a\tb']) {
        assert.equal(safe_address(bad), null, bad);
    }
    assert.equal(safe_address(' https://a '), 'https://a');
});

test('text: escapes, entities, line ends, HTML', () => check_all(spans, [
    ['\\*a\\* \\q', '*a* \\q'],
    ['&lt;b&gt; &amp; &#20013; &#x4e2d; &unknown; &#0;', '<b> & 中 中 &unknown; \ufffd'],
    ['a  \nb\\\nc\nd', 'a/b/c/d'],
    ['<b onclick=x>t</b><!-- c -->', '<b onclick=x>t</b><!-- c -->'],
]));

test('headings, rules, paragraphs', () => check_all(blocks, [
    ['# a\n## b ##\n####### c', 'h1(a)h2(b)p(####### c)'],
    ['#tag', 'p(#tag)'],
    ['a\nb\n\nc', 'p(a/b)p(c)'],
    ['a\n---\nb', 'p(a)hrp(b)'],
    ['* * *', 'hr'],
    ['a\r\n# b\r\n', 'p(a)h1(b)'],
    ['', ''],
    ['\n\n', ''],
]));

test('fenced code', () => check_all(blocks, [
    ['```js\na\n\n  b\n```\nc', 'code[js](a\n\n  b)p(c)'],
    ['```\n<b>', 'code[](<b>)…'],
    ['~~~\n```\n~~~~', 'code[](```)'],
    ['````md\n```\n````', 'code[md](```)'],
    ['a\n```\nb\n```', 'p(a)code[](b)'],
    ['```a{b} c\n```', 'code[a]()'],
]));

test('lists', () => check_all(blocks, [
    ['- a\n- b\n* c', 'ul(p(a)|p(b)|p(c))'],
    ['- a\n\n- b', 'ul+(p(a)|p(b))'],
    ['3. a\n4. b', 'ol3(p(a)|p(b))'],
    ['1. a\n   - b\n   - c\n2. d', 'ol1(p(a)ul(p(b)|p(c))|p(d))'],
    ['1. a\n  - b\n2. c', 'ol1(p(a)ul(p(b))|p(c))'],
    ['- a\n  b\nc', 'ul(p(a/b/c))'],
    ['- a\n\nb', 'ul(p(a))p(b)'],
    ['- a\n\n  b', 'ul+(p(a)p(b))'],
    ['1. a\n```\nx\n```', 'ol1(p(a))code[](x)'],
    ['1. a\n   ```py\n   x\n     y\n   ```\n2. b', 'ol1(p(a)code[py](x\n  y)|p(b))'],
    ['in 1998\n2. is no list', 'p(in 1998/2. is no list)'],
    ['a:\n- b', 'p(a:)ul(p(b))'],
    ['-', 'ul()'],
    ['- - a', 'ul(ul(p(a)))'],
]));

test('quotes', () => check_all(blocks, [
    ['> a\n> b\n\nc', 'q(p(a/b))p(c)'],
    ['> a\nb', 'q(p(a/b))'],
    ['>> a\n> b', 'q(q(p(a))p(b))'.replace('p(a))p(b)', 'p(a/b))')],
    ['> - a\n> - b', 'q(ul(p(a)|p(b)))'],
    ['> ```\n> x', 'q(code[](x)…)'],
]));

test('tables', () => check_all(blocks, [
    ['| a | b |\n|---|:-:|\n| 1 | `x|y` |\n\nc', 'table[,center](a,b|1,{x|y})p(c)'],
    ['a | b\n--|--:\n1 | 2 | 3', 'table[,right](a,b|1,2)'],
    ['t\n| a |\n| - |', 'p(t)table[](a)'],
    ['| a | b |\n| - |', 'p(| a | b |/| - |)'],
    ['| a \\| b |\n| - |', 'table[](a | b)'],
]));

// What MarkdownView does: blocks are fixed when the next one has begun with a complete line.
function streamed(text, size) {
    let base = 0;
    const fixed = [];
    for (let end = size; ; end += size) {
        const rest = text.slice(base, end);
        const found = parse_blocks(rest);
        if (end >= text.length) return fixed.concat(found.map(block)).join('');
        let keep = found.length - 1;
        if (keep > 0 && rest.indexOf('\n', found[keep].start) < 0) keep--;
        if (keep > 0) {
            fixed.push(...found.slice(0, keep).map(block));
            base += found[keep].start;
        }
    }
}

test('a text that comes in pieces becomes what it is as a whole', () => {
    const text = readFileSync('page_scripts.mjs', 'utf8').slice(0, 3000);
    const samples = ['# a\n\ntext\n#tag\n\n- a\n  - b\n\n    c\n- d\n\n> q\nr\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```js\n- x\n```\nend\n1. x\n2. y\n\nz\n---\nlast',
        'a\n- \n-b\n\n1\n1. x\n\n***\n**b**', text];
    for (const sample of samples) {
        const whole = blocks(sample);
        for (const size of [1, 2, 3, 7, 50]) assert.equal(streamed(sample, size), whole, `pieces of ${size}`);
    }
});

function depth_of(value) {
    if (!value || typeof value !== 'object') return 0;
    return 1 + Object.values(value).flat(2).reduce((deepest, inner) => Math.max(deepest, depth_of(inner)), 0);
}

test('what is long or deep takes linear time and bounded depth', () => {
    const attacks = {
        lists: Array.from({ length: 1000 }, (_, i) => `${'  '.repeat(i)}- x`).join('\n'),
        line_of_lists: '- '.repeat(200000),
        quotes: `${'>'.repeat(300000)} a`,
        many_quotes: '> > > > > > a\n'.repeat(50000),
        fences: '```\n'.repeat(200000),
        long_code: `\`\`\`\n${'x'.repeat(1000000)}`,
        stars: '*a '.repeat(300000),
        star_pairs: '**a *b '.repeat(150000),
        star_run: '*'.repeat(1000000),
        closers: 'a** '.repeat(250000),
        brackets: '['.repeat(500000) + ']('.repeat(250000),
        links: '[a](b'.repeat(200000),
        spaces_in_link: `[a](${' '.repeat(500000)}`,
        ticks: Array.from({ length: 1000 }, (_, i) => '`'.repeat(i + 1)).join(' '),
        tick_pairs: '`a``b'.repeat(200000),
        hashes: `# ${'# '.repeat(400000)}`,
        spaces: `# a${' '.repeat(800000)}b`,
        pipes: `${'|'.repeat(300000)}\n${'|-'.repeat(300000)}`,
        table: `|a|b|\n|-|-|\n${'|x|y|\n'.repeat(100000)}`,
        rules: '- '.repeat(90) + 'x',
        angle: '<https://'.repeat(100000),
        addresses: 'https://a.b/c) '.repeat(60000),
        parens: `https://a.b/${'('.repeat(500000)}`,
        entities: '&#'.repeat(400000),
        escapes: '\\'.repeat(800001),
        blank: '\n'.repeat(800000),
        list_and_blank: '- a\n\n\n'.repeat(150000),
        underscores: '_a'.repeat(400000),
    };
    for (const [name, text] of Object.entries(attacks)) {
        const begin = process.cpuUsage().user;
        const tree = parse_blocks(text);
        for (const b of tree) if (b.text) parse_inlines(b.text);
        const seconds = (process.cpuUsage().user - begin) / 1e6; // the machine may be busy
        assert.ok(seconds < 5, `${name}: ${seconds.toFixed(1)} s`);
        if (tree.length < 1000) {
            assert.ok(depth_of(tree) < 80, `${name}: too deep`);
            assert.ok(depth_of(parse_inlines(text.slice(0, 20000))) < 80, `${name}: too deep inside`);
        }
    }
});

// --------------------------------------------------------------------------------- event stream

test('events: line ends, comments, pieces', () => {
    const stream = '\ufeff: hello\n\ndata: {"a":1}\n\nevent: x\r\ndata:b\r\n\r\ndata: c\rdata: d\r\r: ping\n\ndata: 中\n\nid\n\ndata: unfinished';
    const expected = ['{"a":1}', 'b', 'c\nd', '中'];
    for (let size = 1; size < stream.length; size++) {
        const parser = new EventParser();
        const events = [];
        for (let i = 0; i < stream.length; i += size) events.push(...parser.push(stream.slice(i, i + size)));
        assert.deepEqual(events, expected, `pieces of ${size}`);
    }
    assert.deepEqual(new EventParser().push('data:  two spaces\n\ndata\n\n\n\n'), [' two spaces']);
});

test('events: a megabyte in small pieces', () => {
    const parser = new EventParser();
    const begin = process.cpuUsage().user;
    parser.push('data: ');
    for (let i = 0; i < 100000; i++) parser.push('0123456789');
    assert.equal(parser.push('\n\n')[0].length, 1000000);
    assert.ok(process.cpuUsage().user - begin < 3e6);
});

// ---------------------------------------------------------------------------------- the modules

globalThis.window = globalThis;
const memory = new Map();
globalThis.localStorage = globalThis.sessionStorage = {
    getItem: (name) => memory.get(name) ?? null,
    setItem: (name, value) => memory.set(name, value),
    removeItem: (name) => memory.delete(name),
};

test('conversations from files: only what belongs there', async () => {
    const { from_json, to_json, to_markdown, file_name, new_conversation } = await import('./store.js');
    const conversation = new_conversation();
    conversation.title = 'a';
    conversation.messages.push({ role: 'user', content: '问' },
        { role: 'assistant', content: '答', note: 'stopped', stats: { tokens: 3, rate: 1.5 } });
    assert.deepEqual(from_json(to_json([conversation])), [conversation]);
    for (const bad of ['', '[]', '{}', 'null', '{"inkstone":1}', '{"conversations":[]}']) {
        assert.throws(() => from_json(bad), { message: 'bad' }, bad);
    }
    const odd = { inkstone: 1, conversations: [7, null, {}, { id: '__proto__', title: 5, messages: [
        { role: 'system', content: 'x' }, { role: 'user', content: 3 }, null,
        { role: 'user', content: 'ok', note: '<b>', stats: { tokens: 'x', evil: 1 }, extra: 1 }] }] };
    const [only] = from_json(JSON.stringify(odd));
    assert.match(only.id, /^[0-9a-f]{24}$/);
    assert.deepEqual(only.messages, [{ role: 'user', content: 'ok', stats: {} }]);
    assert.equal(to_markdown(conversation, { untitled: 'u', system: 's', user: 'You', assistant: 'It' }),
        '# a\n\n## You\n\n问\n\n## It\n\n答\n');
    assert.equal(file_name('../a:b\n中 文?', 'md'), 'a-b-中-文.md');
    assert.equal(file_name('...', 'json'), 'inkstone.json');
});

test('Retry-After: seconds or a date', async () => {
    const { parse_retry_after } = await import('./api.js');
    assert.equal(parse_retry_after('7'), 7);
    assert.equal(parse_retry_after(null), 0);
    assert.equal(parse_retry_after('soon'), 0);
    assert.equal(parse_retry_after('99999'), 3600);
    const left = parse_retry_after(new Date(Date.now() + 9000).toUTCString());
    assert.ok(left >= 7 && left <= 10);
});

test('words: the same in both languages, all used, none missing', async () => {
    const { words_of } = await import('./i18n.js');
    const en = words_of('en');
    const zh = words_of('zh');
    assert.deepEqual(Object.keys(en), Object.keys(zh));
    const values = (text) => (text.match(/\{\w+\}/g) || []).sort().join();
    for (const name of Object.keys(en)) assert.equal(values(en[name]), values(zh[name]), name);
    const files = readdirSync('.').filter((name) => /\.js$/.test(name) && name !== 'i18n.js');
    const source = [...files, 'index.html'].map((name) => readFileSync(name, 'utf8')).join('\n');
    for (const [, name] of source.matchAll(/\bt\('(\w+)'|data-t(?:-\w+)?="(\w+)"/g)) {
        if (name) assert.ok(name in en, name);
    }
    for (const [, name] of source.matchAll(/data-t(?:-\w+)?="(\w+)"/g)) assert.ok(name in en, name);
    for (const [, kind] of source.matchAll(/(?:ApiError\(|return )'(\w+)'/g)) {
        if (/^[a-z]+$/.test(kind) && !['center', 'right', 'left'].includes(kind)) assert.ok(`error_${kind}` in en, kind);
    }
    const composed = /^(error|example|plain_example|note|theme)_|_hint$/;
    for (const name of Object.keys(en)) {
        assert.ok(composed.test(name) || new RegExp(`['"]${name}['"]`).test(source), `${name} is not used`);
    }
});

test('no markup from strings, no styles or handlers in markup, no other host', () => {
    for (const name of readdirSync('.').filter((file) => /\.js$/.test(file))) {
        const source = readFileSync(name, 'utf8');
        assert.doesNotMatch(source, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|createContextualFragment/, name);
    }
    const page = readFileSync('index.html', 'utf8');
    assert.doesNotMatch(page, /\sstyle=|\son\w+=|<style|<script>/);
    assert.doesNotMatch(page.replace("xmlns='http://www.w3.org/2000/svg'", ''), /https?:\/\//);
});
