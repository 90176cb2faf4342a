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

static int check_length(const struct ink_eval_sample *s, const struct ink_model *model,
                        const char *path, struct ink_error *error)
{
    const int most = ink_model_get_info(model)->max_positions;
    if (s->encoded.n > (size_t)most) {
        return ink_fail(error, INK_ERROR_LIMIT,
                        "%s: line %llu: %llu tokens are more than the model's context of %d", path,
                        (unsigned long long)s->line, (unsigned long long)s->encoded.n, most);
    }
    return INK_OK;
}

static int read_sample(struct ink_eval_sample *s, const struct ink_model *model,
                       const struct ink_sample *sample, const struct ink_eval_options *options,
                       const char *path, struct ink_error *error)
{
    struct ink_encode_options encode = options->encode;
    encode.end_token = ink_model_plain_end_token(model);
    s->line = sample->line;
    int status =
        ink_encode_sample(ink_model_tokenizer(model), &s->encoded, sample, &encode, path, error);
    if (status == INK_OK) {
        status = check_length(s, model, path, error);
    }
    if (status == INK_OK) {
        status = choose_counted(s, model, options->scope, path, error);
    }
    return status == INK_OK ? take_texts(s, sample, error) : status;
}

/* ------------------------------------------------------------------------------------- the set */

int ink_eval_set_open(struct ink_eval_set *out, const struct ink_model *model,
                      const struct ink_dataset *dataset, const struct ink_eval_options *options,
                      struct ink_error *error)
{
    const struct ink_dataset_info *info = ink_dataset_get_info(dataset);
    const size_t n =
        options->limit > 0 && options->limit < info->n_samples ? options->limit : info->n_samples;
    struct ink_sample sample = {0};
    int status = INK_OK;
    *out = (struct ink_eval_set){0};
    out->samples = ink_calloc(n, sizeof *out->samples);
    if (!out->samples) {
        return ink_fail_memory(error, n * sizeof *out->samples);
    }
    for (size_t i = 0; i < n && status == INK_OK; i++) {
        struct ink_eval_sample *s = &out->samples[out->n++];
        status = ink_dataset_read(dataset, &sample, i, error);
        if (status == INK_OK) {
            status = read_sample(s, model, &sample, options, info->path, error);
        }
        out->n_answers += s->has_answer;
        out->n_prompts_cut += s->encoded.prompt_cut;
        out->n_responses_cut += s->encoded.response_cut;
        out->longest = s->encoded.n > out->longest ? s->encoded.n : out->longest;
    }
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
