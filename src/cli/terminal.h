/* The terminal, the streams and the argument list. terminal_posix.c, terminal_win32.c. */
#ifndef INK_TERMINAL_H
#define INK_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum ink_stream_number { INK_STDIN = 0, INK_STDOUT = 1, INK_STDERR = 2 };

/* Call first: arguments become UTF-8, the three streams plain bytes; writing to a closed pipe is
 * an error instead of the program's end; a closed stdout cannot be taken by another file. */
void ink_terminal_open(int *argc, char ***argv);

bool ink_terminal_is(enum ink_stream_number stream);
/* Columns of the terminal on stderr; 80 if it cannot be told. */
int ink_terminal_width(void);

/* While an answer is written, Ctrl-C must not leave "^C" in it. Off again before a line is read;
 * may be called by a signal handler. */
void ink_terminal_hide_control(bool on);

/* fopen(path, "rb") with a UTF-8 path. NULL with errno. */
FILE *ink_terminal_open_file(const char *path);
/* getenv, UTF-8; the string lives as long as the program. */
const char *ink_terminal_getenv(const char *name);

/* Read up to n bytes of stdin: > 0 bytes read, 0 at the end, -1 with errno. A signal ends the wait
 * with EINTR. */
long ink_terminal_read(void *buffer, size_t n);

#endif
