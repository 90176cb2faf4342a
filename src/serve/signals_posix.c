#define _POSIX_C_SOURCE 200809L

#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_INTERRUPTED = 130 };

static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE};
static struct sigaction before[INK_COUNT(numbers)];
static int ends[2] = {-1, -1}; /* a pipe: handlers write enum ink_signal into it */
static volatile sig_atomic_t is_waited_for, reloads;

static enum ink_signal meaning_of(int number)
{
    switch (number) {
    case SIGTERM:
        return INK_SIGNAL_TERMINATE;
    case SIGHUP:
        return reloads ? INK_SIGNAL_RELOAD : INK_SIGNAL_INTERRUPT;
    default:
        return INK_SIGNAL_INTERRUPT;
    }
}

static void note(int number)
{
    const int saved = errno;
    const char meaning = (char)meaning_of(number);
    if (!is_waited_for && meaning != INK_SIGNAL_RELOAD) {
        _Exit(meaning == INK_SIGNAL_TERMINATE ? 0 : EXIT_INTERRUPTED);
    }
    /* A full pipe holds signals enough. */
    ssize_t written = write(ends[1], &meaning, 1);
    (void)written;
    errno = saved;
}

static int open_pipe(struct ink_error *error)
{
    if (pipe(ends) != 0) {
        return ink_fail(error, INK_ERROR_SYSTEM, "the system refuses a pipe (%s)", strerror(errno));
    }
    for (int i = 0; i < 2; i++) {
        fcntl(ends[i], F_SETFD, FD_CLOEXEC);
        fcntl(ends[i], F_SETFL, O_NONBLOCK);
    }
    return INK_OK;
}

int ink_signals_open(bool hang_up_reloads, struct ink_error *error)
{
    int status = open_pipe(error);
    if (status != INK_OK) {
        return status;
    }
    reloads = hang_up_reloads;
    is_waited_for = 0;
    for (size_t i = 0; i < INK_COUNT(numbers); i++) {
        struct sigaction action = {.sa_handler = numbers[i] == SIGPIPE ? SIG_IGN : note,
                                   .sa_flags = SA_RESTART};
        sigfillset(&action.sa_mask);
        sigaction(numbers[i], NULL, &before[i]);
        const bool may_stay = numbers[i] == SIGINT || (numbers[i] == SIGHUP && !hang_up_reloads);
        if (!may_stay || before[i].sa_handler != SIG_IGN) {
            sigaction(numbers[i], &action, NULL);
        }
    }
    return INK_OK;
}

enum ink_signal ink_signals_wait(double seconds)
{
    is_waited_for = 1;
    struct pollfd p = {.fd = ends[0], .events = POLLIN};
    char meaning;
    if (poll(&p, 1, seconds > 0 ? (int)(seconds * 1000 + 0.999) : 0) > 0 &&
        read(ends[0], &meaning, 1) == 1) {
        return (enum ink_signal)meaning;
    }
    return INK_SIGNAL_NONE;
}

void ink_signals_close(void)
{
    for (size_t i = 0; i < INK_COUNT(numbers); i++) {
        sigaction(numbers[i], &before[i], NULL);
    }
    for (int i = 0; i < 2; i++) {
        close(ends[i]);
        ends[i] = -1;
    }
}
