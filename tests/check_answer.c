/* Answers as text, fed with tokens by hand instead of a scheduler: characters cut anywhere, stop
 * strings over the borders of tokens, likelihoods beside the text they belong to. */
#include "support.h"

#include "../src/serve/answer.h"
#include "../src/utf8.h"

/* ---------------------------------------------------------------------------------- who feeds, and
 * who is told */

static struct ink_job_request fed; /* the one request that was submitted */

enum ink_admission ink_scheduler_submit(struct ink_scheduler *s,
                                        const struct ink_job_request *requests, int n,
                                        int *retry_after)
{
    *retry_after = 0;
    if (s) { /* it refuses everything */
        return INK_ADMISSION_FULL;
    }
    assert_int_equal(n, 1);
    fed = requests[0];
    return INK_ADMITTED;
}

struct told {
    struct ink_string text, bytes; /* bytes: of the tokens told of */
    size_t n_tokens;
    int n_ended, n_finished, n_written;
    enum ink_finish ended, finished;
    bool is_split; /* a piece was no whole characters */
    const struct ink_model *model;
};

static bool stays(void *context)
{
    (void)context;
    return false;
}

static void begin(void *context, int n_cached)
{
    (void)context, (void)n_cached;
}

static void take(void *context, int choice, const char *text, size_t n,
                 const struct ink_answer_token *tokens, size_t n_tokens)
{
    struct told *t = context;
    assert_int_equal(choice, 0);
    t->is_split |= ink_utf8_valid_prefix(text, n) != n;
    ink_string_append(&t->text, text, n);
    for (size_t i = 0; i < n_tokens; i++) {
        char bytes[64];
        size_t length =
            ink_token_bytes(t->model, bytes, sizeof bytes, tokens[i].logprob.token, false);
        ink_string_append(&t->bytes, bytes, length);
    }
    t->n_tokens += n_tokens;
}

static void end(void *context, int choice, enum ink_finish why)
{
    struct told *t = context;
    assert_int_equal(choice, 0);
    t->n_ended++;
    t->ended = why;
}

static void finish(void *context, enum ink_finish why, const char *message, int n_tokens)
{
    struct told *t = context;
    assert_non_null(message);
    t->n_finished++;
    t->finished = why;
    t->n_written = n_tokens;
}

static const struct ink_answer_sink sink = {stays, begin, take, end, finish};

/* -------------------------------------------------------------------------------------- feeding */

static struct ink_model *model;
static int32_t byte_tokens[256];

static int open_model(void **state)
{
    (void)state;
    char path[1024];
    const char *root = getenv("INKSTONE_TEST_DATA");
    struct ink_error error = {0};
    const struct ink_model_options options = {.threads = 1, .without_weights = true};
    snprintf(path, sizeof path, "%s/data/stories260K/as-ernie45", root ? root : ".");
    if (ink_model_open(&model, path, &options, &error) != INK_OK) {
        return 1;
    }
    for (int b = 0; b < 256; b++) { /* the tokens <0x00> to <0xFF> follow each other */
        byte_tokens[b] = 3 + b;
    }
    return 0;
}

static int close_model(void **state)
{
    (void)state;
    ink_model_close(model);
    return 0;
}

static void start(struct told *t, const char *const *stops, int n_stops, int n_logprobs)
{
    int retry_after;
    struct ink_answer_prompt *prompt = ink_calloc(1, sizeof *prompt);
    struct ink_error error = {0};
    assert_ok(ink_tokenize(model, &prompt->ids, &prompt->n, "Once", 4, false, &error));
    *t = (struct told){.model = model};
    const struct ink_answer_request request = {.model = model,
                                               .prompts = prompt,
                                               .n_prompts = 1,
                                               .n_choices = 1,
                                               .max_new_tokens = 1,
                                               .n_logprobs = n_logprobs,
                                               .stops = stops,
                                               .n_stops = n_stops,
                                               .sink = &sink,
                                               .context = t};
    assert_int_equal(ink_answer_submit(NULL, &request, &retry_after), INK_ADMITTED);
    fed.started(fed.context, 0);
}

