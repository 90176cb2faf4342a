/* The avx2 level. */
#include "level.h"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)

#define LEVEL_NAME "avx2"
#define LEVEL_TABLE ink_kernels_level_avx2

#include "avx2.h"

#include "body.h"

#else

const struct ink_kernels ink_kernels_level_avx2 = {.name = NULL};

#endif
