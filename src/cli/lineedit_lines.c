#include "lineedit_lines.h"
#include "interrupt.h"
#include "terminal.h"

FILE *ink_lineedit_screen(void)
{
    if (!ink_terminal_is(INK_STDIN)) {
        return NULL;
    }
    if (ink_terminal_is(INK_STDOUT)) {
        return stdout;
    }
    return ink_terminal_is(INK_STDERR) ? stderr : NULL;
}

enum ink_line_result ink_lineedit_read_plain(struct ink_lines *lines, struct ink_string *line,
                                             FILE *screen, const char *prompt,
                                             struct ink_error *error)
{
    if (screen) {
        fputs(prompt, screen);
        fflush(screen);
    }
    bool got;
    int status = ink_lines_next(lines, line, &got, error);
    if (status == INK_ERROR_CANCELLED) {
        ink_interrupt_clear();
        if (screen) {
            fputs("\n", screen);
        }
        return INK_LINE_INTERRUPTED;
    }
    if (status != INK_OK) {
        return INK_LINE_FAILED;
    }
    return got ? INK_LINE_READ : INK_LINE_END;
}
