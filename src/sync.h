/* Locks, conditions and threads of the system, for programs that do several things at once; the
 * lanes of one computation are threads.h's. sync_posix.c, sync_win32.c. */
#ifndef INK_SYNC_H
#define INK_SYNC_H

#include "common.h"

/* A lock. NULL: out of memory. */
struct ink_mutex;
struct ink_mutex *ink_mutex_new(void);
void ink_mutex_free(struct ink_mutex *m);
void ink_mutex_lock(struct ink_mutex *m);
void ink_mutex_unlock(struct ink_mutex *m);

/* Somewhere to wait for what another thread does under the same lock. */
struct ink_condition;
struct ink_condition *ink_condition_new(void);
void ink_condition_free(struct ink_condition *c);
/* With m locked; it is locked again on return. May return for no reason: look again. */
void ink_condition_wait(struct ink_condition *c, struct ink_mutex *m);
/* The same for `seconds` at most. */
void ink_condition_wait_for(struct ink_condition *c, struct ink_mutex *m, double seconds);
void ink_condition_wake_all(struct ink_condition *c);

/* A thread that runs function(context) and ends. It takes no signals but those of its own
 * faults: others go to the thread that main runs on. INK_ERROR_SYSTEM if the system refuses one. */
struct ink_thread;
typedef void ink_thread_function(void *context);
int ink_thread_start(struct ink_thread **out, ink_thread_function *function, void *context,
                     struct ink_error *error);
/* Wait until it has ended, and free it. NULL: nothing. */
void ink_thread_join(struct ink_thread *t);
void ink_sleep(double seconds);

#endif
