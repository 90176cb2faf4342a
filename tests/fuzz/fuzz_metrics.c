/* The metrics' tokenizers and sums over any bytes. What must hold: zh, char and none neither lose
 * nor invent characters; a text equals itself; F is symmetrical and in its range. The first byte
 * tells where the two texts meet. */
#include "../../src/eval/bleu.h"
#include "../../src/eval/match.h"
#include "../../src/eval/rouge.h"

#include <math.h>
#include <stdlib.h>

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static size_t count_visible(const struct ink_codes *text)
{
    size_t n = 0;
    for (size_t i = 0; i < text->n; i++) {
        n += !ink_code_is_space(text->data[i]);
    }
    return n;
}

static void check_tokens(enum ink_bleu_tokenizer tokenizer, const char *text, size_t n)
{
    struct ink_codes all = {0}, words = {0};
    ink_codes_append(&all, text, n);
    ink_bleu_tokenize(&words, tokenizer, text, n);
    require(!all.failed && !words.failed);
    require(count_visible(&words) <= count_visible(&all));
    require(tokenizer == INK_BLEU_13A || count_visible(&words) == count_visible(&all));
    ink_codes_free(&all);
    ink_codes_free(&words);
}

static void check_bleu(enum ink_bleu_tokenizer tokenizer, const char *a, size_t n_a, const char *b,
                       size_t n_b)
{
    const struct ink_bleu_options options = {.tokenizer = tokenizer, .effective_order = true};
    struct ink_bleu_counts counts = {{0}, {0}, 0, 0}, same = {{0}, {0}, 0, 0};
    struct ink_bleu bleu;
    require(ink_bleu_add(&counts, tokenizer, a, n_a, b, n_b, NULL) == INK_OK);
    ink_bleu_score(&bleu, &counts, &options);
    require(bleu.score >= 0 && bleu.score < 100.0001);
    require(ink_bleu_add(&same, tokenizer, a, n_a, a, n_a, NULL) == INK_OK);
    ink_bleu_score(&bleu, &same, &options);
    require(fabs(bleu.score - (same.total[0] > 0 ? 100 : 0)) < 1e-9);
}

static void check_rouge(enum ink_rouge_words words, const char *a, size_t n_a, const char *b,
                        size_t n_b)
{
    struct ink_rouge one, other, same;
    require(ink_rouge_l(&one, words, a, n_a, b, n_b, NULL) == INK_OK);
    require(ink_rouge_l(&other, words, b, n_b, a, n_a, NULL) == INK_OK);
    require(ink_rouge_l(&same, words, a, n_a, a, n_a, NULL) == INK_OK);
    require(one.f >= 0 && one.f <= 1 && fabs(one.f - other.f) < 1e-12);
    require(same.f == 0 || same.f == 1);
    require(one.is_blind == other.is_blind);
}

static void check_match(const char *a, size_t n_a, const char *b, size_t n_b)
{
    bool raw, normalised;
    require(ink_match_raw(&raw, a, n_a, b, n_b, NULL) == INK_OK);
    require(ink_match_normalised(&normalised, a, n_a, b, n_b, NULL) == INK_OK);
    require(normalised || !raw);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n)
{
    if (n < 1 || n > 4096) { /* ROUGE-L takes the product of the lengths */
        return 0;
    }
    const char *text = (const char *)data + 1;
    const size_t n_a = (n - 1) * data[0] / 255, n_b = n - 1 - n_a;
    for (int t = INK_BLEU_13A; t <= INK_BLEU_NONE; t++) {
        check_tokens((enum ink_bleu_tokenizer)t, text, n_a);
        check_bleu((enum ink_bleu_tokenizer)t, text, n_a, text + n_a, n_b);
    }
    for (int w = INK_ROUGE_LATIN; w <= INK_ROUGE_CHARACTERS; w++) {
        check_rouge((enum ink_rouge_words)w, text, n_a, text + n_a, n_b);
    }
    check_match(text, n_a, text + n_a, n_b);
    return 0;
}
