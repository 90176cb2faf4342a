#include "cli.h"
#include "output.h"
#include "terminal.h"

enum { NAME_COLUMN = 28 };

/* Lines are shown as they come, because a self-test takes its time; JSON at the end. */
struct report {
    struct ink_string out;
    bool json;
    int status; /* of writing */
    struct ink_error *error;
};

static void take_line(void *context, const char *name, const char *value, bool ok)
{
    struct report *r = context;
    if (r->json) {
        ink_string_puts(&r->out, r->out.data[r->out.length - 1] == '[' ? "{" : ", {");
        ink_output_json_string(&r->out, "name", name);
        ink_output_json_string(&r->out, "value", value);
        ink_output_json_bool(&r->out, "ok", ok);
        ink_string_puts(&r->out, "}");
        return;
    }
    if (r->status != INK_OK) {
        return;
    }
    r->out.length = 0;
    ink_output_pad(&r->out, ok ? "ok" : ink_text("FAILED"), 8);
    ink_output_pad(&r->out, name, NAME_COLUMN - 1);
    ink_string_printf(&r->out, " %s\n", value);
    r->status = ink_output_put_string(&r->out, r->error);
    if (r->status == INK_OK) {
        r->status = ink_output_flush(r->error);
    }
}

int ink_command_doctor(const struct ink_options *o, struct ink_error *error)
{
    struct ink_model *model = NULL;
    int status =
        o->model ? ink_cli_open_model(&model, o, INK_TOKENIZER_WANTED, false, error) : INK_OK;
    if (status != INK_OK) {
        return status;
    }
    struct report r = {.json = o->json, .error = error};
    ink_string_puts(&r.out, o->json ? "{\"lines\": [" : "");
    int failed = r.out.failed ? ink_fail_memory(error, 0) : ink_doctor(model, take_line, &r, error);
    status = failed < 0 ? failed : r.status;
    if (status == INK_OK && o->json) {
        ink_string_puts(&r.out, "]");
        ink_output_json_integer(&r.out, "failed", (uint64_t)failed);
        ink_string_puts(&r.out, "}\n");
        status = ink_output_put_string(&r.out, error);
    }
    if (status == INK_OK && failed > 0) {
        status = ink_fail(error, INK_ERROR_SYSTEM, "%d checks failed", failed);
    }
    ink_string_free(&r.out);
    ink_model_close(model);
    return status;
}
