/* Text to ids and back: reference ids of other implementations, round trips, large texts. */
#include "check_tokenizer.h"

#include "../src/spm.h"

#include <stdio.h>
#include <time.h>

/* ------------------------------------------------------------------------------------- goldens */

/* encode(text) == ids, and decode(ids) == text where the model keeps white space. */
static void check_pair(const struct ink_tokenizer *t, const cJSON *entry, bool parse_special,
                       bool reversible)
{
    const char *text = ink_json_get(entry, "text")->valuestring;
    const cJSON *expected = ink_json_get(entry, "ids");
    const size_t n_text = strlen(text);
    size_t n;
    int32_t *ids = encode(t, text, n_text, parse_special, &n);
    if (strstr(text, "\xE2\x96\x81")) { /* kept, where SentencePiece makes a space of it */
        assert_decodes(t, ids, n, true, text, n_text);
        ink_free(ids);
        return;
    }
    assert_ids(text, ids, n, expected);
    if (reversible) {
        assert_decodes(t, ids, n, true, text, n_text);
    }
    ink_free(ids);
}

static int check_lines(const struct ink_tokenizer *t, const char *file, bool reversible)
{
    int n = 0;
    struct lines lines;
    lines_open(&lines, file);
    for (cJSON *entry; (entry = lines_next(&lines)) != NULL; n++) {
        check_pair(t, entry, false, reversible);
        cJSON_Delete(entry);
    }
    lines_close(&lines);
    return n;
}

static void test_ernie_goldens(void **state)
{
    struct ink_tokenizer *t = open_ernie();
    (void)state;
    assert_int_equal(check_lines(t, "data/ernie45-tokenizer/golden_spm_hard.jsonl", true), 60);
    assert_int_equal(check_lines(t, "data/ernie45-tokenizer/golden_spm_ernie_sft.jsonl", true),
                     816);
    ink_tokenizer_close(t);
}

static void test_third_party_goldens(void **state)
{
    struct ink_tokenizer *t = open_ernie();
    cJSON *root = read_shared_json("data/ernie45-tokenizer/golden_third_party.json");
    cJSON *decode = read_shared_json("data/ernie45-tokenizer/golden_decode_third_party.json");
    const cJSON *entry, *id;
    (void)state;
    assert_int_equal(cJSON_GetArraySize(root), 23);
    cJSON_ArrayForEach(entry, root)
    {
        check_pair(t, entry, true, true);
    }
    cJSON_ArrayForEach(entry, decode)
    {
        int32_t ids[64];
        size_t n = 0;
        cJSON_ArrayForEach(id, ink_json_get(entry, "ids"))
        {
            ids[n++] = id->valueint;
        }
        const char *text = ink_json_get(entry, "text")->valuestring;
        const bool keep = !cJSON_IsTrue(ink_json_get(entry, "skip_special"));
        assert_decodes(t, ids, n, keep, text, strlen(text));
    }
    cJSON_Delete(root);
    cJSON_Delete(decode);
    ink_tokenizer_close(t);
}

static void test_stories_goldens(void **state)
{
    struct ink_tokenizer *t = open_stories();
    size_t n;
    (void)state;
    assert_true(ink_tokenizer_get_facts(t)->add_dummy_prefix);
    assert_true(ink_tokenizer_get_facts(t)->remove_extra_whitespaces);
    assert_true(check_lines(t, "data/stories260K/golden_spm_tok512.jsonl", false) > 5);
    int32_t *ids = encode(t, "  two  spaces ", 14, false, &n);
    assert_decodes(t, ids, n, false, "two spaces", 10);
    ink_free(ids);
    ink_tokenizer_close(t);
}

const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_ernie_goldens),
    cmocka_unit_test(test_third_party_goldens),
    cmocka_unit_test(test_stories_goldens),
};

int main(void)
{
    return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}
