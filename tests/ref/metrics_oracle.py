"""The metrics of src/eval/, held against the packages that define them: sacrebleu, rouge_score, nltk.

    metrics_oracle.py golden OUT.json           write tests/data/metrics_golden.json
    metrics_oracle.py check METRICS_PAIRS DATA  prints TAP; METRICS_PAIRS is tests/metrics_pairs, DATA
                                                the folder of the reference data (may be missing)

The golden's texts are written here. `check` takes 200 pairs of real Chinese and English texts (from
DATA and tests/data/stories.txt), 2000 of odd Unicode, and thousands of words. Exit status 77: a
package is missing."""

import json
import os
import random
import re
import subprocess
import sys

try:
    import sacrebleu
    from nltk.stem.porter import PorterStemmer
    from rouge_score import rouge_scorer
except ImportError as reason:
    print("1..0 # SKIP %s (pip install sacrebleu rouge_score nltk)" % reason)
    sys.exit(77)

TOKENIZERS = ["13a", "zh", "char", "none"]
SMOOTHINGS = ["exp", "floor", "add-k", "none"]
here = os.path.dirname(os.path.abspath(__file__))

# ------------------------------------------------------------------------------------ the packages


class Characters:
    """ROUGE-L over characters: made for Chinese, defined in src/eval/rouge.h."""

    def tokenize(self, text):
        text = re.sub("[A-Z]", lambda m: m.group().lower(), text)
        return re.findall(r"[a-z0-9]+|[^\sa-z0-9]", text)


ROUGES = [rouge_scorer.RougeScorer(["rougeL"], use_stemmer=True),
          rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False),
          rouge_scorer.RougeScorer(["rougeL"], tokenizer=Characters())]


def rouge(hypothesis, reference):
    scores = [s.score(reference, hypothesis)["rougeL"] for s in ROUGES]
    return [[float(s.precision), float(s.recall), float(s.fmeasure)] for s in scores]


def bleu(tokenizer, smoothing="exp", effective=False):
    return sacrebleu.BLEU(tokenize=tokenizer, smooth_method=smoothing, effective_order=effective)


SENTENCE = {t: bleu(t, effective=True) for t in TOKENIZERS}


def words(tokenizer, text):
    return SENTENCE[tokenizer].tokenizer(text.rstrip()).split()


def of_pair(hypothesis, reference):
    return {"words": {t: words(t, hypothesis) for t in TOKENIZERS},
            "bleu": {t: SENTENCE[t].sentence_score(hypothesis, [reference]).score for t in TOKENIZERS},
            "rouge": rouge(hypothesis, reference)}


def of_corpus(pairs):
    out = []
    for t in TOKENIZERS:
        for s in SMOOTHINGS:
            for effective in (False, True):
                metric = bleu(t, s, effective)
                score = metric.corpus_score([p[0] for p in pairs], [[p[1] for p in pairs]])
                # of add-k the score tells the counts with k added to most of them
                counts = {} if s == "add-k" else {"correct": score.counts, "total": score.totals}
                out.append({"tokenizer": t, "smoothing": s, "effective": effective,
                            "score": score.score, **counts,
                            "hypothesis_length": score.sys_len, "reference_length": score.ref_len,
                            "precisions": score.precisions, "brevity_penalty": score.bp,
                            "signature": str(metric.get_signature())})
    return out


# ------------------------------------------------------------------------------------- the golden

