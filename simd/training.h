/* The kernels of kernels.h that walk over all parameters of a model; part of body.h. */
#ifndef INK_TRAINING_H
#define INK_TRAINING_H

static float sum_squares(const float *x, size_t n)
{
    v16 squares = v_set1(0.0f);
    for (size_t i = 0; i < n; i += 16) {
        const v16 a = v_load(x + i);
        squares = v_fma(a, a, squares);
    }
    return v_tree_sum(squares);
}

static void adamw(float *p, float *m, float *v, const float *g, size_t n,
                  const struct ink_adamw *by)
{
    const v16 clip = v_set1(by->clip), keep = v_set1(by->keep), rate = v_set1(-by->rate);
    const v16 beta1 = v_set1(by->beta1), rest1 = v_set1(by->rest1);
    const v16 beta2 = v_set1(by->beta2), rest2 = v_set1(by->rest2), epsilon = v_set1(by->epsilon);
    for (size_t i = 0; i < n; i += 16) {
        const v16 slope = v_mul(v_load(g + i), clip);
        const v16 mean = v_fma(v_load(m + i), beta1, v_mul(slope, rest1));
        const v16 square = v_fma(v_load(v + i), beta2, v_mul(v_mul(slope, slope), rest2));
        const v16 step = v_div(mean, v_add(v_sqrt(square), epsilon));
        v_store(m + i, mean);
        v_store(v + i, square);
        v_store(p + i, v_fma(step, rate, v_mul(v_load(p + i), keep)));
    }
}

#endif
