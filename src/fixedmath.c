#include "fixedmath.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* ln 2 and pi / 2 cut into parts of 33 bits, so that a multiple by an integer of 20 bits is exact.
 * Each part is the value less the parts before it (as in fdlibm's reductions). */
static const double ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;
static const double half_pi_1 = 1.57079632673412561417e+00, half_pi_2 = 6.07710050630396597660e-11,
                    half_pi_3 = 2.02226624879595063154e-21;

/* 2^k for a normal exponent. */
static double power_of_two(int k)
{
    uint64_t bits = (uint64_t)(k + 1023) << 52;
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

double ink_fixed_exp(double x)
{
    if (!(x > -745.0)) {
        return x != x ? x : 0;
    }
    if (x > 709.78) {
        return HUGE_VAL;
    }
    int k = (int)(x * 1.44269504088896340736 + (x < 0 ? -0.5 : 0.5));
    double r = (x - k * ln2_high) - k * ln2_low; /* |r| <= ln 2 / 2 */
    /* Taylor: r^14 / 14! is below 1e-17 */
    double sum = 1.0 / 6227020800.0;
    static const double factorial[] = {479001600.0, 39916800.0, 3628800.0, 362880.0,
                                       40320.0,     5040.0,     720.0,     120.0,
                                       24.0,        6.0,        2.0,       1.0};
    for (int i = 0; i < 12; i++) {
        sum = sum * r + 1.0 / factorial[i];
    }
    sum = sum * r + 1.0;
    int half = k / 2; /* two steps, so that neither factor leaves the normal range */
    return sum * power_of_two(half) * power_of_two(k - half);
}

double ink_fixed_log(double x)
{
    uint64_t bits;
    if (!(x > 0 && x < HUGE_VAL)) {
        return x > 0 || x != x ? x : -HUGE_VAL;
    }
    memcpy(&bits, &x, sizeof bits);
    int k = (int)(bits >> 52 & 0x7FF) - 1023;
    bits = (bits & 0xFFFFFFFFFFFFFu) | (uint64_t)1023 << 52;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.41421356237309504880) {
        m *= 0.5;
        k++;
    }
    /* log m = 2 atanh(s), s = (m - 1) / (m + 1), |s| <= 0.1716; s^23 / 23 is below 1e-18 */
    double s = (m - 1) / (m + 1), z = s * s, sum = 0;
    for (int i = 21; i >= 3; i -= 2) {
        sum = (sum + 1.0 / i) * z;
    }
    return k * ln2_high + (2 * s + (2 * s * sum + k * ln2_low));
}

double ink_fixed_power(double x, uint64_t n)
{
    double power = 1;
    for (; n > 0; n >>= 1, x *= x) {
        power *= n & 1 ? x : 1;
    }
    return power;
}

/* Both on |r| <= pi / 4, by Taylor. */
static double sine_polynomial(double r)
{
    double z = r * r, sum = 0;
    static const double c[] = {
        -1.0 / 1307674368000.0, 1.0 / 6227020800.0, -1.0 / 39916800.0, 1.0 / 362880.0,
        -1.0 / 5040.0,          1.0 / 120.0,        -1.0 / 6.0};
    for (int i = 0; i < 7; i++) {
        sum = (sum + c[i]) * z;
    }
    return r + r * sum;
}

static double cosine_polynomial(double r)
{
    double z = r * r, sum = 0;
    static const double c[] = {
        1.0 / 20922789888000.0, -1.0 / 87178291200.0, 1.0 / 479001600.0, -1.0 / 3628800.0,
        1.0 / 40320.0,          -1.0 / 720.0,         1.0 / 24.0};
    for (int i = 0; i < 7; i++) {
        sum = (sum + c[i]) * z;
    }
    return 1 - (0.5 * z - sum * z);
}

void ink_fixed_sincos(double x, double *sine, double *cosine)
{
    double quarter = floor(x * 0.63661977236758134308 + 0.5);
    double r = ((x - quarter * half_pi_1) - quarter * half_pi_2) - quarter * half_pi_3;
    double s = sine_polynomial(r), c = cosine_polynomial(r);
    switch ((int64_t)quarter & 3) {
    case 0:
        *sine = s;
        *cosine = c;
        break;
    case 1:
        *sine = c;
        *cosine = -s;
        break;
    case 2:
        *sine = -s;
        *cosine = -c;
        break;
    default:
        *sine = -c;
        *cosine = s;
        break;
    }
}
