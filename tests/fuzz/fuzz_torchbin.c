/* An input that is no zip file is taken for the pickle inside one: mutations seldom leave a zip
 * intact, so the stack machine would hardly be reached through it. */
#include "fuzz_weights.h"

#include "../../src/pickle.h"

static int touch(void *context, const struct ink_pickle_tensor *t, struct ink_error *error)
{
    unsigned char *sum = context;
    (void)error;
    for (size_t i = 0; i < t->n_name; i++) {
        *sum ^= (unsigned char)t->name[i];
    }
    for (size_t i = 0; i < t->n_storage_key; i++) {
        *sum ^= (unsigned char)t->storage_key[i];
    }
    return INK_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ink_mapping file = {.data = data, .size = size};
    struct ink_weights w = {0};
    struct ink_error error = {0};
    unsigned char sum = 0;
    if (size < 2 || memcmp(data, "PK", 2) != 0) {
        ink_pickle_read(data, size, touch, &sum, "fuzz.bin", &error);
    } else if (ink_torchbin_read(&w, &file, "fuzz.bin", &error) == INK_OK) {
        walk_tensors(&w);
    }
    ink_weights_close(&w);
    return 0;
}
