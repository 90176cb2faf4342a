/* Checkpoints: a run's folder holds checkpoint-N for some steps N, each a Hugging Face folder that
 * transformers, peft and every command load as it is, and that the run can go on from.
 *
 *   whole model   model.safetensors, config.json, generation_config.json
 *   LoRA adapter  adapter_model.safetensors, adapter_config.json, as PEFT writes them
 *   both          the tokenizer's files, trainer_state.json (history.h), optimizer.safetensors
 *                 (AdamW's moments "exp_avg.NAME" and "exp_avg_sq.NAME", and "master.NAME" where
 *                 the weights themselves are rounded; float32), training_state.json
 *
 * A checkpoint is written as tmp-checkpoint-N, each file synced, training_state.json last with the
 * names and sizes of all others, then renamed: a process that is killed at any moment leaves whole
 * checkpoints, and temporaries that the next write removes. One process writes to a run's folder at
 * a time. */
#ifndef INK_TRAIN_CHECKPOINT_H
#define INK_TRAIN_CHECKPOINT_H

#include "history.h"
#include "model.h"
#include "training_state.h"

/* What is trained: tensors of the model under their names in Hugging Face folders, or an adapter's
 * matrices under PEFT's ("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
 * [r, in]; "...lora_B.weight", [out, r]). */
struct ink_checkpoint_tensor {
    const char *name;
    int rows, cols; /* a vector [cols] has rows 1 */
    bool is_vector;
};

enum ink_checkpoint_part {
    INK_CHECKPOINT_VALUE,  /* the numbers that training changes */
    INK_CHECKPOINT_MEAN,   /* AdamW's m, exp_avg */
    INK_CHECKPOINT_SQUARE, /* AdamW's v, exp_avg_sq */
};
/* Where tensors[i] lies in memory: float32 [rows, cols], rows in the order of the model's own
 * tensors. Writing reads there, loading writes there. */
typedef float *ink_checkpoint_place(void *context, int i, enum ink_checkpoint_part part);

/* Of an adapter: adapter_config.json. */
struct ink_checkpoint_lora {
    const char *base; /* base_model_name_or_path */
    int rank;
    double alpha, dropout;
    bool use_rslora;
    const char *const *targets; /* [n_targets]: "q_proj", ... */
    int n_targets;
};

struct ink_checkpoint {
    const struct ink_model *model;               /* for config.json and the tokenizer */
    const struct ink_checkpoint_tensor *tensors; /* [n_tensors] */
    int n_tensors;
    ink_checkpoint_place *place;
    void *context;
    const struct ink_checkpoint_lora *lora; /* NULL: the tensors are the whole model */
    bool is_bf16;           /* weights as bfloat16 (rounded to nearest even), else float32 */
    bool without_optimizer; /* only to be used, not to go on from */
    /* Not looked at by ink_checkpoint_load: */
    const struct ink_training_state *state; /* step is N; files are filled in */
    const struct ink_history *history;
};

/* Bytes that one checkpoint takes, up to the tokenizer's smaller files. */
uint64_t ink_checkpoint_bytes(const struct ink_checkpoint *c);

/* Write run_folder/checkpoint-N and return its path, to be freed with ink_free (`path` may be
 * NULL). The folder is made if it is not there; its parent must be. A checkpoint of ours that has
 * this name already is replaced.
 *
 * Then the oldest (of the smallest N) are removed until `limit` are left; 0 keeps all. The one just
 * written and the newest whole one stay in any case, and so does what is not a checkpoint of ours,
 * or holds files that we did not write.
 *
 * Fails before it writes anything if the file system has not room for all of it (INK_ERROR_SYSTEM,
 * with the bytes needed and free). Whatever fails, older checkpoints are as they were. */
int ink_checkpoint_write(const struct ink_checkpoint *c, const char *run_folder, int limit,
                         char **path, struct ink_error *error);

/* The newest whole checkpoint of a run's folder that a run can go on from: its path, to be freed
 * with ink_free, or *out = NULL if there is none. No folder is no checkpoint. */
int ink_checkpoint_find(char **out, const char *run_folder, struct ink_error *error);

/* Is a name taken by what ink_checkpoint_write would not replace, which a run needs that goes on
 * after `step`, and saves every `every` steps (0: never) and at `last`? INK_ERROR_SYSTEM names it.
 */
int ink_checkpoint_check_names(const char *run_folder, int64_t step, int64_t every, int64_t last,
                               struct ink_error *error);

/* Read a checkpoint's numbers into the tensors' places, bit for bit as they were when it was
 * written. Its tensors must be those of `c`, by name and shape, none missing, none more; without
 * c->without_optimizer the optimizer's too. (training_state.json and trainer_state.json are read
 * with ink_training_state_read and ink_history_read; compare before loading.) On failure the
 * places may hold anything. */
int ink_checkpoint_load(const struct ink_checkpoint *c, const char *path, struct ink_error *error);

#endif
