/* The avx512-bf16 level: avx512-vnni with products of bf16 pairs, for training. */
#include "level.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && \
    defined(__AVX512DQ__) && defined(__AVX512VNNI__) && defined(__AVX512BF16__)

#define LEVEL_NAME "avx512-bf16"
#define LEVEL_TABLE ink_kernels_level_avx512_bf16
#define LEVEL_HAS_BF16

#include "avx512_vnni.h"

#include "body.h"

#else

const struct ink_kernels ink_kernels_level_avx512_bf16 = {.name = NULL};

#endif
