#define _POSIX_C_SOURCE 200809L

#include "interrupt.h"
#include "cli.h"
#include "terminal.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t deferred, count;

static void note_signal(int number)
{
    (void)number;
    if (!deferred || count >= 2) {
        ink_terminal_hide_control(false);
        _Exit(INK_EXIT_INTERRUPTED);
    }
    count++;
}

static void take_as_interrupt(int number)
{
    /* SA_RESTART: a write that waits for a slow reader is not lost. Waiting for input ends all the
     * same, see ink_terminal_read. */
    struct sigaction action = {.sa_handler = note_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

void ink_interrupt_open(void)
{
    struct sigaction old;
    if (sigaction(SIGINT, NULL, &old) != 0 || old.sa_handler != SIG_IGN) {
        take_as_interrupt(SIGINT);
    }
}

void ink_interrupt_on_end_signals(void)
{
    take_as_interrupt(SIGTERM);
    take_as_interrupt(SIGUSR1);
}

static const char *lost_file;

static void note_fault(int number, siginfo_t *info, void *unused)
{
    (void)unused;
    if (info->si_code != BUS_ADRERR) {
        signal(number, SIG_DFL); /* a mistake of the program: the same again ends it */
        return;
    }
    ssize_t written = write(STDERR_FILENO, lost_file, strlen(lost_file));
    (void)written;
    ink_terminal_hide_control(false);
    _Exit(INK_EXIT_INPUT);
}

void ink_interrupt_on_lost_file(const char *message)
{
    struct sigaction action = {.sa_sigaction = note_fault, .sa_flags = SA_SIGINFO};
    lost_file = message;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}

void ink_interrupt_defer(bool on)
{
    deferred = on;
}

bool ink_interrupt_pending(void)
{
    return count > 0;
}

void ink_interrupt_clear(void)
{
    count = 0;
}

int ink_interrupt_poll(void *unused)
{
    (void)unused;
    return ink_interrupt_pending();
}
