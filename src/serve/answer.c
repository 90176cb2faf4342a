#include "answer.h"

#include "stop.h"
#include "utf8.h"

#include <string.h>

struct choice {
    struct ink_stream *stream;
    struct ink_stopper stopper;
    struct ink_string fresh;             /* text to be given out now */
    size_t n_given;                      /* bytes given out so far */
    size_t n_text;                       /* bytes of text that the tokens so far gave */
    struct ink_utf8_assembler assembler; /* of the tokens' bytes */
    struct ink_answer_token *tokens;     /* [n_tokens]: not given out yet */
    size_t n_tokens, tokens_room;
};

struct job {
    struct answer *answer;
    int first_choice;
};

struct answer {
    struct ink_answer_request r;
    struct choice *choices; /* [n] */
    struct job *jobs;       /* [n_prompts] */
    int n, n_open;
    int n_tokens;
    enum ink_finish why;
    char message[256];
};

/* ------------------------------------------------------------------------------- open and close */

static void close_answer(struct answer *a)
{
    if (!a) {
        return;
    }
    for (int i = 0; a->choices && i < a->n; i++) {
        struct choice *c = &a->choices[i];
        ink_stream_close(c->stream);
        ink_stopper_close(&c->stopper);
        ink_string_free(&c->fresh);
        ink_free(c->tokens);
    }
    ink_free(a->choices);
    ink_free(a->jobs);
    ink_free(a);
}

static void free_prompts(struct answer *a)
{
    for (int i = 0; i < a->r.n_prompts; i++) {
        ink_free(a->r.prompts[i].ids);
    }
    ink_free(a->r.prompts);
}

/* The stream reads the prompt too: whether a space before the first word belongs to the text
 * depends on what came before it. */
static bool open_choice(struct answer *a, struct choice *c, const struct ink_answer_prompt *prompt)
{
    const char *piece;
    size_t n;
    c->stopper = (struct ink_stopper){.stops = a->r.stops, .n_stops = a->r.n_stops};
    int status = ink_stream_open(&c->stream, a->r.model, false, NULL);
    for (size_t i = 0; i < prompt->n && status == INK_OK; i++) {
        status = ink_stream_push(c->stream, prompt->ids[i], &piece, &n, NULL);
    }
    return status == INK_OK;
}

static struct answer *open_answer(const struct ink_answer_request *r)
{
    struct answer *a = ink_calloc(1, sizeof *a);
    if (!a) {
        return NULL;
    }
    a->r = *r;
    a->n = a->n_open = r->n_prompts * r->n_choices;
    a->why = INK_FINISH_STOP;
    a->choices = ink_calloc((size_t)a->n, sizeof *a->choices);
    a->jobs = ink_calloc((size_t)r->n_prompts, sizeof *a->jobs);
    bool ok = a->choices && a->jobs;
    for (int i = 0; i < a->n && ok; i++) {
        ok = open_choice(a, &a->choices[i], &r->prompts[i / r->n_choices]);
    }
    if (!ok) {
        close_answer(a);
        return NULL;
    }
    return a;
}

/* --------------------------------------------------------------------------------- giving out */

static void fail(struct answer *a, enum ink_finish why, const char *message)
{
    if (a->why == INK_FINISH_STOP) {
        size_t n = message ? strlen(message) : 0;
        n = n < sizeof a->message - 1 ? n : sizeof a->message - 1;
        memcpy(a->message, message ? message : "", n);
        a->message[n] = '\0';
        a->why = why;
    }
}

/* What is fresh, and the tokens that lie wholly before its end; at the end of the choice all of
 * them, or those that begin before a stop string. */
static void give(struct answer *a, int choice, bool is_end)
{
    struct choice *c = &a->choices[choice];
    size_t end = c->n_given + c->fresh.length, n = 0;
    if (c->fresh.failed || c->stopper.held.failed) {
        fail(a, INK_FINISH_FAILED, "out of memory");
        return;
    }
    while (n < c->n_tokens &&
           (is_end ? c->tokens[n].start < end || !c->stopper.found : c->tokens[n].end <= end)) {
        n++;
    }
    if (c->fresh.length > 0 || n > 0) {
        a->r.sink->text(a->r.context, choice, c->fresh.data ? c->fresh.data : "", c->fresh.length,
                        c->tokens, n);
    }
    c->n_given = end;
    c->fresh.length = 0;
    c->n_tokens -= n;
    if (c->n_tokens > 0) {
        memmove(c->tokens, c->tokens + n, c->n_tokens * sizeof *c->tokens);
    }
}

/* A token that ends inside a character has no end yet: that is the end of the character. */
static bool find_ends(const struct ink_model *model, struct choice *c, int32_t token)
{
    char bytes[512];
    struct ink_string whole = {0};
    size_t n = ink_token_bytes(model, bytes, sizeof bytes, token, false);
    ink_utf8_push(&c->assembler, &whole, bytes, n < sizeof bytes ? n : sizeof bytes);
    for (size_t i = c->n_tokens; c->assembler.n_held == 0 && i > 0; i--) {
        if (c->tokens[i - 1].end != SIZE_MAX) {
            break;
        }
        c->tokens[i - 1].end = c->n_text;
    }
    bool ok = !whole.failed;
    ink_string_free(&whole);
    return ok;
}

