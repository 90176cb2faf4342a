#include "cli.h"
#include "interrupt.h"
#include "progress.h"

#include <string.h>

static int show(void *context, uint64_t done, uint64_t total)
{
    ink_progress_show(context, done, total);
    return ink_interrupt_pending();
}

/* The library tells a file from a folder by the end of the name, exactly. */
static int check_output(const char *path, struct ink_error *error)
{
    static const char small[] = ".gguf", large[] = ".GGUF";
    size_t n = strlen(path), n_end = sizeof small - 1;
    if (strcmp(path, "-") == 0) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "-o: a model cannot go to standard output; give a folder or a file");
    }
    if (n < n_end || strcmp(path + n - n_end, small) == 0) {
        return INK_OK;
    }
    for (size_t i = 0; i < n_end; i++) {
        char c = path[n - n_end + i];
        if (c != small[i] && c != large[i]) {
            return INK_OK;
        }
    }
    return ink_fail(error, INK_ERROR_ARGUMENT,
                    "-o: \"%s\" would be a folder; write .gguf in small letters for a file", path);
}

int ink_command_export(const struct ink_options *o, struct ink_error *error)
{
    if (!o->output) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "-o is missing (see --help)");
    }
    int status = check_output(o->output, error);
    if (status != INK_OK) {
        return status;
    }
    struct ink_model *model;
    status = ink_cli_open_model(&model, o, INK_TOKENIZER_WANTED, true, error);
    if (status != INK_OK) {
        return status;
    }
    ink_interrupt_defer(true);
    struct ink_progress progress;
    ink_progress_open(&progress, ink_text("writing"), "MB", 1e6);
    status = ink_export(model, o->output, o->type, show, &progress, error);
    ink_progress_close(&progress);
    ink_model_close(model);
    return status;
}
