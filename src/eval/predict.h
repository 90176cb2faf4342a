/* A model's answers to the questions of a set: several are written at a time, and as soon as one
 * ends the next question takes its place. */
#ifndef INK_EVAL_PREDICT_H
#define INK_EVAL_PREDICT_H

#include "samples.h"

struct ink_predict_options {
    struct ink_sampling sampling; /* sample i of the set draws with seed + i */
    int max_new_tokens;
    const char *const *stops; /* [n_stops] texts that end an answer and are not part of it */
    int n_stops;
    int batch; /* answers that are written together, at least 1: they do not depend on it */
    enum ink_kv_type kv_type;
    const struct ink_adapter *adapter; /* NULL: none */
    int share, n_shares; /* only samples share, share + n_shares, ...; n_shares 0: all */
};

/* Start with {0}. */
struct ink_prediction {
    struct ink_string text; /* data is not NULL once the answer was written */
    int n_tokens;           /* of the answer, without the one that ended it */
    bool is_complete;       /* it ended by itself, or at a stop text; else at max_new_tokens or the
                               context's end */
};
void ink_prediction_free(struct ink_prediction *p);

/* out [set->n]; that of a sample without an answer, or of another share, stays {0}. `progress` (may
 * be NULL) gets answers; non-zero cancels, and what was written so far stays in out.
 * INK_ERROR_INPUT if the model's scores are not numbers. */
int ink_predict(struct ink_prediction *out, struct ink_model *model, const struct ink_eval_set *set,
                const struct ink_predict_options *options, ink_progress_function *progress,
                void *context, struct ink_error *error);

#endif
