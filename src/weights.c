#include "weights.h"

#include "gguf.h"
#include "sha256.h"
#include "utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ----------------------------------------------------------------------------- adding tensors */

/* n_bytes of a tensor of this type and shape; false if it has none (overflow, partial blocks). */
static bool bytes_of_shape(uint64_t *out, enum ink_type type, const int64_t *shape, int n_dims)
{
    const struct ink_type_facts *facts = ink_type_facts(type);
    uint64_t values = 1;
    for (int i = 0; i < n_dims; i++) {
        if (!ink_mul_u64(&values, values, (uint64_t)shape[i])) {
            return false;
        }
    }
    return shape[n_dims - 1] % facts->block_values == 0 &&
           ink_mul_u64(out, values / (uint64_t)facts->block_values, (uint64_t)facts->block_bytes);
}

int ink_weights_check_name(const char *name, size_t n_name, const char *path,
                           struct ink_error *error)
{
    if (n_name < 1 || n_name > INK_MAX_TENSOR_NAME) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: a tensor's name has %llu bytes (allowed are 1 to %d)", path,
                        (unsigned long long)n_name, INK_MAX_TENSOR_NAME);
    }
    if (memchr(name, 0, n_name) || ink_utf8_valid_prefix(name, n_name) != n_name) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: a tensor's name is not UTF-8 text", path);
    }
    return INK_OK;
}

static int check_shape(const char *name, int n_name, enum ink_type type, const int64_t *shape,
                       int n_dims, uint64_t n_bytes, const char *path, struct ink_error *error)
{
    if (n_dims < 1 || n_dims > INK_MAX_DIMS) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: tensor \"%.*s\" has %d dimensions (allowed are 1 to %d)", path, n_name,
                        name, n_dims, INK_MAX_DIMS);
    }
    for (int i = 0; i < n_dims; i++) {
        if (shape[i] < 1) {
            return ink_fail(error, INK_ERROR_INPUT,
                            "%s: tensor \"%.*s\" has %lld elements in a dimension", path, n_name,
                            name, (long long)shape[i]);
        }
    }
    uint64_t wanted;
    if (!bytes_of_shape(&wanted, type, shape, n_dims)) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: tensor \"%.*s\" has an impossible shape (too large, or rows of %lld "
                        "that are not whole blocks of %s)",
                        path, n_name, name, (long long)shape[n_dims - 1],
                        ink_type_facts(type)->name);
    }
    if (wanted != n_bytes) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: tensor \"%.*s\" has %llu bytes, but its shape and type take %llu",
                        path, n_name, name, (unsigned long long)n_bytes,
                        (unsigned long long)wanted);
    }
    return INK_OK;
}

/* The capacity is not kept: it is the power of two at or above n_tensors. */
static int reserve_tensor(struct ink_weights *w, const char *path, struct ink_error *error)
{
    int n = w->n_tensors;
    if (n >= INK_MAX_TENSORS) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: too many tensors (limit %d)", path,
                        INK_MAX_TENSORS);
    }
    if ((n & (n - 1)) == 0) {
        size_t capacity = n ? 2 * (size_t)n : 1;
        struct ink_tensor *grown = ink_realloc(w->tensors, capacity, sizeof *grown);
        if (!grown) {
            return ink_fail_memory(error, capacity * sizeof *grown);
        }
        w->tensors = grown;
    }
    return INK_OK;
}

int ink_weights_add(struct ink_weights *w, const char *name, size_t n_name, enum ink_type type,
                    const int64_t *shape, int n_dims, const void *data, uint64_t n_bytes,
                    const char *path, struct ink_error *error)
{
    int status = ink_weights_check_name(name, n_name, path, error);
    if (status == INK_OK) {
        status = check_shape(name, (int)n_name, type, shape, n_dims, n_bytes, path, error);
    }
    if (status == INK_OK) {
        status = reserve_tensor(w, path, error);
    }
    if (status != INK_OK) {
        return status;
    }
    struct ink_tensor t = {.type = type, .n_dims = n_dims, .data = data, .n_bytes = n_bytes};
    memcpy(t.shape, shape, (size_t)n_dims * sizeof *shape);
    t.name = ink_strndup(name, n_name);
    if (!t.name) {
        return ink_fail_memory(error, n_name + 1);
    }
    w->tensors[w->n_tensors++] = t;
    return INK_OK;
}

/* ------------------------------------------------------------------------------------- look-up */

/* The index is an array of pointers to the tensors, sorted by name. */

static int compare_names(const void *a, const void *b)
{
    const struct ink_tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

int ink_weights_build_index(struct ink_weights *w, const char *path, struct ink_error *error)
{
    size_t n = (size_t)w->n_tensors;
    const struct ink_tensor **index = ink_calloc(n, sizeof *index);
    if (!index) {
        return ink_fail_memory(error, n * sizeof *index);
    }
    for (size_t i = 0; i < n; i++) {
        index[i] = &w->tensors[i];
    }
    qsort(index, n, sizeof *index, compare_names);
    ink_free(w->index);
    w->index = index;
    for (size_t i = 1; i < n; i++) {
        if (strcmp(index[i - 1]->name, index[i]->name) == 0) {
            return ink_fail(error, INK_ERROR_INPUT, "%s: tensor \"%s\" occurs twice", path,
                            index[i]->name);
        }
    }
    return INK_OK;
}

const struct ink_tensor *ink_weights_find(const struct ink_weights *w, const char *name)
{
    const struct ink_tensor *const *index = w->index;
    size_t low = 0, high = index ? (size_t)w->n_tensors : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, index[middle]->name);
        if (order == 0) {
            return index[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

void ink_weights_fingerprint(const struct ink_weights *w, char hex[65])
{
    enum { FIRST_BYTES = 4096 };
    struct ink_sha256 sha;
    ink_sha256_start(&sha);
    for (int i = 0; i < w->n_tensors; i++) {
        const struct ink_tensor *t = &w->tensors[i];
        char facts[512];
        int n = snprintf(facts, sizeof facts, "%s %s %d %llu\n", t->name,
                         ink_type_facts(t->type)->name, t->n_dims, (unsigned long long)t->n_bytes);
        ink_sha256_add(&sha, facts, (size_t)n < sizeof facts ? (size_t)n : sizeof facts - 1);
        if (t->data) { /* a new model has none yet */
            ink_sha256_add(&sha, t->data,
                           (size_t)(t->n_bytes < FIRST_BYTES ? t->n_bytes : FIRST_BYTES));
        }
    }
    ink_sha256_finish(&sha, hex);
}

/* ------------------------------------------------------------------------------------- closing */

void ink_weights_close(struct ink_weights *w)
{
    if (!w) {
        return;
    }
    for (int i = 0; i < w->n_tensors; i++) {
        ink_free(w->tensors[i].name);
    }
    for (int i = 0; i < w->n_files; i++) {
        ink_unmap_file(&w->files[i]);
    }
    ink_gguf_close(w->gguf);
    ink_free(w->tensors);
    ink_free(w->files);
    ink_free(w->index);
    *w = (struct ink_weights){0};
}
