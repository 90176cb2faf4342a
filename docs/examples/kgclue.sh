#!/bin/sh
# A Chinese model of four million parameters from nothing: it learns to answer KgCLUE's questions
# in whole sentences. docs/finetune.md shows what came of it.
#
#   kgclue.sh DATA.jsonl FOLDER [compare]
#
# DATA.jsonl has 22,000 lines {"input": question, "output": answer}. "compare" also trains in
# PyTorch, from the same weights with the same settings (hours). INKSTONE names the program, PYTHON
# a Python with sentencepiece; to compare, with torch and transformers too. THREADS: default 1.
set -e
data=$1 folder=$2
test -f "$data" && test -n "$folder" || { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
inkstone=${INKSTONE:-inkstone} python=${PYTHON:-python3}
settings="--epochs 5 --batch-size 16 --lr 1e-3 --schedule cosine --warmup-steps 200
    --weight-decay 0.01 --eval-steps 275"

mkdir -p "$folder"
"$inkstone" split "$data" -o "$folder/data"
"$python" "$here/make_tokenizer.py" "$folder/data/train.json" 5000 "$folder/tokenizer"
"$inkstone" train --from-config "$here/kgclue_config.json" --tokenizer "$folder/tokenizer" \
    --train "$folder/data/train.json" --val "$folder/data/val.json" -o "$folder/run" \
    $settings --save-steps 1100 --save-total-limit 0 --logging-steps 25 --threads "${THREADS:-1}"
"$inkstone" eval "$folder/run/checkpoint-5500" "$folder/data/test.json" --max-new-tokens 80 \
    --predictions "$folder/predictions.jsonl" --report "$folder/report.html"
"$python" - "$folder/predictions.jsonl" <<'END'
import json
import sys

rows = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
for end, what in (("的", "subject"), ("是", "subject and relation")):
    n = sum(r["prediction"].startswith(r["reference"].split(end)[0] + end) for r in rows)
    print(f"{n} of {len(rows)} answers begin as the reference does, up to its {what}")
END
if test "$3" = compare; then
    "$python" "$here/torch_training.py" "$folder/run/checkpoint-0" $settings \
        --train "$folder/data/train.json" --val "$folder/data/val.json" \
        --threads "${THREADS:-1}" --compare "$folder/run/trainer_state.json"
fi
