/* Losses against PyTorch's logits and its masked loss, whatever is read together. */
#include "support.h"

#include "../src/eval/perplexity.h"

#include <math.h>

static void assert_close(double a, double b, double tolerance, const char *what)
{
    if (!(fabs(a - b) <= tolerance * fabs(b))) {
        fail_msg("%s: %.9g, should be %.9g", what, a, b);
    }
}

static void measure(struct ink_loss *losses, struct ink_model *m, const struct ink_loss_text *texts,
                    size_t n, int n_sessions)
{
    struct ink_error error = {0};
    const struct ink_loss_options options = {.kv_type = INK_KV_F32, .n_sessions = n_sessions};
    assert_ok(ink_loss_measure(losses, m, texts, n, &options, NULL, NULL, &error));
}

/* -------------------------------------------------------------------------------------- PyTorch */

static double golden_nll(const float *logits, size_t v, int32_t target)
{
    double sum = 0;
    for (size_t i = 0; i < v; i++) {
        sum += exp((double)logits[i]);
    }
    return log(sum) - (double)logits[target];
}

static void check_logits(const char *name)
{
    struct ink_error error = {0};
    char file[256];
    struct ink_mapping mapping;
    struct ink_weights w = {.format = "safetensors", .n_files = 1, .files = &mapping};
    snprintf(file, sizeof file, "fixtures/%s/golden_forward.json", name);
    cJSON *g = read_json(shared_path(file));
    snprintf(file, sizeof file, "fixtures/%s/golden_forward.safetensors", name);
    const char *tensors = shared_path(file);
    assert_ok(ink_map_file(&mapping, tensors, &error));
    assert_ok(ink_safetensors_read(&w, &mapping, tensors, &error));
    snprintf(file, sizeof file, "fixtures/%s", name);
    struct ink_model *m = open_model_at(shared_path(file), 1, NULL);
    const size_t v = (size_t)ink_model_get_info(m)->vocab_size;
    const float *logits = NULL;
    for (int i = 0; i < w.n_tensors; i++) {
        logits = strcmp(w.tensors[i].name, "logits") == 0 ? w.tensors[i].data : logits;
    }
    int n;
    int32_t *ids = ids_of(ink_json_get(g, "ids"), &n);
    uint8_t *counted = calloc((size_t)n, 1);
    assert_non_null(logits);
    /* all; every third; the last alone */
    for (int mask = 0; mask < 3; mask++) {
        double expected = 0;
        uint64_t count = 0;
        for (int i = 1; i < n; i++) {
            counted[i] = mask == 0 || (mask == 1 && i % 3 == 0) || i == n - 1;
            expected += counted[i] ? golden_nll(logits + (size_t)(i - 1) * v, v, ids[i]) : 0;
            count += counted[i];
        }
        const struct ink_loss_text text = {ids, counted, (size_t)n};
        struct ink_loss loss;
        measure(&loss, m, &text, 1, 1);
        assert_int_equal(loss.n_tokens, count);
        assert_close(loss.nll, expected, 1e-5, name);
    }
    free(ids);
    free(counted);
    cJSON_Delete(g);
    ink_model_close(m);
    ink_unmap_file(&mapping);
    for (int i = 0; i < w.n_tensors; i++) {
        ink_free(w.tensors[i].name);
    }
    ink_free(w.tensors);
}

static void logits_of_pytorch(void **state)
{
    (void)state;
    check_logits("ernie-tiny");
    check_logits("ernie-tiny-untied-bias");
    check_logits("llama-tiny");
}

/* Samples of golden_training.json: a prompt that does not count, and a response that does. */
static size_t read_samples(struct ink_loss_text *texts, size_t most, const cJSON *samples)
{
    const cJSON *sample;
    size_t n_texts = 0;
    cJSON_ArrayForEach(sample, samples)
    {
        if (n_texts == most) {
            break;
        }
        int n_prompt, n_response;
        int32_t *prompt = ids_of(ink_json_get(sample, "prompt"), &n_prompt);
        int32_t *response = ids_of(ink_json_get(sample, "response"), &n_response);
        const size_t n = (size_t)(n_prompt + n_response);
        int32_t *tokens = calloc(n, sizeof *tokens);
        uint8_t *counted = calloc(n, 1);
        memcpy(tokens, prompt, (size_t)n_prompt * sizeof *tokens);
        memcpy(tokens + n_prompt, response, (size_t)n_response * sizeof *tokens);
        memset(counted + n_prompt, 1, (size_t)n_response);
        texts[n_texts++] = (struct ink_loss_text){tokens, counted, n};
        free(prompt);
        free(response);
    }
    return n_texts;
}

static void free_texts(struct ink_loss_text *texts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free((void *)(uintptr_t)texts[i].tokens);
        free((void *)(uintptr_t)texts[i].counted);
    }
}

/* PyTorch's masked loss of the first batch, two samples, before any step. */
static void loss_of_pytorch(void **state)
{
    (void)state;
    cJSON *g = read_json(shared_path("fixtures/ernie-tiny/golden_training.json"));
    struct ink_model *m = open_model_at(shared_path("fixtures/ernie-tiny"), 0, NULL);
    struct ink_loss_text texts[2];
    struct ink_loss losses[2];
    assert_int_equal(read_samples(texts, 2, ink_json_get(g, "samples")), 2);
    measure(losses, m, texts, 2, 2);
    const double first = ink_json_get(g, "first_loss")->valuedouble;
    assert_close(ink_loss_mean(losses, 2), first, 1e-5, "first_loss");
    assert_close(ink_loss_hugging_face(losses, 2, 2), first, 1e-5, "one batch");
    free_texts(texts, 2);
    cJSON_Delete(g);
    ink_model_close(m);
}

