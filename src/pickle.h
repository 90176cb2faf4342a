/* The pickles that torch.save writes for a dictionary of tensors, read without executing anything.
 *
 * A pickle is a program for a stack machine that may call any Python function. This machine knows
 * only the opcodes and the seven names that a state dict needs; on meeting any other it stops and
 * says which. It calls nothing: "calling" _rebuild_tensor_v2 notes where the tensor lies. */
#ifndef INK_PICKLE_H
#define INK_PICKLE_H

#include "tensor.h"

/* One tensor of the dictionary, as the pickle describes it. Nothing here was checked against the
 * storage: it may be missing, too short, or of another size. Numbers are not negative. */
struct ink_pickle_tensor {
    const char *name; /* [n_name], as all strings here: in the pickle, any bytes */
    size_t n_name;
    const char *storage_key; /* [n_storage_key]: the storage is the entry data/KEY */
    size_t n_storage_key;
    uint64_t storage_values; /* length of the storage, in elements */
    uint64_t offset;         /* of the first element in it, in elements */
    enum ink_type type;      /* F32, F16 or BF16 */
    int n_dims;              /* any number; shape is set if it is 0..INK_MAX_DIMS */
    int64_t shape[INK_MAX_DIMS];
    bool is_contiguous; /* row-major without gaps; false if n_dims is above INK_MAX_DIMS */
};

/* A visitor returns INK_OK to go on. */
typedef int ink_pickle_visitor(void *context, const struct ink_pickle_tensor *tensor,
                               struct ink_error *error);

/* Interpret data[n] and call `visit` for each tensor, in the order of the dictionary. Memory is at
 * most a fixed multiple of n, and bounded. INK_ERROR_INPUT, naming `path` and what was refused. */
int ink_pickle_read(const unsigned char *data, size_t n, ink_pickle_visitor *visit, void *context,
                    const char *path, struct ink_error *error);

#endif
