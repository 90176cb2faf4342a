/* What masks cost in a vocabulary, for grammars that are hard on them:
 *
 *     grammar_time TOKENIZER-FOLDER N-VOCAB
 *
 * A line for each grammar: milliseconds of its compilation; of the first answer and of the second:
 * the mean of a mask, the 99th of 100, the worst, and the bytes before the worst. */
#include "grammar_support.h"

#include "../src/system.h"

#include <stdlib.h>

struct hard_case {
    const char *what, *schema, *text;
    int left;
};

static const char words[] = "\"The quick brown fox jumps over the lazy dog, and then it goes home "
                            "\xE4\xBD\xA0\xE5\xA5\xBD\xE4\xB8\x96\xE7\x95\x8C to sleep well\"";

static const struct hard_case cases[] = {
    {"a plain string", "{\"type\":\"string\"}", words, 1000},
    {"any JSON", "{\"type\":\"object\"}",
     "{\"name\":\"a b c\",\"list\":[1,2,{\"x\":\"yz\"},true],\"n\":-1.5e3}", 1000},
    {"pattern ^.{1,500}$", "{\"type\":\"string\",\"pattern\":\"^.{1,500}$\"}", words, 1000},
    {"pattern ^[^x]{20,90}$", "{\"type\":\"string\",\"pattern\":\"^[^X]{20,90}$\"}", words, 1000},
    {"pattern words", "{\"type\":\"string\",\"pattern\":\"^[A-Za-z,]+( [^ ]+){1,40}$\"}", words,
     1000},
    {"pattern .*[a-e].{8}", "{\"type\":\"string\",\"pattern\":\"^.*[a-eX].{8}$\"}", words, 1000},
    {"minLength 60", "{\"type\":\"string\",\"minLength\":60}", words, 1000},
    {"minLength 60, maxLength 95", "{\"type\":\"string\",\"minLength\":60,\"maxLength\":95}", words,
     1000},
    {"maxLength 85", "{\"type\":\"string\",\"maxLength\":85}", words, 1000},
    {"a string at its budget", "{\"type\":\"string\",\"minLength\":60}", words, 90},
    {"an object at its budget",
     "{\"properties\":{\"a\":{\"type\":\"string\"},\"b\":{\"type\":\"string\"}},\"required\":["
     "\"a\","
     "\"b\"]}",
     "{\"a\":\"some words of text, and more of them\",\"b\":\"and others\"}", 66},
    {"names that are others",
     "{\"properties\":{\"name\":{},\"note\":{},\"number\":{}},\"additionalProperties\":{\"type\":"
     "\"string\"}}",
     "{\"nothing like it\":\"a\",\"nam\":\"b\",\"numbers and more\":\"c\"}", 1000},
    {"tools and free text", NULL,
     "Some free text < and more <tool of it, <<tool_call>{\"name\":\"find\",\"arguments\":{\"q\":"
     "\"a b\"}}</tool_call>",
     1000},
    {"anyOf of 16 patterns", "16", words, 1000},
    {"anyOf of 60 patterns", "60", words, 1000},
    {"anyOf of 4 patterns", "4", words, 1000},
    {"anyOf of 60 endless patterns", "160", words, 1000},
    {"60 objects with those", "-160", "{\"p\":\"what is it\",\"q\":\"and so on\"}", 1000},
    {"anyOf of 16 objects", "-16", "{\"p\":\"what is it\",\"q\":\"and so on\"}", 1000},
    {"anyOf of 60 objects", "-60", "{\"p\":\"what is it\",\"q\":\"and so on\"}", 1000},
};

