/* Random texts of JSON Schemas, for a program that validates them:
 *
 *     grammar_walk TOKENIZER-FOLDER N-VOCAB TEXTS < SCHEMAS
 *
 * For each line of standard input, a schema, TEXTS lines: how the text ended ("stop" or "length"),
 * whether it had to be complete ("must" or "may"), its tokens and the most allowed, and the text;
 * or one line "error" and the message. Then an empty line. */
#include "grammar_support.h"

static void walk_schema(const struct ink_model *m, const char *schema, size_t n, int texts,
                        struct ink_grammar_run *run, float *logits, uint32_t *state)
{
    struct ink_error error = {0};
    struct ink_grammar *g = NULL;
    struct ink_string text = {0};
    if (ink_grammar_open_schema(&g, m, schema, n, &error) != INK_OK) {
        printf("error\t%s\n\n", error.message);
        return;
    }
    for (int i = 0; i < texts; i++) {
        int32_t prompt = 5;
        ink_run_start(run, g, &prompt, 1);
        uint32_t least = ink_run_cost(run);
        int most =
            i % 4 == 0 ? (int)least : 1 + (int)(next_number(state) % (i % 4 == 1 ? 400 : 60));
        enum walk_end end = random_text(run, g, &text, logits, most, state);
        const bool is_complete = ink_run_is_complete(run);
        static const char *const names[] = {"stop", "length", "stuck"};
        printf("%s\t%s\t%d\t%u\t", names[end], (uint32_t)most >= least ? "must" : "may", most,
               least);
        printf("%s\t", is_complete ? "complete" : "open");
        fwrite(text.data ? text.data : "", 1, text.length, stdout);
        printf("\n");
    }
    printf("\n");
    ink_string_free(&text);
    ink_grammar_close(g);
}

int main(int argc, char **argv)
{
    static char line[1 << 20];
    uint32_t state = 1;
    if (argc != 4) {
        return 2;
    }
    struct ink_model *m = model_of_tokenizer(argv[1], atoi(argv[2]));
    struct ink_grammar_run *run = NULL;
    struct ink_error error = {0};
    float *logits = malloc(sizeof *logits * (size_t)m->architecture.vocab_size);
    if (ink_run_open(&run, m, &error) != INK_OK) {
        return 1;
    }
    while (fgets(line, sizeof line, stdin)) {
        size_t n = strcspn(line, "\n");
        walk_schema(m, line, n, atoi(argv[3]), run, logits, &state);
    }
    ink_run_close(run);
    close_model_of_tokenizer(m);
    free(logits);
    return 0;
}
