/* The metrics' choices in the order and with the names that tests/ref/metrics_oracle.py uses. */
#ifndef METRICS_SUPPORT_H
#define METRICS_SUPPORT_H

#include "support.h"

#include "../src/eval/bleu.h"
#include "../src/eval/match.h"
#include "../src/eval/porter.h"
#include "../src/eval/rouge.h"

enum { n_tokenizers = 4, n_smoothings = 4, n_rouges = 3 };

static const enum ink_rouge_words rouge_words[n_rouges] = {INK_ROUGE_LATIN, INK_ROUGE_UNSTEMMED,
                                                           INK_ROUGE_CHARACTERS};

static inline struct ink_bleu_options bleu_options(int tokenizer, int smoothing, bool effective)
{
    return (struct ink_bleu_options){.tokenizer = (enum ink_bleu_tokenizer)tokenizer,
                                     .smoothing = (enum ink_bleu_smoothing)smoothing,
                                     .effective_order = effective};
}

/* Append the words of a tokenized text as a JSON array of strings. */
static inline void append_words(struct ink_string *out, const struct ink_codes *text)
{
    ink_string_puts(out, "[");
    for (size_t at = 0, n_words = 0; at < text->n;) {
        struct ink_codes word = {0};
        struct ink_string bytes = {0};
        while (at < text->n && !ink_code_is_space(text->data[at])) {
            ink_codes_push(&word, text->data[at++]);
        }
        if (word.n > 0) {
            ink_codes_write(&bytes, &word);
            ink_string_puts(out, n_words++ > 0 ? ", " : "");
            ink_json_append_string(out, bytes.data, bytes.length);
        }
        at += at < text->n;
        ink_codes_free(&word);
        ink_string_free(&bytes);
    }
    ink_string_puts(out, "]");
}

#endif
