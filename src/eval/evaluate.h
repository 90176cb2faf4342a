/* The evaluation of one model on one set: its loss, its answers, and what they score. */
#ifndef INK_EVAL_EVALUATE_H
#define INK_EVAL_EVALUATE_H

#include "bleu.h"
#include "cluster/cluster.h"
#include "perplexity.h"
#include "predict.h"

/* A bit for each metric; the words of --metrics beside them. */
enum ink_eval_metric {
    INK_EVAL_LOSS = 1,          /* loss: and perplexity */
    INK_EVAL_BLEU_13A = 2,      /* bleu-13a */
    INK_EVAL_BLEU_ZH = 4,       /* bleu-zh */
    INK_EVAL_BLEU_CHAR = 8,     /* bleu-char */
    INK_EVAL_ROUGE_L = 16,      /* rouge-l: as rouge_score */
    INK_EVAL_ROUGE_L_CHAR = 32, /* rouge-l-char: over characters */
    INK_EVAL_EXACT = 64,        /* exact: exact match, raw and normalised */
    INK_EVAL_OF_ANSWERS = 126,  /* those that need answers */
    INK_EVAL_ALL = 127,
};
enum { INK_EVAL_BLEUS = 3 };

/* "loss,bleu-zh" to bits; "bleu" and "rouge" mean all of their kind, "all" all. INK_ERROR_ARGUMENT
 * names the word that is none; `shown` is how the message calls the option. */
int ink_eval_metrics_parse(unsigned *out, const char *list, const char *shown,
                           struct ink_error *error);

/* The i-th BLEU: its bit and its tokenizer; sacrebleu's defaults for a corpus otherwise. */
unsigned ink_eval_bleu_bit(int i);
struct ink_bleu_options ink_eval_bleu_options(int i);

/* Of one answer. */
struct ink_answer_score {
    double rouge_l, rouge_l_char; /* F, 0 to 1 */
    bool is_exact, is_exact_normalised;
    bool is_blind; /* rouge_l found no words in a side that has text: see rouge.h */
};

/* Start with ink_evaluation_open. Figures whose metric was not asked for are 0. */
struct ink_evaluation {
    const struct ink_eval_set *set; /* the caller's, must stay */
    struct ink_cluster *cluster;    /* the processes that share the work; NULL: this one alone */
    struct ink_loss *losses;        /* [set->n] */
    struct ink_prediction *predictions; /* [set->n] */
    struct ink_answer_score *scores;    /* [set->n] */
    bool has_loss, has_answers;         /* what was done so far */
    uint64_t n_tokens;                  /* that count in the loss */
    double loss, perplexity;            /* token-weighted, natural logarithm */
    double hf_loss, hf_perplexity;      /* Hugging Face's eval_loss, batches of hf_batch */
    int hf_batch;
    struct ink_bleu bleu[INK_EVAL_BLEUS];
    double rouge_l, rouge_l_char;       /* means of F, 0 to 1 */
    size_t n_exact, n_exact_normalised; /* answers */
    size_t n_blind;                     /* answers with is_blind */
    size_t n_incomplete;                /* answers that were cut at max_new_tokens */
};

int ink_evaluation_open(struct ink_evaluation *out, const struct ink_eval_set *set,
                        struct ink_error *error);
void ink_evaluation_close(struct ink_evaluation *e); /* accepts {0} */

/* Fill losses and the figures of the loss. Here and below processes that share the work all get
 * everything. */
int ink_evaluation_measure(struct ink_evaluation *e, struct ink_model *model,
                           const struct ink_loss_options *options, int hf_batch,
                           ink_progress_function *progress, void *context, struct ink_error *error);

/* Let the model answer; then score the answers by `metrics`. */
int ink_evaluation_answer(struct ink_evaluation *e, struct ink_model *model,
                          const struct ink_predict_options *options,
                          ink_progress_function *progress, void *context, struct ink_error *error);
int ink_evaluation_score(struct ink_evaluation *e, unsigned metrics, struct ink_error *error);

#endif
