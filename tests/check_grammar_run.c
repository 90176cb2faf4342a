/* Grammars at work: masks against every token by itself, cached masks against fresh ones, budgets,
 * tools, what is refused and in what time, real answers, failing allocations. */
#include "grammar_support.h"

#include "../src/system.h"

/* --------------------------------------------------------------------------------------- masks */

/* Every token that the mask leaves is allowed, and no other, all along a random text; and a grammar
 * that has masks kept gives the same as one that has none. */
static void compare_masks(const struct ink_model *m, const char *schema, int steps, int left)
{
    const size_t v = (size_t)m->architecture.vocab_size;
    struct ink_error error = {0};
    struct ink_grammar_run *run = NULL;
    float *logits = malloc(v * sizeof *logits), *fresh = malloc(v * sizeof *fresh);
    uint32_t state = 7;
    int32_t prompt = 5;
    assert_ok(ink_run_open(&run, m, &error));
    struct ink_grammar *g = grammar_of(m, schema);
    for (int round = 0; round < 2; round++) { /* the second with masks from the first */
        ink_run_start(run, g, &prompt, round);
        for (int i = 0; i < steps && !ink_run_is_over(run) && left > i; i++) {
            memset(logits, 0, v * sizeof *logits);
            memset(fresh, 0, v * sizeof *fresh);
            struct ink_grammar *copy = (struct ink_grammar *)g;
            const int kept = g->n_masks;
            copy->n_masks = 0; /* as if nothing was kept or remembered */
            struct ink_mask **masks = copy->masks;
            copy->masks = NULL;
            ink_run_forget(run);
            run->is_split = false;
            ink_run_mask(run, fresh, left - i);
            ink_masks_close(copy);
            copy->masks = masks;
            copy->n_masks = kept;
            ink_run_mask(run, logits, left - i);
            ink_run_mask(run, logits, left - i);
            for (size_t t = 0; t < v; t++) {
                assert_int_equal(logits[t] == 0, fresh[t] == 0);
                if (v < 1000 || t % 31 == 0 || logits[t] == 0) {
                    const bool allows = ink_run_allows(run, (int32_t)t, left - i);
                    if (allows != (logits[t] == 0)) {
                        fail_msg("%s: token %d, step %d", schema, (int)t, i);
                    }
                }
            }
            int32_t token = random_token(run, logits, left - i, &state);
            assert_true(token >= 0);
            if (ink_model_is_end_token(m, token)) {
                break;
            }
            assert_true(ink_run_accept(run, token));
        }
    }
    ink_grammar_close(g);
    ink_run_close(run);
    free(logits);
    free(fresh);
}

static const char *const mask_schemas[] = {
    "{}",
    "{\"type\":\"object\"}",
    "{\"type\":\"string\",\"minLength\":3,\"maxLength\":20}",
    "{\"properties\":{\"a\":{\"type\":\"string\"},\"ab\":{\"type\":\"string\",\"maxLength\":40}},"
    "\"additionalProperties\":{\"type\":\"string\"}}",
    "{\"type\":\"array\",\"minItems\":2,\"items\":{\"anyOf\":[{\"type\":\"string\"},{\"type\":"
    "\"array\",\"items\":{\"type\":\"string\"}}]}}",
    "{\"type\":\"string\",\"pattern\":\"^[^x]*x.*$\"}",
    "{\"type\":\"string\",\"pattern\":\"^.{2,12}$\"}",
    "{\"type\":\"string\",\"minLength\":30,\"maxLength\":33}",
    "{\"anyOf\":[{\"pattern\":\"^[^ab]{1,50}$\"},{\"pattern\":\"^[^cd]*$\"},{\"pattern\":"
    "\"^[^ef]{2,9}$\"},{\"pattern\":\"^[^gh]*$\"},{\"pattern\":\"^[^ij\xE6\x9D\x8E]{4,70}$\"},{"
    "\"type\":\"array\",\"items\":{\"type\":\"string\"}}]}",
    "{\"properties\":{\"name\":{},\"note\":{}},\"additionalProperties\":{\"type\":\"string\"}}",
};

static void masks_are_what_is_allowed(void **state)
{
    (void)state;
    struct ink_model *m = small_model();
    for (size_t i = 0; i < INK_COUNT(mask_schemas); i++) {
        compare_masks(m, mask_schemas[i], 60, 1000);
        compare_masks(m, mask_schemas[i], 60, 30);
    }
    close_model_of_tokenizer(m);
}

