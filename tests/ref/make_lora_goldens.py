#!/usr/bin/env python3
"""Make the LoRA adapters of tests/data/adapters and their golden logits with PyTorch, transformers and PEFT.

usage: make_lora_goldens.py FIXTURES OUT

FIXTURES holds ernie-tiny and llama-tiny (make_fixtures.py). Each adapter is random, B included, saved as PEFT saves it,
opened again on a fresh base model, and run in float32 on the CPU. OUT/NAME gets the adapter, golden.json (base model, ids)
and golden.safetensors (logits [T, V]).
"""
import json
import os
import sys

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ADAPTERS = {
    "ernie-all-r8": ("ernie-tiny", torch.bfloat16, dict(r=8, lora_alpha=16, target_modules=ALL)),
    "ernie-qv-r4-rslora": ("ernie-tiny", torch.float32, dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], use_rslora=True)),
    "ernie-patterns": ("ernie-tiny", torch.float16, dict(
        r=4, lora_alpha=8, target_modules=["q_proj", "self_attn.o_proj", "down_proj"], layers_to_transform=[0, 2],
        rank_pattern={"model.layers.2.mlp.down_proj": 8, "q_proj": 6}, alpha_pattern={"o_proj": 3})),
    "ernie-regex": ("ernie-tiny", torch.bfloat16, dict(r=4, lora_alpha=4, target_modules=r".*\.[12]\..*(k_proj|up_proj)")),
    "llama-all-r4": ("llama-tiny", torch.bfloat16, dict(r=4, lora_alpha=8, target_modules=ALL)),
    "llama-qk-r8-bin": ("llama-tiny", torch.bfloat16, dict(r=8, lora_alpha=16, target_modules=["q_proj", "k_proj"])),
}
TOKENS = 24


def base_model(fixtures, name):
    return AutoModelForCausalLM.from_pretrained(os.path.join(fixtures, name), dtype=torch.float32).eval()


def make(name, fixtures, out, generator):
    base, dtype, settings = ADAPTERS[name]
    folder = os.path.join(out, name)
    model = get_peft_model(base_model(fixtures, base), LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.05, **settings))
    model.peft_config["default"].base_model_name_or_path = base
    for key, p in model.named_parameters():
        if ".lora_A." in key:
            p.data = (torch.randn(p.shape, generator=generator) / p.shape[1] ** 0.5).to(dtype)
        elif ".lora_B." in key:
            p.data = (0.3 * torch.randn(p.shape, generator=generator)).to(dtype)
    model.save_pretrained(folder, safe_serialization=True)
    os.remove(os.path.join(folder, "README.md"))
    model = PeftModel.from_pretrained(base_model(fixtures, base), folder).float().eval()
    ids = torch.randint(3, model.config.vocab_size, (1, TOKENS), generator=generator)
    with torch.no_grad():
        logits, plain = model(ids).logits[0].float(), base_model(fixtures, base)(ids).logits[0].float()
        merged = model.merge_and_unload()(ids).logits[0].float()
    print(name, "changes logits by", float((logits - plain).abs().max()), "merged by", float((merged - logits).abs().max()))
    json.dump({"model": base, "ids": ids[0].tolist()}, open(os.path.join(folder, "golden.json"), "w"))
    save_file({"logits": logits.contiguous()}, os.path.join(folder, "golden.safetensors"), metadata={"format": "pt"})
    if name.endswith("-bin"):
        from safetensors.torch import load_file
        path = os.path.join(folder, "adapter_model.safetensors")
        torch.save(load_file(path), os.path.join(folder, "adapter_model.bin"))
        os.remove(path)


def main():
    fixtures, out = sys.argv[1:]
    torch.set_num_threads(2)
    generator = torch.Generator().manual_seed(11)
    for name in ADAPTERS:
        make(name, fixtures, out, generator)


if __name__ == "__main__":
    main()
