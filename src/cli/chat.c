#include "dialogue.h"
#include "interrupt.h"
#include "output.h"
#include "terminal.h"

#include <string.h>

enum { DEFAULT_NEW_TOKENS = 1024 };

int ink_dialogue_max_new_tokens(const struct ink_dialogue *d)
{
    return ink_options_has(&d->options, INK_OPTION_MAX_NEW_TOKENS) ? d->options.max_new_tokens
                                                                   : DEFAULT_NEW_TOKENS;
}

int ink_dialogue_trouble(const struct ink_dialogue *d, int status, const struct ink_error *error)
{
    if (!d->interactive) {
        return status;
    }
    ink_cli_complain(error);
    return INK_DIALOGUE_GOES_ON;
}

/* ------------------------------------------------------------------------------------- prompts */

/* A text to be continued stands alone: what was said before is not part of it. */
static int encode_plain(const struct ink_dialogue *d, int32_t **out, size_t *n,
                        struct ink_error *error)
{
    const char *text = d->conversation.turns[d->conversation.n_turns - 1].text;
    int32_t bos = ink_bos_token(d->model), *ids = NULL;
    int status = ink_tokenize(d->model, &ids, n, text, strlen(text), false, error);
    if (status != INK_OK) {
        return status;
    }
    *out = ink_malloc((*n + 1) * sizeof **out);
    if (!*out) {
        ink_free(ids);
        return ink_fail_memory(error, (*n + 1) * sizeof **out);
    }
    (*out)[0] = bos;
    memcpy(*out + (bos >= 0), ids, *n * sizeof **out);
    *n += bos >= 0;
    ink_free(ids);
    if (d->prompt_cut > 0 && *n > (size_t)d->prompt_cut) {
        struct ink_error note;
        ink_fail(&note, INK_OK, "the prompt was cut from %llu to %d tokens (--preset article)",
                 (unsigned long long)*n, d->prompt_cut);
        ink_cli_warn(note.message);
        *n = (size_t)d->prompt_cut;
    }
    return INK_OK;
}

static int encode(const struct ink_dialogue *d, int32_t **out, size_t *n, struct ink_error *error)
{
    return d->has_template ? ink_conversation_encode(&d->conversation, d->model, out, n, error)
                           : encode_plain(d, out, n, error);
}

/* Would the last question fit by itself? Asked before anything is forgotten for its sake. */
static int check_question(const struct ink_dialogue *d, size_t capacity, struct ink_error *error)
{
    const struct ink_conversation *c = &d->conversation;
    const struct ink_conversation alone = {
        .system = c->system, .turns = c->turns + c->n_turns - 1, .n_turns = 1};
    int32_t *ids = NULL;
    size_t n = 0;
    int status = ink_conversation_encode(&alone, d->model, &ids, &n, error);
    ink_free(ids);
    return status == INK_OK && n > capacity
               ? ink_cli_fail_too_long(d->model, n, (int)capacity, error)
               : status;
}

/* Drop the oldest turns until an answer of `room` tokens fits behind the prompt, or only the last
 * question is left. *out [*n] is the prompt, and is replaced. */
static int drop_turns(struct ink_dialogue *d, int32_t **out, size_t *n, size_t capacity,
                      size_t room, struct ink_error *error)
{
    int dropped = 0, status = check_question(d, capacity, error);
    while (status == INK_OK && *n + room > capacity &&
           ink_conversation_remove_oldest(&d->conversation)) {
        ink_free(*out);
        *out = NULL;
        status = encode(d, out, n, error);
        dropped++;
    }
    if (dropped > 0) {
        struct ink_error note;
        ink_fail(&note, INK_OK,
                 "the context of %d tokens is full: questions and answers forgotten "
                 "from the start: %d",
                 (int)capacity, dropped);
        ink_cli_warn(note.message);
    }
    return status;
}

/* The prompt, made to leave room for an answer: what was asked for, but at most a quarter of the
 * context. */
static int fit_prompt(struct ink_dialogue *d, int32_t **out, size_t *n, struct ink_error *error)
{
    size_t capacity = (size_t)ink_session_capacity(ink_generator_session(d->generator));
    size_t wanted = (size_t)ink_dialogue_max_new_tokens(d), room = capacity / 4;
    room = wanted < room ? wanted : room;
    int status = encode(d, out, n, error);
    if (status == INK_OK && d->has_template && *n + room > capacity) {
        status = drop_turns(d, out, n, capacity, room, error);
    }
    return status == INK_OK && *n > capacity
               ? ink_cli_fail_too_long(d->model, *n, (int)capacity, error)
               : status;
}

