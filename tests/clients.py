"""Clients that people use, against `inkstone serve`. Run by tests/oracle_clients.

Every answer is held against the client's own types, with no field beyond them, and against schemas
written from OpenAI's published reference."""
import asyncio
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time

from serve_support import SOURCE, Server, Skip, Tap, events, make_chat_model, parse_metrics

tap = Tap()
folder = tempfile.TemporaryDirectory()
model = make_chat_model(folder.name + "/tiny-chat")
KEY = "a-key-of-clients"
server = Server(model, "--slots", "2", "--queue", "4", "--api-key", KEY, "--max-new-tokens", "24")
BASE = server.url + "/v1"
HELLO = [{"role": "user", "content": "你好，请介绍一下砚台。"}]


def need(*names):
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise Skip(f"no Python package {name}")


# ----------------------------------------------------------------------------------------- schemas

def obj(**fields):
    """An object with these fields and no other; NAME_ is optional."""
    return {"type": "object", "additionalProperties": False,
            "properties": {k.rstrip("_"): v for k, v in fields.items()},
            "required": [k for k in fields if not k.endswith("_")]}


def maybe(schema):
    return {"anyOf": [schema, {"type": "null"}]}


def array(schema, **more):
    return {"type": "array", "items": schema, **more}


STR, INT, NUM = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "number"}
BYTES = maybe(array({"type": "integer", "minimum": 0, "maximum": 255}))
TOP = obj(token=STR, logprob=NUM, bytes=BYTES)
LOGPROBS = maybe(obj(content=maybe(array(obj(token=STR, logprob=NUM, bytes=BYTES,
                                             top_logprobs=array(TOP)))),
                     refusal=maybe(array(TOP))))
USAGE = obj(prompt_tokens=INT, completion_tokens=INT, total_tokens=INT,
            prompt_tokens_details_=obj(cached_tokens_=INT, audio_tokens_=INT),
            completion_tokens_details_=obj(reasoning_tokens_=INT, audio_tokens_=INT,
                                           accepted_prediction_tokens_=INT,
                                           rejected_prediction_tokens_=INT))
FUNCTION = obj(name=STR, arguments=STR)
CALL = obj(id=STR, type={"const": "function"}, function=FUNCTION)
DELTA_CALL = obj(index=INT, id_=STR, type_={"const": "function"},
                 function_=obj(name_=STR, arguments_=STR))
REASON = {"enum": ["stop", "length", "tool_calls", "content_filter", "function_call"]}


def head(kind):
    return dict(id=STR, object={"const": kind}, created=INT, model=STR, system_fingerprint_=STR)


SCHEMAS = {
    "chat.completion": obj(**head("chat.completion"), usage_=USAGE, choices=array(obj(
        index=INT, finish_reason=REASON, logprobs=LOGPROBS,
        message=obj(role={"const": "assistant"}, content=maybe(STR), refusal=maybe(STR),
                    tool_calls_=array(CALL, minItems=1))), minItems=1)),
    "chat.completion.chunk": obj(**head("chat.completion.chunk"), usage_=maybe(USAGE),
                                 choices=array(obj(
        index=INT, finish_reason=maybe(REASON), logprobs_=LOGPROBS,
        delta=obj(role_={"const": "assistant"}, content_=maybe(STR), refusal_=maybe(STR),
                  tool_calls_=array(DELTA_CALL, minItems=1))))),
    "text_completion": obj(**head("text_completion"), usage_=maybe(USAGE), choices=array(obj(
        index=INT, text=STR, finish_reason=maybe({"enum": ["stop", "length", "content_filter"]}),
        logprobs=maybe(obj(tokens=array(STR), token_logprobs=array(NUM), text_offset=array(INT),
                           top_logprobs=array({"type": "object",
                                               "additionalProperties": NUM})))))),
    "list": obj(object={"const": "list"}, data=array(obj(
        id=STR, object={"const": "model"}, created=INT, owned_by=STR))),
}
ERROR = obj(error=obj(message=STR, type=STR, param=maybe(STR), code=maybe(STR)))


