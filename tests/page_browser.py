"""The page in Chromium, as a person uses it. Run by tests/check_page; speaks TAP."""
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import page_mock

CASES = []
PATIENCE = 60  # seconds for what takes one or two: machines may be busy
AXE = os.environ.get('INKSTONE_AXE', '')
SHOTS = os.environ.get('INKSTONE_SHOTS', '')


def case(name, allowed=None):
    """allowed: a pattern of console messages that belong to the case."""
    def add(function):
        CASES.append((name, function, allowed))
        return function
    return add


class Skip(Exception):
    pass


def start_browser():
    options = webdriver.ChromeOptions()
    options.binary_location = os.environ['INKSTONE_CHROMIUM']
    for argument in ('--headless=new', '--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu',
                     '--hide-scrollbars', '--disable-background-networking', '--no-first-run'):
        options.add_argument(argument)
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL', 'performance': 'ALL'})
    return webdriver.Chrome(service=Service(os.environ['INKSTONE_CHROMEDRIVER']), options=options)


class Page:
    """A mock server of its own (so, an origin of its own) and the browser showing its page."""

    def __init__(self, driver, downloads):
        self.driver = driver
        self.downloads = downloads
        self.mock = page_mock.Mock()
        self.hosts = [self.mock.url]

    def cdp(self, method, **parameters):
        return self.driver.execute_cdp_cmd(method, parameters)

    def open(self, language='en-US', theme='light', width=1280, height=800, fragment='', url=None):
        agent = self.driver.execute_script('return navigator.userAgent')
        self.cdp('Emulation.setUserAgentOverride', userAgent=agent, acceptLanguage=language)
        self.cdp('Emulation.setEmulatedMedia', features=[{'name': 'prefers-color-scheme', 'value': theme}])
        self.resize(width, height)
        self.driver.get('about:blank')
        self.driver.get((url or self.mock.url) + fragment)
        self.started()

    def reload(self):
        self.driver.refresh()
        self.started()

    def started(self):
        self.wait(lambda: self.js('''return document.querySelectorAll("#ask-examples button").length > 0 &&
            (document.getElementById("model-name").textContent !== "" || !document.getElementById("banner").hidden)'''),
                  'the page to start')

    def resize(self, width, height):
        self.cdp('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1,
                 mobile=width < 600)

    def wait(self, condition, what, seconds=PATIENCE):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                found = condition()
                if found:
                    return found
            except WebDriverException:
                pass
            time.sleep(0.03)
        self.shot('failed')
        raise AssertionError('waited in vain for ' + what)

    def all(self, selector):
        return self.js('''return [...document.querySelectorAll(arguments[0])].filter((e) =>
            e.checkVisibility({ visibilityProperty: true }) && e.getClientRects().length > 0)''', selector)

    def one(self, selector):
        found = self.wait(lambda: self.all(selector), selector)
        assert len(found) == 1, '%d of %s' % (len(found), selector)
        return found[0]

    def last(self, selector):
        return self.wait(lambda: self.all(selector), selector)[-1]

    def click(self, selector):
        self.one(selector).click()

    def text(self, selector):
        return self.js('return document.querySelector(arguments[0]).innerText', selector)

    def js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def focus_id(self):
        return self.js('return document.activeElement.id')

    def ask(self, question, wait=True):
        area = self.one('#ask-question')
        area.clear()
        area.send_keys(question)
        self.click('#ask-submit')
        if wait:
            self.done('ask')

    def say(self, text, wait=True):
        self.one('#chat-input').send_keys(text, Keys.ENTER)
        if wait:
            self.done('chat')

    def done(self, view, seconds=PATIENCE):
        button = '#ask-submit' if view == 'ask' else '#chat-send'
        self.wait(lambda: self.all(button), 'the end of the answer', seconds)

    def chat(self):
        self.click('#tab-chat')
        self.one('#chat-input')

    def messages(self):
        return self.js('return [...document.querySelectorAll(".message .text")].map((e) => e.innerText)')

    def request(self, i=-1):
        return self.mock.requests[i][2]

    def confirm(self):
        self.click('dialog.box button[type="submit"]')
        self.wait(lambda: not self.all('dialog.box'), 'the dialog to close')

    def shot(self, name):
        if SHOTS:
            self.driver.save_screenshot(os.path.join(SHOTS, name + '.png'))

    def download(self, selector):
        before = set(os.listdir(self.downloads))
        self.click(selector)

        def found():
            new = [n for n in set(os.listdir(self.downloads)) - before if not n.endswith('.crdownload')]
            return new and os.path.getsize(os.path.join(self.downloads, new[0])) > 0 and new[0]
        return os.path.join(self.downloads, self.wait(found, 'the download'))

    def check_logs(self, allowed):
        """No errors on the console, and no request to another host."""
        for entry in self.driver.get_log('browser'):
            if entry['level'] == 'SEVERE' and not (allowed and re.search(allowed, entry['message'])):
                raise AssertionError('console: ' + entry['message'][:500])
        for entry in self.driver.get_log('performance'):
            message = json.loads(entry['message'])['message']
            if message['method'] != 'Network.requestWillBeSent':
                continue
            url = message['params']['request']['url']
            if not url.startswith(tuple(self.hosts) + ('data:', 'blob:', 'about:')):
                raise AssertionError('a request left the host: ' + url[:200])


