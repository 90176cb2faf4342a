/* What requests say: every field with every kind of value, and the messages of a chat. */
#include "support.h"

#include "../src/serve/messages.h"
#include "../src/serve/params.h"

#include <limits.h>

static const struct ink_json_limits limits = {1 << 24, 262144, 64};
static const struct ink_sampling defaults = {
    .temperature = 0.7F, .top_k = 11, .top_p = 0.8F, .repetition_penalty = 1.25F, .seed = 3};

static struct ink_fault fault;

/* Read `body`; the tree stays until the next call, since what is read points into it. */
static bool read_body(struct ink_params *out, const char *body, enum ink_endpoint endpoint)
{
    static cJSON *tree;
    struct ink_error error = {0};
    cJSON_Delete(tree);
    tree = NULL;
    fault = (struct ink_fault){0};
    if (!body) {
        return false;
    }
    if (ink_json_parse(&tree, body, strlen(body), &limits, "body", &error) != INK_OK) {
        snprintf(fault.message, sizeof fault.message, "gate: %.900s", error.message);
        return false;
    }
    bool ok = ink_params_read(out, tree, endpoint, &defaults, &fault);
    if (!ok && (fault.status != 400 || !fault.code || fault.message[0] == '\0')) {
        fail_msg("%s: status %d, \"%s\"", body, fault.status, fault.message);
    }
    return ok;
}

static bool is_taken(const char *body, enum ink_endpoint endpoint)
{
    static struct ink_params p;
    return read_body(&p, body, endpoint);
}

/* ------------------------------------------------------------------------------- single fields */

#define CHAT INK_ENDPOINT_CHAT
#define TEXT INK_ENDPOINT_COMPLETIONS
#define BOTH (CHAT | TEXT)

/* Fields that are numbers, and what they may be. */
static const struct number {
    const char *name;
    int endpoints;
    bool is_whole;
    const char *min, *max, *below, *above;
    const char *with; /* another field that it needs */
} numbers[] = {
    {"n", BOTH, true, "1", "128", "0", "129", ""},
    {"max_tokens", BOTH, true, "1", "2147483647", "0", "2147483648", ""},
    {"max_completion_tokens", CHAT, true, "1", "2147483647", "0", "2147483648", ""},
    {"temperature", BOTH, false, "0", "2", "-0.001", "2.001", ""},
    {"top_p", BOTH, false, "0", "1", "-1e-9", "1.0000001", ""},
    {"top_k", BOTH, true, "0", "16777216", "-1", "16777217", ""},
    {"repetition_penalty", BOTH, false, "0.01", "100", "0.0099", "100.1", ""},
    {"presence_penalty", BOTH, false, "-2", "2", "-2.001", "2.001", ""},
    {"frequency_penalty", BOTH, false, "-2", "2", "-2.001", "2.001", ""},
    {"seed", BOTH, true, "-9007199254740992", "9007199254740992", "-9007199254740994",
     "9007199254740994", ""},
    {"logprobs", TEXT, true, "0", "5", "-1", "6", ""},
    {"top_logprobs", CHAT, true, "0", "20", "-1", "21", "\"logprobs\": true, "},
};

static void try_value(const struct number *f, const char *value, bool wanted)
{
    char body[200];
    snprintf(body, sizeof body, "{%s\"%s\": %s}", f->with, f->name, value);
    for (int endpoint = CHAT; endpoint <= TEXT; endpoint++) {
        bool is_known = (f->endpoints & endpoint) != 0;
        if (!is_known && (*f->with || strcmp(f->name, "logprobs") == 0)) {
            continue; /* a switch in chats */
        }
        if (is_taken(body, (enum ink_endpoint)endpoint) != (wanted && is_known)) {
            fail_msg("%s at endpoint %d: \"%s\"", body, endpoint, fault.message);
        }
        if (is_known && !wanted && strncmp(fault.message, "gate", 4) != 0) {
            assert_string_equal(fault.param, f->name);
        }
        if (!is_known && strncmp(fault.message, "gate", 4) != 0) {
            assert_string_equal(fault.code, "unknown_parameter");
        }
    }
}

static double number_of(const char *text)
{
    return strtod(text, NULL);
}

