/* What the fuzz targets of the weight readers share. */
#ifndef FUZZ_WEIGHTS_H
#define FUZZ_WEIGHTS_H

#include "../../src/quant.h"
#include "../../src/weights.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a reader accepted must be usable: touch the first and the last byte of every tensor, widen
 * a block, find it by its name. */
static inline void walk_tensors(struct ink_weights *w)
{
    volatile unsigned char sink;
    float values[256];
    bool has_index = ink_weights_build_index(w, "fuzz", NULL) == INK_OK;
    for (int i = 0; i < w->n_tensors; i++) {
        const struct ink_tensor *t = &w->tensors[i];
        const unsigned char *bytes = t->data;
        sink = bytes[0];
        sink = bytes[t->n_bytes - 1];
        (void)sink;
        ink_dequantize(values, bytes, t->type, (uint64_t)ink_type_facts(t->type)->block_values);
        if (ink_tensor_count(t) == 0 || (has_index && ink_weights_find(w, t->name) != t)) {
            abort();
        }
    }
}

#endif
