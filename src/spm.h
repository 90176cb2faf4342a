/* SentencePiece behind C: load a model from memory and encode text, nothing else.
 *
 * SentencePiece trusts its model file, so only models that ink_vocabulary_write wrote come here,
 * never bytes from a file (see spm_proto.h). */
#ifndef INK_SPM_H
#define INK_SPM_H

#ifdef __cplusplus
extern "C" {
#endif

#include "common.h"

/* Ids that grow. Start with {0}; release with ink_free(data). */
struct ink_ids {
    int32_t *data;
    size_t length, capacity;
};
/* false if memory ran out; then nothing was changed. */
bool ink_ids_append(struct ink_ids *ids, const int32_t *more, size_t n);

struct ink_spm; /* read-only once open; may be shared by threads */

/* A serialised ModelProto [n]; it is copied. `path` is for messages. */
int ink_spm_open(struct ink_spm **out, const void *proto, size_t n, const char *path,
                 struct ink_error *error);
void ink_spm_close(struct ink_spm *spm);

/* Append the ids of text [n] to *ids. Takes about 150 bytes of memory for a byte of text. No C++
 * exception leaves: out of memory is INK_ERROR_MEMORY. */
int ink_spm_encode(const struct ink_spm *spm, struct ink_ids *ids, const char *text, size_t n,
                   struct ink_error *error);

#ifdef __cplusplus
}
#endif

#endif
