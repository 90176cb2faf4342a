/* AdamW as PyTorch defines it (decoupled weight decay, bias correction), clipping by the norm of
 * all gradients, and the learning rate's schedule as transformers defines it. */
#ifndef INK_TRAIN_OPTIMIZER_H
#define INK_TRAIN_OPTIMIZER_H

#include "kernels.h"
#include "parameters.h"

struct ink_optimizer_settings {
    double beta1, beta2, epsilon; /* 0.9, 0.999, 1e-8 */
    double weight_decay;          /* of matrices; 0: none */
    double clip;                  /* the gradients' norm at most; 0: not clipped */
    int threads;
};

struct ink_optimizer {
    struct ink_parameters *parameters;
    struct ink_optimizer_settings settings;
    const struct ink_kernels *kernels;
    float *means, *squares; /* [parameters->n_values]: m and v */
    int64_t steps;          /* done so far */
};

/* Twice the memory of the parameters; those must have gradients. */
int ink_optimizer_open(struct ink_optimizer **out, struct ink_parameters *parameters,
                       const struct ink_optimizer_settings *settings, struct ink_error *error);
void ink_optimizer_close(struct ink_optimizer *o);

/* The sum of squares of all gradients, in double in an order that no number of threads changes. */
double ink_optimizer_squares(const struct ink_optimizer *o);

/* What a step does to matrices and to vectors. */
struct ink_optimizer_step {
    struct ink_adamw matrices, vectors;
};
/* Begin the next step, for gradients g of norm `norm` and a learning rate `rate`:
 *   g' = g * min(1, clip / (norm + 1e-6)), p' = p (1 - rate * decay),
 *   m = b1 m + (1 - b1) g', v = b2 v + (1 - b2) g'²,
 *   p = p' - rate / (1 - b1^t) * m / (sqrt(v / (1 - b2^t)) + epsilon),   t = steps, from 1,
 * the last written with one division: m / (sqrt(v) + epsilon r) * rate r / (1 - b1^t), where
 * r = sqrt(1 - b2^t). */
struct ink_optimizer_step ink_optimizer_begin(struct ink_optimizer *o, double rate, double norm);
/* Take it for all parameters that have gradients. */
void ink_optimizer_update(struct ink_optimizer *o, const struct ink_optimizer_step *step);

enum ink_schedule { INK_SCHEDULE_LINEAR, INK_SCHEDULE_COSINE, INK_SCHEDULE_CONSTANT };
/* The factor of the learning rate at step 0..total-1: a rise from 0 over `warmup` steps, then a
 * fall to 0 at `total` in a line or half a cosine, or none. */
double ink_schedule_factor(enum ink_schedule schedule, int64_t step, int64_t warmup, int64_t total);

#endif
