/* Reading a line that a person types: with editing and history where a library for that was found
 * (lineedit_edit.c), else as the terminal or the Windows console edits lines (lineedit_plain.c).
 * Without a terminal both read plain lines and print no prompt. */
#ifndef INK_LINEEDIT_H
#define INK_LINEEDIT_H

#include "common.h"

enum ink_line_result {
    INK_LINE_READ,
    INK_LINE_END,         /* end of input, Ctrl-D */
    INK_LINE_INTERRUPTED, /* Ctrl-C on an empty line: the signal is cleared */
    INK_LINE_FAILED,      /* `error` is filled */
};

struct ink_lineedit;

/* *out is NULL on failure. */
int ink_lineedit_open(struct ink_lineedit **out, struct ink_error *error);
void ink_lineedit_close(struct ink_lineedit *e);
/* Are both input and prompts on a terminal? */
bool ink_lineedit_is_interactive(const struct ink_lineedit *e);
/* Ask with `prompt` and read into *line (UTF-8, without the newline). What was typed is remembered
 * in the history. Ctrl-C on a line with text throws the text away and asks again. */
enum ink_line_result ink_lineedit_read(struct ink_lineedit *e, struct ink_string *line,
                                       const char *prompt, struct ink_error *error);

#endif
