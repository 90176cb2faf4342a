/* What the server asks the system about itself. platform_posix.c, platform_win32.c. */
#ifndef INK_PLATFORM_H
#define INK_PLATFORM_H

#include "common.h"

/* Memory of this process that is resident now, in bytes; 0: cannot be told here. */
uint64_t ink_platform_resident(void);
/* Open descriptors (handles on Windows); -1: cannot be told here. */
int ink_platform_open_files(void);

/* The time of day in UTC as RFC 3339 with milliseconds, "2026-11-26T08:00:00.123Z". */
enum { INK_PLATFORM_TIME_SIZE = 32 };
void ink_platform_time(char out[INK_PLATFORM_TIME_SIZE]);

/* All bytes to stderr, by one write where the system takes them at once. What it refuses is lost.
 */
void ink_platform_write_error(const char *bytes, size_t n);

/* n bytes that nobody can guess. INK_ERROR_SYSTEM if the system has none. */
int ink_platform_random(void *out, size_t n, struct ink_error *error);

/* A regular file of at most `limit` bytes, read into memory, so that it may change under us: *out
 * [*n] is malloc'ed, and zero-terminated. *others_may_read: users other than the owner and root
 * are let read it, be it through a group, unless root gave the file to that group (false on
 * Windows, where folders decide that). */
int ink_platform_read_private(char **out, size_t *n, bool *others_may_read, const char *path,
                              size_t limit, struct ink_error *error);

#endif
