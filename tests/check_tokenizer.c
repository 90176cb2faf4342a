/* Text to ids and back: reference ids of other implementations, special tokens, vocabularies from
 * GGUF. */
#include "check_tokenizer_gguf.h"

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
    if (!strstr(text, "\xE2\x96\x81")) { /* SentencePiece reads U+2581 as a space; we keep it */
        assert_ids(text, ids, n, expected);
    }
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

static void check_third_party(const struct ink_tokenizer *t)
{
    cJSON *root = read_shared_json("data/ernie45-tokenizer/golden_third_party.json");
    const cJSON *entry;
    assert_int_equal(cJSON_GetArraySize(root), 23);
    cJSON_ArrayForEach(entry, root)
    {
        check_pair(t, entry, true, true);
    }
    cJSON_Delete(root);
}

static void check_decode(const struct ink_tokenizer *t, const cJSON *list, bool keep_special)
{
    const cJSON *entry;
    cJSON_ArrayForEach(entry, list)
    {
        int n;
        int32_t *ids = ids_of(ink_json_get(entry, "ids"), &n);
        const char *text = ink_json_get(entry, "text")->valuestring;
        const bool skip_special = cJSON_IsTrue(ink_json_get(entry, "skip_special"));
        assert_decodes(t, ids, (size_t)n, keep_special && !skip_special, text, strlen(text));
        free(ids);
    }
}

static void check_ernie(const struct ink_tokenizer *t)
{
    cJSON *decode = read_shared_json("data/ernie45-tokenizer/golden_decode_third_party.json");
    assert_int_equal(check_lines(t, "data/ernie45-tokenizer/golden_spm_hard.jsonl", true), 60);
    assert_int_equal(check_lines(t, "data/ernie45-tokenizer/golden_spm_ernie_sft.jsonl", true),
                     816);
    check_third_party(t);
    check_decode(t, decode, true);
    cJSON_Delete(decode);
}

static void test_ernie_goldens(void **state)
{
    struct ink_tokenizer *t = open_ernie();
    (void)state;
    check_ernie(t);
    ink_tokenizer_close(t);
}

static void test_stories_goldens(void **state)
{
    struct ink_tokenizer *t = open_stories();
    size_t n;
    (void)state;
    assert_true(ink_tokenizer_get_facts(t)->add_dummy_prefix);
    assert_true(ink_tokenizer_get_facts(t)->remove_extra_whitespaces);
    assert_int_equal(check_lines(t, "data/stories260K/golden_spm_tok512.jsonl", false), 9);
    int32_t *ids = encode(t, "  two  spaces ", 14, false, &n);
    assert_decodes(t, ids, n, false, "two spaces", 10);
    ink_free(ids);
    ink_tokenizer_close(t);
}

static void test_decode_goldens(void **state)
{
    cJSON *root = read_shared_json("decode_golden.json");
    struct ink_tokenizer *ernie = open_ernie(), *stories = open_stories();
    (void)state;
    check_decode(ernie, ink_json_get(root, "ernie"), false);
    check_decode(stories, ink_json_get(root, "stories"), false);
    ink_tokenizer_close(ernie);
    ink_tokenizer_close(stories);
    cJSON_Delete(root);
}

/* ------------------------------------------------------------------------------ special tokens */

static void assert_encodes(const struct ink_tokenizer *t, const char *text, bool parse_special,
                           const int32_t *expected, size_t n_expected)
{
    size_t n;
    int32_t *ids = encode(t, text, strlen(text), parse_special, &n);
    if (n != n_expected || memcmp(ids, expected, n * sizeof *ids) != 0) {
        fail_msg("\"%s\": other ids than expected", text);
    }
    ink_free(ids);
}

