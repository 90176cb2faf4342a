/* ERNIE 4.5 as training sees it: the loss of a batch, and its gradient with respect to every
 * parameter. The forward pass keeps what backward needs; backward is written out by hand, layer by
 * layer, in the reverse order.
 *
 *     ink_network_open(&net, parameters, &limits, &error);
 *     status = ink_network_run(net, &batch, 1.0 / n_labels_of_the_step, adds, &loss, &error);
 *
 * Memory is for batches of up to limits.tokens tokens, and does not grow.
 *
 * The gradient of a matrix of weights is dyᵀ x, a product of two matrices with a row for each
 * token. Where a step is one batch of few tokens, those take far less memory than their product,
 * and so they are kept instead (limits.keeps_factors): the gradient's norm follows from them, and
 * an update multiplies them a few rows at a time, right where the optimizer uses the result. On a
 * model of 360 million weights that saves 1.4 GB of memory, and reading and writing it four times a
 * step.
 *
 *     ink_network_run(net, &batch, by, false, &loss, &error);
 *     norm = sqrt(squares of vectors' gradients + ink_network_squares(net));
 *     ink_network_update(net, optimizer, &by); */
#ifndef INK_TRAIN_NETWORK_H
#define INK_TRAIN_NETWORK_H

#include "ops.h"
#include "optimizer.h"
#include "parameters.h"

struct ink_network;

struct ink_network_limits {
    int tokens;         /* of a batch, at most */
    int trained_tokens; /* of one that goes backward: up to `tokens` */
    int longest;        /* of one sample of it */
    int threads;
    bool recomputes;    /* keep only each layer's input, and compute the rest again in backward: a
                           third more work, a fraction of the memory */
    bool keeps_factors; /* of gradients, instead of them: ink_network_can_keep_factors */
    bool is_bf16; /* products with weights, and their gradients', of operands rounded to bf16 */
};

/* Whether gradients of such a batch may be kept as factors: of all weights (not an adapter's),
 * without recomputing, up to 256 tokens, and widths are multiples of 16. */
bool ink_network_can_keep_factors(const struct ink_model *model, int trained_tokens);

/* Bytes that it takes, parameters and gradients not among them. rank: of an adapter, or 0. */
uint64_t ink_network_bytes(const struct ink_model *model, const struct ink_network_limits *limits,
                           int rank);

/* What an adapter adds while it is trained. */
struct ink_network_adapter {
    struct ink_parameters *parameters; /* of ink_lora_open */
    int rank;
    double scale;
    double dropout; /* of the input of A, 0 to 1 exclusive: only in ink_network_run */
};

/* `adapter` may be NULL; with one, the model's own parameters are frozen. Both must stay open. */
int ink_network_open(struct ink_network **out, struct ink_model *model,
                     struct ink_parameters *parameters, const struct ink_network_adapter *adapter,
                     const struct ink_network_limits *limits, struct ink_error *error);
void ink_network_close(struct ink_network *net);

/* Forward alone: *loss is the sum of the labels' negative log likelihoods, in nats. The batch is
 * within the limits, its tokens and labels in the vocabulary (checked: INK_ERROR_ARGUMENT). */
int ink_network_loss(struct ink_network *net, const struct ink_packed *batch, double *loss,
                     struct ink_error *error);
/* What the next runs drop out: the same seed, the same choice. Without dropout it changes nothing.
 */
void ink_network_set_seed(struct ink_network *net, uint64_t seed);
/* Forward and backward: the gradients of `by` times that sum, which are added to those that are
 * there, or replace them. by is 1 / the number of labels of all batches of a step. */
int ink_network_run(struct ink_network *net, const struct ink_packed *batch, double by, bool adds,
                    double *loss, struct ink_error *error);

/* After a run, of the factors kept, if any: the sum of squares of all matrices' gradients, the same
 * for any number of threads: ||dyᵀ x||² = sum over rows s, t of (dy_s · dy_t) (x_s · x_t). Its
 * error is some 1e-7 of the sum of |terms|: where rows' gradients cancel out almost wholly, so that
 * a norm is a few thousandths of theirs or less, little of it is more than rounding. In bf16
 * factors are rounded first, as the update's products take them. */
double ink_network_squares(struct ink_network *net);
/* One step of the optimizer for all matrices, as ink_optimizer_begin gives it: their values and
 * moments change. */
void ink_network_update(struct ink_network *net, struct ink_optimizer *optimizer,
                        const struct ink_adamw *by);

#endif
