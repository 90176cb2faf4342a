/* The avx512 level. */
#include "level.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)

#define LEVEL_NAME "avx512"
#define LEVEL_TABLE ink_kernels_level_avx512

#include "avx512.h"

/* Products of 16-bit pairs: bytes times bytes would saturate, and vpsignb, by which the avx2 level
 * avoids that, has no such width. Weights widen to even and odd columns in registers; activations
 * are stored as 16 bits, columns 0, 2, 1, 3 of each four. */
enum { Q8_OFFSET = 128, Q8_VALUE_BYTES = 2, Q8_TOKENS = 6, Q8_GROUPS = 2 };
#define Q8_FETCH 4096

typedef struct {
    vi even, odd;
} vw, vx;

INLINE vw vw_load(const unsigned char *p)
{
    const vi bytes = _mm512_loadu_si512(p);
    return (vw){_mm512_and_si512(bytes, _mm512_set1_epi16(255)), _mm512_srli_epi16(bytes, 8)};
}

INLINE vx vx_load(const unsigned char *p)
{
    int32_t even, odd;
    memcpy(&even, p, sizeof even);
    memcpy(&odd, p + 4, sizeof odd);
    return (vx){_mm512_set1_epi32(even), _mm512_set1_epi32(odd)};
}

INLINE vi vi_dot(vi acc, vw w, vx x)
{
    acc = _mm512_add_epi32(acc, _mm512_madd_epi16(w.even, x.even));
    acc = _mm512_add_epi32(acc, _mm512_madd_epi16(w.odd, x.odd));
    __asm__("" : "+v"(acc)); /* else gcc puts the sums off until registers run out */
    return acc;
}

INLINE void q8_store(unsigned char *p, v16i a)
{
    const __m256i order = _mm256_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15, 0,
                                           1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15);
    const __m256i words = _mm512_cvtepi32_epi16(a.p[0]);
    _mm256_storeu_si256((__m256i *)(void *)p, _mm256_shuffle_epi8(words, order));
}

#include "body.h"

#else

const struct ink_kernels ink_kernels_level_avx512 = {.name = NULL};

#endif
