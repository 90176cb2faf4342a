/* The i8mm level: neon with byte matrix products (Armv8.6). */
#include "level.h"

#if defined(__aarch64__) && defined(__ARM_NEON) && defined(__ARM_FEATURE_MATMUL_INT8)

#define LEVEL_NAME "i8mm"
#define LEVEL_TABLE ink_kernels_level_i8mm

#include "neon.h"

#include "body.h"

#else

const struct ink_kernels ink_kernels_level_i8mm = {.name = NULL};

#endif
