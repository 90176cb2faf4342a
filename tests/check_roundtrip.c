/* Text to ids and back for every character, any bytes, and large texts; and that cutting long text
 * changes no id. */
#include "check_tokenizer.h"

#include "../src/tokenizer_internal.h"

#include <time.h>

static void assert_survives(const struct ink_tokenizer *t, const char *text, size_t n_text)
{
    size_t n;
    int32_t *ids = encode(t, text, n_text, false, &n);
    assert_decodes(t, ids, n, true, text, n_text);
    ink_free(ids);
}

/* Each alone (on an emulated processor every ninth), and all in one text. */
static void check_every_scalar(const struct ink_tokenizer *t)
{
    char *all = malloc(0x110000 * 4);
    size_t n = 0;
    for (uint32_t c = 0; c < 0x110000; c++) {
        const int length = ink_utf8_encode(all + n, c);
        if (length > 0 && (!is_emulated() || c % 9 == 0)) {
            assert_survives(t, all + n, (size_t)length);
        }
        n += (size_t)length;
    }
    assert_survives(t, all, n);
    free(all);
}

static void test_every_scalar(void **state)
{
    struct ink_tokenizer *t = open_ernie();
    (void)state;
    check_every_scalar(t);
    for (int i = 0; i < 2048; i++) { /* surrogates: no text, but bytes */
        const char bytes[] = {'\xED', (char)(0xA0 + i / 64), (char)(0x80 + i % 64)};
        assert_survives(t, bytes, sizeof bytes);
    }
    ink_tokenizer_close(t);
}

/* xorshift; never 0 */
static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

enum fill { fill_bytes, fill_ascii, fill_word, fill_spaces, fill_a, fill_han, fill_lines };

static char *make_text(enum fill fill, size_t n)
{
    uint32_t seed = 1;
    char *text = malloc(n);
    for (size_t i = 0; i < n; i++) {
        const uint32_t r = next_random(&seed) >> 8;
        switch (fill) {
        case fill_bytes:
            text[i] = (char)r;
            break;
        case fill_ascii:
            text[i] = (char)(' ' + r % 95);
            break;
        case fill_word:
            text[i] = (char)('a' + r % 26);
            break;
        case fill_spaces:
            text[i] = ' ';
            break;
        case fill_a:
            text[i] = 'a';
            break;
        case fill_han:
            text[i] = "\xE4\xB8\xAD"[i % 3];
            break;
        case fill_lines:
            text[i] = "a line.\n"[i % 8];
            break;
        }
    }
    return text;
}

/* 10 MB (1.2 MB where that takes minutes): in time that grows with the text, or refused with the
 * limit. */
static void test_large_texts(void **state)
{
    static const struct {
        const char *name;
        enum fill fill;
        bool refused;
    } cases[] = {
        {"random bytes", fill_bytes, false}, {"random ASCII", fill_ascii, false},
        {"random word", fill_word, false},   {"lines", fill_lines, false},
        {"one character", fill_han, false},  {"one letter", fill_a, true},
        {"spaces", fill_spaces, true},
    };
    const size_t n_text = is_emulated() ? 1200000 : 9999999; /* a multiple of 3 */
    struct ink_tokenizer *t = open_ernie();
    (void)state;
    for (size_t i = 0; i < INK_COUNT(cases); i++) {
        struct ink_error error = {0};
        char *text = make_text(cases[i].fill, n_text);
        int32_t *ids;
        size_t n;
        const clock_t start = clock();
        const int status = ink_tokenizer_encode(t, &ids, &n, text, n_text, true, &error);
        const double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
        printf("# %.1f MB, %s: %s, %.2f s\n", (double)n_text / 1e6, cases[i].name,
               status == INK_OK ? "encoded" : error.message, seconds);
        assert_int_equal(status, cases[i].refused ? INK_ERROR_LIMIT : INK_OK);
        if (status == INK_OK) {
            assert_decodes(t, ids, n, true, text, n_text);
        } else {
            assert_non_null(strstr(error.message, "1048576"));
            assert_null(ids);
            assert_survives(t, text, 300000);
        }
        ink_free(ids);
        free(text);
    }
    ink_tokenizer_close(t);
}

static void test_too_long(void **state)
{
    struct ink_tokenizer *t = open_stories();
    struct ink_error error = {0};
    int32_t *ids;
    size_t n;
    (void)state;
    assert_int_equal(ink_tokenizer_encode(t, &ids, &n, "", (size_t)INK_MAX_TEXT + 1, true, &error),
                     INK_ERROR_LIMIT);
    assert_int_equal(ink_tokenizer_encode(t, &ids, &n, "", SIZE_MAX, true, &error),
                     INK_ERROR_LIMIT);
    assert_null(ids);
    ink_tokenizer_close(t);
}

/* --------------------------------------------------------------- against SentencePiece as it is */

static const char *const fragments[] = {
    " ",
    "  ",
    "a",
    "e",
    "the ",
    "ing",
    "中",
    "国的",
    "。",
    "1",
    "23",
    "\n",
    "\t",
    "<",
    "|>",
    "é",
    "e\xCC\x81",
    "😀",
    "\xE2\x80\x8D",
    "Q",
    "ZX",
    "==",
    "()",
    "; ",
    "user",
    "Assistant: ",
    "л",
    "و",
    "한",
    "\xEF\xBC\xA1",
    "\xC2\xA0",
    "\xE3\x80\x80",
    "\x7F",
    "\x01",
    "aaaa",
    "    ",
    "_",
    "\xF4\x8F\xBF\xBF",
};

