/* The dotprod level: neon with byte products (Armv8.2). */
#include "level.h"

#if defined(__aarch64__) && defined(__ARM_NEON) && defined(__ARM_FEATURE_DOTPROD)

#define LEVEL_NAME "dotprod"
#define LEVEL_TABLE ink_kernels_level_dotprod

#include "neon.h"

#include "body.h"

#else

const struct ink_kernels ink_kernels_level_dotprod = {.name = NULL};

#endif
