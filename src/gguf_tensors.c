/* The tensors of a GGUF file. */
#include "gguf_internal.h"

#include <stdlib.h>

enum { max_name_length = 64 }; /* ggml's GGML_MAX_NAME */

struct entry {
    struct ink_gguf_string name;
    enum ink_type type;
    int n_dims;
    int64_t shape[INK_MAX_DIMS];
    uint64_t offset, n_bytes; /* in the data */
};

static const char *const ggml_type_names[] = {
    "F32",   "F16",        "Q4_0",       "Q4_1",       "Q4_2",     "Q4_3",     "Q5_0",
    "Q5_1",  "Q8_0",       "Q8_1",       "Q2_K",       "Q3_K",     "Q4_K",     "Q5_K",
    "Q6_K",  "Q8_K",       "IQ2_XXS",    "IQ2_XS",     "IQ3_XXS",  "IQ1_S",    "IQ4_NL",
    "IQ3_S", "IQ2_S",      "IQ4_XS",     "I8",         "I16",      "I32",      "I64",
    "F64",   "IQ1_M",      "BF16",       "Q4_0_4_4",   "Q4_0_4_8", "Q4_0_8_8", "TQ1_0",
    "TQ2_0", "IQ4_NL_4_4", "IQ4_NL_4_8", "IQ4_NL_8_8", "MXFP4",    "NVFP4",    "Q1_0",
};

static int bad_tensor(const struct ink_gguf_reader *r, const struct entry *e, const char *why)
{
    return ink_fail(r->error, INK_ERROR_INPUT, "%s: tensor \"%.*s\": %s", r->path, (int)e->name.n,
                    e->name.data, ink_text(why));
}

static int read_name(struct ink_gguf_reader *r, struct entry *e)
{
    int status = ink_gguf_read_string(r, &e->name);
    if (status == INK_OK && (e->name.n < 1 || e->name.n > max_name_length)) {
        return ink_fail(r->error, INK_ERROR_INPUT,
                        "%s: a tensor's name has %llu bytes (allowed are 1 to %d)", r->path,
                        (unsigned long long)e->name.n, max_name_length);
    }
    return status == INK_OK ? ink_weights_check_name(e->name.data, e->name.n, r->path, r->error)
                            : status;
}

/* The file gives the innermost dimension first. */
static int read_shape(struct ink_gguf_reader *r, struct entry *e)
{
    uint32_t n;
    int status = ink_gguf_read_u32(r, &n);
    if (status == INK_OK && (n < 1 || n > INK_MAX_DIMS)) {
        return ink_fail(r->error, INK_ERROR_INPUT,
                        "%s: tensor \"%.*s\" has %llu dimensions (allowed are 1 to %d)", r->path,
                        (int)e->name.n, e->name.data, (unsigned long long)n, INK_MAX_DIMS);
    }
    e->n_dims = (int)n;
    for (int i = e->n_dims - 1; i >= 0 && status == INK_OK; i--) {
        uint64_t length;
        status = ink_gguf_read_u64(r, &length);
        if (status == INK_OK && (length < 1 || length > INT64_MAX)) {
            return bad_tensor(r, e, "a dimension is not within 1 to 2^63 - 1");
        }
        e->shape[i] = (int64_t)length;
    }
    return status;
}

static int read_tensor_type(struct ink_gguf_reader *r, struct entry *e)
{
    uint32_t id;
    int status = ink_gguf_read_u32(r, &id);
    if (status != INK_OK) {
        return status;
    }
    for (int type = 0; type < INK_TYPE_COUNT; type++) {
        if (id == (uint32_t)ink_type_facts((enum ink_type)type)->ggml_id) {
            e->type = (enum ink_type)type;
            return INK_OK;
        }
    }
    return ink_fail(
        r->error, INK_ERROR_INPUT, "%s: tensor \"%.*s\" has type %s (%llu), which is not supported",
        r->path, (int)e->name.n, e->name.data,
        id < INK_COUNT(ggml_type_names) ? ggml_type_names[id] : "?", (unsigned long long)id);
}