static void numbers_and_everything_else(void **state)
{
    (void)state;
    static const char *const wrong[] = {"\"1\"", "true", "false", "[]",       "{}",
                                        "\"\"",  "[1]",  "NaN",   "-Infinity"};
    static const char *const values[] = {"-1",
                                         "0",
                                         "1",
                                         "1e999",
                                         "-1e999",
                                         "9007199254740993",
                                         "9223372036854775808",
                                         "1e308",
                                         "1e-320",
                                         "-0",
                                         "0.5",
                                         "1.5",
                                         "2147483648",
                                         "1e2",
                                         "-9223372036854775809",
                                         "18446744073709551616"};
    for (size_t i = 0; i < INK_COUNT(numbers); i++) {
        const struct number *f = &numbers[i];
        for (size_t k = 0; k < INK_COUNT(wrong); k++) {
            /* logprobs of completions: false is as good as none */
            try_value(f, wrong[k],
                      strcmp(f->name, "logprobs") == 0 && strcmp(wrong[k], "false") == 0);
        }
        try_value(f, "null", true);
        try_value(f, f->min, true);
        try_value(f, f->max, true);
        try_value(f, f->below, false);
        try_value(f, f->above, false);
        for (size_t k = 0; k < INK_COUNT(values); k++) {
            double x = number_of(values[k]);
            bool is_whole =
                x == (double)(int64_t)(x < 1e18 && x > -1e18 ? x : 0) || x > 1e17 || x < -1e17;
            bool fits = x >= number_of(f->min) && x <= number_of(f->max);
            try_value(f, values[k], fits && (is_whole || !f->is_whole));
        }
    }
}

/* What is allowed here, the sampler allows too. */
static void sampler_takes_the_extremes(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct ink_model *m = open_model_at(shared_path("fixtures/odd-f16"), 1, NULL);
    for (size_t i = 0; i < INK_COUNT(numbers); i++) {
        for (int end = 0; end < 2; end++) {
            char body[100];
            struct ink_params p;
            struct ink_sampler *sampler;
            snprintf(body, sizeof body, "{%s\"%s\": %s}", numbers[i].with, numbers[i].name,
                     end ? numbers[i].max : numbers[i].min);
            assert_true(read_body(&p, body, numbers[i].endpoints & CHAT ? CHAT : TEXT));
            assert_ok(ink_sampler_open(&sampler, m, &p.sampling, &error));
            ink_sampler_close(sampler);
        }
    }
    ink_model_close(m);
}

static void values_arrive(void **state)
{
    (void)state;
    struct ink_params p;
    assert_true(read_body(&p, "{}", CHAT));
    assert_memory_equal(&p.sampling, &defaults, sizeof defaults);
    assert_int_equal(p.n_choices, 1);
    assert_int_equal(p.max_tokens, 0);
    assert_int_equal(p.n_logprobs, -1);
    assert_int_equal(p.n_stops, 0);
    assert_true(!p.model && !p.is_stream && !p.include_usage && !p.echo && !p.has_seed);
    assert_true(!p.messages && !p.prompt && !p.tools && !p.tool_choice && !p.response_format);
    assert_true(p.parallel_tool_calls);
    assert_true(read_body(&p,
                          "{\"model\": \"m\", \"stream\": true, \"n\": 3, \"max_tokens\": 4,"
                          "\"temperature\": 0.5, \"top_p\": 0.25, \"top_k\": 7, \"seed\": -1,"
                          "\"repetition_penalty\": 1.5, \"presence_penalty\": -2,"
                          "\"frequency_penalty\": 2, \"stop\": [\"a\", \"bc\"], \"logprobs\": true,"
                          "\"top_logprobs\": 20, \"stream_options\": {\"include_usage\": true},"
                          "\"parallel_tool_calls\": false, \"messages\": 1, \"tools\": 2,"
                          "\"tool_choice\": 3, \"response_format\": 4}",
                          CHAT));
    assert_string_equal(p.model, "m");
    assert_true(p.is_stream && p.include_usage && p.has_seed && !p.parallel_tool_calls);
    assert_int_equal(p.n_choices, 3);
    assert_int_equal(p.max_tokens, 4);
    assert_true(p.sampling.temperature == 0.5F && p.sampling.top_p == 0.25F);
    assert_true(p.sampling.presence_penalty == -2 && p.sampling.frequency_penalty == 2);
    assert_true(p.sampling.repetition_penalty == 1.5F && p.sampling.top_k == 7);
    assert_true(p.sampling.seed == UINT64_MAX);
    assert_int_equal(p.n_stops, 2);
    assert_string_equal(p.stops[1], "bc");
    assert_int_equal(p.n_logprobs, 20);
    assert_int_equal(p.messages->valueint, 1);
    assert_int_equal(p.tools->valueint, 2);
    assert_int_equal(p.tool_choice->valueint, 3);
    assert_int_equal(p.response_format->valueint, 4);
    assert_true(read_body(&p, "{\"max_completion_tokens\": 9}", CHAT));
    assert_int_equal(p.max_tokens, 9);
    assert_true(read_body(&p, "{\"prompt\": [1], \"echo\": true, \"logprobs\": 0}", TEXT));
    assert_true(p.echo && cJSON_IsArray(p.prompt) && p.n_logprobs == 0);
}

