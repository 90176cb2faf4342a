/* Where the arithmetic runs: the verbs that forward.c is written in, and one struct of functions
 * for each place that has them (backend_cpu.c; later vulkan/).
 *
 * Activations never appear as pointers: a verb names a buffer, and each backend keeps its own
 * memory for it. All buffers have one row for each row of the batch (INK_SELECTED: for each
 * wanted output).
 *
 * A pass is one call of run(): the backend calls the pass function on one or more lanes (threads)
 * at once, and every lane calls the same verbs in the same order; a verb does its lane's share.
 * sync() is the only barrier: a verb that reads what another wrote needs one in between, since
 * which lane computes what is left to chance. Where a batch has adapters, matmul and matmul_add are
 * barriers too. A lane's batch may give way to its `outputs` in the last layer, so verbs look at it
 * anew. Nothing in a pass allocates or fails. */
#ifndef INK_BACKEND_H
#define INK_BACKEND_H

#include "tensor.h"

struct ink_backend;
struct ink_team;
struct ink_kv; /* the KV cache of one session, in the backend's memory */

enum ink_buffer {
    INK_RESIDUAL,  /* [rows, H]: the residual stream */
    INK_NORMED,    /* [rows, H] */
    INK_QUERY,     /* [rows, n_heads * D] */
    INK_KEY,       /* [rows, n_kv_heads * D] */
    INK_VALUE,     /* [rows, n_kv_heads * D] */
    INK_ATTENTION, /* [rows, n_heads * D] */
    INK_GATE,      /* [rows, I] */
    INK_UP,        /* [rows, I] */
    INK_SELECTED,  /* [outputs, H] */
    INK_BUFFER_COUNT,
};

/* A matrix [rows, cols] or vector [1, cols] of the model. `tensor` is the mapped original; the
 * backend keeps in `data` what its verbs read: the same bytes, or its own copy. */
struct ink_weight {
    const struct ink_tensor *tensor; /* NULL: the model has no such weight (no bias, say) */
    int rows, cols;
    bool is_vector;     /* gains and biases: always float32 in `data` */
    enum ink_type type; /* of `data` */
    bool is_head;       /* multiplies INK_SELECTED */
    int adapted;        /* 1 + the matrix's index in an adapter; 0: adapters leave it alone */
    bool is_packed;     /* `data` is groups of int8 rows (ink_pack_q8_0); type is Q8_0 */
    const float *rest;  /* not NULL: the groups are in planes; of ink_split_q8 */
    const void *data;
};

/* What an adapter adds to a matrix W [rows, cols]: y = W x + B (A x). */
struct ink_low_rank {
    int rank;       /* 0: nothing */
    const float *a; /* [rank, cols] */
    const float *b; /* [ceil(rows / 16), rank, 16]: B times the adapter's scale, 16 rows side by
                       side, +0 past the last */
    float *product; /* [max_rows, rank]: A x of the rows of a pass; the backend's to write */
};

/* The dimensions that a backend sizes its buffers by. */
struct ink_backend_shape {
    int hidden_size, intermediate_size, n_layers, n_heads, n_kv_heads, head_dim;
    int max_rows; /* rows of one pass */
    float rope_theta;
    bool rope_half;
    enum ink_weight_type weight_type; /* what becomes of the file's matrices */
};

/* What one pass computes. */
struct ink_batch {
    int n_rows;
    const int32_t *tokens;    /* [n_rows] */
    const int32_t *positions; /* [n_rows]: the row's place in its session */
    struct ink_kv *const *kv; /* [n_rows]: the row's session; it has room for position + 1 */
    /* NULL: no row has an adapter. Else [n_rows], NULL for a row without; an adapter's matrices by
     * index, see ink_weight.adapted. */
    const struct ink_low_rank *const *adapters;
    int n_outputs;
    const int32_t *output_rows;  /* [n_outputs], rising: rows whose logits are wanted */
    float *const *logits;        /* [n_outputs] -> [vocab_size] in the caller's memory */
    const int32_t *n_best;       /* [n_outputs]: logits that are wanted, 0 for all (ink_step) */
    float *const *hidden;        /* NULL, or [n_rows] -> [hidden_size], or NULL for a row: where
                                    this row's layer-0 state goes */
    const size_t *hidden_stride; /* [n_rows]: floats from one layer's state to the next's */
    /* NULL, or the batch of the output rows alone, where those are fewer (perhaps none) and no
     * hidden states are wanted: past keys and values the last layer computes only these. */
    const struct ink_batch *outputs;
};

struct ink_lane {
    struct ink_backend *backend;
    const struct ink_batch *batch;
    struct ink_team *team; /* the CPU backend's */
    int index, count;
};
typedef void ink_pass_function(const struct ink_lane *lane, const void *context);
typedef void ink_beside_function(void *context);