WRITTEN = [
    ("", ""), ("", "a"), ("a", ""), (" ", "\t\n"), ("。", "。"),
    ("the cat sat on the mat .", "the cat is on the mat ."),
    ("hello world", "hello there world"),
    ("The quick brown fox jumps over the lazy dog.", "A quick brown fox jumped over the lazy dogs!"),
    ("砚台是磨墨用的文具。", "砚台是磨墨用的文具。"),
    ("砚台产于端州，石质细腻。", "端州出产的砚台，石质很细腻。"),
    ("北京是中国的首都，人口2154.2万人。", "北京是中国的首都,人口约2154万。"),
    ("他说“你好”——真的…", "她说“再见”——是的…"),
    ("3.14-2,000", "3.14 - 2,000"), ("don't stop-now", "do n't stop - now"),
    ("it costs $5.00, or 4,50 €.", "It costs 5 dollars, or 4.50 €."),
    ("a<b && c>d &lt;tag&gt; &amp;amp; &quot;x&quot;", "a < b && c > d <tag> &amp; \"x\""),
    ("line one-\nline two\nline three", "line oneline two line three"),
    ("keep <skipped> this", "keep this"),
    ("1.000.000,5-6-7", "1,000,000.5 - 6 - 7"), ("...,,,---", "... ,,, ---"),
    (".5,5.-5-.", "5"), ("１２３ＡＢＣ。ｄｅｆ！", "123ABC.def!"),
    ("\u3000缩进\u3000的 文字\u3000", "缩进的文字"),
    ("𠀀𠀁扩展区𪚥", "𠀀扩展区"), ("emoji 👩\u200d👩\u200d👧 family", "emoji family 👧"),
    ("cafe\u0301 na\u00efve \u212aelvin \u0130stanbul", "cafe naive kelvin istanbul"),
    ("\u00e9\u00a0\u2009\u2028x\u1680y\u205fz\u202fw\x1c\x1d\x1e\x1f\x85v", "é x y z w v"),
    ("\u200bzero\ufeffwidth\u2060", "zero width"), ("→←↑↓ ∑∫√ ℃ № ①②③", "→ ← ∑ ℃ 1 2 3"),
    ("他买了iPhone15和3个苹果，共花¥6,999.50。", "他买了iPhone 15和三个苹果，花了6999.5元。"),
    ("running runners ran easily, happily traditional universities",
     "run runner runs easy happy tradition university"),
    ("a b c d e", "a b x d y"), ("a b", "a b"), ("the cat sat here now", "the dog sat here then"),
    ("a a a a a a", "a a b a a"), ("一一一一", "一二一"), ("ABC abc AbC", "abc ABC aBc"),
    ("\tmixed \r\n white\x0b\x0cspace ", "mixed white space"),
    ("（括号）【方头】《书名》〈单〉", "(括号)[方头]<书名>"), ("?!?!", "？！？！"),
]

STEMS = """a as at be is it sky skies dying lying tying news inning innings outing outings canning cannings howe proceed
exceed succeed agreed itemization traditional happily enjoy spy siezing denied died university ties dies lies cries
flies applies caresses ponies caress cats feed agreed plastered bled motoring sing conflated troubled sized hopping
tanned falling hissing fizzed failing filing happy relational conditional rational valenci hesitanci digitizer
conformabli radicalli differentli vileli analogousli vietnamization predication operator feudalism decisiveness
hopefulness callousness formaliti sensitiviti sensibiliti triplicate formative formalize electriciti electrical hopeful
goodness revival allowance inference airliner gyroscopic adjustable defensible irritant replacement adjustment dependent
adoption homologou communism activate angulariti homologous effective bowdlerize probate rate cease controll roll
say says saying played player toy toys buy buyer employ employed yes yyy yy yesterday syzygy ay aye ayed by boy
eed need heed seed bleed aed ed ing king being beings doing oing us bus buses gas gases this thus
apologi apologies geologist geology theology philologi logi ologi biologi skilfulli fully fulli wonderfulli successfully
generalli generally practically alli walli finally totalli ational national internationalization nationalize
ization organisation colonization ator creators ational conditional ment cement element elements document enements
abc123s 123s 1s 12ies xies 4ies abc1ing 99ed x1y2ing a1y ion lions million nation session fusion opinion onion
oe ore are here where there one once ones use used uses using user able ables tables stable
ss sss ssses sses ies kies ied tried tied hied ll all ball balls skill skilling fill filled
wxy box boxing boxes snow snowing tray trays wow aw ow ox axe axed oxes
zz buzz buzzing fizz jazz jazzed add adding added egg eggs inn inns odd oddly off
generate generated generating generator generations general generally generic generous generously
university universal universe universities unite united uniting units unity
python pythons pythonic computers computing computation computational compute computes
studies studying studied study student students studio stud studs
quickly slowly early daily truly newly only fly sly bully bulli
sensational organizational motivational educational motivate motives motion emotional emotions
friendliness kindness businesses business busy busier busiest cleanliness likelihood
hoping hoped hopes hope hopper stopped stopping stops planned planning plan planes plane
""".split()


