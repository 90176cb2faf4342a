#include "encode.h"

#include "chat.h"

#include <string.h>

struct encoder {
    const struct ink_tokenizer *t;
    const struct ink_encode_options *options;
    struct ink_encoded *out;
    const struct ink_sample *sample;
    const char *path;
    int32_t end_token; /* of an answer */
    struct ink_string text;
    struct ink_error *error;
};

/* Ids of a tokenizer call. */
struct ids {
    int32_t *data;
    size_t n;
};

void ink_encoded_free(struct ink_encoded *e)
{
    ink_free(e->tokens);
    ink_free(e->trained);
    *e = (struct ink_encoded){0};
}

static int reserve(struct encoder *e, size_t more)
{
    struct ink_encoded *out = e->out;
    const size_t needed = out->n + more;
    if (needed <= out->capacity) {
        return INK_OK;
    }
    const size_t capacity = needed + needed / 2;
    int32_t *tokens = ink_realloc(out->tokens, capacity, sizeof *tokens);
    out->tokens = tokens ? tokens : out->tokens;
    uint8_t *trained = tokens ? ink_realloc(out->trained, capacity, 1) : NULL;
    if (!trained) {
        return ink_fail_memory(e->error, capacity * (sizeof *tokens + 1));
    }
    out->trained = trained;
    out->capacity = capacity;
    return INK_OK;
}

static int append(struct encoder *e, const int32_t *tokens, size_t n, bool is_trained)
{
    struct ink_encoded *out = e->out;
    int status = reserve(e, n);
    for (size_t i = 0; i < n && status == INK_OK; i++) {
        out->trained[out->n] = is_trained && out->n > 0;
        out->n_trained += out->trained[out->n];
        out->tokens[out->n++] = tokens[i];
    }
    return status;
}

/* The token that plain text begins with, or -1. */
static int32_t begin_token(const struct encoder *e)
{
    const struct ink_tokenizer_facts *facts = ink_tokenizer_get_facts(e->t);
    return facts->add_bos ? facts->bos_id : -1;
}

static int encode(const struct encoder *e, struct ids *out, const char *text, size_t n)
{
    return ink_tokenizer_encode(e->t, &out->data, &out->n, text, n, false, e->error);
}

/* Is n more than the limit (0: none), and may it be cut? */
static int check_length(const struct encoder *e, const char *what, size_t n, int limit, bool *cut)
{
    *cut = limit > 0 && n > (size_t)limit;
    return *cut && e->options->refuse_long
               ? ink_fail(e->error, INK_ERROR_LIMIT,
                          "%s: line %llu: %s has %llu tokens, more than %d, the limit", e->path,
                          (unsigned long long)e->sample->line, ink_text(what),
                          (unsigned long long)n, limit)
               : INK_OK;
}

static bool is_chat(const struct encoder *e)
{
    return e->options->chat_template == INK_TEMPLATE_CHAT;
}

/* --------------------------------------------------------------------------------- an exchange */

/* A question with what comes before it, and its answer. */
struct exchange {
    const struct ink_turn *system, *question, *answer; /* system may be NULL */
    bool is_first, is_last;
};

/* In the chat's format: up to where the answer begins, or with the answer and its end. Only a text
 * begins with the begin token. */
static int encode_chat(const struct encoder *e, const struct exchange *x, bool with_answer,
                       struct ids *out)
{
    struct ink_message messages[3];
    const struct ink_turn *turns[] = {x->system, x->question, with_answer ? x->answer : NULL};
    int n = 0;
    for (size_t i = 0; i < INK_COUNT(turns); i++) {
        if (turns[i]) {
            messages[n++] = (struct ink_message){ink_role_name(turns[i]->role), turns[i]->text};
        }
    }
    int status = ink_chat_encode(e->t, &out->data, &out->n, messages, n, !with_answer, e->error);
    if (status == INK_OK && !x->is_first) {
        out->n--;
        memmove(out->data, out->data + 1, out->n * sizeof *out->data);
    }
    return status;
}

