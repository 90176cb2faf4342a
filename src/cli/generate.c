#include "answer.h"
#include "cli.h"
#include "input.h"
#include "interrupt.h"
#include "json.h"
#include "output.h"
#include "system.h"
#include "terminal.h"

#include <math.h>
#include <string.h>

enum { DEFAULT_NEW_TOKENS = 256, DEFAULT_CONTEXT = 4096 };

/* What one run needs, and what it found out. */
struct run {
    struct ink_options options;
    int cut; /* plain prompts are cut to so many tokens; 0: never */
    struct ink_model *model;
    const struct ink_model_info *info;
    struct ink_adapter *adapter; /* NULL: none */
    struct ink_generator *generator;
    struct ink_string text; /* of the prompt */
    int32_t *prompt;
    size_t n_prompt;
    double load_seconds;
};

/* ----------------------------------------------------------------------------------- prompt */

static int check_sources(const struct ink_options *o, struct ink_error *error)
{
    if ((o->prompt != NULL) + (o->file != NULL) + (o->ids != NULL) + o->from_stdin > 1) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "give one of -p, -f, - and --ids, not more");
    }
    if (o->ids && o->template_name && strcmp(o->template_name, "chat") == 0) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "--ids: taken as they are, no template can be applied to them");
    }
    return INK_OK;
}

static int read_text(struct run *r, struct ink_error *error)
{
    const struct ink_options *o = &r->options;
    if (o->file || o->from_stdin) {
        return ink_input_read_text(&r->text, o->file, error);
    }
    ink_string_puts(&r->text, o->prompt ? o->prompt : "");
    return r->text.failed ? ink_fail_memory(error, r->text.length) : INK_OK;
}

static bool uses_template(const struct run *r)
{
    const char *name = r->options.template_name;
    return name &&
           (strcmp(name, "chat") == 0 || (strcmp(name, "auto") == 0 && r->info->has_chat_template));
}

/* Put the token that plain text begins with, if the model has one, before the prompt. */
static int add_bos(struct run *r, struct ink_error *error)
{
    int32_t bos = ink_bos_token(r->model);
    if (bos < 0) {
        return INK_OK;
    }
    int32_t *longer = ink_malloc((r->n_prompt + 1) * sizeof *longer);
    if (!longer) {
        return ink_fail_memory(error, (r->n_prompt + 1) * sizeof *longer);
    }
    longer[0] = bos;
    if (r->n_prompt > 0) {
        memcpy(longer + 1, r->prompt, r->n_prompt * sizeof *longer);
    }
    ink_free(r->prompt);
    r->prompt = longer;
    r->n_prompt++;
    return INK_OK;
}

static void cut_prompt(struct run *r)
{
    if (r->cut > 0 && r->n_prompt > (size_t)r->cut) {
        struct ink_error note;
        ink_fail(&note, INK_OK, "the prompt was cut from %llu to %d tokens (--preset article)",
                 (unsigned long long)r->n_prompt, r->cut);
        ink_cli_warn(note.message);
        r->n_prompt = (size_t)r->cut;
    }
}

static int encode_plain(struct run *r, struct ink_error *error)
{
    int status = ink_tokenize(r->model, &r->prompt, &r->n_prompt, r->text.data, r->text.length,
                              false, error);
    if (status == INK_OK) {
        status = add_bos(r, error);
    }
    if (status == INK_OK && r->n_prompt == 0) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "the prompt is empty (give -p TEXT, -f FILE, - or --ids)");
    }
    if (status == INK_OK) {
        cut_prompt(r);
    }
    return status;
}

static int encode_prompt(struct run *r, struct ink_error *error)
{
    if (r->options.ids) {
        int status =
            ink_input_parse_ids(&r->prompt, &r->n_prompt, r->options.ids, strlen(r->options.ids),
                                r->info->vocab_size, "--ids", INK_ERROR_ARGUMENT, error);
        if (status == INK_OK && r->n_prompt == 0) {
            status = ink_fail(error, INK_ERROR_ARGUMENT, "--ids: no ids");
        }
        return status;
    }
    if (!uses_template(r)) {
        return encode_plain(r, error);
    }
    if (strlen(r->text.data) != r->text.length) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "a question for a chat template cannot hold zero bytes");
    }
    struct ink_message message = {"user", r->text.data};
    return ink_chat_tokenize(r->model, &r->prompt, &r->n_prompt, &message, 1, true, error);
}

/* ------------------------------------------------------------------------------------ context */

/* Without --ctx a long prompt gets the room it needs, as far as the model goes. */
static int choose_context(const struct run *r, int max_new_tokens)
{
    if (ink_options_has(&r->options, INK_OPTION_CTX)) {
        return r->options.ctx;
    }
    uint64_t wanted = (uint64_t)r->n_prompt + (uint64_t)max_new_tokens;
    wanted = wanted > DEFAULT_CONTEXT ? wanted : DEFAULT_CONTEXT;
    return wanted < (uint64_t)r->info->max_positions ? (int)wanted : r->info->max_positions;
}

static int open_context(struct run *r, int max_new_tokens, struct ink_error *error)
{
    int n = choose_context(r, max_new_tokens);
    if (r->n_prompt > (size_t)n) {
        return ink_cli_fail_too_long(r->model, r->n_prompt, n, error);
    }
    struct ink_generator_options options;
    ink_options_generator(&r->options, n, &options);
    int status = ink_generator_open(&r->generator, r->model, &options, error);
    return status == INK_OK ? ink_generator_set_adapter(r->generator, r->adapter, error) : status;
}