def make_golden(path):
    stemmer = PorterStemmer()
    pairs = [dict(hypothesis=h, reference=r, **of_pair(h, r)) for h, r in WRITTEN]
    corpora = [dict(first=first, n=n, scores=of_corpus(WRITTEN[first:first + n]))
               for first, n in ((0, 1), (0, 5), (5, 2), (8, 1), (31, 1), (32, 1), (33, 1), (0, len(WRITTEN)))]
    golden = dict(versions=dict(sacrebleu=sacrebleu.__version__), pairs=pairs, corpora=corpora,
                  stems=[[w, stemmer.stem(w)] for w in sorted(set(STEMS))])
    with open(path, "w") as f:
        f.write("{\"versions\": %s,\n" % json.dumps(golden["versions"]))
        for key in ("pairs", "corpora", "stems"):
            lines = ",\n".join(json.dumps(x, ensure_ascii=True) for x in golden[key])
            f.write("\"%s\": [\n%s\n]%s\n" % (key, lines, "}" if key == "stems" else ","))


# --------------------------------------------------------------------------------------- the check


def change(text, rng):
    """What a model might have answered: most of the text, some of it lost, doubled or swapped."""
    units = text.split(" ") if " " in text else list(text)
    joint = " " if " " in text else ""
    for _ in range(rng.randrange(0, 6)):
        i = rng.randrange(len(units))
        kind = rng.randrange(4)
        if kind == 0 and len(units) > 1:
            del units[i]
        elif kind == 1:
            units.insert(i, units[i])
        elif kind == 2:
            j = rng.randrange(len(units))
            units[i], units[j] = units[j], units[i]
        else:
            units[i] = rng.choice(["不", "2024", "The", "，", "x-1", units[i]])
    return joint.join(units)


def real_pairs(data, rng):
    with open(os.path.join(here, "..", "data", "stories.txt")) as f:
        stories = f.read()
    english = [s for s in re.split(r"(?<=[.!?])\s+", stories) if s.strip()]
    chinese = []
    qa = os.path.join(data, "data", "qa-zh")
    for name, keys in (("article-format/kgclue_question_input_output.jsonl", ("output", "input")),
                       ("ernie-sft-demo/sft-eval.jsonl", ("tgt",))):
        path = os.path.join(qa, name)
        if os.path.exists(path):
            with open(path) as f:
                for line in list(f)[:400]:
                    record = json.loads(line)
                    for key in keys:
                        text = record[key]
                        chinese.append(text if isinstance(text, str) else text[0])
    out = [(change(t, rng), t) for t in (english * 3)[:100]]
    chinese = [t for t in chinese if t]
    rng.shuffle(chinese)
    out += [(change(t, rng), t) for t in chinese[:100]]
    return out, len(chinese) > 0


def odd_text(rng):
    kinds = rng.choice([["ascii"], ["ascii", "space"], ["cjk", "ascii"], ["any"], ["edge", "ascii", "space"],
                        ["cjk", "point", "digit"], ["digit", "point"], ["space"], ["markup", "ascii"]])
    out = []
    for _ in range(rng.choice([0, 1, 2, 3, 5, 8, 13, 40])):
        kind = rng.choice(kinds)
        if kind == "ascii":
            c = chr(rng.randrange(1, 128))
        elif kind == "space":
            c = rng.choice("\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u200a\u200b\u2028\u2029\u202f\u205f\u3000\ufeff\u180e")
        elif kind == "cjk":
            c = chr(rng.choice([rng.randrange(0x3000, 0x3400), rng.randrange(0x4E00, 0xA000), rng.randrange(0xFF00, 0xFFF0)]))
        elif kind == "digit":
            c = rng.choice("0123456789a-٣３²")
        elif kind == "point":
            c = rng.choice(".,-'&/ ")
        elif kind == "markup":
            c = rng.choice(["<skipped>", "&quot;", "&amp;", "&lt;", "&gt;", "&amp;lt;", "-\n", "\n", "&", ";", "<", "skipped>"])
        elif kind == "edge":
            edge = rng.choice([0x2000, 0x2A6D, 0x2E80, 0x2FDF, 0x2FF0, 0x303F, 0x3100, 0x312F, 0x31A0, 0x31EF, 0x3200, 0x3400,
                               0x4DB5, 0x4E00, 0x9FA5, 0x9FBB, 0xF900, 0xFA2D, 0xFA30, 0xFA6A, 0xFA70, 0xFAD9, 0xFE10, 0xFE1F,
                               0xFE30, 0xFE4F, 0xFF00, 0xFFEF, 0x20000, 0x2A6D6, 0x212A, 0x130, 0x131, 0x17F, 0x1E9E])
            c = chr(edge + rng.randrange(-1, 2))
        else:
            c = chr(rng.randrange(1, 0x110000))
            c = c if not 0xD800 <= ord(c) < 0xE000 else "\ufffd"
        out.append(c)
    return "".join(out)


