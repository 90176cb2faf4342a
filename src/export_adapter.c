/* An adapter as a GGUF file, as llama.cpp reads it; see adapter_gguf.c. */
#include "adapter_source.h"
#include "export.h"
#include "export_metadata.h"

#include <math.h>
#include <string.h>

/* One number for all matrices: where most agree, theirs, so that their B stays as it is. 0 would
 * mean to llama.cpp that B A counts once. */
static double alpha_of(const struct ink_adapter_source *s)
{
    return (float)s->alpha != 0 ? s->alpha : 1;
}

/* What B is multiplied by, so that alpha / rank does the rest. Scales are quotients: what differs
 * from 1 in its last bits only is 1. */
static double factor_of(const struct ink_adapter_source *s, const struct ink_adapter_place *p)
{
    const double factor = p->scale * (double)p->rank / alpha_of(s);
    return fabs(factor - 1) < 1e-12 ? 1 : factor;
}

static void add_item(struct ink_export *e, const struct ink_adapter_place *p, char which)
{
    const struct ink_architecture *a = &e->model->architecture;
    struct ink_export_item *item = &e->items[e->n_items++];
    const bool is_b = which == 'b';
    const bool permute = is_b && a->is_llama && !e->adapter->is_gguf && ink_adapter_has_pairs(p);
    ink_adapter_gguf_name(item->name, sizeof item->name, p, which);
    item->tensor = is_b ? p->b : p->a;
    item->factor = is_b ? factor_of(e->adapter, p) : 1;
    item->head_dim = permute ? a->head_dim : 0;
    item->type = !e->is_native ? e->type : item->factor == 1 ? item->tensor->type : INK_TYPE_F32;
    item->n_bytes = ink_type_bytes(item->type, ink_tensor_count(item->tensor));
    e->total += item->n_bytes;
}

int ink_export_plan_adapter(struct ink_export *e, struct ink_error *error)
{
    const struct ink_adapter_source *s = e->adapter;
    e->items = ink_calloc(2 * (size_t)s->n_targets, sizeof *e->items);
    if (!e->items) {
        return ink_fail_memory(error, 2 * (uint64_t)s->n_targets * sizeof *e->items);
    }
    for (int i = 0; i < s->n_places; i++) {
        if (s->places[i].rank > 0) {
            add_item(e, &s->places[i], 'a');
            add_item(e, &s->places[i], 'b');
        }
    }
    return INK_OK;
}

int ink_export_write_adapter(struct ink_export *e, struct ink_error *error)
{
    struct ink_metadata m = {.prefix = ""};
    ink_metadata_add_text(&m, "general.architecture", e->model->info.architecture);
    ink_metadata_add_text(&m, "general.type", "adapter");
    ink_metadata_add_path_name(&m, "general.name", e->adapter->path);
    ink_metadata_add_int(&m, "general.file_type", ink_metadata_file_type(ink_export_main_type(e)));
    ink_metadata_add_text(&m, "adapter.type", "lora");
    ink_metadata_add_float(&m, "adapter.lora.alpha", (float)alpha_of(e->adapter));
    const int status = ink_export_write_file(e, &m, error);
    ink_string_free(&m.bytes);
    return status;
}

int ink_export_adapter(const struct ink_model *model, const char *adapter_path,
                       const char *out_path, const char *type, ink_progress_function *progress,
                       void *context, struct ink_error *error)
{
    struct ink_adapter_source source;
    int status = ink_adapter_source_open(&source, model, adapter_path, error);
    if (status == INK_OK) {
        struct ink_export e = {.model = model,
                               .adapter = &source,
                               .source_path = source.weights_path,
                               .is_finite = true,
                               .progress = progress,
                               .context = context};
        status = ink_export_run(&e, out_path, type, error);
    }
    ink_adapter_source_close(&source);
    return status;
}
