#include "cpu.h"

#include <string.h>

#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))

#include <cpuid.h>

enum {
    EAX,
    EBX,
    ECX,
    EDX,
    XCR0_YMM = 0x06, /* SSE and AVX state saved */
    XCR0_ZMM = 0xe6  /* and mask registers, upper halves, upper 16 registers */
};

static unsigned saved_state(void)
{
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static int bit(unsigned word, int i)
{
    return (int)(word >> i & 1u);
}

void ink_cpu_detect(struct ink_cpu_features *cpu)
{
    unsigned r[4] = {0}, seven[4] = {0}, more[4] = {0};
    *cpu = (struct ink_cpu_features){0};
    if (!__get_cpuid(1, &r[EAX], &r[EBX], &r[ECX], &r[EDX]) || !bit(r[ECX], 27))
        return;
    const unsigned state = saved_state();
    const int ymm = (state & XCR0_YMM) == XCR0_YMM, zmm = (state & XCR0_ZMM) == XCR0_ZMM;
    if (__get_cpuid_count(7, 0, &seven[EAX], &seven[EBX], &seven[ECX], &seven[EDX]) &&
        seven[EAX] >= 1)
        __get_cpuid_count(7, 1, &more[EAX], &more[EBX], &more[ECX], &more[EDX]);

    cpu->fma = ymm && bit(r[ECX], 12);
    cpu->f16c = ymm && bit(r[ECX], 29);
    cpu->avx2 = ymm && bit(r[ECX], 28) && bit(seven[EBX], 5);
    cpu->avx_vnni = ymm && bit(more[EAX], 4);
    cpu->avx512f = zmm && bit(seven[EBX], 16);
    cpu->avx512dq = zmm && bit(seven[EBX], 17);
    cpu->avx512bw = zmm && bit(seven[EBX], 30);
    cpu->avx512vl = zmm && bit(seven[EBX], 31);
    cpu->avx512_vnni = zmm && bit(seven[ECX], 11);
    cpu->avx512_bf16 = zmm && bit(more[EAX], 5);
}

const char *ink_cpu_name(char *buf, size_t n)
{
    unsigned r[12] = {0};
    char brand[sizeof r + 1] = "";
    if ((unsigned)__get_cpuid_max(0x80000000u, NULL) >= 0x80000004u)
        for (unsigned i = 0; i < 3; i++)
            __get_cpuid(0x80000002u + i, &r[4 * i], &r[4 * i + 1], &r[4 * i + 2], &r[4 * i + 3]);
    memcpy(brand, r, sizeof r);
    const char *start = brand + strspn(brand, " ");
    size_t length = strlen(start);
    while (length > 0 && start[length - 1] == ' ')
        length--;
    if (length > n - 1)
        length = n - 1;
    memcpy(buf, start, length);
    buf[length] = '\0';
    return buf;
}

#else

const char *ink_cpu_name(char *buf, size_t n)
{
    memset(buf, 0, n > 0);
    return buf;
}

#endif

#if defined(__aarch64__) && defined(__linux__)

#include <sys/auxv.h>

enum { HWCAP_DOTPROD = 20, HWCAP2_INT8_MATMUL = 13 }; /* bit numbers of the Linux ABI */

void ink_cpu_detect(struct ink_cpu_features *cpu)
{
    *cpu = (struct ink_cpu_features){.neon = 1};
    cpu->dotprod = (int)(getauxval(AT_HWCAP) >> HWCAP_DOTPROD & 1u);
    cpu->i8mm = (int)(getauxval(AT_HWCAP2) >> HWCAP2_INT8_MATMUL & 1u);
}

#elif !(defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__)))

/* What the compiler was told the target has; 0 where it says nothing. */
enum {
#ifdef __aarch64__
    TARGET_NEON = 1,
#else
    TARGET_NEON = 0,
#endif
#ifdef __ARM_FEATURE_DOTPROD
    TARGET_DOTPROD = 1,
#else
    TARGET_DOTPROD = 0,
#endif
#ifdef __ARM_FEATURE_MATMUL_INT8
    TARGET_I8MM = 1
#else
    TARGET_I8MM = 0
#endif
};

void ink_cpu_detect(struct ink_cpu_features *cpu)
{
    *cpu = (struct ink_cpu_features){
        .neon = TARGET_NEON, .dotprod = TARGET_DOTPROD, .i8mm = TARGET_I8MM};
}

#endif
