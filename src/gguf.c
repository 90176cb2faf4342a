/* Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md */
#include "gguf_internal.h"

#include "utf8.h"

#include <stdlib.h>
#include <string.h>

/* ggml's limits, but for the number of keys, which it leaves open. */
enum { max_keys = 65536, max_key_length = 65535 };
enum { min_alignment = 8, default_alignment = 32, max_alignment = 65536 };

const unsigned char ink_gguf_value_bytes[GGUF_TYPE_COUNT] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

void ink_gguf_close(struct ink_gguf *g)
{
    if (g) {
        ink_free(g->pairs);
        ink_free(g->path);
        ink_free(g);
    }
}

/* ------------------------------------------------------------------------------------- reading */

int ink_gguf_ends_early(const struct ink_gguf_reader *r)
{
    return ink_fail(r->error, INK_ERROR_INPUT, "%s: the file ends too early (after %llu bytes)",
                    r->path, (unsigned long long)r->size);
}

uint64_t ink_gguf_rest(const struct ink_gguf_reader *r)
{
    return r->size - r->at;
}

int ink_gguf_read_u32(struct ink_gguf_reader *r, uint32_t *out)
{
    *out = 0;
    if (ink_gguf_rest(r) < 4) {
        return ink_gguf_ends_early(r);
    }
    *out = ink_read_u32(r->p + r->at);
    r->at += 4;
    return INK_OK;
}

int ink_gguf_read_u64(struct ink_gguf_reader *r, uint64_t *out)
{
    *out = 0;
    if (ink_gguf_rest(r) < 8) {
        return ink_gguf_ends_early(r);
    }
    *out = ink_read_u64(r->p + r->at);
    r->at += 8;
    return INK_OK;
}

int ink_gguf_read_string(struct ink_gguf_reader *r, struct ink_gguf_string *out)
{
    uint64_t n;
    *out = (struct ink_gguf_string){"", 0};
    int status = ink_gguf_read_u64(r, &n);
    if (status != INK_OK) {
        return status;
    }
    if (n > ink_gguf_rest(r)) {
        return ink_gguf_ends_early(r);
    }
    *out = (struct ink_gguf_string){(const char *)r->p + r->at, (size_t)n};
    r->at += n;
    return INK_OK;
}

/* ----------------------------------------------------------------------------------- key/values */

static int bad_value(const struct ink_gguf_reader *r, const struct ink_gguf_pair *pair,
                     const char *why)
{
    return ink_fail(r->error, INK_ERROR_INPUT, "%s: the value of \"%.*s\": %s", r->path,
                    pair->n_key < 200 ? (int)pair->n_key : 0, pair->key, ink_text(why));
}

static int read_key(struct ink_gguf_reader *r, struct ink_gguf_pair *pair)
{
    struct ink_gguf_string key;
    int status = ink_gguf_read_string(r, &key);
    if (status != INK_OK) {
        return status;
    }
    if (key.n < 1 || key.n > max_key_length) {
        return ink_fail(r->error, INK_ERROR_INPUT, "%s: a key has %llu bytes (allowed are 1 to %d)",
                        r->path, (unsigned long long)key.n, max_key_length);
    }
    if (memchr(key.data, 0, key.n) || ink_utf8_valid_prefix(key.data, key.n) != key.n) {
        return ink_fail(r->error, INK_ERROR_INPUT, "%s: a key is not UTF-8 text", r->path);
    }
    pair->key = key.data;
    pair->n_key = key.n;
    return INK_OK;
}

static int skip_strings(struct ink_gguf_reader *r, uint64_t n)
{
    if (n > ink_gguf_rest(r) / 8) {
        return ink_gguf_ends_early(r);
    }
    for (uint64_t i = 0; i < n; i++) {
        struct ink_gguf_string s;
        int status = ink_gguf_read_string(r, &s);
        if (status != INK_OK) {
            return status;
        }
    }
    return INK_OK;
}

static int skip_values(struct ink_gguf_reader *r, struct ink_gguf_pair *pair)
{
    pair->at = r->p + r->at;
    if (pair->type == GGUF_STRING) {
        return skip_strings(r, pair->n);
    }
    uint64_t size = ink_gguf_value_bytes[pair->type];
    if (pair->n > ink_gguf_rest(r) / size) {
        return ink_gguf_ends_early(r);
    }
    for (uint64_t i = 0; pair->type == GGUF_BOOL && i < pair->n; i++) {
        if (pair->at[i] > 1) {
            return bad_value(r, pair, "a boolean is neither 0 nor 1");
        }
    }
    r->at += pair->n * size;
    return INK_OK;
}

static int read_type(struct ink_gguf_reader *r, struct ink_gguf_pair *pair)
{
    uint32_t type;
    int status = ink_gguf_read_u32(r, &type);
    if (status == INK_OK && type >= GGUF_TYPE_COUNT) {
        return bad_value(r, pair, "its type is unknown");
    }
    pair->type = (enum ink_gguf_type)type;
    return status;
}

