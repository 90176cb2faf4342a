#include "evaluate.h"

#include "match.h"
#include "rouge.h"
#include "share.h"

#include <math.h>
#include <string.h>

/* ------------------------------------------------------------------------------------- metrics */

struct name {
    const char *word;
    unsigned bits;
};

static const struct name names[] = {
    {"loss", INK_EVAL_LOSS},
    {"bleu-13a", INK_EVAL_BLEU_13A},
    {"bleu-zh", INK_EVAL_BLEU_ZH},
    {"bleu-char", INK_EVAL_BLEU_CHAR},
    {"rouge-l", INK_EVAL_ROUGE_L},
    {"rouge-l-char", INK_EVAL_ROUGE_L_CHAR},
    {"exact", INK_EVAL_EXACT},
    {"bleu", INK_EVAL_BLEU_13A | INK_EVAL_BLEU_ZH | INK_EVAL_BLEU_CHAR},
    {"rouge", INK_EVAL_ROUGE_L | INK_EVAL_ROUGE_L_CHAR},
    {"all", INK_EVAL_ALL},
};

int ink_eval_metrics_parse(unsigned *out, const char *list, const char *shown,
                           struct ink_error *error)
{
    *out = 0;
    for (const char *at = list;; at++) {
        const size_t n = strcspn(at, ",");
        size_t i = 0;
        while (i < INK_COUNT(names) &&
               (strlen(names[i].word) != n || memcmp(names[i].word, at, n) != 0)) {
            i++;
        }
        if (i == INK_COUNT(names)) {
            return ink_fail(error, INK_ERROR_ARGUMENT,
                            "%s: \"%.*s\" is no metric (known: loss, bleu-13a, bleu-zh, "
                            "bleu-char, rouge-l, rouge-l-char, exact, bleu, rouge, all)",
                            shown, n < 64 ? (int)n : 64, at);
        }
        *out |= names[i].bits;
        at += n;
        if (*at == '\0') {
            return INK_OK;
        }
    }
}

unsigned ink_eval_bleu_bit(int i)
{
    return (unsigned)INK_EVAL_BLEU_13A << i;
}

struct ink_bleu_options ink_eval_bleu_options(int i)
{
    return (struct ink_bleu_options){.tokenizer = (enum ink_bleu_tokenizer)i};
}

/* -------------------------------------------------------------------------------- open and close
 */

int ink_evaluation_open(struct ink_evaluation *out, const struct ink_eval_set *set,
                        struct ink_error *error)
{
    *out = (struct ink_evaluation){.set = set};
    out->losses = ink_calloc(set->n, sizeof *out->losses);
    out->predictions = ink_calloc(set->n, sizeof *out->predictions);
    out->scores = ink_calloc(set->n, sizeof *out->scores);
    if (!out->losses || !out->predictions || !out->scores) {
        ink_evaluation_close(out);
        return ink_fail_memory(error, set->n * sizeof *out->predictions);
    }
    return INK_OK;
}

void ink_evaluation_close(struct ink_evaluation *e)
{
    for (size_t i = 0; e->predictions && i < e->set->n; i++) {
        ink_prediction_free(&e->predictions[i]);
    }
    ink_free(e->losses);
    ink_free(e->predictions);
    ink_free(e->scores);
    *e = (struct ink_evaluation){0};
}

/* ---------------------------------------------------------------------------------------- loss */

int ink_evaluation_measure(struct ink_evaluation *e, struct ink_model *model,
                           const struct ink_loss_options *options, int hf_batch,
                           ink_progress_function *progress, void *context, struct ink_error *error)
{
    const size_t n = e->set->n, rank = (size_t)ink_cluster_rank(e->cluster);
    const size_t size = (size_t)ink_cluster_size(e->cluster);
    struct ink_loss_text *texts = ink_calloc(n, sizeof *texts);
    if (!texts) {
        return ink_fail_memory(error, n * sizeof *texts);
    }
    size_t n_own = 0;
    for (size_t i = rank; i < n; i += size) {
        const struct ink_eval_sample *s = &e->set->samples[i];
        texts[n_own++] = (struct ink_loss_text){s->encoded.tokens, s->counted, s->encoded.n};
    }
    /* side by side in the first places, then where they belong, the last first */
    int status =
        ink_loss_measure(e->losses, model, texts, n_own, options, progress, context, error);
    ink_free(texts);
    for (size_t i = n_own; i-- > 0 && size > 1 && status == INK_OK;) {
        const struct ink_loss own = e->losses[i];
        e->losses[i] = (struct ink_loss){0, 0};
        e->losses[rank + i * size] = own;
    }
    if (status == INK_OK) {
        status = ink_losses_share(e->cluster, e->losses, n, error);
    }
    if (status != INK_OK) {
        return status;
    }
    for (size_t i = 0; i < n; i++) {
        e->n_tokens += e->losses[i].n_tokens;
    }
    e->has_loss = true;
    e->hf_batch = hf_batch;
    e->loss = ink_loss_mean(e->losses, n);
    e->perplexity = exp(e->loss);
    e->hf_loss = ink_loss_hugging_face(e->losses, n, hf_batch);
    e->hf_perplexity = exp(e->hf_loss);
    return INK_OK;
}

