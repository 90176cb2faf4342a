#include "common.h"

#include "texts.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool language_is_chinese;

const char *ink_version(void)
{
    return INK_VERSION;
}

void ink_set_language(const char *language)
{
    language_is_chinese = language && strncmp(language, "zh", 2) == 0;
}

const char *ink_text(const char *english)
{
    const char *chinese = language_is_chinese ? ink_texts_find_chinese(english) : NULL;
    return chinese ? chinese : english;
}

/* A message that is cut at the end of the buffer must not end inside a character. */
static void trim_to_whole_characters(char *s)
{
    size_t n = strlen(s), back = 0;
    while (back < n && back < 3 && ((unsigned char)s[n - 1 - back] & 0xC0) == 0x80) {
        back++;
    }
    unsigned char lead = back < n ? (unsigned char)s[n - 1 - back] : 0;
    size_t wanted = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : 0;
    if (back < wanted) {
        s[n - 1 - back] = '\0';
    }
}

/* File names and contents may hold control characters; a message is one clean line. */
static void blank_control_characters(char *s)
{
    for (; *s; s++) {
        if ((unsigned char)*s < 0x20 || *s == 0x7F) {
            *s = '?';
        }
    }
}

static void format_message(struct ink_error *error, const char *format, va_list args)
    INK_PRINTF(2, 0);

static void format_message(struct ink_error *error, const char *format, va_list args)
{
    vsnprintf(error->message, sizeof error->message, format, args);
    trim_to_whole_characters(error->message);
    blank_control_characters(error->message);
}

int ink_fail(struct ink_error *error, int code, const char *format, ...)
{
    if (error) {
        va_list args;
        va_start(args, format);
        error->code = code;
        format_message(error, ink_text(format), args);
        va_end(args);
    }
    return code;
}

int ink_fail_memory(struct ink_error *error, uint64_t n_bytes)
{
    return ink_fail(error, INK_ERROR_MEMORY, "out of memory (%llu bytes)",
                    (unsigned long long)n_bytes);
}

int ink_fail_open(struct ink_error *error, const char *path, int system_error)
{
    return ink_fail(error, system_error == ENOMEM ? INK_ERROR_MEMORY : INK_ERROR_INPUT, "%s: %s",
                    path, strerror(system_error));
}

int ink_fail_write(struct ink_error *error, const char *path, int system_error)
{
    return ink_fail(error, INK_ERROR_SYSTEM, "%s: cannot write: %s", path, strerror(system_error));
}

/* ------------------------------------------------------------------------------------ memory */

static atomic_long allocations;
static atomic_long failing_allocation;
static atomic_bool fail_from_there_on;

long ink_fail_allocation(long n, bool sticky)
{
    long before = atomic_exchange(&allocations, 0);
    atomic_store(&fail_from_there_on, sticky);
    atomic_store(&failing_allocation, n);
    return before;
}

static bool must_fail(void)
{
    long n = 1 + atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    long failing = atomic_load_explicit(&failing_allocation, memory_order_relaxed);
    return failing > 0 &&
           (n == failing ||
            (n > failing && atomic_load_explicit(&fail_from_there_on, memory_order_relaxed)));
}

void *ink_malloc(size_t n)
{
    return must_fail() ? NULL : malloc(n ? n : 1);
}

void *ink_calloc(size_t n, size_t size)
{
    return must_fail() ? NULL : calloc(n ? n : 1, size ? size : 1);
}

void *ink_realloc(void *old, size_t n, size_t size)
{
    uint64_t bytes;
    if (must_fail() || !ink_mul_u64(&bytes, n, size) || bytes > SIZE_MAX) {
        return NULL;
    }
    return realloc(old, bytes ? (size_t)bytes : 1);
}

char *ink_strndup(const char *s, size_t n)
{
    char *copy = n < SIZE_MAX ? ink_malloc(n + 1) : NULL;
    if (copy) {
        memcpy(copy, s, n);
        copy[n] = '\0';
    }
    return copy;
}

char *ink_strdup(const char *s)
{
    return ink_strndup(s, strlen(s));
}

/* The block's real address is kept in the word before the aligned one. */
void *ink_alloc_aligned(size_t n)
{
    enum { alignment = 64 };
    if (n > SIZE_MAX - alignment - sizeof(void *)) {
        return NULL;
    }
    char *block = ink_calloc(1, n + alignment + sizeof(void *));
    if (!block) {
        return NULL;
    }
    uintptr_t first = (uintptr_t)block + sizeof(void *);
    char *aligned = block + sizeof(void *) + (alignment - first % alignment) % alignment;
    memcpy(aligned - sizeof(void *), &block, sizeof(void *));
    return aligned;
}

void ink_free_aligned(void *p)
{
    if (p) {
        void *block;
        memcpy(&block, (char *)p - sizeof(void *), sizeof(void *));
        free(block);
    }
}

void ink_free(void *pointer)
{
    free(pointer);
}

/* ---------------------------------------------------------------------------------- arithmetic */

bool ink_mul_u64(uint64_t *out, uint64_t a, uint64_t b)
{
    if (b != 0 && a > UINT64_MAX / b) {
        return false;
    }
    *out = a * b;
    return true;
}

bool ink_add_u64(uint64_t *out, uint64_t a, uint64_t b)
{
    if (a > UINT64_MAX - b) {
        return false;
    }
    *out = a + b;
    return true;
}

/* ------------------------------------------------------------------------------------- strings */

static bool reserve(struct ink_string *s, size_t more)
{
    if (s->failed || more >= SIZE_MAX / 2 - s->length) {
        s->failed = true;
        return false;
    }
    size_t needed = s->length + more + 1;
    if (needed > s->capacity) {
        size_t capacity = needed > 32 ? needed + needed / 2 : 48;
        char *data = ink_realloc(s->data, capacity, 1);
        if (!data) {
            s->failed = true;
            return false;
        }
        s->data = data;
        s->capacity = capacity;
    }
    return true;
}

void ink_string_append(struct ink_string *s, const char *bytes, size_t n)
{
    if (reserve(s, n)) {
        if (n) {
            memcpy(s->data + s->length, bytes, n);
        }
        s->length += n;
        s->data[s->length] = '\0';
    }
}

void ink_string_puts(struct ink_string *s, const char *text)
{
    ink_string_append(s, text, strlen(text));
}

void ink_string_printf(struct ink_string *s, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n < 0) {
        s->failed = true;
    } else if (reserve(s, (size_t)n)) {
        vsnprintf(s->data + s->length, (size_t)n + 1, format, again);
        s->length += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

void ink_string_free(struct ink_string *s)
{
    ink_free(s->data);
    *s = (struct ink_string){0};
}

char *ink_path_join(const char *folder, const char *name)
{
    size_t n = strlen(folder);
    bool has_slash = n > 0 && folder[n - 1] == '/';
    size_t size = n + strlen(name) + 2;
    char *path = ink_malloc(size);
    if (path) {
        snprintf(path, size, has_slash ? "%s%s" : "%s/%s", folder, name);
    }
    return path;
}

/* --------------------------------------------------------------------------------------- bytes */

uint16_t ink_read_u16(const void *p)
{
    const unsigned char *b = p;
    return (uint16_t)(b[0] | b[1] << 8);
}

uint32_t ink_read_u32(const void *p)
{
    return ink_read_u16(p) | (uint32_t)ink_read_u16((const char *)p + 2) << 16;
}

uint64_t ink_read_u64(const void *p)
{
    return ink_read_u32(p) | (uint64_t)ink_read_u32((const char *)p + 4) << 32;
}