/* `n` bytes of text came of it. */
static bool note_likelihood(const struct ink_model *model, struct choice *c,
                            const struct ink_job_token *token, size_t n)
{
    if (c->n_tokens == c->tokens_room) {
        size_t room = c->tokens_room * 2 + 16;
        struct ink_answer_token *more = ink_realloc(c->tokens, room, sizeof *more);
        if (!more) {
            return false;
        }
        c->tokens = more;
        c->tokens_room = room;
    }
    struct ink_answer_token *t = &c->tokens[c->n_tokens++];
    *t = (struct ink_answer_token){
        .logprob = token->logprob, .n_top = token->n_top, .start = c->n_text, .end = SIZE_MAX};
    memcpy(t->top, token->top, (size_t)token->n_top * sizeof *token->top);
    c->n_text += n;
    return find_ends(model, c, token->id);
}

static bool take_token(void *context, const struct ink_job_token *token)
{
    const struct job *job = context;
    struct answer *a = job->answer;
    int choice = job->first_choice + token->choice;
    struct choice *c = &a->choices[choice];
    const char *piece;
    size_t n;
    a->n_tokens++;
    if (ink_stream_push(c->stream, token->id, &piece, &n, NULL) != INK_OK ||
        (a->r.n_logprobs >= 0 && !note_likelihood(a->r.model, c, token, n))) {
        fail(a, INK_FINISH_FAILED, "out of memory");
        return false;
    }
    ink_stopper_push(&c->stopper, &c->fresh, piece, n);
    give(a, choice, false);
    return a->why == INK_FINISH_STOP && !c->stopper.found;
}

/* ----------------------------------------------------------------------------------------- ends */

static void end_text(struct answer *a, int choice)
{
    struct choice *c = &a->choices[choice];
    const char *piece;
    size_t n;
    if (ink_stream_flush(c->stream, &piece, &n, NULL) != INK_OK) {
        fail(a, INK_FINISH_FAILED, "out of memory");
        return;
    }
    ink_stopper_push(&c->stopper, &c->fresh, piece, n);
    ink_stopper_flush(&c->stopper, &c->fresh);
    give(a, choice, true);
}

static void finish(void *context, int choice, enum ink_finish why, const char *message)
{
    const struct job *job = context;
    struct answer *a = job->answer;
    choice += job->first_choice;
    if (why != INK_FINISH_STOP && why != INK_FINISH_LENGTH) {
        fail(a, why, message);
    }
    if (a->why == INK_FINISH_STOP) {
        end_text(a, choice);
    }
    if (a->why == INK_FINISH_STOP) {
        /* a stop string may come to light in what was held back for a character */
        bool found = a->choices[choice].stopper.found;
        a->r.sink->ended(a->r.context, choice, found ? INK_FINISH_STOP : why);
    }
    if (--a->n_open == 0) {
        a->r.sink->finished(a->r.context, a->why, a->message, a->n_tokens);
        free_prompts(a);
        close_answer(a);
    }
}

static bool is_gone(void *context)
{
    const struct job *job = context;
    const struct answer *a = job->answer;
    return a->why != INK_FINISH_STOP || a->r.sink->is_gone(a->r.context);
}

static void started(void *context, int n_cached)
{
    const struct job *job = context;
    job->answer->r.sink->started(job->answer->r.context, n_cached);
}

/* --------------------------------------------------------------------------------------- submit */

static struct ink_job_request job_request(struct answer *a, int prompt)
{
    const struct ink_answer_request *r = &a->r;
    a->jobs[prompt] = (struct job){a, prompt * r->n_choices};
    return (struct ink_job_request){
        .prompt = r->prompts[prompt].ids,
        .n_prompt = (int)r->prompts[prompt].n,
        .n_choices = r->n_choices,
        .max_new_tokens = r->max_new_tokens,
        .sampling = r->sampling,
        .n_logprobs = r->n_logprobs,
        .grammar = r->grammar,
        .variant = r->variant,
        .arrived = r->arrived,
        .is_gone = is_gone,
        .started = started,
        .token = take_token,
        .finished = finish,
        .context = &a->jobs[prompt],
    };
}

enum ink_admission ink_answer_submit(struct ink_scheduler *s,
                                     const struct ink_answer_request *request, int *retry_after)
{
    struct answer *a = open_answer(request);
    int n = request->n_prompts;
    struct ink_job_request *jobs = ink_calloc((size_t)n, sizeof *jobs);
    enum ink_admission admission = INK_ADMISSION_MEMORY;
    if (a && jobs) {
        for (int i = 0; i < n; i++) {
            jobs[i] = job_request(a, i);
        }
        admission = ink_scheduler_submit(s, jobs, n, retry_after);
    }
    if (admission != INK_ADMITTED) {
        close_answer(a);
    }
    ink_free(jobs);
    return admission;
}
