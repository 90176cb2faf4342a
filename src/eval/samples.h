/* What a model is evaluated on: the samples of a data set as tokens, and of each the question that
 * it is asked and the answer that is expected. */
#ifndef INK_EVAL_SAMPLES_H
#define INK_EVAL_SAMPLES_H

#include "data/dataset.h"
#include "data/encode.h"

/* Which predictions count in the loss.
 *   answer-end  answers and the token that ends each: what training minimises
 *   answer      answers without it
 *   all         every token but the first: prompts too */
enum ink_loss_scope { INK_SCOPE_ANSWER_END, INK_SCOPE_ANSWER, INK_SCOPE_ALL, INK_SCOPE_COUNT };
const char *ink_loss_scope_name(enum ink_loss_scope scope); /* "answer-end", ... */

struct ink_eval_sample {
    struct ink_encoded encoded;
    uint64_t line;    /* of the file, from 1 */
    bool has_answer;  /* else the sample is a mere text, or a window of one (ink_encoded_next), and
                         the rest below is empty */
    size_t n_prompt;  /* the first of encoded.tokens, up to the last answer that is trained on: what
                         the model is asked. Earlier answers in it are those of the data. */
    char *question;   /* the user's turn before that answer, as text; malloc'ed */
    char *reference;  /* the answer; malloc'ed */
    uint8_t *counted; /* [encoded.n]: the tokens in scope */
};

struct ink_eval_options {
    struct ink_encode_options encode;
    enum ink_loss_scope scope;
    size_t limit;  /* use the first so many; 0: all */
    size_t window; /* tokens of a text that are read together; 0, or more than it: the model's
                      context */
};

/* Start with {0}. */
struct ink_eval_set {
    struct ink_eval_sample *samples; /* [n] */
    size_t n, n_answers;             /* those with has_answer */
    size_t n_prompts_cut, n_responses_cut;
    size_t longest;              /* tokens of the longest sample */
    size_t n_in_windows, window; /* texts that became several samples, of so many tokens */
};

/* Encode the samples for `model`, which must have a tokenizer. INK_ERROR_LIMIT names the line of a
 * sample that is longer than the model's context, INK_ERROR_INPUT that of one of which no token is
 * in scope. *out is to be closed even then. */
int ink_eval_set_open(struct ink_eval_set *out, const struct ink_model *model,
                      const struct ink_dataset *dataset, const struct ink_eval_options *options,
                      struct ink_error *error);
void ink_eval_set_close(struct ink_eval_set *set);

#endif
