"""Random texts of grammars, judged by Python's json and jsonschema.

    schema_oracle.py GRAMMAR_WALK TOKENIZER_FOLDER N_VOCAB N_GENERATED TEXTS

Reads nothing, prints TAP. Schemas are hand-written ones (SCHEMAS) and N_GENERATED random ones; the
program tests/grammar_walk writes TEXTS random texts of each. Every text that ended, and every text
that had enough tokens to end, must be JSON and valid. Exit status 77: no jsonschema."""

import json
import random
import subprocess
import sys

try:
    import jsonschema
except ImportError:
    print("1..0 # SKIP no Python module jsonschema")
    sys.exit(77)

SCHEMAS = [
    True,
    {},
    {"type": "object"},
    {"type": "array"},
    {"type": ["string", "null", "boolean"]},
    {"type": "string", "minLength": 3, "maxLength": 9},
    {"type": "string", "minLength": 40},
    {"type": "string", "pattern": "^[A-Z][a-z]+( [A-Z][a-z]+)*$"},
    {"type": "string", "pattern": "^(foo|bar)?[0-9]{2,5}$", "maxLength": 6},
    {"type": "string", "pattern": "x.y"},
    {"type": "string", "pattern": "^[^a-z]{3}$"},
    {"type": "string", "pattern": "^\\d{3}-\\d{4}$"},
    {"type": "string", "pattern": "^[\u4e00-\u9fa5]{2,4}$"},
    {"type": "string", "format": "date"},
    {"type": "string", "format": "time"},
    {"type": "string", "format": "date-time"},
    {"type": "string", "format": "uuid"},
    {"type": "string", "format": "email", "maxLength": 30},
    {"type": "string", "format": "ipv4"},
    {"type": "string", "format": "no-such-format"},
    {"type": "integer"},
    {"type": "number"},
    {"type": "integer", "minimum": 0},
    {"type": "integer", "minimum": -17, "maximum": 3000},
    {"type": "integer", "exclusiveMinimum": -1, "exclusiveMaximum": 2},
    {"type": "integer", "minimum": 2.5, "maximum": 3.5},
    {"type": "integer", "minimum": -(2 ** 63), "maximum": 2 ** 63 - 1},
    {"type": "integer", "maximum": -1000},
    {"type": "number", "minimum": 0, "maximum": 1},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    {"type": "number", "minimum": -273.15},
    {"type": "number", "maximum": 0.001, "exclusiveMinimum": -0.02},
    {"type": "number", "exclusiveMinimum": 99.995, "maximum": 1000},
    {"enum": ["red", "green", "re", 1, 12, 1.5, None, True, {"a": [1, "x"]}, [], "\u4f60\n\""]},
    {"const": {"k": "v"}},
    {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 6}, "minItems": 2,
     "maxItems": 5},
    {"type": "array", "minItems": 3, "items": {"type": "array", "minItems": 2,
                                               "items": {"type": "string", "minLength": 1}}},
    {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}],
     "items": {"type": "boolean"}, "minItems": 1, "maxItems": 4},
    {"type": "array", "prefixItems": [{"const": 1}, {"const": 2}], "items": False},
    {"type": "array", "prefixItems": [{"const": 1}], "items": {"type": "null"}, "minItems": 4},
    {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
     "required": ["a", "b"], "additionalProperties": False},
    {"type": "object", "properties": {"ab": {"type": "integer"}, "abc": {"type": "null"}},
     "additionalProperties": {"type": "string"}},
    {"type": "object", "properties": {"ab": {"type": "integer"}}, "additionalProperties": True},
    {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "integer"}}},
    {"type": "object", "properties": {chr(97 + i): {"type": "boolean"} for i in range(20)}},
    {"type": "object", "properties": {chr(97 + i): {"type": "boolean"} for i in range(20)},
     "required": ["c", "k", "t"]},
    {"type": "object", "required": ["x y", "\u4f60", "q\"\\"], "properties": {"z": {"type": "null"}}},
    {"anyOf": [{"type": "integer"}, {"type": "string", "maxLength": 2}, {"type": "null"}]},
    {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
     "anyOf": [{"required": ["a"]}, {"required": ["b"]}], "additionalProperties": False},
    {"oneOf": [
        {"type": "object", "properties": {"t": {"const": "c"}, "r": {"type": "number", "minimum": 0}},
         "required": ["t", "r"], "additionalProperties": False},
        {"type": "object", "properties": {"t": {"const": "s"}, "w": {"type": "integer"}},
         "required": ["t", "w"], "additionalProperties": False}]},
    {"allOf": [{"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}},
                "required": ["a"]},
               {"properties": {"a": {"maximum": 5}, "b": {"type": "string"}}, "required": ["b"]}]},
    {"allOf": [{"$ref": "#/$defs/x"}, {"properties": {"b": {"$ref": "#/$defs/y"}},
                                       "required": ["b"]}],
     "$defs": {"x": {"type": "object", "properties": {"a": {"$ref": "#/$defs/y"}},
                     "required": ["a"]}, "y": {"type": "integer", "minimum": 0}}},
    {"$ref": "#/$defs/node", "$defs": {"node": {
        "type": "object", "properties": {"value": {"type": "integer"},
                                         "next": {"anyOf": [{"$ref": "#/$defs/node"},
                                                            {"type": "null"}]}},
        "required": ["value", "next"], "additionalProperties": False}}},
    {"$ref": "#/definitions/tree", "definitions": {"tree": {
        "type": "object", "properties": {"name": {"type": "string", "maxLength": 5},
                                         "children": {"type": "array",
                                                      "items": {"$ref": "#/definitions/tree",
                                                                "description": "more"}}},
        "required": ["name", "children"], "additionalProperties": False}}},
    {"type": "object", "properties": {"me": {"$ref": "#"}, "x": {"type": "integer"}},
     "required": ["x"], "additionalProperties": False},
    {"type": "object", "title": "t", "description": "d", "$schema": "s", "$id": "urn:i",
     "properties": {"steps": {"type": "array", "items": {
         "type": "object", "properties": {"explanation": {"type": "string"},
                                          "output": {"type": "string"}},
         "required": ["explanation", "output"], "additionalProperties": False}},
         "final_answer": {"type": "string"}},
     "required": ["steps", "final_answer"], "additionalProperties": False},
    {"type": "object", "properties": {"city": {"type": "string", "minLength": 1},
                                      "unit": {"enum": ["celsius", "fahrenheit"]},
                                      "days": {"type": "integer", "minimum": 1, "maximum": 14}},
     "required": ["city"]},
]


