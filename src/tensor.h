/* Tensor element types, and a tensor as it lies in a file. */
#ifndef INK_TENSOR_H
#define INK_TENSOR_H

#include "common.h"

#define INK_MAX_DIMS 4

enum ink_type {
    INK_TYPE_F32,
    INK_TYPE_F16,
    INK_TYPE_BF16,
    INK_TYPE_Q8_0,
    INK_TYPE_Q4_0,
    INK_TYPE_Q4_1,
    INK_TYPE_Q5_0,
    INK_TYPE_Q5_1,
    INK_TYPE_Q4_K,
    INK_TYPE_Q5_K,
    INK_TYPE_Q6_K,
    INK_TYPE_COUNT,
};

/* A row is a whole number of blocks of block_values elements in block_bytes bytes. */
struct ink_type_facts {
    const char *name; /* "F32", "Q8_0", ... as ggml writes them */
    int block_values, block_bytes;
    int ggml_id; /* its number in a GGUF file */
};
const struct ink_type_facts *ink_type_facts(enum ink_type type);
/* Bytes of n elements, whole blocks. */
uint64_t ink_type_bytes(enum ink_type type, uint64_t n);

struct ink_tensor {
    char *name; /* as in the file */
    enum ink_type type;
    int n_dims;                  /* 1..INK_MAX_DIMS */
    int64_t shape[INK_MAX_DIMS]; /* outermost first: a matrix is [rows, cols] */
    const void *data;            /* in a mapped file; any alignment; row-major */
    uint64_t n_bytes;            /* checked to lie inside the file and to match shape and type */
};

uint64_t ink_tensor_count(const struct ink_tensor *t); /* number of elements */

#endif
