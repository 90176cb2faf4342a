#include "measure.h"

#include "cpu.h"
#include "system.h"
#include "threads.h"

#include <string.h>

enum { line = 64 };

struct ink_meter {
    int threads;
    const struct ink_peak *peak;
    char cpu[64];
    uint64_t *data; /* NULL: there was no memory */
    int n_lines;    /* of 64 bytes */
    uint64_t sums[INK_MAX_THREADS];
    /* That take some milliseconds; 0: not known yet. */
    uint64_t int8_rounds, f32_rounds, bf16_rounds;
};

#if defined(__GNUC__)
#define PREFETCH(p) __builtin_prefetch(p)
#else
#define PREFETCH(p) (void)(p)
#endif

/* ----------------------------------------------------------------------------------- bandwidth */

/* Pages that nobody wrote may all be one page of zeros, which a cache holds; and a page belongs
 * to the memory of the processor that writes it first. */
static void write_share(void *context, struct ink_team *team, int lane, int n_lanes)
{
    struct ink_meter *m = context;
    int begin, end;
    (void)team;
    ink_threads_share(lane, n_lanes, m->n_lines, 64, &begin, &end);
    memset(m->data + (size_t)begin * 8, 1, (size_t)(end - begin) * line);
}

/* One word of each cache line: to add them all up would take longer than to fetch them. */
static void read_share(void *context, struct ink_team *team, int lane, int n_lanes)
{
    struct ink_meter *m = context;
    int begin, end;
    uint64_t sums[4] = {0};
    (void)team;
    ink_threads_share(lane, n_lanes, m->n_lines, 64, &begin, &end);
    for (const uint64_t *p = m->data + (size_t)begin * 8, *stop = m->data + (size_t)end * 8;
         p < stop; p += 32) {
        for (int i = 0; i < 4; i++) {
            PREFETCH((const char *)(p + 8 * i) + 4096);
            sums[i] += p[8 * i];
        }
    }
    m->sums[lane] += sums[0] + sums[1] + sums[2] + sums[3]; /* kept, or it would not be read */
}

double ink_meter_bandwidth(struct ink_meter *m)
{
    double best = 0;
    for (int i = 0; i < 3 && m->data; i++) {
        const double start = ink_system_seconds();
        ink_threads_run(m->threads, read_share, m);
        const double seconds = ink_system_seconds() - start;
        const double rate = seconds > 0 ? (double)m->n_lines * line / seconds : 0;
        best = rate > best ? rate : best;
    }
    return best;
}

/* --------------------------------------------------------------------------------------- peaks */

struct trial {
    const struct ink_peak_loop *loop;
    uint64_t rounds;
    double seconds;
    int n_lanes;
};

/* The time between two meetings of all lanes: starting threads is no part of it. */
static void run_trial(void *context, struct ink_team *team, int lane, int n_lanes)
{
    struct trial *t = context;
    ink_threads_barrier(team, n_lanes);
    const double start = lane == 0 ? ink_system_seconds() : 0;
    t->loop->run(t->rounds);
    ink_threads_barrier(team, n_lanes);
    if (lane == 0) {
        t->seconds = ink_system_seconds() - start;
        t->n_lanes = n_lanes;
    }
}

/* As many rounds as take 4 milliseconds or so. */
static uint64_t find_rounds(const struct ink_peak_loop *loop)
{
    uint64_t rounds = 1000;
    double seconds = 0;
    while (seconds < 0.003 && rounds < (uint64_t)1 << 40) {
        rounds *= 2;
        const double start = ink_system_seconds();
        loop->run(rounds);
        seconds = ink_system_seconds() - start;
    }
    return rounds;
}

static uint64_t *rounds_of(struct ink_meter *m, const struct ink_peak_loop *loop)
{
    if (loop == &m->peak->int8) {
        return &m->int8_rounds;
    }
    return loop == &m->peak->f32 ? &m->f32_rounds : &m->bf16_rounds;
}

double ink_meter_peak(struct ink_meter *m, const struct ink_peak_loop *loop)
{
    uint64_t *rounds = rounds_of(m, loop);
    double best = 0;
    *rounds = *rounds ? *rounds : find_rounds(loop);
    for (int i = 0; i < 3; i++) {
        struct trial t = {.loop = loop, .rounds = *rounds};
        ink_threads_run(m->threads, run_trial, &t);
        const double operations = loop->operations * (double)t.rounds * t.n_lanes;
        const double rate = t.seconds > 0 ? operations / t.seconds : 0;
        best = rate > best ? rate : best;
    }
    return best;
}

/* --------------------------------------------------------------------------------------- meter */

/* The largest level-3 caches have 12 MiB for each of their cores. */
static size_t buffer_size(int threads)
{
    const uint64_t quarter = ink_system_free_memory() / 4;
    uint64_t n = (uint64_t)threads * 32 << 20;
    n = n > 256u << 20 ? n : 256u << 20;
    n = n < quarter ? n : quarter;
    /* whole groups of lines, as the threads share them */
    return (size_t)(n < SIZE_MAX / 4 ? n : SIZE_MAX / 4) / (64 * line) * (64 * line);
}

struct ink_meter *ink_meter_new(int threads, const char *level)
{
    struct ink_meter *m = ink_calloc(1, sizeof *m);
    if (!m) {
        return NULL;
    }
    m->threads = threads < INK_MAX_THREADS ? threads : INK_MAX_THREADS;
    m->peak = ink_peak_find(level);
    ink_cpu_name(m->cpu, sizeof m->cpu);
    const size_t n = buffer_size(m->threads);
    m->data = n > 0 ? ink_alloc_aligned(n) : NULL;
    if (m->data) {
        ink_system_prefer_large_pages(m->data, n); /* as the weights lie */
        m->n_lines = (int)(n / line);
        ink_threads_run(m->threads, write_share, m);
    }
    return m;
}

int ink_meter_open(struct ink_meter **out, const struct ink_model *model, struct ink_error *error)
{
    const struct ink_model_info *info = ink_model_get_info(model);
    *out = ink_meter_new(info->threads, info->cpu_level);
    return *out ? INK_OK : ink_fail_memory(error, sizeof **out);
}

void ink_meter_close(struct ink_meter *m)
{
    if (m) {
        ink_free_aligned(m->data);
        ink_free(m);
    }
}

void ink_meter_read(struct ink_meter *m, struct ink_ceilings *out)
{
    *out = (struct ink_ceilings){.cpu = m->cpu,
                                 .int8_instruction = m->peak->int8.instruction,
                                 .read_bytes = ink_meter_bandwidth(m),
                                 .int8_operations = ink_meter_peak(m, &m->peak->int8),
                                 .f32_operations = ink_meter_peak(m, &m->peak->f32)};
}
