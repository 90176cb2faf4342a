/* /help /set /system /clear /regen /save /load /file /stats /exit */
#include "dialogue.h"
#include "file.h"
#include "input.h"
#include "output.h"
#include "terminal.h"

#include <string.h>

typedef int command_function(struct ink_dialogue *d, const char *argument, struct ink_error *error);

struct command {
    const char *name, *argument, *help;
    bool needs_argument, needs_template;
    command_function *run;
};

static int run_help(struct ink_dialogue *d, const char *argument, struct ink_error *error);

/* Tell a person that something was done; a script sees it by the exit code. */
static void confirm(const struct ink_dialogue *d, const char *text)
{
    if (d->interactive) {
        fprintf(d->notes, "%s\n", ink_text(text));
    }
}

/* ---------------------------------------------------------------------------------------- /set */

static const enum ink_option_id settable[] = {
    INK_OPTION_TEMPERATURE,
    INK_OPTION_TOP_K,
    INK_OPTION_TOP_P,
    INK_OPTION_REPETITION_PENALTY,
    INK_OPTION_PRESENCE_PENALTY,
    INK_OPTION_FREQUENCY_PENALTY,
    INK_OPTION_MAX_NEW_TOKENS,
    INK_OPTION_SEED,
};

static void list_settings(const struct ink_dialogue *d)
{
    struct ink_sampling s;
    ink_options_sampling(&d->options, d->model, &s);
    fprintf(d->notes, "temperature %g\ntop-k %d\ntop-p %g\n", (double)s.temperature, s.top_k,
            (double)s.top_p);
    fprintf(d->notes, "repetition-penalty %g\npresence-penalty %g\nfrequency-penalty %g\n",
            (double)s.repetition_penalty, (double)s.presence_penalty, (double)s.frequency_penalty);
    fprintf(d->notes, "max-new-tokens %d\nseed %llu\n", ink_dialogue_max_new_tokens(d),
            (unsigned long long)s.seed);
}

static int run_set(struct ink_dialogue *d, const char *argument, struct ink_error *error)
{
    char name[32];
    size_t n = strcspn(argument, " \t=");
    const char *value = argument + n + strspn(argument + n, " \t=");
    if (n == 0) {
        list_settings(d);
        return INK_OK;
    }
    if (n >= sizeof name) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "/set: unknown name (/set alone lists them)");
    }
    memcpy(name, argument, n);
    name[n] = '\0';
    for (size_t i = 0; i < INK_COUNT(settable); i++) {
        if (strcmp(ink_options_table[settable[i]].name, name) == 0) {
            int status =
                ink_options_set(&d->options, settable[i], value, name, INK_FROM_COMMAND, error);
            if (status == INK_OK && settable[i] == INK_OPTION_SEED) {
                d->n_answers = 0;
            }
            if (status == INK_OK && d->interactive) {
                fprintf(d->notes, "(%s %s)\n", name, value);
            }
            return status;
        }
    }
    return ink_fail(error, INK_ERROR_ARGUMENT, "/set: unknown name (/set alone lists them)");
}

/* ------------------------------------------------------------------------------- conversation */

static int show_system(const struct ink_dialogue *d, struct ink_error *error)
{
    const char *text = d->conversation.system;
    struct ink_string out = {0};
    if (text) {
        ink_output_clean(&out, text, strlen(text),
                         ink_terminal_is(d->notes == stdout ? INK_STDOUT : INK_STDERR));
    } else {
        ink_string_puts(&out, ink_text("(there is no system prompt)"));
    }
    if (out.failed) {
        ink_string_free(&out);
        return ink_fail_memory(error, out.capacity);
    }
    fprintf(d->notes, "%s\n", out.data ? out.data : "");
    ink_string_free(&out);
    return INK_OK;
}

static int run_system(struct ink_dialogue *d, const char *argument, struct ink_error *error)
{
    if (!*argument) {
        return show_system(d, error);
    }
    bool removes = strcmp(argument, "-") == 0;
    int status = ink_conversation_set_system(&d->conversation, removes ? NULL : argument, error);
    if (status == INK_OK) {
        confirm(d, removes ? "(system prompt removed)" : "(system prompt set)");
    }
    return status;
}

static int run_clear(struct ink_dialogue *d, const char *argument, struct ink_error *error)
{
    (void)argument, (void)error;
    ink_conversation_clear(&d->conversation);
    confirm(d, "(conversation forgotten)");
    return INK_OK;
}

static int run_regen(struct ink_dialogue *d, const char *argument, struct ink_error *error)
{
    (void)argument;
    if (ink_conversation_last(&d->conversation) == INK_ROLE_ASSISTANT) {
        ink_conversation_remove_last(&d->conversation);
    }
    if (ink_conversation_last(&d->conversation) != INK_ROLE_USER) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "/regen: there is no question yet");
    }
    return ink_dialogue_answer(d, error);
}

static int run_save(struct ink_dialogue *d, const char *argument, struct ink_error *error)
{
    bool replaces = ink_path_kind(argument) == INK_PATH_FILE;
    if (replaces) { /* only what was a conversation: a mistyped name must not cost a file */
        struct ink_conversation old = {0};
        struct ink_error ignored;
        int status = ink_conversation_load(&old, argument, &ignored);
        ink_conversation_close(&old);
        if (status != INK_OK) {
            return ink_fail(error, INK_ERROR_ARGUMENT,
                            "%s: is there already and is no saved conversation", argument);
        }
    }
    int status = ink_conversation_save(&d->conversation, argument, error);
    if (status == INK_OK) {
        confirm(d, replaces ? "(replaced)" : "(saved)");
    }
    return status;
}