def no_extras(value):
    """No field that the client's types do not know, at any depth."""
    if isinstance(value, (list, tuple)):
        [no_extras(v) for v in value]
    elif hasattr(value, "model_fields_set"):
        assert not value.model_extra, value.model_extra
        [no_extras(getattr(value, f)) for f in type(value).model_fields]


def strict(parsed, kind=None):
    """A parsed answer, once more with validation. The client's own parsing checks nothing."""
    import jsonschema
    data = parsed.to_dict(mode="json")
    jsonschema.validate(data, SCHEMAS[data["object"]])
    for choice in data.get("choices", []) if data["object"] == "text_completion" else []:
        # Null in streams, as OpenAI sends it, and as its package's type has it not.
        choice["finish_reason"] = choice["finish_reason"] or "stop"
    if "created" in data:
        no_extras((kind or type(parsed)).model_validate(data))
    return parsed


def client(**more):
    need("openai", "jsonschema")
    import openai
    return openai.OpenAI(**{"base_url": BASE, "api_key": KEY, "max_retries": 0, **more})


def running(value, seconds=10):
    start = time.time()
    while time.time() - start < seconds:
        now = parse_metrics(server.get("/metrics", key=KEY).body.decode())
        if now["inkstone_requests_running"] == value:
            return time.time() - start
    raise AssertionError(f"not {value} but {now['inkstone_requests_running']} are running")


# ------------------------------------------------------------------------------------ openai, Python

def test_openai_chat():
    c = client()
    a = strict(c.chat.completions.create(model="tiny-chat", messages=HELLO, seed=1, n=2,
                                         logprobs=True, top_logprobs=3, user="u",
                                         metadata={"a": "b"}, temperature=0.9, top_p=0.9))
    assert len(a.choices) == 2 and a.choices[0].message.content, a
    assert len(a.choices[0].logprobs.content) == a.usage.completion_tokens // 2 == 24, a
    raw = c.chat.completions.with_raw_response.create(model="tiny-chat", messages=HELLO)
    assert raw.status_code == 200 and int(raw.headers["x-cached-tokens"]) >= 0, raw.headers
    assert raw.headers["x-request-id"] and strict(raw.parse())._request_id, raw.headers
    models = c.models.list()
    import jsonschema
    jsonschema.validate(models.to_dict(), SCHEMAS["list"])
    assert [m.id for m in models] == ["tiny-chat"]
    assert c.models.retrieve("tiny-chat").id == "tiny-chat"
    extra = c.chat.completions.create(model="tiny-chat", messages=HELLO, seed=3,
                                      extra_body={"top_k": 5, "repetition_penalty": 1.1})
    assert extra.choices[0].message.content


def test_openai_stream():
    c = client()
    ask = dict(model="tiny-chat", messages=HELLO, seed=4, logprobs=True)
    whole = c.chat.completions.create(**ask)
    chunks = [strict(x) for x in c.chat.completions.create(
        stream=True, stream_options={"include_usage": True}, **ask)]
    assert "".join(x.choices[0].delta.content or "" for x in chunks[:-1]) == \
        whole.choices[0].message.content
    assert chunks[-1].usage.completion_tokens == 24, chunks[-1]
    text = whole.choices[0].message.content
    with c.chat.completions.stream(model="tiny-chat", messages=HELLO, seed=4,
                                   stop=text[12:16]) as s:  # the client takes "length" for a failure
        kinds = {e.type for e in s}
        final = s.get_final_completion()
    assert final.choices[0].message.content == text[:text.index(text[12:16])], final
    return ", ".join(sorted(kinds))


def test_openai_completions():
    c = client()
    a = strict(c.completions.create(model="tiny-chat", prompt=["砚", "墨"], n=2, max_tokens=5, seed=1,
                                    logprobs=2))
    assert len(a.choices) == 4, a
    a = strict(c.completions.create(model="tiny-chat", prompt=[3, 4, 5], max_tokens=5, echo=True))
    s = [strict(x) for x in c.completions.create(model="tiny-chat", prompt="砚", max_tokens=5,
                                                 stream=True, seed=1, logprobs=1)]
    assert "".join(x.choices[0].text for x in s)


