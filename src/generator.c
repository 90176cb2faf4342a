#include "adapter.h"
#include "draft.h"
#include "fixedmath.h"
#include "grammar.h"
#include "model.h"

#include <math.h>
#include <string.h>

struct ink_generator {
    struct ink_model *model;
    struct ink_session *session;
    struct ink_sampler *sampler;
    struct ink_draft draft; /* the text: prompt and answer; the session has read it up to a point */
    float *logits;          /* [max_draft + 1, vocab_size] */
    int max_draft;
    int n_best; /* logits that the choice depends on */
    int n_prompt, n_new, max_new_tokens;
    int32_t rows[INK_MAX_DRAFT + 1]; /* what was evaluated last: a token, and guesses */
    int n_step, n_rows, row; /* tokens of the step, rows of logits, the next to choose from */
    uint64_t n_drafted, n_accepted;
    int n_top;                               /* likeliest tokens wanted; -1: none */
    struct ink_logprob chosen_logprob, *top; /* of the token taken last; top [n_found] */
    int n_found;
    double log_sum;                    /* of the row's exp(logit) */
    const struct ink_grammar *grammar; /* NULL: none */
    struct ink_grammar_run *run;       /* NULL: none was needed yet */
    bool is_greedy;
    enum ink_generated ended; /* INK_GENERATED_NOTHING: it goes on */
};

/* ------------------------------------------------------------------------------ open and close */

/* Bytes beside the session for a context of n positions. */
static uint64_t own_bytes(const struct ink_model *m, int n_positions, int max_draft)
{
    uint64_t vocab = (uint64_t)m->architecture.vocab_size;
    return sizeof(struct ink_generator) + ink_sampler_bytes(m) +
           vocab * sizeof(float) * ((uint64_t)max_draft + 1) +
           ink_draft_bytes(n_positions + 1, max_draft > 0);
}

uint64_t ink_generator_bytes(const struct ink_model *model,
                             const struct ink_generator_options *options)
{
    return ink_session_bytes(model, options->n_positions, options->kv_type) +
           own_bytes(model, options->n_positions, options->max_draft);
}

static int open_parts(struct ink_generator *g, const struct ink_generator_options *o,
                      struct ink_error *error)
{
    int status = ink_session_open(&g->session, g->model, o->n_positions, o->kv_type, error);
    if (status != INK_OK) {
        return status;
    }
    int n = ink_session_capacity(g->session);
    g->logits = ink_calloc((size_t)o->max_draft + 1,
                           (size_t)g->model->architecture.vocab_size * sizeof *g->logits);
    if (!g->logits) {
        return ink_fail_memory(error, own_bytes(g->model, n, o->max_draft));
    }
    /* the last token of a full context is never read */
    status = ink_draft_open(&g->draft, n + 1, o->max_draft > 0, error);
    g->draft.always = o->always_draft;
    return status;
}

int ink_generator_open(struct ink_generator **out, struct ink_model *model,
                       const struct ink_generator_options *options, struct ink_error *error)
{
    *out = NULL;
    if (options->max_draft < 0 || options->max_draft > INK_MAX_DRAFT) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "%s is %g, allowed are %g to %g", "max-draft",
                        (double)options->max_draft, 0.0, (double)INK_MAX_DRAFT);
    }
    struct ink_generator *g = ink_calloc(1, sizeof *g);
    if (!g) {
        return ink_fail_memory(error, sizeof *g);
    }
    g->model = model;
    g->max_draft = options->max_draft;
    g->ended = INK_GENERATED_LENGTH;
    int status = open_parts(g, options, error);
    if (status != INK_OK) {
        ink_generator_close(g);
        return status;
    }
    *out = g;
    return INK_OK;
}

void ink_generator_close(struct ink_generator *g)
{
    if (g) {
        ink_session_close(g->session);
        ink_sampler_close(g->sampler);
        ink_draft_close(&g->draft);
        ink_run_close(g->run);
        ink_free(g->logits);
        ink_free(g->top);
        ink_free(g);
    }
}

