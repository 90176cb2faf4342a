/* How well a model predicts texts: the negative log likelihood (natural logarithm) of tokens that
 * count, and the conventions by which that becomes one figure. */
#ifndef INK_EVAL_PERPLEXITY_H
#define INK_EVAL_PERPLEXITY_H

#include "common.h"

/* Token i is predicted from those before it, all of which the model reads; `counted` says whether
 * that prediction counts. counted[0] must be 0: nothing comes before it. */
struct ink_loss_text {
    const int32_t *tokens;  /* [n] */
    const uint8_t *counted; /* [n], 0 or 1 */
    size_t n;
};

/* Of one text. */
struct ink_loss {
    double nll;        /* sum of -log p over the tokens that count */
    uint64_t n_tokens; /* how many count */
};

struct ink_loss_options {
    const struct ink_adapter *adapter; /* NULL: none */
    enum ink_kv_type kv_type;
    int n_sessions; /* texts that are read together, at least 1: the result does not depend on it */
};

/* losses [n] of texts [n], which are read in their order, several at a time; each may be as long as
 * the model's longest context and one token more. Sums are double precision in the order of the
 * tokens, with exp and log of our own: the same figures for any number of sessions and threads.
 * `progress` (may be NULL) gets tokens; non-zero cancels. INK_ERROR_INPUT if the model's scores are
 * not numbers. */
int ink_loss_measure(struct ink_loss *losses, struct ink_model *model,
                     const struct ink_loss_text *texts, size_t n,
                     const struct ink_loss_options *options, ink_progress_function *progress,
                     void *context, struct ink_error *error);

/* Mean per token over all texts, sum of nll / sum of tokens: its exponential is the token-weighted
 * perplexity. NAN if nothing counts. */
double ink_loss_mean(const struct ink_loss *losses, size_t n);

/* eval_loss as Hugging Face's Trainer reports it: the mean per token inside each batch of
 * `batch` texts (in their order; the last may be smaller), weighted by the texts in it. It depends
 * on the batch size where texts differ in length; transformers' default is 8. */
double ink_loss_hugging_face(const struct ink_loss *losses, size_t n, int batch);

#endif
