"""A server of the page of web/ with the API's routes and scripted answers, for tests/check_page.

    python3 tests/page_mock.py [PORT]     serve it, to look at the page without a model

What is asked decides what comes: "attack", "code", "huge", "nested", "wall", "busy", "draining",
"long", "broken", "cut", "slow"; anything else gets a short answer in the question's language.
"""
import json
import os
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
WEB = os.path.join(TOP, 'web')
TYPES = {'html': 'text/html', 'js': 'text/javascript', 'css': 'text/css'}


def policy():
    """The Content-Security-Policy as src/serve/page.c has it."""
    with open(os.path.join(TOP, 'src/serve/page.c'), encoding='utf-8') as file:
        text = file.read()
    start = text.index('ink_page_policy[] =')
    return ''.join(re.findall(r'"([^"]*)"', text[start:text.index(';\n', start)]))


CHINESE = '''**砚台**是研墨用的石器，与笔、墨、纸合称*文房四宝*。

1. 先在砚堂里滴几滴清水；
2. 手持墨锭，**垂直**、缓慢地打圈；
   - 力道要轻
   - 速度要匀
3. 墨色浓淡合适即可。

> 非人磨墨墨磨人。——苏轼

| 名砚 | 产地 |
| --- | --- |
| 端砚 | 广东肇庆 |
| 歙砚 | 安徽歙县 |

用完应当洗净，见[百科](https://example.org/yan)。'''
ENGLISH = '''An **ink stone** is where a scholar grinds ink.

- a *well* for water
- a flat where the ink stick is rubbed

It needs no electricity. `grind(slowly)` is all there is to it.'''
CODE = '''The median is the middle of the sorted values:

```python
import statistics


def median(values):
    """The middle of the values; of an even number of them, the mean of the two in the middle."""
    ordered = sorted(values)
    n = len(ordered)
    if n == 0:
        raise ValueError("there is no median of nothing, whatever one may think of that at first sight, or at second")
    if n % 2 == 1:
        return ordered[n // 2]
    return (ordered[n // 2 - 1] + ordered[n // 2]) / 2


print(median([3, 1, 2]), statistics.median([3, 1, 2]))
```

`statistics.median` does the same.'''
ATTACK = '''<script>window.pwned = 1</script> <img src=x onerror="window.pwned = 2"> <svg onload="window.pwned = 3">
<iframe src="http://evil.invalid/frame"></iframe>

![beacon](http://evil.invalid/beacon.png?secret=1) and ![](https://evil.invalid/b.gif)

[one](javascript:window.pwned=4) [two](JaVaScRiPt:window.pwned=5) [three](java\tscript:window.pwned=6)
[four](data:text/html,<script>window.pwned=7</script>) [five](vbscript:x) [six](file:///etc/passwd)
[seven](//evil.invalid/x) [eight](/v1/models) [nine](&#106;avascript:window.pwned=8) <javascript:window.pwned=9>
[good](https://example.org/a_(b)) <https://example.org/c> https://example.org/d. <mailto:a@example.org>
[<img src=x onerror=alert(1)>](https://example.org/"onmouseover="window.pwned=10)
[![image in a link](http://evil.invalid/i.png)](http://evil.invalid/l)

<style>body { display: none }</style><link rel=stylesheet href=http://evil.invalid/s.css>
<a href="javascript:window.pwned=11" id=settings>named like ours</a> <form action=//evil.invalid><input name=x></form>

| <b>head</b> | x |
| --- | --- |
| <img src=x onerror=window.pwned=12> | `<i>` |

```"><img src=x onerror=window.pwned=13>
</code></pre><script>window.pwned = 14</script>
```

&lt;script&gt; is text too. End of attack.

~~~html
<script>an unclosed fence'''


def nested():
    lists = '\n'.join('  ' * i + '- level %d' % i for i in range(1000))
    quotes = '>' * 1000 + ' deep'
    inline = '- ' * 1000 + 'deep\n\n' + '*a **b ' * 2000 + '[' * 20000 + '](' * 5000
    return lists + '\n\n' + quotes + '\n\n' + inline + '\n\nEnd of nesting.'


HUGE = '```c\n' + 'int x = 1; /* a line of a very long program */\n' * 21000 + '```\n\nEnd of code.'
WALL = '`' * 3 + '\n' + 'a' * 1000000 + '\n```\n\n' + 'word *' * 170000 + '\n\nEnd of wall.'


def read_web(name):
    """A file as m4/embed puts it into the program: without indentation and lines that are comments."""
    with open(os.path.join(WEB, name), 'rb') as file:
        lines = [line.lstrip(b' ') for line in file.read().split(b'\n')]
    return b'\n'.join(line for line in lines if not line.startswith(b'// '))


