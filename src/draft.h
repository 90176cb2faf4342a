/* Guessing the next tokens from what was written before: what followed the last few tokens when
 * they stood there earlier. Guesses cost nothing but the rows that check them, so most of this is
 * about when to guess: how often guesses were right lately, against what passes of several rows
 * were seen to cost. */
#ifndef INK_DRAFT_H
#define INK_DRAFT_H

#include "common.h"

enum {
    INK_DRAFT_MIN_MATCH = 2,  /* tokens that must be the same before a guess is made */
    INK_DRAFT_LONG_MATCH = 8, /* longer matches count as this long */
};

struct ink_draft {
    int32_t *tokens; /* [capacity]: the text */
    int n, capacity;
    /* Places in the text by the INK_DRAFT_MIN_MATCH tokens that end there: the latest of each
     * bucket, and for each place the one before it; -1: none. NULL without drafts. */
    int32_t *latest;   /* [mask + 1] */
    int32_t *previous; /* [capacity] */
    uint32_t mask;
    int match, match_length; /* tokens[match] is the guess for tokens[n]; length 0: there is none */

    /* Of guesses with a match of that length: how many there were and were right, of late. */
    float tries[INK_DRAFT_LONG_MATCH + 1], hits[INK_DRAFT_LONG_MATCH + 1];
    double row_seconds;            /* a pass of one row; 0: none was seen */
    float cost[INK_MAX_DRAFT + 2]; /* a pass of n rows in passes of one; 0: none was seen */
    double prompt_seconds_per_row; /* of the last prompt; 0: none was seen */
    bool always;                   /* guess whenever there is a match */
};

/* Bytes that ink_draft_open takes. */
uint64_t ink_draft_bytes(int capacity, bool with_drafts);
int ink_draft_open(struct ink_draft *d, int capacity, bool with_drafts, struct ink_error *error);
void ink_draft_close(struct ink_draft *d);

/* Forget all but the first n tokens. */
void ink_draft_truncate(struct ink_draft *d, int n);
/* Append tokens to the text; there must be room. `learn`: they were chosen by the model, so they
 * tell whether guesses are right; a prompt does not. */
void ink_draft_append(struct ink_draft *d, const int32_t *tokens, int n, bool learn);

/* Guess the next tokens: out [most], most <= INK_MAX_DRAFT. Returns how many; 0 where a guess would
 * probably cost more time than it saves. */
int ink_draft_propose(struct ink_draft *d, int32_t *out, int most);
/* A pass took that long. */
void ink_draft_note_pass(struct ink_draft *d, int n_rows, double seconds);

#endif
