"""Raw bytes to tests/http_server and what comes back, as TAP. Run by tests/check_http_wire.

One line per case: the status that was seen ("cut": the connection ended without one)."""
import atexit
import json
import os
import resource
import select
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time

SERVER = os.environ.get("HTTP_SERVER", "tests/http_server")
SLOW = float(os.environ.get("HTTP_SLOW", "3"))  # times this much as long are allowed

results = []


def report(ok, name, seen=""):
    results.append(bool(ok))
    text = f"{name}" + (f": {seen}" if seen != "" else "")
    print(("ok" if ok else "not ok"), len(results), "-", text.replace("\n", " "), flush=True)


class Server:
    def __init__(self, *options, limit=None, passed=()):
        def before():
            if limit:
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [SERVER, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
            text=True, preexec_fn=before, pass_fds=passed)
        self.address = self.process.stdout.readline().strip()
        self.port = int(self.address.rsplit(":", 1)[1]) if "//" in self.address else 0
        atexit.register(self.process.kill)

    def connect(self, timeout=10.0):
        s = socket.create_connection(("127.0.0.1", self.port), timeout * SLOW)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def stop(self):
        """What it says at its end, and its exit status."""
        out, _ = self.process.communicate(timeout=60 * SLOW)
        self.log.seek(0)
        return out, self.process.returncode, self.log.read()

    def lines(self, what):
        """How many lines of its log have that."""
        return os.pread(self.log.fileno(), 1 << 24, 0).decode().count(what)

    def state(self):
        return json.loads(ask(self, b"GET /state HTTP/1.1\r\nHost: localhost\r\n\r\n").body)


class Answer:
    def __init__(self, head, body, ended):
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        self.status = int(words[1]) if len(words) > 1 and words[1].isdigit() else "cut"
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers.setdefault(name.lower(), []).append(value.strip())
        self.body, self.ended = body, ended

    def get(self, name):
        return ", ".join(self.headers.get(name, []))


def read_answer(s, is_head=False, until_end=False):
    """One answer; `ended`: the server closed the connection after it."""
    data = b""

    def more():
        nonlocal data
        try:
            piece = s.recv(65536)
        except (ConnectionError, socket.timeout):
            piece = b""
        data += piece
        return piece != b""

    while b"\r\n\r\n" not in data:
        if not more():
            return Answer(data, b"", True)
    head, _, rest = data.partition(b"\r\n\r\n")
    answer = Answer(head, b"", False)
    if answer.status == 100:
        data = rest
        while b"\r\n\r\n" not in data:
            if not more():
                return Answer(data, b"", True)
        head, _, rest = data.partition(b"\r\n\r\n")
        answer = Answer(head, b"", False)
    data = rest
    if not is_head and (until_end or "transfer-encoding" in answer.headers):
        while until_end or not data.endswith(b"0\r\n\r\n"):
            if not more():
                answer.ended = True
                break
    elif not is_head and answer.status not in (204, 304):
        need = int(answer.get("content-length") or 0)
        while len(data) < need and more():
            pass
    answer.body = data
    if answer.get("connection") == "close":
        answer.ended = not more()
    return answer


def ask(server, raw, **how):
    with server.connect() as s:
        try:
            s.sendall(raw)
        except ConnectionError:
            pass
        return read_answer(s, **how)


def code_of(answer):
    try:
        return json.loads(answer.body)["error"]["code"]
    except (ValueError, KeyError, TypeError):
        return None


def get(path="/hello", host="localhost", extra=b"", method=b"GET", version=b"HTTP/1.1"):
    path, host = path.encode("latin-1"), host.encode("latin-1")
    return method + b" " + path + b" " + version + b"\r\nHost: " + host + b"\r\n" + extra + b"\r\n"


def post(body=b"{}", extra=b"", path=b"/echo", length=None, kind=b"application/json"):
    length = str(len(body)).encode() if length is None else length
    return (b"POST " + path + b" HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + kind +
            b"\r\nContent-Length: " + length + b"\r\n" + extra + b"\r\n" + body)


