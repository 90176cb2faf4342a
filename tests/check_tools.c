/* Tools: what requests may say of them, what the model is told, and calls read out of an answer
 * that comes in pieces. */
#include "support.h"

#include "../src/serve/tools.h"

/* --------------------------------------------------------------------------- calls in an answer */

struct heard {
    struct ink_string text, calls; /* "index name arguments\n" */
    int n;
};

static void hear(void *context, int index, const char *name, const char *arguments)
{
    struct heard *h = context;
    ink_string_printf(&h->calls, "%d %s %s\n", index, name, arguments);
    assert_int_equal(index, h->n++);
}

static uint32_t random_state = 1;

static size_t random_below(size_t n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % n;
}

/* In pieces of `most` bytes, or of random sizes up to 40 if it is 0. */
static void read_answer(struct heard *h, const char *answer, size_t most)
{
    struct ink_tool_reader r = {0};
    size_t n = strlen(answer), at = 0;
    *h = (struct heard){0};
    while (at < n) {
        size_t piece = most > 0 ? most : 1 + random_below(40);
        piece = piece < n - at ? piece : n - at;
        /* exactly these bytes, so that AddressSanitizer sees any read beyond them */
        char *bytes = malloc(piece);
        memcpy(bytes, answer + at, piece);
        ink_tool_reader_push(&r, &h->text, bytes, piece, hear, h);
        free(bytes);
        at += piece;
    }
    ink_tool_reader_flush(&r, &h->text);
    assert_false(r.in_call);
    assert_int_equal(r.held.length, 0);
    ink_tool_reader_flush(&r, &h->text); /* there is nothing more */
    ink_tool_reader_close(&r);
    ink_string_puts(&h->text, "");
    ink_string_puts(&h->calls, "");
}

static void forget(struct heard *h)
{
    ink_string_free(&h->text);
    ink_string_free(&h->calls);
}

static void assert_heard(const char *answer, const char *text, const char *calls)
{
    struct heard h;
    for (size_t i = 0; i < 60; i++) {
        read_answer(&h, answer, i < 30 ? i + 1 : 0);
        assert_string_equal(h.text.data, text);
        assert_string_equal(h.calls.data, calls);
        forget(&h);
    }
}

#define CALL(name, arguments) \
    INK_TOOL_CALL_BEGIN "{\"name\": \"" name "\", \"arguments\": " arguments "}" INK_TOOL_CALL_END

static void calls_and_text(void **state)
{
    (void)state;
    assert_heard("", "", "");
    assert_heard("Hello", "Hello", "");
    assert_heard("你好 <b>x</b> < <t <tool", "你好 <b>x</b> < <t <tool", "");
    assert_heard(CALL("f", "{}"), "", "0 f {}\n");
    /* the mark inside a string of the arguments ends nothing */
    assert_heard(CALL("f", "{\"s\": \"a" INK_TOOL_CALL_END "\\\"" INK_TOOL_CALL_END "b\"}") "!",
                 "!", "0 f {\"s\":\"a" INK_TOOL_CALL_END "\\\"" INK_TOOL_CALL_END "b\"}\n");
    assert_heard("Let me see." CALL("weather", "{\"city\": \"北京\", \"n\": [1, 2]}") "!",
                 "Let me see.!", "0 weather {\"city\":\"北京\",\"n\":[1,2]}\n");
    assert_heard(CALL("a", "{\"x\": 1}") CALL("b", "{}") "\n" CALL("a", "{\"y\": {\"z\": null}}"),
                 "\n", "0 a {\"x\":1}\n1 b {}\n2 a {\"y\":{\"z\":null}}\n");
    assert_heard(INK_TOOL_CALL_BEGIN " \n{\"arguments\": {}, \"name\": \"f\"}\n" INK_TOOL_CALL_END,
                 "", "0 f {}\n");
    assert_heard(INK_TOOL_CALL_END "a" INK_TOOL_CALL_END, INK_TOOL_CALL_END "a" INK_TOOL_CALL_END,
                 "");
    assert_heard("<<tool_call" CALL("f", "{}") ">", "<<tool_call>", "0 f {}\n");
    assert_heard("<tool_<tool_call<tool_call>{}", "<tool_<tool_call<tool_call>{}", "");
}

