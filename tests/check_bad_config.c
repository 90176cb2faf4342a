/* config.json and generation_config.json that nobody should trust: list A4 and more. */
#include "support.h"

#include "../src/architecture.h"
#include "../src/system.h"

static char folder[512];

static int make_scratch(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/inkstone-config-%.0f", tmp ? tmp : "/tmp",
             ink_system_seconds() * 1e6);
    return ink_make_folder(folder, NULL);
}

static int remove_scratch(void **state)
{
    (void)state;
    ink_remove_folder(folder);
    return 0;
}

static void write_file(const char *name, const char *bytes, size_t n)
{
    struct ink_error error = {0};
    struct ink_writer w;
    char *path = ink_path_join(folder, name);
    assert_ok(ink_writer_open(&w, path, &error));
    assert_ok(ink_writer_put(&w, bytes, n, &error));
    assert_ok(ink_writer_commit(&w, &error));
    ink_writer_close(&w);
    ink_free(path);
}

static const struct {
    const char *key, *value;
} good[] = {
    {"architectures", "[\"Ernie4_5_ForCausalLM\"]"},
    {"vocab_size", "640"},
    {"hidden_size", "96"},
    {"intermediate_size", "224"},
    {"num_hidden_layers", "3"},
    {"num_attention_heads", "6"},
    {"num_key_value_heads", "2"},
    {"head_dim", "32"},
    {"rms_norm_eps", "1e-05"},
    {"rope_theta", "500000"},
    {"eos_token_id", "2"},
    {"max_position_embeddings", "4096"},
    {"tie_word_embeddings", "true"},
    {"use_bias", "false"},
    {"hidden_act", "\"silu\""},
};

/* The good configuration with `key` left out (value NULL) or given another value. */
static int read_with(const char *key, const char *value, struct ink_error *error)
{
    static struct ink_architecture a;
    struct ink_string s = {0};
    ink_string_puts(&s, "{\"model_type\": \"ernie4_5\"");
    bool replaced = false;
    for (size_t i = 0; i < INK_COUNT(good); i++) {
        bool mine = strcmp(good[i].key, key) == 0;
        replaced |= mine;
        if (!mine || value) {
            ink_string_printf(&s, ",\n \"%s\": %s", good[i].key, mine ? value : good[i].value);
        }
    }
    if (!replaced && value) {
        ink_string_printf(&s, ", \"%s\": %s", key, value);
    }
    ink_string_puts(&s, "}");
    write_file("config.json", s.data, s.length);
    ink_string_free(&s);
    return ink_architecture_read_folder(&a, folder, error);
}

static void assert_refused(const char *key, const char *value)
{
    struct ink_error error = {0};
    double start = cpu_seconds();
    int status = read_with(key, value, &error);
    if (status != INK_ERROR_INPUT) {
        fail_msg("\"%s\": %s gives %d", key, value ? value : "(missing)", status);
    }
    assert_non_null(strstr(error.message, "config.json"));
    assert_true(cpu_seconds() - start < time_limit());
}

static void assert_accepted(const char *key, const char *value)
{
    struct ink_error error = {0};
    if (read_with(key, value, &error) != INK_OK) {
        fail_msg("\"%s\": %s: %s", key, value ? value : "(missing)", error.message);
    }
}

static void the_good_one_opens(void **state)
{
    (void)state;
    assert_accepted("none", NULL);
    assert_accepted("num_key_value_heads", NULL);
    assert_accepted("head_dim", NULL); /* 96 / 6 */
    assert_accepted("unknown_key", "{\"deep\": [1, 2]}");
}

static void sizes(void **state)
{
    (void)state;
    static const char *const required[] = {"vocab_size", "hidden_size", "intermediate_size",
                                           "num_hidden_layers", "num_attention_heads"};
    static const char *const values[] = {
        "\"96\"", "-1", "0",    "2147483648",          "1e308", "1.5",
        "[96]",   "{}", "true", "9223372036854775808", "-1e999"};
    for (size_t k = 0; k < INK_COUNT(required); k++) {
        assert_refused(required[k], NULL);
        assert_refused(required[k], "null");
        for (size_t i = 0; i < INK_COUNT(values); i++) {
            assert_refused(required[k], values[i]);
        }
    }
    static const char *const optional[] = {"num_key_value_heads", "head_dim",
                                           "max_position_embeddings"};
    for (size_t k = 0; k < INK_COUNT(optional); k++) {
        for (size_t i = 0; i < INK_COUNT(values); i++) {
            assert_refused(optional[k], values[i]);
        }
    }
    assert_refused("num_hidden_layers", "1000000");
    assert_refused("num_key_value_heads", "4"); /* 6 % 4 */
    assert_refused("head_dim", "31");
    assert_refused("num_attention_heads", "7");
    assert_refused("head_dim", "65536000");
}

static void numbers_and_switches(void **state)
{
    (void)state;
    static const char *const bad_eps[] = {"0", "-1e-5", "\"x\"", "1e308", "true", "[]"};
    for (size_t i = 0; i < INK_COUNT(bad_eps); i++) {
        assert_refused("rms_norm_eps", bad_eps[i]);
        assert_refused("rope_theta", bad_eps[i]);
    }
    assert_refused("tie_word_embeddings", "1");
    assert_refused("use_bias", "\"false\"");
    assert_refused("hidden_act", "\"gelu\"");
    assert_refused("hidden_act", "7");
    assert_refused("rope_scaling", "{\"type\": \"yarn\", \"factor\": 4}");
    assert_refused("rope_scaling", "{\"rope_type\": \"llama3\"}");
    assert_refused("rope_scaling", "7");
    assert_accepted("rope_scaling", "null");
    assert_accepted("rope_parameters", "{\"rope_type\": \"default\", \"rope_theta\": 10000.0}");
    assert_refused("quantization_config", "{\"quant_method\": \"gptq\"}");
    assert_refused("moe_num_experts", "64");
    assert_refused("compression_ratio", "2");
}

