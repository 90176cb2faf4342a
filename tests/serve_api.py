"""Every route of `inkstone serve`, field by field. Run by tests/check_api."""
import concurrent.futures
import http.client
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse

from serve_support import PROGRAM, SLOW, SOURCE, Server, Skip, Tap, events, make_chat_model

STORIES = f"{SOURCE}/models/stories260K"
CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
HELLO = [{"role": "user", "content": "你好，请介绍一下砚台。"}]
SECRET = "stupendously-secret-prompt-砚"


def limit_memory(mib):
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (mib << 20, mib << 20))


# With sanitizers the program starts in no such address space, and keeps what was freed.
is_plain = subprocess.run([PROGRAM, "--version"], preexec_fn=limit_memory(4096),
                          capture_output=True).returncode == 0
tap = Tap()
folder = tempfile.TemporaryDirectory()
text = Server(STORIES, "--slots", "4")
chat = Server(make_chat_model(folder.name + "/tiny-chat"), "--slots", "4", "--max-new-tokens", "24")


def answer(server, path, **body):
    a = server.post(path, **body)
    assert a.status == 200, a
    return a.json


def one(server, path, **body):
    """The only choice's text."""
    c = answer(server, path, **body)["choices"]
    assert len(c) == 1 and c[0]["index"] == 0, c
    return c[0]["text"] if path == TEXT else c[0]["message"]["content"]


# ------------------------------------------------------------------------------- shapes of answers

def check_usage(u):
    assert u["total_tokens"] == u["prompt_tokens"] + u["completion_tokens"], u
    assert 0 <= u["prompt_tokens_details"]["cached_tokens"] <= u["prompt_tokens"], u
    assert set(u["completion_tokens_details"].values()) == {0}, u


def test_chat_shape():
    before = int(time.time())
    a = answer(chat, CHAT, messages=HELLO, model="tiny-chat", seed=1)
    assert set(a) == {"id", "object", "created", "model", "system_fingerprint", "choices", "usage"}
    assert re.fullmatch(r"chatcmpl-[0-9a-f]{16}", a["id"]) and a["object"] == "chat.completion", a
    assert before <= a["created"] <= time.time() and a["model"] == "tiny-chat", a
    c = a["choices"][0]
    assert set(c) == {"index", "message", "logprobs", "finish_reason"} and c["logprobs"] is None, c
    assert set(c["message"]) == {"role", "content", "refusal"}, c
    assert c["message"]["role"] == "assistant" and c["message"]["refusal"] is None, c
    assert c["finish_reason"] == "length" and a["usage"]["completion_tokens"] == 24, a
    check_usage(a["usage"])


def test_text_shape():
    a = answer(text, TEXT, prompt="Once upon a time", max_tokens=5)
    assert set(a) == {"id", "object", "created", "model", "system_fingerprint", "choices", "usage"}
    assert re.fullmatch(r"cmpl-[0-9a-f]{16}", a["id"]) and a["object"] == "text_completion", a
    assert set(a["choices"][0]) == {"index", "text", "logprobs", "finish_reason"}, a
    assert a["choices"][0]["finish_reason"] == "length", a
    assert a["usage"]["completion_tokens"] == 5, a
    check_usage(a["usage"])


def test_same_as_generate():
    """Greedy text is what the command line writes."""
    out = subprocess.run([PROGRAM, "generate", STORIES, "-p", "Once upon a time",
                          "--max-new-tokens", "40", "--temperature", "0"],
                         capture_output=True, check=True).stdout.decode()
    assert out.rstrip("\n").endswith(one(text, TEXT, prompt="Once upon a time", max_tokens=40,
                                         temperature=0)), out


def test_prompts():
    several = answer(text, TEXT, prompt=["Once", "The cat", "A dog"], n=2, max_tokens=6,
                     temperature=1, seed=5)
    assert [c["index"] for c in several["choices"]] == list(range(6)), several
    for i, p in enumerate(["Once", "The cat", "A dog"]):
        alone = answer(text, TEXT, prompt=p, n=2, max_tokens=6, temperature=1, seed=5)
        assert [c["text"] for c in alone["choices"]] == \
            [c["text"] for c in several["choices"][2 * i:2 * i + 2]], (alone, several)
    assert several["usage"]["completion_tokens"] == 36, several


def test_token_ids():
    ids = text.post("/tokenize", content="Once upon a time", add_special=True).json["tokens"]
    assert one(text, TEXT, prompt=ids, max_tokens=9) == \
        one(text, TEXT, prompt="Once upon a time", max_tokens=9)
    two = answer(text, TEXT, prompt=[ids, ids[:2]], max_tokens=4)
    assert len(two["choices"]) == 2 and two["usage"]["prompt_tokens"] == len(ids) + 2, two
    for bad in ([-1], [512], [1.5], [[1], "x"], ["x", [1]], [None], [[]], [], {}, 5, True, [True],
                [1, "x"], [1 << 63], [(1 << 53) + 1], [1 << 32], [1e300]):
        message = text.post(TEXT, prompt=bad).error(400, param="prompt")
        assert message, bad
    for bad in ("1e999", "NaN", "-0x1"):
        raw(text, TEXT, f'{{"prompt":[{bad}]}}').error(400)
        raw(text, "/detokenize", f'{{"tokens":[{bad}]}}').error(400)
    text.post(TEXT).error(400, "missing_parameter", "prompt")
    text.post(TEXT, prompt=["x"] * 65).error(400, "invalid_value", "prompt")


def test_echo():
    p = "Once upon a time"
    plain = one(text, TEXT, prompt=p, max_tokens=5)
    assert one(text, TEXT, prompt=p, max_tokens=5, echo=True) == p + plain
    s = text.stream(TEXT, prompt=[p, "The"], max_tokens=5, echo=True)
    assert "".join(e["choices"][0]["text"] for e in s
                   if e["choices"][0]["index"] == 0) == p + plain, s
    assert "".join(e["choices"][0]["text"] for e in s
                   if e["choices"][0]["index"] == 1).startswith("The"), s
    text.post(TEXT, prompt=p, echo=True, logprobs=1).error(400, "unsupported_parameter", "echo")


def test_seeds():
    ask = dict(prompt="The", max_tokens=12, temperature=1.2)
    a, b = (one(text, TEXT, seed=7, **ask) for _ in range(2))
    assert a == b
    assert len({one(text, TEXT, seed=s, **ask) for s in range(6)}) > 3
    assert len({one(text, TEXT, **ask) for _ in range(6)}) > 3, "without a seed, all alike"
    n = answer(text, TEXT, seed=7, n=4, **ask)["choices"]
    assert n[0]["text"] == a and len({c["text"] for c in n}) > 2, n
    assert one(text, TEXT, seed=-3, **ask) == one(text, TEXT, seed=-3, **ask)


