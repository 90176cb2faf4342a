/* A bar with rate and time left for long work, on stderr, if that is a terminal. */
#ifndef INK_PROGRESS_H
#define INK_PROGRESS_H

#include "common.h"

struct ink_progress {
    const char *label; /* what is being done, already in the user's language */
    const char *unit;  /* "MB" or "tokens": what `scale` of the counts make one of */
    double scale;
    double started, shown; /* seconds; shown 0: nothing is on the screen */
    int width;             /* columns in use on the screen */
    bool terminal;
};

void ink_progress_open(struct ink_progress *p, const char *label, const char *unit, double scale);
/* Draw, at most ten times a second and not in the first half second. */
void ink_progress_show(struct ink_progress *p, uint64_t done, uint64_t total);
/* Wipe the bar. */
void ink_progress_close(struct ink_progress *p);

#endif
