/* Builds files of torch.save, for the tests that damage them. */
#ifndef BAD_TORCH_H
#define BAD_TORCH_H

#include "bad_weights.h"

struct zip {
    struct ink_string file, directory;
    unsigned n;
};

enum { local_size = 30, central_size = 46 };

static inline void zip_add(struct zip *z, const char *name, const void *data, size_t n)
{
    size_t at = z->file.length;
    struct ink_string common = {
        0}; /* version, flags, method, time, date, crc, sizes, n_name, extra */
    put_u16(&common, 0);
    put_u32(&common, 0);
    put_u32(&common, 0);
    put_u32(&common, 0);
    put_u32(&common, (uint32_t)n);
    put_u32(&common, (uint32_t)n);
    put_u16(&common, (unsigned)strlen(name));
    put_u16(&common, 0);
    ink_string_append(&z->file, "PK\3\4", 4);
    ink_string_append(&z->file, common.data, common.length);
    ink_string_puts(&z->file, name);
    ink_string_append(&z->file, data, n);
    ink_string_append(&z->directory, "PK\1\2\0\0", 6);
    ink_string_append(&z->directory, common.data, common.length);
    put_bytes(&z->directory, 0, 2 + 2 + 2 + 4);
    put_u32(&z->directory, (uint32_t)at);
    ink_string_puts(&z->directory, name);
    z->n++;
    ink_string_free(&common);
}

static inline void put_end(struct ink_string *s, unsigned n, uint32_t size, uint32_t at)
{
    ink_string_append(s, "PK\5\6", 4);
    put_u32(s, 0);
    put_u16(s, n);
    put_u16(s, n);
    put_u32(s, size);
    put_u32(s, at);
    put_u16(s, 0);
}

/* The finished file. */
static inline struct ink_string zip_end(struct zip *z)
{
    struct ink_string s = z->file;
    uint32_t at = (uint32_t)s.length;
    uint32_t size = (uint32_t)z->directory.length;
    ink_string_append(&s, z->directory.data ? z->directory.data : "", size);
    put_end(&s, z->n, size, at);
    ink_string_free(&z->directory);
    *z = (struct zip){{0}, {0}, 0};
    return s;
}

/* An archive of this pickle and one storage, data/0, of 8 floats. */
static inline struct ink_string archive_of(const void *pickle, size_t n)
{
    static const char zeros[32];
    struct zip z = {{0}, {0}, 0};
    zip_add(&z, "archive/data.pkl", pickle, n);
    zip_add(&z, "archive/byteorder", "little", 6);
    zip_add(&z, "archive/data/0", zeros, sizeof zeros);
    zip_add(&z, "archive/version", "3\n", 2);
    return zip_end(&z);
}

static inline void p_string(struct ink_string *s, const char *text)
{
    ink_string_puts(s, "X");
    put_u32(s, (uint32_t)strlen(text));
    ink_string_puts(s, text);
}

static inline void p_integer(struct ink_string *s, int64_t v)
{
    ink_string_append(s, "\x8A\x08", 2);
    put_u64(s, (uint64_t)v);
}

/* One tensor; what a test changes of it. */
struct tensor {
    const char *function, *storage, *key;
    int64_t n_storage, offset;
    int n_dims;
    int64_t shape[6], stride[6];
};

static const struct tensor plain = {
    "torch._utils\n_rebuild_tensor_v2\n", "torch\nFloatStorage\n", "0", 8, 0, 2, {2, 4}, {4, 1}};

static inline void p_tuple(struct ink_string *s, const int64_t *values, int n)
{
    ink_string_puts(s, "(");
    for (int i = 0; i < n; i++) {
        p_integer(s, values[i]);
    }
    ink_string_puts(s, "t");
}

static inline void p_tensor(struct ink_string *s, const struct tensor *t)
{
    ink_string_printf(s, "c%s((", t->function);
    p_string(s, "storage");
    ink_string_printf(s, "c%s", t->storage);
    p_string(s, t->key);
    p_string(s, "cpu");
    p_integer(s, t->n_storage);
    ink_string_puts(s, "tQ");
    p_integer(s, t->offset);
    p_tuple(s, t->shape, t->n_dims);
    p_tuple(s, t->stride, t->n_dims);
    ink_string_puts(s, "\x89"
                       "ccollections\nOrderedDict\n)RtR");
}

/* { "a": the tensor } */
static inline struct ink_string pickle_of(const struct tensor *t)
{
    struct ink_string s = {0};
    ink_string_puts(&s, "\x80\x02}(");
    p_string(&s, "a");
    p_tensor(&s, t);
    ink_string_puts(&s, "u.");
    return s;
}

static inline struct ink_string good_archive(void)
{
    struct ink_string pickle = pickle_of(&plain);
    struct ink_string s = archive_of(pickle.data, pickle.length);
    ink_string_free(&pickle);
    return s;
}

#endif
