/* Ctrl-C, and files that are lost. interrupt_posix.c, interrupt_win32.c. */
#ifndef INK_INTERRUPT_H
#define INK_INTERRUPT_H

#include <stdbool.h>

/* From now on Ctrl-C ends the program at once with exit code 130, unless it is deferred. A program
 * that was started with the signal ignored keeps ignoring it. */
void ink_interrupt_open(void);
/* SIGTERM and SIGUSR1 are taken as Ctrl-C from now on: mpirun hands these on to its processes. */
void ink_interrupt_on_end_signals(void);
/* A model file is in memory as it is on the disk. Where another program cuts it short, or the disk
 * fails, the program ends with `message` on stderr and exit code 3 instead of by a signal. */
void ink_interrupt_on_lost_file(const char *message);
/* Deferred: Ctrl-C is only noted, for work that has something to finish or undo. Pressed a third
 * time without being noticed, it ends the program after all. */
void ink_interrupt_defer(bool on);
bool ink_interrupt_pending(void);
void ink_interrupt_clear(void);
/* ink_interrupt_pending as an ink_cancel_function. */
int ink_interrupt_poll(void *unused);

#endif
