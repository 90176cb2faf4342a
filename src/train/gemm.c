#include "gemm_pack.h"

#include "quant.h"

#include <string.h>

enum {
    PANEL = INK_GEMM_PANEL, /* columns that the kernel takes together */
    PANEL_GAP = 16,         /* floats between what would else lie in the same places of the cache */
    FORWARD_K = 512,        /* inputs summed at a time: they stay in the caches for all tokens, */
    FORWARD_ROWS = 8 * INK_GEMM_ROWS, /* and for so many rows of weights */
    INPUT_N = 128,                    /* outputs summed at a time, */
    INPUT_COLS = 256,                 /* for so many columns of dx, */
    INPUT_UNIT = 128,                 /* at least, */
    LEAST_UNIT = 32,                  /* or fewer where many lanes share them */
    WEIGHT_ROWS =
        12, /* of a gradient at a time, which are still in the caches when they are used */
    WEIGHT_COLS = 1024 /* columns of a gradient whose inputs stay in the caches for all rows */
};

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

/* Tokens at..at+n-1 are the next to be done together: blocks of nearly one size. */
static int next_tokens(int t, int at)
{
    const int left = t - at, blocks = (left + INK_GEMM_TOKENS - 1) / INK_GEMM_TOKENS;
    return min_int(left, ink_gemm_panels((left + blocks - 1) / blocks) * PANEL);
}

static int pieces_of(int n, int unit)
{
    return (n + unit - 1) / unit;
}

static void run_after(const struct ink_gemm_after *after, int token, int n_tokens, int col,
                      int n_cols)
{
    if (after->run) {
        const struct ink_gemm_part part = {token, n_tokens, col, n_cols};
        after->run(after->context, &part);
    }
}

/* ------------------------------------------------------------------------------------- scratch */

/* A lane's scratch. What forward, input and weight need lies in the same place. */
struct pads {
    float *panels; /* [the widest matrix's columns, INK_GEMM_TOKENS], or
                      [INPUT_COLS, INPUT_N] */
    float *sums;   /* [FORWARD_ROWS, INK_GEMM_TOKENS], [INK_GEMM_TOKENS, INPUT_COLS] or
                      [WEIGHT_ROWS, WEIGHT_COLS], each row with a gap */
    float *some;   /* [INK_GEMM_ROWS, FORWARD_K] weights, or [INK_GEMM_TOKENS, PANEL] dy, or
                      [INK_GEMM_TOKENS, INPUT_N] of dy in bf16 */
};

static size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t panel_floats(int cols)
{
    const size_t k = (size_t)ink_gemm_panels(cols) * PANEL;
    return max_size(k * INK_GEMM_TOKENS,
                    (size_t)INPUT_COLS / PANEL * (INPUT_N * PANEL + PANEL_GAP));
}

static size_t sum_floats(void)
{
    const size_t forward = (size_t)FORWARD_ROWS * (INK_GEMM_TOKENS + PANEL_GAP);
    const size_t input = (size_t)INK_GEMM_TOKENS * (INPUT_COLS + PANEL_GAP);
    const size_t weight = (size_t)WEIGHT_ROWS * (WEIGHT_COLS + PANEL_GAP);
    return max_size(forward, max_size(input, weight));
}

static size_t some_floats(void)
{
    const size_t weights = (size_t)INK_GEMM_ROWS * FORWARD_K;
    return max_size(weights, (size_t)INK_GEMM_TOKENS * max_size(PANEL, INPUT_N / 2));
}

size_t ink_gemm_scratch(int cols)
{
    return panel_floats(cols) + sum_floats() + some_floats();
}

static struct pads pads_of(const struct ink_train_lane *l, int cols)
{
    float *sums = l->scratch + panel_floats(cols);
    return (struct pads){l->scratch, sums, sums + sum_floats()};
}

/* ------------------------------------------------------------------------------------- weights */

/* Bytes of n values of a row. Columns begin and end with whole blocks: pieces are multiples of
 * every block's size, and so is the width of a matrix that is stored in blocks. */
