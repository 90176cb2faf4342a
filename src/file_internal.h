/* What file.c asks of file_posix.c and file_win32.c. Nobody else includes this. */
#ifndef INK_FILE_INTERNAL_H
#define INK_FILE_INTERNAL_H

#include "file.h"

#include <stdio.h>

/* Create and open for writing; NULL and errno (EEXIST: the name is taken). */
FILE *ink_file_create(const char *path);
/* What was written is on the disk; false and errno. */
bool ink_file_sync(FILE *f);
/* Rename a synced file over `to`, and sync that. */
int ink_file_replace(const char *from, const char *to, struct ink_error *error);
void ink_file_remove(const char *path);

#endif