const struct ink_session *ink_generator_session(const struct ink_generator *g)
{
    return g->session;
}

int ink_generator_set_adapter(struct ink_generator *g, const struct ink_adapter *adapter,
                              struct ink_error *error)
{
    if (adapter == ink_session_adapter(g->session)) {
        return INK_OK;
    }
    if (!adapter || adapter->model == g->model) {
        ink_session_truncate(g->session, 0);
        g->row = g->n_rows = 0;
        g->ended = g->ended == INK_GENERATED_NOTHING ? INK_GENERATED_STOP : g->ended;
    }
    return ink_session_set_adapter(g->session, adapter, error);
}

/* ------------------------------------------------------------------------------------- a prompt */

/* The text may be longer than what the session has read of it. */
static int shared_text(const struct ink_generator *g, const int32_t *tokens, int n)
{
    int shared = 0;
    while (shared < n && shared < g->draft.n && g->draft.tokens[shared] == tokens[shared]) {
        shared++;
    }
    return shared;
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

int ink_generator_shared(const struct ink_generator *g, const int32_t *tokens, int n)
{
    return shared_text(g, tokens, smaller(n, ink_session_length(g->session)));
}

const int32_t *ink_generator_text(const struct ink_generator *g, int *n)
{
    *n = g->draft.n;
    return g->draft.tokens;
}

int ink_generator_start(struct ink_generator *g, const int32_t *prompt, int n_prompt,
                        const struct ink_sampling *sampling, int max_new_tokens,
                        struct ink_error *error)
{
    int capacity = ink_session_capacity(g->session);
    if (n_prompt < 1 || n_prompt > capacity || max_new_tokens < 1) {
        return ink_fail(error, INK_ERROR_LIMIT,
                        "%s: %d tokens do not fit: %d of %d positions are in use", g->model->path,
                        n_prompt, 0, capacity);
    }
    struct ink_sampler *sampler = NULL;
    int status = ink_sampler_open(&sampler, g->model, sampling, error);
    if (status != INK_OK) {
        return status;
    }
    ink_sampler_accept(sampler, prompt, n_prompt, true);
    ink_sampler_close(g->sampler);
    g->sampler = sampler;
    int shared = shared_text(g, prompt, n_prompt);
    ink_draft_truncate(&g->draft, shared);
    ink_draft_append(&g->draft, prompt + shared, n_prompt - shared, false);
    /* the logits of the last token are wanted: it is read in any case */
    ink_session_truncate(g->session, shared < n_prompt ? shared : n_prompt - 1);
    g->n_prompt = n_prompt;
    g->n_best = ink_sampling_needs(sampling);
    g->max_new_tokens = max_new_tokens;
    g->n_new = g->n_rows = g->row = 0;
    g->n_drafted = g->n_accepted = 0;
    g->n_top = -1;
    g->n_found = 0;
    g->grammar = NULL;
    g->is_greedy = sampling->temperature == 0 || sampling->top_k == 1;
    g->ended = INK_GENERATED_NOTHING;
    return INK_OK;
}

int ink_generator_constrain(struct ink_generator *g, const struct ink_grammar *grammar,
                            struct ink_error *error)
{
    if (!grammar) {
        g->grammar = NULL;
        return INK_OK;
    }
    if (grammar->model != g->model || g->ended != INK_GENERATED_NOTHING || g->n_new > 0 ||
        g->n_rows > 0) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "%s: a grammar comes too late, or is of another "
                        "model",
                        g->model->path);
    }
    if (!g->run) {
        int status = ink_run_open(&g->run, g->model, error);
        if (status != INK_OK) {
            return status;
        }
    }
    ink_run_start(g->run, grammar, g->draft.tokens, g->n_prompt);
    g->grammar = grammar;
    g->n_best = 0; /* the best that is allowed may be any */
    return INK_OK;
}

int ink_generator_unread(const struct ink_generator *g)
{
    int read = ink_session_length(g->session);
    return g->n_prompt > read ? g->n_prompt - read : 0;
}

