/* What a LoRA adapter is read from: a folder as PEFT saves it, or a GGUF file as llama.cpp reads
 * it. Mapped, and checked against a model; its values are looked at by those who use them. */
#ifndef INK_ADAPTER_SOURCE_H
#define INK_ADAPTER_SOURCE_H

#include "adapter.h"
#include "adapter_config.h"

/* One of the model's matrices, and what is added to it: scale * B A. */
struct ink_adapter_place {
    const struct ink_weight *weight; /* [rows, cols] */
    int layer, kind;                 /* kind: which of a layer's matrices */
    int rank;                        /* 0: the adapter leaves it alone; the rest is then empty */
    double scale;                    /* alpha / r, or alpha / sqrt(r) */
    const struct ink_tensor *a, *b;  /* [rank, cols], [rows, rank] */
};

struct ink_adapter_source {
    const struct ink_model *model;
    const char *path;                 /* the caller's */
    struct ink_adapter_config config; /* of a folder */
    char *config_path, *weights_path; /* of a folder; a GGUF file is both */
    struct ink_weights weights;
    bool is_gguf;
    /* Where every matrix has the same rank and scale, its scale times its rank; else that of most:
     * what GGUF files call alpha. */
    double alpha;
    struct ink_adapter_place *places; /* [n_places], by ink_weight.adapted - 1 */
    int n_places;
    int n_targets, rank; /* places with a rank; the largest */
    bool *used;          /* [weights.n_tensors] */
};

/* Open the folder or the file `path` for a model, which may be one without loaded weights. Refuses,
 * by field or tensor, what ink_adapter_open does, values that are not finite excepted. `path` and
 * `model` must stay. Close it in any case. */
int ink_adapter_source_open(struct ink_adapter_source *out, const struct ink_model *model,
                            const char *path, struct ink_error *error);
void ink_adapter_source_close(struct ink_adapter_source *s);

/* Where row r of the model's matrix lies in B: folders and GGUF files of Llama models differ in the
 * order of rotary pairs, (i, i + D/2) and (2i, 2i + 1). */
int ink_adapter_source_row(const struct ink_adapter_source *s, const struct ink_adapter_place *p,
                           int r);
/* Are its rows rotary pairs? */
bool ink_adapter_has_pairs(const struct ink_adapter_place *p);

/* "blk.0.attn_q.weight.lora_a"; which: 'a' or 'b'. */
void ink_adapter_gguf_name(char *out, size_t n, const struct ink_adapter_place *p, char which);

/* For adapter_source.c, in adapter_gguf.c. Of a GGUF file: weights and metadata, which fills in the
 * paths and alpha; then a place's tensors, rank and scale. */
int ink_adapter_open_gguf(struct ink_adapter_source *s, struct ink_error *error);
int ink_adapter_read_gguf(struct ink_adapter_source *s, struct ink_adapter_place *p,
                          struct ink_error *error);
/* For adapter_gguf.c: open weights_path. */
int ink_adapter_open_weights(struct ink_adapter_source *s, struct ink_error *error);
/* The tensor of that name, which counts as used; NULL: none. */
const struct ink_tensor *ink_adapter_use_tensor(struct ink_adapter_source *s, const char *name);

#endif
