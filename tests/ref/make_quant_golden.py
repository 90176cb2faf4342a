#!/usr/bin/env python3
"""Makes tests/data/weights/quant.gguf and quant.safetensors: blocks of every type that inkstone
reads, what the gguf package widens them to, and what it and PyTorch round floats to.

    make_quant_golden.py FOLDER         needs numpy, torch, safetensors, gguf

quant.gguf holds one tensor for each type, named after it, of random blocks (scales are finite, of
both signs, some subnormal), and "rounded", the Q8_0 of "narrow". quant.safetensors holds what they
stand for (F32, same names), "narrow" (F32 inputs: ordinary values, ties, subnormals, overflows) and
"narrow.f16", "narrow.bf16", their rounding."""
import sys
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as T
from safetensors.torch import save_file

VALUES = 1024
# Where the f16 scales are in a block.
SCALES = {T.Q8_0: [0], T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2],
          T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208]}
rng = np.random.default_rng(20260101)


def random_blocks(qtype):
    values, size = gguf.GGML_QUANT_SIZES[qtype]
    blocks = rng.integers(0, 256, (VALUES // values, size), dtype=np.uint8)
    for at in SCALES[qtype]:
        d = (rng.standard_normal(len(blocks)) * 10.0 ** rng.integers(-8, 4, len(blocks)))
        blocks[:, at:at + 2] = d.astype(np.float16).view(np.uint8).reshape(-1, 2)
    return blocks


def inputs():
    x = rng.standard_normal(VALUES).astype(np.float32)
    x[:256] *= np.float32(10.0) ** rng.integers(-9, 6, 256).astype(np.float32)
    halves = rng.integers(0, 0x7C00, 256).astype(np.uint16).view(np.float16).astype(np.float32)
    next_up = (halves.astype(np.float16).view(np.uint16) + 1).view(np.float16).astype(np.float32)
    x[256:512] = (halves + next_up) / 2  # exact ties of f16
    bits = rng.integers(0, 0x7F80, 128).astype(np.uint32) << 16
    x[512:640] = (bits | 0x8000).view(np.float32)  # exact ties of bf16
    x[640:672] = 0
    x[672:704] = 1e-41 * np.arange(32)  # subnormal: the Q8_0 scale is 0
    x[704:736] = np.arange(32) / 2 - 8  # ties of rounding to int8, nearly
    x[736:744] = [65504, 65519, 65520, 65536, 1e38, -65504, -65520, 3.4e38]
    x[300:320] *= -1
    return x


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(folder / "quant.gguf", "test")
    expected = {}
    for qtype in SCALES:
        blocks = random_blocks(qtype)
        writer.add_tensor(qtype.name, blocks, raw_dtype=qtype)
        expected[qtype.name] = gguf.quants.dequantize(blocks, qtype).astype(np.float32).ravel()
    x = inputs()
    with np.errstate(over="ignore"):
        half = x.astype(np.float16)
        rounded = x.reshape(-1, 32)
        # what has no Q8_0 or no finite scale is checked in C
        writer.add_tensor("rounded", gguf.quants.quantize(rounded[:, :], T.Q8_0), raw_dtype=T.Q8_0)
    brain = torch.from_numpy(x).to(torch.bfloat16)
    writer.add_tensor("F32", x.reshape(1, -1))
    writer.add_tensor("F16", half.reshape(1, -1))
    writer.add_tensor("BF16", brain.view(torch.int16).numpy().view(np.uint8).reshape(1, -1),
                      raw_dtype=T.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    expected["F32"] = x
    expected["F16"] = half.astype(np.float32)
    expected["BF16"] = brain.to(torch.float32).numpy()
    tensors = {k: torch.from_numpy(v.copy()) for k, v in expected.items()}
    tensors["narrow"] = torch.from_numpy(x)
    tensors["narrow.f16"] = torch.from_numpy(half)
    tensors["narrow.bf16"] = brain
    save_file(tensors, folder / "quant.safetensors")


main(Path(sys.argv[1]))
