/* New models: what of a configuration opens, and their first weights, against a golden that Python
 * made and against what the numbers should look like. */
#include "support.h"

#include "../src/train/initial.h"

#include "../src/sha256.h"

#include <math.h>

static struct ink_model *open_new(const char *config)
{
    struct ink_error error = {0};
    struct ink_model *m = NULL;
    const struct ink_model_options options = {.threads = 1, .without_tokenizer = true};
    assert_ok(ink_model_open_new(&m, config, &options, &error));
    return m;
}

static struct ink_parameters *make_parameters(struct ink_model *m, uint64_t seed)
{
    struct ink_error error = {0};
    struct ink_parameters *p = NULL;
    assert_ok(ink_parameters_open(&p, m, INK_BASE_TRAINED, &error));
    ink_initial_fill(p, m, seed);
    return p;
}

static uint64_t count_of(const struct ink_parameter *one)
{
    return (uint64_t)one->matrix.rows * (uint64_t)one->matrix.cols;
}

static void compare(const struct ink_parameter *one, const cJSON *golden)
{
    struct ink_sha256 sha;
    char hex[65];
    const cJSON *first = cJSON_GetObjectItem(golden, "first")->child;
    assert_string_equal(one->name, cJSON_GetObjectItem(golden, "name")->valuestring);
    for (int i = 0; i < 4; i++, first = first->next) {
        assert_true(one->value[i] == (float)first->valuedouble);
    }
    ink_sha256_start(&sha);
    ink_sha256_add(&sha, one->value, (size_t)count_of(one) * sizeof(float));
    ink_sha256_finish(&sha, hex);
    assert_string_equal(hex, cJSON_GetObjectItem(golden, "sha256")->valuestring);
}

static void the_bits_of_python(void **state)
{
    (void)state;
    cJSON *golden = read_json(shared_path("initial/golden.json"));
    struct ink_model *m = open_new(shared_path("initial/config.json"));
    struct ink_parameters *p =
        make_parameters(m, (uint64_t)cJSON_GetObjectItem(golden, "seed")->valuedouble);
    const cJSON *one = cJSON_GetObjectItem(golden, "tensors")->child;
    for (int i = 0; i < p->n; i++, one = one->next) {
        assert_non_null(one);
        compare(&p->list[i], one);
    }
    assert_null(one);
    ink_parameters_close(p);
    ink_model_close(m);
    cJSON_Delete(golden);
}

/* Mean, deviation and tails of all matrices together; neighbours and matrices do not follow one
 * another. */
static void numbers_are_normal(void **state)
{
    (void)state;
    struct ink_model *m = open_new(shared_path("initial/config.json"));
    struct ink_parameters *p = make_parameters(m, 7);
    double sum = 0, squares = 0, fourths = 0, pairs = 0, n = 0;
    int beyond[4] = {0};
    for (int i = 0; i < p->n; i++) {
        const struct ink_parameter *one = &p->list[i];
        const bool is_padded = one->weight == &m->embedding;
        for (uint64_t j = is_padded ? 4 * 24 : 0; j + 1 < count_of(one) && !one->is_vector; j++) {
            const double x = (double)one->value[j] / 0.05, y = (double)one->value[j + 1] / 0.05;
            sum += x;
            squares += x * x;
            fourths += x * x * x * x;
            pairs += x * y;
            n++;
            for (int k = 1; k < 4; k++) {
                beyond[k] += fabs(x) > k;
            }
        }
    }
    assert_true(n > 30000);
    assert_true(fabs(sum / n) < 4 / sqrt(n));
    assert_true(fabs(squares / n - 1) < 4 * sqrt(2 / n));
    assert_true(fabs(fourths / n - 3) < 4 * sqrt(96 / n));
    assert_true(fabs(pairs / n) < 4 / sqrt(n));
    assert_true(fabs(beyond[1] / n - 0.3173) < 0.01);
    assert_true(fabs(beyond[2] / n - 0.0455) < 0.005);
    assert_true(fabs(beyond[3] / n - 0.0027) < 0.0012);
    ink_parameters_close(p);
    ink_model_close(m);
}

static void seeds_differ(void **state)
{
    (void)state;
    struct ink_model *m = open_new(shared_path("initial/config.json"));
    struct ink_parameters *a = make_parameters(m, 1), *b = make_parameters(m, 2);
    struct ink_parameters *again = make_parameters(m, 1);
    assert_memory_equal(a->values, again->values, a->n_values * sizeof(float));
    assert_memory_not_equal(a->values, b->values, a->n_values * sizeof(float));
    ink_parameters_close(a);
    ink_parameters_close(b);
    ink_parameters_close(again);
    ink_model_close(m);
}