# ------------------------------------------------------------------------------------- asking


@case('a question in Chinese: the answer streams, and is formatted')
def _(page):
    page.mock.delay = 0.05
    page.open('zh-CN')
    assert page.js('return document.documentElement.lang') == 'zh-CN'
    assert page.text('label[for=ask-question]') == '输入问题' and page.text('#ask-answer') == '模型回答'
    page.ask('砚台是什么？', wait=False)
    page.one('#ask-stop')
    states = set()
    while not page.all('#ask-submit'):
        states.add(page.js('return document.getElementById("ask-text").textContent.length'))
    assert len(states) >= 5, 'states while streaming: %s' % states
    for selector in ('ol > li > ul > li', 'strong', 'em', 'blockquote', 'table th', 'a[href="https://example.org/yan"]'):
        assert page.js('return document.querySelectorAll("#ask-text " + arguments[0]).length', selector) > 0, selector
    assert re.match(r'\d+ 个词元 · 每秒 [\d.]+ 个词元 · [\d.]+ 秒后开始 · 读入 21 个$', page.text('#ask-stats'))
    path, headers, body = page.mock.requests[0]
    assert path == '/v1/chat/completions'
    assert body == {'model': 'ernie-4.5-0.3b', 'messages': [{'role': 'user', 'content': '砚台是什么？'}],
                    'stream': True, 'stream_options': {'include_usage': True}}, body
    assert headers['X-Prefix-Key'] == hashlib.sha256('\n砚台是什么？'.encode()).hexdigest()[:16]
    assert 'Authorization' not in headers
    assert page.js('return document.getElementById("live").textContent').count('砚台') >= 1
    page.shot('ask-zh-light')


@case('examples, copy, clear')
def _(page):
    page.open()
    page.cdp('Browser.grantPermissions', permissions=['clipboardReadWrite', 'clipboardSanitizedWrite'])
    page.all('#ask-examples button')[0].click()
    assert page.focus_id() == 'ask-question' and page.js('return document.activeElement.value') != ''
    page.click('#ask-submit')
    page.done('ask')
    page.click('#ask-copy')
    page.wait(lambda: page.text('#toast') == 'Copied', 'the notice')
    copied = page.driver.execute_async_script('navigator.clipboard.readText().then(arguments[0])')
    assert copied == page_mock.ENGLISH, copied
    page.click('#ask-clear')
    assert page.js('return document.getElementById("ask-question").value') == ''
    assert page.text('#ask-text') == '' and page.all('#ask-empty') and page.focus_id() == 'ask-question'
    page.click('#ask-submit')  # nothing asked, nothing sent
    assert len(page.mock.requests) == 1


@case('Esc and the button stop an answer, and what came stays')
def _(page):
    page.open()
    page.ask('slow', wait=False)
    page.wait(lambda: len(page.text('#ask-text')) > 40, 'some text')
    page.one('#ask-question').send_keys(Keys.ESCAPE)
    page.done('ask')
    assert page.text('#ask-note') == 'Stopped here.' and len(page.text('#ask-text')) > 40
    page.wait(lambda: page.mock.aborted == 1, 'the server to notice')
    page.chat()
    page.say('slow', wait=False)
    page.wait(lambda: len(page.messages()[-1]) > 40, 'some text')
    page.click('#chat-stop')
    page.done('chat')
    page.wait(lambda: page.mock.aborted == 2, 'the server to notice')
    assert 'Stopped here.' in page.text('.message.assistant .note')


# ------------------------------------------------------------------------------- conversations


@case('a conversation: context, regenerate, edit, delete')
def _(page):
    page.open()
    page.chat()
    page.say('first')
    page.say('second')
    roles = [m['role'] for m in page.request()['messages']]
    assert roles == ['user', 'assistant', 'user'], roles
    assert page.request()['messages'][1]['content'] == page_mock.ENGLISH
    page.last('.regenerate').click()
    page.done('chat')
    assert page.request(2)['messages'] == page.request(1)['messages'] and len(page.messages()) == 4
    page.all('.message.user .edit')[0].click()
    area = page.one('.editor textarea')
    assert area.get_attribute('value') == 'first'
    area.send_keys(Keys.ESCAPE)
    assert not page.all('.editor') and len(page.messages()) == 4
    page.all('.message.user .edit')[0].click()
    page.one('.editor textarea').send_keys(' edited', Keys.ENTER)
    page.done('chat')
    assert page.request()['messages'] == [{'role': 'user', 'content': 'first edited'}]
    assert len(page.messages()) == 2 and page.messages()[0] == 'first edited'
    page.say('third')
    page.all('.message.user .delete')[1].click()
    page.confirm()
    assert len(page.messages()) == 2
    page.all('.message.assistant .delete')[0].click()
    page.confirm()
    assert page.messages() == ['first edited']
    page.one('.regenerate').click()
    page.done('chat')
    assert len(page.messages()) == 2