static size_t bytes_of(const struct ink_gemm_matrix *w, int n)
{
    return (size_t)ink_type_bytes(w->values ? INK_TYPE_F32 : w->type, (uint64_t)n);
}

static const char *place_of(const struct ink_gemm_matrix *w, int row, int col)
{
    const char *data = w->values ? (const char *)w->values : w->data;
    return data + (size_t)row * bytes_of(w, w->cols) + bytes_of(w, col);
}

static const float *values_of(const struct ink_gemm_matrix *w, int row, int col)
{
    return w->values + (size_t)row * (size_t)w->cols + (size_t)col;
}

/* to [n_rows, ld] = columns col..col+n-1 of rows row..row+n_rows-1, which are not float32. */
static void widen_rows(const struct ink_kernels *kernels, float *to, size_t ld,
                       const struct ink_gemm_matrix *w, int row, int n_rows, int col, int n)
{
    const size_t row_bytes = bytes_of(w, w->cols);
    const char *from = place_of(w, row, col);
    for (int i = 0; i < n_rows; i++, from += row_bytes, to += ld) {
        ink_widen(kernels, to, from, w->type, (size_t)n);
    }
}

/* The same columns of rows row..row+n_rows-1, as far as there are such rows. */
static struct ink_fetch fetch_of(const struct ink_gemm_matrix *w, int row, int n_rows, int col,
                                 int n)
{
    const int left = w->rows - row;
    if (left <= 0 || n <= 0) {
        return (struct ink_fetch){.n_places = 0};
    }
    return (struct ink_fetch){.places = {place_of(w, row, col)},
                              .n_places = 1,
                              .rows = min_int(n_rows, left),
                              .row_bytes = (bytes_of(w, n) + 63) / 64 * 64,
                              .stride = bytes_of(w, w->cols)};
}

void ink_gemm_row(const struct ink_kernels *kernels, float *out, const struct ink_gemm_matrix *w,
                  int row)
{
    if (w->values) {
        memcpy(out, values_of(w, row, 0), (size_t)w->cols * sizeof *out);
    } else {
        widen_rows(kernels, out, 0, w, row, 1, 0, w->cols);
    }
}

/* What is summed: bf16 in pairs, or floats. */
static void multiply(const struct ink_gemm_math *math, float *c, size_t ldc, const float *a,
                     size_t a_row, size_t a_col, const float *b, size_t panel, int m, int panels,
                     int steps, bool adds, const struct ink_fetch *next)
{
    const struct ink_kernels *kernels = math->kernels;
    (math->is_bf16 ? kernels->gemm_bf16 : kernels->gemm)(c, ldc, a, a_row, a_col, b, panel, m,
                                                         panels, steps, adds, next);
}

/* ------------------------------------------------------------------------------------- forward */

/* Columns k..k+n_k-1 of rows row..row+n-1 of w: where they are, or in pads->some. */
static struct ink_gemm_rows rows_of(const struct ink_gemm_math *math, const struct pads *pads,
                                    const struct ink_gemm_matrix *w, int row, int n, int k, int n_k)
{
    if (w->values) {
        return ink_gemm_narrow(math, pads->some, FORWARD_K / 2, values_of(w, row, k),
                               (size_t)w->cols, n, n_k);
    }
    if (math->is_bf16 && w->type == INK_TYPE_BF16 && w->cols % 2 == 0) {
        const void *at = place_of(w, row, k);
        return (struct ink_gemm_rows){at, (size_t)w->cols / 2};
    }
    widen_rows(math->kernels, pads->some, FORWARD_K, w, row, n, k, n_k);
    return ink_gemm_narrow(math, pads->some, FORWARD_K, pads->some, FORWARD_K, n, n_k);
}

/* sums [n, T] (+)= those, n up to INK_GEMM_ROWS, times the same rows of the panels of xᵀ */
static void multiply_rows(const struct ink_gemm_math *math, const struct pads *pads, float *sums,
                          size_t ld, const struct ink_gemm_matrix *w, int row, int n, int k,
                          int n_k, int t, const struct ink_fetch *next)
{
    const struct ink_gemm_rows values = rows_of(math, pads, w, row, n, k, n_k);
    multiply(math, sums, ld, values.at, values.ld, 1,
             pads->panels + (size_t)ink_gemm_steps(math, k) * PANEL,
             (size_t)ink_gemm_steps(math, w->cols) * PANEL, n, ink_gemm_panels(t),
             ink_gemm_steps(math, n_k), k > 0, next);
}