struct ink_backend {
    const char *name;  /* "cpu" */
    const char *level; /* the instruction set or device in use */
    int n_threads;
    struct ink_backend_shape shape;
    uint64_t scratch_bytes; /* memory for buffers */
    struct ink_head_statistics head_statistics;

    void (*close)(struct ink_backend *b); /* also frees b */

    /* Memory that prepare will take for w; 0: it is used where it lies. */
    uint64_t (*owned_bytes)(const struct ink_backend *b, const struct ink_weight *w);
    /* Once, before the first prepare: memory for all of them, the sum of owned_bytes. */
    int (*reserve)(struct ink_backend *b, uint64_t bytes, struct ink_error *error);
    /* Once for each weight: where and as what it will be. w stays where it is. */
    int (*prepare)(struct ink_backend *b, struct ink_weight *w, struct ink_error *error);
    /* Once, after the last prepare: fill what the weights' data point to from their tensors, on all
     * threads. The calling thread runs beside(context) first (NULL: nothing); its result is the
     * context's. `path` is for messages. What is made lives as long as b. */
    int (*load)(struct ink_backend *b, const char *path, ink_beside_function *beside, void *context,
                struct ink_error *error);

    /* A KV cache for n positions; kv_bytes is what kv_open will take. */
    uint64_t (*kv_bytes)(const struct ink_backend *b, int n_positions, enum ink_kv_type type);
    struct ink_kv *(*kv_open)(struct ink_backend *b, int n_positions, enum ink_kv_type type);
    void (*kv_close)(struct ink_kv *kv);
    /* Keys and values of positions begin..begin+n-1, both multiples of INK_BLOCK, in the backend's
     * own order: kv_copy_bytes of memory. Caches of one type and backend exchange them. */
    uint64_t (*kv_copy_bytes)(const struct ink_kv *kv, int n);
    void (*kv_read)(const struct ink_kv *kv, void *out, int begin, int n);
    void (*kv_write)(struct ink_kv *kv, const void *in, int begin, int n);

    void (*run)(struct ink_backend *b, const struct ink_batch *batch, ink_pass_function *pass,
                const void *context);

    /* --- verbs, called by the pass function on every lane --- */
    void (*sync)(const struct ink_lane *l);
    /* The angles of each row's position, before what rotates. */
    void (*positions)(const struct ink_lane *l);
    /* out[r] = table[token of r] */
    void (*embed)(const struct ink_lane *l, enum ink_buffer out, const struct ink_weight *table);
    /* out[r] = in[r] / rms(in[r]) * gain */
    void (*norm)(const struct ink_lane *l, enum ink_buffer out, enum ink_buffer in,
                 const struct ink_weight *gain, float eps);
    /* out[r] = w · in[r] + bias, and what the row's adapter adds. bias->tensor may be NULL. */
    void (*matmul)(const struct ink_lane *l, enum ink_buffer out, const struct ink_weight *w,
                   const struct ink_weight *bias, enum ink_buffer in);
    /* out[r] += w · in[r] + bias and adapter: into the residual stream. */
    void (*matmul_add)(const struct ink_lane *l, enum ink_buffer out, const struct ink_weight *w,
                       const struct ink_weight *bias, enum ink_buffer in);
    /* INK_QUERY, rotated in place. */
    void (*rotate)(const struct ink_lane *l);
    /* INK_KEY, rotated, and INK_VALUE into each row's cache. */
    void (*store)(const struct ink_lane *l, int layer);
    /* INK_ATTENTION[r] = softmax(INK_QUERY[r] · K / sqrt(D)) · V over positions 0..position. */
    void (*attend)(const struct ink_lane *l, int layer);
    /* gate[r] = silu(gate[r]) * up[r] */
    void (*swiglu)(const struct ink_lane *l, enum ink_buffer gate, enum ink_buffer up);
    /* out[i] = in[output_rows[i]]; they may be the same buffer. */
    void (*select)(const struct ink_lane *l, enum ink_buffer out, enum ink_buffer in);
    /* batch->logits[i] = head · INK_SELECTED[i] */
    void (*head)(const struct ink_lane *l, const struct ink_weight *head);
    /* Copy rows of `in` to batch->hidden, as the state after `layer` layers. */
    void (*tap)(const struct ink_lane *l, int layer, enum ink_buffer in);
};

/* The CPU backend. level: NULL or "auto", "c", "avx2", ...; threads: 0 for all physical cores. */
int ink_backend_open_cpu(struct ink_backend **out, const struct ink_backend_shape *shape,
                         const char *level, int threads, struct ink_error *error);

#endif
