/* What the tests of damaged weights share: a table of files, each of which must be refused, in
 * words that name the file, at once, and without much memory. */
#ifndef BAD_WEIGHTS_H
#define BAD_WEIGHTS_H

#include "support.h"

#include "../src/system.h"

/* A file in the making. Numbers are little-endian. */
static inline void put_u16(struct ink_string *s, unsigned v)
{
    const char bytes[2] = {(char)v, (char)(v >> 8)};
    ink_string_append(s, bytes, 2);
}

static inline void put_u32(struct ink_string *s, uint32_t v)
{
    put_u16(s, v & 0xFFFF);
    put_u16(s, v >> 16);
}

static inline void put_u64(struct ink_string *s, uint64_t v)
{
    put_u32(s, (uint32_t)v);
    put_u32(s, (uint32_t)(v >> 32));
}

static inline void put_bytes(struct ink_string *s, int byte, size_t n)
{
    char block[4096];
    memset(block, byte, sizeof block);
    for (; n > sizeof block; n -= sizeof block) {
        ink_string_append(s, block, sizeof block);
    }
    ink_string_append(s, block, n);
}

/* Overwrite n bytes at `at`. */
static inline void patch(struct ink_string *s, size_t at, const void *bytes, size_t n)
{
    assert_true(at + n <= s->length);
    memcpy(s->data + at, bytes, n);
}

static inline void patch_byte(struct ink_string *s, size_t at, int byte)
{
    s->data[at] = (char)byte;
}

/* Where the n-th (from 0) occurrence of the bytes is. */
static inline size_t place_of(const struct ink_string *s, const char *bytes, size_t n_bytes,
                              int nth)
{
    for (size_t i = 0; i + n_bytes <= s->length; i++) {
        if (memcmp(s->data + i, bytes, n_bytes) == 0 && nth-- == 0) {
            return i;
        }
    }
    fail_msg("a test looks for bytes that are not there");
    return 0;
}

static inline void write_file(const char *path, const struct ink_string *s)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(s->data ? s->data : "", 1, s->length, f), s->length);
    fclose(f);
}

/* Opening `path` must fail as described above; `says` (may be NULL) is part of the message. */
static inline void refuses_path(const char *path, const char *file_name, const char *what,
                                const char *says)
{
    struct ink_error error = {0};
    struct ink_weights w;
    uint64_t memory = ink_system_peak_memory();
    double start = cpu_seconds();
    int status = ink_weights_open(&w, path, &error);
    double seconds = cpu_seconds() - start;
    memory = ink_system_peak_memory() - memory;
    if (status == INK_OK) {
        fail_msg("%s: opened", what);
    }
    if (status != INK_ERROR_INPUT || error.code != status || !strstr(error.message, file_name) ||
        (says && !strstr(error.message, says))) {
        fail_msg("%s: status %d, \"%s\" (wanted: \"%s\")", what, status, error.message,
                 says ? says : file_name);
    }
    if (seconds > time_limit() || (!IS_SANITIZED && memory > 64u << 20)) {
        fail_msg("%s: took %g s and %d MiB", what, seconds, (int)(memory >> 20));
    }
    assert_int_equal(w.n_tensors + w.n_files, 0);
    ink_weights_close(&w);
}

/* The file `name` in the current folder with these bytes; frees them. */
static inline void refuses(const char *name, const char *what, struct ink_string *s,
                           const char *says)
{
    assert_false(s->failed);
    write_file(name, s);
    refuses_path(name, name, what, says);
    remove(name);
    ink_string_free(s);
}

/* To be sure that a damaged file is refused for its damage, the file without it must open. */
static inline void accepts(const char *name, struct ink_string *s, int n_tensors)
{
    struct ink_error error = {0};
    struct ink_weights w;
    write_file(name, s);
    assert_ok(ink_weights_open(&w, name, &error));
    assert_int_equal(w.n_tensors, n_tensors);
    ink_weights_close(&w);
    remove(name);
    ink_string_free(s);
}

#endif
