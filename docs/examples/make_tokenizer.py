#!/usr/bin/env python3
"""A tokenizer folder for a new model, trained on question-answer pairs: SentencePiece BPE with byte
fallback, and ERNIE's special tokens and chat template.

  make_tokenizer.py TRAIN.json VOCABULARY FOLDER       needs sentencepiece
"""
import io
import json
import os
import sys

import sentencepiece

BEGIN, END = "<|begin_of_sentence|>", "<|end_of_sentence|>"
# ERNIE-4.5-0.3B-PT's, so that inkstone knows it for the format that it speaks
TEMPLATE = (
    '{%- if not add_generation_prompt is defined -%}{%- set add_generation_prompt = true -%}'
    '{%- endif -%}{%- if not cls_token is defined -%}{%- set cls_token = "<|begin_of_sentence|>" -%}'
    '{%- endif -%}{%- if not sep_token is defined -%}{%- set sep_token = "<|end_of_sentence|>" -%}'
    '{%- endif -%}{{- cls_token -}}{%- for message in messages -%}'
    '{%- if message["role"] == "user" -%}{{- "User: " + message["content"] + "\\n" -}}'
    '{%- elif message["role"] == "assistant" -%}'
    '{{- "Assistant: " + message["content"] + sep_token -}}'
    '{%- elif message["role"] == "system" -%}{{- message["content"] + "\\n" -}}'
    '{%- endif -%}{%- endfor -%}{%- if add_generation_prompt -%}{{- "Assistant: " -}}{%- endif -%}')


def lines(path):
    for line in open(path, encoding="utf-8"):
        pair = json.loads(line)
        yield "User: " + pair["input"]
        yield "Assistant: " + pair["output"]


def main(data, vocabulary, folder):
    os.makedirs(folder, exist_ok=True)
    model = io.BytesIO()  # a file's path would be part of it
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=lines(data), model_writer=model,
        vocab_size=int(vocabulary), model_type="bpe", byte_fallback=True,
        character_coverage=0.9995, normalization_rule_name="identity", add_dummy_prefix=False,
        remove_extra_whitespaces=False, control_symbols=[BEGIN, END], num_threads=1,
        minloglevel=1)
    with open(os.path.join(folder, "tokenizer.model"), "wb") as out:
        out.write(model.getvalue())
    config = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<unk>", "unk_token": "<unk>",
              "cls_token": BEGIN, "sep_token": END, "add_bos_token": False,
              "chat_template": TEMPLATE}
    with open(os.path.join(folder, "tokenizer_config.json"), "w", encoding="utf-8") as out:
        json.dump(config, out, ensure_ascii=False, indent=2)
        out.write("\n")


main(*sys.argv[1:])
