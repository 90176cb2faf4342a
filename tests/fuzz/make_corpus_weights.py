#!/usr/bin/env python3
"""Makes the seeds of fuzz_safetensors, fuzz_torchbin and fuzz_gguf in tests/fuzz/corpus/.

    make_corpus_weights.py FOLDER       needs numpy, torch, safetensors, gguf"""
import struct
import sys
import zipfile
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.torch import save

torch.manual_seed(1)


def put(folder, name, data):
    assert len(data) < 4096, (name, len(data))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def header_only(text, n_data=0):
    return struct.pack("<Q", len(text)) + text.encode() + bytes(n_data)


def safetensors(folder):
    tensors = {"model.norm.weight": torch.ones(4), "a": torch.zeros(2, 3, dtype=torch.bfloat16),
               "b": torch.zeros(1, 2, 2, dtype=torch.float16)}
    put(folder, "three", save(tensors, {"format": "pt"}))
    put(folder, "empty", header_only("{}"))
    put(folder, "spaces", header_only(
        '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}    ', 4))
    put(folder, "scalar", header_only('{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}', 4))
    put(folder, "gap", header_only('{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', 8))
    put(folder, "overflow", header_only(
        '{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}'))
    put(folder, "long_header", struct.pack("<Q", 2**64 - 1) + b"{}")


def torchbin(folder, scratch):
    module = torch.nn.Linear(3, 2)
    base = torch.arange(24, dtype=torch.float16)
    cases = {"module": module.state_dict(), "parameter": {"p": torch.nn.Parameter(torch.ones(2))},
             "views": {"whole": base.view(2, 3, 4), "tail": base[8:]},
             "bf16": {"x": torch.ones(1, 1, dtype=torch.bfloat16)},
             "integers": {"x": torch.ones(2, dtype=torch.int64)},
             "transposed": {"x": torch.ones(2, 3).t()}}
    for name, value in cases.items():
        torch.save(value, scratch)
        put(folder, name, scratch.read_bytes())
        with zipfile.ZipFile(scratch) as z:
            pickle = next(n for n in z.namelist() if n.endswith("/data.pkl"))
            put(folder, name + ".pkl", z.read(pickle))
    with zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr(zipfile.ZipInfo("a/data.pkl"), b"\x80\x02}.")
        z.writestr("a/version", b"3\n" * 50)
    put(folder, "deflated", scratch.read_bytes())
    torch.save(cases["bf16"], scratch, _use_new_zipfile_serialization=False)
    put(folder, "legacy", scratch.read_bytes())
    put(folder, "system.pkl", b"\x80\x02cos\nsystem\nX\x04\0\0\0exit\x85R.")


def gguf_files(folder, scratch):
    writer = gguf.GGUFWriter(scratch, "ernie4_5")
    writer.add_uint8("u8", 200)
    writer.add_int64("i64", -5)
    writer.add_float64("f64", -2.25)
    writer.add_bool("yes", True)
    writer.add_array("ints", [1, -3, 2])
    writer.add_array("floats", [0.25, -0.5])
    writer.add_array("words", ["one", "", "three"])
    writer.add_tensor("matrix", np.arange(6, dtype=np.float32).reshape(2, 3))
    writer.add_tensor("half", np.arange(4, dtype=np.float16))
    for qtype in (gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.Q6_K):
        values, size = gguf.GGML_QUANT_SIZES[qtype]
        writer.add_tensor(qtype.name, np.zeros((1, size), dtype=np.uint8), raw_dtype=qtype)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    put(folder, "kinds", scratch.read_bytes())
    put(folder, "empty", b"GGUF" + struct.pack("<IQQ", 3, 0, 0))
    put(folder, "version_2", b"GGUF" + struct.pack("<IQQ", 2, 0, 0))
    put(folder, "big_endian", b"GGUF" + struct.pack(">IQQ", 3, 0, 0))
    put(folder, "many_keys", b"GGUF" + struct.pack("<IQQ", 3, 0, 2**63))
    key = struct.pack("<Q", 17) + b"general.alignment" + struct.pack("<II", 4, 64)
    tensor = struct.pack("<Q", 1) + b"t" + struct.pack("<IQIQ", 1, 16, 0, 0)
    put(folder, "aligned", (b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + key + tensor)
        .ljust(128, b"\0") + bytes(64))


corpus = Path(sys.argv[1])
scratch = corpus / "scratch.tmp"
corpus.mkdir(parents=True, exist_ok=True)
safetensors(corpus / "safetensors")
torchbin(corpus / "torchbin", scratch)
gguf_files(corpus / "gguf", scratch)
scratch.unlink()