/* What multiply_group reads after the rows from row + i on, columns from k on. */
static struct ink_fetch fetch_after(const struct ink_gemm_matrix *w, int row, int rows, int i,
                                    int k)
{
    if (i + INK_GEMM_ROWS < rows) {
        i += INK_GEMM_ROWS;
    } else if (k + FORWARD_K < w->cols) {
        i = 0;
        k += FORWARD_K;
    } else { /* the next group */
        i = rows;
        k = 0;
    }
    return fetch_of(w, row + i, INK_GEMM_ROWS, k, min_int(FORWARD_K, w->cols - k));
}

/* sums [rows, T] = rows row..row+rows-1 of w, FORWARD_ROWS at most, times the panels of xᵀ */
static void multiply_group(const struct ink_gemm_math *math, const struct pads *pads, size_t ld,
                           const struct ink_gemm_matrix *w, int row, int rows, int t)
{
    for (int k = 0; k < w->cols; k += FORWARD_K) {
        for (int i = 0; i < rows; i += INK_GEMM_ROWS) {
            const struct ink_fetch next = fetch_after(w, row, rows, i, k);
            multiply_rows(math, pads, pads->sums + (size_t)i * ld, ld, w, row + i,
                          min_int(INK_GEMM_ROWS, rows - i), k, min_int(FORWARD_K, w->cols - k), t,
                          &next);
        }
    }
}

/* Some columns of a map's y, of tokens at..at+tokens-1, whose x is in the panels. */
static void forward_rows(const struct ink_gemm_math *math, const struct pads *pads,
                         const struct ink_gemm_map *map, int at, int tokens, int row, int rows,
                         bool adds)
{
    const size_t n = (size_t)map->w->rows, ld = (size_t)ink_gemm_panels(tokens) * PANEL + PANEL_GAP;
    multiply_group(math, pads, ld, map->w, row, rows, tokens);
    math->kernels->turn(map->y + (size_t)at * n + (size_t)row, n, pads->sums, ld, rows, tokens,
                        adds);
    run_after(&map->after, at, tokens, row, rows);
}

/* The pieces begin..end-1 of all maps' rows, one map's after the other's. */
static void forward_pieces(const struct ink_gemm_math *math, const struct pads *pads,
                           const struct ink_gemm_map *maps, int at, int tokens, int begin, int end,
                           bool adds)
{
    for (const struct ink_gemm_map *map = maps; begin < end; map++) {
        const int n = pieces_of(map->w->rows, INK_GEMM_ROWS), last = min_int(end, n);
        if (begin < last) {
            const int row = begin * INK_GEMM_ROWS;
            forward_rows(math, pads, map, at, tokens, row,
                         min_int(last * INK_GEMM_ROWS, map->w->rows) - row, adds);
            begin = last;
        }
        begin -= n;
        end -= n;
    }
}

/* Weights are read along their rows as they lie, tokens stand in the kernel's columns: only these
 * are copied, and sums come out turned. */
void ink_gemm_forward(const struct ink_train_lane *l, const struct ink_gemm_math *math,
                      const struct ink_gemm_map *maps, int n, const float *x, int t, bool adds)
{
    const int cols = maps->w->cols;
    const struct pads pads = pads_of(l, cols);
    int pieces = 0;
    for (int i = 0; i < n; i++) {
        pieces += pieces_of(maps[i].w->rows, INK_GEMM_ROWS);
    }
    for (int at = 0, tokens; at < t; at += tokens) {
        const struct ink_loop loop = ink_train_loop(l, pieces, 1);
        bool is_packed = false;
        int begin, end;
        tokens = next_tokens(t, at);
        while (ink_loop_take(&loop, FORWARD_ROWS / INK_GEMM_ROWS, &begin, &end)) {
            if (!is_packed) {
                ink_gemm_pack_turned(math, pads.panels, (size_t)ink_gemm_steps(math, cols) * PANEL,
                                     x + (size_t)at * (size_t)cols, (size_t)cols, tokens, cols);
                is_packed = true;
            }
            forward_pieces(math, &pads, maps, at, tokens, begin, end, adds);
        }
    }
}

