/* The text functions of inkstone.h: streaming gives what detokenizing gives, whatever the ids. */
#include "support.h"

#include "../src/utf8.h"

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Pieces of a stream, each valid UTF-8, and together what ink_detokenize gives. */
static void check_ids(const struct ink_model *m, struct ink_stream *stream, const int32_t *ids,
                      size_t n_ids, bool keep_special)
{
    struct ink_error error = {0};
    struct ink_string joined = {0};
    const char *piece;
    char *text;
    size_t n, n_text;
    for (size_t i = 0; i <= n_ids; i++) {
        assert_ok(i < n_ids ? ink_stream_push(stream, ids[i], &piece, &n, &error)
                            : ink_stream_flush(stream, &piece, &n, &error));
        assert_int_equal(ink_utf8_valid_prefix(piece, n), n);
        ink_string_append(&joined, piece, n);
    }
    assert_ok(ink_detokenize(m, &text, &n_text, ids, n_ids, keep_special, &error));
    assert_int_equal(joined.length, n_text);
    assert_int_equal(strlen(text) <= n_text, 1);
    if (n_text > 0) {
        assert_memory_equal(joined.data, text, n_text);
    }
    ink_string_free(&joined);
    ink_free(text);
}

static void check_model(const char *name)
{
    struct ink_error error = {0};
    struct ink_model *m = open_model_at(shared_path(name), 1, NULL);
    const int n_vocab = ink_model_get_info(m)->vocab_size;
    uint32_t seed = 3;
    for (int keep_special = 0; keep_special < 2; keep_special++) {
        struct ink_stream *stream; /* one for all: flushing makes it as new */
        assert_ok(ink_stream_open(&stream, m, keep_special, &error));
        for (int i = 0; i < 2000; i++) {
            int32_t ids[16];
            const size_t n_ids = next_random(&seed) % 16;
            for (size_t k = 0; k < n_ids; k++) { /* half of them bytes, some out of range */
                const uint32_t r = next_random(&seed);
                ids[k] = (int32_t)(r % 2 ? r / 2 % 270 : r / 2 % (uint32_t)(n_vocab + 10));
            }
            check_ids(m, stream, ids, n_ids, keep_special);
        }
        ink_stream_close(stream);
    }
    ink_model_close(m);
}

static void test_streams(void **state)
{
    (void)state;
    check_model("fixtures/ernie-micro");
    check_model("data/stories260K/as-ernie45");
}

static void test_facts(void **state)
{
    struct ink_error error = {0};
    struct ink_model *m = open_model_at(shared_path("fixtures/ernie-micro"), 1, NULL);
    const struct ink_message message = {"user", "Hello!"};
    int32_t *ids;
    size_t n;
    (void)state;
    assert_int_equal(ink_bos_token(m), -1);
    assert_true(ink_is_end_token(m, 2) && ink_is_end_token(m, 100272) &&
                ink_is_end_token(m, 100273));
    assert_false(ink_is_end_token(m, 0) || ink_is_end_token(m, 1) || ink_is_end_token(m, -1));
    assert_ok(ink_chat_tokenize(m, &ids, &n, &message, 1, true, &error));
    const int32_t expected[] = {100273, 2969, 93963, 30802, 94018, 23, 92267, 93963, 93919};
    assert_int_equal(n, INK_COUNT(expected));
    assert_memory_equal(ids, expected, sizeof expected);
    ink_free(ids);
    ink_model_close(m);
}

static void test_without_tokenizer(void **state)
{
    const struct ink_model_options options = {.threads = 1, .without_tokenizer = true};
    const struct ink_message message = {"user", "Hello!"};
    struct ink_error error = {0};
    struct ink_model *m;
    struct ink_stream *stream;
    int32_t *ids;
    char *text;
    size_t n;
    (void)state;
    assert_ok(ink_model_open(&m, shared_path("fixtures/ernie-tiny"), &options, &error));
    assert_int_equal(ink_tokenize(m, &ids, &n, "a", 1, true, &error), INK_ERROR_INPUT);
    assert_non_null(strstr(error.message, "without a tokenizer"));
    assert_int_equal(ink_chat_tokenize(m, &ids, &n, &message, 1, true, &error), INK_ERROR_INPUT);
    assert_int_equal(ink_detokenize(m, &text, &n, NULL, 0, true, &error), INK_ERROR_INPUT);
    assert_int_equal(ink_stream_open(&stream, m, true, &error), INK_ERROR_INPUT);
    assert_true(ids == NULL && text == NULL && stream == NULL);
    assert_int_equal(ink_bos_token(m), -1);
    ink_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_without_tokenizer),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
