/* Grammars: which bytes each keyword of JSON Schema allows, what is refused, masks. */
#include "grammar_support.h"

static struct ink_model *model;
static struct ink_grammar_run *run;

static int open_all(void **state)
{
    (void)state;
    struct ink_error error = {0};
    model = small_model();
    return ink_run_open(&run, model, &error);
}

static int close_all(void **state)
{
    (void)state;
    ink_run_close(run);
    close_model_of_tokenizer(model);
    return 0;
}

/* Texts are separated by spaces or, where texts have spaces, by line feeds; up to a NULL those that
 * match. */
struct example {
    const char *schema;
    const char *good[12], *bad[16];
};

static void check_examples(const struct example *e, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct ink_grammar *g = grammar_of(model, e[i].schema);
        for (const char *const *t = e[i].good; *t; t++) {
            if (!matches(run, g, *t, strlen(*t))) {
                fail_msg("%s: %s does not match", e[i].schema, *t);
            }
        }
        for (const char *const *t = e[i].bad; *t; t++) {
            if (matches(run, g, *t, strlen(*t))) {
                fail_msg("%s: %s matches", e[i].schema, *t);
            }
        }
        ink_grammar_close(g);
    }
}

static void keywords(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"true",
         {"1", "\"a\"", "{}", "[]", "null", "[1, 2,{\"a\": [true]}]"},
         {"", " 1", "1 ", "nul"}},
        {"{}",
         {"1", "{\"a\":1,\"a\":2}"},
         {"{a:1}", "[1,]", "{,}", "{\"a\":1,}", "[1  ,2]", "[ 1]"}},
        {"{\"type\":\"string\"}",
         {"\"\"", "\"a b\"", "\"\\n\\\"\\\\\\/\"", "\"\\u0041\\ud83d\\ude00\"",
          "\"\xE4\xBD\xA0\xF0\x9F\x98\x80\"", "\"\x7F\""},
         {"\"", "\"\n\"", "\"\\u0000\"", "\"\\ud83d\"", "\"\\ude00\"", "\"\\ud83dx\"", "\"\\x\"",
          "\"\xC0\xAF\"", "\"\xED\xA0\x80\"", "\"\xF4\x90\x80\x80\"", "\"\xE4\xBD\"", "\"\x80\"",
          "1"}},
        {"{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}",
         {"\"ab\"", "\"abc\"", "\"\xE4\xBD\xA0\xE4\xBD\xA0\"", "\"\\n\\ud83d\\ude00a\""},
         {"\"\"", "\"a\"", "\"abcd\"", "\"\xE4\xBD\xA0\"", "\"\\ud83d\\ude00\""}},
        {"{\"type\":\"boolean\"}", {"true", "false"}, {"null", "True", "truee"}},
        {"{\"type\":[\"integer\",\"null\"]}",
         {"0", "-12", "null", "123456789012345678"},
         {"1.5", "-0", "01", "1e2", "1234567890123456789", "\"1\""}},
        {"{\"type\":\"number\"}",
         {"0", "-0.5", "1e10", "12.25E-3", "0.0"},
         {".5", "1.", "01", "1e", "+1", "1e100"}},
        {"{\"type\":\"integer\",\"minimum\":-3,\"maximum\":120}",
         {"-3", "-1", "0", "9", "99", "100", "119", "120"},
         {"-4", "-10", "121", "200", "1000", "-0", "00", "1.0"}},
        {"{\"type\":\"integer\",\"exclusiveMinimum\":9,\"exclusiveMaximum\":1000}",
         {"10", "999", "100"},
         {"9", "1000", "1", "0", "-10"}},
        {"{\"type\":\"integer\",\"minimum\":-120,\"maximum\":-13}",
         {"-13", "-99", "-100", "-120"},
         {"-12", "-121", "13", "0", "-1", "-200"}},
        {"{\"type\":\"integer\",\"minimum\":10}",
         {"10", "99", "100", "123456789012345678"},
         {"9", "1", "-10", "0"}},
        {"{\"type\":\"integer\",\"maximum\":9223372036854775807,\"minimum\":-9223372036854775808}",
         {"0", "-5", "999999999999999999"},
         {"1.5"}},
        {"{\"type\":\"number\",\"minimum\":0,\"maximum\":1}",
         {"0", "1", "0.5", "1.0", "1.000", "0.999999"},
         {"1.1", "2", "-0.1", "1.01", "00.1", "-0", "1e0"}},
        {"{\"type\":\"number\",\"exclusiveMinimum\":0,\"maximum\":12.5}",
         {"0.1", "12.5", "12.50", "12.49", "9.99", "0.001"},
         {"0", "0.0", "12.51", "13", "12.6", "-1"}},
        {"{\"type\":\"number\",\"minimum\":-2.5,\"exclusiveMaximum\":-0.25}",
         {"-2.5", "-1", "-0.26", "-0.3", "-2.49"},
         {"-2.51", "-0.25", "-0.2", "0", "-3", "1", "-0"}},
        {"{\"enum\":[\"a\",\"ab\",1,12,null,{\"x\":[1]},\"\\n\"]}",
         {"\"a\"", "\"ab\"", "1", "12", "null", "{\"x\":[1]}", "\"\\n\""},
         {"\"b\"", "2", "122", "\"abc\"", "{}"}},
        {"{\"enum\":[1,2,\"a\",3.5],\"type\":\"integer\",\"minimum\":2}",
         {"2"},
         {"1", "\"a\"", "3.5"}},
        {"{\"const\":\"x y\"}", {"\"x y\""}, {"\"x\""}},
        {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":1,\"maxItems\":3}",
         {"[1]", "[1,2]", "[1, 2, 3]"},
         {"[]", "[1,2,3,4]", "[\"a\"]", "[1,,2]"}},
        {"{\"type\":\"array\",\"maxItems\":0}", {"[]"}, {"[1]"}},
        {"{\"type\":\"array\",\"items\":false}", {"[]"}, {"[1]"}},
        {"{\"type\":\"array\",\"minItems\":3,\"items\":{\"const\":0}}",
         {"[0,0,0]", "[0,0,0,0,0]"},
         {"[0,0]", "[]"}},
        {"{\"prefixItems\":[{\"const\":1},{\"const\":2}],\"items\":{\"const\":3},\"minItems\":1,"
         "\"maxItems\":4}",
         {"[1]", "[1,2]", "[1,2,3]", "[1, 2,3,3]"},
         {"[]", "[2]", "[1,3]", "[1,2,3,3,3]"}},
        {"{\"prefixItems\":[{\"const\":1}],\"items\":{\"const\":3},\"minItems\":3}",
         {"[1,3,3]", "[1,3,3,3]"},
         {"[1]", "[1,3]", "[3,3,3]"}},
        {"{\"prefixItems\":[{\"const\":1},{\"const\":2}],\"items\":false}",
         {"[]", "[1]", "[1,2]"},
         {"[1,2,3]"}},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"const\":1},\"b\":{\"const\":2},\"c\":{"
         "\"const\":3}},\"required\":[\"b\"]}",
         {"{\"b\":2}", "{\"a\":1,\"b\":2}", "{\"b\":2,\"c\":3}", "{\"a\": 1, \"b\": 2, \"c\": 3}"},
         {"{}", "{\"a\":1}", "{\"b\":2,\"a\":1}", "{\"c\":3}", "{\"b\":2,\"b\":2}",
          "{\"b\":2,\"d\":1}", "{\"b\":2,}", "{,\"b\":2}"}},
        {"{\"properties\":{\"ab\":{\"const\":1}},\"additionalProperties\":{\"const\":2}}",
         {"{}", "{\"ab\":1}", "{\"a\":2}", "{\"ab\":1,\"abc\":2}", "{\"\":2,\"x\":2}",
          "{\"\xE4\xBD\xA0\":2}", "{\"a\\n\":2}"},
         {"{\"ab\":2}", "{\"a\":1}", "{\"a\":2,\"ab\":1}", "{\"\\u0061b\":2}", "{\"a\\u0062\":2}"}},
        {"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"null\"}}",
         {"{}", "{\"a\":null}"},
         {"{\"a\":1}"}},
        {"{\"type\":\"object\",\"additionalProperties\":false}", {"{}"}, {"{\"a\":1}"}},
        {"{\"required\":[\"z\"],\"properties\":{\"a\":{\"const\":1}}}",
         {"{\"z\":5}", "{\"a\":1,\"z\":\"q\"}"},
         {"{}", "{\"a\":1}"}},
        {"{\"properties\":{\"a\":false,\"b\":true}}", {"{}", "{\"b\":[]}"}, {"{\"a\":1}"}},
        {"{\"properties\":{\"\\\"q\\u0001\":{\"const\":1}}}",
         {"{\"\\\"q\\u0001\":1}", "{}"},
         {"{\"q\":1}"}},
        {"{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"string\",\"maxLength\":1},false]}",
         {"1", "\"a\""},
         {"\"ab\"", "null"}},
        {"{\"type\":\"object\",\"properties\":{\"a\":{},\"b\":{}},\"anyOf\":[{\"required\":[\"a\"]}"
         ",{\"required\":[\"b\"]}]}",
         {"{\"a\":1}", "{\"b\":1}", "{\"a\":1,\"b\":2}"},
         {"{}", "{\"c\":1}"}},
        {"{\"allOf\":[{\"properties\":{\"a\":{\"type\":\"integer\",\"minimum\":3}},\"required\":["
         "\"a\"]},"
         "{\"properties\":{\"a\":{\"maximum\":5},\"b\":{\"type\":\"null\"}}}]}",
         {"{\"a\":3}", "{\"a\":5,\"b\":null}"},
         {"{\"a\":2}", "{\"a\":6}", "{\"b\":null}"}},
        {"{\"oneOf\":[{\"properties\":{\"k\":{\"const\":\"x\"},\"v\":{\"type\":\"integer\"}},"
         "\"required\":[\"k\",\"v\"]},"
         "{\"properties\":{\"k\":{\"const\":\"y\"},\"v\":{\"type\":\"string\"}},\"required\":["
         "\"k\",\"v\"]}]}",
         {"{\"k\":\"x\",\"v\":1}", "{\"k\":\"y\",\"v\":\"1\"}"},
         {"{\"k\":\"x\",\"v\":\"1\"}", "{\"k\":\"y\",\"v\":1}"}},
        {"{\"$defs\":{\"t\":{\"type\":\"object\",\"properties\":{\"l\":{\"$ref\":\"#/$defs/"
         "t\"},\"r\":{\"$ref\":\"#\"}},\"additionalProperties\":false}},\"$ref\":\"#/$defs/t\"}",
         {"{}", "{\"l\":{\"l\":{},\"r\":{}}}", "{\"r\":{\"l\":{}}}"},
         {"{\"r\":{},\"l\":{}}", "{\"x\":1}"}},
        {"{\"definitions\":{\"a/b~c\":{\"const\":7}},\"items\":{\"$ref\":\"#/definitions/"
         "a~1b~0c\",\"description\":\"d\"}}",
         {"[7]", "[]"},
         {"[8]"}},
        {"{\"type\":\"integer\",\"multipleOf\":1,\"title\":\"t\",\"default\":\"d\",\"examples\":[],"
         "\"x-y\":1,\"format\":\"int32\"}",
         {"4"},
         {"4.5"}},
    };
    check_examples(examples, INK_COUNT(examples));
}

