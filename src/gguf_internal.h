/* What the files that read GGUF share. */
#ifndef INK_GGUF_INTERNAL_H
#define INK_GGUF_INTERNAL_H

#include "gguf.h"

#include "weights.h"

/* Value types of the metadata, as numbered in the file. */
enum ink_gguf_type {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_TYPE_COUNT
};

/* Bytes of one value; 0: it has no fixed size. */
extern const unsigned char ink_gguf_value_bytes[GGUF_TYPE_COUNT];

struct ink_gguf_pair {
    const char *key; /* [n_key], UTF-8 without NUL */
    size_t n_key;
    enum ink_gguf_type type; /* of the elements if is_array; never GGUF_ARRAY */
    bool is_array;
    uint64_t n;              /* elements; 1 if not is_array */
    const unsigned char *at; /* the first; all n were checked to lie inside the file */
};

struct ink_gguf {
    char *path;
    struct ink_gguf_pair *pairs; /* [n_pairs], sorted by key */
    size_t n_pairs;
};

/* By bytes, then by length. */
int ink_gguf_compare_keys(const char *a, size_t n_a, const char *b, size_t n_b);

/* A file being read from start to end. */
struct ink_gguf_reader {
    const unsigned char *p; /* the file [size], read up to `at` */
    uint64_t size, at;
    const char *path;
    struct ink_error *error;
};

uint64_t ink_gguf_rest(const struct ink_gguf_reader *r);  /* bytes that are left */
int ink_gguf_ends_early(const struct ink_gguf_reader *r); /* fails with that message */
/* On failure *out is 0. */
int ink_gguf_read_u32(struct ink_gguf_reader *r, uint32_t *out);
int ink_gguf_read_u64(struct ink_gguf_reader *r, uint64_t *out);
int ink_gguf_read_string(struct ink_gguf_reader *r, struct ink_gguf_string *out);

/* The n tensor descriptions at r->at, and their tensors into w. gguf_tensors.c */
int ink_gguf_read_tensors(struct ink_gguf_reader *r, struct ink_weights *w, uint64_t n,
                          uint64_t alignment);

#endif
