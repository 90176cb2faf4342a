/* The head: logits from the selected rows. An int8 head lies in memory as two planes. The upper one
 * (5 of 8 bits) screens: a group of 16 rows whose bounds all lie below the least logit wanted is
 * left at that, any other is read whole and multiplied as if there were no planes. So what is
 * written is exactly what the whole head gives, or -INFINITY where it is certain that a logit is
 * not among the wanted. Which of those are is left to chance, as it hangs on what a lane saw
 * before: the one thing that is, and nobody reads them. */
#include "cpu_internal.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum {
    screened_at_once = 8,
    patience = 16 /* passes without screening, after one that read most of the head whole */
};

/* The best logits of one output so far, in falling order. */
struct best {
    int wanted, n;
    float length; /* at least |a| of the output's int8 row */
    float logits[INK_MAX_BEST];
};

/* |a| <= |x| + half a step in each value: sqrt(32) / 2 * max / 127 < 0.0223 |block|. */
static float length_bound(const float *x, int n)
{
    double squares = 0;
    for (int i = 0; i < n; i++) {
        squares += (double)x[i] * (double)x[i];
    }
    return (float)(sqrt(squares) * 1.0225);
}

static float threshold(const struct best *b)
{
    return b->n < b->wanted ? -INFINITY : b->logits[b->wanted - 1];
}

static void insert(struct best *b, float logit)
{
    if (!(logit > threshold(b))) {
        return;
    }
    int i = b->n < b->wanted ? b->n++ : b->wanted - 1;
    for (; i > 0 && b->logits[i - 1] < logit; i--) {
        b->logits[i] = b->logits[i - 1];
    }
    b->logits[i] = logit;
}

/* Might a row of the group be wanted? Also true where a bound is no number. */
static bool may_matter(const struct best *b, const float *screened, const float *rest, int rows)
{
    float least = threshold(b);
    for (int r = 0; r < rows; r++) {
        if (!(screened[r] + b->length * rest[r] + FLT_MIN < least)) {
            return true;
        }
    }
    return false;
}

/* The products of n neighbouring outputs with the `rows` rows of a packed group; `next`: what will
 * be read then, or NULL. */
static void multiply_group(const struct cpu *c, float *y, size_t ldy, int output, int n,
                           const char *group, int rows, int cols, const char *next)
{
    c->kernels->matmul_q8(y, ldy, ink_cpu_quantized_row(c, INK_SELECTED, output),
                          c->quantized_bytes[INK_SELECTED], n, group, rows, cols, next);
}

/* Returns whether the group had to be read whole. */
static bool screen_group(const struct ink_lane *l, const struct ink_weight *w, int row, int rows,
                         int output, int n, struct best *best)
{
    const struct cpu *c = ink_cpu_of(l);
    float y[screened_at_once][INK_Q8_GROUP];
    char *group = c->groups + c->group_bytes * (size_t)l->index;
    bool matters = false;
    c->kernels->join_q8(group, ink_cpu_group(w, row), w->cols, false);
    multiply_group(c, y[0], INK_Q8_GROUP, output, n, group, rows, w->cols, NULL);
    for (int i = 0; i < n && !matters; i++) {
        matters = may_matter(&best[i], y[i], w->rest + row, rows);
    }
    if (matters) {
        multiply_group(c, y[0], INK_Q8_GROUP, output, n, ink_cpu_joined_group(l, w, row), rows,
                       w->cols, NULL);
    }
    for (int i = 0; i < n; i++) {
        for (int r = 0; r < rows; r++) {
            if (!matters) {
                y[i][r] = -INFINITY;
            }
            insert(&best[i], y[i][r]);
        }
        memcpy(l->batch->logits[output + i] + row, y[i], (size_t)rows * sizeof(float));
    }
    return matters;
}

static void screen(const struct ink_lane *l, const struct ink_weight *w, int output, int n)
{
    struct cpu *c = ink_cpu_of(l);
    struct best best[screened_at_once];
    uint64_t whole = 0, groups = 0;
    const struct ink_loop loop = ink_cpu_loop(l, w->rows);
    int begin, end;
    for (int i = 0; i < n; i++) {
        best[i].n = 0;
        best[i].wanted = l->batch->n_best[output + i];
        best[i].length = length_bound(ink_cpu_row(c, INK_SELECTED, output + i), w->cols);
    }
    while (ink_cpu_take(&loop, &begin, &end)) {
        for (int r = begin; r < end; r += INK_Q8_GROUP, groups++) {
            int rows = end - r < INK_Q8_GROUP ? end - r : INK_Q8_GROUP;
            whole += screen_group(l, w, r, rows, output, n, best);
        }
    }
    atomic_fetch_add(&c->screened, groups);
    atomic_fetch_add(&c->read_whole, whole);
}