def chunked(body, extra=b""):
    return (b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n" + extra + b"\r\n" + body)


def table(server, group, cases):
    """(name, bytes, allowed statuses or (status, code), what else must hold of the answer)"""
    for name, raw, expected, *checks in cases:
        answer = ask(server, raw, is_head=raw.startswith(b"HEAD"))
        seen = answer.status
        allowed = expected if isinstance(expected, tuple) else (expected,)
        ok = seen in allowed
        if isinstance(expected, tuple) and isinstance(expected[1], str) and expected[1] != "cut":
            ok = ok and code_of(answer) == expected[1]
        ok = ok and all(check(answer) for check in checks)
        code = code_of(answer)
        report(ok, f"{group} {name}", f"{seen}" + (f" {code}" if code else "") +
               (", closed" if answer.ended else "") + ("" if ok else f" (expected {expected})"))


closed = lambda a: a.ended
json_error = lambda a: a.get("content-type") == "application/json" and code_of(a) is not None
no_body = lambda a: a.body == b""


def check_wire():
    s = Server()
    h = b"Host: localhost\r\n"
    framed = (json_error, closed)
    table(s, "D17", [
        ("plain GET", get(), 200),
        ("two different Content-Length", post(extra=b"Content-Length: 3\r\n"), 400, *framed),
        ("the same Content-Length twice", post(extra=b"Content-Length: 2\r\n"), 400, *framed),
        ("Content-Length and Transfer-Encoding", chunked(b"0\r\n\r\n", b"Content-Length: 5\r\n"),
         400, *framed),
        ("Transfer-Encoding twice", chunked(b"0\r\n\r\n", b"Transfer-Encoding: chunked\r\n"), 400,
         *framed),
        ("Transfer-Encoding: gzip, chunked", chunked(b"0\r\n\r\n").replace(
            b": chunked", b": gzip, chunked"), 501, *framed),
        ("Transfer-Encoding in HTTP/1.0", chunked(b"0\r\n\r\n").replace(b"/1.1", b"/1.0"), 400,
         *framed),
        ("Content-Length +5", post(b"12345", length=b"+5"), 400, closed),
        ("Content-Length -5", post(b"12345", length=b"-5"), 400, closed),
        ("Content-Length 2^64", post(b"12345", length=b"18446744073709551616"), 413, closed),
        ("Content-Length 5,5", post(b"12345", length=b"5,5"), 400, closed),
        ("no Host", b"GET /hello HTTP/1.1\r\n\r\n", 400, *framed),
        ("no Host in HTTP/1.0", b"GET /hello HTTP/1.0\r\n\r\n", 400, *framed),
        ("two Hosts", get(extra=h), 400, *framed),
        ("Host : x", b"GET /hello HTTP/1.1\r\nHost : localhost\r\n\r\n", 400, *framed),
        ("empty Host", get(host=""), 400, *framed),
        ("folded header", get(extra=b"X-A: 1\r\n 2\r\n"), 400, *framed),
        ("folded header with tab", get(extra=b"X-A: 1\r\n\t2\r\nX-B: 3\r\n"), 400, *framed),
        ("folded first header", b"GET /hello HTTP/1.1\r\n Host: localhost\r\n\r\n", (400, "cut")),
        ("folded Host", b"GET /hello HTTP/1.1\r\nHost:\r\n localhost\r\n\r\n", 400, *framed),
        ("lone LF after a header", get(extra=b"X-A: 1\n"), 400, *framed),
        ("lone LF after the first line", b"GET /hello HTTP/1.1\n" + h + b"\r\n", 400, *framed),
        ("lone LF at the end", b"GET /hello HTTP/1.1\r\n" + h + b"\n", 400, *framed),
        ("lone LF everywhere", b"GET /hello HTTP/1.1\nHost: localhost\n\n", 400, *framed),
        ("CR in a value", get(extra=b"X-A: 1\r2\r\n"), 400, *framed),
        ("zero byte in a value", get(extra=b"X-A: 1\x002\r\n"), 400, *framed),
        ("zero byte in a name", get(extra=b"X\x00A: 1\r\n"), 400, closed),
        ("zero byte in the address", get("/hel\x00lo"), 400, closed),
        ("header without a colon", get(extra=b"nonsense\r\n"), 400, closed),
        ("header without a name", get(extra=b": x\r\n"), 400, *framed),
        ("header name with a blank", get(extra=b"X A: 1\r\n"), 400, *framed),
        ("%00", get("/hello%00"), 400, json_error),
        ("%0a", get("/hello%0a"), 400, json_error),
        ("%2e%2e%2f", get("/files/%2e%2e%2fetc"), 400, json_error),
        ("%2e%2e/", get("/files/%2e%2e/etc"), 400, json_error),
        ("../", get("/files/../etc"), 400, json_error),
        ("./", get("/files/./etc"), 400, json_error),
        ("..\\", get("/files/..\\etc"), 400, json_error),
        ("%5c", get("/files/..%5cetc"), 400, json_error),
        ("//etc", get("//etc"), 400, json_error),
        ("%zz", get("/hello%zz"), 400, json_error),
        ("invalid UTF-8", get("/files/%ff%fe"), 400, json_error),
        ("overlong UTF-8", get("/files/%c0%af"), 400, json_error),
        ("raw UTF-8", get("/files/\xe7\xa0\x9a"), 400, json_error),
        ("encoded UTF-8", get("/files/%e7%a0%9a"), 200),
        ("a blank in the address", get("/hel lo"), 400, closed),
        ("absolute form", b"GET http://localhost/hello HTTP/1.1\r\n" + h + b"\r\n", 400, json_error),
        ("asterisk form", b"OPTIONS * HTTP/1.1\r\n" + h + b"\r\n", 400, json_error),
        ("authority form", b"CONNECT localhost:80 HTTP/1.1\r\n" + h + b"\r\n", 400, json_error),
        ("fragment", get("/hello#x"), 400, json_error),
        ("HTTP/0.9", b"GET /hello\r\n\r\n", (400, "cut", 505), closed),
        ("HTTP/9.9", get(version=b"HTTP/9.9"), 505, closed),
        ("HTTP/1.1x", get(version=b"HTTP/1.1x"), 400, closed),
        ("http/1.1", get(version=b"http/1.1"), 400, closed),
        ("empty lines first", b"\r\n\r\n" + get(), 200),
        ("40 KB header", get(extra=b"X-A: " + b"a" * 40000 + b"\r\n"), 431, closed),
        ("40 KB address", get("/" + "a" * 40000), 414, closed),
        ("5000 headers", get(extra=b"X: 1\r\n" * 5000), 431, closed),
        ("101 headers", get(extra=b"X: 1\r\n" * 100), 431, *framed),
        ("100 headers", get(extra=b"X: 1\r\n" * 99), 200),
        ("8 KB header", get(extra=b"X-A: " + b"a" * 8000 + b"\r\n"), 200),
        ("100 arguments", get("/hello?" + "a&" * 100), 400, json_error),
        ("good chunks", chunked(b"3\r\n[1,\r\n2;x=y\r\n2]\r\n0\r\n\r\n"), 200,
         lambda a: a.body == b"[1,2]"),
        ("trailer", chunked(b"2\r\n{}\r\n0\r\nX-T: 1\r\n\r\n"), 200),
        ("bad chunk size", chunked(b"zz\r\n{}\r\n0\r\n\r\n"), 400, closed),
        ("empty chunk size", chunked(b"\r\n{}\r\n0\r\n\r\n"), 400, closed),
        ("negative chunk", chunked(b"-2\r\n{}\r\n0\r\n\r\n"), 400, closed),
        ("0x chunk", chunked(b"0x2\r\n{}\r\n0\r\n\r\n"), 400, closed),
        ("chunk without its end", chunked(b"2\r\n{}xx\r\n0\r\n\r\n"), 400, closed),
        ("huge chunk", chunked(b"fffffffffffffffff\r\n{}\r\n0\r\n\r\n"), 413, closed),
        ("chunks over the limit", chunked(b"186a1\r\n" + b"x" * 100001 + b"\r\n0\r\n\r\n"), 413,
         *framed),
        ("endless chunks", chunked(b"1000\r\n" + b"x" * 4096 + b"\r\n" + (
            b"1000\r\n" + b"x" * 4096 + b"\r\n") * 100), (413, "cut"), closed),
        ("chunks to a GET", get(extra=b"Transfer-Encoding: chunked\r\n"), 400, *framed),
        ("body to a GET", get(extra=b"Content-Length: 2\r\n") + b"{}", 400, *framed),
        ("Content-Length: 0 to a GET", get(extra=b"Content-Length: 0\r\n"), 200),
        ("Expect: 100-continue", post(extra=b"Expect: 100-continue\r\n"), 200),
        ("Expect: 100-continue, no body", post(b"", b"Expect: 100-continue\r\n"), 200),
        ("Expect: 100-continue to a GET", get(extra=b"Expect: 100-continue\r\n"), 200),
        ("Expect: something", post(extra=b"Expect: tea\r\n"), 417, *framed),
        ("HEAD", get(method=b"HEAD"), 200, no_body, lambda a: a.get("content-length") == "6"),
        ("HEAD of a stream", get("/stream", method=b"HEAD"), 200, no_body),
        ("HEAD of nothing", get("/nothing", method=b"HEAD"), 404, no_body),
        ("HEAD to a POST route", get("/echo", method=b"HEAD"), 405, no_body),
        ("OPTIONS", get(method=b"OPTIONS"), 405, json_error, lambda a: a.get("allow") ==
         "GET, HEAD"),
        ("TRACE", get(method=b"TRACE"), 405, json_error),
        ("DELETE to a POST route", get("/echo", method=b"DELETE"), 405, lambda a: a.get("allow") ==
         "POST"),
        ("unknown method", get("/secret", method=b"BREW"), 405, lambda a: a.get("allow") ==
         "GET, HEAD, POST"),
        ("a method of 300 letters", get(method=b"A" * 300), 405),
        ("a method with a bracket", get(method=b"G(T"), 400, *framed),
        ("lower-case method", get(method=b"get"), 405),
        ("unknown method, unknown path", get("/nothing", method=b"BREW"), 404, json_error),
        ("unknown path", get("/nothing"), (404, "not_found")),
        ("POST to a GET route", post(path=b"/hello"), 405, closed),
        ("gzip body", post(extra=b"Content-Encoding: gzip\r\n"), 415, *framed),
        ("Content-Encoding: identity", post(extra=b"Content-Encoding: identity\r\n"), 200),
        ("multipart", post(kind=b"multipart/form-data; boundary=x"), 415, *framed),
        ("text/plain", post(kind=b"text/plain"), 415, *framed),
        ("application/x-www-form-urlencoded", post(kind=b"application/x-www-form-urlencoded"), 415),
        ("application/jsonp", post(kind=b"application/jsonp"), 415),
        ("charset=utf-8", post(kind=b"Application/JSON ; Charset=UTF-8"), 200),
        ('charset="utf-8"', post(kind=b'application/json;charset="utf-8"'), 200),
        ("charset=gbk", post(kind=b"application/json; charset=gbk"), 415),
        ("no Content-Type", post().replace(b"Content-Type: application/json\r\n", b""), 415),
        ("two Content-Types", post(extra=b"Content-Type: text/plain\r\n"), 400, *framed),
        ("a body behind a missing key", post(path=b"/secret"), 401, closed),
        ("a body to an unknown path", post(path=b"/nothing"), 404, closed),
        ("body at the limit", post(b"x" * 100000), 200),
        ("body over the limit", post(b"", length=b"100001"), 413, *framed),
        ("body over the limit, Expect", post(b"", b"Expect: 100-continue\r\n", length=b"100001"),
         413, *framed),
        ("blank after a value", get("/show", extra=b"X-Toy: a b \t\r\n"), 200,
         lambda a: b"x-toy=a b peer" in a.body),
        ("tab before a value", get("/show", extra=b"X-Toy:\tab\r\n"), 200,
         lambda a: b"x-toy=ab peer" in a.body),
        ("no blank before a value", get("/show", extra=b"X-Toy:ab\r\n"), 200,
         lambda a: b"x-toy=ab peer" in a.body),
        ("empty value", get("/show", extra=b"X-Toy:\r\n"), 200,
         lambda a: b"x-toy= peer" in a.body),
        ("obs-text in a value", get("/show", extra=b"X-Toy: \xe7\xa0\x9a\r\n"), 200),
        ("cookie", get(extra=b"Cookie: a=b; c=d\r\nX-A: 1\r\n"), 200),
        ("argument", get("/show?a=1%202+3&b"), 200, lambda a: b"a=1 2 3 x-toy" in a.body),
        ("rest of a path", get("/files/a/b"), 200, lambda a: b"rest=a/b " in a.body),
    ])
    with s.connect() as c:  # it sends no body before it is told to
        c.sendall(post(b"", b"Expect: 100-continue\r\n", length=b"2"))
        told = c.recv(65536)
        c.sendall(b"{}")
        a = read_answer(c)
    report(told == b"HTTP/1.1 100 Continue\r\n\r\n" and a.status == 200 and a.body == b"{}",
           "D17 Expect: 100-continue, the body when asked for", told.split(b"\r\n")[0].decode())
    # one byte at a time, and the head in every two parts
    raw = get("/show?a=b", extra=b"X-Toy: slow\r\nX-B: 2\r\n")
    seen = set()
    for cut in range(1, len(raw)):
        with s.connect() as c:
            c.sendall(raw[:cut])
            time.sleep(0.002)
            c.sendall(raw[cut:])
            seen.add(read_answer(c).status)
    report(seen == {200}, "D17 a head cut in two, anywhere", seen)
    with s.connect() as c:
        for byte in raw:
            c.sendall(bytes([byte]))
        seen = read_answer(c).status
    report(seen == 200, "D17 a head byte by byte", seen)
    # pipelining
    with s.connect() as c:
        c.sendall(get() * 100)
        c.settimeout(3 * SLOW)
        data = b""
        while data.count(b"HTTP/1.1 200") < 100 or not data.endswith(b"hello\n"):
            piece = c.recv(65536)
            if not piece:
                break
            data += piece
    report(data.count(b"HTTP/1.1 200") == 100, "D17 100 in a pipeline", data.count(b"HTTP/1.1 200"))
    before = s.state()["gone"]
    with s.connect() as c:
        c.sendall(get("/slow?ms=100") * 3 + get())
        data, end = b"", time.time() + 5 * SLOW
        while data.count(b"HTTP/1.1 200") < 4 and time.time() < end:
            data += c.recv(65536)
    gone = s.state()["gone"] - before
    report(data.count(b"slow\n") == 3 and gone == 0, "D17 slow ones in a pipeline: nobody left",
           f"{data.count(b'HTTP/1.1 200')} answers, {gone} gone")
    with s.connect() as c:
        c.sendall(get() + b"BAD\r\n\r\n" + get())
        first = read_answer(c)
        rest = c.recv(65536)
        report(first.status == 200 and b" 200 " not in rest, "D17 nothing is read after an error")
    for name, raw in [("body", post(b"", length=b"4000000")),
                      ("type", post(b"", length=b"4000000", kind=b"text/plain"))]:
        with s.connect() as c:  # a client that sends all of it before it listens
            try:
                c.sendall(raw + b"x" * 4000000)
                seen = read_answer(c).status
            except ConnectionError:
                seen = "reset"
        report(seen in (413, 415), f"D17 4 MB behind a wrong {name}: the answer arrives", seen)
    with s.connect() as c:
        c.sendall(chunked(b"2\r\n{}\r\n0\r\n\r\n") + get())
        first, rest = read_answer(c), b""
        report(first.status == 200 and first.ended, "D17 nothing is read behind a body in chunks")
    # every answer's headers
    for name, raw in [("an answer", get()), ("an error", get("/nothing")),
                      ("a refusal", post(kind=b"text/plain")), ("a stream", get("/stream"))]:
        a = ask(s, raw)
        want = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer",
                "x-frame-options": "DENY", "cross-origin-resource-policy": "same-origin"}
        bad = [k for k, v in want.items() if a.get(k) != v]
        bad += [] if len(a.get("x-request-id")) == 24 else ["x-request-id"]
        bad += ["server"] if "server" in a.headers else []
        cache = "no-cache" if name == "a stream" else "no-store"
        bad += [] if a.get("cache-control") == cache else ["cache-control"]
        bad += [k for k in a.headers if k.startswith("access-control")]
        report(not bad, f"headers of {name}", " ".join(bad) or "all")
    a = ask(s, get("/show"))
    report(a.get("cache-control") == "max-age=60" and a.get("x-toy") == "yes",
           "a handler's own headers", a.get("cache-control"))
    for sent, kept in [("abc-1.2_3", True), ("x" * 64, True), ("x" * 65, False), ("a b", False),
                       ("", False), ("<script>", False)]:
        got = ask(s, get(extra=b"X-Request-Id: " + sent.encode() + b"\r\n")).get("x-request-id")
        report((got == sent) == kept, f"X-Request-Id {sent[:12]!r}, {len(sent)} bytes",
               "echoed" if got == sent else "made anew")
    a = ask(s, get("/stream", version=b"HTTP/1.0"), until_end=True)
    report(a.status == 200 and a.ended and a.body.endswith(b"data: 4\n\n"), "a stream in HTTP/1.0",
           a.status)
    a = ask(s, get("/stream?whole=0"))
    report(a.status == 200 and a.ended and not a.body.endswith(b"0\r\n\r\n"),
           "a stream that breaks off has no last chunk", a.status)
    out, status, log = s.stop()
    report(status == 0 and "connections 0" in out, "ends well", out.splitlines()[0])
    lines = [line for line in log.splitlines() if line.startswith("info request ")]
    report(len(lines) > 100 and all(line.count("=") == 7 for line in lines) and
           "sanitizer" not in log.lower(), "one line of log an answer", len(lines))


