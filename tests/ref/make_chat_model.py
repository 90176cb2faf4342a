#!/usr/bin/env python3
"""Write a tiny ERNIE-4.5 that can chat: random weights, the whole vocabulary, the published template.

    make_chat_model.py TOKENIZER-FOLDER OUT

Standard library only. Too big to ship (13 MB), so tests make it when they need it; its bytes are
always the same. What it says is a random walk through 103,424 tokens: Chinese, English, bytes.
"""
import json
import os
import random
import shutil
import sys

HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD_DIM, INNER, VOCAB = 64, 2, 4, 2, 16, 128, 103424

TEMPLATE = """{%- if not add_generation_prompt is defined -%}
    {%- set add_generation_prompt = true -%}
{%- endif -%}
{%- if not cls_token is defined -%}
    {%- set cls_token = "<|begin_of_sentence|>" -%}
{%- endif -%}
{%- if not sep_token is defined -%}
    {%- set sep_token = "<|end_of_sentence|>" -%}
{%- endif -%}
{{- cls_token -}}
{%- for message in messages -%}
    {%- if message["role"] == "user" -%}
        {{- "User: " + message["content"] + "\n" -}}
    {%- elif message["role"] == "assistant" -%}
        {{- "Assistant: " + message["content"] + sep_token -}}
    {%- elif message["role"] == "system" -%}
        {{- message["content"] + "\n" -}}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{- "Assistant: " -}}
{%- endif -%}"""

CONFIG = {
    "architectures": ["Ernie4_5_ForCausalLM"], "model_type": "ernie4_5", "hidden_act": "silu",
    "hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "head_dim": HEAD_DIM,
    "vocab_size": VOCAB, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5,
    "rope_theta": 500000, "use_bias": False, "tie_word_embeddings": True,
    "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "torch_dtype": "bfloat16"}


def shapes():
    yield "model.embed_tokens.weight", [VOCAB, HIDDEN]
    for i in range(LAYERS):
        at = f"model.layers.{i}."
        yield at + "input_layernorm.weight", [HIDDEN]
        yield at + "post_attention_layernorm.weight", [HIDDEN]
        yield at + "self_attn.q_proj.weight", [HEADS * HEAD_DIM, HIDDEN]
        yield at + "self_attn.k_proj.weight", [KV_HEADS * HEAD_DIM, HIDDEN]
        yield at + "self_attn.v_proj.weight", [KV_HEADS * HEAD_DIM, HIDDEN]
        yield at + "self_attn.o_proj.weight", [HIDDEN, HEADS * HEAD_DIM]
        yield at + "mlp.gate_proj.weight", [INNER, HIDDEN]
        yield at + "mlp.up_proj.weight", [INNER, HIDDEN]
        yield at + "mlp.down_proj.weight", [HIDDEN, INNER]
    yield "model.norm.weight", [HIDDEN]


def bf16(rng, name, n):
    """Random signs and mantissas, sizes from 1/16 to 1/4; gains of norms are 1."""
    out = bytearray(2 * n)
    if "norm" in name:
        out[0::2], out[1::2] = b"\x80" * n, b"\x3f" * n
        return out
    out[0::2] = rng.randbytes(n)
    out[1::2] = rng.randbytes(n).translate(bytes(0x3D | (i & 0x80) for i in range(256)))
    out[0::2] = bytes(out[0::2]).translate(bytes(i | 0x80 if i % 2 else i for i in range(256)))
    return out


def main():
    source, out = sys.argv[1:]
    os.makedirs(out, exist_ok=True)
    rng = random.Random(450)
    header, data = {"__metadata__": {"format": "pt"}}, bytearray()
    for name, shape in shapes():
        n = shape[0] * (shape[1] if len(shape) > 1 else 1)
        start = len(data)
        data += bf16(rng, name, n)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, len(data)]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(out, "model.safetensors"), "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + data)
    with open(os.path.join(out, "config.json"), "w") as file:
        json.dump(CONFIG, file, indent=1)
    for name in ("tokenizer.model", "added_tokens.json", "special_tokens_map.json"):
        shutil.copy(os.path.join(source, name), out)
    with open(os.path.join(source, "tokenizer_config.json")) as file:
        tokenizer = json.load(file)
    tokenizer.update(chat_template=TEMPLATE, cls_token="<|begin_of_sentence|>",
                     sep_token="<|end_of_sentence|>")
    with open(os.path.join(out, "tokenizer_config.json"), "w") as file:
        json.dump(tokenizer, file, indent=1)


if __name__ == "__main__":
    main()
