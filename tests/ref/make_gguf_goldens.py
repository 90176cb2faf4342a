"""Ids that llama.cpp gives for the vocabularies of two GGUF files.

    make_gguf_goldens.py FOLDER TEXTS.jsonl OUT.json LLAMA_TOKENIZE...

FOLDER has ggml-vocab-*.gguf; TEXTS has lines {"text": ...}; LLAMA_TOKENIZE is the command that runs
llama.cpp's llama-tokenize, in which "{}" stands for the name of the GGUF file. Needs llama.cpp.
"""
import json
import subprocess
import sys

folder, texts, out, *command = sys.argv[1:]
extra = ["Hello world", " Hello", "a  b   c", "1234567890", "中文，English 混排。", "naïve café",
         "\t\tint main(void)\n{\n    return 0;\n}\n", "x" * 100, " " * 20, "😀👍🏽", "\x7f\u00a0\u3000"]
texts = [json.loads(line)["text"] for line in open(texts)] + extra
result = {}
for name in ("ggml-vocab-llama-spm.gguf", "ggml-vocab-baichuan.gguf"):
    cases = []
    for text in texts:
        if not text or "\u2581" in text or "\0" in text:
            continue
        run = subprocess.run([c.replace("{}", name) for c in command] +
                             ["--ids", "--no-bos", "--no-escape", "--no-parse-special", "--log-disable",
                              "--stdin"],
                             input=text.encode(), capture_output=True, check=True)
        cases.append({"text": text, "ids": json.loads(run.stdout.decode().strip().splitlines()[-1])})
    result[name] = cases
with open(out, "w") as f:
    json.dump(result, f, ensure_ascii=True, separators=(",", ":"))
    f.write("\n")