/* ------------------------------------------------------------------------------------- answers */

static int sink(void *context, const char *text, size_t n, struct ink_error *error)
{
    (void)context;
    return ink_output_answer(text, n, error);
}

/* Each answer ends its line. */
static int end_line(const struct ink_answer *answer, struct ink_error *error)
{
    size_t n = answer->text.length;
    int status = INK_OK;
    if (n == 0 || answer->text.data[n - 1] != '\n') {
        status = ink_output_put("\n", 1, error);
    }
    return status == INK_OK ? ink_output_flush(error) : status;
}

static void explain_end(const struct ink_dialogue *d, const struct ink_answer *answer, int status)
{
    if (!d->interactive) {
        return;
    }
    if (status == INK_ERROR_CANCELLED) {
        fprintf(d->notes, "%s\n", ink_text("(stopped)"));
    } else if (status == INK_OK && strcmp(answer->finish_reason, "length") == 0) {
        fprintf(d->notes, "%s\n", ink_text("(cut off: see /set max-new-tokens and --ctx)"));
    }
}

static int keep_answer(struct ink_dialogue *d, struct ink_answer *answer, struct ink_error *error)
{
    d->last = *answer;
    d->last.text = (struct ink_string){0};
    d->last.ids = NULL;
    if (answer->text.length == 0) {
        ink_conversation_remove_last(&d->conversation); /* the question: it has no answer */
        return INK_OK;
    }
    return ink_conversation_add(&d->conversation, INK_ROLE_ASSISTANT, answer->text.data, error);
}

static int write_answer(struct ink_dialogue *d, const int32_t *prompt, int n_prompt,
                        struct ink_error *error)
{
    struct ink_answer_settings settings = {.stops = d->options.stops,
                                           .n_stops = d->options.n_stops,
                                           .max_new_tokens = ink_dialogue_max_new_tokens(d)};
    ink_options_sampling(&d->options, d->model, &settings.sampling);
    settings.sampling.seed += d->n_answers++;
    if (d->interactive && d->has_template) {
        fputs(ink_text("Assistant: "), d->notes);
        fflush(d->notes);
    }
    struct ink_answer answer = {0};
    ink_terminal_hide_control(d->interactive);
    int status = ink_answer_write(&answer, d->model, d->generator, prompt, n_prompt, &settings,
                                  sink, NULL, error);
    ink_terminal_hide_control(false);
    if (status == INK_OK || status == INK_ERROR_CANCELLED) {
        struct ink_error late;
        int ended = end_line(&answer, &late);
        explain_end(d, &answer, status);
        ended = ended == INK_OK ? keep_answer(d, &answer, &late) : ended;
        if (ended != INK_OK) {
            status = ended;
            *error = late;
        }
    }
    ink_answer_close(&answer);
    return status;
}

int ink_dialogue_answer(struct ink_dialogue *d, struct ink_error *error)
{
    int32_t *prompt = NULL;
    size_t n = 0;
    int status = fit_prompt(d, &prompt, &n, error);
    if (status == INK_OK && n == 0) {
        status = ink_fail(error, INK_ERROR_ARGUMENT, "the prompt is empty");
    }
    if (status != INK_OK) {
        ink_free(prompt);
        ink_conversation_remove_last(&d->conversation);
        return ink_dialogue_trouble(d, status, error);
    }
    status = write_answer(d, prompt, (int)n, error);
    ink_free(prompt);
    if (status == INK_ERROR_CANCELLED && d->interactive) {
        ink_interrupt_clear();
        return INK_DIALOGUE_GOES_ON;
    }
    return status;
}

int ink_dialogue_ask(struct ink_dialogue *d, const char *question, struct ink_error *error)
{
    int status = ink_conversation_add(&d->conversation, INK_ROLE_USER, question, error);
    return status == INK_OK ? ink_dialogue_answer(d, error) : status;
}

/* ---------------------------------------------------------------------------------------- loop */

/* Without the spaces around it. */
static char *trim(struct ink_string *line)
{
    static const char blank[] = " \t\r";
    while (line->length > 0 && strchr(blank, line->data[line->length - 1])) {
        line->data[--line->length] = '\0';
    }
    return line->data + strspn(line->data, blank);
}

static int take_line(struct ink_dialogue *d, struct ink_string *line, struct ink_error *error)
{
    if (strlen(line->data) != line->length) {
        return ink_dialogue_trouble(
            d, ink_fail(error, INK_ERROR_INPUT, "a question cannot hold zero bytes"), error);
    }
    const char *text = trim(line);
    if (*text == '\0' || strcmp(text, "exit") == 0 || strcmp(text, "quit") == 0) {
        return INK_DIALOGUE_ENDS;
    }
    if (text[0] == '/' && text[1] != '/') {
        return ink_dialogue_command(d, text, error);
    }
    return ink_dialogue_ask(d, text + (text[0] == '/'), error);
}

