#include "predict.h"

#include "stop.h"

enum { PASS_PROMPT = 256 }; /* tokens of prompts that go through the model together */

/* One answer on its way. */
struct slot {
    struct ink_generator *generator;
    struct ink_stream *stream;
    struct ink_stopper stopper;
    struct ink_prediction *out; /* NULL: nothing to do */
    bool is_reading;            /* the prompt */
    bool has_step;              /* in this pass */
};

struct predictor {
    struct ink_model *model;
    const struct ink_eval_set *set;
    const struct ink_predict_options *options;
    struct ink_prediction *predictions; /* [set->n] */
    struct slot *slots;                 /* [n_slots] */
    int n_slots;
    struct ink_step *steps; /* [n_slots] */
    int n_steps;
    size_t next;             /* the first sample that no slot has taken */
    uint64_t n_done, n_left; /* answers */
};

void ink_prediction_free(struct ink_prediction *p)
{
    ink_string_free(&p->text);
    *p = (struct ink_prediction){0};
}

/* ------------------------------------------------------------------------------- from one answer
 */

static int end_answer(struct predictor *p, struct slot *slot, bool is_complete,
                      struct ink_error *error)
{
    const char *piece;
    size_t n;
    int status = ink_stream_flush(slot->stream, &piece, &n, error);
    if (status == INK_OK && !slot->stopper.found) {
        ink_stopper_push(&slot->stopper, &slot->out->text, piece, n);
        ink_stopper_flush(&slot->stopper, &slot->out->text);
    }
    ink_string_puts(&slot->out->text, "");
    if (status == INK_OK && slot->out->text.failed) {
        status = ink_fail_memory(error, slot->out->text.length);
    }
    slot->out->is_complete = is_complete || slot->stopper.found;
    ink_generator_stop(slot->generator);
    ink_stopper_close(&slot->stopper);
    slot->out = NULL;
    p->n_done++;
    p->n_left--;
    return status;
}

static int take_token(struct predictor *p, struct slot *slot, int32_t token,
                      struct ink_error *error)
{
    const char *piece;
    size_t n;
    int status = ink_stream_push(slot->stream, token, &piece, &n, error);
    if (status != INK_OK) {
        return status;
    }
    slot->out->n_tokens++;
    ink_stopper_push(&slot->stopper, &slot->out->text, piece, n);
    return slot->stopper.found ? end_answer(p, slot, true, error) : INK_OK;
}

/* What the last evaluation gave. */
static int take_tokens(struct predictor *p, struct slot *slot, struct ink_error *error)
{
    int status = INK_OK;
    slot->is_reading = ink_generator_unread(slot->generator) > 0;
    while (status == INK_OK && slot->out && !slot->is_reading) {
        int32_t token;
        const enum ink_generated what = ink_generator_take(slot->generator, &token);
        if (what == INK_GENERATED_NOTHING) {
            break;
        }
        if (what == INK_GENERATED_DAMAGE) {
            return ink_fail(error, INK_ERROR_INPUT,
                            "%s: the model's scores are not numbers; its weights are damaged",
                            ink_model_get_info(p->model)->path);
        }
        status = what == INK_GENERATED_TOKEN
                     ? take_token(p, slot, token, error)
                     : end_answer(p, slot, what == INK_GENERATED_STOP, error);
    }
    return status;
}

/* ---------------------------------------------------------------------------------- to the next */

/* The stream reads the prompt too: whether a space before the first word belongs to the text
 * depends on what came before it. */
static int push_prompt(struct slot *slot, const struct ink_eval_sample *sample,
                       struct ink_error *error)
{
    const char *piece;
    size_t n;
    int status = INK_OK;
    for (size_t i = 0; i < sample->n_prompt && status == INK_OK; i++) {
        status = ink_stream_push(slot->stream, sample->encoded.tokens[i], &piece, &n, error);
    }
    return status;
}

static int start_answer(struct predictor *p, struct slot *slot, size_t index,
                        struct ink_error *error)
{
    const struct ink_eval_sample *sample = &p->set->samples[index];
    struct ink_sampling sampling = p->options->sampling;
    sampling.seed += index;
    slot->out = &p->predictions[index];
    slot->is_reading = true;
    slot->stopper =
        (struct ink_stopper){.stops = p->options->stops, .n_stops = p->options->n_stops};
    int status = ink_generator_start(slot->generator, sample->encoded.tokens, (int)sample->n_prompt,
                                     &sampling, p->options->max_new_tokens, error);
    return status == INK_OK ? push_prompt(slot, sample, error) : status;
}

static bool is_wanted(const struct predictor *p, size_t index)
{
    const struct ink_predict_options *o = p->options;
    return p->set->samples[index].has_answer &&
           (o->n_shares <= 1 || index % (size_t)o->n_shares == (size_t)o->share);
}

