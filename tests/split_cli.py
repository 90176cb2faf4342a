"""TAP test of inkstone split (tests/check_split): the same parts as Python makes, statistics, groups,
what is refused, and that nothing is left half-written."""
import csv
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

PROGRAM = os.environ.get("INKSTONE", "./inkstone")
TOKENIZER = os.path.join(os.environ.get("srcdir", "."), "models/stories260K")
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(("INKSTONE", "LC_", "LANG"))}
PARTS = ("train", "val", "test")
folder = tempfile.mkdtemp()
count = 0
failed = False


def check(name, test):
    global count, failed
    count += 1
    try:
        test()
        print(f"ok {count} - {name}")
    except Exception as error:  # noqa: BLE001 - whatever it is, the test failed
        failed = True
        print("# " + f"{type(error).__name__}: {error}".replace("\n", "\n# "))
        print(f"not ok {count} - {name}")


def run(*arguments, language="C", **options):
    return subprocess.run([PROGRAM, "split", *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          env={**ENVIRONMENT, "LANG": language, "LC_ALL": language}, **options)


def split(*arguments, **options):
    done = run(*arguments, **options)
    assert done.returncode == 0 and done.stderr == "", f"{arguments}: {done.returncode}: {done.stderr}"
    return done.stdout


def refuses(code, text, *arguments):
    done = run(*arguments)
    assert done.returncode == code and text in done.stderr and done.stdout == "", \
        f"{arguments}: {done.returncode}, {done.stderr!r}, wanted {code} and {text!r}"
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("inkstone: ")


def new(name):
    path = os.path.join(folder, name)
    assert not os.path.exists(path)
    return path


def write(name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8", newline="") as f:
        f.write(text)
    return path


def lines(out, part):
    with open(os.path.join(out, part + ".json"), encoding="utf-8", newline="\n") as f:
        text = f.read()
    # U+2028, which is in the records, ends a line for str.splitlines
    assert text == "" or text.endswith("\n")
    return text.split("\n")[:-1]


def all_lines(out):
    return [lines(out, part) for part in PARTS]


def make_records(n):
    return [{"input": f"问题{i}是什么？ \"q\" \u2028 {i % 7}", "output": f"答案{i}。\n" + "长" * (i % 11), "id": i}
            for i in range(n)]


def dump(records):
    return [json.dumps(r, ensure_ascii=False) for r in records]


def python_split(records, seed=42, train=0.8, val=0.1):
    """What the article does."""
    records = list(records)
    random.seed(seed)
    random.shuffle(records)
    n = len(records)
    a, b = int(n * train), int(n * (train + val))
    return [records[:a], records[a:b], records[b:]]


# ------------------------------------------------------------------------------------- the parts


def same_as_python():
    for n in (10, 11, 19, 57, 100, 625, 999, 1000, 4321, 22000):
        text = dump(make_records(n))
        out = new(f"size{n}")
        split(write("data.jsonl", "\n".join(text) + "\n"), "-o", out)
        assert all_lines(out) == python_split(text), n
    first = [json.loads(line)["id"] for line in lines(os.path.join(folder, "size10"), "train")]
    assert first == [7, 3, 2, 8, 5, 6, 9, 4], first


def same_for_any_seed():
    text = dump(make_records(137))
    data = write("data.jsonl", "\n".join(text))
    for seed in (0, 1, -1, -42, 2**31, 2**32, 2**32 + 7, 2**64, -(2**70) - 3, 10**50 + 1):
        out = new(f"seed{seed}")
        split(data, "-o", out, f"--seed={seed}")
        assert all_lines(out) == python_split(text, seed), seed


def same_for_any_ratio():
    text = dump(make_records(1001))
    data = write("data.jsonl", "\n".join(text))
    for ratio in ("7:2:1", "1:1:1", "98:1:1", "0.7:0.2:0.1", "0.8:0.1:0.1", "3:0:1", "6:3:2", "33.5:1:0.25"):
        a, b, c = (float(x) for x in ratio.split(":"))
        whole = 1 if abs(a + b + c - 1) < 1e-9 else a + b + c
        out = new("ratio" + ratio.replace(":", "-"))
        split(data, "-o", out, "--ratio", ratio)
        assert all_lines(out) == python_split(text, 42, a / whole, b / whole), ratio
    out = new("no-test")
    split(data, "-o", out, "--ratio", "9:1:0")
    assert [len(x) for x in all_lines(out)] == [900, 101, 0]


def small_sets():
    for n in range(1, 10):
        text = dump(make_records(n))
        out = new(f"small{n}")
        done = run(write("data.jsonl", "\n".join(text)), "-o", out)
        assert done.returncode == 0 and all_lines(out) == python_split(text), n
        empty = sum(not part for part in python_split(text))
        assert done.stderr.count("is empty: too few records") == empty == done.stderr.count("\n")


def formats_become_json_lines():
    records = [{"input": f"q{i} \"x\", y", "output": f"a{i}\nb"} for i in range(30)]
    wanted = python_split(dump(records))
    with open(os.path.join(folder, "t.csv"), "w", encoding="utf-8-sig", newline="") as f:
        csv.writer(f).writerows([["input", "output"]] + [list(r.values()) for r in records])
    with open(os.path.join(folder, "t.tsv"), "w", encoding="utf-8", newline="") as f:
        csv.writer(f, csv.excel_tab).writerows([["answer", "question"]] + [list(r.values())[::-1] for r in records])
    write("t.json", json.dumps(records, indent=1, ensure_ascii=False))
    write("crlf.jsonl", "\ufeff" + "\r\n".join(dump(records)))
    for name in ("t.csv", "t.tsv", "t.json", "crlf.jsonl"):
        out = new("from-" + name)
        split(os.path.join(folder, name), "-o", out)
        assert all_lines(out) == wanted, name
    plain = [{"input": f"今天{i}号吗？", "output": f"是，{i}号。"} for i in range(20)]
    out = new("from-qa")
    split(write("t.txt", "".join(f"问：{r['input']} 答：{r['output']}\n" for r in plain)), "-o", out)
    assert all_lines(out) == python_split(dump(plain))
    out = new("from-lines")
    split(write("t.txt", "".join(f"line {i}\n" for i in range(20))), "-o", out, "--format", "lines")
    assert all_lines(out) == python_split(dump([{"text": f"line {i}"} for i in range(20)]))
    out = new("named")
    split(write("n.csv", "frage,antwort\n" + "".join(f"q{i},a{i}\n" for i in range(20))), "-o", out,
          "--input-field", "frage", "--output-field=antwort")
    assert all_lines(out) == python_split(dump([{"input": f"q{i}", "output": f"a{i}"} for i in range(20)]))


def real_data():
    shared = os.environ.get("INKSTONE_SHARED", "")
    path = shared + "/data/qa-zh/article-format/kgclue_question_input_output.jsonl"
    with open(path, encoding="utf-8") as f:
        text = f.read().split("\n")[:-1]
    out = new("kgclue")
    split(path, "-o", out)
    assert all_lines(out) == python_split(text)


# ---------------------------------------------------------------------------------------- groups


def groups_are_not_torn():
    rng = random.Random(5)
    records = [{"input": f"{rng.choice('甲乙丙丁戊己庚辛')}{rng.randrange(60)}的{i}是什么？", "output": str(i)}
               for i in range(3000)]
    for r in records:
        r["entity"] = r["input"].split("的")[0]
    data = write("groups.jsonl", "\n".join(dump(records)))
    out = new("groups")
    report = json.loads(split(data, "-o", out, "--group-by", "entity", "--json"))
    parts = [[json.loads(x) for x in part] for part in all_lines(out)]
    entities = [{r["entity"] for r in part} for part in parts]
    assert not entities[0] & entities[1] and not entities[0] & entities[2] and not entities[1] & entities[2]
    assert [len(p) for p in parts] == [2400, 300, 300], [len(p) for p in parts]
    assert report["groups"] == len({r["entity"] for r in records}) and report["group_by"] == "entity"
    assert sorted(r["output"] for p in parts for r in p) == sorted(r["output"] for r in records)
    order = {r["output"]: i for i, r in enumerate(sum(python_split(records), []))}
    for part in parts:
        places = [order[r["output"]] for r in part]
        assert places == sorted(places)
    until = new("until")
    split(data, "-o", until, "--group-by", "input", "--group-until", "的")
    assert all_lines(until) == all_lines(out)
    again = new("again")
    split(data, "-o", again, "--group-by", "entity")
    assert all_lines(again) == all_lines(out)
    refuses(3, "line 2: \"entity\" is missing", write("g.jsonl", "\n".join(
        ['{"input":"a","output":"b","entity":1}', '{"input":"a","output":"b"}'])), "-o", new("g"), "--group-by",
        "entity")
    assert not os.path.exists(os.path.join(folder, "g"))


# ------------------------------------------------------------------------------------- statistics


def figures_are_right():
    records = make_records(501) + make_records(9)
    text = dump(records)
    out = new("figures")
    report = json.loads(split(write("data.jsonl", "\n".join(text)), "-o", out, "--json", "--tokenizer", TOKENIZER))
    assert report["records"] == 510 and report["skipped"] == 0 and report["schema"] == "input-output"
    assert report["duplicates"] == 9 and report["format"] == "jsonl"
    parts = [[json.loads(x) for x in part] for part in all_lines(out)]
    for entry, part, name in zip(report["files"], parts, PARTS):
        with open(entry["path"], "rb") as f:
            data = f.read()
        assert entry["part"] == name and entry["bytes"] == len(data) and entry["records"] == len(part)
        assert entry["sha256"] == hashlib.sha256(data).hexdigest()
        for key, field in (("question", "input"), ("answer", "output")):
            lengths = sorted(len(r[field]) for r in part)
            want = {"min": lengths[0], "median": statistics.median(lengths),
                    "p95": lengths[-(-len(lengths) * 95 // 100) - 1], "max": lengths[-1]}
            assert entry[key + "_characters"] == want, (entry, want)
            assert 0 < entry[key + "_tokens"]["min"] <= entry[key + "_tokens"]["median"]
    questions = [{r["input"] for r in part} for part in parts]
    assert report["val_questions_in_train"] == sum(r["input"] in questions[0] for r in parts[1])
    assert report["test_questions_in_train"] == sum(r["input"] in questions[0] for r in parts[2])
    assert report["test_questions_in_val"] == sum(r["input"] in questions[1] for r in parts[2])
    with open(os.path.join(out, "split.json"), encoding="utf-8") as f:
        note = json.load(f)
    assert note["seed"] == "42" and note["ratio"] == [8, 1, 1] and note["records"] == 510
    for entry in report["files"]:
        assert note["files"][entry["part"] + ".json"] == {"records": entry["records"], "sha256": entry["sha256"]}
    with open(os.path.join(folder, "data.jsonl"), "rb") as f:
        assert note["source_sha256"] == hashlib.sha256(f.read()).hexdigest()


def tokens_are_those_of_tokenize():
    records = [{"text": f"Once upon a time {i} there was a " + "big " * (i % 13)} for i in range(60)]
    out = new("tokens")
    report = json.loads(split(write("t.jsonl", "\n".join(dump(records))), "-o", out, "--json", "--tokenizer", TOKENIZER))
    for entry, part in zip(report["files"], all_lines(out)):
        done = subprocess.run([PROGRAM, "tokenize", TOKENIZER], capture_output=True, text=True, env=ENVIRONMENT,
                              input="".join(json.loads(x)["text"] + "\n" for x in part), check=True)
        lengths = sorted(len(json.loads(x)) for x in done.stdout.splitlines())
        assert entry["answer_tokens"]["max"] == lengths[-1] and entry["answer_tokens"]["min"] == lengths[0]
        assert entry["answer_tokens"]["median"] == statistics.median(lengths)
        assert entry["question_tokens"] is None and entry["question_characters"] is None


def a_person_can_read_it():
    data = write("data.jsonl", "\n".join(dump(make_records(100))))
    english = split(data, "-o", new("english"))
    for text in ("100 records (format jsonl, schema input-output)", "| train.json |        80 | questions, characters",
                 "0 of the 10 questions of test.json are also in train.json", "SHA-256"):
        assert text in english, english
    chinese = split(data, "-o", new("chinese"), language="zh_CN.UTF-8")
    for text in ("100 条记录（格式 jsonl，模式 input-output）", "问题，字符", "也在 train.json 中"):
        assert text in chinese, chinese
    texts = split(write("t.jsonl", '{"text": "a"}\n' * 10), "-o", new("texts"))
    assert "texts, characters" in texts and "answers" not in texts, texts
    done = run(data, "-o", new("seed"), "--seed", "x", language="zh_CN.UTF-8")
    assert "不是至多" in done.stderr and done.returncode == 2
    plain = run("--help").stdout
    zh = run("--help", language="zh_CN.UTF-8").stdout
    assert "--group-by" in plain and "DATA" in plain and "训练数据" in zh and "default" not in zh, zh


# -------------------------------------------------------------------------------------- refusals


def usage():
    data = write("data.jsonl", "\n".join(dump(make_records(10))))
    refuses(2, "DATA is missing")
    refuses(2, "DATA is missing", "")
    refuses(2, "-o is missing", data)
    refuses(2, "one argument too many", data, data, "-o", "x")
    for ratio in ("8:1", "8:1:1:1", "0:1:1", "-8:1:1", "8:1:x", "", "8::1", "1e3:1:1", "nan:1:1", "8:1:1 "):
        refuses(2, "is not three numbers such as 8:1:1", data, "-o", "x", "--ratio", ratio)
    for seed in ("", "x", "1.5", "0x10", "1" * 4301):
        refuses(2, "is not a whole number", data, "-o", new("x"), "--seed", seed)
    refuses(2, "--group-until", data, "-o", "x", "--group-until", "y")
    refuses(2, "--group-until", data, "-o", "x", "--group-by", "input", "--group-until", "")
    refuses(2, "--format: \"xml\" is not allowed", data, "-o", "x", "--format", "xml")
    refuses(2, "--schema: \"xml\" is not allowed", data, "-o", "x", "--schema", "xml")
    refuses(3, "tokenizer", data, "-o", new("x"), "--tokenizer", folder)
    assert not os.path.exists("x") and not os.path.exists(os.path.join(folder, "x"))


def bad_data():
    good = dump(make_records(20))
    bad = good[:7] + ['{"input": "a"}'] + good[7:] + ["{"]
    data = write("bad.jsonl", "\n".join(bad))
    refuses(3, "bad.jsonl: line 8: \"output\" is missing", data, "-o", new("bad"))
    refuses(3, "No such file", os.path.join(folder, "nothing"), "-o", new("bad"))
    refuses(3, "holds no records", write("empty.jsonl", ""), "-o", new("bad"))
    refuses(3, "not a regular file", folder, "-o", new("bad"))
    assert not os.path.exists(os.path.join(folder, "bad"))
    out = new("skipped")
    done = run(data, "-o", out, "--skip-bad", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["skipped"] == 2
    assert "2 broken records are left out; the first: " in done.stderr and "line 8" in done.stderr
    assert all_lines(out) == python_split(good)


def existing_files():
    data = write("data.jsonl", "\n".join(dump(make_records(30))))
    out = new("existing")
    split(data, "-o", out)
    before = all_lines(out)
    split(data, "-o", out, "--seed", "1")  # its own
    assert all_lines(out) != before
    before = all_lines(out)
    with open(os.path.join(out, "val.json"), "a", encoding="utf-8") as f:
        f.write("mine\n")
    refuses(1, "val.json: exists already", data, "-o", out)
    assert all_lines(out)[0] == before[0]
    split(data, "-o", out, "--force")
    split(data, "-o", out)
    os.remove(os.path.join(out, "split.json"))
    refuses(1, "train.json: exists already", data, "-o", out)
    with open(os.path.join(out, "split.json"), "w", encoding="utf-8") as f:
        f.write("{}")
    refuses(1, "split.json: exists already", data, "-o", out)
    split(data, "-o", out, "--force")
    source = os.path.join(out, "train.json")
    kept = lines(out, "train")
    for force in ([], ["--force"]):
        refuses(1, "is the data itself", source, "-o", out, *force)
    os.symlink(source, os.path.join(folder, "link.json"))
    refuses(1, "is the data itself", os.path.join(folder, "link.json"), "-o", out, "--force")
    assert lines(out, "train") == kept
    os.remove(os.path.join(out, "val.json"))
    os.mkdir(os.path.join(out, "val.json"))
    refuses(1, "val.json", data, "-o", out, "--force")
    refuses(1, "data.jsonl", data, "-o", data)
    refuses(1, "", data, "-o", os.path.join(folder, "no", "such", "folder"))


def nothing_half_written():
    """A full disk, and a run that is killed or interrupted at any moment."""
    data = write("large.jsonl", "\n".join(dump(make_records(30000))))
    out = new("half")

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300000, 300000))

    done = run(data, "-o", out, preexec_fn=limit)
    assert done.returncode == 1 and "cannot write" in done.stderr, done.stderr
    assert os.listdir(out) == [], os.listdir(out)
    for name, number in (("killed", signal.SIGKILL), ("interrupted", signal.SIGINT)):
        for i in range(12):
            process = subprocess.Popen([PROGRAM, "split", data, "-o", out], env=ENVIRONMENT,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.03 * (i + 1))
            process.send_signal(number)
            code = process.wait()
            whole = [x for x in os.listdir(out) if ".tmp-" not in x]
            if number == signal.SIGINT:
                assert code in (0, 130, -signal.SIGINT) and len(whole) == len(os.listdir(out)), (code, os.listdir(out))
            for x in os.listdir(out):
                path = os.path.join(out, x)
                if ".tmp-" not in x and x != "split.json":
                    with open(path, encoding="utf-8", newline="\n") as f:
                        text = f.read()
                    assert text.count("\n") in (24000, 3000), (name, x)
                os.remove(path)


check("the parts are Python's for ten sizes", same_as_python)
check("and for seeds of any size and sign", same_for_any_seed)
check("and for any ratio", same_for_any_ratio)
check("and for few records, with a warning about empty parts", small_sets)
check("CSV, TSV, arrays, q/a and plain lines become JSON lines", formats_become_json_lines)
if os.path.isdir(os.environ.get("INKSTONE_SHARED", "") + "/data/qa-zh/article-format"):
    check("22,000 real questions", real_data)
else:
    count += 1
    print(f"ok {count} - 22,000 real questions # SKIP no qa-zh in INKSTONE_SHARED")
check("--group-by tears no group and meets the ratio", groups_are_not_torn)
check("lengths, duplicates, overlap and hashes are right", figures_are_right)
check("lengths in tokens are those of tokenize", tokens_are_those_of_tokenize)
check("the report, in English and Chinese", a_person_can_read_it)
check("wrong usage", usage)
check("broken data, and --skip-bad", bad_data)
check("existing files are replaced only if they are its own, or with --force", existing_files)
check("nothing is half-written", nothing_half_written)
print(f"1..{count}")
shutil.rmtree(folder)
sys.exit(failed)