static void architectures(void **state)
{
    (void)state;
    assert_refused("architectures", "[\"Qwen3ForCausalLM\"]");
    assert_refused("architectures", "[]");
    assert_refused("architectures", "\"Ernie4_5ForCausalLM\"");
    assert_refused("architectures", "[7]");
    assert_accepted("architectures", NULL); /* model_type says it */
    assert_accepted("architectures", "[\"Ernie4_5ForCausalLM\"]");
    assert_accepted("architectures", "[\"LlamaForCausalLM\"]");
}

static void end_tokens(void **state)
{
    (void)state;
    struct ink_string s = {0};
    static const int counts[] = {1, 300, 640};
    for (size_t k = 0; k < INK_COUNT(counts); k++) {
        ink_string_puts(&s, "[0");
        for (int i = 1; i < counts[k]; i++) {
            ink_string_printf(&s, ",%d", i);
        }
        ink_string_puts(&s, "]");
        assert_accepted("eos_token_id", s.data);
        ink_string_free(&s);
    }
    assert_accepted("eos_token_id", "[]");
    assert_accepted("eos_token_id", "null");
    assert_accepted("eos_token_id", "[2, 2, 2]");
    static const char *const bad[] = {"640", "1.5", "\"2\"", "[640]", "[2,\"x\"]", "-2", "[[2]]"};
    for (size_t i = 0; i < INK_COUNT(bad); i++) {
        assert_refused("eos_token_id", bad[i]);
    }
    assert_refused("bos_token_id", "640");
    assert_refused("pad_token_id", "\"x\"");
}

static void assert_file_refused(const char *bytes, size_t n)
{
    static struct ink_architecture a;
    struct ink_error error = {0};
    write_file("config.json", bytes, n);
    assert_int_equal(ink_architecture_read_folder(&a, folder, &error), INK_ERROR_INPUT);
    assert_non_null(strstr(error.message, "config.json"));
}

static void whole_files(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "[]",
                                      "7",
                                      "{",
                                      "{} {}",
                                      "\xEF\xBB\xBF{}",
                                      "{\"a\":1,\"a\":2}",
                                      "{\"vocab_size\": 1, \"vocab_size\": 2}"};
    for (size_t i = 0; i < INK_COUNT(bad); i++) {
        assert_file_refused(bad[i], strlen(bad[i]));
    }
    size_t n = 100u << 20;
    char *big = malloc(n);
    memset(big, ' ', n);
    big[0] = '{';
    big[n - 1] = '}';
    double start = cpu_seconds();
    assert_file_refused(big, n);
    assert_true(cpu_seconds() - start < 2 * time_limit()); /* most of it is writing the file */
    memset(big, '[', 1001);
    memset(big + 1001, ']', 1001);
    assert_file_refused(big, 2002);
    free(big);
    static const char crlf[] = "{\r\n\"model_type\": \"ernie4_5\",\r\n\"vocab_size\": \"x\"\r\n}";
    assert_file_refused(crlf, sizeof crlf - 1);
}

static void generation_config(void **state)
{
    (void)state;
    static struct ink_architecture a;
    struct ink_error error = {0};
    assert_accepted("none", NULL);
    static const char ok[] =
        "{\"do_sample\": true, \"top_p\": 0.8, \"temperature\": 0.7, \"top_k\": 20,"
        " \"repetition_penalty\": 1.1, \"eos_token_id\": [2, 7]}";
    write_file("generation_config.json", ok, sizeof ok - 1);
    assert_ok(ink_architecture_read_folder(&a, folder, &error));
    assert_true(a.sampling.top_p == 0.8f && a.sampling.temperature == 0.7f);
    assert_int_equal(a.sampling.top_k, 20);
    assert_int_equal(a.n_end_tokens, 2);
    static const char greedy[] = "{\"temperature\": 0.7}";
    write_file("generation_config.json", greedy, sizeof greedy - 1);
    assert_ok(ink_architecture_read_folder(&a, folder, &error));
    assert_true(a.sampling.temperature == 0);
    static const char *const bad[] = {
        "{\"top_p\": 2}",
        "{\"top_p\": \"x\"}",
        "{\"temperature\": -1}",
        "{\"top_k\": 1.5}",
        "{\"do_sample\": 1}",
        "{\"repetition_penalty\": 0}",
        "{\"eos_token_id\": 100000}",
        "[]",
        "",
    };
    for (size_t i = 0; i < INK_COUNT(bad); i++) {
        write_file("generation_config.json", bad[i], strlen(bad[i]));
        assert_int_equal(ink_architecture_read_folder(&a, folder, &error), INK_ERROR_INPUT);
        assert_non_null(strstr(error.message, "generation_config.json"));
    }
}

static void no_folder(void **state)
{
    (void)state;
    struct ink_model *m = NULL;
    struct ink_error error = {0};
    assert_int_equal(ink_model_open(&m, "/nonexistent/模型", NULL, &error), INK_ERROR_INPUT);
    assert_null(m);
    assert_non_null(strstr(error.message, "/nonexistent/模型"));
    assert_int_equal(ink_model_open(&m, "/dev/null", NULL, &error), INK_ERROR_INPUT);
    assert_int_equal(ink_model_open(&m, "", NULL, &error), INK_ERROR_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_good_one_opens),   cmocka_unit_test(sizes),
        cmocka_unit_test(numbers_and_switches), cmocka_unit_test(architectures),
        cmocka_unit_test(end_tokens),           cmocka_unit_test(whole_files),
        cmocka_unit_test(generation_config),    cmocka_unit_test(no_folder),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
