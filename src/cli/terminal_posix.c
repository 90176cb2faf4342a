#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE /* TIOCGWINSZ, ECHOCTL */
#define _DARWIN_C_SOURCE

#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* A stream that was closed gets /dev/null in the direction that fails, so that no model file takes
 * its number and writing to it is still an error. */
static void reserve_stream(int fd)
{
    if (fcntl(fd, F_GETFD) == -1) {
        int null = open("/dev/null", fd == INK_STDIN ? O_WRONLY : O_RDONLY);
        if (null >= 0 && null != fd) {
            close(null);
        }
    }
}

void ink_terminal_open(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    for (int fd = INK_STDIN; fd <= INK_STDERR; fd++) {
        reserve_stream(fd);
    }
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
}

bool ink_terminal_is(enum ink_stream_number stream)
{
    return isatty((int)stream);
}

int ink_terminal_width(void)
{
    struct winsize size = {0};
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        return size.ws_col;
    }
    return 80;
}

static struct termios shown_control; /* the settings to come back to */
static volatile sig_atomic_t control_is_hidden;

void ink_terminal_hide_control(bool on)
{
    if (on && !control_is_hidden && tcgetattr(STDIN_FILENO, &shown_control) == 0) {
        struct termios hidden = shown_control;
        hidden.c_lflag &= ~(tcflag_t)ECHOCTL;
        control_is_hidden = 1; /* before: a signal in between then restores what is there */
        tcsetattr(STDIN_FILENO, TCSANOW, &hidden);
    } else if (!on && control_is_hidden) {
        tcsetattr(STDIN_FILENO, TCSANOW, &shown_control);
        control_is_hidden = 0;
    }
}

FILE *ink_terminal_open_file(const char *path)
{
    return fopen(path, "rb");
}

const char *ink_terminal_getenv(const char *name)
{
    return getenv(name);
}

long ink_terminal_read(void *buffer, size_t n)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    /* unlike read, poll is ended by every signal */
    return poll(&input, 1, -1) < 0 ? -1 : (long)read(STDIN_FILENO, buffer, n);
}
