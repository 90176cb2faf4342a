#include "adapter.h"
#include "forward.h"
#include "sync.h"
#include "system.h"

#include <string.h>

struct ink_session {
    struct ink_model *model;
    struct ink_kv *kv;
    const struct ink_adapter *adapter; /* NULL: none */
    int length, capacity;
    bool in_batch; /* set while ink_eval looks for a session that came twice */
};

enum { default_positions = 4096 };

/* ------------------------------------------------------------------------------------- sessions */

uint64_t ink_session_bytes(const struct ink_model *model, int n_positions, enum ink_kv_type type)
{
    return model->backend->kv_bytes(model->backend, n_positions, type) + sizeof(struct ink_session);
}

static int check_size(const struct ink_model *m, int n, enum ink_kv_type type,
                      struct ink_error *error)
{
    int most = m->architecture.max_positions;
    if (n < 1 || n > most) {
        return ink_fail(error, INK_ERROR_LIMIT,
                        "%s: a context of %d positions is not possible (1 to %d)", m->path, n,
                        most);
    }
    uint64_t needed = ink_session_bytes(m, n, type), free_bytes = ink_system_free_memory();
    if (needed > free_bytes) {
        return ink_fail(error, INK_ERROR_LIMIT,
                        "%s: a context of %d positions needs %.1f MiB, and %.1f MiB are free",
                        m->path, n, (double)needed / 1048576, (double)free_bytes / 1048576);
    }
    return INK_OK;
}

int ink_session_open(struct ink_session **out, struct ink_model *model, int n_positions,
                     enum ink_kv_type type, struct ink_error *error)
{
    *out = NULL;
    if (n_positions == 0) {
        int most = model->architecture.max_positions;
        n_positions = most < default_positions ? most : default_positions;
    }
    int status = check_size(model, n_positions, type, error);
    if (status != INK_OK) {
        return status;
    }
    struct ink_session *s = ink_calloc(1, sizeof *s);
    if (s) {
        s->kv = model->backend->kv_open(model->backend, n_positions, type);
    }
    if (!s || !s->kv) {
        ink_free(s);
        return ink_fail_memory(error, ink_session_bytes(model, n_positions, type));
    }
    s->model = model;
    s->capacity = n_positions;
    *out = s;
    return INK_OK;
}

void ink_session_close(struct ink_session *session)
{
    if (session) {
        session->model->backend->kv_close(session->kv);
        ink_free(session);
    }
}

int ink_session_length(const struct ink_session *session)
{
    return session->length;
}

int ink_session_capacity(const struct ink_session *session)
{
    return session->capacity;
}

void ink_session_truncate(struct ink_session *session, int length)
{
    if (length >= 0 && length < session->length) {
        session->length = length;
    }
}

uint64_t ink_session_block_bytes(const struct ink_session *s)
{
    return s->model->backend->kv_copy_bytes(s->kv, INK_BLOCK);
}

void ink_session_read_block(const struct ink_session *s, void *out, int block)
{
    s->model->backend->kv_read(s->kv, out, block * INK_BLOCK, INK_BLOCK);
}

void ink_session_write_block(struct ink_session *s, const void *in, int block)
{
    s->model->backend->kv_write(s->kv, in, block * INK_BLOCK, INK_BLOCK);
    s->length = (block + 1) * INK_BLOCK;
}

int ink_session_set_adapter(struct ink_session *session, const struct ink_adapter *adapter,
                            struct ink_error *error)
{
    const struct ink_model *m = session->model;
    if (adapter && adapter->model != m) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "%s: is an adapter of another open model",
                        adapter->path);
    }
    if (session->length > 0 && adapter != session->adapter) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "%s: the adapter of a session that has read tokens cannot change", m->path);
    }
    session->adapter = adapter;
    return INK_OK;
}

const struct ink_adapter *ink_session_adapter(const struct ink_session *session)
{
    return session->adapter;
}

/* ----------------------------------------------------------------------------------- evaluation */

static int check_step(const struct ink_model *m, const struct ink_step *step,
                      struct ink_error *error)
{
    const struct ink_session *s = step->session;
    if (!s || s->model != m || !step->tokens || step->n_tokens < 1 || step->n_logits < 0 ||
        step->n_logits > step->n_tokens || step->n_best < 0 ||
        (step->n_logits > 0 && !step->logits)) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "%s: a step of the batch is not valid", m->path);
    }
    if (s->in_batch) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "%s: a session is in the batch twice", m->path);
    }
    if (step->n_tokens > s->capacity - s->length) {
        return ink_fail(error, INK_ERROR_LIMIT,
                        "%s: %d tokens do not fit: %d of %d positions are in use", m->path,
                        step->n_tokens, s->length, s->capacity);
    }
    for (int i = 0; i < step->n_tokens; i++) {
        if (step->tokens[i] < 0 || step->tokens[i] >= m->architecture.vocab_size) {
            return ink_fail(error, INK_ERROR_ARGUMENT, "%s: token id %d is not in 0 to %d", m->path,
                            step->tokens[i], m->architecture.vocab_size - 1);
        }
    }
    return INK_OK;
}