/* ---------------------------------------------------------------------------------- backward */

enum { INPUT_PANEL = INPUT_N * PANEL + PANEL_GAP };

/* The panels of columns col..col+n_cols-1 of rows n..n+rows-1 of w, INPUT_N at most. */
static void pack_weights(const struct ink_gemm_math *math, const struct pads *pads,
                         const struct ink_gemm_matrix *w, int n, int rows, int col, int n_cols)
{
    enum { AT_ONCE = 4 };
    float room[AT_ONCE * INPUT_COLS];
    if (w->values) {
        ink_gemm_pack_rows(math, pads->panels, INPUT_PANEL, values_of(w, n, col), (size_t)w->cols,
                           rows, n_cols);
        return;
    }
    for (int i = 0; i < rows; i += AT_ONCE) {
        const int some = min_int(AT_ONCE, rows - i);
        widen_rows(math->kernels, room, INPUT_COLS, w, n + i, some, col, n_cols);
        ink_gemm_pack_rows(math, pads->panels + (size_t)ink_gemm_steps(math, i) * PANEL,
                           INPUT_PANEL, room, INPUT_COLS, some, n_cols);
    }
}

/* Columns col..col+n_cols-1 of dx, at most INPUT_COLS of them. */
static void input_columns(const struct ink_gemm_math *math, const struct pads *pads, float *dx,
                          const float *dy, const struct ink_gemm_matrix *w, int t, int col,
                          int n_cols, bool adds)
{
    enum { LD = INPUT_COLS + PANEL_GAP };
    for (int n = 0; n < w->rows; n += INPUT_N) {
        const int rows = min_int(INPUT_N, w->rows - n);
        const bool is_last = n + INPUT_N >= w->rows; /* the next columns begin */
        const struct ink_fetch next =
            is_last
                ? fetch_of(w, 0, INPUT_N, col + n_cols, min_int(INPUT_COLS, w->cols - col - n_cols))
                : fetch_of(w, n + INPUT_N, INPUT_N, col, n_cols);
        const struct ink_gemm_rows slopes =
            ink_gemm_narrow(math, pads->some, INPUT_N / 2, dy + n, (size_t)w->rows, t, rows);
        pack_weights(math, pads, w, n, rows, col, n_cols);
        multiply(math, pads->sums, LD, slopes.at, slopes.ld, 1, pads->panels, INPUT_PANEL, t,
                 ink_gemm_panels(n_cols), ink_gemm_steps(math, rows), n > 0, &next);
    }
    ink_gemm_put(dx + col, (size_t)w->cols, pads->sums, LD, t, n_cols, adds);
}

/* Columns that begin with whole blocks of every matrix's type. Narrow pieces of rows cost more to
 * fetch and to widen, wide ones leave lanes without any. */
static int input_unit(const struct ink_train_lane *l, const struct ink_gemm_product *products,
                      int n)
{
    int unit = INPUT_UNIT;
    for (int i = 0; i < n; i++) {
        const struct ink_gemm_matrix *w = products[i].w;
        if (!w->values && LEAST_UNIT % ink_type_facts(w->type)->block_values != 0) {
            return INPUT_COLS;
        }
    }
    while (unit > LEAST_UNIT && pieces_of(products->w->cols, unit) < 4 * l->count) {
        unit /= 2;
    }
    return unit;
}

/* The same columns of all tokens. */
static void input_part(const struct ink_gemm_math *math, const struct pads *pads, float *dx,
                       const struct ink_gemm_product *p, int t, int col, int n_cols, bool adds)
{
    const size_t k = (size_t)p->w->cols, n = (size_t)p->w->rows;
    for (int at = 0, tokens; at < t; at += tokens) {
        tokens = next_tokens(t, at);
        input_columns(math, pads, dx + (size_t)at * k, p->dy + (size_t)at * n, p->w, tokens, col,
                      n_cols, adds);
    }
    run_after(&p->after, 0, t, col, n_cols);
}

