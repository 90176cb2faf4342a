/* BLEU, ROUGE-L, the stemmer and exact match: what sacrebleu, rouge_score and nltk say of texts
 * written for it (tests/ref/metrics_oracle.py), and of published cases. */
#include "metrics_support.h"

#include <math.h>

static cJSON *golden;

static void assert_near(double a, double b, const char *what)
{
    if (!(fabs(a - b) <= 1e-12 * (1 + fabs(b)))) {
        fail_msg("%s: %.17g, should be %.17g", what, a, b);
    }
}

static const char *text_of(const cJSON *object, const char *key)
{
    return ink_json_get(object, key)->valuestring;
}

static double number_at(const cJSON *array, int i)
{
    return cJSON_GetArrayItem(array, i)->valuedouble;
}

static double number_of(const cJSON *object, const char *key)
{
    return ink_json_get(object, key)->valuedouble;
}

/* ---------------------------------------------------------------------------------------- BLEU */

static void add_text(struct ink_bleu_counts *counts, int tokenizer, const char *h, const char *r)
{
    struct ink_error error = {0};
    assert_ok(ink_bleu_add(counts, (enum ink_bleu_tokenizer)tokenizer, h, strlen(h), r, strlen(r),
                           &error));
}

static double score_pair(const struct ink_bleu_options *options, const char *h, const char *r)
{
    struct ink_bleu_counts counts = {0};
    struct ink_bleu bleu;
    add_text(&counts, (int)options->tokenizer, h, r);
    ink_bleu_score(&bleu, &counts, options);
    return bleu.score;
}

static void check_words(const cJSON *expected, int tokenizer, const char *text)
{
    struct ink_codes words = {0};
    struct ink_string out = {0};
    ink_bleu_tokenize(&words, (enum ink_bleu_tokenizer)tokenizer, text, strlen(text));
    append_words(&out, &words);
    struct ink_error error = {0};
    cJSON *ours = NULL;
    assert_ok(ink_json_parse(&ours, out.data, out.length, &ink_json_file_limits, "words", &error));
    if (!cJSON_Compare(ours, expected, true)) {
        fail_msg("%s: \"%s\" became %s",
                 ink_bleu_tokenizer_name((enum ink_bleu_tokenizer)tokenizer), text, out.data);
    }
    cJSON_Delete(ours);
    ink_codes_free(&words);
    ink_string_free(&out);
}

static void words_and_sentences(void **state)
{
    (void)state;
    const cJSON *pair;
    cJSON_ArrayForEach(pair, ink_json_get(golden, "pairs"))
    {
        const char *h = text_of(pair, "hypothesis"), *r = text_of(pair, "reference");
        for (int t = 0; t < n_tokenizers; t++) {
            const char *name = ink_bleu_tokenizer_name((enum ink_bleu_tokenizer)t);
            const struct ink_bleu_options options = bleu_options(t, INK_BLEU_SMOOTH_EXP, true);
            check_words(ink_json_get(ink_json_get(pair, "words"), name), t, h);
            assert_near(score_pair(&options, h, r), number_of(ink_json_get(pair, "bleu"), name), h);
        }
    }
}

static void check_corpus(const cJSON *expected, const struct ink_bleu_counts *counts,
                         const struct ink_bleu_options *options)
{
    struct ink_bleu bleu;
    struct ink_string signature = {0};
    ink_bleu_score(&bleu, counts, options);
    ink_bleu_signature(&signature, options);
    assert_string_equal(signature.data, text_of(expected, "signature"));
    assert_near(bleu.score, number_of(expected, "score"), signature.data);
    assert_near(bleu.brevity_penalty, number_of(expected, "brevity_penalty"), signature.data);
    for (int i = 0; i < INK_BLEU_ORDER; i++) {
        assert_near(bleu.precisions[i], number_at(ink_json_get(expected, "precisions"), i),
                    signature.data);
    }
    ink_string_free(&signature);
}

static void corpora(void **state)
{
    (void)state;
    const cJSON *corpus, *pairs = ink_json_get(golden, "pairs");
    cJSON_ArrayForEach(corpus, ink_json_get(golden, "corpora"))
    {
        const int first = (int)number_of(corpus, "first"), n = (int)number_of(corpus, "n");
        struct ink_bleu_counts counts[n_tokenizers] = {{{0}, {0}, 0, 0}};
        for (int i = first; i < first + n; i++) {
            const cJSON *pair = cJSON_GetArrayItem(pairs, i);
            for (int t = 0; t < n_tokenizers; t++) {
                add_text(&counts[t], t, text_of(pair, "hypothesis"), text_of(pair, "reference"));
            }
        }
        for (int i = 0; i < n_tokenizers * n_smoothings * 2; i++) {
            const struct ink_bleu_options options = bleu_options(i / 8, i / 2 % 4, i % 2 > 0);
            check_corpus(cJSON_GetArrayItem(ink_json_get(corpus, "scores"), i),
                         &counts[options.tokenizer], &options);
        }
    }
}

