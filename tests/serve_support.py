"""What the tests of `inkstone serve` share: the program as a server on a free loopback port, requests
to it with http.client, and results as TAP. Standard library only."""
import atexit
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback

PROGRAM = os.environ.get("INKSTONE", "./inkstone")
SOURCE = os.environ.get("srcdir", ".")
SLOW = float(os.environ.get("HTTP_SLOW", "1"))  # sanitizers: longer times are allowed


class Server:
    def __init__(self, model, *options, start_timeout=60):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("INKSTONE_")}
        environment.update(LANG="C.UTF-8", LC_ALL="C.UTF-8")
        self.log = tempfile.TemporaryFile("w+b")
        self.process = subprocess.Popen(
            [PROGRAM, "serve", model, "--port", "0", "--threads", "1", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log, env=environment)
        atexit.register(self.process.kill)
        end = time.time() + start_timeout * SLOW
        found = None
        while not found and time.time() < end and self.process.poll() is None:
            time.sleep(0.02)
            found = re.search(r'//127\.0\.0\.1:(\d+)(?:: to be opened|",)', self.text())
        if not found:
            raise RuntimeError("the server does not start: " + self.text())
        self.port = int(found[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def text(self):
        return os.pread(self.log.fileno(), 1 << 26, 0).decode("utf-8", "replace")

    def connect(self, timeout=60):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout * SLOW)

    def ask(self, method, path, body=None, headers=None, key=None):
        """An Answer. A body that is no bytes is sent as JSON."""
        headers = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        if key:
            headers["Authorization"] = f"Bearer {key}"
        connection = self.connect()
        try:
            connection.request(method, path, body, headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def post(self, path, _headers=None, _key=None, **body):
        return self.ask("POST", path, body, _headers, _key)

    def get(self, path, headers=None, key=None):
        return self.ask("GET", path, None, headers, key)

    def stream(self, path, **body):
        """The data of the events of a stream, which must end in [DONE] and be well formed."""
        answer = self.post(path, stream=True, **body)
        assert answer.status == 200, answer
        return events(answer)

    def metrics(self):
        return parse_metrics(self.get("/metrics").body.decode())

    def wait_metric(self, name, value, seconds=10):
        """Seconds until a metric has that value; an AssertionError if it never does."""
        start = time.time()
        while time.time() - start < seconds * SLOW:
            if self.metrics()[name] == value:
                return time.time() - start
            time.sleep(0.005)
        raise AssertionError(f"{name} is {self.metrics()[name]}, not {value}")

    def stop(self):
        """Exit status after SIGTERM, and what was on standard output."""
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=60 * SLOW)
        return self.process.returncode, out


class Answer:
    def __init__(self, response):
        self.status, self.headers = response.status, response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body, object_pairs_hook=no_duplicates)

    def error(self, status, code=None, param=...):
        """The error's message, after a look at its shape."""
        assert self.status == status, self
        e = self.json["error"]
        assert set(self.json) == {"error"} and set(e) == {"message", "type", "param", "code"}, e
        assert isinstance(e["message"], str) and e["message"], e
        assert e["type"] == {401: "authentication_error", 403: "permission_error",
                             429: "rate_limit_error"}.get(
            status, "server_error" if status >= 500 else "invalid_request_error"), e
        assert code is None or e["code"] == code, e
        assert param is ... or e["param"] == param, e
        return e["message"]

    def __repr__(self):
        return f"{self.status} {self.body[:600].decode('utf-8', 'replace')}"


def no_duplicates(pairs):
    assert len({k for k, _ in pairs}) == len(pairs), f"duplicate keys: {pairs}"
    return dict(pairs)


def events(answer):
    assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8", answer.headers
    parts = answer.body.decode("utf-8").split("\n\n")
    assert parts.pop() == "", answer
    parts = [p for p in parts if not p.startswith(":")]
    assert all(p.startswith("data: ") and "\n" not in p for p in parts), parts
    assert parts.pop() == "data: [DONE]", parts[-1:]
    return [json.loads(p[6:], object_pairs_hook=no_duplicates) for p in parts]


LINE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[a-zA-Z_]\w*="[^"\\\n]*"'
                  r'(?:,[a-zA-Z_]\w*="[^"\\\n]*")*\})? (\S+)')


def parse_metrics(text):
    """{name and labels: value}; every line is checked against the text format 0.0.4."""
    values, types = {}, {}
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert kind in ("counter", "gauge", "histogram") and name not in types, line
            types[name] = kind
        elif not line.startswith("# HELP "):
            found = LINE.fullmatch(line)
            assert found, line
            name = re.sub("_(bucket|sum|count)$", "", found[1])
            assert types.get(found[1]) in ("counter", "gauge") or types[name] == "histogram", line
            key = found[1] + (found[2] or "")
            assert key not in values, line
            values[key] = float(found[3])
    for key in values:
        if "_bucket" in key and 'le="+Inf"' in key:
            assert values[key] == values[key.split("_bucket")[0] + "_count"], key
    return values


class Tap:
    """Tests are functions; one fails by an exception and goes on with the next."""

    def __init__(self):
        self.n, self.failed = 0, 0
        self.only = os.environ.get("ONLY", "")

    def test(self, name, function, *arguments):
        if self.only not in name:
            return
        self.n += 1
        try:
            note = function(*arguments)
            print(f"ok {self.n} - {name}" + (f": {note}" if note else ""), flush=True)
        except Skip as skip:
            print(f"ok {self.n} - {name} # SKIP {skip}", flush=True)
        except Exception:
            self.failed += 1
            print(f"not ok {self.n} - {name}")
            print("".join("# " + l[:1000] + "\n" for l in traceback.format_exc().split("\n")),
                  end="", flush=True)

    def end(self):
        print(f"1..{self.n}", flush=True)
        sys.exit(1 if self.failed else 0)


class Skip(Exception):
    pass


def make_chat_model(folder):
    subprocess.run([sys.executable, f"{SOURCE}/tests/ref/make_chat_model.py",
                    f"{SOURCE}/tests/data/data/ernie45-tokenizer", folder], check=True)
    return folder