/* What is no call stays as it was written. */
static void broken_calls(void **state)
{
    (void)state;
    static const char *const insides[] = {"",
                                          "{",
                                          "null",
                                          "[]",
                                          "{}",
                                          "{\"name\": \"f\"}",
                                          "{\"name\": 1, \"arguments\": {}}",
                                          "{\"name\": \"f\", \"arguments\": \"{}\"}",
                                          "{\"name\": \"f\", \"arguments\": {}} {}",
                                          "{\"name\": \"f\", \"arguments\": {}, }",
                                          "{\"arguments\": {}}",
                                          "\xff",
                                          "{\"name\": \"\\u0000\", \"arguments\": {}}",
                                          "{\"name\": null, \"arguments\": {}}",
                                          "<tool_call>",
                                          "{\"name\": \"f\", \"name\": \"g\", \"arguments\": {}}"};
    for (size_t i = 0; i < INK_COUNT(insides); i++) {
        char answer[300], wanted[300];
        snprintf(answer, sizeof answer, "a%s%s%sb%sc", INK_TOOL_CALL_BEGIN, insides[i],
                 INK_TOOL_CALL_END, CALL("g", "{}"));
        snprintf(wanted, sizeof wanted, "a%s%s%sbc", INK_TOOL_CALL_BEGIN, insides[i],
                 INK_TOOL_CALL_END);
        assert_heard(answer, wanted, "0 g {}\n");
    }
    /* cut off anywhere, it is text */
    const char *whole = "ab" CALL("f", "{\"x\": \"</tool\"}");
    char cut[200];
    for (size_t n = 0; n < strlen(whole); n++) {
        snprintf(cut, sizeof cut, "%.*s", (int)n, whole);
        assert_heard(cut, cut, "");
    }
    assert_heard(whole, "ab", "0 f {\"x\":\"</tool\"}\n");
    /* deeper than any limit */
    struct ink_string deep = {0};
    ink_string_puts(&deep, INK_TOOL_CALL_BEGIN "{\"name\":\"f\",\"arguments\":{\"x\":");
    for (int i = 0; i < 5000; i++) {
        ink_string_puts(&deep, "[");
    }
    for (int i = 0; i < 5000; i++) {
        ink_string_puts(&deep, "]");
    }
    ink_string_puts(&deep, "}}" INK_TOOL_CALL_END);
    assert_heard(deep.data, deep.data, "");
    ink_string_free(&deep);
}

/* Pieces of marks and calls in any order: however it is cut, the same is heard, and nothing is
 * lost. */
static void random_answers(void **state)
{
    (void)state;
    static const char *const parts[] = {"<",
                                        "tool_call>",
                                        "</",
                                        "</tool_call>",
                                        "<tool_call>",
                                        "{\"name\": \"f\", ",
                                        "\"arguments\": {}}",
                                        "{",
                                        "}",
                                        "text",
                                        "你",
                                        CALL("g", "{\"a\": 1}")};
    for (int i = 0; i < (is_emulated() ? 100 : 3000); i++) {
        struct ink_string answer = {0};
        struct heard whole, cut;
        size_t n = 1 + random_below(14);
        for (size_t k = 0; k < n; k++) {
            ink_string_puts(&answer, parts[random_below(INK_COUNT(parts))]);
        }
        read_answer(&whole, answer.data, answer.length);
        read_answer(&cut, answer.data, i % 2);
        assert_string_equal(cut.text.data, whole.text.data);
        assert_string_equal(cut.calls.data, whole.calls.data);
        if (whole.n == 0) {
            assert_string_equal(whole.text.data, answer.data);
        }
        forget(&whole);
        forget(&cut);
        ink_string_free(&answer);
    }
}

