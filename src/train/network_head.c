/* The head, for labelled rows only, some at a time: their logits become their own gradients in
 * place, so that few rows of the vocabulary's width ever exist. */
#include "network_internal.h"

#include <string.h>

static void gather(const struct ink_train_lane *l, float *to, const float *x, const int32_t *rows,
                   int n, int h)
{
    int begin, end;
    ink_train_share(l, n, &begin, &end);
    for (int i = begin; i < end; i++) {
        memcpy(to + (size_t)i * (size_t)h, x + (size_t)rows[i] * (size_t)h, (size_t)h * sizeof *to);
    }
}

/* dx [T, H] at the rows = from [n, H]: no row stands in two runs */
static void scatter(const struct ink_train_lane *l, float *dx, const float *from,
                    const int32_t *rows, int n, int h)
{
    int begin, end;
    ink_train_share(l, n, &begin, &end);
    for (int i = begin; i < end; i++) {
        memcpy(dx + (size_t)rows[i] * (size_t)h, from + (size_t)i * (size_t)h,
               (size_t)h * sizeof *dx);
    }
}

static void back(const struct ink_train_lane *l, struct ink_network *net, float *dx, int at, int n,
                 bool adds)
{
    const int h = net->hidden, v = net->vocabulary;
    const struct ink_parameter *head = net->head, *gain = net->final_norm;
    const struct ink_gemm_product product = {net->logits, &head->matrix, {NULL, NULL}};
    ink_gemm_input(l, &net->math, net->d_normed, &product, 1, n, false);
    if (head->gradient) {
        ink_gemm_weight(l, &net->math, head->gradient, net->logits, net->head_normed, n, v, h,
                        adds);
    }
    ink_rows_clear(l, net->d_head, n, h);
    ink_train_sync(l);
    ink_norm_backward(l, net->d_head, net->d_normed, net->selected, net->head_scales, gain->value,
                      n, h);
    if (gain->gradient) {
        ink_norm_gain(l, gain->gradient, net->d_normed, net->selected, net->head_scales, n, h,
                      adds);
    }
    ink_train_sync(l);
    scatter(l, dx, net->d_head, net->batch->label_rows + at, n, h);
}

void ink_head_run(const struct ink_train_lane *l, struct ink_network *net, const float *x,
                  float *dx)
{
    const struct ink_packed *b = net->batch;
    const int h = net->hidden, v = net->vocabulary;
    if (net->goes_back) {
        ink_rows_clear(l, dx, b->n_tokens, h);
    }
    for (int at = 0; at < b->n_labels; at += net->head_rows) {
        const int n = b->n_labels - at < net->head_rows ? b->n_labels - at : net->head_rows;
        gather(l, net->selected, x, b->label_rows + at, n, h);
        ink_train_sync(l);
        ink_norm_forward(l, net->kernels, net->head_normed, net->head_scales, net->selected,
                         net->final_norm->value, n, h, net->architecture->norm_eps);
        ink_train_sync(l);
        const struct ink_gemm_map map = {net->logits, &net->head->matrix, {NULL, NULL}};
        ink_gemm_forward(l, &net->math, &map, 1, net->head_normed, n, false);
        ink_train_sync(l);
        ink_cross_entropy(l, net->kernels, net->logits, net->losses + at, b->label_tokens + at, n,
                          v, net->by);
        ink_train_sync(l);
        if (net->goes_back) {
            back(l, net, dx, at, n, net->adds || at > 0);
            ink_train_sync(l);
        }
    }
}