def odd_pairs(rng, n):
    out = []
    for _ in range(n):
        text = odd_text(rng)
        out.append((text, rng.choice([text, odd_text(rng), change(text, rng) if text else ""])))
    return out


def make_words(rng):
    suffixes = """s es ies ed ing ied eed y ly ational tional enci anci izer bli alli entli eli ousli ization ation ator
        alism iveness fulness ousness aliti iviti biliti fulli logi icate ative alize iciti ical ful ness al ance ence er ic
        able ible ant ement ment ent ion ou ism ate iti ous ive ize e ll ting sion 1 9s""".split()
    with open(os.path.join(here, "..", "data", "stories.txt")) as f:
        out = set(re.findall("[a-z0-9]+", f.read().lower()))
    stems = sorted(out)
    for _ in range(20000):
        stem = rng.choice(stems) if rng.random() < 0.4 else "".join(
            rng.choice("aeiouybcdfghjklmnpqrstvwxz019") for _ in range(rng.randrange(0, 7)))
        out.add(stem + "".join(rng.choice(suffixes) for _ in range(rng.randrange(0, 3))))
    return sorted(w for w in out if w)


def run(program, mode, lines):
    done = subprocess.run([program, mode], input="".join(line + "\n" for line in lines).encode(),
                          stdout=subprocess.PIPE, check=True)
    return done.stdout.decode().split("\n")[:-1]


def differ(a, b):
    return abs(a - b) > 1e-11 * max(1, abs(a), abs(b)) or "%.10f" % a != "%.10f" % b and abs(a - b) > 1e-12


def compare(ours, theirs, what, found):
    if isinstance(theirs, dict):
        for key in theirs:
            compare(ours[key], theirs[key], what + [key], found)
    elif isinstance(theirs, list) and theirs and not isinstance(theirs[0], str):
        for i, x in enumerate(theirs):
            compare(ours[i], x, what + [i], found)
    elif isinstance(theirs, (bool, str, list)):
        if ours != theirs:
            found.append((what, ours, theirs))
    elif differ(ours, theirs):
        found.append((what, ours, theirs))


def check_pairs(number, program, pairs, name):
    lines = run(program, "pairs", [json.dumps(list(p)) for p in pairs])
    found = []
    for i, (h, r) in enumerate(pairs):
        compare(json.loads(lines[i]), of_pair(h, r), [h, r], found)
    compare(json.loads(lines[len(pairs)]), of_corpus(pairs), ["corpus"], found)
    for what, ours, theirs in found[:10]:
        print("# %r: %r, should be %r" % (what, ours, theirs))
    print("%sok %d - %s: %d pairs, and their corpus with every tokenizer and smoothing, as sacrebleu %s and rouge_score do"
          % ("not " if found else "", number, name, len(pairs), sacrebleu.__version__))


def main():
    if sys.argv[1] == "golden":
        make_golden(sys.argv[2])
        return
    program, data = sys.argv[2:]
    rng = random.Random(4505)
    print("1..3")
    pairs, has_chinese = real_pairs(data, rng)
    if has_chinese:
        check_pairs(1, program, pairs, "real Chinese and English texts")
    else:
        print("ok 1 # SKIP no data/qa-zh in INKSTONE_SHARED")
    check_pairs(2, program, WRITTEN + odd_pairs(rng, 2000), "odd Unicode, random ASCII, empty texts")
    stemmer = PorterStemmer()
    all_words = make_words(rng)
    ours = run(program, "stems", all_words)
    wrong = [(w, o, stemmer.stem(w)) for w, o in zip(all_words, ours) if o != stemmer.stem(w)]
    for word, mine, theirs in wrong[:10]:
        print("# %s: %s, should be %s" % (word, mine, theirs))
    print("%sok 3 - stems of %d words, as nltk's" % ("not " if wrong else "", len(all_words)))


main()