/* Bodies that are taken (+) or refused (-) at an endpoint: c chat, t text, b both. */
static const char *const bodies[] = {
    "+b{\"user\": 5, \"metadata\": {\"a\": [1]}, \"safety_identifier\": \"x\"}",
    "+b{\"prompt_cache_key\": null}",
    "-b{\"unknown\": null}",
    "-b{\"unknown\": 1}",
    "-b{\"Temperature\": 1}",
    "-b{\"\": 1}",
    "-b[]",
    "-b1",
    "-b\"x\"",
    "-bnull",
    "-b{\"n\": 1, \"n\": 1}",
    "+b{\"model\": \"\"}",
    "-b{\"model\": 1}",
    "-b{\"model\": [\"a\"]}",
    "+b{\"stream\": false}",
    "-b{\"stream\": 1}",
    "-b{\"stream\": \"true\"}",
    "+b{\"stream\": true, \"stream_options\": {}}",
    "+b{\"stream_options\": {\"include_usage\": false}, \"stream\": true}",
    "+b{\"stream\": true, \"stream_options\": {\"include_usage\": null}}",
    "+b{\"stream\": true, \"stream_options\": {\"include_obfuscation\": true}}",
    "+b{\"stream\": true, \"stream_options\": null}",
    "+b{\"stream_options\": null}",
    "-b{\"stream_options\": {}}",
    "-b{\"stream\": false, \"stream_options\": {}}",
    "-b{\"stream\": true, \"stream_options\": []}",
    "-b{\"stream\": true, \"stream_options\": {\"include_usage\": 1}}",
    "-b{\"stream\": true, \"stream_options\": {\"x\": 1}}",
    "+b{\"stop\": null}",
    "+b{\"stop\": []}",
    "+b{\"stop\": \"x\"}",
    "-b{\"stop\": \"\"}",
    "-b{\"stop\": [\"a\", \"\"]}",
    "-b{\"stop\": [null]}",
    "-b{\"stop\": [1]}",
    "-b{\"stop\": {\"a\": \"b\"}}",
    "-b{\"stop\": 1}",
    "-b{\"stop\": [[\"a\"]]}",
    "-t{\"messages\": []}",
    "-c{\"prompt\": \"\"}",
    "-c{\"echo\": false}",
    "-t{\"tools\": []}",
    "-t{\"response_format\": {}}",
    "-t{\"echo\": 1}",
    "-t{\"top_logprobs\": 1}",
    "-t{\"logprobs\": true}",
    "+c{\"logprobs\": true}",
    "+c{\"logprobs\": false}",
    "-c{\"logprobs\": 1}",
    "-c{\"logprobs\": \"true\"}",
    "-c{\"top_logprobs\": 1}",
    "-c{\"logprobs\": false, \"top_logprobs\": 1}",
    "+c{\"logprobs\": null, \"top_logprobs\": null}",
    "+c{\"top_logprobs\": 0, \"logprobs\": true}",
    "-c{\"top_logprobs\": 21, \"logprobs\": true}",
    "-c{\"top_logprobs\": -1, \"logprobs\": true}",
    "-c{\"top_logprobs\": 1.5, \"logprobs\": true}",
    "-c{\"max_tokens\": 1, \"max_completion_tokens\": 1}",
    "+c{\"max_tokens\": null, \"max_completion_tokens\": 1}",
    "-c{\"parallel_tool_calls\": 0}",
    /* known, not served: only what asks for nothing */
    "+c{\"store\": false}",
    "-c{\"store\": true}",
    "-c{\"store\": 0}",
    "+c{\"service_tier\": \"auto\"}",
    "+c{\"service_tier\": \"default\"}",
    "-c{\"service_tier\": \"flex\"}",
    "+b{\"logit_bias\": {}}",
    "+b{\"logit_bias\": null}",
    "-b{\"logit_bias\": {\"1\": 2}}",
    "-b{\"logit_bias\": []}",
    "+c{\"modalities\": [\"text\"]}",
    "-c{\"modalities\": [\"text\", \"audio\"]}",
    "-c{\"modalities\": []}",
    "+c{\"audio\": null}",
    "-c{\"audio\": {}}",
    "-c{\"prediction\": {}}",
    "+c{\"reasoning_effort\": \"none\"}",
    "-c{\"reasoning_effort\": \"high\"}",
    "+c{\"verbosity\": \"medium\"}",
    "-c{\"verbosity\": \"low\"}",
    "-c{\"web_search_options\": {}}",
    "+c{\"functions\": []}",
    "-c{\"functions\": [{}]}",
    "+c{\"function_call\": \"none\"}",
    "-c{\"function_call\": \"auto\"}",
    "+t{\"best_of\": 1}",
    "-t{\"best_of\": 2}",
    "+t{\"suffix\": \"\"}",
    "-t{\"suffix\": \"x\"}",
    "-t{\"store\": false}",
};