@case('history: reload, rename, several, delete')
def _(page):
    page.open()
    page.chat()
    page.say('one')
    page.click('#chat-new')
    page.say('two')
    page.click('#chat-rename')
    page.one('dialog.box input').send_keys(Keys.CONTROL, 'a')
    page.one('dialog.box input').send_keys('Renamed 砚')
    page.confirm()
    page.reload()
    assert page.one('#chat-title').text == 'Renamed 砚' and page.messages()[0] == 'two'
    items = page.all('#history-list button')
    assert [i.find_element(By.CLASS_NAME, 'title').text for i in items] == ['Renamed 砚', 'one']
    items[1].click()
    assert page.messages()[0] == 'one' and len(page.messages()) == 2
    page.click('#chat-delete')
    page.confirm()
    page.reload()
    assert len(page.all('#history-list button')) == 1


@case('an answer that is cut off by closing the page is kept, and says so')
def _(page):
    page.open()
    page.chat()
    page.say('slow', wait=False)
    page.wait(lambda: len(page.messages()) == 2 and len(page.messages()[1]) > 60, 'some text')
    time.sleep(2.5)
    page.reload()
    assert len(page.messages()[1]) > 60 and 'closed before' in page.text('.message.assistant .note')


@case('two conversations are answered at once')
def _(page):
    page.open()
    page.chat()
    page.say('slow one', wait=False)
    page.wait(lambda: len(page.messages()) == 2 and len(page.messages()[1]) > 20, 'some text')
    page.click('#chat-new')
    page.say('two')
    assert len(page.messages()) == 2 and page.messages()[0] == 'two'
    page.all('#history-list button')[1].click()
    page.one('#chat-stop').click()
    page.done('chat')
    assert page.messages()[0] == 'slow one'


@case('export as JSON and Markdown, import elsewhere')
def _(page):
    page.open('zh-CN')
    page.chat()
    page.say('砚')
    path = page.download('#chat-json')
    with open(path, encoding='utf-8') as file:
        data = json.load(file)
    assert os.path.basename(path) == '砚.json' and data['inkstone'] == 1
    assert [m['content'] for m in data['conversations'][0]['messages']] == ['砚', page_mock.CHINESE]
    with open(page.download('#chat-markdown'), encoding='utf-8') as file:
        assert file.read() == '# 砚\n\n## 你\n\n砚\n\n## ernie-4.5-0.3b\n\n%s\n' % page_mock.CHINESE
    page.click('#chat-new')
    page.say('two')
    everything = page.download('#export-all')
    other = page_mock.Mock()
    page.hosts.append(other.url)
    page.open('zh-CN', url=other.url)
    page.chat()
    page.driver.find_element(By.ID, 'import-file').send_keys(everything)
    page.wait(lambda: len(page.all('#history-list button')) == 2, 'both conversations')
    assert page.text('#toast') == '已导入 2 个对话'
    page.driver.find_element(By.ID, 'import-file').send_keys(everything)
    page.wait(lambda: page.text('#toast') == '文件里没有新的对话', 'the notice')
    page.all('#history-list button')[1].click()
    assert page.messages()[0] == '砚'
    bad = os.path.join(page.downloads, 'bad.json')
    with open(bad, 'w', encoding='utf-8') as file:
        file.write('{"a": 1}')
    page.driver.find_element(By.ID, 'import-file').send_keys(bad)
    page.wait(lambda: '没有本页面' in page.text('#toast'), 'the notice')


@case('what another tab writes appears here')
def _(page):
    page.open()
    page.chat()
    first = page.driver.current_window_handle
    page.driver.switch_to.new_window('tab')
    try:
        page.driver.get(page.mock.url)
        page.say('from the other tab')
    finally:
        page.driver.close()
        page.driver.switch_to.window(first)
    page.wait(lambda: page.all('#history-list button'), 'the conversation of the other tab')