/* A Llama's embedding is drawn whole: it has no padding row unless the file names one. */
static void without_a_padding_row(void **state)
{
    (void)state;
    static const char text[] =
        "{\"architectures\": [\"LlamaForCausalLM\"], \"vocab_size\": 8, \"hidden_size\": 16, "
        "\"intermediate_size\": 16, \"num_hidden_layers\": 1, \"num_attention_heads\": 2}";
    struct ink_error error = {0};
    assert_ok(ink_write_file(".", "initial_config.tmp", text, sizeof text - 1, &error));
    struct ink_model *m = open_new("initial_config.tmp");
    struct ink_parameters *p = make_parameters(m, 1);
    assert_string_equal(m->path, ".");
    assert_true(m->architecture.initializer_range == 0.02f && m->architecture.rope_half);
    assert_int_equal(p->n, 1 + 9 + 2); /* the head is not tied, there are no biases */
    for (int i = 0; i < 8; i++) {
        assert_true(p->list[0].value[i * 16] != 0);
    }
    ink_parameters_close(p);
    ink_model_close(m);
    remove("initial_config.tmp");
}

/* ---------------------------------------------------------------------------------------- faults
 */

static void refuses(const char *text, int wanted, const char *message)
{
    struct ink_error error = {0};
    struct ink_model *m = NULL;
    const struct ink_model_options options = {.threads = 1, .without_tokenizer = true};
    assert_ok(ink_write_file(".", "initial_config.tmp", text, strlen(text), &error));
    assert_int_equal(ink_model_open_new(&m, "initial_config.tmp", &options, &error), wanted);
    assert_null(m);
    if (!strstr(error.message, message)) {
        fail_msg("\"%s\" lacks \"%s\"", error.message, message);
    }
    remove("initial_config.tmp");
}

static void bad_configurations(void **state)
{
    (void)state;
    refuses("{}", INK_ERROR_INPUT, "initial_config.tmp: \"model_type\" is missing");
    refuses("{\"model_type\": \"ernie4_5\", \"vocab_size\": 8}", INK_ERROR_INPUT, "hidden_size");
    refuses("{\"model_type\": \"ernie4_5\", \"vocab_size\": 8, \"hidden_size\": 16, "
            "\"intermediate_size\": 16, \"num_hidden_layers\": 1, \"num_attention_heads\": 2, "
            "\"initializer_range\": 0}",
            INK_ERROR_INPUT, "initializer_range");
    refuses("{\"model_type\": \"ernie4_5\", \"vocab_size\": 16777216, \"hidden_size\": 16777216, "
            "\"intermediate_size\": 16777216, \"num_hidden_layers\": 1024, "
            "\"num_attention_heads\": 2}",
            INK_ERROR_LIMIT, "weights are not supported");
}

static void it_cannot_run(void **state)
{
    (void)state;
    struct ink_model *m = open_new(shared_path("initial/config.json"));
    struct ink_error error = {0};
    struct ink_session *s = NULL;
    float logits[512];
    const int32_t token = 1;
    int status = ink_session_open(&s, m, 8, INK_KV_F32, &error);
    if (status == INK_OK) {
        const struct ink_step step = {
            .session = s, .tokens = &token, .n_tokens = 1, .n_logits = 1, .logits = logits};
        status = ink_eval(m, &step, 1, NULL, NULL, &error);
    }
    assert_int_not_equal(status, INK_OK);
    ink_session_close(s);
    ink_model_close(m);
}

static void allocations_may_fail(void **state)
{
    (void)state;
    const char *config = shared_path("initial/config.json");
    const struct ink_model_options options = {.threads = 1, .without_tokenizer = true};
    int status = INK_ERROR_MEMORY, n = 0;
    for (; status != INK_OK; n++) {
        struct ink_error error = {0};
        struct ink_model *m = NULL;
        assert_true(n < 10000);
        ink_fail_allocation(n + 1, false);
        status = ink_model_open_new(&m, config, &options, &error);
        ink_fail_allocation(0, false);
        assert_true(status == INK_OK || *error.message);
        ink_model_close(m);
    }
    assert_true(n > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bits_of_python),   cmocka_unit_test(numbers_are_normal),
        cmocka_unit_test(seeds_differ),         cmocka_unit_test(without_a_padding_row),
        cmocka_unit_test(bad_configurations),   cmocka_unit_test(it_cannot_run),
        cmocka_unit_test(allocations_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
