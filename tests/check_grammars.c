/* The server's kept grammars: found again, bounded, released in any order, used by threads. */
#include "../src/serve/grammars.h"
#include "grammar_support.h"

static struct ink_grammar_use *take(struct ink_grammars *g, const char *schema)
{
    struct ink_error error = {0};
    struct ink_grammar_use *use = NULL;
    const struct ink_grammar_source source = {.schema = schema, .n = schema ? strlen(schema) : 0};
    assert_ok(ink_grammars_take(g, &use, &source, &error));
    assert_non_null(ink_grammar_use_get(use));
    return use;
}

static struct ink_grammars *open_grammars(const struct ink_model *m)
{
    struct ink_error error = {0};
    struct ink_grammars *g = NULL;
    assert_ok(ink_grammars_open(&g, m, &error));
    return g;
}

static void found_again(void **state)
{
    (void)state;
    struct ink_model *m = small_model();
    struct ink_grammars *g = open_grammars(m);
    uint64_t bytes;
    assert_non_null(m->trie->data); /* the first request finds it */
    assert_int_equal(ink_grammars_kept(g, &bytes), 1);
    struct ink_grammar_use *a = take(g, "{\"type\":\"string\"}"),
                           *b = take(g, "{\"type\":\"null\"}"),
                           *c = take(g, "{\"type\":\"string\"}"), *any = take(g, NULL),
                           *schema = take(g, "{}");
    assert_ptr_equal(a, c);
    assert_ptr_not_equal(a, b);
    assert_ptr_not_equal(any, schema);
    assert_int_equal(ink_grammars_kept(g, &bytes), 4);
    assert_true(bytes > 1000 && bytes < INK_GRAMMARS_BYTES);
    struct ink_grammar_use *all[] = {a, b, c, any, schema, NULL};
    for (size_t i = 0; i < INK_COUNT(all); i++) {
        ink_grammars_release(g, all[i]);
    }
    assert_null(ink_grammar_use_get(NULL));
    struct ink_error error = {0};
    const struct ink_grammar_source bad = {.schema = "{\"type\":3}", .n = 10};
    assert_int_equal(ink_grammars_take(g, &a, &bad, &error), INK_ERROR_ARGUMENT);
    assert_null(a);
    assert_int_equal(ink_grammars_kept(g, &bytes), 4);
    ink_grammars_close(g);
    close_model_of_tokenizer(m);
}

/* Tools that differ in anything are different; where one text ends and the next begins counts. */
static void tools_differ(void **state)
{
    (void)state;
    struct ink_model *m = small_model();
    struct ink_grammars *g = open_grammars(m);
    const struct ink_tool tools[][2] = {{{"a", NULL, 0}, {"bc", NULL, 0}},
                                        {{"ab", NULL, 0}, {"c", NULL, 0}},
                                        {{"a", "{}", 2}, {"bc", NULL, 0}},
                                        {{"a", NULL, 0}, {"bc", "{}", 2}}};
    struct ink_grammar_use *uses[24] = {NULL};
    size_t n = 0;
    for (size_t i = 0; i < INK_COUNT(tools); i++) {
        for (int k = 0; k < 6; k++) {
            struct ink_error error = {0};
            const struct ink_tools t = {.tools = tools[i],
                                        .n_tools = k == 4 ? 1 : 2,
                                        .before = k == 5 ? "<u>" : "<t>",
                                        .after = k == 3 ? "" : NULL,
                                        .is_required = k == 1,
                                        .is_single = k == 2};
            const struct ink_grammar_source source = {.tools = &t};
            assert_ok(ink_grammars_take(g, &uses[n++], &source, &error));
        }
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++) {
            /* one tool without parameters, twice */
            const bool is_same = i % 6 == 4 && k % 6 == 4 && i / 6 == 3 && k / 6 == 0;
            assert_true((uses[i] == uses[k]) == is_same);
        }
    }
    for (size_t i = 0; i < n; i++) {
        ink_grammars_release(g, uses[i]);
    }
    ink_grammars_close(g);
    close_model_of_tokenizer(m);
}

static void bounded(void **state)
{
    (void)state;
    struct ink_model *m = small_model();
    struct ink_grammars *g = open_grammars(m);
    struct ink_grammar_use *uses[80];
    uint64_t bytes;
    char schema[80];
    for (int i = 0; i < 80; i++) {
        snprintf(schema, sizeof schema, "{\"const\":%d}", i);
        uses[i] = take(g, schema);
        ink_grammars_release(g, take(g, "{\"const\":0}")); /* stays the one used last but one */
        assert_true(ink_grammars_kept(g, &bytes) <= INK_GRAMMARS_KEPT);
    }
    assert_int_equal(ink_grammars_kept(g, &bytes), INK_GRAMMARS_KEPT);
    struct ink_grammar_use *again = take(g, "{\"const\":0}"), *other = take(g, "{\"const\":1}");
    assert_ptr_equal(again, uses[0]);
    assert_ptr_not_equal(other,
                         uses[1]); /* that one was dropped, and is still there for its user */
    assert_true(ink_grammar_bytes(ink_grammar_use_get(uses[1])) > 0);
    ink_grammars_release(g, again);
    ink_grammars_release(g, other);
    for (int i = 79; i >= 0; i--) {
        ink_grammars_release(g, uses[i]);
    }
    for (int i = 0; i < 30; i++) { /* each of more than half a megabyte */
        snprintf(schema, sizeof schema, "{\"pattern\":\"^[a-z]*$\",\"maxLength\":%d}", 1500 + i);
        ink_grammars_release(g, take(g, schema));
        ink_grammars_kept(g, &bytes);
        assert_true(bytes <= INK_GRAMMARS_BYTES);
    }
    printf("# %d kept, %llu bytes\n", ink_grammars_kept(g, &bytes), (unsigned long long)bytes);
    assert_true(ink_grammars_kept(g, &bytes) < 30);
    ink_grammars_close(g);
    close_model_of_tokenizer(m);
}

