#include "gemm.h"

#include "quant.h"

#include <string.h>

enum {
    PANEL = 16,      /* columns that the kernel takes together */
    PANEL_GAP = 16,  /* floats between what would else lie in the same places of the cache */
    FORWARD_K = 512, /* inputs summed at a time: they stay in the caches for all tokens, */
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

static int panels_of(int n)
{
    return (n + PANEL - 1) / PANEL;
}

/* Tokens at..at+n-1 are the next to be done together: blocks of nearly one size. */
static int next_tokens(int t, int at)
{
    const int left = t - at, blocks = (left + INK_GEMM_TOKENS - 1) / INK_GEMM_TOKENS;
    return min_int(left, panels_of((left + blocks - 1) / blocks) * PANEL);
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
    float *some;   /* [INK_GEMM_ROWS, FORWARD_K] weights, or [INK_GEMM_TOKENS, WEIGHT_ROWS] dy */
};

static size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t panel_floats(int cols)
{
    const size_t k = (size_t)panels_of(cols) * PANEL;
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

size_t ink_gemm_scratch(int cols)
{
    return panel_floats(cols) + sum_floats() + (size_t)INK_GEMM_ROWS * FORWARD_K;
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

/* Columns col..col+n-1 of a row, in `room` or where they are. */
static const float *row_of(const struct ink_kernels *kernels, float *room,
                           const struct ink_gemm_matrix *w, int row, int col, int n)
{
    if (w->values) {
        return w->values + (size_t)row * (size_t)w->cols + (size_t)col;
    }
    ink_widen(kernels, room, place_of(w, row, col), w->type, (size_t)n);
    return room;
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
    const float *values = row_of(kernels, out, w, row, 0, w->cols);
    if (values != out) {
        memcpy(out, values, (size_t)w->cols * sizeof *out);
    }
}

/* ------------------------------------------------------------------------------------- copying */

/* to [16] = by * x [n], the rest 0 */
static void pack_row(float *restrict to, const float *restrict x, int n, float by)
{
    if (n >= PANEL) {
        for (int p = 0; p < PANEL; p++) {
            to[p] = by * x[p];
        }
        return;
    }
    for (int p = 0; p < PANEL; p++) {
        to[p] = p < n ? by * x[p] : 0.0f;
    }
}

/* to [n_panels][rows, 16] = by * x [rows, cols], columns past the last 0. */
static void pack(float *to, size_t panel, const float *x, size_t ldx, int rows, int cols, float by)
{
    for (int j = 0; j < cols; j += PANEL, to += panel) {
        for (int i = 0; i < rows; i++) {
            pack_row(to + (size_t)i * PANEL, x + (size_t)i * ldx + (size_t)j, cols - j, by);
        }
    }
}

/* The same for by = 1. */
static void pack_copy(const struct ink_kernels *kernels, float *to, size_t panel, const float *x,
                      size_t ldx, int rows, int cols)
{
    const int whole = cols / PANEL;
    kernels->gemm_pack(to, panel, x, ldx, rows, whole);
    pack(to + (size_t)whole * panel, panel, x + (size_t)whole * PANEL, ldx, rows,
         cols - whole * PANEL, 1);
}

/* to [n, 16] = xᵀ, x [rows, n] with rows <= 16; columns past the last row 0. Four rows at a time:
 * their lines and those of `to` stay in the cache. */
static void turn_panel(const struct ink_kernels *kernels, float *to, const float *x, size_t ldx,
                       int rows, int n)
{
    for (int i = 0; rows < PANEL && i < n; i++) {
        memset(to + (size_t)i * PANEL + rows, 0, (size_t)(PANEL - rows) * sizeof *to);
    }
    for (int p = 0; p < rows; p += 4) {
        kernels->turn(to + p, PANEL, x + (size_t)p * ldx, ldx, min_int(4, rows - p), n, false);
    }
}

/* The panels of xᵀ [cols, rows], where x is [rows, cols]: rows become columns. */
static void pack_turned(const struct ink_kernels *kernels, float *to, size_t panel, const float *x,
                        size_t ldx, int rows, int cols)
{
    enum { AT_ONCE = 64 };
    for (int j = 0; j < rows; j += PANEL, to += panel) {
        for (int i = 0; i < cols; i += AT_ONCE) {
            turn_panel(kernels, to + (size_t)i * PANEL, x + (size_t)j * ldx + (size_t)i, ldx,
                       min_int(PANEL, rows - j), min_int(AT_ONCE, cols - i));
        }
    }
}

/* y [rows, cols] (+)= x */
static void put(float *y, size_t ldy, const float *x, size_t ldx, int rows, int cols, bool adds)
{
    for (int i = 0; i < rows; i++) {
        float *to = y + (size_t)i * ldy;
        const float *from = x + (size_t)i * ldx;
        for (int j = 0; j < cols && !adds; j++) {
            to[j] = from[j];
        }
        for (int j = 0; j < cols && adds; j++) {
            to[j] += from[j];
        }
    }
}

/* ------------------------------------------------------------------------------------- forward */

/* sums [n, T] (+)= columns k..k+n_k-1 of rows row..row+n-1 of w, n up to INK_GEMM_ROWS, times those
 * rows of the panels of xᵀ */
static void multiply_rows(const struct ink_kernels *kernels, const struct pads *pads, float *sums,
                          size_t ld, const struct ink_gemm_matrix *w, int row, int n, int k,
                          int n_k, int t, const struct ink_fetch *next)
{
    const float *values = pads->some;
    size_t a_row = FORWARD_K;
    if (w->values) {
        values = row_of(kernels, NULL, w, row, k, n_k);
        a_row = (size_t)w->cols;
    }
    for (int i = 0; i < n && !w->values; i++) {
        row_of(kernels, pads->some + (size_t)i * FORWARD_K, w, row + i, k, n_k);
    }
    kernels->gemm(sums, ld, values, a_row, 1, pads->panels + (size_t)k * PANEL,
                  (size_t)w->cols * PANEL, n, panels_of(t), n_k, k > 0, next);
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
static void multiply_group(const struct ink_kernels *kernels, const struct pads *pads, size_t ld,
                           const struct ink_gemm_matrix *w, int row, int rows, int t)
{
    for (int k = 0; k < w->cols; k += FORWARD_K) {
        for (int i = 0; i < rows; i += INK_GEMM_ROWS) {
            const struct ink_fetch next = fetch_after(w, row, rows, i, k);
            multiply_rows(kernels, pads, pads->sums + (size_t)i * ld, ld, w, row + i,
                          min_int(INK_GEMM_ROWS, rows - i), k, min_int(FORWARD_K, w->cols - k), t,
                          &next);
        }
    }
}

/* Some columns of a map's y, of tokens at..at+tokens-1, whose x is in the panels. */
static void forward_rows(const struct ink_kernels *kernels, const struct pads *pads,
                         const struct ink_gemm_map *map, int at, int tokens, int row, int rows,
                         bool adds)
{
    const size_t n = (size_t)map->w->rows, ld = (size_t)panels_of(tokens) * PANEL + PANEL_GAP;
    multiply_group(kernels, pads, ld, map->w, row, rows, tokens);
    kernels->turn(map->y + (size_t)at * n + (size_t)row, n, pads->sums, ld, rows, tokens, adds);
    run_after(&map->after, at, tokens, row, rows);
}

/* The pieces begin..end-1 of all maps' rows, one map's after the other's. */
static void forward_pieces(const struct ink_kernels *kernels, const struct pads *pads,
                           const struct ink_gemm_map *maps, int at, int tokens, int begin, int end,
                           bool adds)
{
    for (const struct ink_gemm_map *map = maps; begin < end; map++) {
        const int n = pieces_of(map->w->rows, INK_GEMM_ROWS), last = min_int(end, n);
        if (begin < last) {
            const int row = begin * INK_GEMM_ROWS;
            forward_rows(kernels, pads, map, at, tokens, row,
                         min_int(last * INK_GEMM_ROWS, map->w->rows) - row, adds);
            begin = last;
        }
        begin -= n;
        end -= n;
    }
}

/* Weights are read along their rows as they lie, tokens stand in the kernel's columns: only these
 * are copied, and sums come out turned. */
void ink_gemm_forward(const struct ink_train_lane *l, const struct ink_kernels *kernels,
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
                pack_turned(kernels, pads.panels, (size_t)cols * PANEL,
                            x + (size_t)at * (size_t)cols, (size_t)cols, tokens, cols);
                is_packed = true;
            }
            forward_pieces(kernels, &pads, maps, at, tokens, begin, end, adds);
        }
    }
}

/* ---------------------------------------------------------------------------------- backward */

/* Columns col..col+n_cols-1 of dx, at most INPUT_COLS of them. */
static void input_columns(const struct ink_kernels *kernels, const struct pads *pads, float *dx,
                          const float *dy, const struct ink_gemm_matrix *w, int t, int col,
                          int n_cols, bool adds)
{
    enum { LD = INPUT_COLS + PANEL_GAP, STEP = INPUT_N * PANEL + PANEL_GAP };
    for (int n = 0; n < w->rows; n += INPUT_N) {
        const int rows = min_int(INPUT_N, w->rows - n);
        if (w->values) {
            pack_copy(kernels, pads->panels, STEP, row_of(kernels, NULL, w, n, col, n_cols),
                      (size_t)w->cols, rows, n_cols);
        }
        for (int i = 0; i < rows && !w->values; i++) {
            float room[INPUT_COLS];
            pack_copy(kernels, pads->panels + (size_t)i * PANEL, STEP,
                      row_of(kernels, room, w, n + i, col, n_cols), 0, 1, n_cols);
        }
        const bool is_last = n + INPUT_N >= w->rows; /* the next columns begin */
        const struct ink_fetch next =
            is_last
                ? fetch_of(w, 0, INPUT_N, col + n_cols, min_int(INPUT_COLS, w->cols - col - n_cols))
                : fetch_of(w, n + INPUT_N, INPUT_N, col, n_cols);
        kernels->gemm(pads->sums, LD, dy + n, (size_t)w->rows, 1, pads->panels, STEP, t,
                      panels_of(n_cols), rows, n > 0, &next);
    }
    put(dx + col, (size_t)w->cols, pads->sums, LD, t, n_cols, adds);
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
static void input_part(const struct ink_kernels *kernels, const struct pads *pads, float *dx,
                       const struct ink_gemm_product *p, int t, int col, int n_cols, bool adds)
{
    const size_t k = (size_t)p->w->cols, n = (size_t)p->w->rows;
    for (int at = 0, tokens; at < t; at += tokens) {
        tokens = next_tokens(t, at);
        input_columns(kernels, pads, dx + (size_t)at * k, p->dy + (size_t)at * n, p->w, tokens, col,
                      n_cols, adds);
    }
    run_after(&p->after, 0, t, col, n_cols);
}

void ink_gemm_input(const struct ink_train_lane *l, const struct ink_kernels *kernels, float *dx,
                    const struct ink_gemm_product *products, int n, int t, bool adds)
{
    const int cols = products->w->cols, unit = input_unit(l, products, n);
    const struct pads pads = pads_of(l, cols);
    const struct ink_loop loop = ink_train_loop(l, cols, unit);
    int col, end;
    while (ink_loop_take(&loop, INPUT_COLS, &col, &end)) {
        for (int i = 0; i < n; i++) {
            input_part(kernels, &pads, dx, &products[i], t, col, end - col, adds || i > 0);
        }
    }
}

/* Columns col..col+n_cols-1 of rows begin..end-1. */
static void weight_columns(const struct ink_kernels *kernels, const struct pads *pads,
                           const float *dy, int t, int n, int begin, int end, int col, int n_cols,
                           const struct ink_gemm_user *user)
{
    enum { LD = WEIGHT_COLS + PANEL_GAP };
    for (int row = begin; row < end; row += WEIGHT_ROWS) {
        const struct ink_gemm_piece piece = {row, min_int(WEIGHT_ROWS, end - row), col, n_cols};
        struct ink_fetch fetch = {.n_places = 0};
        put(pads->some, WEIGHT_ROWS, dy + row, (size_t)n, t, piece.n_rows, false);
        if (user->expect) {
            user->expect(user->context, &piece, &fetch);
        }
        kernels->gemm(pads->sums, LD, pads->some, 1, WEIGHT_ROWS, pads->panels, (size_t)t * PANEL,
                      piece.n_rows, panels_of(n_cols), t, false, &fetch);
        user->take(user->context, &piece, pads->sums, LD);
    }
}

void ink_gemm_weight_pieces(const struct ink_train_lane *l, const struct ink_kernels *kernels,
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
                pack_copy(kernels, pads.panels, (size_t)t * PANEL, x + col, (size_t)k, t, n_cols);
                is_packed = true;
            }
            weight_columns(kernels, &pads, dy, t, n, begin, end, col, n_cols, user);
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
    put(s->dw + (size_t)p->row * (size_t)s->k + (size_t)p->col, (size_t)s->k, gradient, ld,
        p->n_rows, p->n_cols, s->adds);
}

void ink_gemm_weight(const struct ink_train_lane *l, const struct ink_kernels *kernels, float *dw,
                     const float *dy, const float *x, int t, int n, int k, bool adds)
{
    for (int at = 0, tokens; at < t; at += tokens) {
        struct stored stored = {dw, k, adds || at > 0};
        const struct ink_gemm_user user = {NULL, store_piece, &stored};
        tokens = next_tokens(t, at);
        if (at > 0) {
            ink_train_sync(l); /* the sum so far may be another lane's */
        }
        ink_gemm_weight_pieces(l, kernels, dy + (size_t)at * (size_t)n, x + (size_t)at * (size_t)k,
                               tokens, n, k, &user);
    }
}

/* ------------------------------------------------------------------------------- small products */

enum { SMALL_K = 256 };

static void scale(float *x, size_t n, float by)
{
    if (by == 1) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        x[i] *= by;
    }
}