def string_schema(r):
    s = {"type": "string"}
    kind = r.randrange(8)
    if kind < 3:
        low = r.randrange(6)
        s["minLength"] = low
        if r.random() < 0.7:
            s["maxLength"] = low + r.randrange(8)
    elif kind == 3:
        atoms = ["a", "[a-f]", "[^x]", "\\d", "(ab|c)", "[\u0080-\u07ff]", "\\w", "(?:q|[A-Z]{2})"]
        body = "".join(r.choice(atoms) + r.choice(["", "", "*", "+", "?", "{2}", "{1,3}"])
                       for _ in range(r.randrange(1, 5)))
        s["pattern"] = r.choice(["^", ""]) + body + r.choice(["$", ""])
    elif kind == 4:
        s["format"] = r.choice(["date", "time", "date-time", "uuid", "email", "ipv4"])
    return s


def number_schema(r):
    integer = r.random() < 0.5
    s = {"type": "integer" if integer else "number"}
    scale = r.choice([1, 10, 1000, 10 ** 6])

    def value():
        v = (r.random() - 0.5) * scale
        return round(v) if integer else round(v, r.randrange(5))
    kind = r.randrange(5)
    low = value()
    if kind in (0, 2):
        s[r.choice(["minimum", "exclusiveMinimum"])] = low
    if kind == 1:
        s[r.choice(["maximum", "exclusiveMaximum"])] = low
    if kind == 2:
        s[r.choice(["maximum", "exclusiveMaximum"])] = low + r.choice([2, 5, 100, 12345])
    return s