static void no_memory(void **state)
{
    (void)state;
    const char *answer = "Some text before it, and then " CALL("f", "{\"x\": 1}") " and more";
    for (long n = 1; n < 12; n++) {
        struct heard h = {0};
        struct ink_tool_reader r = {0};
        ink_fail_allocation(n, true);
        for (size_t i = 0; i < strlen(answer); i++) {
            ink_tool_reader_push(&r, &h.text, answer + i, 1, hear, &h);
        }
        ink_tool_reader_flush(&r, &h.text);
        ink_fail_allocation(0, false);
        bool failed = h.text.failed || h.calls.failed;
        assert_true(failed || h.n == 1);
        assert_true(n > 3 || failed);
        ink_tool_reader_close(&r);
        forget(&h);
    }
}

/* ------------------------------------------------------------------------------------ requests */

static const struct ink_json_limits limits = {1 << 24, 1 << 18, 64};

/* "" if it is taken, else the message. */
static char fault_message[1100];
static const char *read_tools(struct ink_tool_set *out, cJSON **tree, const char *body)
{
    struct ink_error error = {0};
    struct ink_fault fault = {0};
    assert_ok(ink_json_parse(tree, body, strlen(body), &limits, "body", &error));
    const struct ink_params params = {.tools = ink_json_get(*tree, "tools"),
                                      .tool_choice = ink_json_get(*tree, "tool_choice")};
    bool ok = ink_tools_read(out, &params, &fault);
    snprintf(fault_message, sizeof fault_message, "%s", fault.message);
    assert_int_equal(ok, fault_message[0] == '\0');
    assert_true(ok || fault.status == 400);
    return fault_message;
}

#define TOOL(name) "{\"type\": \"function\", \"function\": {\"name\": \"" name "\"}}"

static void what_requests_say(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int n, choice; /* choice -1: refused */
    } bodies[] = {
        {"{}", 0, INK_TOOLS_NONE},
        {"{\"tools\": null, \"tool_choice\": null}", 0, INK_TOOLS_NONE},
        {"{\"tools\": []}", 0, INK_TOOLS_NONE},
        {"{\"tools\": [], \"tool_choice\": \"auto\"}", 0, INK_TOOLS_NONE},
        {"{\"tool_choice\": \"none\"}", 0, INK_TOOLS_NONE},
        {"{\"tool_choice\": \"required\"}", 0, -1},
        {"{\"tools\": [" TOOL("a") "]}", 1, INK_TOOLS_AUTO},
        {"{\"tools\": [" TOOL("a") "], \"tool_choice\": \"none\"}", 1, INK_TOOLS_NONE},
        {"{\"tools\": [" TOOL("a") "], \"tool_choice\": \"required\"}", 1, INK_TOOLS_REQUIRED},
        {"{\"tools\": [" TOOL("a") "," TOOL("b") "], \"tool_choice\": " TOOL("b") "}", 2,
         INK_TOOLS_ONE},
        {"{\"tools\": [" TOOL("a") "], \"tool_choice\": " TOOL("b") "}", 0, -1},
        {"{\"tool_choice\": " TOOL("b") "}", 0, -1},
        {"{\"tools\": [" TOOL("a") "], \"tool_choice\": \"a\"}", 0, -1},
        {"{\"tools\": [" TOOL("a") "], \"tool_choice\": 1}", 0, -1},
        {"{\"tools\": [" TOOL("a") "], \"tool_choice\": {}}", 0, -1},
        {"{\"tools\": [" TOOL("a") "], \"tool_choice\": {\"type\": \"function\"}}", 0, -1},
        {"{\"tools\": [" TOOL("a") "], \"tool_choice\": {\"type\": \"x\", \"function\": {\"name\": "
                                   "\"a\"}}}",
         0, -1},
        {"{\"tools\": [" TOOL("a") "," TOOL("a") "]}", 0, -1},
        {"{\"tools\": {}}", 0, -1},
        {"{\"tools\": \"a\"}", 0, -1},
        {"{\"tools\": [null]}", 0, -1},
        {"{\"tools\": [1]}", 0, -1},
        {"{\"tools\": [{}]}", 0, -1},
        {"{\"tools\": [{\"type\": \"function\"}]}", 0, -1},
        {"{\"tools\": [{\"type\": \"web_search\"}]}", 0, -1},
        {"{\"tools\": [" TOOL("") "]}", 0, -1},
        {"{\"tools\": [" TOOL("a b") "]}", 0, -1},
        {"{\"tools\": [" TOOL("名") "]}", 0, -1},
        {"{\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"a\", \"parameters\": "
         "[]}}]}",
         0, -1},
        {"{\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"a\", \"description\": "
         "1}}]}",
         0, -1},
        {"{\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"a\", \"description\": "
         "null, \"parameters\": null, \"strict\": true}}]}",
         1, INK_TOOLS_AUTO},
    };
    for (size_t i = 0; i < INK_COUNT(bodies); i++) {
        struct ink_tool_set tools;
        cJSON *tree;
        const char *message = read_tools(&tools, &tree, bodies[i].body);
        if ((bodies[i].choice < 0) != (*message != '\0')) {
            fail_msg("%s: \"%s\"", bodies[i].body, message);
        }
        if (bodies[i].choice >= 0) {
            assert_int_equal(tools.n, bodies[i].n);
            assert_int_equal(tools.choice, bodies[i].choice);
            assert_true(tools.choice != INK_TOOLS_ONE || tools.chosen == 1);
        }
        cJSON_Delete(tree);
    }
}

