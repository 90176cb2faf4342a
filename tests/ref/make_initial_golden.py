#!/usr/bin/env python3
"""The first weights of a new model, from the words of src/train/initial.h, for
tests/check_initial.c.

usage: make_initial_golden.py > tests/data/initial/golden.json
Each tensor's first values, and the SHA-256 of all of them as float32.
"""
import hashlib
import json
import math
import os
import struct

MASK, STEP, SEED = 2**64 - 1, 0x9E3779B97F4A7C15, 42
here = os.path.dirname(os.path.abspath(__file__))
config = json.load(open(os.path.join(here, "../data/initial/config.json")))


def mix(z):
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
    return z ^ z >> 31


def normals(state):
    def uniform():
        nonlocal state
        state = (state + STEP) & MASK
        return (mix(state) >> 11) * 2.0**-52 - 1

    while True:
        x, y = uniform(), uniform()
        s = x * x + y * y
        if 0 < s < 1:
            f = math.sqrt(-2 * math.log(s) / s)
            yield x * f
            yield y * f


def shapes(c):
    h, i, d = c["hidden_size"], c["intermediate_size"], c["head_dim"]
    q, k = c["num_attention_heads"] * d, c["num_key_value_heads"] * d
    yield "model.embed_tokens.weight", (c["vocab_size"], h)
    for n in range(c["num_hidden_layers"]):
        layer = f"model.layers.{n}."
        yield layer + "input_layernorm.weight", (h,)
        for name, rows, cols in [("q", q, h), ("k", k, h), ("v", k, h), ("o", h, q)]:
            yield f"{layer}self_attn.{name}_proj.weight", (rows, cols)
            yield f"{layer}self_attn.{name}_proj.bias", (rows,)
        yield layer + "post_attention_layernorm.weight", (h,)
        for name, rows, cols in [("gate", i, h), ("up", i, h), ("down", h, i)]:
            yield f"{layer}mlp.{name}_proj.weight", (rows, cols)
            yield f"{layer}mlp.{name}_proj.bias", (rows,)
    yield "model.norm.weight", (h,)
    yield "lm_head.weight", (c["vocab_size"], h)


deviation = struct.unpack("f", struct.pack("f", config["initializer_range"]))[0]
out = []
for number, (name, shape) in enumerate(shapes(config)):
    n = math.prod(shape)
    if len(shape) == 1:
        values = [0.0 if name.endswith(".bias") else 1.0] * n
    else:
        draw = normals(mix(SEED + STEP * (number + 1) & MASK))
        values = [next(draw) * deviation for _ in range(n)]
    if name == "model.embed_tokens.weight":
        at = config["pad_token_id"] * shape[1]
        values[at:at + shape[1]] = [0.0] * shape[1]
    data = struct.pack(f"<{n}f", *values)
    out.append({"name": name, "shape": list(shape),
                "first": list(struct.unpack("<4f", data[:16])),
                "sha256": hashlib.sha256(data).hexdigest()})
print(json.dumps({"seed": SEED, "tensors": out}, indent=1))