static void other_fields(void **state)
{
    (void)state;
    for (size_t i = 0; i < INK_COUNT(bodies); i++) {
        for (int endpoint = CHAT; endpoint <= TEXT; endpoint++) {
            char at = bodies[i][1];
            if ((at == 'c' && endpoint != CHAT) || (at == 't' && endpoint != TEXT)) {
                continue;
            }
            if (is_taken(bodies[i] + 2, (enum ink_endpoint)endpoint) != (bodies[i][0] == '+')) {
                fail_msg("%s at endpoint %d: \"%s\"", bodies[i], endpoint, fault.message);
            }
        }
    }
    read_body(NULL, NULL, CHAT);
}

static void limits_of_stop(void **state)
{
    (void)state;
    for (int n = 15; n <= 17; n++) {
        struct ink_string body = {0};
        ink_string_puts(&body, "{\"stop\": [\"a\"");
        for (int i = 1; i < n; i++) {
            ink_string_puts(&body, ", \"a\"");
        }
        ink_string_puts(&body, "]}");
        assert_int_equal(is_taken(body.data, CHAT), n <= INK_PARAMS_STOPS);
        ink_string_free(&body);
    }
    for (int n = INK_PARAMS_STOP_BYTES; n <= INK_PARAMS_STOP_BYTES + 1; n++) {
        struct ink_string body = {0};
        ink_string_puts(&body, "{\"stop\": \"");
        for (int i = 0; i < n; i++) {
            ink_string_puts(&body, "x");
        }
        ink_string_puts(&body, "\"}");
        assert_int_equal(is_taken(body.data, TEXT), n <= INK_PARAMS_STOP_BYTES);
        ink_string_free(&body);
    }
    /* messages are cut off at their limit, not the program */
    struct ink_string body = {0};
    ink_string_puts(&body, "{\"");
    for (int i = 0; i < 5000; i++) {
        ink_string_puts(&body, "未");
    }
    ink_string_puts(&body, "\": 1}");
    assert_false(is_taken(body.data, CHAT));
    ink_string_free(&body);
    read_body(NULL, NULL, CHAT);
}

/* ------------------------------------------------------------------------------------ messages */

static const char tool[] = "[{\"type\": \"function\", \"function\": {\"name\": \"f\"}}]";

/* Roles and contents as "role:content|", or "!" and the message. */
static char *read_messages(const char *text, const char *tools_text)
{
    struct ink_error error = {0};
    struct ink_messages messages;
    struct ink_tool_set tools;
    struct ink_string out = {0};
    cJSON *tree, *tools_tree = NULL;
    assert_ok(ink_json_parse(&tree, text, strlen(text), &limits, "messages", &error));
    if (tools_text) {
        assert_ok(
            ink_json_parse(&tools_tree, tools_text, strlen(tools_text), &limits, "tools", &error));
    }
    const struct ink_params params = {.tools = tools_tree};
    fault = (struct ink_fault){0};
    assert_true(ink_tools_read(&tools, &params, &fault));
    if (ink_messages_read(&messages, tree, &tools, &fault)) {
        assert_string_equal(fault.message, "");
        for (int i = 0; i < messages.n; i++) {
            ink_string_printf(&out, "%s:%s|", messages.list[i].role, messages.list[i].content);
        }
        ink_messages_close(&messages);
    } else {
        assert_non_null(fault.code);
        ink_string_printf(&out, "!%s", fault.message);
    }
    assert_true(!messages.list && !messages.owned && messages.n == 0);
    cJSON_Delete(tree);
    cJSON_Delete(tools_tree);
    ink_string_puts(&out, "");
    return out.data;
}

