/* training_state.json: what a checkpoint knows beside numbers in tensors, so that a run goes on as
 * if it had never stopped, and only with the arguments and data that it began with. */
#ifndef INK_TRAIN_TRAINING_STATE_H
#define INK_TRAIN_TRAINING_STATE_H

#include "common.h"

/* An argument by name, or a file by its role: "learning_rate" is "2e-05". */
struct ink_training_fact {
    char *name, *value;
};
/* A file of the checkpoint's folder. */
struct ink_training_file {
    char *name;
    uint64_t n_bytes;
};

#define INK_MAX_TRAINING_FACTS 1024
#define INK_MAX_TRAINING_FILES 256

/* Start with {0}; close it. Numbers are 0..2^53 - 1, doubles finite. */
struct ink_training_state {
    int64_t step;       /* optimizer steps done */
    int64_t epoch;      /* whole epochs done */
    int64_t position;   /* of the epoch under way: samples done, in its order */
    uint64_t random[4]; /* state of the trainer's generator (dropout), in whatever form; any bits */
    double loss_sum;    /* since the last train row of the log: sum of the steps' losses */
    int64_t loss_steps; /* and their number */
    double total_loss;  /* sum of all steps' losses */
    double seconds;     /* that training took so far */
    /* What must not differ when the run goes on. What may (threads, save_steps) is not put here. */
    struct ink_training_fact *facts; /* [n_facts], names unique */
    int n_facts;
    /* The writer of a checkpoint fills these in: */
    bool has_optimizer;              /* a run can go on from here */
    struct ink_training_file *files; /* [n_files], but for training_state.json itself */
    int n_files;
};
void ink_training_state_close(struct ink_training_state *s);

/* The fact of a name, the state's own; NULL if there is none. */
struct ink_training_fact *ink_training_state_find(const struct ink_training_state *s,
                                                  const char *name);
/* Add a fact, or replace that of the name; copies both. */
int ink_training_state_set(struct ink_training_state *s, const char *name, const char *value,
                           struct ink_error *error);
/* The fact of a file: its size and SHA-256, not its path, so that it may move. Reads all of it. */
int ink_training_state_set_file(struct ink_training_state *s, const char *name, const char *path,
                                struct ink_error *error);
int ink_training_state_add_file(struct ink_training_state *s, const char *name, uint64_t n_bytes,
                                struct ink_error *error);

/* Are the facts of `now` those of `saved`, which was read from `path`? INK_ERROR_ARGUMENT names the
 * first that differs, and both values. */
int ink_training_state_compare(const struct ink_training_state *saved,
                               const struct ink_training_state *now, const char *path,
                               struct ink_error *error);

/* Append the file's text; out->failed tells that memory ran out. INK_ERROR_ARGUMENT for a number
 * that the file cannot hold. */
int ink_training_state_print(const struct ink_training_state *s, struct ink_string *out,
                             struct ink_error *error);
/* The opposite; nothing may be missing. On failure *out is {0}. `what` names the text. */
int ink_training_state_parse(struct ink_training_state *out, const char *text, size_t n,
                             const char *what, struct ink_error *error);
/* Of folder/training_state.json. */
int ink_training_state_write(const struct ink_training_state *s, const char *folder,
                             struct ink_error *error);
int ink_training_state_read(struct ink_training_state *out, const char *folder,
                            struct ink_error *error);

#define INK_TRAINING_STATE_FILE "training_state.json"

#endif
