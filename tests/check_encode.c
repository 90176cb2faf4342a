/* Samples as tokens, against SentencePiece and Jinja (tests/ref/make_encode_golden.py). */
#include "check_tokenizer.h"

#include "../src/data/encode.h"

static enum ink_role role_of(const char *name)
{
    return strcmp(name, "system") == 0      ? INK_ROLE_SYSTEM
           : strcmp(name, "user") == 0      ? INK_ROLE_USER
           : strcmp(name, "assistant") == 0 ? INK_ROLE_ASSISTANT
                                            : INK_ROLE_TEXT;
}

static int read_turns(struct ink_turn *turns, const cJSON *list)
{
    int n = 0;
    for (const cJSON *t = list->child; t; t = t->next, n++) {
        const char *text = t->child->next->valuestring;
        turns[n] = (struct ink_turn){.role = role_of(t->child->valuestring),
                                     .is_trained = cJSON_GetArrayItem(t, 2)->valuedouble != 0,
                                     .text = text,
                                     .n_text = strlen(text)};
    }
    return n;
}

static void compare(const struct ink_encoded *e, const cJSON *golden)
{
    int n, n_trained, total = 0;
    int32_t *ids = ids_of(cJSON_GetObjectItem(golden, "ids"), &n);
    int32_t *trained = ids_of(cJSON_GetObjectItem(golden, "trained"), &n_trained);
    assert_int_equal(e->n, n);
    assert_memory_equal(e->tokens, ids, (size_t)n * sizeof *ids);
    for (int i = 0; i < n; i++) {
        assert_int_equal(e->trained[i], trained[i]);
        total += trained[i];
    }
    assert_int_equal(e->n_trained, total);
    free(ids);
    free(trained);
}

static void test_goldens(void **state)
{
    (void)state;
    struct ink_tokenizer *ernie = open_ernie(), *stories = open_stories();
    cJSON *root = read_json(shared_path("encode_golden.json"));
    struct ink_encoded e = {0};
    int count = 0;
    for (const cJSON *c = root->child; c; c = c->next, count++) {
        struct ink_error error = {0};
        struct ink_turn turns[16];
        const struct ink_sample sample = {
            .turns = turns, .n_turns = read_turns(turns, cJSON_GetObjectItem(c, "turns"))};
        const char *kind = cJSON_GetObjectItem(c, "template")->valuestring;
        const char *name = cJSON_GetObjectItem(c, "tokenizer")->valuestring;
        const cJSON *cut = cJSON_GetObjectItem(c, "cut");
        const struct ink_encode_options options = {
            .chat_template = strcmp(kind, "chat") == 0 ? INK_TEMPLATE_CHAT : INK_TEMPLATE_NONE,
            .max_prompt = (int)cJSON_GetObjectItem(c, "max_prompt")->valuedouble,
            .max_response = (int)cJSON_GetObjectItem(c, "max_response")->valuedouble,
            .compare_joint = true};
        assert_ok(ink_encode_sample(strcmp(name, "ernie") == 0 ? ernie : stories, &e, &sample,
                                    &options, "file", &error));
        compare(&e, c);
        assert_int_equal(e.differs_jointly, cJSON_IsTrue(cJSON_GetObjectItem(c, "differs")));
        assert_int_equal(e.prompt_cut, cJSON_IsTrue(cut->child));
        assert_int_equal(e.response_cut, cJSON_IsTrue(cut->child->next));
    }
    assert_true(count > 60);
    ink_encoded_free(&e);
    cJSON_Delete(root);
    ink_tokenizer_close(ernie);
    ink_tokenizer_close(stories);
}

static void set_turn(struct ink_turn *turn, enum ink_role role, const char *text)
{
    *turn = (struct ink_turn){role, role != INK_ROLE_USER, text, strlen(text)};
}

static void long_samples_are_refused_if_asked(void **state)
{
    (void)state;
    struct ink_tokenizer *t = open_ernie();
    struct ink_error error = {0};
    struct ink_encoded e = {0};
    struct ink_turn turns[2];
    const struct ink_sample sample = {.turns = turns, .n_turns = 2, .line = 7};
    struct ink_encode_options options = {.max_prompt = 4, .refuse_long = true};
    set_turn(&turns[0], INK_ROLE_USER, "12345");
    set_turn(&turns[1], INK_ROLE_ASSISTANT, "123");
    assert_int_equal(ink_encode_sample(t, &e, &sample, &options, "f.json", &error),
                     INK_ERROR_LIMIT);
    assert_string_equal(error.message,
                        "f.json: line 7: the prompt has 5 tokens, more than 4, the limit");
    options.max_prompt = 5;
    options.max_response = 2;
    assert_int_equal(ink_encode_sample(t, &e, &sample, &options, "f.json", &error),
                     INK_ERROR_LIMIT);
    assert_string_equal(error.message,
                        "f.json: line 7: the answer has 3 tokens, more than 2, the limit");
    options.max_response = 3;
    assert_ok(ink_encode_sample(t, &e, &sample, &options, "f.json", &error));
    assert_int_equal(e.n, 9);
    assert_int_equal(e.n_prompt, 5);
    ink_encoded_free(&e);
    ink_tokenizer_close(t);
}

