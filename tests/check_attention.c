/* The attention kernels of every level against a plain reading of their definition in kernels.h,
 * one query at a time, bit for bit; and that definition against softmax in double. */
#include "kernel_support.h"

enum { MAX_POSITIONS = 1200, MAX_DIM = 160, MAX_HEADS = 19 };

static float exp1(float x)
{
    return ink_exp(v_set1(x)).p[0].f[0];
}

/* One head's cache: as plain rows, and as kernels want it. Scales are 1 but for int8. */
struct cache {
    enum type type;
    int n_pos, head_dim;
    float k[MAX_POSITIONS][MAX_DIM], v[MAX_POSITIONS][MAX_DIM];
    float k_scale[MAX_POSITIONS], v_scale[MAX_POSITIONS];
    struct ink_kv_view view;
};

static struct cache cache; /* too large for a stack */

static float random_value(unsigned char *at, enum type type, enum kind kind)
{
    if (type == TYPE_I8) {
        const int byte = random_int(-127, 127);
        *at = (unsigned char)byte;
        return (float)byte;
    }
    fill_type(at, 1, kind, type);
    return (float)value_of_type(at, 0, type);
}

/* Bytes past the last position and past head_dim are left as random as memory is. */
static void fill_cache(int n_pos, int head_dim, enum type type, enum kind kind)
{
    const size_t groups = ((size_t)n_pos + 31) / 32 * 2, size = type_size(type);
    const size_t dim = (size_t)head_dim, width = (dim + 15) / 16 * 16;
    const size_t k_bytes = groups * 16 * dim * size, v_bytes = groups * 16 * width * size;
    unsigned char *k = input(0, k_bytes, 0), *v = input(1, v_bytes, 0);
    float *k_scales = input(2, groups * 16 * sizeof(float), 0);
    float *v_scales = input(3, groups * 16 * sizeof(float), 0);
    for (size_t i = 0; i < k_bytes; i++)
        k[i] = (unsigned char)random_bits();
    for (size_t i = 0; i < v_bytes; i++)
        v[i] = (unsigned char)random_bits();
    fill_floats(k_scales, groups * 16, kind);
    fill_floats(v_scales, groups * 16, kind);
    cache.type = type;
    cache.n_pos = n_pos;
    cache.head_dim = head_dim;
    cache.view = (struct ink_kv_view){k, v, k_scales, v_scales};
    for (size_t t = 0; t < (size_t)n_pos; t++) {
        cache.k_scale[t] = type == TYPE_I8 ? k_scales[t] : 1.0f;
        cache.v_scale[t] = type == TYPE_I8 ? v_scales[t] : 1.0f;
        for (size_t d = 0; d < dim; d++) {
            const size_t in_k = t / 16 * 16 * dim + d * 16 + t % 16;
            const size_t in_v = t / 16 * 16 * width + d / 16 * 256 + t % 16 * 16 + d % 16;
            cache.k[t][d] = random_value(k + in_k * size, type, kind);
            cache.v[t][d] = random_value(v + in_v * size, type, kind);
        }
    }
}

struct state {
    float m, l, o[MAX_DIM];
};

static void reference_merge(struct state *a, const struct state *b)
{
    const float m = a->m > b->m ? a->m : b->m;
    const float keep = exp1(a->m - m), take = exp1(b->m - m);
    a->m = m;
    a->l = fma1(a->l, keep, b->l * take);
    for (int d = 0; d < cache.head_dim; d++)
        a->o[d] = fma1(a->o[d], keep, b->o[d] * take);
}

