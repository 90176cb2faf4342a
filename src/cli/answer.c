#include "answer.h"
#include "cli.h"
#include "interrupt.h"
#include "progress.h"
#include "stop.h"
#include "system.h"

enum { PREFILL_CHUNK = 512 }; /* tokens between two looks at the progress bar */

/* The answer on its way from tokens to the reader. */
struct writer {
    struct ink_answer *answer;
    struct ink_model *model;
    struct ink_generator *generator;
    struct ink_stream *stream; /* NULL: ids only */
    struct ink_stopper stopper;
    ink_answer_sink *sink;
    void *context;
};

static void close_writer(struct writer *w)
{
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

static int open_writer(struct writer *w, const int32_t *prompt, int n_prompt,
                       const struct ink_answer_settings *settings, struct ink_error *error)
{
    w->stopper = (struct ink_stopper){.stops = settings->stops, .n_stops = settings->n_stops};
    int capacity = ink_session_capacity(ink_generator_session(w->generator));
    w->answer->ids = ink_calloc((size_t)capacity + 1, sizeof(int32_t));
    if (!w->answer->ids) {
        return ink_fail_memory(error, (uint64_t)capacity * sizeof(int32_t));
    }
    return settings->without_text ? INK_OK : open_stream(w, w->model, prompt, n_prompt, error);
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

static int evaluate(struct writer *w, int most, struct ink_error *error)
{
    struct ink_step step;
    ink_generator_prepare(w->generator, most, &step);
    double start = ink_system_seconds();
    int status = ink_eval(w->model, &step, 1, ink_interrupt_poll, NULL, error);
    if (status == INK_OK) {
        ink_generator_done(w->generator, ink_system_seconds() - start);
    }
    return status;
}

static int read_prompt(struct writer *w, struct ink_error *error)
{
    struct ink_progress progress;
    ink_progress_open(&progress, ink_text("reading the prompt"), ink_text("tokens"), 1);
    int status = INK_OK, left, n = ink_generator_unread(w->generator);
    while (status == INK_OK && (left = ink_generator_unread(w->generator)) > 0) {
        ink_progress_show(&progress, (uint64_t)(n - left), (uint64_t)n);
        status = evaluate(w, PREFILL_CHUNK, error);
    }
    ink_progress_close(&progress);
    w->answer->n_prefill = n;
    return status;
}

/* The next token, evaluating what it needs. */
static int take_token(struct writer *w, enum ink_generated *what, int32_t *token,
                      struct ink_error *error)
{
    int status = INK_OK;
    while (status == INK_OK &&
           (*what = ink_generator_take(w->generator, token)) == INK_GENERATED_NOTHING) {
        status = evaluate(w, INK_MAX_DRAFT + 1, error);
    }
    return status;
}

static int write_tokens(struct writer *w, struct ink_error *error)
{
    struct ink_answer *a = w->answer;
    double start = ink_system_seconds();
    for (int n_taken = 0;; n_taken++) {
        enum ink_generated what;
        int32_t token;
        int status = take_token(w, &what, &token, error);
        if (status != INK_OK) {
            return status;
        }
        if (what != INK_GENERATED_LENGTH && n_taken > 0) {
            a->n_decode = n_taken;
            a->decode_seconds = ink_system_seconds() - start;
        }
        if (ink_interrupt_pending()) {
            return ink_fail(error, INK_ERROR_CANCELLED, "%s: interrupted",
                            ink_model_get_info(w->model)->path);
        }
        if (what == INK_GENERATED_DAMAGE) {
            return ink_cli_fail_scores(w->model, error);
        }
        if (what != INK_GENERATED_TOKEN) {
            a->finish_reason = what == INK_GENERATED_STOP ? "stop" : "length";
            return INK_OK;
        }
        status = write_token(w, token, error);
        if (status != INK_OK || w->stopper.found) {
            return status; /* the caller sees the stop string */
        }
        start = n_taken > 0 ? start : ink_system_seconds();
    }
}

int ink_answer_write(struct ink_answer *out, struct ink_model *model,
                     struct ink_generator *generator, const int32_t *prompt, int n_prompt,
                     const struct ink_answer_settings *settings, ink_answer_sink *sink,
                     void *context, struct ink_error *error)
{
    *out = (struct ink_answer){.finish_reason = "length"};
    struct writer w = {
        .answer = out, .model = model, .generator = generator, .sink = sink, .context = context};
    double start = ink_system_seconds();
    int status = open_writer(&w, prompt, n_prompt, settings, error);
    if (status == INK_OK) {
        status = ink_generator_start(generator, prompt, n_prompt, &settings->sampling,
                                     settings->max_new_tokens, error);
    }
    if (status == INK_OK) {
        status = read_prompt(&w, error);
        out->prefill_seconds = ink_system_seconds() - start;
    }
    if (status == INK_OK) {
        status = write_tokens(&w, error);
        if (status == INK_OK) {
            status = write_rest(&w, error);
            out->finish_reason = w.stopper.found ? "stop" : out->finish_reason;
        }
    }
    ink_generator_stop(generator);
    ink_generator_count_drafts(generator, &out->n_drafted, &out->n_accepted);
    close_writer(&w);
    return status;
}

void ink_answer_close(struct ink_answer *answer)
{
    ink_string_free(&answer->text);
    ink_free(answer->ids);
    *answer = (struct ink_answer){0};
}