def check_trust():
    s = Server("host=ink.example", "host=other.example:8080", "origin=https://app.example")
    port = str(s.port)
    good = ["localhost", "LOCALHOST", "localhost.", "localhost:" + port, "127.0.0.1",
            "127.0.0.1:" + port, "127.9.8.7", "[::1]", "[::1]:" + port, "[0:0:0:0:0:0:0:1]",
            "ink.example", "INK.example.:1234", "other.example:8080"]
    bad = ["evil.example", "localhost.evil.example", "localhost:1", "localhost.localdomain",
           "2130706433", "0x7f000001", "127.1", "0177.0.0.1", "127.0.0.01", "127.0.0.256",
           "127.0.0.1.evil.example", "0.0.0.0", "[::]", "[::ffff:127.0.0.1]", "192.168.1.1",
           "other.example", "other.example:81", "xn--ink.example"]
    broken = ["localhost:", "localhost:0", "localhost:99999", "localhost:8o", "a@localhost",
              "local host", "localhost/", "[::1", "::1", "localhost:80:80", "[localhost]", "."]
    table(s, "E20 Host", [(x, get(host=x), 200) for x in good] +
          [(x, get(host=x), (403, "host_not_allowed"), json_error) for x in bad] +
          [(x or "(empty)", get(host=x), (400, 403)) for x in broken])

    def origin(value, more=b"", method=b"GET", path="/hello", host="localhost:" + port):
        return get(path, host, b"Origin: " + value.encode() + b"\r\n" + more, method)

    no_cors = lambda a: not any(k.startswith("access-control") for k in a.headers)
    own = ["http://localhost:" + port, "https://localhost:" + port, "http://127.0.0.1:" + port,
           "http://[::1]:" + port]
    foreign = ["null", "http://evil.example", "http://localhost.evil", "http://127.0.0.1:1",
               "http://localhost", "https://localhost", "file://", "", "http://",
               "https://app.example.evil", "https://app.example:444", "http://app.example",
               "https://APP.example", "ftp://localhost:" + port, "http://x@localhost:" + port,
               "http://localhost:" + port + "/", "chrome-extension://abc"]
    table(s, "E21 Origin", [(x, origin(x), 200, no_cors) for x in own] +
          [(x or "(empty)", origin(x), (403, "origin_not_allowed"), no_cors) for x in foreign] + [
        ("of the same name behind a proxy", origin("https://ink.example", host="ink.example"), 200,
         no_cors),
        ("of another name behind a proxy", origin("https://ink.example", host="localhost"), 403),
        ("listed", origin("https://app.example"), 200,
         lambda a: a.get("access-control-allow-origin") == "https://app.example" and
         a.get("vary") == "Origin" and "retry-after" in a.get("access-control-expose-headers") and
         "access-control-allow-credentials" not in a.headers),
        ("listed, an error", origin("https://app.example", path="/secret"), 401,
         lambda a: a.get("access-control-allow-origin") == "https://app.example"),
        ("twice", origin("https://app.example", b"Origin: http://evil.example\r\n"), 400),
        ("preflight, listed", origin(
            "https://app.example", b"Access-Control-Request-Method: POST\r\n"
            b"Access-Control-Request-Headers: content-type\r\n", b"OPTIONS", "/secret"), 204,
         no_body, lambda a: a.get("access-control-allow-origin") == "https://app.example" and
         a.get("access-control-allow-methods") == "GET, POST" and
         a.get("access-control-allow-headers") == "authorization, *" and
         "access-control-allow-credentials" not in a.headers),
        ("preflight, evil", origin("http://evil.example",
                                   b"Access-Control-Request-Method: POST\r\n", b"OPTIONS"),
         (403, "origin_not_allowed"), no_cors),
        ("preflight, own", origin("http://localhost:" + port,
                                  b"Access-Control-Request-Method: POST\r\n", b"OPTIONS"), 405,
         no_cors),
        ("preflight, no such path", origin("https://app.example",
                                           b"Access-Control-Request-Method: POST\r\n", b"OPTIONS",
                                           "/nothing"), 404),
        ("simple request of an evil page", post(
            extra=b"Origin: http://evil.example\r\n", kind=b"text/plain"), 403),
        ("simple request without Origin", post(kind=b"text/plain"), 415),
        ("Sec-Fetch-Site: cross-site, GET", get(extra=b"Sec-Fetch-Site: cross-site\r\n"), 200),
        ("Sec-Fetch-Site: cross-site, POST", post(extra=b"Sec-Fetch-Site: cross-site\r\n"),
         (403, "origin_not_allowed")),
        ("Sec-Fetch-Site: cross-site, POST, listed", post(
            extra=b"Sec-Fetch-Site: cross-site\r\nOrigin: https://app.example\r\n"), 200),
        ("Sec-Fetch-Site: same-origin, POST", post(extra=b"Sec-Fetch-Site: same-origin\r\n"), 200),
    ])
    key = b"Authorization: Bearer open-sesame\r\n"
    table(s, "E23", [
        ("no key", get("/secret"), (401, "invalid_api_key"), lambda a: a.get("www-authenticate") ==
         "Bearer"),
        ("wrong key", get("/secret", extra=b"Authorization: Bearer open-sesamf\r\n"), 401),
        ("wrong length", get("/secret", extra=b"Authorization: Bearer open\r\n"), 401),
        ("no Bearer", get("/secret", extra=b"Authorization: open-sesame\r\n"), 401),
        ("right key", get("/secret", extra=key), 200),
        ("two keys", get("/secret", extra=key + key), 400),
        ("key in the address", get("/secret?api_key=open-sesame", extra=key),
         (400, "key_in_address")),
        ("key in the address, short", get("/hello?key=open-sesame"), (400, "key_in_address")),
        ("key in the address, encoded", get("/hello?%6bey=open-sesame"), (400, "key_in_address")),
        ("public route without a key", get(), 200),
        ("HEAD without a key", get("/secret", method=b"HEAD"), 401, no_body),
    ])
    out, status, log = s.stop()
    report("sesame" not in log and "?" not in log, "E23 no key and no query in the log")
    report(status == 0, "ends well", out.splitlines()[0])
    if os.path.exists("/proc/net/route"):
        s = Server("listen=0.0.0.0")
        name = socket.create_connection
        a = ask(s, get(host="127.0.0.1"))
        b = ask(s, get(host="0.0.0.0"))
        report((a.status, b.status) == (200, 403), "E20 a wildcard address is no name",
               f"{a.status}, {b.status}")
        s.stop()


