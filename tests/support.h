/* What the tests share: reference data and the engine's handles, opened or the test fails. */
#ifndef CHECK_SUPPORT_H
#define CHECK_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../src/file.h"
#include "../src/json.h"
#include "../src/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* AddressSanitizer keeps what was freed, and moves memory byte by byte. */
#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED true
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED false
#endif

/* The path of `name` in the reference data: first in $INKSTONE_TEST_DATA (tests/data, shipped),
 * then in $INKSTONE_SHARED (the larger set). Skips the test where neither has it. The buffer lives
 * until the eighth call from now. */
static inline const char *shared_path(const char *name)
{
    static const char *const roots[] = {"INKSTONE_TEST_DATA", "INKSTONE_SHARED"};
    static char paths[8][1024];
    static int next;
    char *path = paths[next++ % 8];
    for (size_t i = 0; i < 2; i++) {
        const char *root = getenv(roots[i]);
        snprintf(path, sizeof paths[0], "%s/%s", root ? root : ".", name);
        if (root && ink_path_kind(path) != INK_PATH_NONE) {
            return path;
        }
    }
    printf("# SKIP: no %s in INKSTONE_TEST_DATA or INKSTONE_SHARED\n", name);
    skip();
    return NULL;
}

/* Processor time so far: other programs on the machine do not count. */
static inline double cpu_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

/* An emulated processor is about ten times slower. */
static inline bool is_emulated(void)
{
    const char *emulator = getenv("EMULATOR");
    return emulator && *emulator;
}

/* What opening a bad file may take. */
static inline double time_limit(void)
{
    return is_emulated() || IS_SANITIZED ? 20 : 2;
}

#define assert_ok(call)                               \
    do {                                              \
        if ((call) != INK_OK) {                       \
            fail_msg("%s: %s", #call, error.message); \
        }                                             \
    } while (0)

static inline cJSON *read_json(const char *path)
{
    struct ink_error error = {0};
    cJSON *root = NULL;
    struct ink_mapping file;
    assert_ok(ink_map_file(&file, path, &error));
    assert_ok(ink_json_parse(&root, (const char *)file.data, (size_t)file.size,
                             &ink_json_file_limits, path, &error));
    ink_unmap_file(&file);
    return root;
}

/* Numbers of a JSON array, malloc'ed. */
static inline double *numbers_of(const cJSON *array, int *n)
{
    *n = cJSON_GetArraySize(array);
    double *out = calloc((size_t)*n + 1, sizeof *out);
    int i = 0;
    for (const cJSON *item = array ? array->child : NULL; item; item = item->next) {
        out[i++] = item->valuedouble;
    }
    return out;
}

static inline int32_t *ids_of(const cJSON *array, int *n)
{
    double *numbers = numbers_of(array, n);
    int32_t *ids = calloc((size_t)*n + 1, sizeof *ids);
    for (int i = 0; i < *n; i++) {
        ids[i] = (int32_t)numbers[i];
    }
    free(numbers);
    return ids;
}

static inline struct ink_model *open_model_as(const char *path, int threads, const char *level,
                                              enum ink_weight_type type)
{
    struct ink_error error = {0};
    struct ink_model *m = NULL;
    struct ink_model_options options = {
        .threads = threads, .cpu_level = level, .weight_type = type};
    assert_ok(ink_model_open(&m, path, &options, &error));
    return m;
}

/* With the file's own weights, as references have them. */
/* Remove what a test left there, if anything: a file or a whole folder. */
static inline void discard(const char *path)
{
    if (ink_path_kind(path) == INK_PATH_FOLDER) {
        ink_remove_folder(path);
    } else {
        remove(path);
    }
}

static inline struct ink_model *open_model_at(const char *path, int threads, const char *level)
{
    return open_model_as(path, threads, level, INK_WEIGHTS_NATIVE);
}

static inline struct ink_session *open_session(struct ink_model *m, enum ink_kv_type type)
{
    struct ink_error error = {0};
    struct ink_session *s = NULL;
    assert_ok(ink_session_open(&s, m, 0, type, &error));
    return s;
}

/* Ids of no meaning. */
enum { n_probe = 150 };

static inline void fill_probe(int32_t *ids, int v)
{
    uint32_t x = 12345;
    for (int i = 0; i < n_probe; i++) {
        x = x * 1664525u + 1013904223u;
        ids[i] = (int32_t)((x >> 8) % (uint32_t)v);
    }
}

/* Logits of every token: [n, V], malloc'ed; the prompt is read `chunk` tokens a call. */
static inline float *eval_all(struct ink_model *m, struct ink_session *s, const int32_t *ids, int n,
                              int chunk)
{
    struct ink_error error = {0};
    size_t v = (size_t)ink_model_get_info(m)->vocab_size;
    float *logits = malloc((size_t)n * v * sizeof *logits);
    for (int at = 0; at < n; at += chunk) {
        int count = n - at < chunk ? n - at : chunk;
        struct ink_step step = {s, ids + at, count, count, logits + (size_t)at * v, NULL, 0};
        assert_ok(ink_eval(m, &step, 1, NULL, NULL, &error));
    }
    return logits;
}

/* ------------------------------------------------------------------------------ recorded bits */

/* 64-bit FNV-1a over 32-bit words. */
static const uint64_t hash_start = 0xCBF29CE484222325u;

static inline void hash_words(uint64_t *hash, const void *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t word;
        memcpy(&word, (const unsigned char *)words + i * sizeof word, sizeof word);
        *hash = (*hash ^ word) * 0x100000001B3u;
    }
}

static inline bool is_recorded(uint64_t hash, uint64_t recorded, const char *model,
                               const char *what)
{
    if (hash != recorded) {
        printf("# %s, %s: 0x%08lX%08lX\n", model, what, (unsigned long)(hash >> 32),
               (unsigned long)(hash & 0xFFFFFFFF));
    }
    return hash == recorded;
}

#endif
