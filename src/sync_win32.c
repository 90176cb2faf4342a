#define _WIN32_WINNT 0x0600

#include "sync.h"

#include <windows.h>

struct ink_mutex {
    CRITICAL_SECTION section;
};

struct ink_mutex *ink_mutex_new(void)
{
    struct ink_mutex *m = ink_malloc(sizeof *m);
    if (m) {
        InitializeCriticalSection(&m->section);
    }
    return m;
}

void ink_mutex_free(struct ink_mutex *m)
{
    if (m) {
        DeleteCriticalSection(&m->section);
        ink_free(m);
    }
}

void ink_mutex_lock(struct ink_mutex *m)
{
    EnterCriticalSection(&m->section);
}

void ink_mutex_unlock(struct ink_mutex *m)
{
    LeaveCriticalSection(&m->section);
}

struct ink_condition {
    CONDITION_VARIABLE condition;
};

struct ink_condition *ink_condition_new(void)
{
    struct ink_condition *c = ink_malloc(sizeof *c);
    if (c) {
        InitializeConditionVariable(&c->condition);
    }
    return c;
}

void ink_condition_free(struct ink_condition *c)
{
    ink_free(c);
}

void ink_condition_wait(struct ink_condition *c, struct ink_mutex *m)
{
    SleepConditionVariableCS(&c->condition, &m->section, INFINITE);
}

void ink_condition_wait_for(struct ink_condition *c, struct ink_mutex *m, double seconds)
{
    SleepConditionVariableCS(&c->condition, &m->section, (DWORD)(seconds * 1000));
}

void ink_condition_wake_all(struct ink_condition *c)
{
    WakeAllConditionVariable(&c->condition);
}

struct ink_thread {
    HANDLE handle;
    ink_thread_function *function;
    void *context;
};

static DWORD WINAPI run_thread(LPVOID p)
{
    struct ink_thread *t = p;
    t->function(t->context);
    return 0;
}

int ink_thread_start(struct ink_thread **out, ink_thread_function *function, void *context,
                     struct ink_error *error)
{
    *out = NULL;
    struct ink_thread *t = ink_malloc(sizeof *t);
    if (!t) {
        return ink_fail_memory(error, sizeof *t);
    }
    t->function = function;
    t->context = context;
    t->handle = CreateThread(NULL, 0, run_thread, t, 0, NULL);
    if (!t->handle) {
        ink_free(t);
        return ink_fail(error, INK_ERROR_SYSTEM, "the system refuses a thread (%s)",
                        "CreateThread");
    }
    *out = t;
    return INK_OK;
}

void ink_thread_join(struct ink_thread *t)
{
    if (t) {
        WaitForSingleObject(t->handle, INFINITE);
        CloseHandle(t->handle);
        ink_free(t);
    }
}

void ink_sleep(double seconds)
{
    Sleep((DWORD)(seconds * 1000));
}