/* As published, and as sacrebleu 2.6.0 was seen to print them. */
static void published(void **state)
{
    (void)state;
    const struct ink_bleu_options exp_13a = bleu_options(INK_BLEU_13A, INK_BLEU_SMOOTH_EXP, false);
    const struct ink_bleu_options effective = bleu_options(INK_BLEU_13A, INK_BLEU_SMOOTH_EXP, true);
    const struct ink_bleu_options add_k = bleu_options(INK_BLEU_13A, INK_BLEU_SMOOTH_ADD_K, false);
    const struct ink_bleu_options zh = bleu_options(INK_BLEU_ZH, INK_BLEU_SMOOTH_EXP, false);
    const struct ink_bleu_options chars = bleu_options(INK_BLEU_CHAR, INK_BLEU_SMOOTH_EXP, false);
    struct ink_bleu_counts counts = {0};
    struct ink_bleu bleu;
    add_text(&counts, INK_BLEU_13A, "the cat sat on the mat .", "the cat is on the mat .");
    add_text(&counts, INK_BLEU_13A, "hello world", "hello there world");
    ink_bleu_score(&bleu, &counts, &exp_13a);
    assert_float_equal(bleu.score, 42.4812624732, 1e-10);
    assert_float_equal(bleu.brevity_penalty, 0.894839, 1e-6);
    assert_float_equal(score_pair(&exp_13a, "a b c d e", "a b x d y"), 23.6435402251, 1e-10);
    assert_float_equal(score_pair(&add_k, "the cat sat here now", "the dog sat here then"),
                       37.6060309309, 1e-10);
    assert_true(score_pair(&exp_13a, "a b", "a b") == 0);
    assert_float_equal(score_pair(&effective, "a b", "a b"), 100, 1e-10);
    static const char plant[] = "梨果寄生属的界是植物界。";
    assert_true(score_pair(&exp_13a, plant, plant) == 0);
    assert_true(score_pair(&zh, plant, plant) == 100.00000000000004);
    static const char a[] = "北京是中国的首都，人口2154.2万人。";
    static const char b[] = "北京是中国的首都,人口约2154万。";
    assert_float_equal(score_pair(&zh, a, b), 54.4517884614, 1e-10);
    assert_float_equal(score_pair(&chars, a, b), 51.9173145807, 1e-10);
}

/* Scores do not depend on which machine counts, but on the words: texts are bags of n-grams, and a
 * huge text of one word is the hardest for sorting. */
static void large_texts(void **state)
{
    (void)state;
    struct ink_string text = {0};
    for (int i = 0; i < 40000; i++) {
        ink_string_puts(&text, i % 3 ? "a " : "bb ");
    }
    struct ink_bleu_counts counts = {0};
    const double start = cpu_seconds();
    add_text(&counts, INK_BLEU_13A, text.data, text.data);
    assert_true(cpu_seconds() - start < 10 * time_limit());
    assert_int_equal(counts.correct[3], 40000 - 3);
    ink_string_free(&text);
}

/* ------------------------------------------------------------------------------------- ROUGE-L */

static void rouges(void **state)
{
    (void)state;
    const cJSON *pair;
    cJSON_ArrayForEach(pair, ink_json_get(golden, "pairs"))
    {
        const char *h = text_of(pair, "hypothesis"), *r = text_of(pair, "reference");
        for (int i = 0; i < n_rouges; i++) {
            const cJSON *expected = cJSON_GetArrayItem(ink_json_get(pair, "rouge"), i);
            struct ink_error error = {0};
            struct ink_rouge rouge;
            assert_ok(ink_rouge_l(&rouge, rouge_words[i], h, strlen(h), r, strlen(r), &error));
            assert_near(rouge.precision, number_at(expected, 0), h);
            assert_near(rouge.recall, number_at(expected, 1), h);
            assert_near(rouge.f, number_at(expected, 2), h);
        }
    }
}

static struct ink_rouge rouge_of(enum ink_rouge_words words, const char *h, const char *r)
{
    struct ink_error error = {0};
    struct ink_rouge rouge;
    assert_ok(ink_rouge_l(&rouge, words, h, strlen(h), r, strlen(r), &error));
    return rouge;
}

