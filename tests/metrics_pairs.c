/* The metrics of texts from standard input, for a program that knows them from elsewhere:
 *
 *     metrics_pairs pairs < LINES     each ["hypothesis", "reference"]: a JSON object a line, then
 *                                     an array of the whole corpus's BLEU scores
 *     metrics_pairs stems < WORDS     each word's stem */
#include "metrics_support.h"

static struct ink_bleu_counts corpus[n_tokenizers];

static void append_numbers(struct ink_string *out, const char *key, const double *numbers, int n)
{
    ink_string_printf(out, "\"%s\": [", key);
    for (int i = 0; i < n; i++) {
        ink_string_printf(out, i ? ", %.17g" : "%.17g", numbers[i]);
    }
    ink_string_puts(out, "]");
}

static void append_counts(struct ink_string *out, const char *key, const uint64_t *counts)
{
    ink_string_printf(out, "\"%s\": [%llu, %llu, %llu, %llu], ", key, (unsigned long long)counts[0],
                      (unsigned long long)counts[1], (unsigned long long)counts[2],
                      (unsigned long long)counts[3]);
}

static void print_pair(const char *h, const char *r)
{
    struct ink_error error = {0};
    struct ink_string out = {0};
    for (int t = 0; t < n_tokenizers; t++) {
        struct ink_codes text = {0};
        ink_bleu_tokenize(&text, (enum ink_bleu_tokenizer)t, h, strlen(h));
        ink_string_printf(&out, "%s\"%s\": ", t ? ", " : "{\"words\": {",
                          ink_bleu_tokenizer_name((enum ink_bleu_tokenizer)t));
        append_words(&out, &text);
        ink_codes_free(&text);
    }
    for (int t = 0; t < n_tokenizers; t++) {
        const struct ink_bleu_options options = bleu_options(t, INK_BLEU_SMOOTH_EXP, true);
        struct ink_bleu_counts counts = {0};
        struct ink_bleu bleu;
        ink_bleu_add(&counts, options.tokenizer, h, strlen(h), r, strlen(r), &error);
        ink_bleu_add(&corpus[t], options.tokenizer, h, strlen(h), r, strlen(r), &error);
        ink_bleu_score(&bleu, &counts, &options);
        ink_string_printf(&out, "%s\"%s\": %.17g", t ? ", " : "}, \"bleu\": {",
                          ink_bleu_tokenizer_name(options.tokenizer), bleu.score);
    }
    ink_string_puts(&out, "}, \"rouge\": [");
    for (int i = 0; i < n_rouges; i++) {
        struct ink_rouge rouge;
        ink_rouge_l(&rouge, rouge_words[i], h, strlen(h), r, strlen(r), &error);
        ink_string_printf(&out, "%s[%.17g, %.17g, %.17g]", i ? ", " : "", rouge.precision,
                          rouge.recall, rouge.f);
    }
    printf("%s]}\n", out.data);
    ink_string_free(&out);
}

static void append_score(struct ink_string *out, const struct ink_bleu_counts *counts,
                         const struct ink_bleu_options *options)
{
    struct ink_bleu bleu;
    ink_bleu_score(&bleu, counts, options);
    ink_string_printf(out, "%s{\"tokenizer\": \"%s\", ", out->length > 1 ? ", " : "",
                      ink_bleu_tokenizer_name(options->tokenizer));
    static const char *const names[n_smoothings] = {"exp", "floor", "add-k", "none"};
    ink_string_printf(out, "\"smoothing\": \"%s\", \"effective\": %s, ", names[options->smoothing],
                      options->effective_order ? "true" : "false");
    ink_string_printf(out, "\"score\": %.17g, \"brevity_penalty\": %.17g, ", bleu.score,
                      bleu.brevity_penalty);
    append_counts(out, "correct", counts->correct);
    append_counts(out, "total", counts->total);
    ink_string_printf(out, "\"hypothesis_length\": %llu, \"reference_length\": %llu, ",
                      (unsigned long long)counts->hypothesis_length,
                      (unsigned long long)counts->reference_length);
    append_numbers(out, "precisions", bleu.precisions, INK_BLEU_ORDER);
    ink_string_puts(out, ", \"signature\": \"");
    ink_bleu_signature(out, options);
    ink_string_puts(out, "\"}");
}

static void print_corpus(void)
{
    struct ink_string out = {0};
    ink_string_puts(&out, "[");
    for (int i = 0; i < n_tokenizers * n_smoothings * 2; i++) {
        const struct ink_bleu_options options = bleu_options(i / 8, i / 2 % 4, i % 2 > 0);
        append_score(&out, &corpus[options.tokenizer], &options);
    }
    printf("%s]\n", out.data);
    ink_string_free(&out);
}

int main(int argc, char **argv)
{
    static char line[1 << 20];
    const bool stems = argc == 2 && strcmp(argv[1], "stems") == 0;
    struct ink_error error = {0};
    if (argc != 2) {
        return 2;
    }
    while (fgets(line, sizeof line, stdin)) {
        size_t n = strcspn(line, "\n");
        if (stems) {
            printf("%.*s\n", (int)ink_porter_stem(line, n), line);
            continue;
        }
        cJSON *pair = NULL;
        if (ink_json_parse(&pair, line, n, &ink_json_file_limits, "a line", &error) != INK_OK) {
            fprintf(stderr, "%s\n", error.message);
            return 1;
        }
        print_pair(cJSON_GetArrayItem(pair, 0)->valuestring,
                   cJSON_GetArrayItem(pair, 1)->valuestring);
        cJSON_Delete(pair);
    }
    if (!stems) {
        print_corpus();
    }
    return 0;
}
