/* The avx-vnni level: avx2 with its own byte products. */
#include "level.h"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__) && defined(__AVXVNNI__)

#define LEVEL_NAME "avx-vnni"
#define LEVEL_TABLE ink_kernels_level_avx_vnni

#include "avx2.h"

#include "body.h"

#else

const struct ink_kernels ink_kernels_level_avx_vnni = {.name = NULL};

#endif