static int run_load(struct ink_dialogue *d, const char *argument, struct ink_error *error)
{
    int status = ink_conversation_load(&d->conversation, argument, error);
    if (status == INK_OK) {
        confirm(d, "(loaded)");
    }
    return status;
}

static int run_file(struct ink_dialogue *d, const char *argument, struct ink_error *error)
{
    struct ink_string text = {0};
    int status = ink_input_read_text(&text, argument, error);
    if (status == INK_OK && (text.length == 0 || strlen(text.data) != text.length)) {
        status = ink_fail(error, INK_ERROR_INPUT, "%s: empty, or holds zero bytes", argument);
    }
    if (status == INK_OK) {
        status = ink_dialogue_ask(d, text.data, error);
    }
    ink_string_free(&text);
    return status;
}

/* --------------------------------------------------------------------------------------- rest */

/* n tokens, of which `evaluated` took the time. */
static void put_rate(const struct ink_dialogue *d, const char *label, int n, int evaluated,
                     double seconds)
{
    fprintf(d->notes, "%s: %d %s, %.2f s, %.1f %s/s\n", label, n, ink_text("tokens"), seconds,
            evaluated > 0 && seconds > 0 ? evaluated / seconds : 0, ink_text("tokens"));
}

static int run_stats(struct ink_dialogue *d, const char *argument, struct ink_error *error)
{
    (void)argument, (void)error;
    const struct ink_answer *a = &d->last;
    put_rate(d, ink_text("prompt"), a->n_prefill, a->n_prefill, a->prefill_seconds);
    put_rate(d, ink_text("answer"), a->n_ids, a->n_decode, a->decode_seconds);
    fprintf(d->notes, "%s: %llu %s, %llu %s\n", ink_text("guessed ahead"),
            (unsigned long long)a->n_drafted, ink_text("tokens"), (unsigned long long)a->n_accepted,
            ink_text("right"));
    const struct ink_session *session = ink_generator_session(d->generator);
    fprintf(d->notes, "%s: %d / %d %s\n", ink_text("context"), ink_session_length(session),
            ink_session_capacity(session), ink_text("tokens"));
    return INK_OK;
}

static int run_exit(struct ink_dialogue *d, const char *argument, struct ink_error *error)
{
    (void)argument, (void)error;
    d->leaving = true;
    return INK_OK;
}

static const struct command commands[] = {
    {"help", "", "this list", false, false, run_help},
    {"set", "[NAME VALUE]", "change a setting; alone: list them", false, false, run_set},
    {"system", "[TEXT|-]", "set the system prompt; alone: show it; -: none", false, true,
     run_system},
    {"clear", "", "forget the conversation, keep the system prompt", false, false, run_clear},
    {"regen", "", "answer the last question again", false, false, run_regen},
    {"save", "FILE", "write the conversation as JSON", true, false, run_save},
    {"load", "FILE", "go on with a conversation from such a file", true, false, run_load},
    {"file", "FILE", "ask what is in a file", true, false, run_file},
    {"stats", "", "tokens and times of the last answer", false, false, run_stats},
    {"exit", "", "leave", false, false, run_exit},
};

static int run_help(struct ink_dialogue *d, const char *argument, struct ink_error *error)
{
    (void)argument;
    struct ink_string out = {0};
    for (size_t i = 0; i < INK_COUNT(commands); i++) {
        ink_string_printf(&out, "/%-6s ", commands[i].name);
        ink_output_pad(&out, commands[i].argument, 14);
        ink_string_printf(&out, "%s\n", ink_text(commands[i].help));
    }
    ink_string_printf(&out, "%s\n",
                      ink_text("A line that begins with // is a question that begins with /."));
    if (out.failed) {
        return ink_fail_memory(error, out.length);
    }
    fputs(out.data, d->notes);
    ink_string_free(&out);
    return INK_OK;
}

static const struct command *find(const char *name, size_t n)
{
    for (size_t i = 0; i < INK_COUNT(commands); i++) {
        if (strlen(commands[i].name) == n && memcmp(commands[i].name, name, n) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static int run(struct ink_dialogue *d, const struct command *command, const char *argument,
               struct ink_error *error)
{
    if (command->needs_argument && !*argument) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "/%s: needs a value (%s)", command->name,
                        command->argument);
    }
    if (command->needs_template && !d->has_template) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "/%s: only in a conversation with a chat template (see --template)",
                        command->name);
    }
    return command->run(d, argument, error);
}

int ink_dialogue_command(struct ink_dialogue *d, const char *line, struct ink_error *error)
{
    size_t n = strcspn(line + 1, " \t");
    const char *argument = line + 1 + n + strspn(line + 1 + n, " \t");
    const struct command *command = find(line + 1, n);
    int status = INK_OK;
    if (command) {
        status = run(d, command, argument, error);
    } else {
        status =
            ink_fail(error, INK_ERROR_ARGUMENT, "%s: unknown command (/help lists them)", line);
    }
    if (status < 0 && status != INK_ERROR_CANCELLED) {
        status = ink_dialogue_trouble(d, status, error);
    }
    return d->leaving ? INK_DIALOGUE_ENDS : status;
}