@case('storage that is full or forbidden: said, and the page works on')
def _(page):
    page.open()
    page.chat()
    page.cdp('Storage.overrideQuotaForOrigin', origin=page.mock.url.rstrip('/'), quotaSize=1)
    page.say('one')
    page.wait(lambda: 'storage is full' in page.text('#banner'), 'the notice')
    assert len(page.messages()) == 2
    script = page.cdp('Page.addScriptToEvaluateOnNewDocument', source="""
        for (const name of ["localStorage", "sessionStorage", "indexedDB"]) Object.defineProperty(window, name, {
            get() { throw new DOMException("denied", "SecurityError"); } });""")
    try:
        page.open('zh-CN')
        assert '不允许页面保存数据' in page.text('#banner')
        page.click('#theme')
        assert page.one('#theme').get_attribute('aria-label') == '外观：浅色'
        page.click('#theme')
        assert page.js('return document.documentElement.dataset.theme') == 'dark'
        page.chat()
        page.say('砚')
        page.click('#chat-new')
        page.say('二')
        assert len(page.all('#history-list button')) == 2
    finally:
        page.cdp('Page.removeScriptToEvaluateOnNewDocument', identifier=script['identifier'])


# --------------------------------------------------------------------------- language and theme


@case('language and theme follow the browser, can be switched, and are remembered')
def _(page):
    page.open('zh-CN', 'dark')
    theme = 'return document.documentElement.dataset.theme'
    assert page.text('#tab-chat') == '对话' and page.js(theme) == 'dark'
    page.ask('limit')
    assert '截断' in page.text('#ask-note')
    page.click('#language')
    assert page.text('#tab-chat') == 'Conversation' and 'cut off' in page.text('#ask-note')
    assert page.text('#ask-text').startswith('An ink stone')
    page.click('#theme')
    assert page.js(theme) == 'light' and page.one('#theme').get_attribute('aria-label') == 'Theme: light'
    page.reload()
    assert page.text('#tab-chat') == 'Conversation' and page.js(theme) == 'light'
    page.click('#theme')
    assert page.js(theme) == 'dark'
    page.click('#theme')
    page.cdp('Emulation.setEmulatedMedia', features=[{'name': 'prefers-color-scheme', 'value': 'light'}])
    page.wait(lambda: page.js(theme) == 'light', 'the system theme')
    page.open('fr-FR')
    assert page.text('#tab-chat') == 'Conversation'


@case('a phone of 320 pixels: nothing is wider than the screen')
def _(page):
    for language, theme in (('en-US', 'light'), ('zh-CN', 'dark')):
        page.open(language, theme, 320, 640)
        name = '%s-%s' % (language[:2], theme)

        def narrow(what):
            wide = page.js('''
                const out = [];
                if (document.scrollingElement.scrollWidth > 320) out.push("the page");
                for (const e of document.querySelectorAll("body *")) {
                    const r = e.getBoundingClientRect();
                    if (r.width > 0 && r.right > 320.5 && e.checkVisibility({ visibilityProperty: true }) &&
                        !e.closest("pre, .table, .sr, svg")) out.push(e.tagName + "#" + e.id + "." + e.className);
                }
                return out;''')
            page.shot('phone-%s-%s' % (name, what))
            assert not wide, '%s: %s' % (what, wide)
        page.click('#tab-ask')
        narrow('ask-empty')
        page.ask('code')
        narrow('ask')
        page.chat()
        narrow('chat-empty')
        page.say('砚' + 'unbroken' * 20)
        page.say('code')
        narrow('chat')
        page.click('#history-toggle')
        page.wait(lambda: page.focus_id() == 'history-close', 'the drawer')
        time.sleep(0.4)
        narrow('history')
        page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
        assert page.focus_id() == 'history-toggle'
        time.sleep(0.4)
        page.click('#settings-open')
        narrow('settings')
        page.click('#settings-close')


# -------------------------------------------------------------------------- what a model may write


@case('an answer full of attacks is text')
def _(page):
    page.open()
    page.ask('attack')
    page.chat()
    page.say('attack')
    time.sleep(0.5)
    page.shot('attack')
    assert page.js('return window.pwned') is None
    for text in ('#ask-text', '.message.assistant .text'):
        found = page.js('''
            const e = document.querySelector(arguments[0]);
            const names = new Set([...e.querySelectorAll("*")].map((n) => n.tagName.toLowerCase()));
            const links = [...e.querySelectorAll("a")];
            const attributes = new Set([...e.querySelectorAll("*")].flatMap((n) => n.getAttributeNames()));
            return { names: [...names], links: links.map((a) => a.getAttribute("href")),
                     rel: links.map((a) => a.rel + a.target), text: e.textContent, attributes: [...attributes] };''', text)
        allowed = set('p br a code pre div span button svg use table thead tbody tr th td'.split())
        assert set(found['names']) <= allowed, found['names']
        assert not [a for a in found['attributes'] if a.startswith('on') or a in ('style', 'src', 'id')], found['attributes']
        assert all(re.match('(https://(example.org|evil.invalid)/|http://evil.invalid/|mailto:a@)', h)
                   for h in found['links']), found['links']
        assert set(found['rel']) == {'noopener noreferrer_blank'}
        assert '<img src=x onerror=alert(1)>' in found['text'] and '<script>an unclosed fence' in found['text']
        assert '[image] beacon' in found['text'] and '<script> is text too' in found['text']
    assert page.one('#settings-open').is_displayed()


