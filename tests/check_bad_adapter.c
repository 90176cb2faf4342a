/* Adapters that must be refused, in words that name the file and what is wrong with it, and those
 * near them that must not; every allocation of opening one fails in turn. */
#include "bad_weights.h"

#include <math.h>

static char folder[512];
static struct ink_model *model; /* ernie-tiny: 3 layers, H 96, q 192 x 96, v 64 x 96 */

static const char base_config[] =
    "{\"peft_type\": \"LORA\", \"r\": 2, \"lora_alpha\": 4, \"bias\": \"none\","
    " \"target_modules\": [\"q_proj\", \"v_proj\"], \"modules_to_save\": null,"
    " \"layers_to_transform\": null, \"rank_pattern\": {}, \"alpha_pattern\": {},"
    " \"use_rslora\": false, \"use_dora\": false, \"init_lora_weights\": true}";

static int make_scratch(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/inkstone-adapter-%.0f", tmp ? tmp : "/tmp",
             ink_system_seconds() * 1e6);
    return ink_make_folder(folder, NULL);
}

static int remove_scratch(void **state)
{
    (void)state;
    ink_model_close(model);
    ink_remove_folder(folder);
    return 0;
}

static const char *in_folder(const char *name)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put_text(const char *name, const char *text)
{
    struct ink_string s = {0};
    ink_string_puts(&s, text);
    write_file(in_folder(name), &s);
    ink_string_free(&s);
}

/* The base configuration with the field's value replaced; NULL: without it. */
static void put_config(const char *field, const char *value)
{
    cJSON *root = cJSON_Parse(base_config);
    cJSON_DeleteItemFromObjectCaseSensitive(root, field);
    if (value) {
        cJSON *item = cJSON_Parse(value);
        assert_non_null(item);
        cJSON_AddItemToObject(root, field, item);
    }
    char *text = cJSON_Print(root);
    put_text("adapter_config.json", text);
    cJSON_free(text);
    cJSON_Delete(root);
}

/* ------------------------------------------------------------------------------------- tensors */

/* How the set of tensors is spoilt, or varied. All names are of layer 1, "v_proj.lora_B". */
struct damage {
    bool without;        /* it is missing */
    bool doubled;        /* there with the adapter's name, too */
    const char *extra;   /* one more tensor of this name */
    const char *shape;   /* another shape of the same 128 values */
    const char *type;    /* "F16" or "BF16" for all; NULL: F32 */
    float value;         /* its first value, if not 0 */
    bool default_name;   /* all have the adapter's name in theirs */
    const char *modules; /* NULL: "qv"; a letter for each projection, of these */
};

struct making {
    struct ink_string header, data;
    const struct damage *damage;
};

static void put_tensor(struct making *m, const char *name, const char *shape, int n, float first)
{
    const char *type = m->damage->type ? m->damage->type : "F32";
    const size_t size = m->damage->type ? 2 : 4, at = m->data.length;
    ink_string_printf(&m->header, "%s\"%s\": {\"dtype\": \"%s\", \"shape\": %s, ", at ? ", " : "{",
                      name, type, shape);
    ink_string_printf(&m->header, "\"data_offsets\": [%d, %d]}", (int)at, (int)(at + n * size));
    for (int i = 0; i < n; i++) {
        const float value = i == 0 && first != 0 ? first : 0.01f * (float)(i % 7 - 3);
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        if (size == 4) {
            put_u32(&m->data, bits);
        } else {
            put_u16(&m->data, strcmp(type, "BF16") == 0 ? bits >> 16 : 0x2000 + (unsigned)i % 99);
        }
    }
}

static void name_tensor(char *out, size_t n, int layer, const char *module, char which,
                        bool default_name)
{
    snprintf(out, n, "base_model.model.model.layers.%d.self_attn.%s_proj.lora_%c%s.weight", layer,
             module, which, default_name ? ".default" : "");
}

