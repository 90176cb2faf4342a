/* The files that make a Hugging Face folder of a model, beside its weights. */
#ifndef INK_EXPORT_FILES_H
#define INK_EXPORT_FILES_H

#include "file.h"
#include "model.h"

/* config.json (for weights of `type`), generation_config.json if there is something to say, and the
 * tokenizer's files if the model has one. `folder` exists. */
int ink_export_put_files(const struct ink_model *m, enum ink_type type, const char *folder,
                         struct ink_error *error);

/* The tokenizer's files: the source folder's own where that is where the tokenizer came from; those
 * that transformers needs made from its facts where there is no tokenizer_config.json. */
int ink_export_put_tokenizer(const struct ink_model *m, const char *folder,
                             struct ink_error *error);
/* Copy the source folder's file `name`, if it has one. *copied may be NULL. */
int ink_export_copy_file(const struct ink_model *m, const char *folder, const char *name,
                         bool *copied, struct ink_error *error);

/* Whether there is something in the model's sampling settings that is not a format's default. */
bool ink_export_has_sampling(const struct ink_model *m);

#endif
