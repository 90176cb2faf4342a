/* What the CPU that runs this process can do, and what it is called. */
#ifndef INK_CPU_H
#define INK_CPU_H

#include <stddef.h>

/* 1 where both the CPU has the instructions and the operating system saves their registers. */
struct ink_cpu_features {
    /* x86 */
    int avx2, fma, f16c;
    int avx_vnni;
    int avx512f, avx512bw, avx512vl, avx512dq;
    int avx512_vnni, avx512_bf16;
    /* aarch64 */
    int neon, dotprod, i8mm;
};

/* Asks the CPU each time: a few instructions, but slow ones under a hypervisor. */
void ink_cpu_detect(struct ink_cpu_features *cpu);

/* The CPU's own name for itself, cut to n bytes with its terminator (n >= 1), without spaces at
 * either end; "" where only the operating system would know. Returns buf. */
const char *ink_cpu_name(char *buf, size_t n);

#endif
