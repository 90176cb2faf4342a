/* splitmix64 (Steele, Lea, Flood 2014): integers only, so the same on any machine. */
#ifndef INK_RANDOM_H
#define INK_RANDOM_H

#include <stdint.h>

#define INK_RANDOM_STEP 0x9E3779B97F4A7C15u

/* 64 bits of which each depends on all of z's. */
static inline uint64_t ink_random_mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static inline uint64_t ink_random_next(uint64_t *state)
{
    return ink_random_mix(*state += INK_RANDOM_STEP);
}

/* Uniform in -1..1. */
static inline double ink_random_signed(uint64_t *state)
{
    return (double)(ink_random_next(state) >> 11) * 0x1p-52 - 1.0;
}

#endif
