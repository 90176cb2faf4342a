#include "answer.h"
#include "cli.h"
#include "interrupt.h"
#include "stop.h"
#include "system.h"

/* The answer on its way from tokens to the reader. */
struct writer {
    struct ink_answer *answer;
    struct ink_sampler *sampler;
    struct ink_stream *stream; /* NULL: ids only */
    struct ink_stopper stopper;
    ink_answer_sink *sink;
    void *context;
};

static void close_writer(struct writer *w)
{
    ink_sampler_close(w->sampler);
    ink_stream_close(w->stream);
    ink_stopper_close(&w->stopper);
}

/* The stream reads the prompt too: whether a space before the first word belongs to the text
 * depends on what came before it. */
static int open_stream(struct writer *w, const struct ink_model *model, const int32_t *prompt,
                       int n_prompt, struct ink_error *error)
{
    const char *piece;
    size_t n;
    int status = ink_stream_open(&w->stream, model, false, error);
    for (int i = 0; i < n_prompt && status == INK_OK; i++) {
        status = ink_stream_push(w->stream, prompt[i], &piece, &n, error);
    }
    return status;
}

static int open_writer(struct writer *w, const struct ink_reader *reader, const int32_t *prompt,
                       int n_prompt, const struct ink_answer_settings *settings,
                       struct ink_error *error)
{
    w->stopper = (struct ink_stopper){.stops = settings->stops, .n_stops = settings->n_stops};
    int status = ink_sampler_open(&w->sampler, reader->model, &settings->sampling, error);
    if (status != INK_OK) {
        return status;
    }
    ink_sampler_accept(w->sampler, prompt, n_prompt, true);
    w->answer->ids = ink_calloc((size_t)ink_session_capacity(reader->session) + 1, sizeof(int32_t));
    if (!w->answer->ids) {
        return ink_fail_memory(error, (uint64_t)n_prompt * sizeof(int32_t));
    }
    return settings->without_text ? INK_OK : open_stream(w, reader->model, prompt, n_prompt, error);
}

/* Give what is new in answer->text from `start` to the sink. */
static int give(struct writer *w, size_t start, struct ink_error *error)
{
    struct ink_string *text = &w->answer->text;
    if (text->failed) {
        return ink_fail_memory(error, text->length);
    }
    return text->length > start
               ? w->sink(w->context, text->data + start, text->length - start, error)
               : INK_OK;
}

static int write_token(struct writer *w, int32_t token, struct ink_error *error)
{
    w->answer->ids[w->answer->n_ids++] = token;
    if (!w->stream) {
        return INK_OK;
    }
    const char *piece;
    size_t n, start = w->answer->text.length;
    int status = ink_stream_push(w->stream, token, &piece, &n, error);
    if (status != INK_OK) {
        return status;
    }
    ink_stopper_push(&w->stopper, &w->answer->text, piece, n);
    return give(w, start, error);
}

static int write_rest(struct writer *w, struct ink_error *error)
{
    const char *piece;
    size_t n, start = w->answer->text.length;
    if (!w->stream) {
        return INK_OK;
    }
    int status = ink_stream_flush(w->stream, &piece, &n, error);
    if (status == INK_OK) {
        ink_stopper_push(&w->stopper, &w->answer->text, piece, n);
    }
    ink_stopper_flush(&w->stopper, &w->answer->text);
    int given = give(w, start, error);
    return status == INK_OK ? given : status;
}

static int write_tokens(struct writer *w, struct ink_reader *reader, int max_new_tokens,
                        struct ink_error *error)
{
    struct ink_answer *a = w->answer;
    int capacity = ink_session_capacity(reader->session);
    double start = 0;
    for (;;) {
        int32_t token = ink_sampler_choose(w->sampler, reader->logits);
        a->decode_seconds = a->n_decode > 0 ? ink_system_seconds() - start : 0;
        if (ink_interrupt_pending()) {
            return ink_fail(error, INK_ERROR_CANCELLED, "%s: interrupted",
                            ink_model_get_info(reader->model)->path);
        }
        if (token < 0) {
            return ink_cli_fail_scores(reader->model, error);
        }
        if (ink_is_end_token(reader->model, token)) {
            a->finish_reason = "stop";
            return INK_OK;
        }
        ink_sampler_accept(w->sampler, &token, 1, false);
        int status = write_token(w, token, error);
        if (status != INK_OK) {
            return status;
        }
        if (w->stopper.found) {
            a->finish_reason = "stop";
            return INK_OK;
        }
        if (a->n_ids >= max_new_tokens || ink_session_length(reader->session) == capacity) {
            return INK_OK;
        }
        start = a->n_decode > 0 ? start : ink_system_seconds();
        status = ink_reader_append(reader, token, error);
        if (status != INK_OK) {
            return status;
        }
        a->n_decode++;
    }
}

int ink_answer_write(struct ink_answer *out, struct ink_reader *reader, const int32_t *prompt,
                     int n_prompt, const struct ink_answer_settings *settings,
                     ink_answer_sink *sink, void *context, struct ink_error *error)
{
    *out = (struct ink_answer){.finish_reason = "length"};
    struct writer w = {.answer = out, .sink = sink, .context = context};
    double start = ink_system_seconds(), read = start;
    int status = open_writer(&w, reader, prompt, n_prompt, settings, error);
    if (status == INK_OK) {
        status = ink_reader_read(reader, prompt, n_prompt, error);
        read = ink_system_seconds();
    }
    if (status == INK_OK) {
        out->n_prefill = n_prompt - reader->n_reused;
        status = write_tokens(&w, reader, settings->max_new_tokens, error);
        if (status == INK_OK) {
            status = write_rest(&w, error);
            out->finish_reason = w.stopper.found ? "stop" : out->finish_reason;
        }
    }
    out->prefill_seconds = read - start;
    close_writer(&w);
    return status;
}

void ink_answer_close(struct ink_answer *answer)
{
    ink_string_free(&answer->text);
    ink_free(answer->ids);
    *answer = (struct ink_answer){0};
}
