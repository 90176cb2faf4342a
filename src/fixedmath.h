/* exp, log, sine and cosine in double precision from +, -, *, / alone, so that every machine and C
 * library gives the same bits (libm's may differ in the last place). Errors are below 2 ulp over
 * the ranges stated; callers round to float or compare probabilities, where that is invisible. */
#ifndef INK_FIXEDMATH_H
#define INK_FIXEDMATH_H

#include <stdint.h>

double ink_fixed_exp(double x); /* 0 below -745, infinity above 709.78 */
double ink_fixed_log(double x); /* x >= 0, not denormal; infinity and NaN are their own */

double ink_fixed_power(double x, uint64_t n); /* by squaring: within n ulp */

/* sine and cosine of x radians, |x| <= 2^20. */
void ink_fixed_sincos(double x, double *sine, double *cosine);

#endif
