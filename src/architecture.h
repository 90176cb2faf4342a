/* What a model's files say about its shape: config.json of a folder, or GGUF metadata. */
#ifndef INK_ARCHITECTURE_H
#define INK_ARCHITECTURE_H

#include "gguf.h"

#define INK_MAX_LAYERS 1024
#define INK_MAX_END_TOKENS 1024
#define INK_MAX_POSITIONS (1 << 20)

struct ink_architecture {
    bool is_llama;         /* LlamaForCausalLM or GGUF "llama"; else ERNIE 4.5 */
    int vocab_size;        /* V */
    int hidden_size;       /* H */
    int intermediate_size; /* I */
    int n_layers, n_heads, n_kv_heads;
    int head_dim; /* D, even; the projections are n_heads * D wide, which need not be H */
    int max_positions;
    float norm_eps, rope_theta;
    bool rope_half; /* rotary pairs (j, j + D/2) instead of (2j, 2j + 1) */
    bool tied_head; /* the head is the embedding */
    bool attention_bias, mlp_bias;
    int bos_token, pad_token; /* -1: none */
    float initializer_range;  /* of a model that is yet to be trained; else 0 */
    int n_end_tokens;
    int32_t end_tokens[INK_MAX_END_TOKENS];
    struct ink_sampling sampling; /* generation_config.json, or greedy */
};

/* Read `folder`/config.json and, if there, generation_config.json. */
int ink_architecture_read_folder(struct ink_architecture *out, const char *folder,
                                 struct ink_error *error);
/* Read the configuration of a model that is yet to be trained: `path` is such a config.json, and
 * generation_config.json may lie beside it. initializer_range is 0.02 where it does not say. */
int ink_architecture_read_new(struct ink_architecture *out, const char *path,
                              struct ink_error *error);
/* From GGUF metadata; vocab_size comes from token_embd.weight and is passed in (0: unknown yet). */
int ink_architecture_read_gguf(struct ink_architecture *out, const struct ink_gguf *gguf,
                               int vocab_size, const char *path, struct ink_error *error);

#endif