static int encode_plain(struct encoder *e, const struct exchange *x, bool with_answer,
                        struct ids *out)
{
    e->text.length = 0;
    if (x->system) {
        ink_string_append(&e->text, x->system->text, x->system->n_text);
        ink_string_puts(&e->text, "\n");
    }
    ink_string_append(&e->text, x->question->text, x->question->n_text);
    if (with_answer) {
        ink_string_append(&e->text, x->answer->text, x->answer->n_text);
    }
    return e->text.failed ? ink_fail_memory(e->error, e->text.capacity)
                          : encode(e, out, e->text.data, e->text.length);
}

static int encode_exchange(struct encoder *e, const struct exchange *x, bool with_answer,
                           struct ids *out)
{
    return is_chat(e) ? encode_chat(e, x, with_answer, out) : encode_plain(e, x, with_answer, out);
}

/* Would the exchange, encoded as one string, have other ids than out->tokens from `from` on? */
static int compare_joint(struct encoder *e, const struct exchange *x, size_t from)
{
    struct ids joint = {0};
    const struct ink_encoded *out = e->out;
    const size_t end = is_chat(e) ? out->n : out->n - 1; /* without </s> */
    int status = encode_exchange(e, x, true, &joint);
    if (status == INK_OK && (joint.n != end - from || memcmp(joint.data, out->tokens + from,
                                                             joint.n * sizeof *joint.data) != 0)) {
        e->out->differs_jointly = true;
    }
    ink_free(joint.data);
    return status;
}

/* Put the first `limit` tokens of the prompt; in a chat its end instead of the last of them. */
static int append_cut_prompt(struct encoder *e, const struct ids *prompt, size_t limit)
{
    static const char chat_end[] = "\nAssistant: ";
    struct ids end = {0};
    int status = is_chat(e) ? encode(e, &end, chat_end, sizeof chat_end - 1) : INK_OK;
    const size_t n_end = end.n < limit ? end.n : limit;
    if (status == INK_OK) {
        status = append(e, prompt->data, limit - n_end, false);
    }
    if (status == INK_OK && n_end > 0) {
        status = append(e, end.data + end.n - n_end, n_end, false);
    }
    ink_free(end.data);
    return status;
}

static int append_prompt(struct encoder *e, const struct exchange *x, bool *cut)
{
    const int32_t begin = is_chat(e) || !x->is_first ? -1 : begin_token(e);
    const size_t n_begin = begin >= 0;
    int limit = e->options->max_prompt;
    struct ids prompt = {0};
    int status = encode_exchange(e, x, false, &prompt);
    if (status == INK_OK) {
        status = check_length(e, "the prompt", prompt.n + n_begin, limit, cut);
    }
    if (status == INK_OK) {
        status = append(e, &begin, n_begin, false);
    }
    if (status == INK_OK) {
        status = *cut ? append_cut_prompt(e, &prompt, (size_t)limit - n_begin)
                      : append(e, prompt.data, prompt.n, false);
    }
    ink_free(prompt.data);
    e->out->prompt_cut |= *cut;
    return status;
}

/* An answer that is cut has no end to be learnt; but what follows it must see one. */
static int append_answer(struct encoder *e, const struct ink_turn *answer, bool is_last, bool *cut)
{
    struct ids ids = {0};
    const int limit = e->options->max_response;
    int status = encode(e, &ids, answer->text, answer->n_text);
    if (status == INK_OK) {
        status = check_length(e, "the answer", ids.n, limit, cut);
    }
    if (status == INK_OK) {
        status = append(e, ids.data, *cut ? (size_t)limit : ids.n, answer->is_trained);
    }
    if (status == INK_OK && !(*cut && is_last)) {
        status = append(e, &e->end_token, 1, answer->is_trained && !*cut);
    }
    ink_free(ids.data);
    e->out->response_cut |= *cut;
    return status;
}

static int append_exchange(struct encoder *e, const struct exchange *x)
{
    const size_t from = e->out->n;
    const size_t n_begin = x->is_first && !is_chat(e) && begin_token(e) >= 0;
    bool prompt_cut = false, answer_cut = false;
    int status = append_prompt(e, x, &prompt_cut);
    if (x->is_first) {
        e->out->n_prompt = e->out->n;
    }
    if (status == INK_OK) {
        status = append_answer(e, x->answer, x->is_last, &answer_cut);
    }
    if (status == INK_OK && e->options->compare_joint && !prompt_cut && !answer_cut) {
        status = compare_joint(e, x, from + n_begin);
    }
    return status;
}

