/* Threads: one parallel region in which every lane runs the same function. OpenMP where the build
 * has it, else one lane. */
#ifndef INK_THREADS_H
#define INK_THREADS_H

#include <stdbool.h>
#include <stdint.h>

#define INK_MAX_THREADS 256

bool ink_threads_are_available(void); /* was this built with OpenMP? */

/* The lanes of one parallel region, and where they wait for each other. */
struct ink_team;

/* Run function(context, team, lane, n_lanes) on up to n lanes at once; n_lanes may be less than n,
 * and is INK_MAX_THREADS at most. */
typedef void ink_lane_function(void *context, struct ink_team *team, int lane, int n_lanes);
void ink_threads_run(int n, ink_lane_function *function, void *context);

/* Inside the function: wait until all lanes are here; what they wrote before is then visible.
 * Spins for some microseconds, then yields the processor, so that more lanes than free cores cost
 * little. (OpenMP's own barrier spins for milliseconds by default: with another program on the
 * machine it made decoding 20 times slower.) */
void ink_threads_barrier(struct ink_team *team, int n_lanes);

/* Lane's part of 0..n-1, in whole groups of `grain`: [*begin, *end). Parts differ by at most one
 * group and depend on n, grain and n_lanes only. */
void ink_threads_share(int lane, int n_lanes, int n, int grain, int *begin, int *end);

/* A loop over 0..n-1, in pieces of `grain`, whose lanes need not be equally fast: each begins with
 * its part of ink_threads_share, from the front, and when that is done takes over what others have
 * left, from the back. Which lane does a piece is left to chance, so no result may depend on it.
 * (On a shared machine of two processors one was 10 to 30 % slower than the other for seconds, and
 * with fixed parts the other waited.)
 *
 * Every lane begins the same loops in the same order. A lane may go on to the next one while others
 * still compute pieces of this one: a barrier stands where the next one reads what this one wrote,
 * or writes what this one reads or writes, and no later than after 30,000 loops. */
struct ink_loop {
    struct ink_team *team;
    int lane, n_lanes, n, grain;
    unsigned number; /* of the loop in the parallel region */
};

enum { INK_MOST_PIECES = (1 << 24) - 1 }; /* of a loop */

struct ink_loop ink_loop_begin(struct ink_team *team, int lane, int n_lanes, int n, int grain);
/* What this lane does next, whole pieces but for the loop's end: [*begin, *end). At most `most`
 * (grain or more), and at most half of the pieces that the part has left. False when all is taken.
 */
bool ink_loop_take(const struct ink_loop *loop, int most, int *begin, int *end);

#endif
