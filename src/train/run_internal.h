/* What run.c and run_files.c share. */
#ifndef INK_TRAIN_RUN_INTERNAL_H
#define INK_TRAIN_RUN_INTERNAL_H

#include "checkpoint.h"
#include "events.h"
#include "run.h"

struct run {
    const struct ink_run_settings *settings;
    const struct ink_run_watch *watch;
    struct ink_model *model;
    struct ink_dataset *train_data, *val_data;
    struct ink_corpus train, val;
    struct ink_trainer *trainer;
    struct ink_history history;
    struct ink_training_state state;
    struct ink_events events;
    bool has_events;
    char *resumed_from;
    /* what a checkpoint is made of */
    struct ink_checkpoint checkpoint;
    struct ink_checkpoint_tensor *tensors;
    struct ink_checkpoint_lora lora;
    const char *targets[INK_ADAPTED_MATRICES];
    /* since the last row of the log, or the start */
    double started; /* ink_system_seconds, less what went before a resume */
};

/* run_files.c */
/* The facts that must not differ when a run goes on, into run->state. */
int ink_run_set_facts(struct run *r, struct ink_error *error);
/* Fill in run->checkpoint; needs run->trainer. */
int ink_run_describe(struct run *r, struct ink_error *error);
/* Find the newest checkpoint, compare, and load it. */
int ink_run_resume(struct run *r, struct ink_error *error);
/* Write the checkpoint of this step. */
int ink_run_save(struct run *r, struct ink_error *error);
/* trainer_state.json and the plot, in the output folder. */
int ink_run_write_log(struct run *r, struct ink_error *error);

#endif