static void put_matrix(struct making *m, int layer, char module, char which)
{
    const struct damage *d = m->damage;
    const char letters[2] = {module, 0};
    const int rows = module == 'q' ? 192 : 64;
    const bool is_spoilt = layer == 1 && module == 'v' && which == 'B';
    char name[128], shape[32];
    if (which == 'A') {
        snprintf(shape, sizeof shape, "[2, 96]");
    } else {
        snprintf(shape, sizeof shape, "[%d, 2]", rows);
    }
    name_tensor(name, sizeof name, layer, letters, which, d->default_name);
    if (!(is_spoilt && d->without)) {
        put_tensor(m, name, is_spoilt && d->shape ? d->shape : shape,
                   which == 'A' ? 2 * 96 : rows * 2, is_spoilt ? d->value : 0);
    }
    if (is_spoilt && d->doubled) {
        name_tensor(name, sizeof name, layer, letters, which, !d->default_name);
        put_tensor(m, name, shape, rows * 2, 0);
    }
}

static void put_weights(const struct damage *d)
{
    struct making m = {.damage = d};
    struct ink_string file = {0};
    for (int layer = 0; layer < 3; layer++) {
        for (const char *module = d->modules ? d->modules : "qv"; *module; module++) {
            put_matrix(&m, layer, *module, 'A');
            put_matrix(&m, layer, *module, 'B');
        }
    }
    if (d->extra) {
        put_tensor(&m, d->extra, "[2, 96]", 2 * 96, 0);
    }
    ink_string_puts(&m.header, "}");
    put_u64(&file, m.header.length);
    ink_string_append(&file, m.header.data, m.header.length);
    ink_string_append(&file, m.data.data, m.data.length);
    assert_false(file.failed || m.header.failed || m.data.failed);
    write_file(in_folder("adapter_model.safetensors"), &file);
    ink_string_free(&file);
    ink_string_free(&m.header);
    ink_string_free(&m.data);
}

/* ------------------------------------------------------------------------------------- outcomes */

static struct ink_model *tiny(void)
{
    if (!model) {
        model = open_model_at(shared_path("fixtures/ernie-tiny"), 1, NULL);
    }
    return model;
}

static void refuses_adapter(const char *file, const char *says, const char *what)
{
    struct ink_error error = {0};
    struct ink_adapter *a = NULL;
    const double start = cpu_seconds();
    const int status = ink_adapter_open(&a, tiny(), folder, 1, &error);
    if (status != INK_ERROR_INPUT || error.code != status || a || !strstr(error.message, file) ||
        !strstr(error.message, says) || strchr(error.message, '\n')) {
        fail_msg("%s: status %d, \"%s\" (wanted: \"%s\", \"%s\")", what, status, error.message,
                 file, says);
    }
    if (cpu_seconds() - start > time_limit()) {
        fail_msg("%s: took %g s", what, cpu_seconds() - start);
    }
}

static void accepts_adapter(int rank, int n_targets, const char *what)
{
    struct ink_error error = {0};
    struct ink_adapter *a = NULL;
    if (ink_adapter_open(&a, tiny(), folder, 1, &error) != INK_OK) {
        fail_msg("%s: %s", what, error.message);
    }
    assert_int_equal(ink_adapter_get_info(a)->rank, rank);
    assert_int_equal(ink_adapter_get_info(a)->n_targets, n_targets);
    ink_adapter_close(a);
}

/* --------------------------------------------------------------------------------------- tests */

