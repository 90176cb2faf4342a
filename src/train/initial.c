#include "initial.h"

#include "fixedmath.h"
#include "random.h"

#include <math.h>
#include <string.h>

static void next_pair(double pair[2], uint64_t *state)
{
    double x, y, s;
    do {
        x = ink_random_signed(state);
        y = ink_random_signed(state);
        s = x * x + y * y;
    } while (s >= 1 || s == 0);
    const double f = sqrt(-2 * ink_fixed_log(s) / s);
    pair[0] = x * f;
    pair[1] = y * f;
}

static void fill_normal(float *values, uint64_t n, double deviation, uint64_t state)
{
    double pair[2] = {0, 0};
    for (uint64_t i = 0; i < n; i++) {
        if (i % 2 == 0) {
            next_pair(pair, &state);
        }
        values[i] = (float)(pair[i % 2] * deviation);
    }
}

/* A vector that is no bias is a norm's gain. */
static bool is_bias(const struct ink_parameter *one)
{
    static const char end[] = ".bias";
    const size_t n = strlen(one->name), m = sizeof end - 1;
    return n >= m && strcmp(one->name + n - m, end) == 0;
}

void ink_initial_fill(struct ink_parameters *p, const struct ink_model *model, uint64_t seed)
{
    const struct ink_architecture *a = &model->architecture;
    for (int i = 0; i < p->n; i++) {
        struct ink_parameter *one = &p->list[i];
        const uint64_t n = (uint64_t)one->matrix.rows * (uint64_t)one->matrix.cols;
        for (uint64_t j = 0; j < n && one->is_vector; j++) {
            one->value[j] = is_bias(one) ? 0.0f : 1.0f;
        }
        if (!one->is_vector) {
            fill_normal(one->value, n, a->initializer_range,
                        ink_random_mix(seed + INK_RANDOM_STEP * (uint64_t)(i + 1)));
        }
        if (one->weight == &model->embedding && a->pad_token >= 0) {
            memset(one->value + (size_t)a->pad_token * (size_t)one->matrix.cols, 0,
                   (size_t)one->matrix.cols * sizeof *one->value);
        }
    }
}
