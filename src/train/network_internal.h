/* What network.c, network_layer.c and network_head.c share. */
#ifndef INK_TRAIN_NETWORK_INTERNAL_H
#define INK_TRAIN_NETWORK_INTERNAL_H

#include "gemm.h"
#include "network.h"

/* y = x wᵀ + bias + scale * (dropped x aᵀ) bᵀ */
struct linear {
    struct ink_parameter *weight, *bias; /* bias NULL: none */
    struct ink_parameter *a, *b;         /* [rank, K] [N, rank]; NULL: no adapter */
    int index;                           /* of the matrix in the model, for the dropout's seed */
};

enum { MATRICES = INK_ADAPTED_MATRICES };

struct layer {
    struct ink_parameter *attention_norm, *mlp_norm;
    struct linear query, key, value, output, gate, up, down;
};

enum { QUERY, KEY, VALUE, OUTPUT, GATE, UP, DOWN }; /* struct kept's low */

/* What is kept of a layer. T tokens, H hidden, A, G, I as in ops.h. */
struct kept {
    float *input; /* [T, H]: each layer has its own */

    /* What forward keeps: each layer has its own, or all have one if they are recomputed. */
    float *attention_scales;    /* [T] */
    float *query, *key, *value; /* [T, A] [T, G] [T, G], rotated */
    float *logs;                /* [T, n_heads] */
    float *attention;           /* [T, A] */
    float *middle;              /* [T, H]: with attention's output added */
    float *mlp_scales;          /* [T] */
    float *gate, *up;           /* [T, I] */
    float *low[MATRICES];       /* [T, rank] each: dropped x aᵀ; NULL without an adapter */

    /* With the above, the factors of the weights' gradients: all layers have one, or each its own
     * if gradients are kept as factors. gate and up become their own gradients in backward. */
    float *attention_normed, *mlp_normed; /* [T, H] */
    float *act;                           /* [T, I]: silu(gate) * up */
    float *d_query, *d_key, *d_value;     /* [T, A] [T, G] [T, G] */
    float *d_output, *d_down;             /* [T, H] */
};

/* The gradient of a matrix of weights [N, K] as factors: dyᵀ x. */
struct factors {
    struct ink_parameter *parameter;
    float *dy, *x; /* [rows, N] [rows, K] */
    int rows;
};

/* Labelled rows whose logits are there at a time, if they need not all be: enough for the head's
 * matrix to be read seldom, few enough for their logits (53 MB with ERNIE's vocabulary) to be small
 * beside the rest. */
enum { HEAD_ROWS = 128 };

struct ink_network {
    struct ink_parameters *parameters;
    struct ink_network_adapter adapter; /* rank 0: none */
    const struct ink_architecture *architecture;
    const struct ink_kernels *kernels;
    struct ink_gemm_math math; /* of the products with weights; others are in float32 */
    struct ink_network_limits limits;
    int hidden, width, kv_width, inner, vocabulary; /* H, A, G, I, V */
    int head_rows;                                  /* R: labelled rows at a time */

    struct ink_parameter *embedding, *final_norm, *head; /* head: the embedding, where it is tied */
    struct layer *layers;                                /* [n_layers] */
    struct kept *kept;       /* [n_layers]; the first has room for limits.tokens, the others for
                                limits.trained_tokens */
    struct factors *factors; /* [n_factors], if gradients are kept as such: those of the last run */
    double *squares;         /* [n_factors, FACTOR_BLOCKS]: parts of the norm; one more of the
                                embedding's */
    int n_factors;

    float *output;                          /* [T, H]: of the last layer */
    float *d_residual, *d_normed;           /* [T, H] */
    float *d_act;                           /* [T, I] */
    float *d_attention;                     /* [T, A] */
    float *d_key_heads, *d_value_heads;     /* [T, A] */
    float *cosines, *sines, *back_sines;    /* [T, D / 2] */
    float *frequencies;                     /* [D / 2] */
    float *selected, *head_normed, *d_head; /* [R, H] */
    float *head_scales;                     /* [R] */
    float *logits;                          /* [R, V]; after backward their gradients */
    float *d_low[3];                        /* [T, rank] */
    float *dropped;                         /* [T, the widest of H, A, I], where there is dropout */
    float *scratch;                         /* [threads, scratch_floats] */
    size_t scratch_floats;
    double *losses; /* [T], one for each label */
    struct ink_train_attention attention;
    float *memory; /* all of the above but layers, kept and losses */

    /* Of the run under way. */
    const struct ink_packed *batch;
    float by;
    bool adds, goes_back;
    uint64_t seed; /* of dropout */
};

/* network_layer.c. x [T, H] becomes the layer's output, in place; what backward needs is kept. */
void ink_layer_forward(const struct ink_train_lane *l, struct ink_network *net, int layer,
                       struct kept *kept, float *x);
/* dx [T, H], the gradient of the layer's output, becomes that of its input. */
void ink_layer_backward(const struct ink_train_lane *l, struct ink_network *net, int layer,
                        const struct kept *kept, float *dx);

/* network_head.c. The losses of all labels; with net->goes_back also dx [T, H], and the gradients
 * of head and final norm. */
void ink_head_run(const struct ink_train_lane *l, struct ink_network *net, const float *x,
                  float *dx);

/* network_factors.c */
enum { FACTOR_BLOCK = 64, FACTOR_BLOCKS = (INK_GEMM_TOKENS + FACTOR_BLOCK - 1) / FACTOR_BLOCK };
/* Room for the factors of all matrices. */
bool ink_factors_allocate(struct ink_network *net);

#endif