static void configurations(void **state)
{
    static const struct {
        const char *field, *value, *says;
    } cases[] = {
        {"peft_type", NULL, "\"peft_type\" is missing"},
        {"peft_type", "\"IA3\"", "\"peft_type\" is \"IA3\""},
        {"peft_type", "7", "\"peft_type\""},
        {"r", NULL, "\"r\" is missing"},
        {"r", "0", "\"r\" is 0, allowed are 1 to 1024"},
        {"r", "-4", "\"r\" is -4"},
        {"r", "2147483648", "\"r\" is 2147483648"},
        {"r", "1e308", "\"r\" is"},
        {"r", "1025", "\"r\" is 1025"},
        {"r", "2.5", "\"r\""},
        {"r", "\"2\"", "\"r\""},
        {"r", "3", "rank and model say 3 x 96"},
        {"r", "1024", "rank and model say 1024 x 96"},
        {"lora_alpha", NULL, "\"lora_alpha\" is missing"},
        {"lora_alpha", "1e308", "\"lora_alpha\" is"},
        {"lora_alpha", "\"NaN\"", "\"lora_alpha\" is not a number"},
        {"bias", "\"all\"", "\"bias\" is \"all\""},
        {"bias", "\"lora_only\"", "\"bias\" is \"lora_only\""},
        {"bias", "3", "\"bias\""},
        {"use_dora", "true", "\"use_dora\" is set"},
        {"use_qalora", "true", "\"use_qalora\" is set"},
        {"lora_bias", "true", "\"lora_bias\" is set"},
        {"modules_to_save", "[\"lm_head\"]", "\"modules_to_save\" is set"},
        {"target_parameters", "[\"x\"]", "\"target_parameters\" is set"},
        {"trainable_token_indices", "[1]", "\"trainable_token_indices\" is set"},
        {"layer_replication", "[[0, 2]]", "\"layer_replication\" is set"},
        {"alora_invocation_tokens", "[5]", "\"alora_invocation_tokens\" is set"},
        {"arrow_config", "{\"top_k\": 1}", "\"arrow_config\" is set"},
        {"init_lora_weights", "\"pissa\"", "\"init_lora_weights\" is \"pissa\""},
        {"init_lora_weights", "\"olora\"", "\"init_lora_weights\" is \"olora\""},
        {"use_rslora", "\"yes\"", "\"use_rslora\""},
        {"target_modules", NULL, "\"target_modules\" is missing"},
        {"target_modules", "null", "\"target_modules\" is missing"},
        {"target_modules", "[]", "\"target_modules\" is missing"},
        {"target_modules", "3", "\"target_modules\" is not a list of names"},
        {"target_modules", "[\"q_proj\", 3]", "\"target_modules\" is not a list of names"},
        {"target_modules", "[\"q_proj\", \"\"]", "\"target_modules\" is not a list of names"},
        {"target_modules", "[\"q_proj\", \"lm_head\"]", "\"lm_head\" is no matrix"},
        {"target_modules", "[\"embed_tokens\"]", "\"embed_tokens\" is no matrix"},
        {"target_modules", "[\"q_proj\", \"v_proj\", \"qkv\"]", "\"qkv\" is no matrix"},
        {"target_modules", "[\"proj\"]", "\"proj\" is no matrix"},
        {"target_modules", "[\"model.layers.3.self_attn.q_proj\"]", "is no matrix"},
        {"target_modules", "[\"q_proj\"]", "v_proj.lora_A.weight\" is not of a matrix"},
        {"target_modules", "[\"q_proj\", \"v_proj\", \"k_proj\"]",
         "k_proj.lora_A.weight\" is missing"},
        {"target_modules", "\"all-linear\"", "k_proj.lora_A.weight\" is missing"},
        {"target_modules",
         "[\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\","
         "\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\"]",
         "\"target_modules\" has 22 entries (limit 21)"},
        {"exclude_modules", "\".*q_proj\"", "\"exclude_modules\" is not a list of names"},
        {"exclude_modules", "[\"v_proj\"]", "v_proj.lora_A.weight\" is not of a matrix"},
        {"exclude_modules", "[\"q_proj\", \"v_proj\"]", "is not of a matrix"},
        {"layers_to_transform", "[0, 1]", "layers.2.self_attn.q_proj.lora_A.weight\" is not of"},
        {"layers_to_transform", "2", "layers.0.self_attn.q_proj.lora_A.weight\" is not of"},
        {"layers_to_transform", "[0, 1, 2, 3]", "\"layers_to_transform\" is 3"},
        {"layers_to_transform", "-1", "\"layers_to_transform\" is -1"},
        {"layers_to_transform", "\"all\"", "\"layers_to_transform\" is not"},
        {"layers_to_transform", "[\"0\"]", "\"layers_to_transform\" is not"},
        {"layers_pattern", "\"h\"", "\"layers_pattern\" is set"},
        {"layers_pattern", "[\"layers\", \"h\"]", "\"layers_pattern\" is set"},
        {"rank_pattern", "{\"q_proj\": 0}", "\"rank_pattern\" is 0"},
        {"rank_pattern", "{\"q_proj\": 2000}", "\"rank_pattern\" is 2000"},
        {"rank_pattern", "{\"q_proj\": 2.5}", "\"rank_pattern\" is not an object of integers"},
        {"rank_pattern", "{\"q_proj\": \"4\"}", "\"rank_pattern\" is not an object of integers"},
        {"rank_pattern", "[4]", "\"rank_pattern\" is not an object of integers"},
        {"rank_pattern", "{\".*q_proj\": 2}", "\".*q_proj\" is a regular expression"},
        {"rank_pattern", "{\"v_proj\": 4}", "rank and model say 4 x 96"},
        {"alpha_pattern", "{\"q_proj\": 1e300}", "\"alpha_pattern\" is"},
        {"alpha_pattern", "{\"(q|v)_proj\": 2}", "\"(q|v)_proj\" is a regular expression"},
        {"alpha_pattern", "true", "\"alpha_pattern\" is not an object of numbers"},
    };
    (void)state;
    put_weights(&(struct damage){0});
    for (size_t i = 0; i < INK_COUNT(cases); i++) {
        char what[160];
        snprintf(what, sizeof what, "%s: %s", cases[i].field,
                 cases[i].value ? cases[i].value : "-");
        put_config(cases[i].field, cases[i].value);
        const bool of_weights = strstr(cases[i].says, "rank and model") ||
                                strstr(cases[i].says, "is not of") ||
                                strstr(cases[i].says, "weight\" is missing");
        refuses_adapter(of_weights ? "adapter_model.safetensors" : "adapter_config.json",
                        cases[i].says, what);
    }
}

