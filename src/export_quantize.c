/* Quantising: an export to GGUF that measures what each tensor loses. */
#include "export.h"

#include <math.h>
#include <string.h>

void ink_export_report_item(const struct ink_export *e, const struct ink_export_item *item,
                            const struct ink_export_loss *loss)
{
    const struct ink_tensor *t = item->tensor;
    const struct ink_quantized tensor = {
        .name = item->name,
        .source_name = t->name,
        .source_type = ink_type_facts(t->type)->name,
        .type = ink_type_facts(item->type)->name,
        .shape = t->shape,
        .n_dims = t->n_dims,
        .source_bytes = t->n_bytes,
        .n_bytes = item->n_bytes,
        .is_kept = !item->is_vector && item->type != e->type,
        .squares = loss->squares,
        .errors = loss->errors,
        .max_error = loss->max_error,
    };
    if (e->report) {
        e->report(e->context, &tensor);
    }
}

int ink_quantize(const struct ink_model *model, const char *out_path, const char *type,
                 ink_quantized_function *report, ink_progress_function *progress, void *context,
                 struct ink_error *error)
{
    struct ink_export e = {.model = model,
                           .source_path = model->path,
                           .is_finite = true,
                           .is_quantizing = true,
                           .report = report,
                           .progress = progress,
                           .context = context};
    if (type && strcmp(type, "q8_0") != 0) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "%s: unknown type \"%s\" (q8_0)", out_path,
                        type);
    }
    return ink_export_run(&e, out_path, "q8_0", error);
}