static int leave(const struct ink_dialogue *d, enum ink_line_result how, struct ink_error *error)
{
    if (how == INK_LINE_INTERRUPTED && !d->interactive) {
        return ink_fail(error, INK_ERROR_CANCELLED, "%s: interrupted", ink_text("standard input"));
    }
    if (how == INK_LINE_END && d->interactive) {
        fputs("\n", d->notes); /* Ctrl-D leaves the cursor behind the prompt */
    }
    return INK_DIALOGUE_ENDS;
}

static int talk(struct ink_dialogue *d, struct ink_error *error)
{
    const char *prompt = ink_text(d->has_template ? "User: " : "Text: ");
    struct ink_string line = {0};
    int status = INK_DIALOGUE_GOES_ON;
    while (status == INK_DIALOGUE_GOES_ON) {
        enum ink_line_result how = ink_lineedit_read(d->lineedit, &line, prompt, error);
        if (how == INK_LINE_FAILED) {
            status = error->code;
        } else if (how != INK_LINE_READ) {
            status = leave(d, how, error);
        } else {
            status = take_line(d, &line, error);
        }
    }
    ink_string_free(&line);
    return status == INK_DIALOGUE_ENDS ? INK_OK : status;
}

static bool wants_template(const struct ink_options *o, const struct ink_model_info *info)
{
    if (!o->template_name || strcmp(o->template_name, "auto") == 0) {
        return info->has_chat_template;
    }
    return strcmp(o->template_name, "chat") == 0;
}

/* A model without a template may still have been made for conversations, if it is an ERNIE and has
 * the tokens of its template. */
static bool could_converse(const struct ink_model *model)
{
    const struct ink_message message = {"user", "?"};
    int32_t *ids = NULL;
    size_t n = 0;
    bool could = strcmp(ink_model_get_info(model)->architecture, "ernie4_5") == 0 &&
                 ink_chat_tokenize(model, &ids, &n, &message, 1, true, NULL) == INK_OK;
    ink_free(ids);
    return could;
}

static void explain_plain_text(const struct ink_dialogue *d)
{
    const char *name = d->options.template_name;
    if (d->interactive && !d->has_template && (!name || strcmp(name, "auto") == 0) &&
        could_converse(d->model)) {
        fprintf(stderr, "inkstone: %s\n",
                ink_text("lines are continued as plain text: the model has no chat template; "
                         "--template chat makes a conversation of it"));
    }
}

static int open_dialogue(struct ink_dialogue *d, struct ink_error *error)
{
    int status = ink_cli_open_model(&d->model, &d->options, INK_TOKENIZER_NEEDED, false, error);
    if (status == INK_OK) {
        status = ink_cli_open_adapter(&d->adapter, d->model, d->options.lora, error);
    }
    if (status != INK_OK) {
        return status;
    }
    d->has_template = wants_template(&d->options, ink_model_get_info(d->model));
    d->notes = ink_terminal_is(INK_STDOUT) ? stdout : stderr;
    struct ink_generator_options options;
    ink_options_generator(&d->options, d->options.ctx, &options);
    status = ink_generator_open(&d->generator, d->model, &options, error);
    if (status == INK_OK) {
        status = ink_generator_set_adapter(d->generator, d->adapter, error);
    }
    if (status == INK_OK) {
        status = ink_lineedit_open(&d->lineedit, error);
    }
    if (status == INK_OK) {
        d->interactive = ink_lineedit_is_interactive(d->lineedit);
        explain_plain_text(d);
    }
    return status;
}

int ink_command_chat(const struct ink_options *options, struct ink_error *error)
{
    struct ink_dialogue *d = ink_calloc(1, sizeof *d);
    if (!d) {
        return ink_fail_memory(error, sizeof *d);
    }
    d->options = *options;
    d->prompt_cut = ink_options_apply_preset(&d->options);
    int status = open_dialogue(d, error);
    if (status == INK_OK) {
        ink_interrupt_defer(true);
        if (d->interactive) {
            fprintf(d->notes, "%s\n", ink_text("/help lists commands; an empty line leaves."));
        }
        status = talk(d, error);
    }
    ink_lineedit_close(d->lineedit);
    ink_conversation_close(&d->conversation);
    ink_generator_close(d->generator);
    ink_adapter_close(d->adapter);
    ink_model_close(d->model);
    ink_free(d);
    return status;
}
