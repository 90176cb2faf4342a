#!/usr/bin/env python3
"""Distributions after transformers' own logits processors, for tests/check_sampler.c.

usage: make_sampler_golden.py > tests/data/sampler_golden.json
Each case: logits, prompt and answer ids, settings, and the probabilities that transformers would
draw from (repetition penalty, temperature, top-k, top-p in its order). Presence and frequency
penalties are vLLM's and OpenAI's definition, applied to the answer's ids.
"""
import json
import random

import torch
from transformers import (LogitsProcessorList, RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper,
                          TopKLogitsWarper, TopPLogitsWarper)

random.seed(7)
torch.manual_seed(7)
cases = []
for i in range(60):
    v = random.choice([5, 17, 64, 300])
    logits = (torch.randn(v) * random.choice([0.5, 2.0, 6.0])).float()
    if i % 5 == 0:  # ties; which of them top-p keeps is not defined, so without it (below)
        logits = (logits * 2).round() / 2
    prompt = [random.randrange(v) for _ in range(random.randrange(0, 6))]
    answer = [random.randrange(v) for _ in range(random.randrange(0, 9))]
    s = {"temperature": random.choice([0.2, 0.7, 1.0, 1.5]), "top_k": random.choice([0, 0, 1, 3, 10, v, v + 5]),
         "top_p": random.choice([1.0, 1.0, 0.95, 0.8, 0.5, 0.05]), "repetition_penalty": random.choice([1.0, 1.2, 0.8, 2.0]),
         "presence_penalty": random.choice([0.0, 0.0, 0.5, -0.5]), "frequency_penalty": random.choice([0.0, 0.0, 0.3])}
    if i % 5 == 0:
        s["top_p"] = 1.0
    x = logits.clone()[None]
    if s["repetition_penalty"] != 1.0 and prompt + answer:
        x = RepetitionPenaltyLogitsProcessor(s["repetition_penalty"])(torch.tensor([prompt + answer]), x)
    for t in set(answer):
        x[0, t] -= s["presence_penalty"] + s["frequency_penalty"] * answer.count(t)
    steps = LogitsProcessorList()
    if s["temperature"] != 1.0:
        steps.append(TemperatureLogitsWarper(s["temperature"]))
    if s["top_k"]:
        steps.append(TopKLogitsWarper(s["top_k"]))
    if s["top_p"] < 1.0:
        steps.append(TopPLogitsWarper(s["top_p"]))
    p = torch.softmax(steps(torch.tensor([[0]]), x), -1)[0]
    cases.append({"logits": [float(f) for f in logits], "prompt": prompt, "answer": answer, "settings": s,
                  "probabilities": [round(float(f), 7) for f in p]})
print(json.dumps(cases))
