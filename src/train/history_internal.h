/* What history.c and history_read.c share. Nobody else includes this. */
#ifndef INK_TRAIN_HISTORY_INTERNAL_H
#define INK_TRAIN_HISTORY_INTERNAL_H

#include "history.h"

#define INK_HISTORY_FILE "trainer_state.json"
#define INK_HISTORY_KINDS 3

/* The keys of each kind of row, but for epoch and step: values[i] belongs to names[i]. A row that
 * has the key `marks` is of this kind. */
struct ink_history_keys {
    int n;
    const char *names[INK_HISTORY_VALUES];
    const char *marks;
};
extern const struct ink_history_keys ink_history_keys[INK_HISTORY_KINDS];

#endif