/* n > 0: patterns that differ; n < 0: objects; 100 more: patterns of no length. */
static void make_any_of(struct ink_string *s, int n)
{
    ink_string_puts(s, "{\"anyOf\":[");
    for (int i = 0; i < abs(n) % 100; i++) {
        const char *comma = i > 0 ? "," : "";
        char pattern[80];
        snprintf(pattern, sizeof pattern, "\"type\":\"string\",\"pattern\":\"^[^%c%c]*$\"",
                 'A' + i % 19, 'A' + i / 19 * 5);
        if (n > 100) {
            ink_string_printf(s, "%s{%s}", comma, pattern);
        } else if (n < -100) {
            ink_string_printf(s,
                              "%s{\"type\":\"object\",\"properties\":{\"p\":{%s},\"q\":{\"type\":"
                              "\"string\"}}}",
                              comma, pattern);
        } else if (n > 0) {
            ink_string_printf(s, "%s{\"type\":\"string\",\"pattern\":\"^[^%c%c]{1,%d}$\"}", comma,
                              'A' + i % 19, 'A' + i / 19 * 5, 120 + i);
        } else {
            ink_string_printf(s,
                              "%s{\"type\":\"object\",\"properties\":{\"p\":{\"type\":\"string\","
                              "\"maxLength\":%d},\"q\":{\"type\":\"string\"},\"r%d\":{\"type\":"
                              "\"integer\"}}}",
                              comma, 40 + i, i);
        }
    }
    ink_string_puts(s, "]}");
}

static struct ink_grammar *open_case(const struct ink_model *m, const struct hard_case *c)
{
    struct ink_error error = {0};
    struct ink_grammar *g = NULL;
    struct ink_string s = {0};
    int status;
    if (!c->schema) {
        const struct ink_tool tool = {"find", NULL, 0};
        const struct ink_tools tools = {
            .tools = &tool, .n_tools = 1, .before = "<tool_call>", .after = "</tool_call>"};
        status = ink_grammar_open_tools(&g, m, &tools, &error);
    } else {
        if (c->schema[0] == '{') {
            ink_string_puts(&s, c->schema);
        } else {
            make_any_of(&s, atoi(c->schema));
        }
        status = ink_grammar_open_schema(&g, m, s.data, s.length, &error);
    }
    if (status != INK_OK) {
        printf("%-28s %s\n", c->what, error.message);
    }
    ink_string_free(&s);
    return g;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Tokens of about four bytes, as a model writes them: a mask before each. */
static void time_answer(struct ink_grammar_run *run, const struct ink_grammar *g,
                        const struct hard_case *c, float *logits)
{
    static double all[1000];
    double sum = 0, worst = 0;
    size_t worst_at = 0;
    int n = 0;
    const size_t length = strlen(c->text);
    ink_run_start(run, g, NULL, 0);
    run->is_first = false;
    for (size_t i = 0; i < length; n++) {
        memset(logits, 0, (size_t)g->trie->n_vocab * sizeof *logits);
        double start = cpu_seconds();
        ink_run_mask(run, logits, c->left - n);
        double seconds = all[n] = cpu_seconds() - start;
        sum += seconds;
        if (seconds > worst) {
            worst = seconds;
            worst_at = i;
        }
        for (size_t end = i + 1 + (i + (size_t)n) % 5; i < end && i < length; i++) {
            if (!ink_run_read(run, (unsigned char)c->text[i])) {
                printf("(not allowed: byte %d) ", (int)i);
                return;
            }
        }
    }
    qsort(all, (size_t)n, sizeof *all, compare);
    printf("  %7.3f %7.3f %7.3f (%3d)", sum / n * 1e3, all[n * 99 / 100] * 1e3, worst * 1e3,
           (int)worst_at);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        return 2;
    }
    struct ink_model *m = model_of_tokenizer(argv[1], atoi(argv[2]));
    struct ink_grammar_run *run = NULL;
    struct ink_error error = {0};
    float *logits = malloc(sizeof *logits * (size_t)m->architecture.vocab_size);
    if (ink_run_open(&run, m, &error) != INK_OK) {
        return 1;
    }
    struct ink_grammar *first = grammar_of(m, "{}"); /* the trie */
    for (size_t i = 0; i < INK_COUNT(cases); i++) {
        double start = cpu_seconds();
        struct ink_grammar *g = open_case(m, &cases[i]);
        double seconds = cpu_seconds() - start;
        if (g) {
            printf("%-28s %6.1f", cases[i].what, seconds * 1e3);
            time_answer(run, g, &cases[i], logits);
            time_answer(run, g, &cases[i], logits);
            printf("\n");
        }
        ink_grammar_close(g);
    }
    ink_grammar_close(first);
    ink_run_close(run);
    close_model_of_tokenizer(m);
    free(logits);
    return 0;
}