static void check_special_tokens(const struct ink_tokenizer *t)
{
    static const char *const tokens[] = {
        "<unk>",
        "<s>",
        "</s>",
        "<|begin_of_sentence|>",
        "<|end_of_sentence|>",
        "<mask:1>",
        "<mask:4>",
        "<mask:7>",
        "<|LOC_0|>",
        "<|LOC_1000|>",
        "<|IMAGE_PLACEHOLDER|>",
        "<|CROP_ROW_SEP|>",
        "<|IMAGE_SEP|>",
    };
    for (size_t i = 0; i < INK_COUNT(tokens); i++) {
        const int32_t id = ink_tokenizer_find(t, tokens[i]);
        size_t n;
        assert_true(id >= 0 && ink_tokenizer_is_special(t, id));
        assert_encodes(t, tokens[i], true, &id, 1);
        int32_t *ids = encode(t, tokens[i], strlen(tokens[i]), false, &n);
        for (size_t k = 0; k < n; k++) {
            assert_false(ink_tokenizer_is_special(t, ids[k]));
        }
        assert_decodes(t, ids, n, false, tokens[i], strlen(tokens[i]));
        ink_free(ids);
        assert_decodes(t, &id, 1, true, tokens[i], strlen(tokens[i]));
        assert_decodes(t, &id, 1, false, "", 0);
    }
}

static void test_special_tokens(void **state)
{
    struct ink_tokenizer *t = open_ernie();
    (void)state;
    const struct ink_tokenizer_facts *facts = ink_tokenizer_get_facts(t);
    check_special_tokens(t);
    assert_int_equal(facts->n_pieces, 100295);
    assert_int_equal(facts->n_added, 1009);
    assert_int_equal(facts->bos_id, 1);
    assert_int_equal(facts->eos_id, 2);
    assert_int_equal(facts->unk_id, 0);
    assert_int_equal(facts->pad_id, 0);
    assert_int_equal(facts->cls_id, 100273);
    assert_int_equal(facts->sep_id, 100272);
    assert_false(facts->add_bos);
    assert_string_equal(facts->model_type, "bpe");
    /* not named by any file: text even when special tokens are parsed */
    assert_false(ink_tokenizer_is_special(t, ink_tokenizer_find(t, "<mask:2>")));
    /* the longest, the leftmost, and what only begins like one */
    const int32_t loc[] = {ink_tokenizer_find(t, "<|LOC_10|>"), ink_tokenizer_find(t, "<|LOC_1|>")};
    assert_encodes(t, "<|LOC_10|><|LOC_1|>", true, loc, 2);
    size_t n;
    int32_t *ids = encode(t, "<|LOC_<|LOC_1|", 14, true, &n);
    assert_decodes(t, ids, n, true, "<|LOC_<|LOC_1|", 14);
    ink_free(ids);
    /* padding rows */
    const int32_t padding[] = {101304, 103423, 103424, -1, INT32_MAX};
    for (size_t i = 0; i < INK_COUNT(padding); i++) {
        assert_null(ink_tokenizer_piece(t, padding[i]).text);
        assert_decodes(t, &padding[i], 1, true, "", 0);
        assert_false(ink_tokenizer_is_special(t, padding[i]));
    }
    assert_int_equal(ink_tokenizer_find(t, "[PAD101304]"), -1);
    assert_int_equal(ink_tokenizer_find(t, ""), -1);
    ink_tokenizer_close(t);
}

/* ---------------------------------------------------------------------------------------- GGUF */

static const struct gguf_settings plain = {"llama", 0, 0, 1, 2, NULL, 0, 0};

/* ERNIE's vocabulary as converters write it: digits are normal, added tokens of type `added`. */
static struct token *ernie_as_gguf(const struct ink_tokenizer *t, int added, char (*names)[32])
{
    const struct ink_tokenizer_facts *facts = ink_tokenizer_get_facts(t);
    struct token *tokens = calloc((size_t)facts->n_vocab, sizeof *tokens);
    for (int i = 0; i < facts->n_vocab; i++) {
        struct ink_piece piece = ink_tokenizer_piece(t, i);
        tokens[i] = (struct token){piece.text, piece.score, (int32_t)piece.type};
        if (piece.type == INK_PIECE_USER_DEFINED) {
            tokens[i].type = INK_PIECE_NORMAL;
        }
        if (!piece.text) {
            snprintf(names[i], sizeof names[i], "[PAD%d]", i);
            tokens[i] = (struct token){names[i], -1000, INK_PIECE_UNUSED};
        } else if (i >= facts->n_pieces) {
            tokens[i].type = added;
            tokens[i].score = -1000;
        }
    }
    return tokens;
}

