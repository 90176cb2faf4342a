/* What the files of checkpoint_*.c share. Nobody else includes this. */
#ifndef INK_TRAIN_CHECKPOINT_INTERNAL_H
#define INK_TRAIN_CHECKPOINT_INTERNAL_H

#include "checkpoint.h"
#include "file.h"

#define INK_CHECKPOINT_OPTIMIZER_FILE "optimizer.safetensors"

/* "model.safetensors" or "adapter_model.safetensors". */
const char *ink_checkpoint_weights_name(const struct ink_checkpoint *c);
/* Both files of tensors, into `folder`. */
int ink_checkpoint_put_tensors(const struct ink_checkpoint *c, const char *folder,
                               struct ink_error *error);
uint64_t ink_checkpoint_tensor_bytes(const struct ink_checkpoint *c);

/* The names in a run's folder. */
#define INK_CHECKPOINT_PREFIX "checkpoint-"
#define INK_CHECKPOINT_NEW "tmp-checkpoint-" /* being written, or being removed: never whole */
#define INK_CHECKPOINT_OLD "old-checkpoint-" /* whole, about to be replaced by one of its name */

/* run_folder/PREFIX and the step, malloc'ed; NULL if memory ran out. */
char *ink_checkpoint_path(const char *run_folder, const char *prefix, int64_t step);
/* Is it a folder that we wrote, and holds nothing else? */
bool ink_checkpoint_is_ours(const char *path);
/* Remove what a killed process left. */
int ink_checkpoint_clean(const char *run_folder, struct ink_error *error);
/* Remove the oldest; `step` is the one that was just written. */
int ink_checkpoint_rotate(const char *run_folder, int64_t step, int limit, struct ink_error *error);

#endif
