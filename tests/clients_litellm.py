"""LiteLLM's SDK against the server at $BASE, for tests/clients.py."""
import os

import litellm

litellm.telemetry = False
litellm.suppress_debug_info = True
where = dict(api_base=os.environ["BASE"], api_key=os.environ["KEY"])
ask = dict(model="openai/tiny-chat", messages=[{"role": "user", "content": "你好"}], seed=1, **where)

a = litellm.completion(**ask)
assert a.choices[0].message.content and a.usage.completion_tokens == 24, a
text = "".join(c.choices[0].delta.content or "" for c in litellm.completion(stream=True, **ask))
assert text == a.choices[0].message.content, (text, a)
t = litellm.text_completion(model="text-completion-openai/tiny-chat", prompt="砚", max_tokens=4,
                            **where)
assert t.choices[0].text, t
try:
    litellm.completion(model="openai/none", messages=ask["messages"], **where)
    raise SystemExit("no error for an unknown model")
except litellm.NotFoundError:
    pass
try:
    litellm.completion(**{**ask, "messages": [{"role": "user", "content": "砚" * 9000}]})
    raise SystemExit("no error for a long prompt")
except litellm.ContextWindowExceededError:
    pass
try:
    litellm.completion(**{**ask, "api_key": "wrong-key-1"})
    raise SystemExit("no error for a wrong key")
except litellm.AuthenticationError:
    pass
print("SDK: chat, stream, completions, errors")
