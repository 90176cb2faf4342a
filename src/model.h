/* A model in memory: architecture, weights by role, tokenizer, backend. Read-only once open. */
#ifndef INK_MODEL_H
#define INK_MODEL_H

#include "architecture.h"
#include "backend.h"
#include "tokenizer.h"
#include "weights.h"

struct ink_mutex;

/* Rows of one forward pass; longer input is cut into passes of this many. */
#define INK_MAX_ROWS 256

/* H hidden, A = n_heads * D, G = n_kv_heads * D, I intermediate. A bias without a tensor is not
 * there. */
#define INK_ADAPTED_MATRICES 7 /* of a layer */
struct ink_layer {
    struct ink_weight attention_norm;            /* [H] */
    struct ink_weight query, key, value, output; /* [A, H] [G, H] [G, H] [H, A] */
    struct ink_weight query_bias, key_bias, value_bias, output_bias;
    struct ink_weight mlp_norm;       /* [H] */
    struct ink_weight gate, up, down; /* [I, H] [I, H] [H, I] */
    struct ink_weight gate_bias, up_bias, down_bias;
};

/* The arrays behind one struct ink_batch, and the batch of its outputs; they live with the model,
 * so that ink_eval allocates nothing. */
struct ink_pass_arrays {
    int32_t tokens[INK_MAX_ROWS], positions[INK_MAX_ROWS], output_rows[INK_MAX_ROWS];
    struct ink_kv *kv[INK_MAX_ROWS];
    const struct ink_low_rank *adapters[INK_MAX_ROWS];
    float *logits[INK_MAX_ROWS], *hidden[INK_MAX_ROWS];
    size_t hidden_stride[INK_MAX_ROWS];
    int32_t n_best[INK_MAX_ROWS];
    /* of the batch of the outputs */
    int32_t output_positions[INK_MAX_ROWS], in_order[INK_MAX_ROWS];
    struct ink_kv *output_kv[INK_MAX_ROWS];
    const struct ink_low_rank *output_adapters[INK_MAX_ROWS];
    struct ink_batch outputs;
};

/* Something that is made of a model when it is first asked for, by a layer above this one. */
struct ink_derived {
    struct ink_mutex *lock; /* held while it is made */
    void *data;             /* NULL: it is not made yet */
    void (*close)(void *data);
};

struct ink_model {
    char *path;
    char *config; /* the file that the architecture was read from; NULL: a GGUF file, path */
    struct ink_architecture architecture;
    struct ink_weights weights;
    struct ink_tokenizer *tokenizer; /* NULL if opened without one */
    struct ink_backend *backend;
    bool has_weights;             /* opened with them */
    struct ink_weight embedding;  /* [V, H] */
    struct ink_layer *layers;     /* [n_layers] */
    struct ink_weight final_norm; /* [H] */
    struct ink_weight head;       /* [V, H]; no tensor if tied */
    struct ink_mutex *lock;       /* one ink_eval at a time */
    struct ink_derived *trie;     /* of the tokenizer's bytes; grammar.h */
    struct ink_pass_arrays arrays;
    char *warning;
    struct ink_model_info info;
};

/* The tensors of a model by role. Each role has a name in Hugging Face folders and one in GGUF;
 * "%d" stands for the layer. */
struct ink_tensor_role {
    const char *hf_name, *gguf_name;
};
/* The pattern with its layer filled in. */
void ink_model_tensor_name(char *out, size_t n, const char *pattern, int layer);

typedef int ink_weight_visitor(void *context, struct ink_weight *w,
                               const struct ink_tensor_role *role, int layer,
                               struct ink_error *error);
/* Visit every weight that the architecture has, in forward order; layer is -1 outside layers.
 * Stops at the first status that is not INK_OK and returns it. */
int ink_model_visit_weights(struct ink_model *m, ink_weight_visitor *visit, void *context,
                            struct ink_error *error);

/* Open a model of which there is only a configuration, such a file as config.json: its tensors have
 * names, shapes and the type float32, and no data. It is there to be trained (train/initial.h gives
 * it values): ink_eval fails, export must not be asked. options->without_weights is taken as set.
 * The tokenizer and generation_config.json are those of the file's folder, unless
 * options->tokenizer_dir names another for the tokenizer. */
int ink_model_open_new(struct ink_model **out, const char *config,
                       const struct ink_model_options *options, struct ink_error *error);
/* The tensors of the architecture, for ink_model_open_new; `path` is for messages. */
int ink_model_make_tensors(struct ink_model *m, const char *path, struct ink_error *error);
static inline bool ink_model_is_new(const struct ink_model *m)
{
    return m->architecture.initializer_range > 0;
}

const struct ink_tokenizer *ink_model_tokenizer(const struct ink_model *m);
bool ink_model_is_end_token(const struct ink_model *m, int32_t token);
/* The token that ends a text of this model without a chat template: its tokenizer's </s>, or where
 * the model does not stop at that, the first at which it does. 0: none. The model has a tokenizer.
 */
int32_t ink_model_plain_end_token(const struct ink_model *m);

#endif
