/* What every level of simd/ and the C level in src/kernels.c share before they define a vector.
 *
 * A level is one file: it defines the type and operations listed in body.h, includes body.h, which
 * writes every kernel of kernels.h over them, and so ends in one table. A file whose instruction
 * set the compiler was not given defines an empty table (name NULL): every file compiles on every
 * target. */
#ifndef INK_LEVEL_H
#define INK_LEVEL_H

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels.h"

#ifdef __FAST_MATH__
#error "inkstone's kernels define every rounding: build without -ffast-math"
#endif
#if FLT_EVAL_METHOD != 0
#error "inkstone's kernels need float arithmetic in float: on 32-bit x86 use -msse2 -mfpmath=sse"
#endif

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline, unused))
#define OUTLINE __attribute__((noinline, unused))
#define PREFETCH(address) __builtin_prefetch((const void *)(address))
#define PREFETCH_L2(address) __builtin_prefetch((const void *)(address), 0, 2)
#else
#define INLINE static inline
#define OUTLINE
#define PREFETCH(address) ((void)(address))
#define PREFETCH_L2(address) ((void)(address))
#endif

/* Compilers hoist loads of what comes later until accumulators no longer fit the registers. */
#if defined(__GNUC__)
#define FENCE_LOADS __asm__ volatile("" : : : "memory")
#else
#define FENCE_LOADS ((void)0)
#endif

#if defined(__has_feature)
#define HAS_SANITIZER (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#else
#define HAS_SANITIZER 0
#endif

/* Arrays of vectors live in registers only if every loop over them is unrolled early: under a
 * sanitizer that would be minutes of compiling for nothing. */
#if HAS_SANITIZER
#define UNROLL
#define UNROLL_SOME
#elif defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#define UNROLL_SOME _Pragma("clang loop unroll_count(4)")
#elif defined(__GNUC__)
#define UNROLL _Pragma("GCC unroll 16")
#define UNROLL_SOME _Pragma("GCC unroll 4")
#else
#define UNROLL
#define UNROLL_SOME
#endif

/* What a tile asks of memory while it works: everything `fetch` bytes ahead, or, where several
 * tiles pass over the same groups, each its part of the next ones': lines from..to-1 of the eight
 * of a block, `next` bytes ahead. 0: nothing. */
struct q8_ahead {
    size_t fetch, next;
    int from, to;
};

extern const struct ink_kernels ink_kernels_level_c;
extern const struct ink_kernels ink_kernels_level_neon;
extern const struct ink_kernels ink_kernels_level_dotprod;
extern const struct ink_kernels ink_kernels_level_i8mm;
extern const struct ink_kernels ink_kernels_level_avx2;
extern const struct ink_kernels ink_kernels_level_avx_vnni;
extern const struct ink_kernels ink_kernels_level_avx512;
extern const struct ink_kernels ink_kernels_level_avx512_vnni;
extern const struct ink_kernels ink_kernels_level_avx512_bf16;

#endif
