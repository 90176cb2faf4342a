/* The screened head by itself, against every logit of the plain kernel: numbers of rows that are no
 * multiple of 16, outputs that lie apart and want different numbers of logits, ties, scales that
 * are no numbers, and rows whose bounds are as tight as they can be. */
#include "kernel_support.h"

#include "cpu_internal.h"
#include "pack.h"

enum { MAX_OUTPUTS = 17, MAX_ROWS = 3000, MAX_COLS = 256, BLOCK_BYTES = 2 + INK_Q8_BLOCK };

enum fill { FILL_RANDOM, FILL_TIES, FILL_NO_NUMBERS, FILL_TIGHT, FILLS };

struct head {
    int rows, cols;
    enum fill fill;
    unsigned char *blocks; /* Q8_0 [rows, cols], in pages of its own: loading lets go of them */
    size_t bytes;
};

static struct head head_new(int rows, int cols, enum fill fill)
{
    struct head h = {.rows = rows, .cols = cols, .fill = fill};
    const int n_blocks = cols / INK_Q8_BLOCK;
    h.bytes = ((size_t)(rows * n_blocks * BLOCK_BYTES) + 8191) / 4096 * 4096;
    h.blocks = mmap(NULL, h.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(h.blocks != MAP_FAILED);
    for (int b = 0; b < rows * n_blocks; b++) {
        unsigned char *block = h.blocks + b * BLOCK_BYTES;
        const bool is_odd = fill == FILL_NO_NUMBERS && random_int(0, 200) == 0;
        const uint16_t scale = is_odd ? (uint16_t)(0x7c00 + random_int(0, 1)) : 0x2100;
        block[0] = (unsigned char)(scale & 255);
        block[1] = (unsigned char)(scale >> 8);
        for (int i = 2; i < BLOCK_BYTES; i++)
            block[i] = fill == FILL_TIGHT ? (unsigned char)(8 * random_int(0, 31) + i % 2 * 7)
                                          : (unsigned char)random_bits();
        if (fill == FILL_TIES && b >= n_blocks && random_int(0, 2) > 0)
            memcpy(block, h.blocks + b % n_blocks * BLOCK_BYTES, BLOCK_BYTES);
    }
    return h;
}

static struct ink_backend *backend_new(const struct ink_kernels *level, int threads,
                                       const struct head *h, struct ink_tensor *tensor,
                                       struct ink_weight *w)
{
    struct ink_error error = {0};
    struct ink_backend *b;
    const struct ink_backend_shape shape = {.hidden_size = h->cols,
                                            .intermediate_size = 32,
                                            .n_layers = 1,
                                            .n_heads = 1,
                                            .n_kv_heads = 1,
                                            .head_dim = 32,
                                            .max_rows = MAX_OUTPUTS,
                                            .rope_theta = 10000,
                                            .weight_type = INK_WEIGHTS_Q8_0};
    *tensor = (struct ink_tensor){.name = "head", .type = INK_TYPE_Q8_0, .data = h->blocks};
    *w = (struct ink_weight){.tensor = tensor, .rows = h->rows, .cols = h->cols, .is_head = true};
    assert_int_equal(ink_backend_open_cpu(&b, &shape, level->name, threads, &error), INK_OK);
    assert_int_equal(b->reserve(b, b->owned_bytes(b, w), &error), INK_OK);
    assert_int_equal(b->prepare(b, w, &error), INK_OK);
    assert_int_equal(b->load(b, "head", NULL, NULL, &error), INK_OK);
    return b;
}

static void fill_outputs(const struct cpu *c, const struct head *h, int n)
{
    for (int i = 0; i < n; i++) {
        float *x = ink_cpu_row(c, INK_SELECTED, i);
        for (int k = 0; k < h->cols; k++)
            x[k] = h->fill == FILL_TIGHT ? (k % 2 ? 1.0f : -1.0f) : random_float(KIND_UNIT);
        if (h->fill == FILL_NO_NUMBERS && random_int(0, 3) == 0)
            x[random_int(0, h->cols - 1)] = random_int(0, 1) ? NAN : INFINITY;
    }
}

static void pass(const struct ink_lane *l, const void *context)
{
    const struct cpu *c = ink_cpu_of(l);
    for (int i = 0; l->index == 0 && i < l->batch->n_outputs; i++)
        ink_cpu_written(c, INK_SELECTED, i, 0, c->width[INK_SELECTED]);
    ink_threads_barrier(l->team, l->count);
    ink_cpu_head(l, context);
}

static int falling(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

/* At or above the n-th best the same bits, no number where there is none; below it the same or
 * minus infinity. */
static void assert_best(const float *got, const float *all, int rows, int n)
{
    static float sorted[MAX_ROWS];
    int m = 0;
    for (int r = 0; r < rows; r++) {
        if (!isnan(all[r]))
            sorted[m++] = all[r];
    }
    qsort(sorted, (size_t)m, sizeof *sorted, falling);
    const float least = m < n ? -INFINITY : sorted[n - 1];
    for (int r = 0; r < rows; r++) {
        if (!same_float(got[r], all[r]) && (!(all[r] < least) || got[r] != -INFINITY))
            fail_msg("logit %d of %d is %a, not %a (%d best, the least is %a)", r, rows,
                     (double)got[r], (double)all[r], n, (double)least);
    }
}

static void check_outputs(struct ink_backend *b, const struct head *h, const struct ink_weight *w,
                          int n)
{
    struct cpu *c = (struct cpu *)b;
    static float got[MAX_OUTPUTS][MAX_ROWS + 7], all[MAX_OUTPUTS][MAX_ROWS + 7];
    float *apart[MAX_OUTPUTS], *plain[MAX_OUTPUTS];
    int32_t n_best[MAX_OUTPUTS], none[MAX_OUTPUTS] = {0};
    for (int i = 0; i < n; i++) {
        n_best[i] = random_int(0, 1) ? 1 : random_int(1, 4);
        apart[i] = got[n - 1 - i];
        plain[i] = all[i];
    }
    fill_outputs(c, h, n);
    const struct ink_batch whole = {.n_rows = n, .n_outputs = n, .logits = plain, .n_best = none};
    const struct ink_batch best = {.n_rows = n, .n_outputs = n, .logits = apart, .n_best = n_best};
    b->run(b, &whole, pass, w);
    c->plain_passes = 0;
    b->run(b, &best, pass, w);
    for (int i = 0; i < n; i++)
        assert_best(apart[i], plain[i], h->rows, n_best[i]);
}

static void best_logits_are_those_of_the_plain_head(void **state)
{
    (void)state;
    uint64_t screened = 0, whole = 0;
    for (int round = 0; round < 24; round++) {
        const struct head h = head_new(random_int(1, MAX_ROWS), 32 * random_int(1, MAX_COLS / 32),
                                       (enum fill)(round % FILLS));
        FOR_EACH_LEVEL(level, 0)
        {
            struct ink_tensor tensor;
            struct ink_weight w;
            struct ink_backend *b = backend_new(level, random_int(1, 3), &h, &tensor, &w);
            for (int n = 1; n <= MAX_OUTPUTS; n += random_int(1, 4))
                check_outputs(b, &h, &w, n);
            check_outputs(b, &h, &w, MAX_OUTPUTS - 1);
            screened += b->head_statistics.screened;
            whole += b->head_statistics.read_whole;
            b->close(b);
        }
        munmap(h.blocks, h.bytes);
    }
    printf("# of %.0f groups of the head %.0f were read whole\n", (double)screened, (double)whole);
    assert_true(screened > 0 && whole > 0 && whole < screened);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(best_logits_are_those_of_the_plain_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