def lasts(call):
    start = time.time()
    value = call()
    return value, time.time() - start


def drip(s, raw, pause, most):
    """A byte now and then until the server ends it: how long that took."""
    start = time.time()
    for byte in raw:
        try:
            s.sendall(bytes([byte]))
        except ConnectionError:
            break
        if select.select([s], [], [], pause)[0] or time.time() - start > most:
            break
    return time.time() - start


def leave_during(s, path, leave):
    """Milliseconds until the handler saw it."""
    before = s.state()["gone"]
    c = s.connect()
    c.sendall(get(path))
    time.sleep(0.1)
    at = time.clock_gettime(time.CLOCK_MONOTONIC)
    leave(c)
    state, deadline = s.state(), time.time() + 2 * SLOW
    while state["gone"] == before and time.time() < deadline:
        time.sleep(0.005)
        state = s.state()
    c.close()
    return 1000 * (state["gone_at"] - at) if state["gone"] == before + 1 else 1e9


def check_slow():
    s = Server()  # header 2 s, body 2 s, idle 3 s
    with s.connect() as c:
        took = drip(c, get(extra=b"X-A: " + b"a" * 1000 + b"\r\n"), 0.2, 10)
        report(1.5 < took < 4 * SLOW, "D18 a slow head is cut", f"after {took:.1f} s")
    with s.connect() as c:
        c.sendall(get())
        read_answer(c)
        took = drip(c, get(extra=b"X-A: " + b"a" * 1000 + b"\r\n"), 0.2, 15)
        report(1.5 < took < 8 * SLOW, "D18 a slow second head is cut", f"after {took:.1f} s")
    with s.connect() as c:
        c.sendall(post(b"", length=b"1000"))
        took = drip(c, b"x" * 1000, 0.2, 10)
        report(1.5 < took < 4 * SLOW, "D18 a slow body is cut", f"after {took:.1f} s")
    with s.connect() as c:
        _, took = lasts(lambda: c.recv(1))
        report(1.5 < took < 5 * SLOW, "D18 a connection that says nothing is cut",
               f"after {took:.1f} s")
    with s.connect() as c:
        c.sendall(get())
        read_answer(c)
        _, took = lasts(lambda: c.recv(1))
        report(2.5 < took < 6 * SLOW, "D18 an idle connection is closed", f"after {took:.1f} s")

    for name, leave in [("closes", lambda c: c.close()),
                        ("half-closes", lambda c: c.shutdown(socket.SHUT_WR)),
                        ("resets", lambda c: (c.setsockopt(
                            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)),
                            c.close())),
                        ("closes with bytes in the pipeline", lambda c: (
                            c.sendall(get()), c.close()))]:
        for path in "/slow?ms=5000", "/stream?n=10&ms=500":
            # a stream's handler looks every 500 ms; a busy machine may be late once
            limit, late = (30 if "slow" in path else 550), 1e9
            for _ in range(3):
                if late >= limit:
                    late = leave_during(s, path, leave)
            report(late < limit * SLOW, f"D18 a client {name} during {path.split('?')[0]}",
                   f"seen after {late:.0f} ms")
    with s.connect() as c:  # half-closed clients still get what was quick to make
        c.sendall(get())
        c.shutdown(socket.SHUT_WR)
        report(read_answer(c).status == 200, "D18 a half-closed client gets a quick answer", 200)

    c = socket.socket()
    c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    c.connect(("127.0.0.1", s.port))
    c.sendall(get("/flood"))
    deadline = time.time() + 5 * SLOW
    while s.state()["written"] == 0 and time.time() < deadline:
        time.sleep(0.05)
    written = s.state()["written"]
    report(4 << 20 <= written < 12 << 20, "D18 a reader that stops: buffer bounded",
           f"{written / 1048576:.1f} MiB taken")
    c.settimeout(5 * SLOW)
    n = 0
    try:
        while piece := c.recv(65536):
            n += len(piece)
        seen = "closed"
    except ConnectionError:
        seen = "reset"
    except socket.timeout:
        seen = "open"
    report(seen != "open" and n < 12 << 20, "D18 and its connection is cut", seen)
    c.close()
    # less than the bound waits, and nothing is ever read
    c = socket.socket()
    c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    c.connect(("127.0.0.1", s.port))
    c.sendall(get("/flood?mb=3"))
    start = time.time()
    while s.lines("route=flood") < 2 and time.time() - start < 15 * SLOW:
        time.sleep(0.05)
    took = time.time() - start
    report(2 < took < 10 * SLOW, "D18 a reader that stops with little waiting is given up",
           f"after {took:.1f} s")
    c.close()
    with s.connect() as c:
        c.sendall(get("/flood?mb=64"))
        n = 0
        while n < 64 << 20 and (piece := c.recv(1 << 20)):
            n += len(piece)
    report(True, "D18 a reader that is slower than the writer", f"{n >> 20} MiB before it ended")
    out, status, _ = s.stop()
    report(status == 0 and "connections 0" in out, "ends well", out.splitlines()[0])