/* Several turns, or no limits: what the model has no positions for is refused, but for texts. */
static void no_sample_is_longer_than_the_context(void **state)
{
    (void)state;
    struct ink_tokenizer *t = open_ernie();
    struct ink_error error = {0};
    struct ink_encoded e = {0};
    struct ink_turn turns[4], text;
    const struct ink_sample sample = {.turns = turns, .n_turns = 4, .line = 7};
    const struct ink_sample long_text = {.turns = &text, .n_turns = 1, .line = 8};
    struct ink_encode_options options = {.max_prompt = 5, .max_response = 3, .max_context = 18};
    for (int i = 0; i < 4; i += 2) { /* each 5, 3 and the end */
        set_turn(&turns[i], INK_ROLE_USER, "12345");
        set_turn(&turns[i + 1], INK_ROLE_ASSISTANT, "123");
    }
    set_turn(&text, INK_ROLE_TEXT, "123456789012345678901234567890");
    assert_ok(ink_encode_sample(t, &e, &sample, &options, "f", &error));
    assert_int_equal(e.n, 18);
    options.max_context = 17;
    assert_int_equal(ink_encode_sample(t, &e, &sample, &options, "f", &error), INK_ERROR_LIMIT);
    assert_string_equal(error.message,
                        "f: line 7: 18 tokens are more than the model's context of 17");
    assert_ok(ink_encode_sample(t, &e, &long_text, &options, "f", &error));
    assert_int_equal(e.n, 31);
    ink_encoded_free(&e);
    ink_tokenizer_close(t);
}

static void texts_are_trained_on(void **state)
{
    (void)state;
    struct ink_tokenizer *t = open_ernie(), *stories = open_stories();
    struct ink_error error = {0};
    struct ink_encoded e = {0};
    struct ink_turn turn;
    const struct ink_sample sample = {.turns = &turn, .n_turns = 1, .line = 1};
    struct ink_encode_options options = {.chat_template = INK_TEMPLATE_CHAT};
    set_turn(&turn, INK_ROLE_TEXT, "12345");
    assert_ok(ink_encode_sample(t, &e, &sample, &options, "f", &error));
    assert_int_equal(e.n, 6);
    assert_int_equal(e.tokens[5], 2);
    assert_int_equal(e.n_trained, 5); /* nothing comes before the first */
    assert_int_equal(e.trained[0], 0);
    options.max_prompt = options.max_response = 2; /* of questions and answers */
    options.refuse_long = true;
    assert_ok(ink_encode_sample(t, &e, &sample, &options, "f", &error));
    assert_int_equal(e.n, 6);
    assert_false(e.response_cut);
    options = (struct ink_encode_options){.chat_template = INK_TEMPLATE_NONE};
    assert_ok(ink_encode_sample(stories, &e, &sample, &options, "f", &error));
    assert_int_equal(e.tokens[e.n - 1], 2);
    ink_encoded_free(&e);
    ink_tokenizer_close(t);
    ink_tokenizer_close(stories);
}

/* Of every length, in windows of every size: each token but the first is predicted once, after the
 * one that comes before it in the text. */
static void long_texts_are_read_in_windows(void **state)
{
    (void)state;
    uint8_t trained[40];
    int32_t tokens[40];
    for (size_t n = 2; n <= 40; n++) {
        for (size_t limit = 2; limit <= 42; limit++) {
            const struct ink_encoded e = {
                .tokens = tokens, .trained = trained, .n = n, .is_text = true};
            struct ink_window w = {0};
            size_t predicted = 0, windows = 0;
            while (ink_encoded_next(&e, &w, limit)) {
                assert_int_equal(w.begin, predicted);
                assert_true(w.n >= 2 && w.n <= limit);
                assert_true(w.n == limit || w.begin + w.n == n);
                predicted += w.n - 1;
                windows++;
            }
            assert_int_equal(predicted, n - 1);
            assert_int_equal(windows, (n - 2) / (limit - 1) + 1);
        }
    }
    const struct ink_encoded e = {.tokens = tokens, .trained = trained, .n = 40};
    struct ink_window w = {0};
    assert_true(ink_encoded_next(&e, &w, 2)); /* no text */
    assert_int_equal(w.n, 40);
    assert_false(ink_encoded_next(&e, &w, 2));
}

