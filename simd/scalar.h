/* The C level's vector: 16 floats and loops over them. Included by src/kernels.c, which makes the
 * level of it, and by the test that measures ink_exp, after level.h. These functions are called,
 * not inlined: inlined they are no faster, and so much code that gcc with its sanitizers compiles
 * for minutes. */
#ifndef INK_SCALAR_H
#define INK_SCALAR_H

enum {
    V_PARTS = 1,
    TILE_ROWS = 1, /* a row is widened once for a few tokens; registers are the compiler's */
    TILE_TOKENS = 3,
    GEMM_ROWS = 2,
    GEMM_PANELS = 1
};

typedef struct {
    float f[16];
} vp;
typedef struct {
    vp p[V_PARTS];
} v16;

INLINE uint32_t bits_of(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

INLINE float float_of(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

#if defined(__GNUC__) && (defined(__FMA__) || defined(__FP_FAST_FMAF) || defined(__aarch64__))

INLINE float fma1(float a, float b, float c)
{
    return __builtin_fmaf(a, b, c);
}

#else

/* Not fmaf: where the CPU lacks the instruction, a library's may be slow, or wrong. The product is
 * exact in double; the sum is rounded to odd there (its error, from TwoSum, is put into the last
 * bit), after which rounding to float gives what one rounding would. */
INLINE float fma1(float a, float b, float c)
{
    const double product = (double)a * (double)b, addend = (double)c;
    const double sum = product + addend;
    const double part = sum - product;
    const double error = (product - (sum - part)) + (addend - part);
    uint64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    const uint64_t inexact = (uint64_t)(error < 0.0 || error > 0.0); /* not NaN: sum infinite */
    const uint64_t shrink = (uint64_t)((error < 0.0) != (sum < 0.0));
    const uint64_t step = inexact & ~bits & 1;
    bits += step - 2 * (step & shrink);
    double odd;
    memcpy(&odd, &bits, sizeof odd);
    return (float)odd;
}

#endif

INLINE uint16_t load_u16(const unsigned char *p)
{
    uint16_t u;
    memcpy(&u, p, sizeof u);
    return u;
}

INLINE float f32_of_f16(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    const uint32_t exponent = (h >> 10) & 0x1fu, mantissa = h & 0x3ffu;
    if (exponent == 0) /* zero or denormal: mantissa * 2^-24, exact */
        return float_of(sign | bits_of((float)mantissa * 0x1p-24f));
    if (exponent == 31)
        return float_of(sign | 0x7f800000u | mantissa << 13);
    return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
}

INLINE uint16_t f16_of_f32(float f)
{
    const uint32_t u = bits_of(f), sign = (u >> 16) & 0x8000u;
    uint32_t size = u & 0x7fffffffu;
    if (size > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u);
    if (size >= 0x477ff000u) /* 65520 and above round to infinity */
        return (uint16_t)(sign | 0x7c00u);
    if (size < 0x38800000u) /* below 2^-14: 0.5's last place is f16's smallest denormal */
        return (uint16_t)(sign | (bits_of(float_of(size) + 0.5f) - 0x3f000000u));
    size += 0xfffu + ((size >> 13) & 1u);
    return (uint16_t)(sign | ((size - 0x38000000u) >> 13));
}

INLINE uint16_t bf16_of_f32(float f)
{
    const uint32_t u = bits_of(f);
    if ((u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(u >> 16 | 0x40u);
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}

static OUTLINE vp vp_load(const void *p)
{
    vp a;
    memcpy(&a, p, sizeof a);
    return a;
}

static OUTLINE vp vp_load_bf16(const void *p)
{
    vp a;
    for (int i = 0; i < 16; i++)
        a.f[i] = float_of((uint32_t)load_u16((const unsigned char *)p + 2 * i) << 16);
    return a;
}

static OUTLINE vp vp_load_f16(const void *p)
{
    vp a;
    for (int i = 0; i < 16; i++)
        a.f[i] = f32_of_f16(load_u16((const unsigned char *)p + 2 * i));
    return a;
}

static OUTLINE vp vp_load_i8(const void *p)
{
    vp a;
    for (int i = 0; i < 16; i++)
        a.f[i] = ((const signed char *)p)[i];
    return a;
}

static OUTLINE vp vp_load_pairs(const float *p)
{
    vp a;
    for (int i = 0; i < 16; i++)
        a.f[i] = p[i / 2];
    return a;
}

static OUTLINE vp vp_keep(vp a)
{
    return a;
}

static OUTLINE void vp_store(float *p, vp a)
{
    memcpy(p, &a, sizeof a);
}

static OUTLINE void vp_store_f16(uint16_t *p, vp a)
{
    for (int i = 0; i < 16; i++)
        p[i] = f16_of_f32(a.f[i]);
}

static OUTLINE void vp_store_bf16(void *p, vp a)
{
    uint16_t words[16];
    for (int i = 0; i < 16; i++)
        words[i] = bf16_of_f32(a.f[i]);
    memcpy(p, words, sizeof words);
}

static OUTLINE vp vp_pair_bf16(vp first, vp second)
{
    for (int i = 0; i < 16; i++)
        first.f[i] = float_of((uint32_t)bf16_of_f32(second.f[i]) << 16 | bf16_of_f32(first.f[i]));
    return first;
}

static OUTLINE vp vp_first_bf16(vp pairs)
{
    for (int i = 0; i < 16; i++)
        pairs.f[i] = float_of(bits_of(pairs.f[i]) << 16);
    return pairs;
}

static OUTLINE vp vp_second_bf16(vp pairs)
{
    for (int i = 0; i < 16; i++)
        pairs.f[i] = float_of(bits_of(pairs.f[i]) & 0xffff0000u);
    return pairs;
}

static OUTLINE vp vp_set1(float s)
{
    vp a;
    for (int i = 0; i < 16; i++)
        a.f[i] = s;
    return a;
}

static OUTLINE vp vp_add(vp a, vp b)
{
    for (int i = 0; i < 16; i++)
        a.f[i] += b.f[i];
    return a;
}

static OUTLINE vp vp_sub(vp a, vp b)
{
    for (int i = 0; i < 16; i++)
        a.f[i] -= b.f[i];
    return a;
}

static OUTLINE vp vp_mul(vp a, vp b)
{
    for (int i = 0; i < 16; i++)
        a.f[i] *= b.f[i];
    return a;
}

static OUTLINE vp vp_div(vp a, vp b)
{
    for (int i = 0; i < 16; i++)
        a.f[i] /= b.f[i];
    return a;
}

static OUTLINE vp vp_sqrt(vp a)
{
    for (int i = 0; i < 16; i++)
        a.f[i] = sqrtf(a.f[i]);
    return a;
}

static OUTLINE vp vp_fma(vp a, vp b, vp c)
{
    for (int i = 0; i < 16; i++)
        c.f[i] = fma1(a.f[i], b.f[i], c.f[i]);
    return c;
}

static OUTLINE vp vp_max(vp a, vp b)
{
    for (int i = 0; i < 16; i++)
        a.f[i] = a.f[i] > b.f[i] ? a.f[i] : b.f[i];
    return a;
}

static OUTLINE vp vp_select_le(vp a, vp b, vp yes, vp no)
{
    for (int i = 0; i < 16; i++)
        no.f[i] = a.f[i] <= b.f[i] ? yes.f[i] : no.f[i];
    return no;
}

static OUTLINE vp vp_scale2(vp a, vp z)
{
    for (int i = 0; i < 16; i++)
        a.f[i] = float_of(bits_of(a.f[i]) + (bits_of(z.f[i]) << 23));
    return a;
}

static OUTLINE vp vp_swap_pairs(vp a)
{
    vp b;
    for (int i = 0; i < 16; i++)
        b.f[i] = a.f[i ^ 1];
    return b;
}

static OUTLINE float v_tree_sum(v16 a)
{
    float *t = a.p[0].f;
    for (int half = 8; half > 0; half /= 2)
        for (int j = 0; j < half; j++)
            t[j] += t[j + half];
    return t[0];
}

static OUTLINE float v_tree_max(v16 a)
{
    float *t = a.p[0].f;
    for (int half = 8; half > 0; half /= 2)
        for (int j = 0; j < half; j++)
            t[j] = t[j] > t[j + half] ? t[j] : t[j + half];
    return t[0];
}

static OUTLINE void v_tree_sums(float *y, const v16 *a, int n)
{
    for (int i = 0; i < n; i++)
        y[i] = v_tree_sum(a[i]);
}

static OUTLINE void turn_4x4(float *y, size_t ldy, const float *x, size_t ldx, int adds)
{
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 4; j++) {
            float *to = y + (size_t)j * ldy + i;
            *to = adds ? *to + x[(size_t)i * ldx + (size_t)j] : x[(size_t)i * ldx + (size_t)j];
        }
    }
}

typedef struct {
    int32_t i[16];
} vi;
typedef struct {
    vi p[V_PARTS];
} v16i;

static OUTLINE vi vi_set1(int32_t i)
{
    vi a;
    for (int k = 0; k < 16; k++)
        a.i[k] = i;
    return a;
}

static OUTLINE vi vi_add(vi a, vi b)
{
    for (int k = 0; k < 16; k++)
        a.i[k] += b.i[k];
    return a;
}

static OUTLINE vi vi_max(vi a, vi b)
{
    for (int k = 0; k < 16; k++)
        a.i[k] = a.i[k] > b.i[k] ? a.i[k] : b.i[k];
    return a;
}

static OUTLINE vi vi_abs_bits(vp a)
{
    vi b;
    for (int k = 0; k < 16; k++)
        b.i[k] = (int32_t)(bits_of(a.f[k]) & 0x7fffffffu);
    return b;
}

/* The sum's last bits are those of the nearest integer. */
static OUTLINE vi vi_round(vp a)
{
    vi b;
    for (int k = 0; k < 16; k++)
        b.i[k] = (int32_t)(bits_of(a.f[k] + 0x1.8p23f) - bits_of(0x1.8p23f));
    return b;
}

static OUTLINE vp vp_from_vi(vi a)
{
    vp b;
    for (int k = 0; k < 16; k++)
        b.f[k] = (float)a.i[k];
    return b;
}

static OUTLINE int32_t vi_sum(v16i a)
{
    int32_t sum = 0;
    for (int k = 0; k < 16; k++)
        sum += a.p[0].i[k];
    return sum;
}

static OUTLINE int32_t vi_most(v16i a)
{
    int32_t most = a.p[0].i[0];
    for (int k = 1; k < 16; k++)
        most = a.p[0].i[k] > most ? a.p[0].i[k] : most;
    return most;
}

enum { Q8_OFFSET = 0, Q8_VALUE_BYTES = 1, Q8_TOKENS = 1, Q8_GROUPS = 1 };

typedef const unsigned char *vw, *vx;

static OUTLINE vw vw_load(const unsigned char *p)
{
    return p;
}

static OUTLINE vx vx_load(const unsigned char *p)
{
    return p;
}

static OUTLINE vi vi_dot(vi acc, vw w, vx x)
{
    for (int k = 0; k < 16; k++)
        for (int c = 0; c < 4; c++)
            acc.i[k] += (signed char)w[4 * k + c] * (signed char)x[c];
    return acc;
}

static OUTLINE void q8_store(unsigned char *p, v16i a)
{
    for (int k = 0; k < 16; k++)
        p[k] = (unsigned char)a.p[0].i[k];
}

#endif
