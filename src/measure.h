/* What the machine can do at most: bytes read from memory, int8, float32 and bf16 multiply-adds.
 * The meter of inkstone.h is made of these; the doctor and bench/bench_kernels use them as well. */
#ifndef INK_MEASURE_H
#define INK_MEASURE_H

#include "common.h"

/* The fastest multiply-add loops of an instruction set level, measure_peaks.c. Each loop does
 * `rounds` rounds on the calling thread; a multiplication and its addition are two operations. */
struct ink_peak_loop {
    const char *instruction; /* "vpdpbusd zmm" */
    void (*run)(uint64_t rounds);
    double operations; /* of one round */
};
struct ink_peak {
    const char *level;                    /* a name of ink_kernels_at */
    struct ink_peak_loop int8, f32, bf16; /* bf16.run NULL: the level has no such instruction */
};
/* That of a level which this CPU can run; plain C where there is none of its own. */
const struct ink_peak *ink_peak_find(const char *level);

/* As ink_meter_open, for up to INK_MAX_THREADS threads and a level that this CPU can run. Takes
 * memory for reading: at least 256 MiB, more than the caches hold, but at most a quarter of what is
 * free. NULL if there is none at all. */
struct ink_meter *ink_meter_new(int threads, const char *level);

/* Operations or bytes a second, with all the meter's threads together: the best of a few runs of
 * some milliseconds. */
double ink_meter_peak(struct ink_meter *meter, const struct ink_peak_loop *loop);
double ink_meter_bandwidth(struct ink_meter *meter);

#endif
