/* The plain way to read a typed line, which both lineedit files need. */
#ifndef INK_LINEEDIT_LINES_H
#define INK_LINEEDIT_LINES_H

#include "input.h"
#include "lineedit.h"

/* Where prompts go: stdout if it is a terminal, else stderr, so that an answer sent to a file has
 * no prompts in it; NULL if input or prompts would not be on a terminal. */
FILE *ink_lineedit_screen(void);
/* Print `prompt` on screen (may be NULL) and read. */
enum ink_line_result ink_lineedit_read_plain(struct ink_lines *lines, struct ink_string *line,
                                             FILE *screen, const char *prompt,
                                             struct ink_error *error);

#endif
