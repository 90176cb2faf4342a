/* The avx512-vnni level: avx512 with byte products. */
#include "level.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && \
    defined(__AVX512DQ__) && defined(__AVX512VNNI__)

#define LEVEL_NAME "avx512-vnni"
#define LEVEL_TABLE ink_kernels_level_avx512_vnni

#include "avx512_vnni.h"

#include "body.h"

#else

const struct ink_kernels ink_kernels_level_avx512_vnni = {.name = NULL};

#endif
