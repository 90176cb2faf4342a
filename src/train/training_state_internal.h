/* What training_state.c and training_state_read.c share. Nobody else includes this. */
#ifndef INK_TRAIN_TRAINING_STATE_INTERNAL_H
#define INK_TRAIN_TRAINING_STATE_INTERNAL_H

#include "training_state.h"

#define INK_TRAINING_FORMAT "inkstone checkpoint"
#define INK_TRAINING_VERSION 1
#define INK_TRAINING_MAX 9007199254740991 /* 2^53 - 1 */

/* The file's numbers. One of the two is set. */
#define INK_TRAINING_NUMBERS 7
struct ink_training_number {
    const char *key;
    int64_t *count;
    double *real;
};
void ink_training_state_list(struct ink_training_number out[INK_TRAINING_NUMBERS],
                             struct ink_training_state *s);

#endif
