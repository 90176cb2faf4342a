#include "texts.h"

#include <string.h>

/* English (the key, exactly as in the source) and Chinese, by file. Conversions come in the same
 * order on both sides. */
static const struct {
    const char *english, *chinese;
} table[] = {
    /* common */
    {"out of memory (%llu bytes)", "内存不足（需要 %llu 字节）"},
    {"%s: %s", "%s：%s"},
    /* files */
    /* json */
    /* weights: safetensors, pytorch, gguf */
    /* tokenizer, chat */
    /* config, model, session, sampler */
    /* export, doctor */
    /* command line */
};

const char *ink_texts_find_chinese(const char *english)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(table[i].english, english) == 0) {
            return table[i].chinese;
        }
    }
    return NULL;
}
