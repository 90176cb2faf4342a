/* Other programs' orders, number for number: the Mersenne Twister MT19937 (Matsumoto and Nishimura
 * 1998) seeded and drawn from as CPython and PyTorch do. Not for sampling tokens. */
#ifndef INK_DATA_SHUFFLE_H
#define INK_DATA_SHUFFLE_H

#include "common.h"

struct ink_twister {
    uint32_t state[624];
    int at; /* of the next number in state */
};

enum { INK_MAX_SEED_DIGITS = 4300 }; /* as Python's int() takes */

/* random.seed(int(seed)): decimal digits with an optional sign, of any size up to
 * INK_MAX_SEED_DIGITS (the sign does not count, as in Python). INK_ERROR_ARGUMENT otherwise;
 * `shown` is how the message calls it. */
int ink_twister_seed_python(struct ink_twister *t, const char *seed, const char *shown,
                            struct ink_error *error);
/* random.shuffle(items). */
void ink_twister_shuffle(struct ink_twister *t, uint32_t *items, size_t n);

/* torch.manual_seed(seed) on the CPU. Only the lower 32 bits count there too. */
void ink_twister_seed_torch(struct ink_twister *t, uint64_t seed);
/* torch.randperm(n) into out [n], for the n of which torch draws 32 bits a step (n below
 * INK_MAX_RANDPERM). Hugging Face's Trainer orders epoch e by seed + e. */
enum { INK_MAX_RANDPERM = 0xFFFFFFFFu / 20 };
void ink_twister_randperm(struct ink_twister *t, uint32_t *out, size_t n);

#endif