def test_stop():
    whole = one(text, TEXT, prompt="Once upon a time", max_tokens=60)
    word = whole[20:26]
    for stop in (word, [word], ["never there", word], [word, word[1:]]):
        a = answer(text, TEXT, prompt="Once upon a time", max_tokens=60, stop=stop)["choices"][0]
        assert a["text"] == whole[:whole.index(word)] and a["finish_reason"] == "stop", (a, stop)
        s = text.stream(TEXT, prompt="Once upon a time", max_tokens=60, stop=stop)
        assert "".join(e["choices"][0]["text"] for e in s) == a["text"], s
        assert s[-1]["choices"][0]["finish_reason"] == "stop", s
    spoken = one(chat, CHAT, messages=HELLO, seed=3)
    cut = spoken[len(spoken) // 2:][:2]
    assert one(chat, CHAT, messages=HELLO, seed=3, stop=cut) == spoken[:spoken.index(cut)]
    assert one(chat, CHAT, messages=HELLO, seed=3, stop=None) == spoken
    for bad in ("", [""], [1], 5, {}, ["x"] * 17, "x" * 1025):
        chat.post(CHAT, messages=HELLO, stop=bad).error(400, param="stop")


# ------------------------------------------------------------------------------------------ streams

def deltas(stream, index=0):
    chosen = [c for e in stream for c in e["choices"] if c["index"] == index]
    return "".join(c["delta"].get("content", "") for c in chosen), chosen


def test_stream_shape():
    s = chat.stream(CHAT, messages=HELLO, seed=1, n=2)
    for e in s:
        assert set(e) == {"id", "object", "created", "model", "system_fingerprint", "choices"}, e
        assert e["object"] == "chat.completion.chunk" and e["id"] == s[0]["id"], e
        for c in e["choices"]:
            assert set(c) == {"index", "delta", "logprobs", "finish_reason"}, c
    for i in range(2):
        _, chosen = deltas(s, i)
        assert chosen[0]["delta"] == {"role": "assistant", "content": "", "refusal": None}, chosen
        assert chosen[-1]["delta"] == {} and chosen[-1]["finish_reason"] == "length", chosen
        assert all(c["finish_reason"] is None for c in chosen[:-1]), chosen
    s = text.stream(TEXT, prompt="Once", max_tokens=5)
    for e in s:
        assert e["object"] == "text_completion" and len(e["choices"]) == 1, e
        assert set(e["choices"][0]) == {"index", "text", "logprobs", "finish_reason"}, e


def test_stream_usage():
    for server, path, ask in ((chat, CHAT, {"messages": HELLO}), (text, TEXT, {"prompt": "The"})):
        s = server.stream(path, max_tokens=7, stream_options={"include_usage": True}, **ask)
        assert all(e["usage"] is None for e in s[:-1]) and s[-1]["choices"] == [], s
        check_usage(s[-1]["usage"])
        assert s[-1]["usage"]["completion_tokens"] == 7, s
        for off in ({"include_usage": False}, {}, None, {"include_usage": None},
                    {"include_obfuscation": False}):
            s = server.stream(path, max_tokens=2, stream_options=off, **ask)
            assert all("usage" not in e for e in s), s
        server.post(path, stream_options={"include_usage": True}, **ask).error(
            400, "invalid_value", "stream_options")
        for bad in (5, [], {"include_usage": 1}, {"unknown": True}):
            server.post(path, stream=True, stream_options=bad, **ask).error(400)


def test_stream_is_whole():
    """Deltas together are the whole text of the same seed: Chinese, and bytes of characters."""
    wide = lost = 0
    for seed in range(20):
        ask = dict(messages=HELLO, seed=seed, max_tokens=12, temperature=1.5)
        whole = one(chat, CHAT, **ask)
        joined, _ = deltas(chat.stream(CHAT, **ask))
        assert joined == whole, (seed, joined, whole)
        wide += any(c > "\u4dff" for c in whole)
        lost += "\ufffd" in whole
        if seed < 8:
            ask = dict(prompt="Once", seed=seed, max_tokens=12, temperature=1.5, n=2)
            s = text.stream(TEXT, **ask)
            for c in answer(text, TEXT, **ask)["choices"]:
                joined = "".join(e["choices"][0]["text"] for e in s
                                 if e["choices"][0]["index"] == c["index"])
                assert joined == c["text"], (seed, joined, c)
    assert wide > 5, wide
    return f"{wide} of 20 texts with Chinese, {lost} with broken characters"


# ---------------------------------------------------------------------------------------- logprobs

def test_chat_logprobs():
    exact = 0
    for seed in range(8):
        ask = dict(messages=HELLO, seed=seed, logprobs=True, top_logprobs=4, max_tokens=12,
                   temperature=1.3)
        c = answer(chat, CHAT, **ask)["choices"][0]
        entries = c["logprobs"]["content"]
        assert len(entries) == 12 and c["logprobs"]["refusal"] is None, c
        for e in entries:
            assert set(e) == {"token", "logprob", "bytes", "top_logprobs"}, e
            assert e["logprob"] <= 0 and len(e["top_logprobs"]) == 4, e
            tops = [t["logprob"] for t in e["top_logprobs"]]
            assert tops == sorted(tops, reverse=True) and e["logprob"] <= tops[0], e
            assert all(set(t) == {"token", "logprob", "bytes"} for t in e["top_logprobs"]), e
        joined = b"".join(bytes(e["bytes"] or []) for e in entries)
        spoken = c["message"]["content"]
        assert joined.decode("utf-8", "replace").lstrip(" ") == spoken.lstrip(" "), (joined, spoken)
        exact += joined == spoken.encode()
        s = chat.stream(CHAT, **ask)
        _, chosen = deltas(s)
        streamed = [e for d in chosen if d["logprobs"] for e in d["logprobs"]["content"]]
        assert streamed == entries, (streamed, entries)
    c = answer(chat, CHAT, messages=HELLO, logprobs=True, max_tokens=2)["choices"][0]
    assert all(e["top_logprobs"] == [] for e in c["logprobs"]["content"]), c
    chat.post(CHAT, messages=HELLO, top_logprobs=2).error(400, "invalid_value", "top_logprobs")
    chat.post(CHAT, messages=HELLO, logprobs=True, top_logprobs=21).error(400, "invalid_value")
    chat.post(CHAT, messages=HELLO, logprobs=3).error(400, "invalid_type", "logprobs")
    return f"{exact} of 8 texts are the very bytes"


def token_bytes(name):
    if not name.startswith("bytes:"):
        return name.encode()
    return bytes(int(h, 16) for h in name[6:].split("\\x")[1:])


def test_text_logprobs():
    for server, seeds in ((text, range(4)), (chat, range(20, 26))):
        for seed in seeds:
            ask = dict(prompt="Once", logprobs=3, max_tokens=12, seed=seed, temperature=1)
            c = answer(server, TEXT, **ask)["choices"][0]
            l = c["logprobs"]
            assert set(l) == {"tokens", "token_logprobs", "top_logprobs", "text_offset"}, l
            assert {len(v) for v in l.values()} == {12}, l
            special = [t for t in l["tokens"] if re.fullmatch(r"<[|/]?\w+(:\d+)?\|?>", t)]
            joined = b"".join(token_bytes(t) for t in l["tokens"] if t not in special)
            assert joined.decode("utf-8", "replace") == c["text"], (joined, c)
            for i, t in enumerate(l["tokens"]):
                assert len(l["top_logprobs"][i]) == 3, l
                assert l["token_logprobs"][i] <= max(l["top_logprobs"][i].values()), l
                if not t.startswith("bytes:") and t not in special and "\ufffd" not in c["text"]:
                    assert c["text"][l["text_offset"][i]:].startswith(t), (i, l, c)
            s = server.stream(TEXT, **ask)
            for key in l:
                assert [x for e in s for x in e["choices"][0]["logprobs"][key]] == l[key], key
    for off in (None, False):
        assert answer(text, TEXT, prompt="x", max_tokens=1, logprobs=off)["choices"][0][
            "logprobs"] is None
    assert answer(text, TEXT, prompt="x", max_tokens=1, logprobs=0)["choices"][0]["logprobs"][
        "top_logprobs"] == [{}]
    for bad in (-1, 6, 1.5, "3", True, []):
        text.post(TEXT, prompt="x", logprobs=bad).error(400, param="logprobs")


def test_raw_distribution():
    """Likelihoods are the model's own: temperature and penalties do not change them."""
    ask = dict(prompt="Once upon a time", logprobs=5, max_tokens=1)
    raw = answer(text, TEXT, **ask)["choices"][0]["logprobs"]
    for how in (dict(temperature=1.7, seed=1), dict(top_k=1), dict(presence_penalty=2)):
        other = answer(text, TEXT, **ask, **how)["choices"][0]["logprobs"]
        assert other["top_logprobs"] == raw["top_logprobs"], (other, raw)


# ------------------------------------------------------------------------------------------ fields

NUMBERS = {"temperature": (0, 2), "top_p": (0, 1), "presence_penalty": (-2, 2),
           "frequency_penalty": (-2, 2), "repetition_penalty": (0.01, 100)}
INTEGERS = {"top_k": (0, 1 << 24), "max_tokens": (1, (1 << 31) - 1)}
NOT_NUMBERS = ("5", "", True, False, [], {}, [1])


def raw(server, path, json_text):
    return server.ask("POST", path, json_text.encode())


def test_numbers():
    """C11: every field with numbers, at its ends and beyond."""
    for field, (low, high) in {**NUMBERS, **INTEGERS}.items():
        for good in (None, low, high):
            a = text.post(TEXT, **{"prompt": "x", "max_tokens": 1, **{field: good}}) \
                if field != "max_tokens" or good != high else \
                text.post(TEXT, prompt="x", max_tokens=good, stop=["a", "e", " "])
            assert a.status == 200, (field, good, a)
        beyond = (low - 1, high + 1) if field in INTEGERS else (low - 0.005, high + 0.01)
        for bad in NOT_NUMBERS + beyond + (-1e300, 1e300, 1 << 63, -(1 << 63), (1 << 53) + 1):
            text.post(TEXT, **{"prompt": "x", field: bad}).error(400, param=field)
        if field in INTEGERS:
            text.post(TEXT, **{"prompt": "x", field: 1.5}).error(400, "invalid_type", field)
        for bad in ("NaN", "Infinity", "-Infinity", "01", "+1", "1.", ".5", "0x10", "1e", "--1"):
            raw(text, TEXT, f'{{"prompt":"x","{field}":{bad}}}').error(400, "invalid_json")
        raw(text, TEXT, f'{{"prompt":"x","{field}":1e999}}').error(400)
    for field, bad in [(f, b) for f in ("n", "seed", "max_tokens")
                       for b in ("7", "", True, [], {}, 1.5, 1e300, -1e300)]:
        text.post(TEXT, **{"prompt": "x", field: bad}).error(400, param=field)
    for bad in (0, -1, 129, 1 << 31, 1 << 32, (1 << 32) + 1):
        text.post(TEXT, prompt="x", n=bad).error(400, "invalid_value", "n")
    for good in (0, -1, 1 << 53, -(1 << 53), 2.0, None):
        assert text.post(TEXT, prompt="x", max_tokens=1, seed=good).status == 200
    for bad in (1 << 63, (1 << 53) + 2):
        text.post(TEXT, prompt="x", seed=bad).error(400, "invalid_value", "seed")
    for field in ("stream", "echo"):
        for bad in (0, 1, "true", [], {}):
            text.post(TEXT, **{"prompt": "x", field: bad}).error(400, "invalid_type", field)
    chat.post(CHAT, messages=HELLO, max_completion_tokens=0).error(400, "invalid_value")
    chat.post(CHAT, messages=HELLO, max_completion_tokens=3, max_tokens=3).error(
        400, "invalid_value", "max_tokens")
    assert answer(chat, CHAT, messages=HELLO, max_completion_tokens=3)["usage"][
        "completion_tokens"] == 3


def test_json():
    """C12: what is no JSON, and what is more than JSON."""
    bad = [b"", b"nul", b"{", b'{"prompt":"x"', b'{"prompt":"a\\u0000b"}', b'{"prompt":"\\ud800"}',
           b'{"prompt":"\\udc00\\ud800"}', b'{"prompt":"\xff\xfe"}', b'{"prompt":"\xc0\xaf"}',
           b'{"prompt":"\xed\xa0\x80"}', b'{"prompt":"a\nb"}', b'{"prompt":"x"} x',
           b'{"prompt":"x"}{}', b'{"prompt":"x","prompt":"y"}', b'\xef\xbb\xbf{"prompt":"x"}',
           b'{"prompt":"x",}', b"{'prompt':'x'}", b'{"prompt":"x" // no\n}',
           b'{"prompt":"x","stop":"\xe4\xbd"}', b'{"\\ud800":1}', b'{"prompt":"x","\xff":1}',
           b"[" * 65 + b"]" * 65, b"[" * 1000 + b"]" * 1000, b"[" * 100000,
           b'{"prompt":' + b"[" * 100000,
           b'{"prompt":[' + b"1," * 300000 + b"1]}", b'{"prompt":"\\x"}', b'{"prompt":tru}']
    for body in bad:
        text.ask("POST", TEXT, body).error(400, "invalid_json")
    for body in (b"[]", b'"x"', b"5", b"null", b"true"):
        text.ask("POST", TEXT, body).error(400, "invalid_type")
    # 33 levels are JSON, but no prompt
    raw(text, TEXT, '{"prompt":' + "[" * 32 + "]" * 32 + "}").error(400, param="prompt")
    for key in ("Prompt", "PROMPT", "prompt ", "", "messages", "no_such", "suffixes"):
        message = text.post(TEXT, **{"prompt": "x", key: "y"}).error(400, "unknown_parameter")
        assert key[:60] in message, (key, message)
    assert text.ask("POST", TEXT, b' \n{"prompt":"x","max_tokens":1}\r\n ').status == 200
    assert raw(text, TEXT, '{"prompt":"\\ud83d\\ude00","max_tokens":1}').status == 200


def test_messages():
    """C13: messages of all kinds."""
    good = [
        [{"role": "system", "content": "s"}, *HELLO],
        [{"role": "developer", "content": "s"}, *HELLO],
        [{"role": "user", "content": [{"type": "text", "text": "你"}, {"type": "text", "text": "好"}]}],
        [{"role": "user", "content": ""}],
        [{"role": "user", "content": []}],
        [{"role": "user", "content": "x", "name": "alice"}],
        [{"role": "user", "content": "x", "name": None}],
        [*HELLO, {"role": "assistant", "content": "x", "refusal": None, "tool_calls": None,
                  "function_call": None, "audio": None, "annotations": []}, *HELLO],
        [*HELLO, {"role": "assistant", "content": None, "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
         {"role": "tool", "tool_call_id": "c", "content": "21"}],
        [{"role": "assistant", "content": "x"}],
    ]
    for m in good:
        a = chat.post(CHAT, messages=m, max_tokens=1)
        assert a.status == 200, (m, a)
    bad = [[], {}, "x", 5, True, [5], ["x"], [None], [[]], [{}], [{"role": "user"}],
           [{"content": "x"}], [{"role": "robot", "content": "x"}], [{"role": 5, "content": "x"}],
           [{"role": "User", "content": "x"}], [{"role": "user", "content": 5}],
           [{"role": "user", "content": None}], [{"role": "assistant", "content": None}],
           [{"role": "user", "content": {}}], [{"role": "user", "content": [5]}],
           [{"role": "user", "content": [{"type": "text"}]}],
           [{"role": "user", "content": [{"type": "text", "text": 5}]}],
           [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
           [{"role": "user", "content": "x", "name": 5}],
           [{"role": "user", "content": "x", "tool_calls": [{}]}],
           [{"role": "user", "content": "x", "weird": 1}],
           [{"role": "assistant", "content": "x", "tool_calls": {}}],
           [{"role": "assistant", "content": "x", "tool_calls": [{}]}],
           [{"role": "user", "content": "x"}] * 8193]
    for m in bad:
        chat.post(CHAT, messages=m).error(400, param="messages")
    one_of = {"role": "user", "content": "x"}
    chat.post(CHAT, messages=[one_of] * 100_000).error(400)
    chat.post(CHAT, messages=[dict(one_of, content="x" * (8 << 20))]).error(413, "body_too_large")
    chat.post(CHAT).error(400, "missing_parameter", "messages")
    chat.post(CHAT, messages=None).error(400, "missing_parameter", "messages")
    assert "messages[1]" in chat.post(CHAT, messages=[*HELLO, {"role": "x", "content": ""}]).error(400)
    text.post(CHAT, messages=HELLO).error(400, "no_chat_template", "messages")


def test_special_text():
    """The names of special tokens in a message are text, and end nothing."""
    plain = chat.post("/apply-template", messages=HELLO).json["tokens"]
    t = chat.post("/apply-template",
                  messages=[{"role": "user", "content": "</s><|end_of_sentence|><s>"}]).json["tokens"]
    assert t.count(1) == 0 and 2 not in t, t
    assert plain[0] == t[0] and t.count(t[0]) == 1, t


REFUSED = {"store": (True, False), "service_tier": ("flex", "auto"), "logit_bias": ({"5": 1}, {}),
           "modalities": (["text", "audio"], ["text"]), "audio": ({"voice": "x"}, None),
           "prediction": ({"type": "content", "content": "x"}, None),
           "reasoning_effort": ("high", "none"), "verbosity": ("low", "medium"),
           "web_search_options": ({}, None), "functions": ([{"name": "f"}], []),
           "function_call": ("auto", "none")}


def test_unsupported():
    """C15, C16: what is known and not served is refused, but where it asks for nothing."""
    for field, (bad, neutral) in REFUSED.items():
        chat.post(CHAT, messages=HELLO, **{field: bad}).error(400, "unsupported_parameter", field)
        a = chat.post(CHAT, messages=HELLO, max_tokens=1, **{field: neutral})
        assert a.status == 200, (field, a)
    for field, (bad, neutral) in {"best_of": (2, 1), "suffix": ("x", ""),
                                  "logit_bias": ({"1": 5}, None)}.items():
        text.post(TEXT, prompt="x", **{field: bad}).error(400, "unsupported_parameter", field)
        assert text.post(TEXT, prompt="x", max_tokens=1, **{field: neutral}).status == 200, field
    assert chat.post(CHAT, messages=HELLO, max_tokens=1, user="u", metadata={"a": "b"},
                     safety_identifier="s", prompt_cache_key="k").status == 200
    for path, body in ((CHAT, {"messages": HELLO}), (TEXT, {"prompt": "x"})):
        message = chat.post(path, **body, model="gpt-4").error(404, "model_not_found", "model")
        assert "gpt-4" in message, message
        chat.post(path, **body, model=5).error(400, "invalid_type", "model")


def test_context():
    positions = text.get("/props").json["n_ctx"]
    long = text.post("/tokenize", content="a b " * 300).json["count"]
    assert long > positions
    message = text.post(TEXT, prompt="a b " * 300).error(400, "context_length_exceeded", "prompt")
    assert str(long + 1) in message and str(positions) in message, (message, long)
    # far too long: that is told by its bytes, without reading four megabytes of text
    message = text.post(TEXT, prompt="a b " * 900000).error(400, "context_length_exceeded", "prompt")
    assert "at least" in message, message
    text.post(TEXT, prompt=[1] * (positions + 1)).error(400, "context_length_exceeded", "prompt")
    message = chat.post(CHAT, messages=[{"role": "user", "content": "你好" * 6000}]).error(
        400, "context_length_exceeded", "messages")
    assert "4096" in message, message
    full = [1] * positions
    a = answer(text, TEXT, prompt=full, max_tokens=5)
    assert a["usage"]["completion_tokens"] == 1 and a["choices"][0]["finish_reason"] == "length", a


# --------------------------------------------------------------------------------------- prefixes

def test_cached():
    """A prompt that was read before is not read again, and the answer is the same."""
    m = [{"role": "user", "content": "很久很久以前，" * 40}]
    first = chat.post(CHAT, messages=m, seed=9, logprobs=True)
    again = chat.post(CHAT, messages=m, seed=9, logprobs=True)
    u = [a.json["usage"]["prompt_tokens_details"]["cached_tokens"] for a in (first, again)]
    assert u[1] > u[0] and u[1] > again.json["usage"]["prompt_tokens"] // 2, u
    assert [a.headers["X-Cached-Tokens"] for a in (first, again)] == [str(x) for x in u]
    assert first.json["choices"] == again.json["choices"]
    s = chat.stream(CHAT, messages=m, seed=9, stream_options={"include_usage": True})
    assert s[-1]["usage"]["prompt_tokens_details"]["cached_tokens"] >= u[1], s[-1]
    assert deltas(s)[0] == first.json["choices"][0]["message"]["content"]
    return f"{u[0]}, then {u[1]} of {again.json['usage']['prompt_tokens']} tokens"


# ------------------------------------------------------------------------------------ small routes

def test_models():
    a = chat.get("/v1/models").json
    assert a["object"] == "list" and len(a["data"]) == 1, a
    m = a["data"][0]
    assert set(m) == {"id", "object", "created", "owned_by"} and m["object"] == "model", m
    assert m["id"] == "tiny-chat" and chat.get("/v1/models/tiny-chat").json == m
    chat.get("/v1/models/none").error(404, "model_not_found")
    two = Server(STORIES, "--model-name", "故事/1")
    name = urllib.parse.quote("故事/1")
    assert two.get("/v1/models/" + name).json["id"] == "故事/1"
    assert one(two, TEXT, model="故事/1", prompt="x", max_tokens=1) is not None
    assert two.stop()[0] == 0


def test_health():
    for path in ("/health", "/health/live", "/health/ready"):
        a = text.get(path)
        assert a.status == 200 and a.json == {"status": "ok"}, a
        assert a.headers["Content-Type"] == "application/json", a.headers
    h = text.get("/health").headers
    assert h["X-Slots-Free"] == "4" and h["X-Queue-Depth"] == "0", h


def test_statuses():
    for path in ("/v1/nothing", "/v1/embeddings", "/v1"):
        text.get(path).error(404, "not_found")
        text.ask("POST", path, {}).error(404, "not_found")
    text.get(TEXT).error(405, "method_not_allowed")
    assert text.get(TEXT).headers["Allow"] == "POST"
    text.ask("DELETE", "/v1/models").error(405)
    text.ask("POST", TEXT, b'{"prompt":"x"}', {"Content-Type": "text/plain"}).error(
        415, "unsupported_media_type")
    text.ask("POST", TEXT, b'{"prompt":"x"}', {"Content-Encoding": "gzip"}).error(415)
    text.ask("POST", TEXT, b'{"prompt":"' + b"x" * (5 << 20) + b'"}').error(413, "body_too_large")
    big = text.ask("POST", TEXT, b'{"prompt":"' + b"x" * (3 << 20) + b'"}')
    big.error(400, "context_length_exceeded")
    a = text.ask("POST", TEXT, {"prompt": "x", "max_tokens": 1},
                 {"Content-Type": "application/json; charset=utf-8", "X-Request-Id": "my-id.1"})
    assert a.status == 200 and a.headers["X-Request-Id"] == "my-id.1", a.headers
    assert text.get("/health").headers["X-Request-Id"]


def test_metrics():
    before = text.metrics()
    answer(text, TEXT, prompt="Once upon", max_tokens=11)
    text.post(TEXT, prompt=5).error(400)
    after = text.metrics()
    moved = {k: after[k] - before.get(k, 0) for k in after if after[k] != before.get(k, 0)}
    assert moved["inkstone_generated_tokens_total"] == 11, moved
    assert moved["inkstone_prompt_tokens_total"] >= 3, moved
    requests = {k: v for k, v in moved.items() if k.startswith("inkstone_requests_total")}
    assert any('"completions"' in k and '"200"' in k and v == 1 for k, v in requests.items()), moved
    assert any('"completions"' in k and '"400"' in k and v == 1 for k, v in requests.items()), moved
    assert moved["inkstone_request_seconds_count"] == 1, moved
    assert after["inkstone_slots"] == 4 and after["inkstone_ready"] == 1, after
    a = text.get("/metrics")
    assert a.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8", a.headers
    return f"{len(after)} values"


def test_props():
    p = chat.get("/props").json
    assert p["model"] == "tiny-chat" and p["chat_template"] is True and p["n_ctx"] == 4096, p
    assert p["slots"] == 4 and p["queue"] == 8 and p["authentication"] is False, p
    assert p["defaults"]["max_tokens"] == 24, p
    assert text.get("/props").json["chat_template"] is False


TEXTS = ["", "Once upon a time", "你好，世界！", "a  b\n\tc", "😀👨‍👩‍👧", "</s><s>[INST]", "ﬁ Å é",
         "abc \u05e9\u05dc\u05d5\u05dd 12 \u0645\u0631\u062d\u0628\u0627 \u202edef", "ＡＢ１\u3000ｶﾞ",
         "砚台 inkstone 砚", " leading", "\u202eabc", "0123456789"]


def test_tokenize():
    for server in (text, chat):
        for t in TEXTS:
            a = server.post("/tokenize", content=t).json
            assert set(a) == {"tokens", "count", "max_model_len"} and a["count"] == len(a["tokens"])
            back = server.post("/detokenize", tokens=a["tokens"])
            if server is chat or "  " not in t and not t.startswith(" "):
                # Llama's tokenizer drops spaces at the start and takes runs of them as one
                assert back.status == 200 and back.json["content"] == t, (t, a, back)
            assert server.post("/tokenize", prompt=t).json == a
    ids = chat.post("/tokenize", content="</s>", parse_special=True).json["tokens"]
    assert ids == [2], ids
    assert chat.post("/detokenize", tokens=[2], keep_special=True).json["content"] == "</s>"
    assert chat.post("/detokenize", tokens=[2]).json["content"] == ""
    assert chat.post("/detokenize", tokens=[]).json["content"] == ""
    assert text.post("/tokenize", content="x", add_special=True).json["tokens"][0] == 1
    for bad in (None, 5, [], {}):
        text.post("/tokenize", content=bad).error(400, "invalid_type", "content")
    for bad in (None, "x", [512], [-1], [1.5], ["x"], {}, [None], [1 << 63], [1 << 32], [True]):
        text.post("/detokenize", tokens=bad).error(400, param="tokens")
    text.post("/tokenize", content="x", other=1).error(400, "unknown_parameter")
    text.post("/tokenize", content="x", add_special=1).error(400, "invalid_type", "add_special")


def test_apply_template():
    m = [{"role": "system", "content": "你是助手"}, *HELLO,
         {"role": "assistant", "content": "好"}, {"role": "user", "content": "再见"}]
    a = chat.post("/apply-template", messages=m).json
    assert a["prompt"] == ("<|begin_of_sentence|>你是助手\nUser: 你好，请介绍一下砚台。\n"
                           "Assistant: 好<|end_of_sentence|>User: 再见\nAssistant: "), a
    assert chat.post("/detokenize", tokens=a["tokens"], keep_special=True).json[
        "content"] == a["prompt"]
    off = chat.post("/apply-template", messages=m, add_generation_prompt=False).json["prompt"]
    assert a["prompt"] == off + "Assistant: ", off
    same = answer(chat, CHAT, messages=m, seed=2)
    assert same["usage"]["prompt_tokens"] == len(a["tokens"]), same
    assert same["choices"][0]["message"]["content"].lstrip() == \
        one(chat, TEXT, prompt=a["tokens"], seed=2).lstrip()
    named = [dict(x, name="n") for x in m]
    assert chat.post("/apply-template", messages=named).json == a
    tools = [{"type": "function", "function": {"name": "weather", "description": "天气",
                                               "parameters": {"type": "object"}}}]
    t = chat.post("/apply-template", messages=m, tools=tools).json["prompt"]
    assert '"weather"' in t and "天气" in t and t.index("你是助手") < t.index("weather"), t
    assert chat.post("/apply-template", messages=m, tools=tools,
                     tool_choice="none").json["prompt"] == a["prompt"]
    text.post("/apply-template", messages=m).error(400, param="messages")


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def test_tool_fields():
    for bad in ({}, "x", [5], [{}], [{"type": "x"}], [{"type": "function"}],
                [{"type": "function", "function": {}}],
                [{"type": "function", "function": {"name": "a b"}}],
                [{"type": "function", "function": {"name": "x" * 65}}],
                [{"type": "function", "function": {"name": "f", "parameters": 5}}],
                [{"type": "function", "function": {"name": "f", "description": 5}}],
                [TOOL, TOOL], [TOOL] * 129):
        chat.post(CHAT, messages=HELLO, tools=bad).error(400, param="tools")
    for bad in ("x", 5, {}, {"type": "function"}, {"type": "function", "function": {"name": "g"}}):
        chat.post(CHAT, messages=HELLO, tools=[TOOL], tool_choice=bad).error(
            400, param="tool_choice")
    chat.post(CHAT, messages=HELLO, tool_choice="required").error(400, param="tool_choice")
    for good in ("none", "auto", None):
        a = chat.post(CHAT, messages=HELLO, tools=[TOOL], tool_choice=good, max_tokens=2)
        assert a.status == 200, a
    assert chat.post(CHAT, messages=HELLO, tools=[], max_tokens=1).status == 200
    assert chat.post(CHAT, messages=HELLO, tools=[TOOL], parallel_tool_calls=False,
                     max_tokens=1).status in (200, 400)


def test_tool_calls():
    """A random model writes nothing of sense, but calls that hold to the schema."""
    named = {"type": "function", "function": {"name": "g"}}
    g = {"type": "function", "function": {"name": "g", "parameters": {
        "type": "object", "additionalProperties": False, "required": ["墨"],
        "properties": {"墨": {"enum": ["黑", "红"]}}}}}
    for choice in ("required", named):
        ask = dict(messages=HELLO, tools=[TOOL, g] if choice == named else [g], tool_choice=choice,
                   max_tokens=300, seed=6)
        c = answer(chat, CHAT, **ask)["choices"][0]
        assert c["finish_reason"] == "tool_calls", c
        assert not c["message"]["content"] and c["message"]["tool_calls"], c
        for call in c["message"]["tool_calls"]:
            assert call["type"] == "function" and call["id"], call
            assert call["function"]["name"] == "g", call
            assert json.loads(call["function"]["arguments"])["墨"] in ("黑", "红"), call
        _, chosen = deltas(chat.stream(CHAT, **ask))
        parts = [p for d in chosen for p in d["delta"].get("tool_calls", [])]
        assert "".join(p["function"].get("arguments", "") for p in parts) == \
            "".join(t["function"]["arguments"] for t in c["message"]["tool_calls"]), (parts, c)
        assert chosen[-1]["finish_reason"] == "tool_calls", chosen[-1]


def test_json_schema():
    schema = {"type": "object", "additionalProperties": False, "required": ["a", "b"],
              "properties": {"a": {"type": "integer", "minimum": 0, "maximum": 99},
                             "b": {"enum": ["端砚", "歙砚"]}}}
    form = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}}
    for seed in range(4):
        ask = dict(messages=HELLO, response_format=form, max_tokens=300, seed=seed)
        whole = one(chat, CHAT, **ask)
        value = json.loads(whole)
        assert set(value) == {"a", "b"} and 0 <= value["a"] <= 99, value
        assert value["b"] in ("端砚", "歙砚"), value
        assert deltas(chat.stream(CHAT, **ask))[0] == whole
    for bad in (5, "json", [], {}, {"type": "xml"}, {"type": "json_schema"},
                {"type": "json_schema", "json_schema": {"name": "x", "schema": 5}},
                {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nothing"}}}):
        chat.post(CHAT, messages=HELLO, response_format=bad).error(400)
    assert chat.post(CHAT, messages=HELLO, response_format={"type": "text"},
                     max_tokens=1).status == 200


def test_hostile_schemas():
    """C14: circles, repetitions and nesting are refused or served, at once."""
    form = lambda s: {"type": "json_schema", "json_schema": {"name": "x", "schema": s}}
    nested, deep = {}, "(" * 2000 + "a" + ")" * 2000
    for _ in range(40):
        nested = {"items": nested}
    start = time.time()
    for bad in ({"type": "string", "pattern": "^a{1,1000000}$"}, {"pattern": deep}, {"enum": []},
                {"pattern": "((a{1,1000}){1,1000}){1,1000}"}, {"$ref": "#"},
                {"anyOf": [{"$ref": "#"}]}, {"$defs": {"a": {"$ref": "#/$defs/b"},
                                                       "b": {"$ref": "#/$defs/a"}},
                                             "$ref": "#/$defs/a"}):
        chat.post(CHAT, messages=HELLO, response_format=form(bad)).error(400)
        tool = {"type": "function", "function": {"name": "f", "parameters": {
            "type": "object", "properties": {"a": bad}, "required": ["a"]}}}
        if bad != {"$ref": "#"} and "$defs" not in bad and "anyOf" not in bad:
            chat.post(CHAT, messages=HELLO, tools=[tool], tool_choice="required").error(400)
    for good in (nested, {"type": "string", "pattern": "^(a+)+$"}):
        a = answer(chat, CHAT, messages=HELLO, response_format=form(good), max_tokens=200)
        json.loads(a["choices"][0]["message"]["content"])
    took = time.time() - start
    assert took < 30 * SLOW, took
    return f"{took:.1f} s"


# ------------------------------------------------------------------------------------------ gradio

def test_gradio_call():
    a = text.post("/gradio_api/call/predict", data=["Once upon a time"])
    assert a.status == 200 and set(a.json) == {"event_id"}, a
    r = text.get("/gradio_api/call/predict/" + a.json["event_id"])
    assert r.headers["Content-Type"].startswith("text/event-stream"), r.headers
    found = re.fullmatch(r"event: complete\ndata: (.*)\n\n", r.body.decode())
    assert found, r
    data = json.loads(found[1])
    assert len(data) == 1 and len(data[0]) > 20, data
    text.get("/gradio_api/call/predict/" + a.json["event_id"]).error(404)
    for bad in ({}, {"data": "x"}, {"data": []}, {"data": [5]}, {"data": ["a", "b"]}):
        text.post("/gradio_api/call/predict", **bad).error(400, param="data")
    long = text.post("/gradio_api/call/predict", data=["a b " * 4000]).json["event_id"]
    assert text.get("/gradio_api/call/predict/" + long).body.startswith(b"event: error\ndata: ")


def test_gradio_queue():
    ids = [chat.post("/gradio_api/queue/join", data=[q], session_hash="s1", fn_index=0).json[
        "event_id"] for q in ("你好", "再见")]
    messages = [json.loads(p[6:]) for p in
                chat.get("/gradio_api/queue/data?session_hash=s1").body.decode().split("\n\n")[:-1]]
    assert messages[-1] == {"msg": "close_stream"}, messages
    for i in ids:
        own = [m for m in messages if m.get("event_id") == i]
        assert [m["msg"] for m in own] == ["process_starts", "process_completed"], own
        assert own[1]["success"] is True and len(own[1]["output"]["data"]) == 1, own
    chat.get("/gradio_api/queue/data").error(400, "missing_parameter")
    chat.post("/gradio_api/queue/join", data=["x"]).error(400, param="session_hash")
    assert chat.get("/config").json["api_prefix"] == "/gradio_api"
    info = chat.get("/gradio_api/info?all_endpoints=True").json
    assert info["named_endpoints"]["/predict"]["returns"][0]["type"] == {"type": "string"}


def test_gradio_cancel():
    """One of two questions of a session is cancelled: waiting, and under way."""
    slow = Server(STORIES, "--slots", "1", "--ctx", "512", "--queue", "8")
    join = lambda s: slow.post("/gradio_api/queue/join", data=["Once"], session_hash=s).json[
        "event_id"]
    cancel = lambda s, i: slow.post("/gradio_api/cancel", session_hash=s, event_id=i, fn_index=0)
    read = lambda s: [json.loads(p[6:]) for p in slow.get(
        f"/gradio_api/queue/data?session_hash={s}").body.decode().split("\n\n")[:-1]]
    a, b = join("w"), join("w")
    assert cancel("x", a).json == {"success": True}  # another's
    assert cancel("w", a).json == {"success": True}
    done = [m["event_id"] for m in read("w") if m["msg"] == "process_completed"]
    assert done == [b], (done, a, b)
    a, got = join("r"), []
    b = join("r")
    reader = threading.Thread(target=lambda: got.extend(read("r")))
    reader.start()
    slow.wait_metric("inkstone_requests_queued", 1)
    cancel("r", b)
    cancel("r", a)
    reader.join()
    ends = {m["event_id"]: m["success"] for m in got if m["msg"] == "process_completed"}
    assert set(ends) == {a, b} and ends[b] is False, got
    slow.post("/gradio_api/cancel", event_id=a).error(400, param="session_hash")
    assert slow.stop()[0] == 0


def test_gradio_memory():
    """Questions that nobody fetches the answers of take so much memory and no more."""
    long = [text.post("/gradio_api/call/predict", data=["x" * 3_000_000]) for _ in range(8)]
    assert [a.status for a in long] == [200] * 5 + [429] * 3, [a.status for a in long]
    for a in long[:5]:
        text.get("/gradio_api/call/predict/" + a.json["event_id"])
    assert text.post("/gradio_api/call/predict", data=["x"]).status == 200


# ---------------------------------------------------------------------------------- load and leave

def resident(server):
    """MiB; 0 where the system does not tell."""
    return server.metrics().get("process_resident_memory_bytes", 0) / (1 << 20)


def test_full():
    """One slot, one in the queue, then 429 with Retry-After; the slot goes to who is next."""
    s = Server(STORIES, "--slots", "1", "--queue", "1", "--max-new-tokens", "400", "--ctx", "512")
    out = []
    ask = lambda: out.append(s.post(TEXT, prompt="Once", ))
    threads = [threading.Thread(target=ask) for _ in range(12)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    codes = sorted(a.status for a in out)
    assert set(codes) <= {200, 429} and codes.count(200) >= 2 and 429 in codes, codes
    for a in out:
        if a.status == 429:
            a.error(429, "rate_limit_exceeded")
            assert 1 <= int(a.headers["Retry-After"]) <= 60, a.headers
    assert len({a.json["choices"][0]["text"] for a in out if a.status == 200}) == 1
    assert s.metrics()['inkstone_rejected_total{reason="queue"}'] == codes.count(429)
    s.post(TEXT, prompt="x", n=100).error(400, "invalid_value", "n")
    assert s.stop()[0] == 0
    return f"{codes.count(200)} answered, {codes.count(429)} refused"


def test_load():
    """F24: one, slots, slots and queue, ten times that: each is answered or refused, nobody waits for
    ever, and the memory of later rounds is that of the first."""
    s = Server(STORIES, "--slots", "2", "--queue", "4", "--max-new-tokens", "100", "--ctx", "256",
               "--prefix-cache", "0")

    def ask_together(n):
        out = []
        ask = lambda i: out.append(s.post(TEXT, prompt=f"Once {i}", temperature=1))
        threads = [threading.Thread(target=ask, args=(i,)) for i in range(n)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        for a in out:
            if a.status == 429:
                assert int(a.headers["Retry-After"]) >= 1, a.headers
        return [a.status for a in out]

    for n in (1, 2, 6):
        assert ask_together(n) == [200] * n, n
    seen = []
    for _ in range(6):
        codes = ask_together(60)
        assert len(codes) == 60 and set(codes) <= {200, 429} and codes.count(200) >= 6, codes
        seen.append(resident(s))
    # who asks again is answered in the end, however many do
    counts = []

    def insist(i):
        n = 0
        while s.post(TEXT, prompt=f"The {i}", temperature=1).status == 429:
            n += 1
            time.sleep(0.01)
        counts.append(n)
    threads = [threading.Thread(target=insist, args=(i,)) for i in range(24)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(counts) == 24 and s.stop()[0] == 0
    assert not is_plain or seen[-1] - seen[1] < 8, seen
    return f"{seen[1]:.1f}, then {seen[-1]:.1f} MiB"


def test_stream_that_nobody_reads():
    """D18: so much of an answer is kept for who does not read it, and no more; others are served."""
    s = Server(STORIES, "--slots", "4", "--queue", "200", "--max-new-tokens", "500")
    before = resident(s)
    body = json.dumps({"prompt": "Once", "n": 100, "stream": True, "logprobs": 5, "seed": 1,
                       "temperature": 2}).encode()
    with socket.socket() as c:
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.connect(("127.0.0.1", s.port))
        c.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: "
                  b"application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        s.wait_metric('inkstone_cancelled_total{reason="slow"}', 1, 60 if is_plain else 180)
        s.wait_metric("inkstone_requests_running", 0)
        used = resident(s) - before
        assert s.post(TEXT, prompt="x", max_tokens=1).status == 200
    assert s.stop()[0] == 0 and (not is_plain or used < 32), used
    return f"{used:.1f} MiB more"


def leave_early(server, body, read_first):
    c = server.connect()
    c.request("POST", TEXT, json.dumps(body), {"Content-Type": "application/json"})
    if read_first:
        r = c.getresponse()
        r.read(10)
        r.close()
    else:
        server.wait_metric("inkstone_requests_running", 1)
    c.close()
    return server.wait_metric("inkstone_requests_running", 0)


def test_leave():
    s = Server(STORIES, "--slots", "2", "--max-new-tokens", "500")
    ask = {"prompt": "Once", "max_tokens": 500}
    took = [leave_early(s, dict(ask, stream=True), True) for _ in range(3)]
    took += [leave_early(s, ask, False)]
    m = s.metrics()
    assert m['inkstone_cancelled_total{reason="gone"}'] >= 3, m
    assert s.stop()[0] == 0
    return f"slots free after {max(took) * 1000:.0f} ms at most"


def test_drain():
    s = Server(STORIES, "--slots", "2", "--drain-delay", "1")
    c = s.connect()
    c.request("POST", TEXT, json.dumps({"prompt": "Once", "max_tokens": 500, "stream": True}),
              {"Content-Type": "application/json"})
    r = c.getresponse()
    r.read(10)
    s.process.terminate()
    end, a = time.time() + 5, None
    while time.time() < end and (a is None or a.status == 200):
        a = s.get("/health/ready")
    a.error(503, "not_ready")
    assert a.headers["Retry-After"] and s.get("/health/live").status == 200
    assert r.read().endswith(b"data: [DONE]\n\n")
    assert s.process.wait(30) == 0


def ask_much(s, n=100):
    """A stream of n answers, of which one byte is read."""
    c = s.connect()
    c.request("POST", TEXT, json.dumps({"prompt": "Once", "n": n, "stream": True, "seed": 1,
                                        "temperature": 2}), {"Content-Type": "application/json"})
    r = c.getresponse()
    r.read(1)
    return c, r


def test_second_signal():
    """F27: the first SIGTERM waits for answers, the second does not."""
    s = Server(STORIES, "--slots", "1", "--queue", "200", "--max-new-tokens", "500")
    c, r = ask_much(s)
    s.process.terminate()
    time.sleep(0.5)
    assert s.process.poll() is None, "answers under way were not waited for"
    start = time.time()
    s.process.terminate()
    rest = r.read()
    assert s.process.wait(20 * SLOW) == 0
    last = [p for p in rest.split(b"\n\n") if p][-1]
    assert b'"shutting_down"' in last and b"[DONE]" not in rest, last
    assert "stopped_with_answers_cut_off" in s.text(), s.text()
    c.close()
    return f"{time.time() - start:.1f} s after the second"


def stop_while_reading_prompts(*options):
    """What six get whose long prompts are read, or wait to be, when SIGTERM comes."""
    s = Server(folder.name + "/tiny-chat", "--slots", "2", "--queue", "8", *options)
    n, out = (1200 if is_plain else 150), []
    ask = lambda i: out.append(s.post(CHAT, max_tokens=n // 3, messages=[
        {"role": "user", "content": f"{i} " + "砚台，" * n}]))
    threads = [threading.Thread(target=ask, args=(i,)) for i in range(6)]
    [t.start() for t in threads]
    s.wait_metric("inkstone_requests_queued", 4)
    s.process.terminate()
    [t.join() for t in threads]
    assert s.process.wait(20 * SLOW) == 0
    return out


def test_stop_while_reading_prompts():
    """F27: they are answered, and then the server ends."""
    out = stop_while_reading_prompts("--drain-timeout", "600")
    assert [a.status for a in out] == [200] * 6, out


def test_cut_off_while_reading_prompts():
    """F27: whom the end of the drain cuts off is told so."""
    out = stop_while_reading_prompts("--drain-timeout", "0")
    codes = [a.status for a in out]
    assert len(codes) == 6 and codes.count(503) >= 3 and set(codes) <= {200, 503}, codes
    for a in out:
        if a.status == 503:
            a.error(503, "shutting_down")
    return codes


def test_paused():
    """F27: stopped by SIGTSTP and woken by SIGCONT, it goes on where it was."""
    s = Server(STORIES, "--slots", "1", "--queue", "200", "--max-new-tokens", "200")
    c, r = ask_much(s, 20)
    s.process.send_signal(signal.SIGTSTP)
    time.sleep(0.5)
    s.process.send_signal(signal.SIGCONT)
    assert r.read().endswith(b"data: [DONE]\n\n")
    c.close()
    assert s.stop()[0] == 0


def test_log_without_reader():
    """F27: the log's reader is gone: that is no reason to end."""
    read, write = os.pipe()
    p = subprocess.Popen([PROGRAM, "serve", STORIES, "--port", "0", "--threads", "1"],
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=write)
    try:
        os.close(write)
        said = b""
        while not (found := re.search(rb"127\.0\.0\.1:(\d+)/v1", said)):
            piece = os.read(read, 4096)
            assert piece, said
            said += piece
        os.close(read)
        for i in range(3):
            c = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=60)
            c.request("POST", TEXT, json.dumps({"prompt": "x", "max_tokens": 1}),
                      {"Content-Type": "application/json"})
            assert c.getresponse().status == 200
            c.close()
            p.send_signal(signal.SIGPIPE)
        p.terminate()
        assert p.wait(30 * SLOW) == 0
    finally:
        p.kill()


def test_lost_files():
    """F29, F32: the model's files may be replaced or removed while they are served; cut short, the
    server ends with a message and no signal. Folders may be called anything."""
    for how in ("remove", "cut"):
        model = f"{folder.name}/一 个 'model' 🖌 {how}"
        shutil.copytree(STORIES, model)
        weights = model + "/model.safetensors"
        os.chmod(weights, 0o644)
        s = Server(model, "--model-name", "m")
        assert s.post(TEXT, prompt="Once", max_tokens=3).status == 200
        if how == "remove":
            shutil.rmtree(model)
            assert s.post(TEXT, prompt="The cat", max_tokens=9).status == 200
            assert s.stop()[0] == 0
            continue
        os.truncate(weights, 4096)
        try:
            seen = s.post(TEXT, prompt="The cat", max_tokens=9).status
            assert seen == 200, seen  # of systems that keep the pages
            assert s.stop()[0] == 0
        except (ConnectionError, http.client.HTTPException):
            assert s.process.wait(20 * SLOW) == 3, s.process.returncode
            assert "was cut short" in s.text(), s.text()


def test_adapters():
    """A5: adapters are loaded at the start and no later; requests with and without one run together,
    and their folder may go."""
    data, adapter = f"{SOURCE}/tests/data", f"{folder.name}/adapter"
    shutil.copytree(f"{data}/adapters/ernie-all-r8", adapter)
    os.chmod(adapter, 0o755)
    s = Server(f"{data}/fixtures/ernie-tiny", "--tokenizer", STORIES, "--type", "native", "--slots", "4",
               "--queue", "12", "--model-name", "base", "--lora", f"a={adapter}")

    def said(name):
        return s.post(TEXT, model=name, prompt="Once", max_tokens=20, temperature=0).json["choices"]

    assert [m["id"] for m in s.get("/v1/models").json["data"]] == ["base", "a"]
    alone = {name: said(name) for name in ("base", "a")}
    assert alone["base"] != alone["a"], alone
    shutil.rmtree(adapter)
    names = ["base", "a", "a"] * 4
    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        for name, got in zip(names, pool.map(said, names)):
            assert got == alone[name], (name, got)
    s.post("/v1/load_lora_adapter", lora_name="b", lora_path=adapter).error(404)
    s.post(TEXT, model="b", prompt="Once").error(404, "model_not_found")
    assert s.stop()[0] == 0


def test_little_memory():
    """F30: too little memory is told in a line, at the start or in the answer, and no crash."""
    if not is_plain or not os.path.exists("/proc/self/statm"):
        raise Skip("sanitizers need much of it, and some systems know no such limit")
    seen = []
    for mib in (16, 32, 48, 64, 80, 96, 128, 160, 1024):
        with tempfile.TemporaryFile("w+b") as log:
            p = subprocess.Popen(
                [PROGRAM, "serve", STORIES, "--port", "0", "--threads", "1"], stderr=log,
                stdin=subprocess.DEVNULL, stdout=log, env=dict(os.environ, LC_ALL="C.UTF-8"),
                preexec_fn=limit_memory(mib))
            try:
                said, end = b"", time.time() + 20
                while p.poll() is None and b"/v1\n" not in said and time.time() < end:
                    time.sleep(0.02)
                    said = os.pread(log.fileno(), 1 << 16, 0)
                if p.poll() is None:
                    port = int(re.search(rb"127\.0\.0\.1:(\d+)/v1", said)[1])
                    c = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                    c.request("POST", TEXT, json.dumps({"prompt": "x", "max_tokens": 5, "n": 4}),
                              {"Content-Type": "application/json"})
                    status = c.getresponse().status
                    assert status in (200, 503), status
                    c.close()
                    p.terminate()
                    assert p.wait(30) == 0
                else:
                    status = p.returncode
                    said = os.pread(log.fileno(), 1 << 16, 0)
                    assert status in (1, 127) and said.count(b"\n") == 1, (mib, status, said)
                seen.append(status)
            finally:
                p.kill()
    assert 200 in seen and seen[0] in (1, 127), seen
    return seen


def test_stopped_reader():
    """One who takes nothing of a long answer does not hold up the end of the server."""
    s = Server(STORIES, "--drain-timeout", "1")
    body = json.dumps({"content": "1234567890" * 100000}).encode()
    with socket.socket() as c:
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.connect(("127.0.0.1", s.port))
        c.sendall(b"POST /tokenize HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                  b"Content-Length: %d\r\n\r\n" % len(body) + body)
        c.recv(10)
        start = time.time()
        assert s.stop()[0] == 0
        took = time.time() - start
    assert took < 10 * SLOW, took
    return f"{took:.1f} s"


# -------------------------------------------------------------------------------- keys and the log

def test_keys():
    s = Server(STORIES, "--api-key", "correct-horse-1", "--api-key", "correct-horse-2")
    body = dict(prompt="x", max_tokens=1)
    s.post(TEXT, **body).error(401)
    assert s.post(TEXT, **body).headers["WWW-Authenticate"].startswith("Bearer")
    for wrong in ("correct-horse", "correct-horse-3", "Correct-horse-1", "correct-horse-1x", "x"):
        s.post(TEXT, _key=wrong, **body).error(401)
    for right in ("correct-horse-1", "correct-horse-2"):
        assert s.post(TEXT, _key=right, **body).status == 200
    s.get("/v1/models?api_key=correct-horse-1").error(400, "key_in_address")
    s.ask("GET", "/v1/models", headers={"Authorization": "Basic correct-horse-1"}).error(401)
    for path in ("/metrics", "/v1/models", "/config", "/gradio_api/info"):
        s.get(path).error(401)
        assert s.get(path, key="correct-horse-1").status == 200, path
    for path in ("/", "/health", "/health/live", "/health/ready", "/props", "/style.css"):
        assert s.get(path).status == 200, path
    assert s.get("/props").json["authentication"] is True
    assert "correct-horse" not in s.text()
    assert s.stop()[0] == 0 and "correct-horse" not in s.text()


def test_key_file():
    """E23: a file that others may read is told of, SIGHUP reads it anew, and no key is in the log."""
    path = folder.name + "/keys"
    body = dict(prompt="x", max_tokens=1)

    def write(content):
        with open(path, "w") as f:
            f.write(content)

    def reload(event):
        before = s.text().count(event)
        s.process.send_signal(signal.SIGHUP)
        end = time.time() + 10 * SLOW
        while s.text().count(event) == before:
            assert time.time() < end, s.text()
            time.sleep(0.02)

    write("# mine\nfirst-key-of-file\n")
    os.chmod(path, 0o644)
    s = Server(STORIES, "--api-key-file", path)
    assert "chmod 600" in s.text(), s.text()
    assert s.post(TEXT, _key="first-key-of-file", **body).status == 200
    write("second-key-of-file\n")
    reload("keys_read")
    s.post(TEXT, _key="first-key-of-file", **body).error(401)
    assert s.post(TEXT, _key="second-key-of-file", **body).status == 200
    write("second-key-of-file\nbad\n")
    reload("keys_stay_as_they_were")
    assert s.post(TEXT, _key="second-key-of-file", **body).status == 200
    assert s.stop()[0] == 0 and "key-of-file" not in s.text() and "mine" not in s.text()


def test_page():
    a = text.get("/")
    policy = a.headers["Content-Security-Policy"]
    for part in ("default-src 'none'", "script-src 'self'", "img-src 'self' data:",
                 "connect-src 'self'", "frame-ancestors 'none'"):
        assert part in policy.split("; "), policy
    for path in ("/", "/app.js", "/v1/models", "/no-such-file.js"):
        h = text.get(path).headers
        assert h["X-Frame-Options"] == "DENY" and h["X-Content-Type-Options"] == "nosniff", h
        assert h["Referrer-Policy"] == "no-referrer", h
    assert a.status == 200 and a.headers["Content-Type"].startswith("text/html"), a.headers
    assert b"<!doctype html>" in a.body.lower() and a.headers["Content-Security-Policy"]
    assert text.get("/", {"If-None-Match": a.headers["ETag"]}).status == 304
    assert text.get("/app.js").status == 200
    text.get("/no-such-file.js").error(404, "not_found")


def test_browsers():
    body = {"prompt": "x", "max_tokens": 1}
    text.ask("POST", TEXT, body, {"Origin": "http://evil.example"}).error(403)
    text.ask("POST", TEXT, body, {"Origin": "null"}).error(403)
    assert text.ask("POST", TEXT, body, {"Origin": text.url}).status == 200
    assert text.ask("GET", "/health", headers={"Host": "evil.example"}).status in (403, 421)


def test_language():
    """Whatever language the server speaks to who starts it: programs are told in English."""
    s = Server(STORIES, language="zh_CN.UTF-8")
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nothing"}}}
    for path, body in ((TEXT, b"[1"), (TEXT, b'{"a":1,"a":2}'), (TEXT, b'{"a":[[1]'),
                       ("/gradio_api/cancel", b"{"), ("/gradio_api/call/predict", b"[1,"),
                       (CHAT, json.dumps({"messages": HELLO, "response_format": schema}).encode())):
        assert s.ask("POST", path, body).error(400).isascii(), path
    assert "请" in s.text() and s.stop()[0] == 0


def test_silence():
    """E23: no prompt, answer or id of a user is ever in the log, or in what tells of the server."""
    for f in ("text", "json"):
        s = Server(STORIES, "--log-format", f)
        for body in ({"prompt": SECRET}, {"prompt": SECRET, "stream": True}, {"prompt": SECRET, "n": 0},
                     {SECRET: 1}, {"prompt": SECRET, "user": SECRET, "stop": SECRET},
                     {"prompt": "x", "model": SECRET}):
            s.post(TEXT, **dict({"max_tokens": 3}, **body))
        s.ask("POST", TEXT, SECRET.encode())
        s.post("/tokenize", content=SECRET)
        s.post("/gradio_api/call/predict", data=[SECRET])
        for path in ("/metrics", "/props", "/health", "/config", "/v1/models"):
            a = s.get(path)
            assert a.status == 200 and SECRET.encode() not in a.body, (path, a)
        s.get("/slots").error(404)
        code, out = s.stop()
        assert code == 0 and out == b"", (code, out)
        assert "stupendously" not in s.text() and "砚" not in s.text(), s.text()
        assert s.text().count("/v1/completions") + s.text().count("completions") >= 5, s.text()


for name, function in list(globals().items()):
    if name.startswith("test_"):
        tap.test(name[5:].replace("_", " "), function)
for server in (text, chat):
    tap.test("a server ends with status 0 and empty output",
             lambda: None if server.stop() == (0, b"") else 1 / 0)
tap.end()
