/* What comes in: prompts, lines, ids. */
#ifndef INK_INPUT_H
#define INK_INPUT_H

#include "options.h"

#include <stdio.h>

enum { INK_MAX_INPUT = 64 << 20 }; /* bytes of a prompt or of a line; as INK_MAX_TEXT */

/* Lines of stdin or of a file. Start with {0}. */
struct ink_lines {
    const char *name; /* for messages */
    FILE *file;       /* NULL: stdin */
    uint64_t number;  /* of the line read last, from 1 */
    bool ended;
    size_t taken, n_held;
    char held[65536];
};

/* path NULL: stdin. */
int ink_lines_open(struct ink_lines *lines, const char *path, struct ink_error *error);
void ink_lines_close(struct ink_lines *lines);
/* Read one line into *line (emptied first) without its "\n"; a "\r" before it stays. *got is false
 * at the end. INK_ERROR_CANCELLED if Ctrl-C ended the wait, INK_ERROR_LIMIT for a line above
 * INK_MAX_INPUT. */
int ink_lines_next(struct ink_lines *lines, struct ink_string *line, bool *got,
                   struct ink_error *error);

/* Everything of a file (path NULL: stdin), without one newline at its end: the one that editors
 * and echo add. */
int ink_input_read_text(struct ink_string *text, const char *path, struct ink_error *error);

/* "1 2 3" or "[1, 2, 3]" to *out [*n], malloc'ed; each below vocab_size. `code` is the status for
 * what is wrong with the text, `where` what the message calls it. */
int ink_input_parse_ids(int32_t **out, size_t *n, const char *text, size_t n_text, int vocab_size,
                        const char *where, int code, struct ink_error *error);

#endif
