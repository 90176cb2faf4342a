/* A tokenizer.model: opened in full, then a text there and back. */
#include "../../src/tokenizer_internal.h"

#include <stdlib.h>
#include <string.h>

static const char text[] =
    " Hello,  \xE4\xBD\xA0\xE5\xA5\xBD\xEF\xBC\x81 caf\xC3\xA9 a\xCC\x81 1234 \xFF\xE2\x96\x81"
    "<s></s>aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n\xEF\xBC\xA1\xE3\x8E\x8F\0z ";

static void use(const struct ink_tokenizer *t)
{
    struct ink_string out = {0};
    int32_t *ids;
    size_t n;
    bool is_first = true;
    for (int parse_special = 0; parse_special < 2; parse_special++) {
        if (ink_tokenizer_encode(t, &ids, &n, text, sizeof text - 1, parse_special, NULL) !=
            INK_OK) {
            continue;
        }
        for (size_t i = 0; i < n; i++) {
            if (ids[i] < 0 || ids[i] >= ink_tokenizer_n_pieces(t)) {
                abort();
            }
            ink_tokenizer_append_piece(t, &out, ids[i], parse_special, &is_first);
        }
        ink_free(ids);
    }
    ink_string_free(&out);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n)
{
    struct ink_error error = {0};
    struct ink_tokenizer *t = calloc(1, sizeof *t);
    if (t && ink_tokenizer_begin_model(t, data, n, 1 << 16, "fuzz", &error) == INK_OK &&
        ink_tokenizer_finish(t, "fuzz", &error) == INK_OK) {
        use(t);
    } else if (error.message[0] == '\0' || strstr(error.message, "SentencePiece failed")) {
        abort(); /* a refusal says why, and is ours */
    }
    ink_tokenizer_close(t);
    return 0;
}
