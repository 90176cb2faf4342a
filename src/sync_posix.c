#define _POSIX_C_SOURCE 200809L

#include "sync.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

struct ink_mutex {
    pthread_mutex_t mutex;
};

struct ink_mutex *ink_mutex_new(void)
{
    struct ink_mutex *m = ink_malloc(sizeof *m);
    if (m && pthread_mutex_init(&m->mutex, NULL) != 0) {
        ink_free(m);
        m = NULL;
    }
    return m;
}

void ink_mutex_free(struct ink_mutex *m)
{
    if (m) {
        pthread_mutex_destroy(&m->mutex);
        ink_free(m);
    }
}

void ink_mutex_lock(struct ink_mutex *m)
{
    pthread_mutex_lock(&m->mutex);
}

void ink_mutex_unlock(struct ink_mutex *m)
{
    pthread_mutex_unlock(&m->mutex);
}

struct ink_condition {
    pthread_cond_t condition;
};

struct ink_condition *ink_condition_new(void)
{
    struct ink_condition *c = ink_malloc(sizeof *c);
    pthread_condattr_t attributes;
    if (!c || pthread_condattr_init(&attributes) != 0) {
        ink_free(c);
        return NULL;
    }
    /* the wall clock may jump */
    bool ok = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
              pthread_cond_init(&c->condition, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    if (!ok) {
        ink_free(c);
        return NULL;
    }
    return c;
}

void ink_condition_free(struct ink_condition *c)
{
    if (c) {
        pthread_cond_destroy(&c->condition);
        ink_free(c);
    }
}

void ink_condition_wait(struct ink_condition *c, struct ink_mutex *m)
{
    pthread_cond_wait(&c->condition, &m->mutex);
}

static struct timespec spell_out(double seconds)
{
    struct timespec t;
    t.tv_sec = (time_t)seconds;
    t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
    return t;
}

void ink_condition_wait_for(struct ink_condition *c, struct ink_mutex *m, double seconds)
{
    struct timespec until, wait = spell_out(seconds);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait.tv_sec;
    until.tv_nsec += wait.tv_nsec;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&c->condition, &m->mutex, &until);
}

void ink_condition_wake_all(struct ink_condition *c)
{
    pthread_cond_broadcast(&c->condition);
}

struct ink_thread {
    pthread_t thread;
    ink_thread_function *function;
    void *context;
};

static void *run_thread(void *p)
{
    struct ink_thread *t = p;
    t->function(t->context);
    return NULL;
}

/* A thread's own mistakes, and files that are lost: blocked, they would pass any handler by. */
static const int faults[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL};

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
    sigset_t most, before;
    sigfillset(&most);
    for (size_t i = 0; i < INK_COUNT(faults); i++) {
        sigdelset(&most, faults[i]);
    }
    pthread_sigmask(SIG_SETMASK, &most, &before);
    int failed = pthread_create(&t->thread, NULL, run_thread, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        ink_free(t);
        return ink_fail(error, INK_ERROR_SYSTEM, "the system refuses a thread (%s)",
                        strerror(failed));
    }
    *out = t;
    return INK_OK;
}

void ink_thread_join(struct ink_thread *t)
{
    if (t) {
        pthread_join(t->thread, NULL);
        ink_free(t);
    }
}

void ink_sleep(double seconds)
{
    struct timespec t = spell_out(seconds);
    nanosleep(&t, NULL);
}