/* ------------------------------------------------------------------------------------ same bits */

enum { n_many = 23, longest = 500 };

/* Texts of 1 to 500 tokens, with runs that count and runs that do not; one counts nowhere. */
static void make_texts(struct ink_loss_text *texts, int vocab)
{
    uint32_t x = 99;
    for (size_t i = 0; i < n_many; i++) {
        const size_t n = i == 0 ? longest : i == 1 ? 1 : 2 + i * i % 90;
        int32_t *tokens = calloc(n, sizeof *tokens);
        uint8_t *counted = calloc(n, 1);
        for (size_t j = 0; j < n; j++) {
            x = x * 1664525u + 1013904223u;
            tokens[j] = (int32_t)((x >> 8) % (uint32_t)vocab);
            counted[j] = j > 0 && i != 5 && (i % 4 == 0 || (j / 7) % 3 == i % 3);
        }
        texts[i] = (struct ink_loss_text){tokens, counted, n};
    }
}

static void same_bits(void **state)
{
    (void)state;
    if (is_emulated()) { /* threads that wait for one another are slow there */
        printf("# SKIP: it would take minutes on an emulated processor\n");
        skip();
    }
    struct ink_loss_text texts[n_many];
    struct ink_loss expected[n_many], losses[n_many];
    for (int threads = 1; threads <= 3; threads += 2) {
        struct ink_model *m =
            open_model_as(shared_path("fixtures/ernie-tiny"), threads, NULL, INK_WEIGHTS_AUTO);
        make_texts(texts, ink_model_get_info(m)->vocab_size);
        if (threads == 1) {
            for (size_t i = 0; i < n_many; i++) {
                measure(&expected[i], m, &texts[i], 1, 1);
            }
        }
        for (int n_sessions = 1; n_sessions <= 64; n_sessions *= 4) {
            measure(losses, m, texts, n_many, n_sessions);
            for (size_t i = 0; i < n_many; i++) {
                uint64_t count = 0;
                for (size_t j = 0; j < texts[i].n; j++) {
                    count += texts[i].counted[j];
                }
                assert_int_equal(losses[i].n_tokens, count);
                assert_true(losses[i].nll == expected[i].nll);
            }
        }
        free_texts(texts, n_many);
        ink_model_close(m);
    }
    assert_int_equal(losses[5].n_tokens, 0);
}

/* --------------------------------------------------------------------------------- conventions */

static void conventions(void **state)
{
    (void)state;
    const struct ink_loss losses[5] = {{2, 1}, {3, 3}, {10, 4}, {1, 1}, {6, 2}};
    assert_close(ink_loss_mean(losses, 5), 22.0 / 11, 1e-15, "mean per token");
    /* ((5/4) * 2 + (11/5) * 2 + (6/2) * 1) / 5 */
    assert_close(ink_loss_hugging_face(losses, 5, 2), 9.9 / 5, 1e-15, "batches of 2");
    assert_close(ink_loss_hugging_face(losses, 5, 8), 2, 1e-15, "one batch");
    assert_true(isnan(ink_loss_mean(losses, 0)));
}

/* --------------------------------------------------------------------------------------- faults */

static int cancel(void *context, uint64_t done, uint64_t total)
{
    (void)done;
    (void)total;
    return ++*(int *)context == 2;
}

static void faults(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct ink_model *m = open_model_at(shared_path("fixtures/ernie-tiny"), 1, NULL);
    const struct ink_model_info *info = ink_model_get_info(m);
    struct ink_loss_text texts[n_many];
    struct ink_loss losses[n_many];
    const struct ink_loss_options options = {.kv_type = INK_KV_F16, .n_sessions = 3};
    make_texts(texts, info->vocab_size);
    int asked = 0;
    assert_int_equal(ink_loss_measure(losses, m, texts, n_many, &options, cancel, &asked, &error),
                     INK_ERROR_CANCELLED);
    const size_t n = (size_t)info->max_positions + 2;
    int32_t *tokens = calloc(n, sizeof *tokens);
    uint8_t *counted = calloc(n, 1);
    counted[n - 1] = 1;
    struct ink_loss_text text = {tokens, counted, n};
    assert_int_equal(ink_loss_measure(losses, m, &text, 1, &options, NULL, NULL, &error),
                     INK_ERROR_LIMIT);
    text.n = n - 1;
    counted[n - 2] = 1;
    assert_ok(ink_loss_measure(losses, m, &text, 1, &options, NULL, NULL, &error));
    free(tokens);
    free(counted);
    for (long i = 1;; i++) {
        ink_fail_allocation(i, true);
        int status = ink_loss_measure(losses, m, texts + 2, 3, &options, NULL, NULL, &error);
        if (ink_fail_allocation(0, false) < i) {
            assert_int_equal(status, INK_OK);
            break;
        }
        assert_int_equal(status, INK_ERROR_MEMORY);
    }
    free_texts(texts, n_many);
    ink_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_of_pytorch),
        cmocka_unit_test(loss_of_pytorch),
        cmocka_unit_test(same_bits),
        cmocka_unit_test(conventions),
        cmocka_unit_test(faults),
    };
    return cmocka_run_group_tests_name("perplexity", tests, NULL, NULL);
}
