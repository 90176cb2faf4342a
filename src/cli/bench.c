#include "bench.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct ink_option_list default_prefill = {{64, 512, 2048}, 3},
                                    default_depth = {{0, 4096, 16384}, 3},
                                    default_batch = {{1, 2, 4, 8, 16}, 5};

enum { DEFAULT_DECODE = 64, DEFAULT_REPEAT = 5 };

/* The tests that are asked for. Defaults that the model is too small for are left out. */
struct plan {
    struct ink_bench *b;
    int decode;
    struct ink_string left_out;
};

static const char *origin(const struct ink_options *o, enum ink_option_id id, const char *option,
                          const char *variable)
{
    return o->sources[id] == INK_FROM_ENVIRONMENT ? variable : option;
}

static void add(struct plan *p, struct ink_bench_test test)
{
    if (test.prefill) {
        snprintf(test.name, sizeof test.name, "prefill %d", test.prefill);
    } else if (test.depth) {
        snprintf(test.name, sizeof test.name, "decode %d @ %d", test.decode, test.depth);
    } else {
        snprintf(test.name, sizeof test.name, "decode %d", test.decode);
    }
    if (test.prefill + test.depth > p->b->info->max_positions - test.decode) {
        ink_string_printf(&p->left_out, "%s%s", p->left_out.length ? ", " : "", test.name);
    } else {
        p->b->tests[p->b->n_tests++] = test;
    }
}

static void add_batch(struct plan *p, int batch)
{
    struct ink_bench_test test = {.decode = p->decode, .batch = batch};
    snprintf(test.name, sizeof test.name, "batch %d decode %d", batch, p->decode);
    p->b->tests[p->b->n_tests++] = test;
}

/* What was asked for by name is not left out: it is a mistake. */
static int check_lengths(const struct plan *p, struct ink_error *error)
{
    const struct ink_options *o = p->b->options;
    const int most = p->b->info->max_positions;
    static const char too_long[] = "%s: %d is more than the model's longest context (%d)";
    for (int i = 0; i < o->prefill.n; i++) {
        if (o->prefill.values[i] > most) {
            return ink_fail(error, INK_ERROR_ARGUMENT, too_long,
                            origin(o, INK_OPTION_PREFILL, "--prefill", "INKSTONE_PREFILL"),
                            o->prefill.values[i], most);
        }
    }
    if (p->decode > most) {
        return ink_fail(error, INK_ERROR_ARGUMENT, too_long,
                        origin(o, INK_OPTION_DECODE, "--decode", "INKSTONE_DECODE"), p->decode,
                        most);
    }
    for (int i = 0; i < o->depth.n; i++) {
        if (o->depth.values[i] > most - p->decode) {
            return ink_fail(error, INK_ERROR_ARGUMENT,
                            "%s: %d, and %d decoded tokens, are more than the model's longest "
                            "context (%d)",
                            origin(o, INK_OPTION_DEPTH, "--depth", "INKSTONE_DEPTH"),
                            o->depth.values[i], p->decode, most);
        }
    }
    return INK_OK;
}

static void warn_left_out(const struct plan *p)
{
    if (p->left_out.data && !p->left_out.failed) {
        struct ink_error note;
        ink_fail(&note, INK_OK, "left out, the model's longest context is %d: %s",
                 p->b->info->max_positions, p->left_out.data);
        ink_cli_warn(note.message);
    }
}

static int make_plan(struct ink_bench *b, struct ink_error *error)
{
    const struct ink_options *o = b->options;
    const bool has_prefill = ink_options_has(o, INK_OPTION_PREFILL),
               has_depth = ink_options_has(o, INK_OPTION_DEPTH),
               has_batch = ink_options_has(o, INK_OPTION_BATCH);
    const struct ink_option_list *prefill = has_prefill ? &o->prefill : &default_prefill,
                                 *depth = has_depth ? &o->depth : &default_depth,
                                 *batch = has_batch ? &o->batch : &default_batch;
    const int most = b->info->max_positions;
    struct plan p = {.b = b, .decode = most < DEFAULT_DECODE ? most : DEFAULT_DECODE};
    p.decode = ink_options_has(o, INK_OPTION_DECODE) ? o->decode : p.decode;
    int status = check_lengths(&p, error);
    for (int i = 0; i < prefill->n && status == INK_OK; i++) {
        add(&p, (struct ink_bench_test){.prefill = prefill->values[i], .batch = 1});
    }
    for (int i = 0; i < depth->n && status == INK_OK; i++) {
        add(&p, (struct ink_bench_test){.decode = p.decode, .depth = depth->values[i], .batch = 1});
    }
    for (int i = 0; i < batch->n && status == INK_OK; i++) {
        add_batch(&p, batch->values[i]);
    }
    if (status == INK_OK) {
        warn_left_out(&p);
    }
    ink_string_free(&p.left_out);
    return status;
}

static int bench(struct ink_bench *b, struct ink_model *model, struct ink_error *error)
{
    b->info = ink_model_get_info(model);
    b->context =
        b->info->max_positions < INK_BENCH_CONTEXT ? b->info->max_positions : INK_BENCH_CONTEXT;
    int status = make_plan(b, error);
    return status == INK_OK ? ink_bench_run(b, model, error) : status;
}

int ink_command_bench(const struct ink_options *o, struct ink_error *error)
{
    if (ink_options_has(o, INK_OPTION_BENCH_PROBE)) {
        return ink_bench_answer_probe(o, error);
    }
    if (o->json && o->sources[INK_OPTION_FORMAT] == INK_FROM_COMMAND &&
        strcmp(o->output_format, "json") != 0) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "give --json or --format %s, not both",
                        o->output_format);
    }
    struct ink_bench *b = ink_calloc(1, sizeof *b);
    struct ink_model *model = NULL;
    if (!b) {
        return ink_fail_memory(error, sizeof *b);
    }
    b->options = o;
    b->kv = ink_options_kv(o, INK_KV_F16);
    b->repeat = ink_options_has(o, INK_OPTION_REPEAT) ? o->repeat : DEFAULT_REPEAT;
    int status = ink_cli_open_model(&model, o, INK_TOKENIZER_UNUSED, false, error);
    if (status == INK_OK) {
        status = bench(b, model, error);
    }
    if (status == INK_OK) {
        ink_bench_probe(b);
        status = ink_bench_print(b, error);
    }
    ink_model_close(model);
    ink_free(b);
    return status;
}