class Mock(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port=0):
        super().__init__(('127.0.0.1', port), Handler)
        self.key = None
        self.models = ['ernie-4.5-0.3b']
        self.is_chat = True
        self.is_gone = False  # connections that are open are cut
        self.delay = 0.02
        self.retry_after = 3
        self.requests = []  # (path, headers, body)
        self.aborted = 0
        self.busy_left = 1  # how often "busy" is refused
        self.cut_left = 1
        self.url = 'http://127.0.0.1:%d/' % self.server_address[1]
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    def handle_error(self, request, client_address):
        pass


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args):
        pass

    def reply(self, status, kind, data, **headers):
        self.send_response(status)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(data)))
        self.send_header('Content-Security-Policy', policy())
        self.send_header('X-Content-Type-Options', 'nosniff')
        self.send_header('Referrer-Policy', 'no-referrer')
        for name, value in headers.items():
            self.send_header(name.replace('_', '-'), value)
        self.end_headers()
        self.wfile.write(data)

    def reply_json(self, status, value, **headers):
        self.reply(status, 'application/json', json.dumps(value).encode(), **headers)

    def reply_error(self, status, message, code=None, **headers):
        error = {'message': message, 'type': 'x', 'param': None, 'code': code}
        self.reply_json(status, {'error': error}, **headers)

    def is_let_in(self):
        if self.server.key is None or self.headers.get('Authorization') == 'Bearer ' + self.server.key:
            return True
        self.reply_error(401, 'Incorrect API key provided', 'invalid_api_key', WWW_Authenticate='Bearer')
        return False

    def do_GET(self):
        path = self.path.split('?')[0]
        name = 'index.html' if path == '/' else path[1:]
        if path == '/props':
            defaults = {'temperature': 0.8, 'top_p': 0.8, 'top_k': 0, 'repetition_penalty': 1.0,
                        'presence_penalty': 0, 'frequency_penalty': 0, 'max_tokens': 1024}
            self.reply_json(200, {'model': self.server.models[0], 'chat_template': self.server.is_chat,
                                  'n_ctx': 4096, 'slots': 8, 'defaults': defaults, 'version': '0.1.0',
                                  'authentication': self.server.key is not None})
        elif path == '/v1/models':
            if self.is_let_in():
                data = [{'id': model, 'object': 'model'} for model in self.server.models]
                self.reply_json(200, {'object': 'list', 'data': data})
        elif re.fullmatch(r'[a-z0-9]+\.[a-z]+', name) and os.path.exists(os.path.join(WEB, name)):
            self.reply(200, TYPES[name.split('.')[1]] + '; charset=utf-8', read_web(name))
        else:
            self.reply_error(404, 'There is no ' + path)

    def do_POST(self):
        if self.server.is_gone:
            self.close_connection = True
            self.connection.shutdown(2)
            return
        body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        self.server.requests.append((self.path, dict(self.headers), body))
        if not self.is_let_in():
            return
        is_chat = self.path == '/v1/chat/completions'
        question = body['messages'][-1]['content'] if is_chat else body['prompt']
        if question.startswith('busy') and self.server.busy_left > 0:
            self.server.busy_left -= 1
            self.reply_error(429, 'All slots are in use', 'rate_limit_exceeded',
                             Retry_After=str(self.server.retry_after))
        elif question.startswith('draining'):
            self.reply_error(503, 'The server is shutting down', 'unavailable')
        elif question.startswith('long'):
            self.reply_error(400, 'The prompt has 5000 tokens, the context 4096', 'context_length_exceeded')
        else:
            try:
                self.stream(question, is_chat)
            except OSError:
                self.server.aborted += 1

    def event(self, value):
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        self.chunk(('data: %s\n\n' % text).encode())

    def chunk(self, data):
        self.wfile.write(b'%x\r\n%s\r\n' % (len(data), data))
        self.wfile.flush()

    def piece(self, text, is_chat, finish=None):
        choice = {'index': 0, 'finish_reason': finish}
        if is_chat:
            choice['delta'] = {'content': text} if text else {}
        else:
            choice['text'] = text
        self.event({'object': 'chat.completion.chunk', 'choices': [choice]})

    def stream(self, question, is_chat):
        self.send_response(200)
        self.send_header('Content-Type', 'text/event-stream')
        self.send_header('Transfer-Encoding', 'chunked')
        self.end_headers()
        self.chunk(b': ping\n\n')
        word = question.split()[0] if question.split() else ''
        answers = {'attack': ATTACK, 'code': CODE, 'huge': HUGE, 'wall': WALL, 'nested': nested()}
        answer = answers.get(word) or (CHINESE if re.search('[\u4e00-\u9fff]', question) else ENGLISH)
        if not is_chat:
            answer = ' there was a *small* ink stone.\nIt was black.'
        size = 20000 if len(answer) > 20000 else 3 if answer is CHINESE else 5
        delay = 0.005 if len(answer) > 20000 else self.server.delay
        pieces = [answer[i:i + size] for i in range(0, len(answer), size)]
        if word == 'slow':
            pieces, delay = pieces * 1000, 0.05
        for i, text in enumerate(pieces):
            if i == 8 and word == 'broken':
                self.event({'error': {'message': 'out of pages', 'type': 'server_error', 'param': None,
                                      'code': 'out_of_memory'}})
                break
            if i == 8 and word == 'cut' and self.server.cut_left > 0:
                self.server.cut_left -= 1
                self.close_connection = True
                self.connection.shutdown(2)
                return
            self.piece(text, is_chat)
            if i % 50 == 0:
                self.chunk(b': ping\r\n\r\n')
            time.sleep(delay)
        else:
            self.piece('', is_chat, 'length' if word == 'limit' else 'stop')
            self.event({'choices': [], 'usage': {'prompt_tokens': 21, 'completion_tokens': len(pieces),
                                                 'total_tokens': 21 + len(pieces)}})
            self.event('[DONE]')
        self.chunk(b'')


if __name__ == '__main__':
    server = Mock(int(sys.argv[1]) if len(sys.argv) > 1 else 7861)
    print(server.url)
    server.thread.join()
