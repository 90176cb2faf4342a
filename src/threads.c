#include "threads.h"

#include "system.h"

#include <stdatomic.h>
#include <stdint.h>

struct ink_team {
    atomic_int arrived;
    atomic_uint round; /* goes up when everybody has arrived */
};

enum { spins = 2000 };

void ink_threads_barrier(struct ink_team *team, int n_lanes)
{
    unsigned round = atomic_load_explicit(&team->round, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&team->arrived, 1, memory_order_acq_rel) == n_lanes - 1) {
        atomic_store_explicit(&team->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&team->round, round + 1, memory_order_release);
        return;
    }
    for (int i = 0; atomic_load_explicit(&team->round, memory_order_acquire) == round; i++) {
        if (i >= spins) {
            ink_system_yield();
        }
    }
}

#ifdef _OPENMP
#include <omp.h>

bool ink_threads_are_available(void)
{
    return true;
}

void ink_threads_run(int n, ink_lane_function *function, void *context)
{
    struct ink_team team = {0};
#pragma omp parallel num_threads(n)
    function(context, &team, omp_get_thread_num(), omp_get_num_threads());
}

#else

bool ink_threads_are_available(void)
{
    return false;
}

void ink_threads_run(int n, ink_lane_function *function, void *context)
{
    struct ink_team team = {0};
    (void)n;
    function(context, &team, 0, 1);
}

#endif

void ink_threads_share(int lane, int n_lanes, int n, int grain, int *begin, int *end)
{
    int64_t groups = ((int64_t)n + grain - 1) / grain;
    int64_t first = groups * lane / n_lanes * grain, last = groups * (lane + 1) / n_lanes * grain;
    *begin = (int)(first < n ? first : n);
    *end = (int)(last < n ? last : n);
}
