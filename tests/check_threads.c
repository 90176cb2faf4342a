/* Loops whose pieces are dealt out as lanes get on: every piece once, whoever is slow, and a loop
 * without a barrier behind it does not mix with the next. */
#include "support.h"

#include "../src/system.h"
#include "../src/threads.h"

#include <stdatomic.h>

enum { LANES = 5, MOST = 4000 };

/* Lanes are not where a test may end: they count. */
struct job {
    int lanes, n, grain, most, loops;
    atomic_int *done; /* [loops, n]: how often each piece was taken */
    atomic_int bad;   /* what is outside, no whole pieces, or more than was asked for */
    int slow;         /* the lane that sleeps, or -1 */
    bool late;        /* it sleeps before its first loop, too */
    atomic_int taken[LANES];
};

static void pause_for(double seconds)
{
    const double start = ink_system_seconds();
    while (ink_system_seconds() - start < seconds) {
        ink_system_yield();
    }
}

static void count_pieces(struct job *job, int lane, atomic_int *done, const struct ink_loop *loop)
{
    int begin, end;
    while (ink_loop_take(loop, job->most, &begin, &end)) {
        if (begin < 0 || begin >= end || end > job->n || end - begin > job->most ||
            begin % job->grain != 0 || (end % job->grain != 0 && end != job->n)) {
            job->bad++;
            return;
        }
        if (lane == job->slow) {
            pause_for(0.001);
        }
        for (int i = begin; i < end; i++) {
            done[i]++;
        }
        job->taken[lane] += end - begin;
    }
}

static void run_lane(void *context, struct ink_team *team, int lane, int n_lanes)
{
    struct job *job = context;
    if (lane == job->slow && job->late) {
        pause_for(0.05);
    }
    for (int i = 0; i < job->loops; i++) {
        const struct ink_loop loop = ink_loop_begin(team, lane, n_lanes, job->n, job->grain);
        count_pieces(job, lane, job->done + (size_t)i * (size_t)job->n, &loop);
        if (i % 1000 == 999) {
            ink_threads_barrier(team, n_lanes);
        }
    }
}

static void run(struct job *job)
{
    const size_t n = (size_t)job->loops * (size_t)job->n;
    job->done = calloc(n + 1, sizeof *job->done);
    assert_non_null(job->done);
    ink_threads_run(job->lanes, run_lane, job);
    assert_int_equal(job->bad, 0);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(job->done[i], 1);
    }
    free(job->done);
}

static void test_each_piece_once(void **state)
{
    static const int sizes[] = {0, 1, 2, 4, 5, 6, 63, MOST};
    static const int most[] = {1, 3, 8, MOST};
    (void)state;
    for (size_t i = 0; i < INK_COUNT(sizes); i++) {
        for (size_t j = 0; j < INK_COUNT(most); j++) {
            for (int lanes = 1; lanes <= LANES; lanes += 2) {
                struct job job = {.lanes = lanes, .n = sizes[i], .loops = 40, .slow = -1};
                job.grain = 1, job.most = most[j];
                run(&job);
                job.grain = 7, job.most = 7 * most[j];
                run(&job);
            }
        }
    }
}

static void test_a_slow_lane_does_less(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        struct job job = {.lanes = 2,
                          .n = 200,
                          .grain = 1,
                          .most = 8,
                          .loops = 3,
                          .slow = late,
                          .late = late != 0};
        run(&job);
        if (job.taken[!late] > 0) { /* else there was one thread */
            assert_true(job.taken[late] < job.taken[!late]);
        }
    }
}

/* More loops than the number in a part can count, most of which leave a lane nothing. */
static void test_many_loops(void **state)
{
    struct job job = {.lanes = 3, .n = 1, .grain = 1, .most = 1, .loops = 70000, .slow = -1};
    (void)state;
    run(&job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_piece_once),
        cmocka_unit_test(test_a_slow_lane_does_less),
        cmocka_unit_test(test_many_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
