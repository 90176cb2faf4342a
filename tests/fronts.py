"""What tests/check_fronts runs: fronts.py PROGRAM SRCDIR. Everything listens on loopback only.

Each front is started with its configuration from packaging/, in which only addresses, ports and
places of files are other than shipped. Servers are told apart by their --model-name. To have
streams that last, a client asks for much text (log-probabilities too) and stops reading: buffers
fill, and the server keeps the rest until it is taken.
"""
import concurrent.futures
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

PROGRAM, SRCDIR = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
MODEL = os.path.join(SRCDIR, "models/stories260K.gguf")
folder = tempfile.mkdtemp(prefix="inkstone-fronts-")
started = []
count = failures = 0


def result(ok, name, *facts):
    global count, failures
    count += 1
    failures += not ok
    for fact in facts if not ok else ():
        print("#", str(fact)[:300].replace("\n", " "))
    print("ok" if ok else "not ok", count, "-", name, flush=True)


def skip(name, why):
    global count
    count += 1
    print("ok", count, "-", name, "# SKIP", why, flush=True)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(what, seconds=20):
    end = time.time() + seconds
    while time.time() < end:
        if what():
            return True
        time.sleep(0.05)
    return False


# ------------------------------------------------------------------------------------ servers

class Server:
    def __init__(self, name, *options):
        self.name, self.port, self.options = name, free_port(), options
        self.start()

    def start(self):
        self.log = open(os.path.join(folder, self.name + ".log"), "ab")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("INKSTONE_")}
        self.process = subprocess.Popen(
            [PROGRAM, "serve", MODEL, "--port", str(self.port), "--model-name", self.name,
             "--threads", "1", "--slots", "8", "--queue", "64", "--ctx", "512", *self.options],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=environment)
        started.append(self.process)

    def is_ready(self):
        try:
            return ask(self.port, "GET", "/health/ready")[0] == 200
        except OSError:
            return False


