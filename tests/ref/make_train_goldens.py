#!/usr/bin/env python3
"""Makes tests/data/train/: trainer_state.json files as Python's json and transformers write them.

    make_train_goldens.py FOLDER        needs transformers (5.24 was used), no model and no network

state.json has numbers of every shape (random doubles, powers of two, very large and small ones, NaN
and infinities), more.json what other versions of transformers write too, numbers.txt pairs of a
double's bits and its repr."""
import json
import math
import random
import struct
import sys
from pathlib import Path

from transformers.trainer_callback import TrainerControl, TrainerState

draw = random.Random(5)


def a_double():
    kind = draw.randrange(4)
    if kind == 0:
        return draw.uniform(0, 12)
    if kind == 1:
        return round(draw.uniform(0, 12), 4)
    if kind == 2:
        return float(struct.unpack("<f", struct.pack("<f", draw.uniform(0, 100)))[0])
    return 10.0 ** draw.uniform(-12, 20)


def train(step):
    return {"loss": a_double(), "grad_norm": a_double(), "learning_rate": 2e-5 * (1 - step / 90), "epoch": step / 30, "step": step}


def evaluation(step):
    return {"eval_loss": a_double(), "eval_runtime": round(a_double(), 4), "eval_samples_per_second": round(a_double(), 3),
            "eval_steps_per_second": round(a_double(), 3), "epoch": step / 30, "step": step}


def state():
    rows = []
    for step in range(1, 61):
        rows.append(train(step))
        if step % 20 == 0:
            rows.append(evaluation(step))
    rows[3].update(loss=math.nan, grad_norm=math.inf)
    rows[4].update(loss=-math.inf, grad_norm=5e-324, learning_rate=0.0)
    rows[5].update(loss=2.0**-1022, grad_norm=2.0**89, learning_rate=-0.0)
    rows[6].update(loss=1e16, grad_norm=123456789012345.0, learning_rate=1e-4)
    rows.append({"train_runtime": 12.3456, "train_samples_per_second": 9.72, "train_steps_per_second": 4.861, "total_flos": 1.5e15,
                 "train_loss": a_double(), "epoch": 2.0, "step": 60})
    best = min((r for r in rows if "eval_loss" in r), key=lambda r: r["eval_loss"])
    control = TrainerControl(should_training_stop=True, should_save=True)
    return TrainerState(epoch=2.0, global_step=60, max_steps=60, logging_steps=1, eval_steps=20, save_steps=20, train_batch_size=2,
                        num_train_epochs=2, num_input_tokens_seen=123456, total_flos=1.5e15, log_history=rows, best_metric=best["eval_loss"],
                        best_global_step=best["step"], best_model_checkpoint="输出/checkpoint-%d 😀\"\\\n" % best["step"],
                        stateful_callbacks=[control])


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    state().save_to_json(folder / "state.json")
    more = {"epoch": 0.5, "global_step": 3, "log_history": [
        {"loss": 2, "grad_norm": 1, "learning_rate": 0, "epoch": 0, "step": 1, "entropy": 3.5, "note": "NaN, \"Infinity\\"},
        {"eval_accuracy": 0.5, "epoch": 0.5, "step": 2}, {"eval_loss": 1.5, "eval_bleu": None, "step": 3}], "total_flos": 0, "max_steps": 9}
    (folder / "more.json").write_text(json.dumps(more))
    numbers = [s * f(2.0**k) for k in range(-1074, 1024) for s in (1, -1) for f in
               (lambda x: x, lambda x: math.nextafter(x, 0), lambda x: math.nextafter(x, math.inf))]
    numbers = draw.sample(numbers, 1500) + [2.0**k for k in range(-1074, 1024, 3)] + [a_double() for _ in range(500)]
    (folder / "numbers.txt").write_text("".join("%016x %s\n" % (struct.unpack("<Q", struct.pack("<d", x))[0], json.dumps(x)) for x in numbers))
    rounded = [a_double() for _ in range(300)] + [0.00005, 2.67515, 1.00015, 0.5, 1e22, 5e-324]
    (folder / "rounded.txt").write_text("".join("%016x %s\n" % (struct.unpack("<Q", struct.pack("<d", x))[0], json.dumps(round(x, 4))) for x in rounded))


if __name__ == "__main__":
    main()
