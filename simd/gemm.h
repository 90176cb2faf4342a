/* The matrix products of training, as kernels.h has them; part of body.h. The file that includes
 * body.h has defined GEMM_ROWS and GEMM_PANELS: the shape of a tile of sums that fits the
 * registers. */
#ifndef INK_GEMM_TILE_H
#define INK_GEMM_TILE_H

enum {
    GEMM_MAX_ROWS = 8,
    GEMM_MAX_PANELS = 2,
    GEMM_CHUNK = 32 /* steps between lines that are asked for: bursts of them would hold it up */
};

/* What is left to ask for, line by line. */
struct lines {
    const struct ink_fetch *fetch;
    int place, row;
    size_t byte;
    int left, each; /* lines, in all and with each chunk */
};

static struct lines lines_of(const struct ink_fetch *fetch, int chunks)
{
    struct lines l = {.fetch = fetch};
    if (fetch && chunks > 0) {
        l.left = fetch->n_places * fetch->rows * (int)(fetch->row_bytes / 64);
        l.each = (l.left + chunks - 1) / chunks;
    }
    return l;
}

INLINE void fetch_some(struct lines *l)
{
    for (int i = 0; i < l->each && l->left > 0; i++, l->left--) {
        const struct ink_fetch *f = l->fetch;
        PREFETCH_L2((uintptr_t)f->places[l->place] + (size_t)l->row * f->stride + l->byte);
        l->byte += 64;
        if (l->byte >= f->row_bytes) {
            l->byte = 0;
            l->row = l->row + 1 < f->rows ? l->row + 1 : 0;
            l->place += l->row == 0;
        }
    }
}

/* a may be bf16 values of a file, at any place. */
INLINE v16 gemm_set1(const float *a)
{
    float one;
    memcpy(&one, (const unsigned char *)a, sizeof one);
    return v_set1(one);
}

INLINE void gemm_step(v16 sum[GEMM_MAX_ROWS][GEMM_MAX_PANELS], const float *a, size_t a_row,
                      const float *b, size_t panel, int n_rows, int n_panels, enum type type)
{
    v16 columns[GEMM_MAX_PANELS];
    UNROLL
    for (int j = 0; j < n_panels; j++)
        columns[j] = v_load(b + (size_t)j * panel);
    UNROLL
    for (int i = 0; i < n_rows; i++) {
        const v16 one = gemm_set1(a + (size_t)i * a_row);
        UNROLL
        for (int j = 0; j < n_panels; j++)
            sum[i][j] = type == TYPE_BF16 ? v_dot_bf16(one, columns[j], sum[i][j])
                                          : v_fma(one, columns[j], sum[i][j]);
    }
}

INLINE void gemm_tile(float *c, size_t ldc, const float *a, size_t a_row, size_t a_col,
                      const float *b, size_t panel, int k, int adds, struct lines *lines,
                      int n_rows, int n_panels, enum type type)
{
    v16 sum[GEMM_MAX_ROWS][GEMM_MAX_PANELS];
    UNROLL
    for (int i = 0; i < n_rows; i++) {
        UNROLL
        for (int j = 0; j < n_panels; j++)
            sum[i][j] = adds ? v_load(c + (size_t)i * ldc + 16 * j) : v_set1(0.0f);
    }
    for (int begin = 0; begin < k; begin += GEMM_CHUNK) {
        const int end = k - begin < GEMM_CHUNK ? k : begin + GEMM_CHUNK;
        fetch_some(lines);
        /* A processor shared with a neighbour is short of instructions first. */
        UNROLL_SOME
        for (int p = begin; p < end; p++) {
            gemm_step(sum, a, a_row, b, panel, n_rows, n_panels, type);
            a += a_col;
            b += 16;
        }
    }
    UNROLL
    for (int i = 0; i < n_rows; i++) {
        UNROLL
        for (int j = 0; j < n_panels; j++)
            v_store(c + (size_t)i * ldc + 16 * j, sum[i][j]);
    }
}

/* n_rows up to GEMM_ROWS; n_panels and, where it is 1, a_col are constants. */
INLINE void gemm_some_rows(float *c, size_t ldc, const float *a, size_t a_row, size_t a_col,
                           const float *b, size_t panel, int n_rows, int k, int adds, int n_panels,
                           struct lines *lines, enum type type)
{
    if (n_rows == 8 && GEMM_ROWS >= 8)
        gemm_tile(c, ldc, a, a_row, a_col, b, panel, k, adds, lines, 8, n_panels, type);
    else if (n_rows == 7 && GEMM_ROWS >= 7)
        gemm_tile(c, ldc, a, a_row, a_col, b, panel, k, adds, lines, 7, n_panels, type);
    else if (n_rows == 6 && GEMM_ROWS >= 6)
        gemm_tile(c, ldc, a, a_row, a_col, b, panel, k, adds, lines, 6, n_panels, type);
    else if (n_rows == 5 && GEMM_ROWS >= 5)
        gemm_tile(c, ldc, a, a_row, a_col, b, panel, k, adds, lines, 5, n_panels, type);
    else if (n_rows == 4 && GEMM_ROWS >= 4)
        gemm_tile(c, ldc, a, a_row, a_col, b, panel, k, adds, lines, 4, n_panels, type);
    else if (n_rows == 3 && GEMM_ROWS >= 3)
        gemm_tile(c, ldc, a, a_row, a_col, b, panel, k, adds, lines, 3, n_panels, type);
    else if (n_rows == 2)
        gemm_tile(c, ldc, a, a_row, a_col, b, panel, k, adds, lines, 2, n_panels, type);
    else if (n_rows == 1)
        gemm_tile(c, ldc, a, a_row, a_col, b, panel, k, adds, lines, 1, n_panels, type);
}