static void configurations_that_are_no_json(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "not valid JSON"},
        {"[]", "not a JSON object"},
        {"{\"r\": 2", "not valid JSON"},
        {"{\"peft_type\": \"LORA\", \"r\": 2, \"lora_alpha\": NaN}", "not valid JSON"},
        {"{\"peft_type\": \"LORA\", \"r\": 2, \"r\": 2}", "duplicate key"},
        {"{\"peft_type\": \"LORA\", \"r\": 2, \"lora_alpha\": 1e999}", "too large"},
        {"\xEF\xBB\xBF{}", "not valid JSON"},
        {"{\"peft_type\": \"\\u0000\"}", "\\u0000"},
    };
    (void)state;
    for (size_t i = 0; i < INK_COUNT(cases); i++) {
        put_text("adapter_config.json", cases[i].text);
        refuses_adapter("adapter_config.json", cases[i].says, cases[i].text);
    }
    remove(in_folder("adapter_config.json"));
    refuses_adapter("adapter_config.json", "", "no configuration");
}

static void tensors(void **state)
{
    static const char spoilt[] = "layers.1.self_attn.v_proj.lora_B.weight";
    static const struct {
        struct damage damage;
        const char *says;
    } cases[] = {
        {{.without = true}, "v_proj.lora_B.weight\" is missing"},
        {{.doubled = true}, "v_proj.lora_B.weight\" is not of a matrix"},
        {{.extra = "model.embed_tokens.weight"}, "\"model.embed_tokens.weight\" is not of a"},
        {{.extra = "base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight"},
         "layers.3.self_attn.q_proj.lora_A.weight\" is not of a matrix"},
        {{.extra = "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector"},
         "lora_magnitude_vector\" is not of a matrix"},
        {{.shape = "[2, 64]"}, "is 2 x 64, rank and model say 64 x 2"},
        {{.shape = "[128, 1]"}, "is 128 x 1, rank and model say 64 x 2"},
        {{.shape = "[128]"}, "has 1 dimensions, not 2"},
        {{.shape = "[64, 2, 1]"}, "has 3 dimensions, not 2"},
        {{.value = NAN}, "has 1 values that are not finite"},
        {{.value = INFINITY}, "has 1 values that are not finite"},
        {{.value = 3e38f}, "has 1 values that are not finite"}, /* times 2 */
        {{.value = NAN, .type = "BF16"}, "has 1 values that are not finite"},
        {{.modules = "q"}, "v_proj.lora_A.weight\" is missing"},
        {{.modules = "qvk"}, "k_proj.lora_A.weight\" is not of a matrix"},
    };
    (void)state;
    put_config("none", NULL);
    for (size_t i = 0; i < INK_COUNT(cases); i++) {
        put_weights(&cases[i].damage);
        refuses_adapter("adapter_model.safetensors", cases[i].says, cases[i].says);
        if (cases[i].damage.shape || cases[i].damage.value != 0) {
            refuses_adapter("adapter_model.safetensors", spoilt, cases[i].says);
        }
    }
}

