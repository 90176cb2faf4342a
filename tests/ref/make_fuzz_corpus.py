"""Seeds of the text fuzzers: small SentencePiece models, UTF-8, JSON.

    make_fuzz_corpus.py CORPUS_FOLDER

Needs sentencepiece (with its protobuf module). Writes into tokenizer_model/, utf8/, json/,
metrics/ and dataset/.
"""
import io
import os
import sys

import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as pb

root = sys.argv[1]


def write(folder, name, data):
    os.makedirs(f"{root}/{folder}", exist_ok=True)
    with open(f"{root}/{folder}/{name}", "wb") as f:
        f.write(data)


# ---- models: written by hand, and trained ones, which have a real table of the normaliser
def model(pieces, kind=2, byte_fallback=False, **normalizer):
    m = pb.ModelProto()
    rows = [("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3)] + pieces
    if byte_fallback:
        rows += [(f"<0x{b:02X}>", 0, 6) for b in range(256)]
    for text, score, piece_type in rows:
        m.pieces.add(piece=text, score=score, type=piece_type)
    m.trainer_spec.model_type = kind
    m.trainer_spec.byte_fallback = byte_fallback
    m.normalizer_spec.add_dummy_prefix = normalizer.get("dummy", False)
    m.normalizer_spec.remove_extra_whitespaces = normalizer.get("extra", False)
    return m


words = [("▁", -1, 1), ("a", -2, 1), ("b", -3, 1), ("aa", -4, 1), ("▁a", -5, 1), ("aaaa", -6, 5),
         ("1", -7, 4), ("你好", -8, 4), ("你", -9, 4)]
write("tokenizer_model", "bpe", model(words).SerializeToString())
write("tokenizer_model", "bpe-bytes", model(words, byte_fallback=True).SerializeToString())
write("tokenizer_model", "bpe-spaces", model(words, dummy=True, extra=True).SerializeToString())
write("tokenizer_model", "unigram", model(words, kind=1, dummy=True, extra=True).SerializeToString())
write("tokenizer_model", "empty", b"")

with open("rules.tmp", "w") as f:
    f.write("41\t61\n41 300\t61 62\nff21\t61\n338f\t6b 67\n20 20\t20\n")
for kind in ("bpe", "unigram"):
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["hello world", "Hello kg ㎏ Ａ", "a b a b"] * 3), model_writer=out,
        model_type=kind, vocab_size=30, hard_vocab_limit=False, normalization_rule_tsv="rules.tmp",
        minloglevel=2)
    m = pb.ModelProto.FromString(out.getvalue())
    m.trainer_spec.Clear()
    m.trainer_spec.model_type = {"unigram": 1, "bpe": 2}[kind]
    m.normalizer_spec.ClearField("normalization_rule_tsv")
    write("tokenizer_model", kind + "-charsmap", m.SerializeToString())
os.remove("rules.tmp")

# ---- UTF-8; the first byte says how the others are cut
for i, data in enumerate([b"", "aé中😀".encode(), b"\xff\xc0\x80", b"\xed\xa0\x80\xf4\x90\x80\x80",
                          b"\xf0\x9f\x98", b"\xe4\xb8a\xe4", b"\0\x7f\xc2\x80"]):
    write("utf8", f"seed{i}", bytes([i]) + data)

# ---- JSON
for i, text in enumerate([
        '{}', '[]', '{"a":[1,-2.5e+3,0,true,false,null,"x\\n\\u00e9\\ud83d\\ude00"]}', '""', '1e308',
        '{"a":{"a":{"b":[[[]]]}},"\\u0061b":1}', '{"a":1,"a":2}', '"\\ud800"', '"\\u0000"', ' [ 1 , 2 ] ',
        '{"A":1,"a":2}', '123456789012345678901234567890', '[1,]', '{"a"}', 'nul', '-', '01', '"\x01"']):
    write("json", f"seed{i}", text.encode())

# ---- metrics: the first byte tells, in 255ths, where the first text ends and the second begins
texts = [
    (128, ""), (64, "the cat sat on the mat .the cat is on"),
    (127, "北京是中国的首都，人口2154.2万人。北京是中国的首都,人口约2154万。"),
    (127, "a<b &lt;x&gt; &amp;amp; <skipped> one-\ntwo 3-4 .5,5. running runners"),
    (32, "\u2001\u2a6d\U00020000\u3000\x1c\x85\u212a\u0130 ABC abc"),
    (255, "generalli ponies ties died agreed skies"),
]
for i, (cut, text) in enumerate(texts):
    write("metrics", f"seed{i}", bytes([cut]) + text.encode())
write("metrics", f"seed{len(texts)}", b"\x7f\xff\xfe\xe4\xb8\xed\xa0\x80 ok")
write("metrics", f"seed{len(texts) + 1}", b"")

# ---- training data; the first two bytes say format and schema
for i, (head, text) in enumerate([
        ((0, 0), '{"input":"a","output":"b"}\r\n\n{"input":"c","output":"d","system":"s"}'),
        ((0, 0), '\ufeff[{"question":"a", "answer":"b"},\n {"question":"{", "answer":"\\"]"} ]\n'),
        ((0, 0), '{"instruction":"a","input":"b","output":"c","history":[["q","a"]]}'),
        ((64, 0), '{"src":["a","b"],"tgt":["c","d"],"label":[0,1],"system":"s"}\nx\n{"src":"a","tgt":"b"}'),
        ((0, 0), '{"conversations":[{"from":"human","value":"a"},{"from":"function_call","value":"{}"},'
                 '{"from":"observation","value":"o"},{"from":"gpt","value":"b"}],"tools":""}'),
        ((0, 0), '{"messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text",'
                 '"text":"a"}]},{"role":"assistant","content":"b","weight":1}]}'),
        ((1, 6), '{"text":"once"}\n{"text":"upon"}'), ((7, 0), 'a\n\nb "c"\r\n'),
        ((3, 0), 'id,input,output\r\n1,"a,""b""","c\nd"\r\n\n2,e,f"g'),
        ((67, 0), 'output,input\n"a"b,c\nd,e\nf\ng,"h\n'), ((4, 0), 'question\tanswer\n"a\tb"\tc\n'),
        ((5, 0), 'question\tanswer\n"a\tb\n'), ((3, 0), 'text,input\na,b\n'),
        ((6, 0), 'q: a a: b\n\u95ee\uff1aa\uff1f\u7b54\uff1ab\nQ:x\n\n  A:y\u3000\n'),
        ((198, 0), 'q:a\nx\nq:b a:c'), ((128, 0), '{"input":"' + 'a' * 120 + '","output":"b"}'),
        ((2, 0), '[1,{"input":"a","output":"b"}'), ((0, 0), '{"prompt":"a","chosen":"b","rejected":"c"}')]):
    write("dataset", f"seed{i}", bytes(head) + text.encode())
