"""The loss of `inkstone eval`, held against transformers and, for batches, its Trainer's arithmetic.

    loss_oracle.py INKSTONE MODEL_FOLDER DATA.jsonl

MODEL_FOLDER is one that transformers loads, with a tokenizer.model (no special tokens in the data);
DATA has input and output. Prompt and answer are encoded apart, the end token is that of the
tokenizer, or where the model does not stop at it, the first of its configuration; prompts are masked with -100, batches of 8 are padded on the right. Exit status 77: torch,
transformers or sentencepiece is missing."""

import json
import math
import os
import subprocess
import sys

try:
    import sentencepiece
    import torch
    import transformers
except ImportError as reason:
    print("SKIP: %s" % reason)
    sys.exit(77)

program, folder, data = sys.argv[1:]
BATCH = 8

spm = sentencepiece.SentencePieceProcessor(model_file=os.path.join(folder, "tokenizer.model"))
with open(os.path.join(folder, "config.json")) as f:
    config = json.load(f)
config = {k: v for k, v in config.items() if k != "architectures"}
model = transformers.Ernie4_5ForCausalLM(transformers.Ernie4_5Config(**config))
from safetensors.torch import load_file

state = load_file(os.path.join(folder, "model.safetensors"))
missing, unexpected = model.load_state_dict(state, strict=False)
assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
model.tie_weights()
model = model.float().eval()

ends = config["eos_token_id"] if isinstance(config["eos_token_id"], list) else [config["eos_token_id"]]
end = spm.eos_id() if spm.eos_id() in ends else ends[0]
samples = []
with open(data, encoding="utf-8") as f:
    for line in f:
        record = json.loads(line)
        prompt = ([spm.bos_id()] if spm.bos_id() >= 0 else []) + spm.encode(record["input"])
        answer = spm.encode(record["output"]) + [end]
        samples.append((prompt + answer, len(prompt)))


def of_batch(batch):
    """transformers' own loss of a padded batch, and the number of labels after the shift."""
    n = max(len(ids) for ids, _ in batch)
    ids = torch.tensor([i + [0] * (n - len(i)) for i, _ in batch])
    mask = torch.tensor([[1] * len(i) + [0] * (n - len(i)) for i, _ in batch])
    labels = torch.tensor([[-100] * p + i[p:] + [-100] * (n - len(i)) for i, p in batch])
    with torch.no_grad():
        loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
    return float(loss), int((labels[:, 1:] != -100).sum())


batches = [samples[i:i + BATCH] for i in range(0, len(samples), BATCH)]
losses = [of_batch(b) for b in batches]
eval_loss = sum(loss * len(b) for (loss, _), b in zip(losses, batches)) / len(samples)
tokens = sum(n for _, n in losses)
mean = sum(loss * n for loss, n in losses) / tokens

ours = json.loads(subprocess.run(
    [program, "eval", folder, data, "--metrics", "loss", "--json", "--type", "native", "--kv", "f32",
     "--template", "none"], stdout=subprocess.PIPE, check=True).stdout)
found = [(ours["tokens"], tokens), (ours["loss"], mean), (ours["hugging_face"]["eval_loss"], eval_loss),
         (ours["perplexity"], math.exp(mean))]
bad = [p for p in found if abs(p[0] - p[1]) > 1e-5 * abs(p[1])]
for mine, theirs in found:
    print("# %.9g, transformers %.9g" % (mine, theirs))
print("transformers %s: %d samples, %d tokens, loss %.6f, eval_loss %.6f" %
      (transformers.__version__, len(samples), tokens, mean, eval_loss))
sys.exit(1 if bad else 0)
