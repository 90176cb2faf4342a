#include "measure.h"

#include <string.h>

/* Twelve accumulators that do not wait for each other keep every unit busy, and each loop is one
 * piece of assembly: a compiler that puts accumulators into memory gives a third of the truth.
 * The encodings of younger instructions are spelt out, for assemblers that do not know them. */

#define TIMES_8(x) x(0) x(1) x(2) x(3) x(4) x(5) x(6) x(7)
#define TIMES_12(x) TIMES_8(x) x(8) x(9) x(10) x(11)
#define STRING(x) #x
#define TEXT(x) STRING(x)

/* -------------------------------------------------------------------------------------- plain C */

/* a = a * b + b has no shortcut that a compiler would find. */
#define STEP(i) a[i] = a[i] * b + b;

static void run_int_c(uint64_t rounds)
{
    volatile uint32_t some = 3, sink;
    const uint32_t b = some;
    uint32_t a[12] = {0}, sum = 0;
    while (rounds-- > 0) {
        TIMES_12(STEP)
    }
    for (int i = 0; i < 12; i++) {
        sum += a[i];
    }
    sink = sum;
    (void)sink;
}

static void run_f32_c(uint64_t rounds)
{
    volatile float some = 0.5f, sink;
    const float b = some;
    float a[12] = {0}, sum = 0;
    while (rounds-- > 0) {
        TIMES_12(STEP)
    }
    for (int i = 0; i < 12; i++) {
        sum += a[i];
    }
    sink = sum;
    (void)sink;
}

#define C_INT8                       \
    {                                \
        "plain C", run_int_c, 12 * 2 \
    }
#define C_F32                        \
    {                                \
        "plain C", run_f32_c, 12 * 2 \
    }

#define NO_BF16       \
    {                 \
        NULL, NULL, 0 \
    }

#if defined(__GNUC__) && defined(__x86_64__)

/* ------------------------------------------------------------------------------------------ x86 */

/* Registers 0 to 11 are sums, 13 is for products, 14 and 15 are the factors. */
#define ZERO(i) "vpxor %%xmm" TEXT(i) ", %%xmm" TEXT(i) ", %%xmm" TEXT(i) "\n\t"
#define LOOP(width, body)                                                                    \
    __asm__ volatile("vmovd %1, %%xmm14\n\t"                                                 \
                     "vpbroadcastd %%xmm14, %%" width "14\n\t"                               \
                     "vpbroadcastd %%xmm14, %%" width                                        \
                     "15\n\t" TIMES_12(ZERO) "1:\n\t" TIMES_12(body) "subq $1, %0\n\t"       \
                                                                     "jnz 1b\n\t"            \
                                                                     "vzeroupper"            \
                     : "+r"(rounds)                                                          \
                     : "r"(factor)                                                           \
                     : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", \
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm13", "xmm14", "xmm15")

static const uint32_t bytes_of_2 = 0x02020202, float_half = 0x3f000000, halves = 0x3f003f00;

#define FMA(width, i) "vfmadd231ps %%" width "14, %%" width "15, %%" width TEXT(i) "\n\t"
#define FMA_YMM(i) FMA("ymm", i)
#define FMA_ZMM(i) FMA("zmm", i)
/* The products of bytes of the avx2 level, as many a second as it could do with nothing else: one
 * factor with the sign of the other, products, and their sums of two and of four. */
#define SIGN_YMM(i)                            \
    "vpsignb %%ymm14, %%ymm15, %%ymm13\n\t"    \
    "vpmaddubsw %%ymm13, %%ymm14, %%ymm13\n\t" \
    "vpmaddwd %%ymm14, %%ymm13, %%ymm13\n\t"   \
    "vpaddd %%ymm13, %%ymm" TEXT(i) ", %%ymm" TEXT(i) "\n\t"
/* Bytes widened to 16 bits, two products and their sum to 32. */
#define MADD_ZMM(i)                          \
    "vpmaddwd %%zmm14, %%zmm15, %%zmm13\n\t" \
    "vpaddd %%zmm13, %%zmm" TEXT(i) ", %%zmm" TEXT(i) "\n\t"
/* {vex} vpdpbusd %ymm15, %ymm14, %ymm<i> */
#define DOT_YMM(i) \
    ".byte 0xc4, 0xc2 - ((" TEXT(i) " & 8) << 4), 0x0d, 0x50, 0xc7 + ((" TEXT(i) " & 7) << 3)\n\t"
/* vpdpbusd %zmm15, %zmm14, %zmm<i> */
#define DOT_ZMM(i)                                                                              \
    ".byte 0x62, 0xd2 - ((" TEXT(i) " & 8) << 4), 0x0d, 0x48, 0x50, 0xc7 + ((" TEXT(i) " & 7) " \
                                                                                       "<< 3)\n\t"

/* vdpbf16ps %zmm15, %zmm14, %zmm<i> */
#define PAIRS_ZMM(i)                                                                            \
    ".byte 0x62, 0xd2 - ((" TEXT(i) " & 8) << 4), 0x0e, 0x48, 0x52, 0xc7 + ((" TEXT(i) " & 7) " \
                                                                                       "<< 3)\n\t"

static void run_fma_ymm(uint64_t rounds)
{
    const uint32_t factor = float_half;
    LOOP("ymm", FMA_YMM);
}