/* All rows, in tiles none of which is much smaller than others. */
INLINE void gemm_rows(float *c, size_t ldc, const float *a, size_t a_row, size_t a_col,
                      const float *b, size_t panel, int m, int k, int adds, int n_panels,
                      struct lines *lines, enum type type)
{
    for (int i = 0; i < m;) {
        const int tiles = (m - i + GEMM_ROWS - 1) / GEMM_ROWS, n = (m - i + tiles - 1) / tiles;
        gemm_some_rows(c + (size_t)i * ldc, ldc, a + (size_t)i * a_row, a_row, a_col, b, panel, n,
                       k, adds, n_panels, lines, type);
        i += n;
    }
}

INLINE void gemm_some_panels(float *c, size_t ldc, const float *a, size_t a_row, size_t a_col,
                             const float *b, size_t panel, int m, int k, int adds, int n_panels,
                             struct lines *lines, enum type type)
{
    if (a_col == 1)
        gemm_rows(c, ldc, a, a_row, 1, b, panel, m, k, adds, n_panels, lines, type);
    else
        gemm_rows(c, ldc, a, a_row, a_col, b, panel, m, k, adds, n_panels, lines, type);
}

INLINE void gemm_of(float *c, size_t ldc, const float *a, size_t a_row, size_t a_col,
                    const float *b, size_t panel, int m, int panels, int k, int adds,
                    const struct ink_fetch *ahead, enum type type)
{
    struct lines lines = lines_of(ahead, (panels / GEMM_PANELS + panels % GEMM_PANELS) *
                                             ((m + GEMM_ROWS - 1) / GEMM_ROWS) *
                                             ((k + GEMM_CHUNK - 1) / GEMM_CHUNK));
    int j = 0;
    for (; j + GEMM_PANELS <= panels; j += GEMM_PANELS)
        gemm_some_panels(c + 16 * j, ldc, a, a_row, a_col, b + (size_t)j * panel, panel, m, k, adds,
                         GEMM_PANELS, &lines, type);
    for (; j < panels; j++)
        gemm_some_panels(c + 16 * j, ldc, a, a_row, a_col, b + (size_t)j * panel, panel, m, k, adds,
                         1, &lines, type);
}

static void gemm(float *c, size_t ldc, const float *a, size_t a_row, size_t a_col, const float *b,
                 size_t panel, int m, int panels, int k, int adds, const struct ink_fetch *ahead)
{
    gemm_of(c, ldc, a, a_row, a_col, b, panel, m, panels, k, adds, ahead, TYPE_F32);
}

static void gemm_bf16(float *c, size_t ldc, const float *a, size_t a_row, size_t a_col,
                      const float *b, size_t panel, int m, int panels, int k, int adds,
                      const struct ink_fetch *ahead)
{
    gemm_of(c, ldc, a, a_row, a_col, b, panel, m, panels, k, adds, ahead, TYPE_BF16);
}

INLINE void turn_one(float *y, float x, int adds)
{
    *y = adds ? *y + x : x;
}

/* Column by column of x, which are rows of y: written as they lie. */
static void turn(float *y, size_t ldy, const float *x, size_t ldx, int rows, int cols, int adds)
{
    const int whole_rows = rows / 4 * 4, whole_cols = cols / 4 * 4;
    for (int j = 0; j < whole_cols; j += 4) {
        for (int i = 0; i < whole_rows; i += 4)
            turn_4x4(y + (size_t)j * ldy + i, ldy, x + (size_t)i * ldx + j, ldx, adds);
    }
    for (int j = 0; j < cols; j++) {
        for (int i = j < whole_cols ? whole_rows : 0; i < rows; i++)
            turn_one(y + (size_t)j * ldy + i, x[(size_t)i * ldx + (size_t)j], adds);
    }
}

/* Row by row, as they lie: panel by panel would read a line of each of many pages. */
static void gemm_pack(float *to, size_t panel, const float *x, size_t ldx, int rows, int panels)
{
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < panels; j++)
            v_store(to + (size_t)j * panel + 16 * (size_t)i, v_load(x + (size_t)i * ldx + 16 * j));
    }
}

/* Two rows at a time; second NULL: zeros. */
INLINE void pack_pairs(float *to, size_t panel, const float *first, const float *second, int cols)
{
    const v16 none = v_set1(0.0f);
    int j = 0;
    for (; j + 16 <= cols; j += 16, to += panel)
        v_store(to, v_pair_bf16(v_load(first + j), second ? v_load(second + j) : none));
    if (j < cols) {
        const int n = cols - j;
        v_store(to, v_pair_bf16(v_load_n(first + j, n), second ? v_load_n(second + j, n) : none));
    }
}

static void gemm_pack_bf16(float *to, size_t panel, const float *x, size_t ldx, int rows, int cols)
{
    for (int i = 0; i < rows; i += 2, to += 16, x += 2 * ldx)
        pack_pairs(to, panel, x, i + 1 < rows ? x + ldx : NULL, cols);
}

#endif
