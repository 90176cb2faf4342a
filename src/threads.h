/* Threads: one parallel region in which every lane runs the same function. OpenMP where the build
 * has it, else one lane. */
#ifndef INK_THREADS_H
#define INK_THREADS_H

#include <stdbool.h>

#define INK_MAX_THREADS 256

bool ink_threads_are_available(void); /* was this built with OpenMP? */

/* The lanes of one parallel region, and where they wait for each other. */
struct ink_team;

/* Run function(context, team, lane, n_lanes) on up to n lanes at once; n_lanes may be less than n.
 */
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

#endif
