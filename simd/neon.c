/* The neon level. Every aarch64 has it. */
#include "level.h"

#if defined(__aarch64__) && defined(__ARM_NEON)

#define LEVEL_NAME "neon"
#define LEVEL_TABLE ink_kernels_level_neon

#include "neon.h"

#include "body.h"

#else

const struct ink_kernels ink_kernels_level_neon = {.name = NULL};

#endif
