/* Damaged and hostile tokenizer files: one clear refusal each, in little time and memory. */
#include "check_tokenizer_gguf.h"

#include "../src/tokenizer_internal.h"

#include <math.h>
#include <time.h>

/* ------------------------------------------------------------------------- models, made by hand */

static void put_varint(struct ink_string *s, uint64_t value)
{
    do {
        const char byte = (char)((value & 0x7F) | (value > 0x7F ? 0x80 : 0));
        ink_string_append(s, &byte, 1);
        value >>= 7;
    } while (value > 0);
}

static void put_number(struct ink_string *s, int field, uint64_t value)
{
    put_varint(s, (uint64_t)field << 3);
    put_varint(s, value);
}

static void put_message(struct ink_string *s, int field, const struct ink_string *message)
{
    put_varint(s, (uint64_t)field << 3 | 2);
    put_varint(s, message->length);
    ink_string_append(s, message->data, message->length);
}

static void put_piece_of(struct ink_string *s, const char *text, size_t n, float score, int type)
{
    struct ink_string piece = {0}, body = {0};
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    ink_string_append(&body, text, n);
    put_message(&piece, 1, &body);
    put_varint(&piece, 2 << 3 | 5);
    put_u32(&piece, bits);
    put_number(&piece, 3, (uint64_t)type);
    put_message(s, 1, &piece);
    ink_string_free(&piece);
    ink_string_free(&body);
}

static void put_piece(struct ink_string *s, const char *text, float score, int type)
{
    put_piece_of(s, text, strlen(text), score, type);
}

static void put_trainer(struct ink_string *s, int field, uint64_t value)
{
    struct ink_string trainer = {0};
    put_number(&trainer, field, value);
    put_message(s, 2, &trainer);
    ink_string_free(&trainer);
}

enum { model_type = 3, whitespace_suffix = 24, byte_fallback = 35, unk_id = 40 };
enum { bos_id = 41, eos_id = 42, pad_id = 43 };

/* A BPE model that opens: unknown, two control pieces, and some text. */
static struct ink_string good_model(void)
{
    struct ink_string s = {0};
    put_piece(&s, "<unk>", 0, INK_PIECE_UNKNOWN);
    put_piece(&s, "<s>", 0, INK_PIECE_CONTROL);
    put_piece(&s, "</s>", 0, INK_PIECE_CONTROL);
    put_piece(&s, "a", -1, INK_PIECE_NORMAL);
    put_piece(&s, "aa", -2, INK_PIECE_NORMAL);
    put_trainer(&s, model_type, 2);
    return s;
}

static int open_model(const void *data, size_t n, struct ink_error *error)
{
    struct ink_tokenizer *t = ink_calloc(1, sizeof *t);
    int status = ink_tokenizer_begin_model(t, data, n, 1 << 20, "bad.model", error);
    if (status == INK_OK) {
        status = ink_tokenizer_finish(t, "bad.model", error);
    }
    ink_tokenizer_close(t);
    return status;
}

/* Refused as input, with `why` in a message that names the file; frees the model. */
static void assert_refused(struct ink_string model, const char *why)
{
    struct ink_error error = {0};
    const clock_t start = clock();
    const int status = open_model(model.data, model.length, &error);
    if (status != INK_ERROR_INPUT || !strstr(error.message, why) ||
        strncmp(error.message, "bad.model: ", 11) != 0) {
        fail_msg("%d \"%s\", expected \"%s\"", status, error.message, why);
    }
    assert_true(clock() - start < 2 * CLOCKS_PER_SEC);
    ink_string_free(&model);
}

static struct ink_string with_bytes(const char *bytes, size_t n)
{
    struct ink_string s = good_model();
    ink_string_append(&s, bytes, n);
    return s;
}

static struct ink_string with_piece(const char *text, float score, int type)
{
    struct ink_string s = good_model();
    put_piece(&s, text, score, type);
    return s;
}

static struct ink_string with_trainer(int field, uint64_t value)
{
    struct ink_string s = good_model();
    put_trainer(&s, field, value);
    return s;
}