static void files(void **state)
{
    (void)state;
    put_config("none", NULL);
    put_text("adapter_model.safetensors", "\1");
    refuses_adapter("adapter_model.safetensors", "", "one byte");
    put_text("adapter_model.safetensors", "version https://git-lfs.github.com/spec/v1\noid ");
    refuses_adapter("adapter_model.safetensors", "", "a Git LFS pointer");
    remove(in_folder("adapter_model.safetensors"));
    refuses_adapter(folder, "no weights of an adapter", "no weights");
    put_text("adapter_model.bin", "PK\3\4");
    refuses_adapter("adapter_model.bin", "", "a damaged zip file");
    remove(in_folder("adapter_model.bin"));
    /* a model is no adapter */
    struct ink_error error = {0};
    struct ink_adapter *a;
    assert_int_equal(ink_adapter_open(&a, tiny(), shared_path("fixtures/ernie-tiny"), 1, &error),
                     INK_ERROR_INPUT);
    assert_non_null(strstr(error.message, "adapter_config.json"));
    assert_int_equal(ink_adapter_open(&a, tiny(), "/no/such/folder", 1, &error), INK_ERROR_INPUT);
}

/* One byte less, and every multiple of 4 KiB less than that; a flipped bit of the head is an
 * adapter or refused. */
static void cut_and_flipped(void **state)
{
    struct ink_error error = {0};
    struct ink_mapping file;
    struct ink_string whole = {0};
    (void)state;
    put_config("none", NULL);
    put_weights(&(struct damage){0});
    assert_ok(ink_map_file(&file, in_folder("adapter_model.safetensors"), &error));
    ink_string_append(&whole, (const char *)file.data, (size_t)file.size);
    ink_unmap_file(&file);
    for (size_t n = whole.length - 1; n > 0; n = n % 4096 ? n - n % 4096 : n - 4096) {
        struct ink_string part = {.data = whole.data, .length = n};
        write_file(in_folder("adapter_model.safetensors"), &part);
        refuses_adapter("adapter_model.safetensors", "", "cut");
    }
    for (size_t at = 0; at < 300; at++) {
        struct ink_adapter *a = NULL;
        whole.data[at] ^= (char)(1 << at % 8);
        write_file(in_folder("adapter_model.safetensors"), &whole);
        const int status = ink_adapter_open(&a, tiny(), folder, 1, &error);
        assert_true(status == INK_OK || (status == INK_ERROR_INPUT && !a));
        ink_adapter_close(a);
        whole.data[at] ^= (char)(1 << at % 8);
    }
    ink_string_free(&whole);
}

static void scales(void **state)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    struct ink_error error = {0};
    struct ink_adapter *a;
    (void)state;
    put_config("none", NULL);
    put_weights(&(struct damage){0});
    for (size_t i = 0; i < INK_COUNT(bad); i++) {
        assert_int_equal(ink_adapter_open(&a, tiny(), folder, bad[i], &error), INK_ERROR_ARGUMENT);
        assert_null(a);
        assert_non_null(strstr(error.message, folder));
    }
    /* finite, but not so what it scales */
    assert_int_equal(ink_adapter_open(&a, tiny(), folder, 3e38f, &error), INK_OK);
    ink_adapter_close(a);
    put_weights(&(struct damage){.value = 1e10f});
    assert_int_equal(ink_adapter_open(&a, tiny(), folder, 3e38f, &error), INK_ERROR_INPUT);
    assert_non_null(strstr(error.message, "not finite"));
}

