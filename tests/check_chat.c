/* The chat template: ids of the published template run by Jinja, and comparing templates. */
#include "check_tokenizer.h"

static int encode_chat(const struct ink_tokenizer *t, int32_t **ids, size_t *n, const cJSON *list,
                       bool add_generation_prompt)
{
    struct ink_message messages[16];
    struct ink_error error = {0};
    int n_messages = 0;
    const cJSON *entry;
    cJSON_ArrayForEach(entry, list)
    {
        messages[n_messages++] = (struct ink_message){ink_json_get(entry, "role")->valuestring,
                                                      ink_json_get(entry, "content")->valuestring};
    }
    return ink_chat_encode(t, ids, n, messages, n_messages, add_generation_prompt, &error);
}

static void test_goldens(void **state)
{
    struct ink_tokenizer *t = open_ernie();
    cJSON *root = read_shared_json("chat_golden.json");
    const cJSON *entry;
    (void)state;
    assert_true(cJSON_GetArraySize(root) > 20);
    cJSON_ArrayForEach(entry, root)
    {
        int32_t *ids;
        size_t n;
        const cJSON *messages = ink_json_get(entry, "messages");
        assert_int_equal(encode_chat(t, &ids, &n, messages,
                                     cJSON_IsTrue(ink_json_get(entry, "add_generation_prompt"))),
                         INK_OK);
        char *text = cJSON_PrintUnformatted(messages);
        assert_ids(text, ids, n, ink_json_get(entry, "ids"));
        cJSON_free(text);
        ink_free(ids);
    }
    cJSON_Delete(root);
    ink_tokenizer_close(t);
}

/* Nothing that a user writes becomes a special token. */
static void test_content_stays_text(void **state)
{
    struct ink_tokenizer *t = open_ernie();
    const struct ink_tokenizer_facts *facts = ink_tokenizer_get_facts(t);
    (void)state;
    for (int32_t id = 0; id < facts->n_vocab; id++) {
        if (!ink_tokenizer_is_special(t, id)) {
            continue;
        }
        const struct ink_message message = {"user", ink_tokenizer_piece(t, id).text};
        struct ink_error error = {0};
        int32_t *ids;
        size_t n;
        assert_ok(ink_chat_encode(t, &ids, &n, &message, 1, true, &error));
        assert_int_equal(ids[0], facts->cls_id);
        for (size_t i = 1; i < n; i++) {
            assert_false(ink_tokenizer_is_special(t, ids[i]));
        }
        ink_free(ids);
    }
    ink_tokenizer_close(t);
}

static void test_mistakes(void **state)
{
    struct ink_tokenizer *ernie = open_ernie(), *stories = open_stories();
    static const struct ink_message bad[] = {
        {"tool", "x"}, {"User", "x"}, {"", "x"}, {NULL, "x"}, {"user", NULL}};
    struct ink_error error = {0};
    int32_t *ids;
    size_t n;
    (void)state;
    assert_true(ink_chat_is_supported(ernie));
    assert_false(ink_chat_is_supported(stories));
    for (size_t i = 0; i < INK_COUNT(bad); i++) {
        assert_int_equal(ink_chat_encode(ernie, &ids, &n, &bad[i], 1, true, &error),
                         INK_ERROR_ARGUMENT);
        assert_null(ids);
    }
    assert_int_equal(ink_chat_encode(stories, &ids, &n, NULL, 0, true, &error), INK_ERROR_INPUT);
    assert_non_null(strstr(error.message, "<|begin_of_sentence|>"));
    ink_tokenizer_close(ernie);
    ink_tokenizer_close(stories);
}

/* -------------------------------------------------------------------------- comparing templates */

static void assert_differs(const char *template, const char *line, const char *excerpt)
{
    char *text = ink_chat_template_difference(template);
    if (!text || !strstr(text, line) || !strstr(text, excerpt)) {
        fail_msg("expected %s and %s in: %s", line, excerpt, text ? text : "(no difference)");
    }
    ink_free(text);
}

/* `text` with the first `from` replaced; the caller frees it. */
static char *replaced(const char *text, const char *from, const char *to)
{
    struct ink_string out = {0};
    const char *at = strstr(text, from);
    assert_non_null(at);
    ink_string_append(&out, text, (size_t)(at - text));
    ink_string_puts(&out, to);
    ink_string_puts(&out, at + strlen(from));
    return out.data;
}

static void test_template_difference(void **state)
{
    struct ink_tokenizer *t = open_ernie();
    const char *official = ink_tokenizer_get_facts(t)->chat_template;
    (void)state;
    assert_non_null(official);
    assert_null(ink_chat_template_difference(NULL));
    assert_null(ink_chat_template_difference(official));
    const struct {
        const char *from, *to, *line, *excerpt; /* no excerpt: no difference */
    } cases[] = {
        {"{{- cls_token -}}", "{#- a comment #}\n\n  {{-  cls_token  -}}", "", NULL},
        {"message[\"role\"] == \"user\"", "message['role']=='user'", "", NULL},
        {"+ \"\n\" -}}", "+ \"\\n\" -}}", "", NULL},
        {"Assistant: ", "assistant: ", "line ", "assistant: "},
        {"User: ", "User:", "line 13", "\"User:\" +"},
        {"{{- cls_token -}}", "", "line 11", "{%- for message in messages -%}"},
        {"{%- if add_generation_prompt -%}\n    {{- \"Assistant: \" -}}\n{%- endif -%}", "",
         "line ", "{%- if add_generation_prompt -%}"},
        {"{%- endif -%}", "{%- endif -%}more", "line 3: \"more", "more"},
    };
    for (size_t i = 0; i < INK_COUNT(cases); i++) {
        char *changed = replaced(official, cases[i].from, cases[i].to);
        if (cases[i].excerpt) {
            assert_differs(changed, cases[i].line, cases[i].excerpt);
        } else {
            char *text = ink_chat_template_difference(changed);
            if (text) {
                fail_msg("%s", text);
            }
        }
        ink_free(changed);
    }
    assert_differs("", "line 1: \"\"", "add_generation_prompt");
    assert_differs("{# never closed", "line 1", "{# never closed");
    assert_differs("\"\\", "line 1", "");
    assert_differs("\033[2J\377", "line 1", " [2J\xEF\xBF\xBD");
    ink_tokenizer_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens),
        cmocka_unit_test(test_content_stays_text),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_template_difference),
    };
    return cmocka_run_group_tests_name("chat", tests, NULL, NULL);
}
