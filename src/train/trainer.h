/* Training, a step at a time: which samples come when, the gradient over them, the optimizer.
 *
 * Order and arithmetic are those of Hugging Face's Trainer: epoch e visits the samples in
 * torch.randperm's order for seed + e; a step takes `accumulation` batches of batch_size samples
 * (fewer at an epoch's end); its loss is the mean over the labels of all of them; max_steps is
 * ceil(epochs * ceil(ceil(samples / batch_size) / accumulation)). So where a run stands is told by
 * its step alone, and a run that goes on from a checkpoint takes the same steps as one that never
 * stopped, bit for bit.
 *
 * Several processes (cluster.h) share the samples of each step, and those of an evaluation: each
 * has all parameters and takes the same optimizer step with the sum of all gradients. What a step
 * is does not depend on their number, up to rounding in those sums; batch_size stays what one
 * process computes at once, at most. */
#ifndef INK_TRAIN_TRAINER_H
#define INK_TRAIN_TRAINER_H

#include "cluster/cluster.h"
#include "corpus.h"
#include "lora.h"
#include "network.h"
#include "optimizer.h"

struct ink_trainer_settings {
    bool is_lora;
    struct ink_lora_settings lora;
    enum ink_base base; /* of LoRA: INK_BASE_FROZEN or INK_BASE_INT8 */
    double dropout;     /* of LoRA */
    double epochs;      /* > 0 */
    int64_t max_steps;  /* 0: as the epochs say */
    int batch_size, accumulation;
    double rate; /* at most */
    enum ink_schedule schedule;
    int64_t warmup; /* steps */
    double beta1, beta2, epsilon, weight_decay, clip;
    uint64_t seed;
    int threads;
    bool recomputes;             /* activations; see network.h */
    bool is_bf16;                /* products; likewise. Weights and moments are in float32 */
    struct ink_cluster *cluster; /* the processes that share the work; NULL: this one alone */
};

struct ink_trainer {
    struct ink_trainer_settings settings;
    struct ink_model *model;
    const struct ink_corpus *train;
    struct ink_parameters *base, *trained; /* the same unless is_lora */
    struct ink_network *net;
    struct ink_optimizer *optimizer;
    uint32_t *order;     /* [train->n]: of `epoch` */
    int64_t order_epoch; /* -1: none yet */
    int64_t steps_a_epoch, max_steps;
    int64_t step; /* done */
    struct ink_batch_memory batch;
    int eval_tokens; /* room for evaluation: tokens of a batch */
};

/* What a step did. */
struct ink_trainer_report {
    int64_t step; /* from 1 */
    double epoch; /* done, with a fraction */
    double loss;  /* mean over the step's labels, in nats */
    double norm;  /* of the gradient, before clipping */
    double rate;
    int64_t n_tokens, n_labels; /* of the step, all processes' */
    double sum_seconds;         /* of summing over processes, waiting for them included */
};

/* Whether is_bf16 makes products faster here: the processor multiplies pairs of bf16. */
bool ink_trainer_prefers_bf16(void);

/* Bytes that training takes in all: weights, gradients, moments, activations. `val` may be NULL. */
uint64_t ink_trainer_bytes(const struct ink_model *model, const struct ink_corpus *train,
                           const struct ink_corpus *val,
                           const struct ink_trainer_settings *settings);

/* The model (opened without weights), train and val must stay. */
int ink_trainer_open(struct ink_trainer **out, struct ink_model *model,
                     const struct ink_corpus *train, const struct ink_corpus *val,
                     const struct ink_trainer_settings *settings, struct ink_error *error);
void ink_trainer_close(struct ink_trainer *t);

static inline bool ink_trainer_is_done(const struct ink_trainer *t)
{
    return t->step >= t->max_steps;
}

/* The next step, of all processes. INK_ERROR_LIMIT if its loss or gradient is no finite number: it
 * names step and sample's line; the weights are then as before the step. */
int ink_trainer_step(struct ink_trainer *t, struct ink_trainer_report *report,
                     struct ink_error *error);

/* After values, moments and optimizer->steps were read from a checkpoint of step `step`. */
void ink_trainer_go_on(struct ink_trainer *t, int64_t step);

struct ink_trainer_evaluation {
    double loss;          /* mean over all labels */
    double mean_of_means; /* Hugging Face's eval_loss: the mean of batches' losses, by samples */
    size_t n_samples, n_batches;
    uint64_t n_labels;
};
/* The losses of a corpus, in batches of eval_batch samples as they come (8 is Hugging Face's
 * default; it changes mean_of_means only). Processes share the batches; all get the result. */
int ink_trainer_evaluate(struct ink_trainer *t, const struct ink_corpus *corpus, int eval_batch,
                         struct ink_trainer_evaluation *out, struct ink_error *error);

#endif
