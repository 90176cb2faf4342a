/* The avx2 level. */
#include "level.h"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)

#define LEVEL_NAME "avx2"
#define LEVEL_TABLE ink_kernels_level_avx2

#include "avx2.h"

/* A byte product takes one factor without a sign and saturates a pair of products at 16 bits. So
 * the weight is its magnitude, and its sign goes to the activation: 2 * 128 * 127 < 2^15.
 * (Activations are -127 to 127: -128 would have no negative.) */
enum { Q8_OFFSET = 0, Q8_VALUE_BYTES = 1, Q8_TOKENS = 4, Q8_GROUPS = 1 };
#define Q8_FETCH 3072
#define Q8_ONE_PASS 8

typedef struct {
    const unsigned char *values; /* loaded again where registers are short */
    vi magnitudes;
} vw;

INLINE vi vi_keep(vi a)
{
    __asm__("" : "+x"(a)); /* else gcc computes it again for each use, or puts sums off */
    return a;
}

INLINE vw vw_load(const unsigned char *p)
{
    return (vw){p, vi_keep(_mm256_abs_epi8(_mm256_loadu_si256((const void *)p)))};
}

INLINE vx vx_load(const unsigned char *p)
{
    return vi_keep(four_bytes(p));
}

INLINE vi vi_dot(vi acc, vw w, vx x)
{
    const vi signed_x = _mm256_sign_epi8(x, _mm256_loadu_si256((const void *)w.values));
    const vi pairs = _mm256_maddubs_epi16(w.magnitudes, signed_x);
    return vi_keep(_mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))));
}

/* Five bits without a sign by an activation, 16 of them, stay within 16 bits, though only once 16
 * is taken from each weight and 7 / 16 given for its lower bits: so sums start with that many times
 * the activations' sums, of columns 0, 1 and of 2, 3 of each step (a start's two halves), and wrap.
 * Starts are rounded: a block's sum is off by 8 at most. */
INLINE int32_t q8_start(v16i sums)
{
    const vi t8 = _mm256_add_epi32(sums.p[0], sums.p[1]);
    const __m128i t4 = _mm_add_epi32(_mm256_castsi256_si128(t8), _mm256_extracti128_si256(t8, 1));
    const __m128i t2 = _mm_hadd_epi32(t4, t4);
    const __m128i lower = _mm_add_epi32(_mm_mullo_epi32(t2, _mm_set1_epi32(7)), _mm_set1_epi32(8));
    const __m128i start = _mm_sub_epi32(_mm_srai_epi32(lower, 4), _mm_slli_epi32(t2, 4));
    return (int32_t)(((uint32_t)_mm_extract_epi32(start, 0) & 0xffff) |
                     (uint32_t)_mm_extract_epi32(start, 1) << 16);
}

#define Q8_START q8_start
#define Q8_LOWER_TWICE 7
#define Q8_UPPER_DOTS upper_dots

/* Step k of 8 rows from the upper plane (kernels.h has the layout). */
INLINE vi upper_step(const unsigned char *high, vi lowest, int k)
{
    const vi nibbles = _mm256_loadu_si256((const void *)(high + (size_t)(k / 2 * 64)));
    const vi upper = k % 2 ? _mm256_add_epi8(nibbles, nibbles) : _mm256_srli_epi16(nibbles, 3);
    return _mm256_or_si256(_mm256_and_si256(upper, _mm256_set1_epi8(0x1e)),
                           _mm256_and_si256(_mm256_srli_epi16(lowest, k), _mm256_set1_epi8(1)));
}

INLINE void upper_dots(vi *acc, const unsigned char *values, size_t ldx, const int32_t *starts,
                       const unsigned char *high, int part, int n_tokens)
{
    const unsigned char *start = (const unsigned char *)starts;
    high += (size_t)part * 32;
    const vi lowest = _mm256_loadu_si256((const void *)(high + 256));
    FENCE_LOADS; /* else activations stay on the stack for the other part */
    UNROLL
    for (int t = 0; t < n_tokens; t++)
        acc[t] = vi_keep(four_bytes(start + (size_t)t * ldx));
    UNROLL
    for (int k = 0; k < INK_Q8_BLOCK / 4; k++) {
        const vi w = vi_keep(upper_step(high, lowest, k));
        UNROLL
        for (int t = 0; t < n_tokens; t++) {
            const vx x = vx_load(values + (size_t)t * ldx + (size_t)(4 * k));
            acc[t] = vi_keep(_mm256_add_epi16(acc[t], _mm256_maddubs_epi16(w, x)));
        }
    }
    UNROLL
    for (int t = 0; t < n_tokens; t++)
        acc[t] = _mm256_madd_epi16(acc[t], _mm256_set1_epi16(8));
}

#include "body.h"

#else

const struct ink_kernels ink_kernels_level_avx2 = {.name = NULL};

#endif
