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

typedef struct {
    const unsigned char *values; /* they come as operands: a load less, and a register */
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

#include "body.h"

#else

const struct ink_kernels ink_kernels_level_avx2 = {.name = NULL};

#endif
