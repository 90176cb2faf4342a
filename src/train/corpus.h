/* A data set as tokens in memory, and batches of its samples packed one after the other. */
#ifndef INK_TRAIN_CORPUS_H
#define INK_TRAIN_CORPUS_H

#include "data/encode.h"
#include "ops.h"

/* Of a sample only what trains is kept: up to its last trained token. A window of a long text
 * (ink_encoded_next) is a sample. */
struct ink_corpus {
    int32_t *tokens;   /* of all samples, one after the other */
    uint8_t *trained;  /* the same: 1 where predicting the token counts */
    uint64_t *begins;  /* [n + 1] */
    uint64_t *lines;   /* [n]: where in the file each began */
    size_t n;          /* samples */
    uint64_t n_labels; /* trained tokens of all */
    int longest;       /* tokens of one sample */
    size_t n_cut_prompts, n_cut_responses;
    size_t n_in_windows; /* texts that became more than one sample */
    size_t n_bad;        /* records left out: of the data set, or too long to be of use */
    size_t token_capacity, sample_capacity;
};

/* All samples of an open data set, texts in windows of up to `window` tokens. INK_ERROR_INPUT at
 * the first from which nothing is trained or that cannot be encoded, unless skip_bad: then it is
 * counted; in any case if none is left. Close it in any case. */
int ink_corpus_read(struct ink_corpus *c, const struct ink_dataset *dataset,
                    const struct ink_tokenizer *tokenizer, const struct ink_encode_options *options,
                    int window, bool skip_bad, struct ink_error *error);
void ink_corpus_close(struct ink_corpus *c);

/* The most tokens that any `batch` samples have, as packed. */
int ink_corpus_largest_batch(const struct ink_corpus *c, int batch);

/* Memory for a batch. Start with {0}; filling makes it grow. */
struct ink_batch_memory {
    struct ink_packed packed;
    int32_t *memory; /* of all arrays of `packed` */
    size_t capacity;
};
/* Samples order[0..n-1], without the last token of each, which predicts nothing. */
int ink_corpus_pack(const struct ink_corpus *c, struct ink_batch_memory *out, const uint32_t *order,
                    int n, struct ink_error *error);
void ink_batch_memory_free(struct ink_batch_memory *b);

#endif
