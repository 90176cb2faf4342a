#include "progress.h"
#include "output.h"
#include "terminal.h"
#include "system.h"

#include <stdio.h>

enum { BAR = 24 };

void ink_progress_open(struct ink_progress *p, const char *label, const char *unit, double scale)
{
    *p = (struct ink_progress){.label = label,
                               .unit = unit,
                               .scale = scale,
                               .started = ink_system_seconds(),
                               .terminal = ink_terminal_is(INK_STDERR)};
}

static void compose(struct ink_string *line, const struct ink_progress *p, double seconds,
                    uint64_t done, uint64_t total)
{
    double part = total > 0 ? (double)done / (double)total : 0;
    int full = (int)(part * BAR);
    char bar[BAR + 1];
    for (int i = 0; i < BAR; i++) {
        bar[i] = i < full ? '#' : '.';
    }
    bar[BAR] = '\0';
    double rate = seconds > 0 ? (double)done / seconds : 0;
    ink_string_printf(line, "%s [%s] %3.0f%%  %.1f %s/s", p->label, bar, 100 * part,
                      rate / p->scale, p->unit);
    if (done > 0 && done <= total) {
        long left = (long)((double)(total - done) / rate + 0.5);
        ink_string_printf(line, "  %s %ld:%02ld", ink_text("time left"), left / 60, left % 60);
    }
}

void ink_progress_show(struct ink_progress *p, uint64_t done, uint64_t total)
{
    double now = ink_system_seconds();
    if (!p->terminal || now - p->started < 0.5 || (p->shown > 0 && now - p->shown < 0.1)) {
        return;
    }
    struct ink_string line = {0};
    compose(&line, p, now - p->started, done, total);
    int width = line.data ? ink_output_width(line.data) : 0;
    /* A line that wraps could not be wiped. */
    if (!line.failed && width < ink_terminal_width()) {
        fprintf(stderr, "\r%s%*s", line.data, p->width > width ? p->width - width : 0, "");
        fflush(stderr);
        p->width = width > p->width ? width : p->width;
        p->shown = now;
    }
    ink_string_free(&line);
}

void ink_progress_close(struct ink_progress *p)
{
    if (p->shown > 0) {
        fprintf(stderr, "\r%*s\r", p->width, "");
        fflush(stderr);
        p->shown = 0;
    }
}
