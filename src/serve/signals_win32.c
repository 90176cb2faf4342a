#define WIN32_LEAN_AND_MEAN
#define _WIN32_WINNT 0x0601
#include <windows.h>

#include "signals.h"

#include <stdlib.h>

enum { EXIT_INTERRUPTED = 130, MAX_KEPT = 16 };

static CRITICAL_SECTION lock; /* around kept */
static enum ink_signal kept[MAX_KEPT];
static int n_kept;
static HANDLE arrived; /* set while some are kept */
static volatile LONG is_waited_for;

static void keep(enum ink_signal signal)
{
    EnterCriticalSection(&lock);
    if (n_kept < MAX_KEPT) {
        kept[n_kept++] = signal;
    }
    SetEvent(arrived);
    LeaveCriticalSection(&lock);
}

static BOOL WINAPI note(DWORD event)
{
    const bool is_interrupt = event == CTRL_C_EVENT || event == CTRL_BREAK_EVENT;
    if (!is_waited_for) {
        _Exit(is_interrupt ? EXIT_INTERRUPTED : 0);
    }
    keep(is_interrupt ? INK_SIGNAL_INTERRUPT : INK_SIGNAL_TERMINATE);
    if (!is_interrupt) {
        Sleep(INFINITE); /* returning would end the process before it has finished */
    }
    return TRUE;
}

int ink_signals_open(bool hang_up_reloads, struct ink_error *error)
{
    (void)hang_up_reloads;
    arrived = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (!arrived) {
        return ink_fail(error, INK_ERROR_SYSTEM, "%s: system error %lu", "CreateEvent",
                        (unsigned long)GetLastError());
    }
    InitializeCriticalSection(&lock);
    n_kept = 0;
    InterlockedExchange(&is_waited_for, 0);
    SetConsoleCtrlHandler(note, TRUE);
    return INK_OK;
}

enum ink_signal ink_signals_wait(double seconds)
{
    InterlockedExchange(&is_waited_for, 1);
    enum ink_signal first = INK_SIGNAL_NONE;
    if (WaitForSingleObject(arrived, seconds > 0 ? (DWORD)(seconds * 1000 + 0.999) : 0) ==
        WAIT_OBJECT_0) {
        EnterCriticalSection(&lock);
        first = kept[0];
        n_kept--;
        for (int i = 0; i < n_kept; i++) {
            kept[i] = kept[i + 1];
        }
        if (n_kept == 0) {
            ResetEvent(arrived);
        }
        LeaveCriticalSection(&lock);
    }
    return first;
}

/* The lock stays: a handler of a closing console may still be in it. */
void ink_signals_close(void)
{
    SetConsoleCtrlHandler(note, FALSE);
}
