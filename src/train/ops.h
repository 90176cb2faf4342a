/* What a layer does besides matrix products, forward and backward, in float32. Each function does
 * its lane's share of rows (or columns, or heads) and writes nothing that another lane writes.
 *
 * T tokens of a packed batch, H hidden, D head_dim, A = n_heads * D, G = n_kv_heads * D, I
 * intermediate. dX is the gradient of the loss with respect to X. */
#ifndef INK_TRAIN_OPS_H
#define INK_TRAIN_OPS_H

#include "gemm.h"

#include <stdint.h>

/* Samples of a batch one after the other, without padding. A token sees its own sample's tokens up
 * to itself. */
struct ink_packed {
    int n_tokens;             /* T */
    const int32_t *tokens;    /* [T] */
    const int32_t *positions; /* [T], from 0 in each sample */
    int n_sequences;
    const int32_t *begins; /* [n_sequences + 1]: sample s is begins[s]..begins[s + 1] - 1 */
    int n_labels;
    const int32_t *label_rows;   /* [n_labels], rising: the tokens whose next one is trained on */
    const int32_t *label_tokens; /* [n_labels]: that next one */
    int64_t first_row;           /* tokens of the step that go before, wherever: for dropout */
};

/* Rows of t: to = from [T, H]; x = 0. */
void ink_rows_copy(const struct ink_train_lane *l, float *to, const float *from, int t, int h);
void ink_rows_clear(const struct ink_train_lane *l, float *x, int t, int h);

/* y = x * scale * gain, scale = 1 / sqrt(mean(x²) + eps). x, y [T, H]; scales [T] are kept. */
void ink_norm_forward(const struct ink_train_lane *l, const struct ink_kernels *k, float *y,
                      float *scales, const float *x, const float *gain, int t, int h, float eps);
/* dx += scale * (g - x * scale² * mean(g x)), g = dy * gain */
void ink_norm_backward(const struct ink_train_lane *l, float *dx, const float *dy, const float *x,
                       const float *scales, const float *gain, int t, int h);
/* dgain (+)= sum over t of dy * x * scale */
void ink_norm_gain(const struct ink_train_lane *l, float *dgain, const float *dy, const float *x,
                   const float *scales, int t, int h, bool adds);

/* Rows of y [t, n] += bias [n], on the calling lane. */
void ink_bias_forward(float *y, size_t ldy, const float *bias, int t, int n);
/* dbias (+)= sum over t of dy [T, N] */
void ink_bias_backward(const struct ink_train_lane *l, float *dbias, const float *dy, int t, int n,
                       bool adds);

/* Rotary embedding of n_heads heads of each row of x [T, n_heads * D], in place; its backward is
 * the same with the negative sines. cosines, sines [T, D / 2]. `half`: pairs (i, i + D / 2). */
void ink_rotate(const struct ink_train_lane *l, const struct ink_kernels *k, float *x,
                const float *cosines, const float *sines, int t, int n_heads, int head_dim,
                bool half);

/* y = silu(gate) * up. All [T, I]. */
void ink_swiglu_forward(const struct ink_train_lane *l, const struct ink_kernels *k, float *y,
                        const float *gate, const float *up, int t, int n);
/* gate and up become their gradients. */
void ink_swiglu_backward(const struct ink_train_lane *l, const struct ink_kernels *k, float *gate,
                         float *up, const float *dy, int t, int n);

struct ink_train_attention {
    const struct ink_packed *batch;
    const struct ink_kernels *kernels;
    int n_heads, n_kv_heads, head_dim;
    float scale;
    float *scratch; /* a lane's piece: ink_attention_scratch floats each, one after another */
    size_t scratch_floats;
};

/* Floats that a lane works in, for samples of up to `longest` tokens. */
size_t ink_attention_scratch(int longest);
/* out [T, A] = softmax(q kᵀ * scale) v, causal within each sample. q [T, A], k, v [T, G] rotated.
 * logs [T, n_heads]: the logarithm of each softmax's sum, for backward. */
void ink_attention_forward(const struct ink_train_lane *l, const struct ink_train_attention *a,
                           float *out, float *logs, const float *q, const float *k, const float *v);
/* dq [T, A]. dk_heads, dv_heads [T, A]: what each query head gives its key/value head's gradient.
 */
void ink_attention_backward(const struct ink_train_lane *l, const struct ink_train_attention *a,
                            float *dq, float *dk_heads, float *dv_heads, const float *dout,
                            const float *out, const float *logs, const float *q, const float *k,
                            const float *v);
/* dk [T, G] = the sum of its query heads' parts. */
void ink_attention_gather(const struct ink_train_lane *l, float *dk, const float *dk_heads, int t,
                          int n_heads, int n_kv_heads, int head_dim);

/* y [T, H] = rows of table */
void ink_embed_forward(const struct ink_train_lane *l, const struct ink_kernels *k, float *y,
                       const struct ink_gemm_matrix *table, const int32_t *tokens, int t);
/* dtable[token] += dy, in the order of the batch. Tokens `pad` are left out, as PyTorch leaves out
 * an embedding's padding_idx (-1: none). */
void ink_embed_backward(const struct ink_train_lane *l, float *dtable, const float *dy,
                        const int32_t *tokens, int t, int h, int pad);

/* Cross entropy of rows of logits [R, V]: losses [R] = log sum exp - logit of the label, and the
 * logits become (softmax - 1 at the label) * by: the gradient, where the loss is a mean. */
void ink_cross_entropy(const struct ink_train_lane *l, const struct ink_kernels *k, float *logits,
                       double *losses, const int32_t *labels, int r, int v, float by);

#endif