static struct ink_string random_text(uint32_t *seed, size_t n_fragments)
{
    struct ink_string text = {0};
    /* few different fragments give long runs, many give few */
    const uint32_t first = next_random(seed) % INK_COUNT(fragments);
    const uint32_t span = 1 + next_random(seed) % INK_COUNT(fragments);
    for (size_t i = 0; i < n_fragments; i++) {
        ink_string_puts(&text,
                        fragments[(first + next_random(seed) % span) % INK_COUNT(fragments)]);
    }
    return text;
}

/* The model as its file is, with SentencePiece doing the white space, over the whole text. */
static void check_against_library(const struct ink_tokenizer *t, size_t n_fragments, int n_texts)
{
    const struct ink_tokenizer_facts *facts = ink_tokenizer_get_facts(t);
    struct ink_error error = {0};
    struct ink_spm *spm;
    uint32_t seed = 7;
    assert_ok(ink_spm_open(&spm, facts->model_proto, facts->n_model_proto, "oracle", &error));
    for (int i = 0; i < n_texts; i++) {
        struct ink_string text = random_text(&seed, n_fragments);
        struct ink_ids expected = {0};
        size_t n;
        int32_t *ids = encode(t, text.data, text.length, false, &n);
        assert_ok(ink_spm_encode(spm, &expected, text.data, text.length, &error));
        if (n != expected.length || (n > 0 && memcmp(ids, expected.data, n * sizeof *ids) != 0)) {
            fail_msg("other ids than SentencePiece's for text %d (\"%.60s\")", i, text.data);
        }
        ink_free(ids);
        ink_free(expected.data);
        ink_string_free(&text);
    }
    ink_spm_close(spm);
}

static void check_model(const char *name, int n_vocab, size_t n_fragments, int n_texts)
{
    struct ink_tokenizer *t = NULL;
    struct ink_error error = {0};
    struct ink_mapping file = {0};
    assert_ok(ink_map_file(&file, shared_path(name), &error));
    char *folder = make_folder();
    write_file(folder, "tokenizer.model", file.data, (size_t)file.size);
    assert_ok(ink_tokenizer_open_folder(&t, folder, n_vocab, &error));
    remove_folder(folder);
    check_against_library(t, 5, 2000);
    check_against_library(t, n_fragments, is_emulated() ? n_texts / 4 : n_texts);
    ink_tokenizer_close(t);
    ink_unmap_file(&file);
}

static void test_ernie_is_exact(void **state)
{
    (void)state;
    check_model("data/ernie45-tokenizer/tokenizer.model", 103424, 30000, 60);
}

static void test_stories_is_exact(void **state)
{
    (void)state;
    check_model("data/stories260K/tok512.model", 512, 30000, 60);
}

static void test_chatglm_is_exact(void **state)
{
    (void)state;
    check_model("data/spm-other/chatglm_bpe.model", 64789, 30000, 40);
}

/* Without byte fallback, with a table of the normaliser. */
static void test_unigram_is_exact(void **state)
{
    (void)state;
    check_model("data/spm-other/chinese_llama_unigram20k.model", 20000, 5000, 30);
}

/* Every model of the fuzzer's corpus that opens; these have odd white space and unknown text. */
static void test_small_models_are_exact(void **state)
{
    static const char *const names[] = {"bpe",     "bpe-bytes",    "bpe-spaces",
                                        "unigram", "bpe-charsmap", "unigram-charsmap"};
    (void)state;
    for (size_t i = 0; i < INK_COUNT(names); i++) {
        char name[128];
        snprintf(name, sizeof name, "../fuzz/corpus/tokenizer_model/%s", names[i]);
        check_model(name, 1000, 8000, 20);
    }
}

/* Wherever text may be cut, the halves give the ids of the whole. */
static void test_every_cut_is_exact(void **state)
{
    struct ink_tokenizer *t = open_ernie();
    uint32_t seed = 99;
    int n_cuts = 0, n_places = 0;
    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct ink_string text = random_text(&seed, 12);
        size_t n_whole;
        int32_t *whole = encode(t, text.data, text.length, false, &n_whole);
        uint32_t before = 0, c;
        for (size_t at = 0; at < text.length; before = c) {
            int length = ink_utf8_decode(text.data + at, text.length - at, &c);
            c = c == ' ' ? 0x2581 : c;
            n_places += at > 0;
            if (at > 0 && ink_tokenizer_may_cut(t, before, c)) {
                size_t n_left, n_right;
                int32_t *left = encode(t, text.data, at, false, &n_left);
                int32_t *right = encode(t, text.data + at, text.length - at, false, &n_right);
                assert_int_equal(n_left + n_right, n_whole);
                assert_memory_equal(whole, left, n_left * sizeof *left);
                assert_memory_equal(whole + n_left, right, n_right * sizeof *right);
                ink_free(left);
                ink_free(right);
                n_cuts++;
            }
            at += (size_t)length;
        }
        ink_free(whole);
        ink_string_free(&text);
    }
    printf("# %d of %d places may be cut\n", n_cuts, n_places);
    assert_true(n_cuts > 1000);
    ink_tokenizer_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_scalar),
        cmocka_unit_test(test_large_texts),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_every_cut_is_exact),
        cmocka_unit_test(test_ernie_is_exact),
        cmocka_unit_test(test_stories_is_exact),
        cmocka_unit_test(test_chatglm_is_exact),
        cmocka_unit_test(test_unigram_is_exact),
        cmocka_unit_test(test_small_models_are_exact),
    };
    return cmocka_run_group_tests_name("roundtrip", tests, NULL, NULL);
}
