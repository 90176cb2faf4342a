/* The avx512 level. */
#include "level.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)

#define LEVEL_NAME "avx512"
#define LEVEL_TABLE ink_kernels_level_avx512

#include "avx512.h"

#include "body.h"

#else

const struct ink_kernels ink_kernels_level_avx512 = {.name = NULL};

#endif
