/* Two models read a text: how well each predicts it, and how far apart their predictions are. Sums
 * are double precision in a fixed order, exp and log our own, so that figures can be compared
 * between machines. */
#include "common.h"
#include "fixedmath.h"
#include "threads.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { chunk = 64 }; /* positions whose logits are held at a time */

struct score {
    double loss[2], kl;
    bool agrees, is_finite;
};

struct meter {
    struct ink_model *models[2];
    struct ink_session *sessions[2];
    float *logits[2]; /* [chunk, vocab] */
    int vocab;
    int32_t *sequence; /* [1 + window]: the begin token, if there is one, and a window */
    const int32_t *targets;
    int n_rows;
    struct score scores[chunk];
    double *kl; /* of each token predicted so far */
    struct ink_divergence sums;
};

/* ----------------------------------------------------------------------------------- one token */

static int first_best(const float *logits, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++) {
        best = logits[i] > logits[best] ? i : best;
    }
    return best;
}

/* KL = sum p (log p - log q), where log p = a - logsumexp(a) and log q = b - logsumexp(b). */
static struct score score_row(const float *a, const float *b, int n, int32_t target)
{
    const int best_a = first_best(a, n), best_b = first_best(b, n);
    const double most_a = (double)a[best_a], most_b = (double)b[best_b];
    double sum_a = 0, sum_b = 0, weighted = 0;
    for (int i = 0; i < n; i++) {
        const double e = ink_fixed_exp((double)a[i] - most_a);
        sum_a += e;
        sum_b += ink_fixed_exp((double)b[i] - most_b);
        weighted += e * ((double)a[i] - (double)b[i]);
    }
    struct score s = {.agrees = best_a == best_b,
                      .is_finite = isfinite(sum_a) && isfinite(sum_b) && isfinite(weighted)};
    if (s.is_finite) {
        const double all_a = most_a + ink_fixed_log(sum_a), all_b = most_b + ink_fixed_log(sum_b);
        const double kl = weighted / sum_a - (all_a - all_b);
        s.kl = kl > 0 ? kl : 0; /* never negative but by rounding */
        s.loss[0] = all_a - (double)a[target];
        s.loss[1] = all_b - (double)b[target];
    }
    return s;
}

static void score_share(void *context, struct ink_team *team, int lane, int n_lanes)
{
    struct meter *m = context;
    (void)team;
    for (int row = lane; row < m->n_rows; row += n_lanes) {
        const size_t at = (size_t)row * (size_t)m->vocab;
        m->scores[row] = score_row(m->logits[0] + at, m->logits[1] + at, m->vocab, m->targets[row]);
    }
}

/* ------------------------------------------------------------------------------------ the text */

static int fail_scores(const struct meter *m, struct ink_error *error)
{
    int which = 0;
    for (int i = 0; i < m->n_rows * m->vocab && which == 0; i++) {
        which = isfinite(m->logits[0][i]) ? which : -1;
    }
    return ink_fail(error, INK_ERROR_INPUT,
                    "%s: the model's scores are not numbers; its weights are damaged",
                    ink_model_get_info(m->models[which < 0 ? 0 : 1])->path);
}

static int add_scores(struct meter *m, struct ink_error *error)
{
    ink_threads_run(ink_model_get_info(m->models[0])->threads, score_share, m);
    for (int row = 0; row < m->n_rows; row++) {
        const struct score *s = &m->scores[row];
        if (!s->is_finite) {
            return fail_scores(m, error);
        }
        m->kl[m->sums.n_tokens++] = s->kl;
        m->sums.kl_mean += s->kl;
        m->sums.agreement += s->agrees;
        for (int i = 0; i < 2; i++) {
            m->sums.loss[i] += s->loss[i];
        }
    }
    return INK_OK;
}

/* sequence [n]: each token but the first is predicted from those before it. */
static int read_window(struct meter *m, int n, struct ink_error *error)
{
    int status = INK_OK;
    for (int i = 0; i < 2; i++) {
        ink_session_truncate(m->sessions[i], 0);
    }
    for (int at = 0; at < n - 1 && status == INK_OK; at += m->n_rows) {
        m->n_rows = n - 1 - at < chunk ? n - 1 - at : chunk;
        m->targets = m->sequence + at + 1;
        for (int i = 0; i < 2 && status == INK_OK; i++) {
            const struct ink_step step = {.session = m->sessions[i],
                                          .tokens = m->sequence + at,
                                          .n_tokens = m->n_rows,
                                          .n_logits = m->n_rows,
                                          .logits = m->logits[i]};
            status = ink_eval(m->models[i], &step, 1, NULL, NULL, error);
        }
        if (status == INK_OK) {
            status = add_scores(m, error);
        }
    }
    return status;
}

