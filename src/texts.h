/* The translations behind ink_text and ink_fail: English format to Chinese format. In texts.c;
 * those of training data, src/data and its command, in texts_data.c, those of evaluation in
 * texts_eval.c, those of training in texts_train.c. */
#ifndef INK_TEXTS_H
#define INK_TEXTS_H

#include <stddef.h>

struct ink_translation {
    const char *english, *chinese;
};
extern const struct ink_translation ink_texts_data[];
extern const size_t ink_texts_data_count;
extern const struct ink_translation ink_texts_eval[];
extern const size_t ink_texts_eval_count;
extern const struct ink_translation ink_texts_train[];
extern const size_t ink_texts_train_count;

/* NULL where the tables have no such text. A test holds the sources and the tables together: every
 * literal given to ink_fail or ink_text must be there, with the same conversions in the same
 * order. */
const char *ink_texts_find_chinese(const char *english);

#endif