static void run_fma_zmm(uint64_t rounds)
{
    const uint32_t factor = float_half;
    LOOP("zmm", FMA_ZMM);
}

static void run_sign_ymm(uint64_t rounds)
{
    const uint32_t factor = bytes_of_2;
    LOOP("ymm", SIGN_YMM);
}

static void run_madd_zmm(uint64_t rounds)
{
    const uint32_t factor = bytes_of_2;
    LOOP("zmm", MADD_ZMM);
}

static void run_dot_ymm(uint64_t rounds)
{
    const uint32_t factor = bytes_of_2;
    LOOP("ymm", DOT_YMM);
}

static void run_dot_zmm(uint64_t rounds)
{
    const uint32_t factor = bytes_of_2;
    LOOP("zmm", DOT_ZMM);
}

static void run_pairs_zmm(uint64_t rounds)
{
    const uint32_t factor = halves;
    LOOP("zmm", PAIRS_ZMM);
}

#define FMA_YMM_LOOP                            \
    {                                           \
        "vfmadd231ps ymm", run_fma_ymm, 12 * 16 \
    }
#define FMA_ZMM_LOOP                            \
    {                                           \
        "vfmadd231ps zmm", run_fma_zmm, 12 * 32 \
    }

static const struct ink_peak peaks[] = {
    {"c", C_INT8, C_F32, NO_BF16},
    {"avx2", {"vpmaddubsw ymm", run_sign_ymm, 12 * 64}, FMA_YMM_LOOP, NO_BF16},
    {"avx-vnni", {"vpdpbusd ymm", run_dot_ymm, 12 * 64}, FMA_YMM_LOOP, NO_BF16},
    {"avx512", {"vpmaddwd zmm", run_madd_zmm, 12 * 64}, FMA_ZMM_LOOP, NO_BF16},
    {"avx512-vnni", {"vpdpbusd zmm", run_dot_zmm, 12 * 128}, FMA_ZMM_LOOP, NO_BF16},
    {"avx512-bf16",
     {"vpdpbusd zmm", run_dot_zmm, 12 * 128},
     FMA_ZMM_LOOP,
     {"vdpbf16ps zmm", run_pairs_zmm, 12 * 64}},
};

#elif defined(__GNUC__) && defined(__aarch64__)

/* ------------------------------------------------------------------------------------------ Arm */

/* Registers 0 to 11 are sums, 28 is for products, 30 and 31 are the factors. */
#define ZERO(i) "movi v" TEXT(i) ".4s, #0\n\t"
#define LOOP(factor, body)                                                                      \
    __asm__ volatile(factor TIMES_12(ZERO) "1:\n\t" TIMES_12(body) "subs %0, %0, #1\n\t"        \
                                                                   "b.ne 1b"                    \
                     : "+r"(rounds)                                                             \
                     :                                                                          \
                     : "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", \
                       "v11", "v28", "v30", "v31")

#define BYTES_OF_2 "movi v30.16b, #2\n\tmovi v31.16b, #2\n\t"
#define FLOAT_HALF "fmov v30.4s, #0.5\n\tfmov v31.4s, #0.5\n\t"

#define FMLA(i) "fmla v" TEXT(i) ".4s, v30.4s, v31.4s\n\t"
#define SMULL(i)                          \
    "smull v28.8h, v30.8b, v31.8b\n\t"    \
    "smlal2 v28.8h, v30.16b, v31.16b\n\t" \
    "sadalp v" TEXT(i) ".4s, v28.8h\n\t"
/* sdot v<i>.4s, v30.16b, v31.16b */
#define SDOT(i) ".inst 0x4e9f97c0 + " TEXT(i) "\n\t"
/* smmla v<i>.4s, v30.16b, v31.16b */
#define SMMLA(i) ".inst 0x4e9fa7c0 + " TEXT(i) "\n\t"

static void run_fmla(uint64_t rounds)
{
    LOOP(FLOAT_HALF, FMLA);
}

static void run_smull(uint64_t rounds)
{
    LOOP(BYTES_OF_2, SMULL);
}

static void run_sdot(uint64_t rounds)
{
    LOOP(BYTES_OF_2, SDOT);
}

static void run_smmla(uint64_t rounds)
{
    LOOP(BYTES_OF_2, SMMLA);
}

#define FMLA_LOOP                \
    {                            \
        "fmla", run_fmla, 12 * 8 \
    }

static const struct ink_peak peaks[] = {
    {"c", C_INT8, C_F32, NO_BF16},
    {"neon", {"smull", run_smull, 12 * 32}, FMLA_LOOP, NO_BF16},
    {"dotprod", {"sdot", run_sdot, 12 * 32}, FMLA_LOOP, NO_BF16},
    {"i8mm", {"smmla", run_smmla, 12 * 64}, FMLA_LOOP, NO_BF16},
};

#else

static const struct ink_peak peaks[] = {{"c", C_INT8, C_F32, NO_BF16}};

#endif

const struct ink_peak *ink_peak_find(const char *level)
{
    const struct ink_peak *found = &peaks[0];
    for (size_t i = 0; i < INK_COUNT(peaks); i++) {
        if (strcmp(peaks[i].level, level) == 0) {
            found = &peaks[i];
        }
    }
    return found;
}
