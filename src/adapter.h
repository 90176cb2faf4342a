/* LoRA adapters in memory: the low-rank terms of a model's matrices. Read-only once open, but for
 * the working memory that ink_eval writes under the model's lock. */
#ifndef INK_ADAPTER_H
#define INK_ADAPTER_H

#include "model.h"

/* Of one matrix. */
#define INK_MAX_RANK 1024

struct ink_adapter {
    const struct ink_model *model;
    char *path;
    struct ink_low_rank *matrices; /* [n_layers * INK_ADAPTED_MATRICES], by ink_weight.adapted */
    float *memory;                 /* what they point to; freed with ink_free_aligned */
    struct ink_adapter_info info;
};

/* SHA-256 of ranks and some values of each term, the scale in them: do two processes have the same?
 * Not of all, as ink_weights_fingerprint. */
void ink_adapter_fingerprint(const struct ink_adapter *adapter, char hex[65]);

#endif