static void masks_of_a_large_vocabulary(void **state)
{
    (void)state;
    struct ink_model *m = ernie_model();
    for (size_t i = 0; i < INK_COUNT(mask_schemas); i++) {
        compare_masks(m, mask_schemas[i], 8, i % 2 == 0 ? 14 : 1000);
    }
    close_model_of_tokenizer(m);
}

/* -------------------------------------------------------------------------------------- budgets */

/* With exactly the tokens that the shortest way takes, and a few more, texts are complete. */
static void texts_are_complete_in_time(void **state)
{
    (void)state;
    static const char *const schemas[] = {
        "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"minLength\":2},"
        "\"list\":{\"type\":\"array\",\"minItems\":2,\"items\":{\"type\":\"object\",\"properties\":"
        "{\"x\":{\"type\":\"number\"}},\"required\":[\"x\"]}}},\"required\":[\"name\",\"list\"]}",
        "{\"$ref\":\"#/$defs/"
        "n\",\"$defs\":{\"n\":{\"type\":\"object\",\"properties\":{\"v\":{\"enum\":"
        "[\"long name\",\"longer name\"]},\"n\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/"
        "n\"}}},\"required\":[\"v\",\"n\"]}}}",
        "{}",
        "{\"type\":\"object\"}",
    };
    struct ink_model *m = small_model();
    struct ink_error error = {0};
    struct ink_grammar_run *run = NULL;
    struct ink_string text = {0};
    float logits[512];
    uint32_t random = 3;
    assert_ok(ink_run_open(&run, m, &error));
    for (size_t i = 0; i < INK_COUNT(schemas); i++) {
        struct ink_grammar *g = grammar_of(m, schemas[i]);
        int32_t prompt = 5;
        ink_run_start(run, g, &prompt, 1);
        const int least = (int)ink_run_cost(run);
        for (int k = 0; k < 200; k++) {
            enum walk_end end = random_text(run, g, &text, logits, least + k / 4, &random);
            assert_true(end != WALK_STUCK);
            if (!ink_run_is_complete(run)) {
                fail_msg("%s: %d tokens: %s", schemas[i], least + k / 4, text.data);
            }
        }
        ink_grammar_close(g);
    }
    ink_string_free(&text);
    ink_run_close(run);
    close_model_of_tokenizer(m);
}

/* ---------------------------------------------------------------------------------------- tools */

static void tools(void **state)
{
    (void)state;
    static const char place[] =
        "{\"type\":\"object\",\"properties\":{\"q\":{\"type\":\"integer\"}},\"required\":[\"q\"]}";
    const struct ink_tool list[] = {{"find", place, sizeof place - 1}, {"f\"2", NULL, 0}};
    struct ink_tools t = {
        .tools = list, .n_tools = 2, .before = "<t>", .after = "</t>", .between = "\n"};
    static const struct {
        bool is_required, is_single, matches;
        const char *text;
    } examples[] = {
        {true, false, true, "<t>{\"name\":\"find\",\"arguments\":{\"q\":1}}</t>"},
        {true, false, true,
         "<t>{\"name\": \"find\", \"arguments\": {\"q\": "
         "1}}</t>\n<t>{\"name\":\"f\\\"2\",\"arguments\":{}}</t>"},
        {true, true, false,
         "<t>{\"name\":\"f\\\"2\",\"arguments\":{}}</"
         "t>\n<t>{\"name\":\"f\\\"2\",\"arguments\":{}}</t>"},
        {true, false, false, "hello"},
        {true, false, false, ""},
        {true, false, false, "<t>{\"name\":\"find\",\"arguments\":{}}</t>"},
        {true, false, false, "<t>{\"name\":\"other\",\"arguments\":{}}</t>"},
        {true, false, false, "<t>{\"name\":\"find\",\"arguments\":{\"q\":1}}"},
        {false, false, true, "hello"},
        {false, false, true, ""},
        {false, false, true, "a <t <<t x> <"},
        {false, false, true, "so: <<t>{\"name\":\"find\",\"arguments\":{\"q\":1}}</t>"},
        {false, false, false, "so: <t> but"},
        {false, false, false, "so: <t>{\"name\":\"find\",\"arguments\":{\"q\":1}}</t> and"},
    };
    struct ink_model *m = small_model();
    struct ink_error error = {0};
    struct ink_grammar_run *run = NULL;
    assert_ok(ink_run_open(&run, m, &error));
    for (size_t i = 0; i < INK_COUNT(examples); i++) {
        struct ink_grammar *g = NULL;
        t.is_required = examples[i].is_required;
        t.is_single = examples[i].is_single;
        assert_ok(ink_grammar_open_tools(&g, m, &t, &error));
        if (matches(run, g, examples[i].text, strlen(examples[i].text)) != examples[i].matches) {
            fail_msg("%s", examples[i].text);
        }
        ink_grammar_close(g);
    }
    struct ink_grammar *g = NULL;
    t.before = "";
    t.is_required = false;
    assert_int_equal(ink_grammar_open_tools(&g, m, &t, &error), INK_ERROR_ARGUMENT);
    t.before = "<t>";
    const struct ink_tool twice[] = {{"a", NULL, 0}, {"a", NULL, 0}};
    t.tools = twice;
    assert_int_equal(ink_grammar_open_tools(&g, m, &t, &error), INK_ERROR_ARGUMENT);
    assert_null(g);
    ink_run_close(run);
    close_model_of_tokenizer(m);
}

