/* The head: logits from the selected rows. An int8 head lies in memory as two planes. The upper one
 * (5 of 8 bits) screens: it gives each logit but for a bound, at less reading and less arithmetic.
 * The rows with the best lower bounds are then computed whole, and after them every group of 16
 * rows in which a logit might exceed theirs, as if there were no planes. So what is written is
 * exactly what the whole head gives, or -INFINITY where it is certain that a logit is not among the
 * wanted. Which of those are is left to chance, as it hangs on the rows that a lane saw: the one
 * thing that is, and nobody reads them. */
#include "cpu_internal.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { patience = 16 }; /* passes without screening, after one that did not pay */

/* The rows whose logits are certain to be great, in falling order of their lower bounds. */
struct best {
    int wanted, n;
    float length; /* at least |a| of the output's int8 row */
    float bounds[INK_MAX_BEST];
    int rows[INK_MAX_BEST];
};

/* |a| <= |x| + half a step in each value, steps being the row's scales. */
static float length_bound(const struct cpu *c, int output, int n)
{
    const float *x = ink_cpu_row(c, INK_SELECTED, output);
    const char *row = ink_cpu_quantized_row(c, INK_SELECTED, output);
    const float *scales =
        (const float *)(const void *)(row + (size_t)n * (size_t)c->kernels->q8_value_bytes);
    double squares = 0, steps = 0;
    for (int i = 0; i < n; i++) {
        squares += (double)x[i] * (double)x[i];
    }
    for (int b = 0; b < n / INK_Q8_BLOCK; b++) {
        steps += INK_Q8_BLOCK * (double)scales[b] * (double)scales[b];
    }
    const double length = (sqrt(squares) + sqrt(steps) / 2) * (1 + 1e-5); /* roundings are 2e-6 */
    return length < 0x1p90 ? (float)length : INFINITY; /* where sums might overflow, all matters */
}

static void insert(struct best *b, float bound, int row)
{
    int i = b->n < b->wanted ? b->n++ : b->wanted - 1;
    for (; i > 0 && b->bounds[i - 1] < bound; i--) {
        b->bounds[i] = b->bounds[i - 1];
        b->rows[i] = b->rows[i - 1];
    }
    b->bounds[i] = bound;
    b->rows[i] = row;
}

/* Is one of n bounds (upper ones, or lower where the length is negative) no less than `least`, or
 * no number? */
static inline bool some_matters(const float *screened, const float *rest, int n, float length,
                                float least)
{
    int32_t some = 0;
    for (int r = 0; r < n; r++) {
        some |= screened[r] + length * rest[r] + FLT_MIN < least ? 0 : 1;
    }
    return some != 0;
}

/* The same of a group; 16 rows are a number that compilers make vectors of. */
static bool may_matter(const float *screened, const float *rest, int rows, float length,
                       float least)
{
    return rows == INK_Q8_GROUP ? some_matters(screened, rest, INK_Q8_GROUP, length, least)
                                : some_matters(screened, rest, rows, length, least);
}

static void insert_group(struct best *b, const float *screened, const float *rest, int row, int n)
{
    float least = b->n < b->wanted ? -INFINITY : b->bounds[b->wanted - 1];
    if (!may_matter(screened, rest, n, -b->length, least)) {
        return;
    }
    for (int r = 0; r < n; r++) {
        float bound = screened[r] - b->length * rest[r] - FLT_MIN;
        if (bound > least) {
            insert(b, bound, row + r);
            least = b->n < b->wanted ? -INFINITY : b->bounds[b->wanted - 1];
        }
    }
}

static int group_rows(const struct ink_weight *w, int row)
{
    return w->rows - row < INK_Q8_GROUP ? w->rows - row : INK_Q8_GROUP;
}

static void copy_group(float *to, const float *from, int rows)
{
    if (rows == INK_Q8_GROUP) {
        memcpy(to, from, INK_Q8_GROUP * sizeof *to); /* a line of the cache, no call */
    } else {
        memcpy(to, from, (size_t)rows * sizeof *to);
    }
}

/* The products of n neighbouring outputs with the rows of a packed group; `next`: what will be read
 * then, or NULL. */
static void multiply_group(const struct cpu *c, float *y, size_t ldy, int output, int n,
                           const char *group, int rows, int cols, const char *next)
{
    c->kernels->matmul_q8(y, ldy, ink_cpu_quantized_row(c, INK_SELECTED, output),
                          c->quantized_bytes[INK_SELECTED], n, group, rows, cols, next);
}

/* Every logit but for its bound, and the best rows of those that this lane saw. */
static void screen(const struct ink_lane *l, const struct ink_weight *w, struct best *best)
{
    const struct cpu *c = ink_cpu_of(l);
    const struct ink_loop loop = ink_cpu_loop(l, w->rows);
    const int n = l->batch->n_outputs;
    char *scratch = c->groups + c->group_bytes * (size_t)l->index;
    int begin, end;
    while (ink_cpu_take(&loop, &begin, &end)) {
        for (int row = begin; row < end; row += INK_Q8_GROUP) {
            float y[INK_SCREENED_AT_ONCE][INK_Q8_GROUP];
            const int rows = group_rows(w, row);
            c->kernels->screen_q8(y[0], INK_Q8_GROUP, ink_cpu_quantized_row(c, INK_SELECTED, 0),
                                  c->quantized_bytes[INK_SELECTED], n, ink_cpu_group(w, row),
                                  w->cols, scratch);
            for (int i = 0; i < n; i++) {
                insert_group(&best[i], y[i], w->rest + row, row, rows);
                copy_group(l->batch->logits[i] + row, y[i], rows);
            }
        }
    }
}

