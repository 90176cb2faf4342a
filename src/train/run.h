/* A whole training run: data in, checkpoints, log and plot out.
 *
 * The output folder holds checkpoint-N (checkpoint.h), trainer_state.json of the whole run,
 * loss_curve.svg and .png, and runs/ with TensorBoard's events. A new model (initial.h) is saved as
 * checkpoint-0 before its first step. */
#ifndef INK_TRAIN_RUN_H
#define INK_TRAIN_RUN_H

#include "history.h"
#include "trainer.h"

struct ink_run_settings {
    const char *train_path, *val_path; /* val NULL: none */
    const char *output;
    struct ink_dataset_options data;
    struct ink_encode_options encode;
    int window; /* tokens of a text that are read together; at least 2 */
    struct ink_trainer_settings trainer;
    int64_t logging_steps, save_steps, eval_steps; /* save 0: only at the end; eval 0: never */
    int save_limit;                                /* 0: keep all */
    int eval_batch;
    bool resumes;    /* go on from the newest checkpoint in output, if there is one */
    bool saves_bf16; /* checkpoints' weights as bfloat16 */
    bool is_dry;     /* stop before the first step: see ink_run_plan */
};

/* What the run will take, known before its first step. */
struct ink_run_plan {
    const struct ink_corpus *train, *val; /* val NULL: none */
    const char *schema;                   /* of the data */
    int64_t max_steps, first_step;        /* steps done by the run it goes on from */
    const char *resumed_from;             /* NULL: from the start */
    uint64_t memory, free_memory;         /* bytes; free UINT64_MAX: unknown */
    uint64_t n_trained;                   /* values */
    uint64_t checkpoint_bytes;            /* of one */
    double operations;                    /* floating-point, of all steps that are left */
    bool recomputes;                      /* activations, since memory is short */
    const char *products;                 /* of ink_kernels */
    double seconds;                       /* of a dry run: what the steps that are left may take */
    double sum_seconds;                   /* and how much of that sums over processes */
};

/* Calls at the events of a run; any may be NULL. One that returns non-zero ends the run after it
 * has saved a checkpoint: INK_ERROR_CANCELLED. */
struct ink_run_watch {
    void *context;
    int (*planned)(void *context, const struct ink_run_plan *plan);
    int (*stepped)(void *context, const struct ink_trainer_report *report, int64_t max_steps);
    int (*logged)(void *context, const struct ink_history_row *row);
    int (*saved)(void *context, const char *checkpoint);
};

/* `model` is open without weights, with its tokenizer. Of several processes (settings->trainer.
 * cluster) each reads model and data, which must be the same (INK_ERROR_ARGUMENT); the output
 * folder is that of rank 0 alone, from where all go on. The calls of `watch` are made on every
 * process; those that stepped() asks to stop stop all. */
int ink_run(struct ink_model *model, const struct ink_run_settings *settings,
            const struct ink_run_watch *watch, struct ink_error *error);

#endif