/* ------------------------------------------------------------------------------------- refusals */

/* Refused within a quarter of a second, by a message that has these words. */
static void refuse(const struct ink_model *m, const char *schema, size_t n, const char *words)
{
    struct ink_error error = {0};
    struct ink_grammar *g = NULL;
    double start = cpu_seconds();
    int status = ink_grammar_open_schema(&g, m, schema, n, &error);
    double seconds = cpu_seconds() - start;
    if (status == INK_OK || g || !strstr(error.message, words)) {
        fail_msg("%.200s: status %d, \"%s\", not \"%s\"", schema, status, error.message, words);
    }
    if (seconds > 0.02) {
        printf("# %.60s: %.3f s\n", schema, seconds);
    }
    if (seconds > time_limit()) {
        fail_msg("%.200s: %.3f s", schema, seconds);
    }
}

static void refusals(void **state)
{
    (void)state;
    static const char *const list[][2] = {
        {"", "not valid JSON"},
        {"{\"type\":\"object\"", "not valid JSON"},
        {"3", "no schema"},
        {"{\"type\":\"text\"}", "#: \"type\""},
        {"{\"type\":[]}", "names no type"},
        {"{\"properties\":{\"a/b\":{\"enum\":[]}}}", "#/properties/a~1b: \"enum\""},
        {"{\"items\":{\"minLength\":3,\"maxLength\":2}}", "#/items: \"minLength\""},
        {"{\"minItems\":3,\"maxItems\":2}", "\"minItems\""},
        {"{\"minLength\":-1}", "\"minLength\""},
        {"{\"minLength\":\"3\"}", "\"minLength\""},
        {"{\"minimum\":3,\"maximum\":2}", "\"minimum\""},
        {"{\"type\":\"integer\",\"exclusiveMinimum\":3,\"exclusiveMaximum\":4}", "\"minimum\""},
        {"{\"multipleOf\":0.1}", "\"multipleOf\""},
        {"{\"not\":{}}", "\"not\""},
        {"{\"if\":{}}", "\"if\""},
        {"{\"uniqueItems\":true}", "\"uniqueItems\""},
        {"{\"patternProperties\":{}}", "\"patternProperties\""},
        {"{\"minProperties\":1}", "\"minProperties\""},
        {"{\"required\":[\"a\"],\"additionalProperties\":false}", "\"required\""},
        {"{\"$ref\":\"http://x/y\"}", "\"$ref\""},
        {"{\"$ref\":\"#/$defs/x\"}", "\"$ref\""},
        {"{\"$ref\":\"#\"}", "\"$ref\""},
        {"{\"allOf\":[{\"$ref\":\"#\"}]}", "refers to itself"},
        {"{\"anyOf\":[{\"$ref\":\"#\"}]}", "circle"},
        {"{\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"null\"}]}", "circle"},
        {"{\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"]}", "no text at all"},
        {"false", "no text at all"},
        {"{\"allOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", "\"type\""},
        {"{\"pattern\":\"(a\"}", "\"pattern\""},
        {"{\"pattern\":\"a**\"}", "nothing to repeat"},
        {"{\"pattern\":\"(?=a)\"}", "lookaround"},
        {"{\"pattern\":\"(a)\\\\1\"}", "back-references"},
        {"{\"pattern\":\"\\\\bx\"}", "word boundaries"},
        {"{\"pattern\":\"a{1,1000000}\"}", "1000"},
        {"{\"pattern\":\"((a{1,1000}){1,1000}){1,1000}\"}", "too large"},
        {"{\"pattern\":\"((((((){1000}){1000}){1000}){1000}){1000}){1000}\"}", "too large"},
        {"{\"pattern\":\"^(.*a.{30}|.*b.{29})$\"}", "too large"},
        {"{\"pattern\":\"^a$\",\"maxLength\":0}", "no string"},
        {"{\"pattern\":\"^a*$\",\"minLength\":100000}", "too large"},
        {"{\"enum\":[12345678901234567890]}", "\"enum\""},
        {"{\"enum\":[\"a\"],\"minLength\":2}", "\"enum\""},
        {"{\"minItems\":4000000000,\"items\":{\"minLength\":4000000000}}", "no text at all"},
    };
    struct ink_model *m = small_model();
    for (size_t i = 0; i < INK_COUNT(list); i++) {
        refuse(m, list[i][0], strlen(list[i][0]), list[i][1]);
    }
    close_model_of_tokenizer(m);
}

