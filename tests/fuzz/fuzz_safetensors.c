#include "fuzz_weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ink_mapping file = {.data = data, .size = size};
    struct ink_weights w = {0};
    struct ink_error error = {0};
    if (ink_safetensors_read(&w, &file, "fuzz.safetensors", &error) == INK_OK) {
        walk_tensors(&w);
    }
    ink_weights_close(&w);
    return 0;
}
