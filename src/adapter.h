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

#endif
