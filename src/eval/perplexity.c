#include "perplexity.h"

#include "fixedmath.h"
#include "threads.h"

#include <math.h>

/* Rows that go through the model together, and those of them whose logits are held. */
enum { PASS_ROWS = 256, PASS_LOGITS = 128 };

/* A session and the text that it reads. */
struct lane {
    struct ink_session *session;
    size_t text; /* n texts: none, all are read */
    size_t at;   /* tokens of it that were read */
    size_t end;  /* tokens of it to read: those before the last that counts */
};

/* One prediction that counts. */
struct row {
    const float *logits; /* [vocab] */
    size_t text;
    int32_t target;
    double nll;
};

struct reader {
    struct ink_model *model;
    const struct ink_loss_text *texts;
    size_t n, next; /* texts; the first that no lane has taken */
    struct ink_loss *losses;
    struct lane *lanes; /* [n_lanes] */
    int n_lanes;
    struct ink_step *steps; /* [n_lanes] */
    int n_steps;
    float *logits; /* [PASS_LOGITS, vocab] */
    int vocab, threads;
    struct row rows[PASS_LOGITS];
    int n_rows;
    uint64_t done, total; /* tokens */
};

/* ------------------------------------------------------------------------------------ planning */

static size_t count_read(const struct ink_loss_text *text)
{
    size_t n = text->n;
    while (n > 0 && !text->counted[n - 1]) {
        n--;
    }
    return n > 0 ? n - 1 : 0;
}

/* The next text that has something to read. */
static void take_text(struct reader *r, struct lane *lane)
{
    while (r->next < r->n && count_read(&r->texts[r->next]) == 0) {
        r->next++;
    }
    lane->text = r->next;
    lane->at = 0;
    lane->end = r->next < r->n ? count_read(&r->texts[r->next]) : 0;
    r->next += r->next < r->n;
    ink_session_truncate(lane->session, 0);
}

/* How far the lane reads in this pass, and of how many of its last tokens it wants logits. */
static size_t plan_lane(const struct reader *r, const struct lane *lane, size_t rows,
                        size_t logits_left, size_t *n_logits)
{
    const uint8_t *counted = r->texts[lane->text].counted;
    size_t count = lane->end - lane->at < rows ? lane->end - lane->at : rows;
    size_t first = lane->at; /* the first token that predicts one that counts */
    while (first < lane->at + count && !counted[first + 1]) {
        first++;
    }
    const size_t wanted = lane->at + count - first;
    *n_logits = wanted < logits_left ? wanted : logits_left;
    return count - (wanted - *n_logits);
}

static void plan_rows(struct reader *r, const struct lane *lane, const struct ink_step *step)
{
    const struct ink_loss_text *text = &r->texts[lane->text];
    for (int i = 0; i < step->n_logits; i++) {
        const size_t target = lane->at + (size_t)(step->n_tokens - step->n_logits + i) + 1;
        if (text->counted[target]) {
            r->rows[r->n_rows++] =
                (struct row){.logits = step->logits + (size_t)i * (size_t)r->vocab,
                             .text = lane->text,
                             .target = text->tokens[target]};
        }
    }
}

static void plan_pass(struct reader *r)
{
    size_t rows = PASS_ROWS, logits = PASS_LOGITS;
    r->n_steps = r->n_rows = 0;
    for (int i = 0; i < r->n_lanes && rows > 0; i++) {
        struct lane *lane = &r->lanes[i];
        size_t n_logits = 0;
        const size_t count = lane->text < r->n ? plan_lane(r, lane, rows, logits, &n_logits) : 0;
        if (count == 0) {
            continue;
        }
        struct ink_step *step = &r->steps[r->n_steps++];
        *step = (struct ink_step){.session = lane->session,
                                  .tokens = r->texts[lane->text].tokens + lane->at,
                                  .n_tokens = (int)count,
                                  .n_logits = (int)n_logits,
                                  .logits = r->logits + (PASS_LOGITS - logits) * (size_t)r->vocab};
        plan_rows(r, lane, step);
        lane->at += count;
        rows -= count;
        logits -= n_logits;
        r->done += count;
    }
}

/* ------------------------------------------------------------------------------------- reading */

static double score_row(const float *logits, int n, int32_t target)
{
    float most = logits[0];
    double sum = 0;
    for (int i = 1; i < n; i++) {
        most = logits[i] > most ? logits[i] : most;
    }
    for (int i = 0; i < n; i++) {
        sum += ink_fixed_exp((double)logits[i] - (double)most);
    }
    return isfinite(sum) ? (double)most + ink_fixed_log(sum) - (double)logits[target] : (double)NAN;
}

static void score_share(void *context, struct ink_team *team, int lane, int n_lanes)
{
    struct reader *r = context;
    (void)team;
    for (int i = lane; i < r->n_rows; i += n_lanes) {
        r->rows[i].nll = score_row(r->rows[i].logits, r->vocab, r->rows[i].target);
    }
}