static bool are_together(const struct ink_batch *b, size_t vocabulary)
{
    for (int i = 1; i < b->n_outputs; i++) {
        if (b->logits[i] != b->logits[0] + (size_t)i * vocabulary) {
            return false;
        }
    }
    return true;
}

/* y[n, ldy] = rows begin..end-1 of the head times outputs output..output+n-1 */
static void multiply_rows(const struct ink_lane *l, const struct ink_weight *w, float *y,
                          size_t ldy, int output, int n, int begin, int end)
{
    const struct cpu *c = ink_cpu_of(l);
    if (!w->rest) {
        ink_cpu_multiply_columns(c, y, ldy, INK_SELECTED, output, n, w, begin, end);
        return;
    }
    for (int r = begin; r < end; r += INK_Q8_GROUP) {
        int rows = end - r < INK_Q8_GROUP ? end - r : INK_Q8_GROUP;
        const char *next = ink_cpu_group(w, r + INK_Q8_GROUP < w->rows ? r + INK_Q8_GROUP : r);
        multiply_group(c, y + (r - begin), ldy, output, n, ink_cpu_joined_group(l, w, r), rows,
                       w->cols, next);
    }
}

/* Where logits lie apart, as those of several sessions do, a tile of them is computed together, so
 * that weights are read once (for TILE_OUTPUTS of them), and then copied to its places, some lines
 * to each. */
enum { TILE_ROWS = 64, TILE_OUTPUTS = 64 };

static void multiply_apart(const struct ink_lane *l, const struct ink_weight *w, int begin, int end)
{
    const struct ink_batch *b = l->batch;
    float tile[TILE_OUTPUTS][TILE_ROWS];
    for (int r = begin; r < end; r += TILE_ROWS) {
        int rows = end - r < TILE_ROWS ? end - r : TILE_ROWS;
        for (int i = 0, n; i < b->n_outputs; i += n) {
            n = b->n_outputs - i < TILE_OUTPUTS ? b->n_outputs - i : TILE_OUTPUTS;
            multiply_rows(l, w, tile[0], TILE_ROWS, i, n, r, r + rows);
            for (int t = 0; t < n; t++) {
                memcpy(b->logits[i + t] + r, tile[t], (size_t)rows * sizeof(float));
            }
        }
    }
}

static bool may_screen(const struct cpu *c, const struct ink_batch *b, const struct ink_weight *w)
{
    bool may = w->rest != NULL && b->n_outputs <= screened_at_once && c->plain_passes == 0;
    for (int i = 0; i < b->n_outputs; i++) {
        may = may && b->n_best[i] > 0 && b->n_best[i] <= INK_MAX_BEST;
    }
    return may;
}

void ink_cpu_head_settle(struct cpu *c)
{
    uint64_t screened = c->screened, whole = c->read_whole;
    c->base.head_statistics.screened += screened;
    c->base.head_statistics.read_whole += whole;
    c->screened = c->read_whole = 0;
    if (2 * whole > screened) {
        c->plain_passes = patience;
    } else if (c->plain_passes > 0) {
        c->plain_passes--;
    }
}

void ink_cpu_head(const struct ink_lane *l, const struct ink_weight *w)
{
    const struct cpu *c = ink_cpu_of(l);
    const struct ink_batch *b = l->batch;
    int begin, end;
    if (b->n_outputs == 0) {
        return;
    }
    if (may_screen(c, b, w)) {
        screen(l, w, 0, b->n_outputs);
        return;
    }
    const bool together = are_together(b, (size_t)w->rows);
    const struct ink_loop loop = ink_cpu_loop(l, w->rows);
    while (ink_cpu_take(&loop, &begin, &end)) {
        if (together) {
            multiply_rows(l, w, b->logits[0] + begin, (size_t)w->rows, 0, b->n_outputs, begin, end);
        } else {
            multiply_apart(l, w, begin, end);
        }
    }
}