static bool feed(int32_t id)
{
    const struct ink_logprob top[] = {{id, -0.5F}, {0, -1}};
    const struct ink_job_token token = {
        .id = id, .logprob = {id, -0.5F}, .top = top, .n_top = fed.n_logprobs > 0 ? 2 : 0};
    assert_false(fed.is_gone(fed.context));
    return fed.token(fed.context, &token);
}

/* Byte for byte. True: it was not stopped. */
static bool feed_bytes(const char *bytes, size_t n)
{
    bool goes_on = true;
    for (size_t i = 0; i < n && goes_on; i++) {
        goes_on = feed(byte_tokens[(unsigned char)bytes[i]]);
    }
    return goes_on;
}

static void over(struct told *t, enum ink_finish why)
{
    fed.finished(fed.context, 0, why, why == INK_FINISH_FAILED ? "broken" : NULL);
    assert_int_equal(t->n_finished, 1);
    assert_false(t->is_split);
    ink_string_puts(&t->text, "");
    ink_string_puts(&t->bytes, "");
}

static void forget(struct told *t)
{
    ink_string_free(&t->text);
    ink_string_free(&t->bytes);
}

/* ---------------------------------------------------------------------------------------- tests */

static void byte_tokens_are_bytes(void **state)
{
    (void)state;
    for (int b = 0; b < 256; b++) {
        char byte;
        assert_int_equal(ink_token_bytes(model, &byte, 1, byte_tokens[b], false), 1);
        assert_int_equal((unsigned char)byte, b);
    }
}

/* Every character there is, from its bytes; an answer of 4,096 of them at a time. */
static void every_character(void **state)
{
    (void)state;
    uint32_t c = 1;
    while (c < 0x110000) {
        struct told t;
        struct ink_string wanted = {0};
        start(&t, NULL, 0, -1);
        for (int i = 0; i < 4096 && c < 0x110000; c += is_emulated() ? 97 : 1) {
            char bytes[4];
            int n = ink_utf8_encode(bytes, c);
            ink_string_append(&wanted, bytes, (size_t)n);
            assert_true(feed_bytes(bytes, (size_t)n));
            assert_int_equal(t.text.length, wanted.length); /* as soon as it is whole */
            i += n > 0;
        }
        over(&t, INK_FINISH_LENGTH);
        assert_int_equal(t.text.length, wanted.length);
        assert_memory_equal(t.text.data, wanted.data, wanted.length);
        assert_int_equal(t.ended, INK_FINISH_LENGTH);
        forget(&t);
        ink_string_free(&wanted);
    }
}

/* The end inside a character, and bytes that are none: U+FFFD, as Unicode recommends. */
static void cut_characters(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"a\xE4", "a\xEF\xBF\xBD"},
        {"a\xE4\xBD", "a\xEF\xBF\xBD"},
        {"\xF0\x9F\x98", "\xEF\xBF\xBD"},
        {"\xFF\xFE", "\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xE4x", "\xEF\xBF\xBDx"},
        {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xC0\x80z", "\xEF\xBF\xBD\xEF\xBF\xBDz"},
        {"", ""},
    };
    for (size_t i = 0; i < INK_COUNT(cases); i++) {
        for (int n_logprobs = -1; n_logprobs < 2; n_logprobs++) {
            struct told t;
            start(&t, NULL, 0, n_logprobs);
            assert_true(feed_bytes(cases[i][0], strlen(cases[i][0])));
            over(&t, INK_FINISH_STOP);
            assert_string_equal(t.text.data, cases[i][1]);
            if (n_logprobs >= 0) { /* the tokens' own bytes, none left out */
                assert_string_equal(t.bytes.data, cases[i][0]);
            }
            assert_int_equal(t.n_written, strlen(cases[i][0]));
            forget(&t);
        }
    }
}