def test_openai_async():
    need("openai")
    import openai

    async def run():
        async with openai.AsyncOpenAI(base_url=BASE, api_key=KEY, max_retries=0) as c:
            ask = dict(model="tiny-chat", messages=HELLO)
            four = await asyncio.gather(*[c.chat.completions.create(seed=i, **ask)
                                          for i in range(4)])
            [strict(a) for a in four]
            text = ""
            async for x in await c.chat.completions.create(seed=2, stream=True, **ask):
                text += strict(x).choices[0].delta.content or ""
            assert text == four[2].choices[0].message.content
            task = asyncio.create_task(c.chat.completions.create(max_tokens=4000, **ask))
            await asyncio.to_thread(running, 1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return await asyncio.to_thread(running, 0)
    return f"a cancelled task frees its slot in {asyncio.run(run()) * 1000:.0f} ms"


def test_openai_errors():
    c = client()
    import jsonschema
    import openai

    def fails(kind, call, code=None):
        try:
            call()
        except openai.APIStatusError as e:
            assert type(e) is kind and (code is None or e.code == code), repr(e)
            jsonschema.validate(e.response.json(), ERROR)
            return e
        raise AssertionError(f"no {kind.__name__}")
    ask = dict(model="tiny-chat", messages=HELLO)
    create = c.chat.completions.create
    fails(openai.AuthenticationError, lambda: client(api_key="wrong-key-1").models.list())
    fails(openai.NotFoundError, lambda: create(model="gpt-4o", messages=HELLO), "model_not_found")
    fails(openai.NotFoundError, lambda: c.embeddings.create(model="tiny-chat", input="x"))
    fails(openai.NotFoundError, lambda: c.models.retrieve("gpt-4o"), "model_not_found")
    e = fails(openai.BadRequestError, lambda: create(temperature=3, **ask), "invalid_value")
    assert e.param == "temperature" and e.request_id, e
    fails(openai.BadRequestError, lambda: create(extra_body={"nonsense": 1}, **ask),
          "unknown_parameter")
    fails(openai.BadRequestError, lambda: create(logit_bias={"5": 1}, **ask),
          "unsupported_parameter")
    fails(openai.BadRequestError, lambda: create(
        model="tiny-chat", messages=[{"role": "user", "content": "砚" * 9000}]),
        "context_length_exceeded")
    try:
        client(base_url="http://127.0.0.1:1/v1").models.list()
        raise AssertionError("nobody is there")
    except openai.APIConnectionError:
        pass


def test_openai_full():
    """429 with Retry-After, and the client's own second try."""
    need("openai")
    import openai
    s = Server(model, "--slots", "1", "--queue", "0")
    c = client(base_url=s.url + "/v1")
    ask = dict(model="tiny-chat", messages=HELLO)
    stream = c.chat.completions.create(stream=True, max_tokens=3000, **ask)
    next(iter(stream))
    try:
        c.chat.completions.create(**ask)
        raise AssertionError("there is room")
    except openai.RateLimitError as e:
        assert int(e.response.headers["retry-after"]) >= 1 and e.code == "rate_limit_exceeded", e
    import threading
    threading.Timer(0.3, stream.close).start()
    a = c.with_options(max_retries=5).chat.completions.create(max_tokens=3, **ask)
    assert strict(a).usage.completion_tokens == 3
    assert s.stop()[0] == 0


def test_openai_leave():
    c = client()
    import openai
    ask = dict(model="tiny-chat", messages=HELLO, max_tokens=3500)
    took = []
    for _ in range(3):
        stream = c.chat.completions.create(stream=True, **ask)
        next(iter(stream))
        running(1)
        stream.close()
        took.append(running(0))
    try:
        c.with_options(timeout=0.5).chat.completions.create(**ask)
        raise AssertionError("no time-out")
    except openai.APITimeoutError:
        took.append(running(0))
    return f"slot free after {', '.join(f'{1000 * t:.0f}' for t in took)} ms"


WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "一个城市的天气", "parameters": {
        "type": "object", "additionalProperties": False, "required": ["city", "unit"],
        "properties": {"city": {"type": "string", "maxLength": 8},
                       "unit": {"enum": ["c", "f"]}}}}}
CLOCK = {"type": "function", "function": {"name": "get_time", "parameters": {
    "type": "object", "properties": {}, "additionalProperties": False}}}


