/* training_state.json: what the reader takes, the writer writes, and that reads as the same. */
#include "../../src/train/training_state.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n)
{
    struct ink_error error = {0};
    struct ink_training_state first, second;
    struct ink_string printed = {0}, again = {0};
    if (ink_training_state_parse(&first, (const char *)data, n, "fuzz", &error) == INK_OK) {
        if (ink_training_state_print(&first, &printed, &error) != INK_OK ||
            ink_training_state_parse(&second, printed.data, printed.length, "printed", &error) !=
                INK_OK ||
            ink_training_state_print(&second, &again, &error) != INK_OK ||
            strcmp(printed.data, again.data) != 0 ||
            ink_training_state_compare(&first, &second, "again", &error) != INK_OK) {
            abort();
        }
        ink_training_state_close(&second);
    } else if (first.facts || first.files || !*error.message) {
        abort();
    }
    ink_string_free(&printed);
    ink_string_free(&again);
    ink_training_state_close(&first);
    return 0;
}