def watch_frames(page):
    page.js('''window.longest = 0; let last = performance.now();
        const tick = () => { const now = performance.now(); window.longest = Math.max(window.longest, now - last);
                             last = now; window.watching = setTimeout(tick, 10); }; tick();''')


@case('a megabyte of code, of one line, of words; a thousand nested lists and quotes')
def _(page):
    page.open()
    page.chat()
    for word, end in (('huge', 'End of code.'), ('wall', 'End of wall.'), ('nested', 'End of nesting.')):
        watch_frames(page)
        begin = time.monotonic()
        page.say(word, wait=False)
        page.done('chat', 180)
        longest = page.js('clearTimeout(window.watching); return window.longest')
        print('# %s: %.1f s, the longest pause %.1f s' % (word, time.monotonic() - begin, longest / 1000))
        assert page.js('return [...document.querySelectorAll(".message .text")].pop().textContent').endswith(end)
        assert longest < 15000
        depth = page.js('''let deepest = 0;
            for (const e of [...document.querySelectorAll(".message .text")].pop().querySelectorAll("*")) {
                let d = 0; for (let n = e; n; n = n.parentElement) d++; deepest = Math.max(deepest, d); }
            return deepest;''')
        assert depth < 90, depth
        page.shot('big-' + word)
        page.click('#chat-new')


# ------------------------------------------------------------------------------------- keyboard


@case('Enter sends, Shift+Enter does not, and neither does Enter that ends a Chinese word')
def _(page):
    page.open('zh-CN')
    page.chat()
    page.one('#chat-input').click()
    page.cdp('Input.imeSetComposition', text='yan', selectionStart=3, selectionEnd=3)
    page.cdp('Input.dispatchKeyEvent', type='rawKeyDown', key='Enter', code='Enter', windowsVirtualKeyCode=13)
    page.cdp('Input.dispatchKeyEvent', type='keyUp', key='Enter', code='Enter', windowsVirtualKeyCode=13)
    time.sleep(0.2)
    assert page.mock.requests == [], 'Enter was taken while a word was composed'
    for flags in ('isComposing: true', 'keyCode: 229'):
        taken = page.js('''const e = new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true, %s });
            document.activeElement.dispatchEvent(e); return e.defaultPrevented;''' % flags)
        assert not taken, flags
    page.cdp('Input.insertText', text='砚')
    page.driver.switch_to.active_element.send_keys(Keys.SHIFT, Keys.ENTER)
    page.driver.switch_to.active_element.send_keys('二')
    assert page.mock.requests == []
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    page.done('chat')
    assert re.search('砚\n二$', page.request()['messages'][0]['content']), page.request()


@case('everything by keyboard, and the focus can be seen')
def _(page):
    page.open()
    seen = []
    for _ in range(24):
        page.driver.switch_to.active_element.send_keys(Keys.TAB)
        name = page.js('''const e = document.activeElement;
            if (e === document.body) return "body";
            const s = getComputedStyle(e);
            const visible = s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2;
            return (e.id || e.textContent) + (visible || e.id === "main" ? "" : " INVISIBLE");''')
        if name == 'body':
            break
        seen.append(name)
    assert not [n for n in seen if 'INVISIBLE' in n], seen
    wanted = ['tab-ask', 'language', 'theme', 'settings-open', 'ask-question', 'ask-clear', 'ask-submit', 'ask-output']
    places = [seen.index(n) for n in wanted]
    assert places == sorted(places), seen
    page.one('#tab-ask').send_keys(Keys.ARROW_RIGHT)
    assert page.focus_id() == 'tab-chat' and page.all('#view-chat') and not page.all('#view-ask')
    page.one('#settings-open').send_keys(Keys.ENTER)
    assert page.js('return document.activeElement.closest("dialog").id') == 'settings'
    page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    page.wait(lambda: page.focus_id() == 'settings-open', 'the focus to come back')


# ------------------------------------------------------------------------------ settings, models