def object_schema(r, depth):
    names = r.sample(["a", "ab", "abc", "b", "\u540d", "x y", "q\"", "type", "\\", "n\n", "\u00e9t"],
                     r.randrange(0, 6))
    s = {"type": "object", "properties": {n: schema(r, depth - 1) for n in names}}
    required = [n for n in names if r.random() < 0.5]
    if required:
        s["required"] = required
    kind = r.randrange(4)
    if kind == 0:
        s["additionalProperties"] = False
    elif kind == 1:
        s["additionalProperties"] = schema(r, min(depth - 1, 0))
    elif kind == 2 and r.random() < 0.3:
        s["additionalProperties"] = True
    return s


def array_schema(r, depth):
    s = {"type": "array"}
    if r.random() < 0.3:
        s["prefixItems"] = [schema(r, depth - 1) for _ in range(r.randrange(1, 4))]
    if r.random() < 0.8:
        s["items"] = schema(r, depth - 1)
    if r.random() < 0.5:
        s["minItems"] = r.randrange(4)
        if r.random() < 0.6:
            s["maxItems"] = s["minItems"] + r.randrange(4)
    elif r.random() < 0.3:
        s["maxItems"] = r.randrange(4)
    return s


def schema(r, depth):
    kind = r.randrange(12)
    if depth > 0 and kind < 4:
        return object_schema(r, depth)
    if depth > 0 and kind < 6:
        return array_schema(r, depth)
    if depth > 0 and kind == 6:
        return {"anyOf": [schema(r, depth - 1) for _ in range(r.randrange(1, 4))]}
    if depth > 0 and kind == 7:
        a, b = object_schema(r, depth - 1), object_schema(r, depth - 1)
        for x in (a, b):
            if r.random() < 0.7:
                x.pop("additionalProperties", None)
        return {"allOf": [a, b]}
    if kind == 8:
        return {"enum": r.sample(["x", "xy", 1, 2.5, None, False, "\u4f60", [1], {"z": "y"}],
                                 r.randrange(1, 5))}
    if kind == 9:
        return number_schema(r)
    if kind == 10:
        return r.choice([{"type": "boolean"}, {"type": ["null", "integer"]}, {"const": "c"}])
    return string_schema(r)


def generated(r):
    s = schema(r, r.randrange(1, 4))
    if r.random() < 0.15 and s.get("type") == "object" and "additionalProperties" not in s:
        s["properties"]["again"] = {"$ref": "#"}
    return s


def main():
    walk, folder, n_vocab, n_generated, texts = sys.argv[1:6]
    r = random.Random(1)
    schemas = SCHEMAS + [generated(r) for _ in range(int(n_generated))]
    lines = "".join(json.dumps(s) + "\n" for s in schemas)
    # universal_newlines would take U+0085 and the like for ends of lines
    output = subprocess.run([walk, folder, n_vocab, texts], input=lines.encode(), check=True,
                            stdout=subprocess.PIPE).stdout.split(b"\n")
    at = 0
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    refused, judged, failed = 0, 0, []
    for s in schemas:
        validator = jsonschema.Draft202012Validator(s, format_checker=checker)
        while output[at]:
            fields = output[at].decode(errors="surrogateescape").split("\t", 5)
            at += 1
            if fields[0] == "error":
                refused += 1
                print("# refused: %s: %s" % (json.dumps(s)[:300], fields[1]))
                continue
            end, must, most, least, complete, text = fields
            if end == "stuck" or (must == "must" and complete == "open"):
                failed.append("%s: %s" % (json.dumps(s), fields))
                continue
            if complete == "open":
                continue
            try:
                validator.validate(json.loads(text.encode(errors="surrogateescape").decode()))
                judged += 1
            except Exception as e:  # whatever it is, it is told
                failed.append("%s: %s: %s" % (json.dumps(s), text, str(e).split("\n")[0]))
        at += 1
    for f in failed[:20]:
        print("# " + f)
    print("1..2")
    print("%sok 1 - %d texts of %d schemas are JSON, valid, and complete where they could be" %
          ("not " if failed else "", judged, len(schemas) - refused))
    print("%sok 2 - %d of %d schemas refused" %
          ("not " if refused > len(schemas) / 5 else "", refused, len(schemas)))
    sys.exit(1 if failed else 0)


main()