/* ------------------------------------------------------------------------------------- answers */

int ink_evaluation_answer(struct ink_evaluation *e, struct ink_model *model,
                          const struct ink_predict_options *options,
                          ink_progress_function *progress, void *context, struct ink_error *error)
{
    struct ink_predict_options own = *options;
    own.share = ink_cluster_rank(e->cluster);
    own.n_shares = ink_cluster_size(e->cluster);
    int status = ink_predict(e->predictions, model, e->set, &own, progress, context, error);
    if (status == INK_OK) {
        status = ink_predictions_share(e->cluster, e->predictions, e->set, error);
    }
    for (size_t i = 0; i < e->set->n && status == INK_OK; i++) {
        e->n_incomplete += e->set->samples[i].has_answer && !e->predictions[i].is_complete;
    }
    e->has_answers = status == INK_OK && e->set->n_answers > 0;
    return status;
}

/* The texts of a pair. */
struct pair {
    const char *h, *r;
    size_t n_h, n_r;
};

static int score_words(struct ink_answer_score *score, const struct pair *p, unsigned metrics,
                       struct ink_error *error)
{
    struct ink_rouge rouge = {0};
    int status = INK_OK;
    if (metrics & INK_EVAL_ROUGE_L) {
        status = ink_rouge_l(&rouge, INK_ROUGE_LATIN, p->h, p->n_h, p->r, p->n_r, error);
        score->rouge_l = rouge.f;
        score->is_blind = rouge.is_blind;
    }
    if (status == INK_OK && metrics & INK_EVAL_ROUGE_L_CHAR) {
        status = ink_rouge_l(&rouge, INK_ROUGE_CHARACTERS, p->h, p->n_h, p->r, p->n_r, error);
        score->rouge_l_char = rouge.f;
    }
    return status;
}

static int score_match(struct ink_answer_score *score, const struct pair *p,
                       struct ink_error *error)
{
    int status = ink_match_raw(&score->is_exact, p->h, p->n_h, p->r, p->n_r, error);
    return status == INK_OK ? ink_match_normalised(&score->is_exact_normalised, p->h, p->n_h, p->r,
                                                   p->n_r, error)
                            : status;
}

static int score_answer(struct ink_answer_score *score, struct ink_bleu_counts *bleus,
                        const struct pair *p, unsigned metrics, struct ink_error *error)
{
    int status = score_words(score, p, metrics, error);
    if (status == INK_OK && metrics & INK_EVAL_EXACT) {
        status = score_match(score, p, error);
    }
    for (int i = 0; i < INK_EVAL_BLEUS && status == INK_OK; i++) {
        if (metrics & ink_eval_bleu_bit(i)) {
            status = ink_bleu_add(&bleus[i], ink_eval_bleu_options(i).tokenizer, p->h, p->n_h, p->r,
                                  p->n_r, error);
        }
    }
    return status;
}

static void add_score(struct ink_evaluation *e, const struct ink_answer_score *score)
{
    e->rouge_l += score->rouge_l;
    e->rouge_l_char += score->rouge_l_char;
    e->n_exact += score->is_exact;
    e->n_exact_normalised += score->is_exact_normalised;
    e->n_blind += score->is_blind;
}

int ink_evaluation_score(struct ink_evaluation *e, unsigned metrics, struct ink_error *error)
{
    struct ink_bleu_counts bleus[INK_EVAL_BLEUS] = {{{0}, {0}, 0, 0}};
    int status = INK_OK;
    for (size_t i = 0; i < e->set->n && status == INK_OK; i++) {
        const struct ink_eval_sample *s = &e->set->samples[i];
        const struct ink_string *text = &e->predictions[i].text;
        if (s->has_answer) {
            const struct pair p = {text->data, s->reference, text->length, strlen(s->reference)};
            status = score_answer(&e->scores[i], bleus, &p, metrics, error);
            add_score(e, &e->scores[i]);
        }
    }
    if (status != INK_OK || e->set->n_answers == 0) {
        return status;
    }
    e->rouge_l /= (double)e->set->n_answers;
    e->rouge_l_char /= (double)e->set->n_answers;
    for (int i = 0; i < INK_EVAL_BLEUS; i++) {
        const struct ink_bleu_options options = ink_eval_bleu_options(i);
        if (metrics & ink_eval_bleu_bit(i)) {
            ink_bleu_score(&e->bleu[i], &bleus[i], &options);
        }
    }
    return INK_OK;
}
