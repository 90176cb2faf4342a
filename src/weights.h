/* The tensors of a model on disk, whatever the container: safetensors, pytorch_model.bin (each
 * single or sharded), GGUF. Files are mapped, never copied, and nothing in them is trusted or
 * executed. */
#ifndef INK_WEIGHTS_H
#define INK_WEIGHTS_H

#include "file.h"
#include "tensor.h"

struct ink_gguf;

struct ink_weights {
    const char *format;        /* ink_model_info.format */
    struct ink_mapping *files; /* [n_files] */
    int n_files;
    struct ink_tensor *tensors; /* [n_tensors], in file order; names are unique */
    int n_tensors;
    struct ink_gguf *gguf; /* metadata if the format is GGUF, else NULL */
    void *index;           /* name lookup, private to weights.c */
};

/* Limits, each named in the message that enforces it. */
#define INK_MAX_TENSORS 65536
#define INK_MAX_TENSOR_NAME 255
#define INK_MAX_SHARDS 1024

/* Open `path`: a GGUF file, or a folder that holds one of model.safetensors,
 * model.safetensors.index.json, pytorch_model.bin, pytorch_model.bin.index.json (first of these).
 * A single safetensors or PyTorch file may be named itself too (goldens, adapters). A file with no
 * tensors opens: GGUF files of a vocabulary alone are such. On failure *out is {0}.
 *
 * Strict on purpose, since nothing that a language model needs is lost: tensors without dimensions,
 * with an empty one, with more than INK_MAX_DIMS, or of other element types than enum ink_type are
 * refused by name rather than skipped, whether a model would use them or not; so are tensors of a
 * shard that the index does not list. */
int ink_weights_open(struct ink_weights *out, const char *path, struct ink_error *error);
void ink_weights_close(struct ink_weights *w);
/* SHA-256 of the tensors' names, types, sizes and first 4 KiB each, as 64 digits and a terminator:
 * another model of the same shape has another. */
void ink_weights_fingerprint(const struct ink_weights *w, char hex[65]);
/* NULL if there is none of that name. */
const struct ink_tensor *ink_weights_find(const struct ink_weights *w, const char *name);

/* The three readers. Each appends the tensors of one mapped file to w->tensors. `path` is for
 * messages. Tensor data points into the mapping. On failure some tensors may have been appended;
 * ink_weights_close frees them. After the last reader, ink_weights_build_index. */
int ink_safetensors_read(struct ink_weights *w, const struct ink_mapping *file, const char *path,
                         struct ink_error *error);
int ink_torchbin_read(struct ink_weights *w, const struct ink_mapping *file, const char *path,
                      struct ink_error *error);
int ink_gguf_read(struct ink_weights *w, const struct ink_mapping *file, const char *path,
                  struct ink_error *error); /* sets w->gguf */

/* For look-up by name; refuses two tensors of one name. Until then ink_weights_find finds nothing.
 */
int ink_weights_build_index(struct ink_weights *w, const char *path, struct ink_error *error);

/* For the readers: is this a name for a tensor? Valid UTF-8 without NUL of 1..INK_MAX_TENSOR_NAME
 * bytes. */
int ink_weights_check_name(const char *name, size_t n_name, const char *path,
                           struct ink_error *error);

/* For the readers: append one tensor; copies the name (n_name bytes), checks the name, dims,
 * overflow, and that data[n_bytes] matches shape and type. */
int ink_weights_add(struct ink_weights *w, const char *name, size_t n_name, enum ink_type type,
                    const int64_t *shape, int n_dims, const void *data, uint64_t n_bytes,
                    const char *path, struct ink_error *error);

/* For writers: the start of a safetensors file, up to its data, which are then the entries' one
 * after the other without gaps. Appends to *out (its length and JSON, a multiple of 8 bytes); the
 * metadata is {"format":"pt"}, without which transformers refuses a file. Types are F32, F16, BF16;
 * the shapes' products are the caller's to check. */
struct ink_safetensors_entry {
    const char *name;
    enum ink_type type;
    const int64_t *shape; /* [n_dims] */
    int n_dims;
};
int ink_safetensors_make_header(struct ink_string *out, const struct ink_safetensors_entry *entries,
                                int n, struct ink_error *error);

#endif