void ink_gemm_input(const struct ink_train_lane *l, const struct ink_gemm_math *math, float *dx,
                    const struct ink_gemm_product *products, int n, int t, bool adds)
{
    const int cols = products->w->cols, unit = input_unit(l, products, n);
    const struct pads pads = pads_of(l, cols);
    const struct ink_loop loop = ink_train_loop(l, cols, unit);
    int col, end;
    while (ink_loop_take(&loop, INPUT_COLS, &col, &end)) {
        for (int i = 0; i < n; i++) {
            input_part(math, &pads, dx, &products[i], t, col, end - col, adds || i > 0);
        }
    }
}

/* Columns col..col+n_cols-1 of rows begin..end-1. */
static void weight_columns(const struct ink_gemm_math *math, const struct pads *pads,
                           const float *dy, int t, int n, int begin, int end, int col, int n_cols,
                           const struct ink_gemm_user *user)
{
    enum { LD = WEIGHT_COLS + PANEL_GAP };
    const int steps = ink_gemm_steps(math, t);
    for (int row = begin; row < end; row += WEIGHT_ROWS) {
        const struct ink_gemm_piece piece = {row, min_int(WEIGHT_ROWS, end - row), col, n_cols};
        struct ink_fetch fetch = {.n_places = 0};
        /* some more than needed, if there are: a whole panel is copied faster */
        ink_gemm_pack_rows(math, pads->some, 0, dy + row, (size_t)n, t, min_int(PANEL, n - row));
        if (user->expect) {
            user->expect(user->context, &piece, &fetch);
        }
        multiply(math, pads->sums, LD, pads->some, 1, PANEL, pads->panels, (size_t)steps * PANEL,
                 piece.n_rows, ink_gemm_panels(n_cols), steps, false, &fetch);
        user->take(user->context, &piece, pads->sums, LD);
    }
}

void ink_gemm_weight_pieces(const struct ink_train_lane *l, const struct ink_gemm_math *math,
                            const float *dy, const float *x, int t, int n, int k,
                            const struct ink_gemm_user *user)
{
    const struct pads pads = pads_of(l, k);
    for (int col = 0; col < k; col += WEIGHT_COLS) {
        const struct ink_loop loop = ink_train_loop(l, n, INK_GEMM_ROWS);
        const int n_cols = min_int(WEIGHT_COLS, k - col);
        bool is_packed = false;
        int begin, end;
        while (ink_loop_take(&loop, FORWARD_ROWS, &begin, &end)) {
            if (!is_packed) {
                ink_gemm_pack_rows(math, pads.panels, (size_t)ink_gemm_steps(math, t) * PANEL,
                                   x + col, (size_t)k, t, n_cols);
                is_packed = true;
            }
            weight_columns(math, &pads, dy, t, n, begin, end, col, n_cols, user);
        }
    }
}

struct stored {
    float *dw;
    int k;
    bool adds;
};

static void store_piece(void *context, const struct ink_gemm_piece *p, float *gradient, size_t ld)
{
    const struct stored *s = context;
    ink_gemm_put(s->dw + (size_t)p->row * (size_t)s->k + (size_t)p->col, (size_t)s->k, gradient, ld,
                 p->n_rows, p->n_cols, s->adds);
}

void ink_gemm_weight(const struct ink_train_lane *l, const struct ink_gemm_math *math, float *dw,
                     const float *dy, const float *x, int t, int n, int k, bool adds)
{
    for (int at = 0, tokens; at < t; at += tokens) {
        struct stored stored = {dw, k, adds || at > 0};
        const struct ink_gemm_user user = {NULL, store_piece, &stored};
        tokens = next_tokens(t, at);
        if (at > 0) {
            ink_train_sync(l); /* the sum so far may be another lane's */
        }
        ink_gemm_weight_pieces(l, math, dy + (size_t)at * (size_t)n, x + (size_t)at * (size_t)k,
                               tokens, n, k, &user);
    }
}
