/* Recorded runs of known weights, and published files by their SHA-256. The tables in oracle.c are
 * written by tests/ref/make_oracles.py. */
#ifndef INK_ORACLE_H
#define INK_ORACLE_H

#include <stdint.h>

#define INK_ORACLE_TOP 8

/* A greedy run in another program. A model with these dimensions whose embedding of the last prompt
 * token has exactly the recorded values is taken for the one that was recorded. */
struct ink_oracle {
    const char *name;
    int vocab_size, hidden_size, n_layers;
    const int32_t *prompt; /* [n_prompt] */
    int n_prompt;
    const int32_t *answer; /* [n_answer] */
    int n_answer;
    const int32_t *top_ids;  /* [INK_ORACLE_TOP]: the best first tokens */
    const float *top_logits; /* [INK_ORACLE_TOP] */
    /* at the last prompt token: the largest channels of the embedding, of each layer's output, and
     * in place of the last layer's that after the final norm (transformers' hidden_states) */
    const int32_t *channels;  /* [n_layers + 1, INK_ORACLE_TOP] */
    const float *values;      /* [n_layers + 1, INK_ORACLE_TOP] */
    float absolute, relative; /* how far another program's float32 may be off: the larger counts */
};
extern const struct ink_oracle ink_oracles[]; /* [ink_n_oracles] */
extern const int ink_n_oracles;

struct ink_known_file {
    const char *name;
    uint64_t n_bytes;
    const char *sha256; /* lower-case hexadecimal */
};
extern const struct ink_known_file ink_known_files[]; /* [ink_n_known_files] */
extern const int ink_n_known_files;

#endif
