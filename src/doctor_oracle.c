#include "doctor.h"

#include "kernels.h"
#include "oracle.h"
#include "quant.h"

#include <math.h>
#include <string.h>

/* ---------------------------------------------------------------------------------- recognition */

/* Channel i of a token's row in the embedding. */
static float embedding_value(const struct ink_model *m, int32_t token, int32_t i)
{
    const struct ink_tensor *t = m->embedding.tensor;
    const struct ink_type_facts *f = ink_type_facts(t->type);
    const uint64_t width = (uint64_t)f->block_values;
    const uint64_t at = (uint64_t)token * (uint64_t)m->embedding.cols + (uint64_t)i;
    float block[256];
    ink_dequantize(block, (const char *)t->data + at / width * (uint64_t)f->block_bytes, t->type,
                   width);
    return block[at % width];
}

static bool is_recorded(const struct ink_model *m, const struct ink_oracle *o)
{
    const struct ink_model_info *i = &m->info;
    if (i->vocab_size != o->vocab_size || i->hidden_size != o->hidden_size ||
        i->n_layers != o->n_layers) {
        return false;
    }
    for (int c = 0; c < INK_ORACLE_TOP; c++) {
        if (embedding_value(m, o->prompt[o->n_prompt - 1], o->channels[c]) != o->values[c]) {
            return false;
        }
    }
    return true;
}

/* --------------------------------------------------------------------------------------- replay */

struct replay {
    const struct ink_oracle *oracle;
    float *logits;                /* [V] */
    float *hidden;                /* [n_layers + 1, n_prompt, H] */
    float *normed;                /* [H] */
    float logits_off, hidden_off; /* largest difference */
    bool ok;                      /* every difference is within the tolerance */
    int n_same;                   /* tokens of the answer */
};

static void compare(struct replay *r, float *worst, float got, float want)
{
    const float off = fabsf(got - want), relative = r->oracle->relative * fabsf(want);
    const float limit = r->oracle->absolute > relative ? r->oracle->absolute : relative;
    *worst = off > *worst || isnan(off) ? off : *worst; /* a NaN stays */
    r->ok = r->ok && off <= limit;
}

/* The last layer's state was recorded after the final norm, as transformers gives it. */
static void compare_hidden(struct replay *r, const struct ink_model *m)
{
    const struct ink_oracle *o = r->oracle;
    const size_t width = (size_t)o->hidden_size, stride = (size_t)o->n_prompt * width;
    for (int layer = 0; layer <= o->n_layers; layer++) {
        const float *state = r->hidden + (size_t)layer * stride + stride - width;
        if (layer == o->n_layers) {
            ink_kernels_c()->rmsnorm(r->normed, state, m->final_norm.data, o->hidden_size,
                                     m->info.norm_eps);
            state = r->normed;
        }
        for (int c = 0; c < INK_ORACLE_TOP; c++) {
            const int at = layer * INK_ORACLE_TOP + c;
            compare(r, &r->hidden_off, state[o->channels[at]], o->values[at]);
        }
    }
}

static int32_t best_of(const float *logits, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++) {
        best = logits[i] > logits[best] ? i : best;
    }
    return best;
}

static int run(struct replay *r, struct ink_model *m, struct ink_session *s,
               struct ink_error *error)
{
    const struct ink_oracle *o = r->oracle;
    struct ink_step step = {s, o->prompt, o->n_prompt, 1, r->logits, r->hidden, 0};
    int status = ink_eval(m, &step, 1, NULL, NULL, error);
    if (status != INK_OK) {
        return status;
    }
    for (int i = 0; i < INK_ORACLE_TOP; i++) {
        compare(r, &r->logits_off, r->logits[o->top_ids[i]], o->top_logits[i]);
    }
    compare_hidden(r, m);
    int32_t token = best_of(r->logits, o->vocab_size);
    while (token == o->answer[r->n_same] && ++r->n_same < o->n_answer && status == INK_OK) {
        struct ink_step next = {s, &token, 1, 1, r->logits, NULL, 0};
        status = ink_eval(m, &next, 1, NULL, NULL, error);
        token = best_of(r->logits, o->vocab_size);
    }
    return status;
}

static int replay(struct ink_doctor *d, struct ink_model *m, const struct ink_oracle *o,
                  struct ink_error *error)
{
    const size_t width = (size_t)o->hidden_size;
    const size_t n_hidden = (size_t)(o->n_layers + 1) * (size_t)o->n_prompt * width;
    struct ink_session *s = NULL;
    struct replay r = {.oracle = o, .ok = true};
    r.logits = ink_calloc((size_t)o->vocab_size, sizeof *r.logits);
    r.hidden = ink_calloc(n_hidden, sizeof *r.hidden);
    r.normed = ink_calloc(width, sizeof *r.normed);
    int status = r.logits && r.hidden && r.normed
                     ? ink_session_open(&s, m, o->n_prompt + o->n_answer, INK_KV_F32, error)
                     : ink_fail_memory(error, n_hidden * sizeof *r.hidden);
    if (status == INK_OK) {
        status = run(&r, m, s, error);
    }
    if (status == INK_OK) {
        ink_doctor_report(
            d, r.ok && r.n_same == o->n_answer, ink_text("recorded run"),
            ink_text(
                "%s, recognised by content: %d of %d greedy tokens, logits within %.2g, hidden "
                "states within %.2g"),
            o->name, r.n_same, o->n_answer, (double)r.logits_off, (double)r.hidden_off);
    }
    ink_session_close(s);
    ink_free(r.logits);
    ink_free(r.hidden);
    ink_free(r.normed);
    return status;
}

int ink_doctor_check_oracle(struct ink_doctor *d, struct ink_model *m, struct ink_error *error)
{
    for (int i = 0; i < ink_n_oracles; i++) {
        if (is_recorded(m, &ink_oracles[i])) {
            return replay(d, m, &ink_oracles[i], error);
        }
    }
    ink_doctor_report(d, true, ink_text("recorded run"), "%s",
                      ink_text("none: these weights are not a known release"));
    return INK_OK;
}