/* A panel's columns of c that are no whole panel. */
static void multiply_edge(const struct ink_kernels *kernels, float *c, size_t ldc, const float *a,
                          size_t a_row, size_t a_col, const float *b, int m, int n, int k,
                          bool adds)
{
    float sums[INK_GEMM_ROWS * PANEL];
    for (int i = 0; i < m; i += INK_GEMM_ROWS) {
        const int rows = min_int(INK_GEMM_ROWS, m - i);
        float *at = c + (size_t)i * ldc;
        put(sums, PANEL, at, ldc, rows, adds ? n : 0, false);
        kernels->gemm(sums, PANEL, a + (size_t)i * a_row, a_row, a_col, b, 0, rows, 1, k, adds,
                      NULL);
        put(at, ldc, sums, PANEL, rows, n, false);
    }
}

void ink_gemm(const struct ink_kernels *kernels, float *c, size_t ldc, float by, const float *a,
              size_t lda, bool a_turned, const float *b, size_t ldb, bool b_turned, int m, int n,
              int k, bool adds)
{
    const size_t a_row = a_turned ? 1 : lda, a_col = a_turned ? lda : 1;
    float panel[SMALL_K * PANEL];
    for (int j = 0; j < n; j += PANEL) {
        const int cols = min_int(PANEL, n - j);
        for (int p = 0; p < k; p += SMALL_K) {
            const int n_k = min_int(SMALL_K, k - p);
            const float *from = a + (size_t)p * a_col;
            if (b_turned) {
                turn_panel(kernels, panel, b + (size_t)j * ldb + (size_t)p, ldb, cols, n_k);
                scale(panel, (size_t)n_k * PANEL, by);
            } else {
                pack(panel, 0, b + (size_t)p * ldb + (size_t)j, ldb, n_k, cols, by);
            }
            if (cols == PANEL) {
                kernels->gemm(c + j, ldc, from, a_row, a_col, panel, 0, m, 1, n_k, adds || p > 0,
                              NULL);
            } else {
                multiply_edge(kernels, c + j, ldc, from, a_row, a_col, panel, m, cols, n_k,
                              adds || p > 0);
            }
        }
    }
}