static void patterns(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"{\"pattern\":\"^[a-c]+$\"}", {"\"a\"", "\"abc\""}, {"\"\"", "\"abd\"", "\"\\u0061\""}},
        {"{\"pattern\":\"b\"}", {"\"b\"", "\"xbx\"", "\"\\n\\\"b\""}, {"\"a\"", "\"\""}},
        {"{\"pattern\":\"^(a|bc)*d?$\"}", {"\"\"", "\"abcad\"", "\"d\""}, {"\"b\"", "\"dd\""}},
        {"{\"pattern\":\"^(?:x|y){2,3}$\"}", {"\"xy\"", "\"yyy\""}, {"\"x\"", "\"xxxx\""}},
        {"{\"pattern\":\"^\\\\d{3}-\\\\d{4}$\"}", {"\"123-4567\""}, {"\"123-456\"", "\"1234567\""}},
        {"{\"pattern\":\"^[^\\\"\\\\s]$\"}",
         {"\"a\"", "\"\xE4\xBD\xA0\"", "\"\xF0\x9F\x98\x80\"", "\"\\\\\""},
         {"\"\\\"\"", "\" \"", "\"\\n\"", "\"ab\""}},
        {"{\"pattern\":\"^.$\"}",
         {"\"a\"", "\"\\\"\"", "\"\xC3\xA9\""},
         {"\"\"", "\"\\n\"", "\"\xE2\x80\xA8\""}},
        {"{\"pattern\":\"^[\\u4e00-\\u9fa5]{1,2}$\"}",
         {"\"\xE4\xBD\xA0\xE5\xA5\xBD\""},
         {"\"a\"", "\"\xE3\x81\x82\"", "\"\xE9\xBE\xA6\""}},
        {"{\"pattern\":\"^(a+)+$\"}", {"\"aaaaaaaaaaaaaaaa\""}, {"\"aaaab\""}},
        {"{\"pattern\":\"^a|b$\"}", {"\"ax\"", "\"xb\""}, {"\"xa\"", "\"bx\""}},
        {"{\"pattern\":\"^a{,2}$|{$\"}", {"\"x{\"", "\"a{,2}\""}, {"\"a\""}},
        {"{\"pattern\":\"^[a-z]*$\",\"minLength\":2,\"maxLength\":3}",
         {"\"ab\"", "\"abc\""},
         {"\"a\"", "\"abcd\""}},
        {"{\"pattern\":\"[0-9]\",\"maxLength\":2}", {"\"0\"", "\"a1\""}, {"\"aa\"", "\"aa1\""}},
        {"{\"pattern\":\"$^\"}", {"\"\""}, {"\"x\""}},
        {"{\"pattern\":\"\\u0001\\\\x41\\\\u{1F600}\"}",
         {"\"\\u0001A\xF0\x9F\x98\x80\""},
         {"\"A\""}},
        {"{\"format\":\"date\"}",
         {"\"2024-02-29\"", "\"2000-02-29\"", "\"1999-12-31\""},
         {"\"2023-02-29\"", "\"1900-02-29\"", "\"2024-04-31\"", "\"2024-13-01\"", "\"24-01-01\""}},
        {"{\"format\":\"date-time\"}",
         {"\"2024-02-29T23:59:59Z\"", "\"2024-01-01T00:00:00.5+08:00\""},
         {"\"2024-01-01 00:00:00Z\"", "\"2024-01-01T24:00:00Z\"", "\"2024-01-01T00:00:00\""}},
        {"{\"format\":\"uuid\"}",
         {"\"123e4567-e89b-12d3-a456-426614174000\""},
         {"\"123e4567e89b12d3a456426614174000\""}},
        {"{\"format\":\"ipv4\"}",
         {"\"0.0.0.0\"", "\"255.199.9.10\""},
         {"\"256.1.1.1\"", "\"01.1.1.1\"", "\"1.1.1\""}},
        {"{\"format\":\"email\"}", {"\"a.b@c-d.org\""}, {"\"a@b\"", "\"@b.c\"", "\"a@@b.c\""}},
    };
    check_examples(examples, INK_COUNT(examples));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keywords),
        cmocka_unit_test(patterns),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
