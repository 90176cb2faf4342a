#include "adapter.h"

#include "adapter_source.h"
#include "quant.h"
#include "sha256.h"
#include "system.h"

#include <math.h>
#include <string.h>

struct opening {
    struct ink_adapter *adapter;
    struct ink_adapter_source source;
    float scale;
    size_t n_floats; /* of adapter->memory, used so far */
};

static int padded_rows(const struct ink_adapter_place *p)
{
    return (p->weight->rows + 15) / 16 * 16;
}

/* rows * cols floats that begin at a cache line. */
static void count_floats(struct opening *o, int rows, int cols)
{
    o->n_floats += ((size_t)rows * (size_t)cols + 15) / 16 * 16;
}

static float *take_floats(struct opening *o, int rows, int cols)
{
    float *at = o->adapter->memory + o->n_floats;
    count_floats(o, rows, cols);
    return at;
}

static int fail_values(const struct opening *o, const struct ink_tensor *t, uint64_t n_bad,
                       struct ink_error *error)
{
    return ink_fail(error, INK_ERROR_INPUT, "%s: tensor \"%s\" has %llu values that are not finite",
                    o->source.weights_path, t->name, (unsigned long long)n_bad);
}

/* B [rows, rank] scaled, 16 rows side by side. Scaled in double, so that a value is rounded once.
 */
static uint64_t load_b(struct opening *o, const struct ink_adapter_place *p, float *out)
{
    const double scale = p->scale * (double)o->scale;
    const int rank = p->rank, rows = p->weight->rows;
    const size_t row_bytes = (size_t)ink_type_bytes(p->b->type, (uint64_t)rank);
    float row[INK_MAX_RANK];
    uint64_t n_bad = 0;
    for (int r = 0; r < rows; r++) {
        const size_t at = (size_t)ink_adapter_source_row(&o->source, p, r);
        ink_dequantize(row, (const char *)p->b->data + row_bytes * at, p->b->type, (uint64_t)rank);
        for (int k = 0; k < rank; k++) {
            const float value = (float)((double)row[k] * scale);
            n_bad += !isfinite(value);
            out[((size_t)(r / 16) * (size_t)rank + (size_t)k) * 16 + (size_t)(r % 16)] = value;
        }
    }
    return n_bad;
}

static int load_place(struct opening *o, const struct ink_adapter_place *p,
                      struct ink_low_rank *out, struct ink_error *error)
{
    const int rank = p->rank, cols = p->weight->cols;
    uint64_t n_bad = 0;
    float *a = take_floats(o, rank, cols);
    ink_dequantize(a, p->a->data, p->a->type, (uint64_t)rank * (uint64_t)cols);
    for (size_t i = 0; i < (size_t)rank * (size_t)cols; i++) {
        n_bad += !isfinite(a[i]);
    }
    if (n_bad) {
        return fail_values(o, p->a, n_bad, error);
    }
    float *b = take_floats(o, rank, padded_rows(p));
    n_bad = load_b(o, p, b);
    if (n_bad) {
        return fail_values(o, p->b, n_bad, error);
    }
    *out = (struct ink_low_rank){
        .rank = rank, .a = a, .b = b, .product = take_floats(o, rank, INK_MAX_ROWS)};
    return INK_OK;
}

static int take_memory(struct opening *o, struct ink_error *error)
{
    struct ink_adapter_info *info = &o->adapter->info;
    for (int i = 0; i < o->source.n_places; i++) {
        const struct ink_adapter_place *p = &o->source.places[i];
        count_floats(o, p->rank, p->weight->cols);
        count_floats(o, p->rank, padded_rows(p));
        count_floats(o, p->rank, INK_MAX_ROWS);
    }
    const uint64_t needed = (uint64_t)o->n_floats * sizeof(float);
    const uint64_t free_bytes = ink_system_free_memory();
    if (needed > free_bytes || needed > SIZE_MAX) {
        return ink_fail(error, INK_ERROR_LIMIT,
                        "%s: the weights need %.1f MiB, and %.1f MiB are free", info->path,
                        (double)needed / 1048576, (double)free_bytes / 1048576);
    }
    info->bytes += needed;
    o->adapter->memory = ink_alloc_aligned((size_t)needed);
    o->n_floats = 0;
    return o->adapter->memory ? INK_OK : ink_fail_memory(error, needed);
}

static int open_parts(struct opening *o, const char *path, struct ink_error *error)
{
    struct ink_adapter *a = o->adapter;
    const struct ink_adapter_source *s = &o->source;
    int status = ink_adapter_source_open(&o->source, a->model, path, error);
    if (status != INK_OK) {
        return status;
    }
    a->path = ink_strdup(path);
    a->matrices = ink_calloc((size_t)s->n_places, sizeof *a->matrices);
    a->info = (struct ink_adapter_info){
        .path = a->path, .scale = o->scale, .rank = s->rank, .n_targets = s->n_targets};
    a->info.bytes = sizeof *a + (uint64_t)s->n_places * sizeof *a->matrices;
    if (!a->path || !a->matrices) {
        return ink_fail_memory(error, a->info.bytes);
    }
    status = take_memory(o, error);
    for (int i = 0; i < s->n_places && status == INK_OK; i++) {
        if (s->places[i].rank > 0) {
            status = load_place(o, &s->places[i], &a->matrices[i], error);
        }
    }
    return status;
}

int ink_adapter_open(struct ink_adapter **out, struct ink_model *model, const char *path,
                     float scale, struct ink_error *error)
{
    *out = NULL;
    if (!isfinite(scale)) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "%s: the scale is not a finite number", path);
    }
    struct ink_adapter *a = ink_calloc(1, sizeof *a);
    if (!a) {
        return ink_fail_memory(error, sizeof *a);
    }
    a->model = model;
    struct opening o = {.adapter = a, .scale = scale};
    int status = open_parts(&o, path, error);
    ink_adapter_source_close(&o.source);
    if (status != INK_OK) {
        ink_adapter_close(a);
        return status;
    }
    *out = a;
    return INK_OK;
}

void ink_adapter_close(struct ink_adapter *adapter)
{
    if (adapter) {
        ink_free_aligned(adapter->memory);
        ink_free(adapter->matrices);
        ink_free(adapter->path);
        ink_free(adapter);
    }
}

const struct ink_adapter_info *ink_adapter_get_info(const struct ink_adapter *adapter)
{
    return &adapter->info;
}

void ink_adapter_fingerprint(const struct ink_adapter *adapter, char hex[65])
{
    enum { SOME = 16 }; /* of A, and rows of B: so many always lie in memory, gaps included */
    struct ink_sha256 sha;
    ink_sha256_start(&sha);
    for (int i = 0; i < adapter->model->architecture.n_layers * INK_ADAPTED_MATRICES; i++) {
        const struct ink_low_rank *term = &adapter->matrices[i];
        ink_sha256_add(&sha, &term->rank, sizeof term->rank);
        if (term->rank > 0) {
            ink_sha256_add(&sha, term->a, SOME * sizeof *term->a);
            ink_sha256_add(&sha, term->b, (size_t)term->rank * SOME * sizeof *term->b);
        }
    }
    ink_sha256_finish(&sha, hex);
}
