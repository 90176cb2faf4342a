#include "fuzz_weights.h"

#include "../../src/gguf.h"

/* An array's elements, whatever they are. */
static void get_array(const struct ink_gguf *g, const char *key)
{
    volatile char sink;
    int64_t n = ink_gguf_array_length(g, key);
    if (n < 0 || n > 100000) {
        return;
    }
    struct ink_gguf_string *strings = calloc((size_t)n + 1, sizeof *strings);
    float *floats = calloc((size_t)n + 1, sizeof *floats);
    int32_t *ints = calloc((size_t)n + 1, sizeof *ints);
    if (strings && floats && ints) {
        ink_gguf_get_strings(g, key, strings, n, NULL);
        ink_gguf_get_floats(g, key, floats, n, NULL);
        ink_gguf_get_ints(g, key, ints, n, NULL);
        for (int64_t i = 0; i < n; i++) {
            sink = strings[i].n ? strings[i].data[strings[i].n - 1] : 0;
            (void)sink;
        }
    }
    free(strings);
    free(floats);
    free(ints);
}

static void get_values(const struct ink_gguf *g)
{
    static const char *const keys[] = {"general.architecture",
                                       "general.alignment",
                                       "ints",
                                       "words",
                                       "floats",
                                       "yes",
                                       "u8",
                                       "i64",
                                       "f64",
                                       "none"};
    for (size_t i = 0; i < INK_COUNT(keys); i++) {
        int64_t integer;
        double number;
        bool flag;
        struct ink_gguf_string text;
        ink_gguf_get_int(g, keys[i], -5, INT64_MAX, true, &integer, NULL);
        ink_gguf_get_float(g, keys[i], -1e9, 1e9, true, &number, NULL);
        ink_gguf_get_bool(g, keys[i], true, &flag, NULL);
        ink_gguf_get_string(g, keys[i], true, &text, NULL);
        get_array(g, keys[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ink_mapping file = {.data = data, .size = size};
    struct ink_weights w = {0};
    struct ink_error error = {0};
    if (ink_gguf_read(&w, &file, "fuzz.gguf", &error) == INK_OK) {
        walk_tensors(&w);
        get_values(w.gguf);
    }
    ink_weights_close(&w);
    return 0;
}