static void assert_messages(const char *text, const char *wanted)
{
    char *got = read_messages(text, NULL);
    if (wanted[0] == '!' ? got[0] != '!' : strcmp(got, wanted) != 0) {
        fail_msg("%s: %s", text, got);
    }
    ink_free(got);
}

static void messages_of_all_kinds(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"[]", "!"},
        {"{}", "!"},
        {"\"x\"", "!"},
        {"null", "!"},
        {"[null]", "!"},
        {"[[]]", "!"},
        {"[\"x\"]", "!"},
        {"[{}]", "!"},
        {"[{\"role\": \"user\"}]", "!"},
        {"[{\"content\": \"x\"}]", "!"},
        {"[{\"role\": \"robot\", \"content\": \"x\"}]", "!"},
        {"[{\"role\": \"User\", \"content\": \"x\"}]", "!"},
        {"[{\"role\": 1, \"content\": \"x\"}]", "!"},
        {"[{\"role\": null, \"content\": \"x\"}]", "!"},
        {"[{\"role\": \"user\", \"content\": null}]", "!"},
        {"[{\"role\": \"user\", \"content\": 1}]", "!"},
        {"[{\"role\": \"user\", \"content\": {}}]", "!"},
        {"[{\"role\": \"user\", \"content\": \"\"}]", "user:|"},
        {"[{\"role\": \"user\", \"content\": []}]", "user:|"},
        {"[{\"role\": \"user\", \"content\": \"你好\"}]", "user:你好|"},
        {"[{\"role\": \"system\", \"content\": \"s\"}, {\"role\": \"user\", \"content\": \"u\"},"
         "{\"role\": \"assistant\", \"content\": \"a\"}]",
         "system:s|user:u|assistant:a|"},
        {"[{\"role\": \"developer\", \"content\": \"d\"}]", "system:d|"},
        {"[{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"a\"},"
         "{\"type\": \"text\", \"text\": \"b\"}]}]",
         "user:ab|"},
        {"[{\"role\": \"user\", \"content\": [\"a\"]}]", "!"},
        {"[{\"role\": \"user\", \"content\": [null]}]", "!"},
        {"[{\"role\": \"user\", \"content\": [{\"type\": \"text\"}]}]", "!"},
        {"[{\"role\": \"user\", \"content\": [{\"text\": \"a\"}]}]", "!"},
        {"[{\"role\": \"user\", \"content\": [{\"type\": \"image_url\", \"image_url\": {}}]}]",
         "!"},
        {"[{\"role\": \"assistant\", \"content\": null}]", "!"},
        {"[{\"role\": \"assistant\", \"content\": null, \"tool_calls\": []}]", "!"},
        {"[{\"role\": \"assistant\", \"content\": null, \"tool_calls\": [{\"id\": \"1\", \"type\": "
         "\"function\", \"function\": {\"name\": \"f\", \"arguments\": \"{}\"}}]}]",
         "assistant:<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>|"},
        {"[{\"role\": \"assistant\", \"tool_calls\": [{\"function\": {\"name\": \"f\", "
         "\"arguments\": \"\"}}], \"content\": \"x\", \"refusal\": null, \"audio\": null}]",
         "assistant:x<tool_call>{\"name\": \"f\", \"arguments\": }</tool_call>|"},
        {"[{\"role\": \"assistant\", \"tool_calls\": {}, \"content\": \"x\"}]", "!"},
        {"[{\"role\": \"assistant\", \"tool_calls\": [{}], \"content\": \"x\"}]", "!"},
        {"[{\"role\": \"assistant\", \"tool_calls\": [{\"function\": {\"name\": \"f\", "
         "\"arguments\": {}}}], \"content\": \"x\"}]",
         "!"},
        {"[{\"role\": \"tool\", \"tool_call_id\": \"1\", \"content\": \"r\"}]",
         "user:<tool_response>r</tool_response>|"},
        {"[{\"role\": \"tool\", \"content\": null}]", "!"},
        {"[{\"role\": \"user\", \"tool_calls\": [1], \"content\": \"\"}]", "!"},
        {"[{\"role\": \"user\", \"tool_calls\": [], \"name\": \"\", \"content\": \"\"}]", "user:|"},
        {"[{\"role\": \"user\", \"x\": 1, \"content\": \"\"}]", "!"},
        {"[{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"user\", \"content\": null}]",
         "!"},
    };
    for (size_t i = 0; i < INK_COUNT(cases); i++) {
        assert_messages(cases[i][0], cases[i][1]);
    }
}

