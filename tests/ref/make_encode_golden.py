#!/usr/bin/env python3
"""Samples as tokens and as what is trained on, for tests/check_encode.c.

usage: make_encode_golden.py ERNIE_FOLDER STORIES_MODEL SFT_JSONL > tests/data/encode_golden.json
ERNIE_FOLDER has tokenizer.model and a tokenizer_config.json with the chat template, STORIES_MODEL is
stories260K's tokenizer.model, SFT_JSONL ernie-sft-demo's sft-train.jsonl (Apache-2.0). Needs
sentencepiece and jinja2. The chat template is executed by Jinja; where an answer begins is found by
rendering up to it.
"""
import json
import sys

import jinja2
import sentencepiece

ernie_folder, stories_model, sft = sys.argv[1:]
models = {"ernie": sentencepiece.SentencePieceProcessor(model_file=ernie_folder + "/tokenizer.model"),
          "stories": sentencepiece.SentencePieceProcessor(model_file=stories_model)}
config = json.load(open(ernie_folder + "/tokenizer_config.json"))
template = jinja2.Environment(trim_blocks=True, lstrip_blocks=True).from_string(config["chat_template"])
BEGIN, END = "\x03", "\x04"
ids_of = {BEGIN: models["ernie"].piece_to_id(config["cls_token"]),
          END: models["ernie"].piece_to_id(config["sep_token"])}


def render(turns, ask):
    return template.render(messages=[{"role": r, "content": t} for r, t, _ in turns],
                           add_generation_prompt=ask, cls_token=BEGIN, sep_token=END)


def ids_with_special(text):
    out, rest = [], ""
    for c in text:
        if c in ids_of:
            out += models["ernie"].encode(rest) + [ids_of[c]]
            rest = ""
        else:
            rest += c
    return out + models["ernie"].encode(rest)


def exchanges(turns):
    """(turns before the answer, from where on they are new, the answer)"""
    start = 0
    for i, (role, _, _) in enumerate(turns):
        if role == "assistant":
            yield turns[:start], turns[:i], turns[start:i], turns[i]
            start = i + 1


def chat_prompt(before, until):
    text = render(until, True)
    return ids_with_special(text[len(render(before, False)) if before else 0:])


def plain_prompt(new):
    return "".join(t + ("\n" if r == "system" else "") for r, t, _ in new)


def case(name, kind, turns, max_prompt=0, max_response=0):
    model = models[name]
    ids, trained, differs, cut = [], [], False, [False, False]
    all_exchanges = list(exchanges(turns))
    for k, (before, until, new, answer) in enumerate(all_exchanges):
        if kind == "chat":
            prompt = chat_prompt(before, until)
            end = [ids_of[END]]
            joint_text = render(until + [answer], False)
            joint = ids_with_special(joint_text[len(render(before, False)) if before else 0:])
        else:
            # plain text of stories260K, a Llama model, begins with <s>; ERNIE's with nothing
            begin = [model.bos_id()] if name == "stories" and k == 0 else []
            prompt = begin + model.encode(plain_prompt(new))
            end = [model.eos_id()]
            joint = begin + model.encode(plain_prompt(new) + answer[1]) + end
        response = model.encode(answer[1])
        prompt_cut = 0 < max_prompt < len(prompt)
        response_cut = 0 < max_response < len(response)
        if not prompt_cut and not response_cut:
            differs |= joint != prompt + response + end
        if prompt_cut:
            tail = models["ernie"].encode("\nAssistant: ") if kind == "chat" else []
            prompt = prompt[:max_prompt - len(tail)] + tail
        if response_cut:
            response = response[:max_response]
            end = end if k + 1 < len(all_exchanges) else []
        cut = [cut[0] or prompt_cut, cut[1] or response_cut]
        learns = int(answer[2])
        ids += prompt + response + end
        trained += [0] * len(prompt) + [learns] * len(response) + [0 if response_cut else learns] * len(end)
    return {"tokenizer": name, "template": kind, "max_prompt": max_prompt, "max_response": max_response,
            "turns": turns, "ids": ids, "trained": trained, "differs": differs, "cut": cut}


def pair(question, answer):
    return [["user", question, 0], ["assistant", answer, 1]]


dialogue = [["system", "你是助手。", 0], ["user", "1+1=?", 0], ["assistant", "2", 0], ["user", "再加 3 呢？", 0],
            ["assistant", "5。", 1], ["user", "Thanks!", 0], ["assistant", "You are welcome.", 1]]
real = [json.loads(line) for line in open(sft, encoding="utf-8")][:25]
cases = []
for name, kind in [("ernie", "none"), ("ernie", "chat"), ("stories", "none")]:
    cases.append(case(name, kind, pair("守望星光的出品公司是什么？", "守望星光的出品公司是韩玉玲原创音乐。")))
    cases.append(case(name, kind, pair("Once upon a", " time there was <|end_of_sentence|> a dog")))
    cases.append(case(name, kind, pair("Hel", "lo world")))
    cases.append(case(name, kind, dialogue))
    for limits in [(6, 0), (0, 3), (7, 4), (10, 1)]:
        cases.append(case(name, kind, dialogue, *limits))
        cases.append(case(name, kind, pair("Lily and Tom went to the park with a big red ball.",
                                           "They played all day and went home."), *limits))
for record in real:
    turns = pair("".join(record["src"]), "".join(record["tgt"]))
    cases.append(case("ernie", "none", turns, 24, 24))
    cases.append(case("ernie", "chat", turns))
print(json.dumps(cases, ensure_ascii=True, separators=(",", ":")))
