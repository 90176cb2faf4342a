/* What only a process of its own shows: the time from its start to the first token, and the most
 * memory that it takes. */
#include "bench.h"
#include "output.h"
#include "system.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ----------------------------------------------------------------------------------- the child */

static int read_prompt(struct ink_session *session, struct ink_model *model, int n,
                       struct ink_error *error)
{
    const int vocab = ink_model_get_info(model)->vocab_size;
    int32_t *tokens = ink_calloc((size_t)n, sizeof *tokens);
    float *logits = ink_calloc((size_t)vocab, sizeof *logits);
    int status = tokens && logits ? INK_OK : ink_fail_memory(error, (size_t)n * sizeof *tokens);
    for (int i = 0; i < n && status == INK_OK; i++) {
        tokens[i] = (int32_t)((uint64_t)i * 7919u % (uint64_t)vocab);
    }
    if (status == INK_OK) {
        const struct ink_step step = {
            .session = session, .tokens = tokens, .n_tokens = n, .n_logits = 1, .logits = logits};
        status = ink_eval(model, &step, 1, NULL, NULL, error);
    }
    ink_free(tokens);
    ink_free(logits);
    return status;
}

int ink_bench_answer_probe(const struct ink_options *o, struct ink_error *error)
{
    struct ink_model *model = NULL;
    struct ink_session *session = NULL;
    int status = ink_cli_open_model(&model, o, INK_TOKENIZER_WANTED, false, error);
    if (status == INK_OK) {
        const int most = ink_model_get_info(model)->max_positions;
        const int n = most < INK_BENCH_CONTEXT ? most : INK_BENCH_CONTEXT;
        status = ink_session_open(&session, model, n, ink_options_kv(o, INK_KV_F16), error);
        if (status == INK_OK) {
            status = read_prompt(session, model, o->bench_probe < n ? o->bench_probe : n, error);
        }
    }
    if (status == INK_OK) {
        struct ink_string out = {0};
        ink_string_printf(&out, "%llu\n", (unsigned long long)ink_system_peak_memory());
        status = ink_output_put_string(&out, error);
        ink_string_free(&out);
    }
    if (status == INK_OK) {
        status = ink_output_flush(error); /* now: the parent looks at the clock */
    }
    ink_session_close(session);
    ink_model_close(model);
    return status;
}

/* ---------------------------------------------------------------------------------- the parent */

/* False if the child failed. */
static bool probe(const struct ink_bench *b, int n_tokens, double *seconds, uint64_t *memory)
{
    const struct ink_options *o = b->options;
    const char *arguments[20] = {"bench", "--probe"};
    char number[16], threads[16], line[64];
    int n = 3;
    snprintf(number, sizeof number, "%d", n_tokens);
    snprintf(threads, sizeof threads, "%d", b->info->threads);
    arguments[2] = number;
    const char *const pairs[][2] = {{"--threads", threads},
                                    {"--cpu-level", b->info->cpu_level},
                                    {"--type", o->type},
                                    {"--kv", o->kv},
                                    {"--tokenizer", o->tokenizer_dir}};
    for (size_t i = 0; i < INK_COUNT(pairs); i++) {
        if (pairs[i][1]) {
            arguments[n++] = pairs[i][0];
            arguments[n++] = pairs[i][1];
        }
    }
    arguments[n++] = "--";
    arguments[n++] = o->model;
    if (!ink_bench_spawn(arguments, seconds, line, sizeof line)) {
        return false;
    }
    *memory = strtoull(line, NULL, 10);
    return true;
}

void ink_bench_probe(struct ink_bench *b)
{
    double ignored, *seconds = ink_calloc((size_t)b->repeat, sizeof *seconds);
    uint64_t memory = 0;
    /* the first one may have to fetch the program and the model from the disk */
    bool ok = seconds && probe(b, INK_BENCH_PROMPT, &ignored, &memory);
    for (int i = 0; i < b->repeat && ok; i++) {
        ok = probe(b, INK_BENCH_PROMPT, &seconds[i], &memory);
    }
    b->first_token = ok ? ink_bench_median(seconds, b->repeat) : (double)NAN;
    b->first_token_stddev = ok ? ink_bench_deviation(seconds, b->repeat) : (double)NAN;
    b->peak_memory = ok && probe(b, b->context, &ignored, &memory) ? memory : 0;
    ink_free(seconds);
}
