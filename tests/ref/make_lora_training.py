#!/usr/bin/env python3
"""Reference for LoRA training: gradients of one step and 20 steps of AdamW, from peft and PyTorch.

usage: make_lora_training.py FIXTURES OUT    (FIXTURES/ernie-tiny -> OUT: an adapter folder with
       golden_gradients.safetensors and golden_training.json beside it)

Needs torch, transformers, peft. Float32. The samples are those of ernie-tiny's golden_training.json.
"""
import json
import os
import sys

import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import Ernie4_5ForCausalLM


def main():
    fixtures, out = sys.argv[1:]
    folder = os.path.join(fixtures, "ernie-tiny")
    with open(os.path.join(folder, "golden_training.json")) as f:
        samples = json.load(f)["samples"]
    model = Ernie4_5ForCausalLM.from_pretrained(folder, torch_dtype=torch.float32)
    config = LoraConfig(r=4, lora_alpha=8, task_type="CAUSAL_LM",
                        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"])
    model = get_peft_model(model, config)
    generator = torch.Generator().manual_seed(7)
    for name, p in model.named_parameters():
        if "lora_B" in name:  # zeros would leave A without a gradient
            p.data.copy_(0.05 * torch.randn(p.shape, generator=generator))
        elif "lora_A" in name:
            p.data.copy_(torch.randn(p.shape, generator=generator) / p.shape[1] ** 0.5)
    model.peft_config["default"].base_model_name_or_path = "ernie-tiny"
    model.save_pretrained(out)
    os.remove(os.path.join(out, "README.md"))
    trained = [(n.replace(".default", ""), p) for n, p in model.named_parameters() if p.requires_grad]

    def loss_of(pair):
        total, count = 0.0, 0
        for s in pair:
            ids = torch.tensor(s["prompt"] + s["response"])[None]
            logits = model(ids).logits.float()
            first = len(s["prompt"])
            total = total + F.cross_entropy(logits[0, first - 1:-1], ids[0, first:], reduction="sum")
            count += len(s["response"])
        return total / count

    loss = loss_of(samples[:2])
    loss.backward()
    save_file({n: p.grad.clone() for n, p in trained}, os.path.join(out, "golden_gradients.safetensors"),
              metadata={"format": "pt"})
    first_loss = float(loss.detach())
    params = [p for _, p in trained]
    optimizer = torch.optim.AdamW(params, lr=5e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
    steps, curve = 20, []
    for t in range(steps):
        rate = 5e-3 * (steps - t) / steps
        for g in optimizer.param_groups:
            g["lr"] = rate
        optimizer.zero_grad()
        loss = loss_of(samples[2 * t:2 * t + 2])
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(params, 1.0)
        optimizer.step()
        curve.append({"step": t + 1, "loss": float(loss.detach()), "grad_norm": float(norm), "learning_rate": rate})
    with open(os.path.join(out, "golden_training.json"), "w") as f:
        json.dump({"first_loss": first_loss, "optimizer": "AdamW b1=0.9 b2=0.999 eps=1e-8 wd=0.01, lr 5e-3 linear to 0, "
                   "clip 1.0", "samples": samples, "curve": curve}, f, indent=1)


main()
