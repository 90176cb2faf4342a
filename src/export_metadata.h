/* The metadata of a GGUF file that is being written: keys and values, little-endian. What fails for
 * want of memory shows in bytes.failed. */
#ifndef INK_EXPORT_METADATA_H
#define INK_EXPORT_METADATA_H

#include "tensor.h"

/* Types of values, as numbered in files. */
enum ink_metadata_type {
    INK_METADATA_U32 = 4,
    INK_METADATA_I32 = 5,
    INK_METADATA_F32 = 6,
    INK_METADATA_BOOL = 7,
    INK_METADATA_STRING = 8,
    INK_METADATA_ARRAY = 9,
};

struct ink_metadata {
    struct ink_string bytes;
    uint64_t n_keys;
    char prefix[16]; /* the architecture, "ernie4_5" or "llama": what keys that begin with "."
                        belong to */
};

/* One key with its value. */
void ink_metadata_add_int(struct ink_metadata *m, const char *key, int value); /* as u32 */
void ink_metadata_add_float(struct ink_metadata *m, const char *key, float value);
void ink_metadata_add_bool(struct ink_metadata *m, const char *key, bool value);
void ink_metadata_add_text(struct ink_metadata *m, const char *key, const char *text);
void ink_metadata_add_bytes(struct ink_metadata *m, const char *key, const char *text, size_t n);
/* The last part of a path, without slashes and ".gguf" at its end; nothing if that is empty or
 * begins with a dot. */
void ink_metadata_add_path_name(struct ink_metadata *m, const char *key, const char *path);
/* A key with an array of n values, which are put next. */
void ink_metadata_begin_array(struct ink_metadata *m, const char *key, enum ink_metadata_type type,
                              int n);

/* Parts of values, and of the file's head. */
void ink_metadata_put_u32(struct ink_string *s, uint32_t x);
void ink_metadata_put_u64(struct ink_string *s, uint64_t x);
void ink_metadata_put_f32(struct ink_string *s, float x);
void ink_metadata_put_text(struct ink_string *s, const char *text, size_t n);

/* llama.cpp's number for a file of "mostly this type", general.file_type. */
int ink_metadata_file_type(enum ink_type type);

#endif