static void a_chat_needs_its_tokens(void **state)
{
    (void)state;
    struct ink_tokenizer *t = open_stories();
    struct ink_error error = {0};
    struct ink_encoded e = {0};
    struct ink_turn turns[2];
    const struct ink_sample sample = {.turns = turns, .n_turns = 2, .line = 1};
    const struct ink_encode_options options = {.chat_template = INK_TEMPLATE_CHAT};
    set_turn(&turns[0], INK_ROLE_USER, "a");
    set_turn(&turns[1], INK_ROLE_ASSISTANT, "b");
    assert_int_equal(ink_encode_sample(t, &e, &sample, &options, "f", &error), INK_ERROR_INPUT);
    assert_non_null(strstr(error.message, "chat format"));
    ink_encoded_free(&e);
    ink_tokenizer_close(t);
}

/* A plain text's prompt is what generate reads, a chat's what chat reads, and an answer that is not
 * cut ends in an end token that is trained on. */
static void prompts_are_those_of_asking(void **state)
{
    (void)state;
    struct ink_tokenizer *t = open_ernie();
    struct ink_error error = {0};
    struct ink_encoded e = {0};
    struct ink_sample s = {0};
    struct ink_dataset *d;
    int32_t *ids;
    size_t n;
    assert_ok(ink_dataset_open(
        &d, shared_path("data/qa-zh/article-format/kgclue_question_input_output.jsonl"), NULL,
        &error));
    for (size_t i = 0; i < 2000; i++) {
        const struct ink_encode_options options = {
            .chat_template = i % 2 ? INK_TEMPLATE_CHAT : INK_TEMPLATE_NONE, .compare_joint = true};
        assert_ok(ink_dataset_read(d, &s, i, &error));
        assert_ok(ink_encode_sample(t, &e, &s, &options, "f", &error));
        const struct ink_message message = {"user", s.turns[0].text};
        assert_ok(i % 2 ? ink_chat_encode(t, &ids, &n, &message, 1, true, &error)
                        : ink_tokenizer_encode(t, &ids, &n, s.turns[0].text, s.turns[0].n_text,
                                               false, &error));
        assert_int_equal(e.n_prompt, n);
        assert_memory_equal(e.tokens, ids, n * sizeof *ids);
        assert_int_equal(e.n_trained, e.n - e.n_prompt);
        assert_int_equal(e.tokens[e.n - 1], i % 2 ? 100272 : 2);
        ink_free(ids);
    }
    ink_sample_free(&s);
    ink_encoded_free(&e);
    ink_dataset_close(d);
    ink_tokenizer_close(t);
}

static void allocations_may_fail(void **state)
{
    (void)state;
    struct ink_tokenizer *t = open_ernie();
    struct ink_error error = {0};
    struct ink_turn turns[2];
    const struct ink_sample sample = {.turns = turns, .n_turns = 2, .line = 1};
    const struct ink_encode_options options = {
        .chat_template = INK_TEMPLATE_CHAT, .max_prompt = 6, .compare_joint = true};
    int status = INK_ERROR_MEMORY, n = 0;
    set_turn(&turns[0], INK_ROLE_USER, "a longer question");
    set_turn(&turns[1], INK_ROLE_ASSISTANT, "b");
    for (; status != INK_OK; n++) {
        struct ink_encoded e = {0};
        assert_true(n < 1000);
        ink_fail_allocation(n + 1, false);
        status = ink_encode_sample(t, &e, &sample, &options, "f", &error);
        ink_fail_allocation(0, false);
        assert_true(status == INK_OK || status == INK_ERROR_MEMORY);
        ink_encoded_free(&e);
    }
    assert_true(n > 4);
    ink_tokenizer_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens),
        cmocka_unit_test(long_samples_are_refused_if_asked),
        cmocka_unit_test(no_sample_is_longer_than_the_context),
        cmocka_unit_test(texts_are_trained_on),
        cmocka_unit_test(long_texts_are_read_in_windows),
        cmocka_unit_test(a_chat_needs_its_tokens),
        cmocka_unit_test(prompts_are_those_of_asking),
        cmocka_unit_test(allocations_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