@case('parameters: defaults shown, only changes sent, wrong ones not, reset')
def _(page):
    page.open()
    page.click('#settings-open')
    hint = {n: page.one('#set-' + n).get_attribute('placeholder') for n in ('temperature', 'max_tokens', 'seed', 'stop')}
    assert hint == {'temperature': 'Default: 0.8', 'max_tokens': 'Default: 1024', 'seed': 'Default: random',
                    'stop': 'Default: none'}, hint
    values = {'temperature': '0', 'top_p': '0.9', 'top_k': '40', 'repetition_penalty': '1.1', 'presence_penalty': '-0.5',
              'frequency_penalty': '0.5', 'max_tokens': '64', 'seed': '7', 'stop': 'END\n\\n\\n', 'system': 'Be brief.'}
    for name, value in values.items():
        page.one('#set-' + name).send_keys(value)
    page.shot('settings-set')
    page.click('#settings-close')
    page.ask('hello')
    body = page.request()
    assert body['messages'][0] == {'role': 'system', 'content': 'Be brief.'}
    sent = {k: v for k, v in body.items() if k not in ('model', 'messages', 'stream', 'stream_options')}
    assert sent == {'temperature': 0, 'top_p': 0.9, 'top_k': 40, 'repetition_penalty': 1.1, 'presence_penalty': -0.5,
                    'frequency_penalty': 0.5, 'max_completion_tokens': 64, 'seed': 7, 'stop': ['END', '\n\n']}, sent
    page.reload()
    page.click('#settings-open')
    field = page.one('#set-temperature')
    assert field.get_attribute('value') == '0'
    field.clear()
    field.send_keys('hot')
    assert field.get_attribute('aria-invalid') == 'true' and '0 to 2' in page.text('#temperature-hint')
    page.one('#set-top_k').send_keys(Keys.ARROW_UP)
    page.click('#settings-close')
    page.ask('hello')
    assert 'temperature' not in page.request() and page.request()['top_k'] == 41
    page.click('#settings-open')
    page.click('#settings-reset')
    assert page.one('#set-top_k').get_attribute('value') == ''
    page.click('#settings-close')
    page.ask('hello')
    assert set(page.request()) == {'model', 'messages', 'stream', 'stream_options'}


@case('several models: a choice, remembered and sent')
def _(page):
    page.mock.models = ['ernie', 'ernie-poems']
    page.open()
    page.one('#model')
    options = page.driver.find_elements(By.CSS_SELECTOR, '#model option')
    assert [o.text for o in options] == ['ernie', 'ernie-poems']
    options[1].click()
    page.reload()
    page.wait(lambda: page.one('#model').get_attribute('value') == 'ernie-poems', 'the choice')
    page.ask('hello')
    assert page.request()['model'] == 'ernie-poems'


@case('a model that only continues text')
def _(page):
    page.mock.is_chat = False
    page.open()
    page.ask('Once upon a time')
    path, headers, body = page.mock.requests[0]
    assert path == '/v1/completions' and body['prompt'] == 'Once upon a time' and 'messages' not in body
    assert page.js('return document.getElementById("ask-text").textContent') == \
        ' there was a *small* ink stone.\nIt was black.'
    page.click('#tab-chat')
    assert page.all('#chat-plain') and not page.all('#composer')
    page.shot('plain')
    page.click('#chat-plain-go')
    assert page.focus_id() == 'ask-question'


# ---------------------------------------------------------------------------------------- errors


@case('a key: asked for on 401, kept for the tab or longer, taken from the address', r'status of 401')
def _(page):
    page.mock.key = 'secret+1'
    page.open()
    page.wait(lambda: page.all('#key-input'), 'the question for a key')
    page.one('#key-input').send_keys('wrong')
    page.shot('key')
    page.click('dialog.box button[type="submit"]')
    page.wait(lambda: page.all('dialog.box') and 'did not accept' in page.text('dialog.box'), 'the question again')
    page.one('#key-input').send_keys('secret+1', Keys.ENTER)
    page.wait(lambda: not page.all('dialog.box'), 'the dialog to close')
    page.ask('hello')
    assert page.mock.requests[-1][1]['Authorization'] == 'Bearer secret+1'
    where = 'return [sessionStorage.getItem("inkstone.key"), localStorage.getItem("inkstone.key")]'
    assert page.js(where) == ['"secret+1"', None]
    page.click('#settings-open')
    page.click('#key-forget')
    page.click('#settings-close')
    assert page.js(where) == [None, None]
    page.ask('hello', wait=False)
    page.one('#key-input').send_keys('secret+1')
    page.click('#key-keep')
    page.confirm()
    page.done('ask')
    assert page.text('#ask-text').startswith('An ink stone') and page.js(where) == [None, '"secret+1"']
    page.js('localStorage.clear()')
    page.open(fragment='#key=secret%2B1')
    assert page.js('return location.href') == page.mock.url and page.js(where) == ['"secret+1"', None]
    page.ask('hello')
    assert page.text('#ask-text').startswith('An ink stone')


@case('429: a countdown and a retry', r'status of 429')
def _(page):
    page.mock.retry_after = 4
    page.mock.busy_left = 2
    page.open('zh-CN')
    page.ask('busy')
    assert '服务器正忙' in page.text('#ask-error')
    first = page.text('#ask-error .countdown')
    assert re.search('大约 [34] 秒', first), first
    page.wait(lambda: page.text('#ask-error .countdown') not in ('', first), 'the countdown')
    page.shot('busy')
    page.wait(lambda: '现在可以重试' in page.text('#ask-error .countdown'), 'the end of the countdown')
    page.mock.busy_left = 0
    page.click('#ask-error .retry')
    page.done('ask')
    assert page.text('#ask-text').startswith('An ink stone') and page.text('#ask-error') == ''


