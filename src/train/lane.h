/* Training's threads: one parallel region a step, in which every lane runs the same functions. Each
 * does some of the pieces of the work and the caller puts the barriers, as in the forward pass of
 * inference. How a value is computed depends neither on the number of lanes nor on which of them
 * does it, so neither do results. */
#ifndef INK_TRAIN_LANE_H
#define INK_TRAIN_LANE_H

#include "threads.h"

struct ink_train_lane {
    struct ink_team *team;
    int index, count;
    float *scratch; /* the lane's own: ink_gemm_scratch floats for the widest matrix */
};

static inline void ink_train_sync(const struct ink_train_lane *l)
{
    ink_threads_barrier(l->team, l->count);
}

/* A loop over 0..n-1 that is dealt out as lanes get on, in pieces of `grain`: see threads.h. */
static inline struct ink_loop ink_train_loop(const struct ink_train_lane *l, int n, int grain)
{
    return ink_loop_begin(l->team, l->index, l->count, n, grain);
}

/* This lane's part of n pieces: [*begin, *end). */
static inline void ink_train_share(const struct ink_train_lane *l, int n, int *begin, int *end)
{
    ink_threads_share(l->index, l->count, n, 1, begin, end);
}

#endif