static void most_tools(void **state)
{
    (void)state;
    for (int n = INK_TOOLS_MOST; n <= INK_TOOLS_MOST + 1; n++) {
        struct ink_string body = {0};
        struct ink_tool_set tools;
        cJSON *tree;
        ink_string_puts(&body, "{\"tools\": [");
        for (int i = 0; i < n; i++) {
            ink_string_printf(&body,
                              "%s{\"type\": \"function\", \"function\": {\"name\": \"f%d\"}}",
                              i > 0 ? "," : "", i);
        }
        ink_string_puts(&body, "]}");
        const char *message = read_tools(&tools, &tree, body.data);
        assert_int_equal(*message == '\0', n == INK_TOOLS_MOST);
        cJSON_Delete(tree);
        ink_string_free(&body);
    }
    struct ink_tool_set tools;
    cJSON *tree;
    char name[70], body[200];
    for (int n = 64; n <= 65; n++) {
        memset(name, 'a', sizeof name);
        name[n] = '\0';
        snprintf(body, sizeof body,
                 "{\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"%s\"}}]}", name);
        assert_int_equal(*read_tools(&tools, &tree, body) == '\0', n == 64);
        cJSON_Delete(tree);
    }
}

/* A call of an earlier turn is written as the model is to write it: it is read again. */
static void what_the_model_is_told(void **state)
{
    (void)state;
    struct ink_tool_set tools;
    cJSON *tree;
    struct ink_string out = {0};
    struct heard h;
    read_tools(
        &tools, &tree,
        "{\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"weather\", "
        "\"description\": \"says \\\"rain\\\"\", \"parameters\": {\"type\": \"object\"}}}," TOOL(
            "other") "]}");
    ink_tools_describe(&tools, &out);
    assert_non_null(strstr(out.data, "{\"name\": \"weather\", \"description\": \"says "
                                     "\\\"rain\\\"\", \"parameters\": {\"type\":\"object\"}}\n"));
    assert_non_null(strstr(out.data, "{\"name\": \"other\"}\n"));
    ink_string_free(&out);
    ink_tools_append_call(&out, "weather", "{\"city\":\"<北京>\"}");
    assert_heard(out.data, "", "0 weather {\"city\":\"<北京>\"}\n");
    read_answer(&h, out.data, 1);
    forget(&h);
    ink_string_free(&out);
    cJSON_Delete(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_and_text),         cmocka_unit_test(broken_calls),
        cmocka_unit_test(random_answers),         cmocka_unit_test(no_memory),
        cmocka_unit_test(what_requests_say),      cmocka_unit_test(most_tools),
        cmocka_unit_test(what_the_model_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
