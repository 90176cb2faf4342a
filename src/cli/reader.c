#include "reader.h"
#include "common.h"
#include "interrupt.h"
#include "progress.h"

#include <string.h>

enum { PREFILL_CHUNK = 512 }; /* tokens between two looks at the progress bar */

int ink_reader_open(struct ink_reader *r, struct ink_model *model, int n_positions,
                    enum ink_kv_type type, struct ink_error *error)
{
    *r = (struct ink_reader){.model = model};
    int status = ink_session_open(&r->session, model, n_positions, type, error);
    if (status != INK_OK) {
        return status;
    }
    size_t n_tokens = (size_t)ink_session_capacity(r->session);
    size_t n_logits = (size_t)ink_model_get_info(model)->vocab_size;
    r->tokens = ink_calloc(n_tokens, sizeof *r->tokens);
    r->logits = ink_calloc(n_logits, sizeof *r->logits);
    if (!r->tokens || !r->logits) {
        ink_reader_close(r);
        return ink_fail_memory(error, n_tokens * sizeof *r->tokens + n_logits * sizeof *r->logits);
    }
    return INK_OK;
}

void ink_reader_close(struct ink_reader *r)
{
    ink_session_close(r->session);
    ink_free(r->tokens);
    ink_free(r->logits);
    *r = (struct ink_reader){0};
}

static int shared_prefix(const struct ink_reader *r, const int32_t *tokens, int n_tokens)
{
    int n = 0, length = ink_session_length(r->session);
    while (n < n_tokens && n < length && r->tokens[n] == tokens[n]) {
        n++;
    }
    return n;
}

static int evaluate(struct ink_reader *r, const int32_t *tokens, int n_tokens, bool is_last,
                    struct ink_error *error)
{
    int length = ink_session_length(r->session);
    struct ink_step step = {.session = r->session,
                            .tokens = tokens,
                            .n_tokens = n_tokens,
                            .n_logits = is_last,
                            .logits = r->logits};
    int status = ink_eval(r->model, &step, 1, ink_interrupt_poll, NULL, error);
    if (status == INK_OK) {
        memcpy(r->tokens + length, tokens, (size_t)n_tokens * sizeof *tokens);
    }
    return status;
}

int ink_reader_read(struct ink_reader *r, const int32_t *tokens, int n_tokens,
                    struct ink_error *error)
{
    int start = shared_prefix(r, tokens, n_tokens);
    start = start < n_tokens ? start : n_tokens - 1; /* the logits of the last are wanted */
    ink_session_truncate(r->session, start);
    r->n_reused = start;
    struct ink_progress progress;
    ink_progress_open(&progress, ink_text("reading the prompt"), ink_text("tokens"), 1);
    int status = INK_OK;
    for (int i = start; i < n_tokens && status == INK_OK;) {
        int n = n_tokens - i < PREFILL_CHUNK ? n_tokens - i : PREFILL_CHUNK;
        status = evaluate(r, tokens + i, n, i + n == n_tokens, error);
        i += n;
        ink_progress_show(&progress, (uint64_t)(i - start), (uint64_t)(n_tokens - start));
    }
    ink_progress_close(&progress);
    return status;
}

int ink_reader_append(struct ink_reader *r, int32_t token, struct ink_error *error)
{
    return evaluate(r, &token, 1, true, error);
}