/* What the wanted logits of an output are not below: the least of as many whole ones. */
static float least_wanted(const struct ink_lane *l, const struct ink_weight *w,
                          const struct best *b, int output)
{
    float least = b->n < b->wanted ? -INFINITY : INFINITY;
    for (int i = 0; i < b->n; i++) {
        float y[INK_Q8_GROUP];
        const int row = b->rows[i] / INK_Q8_GROUP * INK_Q8_GROUP;
        multiply_group(ink_cpu_of(l), y, INK_Q8_GROUP, output, 1, ink_cpu_joined_group(l, w, row),
                       group_rows(w, row), w->cols, NULL);
        const float logit = y[b->rows[i] - row];
        least = logit >= least ? least : isnan(logit) ? -INFINITY : logit;
    }
    return least;
}

/* The whole logits of a group for the outputs in `wanted`, n of them, from first to last. */
static void multiply_wanted(const struct ink_lane *l, const struct ink_weight *w, int row,
                            uint32_t wanted, int first, int last, int n)
{
    float y[INK_SCREENED_AT_ONCE][INK_Q8_GROUP];
    const int rows = group_rows(w, row), all = n == 1 ? 1 : last - first + 1;
    multiply_group(ink_cpu_of(l), y[0], INK_Q8_GROUP, first, all, ink_cpu_joined_group(l, w, row),
                   rows, w->cols, NULL);
    for (int i = 0; i < all; i++) {
        if (wanted >> (first + i) & 1) {
            copy_group(l->batch->logits[first + i] + row, y[i], rows);
        }
    }
}

/* Makes the logits of a group whole, or -INFINITY. Returns whether any had to be whole. */
static bool settle_group(const struct ink_lane *l, const struct ink_weight *w, int row,
                         const struct best *best, const float *least)
{
    const int rows = group_rows(w, row);
    uint32_t wanted = 0;
    int first = 0, last = 0, n = 0;
    for (int i = 0; i < l->batch->n_outputs; i++) {
        float *y = l->batch->logits[i] + row;
        if (may_matter(y, w->rest + row, rows, best[i].length, least[i])) {
            first = n++ ? first : i;
            last = i;
            wanted |= 1u << i;
            continue;
        }
        for (int r = 0; r < rows; r++) {
            y[r] = -INFINITY;
        }
    }
    if (n > 0) {
        multiply_wanted(l, w, row, wanted, first, last, n);
    }
    return n > 0;
}

static void settle(const struct ink_lane *l, const struct ink_weight *w, const struct best *best)
{
    struct cpu *c = ink_cpu_of(l);
    const struct ink_loop loop = ink_cpu_loop(l, w->rows);
    uint64_t whole = 0, groups = 0;
    float least[INK_SCREENED_AT_ONCE];
    int begin, end;
    for (int i = 0; i < l->batch->n_outputs; i++) {
        least[i] = -INFINITY;
        for (int lane = 0; lane < l->count; lane++) {
            least[i] = fmaxf(least[i], c->least[lane][i]);
        }
    }
    while (ink_cpu_take(&loop, &begin, &end)) {
        for (int row = begin; row < end; row += INK_Q8_GROUP, groups++) {
            whole += settle_group(l, w, row, best, least);
        }
    }
    atomic_fetch_add(&c->screened, groups);
    atomic_fetch_add(&c->read_whole, whole);
}

static void screened_head(const struct ink_lane *l, const struct ink_weight *w)
{
    struct cpu *c = ink_cpu_of(l);
    struct best best[INK_SCREENED_AT_ONCE];
    for (int i = 0; i < l->batch->n_outputs; i++) {
        best[i].n = 0;
        best[i].wanted = l->batch->n_best[i];
        best[i].length = length_bound(c, i, w->cols);
    }
    screen(l, w, best);
    for (int i = 0; i < l->batch->n_outputs; i++) {
        c->least[l->index][i] = least_wanted(l, w, &best[i], i);
    }
    ink_threads_barrier(l->team, l->count);
    settle(l, w, best);
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
        const char *next = ink_cpu_group(w, r + INK_Q8_GROUP < w->rows ? r + INK_Q8_GROUP : r);
        multiply_group(c, y + (r - begin), ldy, output, n, ink_cpu_joined_group(l, w, r),
                       group_rows(w, r), w->cols, next);
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
    bool may = w->rest != NULL && b->n_outputs <= INK_SCREENED_AT_ONCE && c->plain_passes == 0;
    int wanted = 0; /* so many groups every lane computes whole first: few of those it screens */
    for (int i = 0; may && i < b->n_outputs; i++) {
        may = b->n_best[i] > 0 && b->n_best[i] <= INK_MAX_BEST;
        wanted += b->n_best[i];
    }
    return may && 4 * wanted <= ink_cpu_group_count(w) / c->base.n_threads;
}

void ink_cpu_head_settle(struct cpu *c, int n_outputs)
{
    const uint64_t limit = n_outputs == 1 ? 2 : 4; /* one output saves reading, several less */
    uint64_t screened = c->screened, whole = c->read_whole;
    c->base.head_statistics.screened += screened;
    c->base.head_statistics.read_whole += whole;
    c->screened = c->read_whole = 0;
    if (limit * whole > screened) {
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
        screened_head(l, w);
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
