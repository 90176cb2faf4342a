# What kind of system and compiler this is.

# INK_HOST: HOST_WINDOWS chooses the *_win32.c files.
AC_DEFUN([INK_HOST], [
AS_CASE([$host_os], [mingw* | windows*], [ink_windows=yes], [ink_windows=no])
AM_CONDITIONAL([HOST_WINDOWS], [test "$ink_windows" = yes])
AS_IF([test "$ink_windows" = yes],
      [AC_DEFINE([__USE_MINGW_ANSI_STDIO], [1], [C11 printf on Windows.])
       LIBS="-lpsapi $LIBS"])
dnl Everything is linked from one convenience archive, which libtool makes of the PIC objects; so
dnl where there is a shared library, the other objects would be compiled for nothing.
AS_IF([test "$enable_shared" = yes], [AC_SUBST([INK_LIBTOOL_PIC], [-shared])])
])

# INK_TRY_FLAGS(VARIABLE, FLAGS): append those of FLAGS that the compiler of AC_LANG takes.
AC_DEFUN([INK_TRY_FLAGS], [
for ink_flag in m4_normalize([$2]); do
    AC_MSG_CHECKING([whether the _AC_LANG compiler takes $ink_flag])
    ink_saved="$_AC_LANG_PREFIX[]FLAGS"
    _AC_LANG_PREFIX[]FLAGS="$ink_saved -Werror $ink_flag"
    AC_COMPILE_IFELSE([AC_LANG_PROGRAM()], [ink_taken=yes], [ink_taken=no])
    _AC_LANG_PREFIX[]FLAGS="$ink_saved"
    AC_MSG_RESULT([$ink_taken])
    AS_IF([test $ink_taken = yes], [$1="$$1 $ink_flag"])
done
])

# INK_COMPILER_FLAGS: INK_CFLAGS and INK_CXXFLAGS, beside the user's CFLAGS and CXXFLAGS. Results are
# the same bits on every machine only if the compiler fuses no operations by itself, so
# -ffp-contract=off is a must where contraction exists at all.
AC_DEFUN([INK_COMPILER_FLAGS], [
INK_TRY_FLAGS([INK_CFLAGS], [-std=c11 -ffp-contract=off -Wall -Wextra -Wshadow -Wstrict-prototypes
                             -Wvla -Wformat=2])
AC_LANG_PUSH([C++])
INK_TRY_FLAGS([INK_CXXFLAGS], [-std=c++17 -ffp-contract=off -Wall -Wextra -Wshadow])
AC_LANG_POP([C++])
AC_SUBST([INK_CFLAGS])
AC_SUBST([INK_CXXFLAGS])
])

# INK_FIND_CXX_RUNTIME: INK_CXX_RUNTIME is what a C program adds to link libinkstone.a, for inkstone.pc.
AC_DEFUN([INK_FIND_CXX_RUNTIME], [
AC_LANG_PUSH([C++])
AC_MSG_CHECKING([for the C++ runtime library])
AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <cstddef>
#ifndef _LIBCPP_VERSION
#error not libc++
#endif]])], [INK_CXX_RUNTIME=-lc++], [INK_CXX_RUNTIME=-lstdc++])
AC_MSG_RESULT([$INK_CXX_RUNTIME])
AC_LANG_POP([C++])
AC_SUBST([INK_CXX_RUNTIME])
])

# INK_OPENMP: --enable-openmp=yes|no|auto.
AC_DEFUN([INK_OPENMP], [
AS_IF([test "x$enable_openmp" = xauto], [enable_openmp=])
ink_openmp_wanted=$enable_openmp
AC_OPENMP
ink_openmp=no
AS_IF([test "x$ink_openmp_wanted" != xno],
      [AS_CASE(["$ac_cv_prog_c_openmp"], [unsupported | ""], [], [ink_openmp=yes])])
AS_IF([test "x$ink_openmp_wanted" = xyes && test $ink_openmp = no],
      [AC_MSG_ERROR([--enable-openmp=yes, but $CC cannot compile and link OpenMP programs.
  With clang it is a package of its own: libomp-dev (Debian, Ubuntu), libomp-devel (Fedora),
  libomp (Homebrew).])])
AS_IF([test $ink_openmp = no], [OPENMP_CFLAGS=])
])