/* ------------------------------------------------------------------------------------- threads */

struct worker {
    struct ink_grammars *g;
    const struct ink_model *model;
    uint32_t random;
    int rounds, most, n_wrong;
};

static const char *const shared_schemas[] = {
    "{\"type\":\"object\"}",
    "{\"type\":\"string\",\"minLength\":4}",
    "{\"type\":\"string\",\"pattern\":\"^.{3,40}$\"}",
    "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}",
};

/* Random texts of grammars that other threads compile, drop and fill with masks meanwhile. */
static void work(void *context)
{
    struct worker *w = context;
    struct ink_error error = {0};
    struct ink_grammar_run *run = NULL;
    struct ink_string text = {0};
    float *logits = malloc((size_t)w->model->architecture.vocab_size * sizeof *logits);
    w->n_wrong += ink_run_open(&run, w->model, &error) != INK_OK;
    for (int i = 0; i < w->rounds && w->n_wrong == 0; i++) {
        char other[64];
        const bool is_shared = i % 4 != 0;
        snprintf(other, sizeof other, "{\"enum\":[%d,\"some text\"]}",
                 (int)(next_number(&w->random) % 50));
        const char *schema =
            is_shared ? shared_schemas[next_number(&w->random) % INK_COUNT(shared_schemas)] : other;
        const struct ink_grammar_source source = {.schema = schema, .n = strlen(schema)};
        struct ink_grammar_use *use = NULL;
        if (ink_grammars_take(w->g, &use, &source, &error) != INK_OK) {
            w->n_wrong++;
            break;
        }
        enum walk_end end =
            random_text(run, ink_grammar_use_get(use), &text, logits, w->most, &w->random);
        w->n_wrong += end == WALK_STUCK || !ink_run_is_complete(run);
        ink_grammars_release(w->g, use);
    }
    ink_string_free(&text);
    ink_run_close(run);
    free(logits);
}

static void share(struct ink_model *m, int rounds, int most)
{
    struct ink_grammars *g = open_grammars(m);
    struct worker workers[3];
    struct ink_thread *threads[3] = {NULL};
    struct ink_error error = {0};
    for (uint32_t i = 0; i < 3; i++) {
        workers[i] = (struct worker){g, m, 17 * i + 1, rounds, most, 0};
        assert_ok(ink_thread_start(&threads[i], work, &workers[i], &error));
    }
    for (int i = 0; i < 3; i++) {
        ink_thread_join(threads[i]);
        assert_int_equal(workers[i].n_wrong, 0);
    }
    ink_grammars_close(g);
    close_model_of_tokenizer(m);
}

static void threads_share_them(void **state)
{
    (void)state;
    share(small_model(), 60, 60);
    share(ernie_model(), 12, 16); /* large enough for masks to be kept */
}

/* --------------------------------------------------------------------------------- allocations */

static void every_allocation(void **state)
{
    (void)state;
    cJSON_Hooks hooks = {ink_malloc, ink_free};
    cJSON_InitHooks(&hooks);
    long total = 0;
    for (long n = 0; n <= total; n++) {
        struct ink_model *m = small_model();
        struct ink_error error = {0};
        struct ink_grammars *g = NULL;
        struct ink_grammar_use *use = NULL;
        const struct ink_grammar_source source = {.schema = "{\"enum\":[1]}", .n = 12};
        ink_fail_allocation(0, false);
        ink_fail_allocation(n, false);
        int status = ink_grammars_open(&g, m, &error);
        if (status == INK_OK) {
            status = ink_grammars_take(g, &use, &source, &error);
            ink_grammars_release(g, use);
            ink_grammars_close(g);
        }
        long count = ink_fail_allocation(0, false);
        if (n == 0) {
            assert_ok(status);
            total = count;
        } else if (status != INK_OK) {
            assert_int_equal(status, INK_ERROR_MEMORY);
        }
        close_model_of_tokenizer(m);
    }
    printf("# %ld allocations\n", total);
    cJSON_InitHooks(NULL);
}

int main(void)
{
    if (is_emulated()) {
        puts("1..0 # SKIP an emulated processor: nothing of this depends on it");
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(found_again),      cmocka_unit_test(tools_differ),
        cmocka_unit_test(bounded),          cmocka_unit_test(threads_share_them),
        cmocka_unit_test(every_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