/* ------------------------------------------------------------------------------------- output */

static int sink_text(void *context, const char *text, size_t n, struct ink_error *error)
{
    (void)context;
    return ink_output_answer(text, n, error);
}

static int sink_nothing(void *context, const char *text, size_t n, struct ink_error *error)
{
    (void)context, (void)text, (void)n, (void)error;
    return INK_OK;
}

/* null where nothing was read. */
static void append_rate(struct ink_string *out, const char *key, int n, double seconds)
{
    ink_output_json_number(out, key, n > 0 && seconds > 0 ? n / seconds : (double)NAN);
}

static int print_json(const struct run *r, const struct ink_answer *a, uint64_t seed,
                      struct ink_error *error)
{
    struct ink_string out = {0};
    ink_string_puts(&out, "{");
    ink_output_key(&out, "text");
    if (r->info->has_tokenizer) {
        ink_json_append_string(&out, a->text.data ? a->text.data : "", a->text.length);
    } else {
        ink_string_puts(&out, "null");
    }
    ink_output_key(&out, "ids");
    ink_output_ids(&out, a->ids, (size_t)a->n_ids);
    ink_output_key(&out, "prompt_ids");
    ink_output_ids(&out, r->prompt, r->n_prompt);
    ink_output_json_string(&out, "finish_reason", a->finish_reason);
    ink_output_json_integer(&out, "seed", seed);
    ink_output_key(&out, "draft");
    ink_string_puts(&out, "{");
    ink_output_json_integer(&out, "drafted_tokens", a->n_drafted);
    ink_output_json_integer(&out, "accepted_tokens", a->n_accepted);
    ink_string_puts(&out, "}");
    ink_output_key(&out, "timings");
    ink_string_puts(&out, "{");
    ink_output_json_number(&out, "load_seconds", r->load_seconds);
    ink_output_json_integer(&out, "prefill_tokens", (uint64_t)a->n_prefill);
    ink_output_json_number(&out, "prefill_seconds", a->prefill_seconds);
    append_rate(&out, "prefill_tokens_per_second", a->n_prefill, a->prefill_seconds);
    ink_output_json_integer(&out, "decode_tokens", (uint64_t)a->n_decode);
    ink_output_json_number(&out, "decode_seconds", a->decode_seconds);
    append_rate(&out, "decode_tokens_per_second", a->n_decode, a->decode_seconds);
    ink_string_puts(&out, "}}\n");
    int status = ink_output_put_string(&out, error);
    ink_string_free(&out);
    return status;
}

/* ------------------------------------------------------------------------------------ command */

static int write_answer(struct run *r, struct ink_error *error)
{
    const struct ink_options *o = &r->options;
    struct ink_answer_settings settings = {
        .stops = o->stops, .n_stops = o->n_stops, .without_text = !r->info->has_tokenizer};
    settings.max_new_tokens =
        ink_options_has(o, INK_OPTION_MAX_NEW_TOKENS) ? o->max_new_tokens : DEFAULT_NEW_TOKENS;
    ink_options_sampling(o, r->model, &settings.sampling);
    int status = open_context(r, settings.max_new_tokens, error);
    if (status != INK_OK) {
        return status;
    }
    struct ink_answer answer = {0};
    status = ink_answer_write(&answer, r->model, r->generator, r->prompt, (int)r->n_prompt,
                              &settings, o->json ? sink_nothing : sink_text, NULL, error);
    if (o->json && status == INK_OK) {
        status = print_json(r, &answer, settings.sampling.seed, error);
    } else if (!o->json && ink_terminal_is(INK_STDOUT)) {
        struct ink_error ignored;
        ink_output_put("\n", 1, &ignored);
    }
    ink_answer_close(&answer);
    return status;
}

static int run(struct run *r, struct ink_error *error)
{
    const struct ink_options *o = &r->options;
    int status = check_sources(o, error);
    if (status == INK_OK && !o->ids) {
        status = read_text(r, error); /* before the model, which may take a while */
    }
    if (status != INK_OK) {
        return status;
    }
    double start = ink_system_seconds();
    status = ink_cli_open_model(&r->model, o,
                                o->ids && o->json ? INK_TOKENIZER_WANTED : INK_TOKENIZER_NEEDED,
                                false, error);
    if (status == INK_OK) {
        status = ink_cli_open_adapter(&r->adapter, r->model, o->lora, error);
    }
    if (status != INK_OK) {
        return status;
    }
    r->load_seconds = ink_system_seconds() - start;
    r->info = ink_model_get_info(r->model);
    ink_interrupt_defer(true);
    status = encode_prompt(r, error);
    return status == INK_OK ? write_answer(r, error) : status;
}

int ink_command_generate(const struct ink_options *options, struct ink_error *error)
{
    struct run r = {.options = *options};
    r.cut = ink_options_apply_preset(&r.options);
    int status = run(&r, error);
    ink_generator_close(r.generator);
    ink_free(r.prompt);
    ink_string_free(&r.text);
    ink_adapter_close(r.adapter);
    ink_model_close(r.model);
    return status;
}
