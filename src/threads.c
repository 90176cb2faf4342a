#include "threads.h"

#include "system.h"

#include <stdatomic.h>

/* A lane's part of a loop, in a cache line of its own. */
struct part {
    _Alignas(64) _Atomic uint64_t left; /* number of the loop : 16, begin : 24, end : 24 */
    unsigned loops;                     /* that the lane has begun; no other lane's business */
};

struct ink_team {
    atomic_int arrived;
    atomic_uint round;                  /* goes up when everybody has arrived */
    struct part parts[INK_MAX_THREADS]; /* those of the lanes that there are */
};

/* A team that nobody has used. */
static void team_begin(struct ink_team *team, int n_lanes)
{
    atomic_init(&team->arrived, 0);
    atomic_init(&team->round, 0);
    for (int i = 0; i < n_lanes; i++) {
        atomic_init(&team->parts[i].left, 0);
        team->parts[i].loops = 0;
    }
}

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
    struct ink_team team;
    n = n < INK_MAX_THREADS ? n : INK_MAX_THREADS;
    team_begin(&team, n);
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
    struct ink_team team;
    (void)n;
    team_begin(&team, 1);
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

/* --------------------------------------------------------------------------------------- loops */

enum { PLACE_BITS = 24 };

static int begin_of(uint64_t left)
{
    return (int)(left >> PLACE_BITS & INK_MOST_PIECES);
}

static int end_of(uint64_t left)
{
    return (int)(left & INK_MOST_PIECES);
}

static int length_of(uint64_t left)
{
    return end_of(left) - begin_of(left);
}

static uint64_t left_of(unsigned number, int begin, int end)
{
    return (uint64_t)(number & 0xffff) << 2 * PLACE_BITS | (uint64_t)begin << PLACE_BITS |
           (uint64_t)end;
}

/* Loops that `left` is ahead of this one; less than 0: behind. */
static int ahead(const struct ink_loop *loop, uint64_t left)
{
    return (int16_t)(uint16_t)((left >> 2 * PLACE_BITS) - loop->number);
}

static int pieces_of(const struct ink_loop *loop)
{
    return (int)(((int64_t)loop->n + loop->grain - 1) / loop->grain);
}

/* What lane i has left of this loop, if it is `stored`: the whole part, if the lane has not come to
 * the loop, and nothing, if somebody is in a later one. */
static uint64_t part_left(const struct ink_loop *loop, int i, uint64_t stored)
{
    int begin, end;
    if (ahead(loop, stored) == 0) {
        return stored;
    }
    ink_threads_share(i, loop->n_lanes, pieces_of(loop), 1, &begin, &end);
    return left_of(loop->number, begin, ahead(loop, stored) < 0 ? end : begin);
}

static int less(int a, int b)
{
    return a < b ? a : b;
}

/* The lane's own number is brought up to date even if its part is empty, so that numbers differ by
 * the loops between two barriers at most: 16 bits tell which is later. */
struct ink_loop ink_loop_begin(struct ink_team *team, int lane, int n_lanes, int n, int grain)
{
    struct part *own = &team->parts[lane];
    const struct ink_loop loop = {team, lane, n_lanes, n, grain, ++own->loops};
    uint64_t stored = atomic_load_explicit(&own->left, memory_order_relaxed);
    while (ahead(&loop, stored) < 0 && !atomic_compare_exchange_weak_explicit(
                                           &own->left, &stored, part_left(&loop, lane, stored),
                                           memory_order_relaxed, memory_order_relaxed)) {
    }
    return loop;
}

/* Pieces of lane i's part, its front for itself, its back for others. False: there is nothing left.
 */
static bool take_from(const struct ink_loop *loop, int i, int most, int *begin, int *end)
{
    _Atomic uint64_t *at = &loop->team->parts[i].left;
    uint64_t stored = atomic_load_explicit(at, memory_order_relaxed), left, rest;
    do {
        left = part_left(loop, i, stored);
        const int n = less(most, (length_of(left) + 1) / 2);
        *begin = i == loop->lane ? begin_of(left) : end_of(left) - n;
        *end = *begin + n;
        if (n == 0) {
            return false;
        }
        rest = i == loop->lane ? left_of(loop->number, *end, end_of(left))
                               : left_of(loop->number, begin_of(left), *begin);
    } while (!atomic_compare_exchange_weak_explicit(at, &stored, rest, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

/* The lane that has most left, of several the next one; -1: none has anything. */
static int richest(const struct ink_loop *loop)
{
    int most = 0, found = -1;
    for (int k = 1; k < loop->n_lanes; k++) {
        const int i = (loop->lane + k) % loop->n_lanes;
        const _Atomic uint64_t *at = &loop->team->parts[i].left;
        const int n = length_of(part_left(loop, i, atomic_load_explicit(at, memory_order_relaxed)));
        if (n > most) {
            most = n;
            found = i;
        }
    }
    return found;
}

bool ink_loop_take(const struct ink_loop *loop, int most, int *begin, int *end)
{
    int from = loop->lane;
    while (!take_from(loop, from, most / loop->grain, begin, end)) {
        from = richest(loop);
        if (from < 0) {
            return false;
        }
    }
    *begin *= loop->grain;
    *end = *end < pieces_of(loop) ? *end * loop->grain : loop->n;
    return true;
}
