#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include "interrupt.h"
#include "cli.h"

#include <stdlib.h>

static volatile LONG deferred, count;

static BOOL WINAPI note_event(DWORD event)
{
    if (event != CTRL_C_EVENT) {
        return FALSE;
    }
    if (!deferred || InterlockedIncrement(&count) > 2) {
        _Exit(INK_EXIT_INTERRUPTED);
    }
    return TRUE;
}

void ink_interrupt_open(void)
{
    SetConsoleCtrlHandler(note_event, TRUE);
}

/* Windows has neither. */
void ink_interrupt_on_end_signals(void)
{
}

/* Windows lets nobody cut a file short that is in memory. */
void ink_interrupt_on_lost_file(const char *message)
{
    (void)message;
}

void ink_interrupt_defer(bool on)
{
    InterlockedExchange(&deferred, on);
}

bool ink_interrupt_pending(void)
{
    return count > 0;
}

void ink_interrupt_clear(void)
{
    InterlockedExchange(&count, 0);
}

int ink_interrupt_poll(void *unused)
{
    (void)unused;
    return ink_interrupt_pending();
}
