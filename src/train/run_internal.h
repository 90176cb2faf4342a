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

/* run_cluster.c; with one process alone they do nothing. */
/* Model, data and settings must be those of rank 0. */
int ink_run_compare_facts(struct run *r, struct ink_error *error);
/* Where rank 0 goes on from, and the numbers that it has read. */
int ink_run_share_resumed(struct run *r, struct ink_error *error);
/* All numbers that training changes must be the same, bit for bit. */
int ink_run_compare_values(struct run *r, struct ink_error *error);

#endif