/* What looks odd and is all right. */
static void near_misses(void **state)
{
    static const struct {
        const char *field, *value;
        int n_targets;
    } cases[] = {
        {"none", NULL, 6},
        {"bias", "null", 6},
        {"bias", NULL, 6},
        {"modules_to_save", "[]", 6},
        {"lora_alpha", "-0.5", 6},
        {"lora_alpha", "0", 6},
        {"init_lora_weights", "\"gaussian\"", 6},
        {"target_modules", "[\"self_attn.q_proj\", \"v_proj\", \"v_proj\"]", 6},
        {"target_modules", "\".*self_attn.[qv]_proj\"", 6}, /* its tensors tell */
        {"exclude_modules", "[\"k_proj\", \"lm_head\"]", 6},
        {"layers_to_transform", "[2, 0, 1]", 6},
        {"layers_to_transform", "[]", 6},
        {"layers_pattern", "\"layers\"", 6},
        {"layers_pattern", "[\"layers\"]", 6},
        {"rank_pattern", "{\"k_proj\": 7, \"v_proj\": 2, \"proj\": 9}", 6},
        {"rank_pattern", "{\"^q_proj\": 9}", 6}, /* a whole name, which no matrix has */
        {"alpha_pattern", "{\"^model.layers.0.self_attn.q_proj\": 3}", 6},
        {"something_new", "{\"a\": [1]}", 6},
    };
    (void)state;
    put_weights(&(struct damage){0});
    for (size_t i = 0; i < INK_COUNT(cases); i++) {
        put_config(cases[i].field, cases[i].value);
        accepts_adapter(2, cases[i].n_targets, cases[i].field);
    }
    put_config("none", NULL);
    put_weights(&(struct damage){.default_name = true});
    accepts_adapter(2, 6, "lora_A.default.weight");
    put_weights(&(struct damage){.type = "F16"});
    accepts_adapter(2, 6, "F16");
    put_weights(&(struct damage){.type = "BF16"});
    accepts_adapter(2, 6, "BF16");
    put_config("target_modules", "[\"q_proj\"]");
    put_weights(&(struct damage){.modules = "q"});
    accepts_adapter(2, 3, "one projection");
}

static void every_allocation(void **state)
{
    struct ink_error error = {0};
    struct ink_adapter *a;
    (void)state;
    put_config("rank_pattern", "{\"v_proj\": 2}");
    put_weights(&(struct damage){0});
    tiny();
    ink_fail_allocation(0, false);
    assert_ok(ink_adapter_open(&a, model, folder, 1, &error));
    ink_adapter_close(a);
    const long total = ink_fail_allocation(0, false);
    assert_true(total > 50);
    for (long n = 1; n <= total; n++) {
        for (int sticky = 0; sticky < 2; sticky++) {
            error = (struct ink_error){0};
            ink_fail_allocation(n, sticky);
            const int status = ink_adapter_open(&a, model, folder, 1, &error);
            ink_fail_allocation(0, false);
            if (status != INK_ERROR_MEMORY || error.code != status || a) {
                fail_msg("allocation %ld failed and gave %d, \"%s\"", n, status, error.message);
            }
        }
    }
}

int main(void)
{
    cJSON_Hooks hooks = {ink_malloc, ink_free}; /* cJSON's allocations count, too */
    cJSON_InitHooks(&hooks);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configurations),  cmocka_unit_test(configurations_that_are_no_json),
        cmocka_unit_test(tensors),         cmocka_unit_test(files),
        cmocka_unit_test(cut_and_flipped), cmocka_unit_test(scales),
        cmocka_unit_test(near_misses),     cmocka_unit_test(every_allocation),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
