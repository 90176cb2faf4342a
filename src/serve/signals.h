/* What the system asks the server to do. signals_posix.c, signals_win32.c. One user at a time. */
#ifndef INK_SIGNALS_H
#define INK_SIGNALS_H

#include "common.h"

enum ink_signal {
    INK_SIGNAL_NONE,
    INK_SIGNAL_RELOAD,    /* SIGHUP */
    INK_SIGNAL_TERMINATE, /* SIGTERM; the console closes, log-off, shutdown */
    INK_SIGNAL_INTERRUPT, /* SIGINT, SIGHUP without hang_up_reloads; Ctrl-C, Ctrl-Break */
};

/* Catch them; SIGPIPE is ignored. Until ink_signals_wait is first called, TERMINATE and INTERRUPT
 * end the process at once, with exit code 0 and 130: nothing is under way yet. A SIGINT, or a
 * SIGHUP that would not reload, that was ignored before (nohup) stays so. */
int ink_signals_open(bool hang_up_reloads, struct ink_error *error);
/* The next one, as soon as it comes; NONE after `seconds`. */
enum ink_signal ink_signals_wait(double seconds);
/* As it was before. */
void ink_signals_close(void);

#endif