@case('errors in plain words: too long, draining', r'status of (400|503)')
def _(page):
    page.open()
    page.ask('long question')
    assert 'Shorten the question' in page.text('#ask-error')
    page.click('#ask-error summary')
    assert '400 context_length_exceeded: The prompt has 5000 tokens' in page.text('#ask-error')
    page.shot('too-long')
    page.ask('draining')
    assert 'about to stop' in page.text('#ask-error')
    page.click('#language')
    assert '正要停止' in page.text('#ask-error')
    assert 'about to stop' in page.js('return document.getElementById("live").textContent')


@case('an error in mid-stream, and a connection that is cut: what came stays', r'ERR_|net::')
def _(page):
    page.open()
    page.chat()
    page.say('broken')
    assert page.messages()[1].startswith('An ink stone') and 'out of memory' in page.text('.message .error')
    page.click('#chat-new')
    page.say('cut')
    assert page.messages()[1].startswith('An ink stone') and 'connection was lost' in page.text('.message .error')
    page.shot('cut')
    page.click('.message .retry')
    page.done('chat')
    assert page.messages()[1].endswith('all there is to it.') and not page.all('.message .error')


@case('the server is gone: said so, and found again', r'ERR_|net::')
def _(page):
    page.open()
    port = page.mock.server_address[1]
    page.mock.is_gone = True
    page.mock.shutdown()
    page.mock.server_close()
    page.ask('hello')
    assert 'cannot be reached' in page.text('#ask-error')
    page.mock = page_mock.Mock(port)
    page.click('#ask-error .retry')
    page.done('ask')
    assert page.text('#ask-text').startswith('An ink stone')


# --------------------------------------------------------------------------------- accessibility


def scan(page, what):
    page.js(open(AXE, encoding='utf-8').read())
    result = page.driver.execute_async_script('''
        const done = arguments[0];
        axe.run(document, { resultTypes: ["violations"] }).then(
            (r) => done(r.violations.filter((v) => ["serious", "critical", "moderate"].includes(v.impact))
                .map((v) => v.id + ": " + v.nodes.map((n) => n.target.join(" ") + " " + (n.any[0] || {}).message).slice(0, 3).join("; "))),
            (e) => done(["axe: " + e]));''')
    assert not result, '%s: %s' % (what, result)


@case('accessibility: axe finds nothing, in both themes', r'status of 503')
def _(page):
    if not os.path.isfile(AXE):
        raise Skip('no axe-core: INKSTONE_AXE names its axe.min.js')
    page.driver.set_script_timeout(PATIENCE)
    for language, theme in (('en-US', 'light'), ('zh-CN', 'dark')):
        page.open(language, theme)
        name = '%s %s ' % (language, theme)
        page.click('#tab-ask')
        scan(page, name + 'ask, empty')
        page.ask('code 中')
        scan(page, name + 'ask')
        page.chat()
        page.click('#chat-new')
        scan(page, name + 'chat, empty')
        page.say('砚')
        page.say('code')
        page.all('.edit')[0].click()
        scan(page, name + 'chat, editing')
        page.shot('chat-%s-%s' % (language[:2], theme))
        page.say('draining')
        scan(page, name + 'chat, an error')
        page.click('#settings-open')
        page.one('#set-temperature').send_keys('x')
        scan(page, name + 'settings')
        page.shot('settings-%s-%s' % (language[:2], theme))
        page.click('#settings-close')
        page.click('#chat-delete')
        scan(page, name + 'dialog')
        page.click('dialog.box button[type="button"]')


# ------------------------------------------------------------------------------ inkstone itself

STORIES = os.path.join(page_mock.TOP, 'models', 'stories260K')
MICRO = os.path.join(os.environ.get('INKSTONE_SHARED', '/nowhere'), 'fixtures', 'ernie-micro')


class Inkstone:
    """inkstone serve of a model, on a port of its own, as long as a with statement lasts."""

    def __init__(self, page, model, *options):
        program = os.environ.get('INKSTONE', '')
        if not os.access(program, os.X_OK):
            raise Skip('inkstone is not built')
        if not os.path.exists(model):
            raise Skip('no ' + model)
        environment = {k: v for k, v in os.environ.items() if not k.startswith('INKSTONE')}
        environment.update(LC_ALL='C')
        self.log = tempfile.TemporaryFile('w+')
        self.process = subprocess.Popen([program, 'serve', model, '--port', '0', *options], stderr=self.log,
                                        stdout=self.log, env=environment)
        self.page = page

    def __enter__(self):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self.log.seek(0)
            text = self.log.read()
            found = re.search(r'http://127\.0\.0\.1:\d+', text)
            if found:
                self.page.hosts = [found.group() + '/']
                return found.group() + '/'
            if self.process.poll() is not None:
                if re.search('without|not built|libmicrohttpd', text):
                    raise Skip('inkstone is built without serve')
                break
            time.sleep(0.05)
        raise AssertionError('inkstone serve did not start: ' + text)

    def __exit__(self, *_):
        self.page.driver.get('about:blank')
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()


