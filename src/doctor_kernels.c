#include "doctor.h"

#include "kernels.h"
#include "quant.h"

#include <string.h>

/* Each level against the C level, on numbers that look like a model's. Same bits or not ok. */

enum { rows = 37, cols = 77, n_tokens = 3, n_heads = 3, head_dim = 40, n_positions = 150 };
enum { rank = 35 }; /* of as many groups of 16 columns as n_weights holds */
enum { n_weights = rows * cols, n_cache = 160 * 48, n_results = 4096 };
enum { n_partial = 16 * (2 + 48) }; /* n_heads, head_dim, n_positions rounded up as caches are */

struct trial {
    float x[n_tokens * cols], weights[n_weights], cache[n_cache];
    uint16_t half_weights[n_weights], bf16_weights[n_weights], half_cache[n_cache];
    int8_t int8_cache[n_cache];
    float scores[INK_ATTENTION_QUERIES * INK_ATTENTION_BLOCK], partial[n_partial];
    float expected[n_results], got[n_results];
};

/* Between -1 and 1, the same numbers on every machine. */
static void fill(float *out, int n, uint32_t *state)
{
    for (int i = 0; i < n; i++) {
        *state = *state * 1664525u + 1013904223u;
        out[i] = (float)(int32_t)*state / 2147483648.0f;
    }
}

/* One row of attention over a cache: floats written. */
static size_t attend(const struct ink_kernels *k, struct trial *t, const void *cache,
                     void (*span)(float *, const struct ink_attention *, int, float *), float *out)
{
    const struct ink_attention a = {
        .kv = {cache, cache, t->weights, t->weights},
        .q = t->x,
        .out = out,
        .n_rows = 1,
        .n_heads = n_heads,
        .n_pos = n_positions,
        .head_dim = head_dim,
        .scale = 0.2f,
    };
    span(t->partial, &a, 0, t->scores);
    k->attend_finish(&a, t->partial);
    return (size_t)n_heads * head_dim;
}

/* Every result of one level, one behind the other. */
static size_t compute(const struct ink_kernels *k, struct trial *t, float *out)
{
    const size_t block = (size_t)n_tokens * rows;
    float *at = out;
    k->matmul_f32(at, rows, t->x, cols, n_tokens, t->weights, rows, cols);
    k->matmul_f16(at += block, rows, t->x, cols, n_tokens, t->half_weights, rows, cols);
    k->matmul_bf16(at += block, rows, t->x, cols, n_tokens, t->bf16_weights, rows, cols);
    memcpy(at += block, t->x, cols * sizeof *at);
    k->add_low_rank(at, cols, t->x, n_tokens, 1, t->weights, rank, cols);
    k->rmsnorm(at += cols, t->x, t->weights, cols, 1e-5f);
    k->swiglu(at += cols, t->x, t->weights, cols);
    at += cols;
    at += attend(k, t, t->cache, k->attend_f32, at);
    at += attend(k, t, t->half_cache, k->attend_f16, at);
    at += attend(k, t, t->int8_cache, k->attend_q8, at);
    return (size_t)(at - out);
}

static bool is_same(const struct ink_kernels *k, struct trial *t)
{
    const size_t n = compute(ink_kernels_c(), t, t->expected);
    compute(k, t, t->got);
    return memcmp(t->got, t->expected, n * sizeof *t->got) == 0;
}

int ink_doctor_check_kernels(struct ink_doctor *d, struct ink_error *error)
{
    struct trial *t = ink_calloc(1, sizeof *t);
    const struct ink_kernels *k, *wrong = NULL;
    uint32_t state = 1;
    int n = 0;
    if (!t) {
        return ink_fail_memory(error, sizeof *t);
    }
    fill(t->x, n_tokens * cols, &state);
    fill(t->weights, n_weights, &state);
    fill(t->cache, n_cache, &state);
    ink_kernels_c()->f16_from_f32(t->half_weights, t->weights, n_weights);
    ink_kernels_c()->f16_from_f32(t->half_cache, t->cache, n_cache);
    ink_kernels_c()->i8_from_f32(t->int8_cache, t->cache, n_cache);
    for (int i = 0; i < n_weights; i++) {
        t->bf16_weights[i] = ink_bf16_from_f32(t->weights[i]);
    }
    for (; (k = ink_kernels_at(n)) != NULL; n++) {
        wrong = !wrong && !is_same(k, t) ? k : wrong;
    }
    if (wrong) {
        ink_doctor_report(d, false, ink_text("arithmetic"),
                          ink_text("instruction set %s gives other bits than plain C"),
                          wrong->name);
    } else {
        ink_doctor_report(d, true, ink_text("arithmetic"),
                          ink_text("the same bits from all %d instruction sets"), n);
    }
    ink_free(t);
    return INK_OK;
}
