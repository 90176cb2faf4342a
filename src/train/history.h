/* The log of a training run, and trainer_state.json, where Hugging Face's Trainer keeps it.
 *
 * The file is what json.dumps(state, indent=2, sort_keys=True) writes of transformers' TrainerState
 * (src/transformers/trainer_callback.py), byte for byte: floats as Python's repr, keys in order. */
#ifndef INK_TRAIN_HISTORY_H
#define INK_TRAIN_HISTORY_H

#include "common.h"

/* Of one file. A row is some 150 bytes of text. */
#define INK_MAX_HISTORY_ROWS 500000

enum ink_history_kind {
    INK_HISTORY_TRAIN, /* every logging_steps */
    INK_HISTORY_EVAL,  /* after each evaluation */
    INK_HISTORY_FINAL, /* once, at the end */
};

/* A row's values beside epoch and step: keys of the file in their order. Rates are of the whole
 * process, runtimes seconds; transformers rounds those with ink_number_round to 4 places, samples
 * and steps a second to 3. */
enum ink_history_value {
    /* train */
    INK_HISTORY_GRAD_NORM = 0,     /* L2 norm of all gradients before clipping, of the last step */
    INK_HISTORY_LEARNING_RATE = 1, /* of the last step: before the schedule moves on */
    INK_HISTORY_LOSS = 2,          /* mean of the steps since the last train row */
    /* eval */
    INK_HISTORY_EVAL_LOSS = 0,
    INK_HISTORY_EVAL_RUNTIME = 1,
    INK_HISTORY_EVAL_SAMPLES_PER_SECOND = 2,
    INK_HISTORY_EVAL_STEPS_PER_SECOND = 3,
    /* final */
    INK_HISTORY_TOTAL_FLOS = 0,
    INK_HISTORY_TRAIN_LOSS = 1, /* mean of all steps */
    INK_HISTORY_TRAIN_RUNTIME = 2,
    INK_HISTORY_TRAIN_SAMPLES_PER_SECOND = 3,
    INK_HISTORY_TRAIN_STEPS_PER_SECOND = 4,
    INK_HISTORY_VALUES = 5,
};

struct ink_history_row {
    enum ink_history_kind kind;
    int64_t step; /* optimizer steps done */
    double epoch; /* epochs done, with a fraction */
    double values[INK_HISTORY_VALUES];
};

/* The fields of TrainerState that a run has. Start with {0}; close it. */
struct ink_history {
    struct ink_history_row *rows; /* [n_rows] in the order they were logged */
    int n_rows, capacity;
    int64_t step, max_steps; /* global_step; of the whole run */
    double epoch;
    int num_train_epochs;                      /* whole ones: 2.5 count as 3 */
    int logging_steps, eval_steps, save_steps; /* eval_steps 0: no evaluation, written as null */
    int train_batch_size;
    int64_t n_tokens;  /* num_input_tokens_seen */
    double total_flos; /* floating-point operations so far */
    bool is_finished;  /* should_training_stop: the last step is done */
    /* The least eval_loss so far and its step, and the checkpoint of that step if there is one.
     * best_step 0: none. */
    double best_metric;
    int64_t best_step;
    char *best_checkpoint; /* NULL: none; malloc'ed */
};

/* Append a copy of the row. INK_ERROR_LIMIT beyond INK_MAX_HISTORY_ROWS. An eval row that is better
 * than all before it becomes the best; its checkpoint is the caller's to set. */
int ink_history_add(struct ink_history *h, const struct ink_history_row *row,
                    struct ink_error *error);
/* Forget the rows of later steps, as a run that is resumed at `step` must. (Those of a checkpoint
 * hold none.) */
void ink_history_cut(struct ink_history *h, int64_t step);
void ink_history_close(struct ink_history *h);

/* The file's text. Appends; out->failed tells that memory ran out. */
void ink_history_print(const struct ink_history *h, struct ink_string *out);
/* Write folder/trainer_state.json, aside and renamed. */
int ink_history_write(const struct ink_history *h, const char *folder, struct ink_error *error);

/* The opposite. Accepts what transformers writes too: rows are told apart by their keys (loss,
 * eval_loss, train_loss), other metrics in them are ignored, and what is not there is 0. NaN and
 * infinities are taken as Python writes them. On failure *out is {0}. `what` names the text. */
int ink_history_parse(struct ink_history *out, const char *text, size_t n, const char *what,
                      struct ink_error *error);
int ink_history_read(struct ink_history *out, const char *folder, struct ink_error *error);

#endif