/* Few merges of much, and many branches with much beside them. */
static void hostile_schemas(void **state)
{
    (void)state;
    static const char *const shapes[] = {
        "{\"allOf\":[{\"properties\":{%}},{\"properties\":{%}}]}",
        "{\"allOf\":[{\"enum\":[%]},{\"enum\":[0,%]}]}",
        "{\"required\":[%]}",
        "{\"anyOf\":[%],\"minimum\":1}",
    };
    struct ink_model *m = small_model();
    for (size_t i = 0; i < INK_COUNT(shapes); i++) {
        struct ink_string list = {0}, s = {0};
        for (int k = 0; k < 4000; k++) {
            const char *comma = k > 0 ? "," : "";
            if (i == 0) {
                ink_string_printf(&list, "%s\"%d\":{}", comma, k);
            } else if (i == 1) {
                ink_string_printf(&list, "%s%d", comma, k * 2 + 1);
            } else if (i == 2) {
                ink_string_printf(&list, "%s\"%d\"", comma, k);
            } else {
                ink_string_printf(&list, "%s{\"x%d\":1}", comma, k);
            }
        }
        for (const char *c = shapes[i]; *c; c++) {
            ink_string_append(&s, *c == '%' ? list.data : c, *c == '%' ? list.length : 1);
        }
        struct ink_error error = {0};
        struct ink_grammar *g = NULL;
        double start = cpu_seconds();
        int status = ink_grammar_open_schema(&g, m, s.data, s.length, &error);
        double seconds = cpu_seconds() - start;
        printf("# %d: status %d in %.3f s %.100s\n", (int)i, status, seconds, error.message);
        assert_true(seconds < time_limit());
        ink_grammar_close(g);
        ink_string_free(&s);
        ink_string_free(&list);
    }
    close_model_of_tokenizer(m);
}

/* n times `open`, `middle`, n times `close`. */
static char *nested(const char *open, const char *middle, const char *close, int n)
{
    struct ink_string s = {0};
    for (int i = 0; i < n; i++) {
        ink_string_puts(&s, open);
    }
    ink_string_puts(&s, middle);
    for (int i = 0; i < n; i++) {
        ink_string_puts(&s, close);
    }
    return s.data;
}

static void nesting(void **state)
{
    (void)state;
    static const struct {
        const char *open, *middle, *close, *words;
        int n;
    } list[] = {
        {"{\"items\":", "{}", "}", "too deep", 100000},
        {"{\"allOf\":[", "{}", "]}", "too deep", 60000},
        {"{\"pattern\":\"", "", "", "not valid JSON", 1},
        {"[", "", "", "too deep", 3000},
    };
    struct ink_model *m = small_model();
    for (size_t i = 0; i < INK_COUNT(list); i++) {
        char *schema = nested(list[i].open, list[i].middle, list[i].close, list[i].n);
        struct ink_error error = {0};
        struct ink_grammar *g = NULL;
        assert_true(ink_grammar_open_schema(&g, m, schema, strlen(schema), &error) != INK_OK);
        ink_free(schema);
    }
    char *parentheses = nested("(", "a", ")", 2000), *schema = NULL;
    struct ink_string s = {0};
    ink_string_printf(&s, "{\"pattern\":\"%s\"}", parentheses);
    schema = s.data;
    refuse(m, schema, strlen(schema), "too deep");
    ink_free(parentheses);
    ink_free(schema);
    close_model_of_tokenizer(m);
}

