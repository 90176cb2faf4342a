#!/usr/bin/env python3
"""Reference for training with --dtype bf16: some gradients of one step and 20 steps of AdamW, from PyTorch.

usage: make_bf16_training.py FIXTURES OUT    (FIXTURES/ernie-tiny -> OUT/bf16_gradients.safetensors,
       OUT/bf16_training.json; the samples are those of ernie-tiny's golden_training.json)

Every linear layer, forward and backward, multiplies operands rounded to bfloat16 and adds up in
float32; weights, activations between layers, attention and the optimizer are float32. Needs torch,
transformers.
"""
import json
import os
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import Ernie4_5ForCausalLM


def rounded(x):
    return x.bfloat16().float()


class Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return rounded(x) @ rounded(w).T

    @staticmethod
    def backward(ctx, dy):
        x, w = ctx.saved_tensors
        dy = rounded(dy)
        return dy @ rounded(w), dy.flatten(0, -2).T @ rounded(x).flatten(0, -2)


def main():
    fixtures, out = sys.argv[1:]
    folder = os.path.join(fixtures, "ernie-tiny")
    with open(os.path.join(folder, "golden_training.json")) as f:
        samples = json.load(f)["samples"]
    model = Ernie4_5ForCausalLM.from_pretrained(folder, torch_dtype=torch.float32)
    for layer in model.modules():
        if isinstance(layer, torch.nn.Linear):
            assert layer.bias is None
            layer.forward = lambda x, layer=layer: Product.apply(x, layer.weight)

    def loss_of(pair):
        total, count = 0.0, 0
        for s in pair:
            ids = torch.tensor(s["prompt"] + s["response"])[None]
            hidden = model.model(ids).last_hidden_state
            first = len(s["prompt"])
            logits = model.lm_head(hidden[0, first - 1:-1])
            total = total + F.cross_entropy(logits, ids[0, first:], reduction="sum")
            count += len(s["response"])
        return total / count

    loss = loss_of(samples[:2])
    loss.backward()
    some = [(n, p) for n, p in model.named_parameters() if p.ndim == 1 or "k_proj" in n or "0.mlp.down_proj" in n]
    save_file({n: p.grad.clone() for n, p in some}, os.path.join(out, "bf16_gradients.safetensors"),
              metadata={"format": "pt"})
    first_loss = float(loss.detach())
    params = list(model.parameters())
    optimizer = torch.optim.AdamW(params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    steps, curve = 20, []
    for t in range(steps):
        rate = 1e-3 * (steps - t) / steps
        for g in optimizer.param_groups:
            g["lr"] = rate
        optimizer.zero_grad()
        loss = loss_of(samples[2 * t:2 * t + 2])
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(params, 1.0)
        optimizer.step()
        curve.append({"step": t + 1, "loss": float(loss.detach()), "grad_norm": float(norm), "learning_rate": rate})
    with open(os.path.join(out, "bf16_training.json"), "w") as f:
        json.dump({"first_loss": first_loss, "samples": samples, "curve": curve}, f, indent=1)


main()
