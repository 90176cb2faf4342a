/* The avx2 level. */
#include "level.h"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)

#define LEVEL_NAME "avx2"
#define LEVEL_TABLE ink_kernels_level_avx2

#include "avx2.h"

/* Products of 16-bit pairs: bytes times bytes would saturate. Weights widen to even and odd columns
 * in registers; activations are stored as 16 bits, columns 0, 2, 1, 3 of each four. */
enum { Q8_OFFSET = 128, Q8_VALUE_BYTES = 2, Q8_TOKENS = 3, Q8_GROUPS = 1 };

typedef struct {
    vi even, odd;
} vw, vx;

INLINE vw vw_load(const unsigned char *p)
{
    const vi bytes = _mm256_loadu_si256((const void *)p);
    return (vw){_mm256_and_si256(bytes, _mm256_set1_epi16(255)), _mm256_srli_epi16(bytes, 8)};
}

INLINE vx vx_load(const unsigned char *p)
{
    int32_t even, odd;
    memcpy(&even, p, sizeof even);
    memcpy(&odd, p + 4, sizeof odd);
    return (vx){_mm256_set1_epi32(even), _mm256_set1_epi32(odd)};
}

INLINE vi vi_dot(vi acc, vw w, vx x)
{
    acc = _mm256_add_epi32(acc, _mm256_madd_epi16(w.even, x.even));
    acc = _mm256_add_epi32(acc, _mm256_madd_epi16(w.odd, x.odd));
    __asm__("" : "+x"(acc)); /* else gcc puts the sums off until registers run out */
    return acc;
}

INLINE void q8_store(unsigned char *p, v16i a)
{
    const __m256i order = _mm256_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15, 0,
                                           1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15);
    __m256i pairs = _mm256_packs_epi32(a.p[0], a.p[1]); /* 0-3, 8-11, 4-7, 12-15 */
    pairs = _mm256_permute4x64_epi64(pairs, 0xd8);
    _mm256_storeu_si256((__m256i *)(void *)p, _mm256_shuffle_epi8(pairs, order));
}

#include "body.h"

#else

const struct ink_kernels ink_kernels_level_avx2 = {.name = NULL};

#endif
