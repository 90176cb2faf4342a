#!/usr/bin/env python3
"""Times the same training steps in PyTorch and transformers, for bench/compare-train:

    torch_train.py MODEL DATA.jsonl article|dynamic|packed [--method full|lora] [--bf16] ...

article: what the articles do: every sample padded to 512 tokens, logits of all positions.
dynamic: padded to the longest sample of the batch, nothing more.
packed: the samples of a batch one after the other, without padding (position ids restart).
The logits of all positions are computed in each of them, as the model's own loss does."""
import argparse
import json
import resource
import statistics
import time

import sentencepiece
import torch
from transformers import AutoModelForCausalLM


def parse_arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model")
    p.add_argument("data")
    p.add_argument("recipe", choices=["article", "dynamic", "packed"])
    p.add_argument("--method", choices=["full", "lora"], default="full")
    p.add_argument("--bf16", action="store_true")
    p.add_argument("--steps", type=int, default=6)
    p.add_argument("--batch", type=int, default=2)
    p.add_argument("--threads", type=int, default=2)
    return p.parse_args()


def sample_of(tokenizer, line):
    record = json.loads(line)
    prompt = [tokenizer.piece_to_id("<|begin_of_sentence|>")] + tokenizer.encode(f"User: {record['input']}\nAssistant: ")
    answer = tokenizer.encode(record["output"]) + [tokenizer.piece_to_id("<|end_of_sentence|>")]
    return prompt + answer, [-100] * len(prompt) + answer


def batch_of(samples, recipe):
    if recipe == "packed":
        ids = [i for s, _ in samples for i in s]
        labels = [i for _, s in samples for i in [-100] + s[1:]]
        positions = [i for s, _ in samples for i in range(len(s))]
        return {"input_ids": torch.tensor([ids]), "labels": torch.tensor([labels]), "position_ids": torch.tensor([positions])}
    width = 512 if recipe == "article" else max(len(s) for s, _ in samples)
    rows = lambda part, fill: torch.tensor([s[part] + [fill] * (width - len(s[part])) for s in samples])
    mask = torch.tensor([[1] * len(s) + [0] * (width - len(s)) for s, _ in samples])
    return {"input_ids": rows(0, 0), "labels": rows(1, -100), "attention_mask": mask}


def model_of(a):
    model = AutoModelForCausalLM.from_pretrained(a.model, dtype=torch.float32)
    model.config.use_cache = False
    model.train()
    if a.method == "lora":
        from peft import LoraConfig, get_peft_model

        names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
        model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=names))
    return model


def main():
    a = parse_arguments()
    torch.set_num_threads(a.threads)
    torch.manual_seed(42)
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=f"{a.model}/tokenizer.model")
    with open(a.data, encoding="utf-8") as f:
        samples = [sample_of(tokenizer, line) for line in f]
    order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(42)).tolist()
    model = model_of(a)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=2e-5, weight_decay=0.0, fused=True)
    seconds = []
    for step in range(a.steps):
        batch = batch_of([samples[i] for i in order[step * a.batch : (step + 1) * a.batch]], a.recipe)
        start = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=a.bf16):
            loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - start)
        labels = int((batch["labels"] != -100).sum())
        print(f"step {step + 1}: loss {loss.item():.4f}, {batch['input_ids'].numel()} tokens, {labels} labels, {seconds[-1]:.3f} s", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": statistics.median(seconds[1:] or seconds), "peak_memory": peak}))


if __name__ == "__main__":
    main()
