#include "lineedit_lines.h"

struct ink_lineedit {
    struct ink_lines lines;
    FILE *screen;
};

int ink_lineedit_open(struct ink_lineedit **out, struct ink_error *error)
{
    *out = ink_calloc(1, sizeof **out);
    if (!*out) {
        return ink_fail_memory(error, sizeof **out);
    }
    (*out)->screen = ink_lineedit_screen();
    return ink_lines_open(&(*out)->lines, NULL, error);
}

void ink_lineedit_close(struct ink_lineedit *e)
{
    ink_free(e);
}

bool ink_lineedit_is_interactive(const struct ink_lineedit *e)
{
    return e->screen != NULL;
}

enum ink_line_result ink_lineedit_read(struct ink_lineedit *e, struct ink_string *line,
                                       const char *prompt, struct ink_error *error)
{
    return ink_lineedit_read_plain(&e->lines, line, e->screen, prompt, error);
}