static void stop_strings(void **state)
{
    (void)state;
    static const struct {
        const char *stops[3];
        const char *answer, *wanted;
        bool is_found;
    } cases[] = {
        {{"END"}, "text END more", "text ", true}, {{"END"}, "text EN", "text EN", false},
        {{"END"}, "EEENENDD", "EEEN", true},       {{"aab"}, "aaab", "a", true},
        {{"abab", "abx"}, "ababab", "", true},     {{"ab", "abc"}, "xabc", "x", true},
        {{"abc", "b"}, "abc", "a", true},          {{"abcd", "bc"}, "abcd", "a", true},
        {{"你好"}, "a你你好b", "a你", true},       {{"你好"}, "a你", "a你", false},
        {{"\n\n"}, "a\n\nb", "a", true},           {{"x", "y", "z"}, "", "", false},
        {{"\xEF\xBF\xBD"}, "ab\xE4", "ab", true}, /* it comes to light at the end */
    };
    for (size_t i = 0; i < INK_COUNT(cases); i++) {
        int n_stops = 0;
        while (n_stops < 3 && cases[i].stops[n_stops]) {
            n_stops++;
        }
        for (int n_logprobs = -1; n_logprobs < 1; n_logprobs++) {
            struct told t;
            start(&t, cases[i].stops, n_stops, n_logprobs);
            bool stopped = !feed_bytes(cases[i].answer, strlen(cases[i].answer));
            over(&t, stopped ? INK_FINISH_STOP : INK_FINISH_LENGTH);
            assert_string_equal(t.text.data, cases[i].wanted);
            assert_int_equal(t.ended, cases[i].is_found ? INK_FINISH_STOP : INK_FINISH_LENGTH);
            if (n_logprobs >= 0) {
                assert_string_equal(t.bytes.data, cases[i].wanted);
            }
            forget(&t);
        }
    }
}

/* The end token while a stop string may have begun, and inside a character. */
static void ends_in_what_is_held(void **state)
{
    (void)state;
    static const char *const stops[] = {"END", "\xE4\xBD\xA0"}; /* the second: one character */
    static const char *const cases[][2] = {{"a EN", "a EN"},
                                           {"a EN\xE4\xBD", "a EN\xEF\xBF\xBD"},
                                           {"\xE4", "\xEF\xBF\xBD"},
                                           {"E\xE4\xBD\xA1", "E\xE4\xBD\xA1"}};
    for (size_t i = 0; i < INK_COUNT(cases); i++) {
        for (int n_logprobs = -1; n_logprobs < 1; n_logprobs++) {
            struct told t;
            start(&t, stops, 2, n_logprobs);
            assert_true(feed_bytes(cases[i][0], strlen(cases[i][0])));
            over(&t, INK_FINISH_STOP);
            assert_string_equal(t.text.data, cases[i][1]);
            assert_int_equal(t.ended, INK_FINISH_STOP);
            if (n_logprobs >= 0) {
                assert_string_equal(t.bytes.data, cases[i][0]);
            }
            forget(&t);
        }
    }
}

/* The answer to `ids` with one stop string; true: it was found. */
static bool answer_until(struct told *t, const int32_t *ids, size_t n, const char *stop)
{
    bool goes_on = true;
    start(t, &stop, 1, -1);
    for (size_t i = 0; i < n && goes_on; i++) {
        goes_on = feed(ids[i]);
    }
    over(t, goes_on ? INK_FINISH_LENGTH : INK_FINISH_STOP);
    return t->ended == INK_FINISH_STOP;
}

/* Each part of a text as a stop string, in the tokens that a model would write: it lies in one or
 * over many. */