/* Large schemas are either compiled or refused, quickly. */
static void large_schemas(void **state)
{
    (void)state;
    struct ink_model *m = small_model();
    for (int kind = 0; kind < 6; kind++) {
        struct ink_string s = {0};
        ink_string_puts(&s, kind == 2   ? "{\"anyOf\":["
                            : kind == 5 ? "{\"enum\":["
                                        : "{\"properties\":{");
        for (int i = 0; i < 3000; i++) {
            const char *comma = i > 0 ? "," : "";
            char item[96];
            switch (kind) {
            case 0:
                snprintf(item, sizeof item, "%s\"p%d\":{}", comma, i);
                break;
            case 1:
                snprintf(item, sizeof item, "%s\"%d\":{\"$ref\":\"#/properties/%d\"}", comma, i,
                         i - 1);
                break;
            case 2:
                snprintf(item, sizeof item, "%s{\"const\":%d}", comma, i);
                break;
            case 3:
                snprintf(item, sizeof item, "%s\"%d\":{\"pattern\":\"^[a-z]{1,99}$\"}", comma, i);
                break;
            case 4:
                snprintf(item, sizeof item, "%s\"%d\":{\"allOf\":[{\"minimum\":1},true]}", comma,
                         i);
                break;
            default:
                snprintf(item, sizeof item, "%s\"v%d\"", comma, i);
                break;
            }
            ink_string_puts(&s, item);
        }
        ink_string_puts(&s, kind == 2 || kind == 5 ? "]}" : "}}");
        struct ink_error error = {0};
        struct ink_grammar *g = NULL;
        double start = cpu_seconds();
        int status = ink_grammar_open_schema(&g, m, s.data, s.length, &error);
        double seconds = cpu_seconds() - start;
        printf("# %d: status %d in %.3f s %s\n", kind, status, seconds, error.message);
        assert_true(seconds < time_limit());
        ink_grammar_close(g);
        ink_string_free(&s);
    }
    close_model_of_tokenizer(m);
}

/* ------------------------------------------------------------------------------------- a model */

static void write_answer(struct ink_model *m, struct ink_generator *g,
                         const struct ink_grammar *grammar, const struct ink_sampling *sampling,
                         int most, struct ink_string *text, enum ink_generated *how)
{
    struct ink_error error = {0};
    int32_t *prompt = NULL, token;
    size_t n;
    struct ink_step step;
    assert_ok(ink_tokenize(m, &prompt, &n, "Once upon a time", 16, false, &error));
    assert_ok(ink_generator_start(g, prompt, (int)n, sampling, most, &error));
    assert_ok(ink_generator_constrain(g, grammar, &error));
    text->length = 0;
    while ((*how = ink_generator_take(g, &token)) <= INK_GENERATED_NOTHING) {
        if (*how == INK_GENERATED_TOKEN) {
            bool is_first = false;
            ink_tokenizer_append_piece(m->tokenizer, text, token, false, &is_first);
            continue;
        }
        ink_generator_prepare(g, 512, &step);
        assert_ok(ink_eval(m, &step, 1, NULL, NULL, &error));
        ink_generator_done(g, 0);
    }
    ink_free(prompt);
}

