#!/usr/bin/env python3
"""Write src/oracle.c: recorded runs of known weights, and published files, for `inkstone doctor`.

usage: make_oracles.py REFERENCE_DATA models/stories260K.gguf > src/oracle.c

REFERENCE_DATA holds ernie45-oracle/oracle.json (a published float32 run of ERNIE-4.5-0.3B-Base in
transformers) and stories260K/ (golden_greedy_fp64.json and as-ernie45/). The hidden states of
stories260K are computed here, by transformers in float64. "Hidden" is what transformers calls
hidden_states: the embedding, the output of each layer but the last, and the last one's after the
final norm. Needs torch and transformers.
"""
import hashlib
import json
import os
import sys

import torch
from transformers import Ernie4_5ForCausalLM

N_ANSWER = 32
N_TOP = 8


def stories(root):
    golden = json.load(open(os.path.join(root, "stories260K", "golden_greedy_fp64.json")))[1]
    n = len(golden["prompt_ids"])
    step = golden["steps"][n - 1]
    model = Ernie4_5ForCausalLM.from_pretrained(os.path.join(root, "stories260K", "as-ernie45"), dtype=torch.float64)
    with torch.no_grad():
        out = model(torch.tensor([golden["prompt_ids"]]), output_hidden_states=True)
    assert int(out.logits[0, -1].argmax()) == golden["ids"][n]
    hidden = [h[0, -1].topk(N_TOP) for h in out.hidden_states]
    return {
        "name": "stories260K", "symbol": "stories", "vocab": 512, "hidden_size": 64, "layers": 5,
        "prompt": golden["prompt_ids"], "answer": golden["ids"][n:n + N_ANSWER],
        "top": (step["top8_ids"], step["top8_logits"]),
        "hidden": [(h.indices.tolist(), h.values.tolist()) for h in hidden],
        # float64 against our float32
        "absolute": 1e-3, "relative": 1e-4,
    }


def ernie_base(root):
    o = json.load(open(os.path.join(root, "ernie45-oracle", "oracle.json")))
    top = o["step0_lm_head_top8_full_precision"][-1]
    return {
        "name": "ERNIE-4.5-0.3B-Base", "symbol": "ernie_base", "vocab": 103424, "hidden_size": 1024, "layers": 18,
        "prompt": o["prompt_ids"], "answer": o["generated_ids"][:N_ANSWER], "top": (top["idx"], top["val"]),
        "hidden": [(h["idx"], h["val"]) for h in o["step0_hidden_top8_full_precision"]],
        # float32 on a GPU against ours
        "absolute": 1e-2, "relative": 1e-3,
    }


def file_facts(path, what):
    data = open(path, "rb").read()
    return what, len(data), hashlib.sha256(data).hexdigest()


def known_files(root, shipped):
    """Published files: what, bytes, sha256."""
    return [
        ("ERNIE-4.5-0.3B-PT, Q8_0", 385789248, "022ce1cfc46a2818a96b8a683aec0944047cac6745f35aa5a2a48729a58caa74"),
        file_facts(os.path.join(root, "ernie45-tokenizer", "tokenizer.model"), "ERNIE 4.5 tokenizer"),
        file_facts(os.path.join(root, "stories260K", "as-ernie45", "model.safetensors"), "stories260K"),
        file_facts(shipped, "stories260K.gguf"),
        file_facts(os.path.join(root, "stories260K", "tok512.model"), "stories260K tokenizer"),
    ]


def number(x):
    text = "%.9g" % x
    return text + ("f" if "." in text or "e" in text else ".0f")


def array(kind, name, items):
    return "static const %s %s[] = {%s};\n" % (kind, name, ", ".join(items))


def main():
    root = sys.argv[1]
    oracles = [ernie_base(root), stories(root)]
    out = ['/* Written by tests/ref/make_oracles.py. */\n#include "oracle.h"\n\n']
    for o in oracles:
        s = o["symbol"]
        out.append(array("int32_t", s + "_prompt", map(str, o["prompt"])))
        out.append(array("int32_t", s + "_answer", map(str, o["answer"])))
        out.append(array("int32_t", s + "_top_ids", map(str, o["top"][0])))
        out.append(array("float", s + "_top_logits", map(number, o["top"][1])))
        out.append(array("int32_t", s + "_channels", (str(i) for h in o["hidden"] for i in h[0])))
        out.append(array("float", s + "_values", (number(v) for h in o["hidden"] for v in h[1])))
        out.append("\n")
        assert len(o["hidden"]) == o["layers"] + 1 and all(len(h[0]) == N_TOP for h in o["hidden"])
        assert len(o["top"][0]) == N_TOP and len(o["answer"]) == N_ANSWER
    out.append("const struct ink_oracle ink_oracles[] = {\n")
    for o in oracles:
        s = o["symbol"]
        out.append('{"%s", %d, %d, %d, %s_prompt, %d, %s_answer, %d, %s_top_ids, %s_top_logits, %s_channels, %s_values, %s, %s},\n'
                   % (o["name"], o["vocab"], o["hidden_size"], o["layers"], s, len(o["prompt"]), s, len(o["answer"]), s, s, s, s,
                      number(o["absolute"]), number(o["relative"])))
    out.append("};\nconst int ink_n_oracles = %d;\n\n" % len(oracles))
    files = known_files(root, sys.argv[2])
    out.append("const struct ink_known_file ink_known_files[] = {\n")
    out += ['{"%s", %du, "%s"},\n' % f for f in files]
    out.append("};\nconst int ink_n_known_files = %d;\n" % len(files))
    sys.stdout.write("".join(out))


if __name__ == "__main__":
    main()