bool ink_generator_put_block(struct ink_generator *g, const void *in, int block)
{
    int begin = block * INK_BLOCK, end = begin + INK_BLOCK;
    int read = ink_session_length(g->session);
    if (g->ended != INK_GENERATED_NOTHING || block < 0 || read < begin || read >= end ||
        end >= g->n_prompt) {
        return false;
    }
    ink_session_write_block(g->session, in, block);
    return true;
}

void ink_generator_prepare(struct ink_generator *g, int most, struct ink_step *step)
{
    int read = ink_session_length(g->session), unread = ink_generator_unread(g);
    *step = (struct ink_step){.session = g->session, .logits = g->logits, .n_best = g->n_best};
    if (unread > 0) {
        step->tokens = g->draft.tokens + read;
        step->n_tokens = smaller(unread, most);
        step->n_logits = step->n_tokens == unread;
    } else { /* guesses that could not be used, by either limit, are not made */
        int room = smaller(ink_session_capacity(g->session) - read, most) - 1;
        room = smaller(smaller(room, g->max_draft), g->max_new_tokens - g->n_new - 1);
        g->rows[0] = g->draft.tokens[g->draft.n - 1];
        step->tokens = g->rows;
        step->n_tokens = 1 + ink_draft_propose(&g->draft, g->rows + 1, room);
        step->n_logits = step->n_tokens;
    }
    g->n_step = step->n_tokens;
    g->n_rows = step->n_logits;
    g->row = g->n_rows; /* none of them is there yet */
}

void ink_generator_done(struct ink_generator *g, double seconds)
{
    g->row = 0;
    if (g->n_new > 0) {
        g->n_drafted += (uint64_t)g->n_rows - 1;
    }
    ink_draft_note_pass(&g->draft, g->n_step, seconds);
}

void ink_generator_stop(struct ink_generator *g)
{
    ink_session_truncate(g->session, g->draft.n - 1);
    g->row = g->n_rows = 0;
    if (g->ended == INK_GENERATED_NOTHING) {
        g->ended = INK_GENERATED_STOP;
    }
}

/* The next token by a row of logits, which the grammar may change. */
static int32_t choose(struct ink_generator *g, float *row)
{
    const int left = smaller(g->max_new_tokens - g->n_new, g->draft.capacity - g->draft.n);
    if (!g->grammar) {
        return ink_sampler_choose(g->sampler, row);
    }
    if (g->is_greedy) { /* the best of all is the best of those that are allowed */
        int32_t chosen = ink_sampler_choose(g->sampler, row);
        if (chosen < 0 || ink_run_allows(g->run, chosen, left)) {
            return chosen;
        }
    }
    ink_run_mask(g->run, row, left);
    return ink_sampler_choose(g->sampler, row);
}

/* The answer goes on with the token that was kept; it may be complete by it. */
static void follow_grammar(struct ink_generator *g, int32_t token)
{
    if (g->grammar && (!ink_run_accept(g->run, token) || ink_run_is_over(g->run))) {
        ink_generator_stop(g);
    }
}

/* The token joins the text. Rows after a wrong guess are rows of another text. */
static void keep(struct ink_generator *g, int32_t token)
{
    ink_sampler_accept(g->sampler, &token, 1, false);
    ink_draft_append(&g->draft, &token, 1, true);
    g->n_new++;
    g->row++;
    if (g->row < g->n_rows && g->rows[g->row] == token) {
        g->n_accepted++;
    } else {
        ink_session_truncate(g->session, g->draft.n - 1);
        g->row = g->n_rows = 0;
    }
}

/* ------------------------------------------------------------------------------- likelihoods */

