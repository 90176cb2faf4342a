/* The n-th allocation fails, for every n, while a model is loaded and while it generates: one
 * clean error each time, and nothing leaks (the sanitizer build looks at that). SentencePiece's own
 * allocations are not in it: protobuf destroys half-built objects when operator new throws and
 * crashes there, which is why spm.cc first asks for the memory itself. */
#include "support.h"

/* Load, tokenize, prefill, decode, detokenize. */
static int use_model(const char *path, struct ink_error *error)
{
    struct ink_model *m = NULL;
    struct ink_session *s = NULL;
    struct ink_sampler *sampler = NULL;
    struct ink_stream *stream = NULL;
    int32_t *ids = NULL;
    char *text = NULL;
    size_t n = 0, n_text;
    struct ink_model_options options = {.threads = 1};
    struct ink_sampling settings = {.temperature = 0.8f, .top_p = 0.9f, .repetition_penalty = 1};
    float *logits = malloc(sizeof(float) * 200000);
    int status = ink_model_open(&m, path, &options, error);
    if (status == INK_OK) {
        status = ink_tokenize(m, &ids, &n, "Once upon a time <s> 你好", 28, true, error);
    }
    if (status == INK_OK) {
        status = ink_session_open(&s, m, 64, INK_KV_F16, error);
    }
    if (status == INK_OK) {
        status = ink_sampler_open(&sampler, m, &settings, error);
    }
    if (status == INK_OK) {
        status = ink_stream_open(&stream, m, false, error);
    }
    struct ink_step step = {s, ids, (int)n, 1, logits, NULL, 0};
    for (int i = 0; i < 4 && status == INK_OK; i++) {
        status = ink_eval(m, &step, 1, NULL, NULL, error);
        if (status == INK_OK) {
            const char *piece;
            size_t n_piece;
            int32_t token = ink_sampler_choose(sampler, logits);
            ink_sampler_accept(sampler, &token, 1, false);
            status = ink_stream_push(stream, token, &piece, &n_piece, error);
            ids[0] = token;
            step.n_tokens = 1;
        }
    }
    if (status == INK_OK) {
        status = ink_detokenize(m, &text, &n_text, ids, 1, true, error);
    }
    ink_free(text);
    ink_free(ids);
    ink_stream_close(stream);
    ink_sampler_close(sampler);
    ink_session_close(s);
    ink_model_close(m);
    free(logits);
    return status;
}

static void check_outcome(int status, const struct ink_error *error, const char *what, long n)
{
    if (status != INK_ERROR_MEMORY || error->code != status || !*error->message) {
        fail_msg("%s %ld failed and gave %d, \"%s\"", what, n, status, error->message);
    }
}

/* Every allocation in turn; with many, the first 500 and then every so many. */
static void every_allocation(const char *path)
{
    struct ink_error error = {0};
    ink_fail_allocation(0, false);
    assert_ok(use_model(path, &error));
    long total = ink_fail_allocation(0, false);
    assert_true(total > 100);
    for (long n = 1; n <= total; n += n < 500 ? 1 : 1 + total / 300) {
        for (int sticky = 0; sticky < 2; sticky++) {
            error = (struct ink_error){0};
            ink_fail_allocation(n, sticky);
            int status = use_model(path, &error);
            ink_fail_allocation(0, false);
            check_outcome(status, &error, "allocation", n);
        }
    }
}

static void on_a_folder(void **state)
{
    (void)state;
    every_allocation(shared_path("data/stories260K/as-ernie45"));
}

static void on_a_gguf(void **state)
{
    (void)state;
    every_allocation(shared_path("../../models/stories260K.gguf"));
}

/* No tokenizer here: the text call must fail for that reason, whatever failed before. */
static void on_other_containers(void **state)
{
    (void)state;
    static const char *const names[] = {"fixtures/ernie-tiny-bin", "fixtures/ernie-tiny-sharded"};
    for (size_t i = 0; i < INK_COUNT(names); i++) {
        const char *path = shared_path(names[i]);
        struct ink_model *m = NULL;
        struct ink_error error = {0};
        ink_fail_allocation(0, false);
        assert_ok(ink_model_open(&m, path, NULL, &error));
        ink_model_close(m);
        long total = ink_fail_allocation(0, false);
        for (long n = 1; n <= total; n++) {
            error = (struct ink_error){0};
            ink_fail_allocation(n, false);
            int status = ink_model_open(&m, path, NULL, &error);
            ink_fail_allocation(0, false);
            assert_null(m);
            check_outcome(status, &error, "allocation", n);
        }
    }
}

int main(void)
{
    cJSON_Hooks hooks = {ink_malloc, ink_free}; /* cJSON's allocations count, too */
    cJSON_InitHooks(&hooks);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_a_folder),
        cmocka_unit_test(on_a_gguf),
        cmocka_unit_test(on_other_containers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
