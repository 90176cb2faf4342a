/* What adapters add to the products of the CPU backend: y += B (A x), in float32 whatever the
 * matrix is computed in. A x is shared among the lanes; each matrix has its own memory for it, so
 * that no lane writes there before the others are done with the last layer's. */
#include "cpu_internal.h"

/* What row r's adapter adds to w; NULL: nothing. */
static const struct ink_low_rank *term_of(const struct ink_batch *b, const struct ink_weight *w,
                                          int r)
{
    const struct ink_low_rank *matrices = b->adapters[r];
    return matrices && matrices[w->adapted - 1].rank > 0 ? &matrices[w->adapted - 1] : NULL;
}

/* The same on every lane. */
static bool is_adapted(const struct ink_batch *b, const struct ink_weight *w)
{
    for (int r = 0; b->adapters && w->adapted && r < b->n_rows; r++) {
        if (term_of(b, w, r)) {
            return true;
        }
    }
    return false;
}

/* The next run of rows with one adapter among those from *r to end: their number, 0 when there are
 * no more; *r is where they begin. */
static int next_run(const struct ink_batch *b, const struct ink_weight *w, int *r, int end)
{
    int n = 0;
    while (*r < end && !term_of(b, w, *r)) {
        ++*r;
    }
    while (*r + n < end && b->adapters[*r + n] == b->adapters[*r]) {
        n++;
    }
    return n;
}

/* Lanes share rows where there are enough of them, else the rows of A. */
void ink_cpu_project(const struct ink_lane *l, const struct ink_weight *w, enum ink_buffer in)
{
    const struct cpu *c = ink_cpu_of(l);
    const struct ink_batch *b = l->batch;
    if (!is_adapted(b, w)) {
        return;
    }
    const bool by_rows = b->n_rows >= l->count;
    int r = 0, end = b->n_rows, n;
    if (by_rows) {
        ink_cpu_share(l, b->n_rows, 1, &r, &end);
    }
    for (; (n = next_run(b, w, &r, end)) > 0; r += n) {
        const struct ink_low_rank *term = term_of(b, w, r);
        const size_t rank = (size_t)term->rank;
        int first = 0, last = term->rank;
        if (!by_rows) {
            ink_cpu_share(l, term->rank, 1, &first, &last);
        }
        c->kernels->matmul_f32(term->product + (size_t)r * rank + first, rank,
                               ink_cpu_row(c, in, r), (size_t)c->width[in], n,
                               term->a + (size_t)first * (size_t)w->cols, last - first, w->cols);
    }
    ink_threads_barrier(l->team, l->count);
}

void ink_cpu_adapt(const struct ink_lane *l, float *y, size_t ldy, const struct ink_weight *w,
                   int begin, int end)
{
    const struct cpu *c = ink_cpu_of(l);
    const struct ink_batch *b = l->batch;
    if (!is_adapted(b, w)) {
        return;
    }
    for (int r = 0, n; (n = next_run(b, w, &r, b->n_rows)) > 0; r += n) {
        const struct ink_low_rank *term = term_of(b, w, r);
        const size_t rank = (size_t)term->rank;
        c->kernels->add_low_rank(y + (size_t)r * ldy + begin, ldy, term->product + (size_t)r * rank,
                                 rank, n, term->b + (size_t)begin * rank, term->rank, end - begin);
    }
}
