/* Errors, allocation and checked arithmetic: what every other file may include. */
#ifndef INK_COMMON_H
#define INK_COMMON_H

#include "inkstone.h"

#include <stdarg.h>

#if defined(__GNUC__)
#define INK_PRINTF(format_index, first_arg) \
    __attribute__((format(INK_PRINTF_STYLE, format_index, first_arg)))
#define INK_FORMAT_ARG(index) __attribute__((format_arg(index)))
#else
#define INK_PRINTF(format_index, first_arg)
#define INK_FORMAT_ARG(index)
#endif
/* With __USE_MINGW_ANSI_STDIO (configure sets it) Windows formats as C11 does too. */
#if defined(__MINGW32__) && !defined(__clang__)
#define INK_PRINTF_STYLE gnu_printf
#else
#define INK_PRINTF_STYLE printf
#endif

#define INK_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Fill *error (may be NULL) and return `code`. `format` is the English text; it is also the key of
 * its translation in texts.c, so it must be a string literal. printf rules; do not use %n. */
int ink_fail(struct ink_error *error, int code, const char *format, ...) INK_PRINTF(3, 4);

/* The same for the common cases. */
int ink_fail_memory(struct ink_error *error, uint64_t n_bytes);
/* "PATH: " and the system's reason for `system_error` (an errno value). INK_ERROR_INPUT. */
int ink_fail_open(struct ink_error *error, const char *path, int system_error);
/* "PATH: cannot write: " and the reason. INK_ERROR_SYSTEM. */
int ink_fail_write(struct ink_error *error, const char *path, int system_error);

/* `english` in the language of ink_set_language (texts.c); `english` itself where none is known. */
const char *ink_text(const char *english) INK_FORMAT_ARG(1);
/* From now on the messages that this thread makes are English, whatever the language: for threads
 * whose messages programs read. */
void ink_speak_english(void);

/* Memory. All of the library's own allocations come through here, so that a test can make the
 * n-th one fail. Zero bytes give a pointer that can be freed. Sizes that overflow give NULL. */
void *ink_malloc(size_t n);
void *ink_calloc(size_t n, size_t size);
void *ink_realloc(void *old, size_t n, size_t size); /* on NULL, old is untouched */
char *ink_strdup(const char *s);
char *ink_strndup(const char *s, size_t n);
/* Zero-filled memory for tensors, aligned to 64 bytes. Free with ink_free_aligned. */
void *ink_alloc_aligned(size_t n);
void ink_free_aligned(void *p);
/* For tests: fail the n-th allocation from now on (1 is the next) and every later one if `sticky`;
 * 0 switches off. Returns how many allocations there were since the last call. */
long ink_fail_allocation(long n, bool sticky);

/* *out = a * b or a + b; false if it overflows. */
bool ink_mul_u64(uint64_t *out, uint64_t a, uint64_t b);
bool ink_add_u64(uint64_t *out, uint64_t a, uint64_t b);

/* A string that grows. Start with {0}; `failed` stays set once memory ran out (appending is then
 * a no-op), so a builder checks once at the end. data is zero-terminated whenever it is not NULL.
 */
struct ink_string {
    char *data;
    size_t length, capacity;
    bool failed;
};
void ink_string_append(struct ink_string *s, const char *bytes, size_t n);
void ink_string_puts(struct ink_string *s, const char *text);
void ink_string_printf(struct ink_string *s, const char *format, ...) INK_PRINTF(2, 3);
void ink_string_free(struct ink_string *s);

/* "FOLDER/NAME", malloc'ed; NULL if memory ran out. */
char *ink_path_join(const char *folder, const char *name);

/* Little-endian reads from any address. */
uint16_t ink_read_u16(const void *p);
uint32_t ink_read_u32(const void *p);
uint64_t ink_read_u64(const void *p);

#endif
