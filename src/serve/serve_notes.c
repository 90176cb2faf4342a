#include "serve_internal.h"

#include "platform.h"

/* "inkstone: TEXT" */
static void put_line(const char *text)
{
    struct ink_string line = {0};
    ink_string_printf(&line, "inkstone: %s\n", text);
    if (!line.failed) {
        ink_platform_write_error(line.data, line.length);
    }
    ink_string_free(&line);
}

static bool is_for_people(const struct ink_serve *s)
{
    return s->options.format == INK_LOG_TEXT;
}

static double mebibytes(uint64_t bytes)
{
    return (double)bytes / (1 << 20);
}

static void note_ready_for_people(const struct ink_serve *s, const struct ink_model_info *info,
                                  int n_positions, uint64_t slots_bytes)
{
    const struct ink_serve_options *o = &s->options;
    struct ink_error line;
    ink_fail(&line, INK_OK, "%s: to be opened in a browser; programs use %s/v1",
             ink_http_address(s->http), ink_http_address(s->http));
    put_line(line.message);
    ink_fail(&line, INK_OK, "%s (%s), %d threads, level %s, %s arithmetic", info->path,
             o->model_name, info->threads, info->cpu_level, info->arithmetic);
    put_line(line.message);
    ink_fail(&line, INK_OK,
             "%d answers at a time, each in a context of %d tokens: %.1f MiB; %d more requests "
             "may wait; prefix cache: up to %.1f MiB",
             o->n_slots, n_positions, mebibytes(slots_bytes), o->n_queued,
             mebibytes(o->prefix_bytes));
    put_line(line.message);
    if (s->has_key) {
        put_line(ink_text("a key is needed: the page asks for it; programs send the header "
                          "Authorization: Bearer KEY"));
    }
}

void ink_serve_note_ready(const struct ink_serve *s, const struct ink_model *model, int n_positions)
{
    const struct ink_serve_options *o = &s->options;
    const struct ink_model_info *info = ink_model_get_info(model);
    const uint64_t slots_bytes =
        (uint64_t)o->n_slots * ink_session_bytes(model, n_positions, o->kv_type);
    if (o->is_quiet) {
        return;
    }
    if (is_for_people(s)) {
        note_ready_for_people(s, info, n_positions, slots_bytes);
        return;
    }
    const struct ink_log_field fields[] = {
        {"address", ink_http_address(s->http), 0},
        {"model", info->path, 0},
        {"name", o->model_name, 0},
        {"threads", NULL, info->threads},
        {"cpu_level", info->cpu_level, 0},
        {"slots", NULL, o->n_slots},
        {"context", NULL, n_positions},
        {"slots_bytes", NULL, (double)slots_bytes},
        {"queue", NULL, o->n_queued},
        {"prefix_cache_bytes", NULL, (double)o->prefix_bytes},
        {"needs_key", s->has_key ? "yes" : "no", 0},
    };
    ink_log_event(s->log, "info", "ready", fields, INK_COUNT(fields));
}

void ink_serve_note_draining(const struct ink_serve *s)
{
    if (!s->options.is_quiet) {
        int running = 0, queued = 0;
        ink_scheduler_load(s->scheduler, &running, &queued);
        const struct ink_log_field fields[] = {{"running", NULL, running},
                                               {"queued", NULL, queued}};
        ink_log_event(s->log, "info", "draining", fields, INK_COUNT(fields));
    }
}

void ink_serve_note_stopped(const struct ink_serve *s, bool cancelled)
{
    if (cancelled) {
        ink_log_event(s->log, "warning", "stopped_with_answers_cut_off", NULL, 0);
    } else if (!s->options.is_quiet) {
        ink_log_event(s->log, "info", "stopped", NULL, 0);
    }
}

void ink_serve_note_reload(const struct ink_serve *s, const struct ink_error *failure)
{
    if (failure) {
        const struct ink_log_field field = {"reason", failure->message, 0};
        ink_log_event(s->log, "error", "keys_stay_as_they_were", &field, 1);
    } else if (!s->options.is_quiet) {
        ink_log_event(s->log, "info", "keys_read", NULL, 0);
    }
}

void ink_serve_note_warning(const struct ink_serve *s, char *text)
{
    if (text && is_for_people(s)) {
        struct ink_string line = {0};
        ink_string_printf(&line, "%s: %s", ink_text("warning"), text);
        put_line(line.data ? line.data : text);
        ink_string_free(&line);
    } else if (text) {
        const struct ink_log_field field = {"reason", text, 0};
        ink_log_event(s->log, "warning", "keys", &field, 1);
    }
    ink_free(text);
}
