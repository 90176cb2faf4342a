/* What the operating system knows. system_posix.c, system_win32.c. */
#ifndef INK_SYSTEM_H
#define INK_SYSTEM_H

#include "common.h"

/* Physical cores that this process may use: affinity mask and CPU quota of its control groups
 * honoured, one per core where cores have several hardware threads, the faster kind only where
 * there are two kinds. At least 1. */
int ink_system_cores(void);
/* Hardware threads that the machine has running; 0 if it cannot be told. mask [n] gets a bit for
 * each that this process may use, as the machine numbers them; 0 where that cannot be told. */
int ink_system_processors(unsigned char *mask, size_t n);
/* Bytes of memory that can still be taken without swapping: what is free or reclaimable, and no
 * more than the limits of its control groups or of the address space leave. UINT64_MAX if it cannot
 * be told. */
uint64_t ink_system_free_memory(void);
/* Highest resident size of this process so far, in bytes; 0 if it cannot be told. */
uint64_t ink_system_peak_memory(void);
/* Back the memory [p, p + n) with large pages, if the system likes to. */
void ink_system_prefer_large_pages(void *p, size_t n);
double ink_system_seconds(void); /* monotonic */
double ink_system_clock(void);   /* seconds since 1970, UTC */
long ink_system_process(void);   /* this process's number */
/* The machine's name, "localhost" if it cannot be told. */
void ink_system_host(char *out, size_t n);
void ink_system_yield(void); /* let another thread run */
/* Is the user's language Chinese? (LC_ALL, LC_MESSAGES, LANG; the UI language on Windows) */
bool ink_system_is_chinese(void);

#endif