def start_front(kind, one, two):
    """The shipped configuration with other addresses; (process, port)."""
    port = free_port()
    name = {"haproxy": "haproxy.cfg", "nginx": "nginx.conf"}[kind]
    with open(os.path.join(SRCDIR, "packaging", kind, name)) as f:
        text = f.read()
    shipped = text
    text = text.replace("127.0.0.1:7861", f"127.0.0.1:{one.port}")
    text = text.replace("127.0.0.1:7862", f"127.0.0.1:{two.port}")
    place = os.path.join(folder, kind)
    os.makedirs(place, exist_ok=True)
    if kind == "haproxy":
        text = text.replace("bind :8080", f"bind 127.0.0.1:{port}")
        check, run = ["haproxy", "-c", "-f"], ["haproxy", "-db", "-f"]
    else:
        text = text.replace("listen 8080", f"listen 127.0.0.1:{port}")
        text = text.replace("pid /run/nginx.pid", f"pid {place}/pid")
        text = text.replace("worker_processes auto", "daemon off; worker_processes 1")
        paths = "".join(f"    {what}_temp_path {place}/{what};\n" for what in
                        ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        text = text.replace("http {\n", "http {\n" + paths, 1)
        if os.geteuid() == 0:
            text = "user root;\n" + text
        check = ["nginx", "-e", "stderr", "-p", place, "-t", "-c"]
        run = ["nginx", "-e", "stderr", "-p", place, "-c"]
    path = os.path.join(place, name)
    with open(path, "w") as f:
        f.write(text)
    checked = subprocess.run(check + [path], capture_output=True, text=True)
    result(checked.returncode == 0 and "7861" not in text and text != shipped,
           f"{kind}: finds its configuration valid", checked.stderr)
    log = open(os.path.join(folder, kind + ".log"), "ab")
    process = subprocess.Popen(run + [path], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    started.append(process)
    wait_until(lambda: answers(port))
    return process, port


def answers(port):
    try:
        return ask(port, "GET", "/v1/models")[0] == 200
    except OSError:
        return False


# ------------------------------------------------------------------------------------ requests

def ask(port, method, path, body=None, headers=(), timeout=60):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        data = None if body is None else json.dumps(body)
        fields = {"Host": "localhost", "Content-Type": "application/json", **dict(headers)}
        connection.request(method, path, data, fields)
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())
    except http.client.HTTPException as e:
        raise OSError(f"{type(e).__name__}: {e}") from e
    finally:
        connection.close()


def completion(port, prefix=None, tokens=8):
    """Which server wrote it, or what went wrong."""
    headers = {"X-Prefix-Key": prefix} if prefix else {}
    try:
        status, body, _ = ask(port, "POST", "/v1/completions",
                              {"prompt": "Once upon a time", "max_tokens": tokens,
                               "temperature": 0}, headers)
    except OSError as e:
        return f"error: {e}"
    if status != 200:
        return f"status {status}: {body[:200]}"
    return json.loads(body)["model"]


class Stream:
    """A stream that is read when asked to, through a small receive buffer."""

    def __init__(self, port, prefix, n):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(60)
        self.socket.connect(("127.0.0.1", port))
        body = json.dumps({"prompt": "Once upon a time", "max_tokens": 400,
                           "temperature": 1, "seed": 1, "stream": True, "n": n, "logprobs": 5})
        self.socket.sendall(
            (f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nX-Prefix-Key: {prefix}\r\n"
             f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
             f"Connection: close\r\n\r\n{body}").encode())
        self.data = b""
        while b'"model"' not in self.data:
            got = self.socket.recv(1024)
            if not got:
                break
            self.data += got
        found = re.search(rb'"model": ?"([^"]*)"', self.data)
        self.server = found.group(1).decode() if found else self.data[:200].decode("replace")

    def finish(self):
        try:
            while got := self.socket.recv(65536):
                self.data += got
        except OSError as e:
            self.data += f"[{e}]".encode()
        self.socket.close()
        return b"data: [DONE]" in self.data


def prefix_key(text):
    """As docs/deploy.md defines it: no system prompt here."""
    return hashlib.sha256(("\n" + text).encode()).hexdigest()[:16]


# --------------------------------------------------------------------------------------- tests

def check_spread(kind, port):
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        got = list(pool.map(lambda _: completion(port, tokens=60), range(48)))
    names = {name: got.count(name) for name in set(got)}
    result(set(names) == {"one", "two"} and min(names.values()) >= 8,
           f"{kind}: requests without a prefix key go to both servers", names)


def check_sticky(kind, port):
    homes = {}
    for i in range(12):
        key = prefix_key(f"question {i}")
        homes[key] = set()
        for _ in range(5):
            homes[key].add(completion(port, key))
            time.sleep(0.1)  # haproxy bounds the load: until an answer is ticked off, it counts
    one_each = all(len(names) == 1 for names in homes.values())
    both = set().union(*homes.values()) == {"one", "two"}
    result(one_each and both, f"{kind}: a prefix key stays with one server, and keys spread", homes)
    return {min(names): key for key, names in homes.items()}


def check_stream_is_not_held(kind, port):
    """The first piece must be there long before the last: pieces are passed on."""
    stream = Stream(port, prefix_key("a"), 4)
    early = len(stream.data)
    whole = stream.finish()
    size = len(stream.data)
    events = stream.data.count(b"data: ")
    result(whole and early < size / 2 and events > 100,
           f"{kind}: a stream comes in pieces, whole", early, size, events, stream.data[-300:])


def check_kill(kind, port, servers, keys):
    streams = [Stream(port, keys[name], 6) for name in ("one", "two", "one", "two")]
    placed = [s.server for s in streams]
    result(placed == ["one", "two", "one", "two"], f"{kind}: streams go where their keys do", placed)
    servers["one"].process.kill()
    servers["one"].process.wait()
    begin = time.time()
    got = [completion(port, key) for key in (keys["one"], keys["two"], keys["one"], None)]
    result(got == ["two"] * 4, f"{kind}: after a server was killed, new requests go to the other",
           got, time.time() - begin)
    ends = [s.finish() for s in streams]
    result(ends == [False, True, False, True],
           f"{kind}: the other server's streams go on to their end, the dead one's are cut off",
           ends, [s.data[-100:] for s in streams])
    servers["one"].start()
    wait_until(servers["one"].is_ready)
    back = wait_until(lambda: completion(port, keys["one"]) == "one", 20)
    result(back, f"{kind}: the server comes back, and has its keys again")


def check_drain(kind, port, servers, keys):
    """SIGTERM under load: not one request may fail."""
    stop = time.time() + 60
    bad, done = [], []

    def load(i):
        while time.time() < stop:
            got = completion(port, keys["two"] if i % 2 else None)
            (done if got in ("one", "two") else bad).append(got)

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        for i in range(6):
            pool.submit(load, i)
        time.sleep(1)
        servers["two"].process.send_signal(signal.SIGTERM)
        try:
            code = servers["two"].process.wait(30)
        except subprocess.TimeoutExpired:
            code = "still there"
        time.sleep(1)
        late = [completion(port, keys["two"]) for _ in range(3)]
        stop = 0
    result(code == 0 and not bad and late == ["one"] * 3 and len(done) > 20,
           f"{kind}: a server drains under load, and no request fails", code, len(done), bad[:5],
           late)
    servers["two"].start()
    wait_until(servers["two"].is_ready)


def check_front(kind):
    servers = {name: Server(name, "--drain-delay", "3") for name in ("one", "two")}
    if not all([wait_until(s.is_ready) for s in servers.values()]):
        with open(os.path.join(folder, "one.log"), errors="replace") as f:
            result(False, f"{kind}: the servers start", f.read())
        return
    process, port = start_front(kind, servers["one"], servers["two"])
    result(all(ask(port, "GET", path)[0] == 404 for path in ("/metrics", "/%6detrics", "/metrics?a")),
           f"{kind}: metrics are not for the outside")
    check_spread(kind, port)
    keys = check_sticky(kind, port)
    check_stream_is_not_held(kind, port)
    if set(keys) == {"one", "two"}:
        check_kill(kind, port, servers, keys)
        check_drain(kind, port, servers, keys)
    for s in servers.values():
        s.process.send_signal(signal.SIGINT)
    codes = [s.process.wait(40) for s in servers.values()]
    result(codes == [0, 0], f"{kind}: the servers stop with exit code 0", codes)
    process.terminate()
    process.wait(20)


def check_files():
    try:
        import yaml
    except ImportError:
        skip("YAML files can be read", "no python3-yaml")
    else:
        bad = []
        for place, _, names in os.walk(os.path.join(SRCDIR, "packaging")):
            for name in names:
                if name.endswith((".yml", ".yaml")):
                    with open(os.path.join(place, name)) as f:
                        try:
                            list(yaml.safe_load_all(f))
                        except yaml.YAMLError as e:
                            bad.append(f"{name}: {e}")
        result(not bad, "YAML files can be read", bad)
    rules = os.path.join(SRCDIR, "packaging/prometheus")
    with open(os.path.join(rules, "grafana.json")) as f:
        result(len(json.load(f)["panels"]) > 5, "the dashboard can be read")
    if not shutil.which("promtool"):
        skip("the alert rules say what they should", "no promtool (Debian: prometheus)")
        return
    for what, name in (("check", "inkstone.rules.yml"), ("test", "inkstone.rules.test.yml")):
        p = subprocess.run(["promtool", what, "rules", name], cwd=rules, capture_output=True,
                           text=True)
        result(p.returncode == 0, f"promtool {what} rules", p.stdout + p.stderr)
    if shutil.which("systemd-analyze"):
        p = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--threshold=10",
                            os.path.join(SRCDIR, "packaging/systemd/inkstone.service")],
                           capture_output=True, text=True)
        result(p.returncode == 0, "systemd finds the service unit tight (exposure at most 1.0)",
               p.stdout[-200:] + p.stderr)
    else:
        skip("systemd finds the service unit tight", "no systemd-analyze")


def main():
    try:
        check_files()
        for kind in ("haproxy", "nginx"):
            check_front(kind)
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()
                process.wait()
        if failures == 0:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print("# logs are in", folder)
    print(f"1..{count}")


main()