@case('inkstone serve: a text is continued, with a key, until its limit, stopped, too long', r'status of (400|401)')
def _(page):
    with Inkstone(page, STORIES, '--api-key', 'key-of-test', '--model-name', 'tiny') as url:
        page.open('zh-CN', url=url)
        page.wait(lambda: page.all('#key-input'), 'the question for a key')
        page.one('#key-input').send_keys('key-of-test')
        page.confirm()
        page.wait(lambda: page.text('#model-name') == 'tiny', 'the name of the model')
        page.ask('Once upon a time')
        assert re.match(', there was a ', page.js('return document.getElementById("ask-text").textContent'))
        assert re.match(r'\d+ 个词元 · 每秒 [\d.,]+ 个词元 · .*读入 5 个', page.text('#ask-stats')), page.text('#ask-stats')
        page.click('#settings-open')
        assert page.one('#set-temperature').get_attribute('placeholder') == '默认：0'
        for name, value in (('max_tokens', '5'), ('temperature', '1'), ('top_p', '0.9'), ('top_k', '40'), ('seed', '3'),
                            ('repetition_penalty', '1.1'), ('presence_penalty', '0.1'), ('frequency_penalty', '0.1'),
                            ('stop', 'unlikely\n\\n\\n\\n')):
            page.one('#set-' + name).send_keys(value)
        page.click('#settings-close')
        page.ask('Once upon a time')
        assert page.text('#ask-error') == '' and page.text('#ask-stats').startswith('5 个词元'), page.text('#ask-output')
        assert '截断' in page.text('#ask-note')
        first = page.text('#ask-text')
        page.ask('Once upon a time')
        assert page.text('#ask-text') == first  # the same seed
        page.ask('word ' * 900)
        assert '超过了模型能读的长度' in page.text('#ask-error')
        page.click('#tab-chat')
        assert '只会续写' in page.text('#chat-plain')
        page.open('zh-CN', url=url, fragment='#key=key-of-test', width=320, height=640)
        assert page.js('return document.scrollingElement.scrollWidth') == 320
        page.shot('real-stories')


@case('inkstone serve: a conversation with a model that has a chat template')
def _(page):
    with Inkstone(page, MICRO, '--template', 'chat', '--max-new-tokens', '80') as url:
        page.open('zh-CN', url=url)
        page.chat()
        page.say('你好')
        assert len(page.messages()) == 2 and page.messages()[1] != ''
        assert '80 个词元' in page.text('.message.assistant .stats')
        page.say('再说一遍', wait=False)
        page.wait(lambda: len(page.messages()) == 4 and page.messages()[3] != '', 'some text')
        page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
        page.done('chat')
        page.last('.regenerate').click()
        page.done('chat')
        page.all('.message.user .edit')[0].click()
        page.one('.editor textarea').send_keys('，砚', Keys.ENTER)
        page.done('chat')
        assert len(page.messages()) == 2 and page.messages()[0] == '你好，砚'
        page.shot('real-micro')
        page.reload()
        assert page.messages()[0] == '你好，砚'


def run():
    only = os.environ.get('INKSTONE_CASES', '')
    cases = [c for c in CASES if only in c[0]]
    failed = 0
    print('1..%d' % len(cases))
    driver = start_browser()
    with tempfile.TemporaryDirectory() as downloads:
        try:
            driver.execute_cdp_cmd('Browser.setDownloadBehavior', {'behavior': 'allow', 'downloadPath': downloads})
            driver.execute_cdp_cmd('Network.enable', {})
            for i, (name, function, allowed) in enumerate(cases, 1):
                page = Page(driver, downloads)
                begin = time.monotonic()
                try:
                    function(page)
                    page.check_logs(allowed)
                    print('ok %d - %s' % (i, name))
                except Skip as reason:
                    print('ok %d - %s # SKIP %s' % (i, name, reason))
                except Exception:  # whatever it is, the other cases go on
                    failed += 1
                    for line in traceback.format_exc().splitlines():
                        print('# ' + line)
                    page.shot('failed-%d' % i)
                    print('not ok %d - %s' % (i, name))
                    driver.get('about:blank')
                    driver.get_log('browser')
                    driver.get_log('performance')
                print('# %.1f s' % (time.monotonic() - begin), flush=True)
                page.mock.shutdown()
                page.mock.server_close()
        finally:
            driver.quit()
    return failed


if __name__ == '__main__':
    sys.exit(1 if run() else 0)