static int check_steps(const struct ink_model *m, const struct ink_step *steps, int n,
                       struct ink_error *error)
{
    int status = INK_OK, checked = 0;
    for (; checked < n && status == INK_OK; checked++) {
        status = check_step(m, &steps[checked], error);
        if (status == INK_OK) {
            steps[checked].session->in_batch = true;
        }
    }
    for (int i = 0; i < n; i++) {
        if (steps[i].session) {
            steps[i].session->in_batch = false;
        }
    }
    return status;
}

/* Where the next row of all steps comes from. */
struct cursor {
    const struct ink_step *steps;
    int n_steps, step, token;
};

static void add_row(const struct ink_model *m, struct ink_batch *batch, struct ink_pass_arrays *a,
                    const struct ink_step *step, int token)
{
    const struct ink_architecture *arch = &m->architecture;
    int r = batch->n_rows++, output = token - (step->n_tokens - step->n_logits);
    a->tokens[r] = step->tokens[token];
    a->positions[r] = step->session->length + token;
    a->kv[r] = step->session->kv;
    a->adapters[r] = step->session->adapter ? step->session->adapter->matrices : NULL;
    if (step->session->adapter) {
        batch->adapters = a->adapters;
    }
    a->hidden[r] = step->hidden ? step->hidden + (size_t)token * (size_t)arch->hidden_size : NULL;
    a->hidden_stride[r] = (size_t)step->n_tokens * (size_t)arch->hidden_size;
    if (step->hidden) {
        batch->hidden = a->hidden;
    }
    if (output >= 0) {
        a->n_best[batch->n_outputs] = step->n_best;
        a->output_rows[batch->n_outputs] = r;
        a->logits[batch->n_outputs++] = step->logits + (size_t)output * (size_t)arch->vocab_size;
    }
}

static void add_outputs(struct ink_batch *batch, struct ink_pass_arrays *a)
{
    if (batch->hidden || batch->n_outputs == batch->n_rows) {
        return;
    }
    for (int i = 0; i < batch->n_outputs; i++) {
        int r = a->output_rows[i];
        a->output_positions[i] = a->positions[r];
        a->output_kv[i] = a->kv[r];
        a->output_adapters[i] = a->adapters[r];
        a->in_order[i] = i;
    }
    a->outputs = *batch;
    a->outputs.n_rows = batch->n_outputs;
    a->outputs.tokens = NULL;
    a->outputs.positions = a->output_positions;
    a->outputs.kv = a->output_kv;
    a->outputs.adapters = batch->adapters ? a->output_adapters : NULL;
    a->outputs.output_rows = a->in_order;
    batch->outputs = &a->outputs;
}

/* The next up to INK_MAX_ROWS rows; false when there are none. */
static bool next_batch(struct ink_model *m, struct ink_batch *batch, struct cursor *at)
{
    struct ink_pass_arrays *a = &m->arrays;
    *batch = (struct ink_batch){.tokens = a->tokens,
                                .positions = a->positions,
                                .kv = a->kv,
                                .output_rows = a->output_rows,
                                .logits = a->logits,
                                .n_best = a->n_best,
                                .hidden_stride = a->hidden_stride};
    while (at->step < at->n_steps && batch->n_rows < INK_MAX_ROWS) {
        const struct ink_step *step = &at->steps[at->step];
        add_row(m, batch, a, step, at->token++);
        if (at->token == step->n_tokens) {
            at->step++;
            at->token = 0;
        }
    }
    add_outputs(batch, a);
    return batch->n_rows > 0;
}

static int evaluate(struct ink_model *m, const struct ink_step *steps, int n_steps,
                    ink_cancel_function *cancel, void *context, struct ink_error *error)
{
    int status = m->has_weights ? check_steps(m, steps, n_steps, error)
                                : ink_fail(error, INK_ERROR_ARGUMENT,
                                           "%s: was opened without its weights", m->path);
    struct cursor at = {steps, n_steps, 0, 0};
    struct ink_batch batch;
    while (status == INK_OK && next_batch(m, &batch, &at)) {
        if (cancel && cancel(context)) {
            return ink_fail(error, INK_ERROR_CANCELLED, "%s: interrupted", m->path);
        }
        ink_forward(m, &batch);
    }
    for (int i = 0; status == INK_OK && i < n_steps; i++) {
        steps[i].session->length += steps[i].n_tokens;
    }
    return status;
}

int ink_eval(struct ink_model *model, const struct ink_step *steps, int n_steps,
             ink_cancel_function *cancel, void *context, struct ink_error *error)
{
    ink_mutex_lock(model->lock);
    int status = evaluate(model, steps, n_steps, cancel, context, error);
    ink_mutex_unlock(model->lock);
    return status;
}
