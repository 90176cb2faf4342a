#include "run_internal.h"

#include "random.h"
#include "sha256.h"

#include <string.h>

/* --------------------------------------------------------------------------------------- facts */

/* What became of the data: the tokenizer and the names of fields have their part in it. */
static void list_samples(struct ink_string *out, const char *name, const struct ink_corpus *c)
{
    struct ink_sha256 sha;
    char hex[65];
    ink_sha256_start(&sha);
    if (c->n > 0) {
        const size_t n = (size_t)c->begins[c->n];
        ink_sha256_add(&sha, c->begins, (c->n + 1) * sizeof *c->begins);
        ink_sha256_add(&sha, c->tokens, n * sizeof *c->tokens);
        ink_sha256_add(&sha, c->trained, n);
    }
    ink_sha256_finish(&sha, hex);
    ink_string_printf(out, "%s: %s\n", name, hex);
}

/* Of config.json, what no tensor's shape shows. */
static void list_architecture(struct ink_string *out, const struct ink_architecture *a)
{
    ink_string_printf(out, "config: heads %d, %d, rope_theta %a, half %d, norm_eps %a, tied %d\n",
                      a->n_heads, a->n_kv_heads, (double)a->rope_theta, a->rope_half,
                      (double)a->norm_eps, a->tied_head);
}

/* A line for each fact. Beside those that a run keeps, what may change when it goes on. */
static int list_facts(const struct run *r, struct ink_string *out, struct ink_error *error)
{
    const struct ink_run_settings *s = r->settings;
    struct ink_training_state val = {0};
    int status =
        s->val_path ? ink_training_state_set_file(&val, "val_data", s->val_path, error) : INK_OK;
    for (int i = 0; i < r->state.n_facts; i++) {
        const struct ink_training_fact *fact = &r->state.facts[i];
        ink_string_printf(out, "%s: %s\n", fact->name, fact->value);
    }
    ink_string_printf(out, "logging_steps: %lld\nsave_steps: %lld\neval_steps: %lld\n",
                      (long long)s->logging_steps, (long long)s->save_steps,
                      (long long)s->eval_steps);
    ink_string_printf(out, "val_data: %s\nval_samples: %llu\ndry_run: %d\n",
                      val.n_facts > 0 ? val.facts[0].value : "", (unsigned long long)r->val.n,
                      s->is_dry);
    ink_training_state_close(&val);
    list_samples(out, "train_tokens", &r->train);
    list_samples(out, "val_tokens", &r->val);
    list_architecture(out, &r->model->architecture);
    return status != INK_OK || !out->failed ? status : ink_fail_memory(error, out->capacity);
}

static int compare_lines(const char *own, const char *theirs, struct ink_error *error)
{
    size_t n = 0, m = 0;
    while (*own && *theirs) {
        n = strcspn(own, "\n");
        m = strcspn(theirs, "\n");
        if (n != m || memcmp(own, theirs, n) != 0) {
            break;
        }
        own += n + 1;
        theirs += m + 1;
    }
    return !*own && !*theirs
               ? INK_OK
               : ink_fail(error, INK_ERROR_ARGUMENT, "\"%.*s\" here, but \"%.*s\" of process 0",
                          (int)strcspn(own, "\n"), own, (int)strcspn(theirs, "\n"), theirs);
}

int ink_run_compare_facts(struct run *r, struct ink_error *error)
{
    struct ink_cluster *cluster = r->settings->trainer.cluster;
    struct ink_string own = {0}, theirs = {0};
    if (ink_cluster_size(cluster) == 1) {
        return INK_OK;
    }
    int status = list_facts(r, &own, error);
    if (status == INK_OK) {
        ink_string_append(&theirs, own.data, own.length);
        status = ink_cluster_send_string(cluster, 0, &theirs, error);
    }
    if (status == INK_OK) {
        status = compare_lines(own.data, theirs.data, error);
    }
    ink_string_free(&own);
    ink_string_free(&theirs);
    return status == INK_OK ? ink_cluster_meet(cluster, error) : status;
}

/* ---------------------------------------------------------------------------------------- values
 */

/* What a run goes on with, beside its numbers. */
struct resumed {
    int64_t step, loss_steps;
    double loss_sum, total_loss, seconds;
};

static int share_values(struct run *r, struct ink_error *error)
{
    const struct ink_parameters *p = r->trainer->trained;
    const struct ink_optimizer *o = r->trainer->optimizer;
    float *const parts[] = {p->values, o->means, o->squares};
    int status = INK_OK;
    for (size_t i = 0; i < INK_COUNT(parts) && status == INK_OK; i++) {
        status = ink_cluster_send(r->settings->trainer.cluster, 0, parts[i],
                                  p->n_values * sizeof *parts[i], error);
    }
    return status;
}

int ink_run_share_resumed(struct run *r, struct ink_error *error)
{
    struct ink_training_state *s = &r->state;
    struct resumed now = {r->trainer->step, s->loss_steps, s->loss_sum, s->total_loss, s->seconds};
    int status = ink_cluster_send(r->settings->trainer.cluster, 0, &now, sizeof now, error);
    if (status == INK_OK && now.step > 0) {
        status = share_values(r, error);
    }
    if (status == INK_OK && now.step > 0) {
        ink_trainer_go_on(r->trainer, now.step);
        s->loss_steps = now.loss_steps;
        s->loss_sum = now.loss_sum;
        s->total_loss = now.total_loss;
        s->seconds = now.seconds;
    }
    return status;
}

static uint64_t hash(uint64_t h, const float *values, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, values + i, sizeof bits);
        h = (h ^ bits) * INK_RANDOM_STEP;
        h ^= h >> 32;
    }
    return h;
}

int ink_run_compare_values(struct run *r, struct ink_error *error)
{
    struct ink_cluster *cluster = r->settings->trainer.cluster;
    const struct ink_parameters *p = r->trainer->trained;
    const struct ink_optimizer *o = r->trainer->optimizer;
    bool is_same;
    if (ink_cluster_size(cluster) == 1) {
        return INK_OK;
    }
    uint64_t h = hash(1, p->values, p->n_values);
    h = hash(h, o->means, p->n_values);
    h = hash(h, o->squares, p->n_values);
    int status = ink_cluster_compare(cluster, h, &is_same, error);
    return status != INK_OK || is_same
               ? status
               : ink_fail(
                     error, INK_ERROR_SYSTEM,
                     "after step %lld the processes do not have the same weights: is the model "
                     "the same on all machines, and their memory sound?",
                     (long long)r->trainer->step);
}