static void blind(void **state)
{
    (void)state;
    static const char zh[] = "砚台是文具。";
    assert_true(rouge_of(INK_ROUGE_LATIN, zh, zh).f == 0);
    assert_true(rouge_of(INK_ROUGE_LATIN, zh, zh).is_blind);
    assert_true(rouge_of(INK_ROUGE_CHARACTERS, zh, zh).f == 1);
    assert_false(rouge_of(INK_ROUGE_CHARACTERS, zh, zh).is_blind);
    assert_false(rouge_of(INK_ROUGE_LATIN, "长6397公里", "长6397千米").is_blind);
    assert_true(rouge_of(INK_ROUGE_LATIN, "长6397公里", "长6397千米").f == 1);
    assert_true(rouge_of(INK_ROUGE_LATIN, "a", "。").is_blind);
    assert_false(rouge_of(INK_ROUGE_LATIN, "a", "").is_blind); /* nothing was answered */
    assert_false(rouge_of(INK_ROUGE_LATIN, " \n", "a").is_blind);
}

static void stems(void **state)
{
    (void)state;
    const cJSON *entry, *list = ink_json_get(golden, "stems");
    assert_true(cJSON_GetArraySize(list) > 300);
    cJSON_ArrayForEach(entry, list)
    {
        const char *word = cJSON_GetArrayItem(entry, 0)->valuestring;
        char stem[64];
        size_t n = strlen(word);
        memcpy(stem, word, n);
        stem[ink_porter_stem(stem, n)] = '\0';
        if (strcmp(stem, cJSON_GetArrayItem(entry, 1)->valuestring) != 0) {
            fail_msg("%s: %s, should be %s", word, stem, cJSON_GetArrayItem(entry, 1)->valuestring);
        }
    }
    static char long_word[1 << 20];
    memset(long_word, 'y', sizeof long_word);
    const double start = cpu_seconds();
    ink_porter_stem(long_word, sizeof long_word);
    assert_true(cpu_seconds() - start < time_limit());
}

/* --------------------------------------------------------------------------------- exact match */

static void matches(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool raw, normalised;
    } cases[] = {
        {"", "", true, true},
        {"", "a", false, false},
        {" a\n", "a", true, true},
        {"\xE3\x80\x80北京", "北京", true, true},
        {"北京。", "北京", false, true},
        {"北京", "北 京！", false, true},
        {"ＡＢＣ１２３．", "abc123", false, true},
        {"New  York", "new york.", false, true},
        {"NewYork", "new york", false, false},
        {"3.14", "314", false, false},
        {"。", "", false, true},
        {"é", "e", false, false},
        {"\xFF", "\xEF\xBF\xBD", true, true},
    };
    for (size_t i = 0; i < INK_COUNT(cases); i++) {
        const char *a = cases[i].a, *b = cases[i].b;
        struct ink_error error = {0};
        bool raw, normalised;
        assert_ok(ink_match_raw(&raw, a, strlen(a), b, strlen(b), &error));
        assert_ok(ink_match_normalised(&normalised, a, strlen(a), b, strlen(b), &error));
        if (raw != cases[i].raw || normalised != cases[i].normalised) {
            fail_msg("\"%s\" and \"%s\": %d %d", a, b, raw, normalised);
        }
    }
}

/* ------------------------------------------------------------------------------------- memory */

/* Every allocation fails once, alone and with all that follow. */
static void memory(void **state)
{
    (void)state;
    static const char a[] = "The runners, 北京 3.14-2!", b[] = "a runner; 北京市 3.14";
    for (int what = 0; what < 4; what++) {
        for (long n = 1;; n++) {
            struct ink_error error = {0};
            struct ink_bleu_counts counts = {0};
            struct ink_rouge rouge;
            bool is;
            ink_fail_allocation(n, n % 2);
            const int status =
                what == 0
                    ? ink_bleu_add(&counts, INK_BLEU_13A, a, sizeof a - 1, b, sizeof b - 1, &error)
                : what == 1
                    ? ink_rouge_l(&rouge, INK_ROUGE_LATIN, a, sizeof a - 1, b, sizeof b - 1, &error)
                : what == 2 ? ink_rouge_l(&rouge, INK_ROUGE_CHARACTERS, a, sizeof a - 1, b,
                                          sizeof b - 1, &error)
                            : ink_match_normalised(&is, a, sizeof a - 1, b, sizeof b - 1, &error);
            const long made = ink_fail_allocation(0, false);
            if (made < n) {
                assert_int_equal(status, INK_OK);
                break;
            }
            assert_int_equal(status, INK_ERROR_MEMORY);
            assert_int_equal(counts.total[0] + counts.hypothesis_length, 0);
        }
    }
}

static int open_golden(void **state)
{
    (void)state;
    golden = read_json(shared_path("metrics_golden.json"));
    return 0;
}

static int close_golden(void **state)
{
    (void)state;
    cJSON_Delete(golden);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_and_sentences),
        cmocka_unit_test(corpora),
        cmocka_unit_test(published),
        cmocka_unit_test(large_texts),
        cmocka_unit_test(rouges),
        cmocka_unit_test(blind),
        cmocka_unit_test(stems),
        cmocka_unit_test(matches),
        cmocka_unit_test(memory),
    };
    return cmocka_run_group_tests_name("metrics", tests, open_golden, close_golden);
}
