#include "threads.h"

#include <stdint.h>

#ifdef _OPENMP
#include <omp.h>

bool ink_threads_are_available(void)
{
    return true;
}

void ink_threads_run(int n, ink_lane_function *function, void *context)
{
#pragma omp parallel num_threads(n)
    function(context, omp_get_thread_num(), omp_get_num_threads());
}

void ink_threads_barrier(void)
{
#pragma omp barrier
}

#else

bool ink_threads_are_available(void)
{
    return false;
}

void ink_threads_run(int n, ink_lane_function *function, void *context)
{
    (void)n;
    function(context, 0, 1);
}

void ink_threads_barrier(void)
{
}

#endif

void ink_threads_share(int lane, int n_lanes, int n, int grain, int *begin, int *end)
{
    int64_t groups = ((int64_t)n + grain - 1) / grain;
    int64_t first = groups * lane / n_lanes * grain, last = groups * (lane + 1) / n_lanes * grain;
    *begin = (int)(first < n ? first : n);
    *end = (int)(last < n ? last : n);
}
