/* A linear map of a layer with its adapter, forward and backward. T tokens, K inputs, N outputs,
 * rank r. Up to INK_LINEAR_MAPS maps of one input are computed together. */
#ifndef INK_TRAIN_NETWORK_LINEAR_H
#define INK_TRAIN_NETWORK_LINEAR_H

#include "network_internal.h"

/* Before ink_linear_forward, with a barrier between: low [T, r] = dropped x aᵀ. Nothing without an
 * adapter. */
void ink_linear_project(const struct ink_train_lane *l, struct ink_network *net, float *low,
                        const float *x, const struct linear *f);
enum { INK_LINEAR_MAPS = 3 };

struct linear_call {
    const struct linear *f;
    float *y;         /* [T, N] */
    const float *low; /* [T, r] */
};
/* Of n maps of one x [T, K]: y = x wᵀ + bias + scale * low bᵀ, or y += that. */
void ink_linear_forward(const struct ink_train_lane *l, const struct ink_network *net,
                        const struct linear_call *calls, int n, const float *x, bool adds);

/* Before ink_linear_backward, with a barrier between: d_low [T, r] = scale * dy b. */
void ink_linear_unproject(const struct ink_train_lane *l, const struct ink_network *net,
                          float *d_low, const float *dy, const struct linear *f);
/* What a map was used for. */
struct linear_use {
    const struct linear *f;
    const float *dy, *x;      /* [T, N] [T, K] */
    const float *low, *d_low; /* [T, r] */
};
/* dx [T, K] = the sum of dy w + dropped (d_low a) over n maps of one input; and the gradients of
 * whatever is trained. */
void ink_linear_backward(const struct ink_train_lane *l, struct ink_network *net, float *dx,
                         const struct linear_use *uses, int n);

#endif
