#include "number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ink_number_use_point(char *number)
{
    static const char digits[] = "+-0123456789e";
    char *point = number + strspn(number, digits);
    const char *rest = point + strcspn(point, digits);
    if (rest > point) {
        *point++ = '.';
        memmove(point, rest, strlen(rest) + 1);
    }
}

/* strtof would want the locale's point. At most nine digits and a modest exponent: exact enough to
 * tell floats apart. */
static float read_back(const char *text)
{
    const bool negative = *text == '-';
    double value = 0, power = 1;
    int exponent = 0;
    bool after_point = false;
    for (text += negative; *text && *text != 'e'; text++) {
        if (*text == '.') {
            after_point = true;
        } else {
            value = value * 10 + (*text - '0');
            exponent -= after_point;
        }
    }
    exponent += *text == 'e' ? atoi(text + 1) : 0;
    for (int i = 0; i < abs(exponent); i++) {
        power *= 10;
    }
    value = exponent < 0 ? value / power : value * power;
    return (float)(negative ? -value : value);
}

/* 1e-05, not 9.99999975e-06. */
void ink_number_from_float(char out[INK_NUMBER_SIZE], float value)
{
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(out, INK_NUMBER_SIZE, "%.*g", digits, (double)value);
        ink_number_use_point(out);
        if (read_back(out) == value) {
            break;
        }
    }
    if (!strpbrk(out, ".e")) { /* "1.0": configuration classes want a float */
        strcat(out, ".0");
    }
}

/* "-1.2345e-05": the decimal of so many digits nearest to the value, if it reads back as that.
 * Digits and strtod are of one locale. */
static bool try_digits(char *text, double value, int digits)
{
    snprintf(text, INK_NUMBER_SIZE, "%.*e", digits - 1, value);
    return strtod(text, NULL) == value;
}

/* Above a power of two doubles lie twice as far apart as below it, so that the second nearest
 * decimal, above it, may read back where the nearest does not. After a 9 it has fewer digits, and
 * was tried. */
static bool try_above(char *text, double value)
{
    int exponent;
    char *last = strchr(text, 'e') - 1;
    if (fabs(frexp(value, &exponent)) != 0.5 || *last < '0' || *last > '8') {
        return false;
    }
    ++*last;
    return strtod(text, NULL) == value;
}

/* Of digits[n] and a decimal exponent: d.ddde+XX below 1e-4 and from 1e16 on, else positional. */
static void lay_out(char *out, size_t size, const char *digits, int n, int exponent)
{
    if (exponent < -4 || exponent >= 16) {
        snprintf(out, size, "%.1s%s%.*se%c%02d", digits, n > 1 ? "." : "", n - 1, digits + 1,
                 exponent < 0 ? '-' : '+', abs(exponent));
    } else if (exponent < 0) {
        snprintf(out, size, "0.%.*s%.*s", -exponent - 1, "000", n, digits);
    } else if (n <= exponent + 1) {
        snprintf(out, size, "%.*s%.*s.0", n, digits, exponent + 1 - n, "000000000000000");
    } else {
        snprintf(out, size, "%.*s.%.*s", exponent + 1, digits, n - exponent - 1,
                 digits + exponent + 1);
    }
}

void ink_number_from_double(char out[INK_NUMBER_SIZE], double value)
{
    char text[INK_NUMBER_SIZE], digits[20];
    int n = 0, precision = 1;
    if (!isfinite(value)) {
        strcpy(out, isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity");
        return;
    }
    while (!try_digits(text, value, precision) && precision < 17 && !try_above(text, value)) {
        precision++;
    }
    const char *exponent = strchr(text, 'e');
    for (const char *c = text; c < exponent; c++) { /* the point may be any bytes */
        if (*c >= '0' && *c <= '9') {
            digits[n++] = *c;
        }
    }
    digits[n] = '\0';
    *out = '-';
    const bool negative = signbit(value);
    lay_out(out + negative, INK_NUMBER_SIZE - 1, digits, n, atoi(exponent + 1));
}

double ink_number_round(double value, int digits)
{
    char text[400];
    snprintf(text, sizeof text, "%.*f", digits, value);
    return strtod(text, NULL);
}
