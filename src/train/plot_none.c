/* Without pangocairo there is no PNG. */
#include "plot_internal.h"

bool ink_plot_has_png(void)
{
    return false;
}

int ink_plot_print_png(const struct ink_plot_drawing *d, struct ink_string *out,
                       struct ink_error *error)
{
    (void)out;
    return d->failed ? ink_fail_memory(error, 0) : INK_OK;
}
