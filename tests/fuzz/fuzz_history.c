/* trainer_state.json: what the reader takes, the writer writes, and that reads as the same. */
#include "../../src/train/history.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n)
{
    struct ink_error error = {0};
    struct ink_history first, second;
    struct ink_string printed = {0}, again = {0};
    if (ink_history_parse(&first, (const char *)data, n, "fuzz", &error) == INK_OK) {
        ink_history_print(&first, &printed);
        if (ink_history_parse(&second, printed.data, printed.length, "printed", &error) != INK_OK) {
            abort();
        }
        ink_history_print(&second, &again);
        if (strcmp(printed.data, again.data) != 0) {
            abort();
        }
        ink_history_close(&second);
    } else if (first.rows || !*error.message) {
        abort();
    }
    ink_string_free(&printed);
    ink_string_free(&again);
    ink_history_close(&first);
    return 0;
}
