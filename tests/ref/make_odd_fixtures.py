#!/usr/bin/env python3
"""Models of awkward dimensions, with goldens from PyTorch in float32.

usage: make_odd_fixtures.py OUT_DIR      (tests/data/fixtures)
odd-one-kv   3 query heads on 1 key/value head, head_dim 10, widths 50 and 70, bf16
odd-f16      5 heads of 6 on 5, widths 33 and 41, biases, untied head, float16 weights
odd-llama    6 heads on 3, head_dim 14, widths 42 and 45, Llama layout with attention biases
Shapes and goldens as in make_fixtures.py, whose functions these are.
"""
import json
import os
import sys

import torch
from safetensors.torch import save_file
from transformers import Ernie4_5Config, Ernie4_5ForCausalLM, LlamaConfig, LlamaForCausalLM

from make_fixtures import build, save_model, write_goldens

out = sys.argv[1]
torch.set_num_threads(2)
g = torch.Generator().manual_seed(11)
common = dict(bos_token_id=1, eos_token_id=2, pad_token_id=0, rms_norm_eps=1e-5, max_position_embeddings=4096)


def ids(v):
    return torch.randint(3, v, (1, 41), generator=g)


m = build(Ernie4_5ForCausalLM, Ernie4_5Config(vocab_size=1001, hidden_size=50, intermediate_size=70, num_hidden_layers=2,
          num_attention_heads=3, num_key_value_heads=1, head_dim=10, rope_theta=500000.0, tie_word_embeddings=True,
          use_bias=False, **common), g)
save_model(m, out + "/odd-one-kv")
write_goldens(m, out + "/odd-one-kv", ids(1001), full=False)

m = build(Ernie4_5ForCausalLM, Ernie4_5Config(vocab_size=77, hidden_size=33, intermediate_size=41, num_hidden_layers=3,
          num_attention_heads=5, num_key_value_heads=5, head_dim=6, rope_theta=10000.0, tie_word_embeddings=False,
          use_bias=True, **common), g)
d = out + "/odd-f16"
for p in m.parameters():
    p.data.copy_(p.data.half().float())
save_model(m, d)
save_file({k: v.half().contiguous() for k, v in m.state_dict().items()}, d + "/model.safetensors", metadata={"format": "pt"})
c = json.load(open(d + "/config.json"))
c["torch_dtype"] = "float16"
json.dump(c, open(d + "/config.json", "w"), indent=2)
write_goldens(m, d, ids(77), full=False)

m = build(LlamaForCausalLM, LlamaConfig(vocab_size=200, hidden_size=42, intermediate_size=45, num_hidden_layers=2,
          num_attention_heads=6, num_key_value_heads=3, head_dim=14, rope_theta=10000.0, tie_word_embeddings=False,
          attention_bias=True, **common), g)
save_model(m, out + "/odd-llama")
write_goldens(m, out + "/odd-llama", ids(200), full=False)