/* Positions begin..end-1 of one block. */
static void reference_block(struct state *b, const float *q, int begin, int end, float scale)
{
    float s[INK_ATTENTION_BLOCK], most[16], sum[16];
    const int n = end - begin, padded = (n + 15) / 16 * 16;
    for (int t = 0; t < padded; t++) {
        float c = 0.0f;
        for (int d = 0; d < cache.head_dim && t < n; d++)
            c = fma1(cache.k[begin + t][d], q[d], c);
        if (t >= n)
            s[t] = -INFINITY;
        else
            s[t] = c * (cache.type == TYPE_I8 ? cache.k_scale[begin + t] * scale : scale);
    }
    for (int i = 0; i < 16; i++) {
        most[i] = -INFINITY;
        for (int t = i; t < padded; t += 16)
            most[i] = most[i] > s[t] ? most[i] : s[t];
    }
    for (int half = 8; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            most[i] = most[i] > most[i + half] ? most[i] : most[i + half];
    b->m = most[0];
    for (int i = 0; i < 16; i++) {
        sum[i] = 0.0f;
        for (int t = i; t < padded; t += 16)
            sum[i] += s[t] = exp1(s[t] - b->m);
    }
    for (int half = 8; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            sum[i] += sum[i + half];
    b->l = sum[0];
    for (int d = 0; d < cache.head_dim; d++) {
        b->o[d] = 0.0f;
        for (int t = 0; t < n; t++) {
            const float w = cache.type == TYPE_I8 ? s[t] * cache.v_scale[begin + t] : s[t];
            b->o[d] = fma1(w, cache.v[begin + t][d], b->o[d]);
        }
    }
}

static void reference(float *out, const float *q, int n_pos, float scale)
{
    struct state total, span, block;
    for (int t = 0; t < n_pos; t += INK_ATTENTION_SPAN) {
        for (int u = t; u < n_pos && u < t + INK_ATTENTION_SPAN; u += INK_ATTENTION_BLOCK) {
            const int end = u + INK_ATTENTION_BLOCK;
            reference_block(u == t ? &span : &block, q, u, end < n_pos ? end : n_pos, scale);
            if (u > t)
                reference_merge(&span, &block);
        }
        if (t == 0)
            total = span;
        else
            reference_merge(&total, &span);
    }
    for (int d = 0; d < cache.head_dim; d++)
        out[d] = total.o[d] / total.l;
}

static void matches_softmax(const float *out, const float *q, int n_pos, float scale)
{
    static double weight[MAX_POSITIONS];
    double most = -(double)INFINITY, total = 0.0, largest = 0.0;
    for (int t = 0; t < n_pos; t++) {
        weight[t] = 0.0;
        for (int d = 0; d < cache.head_dim; d++)
            weight[t] += (double)q[d] * (double)cache.k[t][d];
        weight[t] *= (double)scale * (double)cache.k_scale[t];
        most = fmax(most, weight[t]);
    }
    for (int t = 0; t < n_pos; t++)
        total += weight[t] = exp(weight[t] - most);
    for (int d = 0; d < cache.head_dim; d++) {
        double sum = 0.0;
        for (int t = 0; t < n_pos; t++) {
            const double v = (double)cache.v[t][d] * (double)cache.v_scale[t];
            sum += weight[t] * v;
            largest = fmax(largest, fabs(v));
        }
        assert_true(fabs((double)out[d] - sum / total) <= 2e-5 * largest);
    }
}

static void run_level(const struct ink_kernels *k, struct ink_attention a)
{
    const int queries = a.n_rows * a.n_heads;
    const size_t bytes = ink_attention_partial_floats(queries, a.head_dim) * sizeof(float);
    const size_t score_bytes = sizeof(float) * INK_ATTENTION_QUERIES * INK_ATTENTION_BLOCK;
    struct output total = output_new(bytes), later = output_new(bytes);
    float *scores = input(4, score_bytes, 0);
    void (*attend)(float *, const struct ink_attention *, int, float *) =
        cache.type == TYPE_F32   ? k->attend_f32
        : cache.type == TYPE_F16 ? k->attend_f16
                                 : k->attend_q8;
    memset(scores, 0xff, score_bytes); /* NaN: scratch must not matter */
    for (int t = 0; t < a.n_pos + a.n_rows - 1; t += INK_ATTENTION_SPAN) {
        attend(t == 0 ? total.data : later.data, &a, t, scores);
        if (t > 0)
            k->attend_merge(total.data, later.data, queries, a.head_dim);
    }
    k->attend_finish(&a, total.data);
    assert_canaries(&total);
    assert_canaries(&later);
    free(total.base);
    free(later.base);
}

static void check_attend(int n_rows, int n_heads, int n_pos, int head_dim, enum type type,
                         enum kind kind)
{
    const size_t dim = (size_t)head_dim, stride = dim * (size_t)n_heads + (size_t)random_int(0, 3);
    const size_t bytes = ((size_t)(n_rows - 1) * stride + (size_t)n_heads * dim) * sizeof(float);
    struct ink_attention a = {.row_stride = stride,
                              .n_rows = n_rows,
                              .n_heads = n_heads,
                              .n_pos = n_pos,
                              .head_dim = head_dim};
    float *q = input(5, bytes, 0);
    fill_cache(n_pos + n_rows - 1, head_dim, type, kind);
    fill_floats(q, bytes / sizeof *q, kind == KIND_TINY ? KIND_HUGE : kind);
    a.kv = cache.view;
    a.q = q;
    a.scale = kind == KIND_UNIT ? 1.0f / sqrtf((float)head_dim) : random_float(kind);

    struct output want = output_new(bytes);
    for (int r = 0; r < n_rows; r++)
        for (int h = 0; h < n_heads; h++) {
            const size_t at = (size_t)r * stride + (size_t)h * dim;
            reference((float *)want.data + at, q + at, n_pos + r, a.scale);
            if (kind == KIND_UNIT)
                matches_softmax((float *)want.data + at, q + at, n_pos + r, a.scale);
        }
    FOR_EACH_LEVEL(level, 0)
    {
        struct output got = output_new(bytes);
        a.out = got.data;
        run_level(level, a);
        assert_same(level->name, &got, &want);
    }
    free(want.base);
}

static void attention_is_its_definition_at_every_level(void **state)
{
    (void)state;
    static const enum type types[] = {TYPE_F32, TYPE_F16, TYPE_I8};
    static const int dims[] = {2, 6, 8, 16, 30, 64, 128}, heads[] = {1, 2, 3, 5, 8, 16, MAX_HEADS};
    static const int positions[] = {1, 2, 15, 127, 128, 129, 300};
    int turn = 0;
    for (int d = 0; d < 7; d++)
        for (int h = 0; h < 7; h++)
            for (int p = 0; p < 7; p++, turn++) {
                if ((dims[d] >= 64 || heads[h] >= 8) && positions[p] > 2 && (turn + d + h) % 4)
                    continue; /* the C level takes a while over the large ones */
                const enum type type = types[turn % 3];
                check_attend(1, heads[h], positions[p], dims[d], type, KIND_UNIT);
                check_attend(1, heads[h], positions[p] % 151, dims[d], type, (d + h + p) % KINDS);
            }
    for (int i = 0; i < 3; i++) {
        check_attend(1, 8, 300, 128, types[i], KIND_UNIT);
        check_attend(1, 3, 1100, 18, types[i], KIND_UNIT);
        check_attend(1, 2, 513, MAX_DIM, types[i], KIND_UNIT);
    }
}

/* Rows together, whose last positions lie in one block. */
static void rows_are_as_alone(void **state)
{
    (void)state;
    static const enum type types[] = {TYPE_F32, TYPE_F16, TYPE_I8};
    static const int firsts[] = {1, 3, 100, 129, 257, 520};
    for (int heads = 1; heads <= 9; heads++)
        for (int i = 0; i < 6; i++) {
            const int most = INK_ATTENTION_QUERIES / heads, room = 129 - (firsts[i] % 128);
            int rows = i % 3 == 0 ? most : random_int(2, most);
            rows = rows < room ? rows : room;
            const enum type type = types[(heads + i) % 3];
            check_attend(rows, heads, firsts[i], 20, type, KIND_UNIT);
            check_attend(rows, heads, firsts[i] % 200 ? firsts[i] % 128 : 1, 34, type,
                         (heads + i) % KINDS);
        }
    for (int i = 0; i < 3; i++) {
        check_attend(64, 1, 65, 64, types[i], KIND_UNIT);
        check_attend(8, 8, 121, 128, types[i], KIND_UNIT);
    }
}

static void check_i8(int n, enum kind kind)
{
    float *x = input(0, (size_t)n * sizeof *x, 0), most = 0.0f, scale = NAN;
    int y[MAX_DIM] = {0}, usable = 1;
    fill_floats(x, (size_t)n, kind);
    for (int i = 0; i < n; i++) {
        usable = usable && isfinite(x[i]);
        most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    }
    if (usable)
        scale = most < 0x1p-100f ? 0.0f : most * (1.0f / 127.0f);
    for (int i = 0; i < n && usable && scale > 0.0f; i++)
        y[i] = (int)nearbyint((double)x[i] * (double)(127.0f / most)); /* exact in double */
    FOR_EACH_LEVEL(level, 0)
    {
        struct output got = output_new((size_t)n);
        assert_true(same_float(level->i8_from_f32(got.data, x, n), scale));
        assert_canaries(&got);
        for (int i = 0; i < n; i++)
            assert_int_equal(((signed char *)got.data)[i], y[i]);
        free(got.base);
        float in_place[MAX_DIM];
        memcpy(in_place, x, (size_t)n * sizeof *x);
        level->i8_from_f32((int8_t *)(void *)in_place, in_place, n);
        for (int i = 0; i < n; i++)
            assert_int_equal(((signed char *)in_place)[i], y[i]);
    }
}

static void rows_become_int8(void **state)
{
    (void)state;
    for (enum kind kind = KIND_UNIT; kind < KINDS; kind++)
        for (int n = 1; n <= MAX_DIM; n++)
            check_i8(n, kind);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_is_its_definition_at_every_level),
        cmocka_unit_test(rows_are_as_alone),
        cmocka_unit_test(rows_become_int8),
    };
    return cmocka_run_group_tests_name("attention", tests, NULL, NULL);
}