static void answers_of_a_model(void **state)
{
    (void)state;
    static const char *const schemas[] = {
        "{\"type\":\"object\"}",
        "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"age\":{\"type\":"
        "\"integer\",\"minimum\":0,\"maximum\":120},\"tags\":{\"type\":\"array\",\"items\":{"
        "\"type\":"
        "\"string\"}}},\"required\":[\"name\",\"age\",\"tags\"],\"additionalProperties\":false}",
        "{\"type\":\"array\",\"items\":{\"enum\":[\"girl\",\"boy\"]},\"maxItems\":9}",
        "{\"type\":\"string\",\"pattern\":\"^[A-Z][a-z ]+\\\\.$\"}",
        "{\"type\":\"number\"}",
    };
    static const int budgets[] = {5, 6, 7, 10, 20, 33, 50, 100, 200};
    struct ink_error error = {0};
    struct ink_model *m = open_model_at(shared_path("../../models/stories260K"), 1, NULL);
    struct ink_generator *g[2] = {NULL};
    for (int drafts = 0; drafts < 2; drafts++) {
        struct ink_generator_options options = {
            .n_positions = 256, .max_draft = drafts * 4, .always_draft = true};
        assert_ok(ink_generator_open(&g[drafts], m, &options, &error));
    }
    for (size_t i = 0; i < INK_COUNT(schemas); i++) {
        struct ink_grammar *grammar = grammar_of(m, schemas[i]);
        struct ink_grammar_run *run = NULL;
        assert_ok(ink_run_open(&run, m, &error));
        ink_run_start(run, grammar, NULL, 0);
        const int least = (int)ink_run_cost(run);
        for (size_t k = 0; k < INK_COUNT(budgets) * 3; k++) {
            struct ink_sampling sampling = {.temperature = (float)(k % 3) * 0.7f,
                                            .top_p = 0.9f,
                                            .repetition_penalty = 1,
                                            .seed = k};
            const int most = budgets[k / 3];
            struct ink_string text[2] = {{0}};
            enum ink_generated how[2];
            for (int drafts = 0; drafts < 2; drafts++) {
                write_answer(m, g[drafts], grammar, &sampling, most, &text[drafts], &how[drafts]);
            }
            const bool is_whole = matches(run, grammar, text[0].data, text[0].length);
            if (how[0] == INK_GENERATED_DAMAGE ||
                (!is_whole && (most >= least || how[0] == INK_GENERATED_STOP))) {
                fail_msg("%s: %d tokens, least %d: %.*s", schemas[i], most, least,
                         (int)text[0].length, text[0].data);
            }
            /* what is whole says so, though the budget ended it */
            assert_int_equal(how[0], is_whole ? INK_GENERATED_STOP : INK_GENERATED_LENGTH);
            assert_int_equal(how[0], how[1]); /* guesses change nothing */
            assert_int_equal(text[0].length, text[1].length);
            assert_memory_equal(text[0].data, text[1].data, text[0].length);
            ink_string_free(&text[0]);
            ink_string_free(&text[1]);
        }
        ink_run_close(run);
        ink_grammar_close(grammar);
    }
    ink_generator_close(g[0]);
    ink_generator_close(g[1]);
    ink_model_close(m);
}

/* A first token's leading space is none where the prompt is only a begin token. */
static void first_spaces(void **state)
{
    (void)state;
    struct ink_model *m = small_model();
    struct ink_error error = {0};
    struct ink_grammar_run *run = NULL;
    const int32_t bos = 1, word = ink_tokenizer_find(m->tokenizer, "\xE2\x96\x81the"),
                  quote = ink_tokenizer_find(m->tokenizer, "\"");
    float logits[512] = {0};
    assert_true(word > 0 && quote > 0);
    assert_ok(ink_run_open(&run, m, &error));
    const struct ink_tool tool = {"the", NULL, 0};
    const struct ink_tools t = {.tools = &tool, .n_tools = 1, .before = "the", .is_required = true};
    struct ink_grammar *g = NULL;
    assert_ok(ink_grammar_open_tools(&g, m, &t, &error));
    ink_run_start(run, g, &bos, 1);
    ink_run_mask(run, logits, 100);
    assert_true(logits[word] == 0); /* it writes "the" there */
    assert_true(ink_run_accept(run, word));
    ink_run_start(run, g, &quote, 1);
    memset(logits, 0, sizeof logits);
    ink_run_mask(run, logits, 100);
    assert_true(logits[word] < 0); /* and " the" here */
    ink_grammar_close(g);
    ink_run_close(run);
    close_model_of_tokenizer(m);
}

/* --------------------------------------------------------------------------------- memory, time */

