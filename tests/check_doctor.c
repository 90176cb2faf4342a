/* The doctor: every line of a sound model is ok, a recorded run is recognised and replayed, and
 * weights that are not what they seem are found out. */
#include "support.h"

#include "../src/oracle.h"

#include <math.h>

struct lines {
    int n, n_bad;
    char text[64][640]; /* "name: value" */
};

static void take(void *context, const char *name, const char *value, bool ok)
{
    struct lines *l = context;
    assert_true(l->n < 64);
    assert_true(name[0] && value[0]);
    snprintf(l->text[l->n++], sizeof l->text[0], "%s: %s", name, value);
    l->n_bad += !ok;
    if (!ok) {
        printf("# %s: %s\n", name, value);
    }
}

static const char *find(const struct lines *l, const char *part)
{
    for (int i = 0; i < l->n; i++) {
        if (strstr(l->text[i], part)) {
            return l->text[i];
        }
    }
    return NULL;
}

static int examine(struct ink_model *m, struct lines *l)
{
    struct ink_error error = {0};
    *l = (struct lines){0};
    const int n = ink_doctor(m, take, l, &error);
    assert_true(n >= 0);
    assert_int_equal(n, l->n_bad);
    return n;
}

static void test_without_model(void **state)
{
    static struct lines l;
    (void)state;
    assert_int_equal(examine(NULL, &l), 0);
    assert_non_null(find(&l, ink_version()));
    assert_non_null(find(&l, "GB/s"));
    assert_non_null(find(&l, "the same bits from all"));
    ink_set_language("zh");
    assert_int_equal(examine(NULL, &l), 0);
    ink_set_language("en");
    assert_non_null(find(&l, "指令集"));
}

/* As a folder, as GGUF, and with each instruction set. */
static void test_recorded_run(void **state)
{
    static struct lines l;
    struct ink_error error = {0};
    (void)state;
    struct ink_model *m = open_model_at(shared_path("data/stories260K/as-ernie45"), 1, NULL);
    assert_int_equal(examine(m, &l), 0);
    assert_non_null(find(&l, "stories260K, recognised by content: 32 of 32 greedy tokens"));
    assert_non_null(find(&l, "stories260K, as published"));
    remove("check_doctor.tmp.gguf");
    assert_ok(ink_export(m, "check_doctor.tmp.gguf", NULL, NULL, NULL, &error));
    ink_model_close(m);
    m = open_model_at("check_doctor.tmp.gguf", 0, "c");
    assert_int_equal(examine(m, &l), 0);
    assert_non_null(find(&l, "recognised by content: 32 of 32"));
    ink_model_close(m);
    remove("check_doctor.tmp.gguf");
}

static void test_unknown_weights(void **state)
{
    static const char *const names[] = {"fixtures/ernie-tiny", "fixtures/llama-tiny",
                                        "fixtures/ernie-tiny-untied-bias"};
    static struct lines l;
    (void)state;
    for (size_t i = 0; i < INK_COUNT(names); i++) {
        struct ink_model *m = open_model_at(shared_path(names[i]), 0, NULL);
        assert_int_equal(examine(m, &l), 0);
        assert_non_null(find(&l, "not a known release"));
        ink_model_close(m);
    }
}

/* A copy of stories260K with one value changed, outside the embedding: known by its embedding,
 * betrayed by its run. */
static void check_damaged(const char *tensor, float value, const char *expected)
{
    static struct lines l;
    struct ink_error error = {0};
    struct ink_weights w;
    struct ink_writer out;
    struct ink_mapping file;
    const char *path = "check_doctor.tmp.gguf", *sound = "check_doctor.tmp2.gguf";
    struct ink_model *m = open_model_at(shared_path("data/stories260K/as-ernie45"), 1, NULL);
    assert_ok(ink_export(m, sound, "f32", NULL, NULL, &error));
    ink_model_close(m);
    assert_ok(ink_weights_open(&w, sound, &error));
    assert_ok(ink_map_file(&file, sound, &error));
    const struct ink_tensor *t = ink_weights_find(&w, tensor);
    const size_t at = (size_t)((const unsigned char *)t->data - w.files[0].data);
    assert_ok(ink_writer_open(&out, path, &error));
    assert_ok(ink_writer_put(&out, file.data, at, &error));
    assert_ok(ink_writer_put(&out, &value, sizeof value, &error));
    assert_ok(ink_writer_put(&out, file.data + at + 4, (size_t)file.size - at - 4, &error));
    assert_ok(ink_writer_commit(&out, &error));
    ink_writer_close(&out);
    ink_unmap_file(&file);
    ink_weights_close(&w);
    m = open_model_at(path, 1, NULL);
    assert_true(examine(m, &l) > 0);
    assert_non_null(find(&l, expected));
    ink_model_close(m);
    remove(path);
    remove(sound);
}

static void test_damage(void **state)
{
    (void)state;
    check_damaged("blk.2.ffn_norm.weight", 30.0f, "stories260K, recognised by content");
    check_damaged("blk.4.ffn_down.weight", NAN, "1 of 260032 values are not finite");
}

/* The tables have the shape that the program reads them by. */
static void test_tables(void **state)
{
    (void)state;
    for (int i = 0; i < ink_n_oracles; i++) {
        const struct ink_oracle *o = &ink_oracles[i];
        assert_true(o->n_prompt > 0 && o->n_answer > 0);
        for (int k = 0; k < (o->n_layers + 1) * INK_ORACLE_TOP; k++) {
            assert_true(o->channels[k] >= 0 && o->channels[k] < o->hidden_size);
        }
        for (int k = 0; k < INK_ORACLE_TOP; k++) {
            assert_true(o->top_ids[k] >= 0 && o->top_ids[k] < o->vocab_size);
        }
        assert_int_equal(o->top_ids[0], o->answer[0]);
    }
    for (int i = 0; i < ink_n_known_files; i++) {
        assert_int_equal(strlen(ink_known_files[i].sha256), 64);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_model),   cmocka_unit_test(test_recorded_run),
        cmocka_unit_test(test_unknown_weights), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