static int fill_slots(struct predictor *p, struct ink_error *error)
{
    int status = INK_OK;
    for (int i = 0; i < p->n_slots && status == INK_OK; i++) {
        while (!p->slots[i].out && p->next < p->set->n && status == INK_OK) {
            const size_t index = p->next++;
            if (is_wanted(p, index)) {
                status = start_answer(p, &p->slots[i], index, error);
            }
        }
    }
    return status;
}

/* ---------------------------------------------------------------------------------------- passes
 */

static void add_step(struct predictor *p, struct slot *slot, int most)
{
    slot->has_step = true;
    ink_generator_prepare(slot->generator, most, &p->steps[p->n_steps++]);
}

/* Answers under way take a step each; the prompts share what is left of the pass, in their order.
 * Guessing ahead would cost the others. */
static void plan_pass(struct predictor *p)
{
    int n_busy = 0, room = PASS_PROMPT;
    p->n_steps = 0;
    for (int i = 0; i < p->n_slots; i++) {
        n_busy += p->slots[i].out != NULL;
        p->slots[i].has_step = false;
    }
    for (int i = 0; i < p->n_slots; i++) {
        struct slot *slot = &p->slots[i];
        if (slot->out && !slot->is_reading) {
            add_step(p, slot, n_busy == 1 ? 1 + INK_MAX_DRAFT : 1);
        } else if (slot->out && room > 0) {
            add_step(p, slot, room);
            room -= p->steps[p->n_steps - 1].n_tokens;
        }
    }
}

static int run_pass(struct predictor *p, struct ink_error *error)
{
    int status = fill_slots(p, error);
    if (status != INK_OK) {
        return status;
    }
    plan_pass(p);
    if (p->n_steps == 0) {
        return INK_OK;
    }
    status = ink_eval(p->model, p->steps, p->n_steps, NULL, NULL, error);
    for (int i = 0; i < p->n_slots && status == INK_OK; i++) {
        struct slot *slot = &p->slots[i];
        if (slot->has_step) {
            ink_generator_done(slot->generator, 0);
            status = take_tokens(p, slot, error);
        }
    }
    return status;
}

/* ---------------------------------------------------------------------------------------- set-up
 */

static int count_positions(const struct predictor *p)
{
    const int most = ink_model_get_info(p->model)->max_positions;
    size_t longest = 0;
    for (size_t i = 0; i < p->set->n; i++) {
        const size_t n = p->set->samples[i].n_prompt;
        longest = n > longest ? n : longest;
    }
    const uint64_t wanted = (uint64_t)longest + (uint64_t)p->options->max_new_tokens;
    return wanted < (uint64_t)most ? (int)wanted : most;
}

static int open_slots(struct predictor *p, struct ink_error *error)
{
    const struct ink_generator_options options = {.n_positions = count_positions(p),
                                                  .kv_type = p->options->kv_type,
                                                  .max_draft = INK_MAX_DRAFT};
    int status = INK_OK;
    for (int i = 0; i < p->n_slots && status == INK_OK; i++) {
        struct slot *slot = &p->slots[i];
        status = ink_generator_open(&slot->generator, p->model, &options, error);
        if (status == INK_OK) {
            status = ink_generator_set_adapter(slot->generator, p->options->adapter, error);
        }
        if (status == INK_OK) {
            status = ink_stream_open(&slot->stream, p->model, false, error);
        }
    }
    return status;
}

static int run_passes(struct predictor *p, ink_progress_function *progress, void *context,
                      struct ink_error *error)
{
    const uint64_t n = p->n_left;
    int status = INK_OK;
    while (p->n_left > 0 && status == INK_OK) {
        status = run_pass(p, error);
        if (status == INK_OK && progress && progress(context, p->n_done, n) != 0) {
            status = ink_fail(error, INK_ERROR_CANCELLED, "%s: cancelled",
                              ink_model_get_info(p->model)->path);
        }
    }
    return status;
}

int ink_predict(struct ink_prediction *out, struct ink_model *model, const struct ink_eval_set *set,
                const struct ink_predict_options *options, ink_progress_function *progress,
                void *context, struct ink_error *error)
{
    struct predictor p = {.model = model, .set = set, .options = options, .predictions = out};
    for (size_t i = 0; i < set->n; i++) {
        p.n_left += is_wanted(&p, i);
    }
    if (p.n_left == 0) {
        return INK_OK;
    }
    p.n_slots = (uint64_t)options->batch < p.n_left ? options->batch : (int)p.n_left;
    p.slots = ink_calloc((size_t)p.n_slots, sizeof *p.slots);
    p.steps = ink_calloc((size_t)p.n_slots, sizeof *p.steps);
    int status = p.slots && p.steps ? open_slots(&p, error)
                                    : ink_fail_memory(error, (uint64_t)p.n_slots * sizeof *p.steps);
    if (status == INK_OK) {
        status = run_passes(&p, progress, context, error);
    }
    for (int i = 0; p.slots && i < p.n_slots; i++) {
        ink_generator_close(p.slots[i].generator);
        ink_stream_close(p.slots[i].stream);
        ink_stopper_close(&p.slots[i].stopper);
    }
    ink_free(p.slots);
    ink_free(p.steps);
    return status;
}
