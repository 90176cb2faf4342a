/* The forward pass of ERNIE 4.5, over the verbs of a backend. */
#ifndef INK_FORWARD_H
#define INK_FORWARD_H

#include "model.h"

/* Run `batch` through the model: KV caches are extended, logits and hidden states written. Prefill
 * (many rows of one session), decode (one row) and a batch of sessions are the same call. */
void ink_forward(const struct ink_model *model, const struct ink_batch *batch);

#endif
