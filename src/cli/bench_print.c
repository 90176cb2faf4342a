#include "bench.h"
#include "output.h"

#include <math.h>
#include <string.h>

/* --------------------------------------------------------------------------------------- JSON */

static void json_ceilings(struct ink_string *out, const struct ink_ceilings *c)
{
    ink_output_json_number(out, "read_bytes_per_second",
                           c->read_bytes > 0 ? c->read_bytes : (double)NAN);
    ink_output_json_number(out, "int8_operations_per_second", c->int8_operations);
    ink_output_json_number(out, "float32_operations_per_second", c->f32_operations);
}

static void json_machine(struct ink_string *out, const struct ink_bench *b)
{
    ink_output_key(out, "machine");
    ink_string_puts(out, "{");
    ink_output_json_string(out, "cpu", b->cpu);
    ink_output_json_integer(out, "threads", (uint64_t)b->info->threads);
    ink_output_json_string(out, "cpu_level", b->info->cpu_level);
    ink_output_json_string(out, "int8_instruction", b->ceilings.int8_instruction);
    json_ceilings(out, &b->ceilings);
    ink_string_puts(out, "}");
}

static void json_model(struct ink_string *out, const struct ink_bench *b)
{
    ink_output_key(out, "model");
    ink_string_puts(out, "{");
    ink_output_json_string(out, "path", b->info->path);
    ink_output_json_string(out, "architecture", b->info->architecture);
    ink_output_json_string(out, "weight_type", b->info->weight_type);
    ink_output_json_string(out, "arithmetic", b->info->arithmetic);
    ink_output_json_string(out, "kv", b->options->kv ? b->options->kv : "f16");
    ink_output_json_integer(out, "n_parameters", b->info->n_parameters);
    ink_output_json_integer(out, "token_bytes", b->info->token_bytes);
    ink_string_puts(out, "}");
}

static void json_result(struct ink_string *out, const struct ink_bench_result *r)
{
    ink_string_puts(out, "{");
    ink_output_json_string(out, "test", r->test->name);
    ink_output_json_number(out, "tokens_per_second", r->tokens_per_second);
    ink_output_json_number(out, "stddev", r->stddev);
    ink_output_json_number(out, "seconds", r->seconds);
    ink_output_json_number(out, "bytes_per_token", r->bytes_per_token);
    ink_output_json_number(out, "operations_per_token", r->operations_per_token);
    ink_output_json_string(out, "limit", r->limit);
    ink_output_json_number(out, "reached", r->reached);
    json_ceilings(out, &r->ceilings);
    ink_string_puts(out, "}");
}

static void print_json(struct ink_string *out, const struct ink_bench *b)
{
    ink_string_puts(out, "{");
    ink_output_json_string(out, "version", ink_version());
    json_machine(out, b);
    json_model(out, b);
    ink_output_json_integer(out, "repeat", (uint64_t)b->repeat);
    ink_output_key(out, "results");
    ink_string_puts(out, "[");
    for (int i = 0; i < b->n_tests; i++) {
        ink_string_puts(out, i ? ", " : "");
        json_result(out, &b->results[i]);
    }
    ink_string_puts(out, "]");
    ink_output_key(out, "first_token");
    ink_string_puts(out, "{");
    ink_output_json_integer(out, "prompt_tokens", INK_BENCH_PROMPT);
    ink_output_json_number(out, "seconds", b->first_token);
    ink_output_json_number(out, "stddev", b->first_token_stddev);
    ink_string_puts(out, "}");
    ink_output_key(out, "peak_memory");
    ink_string_puts(out, "{");
    ink_output_json_integer(out, "context", (uint64_t)b->context);
    ink_output_json_number(out, "bytes", b->peak_memory ? (double)b->peak_memory : (double)NAN);
    ink_string_puts(out, "}}\n");
}

/* ---------------------------------------------------------------------------------------- CSV */

/* An empty field where there is no number. */
static void csv_number(struct ink_string *out, double value)
{
    ink_string_puts(out, ",");
    if (isfinite(value)) {
        ink_output_number(out, value);
    }
}

