#include "cli.h"
#include "input.h"
#include "interrupt.h"
#include "output.h"
#include "progress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_CHUNK = 64, DEFAULT_TOP = 8 };

struct candidate {
    float logit;
    int32_t id;
};

/* What is known about each of the n positions. */
struct scores {
    int32_t *ids; /* [n] */
    size_t n;
    double *logsumexp;      /* [n] */
    int32_t *argmax;        /* [n] */
    struct candidate *best; /* [vocab_size], sorted: of the last position */
};

static int32_t argmax_of(const float *logits, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++) {
        best = logits[i] > logits[best] ? i : best;
    }
    return best;
}

static double logsumexp_of(const float *logits, int n, float max)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        sum += exp((double)logits[i] - (double)max);
    }
    return (double)max + log(sum);
}

/* Best logit first, lower id first among equals. */
static int compare(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->logit != y->logit) {
        return x->logit < y->logit ? 1 : -1;
    }
    return (x->id > y->id) - (x->id < y->id);
}

/* False if a score is not a number. */
static bool score_rows(struct scores *s, size_t first, int n_rows, const float *logits, int vocab)
{
    for (int row = 0; row < n_rows; row++) {
        const float *at = logits + (size_t)row * (size_t)vocab;
        s->argmax[first + (size_t)row] = argmax_of(at, vocab);
        s->logsumexp[first + (size_t)row] =
            logsumexp_of(at, vocab, at[s->argmax[first + (size_t)row]]);
        if (!isfinite(s->logsumexp[first + (size_t)row])) {
            return false;
        }
    }
    if (first + (size_t)n_rows == s->n) {
        const float *last = logits + (size_t)(n_rows - 1) * (size_t)vocab;
        for (int i = 0; i < vocab; i++) {
            s->best[i] = (struct candidate){last[i], i};
        }
        qsort(s->best, (size_t)vocab, sizeof *s->best, compare);
    }
    return true;
}

static int evaluate(struct scores *s, struct ink_model *model, struct ink_session *session,
                    float *logits, int chunk, struct ink_error *error)
{
    int vocab = ink_model_get_info(model)->vocab_size, status = INK_OK;
    struct ink_progress progress;
    ink_progress_open(&progress, ink_text("reading the prompt"), ink_text("tokens"), 1);
    for (size_t i = 0; i < s->n && status == INK_OK;) {
        int n = s->n - i < (size_t)chunk ? (int)(s->n - i) : chunk;
        struct ink_step step = {.session = session,
                                .tokens = s->ids + i,
                                .n_tokens = n,
                                .n_logits = n,
                                .logits = logits};
        status = ink_eval(model, &step, 1, ink_interrupt_poll, NULL, error);
        if (status == INK_OK && !score_rows(s, i, n, logits, vocab)) {
            status = ink_cli_fail_scores(model, error);
        }
        i += (size_t)n;
        ink_progress_show(&progress, i, s->n);
    }
    ink_progress_close(&progress);
    return status;
}

static int compute(struct scores *s, struct ink_model *model, const struct ink_adapter *adapter,
                   const struct ink_options *o, struct ink_error *error)
{
    const struct ink_model_info *info = ink_model_get_info(model);
    size_t vocab = (size_t)info->vocab_size;
    size_t chunk = ink_options_has(o, INK_OPTION_CHUNK) ? (size_t)o->chunk : DEFAULT_CHUNK;
    chunk = chunk < s->n ? chunk : s->n;
    if (s->n > (size_t)info->max_positions) {
        return ink_cli_fail_too_long(model, s->n, info->max_positions, error);
    }
    struct ink_session *session = NULL;
    int status = ink_session_open(&session, model, (int)s->n, ink_options_kv(o, INK_KV_F32), error);
    if (status != INK_OK) {
        return status;
    }
    s->logsumexp = ink_calloc(s->n, sizeof *s->logsumexp);
    s->argmax = ink_calloc(s->n, sizeof *s->argmax);
    s->best = ink_calloc(vocab, sizeof *s->best);
    float *logits = ink_calloc(chunk * vocab, sizeof *logits);
    if (s->logsumexp && s->argmax && s->best && logits) {
        status = ink_session_set_adapter(session, adapter, error);
    } else {
        status = ink_fail_memory(error, chunk * vocab * sizeof *logits);
    }
    if (status == INK_OK) {
        status = evaluate(s, model, session, logits, (int)chunk, error);
    }
    ink_free(logits);
    ink_session_close(session);
    return status;
}

static int print_json(const struct scores *s, int top, struct ink_error *error)
{
    struct ink_string out = {0};
    ink_string_puts(&out, "{");
    ink_output_key(&out, "ids");
    ink_output_ids(&out, s->ids, s->n);
    ink_output_key(&out, "logsumexp");
    for (size_t i = 0; i < s->n; i++) {
        ink_string_puts(&out, i ? ", " : "[");
        ink_output_number(&out, s->logsumexp[i]);
    }
    ink_string_puts(&out, "]");
    ink_output_key(&out, "argmax");
    ink_output_ids(&out, s->argmax, s->n);
    ink_output_key(&out, "top");
    for (int i = 0; i < top; i++) {
        ink_string_printf(&out, "%s[%d, ", i ? ", " : "[", (int)s->best[i].id);
        ink_output_number(&out, (double)s->best[i].logit);
        ink_string_puts(&out, "]");
    }
    ink_string_puts(&out, "]}\n");
    int status = ink_output_put_string(&out, error);
    ink_string_free(&out);
    return status;
}

static int run(struct scores *s, struct ink_model *model, const struct ink_adapter *adapter,
               const struct ink_options *o, struct ink_error *error)
{
    int vocab = ink_model_get_info(model)->vocab_size;
    int status = ink_input_parse_ids(&s->ids, &s->n, o->ids, strlen(o->ids), vocab, "--ids",
                                     INK_ERROR_ARGUMENT, error);
    if (status == INK_OK && s->n == 0) {
        status = ink_fail(error, INK_ERROR_ARGUMENT, "--ids: no ids");
    }
    if (status == INK_OK) {
        ink_interrupt_defer(true);
        status = compute(s, model, adapter, o, error);
    }
    int top = ink_options_has(o, INK_OPTION_TOP) ? o->top : DEFAULT_TOP;
    return status == INK_OK ? print_json(s, top < vocab ? top : vocab, error) : status;
}

int ink_command_logits(const struct ink_options *o, struct ink_error *error)
{
    if (!o->ids) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "--ids is missing (see --help)");
    }
    struct ink_model *model;
    int status = ink_cli_open_model(&model, o, INK_TOKENIZER_UNUSED, false, error);
    if (status != INK_OK) {
        return status;
    }
    struct scores s = {0};
    struct ink_adapter *adapter;
    status = ink_cli_open_adapter(&adapter, model, o->lora, error);
    if (status == INK_OK) {
        status = run(&s, model, adapter, o, error);
    }
    ink_free(s.ids);
    ink_free(s.logsumexp);
    ink_free(s.argmax);
    ink_free(s.best);
    ink_adapter_close(adapter);
    ink_model_close(model);
    return status;
}