static void test_good_model(void **state)
{
    struct ink_string s = good_model();
    struct ink_error error = {0};
    (void)state;
    /* unknown fields of every wire type, and a message of them inside */
    ink_string_append(&s, "\xA0\x06\x01\xA1\x06????????\xA5\x06????\xA2\x06\x03\xFF\xFF\xFF", 25);
    assert_ok(open_model(s.data, s.length, &error));
    ink_string_free(&s);
}

static void test_grammar(void **state)
{
    (void)state;
    assert_refused(with_bytes("\x0A", 1), "a number is cut off");
    assert_refused(with_bytes("\x80", 1), "a number is cut off");
    assert_refused(with_bytes("\x85\x06?", 3), "a number is cut off");
    assert_refused(with_bytes("\xA0\x06\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 13),
                   "more than 64 bits");
    assert_refused(with_bytes("\xA0\x06\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02", 12),
                   "more than 64 bits");
    assert_refused(with_bytes("\x0A\x05?", 3), "runs past the end");
    assert_refused(with_bytes("\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 11),
                   "runs past the end");
    assert_refused(with_bytes("\x0A\x02\x0A\x7F", 4), "runs past the end");
    assert_refused(with_bytes("\x0B", 1), "unsupported wire type");
    assert_refused(with_bytes("\x0C", 1), "unsupported wire type");
    assert_refused(with_bytes("\x0F", 1), "unsupported wire type");
    assert_refused(with_bytes("\x02\x01?", 3), "a field number out of range");
    assert_refused(with_bytes("\xF8\xFF\xFF\xFF\xFF\x01\x01", 7), "a field number out of range");
    assert_refused(with_bytes("\x08\x01", 2), "wrong wire type");
    assert_refused(with_bytes("\x0A\x02\x08\x01", 4), "wrong wire type");
    assert_refused(with_bytes("\x12\x03\x1A\x01?", 5), "wrong wire type");
    assert_refused(with_bytes("\x1A\x02\x10\x01", 4), "wrong wire type");
}

/* Cut anywhere, and with any byte changed: refused or fine, never a crash. */
static void test_truncated_and_flipped(void **state)
{
    struct ink_string s = good_model();
    struct ink_error error;
    (void)state;
    for (int i = 0; i < 256; i++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", i);
        put_piece(&s, name, 0, INK_PIECE_BYTE);
    }
    put_trainer(&s, byte_fallback, 1);
    assert_ok(open_model(s.data, s.length, &error));
    for (size_t n = 0; n < s.length; n++) {
        char *copy = malloc(n ? n : 1); /* exactly n, so that a sanitizer sees the end */
        memcpy(copy, s.data, n);
        const int status = open_model(copy, n, &error);
        assert_true(status == INK_OK || status == INK_ERROR_INPUT);
        free(copy);
    }
    for (size_t at = 0; at < 200; at++) {
        for (int bit = 0; bit < 8; bit++) {
            s.data[at] ^= (char)(1 << bit);
            const int status = open_model(s.data, s.length, &error);
            assert_true(status == INK_OK || status == INK_ERROR_INPUT);
            s.data[at] ^= (char)(1 << bit);
        }
    }
    ink_string_free(&s);
}

static void test_pieces(void **state)
{
    const struct ink_string none = {0};
    struct ink_string s = {0};
    (void)state;
    assert_refused(none, "no pieces");
    put_piece(&s, "<unk>", 0, INK_PIECE_UNKNOWN);
    assert_refused(s, "no piece is for text");
    assert_refused(with_piece("", 0, INK_PIECE_NORMAL), "piece 5 is empty");
    assert_refused(with_bytes("\x0A\x00", 2), "piece 5 has no score");
    assert_refused(with_bytes("\x0A\x05\x0A\x01z\x18\x01", 7), "piece 5 has no score");
    assert_refused(with_piece("aa", 0, INK_PIECE_NORMAL), "pieces 4 and 5 have the same text");
    assert_refused(with_piece("<s>", 0, INK_PIECE_NORMAL), "pieces 1 and 5 have the same text");
    assert_refused(with_piece("\xFF", 0, INK_PIECE_NORMAL), "piece 5 is not UTF-8");
    assert_refused(with_piece("\xED\xA0\x80", 0, INK_PIECE_NORMAL), "piece 5 is not UTF-8");
    assert_refused(with_piece("z", NAN, INK_PIECE_NORMAL), "score out of range");
    assert_refused(with_piece("z", INFINITY, INK_PIECE_NORMAL), "score out of range");
    assert_refused(with_piece("z", -INFINITY, INK_PIECE_NORMAL), "score out of range");
    assert_refused(with_piece("z", 3e38f, INK_PIECE_NORMAL), "score out of range");
    assert_refused(with_piece("z", 0, 0), "unknown type (0)");
    assert_refused(with_piece("z", 0, 7), "unknown type (7)");
    assert_refused(with_piece("z", 0, -1), "unknown type");
    assert_refused(with_piece("z", 0, INK_PIECE_CONTROL), "a single character");
    assert_refused(with_piece("u v", 0, INK_PIECE_USER_DEFINED), "holds a space");
    assert_refused(with_piece("<unk2>", 0, INK_PIECE_UNKNOWN), "0 and 5 are both the unknown one");
    s = good_model();
    put_piece_of(&s, "a\0b", 3, 0, INK_PIECE_NORMAL);
    assert_refused(s, "a zero byte");
    char *text = calloc(1, INK_MAX_PIECE_BYTES + 2);
    memset(text, 'x', INK_MAX_PIECE_BYTES + 1);
    assert_refused(with_piece(text, 0, INK_PIECE_NORMAL), "too long (1025 bytes");
    free(text);
    s = (struct ink_string){0};
    put_piece(&s, "a", 0, INK_PIECE_NORMAL);
    assert_refused(s, "no piece is the unknown one");
}

static void test_many_pieces(void **state)
{
    struct ink_string s = good_model();
    char name[16];
    (void)state;
    for (int i = 0; i < (1 << 20); i++) {
        snprintf(name, sizeof name, "x%d", i);
        put_piece(&s, name, 0, INK_PIECE_NORMAL);
    }
    assert_refused(s, "more pieces than the model has embedding rows (limit 1048576)");
    s = (struct ink_string){0};
    for (int i = 0; i < 10000000; i++) { /* ten million, two bytes each */
        ink_string_append(&s, "\x0A\x00", 2);
    }
    assert_refused(s, "piece 0 has no score");
    /* pieces that begin with one another: a limit inside SentencePiece */
    s = good_model();
    char nested[80];
    memset(nested, 'u', sizeof nested);
    for (int i = 2; i < 80; i++) {
        put_piece_of(&s, nested, (size_t)i, 0, INK_PIECE_USER_DEFINED);
    }
    assert_refused(s, "begin with one another (limit 64)");
}

static void test_byte_pieces(void **state)
{
    (void)state;
    assert_refused(with_piece("<0x00>", 0, INK_PIECE_BYTE), "byte_fallback is not set");
    assert_refused(with_trainer(byte_fallback, 1), "the piece of byte 0 is missing");
    static const char *const bad[] = {"<0xGG>", "<0x0>", "<0xff>", "<0X00>", "<0x00", "byte"};
    for (size_t i = 0; i < INK_COUNT(bad); i++) {
        struct ink_string s = with_piece(bad[i], 0, INK_PIECE_BYTE);
        put_trainer(&s, byte_fallback, 1);
        assert_refused(s, "piece 5 is no byte");
    }
    for (int missing = 0; missing < 256; missing += 51) {
        struct ink_string s = with_trainer(byte_fallback, 1);
        char name[16];
        for (int i = 0; i < 256; i++) {
            snprintf(name, sizeof name, "<0x%02X>", i);
            if (i != missing) {
                put_piece(&s, name, 0, INK_PIECE_BYTE);
            }
        }
        snprintf(name, sizeof name, "byte %d is", missing);
        assert_refused(s, name);
    }
}

static void test_settings(void **state)
{
    const uint64_t minus_two = UINT64_MAX - 1;
    (void)state;
    assert_refused(with_trainer(model_type, 3), "model_type 3");
    assert_refused(with_trainer(model_type, 4), "model_type 4");
    assert_refused(with_trainer(model_type, 0), "model_type 0");
    assert_refused(with_trainer(model_type, UINT64_MAX), "unsupported kind");
    assert_refused(with_trainer(whitespace_suffix, 1), "treat_whitespace_as_suffix");
    assert_refused(with_trainer(unk_id, 5), "unk_id is out of range (5 of 5 pieces)");
    assert_refused(with_trainer(bos_id, 99), "bos_id is out of range");
    assert_refused(with_trainer(eos_id, 1 << 30), "a special id is out of range");
    assert_refused(with_trainer(pad_id, minus_two), "a special id is out of range");
    assert_refused(with_trainer(pad_id, UINT64_C(1) << 32), "a special id is out of range");
    assert_refused(with_trainer(eos_id, 1), "bos_id and eos_id are both 1");
    assert_refused(with_trainer(pad_id, 0), "unk_id and pad_id are both 0");
    assert_refused(with_bytes("\x1A\x02\x28\x00", 4), "escape_whitespaces");
    assert_refused(with_bytes("\x2A\x03\x12\x01z", 5), "denormalizer");
}

/* --------------------------------------------------------------------- the normaliser's table */

/* One rule, "A" -> "a": the root's children are units 256 ^ byte, the children of "A" 512 ^ byte.
 */
enum { n_units = 768, root = 0, rule = 256 ^ 'A', leaf = 512 };

/* The table, with `unit` at `at` if that is not -1; n_trie is what its length says. */
static struct ink_string with_table(uint32_t n_trie, int at, uint32_t unit, const char *text,
                                    size_t n_text)
{
    uint32_t units[n_units] = {0};
    struct ink_string s = good_model(), table = {0}, normalizer = {0};
    units[root] = 256u << 10;
    units[256] = 1; /* no child for the zero byte */
    units[rule] = 'A' | 1u << 8 | ((uint32_t)rule ^ leaf) << 10;
    units[leaf] = 1u << 31; /* the replacement starts at 0 */
    if (at >= 0) {
        units[at] = unit;
    }
    put_u32(&table, n_trie);
    for (int i = 0; i < n_units; i++) {
        put_u32(&table, units[i]);
    }
    ink_string_append(&table, text, n_text);
    put_message(&normalizer, 2, &table);
    put_message(&s, 3, &normalizer);
    ink_string_free(&table);
    ink_string_free(&normalizer);
    return s;
}

static void test_charsmap(void **state)
{
    const uint32_t all = 4 * n_units;
    struct ink_error error = {0};
    (void)state;
    struct ink_string good = with_table(all, -1, 0, "a\0", 2);
    assert_ok(open_model(good.data, good.length, &error));
    ink_string_free(&good);
    assert_refused(with_table(all - 4, -1, 0, "a\0", 2), "its length does not fit");
    assert_refused(with_table(0, -1, 0, "a\0", 2), "its length does not fit");
    assert_refused(with_table(all + 1024, -1, 0, "a\0", 2), "its length does not fit");
    assert_refused(with_table(0xFFFFFC00u, -1, 0, "a\0", 2), "its length does not fit");
    assert_refused(with_table(all, -1, 0, "", 0), "its length does not fit");
    assert_refused(with_table(all, -1, 0, "a", 1), "its text has no end");
    assert_refused(with_table(all, -1, 0, "\xFF\0", 2), "its text is not UTF-8");
    assert_refused(with_table(all, root, 0x1FFFFFu << 10, "a\0", 2), "points outside itself");
    assert_refused(with_table(all, root, 768u << 10, "a\0", 2), "points outside itself");
    assert_refused(with_table(all, rule, 'A' | 0x1FFFFFu << 10 | 1u << 9, "a\0", 2),
                   "points outside itself");
    assert_refused(with_table(all, root, 0, "a\0", 2), "its trie has a cycle");
    assert_refused(with_table(all, rule, 'A' | ((uint32_t)rule ^ 256) << 10, "a\0", 2),
                   "its trie has a cycle");
    assert_refused(with_table(all, leaf, 1u << 31 | 2, "a\0", 2), "a replacement is outside");
    assert_refused(with_table(all, leaf, 1u << 31 | 1, "\xC3\xA9\0", 3),
                   "a replacement is outside");
    char *text = calloc(1, 400);
    memset(text, 'x', 399);
    assert_refused(with_table(all, -1, 0, text, 400), "too long");
    free(text);
}

/* ---------------------------------------------------------------------------------------- JSON */

/* The tokenizer of a folder with a good model and one more file. */
static int open_with_file(const char *name, const char *text, int n_vocab, struct ink_error *error)
{
    struct ink_tokenizer *t;
    struct ink_string model = good_model();
    char *folder = make_folder();
    write_file(folder, "tokenizer.model", model.data, model.length);
    if (name) {
        write_file(folder, name, text, strlen(text));
    }
    const int status = ink_tokenizer_open_folder(&t, folder, n_vocab, error);
    if (status == INK_OK) {
        struct ink_string out = {0};
        size_t n;
        int32_t *ids = encode(t, "aaa<s>a", 7, true, &n);
        bool is_first = true;
        ink_tokenizer_append_piece(t, &out, ids[0], true, &is_first);
        ink_string_free(&out);
        ink_free(ids);
    }
    ink_tokenizer_close(t);
    remove_folder(folder);
    ink_string_free(&model);
    return status;
}

static void test_json_files(void **state)
{
    static const struct {
        const char *name, *text, *why; /* NULL: fine */
    } cases[] = {
        {"added_tokens.json", "{}", NULL},
        {"added_tokens.json", "{\"<x>\": 5, \"<s>\": 1}", NULL},
        {"added_tokens.json", "{\"<x>\": 4}", "\"aa\" and \"<x>\" have the same id (4)"},
        {"added_tokens.json", "{\"<x>\": 5, \"<y>\": 5}", "have the same id (5)"},
        {"added_tokens.json", "{\"aa\": 6}", "\"aa\" has two ids (4 and 6)"},
        {"added_tokens.json", "{\"<x>\": 8}", "<x>"},
        {"added_tokens.json", "{\"<x>\": -1}", "<x>"},
        {"added_tokens.json", "{\"<x>\": 1.5}", "<x>"},
        {"added_tokens.json", "{\"<x>\": \"5\"}", "<x>"},
        {"added_tokens.json", "{\"<x>\": null}", "<x>"},
        {"added_tokens.json", "{\"<x>\": 1e308}", "<x>"},
        {"added_tokens.json", "{\"<x>\": 5, \"<x>\": 5}", "duplicate key"},
        {"added_tokens.json", "{\"\": 5}", "is empty or too long"},
        {"added_tokens.json", "[]", "object"},
        {"added_tokens.json", "", "not valid JSON"},
        {"added_tokens.json", "{\"<x>\": 5", "not valid JSON"},
        {"added_tokens.json", "\xEF\xBB\xBF{}", "not valid JSON"},
        {"special_tokens_map.json", "{\"bos_token\": \"aa\", \"x\": null, \"y\": \"none\"}", NULL},
        {"special_tokens_map.json", "{\"bos_token\": {\"content\": \"aa\", \"lstrip\": true}}",
         NULL},
        {"special_tokens_map.json", "{\"bos_token\": 1}", "\"bos_token\" is no token"},
        {"special_tokens_map.json", "{\"bos_token\": {\"content\": 1}}", "\"bos_token\" is no"},
        {"special_tokens_map.json", "{\"more\": [\"aa\", 3]}", "is no token"},
        {"special_tokens_map.json", "{\"more\": [[\"aa\"]]}", "is no token"},
        {"tokenizer_config.json", "{\"add_bos_token\": true, \"chat_template\": \"x\"}", NULL},
        {"tokenizer_config.json", "{\"add_bos_token\": \"yes\"}", "add_bos_token"},
        {"tokenizer_config.json", "{\"tokenizer_class\": 7}", "tokenizer_class"},
        {"tokenizer_config.json", "{\"chat_template\": [{\"name\": \"default\"}]}", NULL},
        {"tokenizer_config.json", "{\"added_tokens_decoder\": {\"5\": {\"content\": \"<x>\"}}}",
         NULL},
        {"tokenizer_config.json", "{\"added_tokens_decoder\": {\"4\": {\"content\": \"<x>\"}}}",
         "have the same id (4)"},
        {"tokenizer_config.json", "{\"added_tokens_decoder\": {\"8\": {\"content\": \"<x>\"}}}",
         "out of range (8, vocabulary 8)"},
        {"tokenizer_config.json", "{\"added_tokens_decoder\": {\"-1\": {\"content\": \"<x>\"}}}",
         "\"-1\" is no token"},
        {"tokenizer_config.json",
         "{\"added_tokens_decoder\": {\"99999999999\": {\"content\": \"x\"}}}", "is no token"},
        {"tokenizer_config.json", "{\"added_tokens_decoder\": {\"5\": \"<x>\"}}", "is no token"},
        {"tokenizer_config.json", "{\"added_tokens_decoder\": {\"5\": {}}}", "is no token"},
        {"tokenizer_config.json", "{\"added_tokens_decoder\": []}", "added_tokens_decoder"},
        {"tokenizer_config.json",
         "{\"added_tokens_decoder\": {\"5\": {\"content\": \"<x>\", \"special\": 1}}}", "special"},
    };
    (void)state;
    for (size_t i = 0; i < INK_COUNT(cases); i++) {
        struct ink_error error = {0};
        const int status = open_with_file(cases[i].name, cases[i].text, 8, &error);
        const bool fine = cases[i].why == NULL;
        if (status != (fine ? INK_OK : INK_ERROR_INPUT) ||
            (!fine &&
             (!strstr(error.message, cases[i].why) || !strstr(error.message, cases[i].name)))) {
            fail_msg("%s: %d \"%s\"", cases[i].text, status, error.message);
        }
    }
}

static void test_folder(void **state)
{
    struct ink_tokenizer *t;
    struct ink_error error = {0};
    (void)state;
    assert_int_equal(ink_tokenizer_open_folder(&t, "no-such-folder", 8, &error), INK_ERROR_INPUT);
    assert_non_null(strstr(error.message, "no-such-folder"));
    assert_null(t);
    /* fewer rows than pieces */
    assert_int_equal(open_with_file(NULL, "", 4, &error), INK_ERROR_INPUT);
    assert_non_null(strstr(error.message, "tokenizer.model: more pieces than"));
    /* a folder where the file should be */
    char *folder = make_folder();
    char *path = ink_path_join(folder, "tokenizer.model");
    assert_ok(ink_make_folder(path, &error));
    assert_int_equal(ink_tokenizer_open_folder(&t, folder, 8, &error), INK_ERROR_INPUT);
    ink_remove_folder(path);
    remove_folder(folder);
    ink_free(path);
}

static void test_lfs_pointer(void **state)
{
    static const char text[] = "version https://git-lfs.github.com/spec/v1\n"
                               "oid sha256:0\nsize 1614363\n";
    struct ink_tokenizer *t;
    struct ink_error error = {0};
    char *folder = make_folder();
    (void)state;
    write_file(folder, "tokenizer.model", text, sizeof text - 1);
    assert_int_equal(ink_tokenizer_open_folder(&t, folder, 8, &error), INK_ERROR_INPUT);
    assert_non_null(strstr(error.message, "tokenizer.model: a Git LFS pointer"));
    remove_folder(folder);
}

/* -------------------------------------------------------------- special tokens in large numbers */

static const struct token good_tokens[] = {
    {"<unk>", 0, 2}, {"<s>", 0, 3}, {"</s>", 0, 3}, {"a", -1, 1}, {"aa", -2, 1}, {"<x>", -1000, 4},
};

/* The order in which a sorted array moves most, each entry before all others. */
static void name_descending(char *out, size_t n_out, int i)
{
    snprintf(out, n_out, "<c%07d>", 9999999 - i);
}

/* What opened or was refused since `start` took no longer than it may. */
static void assert_soon(clock_t start)
{
    const double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    if (seconds >= time_limit()) {
        fail_msg("%.1f s", seconds);
    }
}

static void check_many_in_gguf(int n, bool fine)
{
    const struct gguf_settings settings = {"llama", 0, 0, 1, 2, NULL, 0, 0};
    const int n_before = (int)INK_COUNT(good_tokens), n_all = n_before + n;
    struct token *tokens = calloc((size_t)n_all, sizeof *tokens);
    char(*names)[16] = calloc((size_t)n, sizeof *names);
    struct ink_error error = {0};
    struct ink_tokenizer *t;
    memcpy(tokens, good_tokens, sizeof good_tokens);
    for (int i = 0; i < n; i++) {
        name_descending(names[i], sizeof names[i], i);
        tokens[n_before + i] = (struct token){names[i], -1000, INK_PIECE_CONTROL};
    }
    struct ink_string file = make_gguf(tokens, n_all, &settings);
    const clock_t start = clock();
    assert_int_equal(open_gguf_bytes(&t, file.data, file.length, n_all, &error),
                     fine ? INK_OK : INK_ERROR_INPUT);
    assert_soon(start);
    if (fine) {
        assert_int_equal(ink_tokenizer_find(t, names[n - 1]), n_all - 1);
    } else {
        assert_non_null(strstr(error.message, "test.gguf: too many special tokens (limit 16384)"));
    }
    ink_tokenizer_close(t);
    ink_string_free(&file);
    free(names);
    free(tokens);
}

/* Beside <unk>, <s>, </s> and <x> */
static void test_many_in_gguf(void **state)
{
    (void)state;
    check_many_in_gguf(INK_MAX_SPECIALS - 4, true);
    check_many_in_gguf(INK_MAX_SPECIALS - 3, false);
    check_many_in_gguf(640000, false);
}

/* added_tokens.json with n tokens behind the 5 pieces */
static struct ink_string make_added_tokens(int n)
{
    struct ink_string s = {0};
    char line[64], name[16];
    for (int i = 0; i < n; i++) {
        name_descending(name, sizeof name, i);
        snprintf(line, sizeof line, "%s\"%s\": %d", i ? ", " : "{", name, 5 + i);
        ink_string_puts(&s, line);
    }
    ink_string_puts(&s, "}");
    return s;
}

static void check_many_in_json(int n, bool fine)
{
    struct ink_string text = make_added_tokens(n);
    struct ink_error error = {0};
    const clock_t start = clock();
    assert_int_equal(open_with_file("added_tokens.json", text.data, 1 << 20, &error),
                     fine ? INK_OK : INK_ERROR_INPUT);
    assert_soon(start);
    assert_true(fine || strstr(error.message, "json: too many special tokens (limit 16384)"));
    ink_string_free(&text);
}

/* Beside <unk>, <s> and </s>; 262,144 values are the limit of a JSON file. */
static void test_many_in_json(void **state)
{
    (void)state;
    check_many_in_json(INK_MAX_SPECIALS - 3, true);
    check_many_in_json(INK_MAX_SPECIALS - 2, false);
    check_many_in_json(131000, false);
}

/* ---------------------------------------------------------------------------------------- GGUF */

static void refuse_gguf(int change_at, struct token change, struct gguf_settings settings,
                        int n_vocab, const char *why)
{
    struct token tokens[INK_COUNT(good_tokens)];
    struct ink_tokenizer *t;
    struct ink_error error = {0};
    memcpy(tokens, good_tokens, sizeof tokens);
    if (change_at >= 0) {
        tokens[change_at] = change;
    }
    struct ink_string file = make_gguf(tokens, (int)INK_COUNT(tokens), &settings);
    const int status = open_gguf_bytes(&t, file.data, file.length, n_vocab, &error);
    if (status != (why ? INK_ERROR_INPUT : INK_OK) || (why && !strstr(error.message, why))) {
        fail_msg("%d \"%s\", expected \"%s\"", status, error.message, why ? why : "");
    }
    ink_tokenizer_close(t);
    ink_string_free(&file);
}

static void test_gguf(void **state)
{
    const struct gguf_settings good = {"llama", 0, 0, 1, 2, NULL, 0, 0};
    const struct token none = {NULL, 0, 0};
    struct gguf_settings s;
    (void)state;
    refuse_gguf(-1, none, good, 6, NULL);
    refuse_gguf(-1, none, good, 5, "longer than the embedding (6 tokens, 5 rows)");
    refuse_gguf(4, (struct token){"aa", 0, 0}, good, 6, "piece 4 has an unknown type");
    refuse_gguf(5, (struct token){"<x>", 0, 99}, good, 6, "piece 5 has an unknown type");
    refuse_gguf(4, (struct token){"a", 0, 1}, good, 6, "pieces 3 and 4 have the same text");
    refuse_gguf(5, (struct token){"aa", 0, 3}, good, 6, "\"aa\" has two ids");
    refuse_gguf(4, (struct token){"\xFF", 0, 1}, good, 6, "piece 4 is not UTF-8");
    refuse_gguf(5, (struct token){"<\xFF>", 0, 4}, good, 6, "piece 5 is not UTF-8");
    refuse_gguf(4, (struct token){"aa", NAN, 1}, good, 6, "score out of range");
    refuse_gguf(4, (struct token){"<0x00>", 0, 6}, good, 6, "byte 1 is missing");
    refuse_gguf(0, (struct token){"<unk>", 0, 1}, good, 6, "no piece is the unknown one");
    refuse_gguf(4, (struct token){"", 0, 1}, good, 6, NULL);
    refuse_gguf(5, (struct token){"[PAD5]", 0, 5}, good, 6, NULL);
    s = good;
    s.model = "gpt2";
    refuse_gguf(-1, none, s, 6, "unsupported tokenizer.ggml.model");
    s.model = NULL;
    refuse_gguf(-1, none, s, 6, "tokenizer.ggml.model");
    s = good;
    s.fewer_scores = 1;
    refuse_gguf(-1, none, s, 6, "differ in length (6, 5, 6)");
    s = good;
    s.fewer_types = 6;
    refuse_gguf(-1, none, s, 6, "differ in length (6, 6, 0)");
    s = good;
    s.bos_id = 6;
    refuse_gguf(-1, none, s, 6, "tokenizer.ggml.bos_token_id");
    s.bos_id = UINT32_MAX;
    refuse_gguf(-1, none, s, 6, "tokenizer.ggml.bos_token_id");
}

/* -------------------------------------------------------------------------------------- memory */

/* Each allocation in turn fails: INK_ERROR_MEMORY, and nothing is left behind. */
static void test_out_of_memory(void **state)
{
    struct ink_string model = good_model();
    struct ink_error error = {0};
    int status = INK_ERROR_MEMORY;
    (void)state;
    char *folder = make_folder();
    write_file(folder, "tokenizer.model", model.data, model.length);
    write_file(folder, "added_tokens.json", "{\"<x>\": 5}", 10);
    write_file(folder, "tokenizer_config.json", "{\"chat_template\": \"x\"}", 22);
    for (long n = 1; status != INK_OK; n++) {
        struct ink_tokenizer *t = NULL;
        int32_t *ids = NULL;
        size_t n_ids;
        ink_fail_allocation(n, true);
        status = ink_tokenizer_open_folder(&t, folder, 8, &error);
        if (status == INK_OK) {
            status = ink_tokenizer_encode(t, &ids, &n_ids, "aa <x>aaa", 9, true, &error);
        }
        ink_fail_allocation(0, false);
        assert_true(status == INK_OK || status == INK_ERROR_MEMORY);
        ink_free(ids);
        ink_tokenizer_close(t);
    }
    remove_folder(folder);
    ink_string_free(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_model),
        cmocka_unit_test(test_grammar),
        cmocka_unit_test(test_truncated_and_flipped),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_many_pieces),
        cmocka_unit_test(test_byte_pieces),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_charsmap),
        cmocka_unit_test(test_json_files),
        cmocka_unit_test(test_folder),
        cmocka_unit_test(test_lfs_pointer),
        cmocka_unit_test(test_many_in_gguf),
        cmocka_unit_test(test_many_in_json),
        cmocka_unit_test(test_gguf),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests_name("bad tokenizer", tests, NULL, NULL);
}
