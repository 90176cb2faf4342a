/* A model that does not exist yet: its first weights, drawn as transformers draws them. */
#ifndef INK_TRAIN_INITIAL_H
#define INK_TRAIN_INITIAL_H

#include "parameters.h"

/* Values for all parameters of a model that ink_model_open_new has opened:
 *
 *   gains      1
 *   biases     0
 *   matrices   normal, with mean 0 and the configuration's initializer_range as deviation; the row
 *              of pad_token_id in the embedding is 0
 *
 * The distributions are those of transformers' _init_weights; its numbers are not, since they
 * depend on PyTorch's version and the machine. Ours are the same everywhere: parameter i (from 0,
 * in the list's order) takes its numbers from splitmix64 (random.h) that starts at
 * mix(seed + STEP * (i + 1)), two at a time by Marsaglia's polar method: x and y are uniform in
 * -1..1, (next >> 11) * 2^-52 - 1, drawn anew until 0 < s = x^2 + y^2 < 1; then x * f and y * f
 * with f = sqrt(-2 log(s) / s), in double precision with the logarithm of fixedmath.h, times the
 * deviation, rounded to float32. A padding row takes its numbers too. */
void ink_initial_fill(struct ink_parameters *p, const struct ink_model *model, uint64_t seed);

#endif