# INK_SIMD_LEVEL(NAME, FLAGS, PROGRAM): <NAME>_CFLAGS if the compiler takes PROGRAM with FLAGS. A
# file of simd/ compiled without them is an empty level, so all are compiled everywhere. Says
# nothing about the machine that the program will run on.
AC_DEFUN([INK_SIMD_LEVEL], [
AC_MSG_CHECKING([for $1 instructions in the compiler])
ink_saved="$CFLAGS"
CFLAGS="$CFLAGS $2"
AC_COMPILE_IFELSE([AC_LANG_SOURCE([$3])], [ink_taken=yes], [ink_taken=no])
CFLAGS="$ink_saved"
AC_MSG_RESULT([$ink_taken])
$1_CFLAGS=
AS_IF([test $ink_taken = yes], [$1_CFLAGS="$2"; ink_simd="$ink_simd $1"])
AC_SUBST([$1_CFLAGS])
])

AC_DEFUN([INK_SIMD], [
ink_simd=
INK_SIMD_LEVEL([AVX2], [-mavx2 -mfma -mf16c], [[
#if !defined(__x86_64__) && !defined(_M_X64)
#error not x86-64
#endif
#include <immintrin.h>
__m256 f(__m256 a, __m128i h) { return _mm256_fmadd_ps(a, _mm256_cvtph_ps(h), a); }
]])
INK_SIMD_LEVEL([AVX_VNNI], [-mavxvnni -mavx2 -mfma -mf16c], [[
#if !defined(__x86_64__) && !defined(_M_X64)
#error not x86-64
#endif
#include <immintrin.h>
__m256i f(__m256i a, __m256i b) { return _mm256_dpbusd_avx_epi32(a, b, b); }
]])
INK_SIMD_LEVEL([AVX512],
               [-mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -mf16c], [[
#if !defined(__x86_64__) && !defined(_M_X64)
#error not x86-64
#endif
#include <immintrin.h>
__m512 f(__m512 a, __m512 b) { return _mm512_andnot_ps(a, _mm512_fmadd_ps(a, b, a)); }
]])
INK_SIMD_LEVEL([AVX512_VNNI],
               [-mavx512vnni -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -mf16c], [[
#if !defined(__x86_64__) && !defined(_M_X64)
#error not x86-64
#endif
#include <immintrin.h>
__m512i f(__m512i a, __m512i b) { return _mm512_dpbusd_epi32(a, b, b); }
]])
INK_SIMD_LEVEL([AVX512_BF16],
               [-mavx512bf16 -mavx512vnni -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -mf16c], [[
#if !defined(__x86_64__) && !defined(_M_X64)
#error not x86-64
#endif
#include <immintrin.h>
__m512 f(__m512 a, __m512 b) { return _mm512_dpbf16_ps(a, (__m512bh)b, (__m512bh)b); }
]])
INK_SIMD_LEVEL([NEON], [], [[
#if !defined(__aarch64__)
#error not aarch64
#endif
#include <arm_neon.h>
float32x4_t f(float32x4_t a, float16x4_t h) { return vfmaq_f32(a, a, vcvt_f32_f16(h)); }
]])
INK_SIMD_LEVEL([DOTPROD], [-march=armv8.2-a+dotprod], [[
#if !defined(__aarch64__)
#error not aarch64
#endif
#include <arm_neon.h>
int32x4_t f(int32x4_t a, int8x16_t b) { return vdotq_s32(a, b, b); }
]])
INK_SIMD_LEVEL([I8MM], [-march=armv8.2-a+dotprod+i8mm], [[
#if !defined(__aarch64__)
#error not aarch64
#endif
#include <arm_neon.h>
int32x4_t f(int32x4_t a, uint8x16_t b, int8x16_t c) { return vusmmlaq_s32(a, b, c); }
]])
])