static void stop_strings_over_tokens(void **state)
{
    (void)state;
    static const char sentence[] = "Once upon a time, there was a 你好 girl named Lily 😀.";
    struct ink_error error = {0};
    struct told t;
    int32_t *ids;
    size_t n;
    assert_ok(ink_tokenize(model, &ids, &n, sentence, sizeof sentence - 1, false, &error));
    assert_false(answer_until(&t, ids, n, "never there"));
    char *whole = ink_strdup(t.text.data);
    forget(&t);
    assert_non_null(strstr(whole, sentence));
    for (const char *from = whole; *from; from++) {
        for (size_t length = 1; length <= 20 && length <= strlen(from); length++) {
            char stop[32];
            snprintf(stop, sizeof stop, "%.*s", (int)length, from);
            if (ink_utf8_valid_prefix(stop, length) != length) {
                continue;
            }
            assert_true(answer_until(&t, ids, n, stop));
            size_t before = (size_t)(strstr(whole, stop) - whole);
            assert_int_equal(t.text.length, before);
            assert_memory_equal(t.text.data, whole, before);
            forget(&t);
        }
    }
    ink_free(whole);
    ink_free(ids);
}

/* Tokens without text of their own count too, where no stop string cut the answer. */
static void tokens_without_text(void **state)
{
    (void)state;
    struct told t;
    start(&t, NULL, 0, 0);
    assert_true(feed(byte_tokens['a']));
    assert_true(feed(1)); /* <s> */
    assert_true(feed(1));
    over(&t, INK_FINISH_LENGTH);
    assert_string_equal(t.text.data, "a");
    assert_int_equal(t.n_tokens, 3);
    forget(&t);
}

static void other_ends(void **state)
{
    (void)state;
    static const enum ink_finish whys[] = {INK_FINISH_CANCELLED, INK_FINISH_SHUTDOWN,
                                           INK_FINISH_FAILED};
    for (size_t i = 0; i < INK_COUNT(whys); i++) {
        struct told t;
        start(&t, NULL, 0, -1);
        feed_bytes("ab", 2);
        over(&t, whys[i]);
        assert_int_equal(t.finished, whys[i]);
        assert_int_equal(t.n_ended, 0);
        forget(&t);
    }
}

/* Refused, or out of memory at any place: nothing is left; later, the answer fails. */
static void refusals_and_memory(void **state)
{
    (void)state;
    struct told t = {.model = model};
    int32_t ids[] = {1, 300};
    struct ink_answer_prompt prompt = {ids, 2};
    struct ink_answer_request request = {.model = model,
                                         .prompts = &prompt,
                                         .n_prompts = 1,
                                         .n_choices = 3,
                                         .max_new_tokens = 1,
                                         .sink = &sink,
                                         .context = &t};
    int retry_after, none;
    struct ink_scheduler *full = (struct ink_scheduler *)(void *)&none;
    assert_int_equal(ink_answer_submit(full, &request, &retry_after), INK_ADMISSION_FULL);
    for (long n = 1; n < 8; n++) {
        ink_fail_allocation(n, true);
        assert_int_equal(ink_answer_submit(full, &request, &retry_after), INK_ADMISSION_MEMORY);
        ink_fail_allocation(0, false);
    }
    int n_failed = 0;
    for (long n = 1; n < 12; n++) {
        start(&t, NULL, 0, 1);
        ink_fail_allocation(n, true);
        bool goes_on = feed(byte_tokens['a']) && feed(300);
        ink_fail_allocation(0, false);
        over(&t, INK_FINISH_STOP);
        n_failed += t.finished == INK_FINISH_FAILED;
        assert_true(goes_on || t.finished == INK_FINISH_FAILED);
        forget(&t);
    }
    assert_true(n_failed > 0);
}

int main(void)
{
    if (is_emulated()) {
        puts("1..0 # SKIP an emulated processor: nothing of this depends on it");
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(byte_tokens_are_bytes), cmocka_unit_test(every_character),
        cmocka_unit_test(cut_characters),        cmocka_unit_test(stop_strings),
        cmocka_unit_test(ends_in_what_is_held),  cmocka_unit_test(stop_strings_over_tokens),
        cmocka_unit_test(tokens_without_text),   cmocka_unit_test(other_ends),
        cmocka_unit_test(refusals_and_memory),
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}