static int size_entry(const struct ink_gguf_reader *r, struct entry *e)
{
    const struct ink_type_facts *facts = ink_type_facts(e->type);
    uint64_t n = 1;
    for (int i = 0; i < e->n_dims; i++) {
        if (!ink_mul_u64(&n, n, (uint64_t)e->shape[i])) {
            return bad_tensor(r, e, "it has too many elements to count");
        }
    }
    if (e->shape[e->n_dims - 1] % facts->block_values != 0) {
        return bad_tensor(r, e, "its rows are not whole blocks of its type");
    }
    if (!ink_mul_u64(&e->n_bytes, n / (uint64_t)facts->block_values,
                     (uint64_t)facts->block_bytes)) {
        return bad_tensor(r, e, "it has too many elements to count");
    }
    return INK_OK;
}

static int read_entry(struct ink_gguf_reader *r, struct entry *e)
{
    *e = (struct entry){0};
    int status = read_name(r, e);
    if (status == INK_OK) {
        status = read_shape(r, e);
    }
    if (status == INK_OK) {
        status = read_tensor_type(r, e);
    }
    if (status == INK_OK) {
        status = ink_gguf_read_u64(r, &e->offset);
    }
    return status == INK_OK ? size_entry(r, e) : status;
}

static int compare_offsets(const void *a, const void *b)
{
    const struct entry *const *x = a, *const *y = b;
    return (*x)->offset < (*y)->offset ? -1 : (*x)->offset > (*y)->offset;
}

/* Every tensor lies aligned in the data, which is n_data long, and none over another. */
static int check_places(const struct ink_gguf_reader *r, struct entry *entries, size_t n,
                        uint64_t alignment, uint64_t n_data)
{
    struct entry **sorted = ink_calloc(n, sizeof *sorted);
    if (!sorted) {
        return ink_fail_memory(r->error, n * sizeof *sorted);
    }
    for (size_t i = 0; i < n; i++) {
        sorted[i] = &entries[i];
    }
    qsort(sorted, n, sizeof *sorted, compare_offsets);
    int status = INK_OK;
    uint64_t at = 0;
    for (size_t i = 0; i < n && status == INK_OK; i++) {
        const struct entry *e = sorted[i];
        if (e->offset % alignment != 0) {
            status = bad_tensor(r, e, "its place is not aligned");
        } else if (e->offset > n_data || e->n_bytes > n_data - e->offset) {
            status = bad_tensor(r, e, "it reaches beyond the end of the file: is it cut off?");
        } else if (e->offset < at) {
            status = bad_tensor(r, e, "its data overlaps another tensor's");
        }
        at = e->offset + e->n_bytes;
    }
    ink_free(sorted);
    return status;
}

static int add_entries(const struct ink_gguf_reader *r, struct ink_weights *w,
                       struct entry *entries, size_t n, uint64_t alignment)
{
    uint64_t begin = r->at + (alignment - r->at % alignment) % alignment;
    if (n == 0) {
        return INK_OK;
    }
    if (begin > r->size) {
        return ink_gguf_ends_early(r);
    }
    int status = check_places(r, entries, n, alignment, r->size - begin);
    for (size_t i = 0; i < n && status == INK_OK; i++) {
        const struct entry *e = &entries[i];
        status = ink_weights_add(w, e->name.data, e->name.n, e->type, e->shape, e->n_dims,
                                 r->p + begin + e->offset, e->n_bytes, r->path, r->error);
    }
    return status;
}

int ink_gguf_read_tensors(struct ink_gguf_reader *r, struct ink_weights *w, uint64_t n,
                          uint64_t alignment)
{
    /* a name of one byte, one dimension */
    if (n > INK_MAX_TENSORS || n > ink_gguf_rest(r) / (8 + 1 + 4 + 8 + 4 + 8)) {
        return ink_fail(r->error, INK_ERROR_INPUT,
                        "%s: more tensors than the file can hold (%llu, limit %d)", r->path,
                        (unsigned long long)n, INK_MAX_TENSORS);
    }
    struct entry *entries = ink_calloc((size_t)n, sizeof *entries);
    if (!entries) {
        return ink_fail_memory(r->error, n * sizeof *entries);
    }
    int status = INK_OK;
    for (uint64_t i = 0; i < n && status == INK_OK; i++) {
        status = read_entry(r, &entries[i]);
    }
    if (status == INK_OK) {
        status = add_entries(r, w, entries, (size_t)n, alignment);
    }
    ink_free(entries);
    return status;
}
