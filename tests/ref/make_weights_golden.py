#!/usr/bin/env python3
"""Makes the other files of tests/data/weights: what torch.save and the gguf package write.

    make_weights_golden.py FOLDER       needs numpy, torch, safetensors, gguf"""
import json
import sys
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.torch import save_file


def torch_files(folder):
    torch.manual_seed(1)
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2))
    module.to(torch.bfloat16)
    base = torch.arange(24, dtype=torch.float16)
    views = {"whole": base.view(2, 3, 4), "tail": base[8:], "row": base.view(4, 6)[2:3],
             "one": base.view(1, 24, 1)[:, 3:5]}
    parameters = {"p": torch.nn.Parameter(torch.randn(2, 2)),
                  "q": torch.nn.Parameter(torch.randn(5), requires_grad=False)}
    torch.save(module.state_dict(), folder / "module.bin")
    torch.save(parameters, folder / "parameters.bin")
    torch.save(views, folder / "views.bin")
    truth = {**module.state_dict(), **parameters, **views}
    save_file({k: v.detach().clone().contiguous() for k, v in truth.items()},
              folder / "torch.safetensors")
    sharded = folder / "sharded-bin"
    sharded.mkdir(exist_ok=True)
    shards = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"]
    torch.save({"p": parameters["p"].detach()}, sharded / shards[0])
    torch.save({"q": parameters["q"].detach()}, sharded / shards[1])
    index = {"metadata": {"total_size": 36}, "weight_map": {"p": shards[0], "q": shards[1]}}
    (sharded / "pytorch_model.bin.index.json").write_text(json.dumps(index, indent=1) + "\n")


def gguf_file(folder):
    writer = gguf.GGUFWriter(folder / "kinds.gguf", "test")
    writer.add_uint8("u8", 200)
    writer.add_int8("i8", -100)
    writer.add_uint16("u16", 60000)
    writer.add_int16("i16", -30000)
    writer.add_uint32("u32", 4000000000)
    writer.add_int32("i32", -2000000000)
    writer.add_uint64("u64", 5000000000000)
    writer.add_int64("i64", -5000000000000)
    writer.add_float32("f32", 1.5)
    writer.add_float64("f64", -2.25)
    writer.add_float32("nan", float("nan"))
    writer.add_bool("yes", True)
    writer.add_array("ints", [1, -3, 2])
    writer.add_array("floats", [0.25, -0.5])
    writer.add_array("words", ["one", "two"])
    writer.add_tensor("matrix", np.arange(6, dtype=np.float32).reshape(2, 3))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
torch_files(folder)
gguf_file(folder)
