/* What the files of the pickle machine share. */
#ifndef INK_PICKLE_INTERNAL_H
#define INK_PICKLE_INTERNAL_H

#include "pickle.h"

#include "weights.h"

/* Limits, stated in the messages. A tensor takes about 16 values and 8 memo entries. */
enum {
    PICKLE_MAX_BYTES = 16 << 20,
    PICKLE_MAX_STACK = 65536,
    PICKLE_MAX_MEMO = 1 << 20,
    PICKLE_MAX_TUPLE_VALUES = 1 << 20,
    PICKLE_MAX_ITEMS = 4 * INK_MAX_TENSORS
};

enum ink_pickle_kind {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INTEGER,
    PICKLE_STRING,
    PICKLE_GLOBAL,
    PICKLE_TUPLE,
    PICKLE_DICT,
    PICKLE_STORAGE,
    PICKLE_TENSOR,
    PICKLE_MARK
};

/* Something on the stack, in the memo or in a tuple. Plain data: copies are free, nothing refers
 * back, so cycles cannot be made. */
struct ink_pickle_value {
    unsigned char kind;
    bool is_ordered; /* PICKLE_DICT: an OrderedDict */
    uint32_t n;      /* PICKLE_STRING, PICKLE_TUPLE: length */
    union {
        int64_t integer;    /* PICKLE_BOOL, PICKLE_INTEGER */
        const char *string; /* PICKLE_STRING */
        int global;         /* GLOBAL: enum global of pickle_ops.c */
        size_t at;          /* PICKLE_TUPLE: first of its values; others: number of the object */
    } u;
};

struct ink_pickle_storage {
    enum ink_type type;
    struct ink_pickle_value key;
    uint64_t n_values;
};

/* dictionary[key] = value, in the order of the pickle. */
struct ink_pickle_item {
    size_t dictionary;
    struct ink_pickle_value key, value;
};

/* Growing arrays. */
struct ink_pickle_array {
    void *data;
    size_t n, capacity;
};

struct ink_pickle_machine {
    const unsigned char *p; /* the pickle [n], read up to `at` */
    size_t n, at;
    size_t opcode_at;
    struct ink_pickle_array stack;    /* struct ink_pickle_value */
    struct ink_pickle_array memo;     /* struct ink_pickle_value */
    struct ink_pickle_array tuples;   /* struct ink_pickle_value: the contents of all tuples */
    struct ink_pickle_array storages; /* struct ink_pickle_storage */
    struct ink_pickle_array tensors;  /* struct ink_pickle_tensor, without name */
    struct ink_pickle_array items;    /* struct ink_pickle_item */
    size_t n_dictionaries;
    const char *path;
    struct ink_error *error;
};

/* ------------------------------------------------------------------------------ pickle_stack.c */

/* Fails with "bad pickle: WHY" and the place of the opcode. */
int ink_pickle_reject(const struct ink_pickle_machine *m, const char *why);

/* One more element of `size` bytes; at most `limit` of them. */
int ink_pickle_append(const struct ink_pickle_machine *m, struct ink_pickle_array *a,
                      const void *element, size_t size, size_t limit);
struct ink_pickle_value *ink_pickle_top(const struct ink_pickle_machine *m); /* if there is one */
int ink_pickle_push(struct ink_pickle_machine *m, struct ink_pickle_value v);
int ink_pickle_push_integer(struct ink_pickle_machine *m, enum ink_pickle_kind kind, int64_t i);
int ink_pickle_push_dictionary(struct ink_pickle_machine *m, bool is_ordered); /* a new one */

/* Are there n values above the latest mark? */
bool ink_pickle_has_values(const struct ink_pickle_machine *m, size_t n);
/* Number of values above the latest mark, in *n. Fails if there is no mark. */
int ink_pickle_find_mark(const struct ink_pickle_machine *m, size_t *n);
/* [tuple->n]; NULL if it is empty */
const struct ink_pickle_value *ink_pickle_tuple_values(const struct ink_pickle_machine *m,
                                                       const struct ink_pickle_value *tuple);

/* The next n bytes; NULL, having failed, at the end. */
const unsigned char *ink_pickle_take(struct ink_pickle_machine *m, size_t n);
/* Opcodes that read a value. An integer has n bytes. */
int ink_pickle_push_string(struct ink_pickle_machine *m);
int ink_pickle_push_bytes(struct ink_pickle_machine *m, size_t n, bool is_signed);
int ink_pickle_push_long(struct ink_pickle_machine *m);

/* -------------------------------------------------------------------------------- pickle_ops.c */

/* GLOBAL, BINPERSID, REDUCE, BUILD. */
int ink_pickle_push_global(struct ink_pickle_machine *m);
int ink_pickle_push_storage(struct ink_pickle_machine *m);
int ink_pickle_reduce(struct ink_pickle_machine *m);
int ink_pickle_build(struct ink_pickle_machine *m);
/* The n values on top, or those above the mark, become a tuple. */
int ink_pickle_make_tuple(struct ink_pickle_machine *m, size_t n);
int ink_pickle_make_marked_tuple(struct ink_pickle_machine *m);
/* The n values on top, or those above the mark, are keys and values for the dictionary below. */
int ink_pickle_set_items(struct ink_pickle_machine *m, size_t n, size_t n_marks);
int ink_pickle_set_marked_items(struct ink_pickle_machine *m);
/* The memo; its index has n_bytes, 1 or 4. */
int ink_pickle_put(struct ink_pickle_machine *m, size_t n_bytes);
int ink_pickle_get(struct ink_pickle_machine *m, size_t n_bytes);

#endif