def test_openai_tools():
    c = client()
    import jsonschema
    ask = dict(model="tiny-chat", messages=HELLO, tools=[WEATHER, CLOCK], max_tokens=400)
    named = {"type": "function", "function": {"name": "get_weather"}}
    for choice in ("required", named):
        for seed in range(3):
            a = strict(c.chat.completions.create(tool_choice=choice, seed=seed, **ask))
            m = a.choices[0].message
            assert a.choices[0].finish_reason == "tool_calls" and m.tool_calls, a
            for call in m.tool_calls:
                f = [t["function"] for t in ask["tools"]
                     if t["function"]["name"] == call.function.name][0]
                jsonschema.validate(json.loads(call.function.arguments), f["parameters"])
                assert choice == "required" or f["name"] == "get_weather", call
            follow = HELLO + [m.to_dict(), *[
                {"role": "tool", "tool_call_id": call.id, "content": "晴，21 度"}
                for call in m.tool_calls]]
            strict(c.chat.completions.create(model="tiny-chat", messages=follow, tools=[WEATHER]))
            chunks = [strict(x) for x in c.chat.completions.create(
                tool_choice=choice, seed=seed, stream=True, **ask)]
            calls = {}
            for x in chunks:
                for d in x.choices[0].delta.tool_calls or []:
                    into = calls.setdefault(d.index, ["", ""])
                    into[0] += d.function.name or ""
                    into[1] += d.function.arguments or ""
            assert [tuple(v) for v in calls.values()] == \
                [(t.function.name, t.function.arguments) for t in m.tool_calls], (calls, m)
            assert chunks[-1].choices[0].finish_reason == "tool_calls", chunks[-1]
    for choice in ("auto", "none"):
        a = strict(c.chat.completions.create(tool_choice=choice, seed=1, **dict(ask, max_tokens=9)))
        assert a.choices[0].message.content, a


def test_openai_json():
    c = client()
    import jsonschema
    schema = {"type": "object", "additionalProperties": False, "required": ["name", "age", "tags"],
              "properties": {"name": {"type": "string", "maxLength": 10},
                             "age": {"type": "integer", "minimum": 0, "maximum": 150},
                             "tags": {"type": "array", "maxItems": 3, "items": {
                                 "enum": ["墨", "纸", "笔"]}}}}
    ask = dict(model="tiny-chat", messages=HELLO, max_tokens=400)
    for seed in range(3):
        a = strict(c.chat.completions.create(seed=seed, response_format={
            "type": "json_schema", "json_schema": {"name": "person", "schema": schema,
                                                   "strict": True}}, **ask))
        assert a.choices[0].finish_reason == "stop", a
        jsonschema.validate(json.loads(a.choices[0].message.content), schema)
        a = strict(c.chat.completions.create(seed=seed, response_format={"type": "json_object"},
                                             **dict(ask, max_tokens=1500)))
        if a.choices[0].finish_reason == "stop":
            assert isinstance(json.loads(a.choices[0].message.content), dict), a
    assert c.chat.completions.create(response_format={"type": "text"}, **dict(ask, max_tokens=3))


def test_openai_parse():
    c = client()
    from typing import Literal
    from pydantic import BaseModel

    class Stone(BaseModel):
        kind: Literal["端砚", "歙砚", "洮砚", "澄泥砚"]
        price: int
        good: bool
    a = c.chat.completions.parse(model="tiny-chat", messages=HELLO, response_format=Stone,
                                 max_tokens=300, seed=1, temperature=0.7)
    assert isinstance(a.choices[0].message.parsed, Stone), a
    return repr(a.choices[0].message.parsed)


# ------------------------------------------------------------------------------------------- gradio

def test_gradio_client():
    need("gradio_client")
    from gradio_client import Client
    c = Client(server.url, headers={"Authorization": f"Bearer {KEY}"}, verbose=False)
    one = c.predict("你好", api_name="/predict")
    assert isinstance(one, str) and one, one
    two = [c.submit("你好", api_name="/predict"), c.submit("再见", api_name="/predict")]
    assert all(isinstance(j.result(60), str) for j in two)
    info = c.view_api(return_format="dict", print_info=False)
    assert list(info["named_endpoints"]) == ["/predict"], info
    assert c.predict(question="墨", api_name="/predict")