static void print_csv(struct ink_string *out, const struct ink_bench *b)
{
    ink_string_puts(out, "test,tokens_per_second,stddev,seconds,bytes_per_token,"
                         "operations_per_token,limit,reached,read_bytes_per_second,"
                         "int8_operations_per_second,float32_operations_per_second,bytes\n");
    for (int i = 0; i < b->n_tests; i++) {
        const struct ink_bench_result *r = &b->results[i];
        ink_string_puts(out, r->test->name);
        csv_number(out, r->tokens_per_second);
        csv_number(out, r->stddev);
        csv_number(out, r->seconds);
        csv_number(out, r->bytes_per_token);
        csv_number(out, r->operations_per_token);
        ink_string_printf(out, ",%s", r->limit);
        csv_number(out, r->reached);
        csv_number(out, r->ceilings.read_bytes > 0 ? r->ceilings.read_bytes : (double)NAN);
        csv_number(out, r->ceilings.int8_operations);
        csv_number(out, r->ceilings.f32_operations);
        ink_string_puts(out, ",\n");
    }
    ink_string_puts(out, "first token,");
    csv_number(out, b->first_token_stddev);
    csv_number(out, b->first_token);
    ink_string_printf(out, ",,,,,,,,\npeak memory @ %d,,,,,,,,,,", b->context);
    csv_number(out, b->peak_memory ? (double)b->peak_memory : (double)NAN);
    ink_string_puts(out, "\n");
}

/* ----------------------------------------------------------------------------------- Markdown */

static void md_machine(struct ink_string *out, const struct ink_bench *b)
{
    const struct ink_model_info *i = b->info;
    ink_string_printf(out, ink_text("inkstone %s, %s: %s, %.1f million parameters, %s"),
                      ink_version(), i->path, i->architecture, (double)i->n_parameters / 1e6,
                      i->weight_type);
    ink_string_puts(out, "\n");
    ink_string_printf(out, ink_text("%s, level %s, %d threads, %s arithmetic; medians of %d runs"),
                      b->cpu[0] ? b->cpu : ink_text("unknown"), i->cpu_level, i->threads,
                      i->arithmetic, b->repeat);
    ink_string_puts(out, "\n");
    ink_string_printf(out,
                      ink_text("measured between the runs: memory %.1f GB/s, int8 %.0f GOP/s (%s), "
                               "float32 %.0f GFLOP/s"),
                      b->ceilings.read_bytes / 1e9, b->ceilings.int8_operations / 1e9,
                      b->ceilings.int8_instruction, b->ceilings.f32_operations / 1e9);
    ink_string_puts(out, "\n\n");
}

static void md_cell(struct ink_string *out, int decimals, double value, const char *unit)
{
    if (isfinite(value)) {
        ink_string_printf(out, " %.*f%s |", decimals, value, unit);
    } else {
        ink_string_puts(out, " |");
    }
}

static void md_result(struct ink_string *out, const struct ink_bench_result *r)
{
    ink_string_printf(out, "| %s |", r->test->name);
    md_cell(out, 1, r->tokens_per_second, "");
    md_cell(out, 1, r->stddev, "");
    md_cell(out, 1, r->bytes_per_token / 1e6, "");
    ink_string_printf(out, " %s |", r->limit);
    md_cell(out, 0, 100 * r->reached, " %");
    ink_string_puts(out, "\n");
}

static void print_md(struct ink_string *out, const struct ink_bench *b)
{
    md_machine(out, b);
    ink_string_printf(out,
                      "| %s | %s | ± | %s | %s | %s |\n| --- | ---: | ---: | ---: | --- | ---: |\n",
                      ink_text("test"), ink_text("tokens/s"), ink_text("MB read/token"),
                      ink_text("limit"), ink_text("reached"));
    for (int i = 0; i < b->n_tests; i++) {
        md_result(out, &b->results[i]);
    }
    ink_string_puts(out, "\n");
    if (isfinite(b->first_token)) {
        ink_string_printf(out, ink_text("process start to first token: %.3f s ± %.3f"),
                          b->first_token, b->first_token_stddev);
    } else {
        ink_string_puts(out, ink_text("process start to first token: not measured"));
    }
    ink_string_puts(out, "\n");
    if (b->peak_memory > 0) {
        ink_string_printf(out, ink_text("peak memory with %d tokens of context: %.1f MiB"),
                          b->context, (double)b->peak_memory / 1048576);
        ink_string_puts(out, "\n");
    }
}

int ink_bench_print(const struct ink_bench *b, struct ink_error *error)
{
    const char *format = b->options->json            ? "json"
                         : b->options->output_format ? b->options->output_format
                                                     : "md";
    struct ink_string out = {0};
    if (strcmp(format, "json") == 0) {
        print_json(&out, b);
    } else if (strcmp(format, "csv") == 0) {
        print_csv(&out, b);
    } else {
        print_md(&out, b);
    }
    int status = ink_output_put_string(&out, error);
    ink_string_free(&out);
    return status;
}
