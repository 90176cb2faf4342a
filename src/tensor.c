#include "tensor.h"

static const struct ink_type_facts facts[INK_TYPE_COUNT] = {
    [INK_TYPE_F32] = {"F32", 1, 4, 0},        [INK_TYPE_F16] = {"F16", 1, 2, 1},
    [INK_TYPE_BF16] = {"BF16", 1, 2, 30},     [INK_TYPE_Q8_0] = {"Q8_0", 32, 34, 8},
    [INK_TYPE_Q4_0] = {"Q4_0", 32, 18, 2},    [INK_TYPE_Q4_1] = {"Q4_1", 32, 20, 3},
    [INK_TYPE_Q5_0] = {"Q5_0", 32, 22, 6},    [INK_TYPE_Q5_1] = {"Q5_1", 32, 24, 7},
    [INK_TYPE_Q4_K] = {"Q4_K", 256, 144, 12}, [INK_TYPE_Q5_K] = {"Q5_K", 256, 176, 13},
    [INK_TYPE_Q6_K] = {"Q6_K", 256, 210, 14},
};

const struct ink_type_facts *ink_type_facts(enum ink_type type)
{
    return &facts[type];
}

uint64_t ink_type_bytes(enum ink_type type, uint64_t n)
{
    const struct ink_type_facts *f = ink_type_facts(type);
    return n / (uint64_t)f->block_values * (uint64_t)f->block_bytes;
}

uint64_t ink_tensor_count(const struct ink_tensor *t)
{
    uint64_t n = 1;
    for (int i = 0; i < t->n_dims; i++) {
        n *= (uint64_t)t->shape[i];
    }
    return n;
}