static int add_rows(struct reader *r, struct ink_error *error)
{
    ink_threads_run(r->threads, score_share, r);
    for (int i = 0; i < r->n_rows; i++) {
        const struct row *row = &r->rows[i];
        if (!isfinite(row->nll)) {
            return ink_fail(error, INK_ERROR_INPUT,
                            "%s: the model's scores are not numbers; its weights are damaged",
                            ink_model_get_info(r->model)->path);
        }
        r->losses[row->text].nll += row->nll;
        r->losses[row->text].n_tokens++;
    }
    return INK_OK;
}

static int read_texts(struct reader *r, ink_progress_function *progress, void *context,
                      struct ink_error *error)
{
    int status = INK_OK;
    while (status == INK_OK) {
        for (int i = 0; i < r->n_lanes; i++) {
            if (r->lanes[i].at == r->lanes[i].end && r->lanes[i].text < r->n) {
                take_text(r, &r->lanes[i]);
            }
        }
        plan_pass(r);
        if (r->n_steps == 0) {
            break;
        }
        status = ink_eval(r->model, r->steps, r->n_steps, NULL, NULL, error);
        if (status == INK_OK) {
            status = add_rows(r, error);
        }
        if (status == INK_OK && progress && progress(context, r->done, r->total) != 0) {
            status = ink_fail(error, INK_ERROR_CANCELLED, "%s: cancelled",
                              ink_model_get_info(r->model)->path);
        }
    }
    return status;
}

/* -------------------------------------------------------------------------------------- set-up */

static int open_lanes(struct reader *r, size_t longest, const struct ink_loss_options *options,
                      struct ink_error *error)
{
    int status = INK_OK;
    for (int i = 0; i < r->n_lanes && status == INK_OK; i++) {
        status =
            ink_session_open(&r->lanes[i].session, r->model, (int)longest, options->kv_type, error);
        if (status == INK_OK) {
            status = ink_session_set_adapter(r->lanes[i].session, options->adapter, error);
        }
        if (status == INK_OK) {
            take_text(r, &r->lanes[i]);
        }
    }
    return status;
}

static int open_reader(struct reader *r, const struct ink_loss_options *options,
                       struct ink_error *error)
{
    const struct ink_model_info *info = ink_model_get_info(r->model);
    const size_t row = (size_t)info->vocab_size * sizeof *r->logits;
    size_t longest = 1;
    for (size_t i = 0; i < r->n; i++) {
        const size_t count = count_read(&r->texts[i]);
        longest = count > longest ? count : longest;
        r->total += count;
        r->losses[i] = (struct ink_loss){0, 0};
    }
    if (longest > (size_t)info->max_positions) {
        return ink_fail(error, INK_ERROR_LIMIT,
                        "%s: a text of %llu tokens is longer than the model's context of %d",
                        info->path, (unsigned long long)longest + 1, info->max_positions);
    }
    r->vocab = info->vocab_size;
    r->threads = info->threads;
    r->n_lanes = (size_t)options->n_sessions < r->n ? options->n_sessions : (int)r->n;
    r->lanes = ink_calloc((size_t)r->n_lanes, sizeof *r->lanes);
    r->steps = ink_calloc((size_t)r->n_lanes, sizeof *r->steps);
    r->logits = ink_calloc(PASS_LOGITS, row);
    if (!r->lanes || !r->steps || !r->logits) {
        return ink_fail_memory(error, PASS_LOGITS * (uint64_t)row);
    }
    return open_lanes(r, longest, options, error);
}

int ink_loss_measure(struct ink_loss *losses, struct ink_model *model,
                     const struct ink_loss_text *texts, size_t n,
                     const struct ink_loss_options *options, ink_progress_function *progress,
                     void *context, struct ink_error *error)
{
    struct reader *r = ink_calloc(1, sizeof *r);
    if (!r) {
        return ink_fail_memory(error, sizeof *r);
    }
    *r = (struct reader){.model = model, .texts = texts, .n = n, .losses = losses};
    int status = open_reader(r, options, error);
    if (status == INK_OK) {
        status = read_texts(r, progress, context, error);
    }
    for (int i = 0; r->lanes && i < r->n_lanes; i++) {
        ink_session_close(r->lanes[i].session);
    }
    ink_free(r->lanes);
    ink_free(r->steps);
    ink_free(r->logits);
    ink_free(r);
    return status;
}

/* --------------------------------------------------------------------------------- conventions */

double ink_loss_mean(const struct ink_loss *losses, size_t n)
{
    double nll = 0;
    uint64_t n_tokens = 0;
    for (size_t i = 0; i < n; i++) {
        nll += losses[i].nll;
        n_tokens += losses[i].n_tokens;
    }
    return n_tokens > 0 ? nll / (double)n_tokens : (double)NAN;
}

double ink_loss_hugging_face(const struct ink_loss *losses, size_t n, int batch)
{
    double sum = 0;
    for (size_t at = 0; at < n; at += (size_t)batch) {
        const size_t count = n - at < (size_t)batch ? n - at : (size_t)batch;
        sum += (double)count * ink_loss_mean(losses + at, count);
    }
    return sum / (double)n;
}