static int use_grammars(struct ink_model *m, struct ink_error *error)
{
    static const char schema[] =
        "{\"allOf\":[{\"$ref\":\"#/$defs/"
        "a\"},{\"properties\":{\"b\":{\"pattern\":\"^a+b?$\",\"maxLength\":"
        "9}}}],\"$defs\":{\"a\":{\"properties\":{\"b\":{\"type\":\"string\"},\"c\":{\"enum\":[1,"
        "\"x\"]},"
        "\"d\":{\"anyOf\":[{\"type\":\"number\",\"minimum\":0},{\"$ref\":\"#\"}]}},"
        "\"additionalProperties\":{\"type\":\"array\"}}}}";
    const struct ink_tool tool = {"t", "{\"type\":\"object\"}", 17};
    const struct ink_tools t = {.tools = &tool, .n_tools = 1, .before = "<t>"};
    struct ink_grammar *g[3] = {NULL};
    struct ink_grammar_run *run = NULL;
    float logits[512] = {0};
    int status = ink_grammar_open_schema(&g[0], m, schema, sizeof schema - 1, error);
    status = status == INK_OK ? ink_grammar_open_json(&g[1], m, error) : status;
    status = status == INK_OK ? ink_grammar_open_tools(&g[2], m, &t, error) : status;
    status = status == INK_OK ? ink_run_open(&run, m, error) : status;
    if (status == INK_OK) {
        ink_run_start(run, g[1], NULL, 0);
        assert_true(ink_run_read(run, '{') && ink_run_read(run, '"'));
        ink_run_mask(run, logits, 50); /* cannot fail */
        assert_true(logits[ink_tokenizer_find(m->tokenizer, "a")] == 0);
    }
    ink_run_close(run);
    for (int i = 0; i < 3; i++) {
        ink_grammar_close(g[i]);
    }
    return status;
}

static void every_allocation(void **state)
{
    (void)state;
    cJSON_Hooks hooks = {ink_malloc, ink_free}; /* cJSON's allocations count, too */
    cJSON_InitHooks(&hooks);
    long total = 0;
    for (long n = 0; n <= total; n++) {
        struct ink_model *m = small_model(); /* without its trie */
        struct ink_error error = {0};
        ink_fail_allocation(0, false);
        ink_fail_allocation(n, false);
        int status = use_grammars(m, &error);
        long count = ink_fail_allocation(0, false);
        if (n == 0) {
            assert_ok(status);
            total = count;
        } else if (status != INK_OK &&
                   (status != INK_ERROR_MEMORY || error.code != status || !error.message[0])) {
            fail_msg("allocation %ld failed and gave %d, \"%s\"", n, status, error.message);
        }
        close_model_of_tokenizer(m);
    }
    printf("# %ld allocations\n", total);
    cJSON_InitHooks(NULL);
}

/* What a token costs in the full vocabulary. Prints; fails only where it is far from usual. */
static void time_of_masks(void **state)
{
    (void)state;
    static const char schema[] =
        "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"note\":{\"type\":"
        "\"string\",\"maxLength\":500},\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}"
        "},"
        "\"n\":{\"type\":\"number\",\"minimum\":0,\"maximum\":100}},\"required\":[\"name\","
        "\"note\","
        "\"tags\",\"n\"],\"additionalProperties\":false}";
    struct ink_model *m = ernie_model();
    struct ink_error error = {0};
    struct ink_grammar *g = NULL;
    struct ink_grammar_run *run = NULL;
    float *logits = calloc(103424, sizeof *logits);
    double start = cpu_seconds();
    assert_ok(ink_grammar_open_json(&g, m, &error));
    printf("# the first grammar, with the trie of %u nodes: %.1f ms\n", g->trie->n_nodes,
           (cpu_seconds() - start) * 1e3);
    ink_grammar_close(g);
    start = cpu_seconds();
    g = grammar_of(m, schema);
    printf("# the schema: %.2f ms, %u states, %u edges\n", (cpu_seconds() - start) * 1e3,
           g->n_states, g->n_edges);
    assert_ok(ink_run_open(&run, m, &error));
    static const char text[] = "{\"name\": \"Li\xE6\x9D\x8E Hua\",\"note\": \"a note of some "
                               "length\", \"tags\": [\"x\", \"yz\"],\"n\":17.5}";
    for (int round = 0; round < 2; round++) {
        double worst = 0, sum = 0;
        int worst_at = 0;
        ink_run_start(run, g, NULL, 0);
        run->is_first = false;
        for (size_t i = 0; i < sizeof text - 1; i++) {
            memset(logits, 0, 103424 * sizeof *logits);
            start = cpu_seconds();
            ink_run_mask(run, logits, 1000);
            double seconds = cpu_seconds() - start;
            sum += seconds;
            if (seconds > worst) {
                worst = seconds;
                worst_at = (int)i;
            }
            assert_true(ink_run_read(run, (unsigned char)text[i]));
        }
        printf("# masks, round %d: %.3f ms on average, %.3f ms at most (byte %d), %d kept\n",
               round + 1, sum / (double)(sizeof text - 1) * 1e3, worst * 1e3, worst_at, g->n_masks);
    }
    ink_grammar_close(g);
    ink_run_close(run);
    close_model_of_tokenizer(m);
    free(logits);
}