/* Tools are told of in the system text, which is made if there is none. */
static void messages_with_tools(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"[{\"role\": \"user\", \"content\": \"u\"}]", "system:You may call"},
        {"[{\"role\": \"system\", \"content\": \"s\"}, {\"role\": \"user\", \"content\": \"u\"}]",
         "system:s\n\nYou may call"},
    };
    for (size_t i = 0; i < INK_COUNT(cases); i++) {
        char *got = read_messages(cases[i][0], tool);
        assert_memory_equal(got, cases[i][1], strlen(cases[i][1]));
        const char *end = "in <tool_response>.|user:u|";
        assert_string_equal(got + strlen(got) - strlen(end), end);
        ink_free(got);
    }
    char *got = read_messages("[{\"role\": \"user\", \"content\": 1}]", tool);
    assert_int_equal(got[0], '!');
    ink_free(got);
}

static void many_and_long_messages(void **state)
{
    (void)state;
    for (int n = 8192; n <= 8193; n++) {
        struct ink_string text = {0};
        for (int i = 0; i < n; i++) {
            ink_string_puts(&text, i > 0 ? "," : "[");
            ink_string_puts(&text, "{\"role\":\"user\",\"content\":\"\"}");
        }
        ink_string_puts(&text, "]");
        char *got = read_messages(text.data, n % 2 == 0 ? tool : NULL);
        assert_int_equal(got[0] == '!', n > 8192);
        ink_free(got);
        ink_string_free(&text);
    }
    struct ink_string text = {0};
    enum { LONG = 8 << 20 };
    ink_string_puts(&text, "[{\"role\":\"user\",\"content\":\"");
    size_t before = text.length;
    for (int i = 0; i < LONG / 1024; i++) {
        char kilobyte[1025];
        memset(kilobyte, 'a' + i % 26, 1024);
        kilobyte[1024] = '\0';
        ink_string_puts(&text, kilobyte);
    }
    ink_string_puts(&text, "\"}]");
    char *got = read_messages(text.data, NULL);
    assert_int_equal(strlen(got), LONG + strlen("user:|"));
    assert_memory_equal(got + 5, text.data + before, LONG);
    ink_free(got);
    ink_string_free(&text);
}

/* Every allocation: a fault that says so, and nothing is left. */
static void no_memory(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "[{\"role\": \"user\", \"content\": \"\"}, {\"role\": \"user\", \"content\": []}]",
        "[{\"role\": \"system\", \"content\": \"\"}, {\"role\": \"assistant\", \"content\": null, "
        "\"tool_calls\": [{\"function\": {\"name\": \"f\", \"arguments\": \"{}\"}}]}]"};
    for (size_t i = 0; i < 2 * INK_COUNT(texts); i++) {
        struct ink_error error = {0};
        cJSON *tree, *tools_tree;
        struct ink_tool_set tools;
        const char *text = texts[i / 2];
        assert_ok(ink_json_parse(&tree, text, strlen(text), &limits, "messages", &error));
        assert_ok(ink_json_parse(&tools_tree, tool, strlen(tool), &limits, "tools", &error));
        const struct ink_params params = {.tools = i % 2 ? tools_tree : NULL};
        assert_true(ink_tools_read(&tools, &params, &fault));
        long n = 1;
        for (;; n++) {
            struct ink_messages messages;
            ink_fail_allocation(n, n % 2);
            bool ok = ink_messages_read(&messages, tree, &tools, &fault);
            ink_fail_allocation(0, false);
            for (int k = 0; k < messages.n; k++) {
                assert_non_null(messages.list[k].content);
            }
            ink_messages_close(&messages);
            if (ok) {
                break;
            }
            assert_int_equal(fault.status, 503);
        }
        assert_true(n >= 5);
        cJSON_Delete(tree);
        cJSON_Delete(tools_tree);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_and_everything_else),
        cmocka_unit_test(sampler_takes_the_extremes),
        cmocka_unit_test(values_arrive),
        cmocka_unit_test(other_fields),
        cmocka_unit_test(limits_of_stop),
        cmocka_unit_test(messages_of_all_kinds),
        cmocka_unit_test(messages_with_tools),
        cmocka_unit_test(many_and_long_messages),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
