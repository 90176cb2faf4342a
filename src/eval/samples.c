#include "samples.h"

#include "model.h"

#include <string.h>

const char *ink_loss_scope_name(enum ink_loss_scope scope)
{
    static const char *const names[] = {"answer-end", "answer", "all"};
    return names[scope];
}

/* ---------------------------------------------------------------------------------- one sample */

/* The last answer that is trained on, and the user's turn before it. */
static int find_answer(const struct ink_sample *sample, const struct ink_turn **question)
{
    int answer = sample->n_turns - 1;
    while (answer >= 0 && !(sample->turns[answer].role == INK_ROLE_ASSISTANT &&
                            sample->turns[answer].is_trained)) {
        answer--;
    }
    int before = answer;
    while (before >= 0 && sample->turns[before].role != INK_ROLE_USER) {
        before--;
    }
    *question = before >= 0 ? &sample->turns[before] : NULL;
    return answer;
}

/* Where the last run of trained tokens begins: those of the last trained answer. */
static size_t find_last_run(const struct ink_encoded *e)
{
    size_t at = e->n;
    while (at > 0 && !e->trained[at - 1]) {
        at--;
    }
    while (at > 0 && e->trained[at - 1]) {
        at--;
    }
    return at;
}

static int take_texts(struct ink_eval_sample *s, const struct ink_sample *sample,
                      struct ink_error *error)
{
    const struct ink_turn *question;
    const int answer = find_answer(sample, &question);
    if (answer < 0) {
        return INK_OK;
    }
    const struct ink_turn *reference = &sample->turns[answer];
    s->has_answer = true;
    s->n_prompt = find_last_run(&s->encoded);
    s->question = ink_strndup(question ? question->text : "", question ? question->n_text : 0);
    s->reference = ink_strndup(reference->text, reference->n_text);
    return s->question && s->reference ? INK_OK : ink_fail_memory(error, reference->n_text);
}

/* Texts never hold end tokens: special tokens inside texts stay text. */
static bool is_end(const struct ink_model *model, int32_t token)
{
    return ink_is_end_token(model, token) || token == ink_model_plain_end_token(model);
}

static int choose_counted(struct ink_eval_sample *s, const struct ink_model *model,
                          enum ink_loss_scope scope, const char *path, struct ink_error *error)
{
    const struct ink_encoded *e = &s->encoded;
    size_t n = 0;
    s->counted = ink_calloc(e->n, sizeof *s->counted);
    if (!s->counted) {
        return ink_fail_memory(error, e->n);
    }
    for (size_t i = 1; i < e->n; i++) {
        s->counted[i] =
            scope == INK_SCOPE_ALL ||
            (e->trained[i] && (scope == INK_SCOPE_ANSWER_END || !is_end(model, e->tokens[i])));
        n += s->counted[i];
    }
    if (n == 0) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: line %llu: no token is left whose prediction counts (scope %s)", path,
                        (unsigned long long)s->line, ink_loss_scope_name(scope));
    }
    return INK_OK;
}

/* What the samples of a set are read with. */
struct reading {
    struct ink_eval_set *set;
    size_t capacity;
    const struct ink_model *model;
    const struct ink_eval_options *options;
    const char *path;
    struct ink_encoded encoded;
    struct ink_error *error;
};

