#!/usr/bin/env python3
"""What `inkstone train` does, in PyTorch and transformers: the same data, order, first weights and
settings, but its own code for all of it, down to the tokens. Prints the validation loss beside that
of a run of inkstone.

  torch_training.py MODEL --train F --val F [--compare RUN/trainer_state.json] [SETTING]...

MODEL is the folder that training starts from (checkpoint-0 of a run that began with --from-config).
Data: {"input", "output"} or {"text"} a line. Needs torch, transformers, sentencepiece.
"""
import argparse
import json
import math
import os
import time

import sentencepiece
import torch
from transformers import AutoModelForCausalLM

p = argparse.ArgumentParser()
p.add_argument("model")
p.add_argument("--train", required=True)
p.add_argument("--val", required=True)
p.add_argument("--compare")
p.add_argument("--epochs", type=float, default=3)
p.add_argument("--max-steps", type=int, help="of the schedule, instead of --epochs")
p.add_argument("--stop-at", type=int, help="do not take the steps after this one")
p.add_argument("--batch-size", type=int, default=2)
p.add_argument("--lr", type=float, default=2e-5)
p.add_argument("--schedule", choices=["linear", "cosine", "constant"], default="linear")
p.add_argument("--warmup-steps", type=int, default=0)
p.add_argument("--weight-decay", type=float, default=0)
p.add_argument("--eval-steps", type=int, default=100)
p.add_argument("--seed", type=int, default=42)
p.add_argument("--max-length", type=int, default=512, help="tokens of a text's piece")
p.add_argument("--threads", type=int, default=1)
a = p.parse_args()
torch.set_num_threads(a.threads)

spm = sentencepiece.SentencePieceProcessor(os.path.join(a.model, "tokenizer.model"))
path = os.path.join(a.model, "tokenizer_config.json")
config = json.load(open(path, encoding="utf-8")) if os.path.exists(path) else {"add_bos_token": True}
begin = [spm.bos_id()] if config.get("add_bos_token") else []
model_config = json.load(open(os.path.join(a.model, "config.json"), encoding="utf-8"))
end_of_text = model_config["eos_token_id"]


def samples(record):
    """[(tokens, which of them are trained on)]"""
    if "text" in record:
        ids = begin + spm.encode(record["text"]) + [end_of_text]
        pieces = []
        for at in range(0, max(len(ids) - 1, 1), a.max_length - 1):
            part = ids[at:at + a.max_length]
            pieces.append((part, [False] + [True] * (len(part) - 1)))
        return pieces
    cls, sep = (spm.piece_to_id(config[key]) for key in ("cls_token", "sep_token"))
    prompt = [cls] + spm.encode("User: " + record["input"] + "\nAssistant: ")
    answer = spm.encode(record["output"]) + [sep]
    return [(prompt + answer, [False] * len(prompt) + [True] * len(answer))]


def read(path):
    return [s for line in open(path, encoding="utf-8") for s in samples(json.loads(line))]


def loss_of(batch):
    """The sum over trained tokens, and their number; padded on the right."""
    longest = max(len(ids) for ids, _ in batch)
    ids = torch.tensor([t + [0] * (longest - len(t)) for t, _ in batch])
    mask = torch.tensor([[1] * len(t) + [0] * (longest - len(t)) for t, _ in batch])
    labels = torch.tensor([[i if on else -100 for i, on in zip(t, m)] + [-100] * (longest - len(t))
                           for t, m in batch])
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
    total = torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]),
                                              labels[:, 1:].reshape(-1), reduction="sum")
    return total, int((labels[:, 1:] != -100).sum())


def evaluate():
    """Over tokens, and as Hugging Face's Trainer: means of batches of 8, by samples."""
    model.eval()
    total = tokens = means = 0
    with torch.no_grad():
        for i in range(0, len(val), 8):
            batch = val[i:i + 8]
            loss, n = loss_of(batch)
            total, tokens = total + loss.item(), tokens + n
            means += loss.item() / n * len(batch)
    model.train()
    return total / tokens, means / len(val)


def factor(step):
    if step < a.warmup_steps:
        return step / max(1, a.warmup_steps)
    done = (step - a.warmup_steps) / max(1, max_steps - a.warmup_steps)
    return {"linear": max(0.0, 1 - done), "cosine": max(0.0, 0.5 * (1 + math.cos(math.pi * done))),
            "constant": 1.0}[a.schedule]


train, val = read(a.train), read(a.val)
print(f"{len(train)} samples, {sum(len(t) for t, _ in train)} tokens, of which "
      f"{sum(sum(m) for _, m in train)} are trained on", flush=True)
theirs = {}
if a.compare:
    for row in json.load(open(a.compare))["log_history"]:
        if "eval_loss" in row:
            theirs[row["step"]] = row["eval_loss"]
model = AutoModelForCausalLM.from_pretrained(a.model, dtype=torch.float32)
model.train()
matrices = [w for w in model.parameters() if w.dim() > 1]
vectors = [w for w in model.parameters() if w.dim() == 1]
optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": a.weight_decay},
                               {"params": vectors, "weight_decay": 0.0}], lr=a.lr)
steps_an_epoch = math.ceil(len(train) / a.batch_size)
max_steps = a.max_steps or math.ceil(a.epochs * steps_an_epoch)
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
differences, start, recent = [], time.time(), []
for step in range(min(max_steps, a.stop_at or max_steps)):
    epoch, within = divmod(step, steps_an_epoch)
    if within == 0:
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(a.seed + epoch))
    batch = [train[i] for i in order[within * a.batch_size:(within + 1) * a.batch_size]]
    loss, n = loss_of(batch)
    (loss / n).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    scheduler.step()
    optimizer.zero_grad(set_to_none=True)
    recent.append(loss.item() / n)
    done = step + 1
    if done % a.eval_steps == 0 or done == max_steps:
        took = time.time() - start
        by_token, by_batch = evaluate()
        line = (f"step {done}  loss {sum(recent) / len(recent):.4f}  validation loss {by_batch:.6f} "
                f"(over tokens {by_token:.6f})  {took / done:.3f} s a step")
        if done in theirs:
            difference = by_batch / theirs[done] - 1
            differences.append(abs(difference))
            line += f"  inkstone {theirs[done]:.6f} ({100 * difference:+.3f} %)"
        print(line, flush=True)
        recent = []
        start = time.time() - took
if a.compare and (not differences or any(math.isnan(d) for d in differences)):
    raise SystemExit("nothing to compare: no step in both logs, or a loss that is no number")
if a.compare:
    print(f"differences: {100 * max(differences):.3f} % at most, {100 * differences[-1]:.3f} % at the last")
