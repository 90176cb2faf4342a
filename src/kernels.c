/* The C level, which defines the bits of all others, and the choice of a level. */
#include "kernels.h"

#include "cpu.h"
#include "../simd/level.h"

#define LEVEL_NAME "c"
#define LEVEL_TABLE ink_kernels_level_c

#include "../simd/scalar.h"

#include "../simd/body.h"

const struct ink_kernels *ink_kernels_c(void)
{
    return &ink_kernels_level_c;
}

static int runs_avx2(const struct ink_cpu_features *cpu)
{
    return cpu->avx2 && cpu->fma && cpu->f16c;
}

static int runs_avx512(const struct ink_cpu_features *cpu)
{
    return runs_avx2(cpu) && cpu->avx512f && cpu->avx512bw && cpu->avx512vl && cpu->avx512dq;
}

static int runs_neon(const struct ink_cpu_features *cpu)
{
    return cpu->neon;
}

static int runs_dotprod(const struct ink_cpu_features *cpu)
{
    return cpu->neon && cpu->dotprod;
}

static int runs_i8mm(const struct ink_cpu_features *cpu)
{
    return runs_dotprod(cpu) && cpu->i8mm;
}

static int runs_avx_vnni(const struct ink_cpu_features *cpu)
{
    return runs_avx2(cpu) && cpu->avx_vnni;
}

static int runs_avx512_vnni(const struct ink_cpu_features *cpu)
{
    return runs_avx512(cpu) && cpu->avx512_vnni;
}

static int runs_avx512_bf16(const struct ink_cpu_features *cpu)
{
    return runs_avx512_vnni(cpu) && cpu->avx512_bf16;
}

static int runs_always(const struct ink_cpu_features *cpu)
{
    (void)cpu;
    return 1;
}

/* In rising order of preference; a level that the build lacks has no name. */
static const struct {
    const struct ink_kernels *kernels;
    int (*runs)(const struct ink_cpu_features *cpu);
} levels[] = {
    {&ink_kernels_level_c, runs_always},
    {&ink_kernels_level_neon, runs_neon},
    {&ink_kernels_level_dotprod, runs_dotprod},
    {&ink_kernels_level_i8mm, runs_i8mm},
    {&ink_kernels_level_avx2, runs_avx2},
    {&ink_kernels_level_avx_vnni, runs_avx_vnni},
    {&ink_kernels_level_avx512, runs_avx512},
    {&ink_kernels_level_avx512_vnni, runs_avx512_vnni},
    {&ink_kernels_level_avx512_bf16, runs_avx512_bf16},
};

const struct ink_kernels *ink_kernels_at(int i)
{
    struct ink_cpu_features cpu;
    ink_cpu_detect(&cpu);
    for (size_t k = 0; i >= 0 && k < sizeof levels / sizeof levels[0]; k++)
        if (levels[k].kernels->name && levels[k].runs(&cpu) && i-- == 0)
            return levels[k].kernels;
    return NULL;
}

const struct ink_kernels *ink_kernels_find(const char *name)
{
    const int best = name == NULL || strcmp(name, "auto") == 0;
    const struct ink_kernels *found = NULL, *level;
    for (int i = 0; (level = ink_kernels_at(i)) != NULL; i++)
        if (best || strcmp(name, level->name) == 0)
            found = level;
    return found;
}
