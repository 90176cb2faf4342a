/* A session that remembers which tokens it has read, so that only new ones are evaluated. */
#ifndef INK_READER_H
#define INK_READER_H

#include "inkstone.h"

struct ink_reader {
    struct ink_model *model;
    struct ink_session *session;
    int32_t *tokens; /* [capacity], those that the session has read */
    float *logits;   /* [vocab_size], of the last token */
    int n_reused;    /* tokens that the last ink_reader_read did not have to evaluate */
};

/* n_positions as ink_session_open. Start with {0}. */
int ink_reader_open(struct ink_reader *r, struct ink_model *model, int n_positions,
                    enum ink_kv_type type, struct ink_error *error);
void ink_reader_close(struct ink_reader *r);

/* Make the session have read exactly tokens[n_tokens], n_tokens >= 1, keeping what it shares with
 * them from the start; logits are those of the last. A progress bar shows on a terminal. Ctrl-C:
 * INK_ERROR_CANCELLED, with some of the tokens read. */
int ink_reader_read(struct ink_reader *r, const int32_t *tokens, int n_tokens,
                    struct ink_error *error);
/* Append one token. */
int ink_reader_append(struct ink_reader *r, int32_t token, struct ink_error *error);

#endif