/* Sixty-four strings that may all be the one that is written, none of them free of its count: no
 * token takes so long that others who are served would notice; and what is written is complete. */
static void many_ways(void **state)
{
    (void)state;
    struct ink_string s = {0};
    ink_string_puts(&s, "{\"anyOf\":[");
    for (int i = 0; i < 64; i++) {
        ink_string_printf(&s, "%s{\"type\":\"string\",\"minLength\":%d,\"maxLength\":%d}",
                          i > 0 ? "," : "", i, 100 + i);
    }
    ink_string_puts(&s, "]}");
    struct ink_model *m = ernie_model();
    struct ink_error error = {0};
    struct ink_grammar_run *run = NULL;
    struct ink_grammar *g = grammar_of(m, s.data);
    const int v = m->architecture.vocab_size, most = 24;
    float *logits = calloc((size_t)v, sizeof *logits);
    uint32_t random = 3;
    double worst = 0;
    assert_non_null(logits);
    assert_ok(ink_run_open(&run, m, &error));
    ink_run_start(run, g, NULL, 0);
    for (int i = 0; i < most && !ink_run_is_over(run); i++) {
        memset(logits, 0, (size_t)v * sizeof *logits);
        double start = cpu_seconds();
        ink_run_mask(run, logits, most - i);
        worst = cpu_seconds() - start > worst ? cpu_seconds() - start : worst;
        int32_t token = random_token(run, logits, most - i, &random);
        assert_true(token >= 0);
        if (ink_model_is_end_token(m, token)) {
            break;
        }
        assert_true(ink_run_allows(run, token, most - i));
        assert_true(ink_run_accept(run, token));
    }
    printf("# %.1f ms at most\n", worst * 1e3);
    assert_true(ink_run_is_complete(run));
    ink_string_free(&s);
    ink_grammar_close(g);
    ink_run_close(run);
    free(logits);
    close_model_of_tokenizer(m);
}

/* Each mask is of a state, a count or a budget that no mask is kept for. tests/grammar_time.c has
 * more of them, and numbers. */
static void time_of_hard_masks(void **state)
{
    (void)state;
    static const struct {
        const char *schema;
        int left;
    } list[] = {
        {"{\"type\":\"string\",\"pattern\":\"^.{1,300}$\"}", 1000},
        {"{\"type\":\"string\",\"minLength\":70,\"maxLength\":90}", 1000},
        {"{\"type\":\"string\",\"minLength\":60}", 75},
    };
    static const char text[] = "\"The quick brown fox jumps over the lazy dog, and goes on";
    struct ink_model *m = ernie_model();
    struct ink_error error = {0};
    struct ink_grammar_run *run = NULL;
    float *logits = calloc(103424, sizeof *logits);
    assert_ok(ink_run_open(&run, m, &error));
    for (size_t i = 0; i < INK_COUNT(list); i++) {
        struct ink_grammar *g = grammar_of(m, list[i].schema);
        double sum = 0;
        ink_run_start(run, g, NULL, 0);
        run->is_first = false;
        for (size_t k = 0; k < sizeof text - 1; k++) {
            double start = cpu_seconds();
            ink_run_mask(run, logits, list[i].left - (int)k / 4);
            sum += cpu_seconds() - start;
            assert_true(ink_run_read(run, (unsigned char)text[k]));
        }
        printf("# %s: %.3f ms on average\n", list[i].schema, sum / (sizeof text - 1) * 1e3);
        ink_grammar_close(g);
    }
    ink_run_close(run);
    close_model_of_tokenizer(m);
    free(logits);
}

int main(void)
{
    if (is_emulated()) {
        puts("1..0 # SKIP an emulated processor: nothing of this depends on it");
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_are_what_is_allowed),
        cmocka_unit_test(masks_of_a_large_vocabulary),
        cmocka_unit_test(texts_are_complete_in_time),
        cmocka_unit_test(tools),
        cmocka_unit_test(refusals),
        cmocka_unit_test(hostile_schemas),
        cmocka_unit_test(nesting),
        cmocka_unit_test(large_schemas),
        cmocka_unit_test(answers_of_a_model),
        cmocka_unit_test(first_spaces),
        cmocka_unit_test(every_allocation),
        cmocka_unit_test(time_of_masks),
        cmocka_unit_test(many_ways),
        cmocka_unit_test(time_of_hard_masks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