static void test_ernie_from_gguf(void **state)
{
    struct ink_tokenizer *folder = open_ernie();
    static char names[103424][32];
    (void)state;
    for (int added = INK_PIECE_CONTROL; added <= INK_PIECE_USER_DEFINED; added++) {
        struct token *tokens = ernie_as_gguf(folder, added, names);
        struct ink_string file = make_gguf(tokens, 103424, &plain);
        struct ink_tokenizer *t;
        struct ink_error error;
        assert_ok(open_gguf_bytes(&t, file.data, file.length, 103424, &error));
        check_ernie(t);
        check_special_tokens(t);
        const struct ink_tokenizer_facts *a = ink_tokenizer_get_facts(folder);
        const struct ink_tokenizer_facts *b = ink_tokenizer_get_facts(t);
        assert_int_equal(a->n_pieces, b->n_pieces);
        assert_int_equal(a->n_added, b->n_added);
        assert_int_equal(a->cls_id, b->cls_id);
        assert_int_equal(a->sep_id, b->sep_id);
        for (int i = 0; i < a->n_vocab; i++) {
            const char *x = ink_tokenizer_piece(folder, i).text,
                       *y = ink_tokenizer_piece(t, i).text;
            assert_true(x ? y && strcmp(x, y) == 0 : y == NULL);
            assert_int_equal(ink_tokenizer_is_special(folder, i), ink_tokenizer_is_special(t, i));
        }
        ink_tokenizer_close(t);
        ink_string_free(&file);
        free(tokens);
    }
    ink_tokenizer_close(folder);
}

/* Ids of llama.cpp for other vocabularies, which have a dummy prefix. */
static void test_other_gguf(void **state)
{
    cJSON *root = read_shared_json("gguf_vocab_golden.json");
    const cJSON *list;
    (void)state;
    cJSON_ArrayForEach(list, root)
    {
        char name[64];
        struct ink_mapping file = {0};
        struct ink_tokenizer *t;
        struct ink_error error;
        const cJSON *entry;
        snprintf(name, sizeof name, "data/gguf-vocab/%s", list->string);
        assert_ok(ink_map_file(&file, shared_path(name), &error));
        assert_ok(open_gguf_bytes(&t, file.data, (size_t)file.size, 1 << 20, &error));
        assert_true(ink_tokenizer_get_facts(t)->add_bos);
        cJSON_ArrayForEach(entry, list)
        {
            check_pair(t, entry, false, true);
        }
        ink_tokenizer_close(t);
        ink_unmap_file(&file);
    }
    cJSON_Delete(root);
}

/* What export writes again is the same vocabulary. */
static void test_rebuilt_model(void **state)
{
    struct ink_mapping file = {0};
    struct ink_tokenizer *a, *b;
    struct ink_error error;
    (void)state;
    assert_ok(
        ink_map_file(&file, shared_path("data/gguf-vocab/ggml-vocab-llama-spm.gguf"), &error));
    assert_ok(open_gguf_bytes(&a, file.data, (size_t)file.size, 32000, &error));
    char *folder = make_folder();
    const struct ink_tokenizer_facts *facts = ink_tokenizer_get_facts(a);
    write_file(folder, "tokenizer.model", facts->model_proto, facts->n_model_proto);
    assert_ok(ink_tokenizer_open_folder(&b, folder, 32000, &error));
    for (int i = 0; i < 32000; i++) {
        const struct ink_piece x = ink_tokenizer_piece(a, i), y = ink_tokenizer_piece(b, i);
        assert_string_equal(x.text, y.text);
        assert_true(x.score == y.score && x.type == y.type);
    }
    assert_true(ink_tokenizer_get_facts(b)->add_dummy_prefix);
    remove_folder(folder);
    ink_tokenizer_close(a);
    ink_tokenizer_close(b);
    ink_unmap_file(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ernie_goldens),   cmocka_unit_test(test_stories_goldens),
        cmocka_unit_test(test_decode_goldens),  cmocka_unit_test(test_special_tokens),
        cmocka_unit_test(test_ernie_from_gguf), cmocka_unit_test(test_other_gguf),
        cmocka_unit_test(test_rebuilt_model),
    };
    return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}
