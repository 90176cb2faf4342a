/* Rows and notes of an evaluation's table. */
#include "report.h"

#include <math.h>

/* ---------------------------------------------------------------------------------------- rows */

enum row_kind {
    ROW_LOSS,
    ROW_PERPLEXITY,
    ROW_HF_LOSS,
    ROW_HF_PERPLEXITY,
    ROW_BLEU_13A,
    ROW_BLEU_ZH,
    ROW_BLEU_CHAR,
    ROW_ROUGE_L,
    ROW_ROUGE_L_CHAR,
    ROW_EXACT,
    ROW_EXACT_NORMALISED,
    ROW_CUT,
    ROW_COUNT,
};

static unsigned metric_of(enum row_kind kind)
{
    static const unsigned metrics[ROW_COUNT] = {
        INK_EVAL_LOSS,         INK_EVAL_LOSS,    INK_EVAL_LOSS,      INK_EVAL_LOSS,
        INK_EVAL_BLEU_13A,     INK_EVAL_BLEU_ZH, INK_EVAL_BLEU_CHAR, INK_EVAL_ROUGE_L,
        INK_EVAL_ROUGE_L_CHAR, INK_EVAL_EXACT,   INK_EVAL_EXACT,     INK_EVAL_OF_ANSWERS};
    return metrics[kind];
}

static void append_label(struct ink_string *out, enum row_kind kind, int hf_batch)
{
    switch (kind) {
    case ROW_LOSS:
        ink_string_puts(out, ink_text("loss"));
        break;
    case ROW_PERPLEXITY:
        ink_string_puts(out, ink_text("perplexity"));
        break;
    case ROW_HF_LOSS:
        ink_string_printf(out, ink_text("eval_loss of Hugging Face, batches of %d"), hf_batch);
        break;
    case ROW_HF_PERPLEXITY:
        ink_string_puts(out, ink_text("its exponential"));
        break;
    case ROW_BLEU_13A:
    case ROW_BLEU_ZH:
    case ROW_BLEU_CHAR:
        ink_string_printf(out, "BLEU %s",
                          ink_bleu_tokenizer_name(
                              ink_eval_bleu_options((int)kind - (int)ROW_BLEU_13A).tokenizer));
        break;
    case ROW_ROUGE_L:
        ink_string_puts(out, ink_text("ROUGE-L, as rouge_score"));
        break;
    case ROW_ROUGE_L_CHAR:
        ink_string_puts(out, ink_text("ROUGE-L, characters"));
        break;
    case ROW_EXACT:
        ink_string_puts(out, ink_text("exact match"));
        break;
    case ROW_EXACT_NORMALISED:
        ink_string_puts(out, ink_text("exact match, normalised"));
        break;
    default:
        ink_string_puts(out, ink_text("answers cut short"));
    }
}

static void append_part(struct ink_string *out, size_t n, size_t of)
{
    ink_string_printf(out, "%llu / %llu (%.1f %%)", (unsigned long long)n, (unsigned long long)of,
                      of > 0 ? 100.0 * (double)n / (double)of : 0);
}

static void append_value(struct ink_string *out, enum row_kind kind, const struct ink_evaluation *e)
{
    switch (kind) {
    case ROW_LOSS:
        ink_string_printf(out, "%.4f", e->loss);
        break;
    case ROW_PERPLEXITY:
        ink_string_printf(out, "%.4f", e->perplexity);
        break;
    case ROW_HF_LOSS:
        ink_string_printf(out, "%.4f", e->hf_loss);
        break;
    case ROW_HF_PERPLEXITY:
        ink_string_printf(out, "%.4f", e->hf_perplexity);
        break;
    case ROW_BLEU_13A:
    case ROW_BLEU_ZH:
    case ROW_BLEU_CHAR:
        ink_string_printf(out, "%.2f", e->bleu[(int)kind - (int)ROW_BLEU_13A].score);
        break;
    case ROW_ROUGE_L:
        ink_string_printf(out, "%.4f", e->rouge_l);
        break;
    case ROW_ROUGE_L_CHAR:
        ink_string_printf(out, "%.4f", e->rouge_l_char);
        break;
    case ROW_EXACT:
        append_part(out, e->n_exact, e->set->n_answers);
        break;
    case ROW_EXACT_NORMALISED:
        append_part(out, e->n_exact_normalised, e->set->n_answers);
        break;
    default:
        append_part(out, e->n_incomplete, e->set->n_answers);
    }
}

bool ink_report_row(const struct ink_report *r, int row, int c, struct ink_string *label,
                    struct ink_string *value)
{
    for (int kind = 0; kind < ROW_COUNT; kind++) {
        if ((metric_of((enum row_kind)kind) & r->metrics) && row-- == 0) {
            append_label(label, (enum row_kind)kind, r->columns[0].evaluation->hf_batch);
            append_value(value, (enum row_kind)kind, r->columns[c].evaluation);
            return true;
        }
    }
    return false;
}

/* --------------------------------------------------------------------------------------- notes */

static const char *describe_scope(enum ink_loss_scope scope)
{
    return scope == INK_SCOPE_ANSWER_END ? ink_text("the answers and the token that ends each")
           : scope == INK_SCOPE_ANSWER   ? ink_text("the answers without the token that ends each")
                                         : ink_text("every token, prompts too");
}

static void note_loss(const struct ink_report *r, struct ink_string *out)
{
    ink_string_printf(out, ink_text("loss: mean of -ln p over tokens of scope %s: %s"),
                      ink_loss_scope_name(r->scope), describe_scope(r->scope));
    for (int c = 0; c < r->n_columns; c++) {
        ink_string_printf(out, c ? ", %llu" : " (%llu",
                          (unsigned long long)r->columns[c].evaluation->n_tokens);
    }
    ink_string_printf(out, ")\n%s\n",
                      ink_text("perplexity: its exponential, so tokens weigh the same, not texts"));
    const struct ink_eval_set *set = r->columns[0].evaluation->set;
    if (set->n_in_windows > 0) {
        ink_string_printf(
            out,
            ink_text("windows: longer texts (%llu) are read in samples of %llu tokens, "
                     "each from the last token of the one before on\n"),
            (unsigned long long)set->n_in_windows, (unsigned long long)set->window);
    }
}

void ink_report_notes(const struct ink_report *r, struct ink_string *out)
{
    if (r->metrics & INK_EVAL_LOSS) {
        note_loss(r, out);
    }
    for (int i = 0; i < INK_EVAL_BLEUS; i++) {
        const struct ink_bleu_options options = ink_eval_bleu_options(i);
        if (r->metrics & ink_eval_bleu_bit(i)) {
            ink_string_printf(out, "BLEU %s: ", ink_bleu_tokenizer_name(options.tokenizer));
            ink_bleu_signature(out, &options);
            ink_string_puts(out, "\n");
        }
    }
    if (r->metrics & INK_EVAL_OF_ANSWERS) {
        ink_string_printf(out, "%s: %s\n", ink_text("answers"), r->settings);
    }
}