/* -------------------------------------------------------------------------------------- samples */

static int append_exchanges(struct encoder *e)
{
    const struct ink_turn *turns = e->sample->turns;
    const int n = e->sample->n_turns;
    const int first = turns[0].role == INK_ROLE_SYSTEM;
    int status = INK_OK;
    for (int i = first; i + 1 < n && status == INK_OK; i += 2) {
        const struct exchange x = {.system = first && i == first ? turns : NULL,
                                   .question = &turns[i],
                                   .answer = &turns[i + 1],
                                   .is_first = i == first,
                                   .is_last = i + 2 == n};
        status = append_exchange(e, &x);
    }
    return status;
}

static int append_text(struct encoder *e, const struct ink_turn *turn)
{
    const int32_t begin = begin_token(e);
    const size_t n_begin = begin >= 0;
    struct ids ids = {0};
    int status = encode(e, &ids, turn->text, turn->n_text);
    if (status == INK_OK) {
        status = append(e, &begin, n_begin, false);
    }
    if (status == INK_OK) {
        status = append(e, ids.data, ids.n, true);
    }
    if (status == INK_OK) {
        status = append(e, &e->end_token, 1, true);
    }
    ink_free(ids.data);
    e->out->n_prompt = n_begin;
    return status;
}

static int find_end_token(struct encoder *e, bool chat)
{
    e->end_token = chat                        ? ink_chat_end_token(e->t)
                   : e->options->end_token > 0 ? e->options->end_token
                                               : ink_tokenizer_get_facts(e->t)->eos_id;
    if (e->end_token < 0) {
        return ink_fail(e->error, INK_ERROR_INPUT,
                        chat ? "the tokenizer lacks the tokens of the chat format"
                             : "the tokenizer has no end token");
    }
    return INK_OK;
}

static int check_context(const struct encoder *e)
{
    const int most = e->options->max_context;
    return most > 0 && e->out->n > (size_t)most
               ? ink_fail(e->error, INK_ERROR_LIMIT,
                          "%s: line %llu: %llu tokens are more than the model's context of %d",
                          e->path, (unsigned long long)e->sample->line,
                          (unsigned long long)e->out->n, most)
               : INK_OK;
}

int ink_encode_sample(const struct ink_tokenizer *tokenizer, struct ink_encoded *out,
                      const struct ink_sample *sample, const struct ink_encode_options *options,
                      const char *path, struct ink_error *error)
{
    struct encoder e = {.t = tokenizer,
                        .options = options,
                        .out = out,
                        .sample = sample,
                        .path = path,
                        .error = error};
    const bool is_text = sample->turns[0].role == INK_ROLE_TEXT;
    out->n = out->n_trained = out->n_prompt = 0;
    out->prompt_cut = out->response_cut = out->differs_jointly = false;
    out->is_text = is_text;
    int status = find_end_token(&e, is_chat(&e) && !is_text);
    if (status == INK_OK) {
        status = is_text ? append_text(&e, sample->turns) : append_exchanges(&e);
    }
    ink_string_free(&e.text);
    if (status == INK_OK && out->n_trained == 0) {
        status = ink_fail(error, INK_ERROR_INPUT, "%s: line %llu: no token is left to learn", path,
                          (unsigned long long)sample->line);
    }
    return status == INK_OK && !is_text ? check_context(&e) : status;
}

/* -------------------------------------------------------------------------------------- windows */

bool ink_encoded_next(const struct ink_encoded *e, struct ink_window *window, size_t limit)
{
    const size_t end = window->begin + window->n;
    if (end == e->n) {
        return false;
    }
    window->begin = end > 0 ? end - 1 : 0;
    window->n = e->n - window->begin;
    if (e->is_text && window->n > limit) {
        window->n = limit;
    }
    return true;
}