def check_memory():
    """Bodies and answers of all clients together: "held" bytes."""
    s = Server("max-body=3000000", "held=2500000", "body=20", "idle=20")
    long, short = b"1" * 1_200_000, b"2" * 200_000
    with s.connect() as c:
        c.sendall(post(b"", length=b"1200001") + long)
        time.sleep(0.3 * SLOW)
        a = ask(s, post(b"3" * 1_400_000))
        report(a.status == 429 and code_of(a) == "rate_limit_exceeded" and a.get("retry-after"),
               "a body beyond what all may hold together", a.status)
        report(ask(s, get()).status == 200, "a request without a body meanwhile", 200)
        c.sendall(b"1")
        report(read_answer(c).status == 200, "who was first is answered", 200)
    report(ask(s, post(b"3" * 1_200_000)).status == 200, "then there is room again", 200)
    report(ask(s, post(b"3" * 1_300_000)).status == 503, "an answer that finds no room", 503)
    s.stop()
    s = Server("max-body=8000000", "held=16100000", "body=20", "idle=20")
    c = socket.socket()
    c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    c.connect(("127.0.0.1", s.port))
    c.sendall(post(b"1" * 8_000_000))  # more than sockets hold
    time.sleep(0.5 * SLOW)
    report(ask(s, post(short)).status == 429, "an answer that is not taken counts", 429)
    c.close()
    end, seen = time.time() + 5 * SLOW, 0
    while seen != 200 and time.time() < end:
        time.sleep(0.1)
        seen = ask(s, post(short)).status
    report(seen == 200, "until its client leaves", seen)
    out, status, _ = s.stop()
    report(status == 0, "ends well", out.splitlines()[0])

    s = Server("workers=4", "max-body=1000000", "body=20")
    busy = [s.connect() for _ in range(6)]
    for c in busy:
        c.sendall(post(short, path=b"/work?ms=1500"))
    time.sleep(0.3)
    _, took = lasts(lambda: ask(s, get("/slow?ms=1")))
    report(took < 0.5 * SLOW and took < 1.4, "long requests leave workers to others",
           f"{took * 1000:.0f} ms")
    seen = [read_answer(c).status for c in busy]
    report(seen == [200] * 6, "and all are answered", seen)
    for c in busy:
        c.close()
    out, status, _ = s.stop()
    report(status == 0, "ends well", out.splitlines()[0])


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def check_many():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    s = Server("connections=1100", "header=60", "idle=60")
    idle = [s.connect() for _ in range(1000)]
    _, took = lasts(lambda: ask(s, get()))
    a = ask(s, get())
    report(a.status == 200 and took < 1 * SLOW, "D19 1000 idle connections do not stop another",
           f"{a.status} in {took * 1000:.0f} ms")
    if os.path.exists("/proc/self/stat"):
        before = cpu_seconds(s.process.pid)
        time.sleep(2)
        used = cpu_seconds(s.process.pid) - before
        report(used < 0.3, "D19 and cost no time", f"{used / 2 * 100:.1f} % of a core")
    with s.connect() as c:
        c.sendall(get("/slow?ms=20000"))
        time.sleep(0.2)
        c.close()
        time.sleep(0.2 * SLOW)
        report(s.state()["gone"] == 1, "D19 and a client that leaves is seen among them")
    for c in idle:
        c.close()
    # 1000 that wait for an answer, on one worker each of 4 and the rest in the queue
    busy = [s.connect() for _ in range(200)]
    for c in busy:
        c.sendall(get("/slow?ms=20"))
    seen = {}
    for c in busy:
        status = read_answer(c).status
        seen[status] = seen.get(status, 0) + 1
        c.close()
    report(seen == {200: 200}, "D19 200 slow requests at once", seen)
    busy = [s.connect() for _ in range(400)]
    for c in busy:
        c.sendall(get("/slow?ms=10"))
    seen = {}
    for c in busy:
        a = read_answer(c)
        seen[a.status] = seen.get(a.status, 0) + 1
        c.close()
    report(sum(seen.values()) == 400 and seen.get(429, 0) > 0 and set(seen) == {200, 429},
           "D19 400 slow requests at once: the queue is bounded", seen)
    out, status, _ = s.stop()
    report(status == 0 and "connections 0" in out, "ends well", out.splitlines()[0])

    s = Server("connections=8", "header=1", "idle=1")
    idle = [s.connect() for _ in range(8)]
    a, took = lasts(lambda: ask(s, get()))
    report(a.status == 200, "D19 beyond the connection limit: waits until the idle are cut",
           f"{a.status} after {took:.1f} s")
    s.stop()
    s = Server("per-address=4")
    idle = [s.connect() for _ in range(4)]
    time.sleep(0.1)
    a = ask(s, get())
    idle.pop().close()
    time.sleep(0.2 * SLOW)
    b = ask(s, get())
    report((a.status, b.status) == ("cut", 200), "D19 beyond the limit of an address: refused",
           f"{a.status}, then {b.status}")
    out, _, _ = s.stop()
    report("limits 1" in out, "D19 and counted", out.splitlines()[0])

    s = Server("connections=1000", "header=3", "idle=3", limit=32)
    idle = []
    for _ in range(60):
        idle.append(s.connect())
    time.sleep(0.3)
    before = cpu_seconds(s.process.pid)
    time.sleep(1)
    used = cpu_seconds(s.process.pid) - before
    a, took = lasts(lambda: ask(s, get()))
    report(a.status == 200, "D19 no descriptors left (ulimit -n 32): served once there are some",
           f"{a.status} after {took:.1f} s")
    report(used < 0.5, "D19 and no running in circles", f"{used * 100:.0f} % of a core")
    out, status, _ = s.stop()
    report(status == 0, "ends well", out.splitlines()[0])