static int read_text(struct meter *m, const int32_t *tokens, size_t n,
                     ink_progress_function *progress, void *context, struct ink_error *error)
{
    const size_t window = (size_t)m->sums.window, has_begin = m->sums.has_begin_token;
    int status = INK_OK;
    for (size_t at = 0; at < n && status == INK_OK; at += window) {
        const size_t count = n - at < window ? n - at : window;
        memcpy(m->sequence + has_begin, tokens + at, count * sizeof *tokens);
        status = read_window(m, (int)(has_begin + count), error);
        if (status == INK_OK && progress && progress(context, at + count, n) != 0) {
            status = ink_fail(error, INK_ERROR_CANCELLED, "%s: cancelled",
                              ink_model_get_info(m->models[0])->path);
        }
    }
    return status;
}

/* -------------------------------------------------------------------------------------- results */

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void finish(struct meter *m, struct ink_divergence *out)
{
    const uint64_t n = m->sums.n_tokens;
    *out = m->sums;
    out->kl_mean /= (double)n;
    out->agreement /= (double)n;
    for (int i = 0; i < 2; i++) {
        out->loss[i] /= (double)n;
        out->perplexity[i] = ink_fixed_exp(out->loss[i]);
    }
    qsort(m->kl, (size_t)n, sizeof *m->kl, compare_doubles);
    out->kl_99 = m->kl[(99 * n + 99) / 100 - 1];
    out->kl_max = m->kl[n - 1];
}

/* -------------------------------------------------------------------------------------- set-up */

/* What will be predicted: all of the tokens, or all but the first of each window. */
static uint64_t count_predicted(const struct ink_divergence *sums, size_t n)
{
    const size_t window = (size_t)sums->window;
    return sums->has_begin_token ? n : n - (n + window - 1) / window;
}

static int plan(struct meter *m, const int32_t *tokens, size_t n, int window,
                struct ink_error *error)
{
    const struct ink_model_info *a = ink_model_get_info(m->models[0]);
    const struct ink_model_info *b = ink_model_get_info(m->models[1]);
    const int begin = ink_bos_token(m->models[0]);
    const int most = a->max_positions < b->max_positions ? a->max_positions : b->max_positions;
    if (a->vocab_size != b->vocab_size) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "%s: has %d tokens, but \"%s\" has %d", b->path,
                        b->vocab_size, a->path, a->vocab_size);
    }
    for (size_t i = 0; i < n; i++) {
        if (tokens[i] < 0 || tokens[i] >= a->vocab_size) {
            return ink_fail(error, INK_ERROR_ARGUMENT, "%s: token id %d is not in 0 to %d", a->path,
                            (int)tokens[i], a->vocab_size - 1);
        }
    }
    m->vocab = a->vocab_size;
    m->sums.has_begin_token = begin >= 0;
    m->sums.window = window < most - (begin >= 0) ? window : most - (begin >= 0);
    if (window < 2 || m->sums.window < 2) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "%s: windows of %d tokens are too short",
                        a->path, m->sums.window);
    }
    const uint64_t predicted = count_predicted(&m->sums, n);
    if (predicted < INK_DIVERGENCE_LEAST) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: the text has %llu tokens to predict; at least %d are needed", a->path,
                        (unsigned long long)predicted, INK_DIVERGENCE_LEAST);
    }
    return INK_OK;
}

static int open_parts(struct meter *m, size_t n, struct ink_error *error)
{
    const size_t row = (size_t)m->vocab * sizeof *m->logits[0];
    int status = INK_OK;
    m->sequence = ink_calloc((size_t)m->sums.window + 1, sizeof *m->sequence);
    m->kl = ink_calloc(n, sizeof *m->kl);
    m->logits[0] = ink_calloc(chunk, row);
    m->logits[1] = ink_calloc(chunk, row);
    if (!m->sequence || !m->kl || !m->logits[0] || !m->logits[1]) {
        return ink_fail_memory(error, 2 * chunk * row);
    }
    m->sequence[0] = ink_bos_token(m->models[0]);
    for (int i = 0; i < 2 && status == INK_OK; i++) {
        /* exact keys and values: the weights are what is compared */
        status = ink_session_open(&m->sessions[i], m->models[i],
                                  m->sums.window + m->sums.has_begin_token, INK_KV_F32, error);
    }
    return status;
}

int ink_measure_divergence(struct ink_divergence *out, struct ink_model *model,
                           struct ink_model *other, const int32_t *tokens, size_t n, int window,
                           ink_progress_function *progress, void *context, struct ink_error *error)
{
    struct meter m = {.models = {model, other}};
    *out = (struct ink_divergence){0};
    int status = plan(&m, tokens, n, window, error);
    if (status == INK_OK) {
        status = open_parts(&m, n, error);
    }
    if (status == INK_OK) {
        status = read_text(&m, tokens, n, progress, context, error);
    }
    if (status == INK_OK) {
        finish(&m, out);
    }
    for (int i = 0; i < 2; i++) {
        ink_session_close(m.sessions[i]);
        ink_free(m.logits[i]);
    }
    ink_free(m.sequence);
    ink_free(m.kl);
    return status;
}
