/* Helpers of the tokenizer's tests: reference data, encoding and decoding that must succeed. */
#ifndef CHECK_TOKENIZER_H
#define CHECK_TOKENIZER_H

#include "support.h"

#include "../src/chat.h"
#include "../src/utf8.h"

static inline struct ink_tokenizer *open_folder(const char *name, int n_vocab)
{
    struct ink_tokenizer *t = NULL;
    struct ink_error error = {0};
    int status = ink_tokenizer_open_folder(&t, shared_path(name), n_vocab, &error);
    if (status != INK_OK) {
        fail_msg("%s", error.message);
    }
    return t;
}

static inline struct ink_tokenizer *open_ernie(void)
{
    return open_folder("fixtures/ernie-micro", 103424);
}

static inline struct ink_tokenizer *open_stories(void)
{
    return open_folder("data/stories260K/as-ernie45", 512);
}

static inline int32_t *encode(const struct ink_tokenizer *t, const char *text, size_t n_text,
                              bool parse_special, size_t *n)
{
    int32_t *ids;
    struct ink_error error = {0};
    if (ink_tokenizer_encode(t, &ids, n, text, n_text, parse_special, &error) != INK_OK) {
        fail_msg("%s", error.message);
    }
    return ids;
}

/* The bytes of ids [n], before anything is made of what is no UTF-8. */
static inline struct ink_string decode_bytes(const struct ink_tokenizer *t, const int32_t *ids,
                                             size_t n, bool keep_special)
{
    struct ink_string out = {0};
    bool is_first = true;
    for (size_t i = 0; i < n; i++) {
        ink_tokenizer_append_piece(t, &out, ids[i], keep_special, &is_first);
    }
    assert_false(out.failed);
    return out;
}

static inline void assert_decodes(const struct ink_tokenizer *t, const int32_t *ids, size_t n,
                                  bool keep_special, const char *text, size_t n_text)
{
    struct ink_string out = decode_bytes(t, ids, n, keep_special);
    if (out.length != n_text || (n_text > 0 && memcmp(out.data, text, n_text) != 0)) {
        fail_msg("decoded \"%.200s\" (%d), not \"%.200s\" (%d)", out.data ? out.data : "",
                 (int)out.length, text, (int)n_text);
    }
    ink_string_free(&out);
}

static inline void assert_ids(const char *text, const int32_t *ids, size_t n, const cJSON *expected)
{
    size_t at = 0;
    const cJSON *id;
    if ((size_t)cJSON_GetArraySize(expected) != n) {
        fail_msg("\"%s\": %d ids, not %d", text, (int)n, cJSON_GetArraySize(expected));
    }
    cJSON_ArrayForEach(id, expected)
    {
        if (ids[at] != id->valueint) {
            fail_msg("\"%s\": id %d is %d, not %d", text, (int)at, (int)ids[at], id->valueint);
        }
        at++;
    }
}

/* Lines of JSON of a reference file. */
struct lines {
    struct ink_mapping file;
    size_t at;
};

static inline void lines_open(struct lines *lines, const char *name)
{
    struct ink_error error = {0};
    *lines = (struct lines){0};
    if (ink_map_file(&lines->file, shared_path(name), &error) != INK_OK) {
        fail_msg("%s", error.message);
    }
}

/* The next line's value, or NULL at the end. */
static inline cJSON *lines_next(struct lines *lines)
{
    cJSON *value = NULL;
    struct ink_error error = {0};
    const char *start = (const char *)lines->file.data + lines->at;
    const size_t left = (size_t)lines->file.size - lines->at;
    const char *end = left > 0 ? memchr(start, '\n', left) : NULL;
    const size_t n = end ? (size_t)(end - start) : left;
    if (n == 0) {
        return NULL;
    }
    lines->at += n + (end != NULL);
    if (ink_json_parse(&value, start, n, &ink_json_file_limits, "line", &error) != INK_OK) {
        fail_msg("%s", error.message);
    }
    return value;
}

static inline void lines_close(struct lines *lines)
{
    ink_unmap_file(&lines->file);
}

/* A whole reference file, of any type at its root. */
static inline cJSON *read_shared_json(const char *name)
{
    return read_json(shared_path(name));
}

/* A new folder for files of a test. */
static inline char *make_folder(void)
{
    static int count;
    struct ink_error error = {0};
    char name[64];
    snprintf(name, sizeof name, "check-tokenizer-%p-%d.tmp", (void *)&count, count);
    count++;
    ink_remove_folder(name);
    assert_ok(ink_make_folder(name, &error));
    return ink_strdup(name);
}

static inline void remove_folder(char *folder)
{
    ink_remove_folder(folder);
    ink_free(folder);
}

static inline void write_file(const char *folder, const char *name, const void *data, size_t n)
{
    struct ink_writer w = {0};
    struct ink_error error = {0};
    char *path = ink_path_join(folder, name);
    assert_ok(ink_writer_open(&w, path, &error));
    assert_ok(ink_writer_put(&w, data, n, &error));
    assert_ok(ink_writer_commit(&w, &error));
    ink_writer_close(&w);
    ink_free(path);
}

#endif