/* One more, of tokens and flags of its own. */
static int add_sample(struct reading *r, const struct ink_window *window,
                      struct ink_eval_sample **out)
{
    struct ink_eval_set *set = r->set;
    if (set->n == r->capacity) {
        const size_t capacity = 2 * r->capacity;
        struct ink_eval_sample *samples = ink_realloc(set->samples, capacity, sizeof *samples);
        if (!samples) {
            return ink_fail_memory(r->error, capacity * sizeof *samples);
        }
        set->samples = samples;
        r->capacity = capacity;
    }
    struct ink_eval_sample *s = &set->samples[set->n++];
    *s = (struct ink_eval_sample){.encoded = r->encoded};
    s->encoded.n = s->encoded.capacity = window->n;
    s->encoded.tokens = ink_calloc(window->n, sizeof *s->encoded.tokens);
    s->encoded.trained = ink_calloc(window->n, sizeof *s->encoded.trained);
    if (!s->encoded.tokens || !s->encoded.trained) {
        return ink_fail_memory(r->error, window->n * sizeof *s->encoded.tokens);
    }
    memcpy(s->encoded.tokens, r->encoded.tokens + window->begin,
           window->n * sizeof *s->encoded.tokens);
    memcpy(s->encoded.trained, r->encoded.trained + window->begin, window->n);
    s->encoded.trained[0] = 0;
    *out = s;
    return INK_OK;
}

static int read_window(struct reading *r, const struct ink_window *window,
                       const struct ink_sample *sample)
{
    struct ink_eval_sample *s = NULL;
    int status = add_sample(r, window, &s);
    if (status != INK_OK) {
        return status;
    }
    s->line = sample->line;
    status = choose_counted(s, r->model, r->options->scope, r->path, r->error);
    if (status == INK_OK) {
        status = take_texts(s, sample, r->error);
    }
    r->set->n_answers += s->has_answer;
    r->set->n_prompts_cut += s->encoded.prompt_cut;
    r->set->n_responses_cut += s->encoded.response_cut;
    r->set->longest = window->n > r->set->longest ? window->n : r->set->longest;
    return status;
}

static int read_sample(struct reading *r, const struct ink_sample *sample)
{
    struct ink_encode_options encode = r->options->encode;
    struct ink_window window = {0};
    encode.end_token = ink_model_plain_end_token(r->model);
    encode.max_context = ink_model_get_info(r->model)->max_positions;
    int status = ink_encode_sample(ink_model_tokenizer(r->model), &r->encoded, sample, &encode,
                                   r->path, r->error);
    const size_t n_before = r->set->n;
    while (status == INK_OK && ink_encoded_next(&r->encoded, &window, r->set->window)) {
        status = read_window(r, &window, sample);
    }
    r->set->n_in_windows += r->set->n > n_before + 1;
    return status;
}

/* ------------------------------------------------------------------------------------- the set */

int ink_eval_set_open(struct ink_eval_set *out, const struct ink_model *model,
                      const struct ink_dataset *dataset, const struct ink_eval_options *options,
                      struct ink_error *error)
{
    const struct ink_dataset_info *info = ink_dataset_get_info(dataset);
    const size_t n =
        options->limit > 0 && options->limit < info->n_samples ? options->limit : info->n_samples;
    const size_t most = (size_t)ink_model_get_info(model)->max_positions;
    struct reading r = {.set = out,
                        .capacity = n,
                        .model = model,
                        .options = options,
                        .path = info->path,
                        .error = error};
    struct ink_sample sample = {0};
    int status = INK_OK;
    *out = (struct ink_eval_set){
        .window = options->window > 0 && options->window < most ? options->window : most};
    out->samples = ink_calloc(n, sizeof *out->samples);
    if (!out->samples) {
        return ink_fail_memory(error, n * sizeof *out->samples);
    }
    for (size_t i = 0; i < n && status == INK_OK; i++) {
        status = ink_dataset_read(dataset, &sample, i, error);
        if (status == INK_OK) {
            status = read_sample(&r, &sample);
        }
    }
    ink_encoded_free(&r.encoded);
    ink_sample_free(&sample);
    return status;
}

void ink_eval_set_close(struct ink_eval_set *set)
{
    for (size_t i = 0; set->samples && i < set->n; i++) {
        struct ink_eval_sample *s = &set->samples[i];
        ink_encoded_free(&s->encoded);
        ink_free(s->question);
        ink_free(s->reference);
        ink_free(s->counted);
    }
    ink_free(set->samples);
    *set = (struct ink_eval_set){0};
}