def test_gradio_cancel():
    need("gradio_client")
    from gradio_client import Client
    s = Server(model, "--slots", "1", "--max-new-tokens", "3000")
    c = Client(s.url, verbose=False)
    job = c.submit("你好", api_name="/predict")
    s.wait_metric("inkstone_requests_running", 1)
    job.cancel()
    took = s.wait_metric("inkstone_requests_running", 0, 20)
    assert s.stop()[0] == 0
    return f"slot free after {took * 1000:.0f} ms"


# --------------------------------------------------------------------------------------- Open WebUI

def test_open_webui():
    """Its calls: the base URL ends in /v1; models, then chats as its page sends them."""
    import jsonschema
    headers = {"Authorization": f"Bearer {KEY}", "X-OpenWebUI-User-Name": "%E7%A0%9A",
               "X-OpenWebUI-User-Id": "1", "X-OpenWebUI-User-Role": "admin"}
    a = server.ask("GET", "/v1/models", None, headers)
    assert a.status == 200, a
    jsonschema.validate(a.json, SCHEMAS["list"])
    body = {"stream": True, "model": "tiny-chat", "messages": HELLO,
            "stream_options": {"include_usage": True}}
    a = server.ask("POST", "/v1/chat/completions", body, headers)
    for e in events(a):
        jsonschema.validate(e, SCHEMAS["chat.completion.chunk"])
    body = {"model": "tiny-chat", "messages": [{"role": "user", "content": "### Task: 标题"}],
            "stream": False, "max_completion_tokens": 20}
    a = server.ask("POST", "/v1/chat/completions", body, headers)
    jsonschema.validate(a.json, SCHEMAS["chat.completion"])


# ------------------------------------------------------------------------------------ other programs

def script(command, **environment):
    env = {**os.environ, "BASE": BASE, "KEY": KEY, "URL": server.url, **environment}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)


def test_curl():
    try:
        run = script(["curl", "-sS", "-N", BASE + "/chat/completions", "-H",
                      "Content-Type: application/json", "-H", f"Authorization: Bearer {KEY}", "-d",
                      json.dumps({"messages": HELLO, "stream": True}, ensure_ascii=False)])
    except FileNotFoundError:
        raise Skip("no curl")
    assert run.returncode == 0 and run.stdout.endswith("data: [DONE]\n\n"), run
    run = script(["curl", "-sS", server.url + "/gradio_api/call/predict", "-d", '{"data":["你好"]}',
                  "-H", "Content-Type: application/json", "-H", f"Authorization: Bearer {KEY}"])
    event = json.loads(run.stdout)["event_id"]
    run = script(["curl", "-sSN", f"{server.url}/gradio_api/call/predict/{event}", "-H",
                  f"Authorization: Bearer {KEY}"])
    assert run.stdout.startswith("event: complete\ndata: ["), run


def test_litellm():
    python = os.environ.get("LITELLM_PYTHON", sys.executable)
    if script([python, "-c", "import litellm"]).returncode != 0:
        raise Skip("no Python package litellm (LITELLM_PYTHON)")
    run = script([python, f"{SOURCE}/tests/clients_litellm.py"], LITELLM_LOCAL_MODEL_COST_MAP="True")
    assert run.returncode == 0, run.stdout + run.stderr[-3000:]
    return run.stdout.strip()


def node(name):
    where = os.environ.get("CLIENTS_NODE", "")
    if not os.path.isdir(where + "/node_modules/openai"):
        raise Skip("no CLIENTS_NODE with node_modules/openai")
    import shutil
    copy = os.path.join(where, "clients.mjs")
    shutil.copy(f"{SOURCE}/tests/clients.mjs", copy)
    try:
        run = script(["node", copy, name])
    except FileNotFoundError:
        raise Skip("no node")
    assert run.returncode == 0, run.stdout + run.stderr[-3000:]
    return run.stdout.strip()


for name, function in list(globals().items()):
    if name.startswith("test_"):
        tap.test(name[5:].replace("_", " "), function)
for name in ("chat", "stream", "errors", "abort", "tools", "json"):
    tap.test("openai for Node: " + name, node, name)
tap.end()
