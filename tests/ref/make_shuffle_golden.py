#!/usr/bin/env python3
"""Orders of CPython's random.shuffle and of torch.randperm, for tests/check_shuffle.c.

usage: make_shuffle_golden.py > tests/data/shuffle_golden.json     (needs torch)
Of each order: its first 12 items, and the sum of i * item modulo 2^32, i from 1, which no other
order is likely to have.
"""
import json
import random

import torch

SIZES = [1, 2, 3, 10, 100, 625, 1000, 4097, 22000, 70001]
SEEDS = [42, 0, 1, -7, 2**32, 2**32 + 1, -(2**64), 10**40, 123456789012345678901234567890, 10**300 + 7]


def described(order):
    return {"first": order[:12], "sum": sum((i + 1) * x for i, x in enumerate(order)) % 2**32}


def python_order(seed, n):
    random.seed(seed)
    order = list(range(n))
    random.shuffle(order)
    return order


def torch_order(seed, n):
    generator = torch.Generator()
    generator.manual_seed(seed)
    return torch.randperm(n, generator=generator).tolist()


def cases(seeds, order):
    out = [{"seed": str(42), "n": n, **described(order(42, n))} for n in SIZES]
    return out + [{"seed": str(s), "n": 1000, **described(order(s, 1000))} for s in seeds[1:]]


print(json.dumps({"python": cases(SEEDS, python_order),
                  "torch": cases([42, 0, 43, 44, 2**32 - 1, 2**32 + 5, 2**63 + 9], torch_order)},
                 indent=1))
