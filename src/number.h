/* Numbers as text, whatever the locale. */
#ifndef INK_NUMBER_H
#define INK_NUMBER_H

#include "common.h"

#define INK_NUMBER_SIZE 40

/* A number for JSON: the shortest decimal that reads back as the same float, with a point or an
 * exponent. */
void ink_number_from_float(char out[INK_NUMBER_SIZE], float value);
/* As Python's repr and json.dumps write a float: the shortest decimal that reads back as the same
 * double, as 12.0, 0.0001, 1e-05, 1e+16; NaN, Infinity, -Infinity. */
void ink_number_from_double(char out[INK_NUMBER_SIZE], double value);
/* As Python's round(value, digits): to the nearest decimal of so many places (0..20), by the exact
 * value of the double. */
double ink_number_round(double value, int digits);
/* The locale's decimal point, whatever its bytes, becomes "." */
void ink_number_use_point(char *number);

#endif