def check_listening():
    s = Server()
    t = subprocess.run([SERVER, f"port={s.port}"], input="", capture_output=True, text=True)
    lines = t.stderr.strip().splitlines()
    report(t.returncode == 1 and len(lines) == 1 and str(s.port) in t.stderr and
           "127.0.0.1" in t.stderr and "in use" in t.stderr, "D19 port in use", t.stderr.strip())
    t = subprocess.run([SERVER, "listen=192.0.2.1"], input="", capture_output=True, text=True)
    report(t.returncode == 1, "D19 not an address of this machine", t.stderr.strip())
    t = subprocess.run([SERVER, "listen=no.such.name.invalid"], input="", capture_output=True,
                       text=True)
    report(t.returncode == 1, "D19 not a name", t.stderr.strip())
    s.process.stdin.write("s")
    s.process.stdin.flush()
    time.sleep(0.2)
    try:
        s.connect().close()
        seen = "connected"
    except ConnectionRefusedError:
        seen = "refused"
    report(seen == "refused", "after stop_accepting", seen)
    s.stop()
    # what is under way goes on
    s = Server()
    with s.connect() as c:
        c.sendall(get("/slow?ms=500"))
        time.sleep(0.1)
        s.process.stdin.write("s")
        s.process.stdin.flush()
        report(read_answer(c).status == 200, "after stop_accepting, what was begun is answered")
    s.stop()
    s = Server()
    with s.connect() as c:
        c.sendall(get("/hold"))
        time.sleep(0.1)
        out, status, _ = s.stop()
        report(status == 0 and read_answer(c).status == 503, "closing answers what was held", 503)
    s = Server()
    with s.connect() as c, s.connect() as d:
        c.sendall(get("/flood?mb=1"))
        d.sendall(b"GET / HT")
        time.sleep(0.3)
        (out, status, _), took = lasts(s.stop)
        report(status == 0 and took < 8 * SLOW,
               "closing with a reader that stopped and a half-read head", f"in {took:.1f} s")
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        has_ipv6 = True
    except OSError:
        has_ipv6 = False
    for host in ("::1", "[::1]") if has_ipv6 else ():
        s = Server("listen=" + host)
        with socket.create_connection(("::1", s.port), 5) as c:
            c.sendall(get("/show", host=f"[::1]:{s.port}"))
            a = read_answer(c)
        try:
            s.connect().close()
            v4 = True
        except ConnectionRefusedError:
            v4 = False
        report(a.status == 200 and b"peer=::1" in a.body and not v4 and
               s.address == f"http://[::1]:{s.port}", f"D19 IPv6 only, {host}", s.address)
        s.stop()
    if not has_ipv6:
        report(True, "D19 IPv6 # SKIP this machine has none")
    s = Server("listen=localhost")
    with socket.create_connection(("localhost", s.port), 10 * SLOW) as c:
        family = "IPv6" if c.family == socket.AF_INET6 else "IPv4"
        c.sendall(get(host=f"localhost:{s.port}"))
        a = read_answer(c)
    report(a.status == 200 and s.address == f"http://localhost:{s.port}",
           "D19 localhost, which is not 127.0.0.1 everywhere", f"{s.address}, {family}")
    s.stop()

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "ink.sock")
        s = Server("listen=unix:" + path)
        mode = stat.S_IMODE(os.stat(path).st_mode)
        with socket.socket(socket.AF_UNIX) as c:
            c.connect(path)
            c.sendall(get("/show"))
            a = read_answer(c)
        report(a.status == 200 and b"peer=unix" in a.body and mode == 0o600,
               "D19 a socket file", f"{a.status}, mode {mode:o}, {s.address == 'unix:' + path}")
        t = subprocess.run([SERVER, "listen=unix:" + path], input="", capture_output=True,
                           text=True)
        report(t.returncode == 1 and os.path.exists(path), "D19 a socket file in use",
               t.stderr.strip().replace(folder, ""))
        s.process.kill()
        s.process.wait()
        there = os.path.exists(path)
        s = Server("listen=unix:" + path)
        with socket.socket(socket.AF_UNIX) as c:
            c.connect(path)
            c.sendall(get())
            a = read_answer(c)
        report(there and a.status == 200, "D19 a stale socket file is replaced", a.status)
        s.stop()
        report(not os.path.exists(path), "D19 the socket file goes with its server")
        plain = os.path.join(folder, "plain")
        open(plain, "w").close()
        t = subprocess.run([SERVER, "listen=unix:" + plain], input="", capture_output=True,
                           text=True)
        report(t.returncode == 1 and os.path.exists(plain), "D19 a file that is no socket",
               t.stderr.strip().replace(folder, ""))
        given = socket.socket()
        given.bind(("127.0.0.1", 0))
        given.listen()
        s = Server(f"fd={given.fileno()}", passed=(given.fileno(),))
        report(ask(s, get()).status == 200 and s.port == given.getsockname()[1],
               "a socket that was handed over", s.address)
        s.stop()
        given.close()
        check_tls(folder)