static int read_pair(struct ink_gguf_reader *r, struct ink_gguf_pair *pair)
{
    *pair = (struct ink_gguf_pair){.n = 1};
    int status = read_key(r, pair);
    if (status == INK_OK) {
        status = read_type(r, pair);
    }
    if (status == INK_OK && pair->type == GGUF_ARRAY) {
        pair->is_array = true;
        status = read_type(r, pair);
        if (status == INK_OK && pair->type == GGUF_ARRAY) {
            return bad_value(r, pair, "an array of arrays is not supported");
        }
        if (status == INK_OK) {
            status = ink_gguf_read_u64(r, &pair->n);
        }
    }
    return status == INK_OK ? skip_values(r, pair) : status;
}

int ink_gguf_compare_keys(const char *a, size_t n_a, const char *b, size_t n_b)
{
    int order = memcmp(a, b, n_a < n_b ? n_a : n_b);
    return order ? order : n_a < n_b ? -1 : n_a > n_b;
}

static int compare_pairs(const void *a, const void *b)
{
    const struct ink_gguf_pair *x = a, *y = b;
    return ink_gguf_compare_keys(x->key, x->n_key, y->key, y->n_key);
}

static int read_pairs(struct ink_gguf_reader *r, struct ink_gguf *g, uint64_t n)
{
    /* a key of one byte, a type, a value of one byte */
    if (n > max_keys || n > ink_gguf_rest(r) / (8 + 1 + 4 + 1)) {
        return ink_fail(r->error, INK_ERROR_INPUT,
                        "%s: more keys than the file can hold (%llu, limit %d)", r->path,
                        (unsigned long long)n, max_keys);
    }
    g->pairs = ink_calloc((size_t)n, sizeof *g->pairs);
    if (!g->pairs) {
        return ink_fail_memory(r->error, n * sizeof *g->pairs);
    }
    while (g->n_pairs < n) {
        int status = read_pair(r, &g->pairs[g->n_pairs]);
        if (status != INK_OK) {
            return status;
        }
        g->n_pairs++;
    }
    qsort(g->pairs, g->n_pairs, sizeof *g->pairs, compare_pairs);
    for (size_t i = 1; i < g->n_pairs; i++) {
        if (compare_pairs(&g->pairs[i - 1], &g->pairs[i]) == 0) {
            return bad_value(r, &g->pairs[i], "the key occurs twice");
        }
    }
    return INK_OK;
}

/* ------------------------------------------------------------------------------------- the file */

static int read_version(struct ink_gguf_reader *r)
{
    uint32_t version;
    if (ink_gguf_rest(r) < 4 || memcmp(r->p, "GGUF", 4) != 0) {
        return ink_fail(r->error, INK_ERROR_INPUT, "%s: not a GGUF file", r->path);
    }
    r->at = 4;
    int status = ink_gguf_read_u32(r, &version);
    if (status != INK_OK || version == 2 || version == 3) {
        return status;
    }
    if ((version & 0xFFFF) == 0 && version != 0) {
        return ink_fail(r->error, INK_ERROR_INPUT,
                        "%s: a big-endian GGUF file; convert it to little-endian first", r->path);
    }
    return ink_fail(r->error, INK_ERROR_INPUT,
                    "%s: GGUF version %llu is not supported (only 2 and 3 are)", r->path,
                    (unsigned long long)version);
}

static int read_alignment(const struct ink_gguf *g, uint64_t *out, struct ink_error *error)
{
    int64_t alignment = default_alignment;
    int status = ink_gguf_get_int(g, "general.alignment", min_alignment, max_alignment, false,
                                  &alignment, error);
    if (status == INK_OK && (alignment & (alignment - 1)) != 0) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: \"general.alignment\" is %lld, which is no power of two", g->path,
                        (long long)alignment);
    }
    *out = (uint64_t)alignment;
    return status;
}

static int refuse_split(const struct ink_gguf *g, struct ink_error *error)
{
    int64_t n = 1;
    int status = ink_gguf_get_int(g, "split.count", 0, INT64_MAX, false, &n, error);
    if (status == INK_OK && n > 1) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: one part of a GGUF file split into %lld; merge them first "
                        "(llama-gguf-split --merge)",
                        g->path, (long long)n);
    }
    return status;
}

int ink_gguf_read(struct ink_weights *w, const struct ink_mapping *file, const char *path,
                  struct ink_error *error)
{
    struct ink_gguf_reader r = {.p = file->data, .size = file->size, .path = path, .error = error};
    uint64_t n_tensors = 0, n_pairs = 0, alignment = default_alignment;
    struct ink_gguf *g = ink_calloc(1, sizeof *g);
    if (!g) {
        return ink_fail_memory(error, sizeof *g);
    }
    ink_gguf_close(w->gguf);
    w->gguf = g;
    g->path = ink_strdup(path);
    int status = g->path ? INK_OK : ink_fail_memory(error, strlen(path));
    if (status == INK_OK) {
        status = read_version(&r);
    }
    if (status == INK_OK) {
        status = ink_gguf_read_u64(&r, &n_tensors);
    }
    if (status == INK_OK) {
        status = ink_gguf_read_u64(&r, &n_pairs);
    }
    if (status == INK_OK) {
        status = read_pairs(&r, g, n_pairs);
    }
    if (status == INK_OK) {
        status = refuse_split(g, error);
    }
    if (status == INK_OK) {
        status = read_alignment(g, &alignment, error);
    }
    return status == INK_OK ? ink_gguf_read_tensors(&r, w, n_tensors, alignment) : status;
}