int ink_generator_want_logprobs(struct ink_generator *g, int n_top, struct ink_error *error)
{
    if (n_top < 0 || n_top > INK_MAX_LOGPROBS) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "%s is %g, allowed are %g to %g", "top-logprobs",
                        (double)n_top, 0.0, (double)INK_MAX_LOGPROBS);
    }
    if (!g->top && !(g->top = ink_calloc(INK_MAX_LOGPROBS, sizeof *g->top))) {
        return ink_fail_memory(error, INK_MAX_LOGPROBS * sizeof *g->top);
    }
    g->n_top = n_top;
    g->n_best = 0; /* the sum is over all of them */
    return INK_OK;
}

/* Into its place among the likeliest so far; of equals the lower id comes first. */
static void insert_top(struct ink_generator *g, int32_t token, float logit)
{
    int i = g->n_found < g->n_top ? g->n_found : g->n_top - 1;
    if (g->n_top == 0 || (g->n_found == g->n_top && !(logit > g->top[i].logprob))) {
        return;
    }
    g->n_found += g->n_found < g->n_top;
    for (; i > 0 && g->top[i - 1].logprob < logit; i--) {
        g->top[i] = g->top[i - 1];
    }
    g->top[i] = (struct ink_logprob){token, logit};
}

/* log of the sum of exp(logit): by exp and log that give the same bits everywhere. */
static double log_sum_exp(const float *logits, int n)
{
    float best = -INFINITY;
    for (int i = 0; i < n; i++) {
        best = logits[i] > best ? logits[i] : best;
    }
    double sum = 0;
    for (int i = 0; i < n; i++) {
        sum += ink_fixed_exp((double)logits[i] - (double)best);
    }
    return (double)best + ink_fixed_log(sum);
}

/* The likeliest of a row, while the row is what the model gave. */
static void note_likeliest(struct ink_generator *g, const float *logits)
{
    int vocab = g->model->architecture.vocab_size;
    g->n_found = 0;
    for (int i = 0; i < vocab; i++) {
        insert_top(g, i, logits[i]);
    }
    double sum = log_sum_exp(logits, vocab);
    g->log_sum = sum;
    for (int i = 0; i < g->n_found; i++) {
        g->top[i].logprob = (float)((double)g->top[i].logprob - sum);
    }
}

int ink_generator_logprobs(const struct ink_generator *g, struct ink_logprob *chosen,
                           struct ink_logprob *top)
{
    *chosen = g->chosen_logprob;
    for (int i = 0; i < g->n_found; i++) {
        top[i] = g->top[i];
    }
    return g->n_found;
}

/* ---------------------------------------------------------------------------------- an answer */

enum ink_generated ink_generator_take(struct ink_generator *g, int32_t *token)
{
    *token = -1;
    if (g->ended == INK_GENERATED_NOTHING &&
        (g->n_new >= g->max_new_tokens || g->draft.n == g->draft.capacity)) {
        g->ended =
            g->grammar && ink_run_is_whole(g->run) ? INK_GENERATED_STOP : INK_GENERATED_LENGTH;
    }
    if (g->ended != INK_GENERATED_NOTHING || g->row == g->n_rows) {
        return g->ended;
    }
    float *logits = g->logits + (size_t)g->row * (size_t)g->model->architecture.vocab_size;
    if (g->n_top >= 0) {
        note_likeliest(g, logits);
    }
    int32_t chosen = choose(g, logits);
    if (chosen < 0 || ink_model_is_end_token(g->model, chosen)) {
        ink_session_truncate(g->session, g->draft.n);
        g->ended = chosen < 0 ? INK_GENERATED_DAMAGE : INK_GENERATED_STOP;
        return g->ended;
    }
    if (g->n_top >= 0) {
        double logprob = (double)logits[chosen] - g->log_sum;
        g->chosen_logprob = (struct ink_logprob){chosen, (float)logprob};
    }
    keep(g, chosen);
    follow_grammar(g, chosen);
    *token = chosen;
    return INK_GENERATED_TOKEN;
}

void ink_generator_count_drafts(const struct ink_generator *g, uint64_t *drafted,
                                uint64_t *accepted)
{
    *drafted = g->n_drafted;
    *accepted = g->n_accepted;
}