def check_tls(folder):
    import shutil
    import ssl
    if not shutil.which("openssl"):
        report(True, "TLS # SKIP no openssl to make a certificate")
        return
    key, certificate = os.path.join(folder, "key.pem"), os.path.join(folder, "certificate.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key,
                    "-out", certificate, "-days", "2", "-subj", "/CN=localhost"],
                   capture_output=True, check=True)
    t = subprocess.run([SERVER, "certificate=" + certificate], input="", capture_output=True,
                       text=True)
    report(t.returncode == 1, "TLS without a key", t.stderr.strip())
    t = subprocess.run([SERVER, "certificate=" + key, "key-file=" + key], input="",
                       capture_output=True, text=True)
    if "has no TLS" in t.stderr:
        report(True, "TLS # SKIP libmicrohttpd was built without")
        return
    report(t.returncode == 1 and "key.pem" in t.stderr, "TLS with a key for a certificate",
           t.stderr.strip().replace(folder, ""))
    t = subprocess.run([SERVER, "certificate=" + certificate, "key-file=" + key + "x"], input="",
                       capture_output=True, text=True)
    report(t.returncode == 1, "TLS with a key that is not there",
           t.stderr.strip().replace(folder, ""))
    broken = os.path.join(folder, "broken.pem")
    with open(broken, "w") as f:
        f.write("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    t = subprocess.run([SERVER, "certificate=" + certificate, "key-file=" + broken], input="",
                       capture_output=True, text=True)
    report(t.returncode == 1, "TLS with a broken key", t.stderr.strip().replace(folder, ""))
    s = Server("certificate=" + certificate, "key-file=" + key)
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False
    for path, end in ("/hello", b"hello\n"), ("/stream", b"0\r\n\r\n"), ("/slow", b"slow\n"):
        with context.wrap_socket(s.connect()) as c:
            c.sendall(get(path))
            a = read_answer(c)
            report(a.status == 200 and a.body.endswith(end), f"TLS {path}", a.status)
    c = context.wrap_socket(s.connect())
    c.sendall(get("/slow?ms=5000"))
    time.sleep(0.2)
    c.close()
    time.sleep(0.2 * SLOW)
    with context.wrap_socket(s.connect()) as c:
        c.sendall(get("/state"))
        report(json.loads(read_answer(c).body)["gone"] == 1, "TLS: a client that leaves is seen")
    out, status, _ = s.stop()
    report(status == 0, "ends well", out.splitlines()[0])


if __name__ == "__main__":
    groups = sys.argv[1:] or ["wire", "trust", "slow", "memory", "many", "listening"]
    for group in groups:
        print("#", group)
        globals()["check_" + group]()
    print(f"1..{len(results)}")
    sys.exit(not all(results))
