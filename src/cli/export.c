#include "cli.h"
#include "interrupt.h"
#include "progress.h"

static int show(void *context, uint64_t done, uint64_t total)
{
    ink_progress_show(context, done, total);
    return ink_interrupt_pending();
}

int ink_command_export(const struct ink_options *o, struct ink_error *error)
{
    if (!o->output) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "-o is missing (see --help)");
    }
    struct ink_model *model;
    int status = ink_cli_open_model(&model, o, INK_TOKENIZER_WANTED, error);
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
