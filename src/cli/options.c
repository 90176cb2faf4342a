#include "options.h"
#include "terminal.h"
#include "utf8.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ----------------------------------------------------------------------------------- values */

static bool parse_integer(const char *text, long long *out)
{
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' &&
           strspn(text, "+-0123456789") == strlen(text);
}

static bool parse_u64(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *text && *end == '\0' && strspn(text, "0123456789") == strlen(text);
}

static bool parse_float(const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*out) &&
           strspn(text, "+-.0123456789eE") == strlen(text);
}

static bool parse_flag(const char *text, bool *out)
{
    static const char *const words[] = {"0", "no", "false", "1", "yes", "true"};
    for (size_t i = 0; i < INK_COUNT(words); i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = i >= INK_COUNT(words) / 2;
            return true;
        }
    }
    return false;
}

static bool is_choice(const char *choices, const char *value)
{
    size_t n = strlen(value);
    for (const char *c = choices; *c;) {
        size_t length = strcspn(c, "|");
        if (length == n && memcmp(c, value, n) == 0) {
            return true;
        }
        c += length + (c[length] == '|');
    }
    return false;
}

static int set_int(void *field, const struct ink_option *option, const char *value,
                   const char *shown, struct ink_error *error)
{
    long long number;
    if (!parse_integer(value, &number) || number < option->min || number > option->max) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "%s: \"%s\" is not a whole number in the range %.0f..%.0f", shown, value,
                        option->min, option->max);
    }
    *(int *)field = (int)number;
    return INK_OK;
}

/* "1,2,3", or "none" */
static int set_list(struct ink_option_list *list, const struct ink_option *option,
                    const char *value, const char *shown, struct ink_error *error)
{
    list->n = 0;
    for (const char *at = value; strcmp(value, "none") != 0;) {
        char number[32];
        const size_t n = strcspn(at, ",");
        snprintf(number, sizeof number, "%.*s", n < sizeof number ? (int)n : 31, at);
        if (list->n == INK_MAX_LIST) {
            return ink_fail(error, INK_ERROR_ARGUMENT, "%s: \"%s\" is one too many (limit %d)",
                            shown, number, INK_MAX_LIST);
        }
        int status = set_int(&list->values[list->n++], option, number, shown, error);
        if (status != INK_OK || at[n] == '\0') {
            return status;
        }
        at += n + 1;
    }
    return INK_OK;
}

static int set_double(double *field, const struct ink_option *option, const char *value,
                      const char *shown, struct ink_error *error)
{
    double number;
    if (!parse_float(value, &number) || number < option->min || number > option->max) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "%s: \"%s\" is not a number in the range %g..%g",
                        shown, value, option->min, option->max);
    }
    *field = number;
    return INK_OK;
}

static int set_float(float *field, const struct ink_option *option, const char *value,
                     const char *shown, struct ink_error *error)
{
    double number;
    int status = set_double(&number, option, value, shown, error);
    if (status == INK_OK) {
        *field = (float)number;
    }
    return status;
}

static int add_stop(struct ink_options *o, const char *value, const char *shown,
                    struct ink_error *error)
{
    size_t n = strlen(value);
    if (n == 0) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "%s: the text must not be empty", shown);
    }
    if (n > INK_MAX_STOP_BYTES) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "%s: a text of %llu bytes is too long (limit %d)", shown,
                        (unsigned long long)n, INK_MAX_STOP_BYTES);
    }
    /* a part of a character would end an answer inside one */
    if (ink_utf8_valid_prefix(value, n) != n) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "%s: the text is not valid UTF-8", shown);
    }
    if (o->n_stops == INK_MAX_STOPS) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "%s: \"%s\" is one too many (limit %d)", shown,
                        value, INK_MAX_STOPS);
    }
    o->stops[o->n_stops++] = value;
    return INK_OK;
}

/* The text may be a secret: no message shows it. */
static int add_text(struct ink_option_texts *texts, const char *value, const char *shown,
                    struct ink_error *error)
{
    if (!*value) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "%s: the text must not be empty", shown);
    }
    if (texts->n == INK_MAX_TEXTS) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "%s: given too often (limit %d)", shown,
                        INK_MAX_TEXTS);
    }
    texts->values[texts->n++] = value;
    return INK_OK;
}

static int set_value(struct ink_options *o, const struct ink_option *option, const char *value,
                     const char *shown, struct ink_error *error)
{
    void *field = (char *)o + option->offset;
    switch (option->kind) {
    case INK_KIND_FLAG:
        if (!parse_flag(value, field)) {
            return ink_fail(error, INK_ERROR_ARGUMENT, "%s: \"%s\" is not allowed (allowed: %s)",
                            shown, value, "0|1|no|yes|false|true");
        }
        return INK_OK;
    case INK_KIND_INT:
        return set_int(field, option, value, shown, error);
    case INK_KIND_LIST:
        return set_list(field, option, value, shown, error);
    case INK_KIND_FLOAT:
        return set_float(field, option, value, shown, error);
    case INK_KIND_DOUBLE:
        return set_double(field, option, value, shown, error);
    case INK_KIND_U64:
        if (!parse_u64(value, field)) {
            return ink_fail(error, INK_ERROR_ARGUMENT,
                            "%s: \"%s\" is not a whole number in the range 0..%llu", shown, value,
                            (unsigned long long)UINT64_MAX);
        }
        return INK_OK;
    case INK_KIND_STOP:
        return add_stop(o, value, shown, error);
    case INK_KIND_TEXTS:
        return add_text(field, value, shown, error);
    case INK_KIND_CHOICE:
        if (!is_choice(option->choices, value)) {
            return ink_fail(error, INK_ERROR_ARGUMENT, "%s: \"%s\" is not allowed (allowed: %s)",
                            shown, value, option->argument ? option->argument : option->choices);
        }
        break;
    default:
        break;
    }
    *(const char **)field = value;
    return INK_OK;
}

int ink_options_set(struct ink_options *o, enum ink_option_id id, const char *value,
                    const char *shown, enum ink_option_source source, struct ink_error *error)
{
    int status = set_value(o, &ink_options_table[id], value, shown, error);
    if (status == INK_OK) {
        o->sources[id] = (unsigned char)source;
    }
    return status;
}

bool ink_options_has(const struct ink_options *o, enum ink_option_id id)
{
    return o->sources[id] != INK_FROM_NOWHERE;
}

/* -------------------------------------------------------------------------------- arguments */

static enum ink_option_id find(const char *name, size_t n, unsigned command)
{
    for (int id = 0; id < INK_OPTION_COUNT; id++) {
        const struct ink_option *option = &ink_options_table[id];
        if ((option->commands & command) && option->name && strlen(option->name) == n &&
            memcmp(option->name, name, n) == 0) {
            return (enum ink_option_id)id;
        }
    }
    return INK_OPTION_COUNT;
}

enum ink_option_id ink_options_find(const char *name, unsigned command)
{
    return find(name, strlen(name), command);
}

static enum ink_option_id find_letter(char letter, unsigned command)
{
    for (int id = 0; id < INK_OPTION_COUNT; id++) {
        const struct ink_option *option = &ink_options_table[id];
        if ((option->commands & command) && option->letter == letter) {
            return (enum ink_option_id)id;
        }
    }
    return INK_OPTION_COUNT;
}

/* Reads the arguments one by one. */
struct arguments {
    char **argv;
    int argc, next;
    unsigned command;
    bool only_names; /* after "--" */
};

/* argv[next] is an option: "--name", "--name=value", "-x" or "-xvalue". */
static int parse_option(struct ink_options *o, struct arguments *a, struct ink_error *error)
{
    const char *text = a->argv[a->next++];
    bool is_long = text[1] == '-';
    size_t n = is_long ? strcspn(text, "=") : 2;
    enum ink_option_id id =
        is_long ? find(text + 2, n - 2, a->command) : find_letter(text[1], a->command);
    char shown[64];
    snprintf(shown, sizeof shown, "%.*s", (int)n, text);
    if (id == INK_OPTION_COUNT) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "%s: unknown option (see --help)", shown);
    }
    const struct ink_option *option = &ink_options_table[id];
    const char *value = text[n] == '\0' ? NULL : text + n + is_long;
    if (option->kind == INK_KIND_FLAG) {
        if (value) {
            return ink_fail(error, INK_ERROR_ARGUMENT, "%s: takes no value (\"%s\")", shown, value);
        }
        return ink_options_set(o, id, "1", shown, INK_FROM_COMMAND, error);
    }
    if (!value && a->next == a->argc) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "%s: needs a value (%s)", shown,
                        option->argument ? option->argument : option->choices);
    }
    return ink_options_set(o, id, value ? value : a->argv[a->next++], shown, INK_FROM_COMMAND,
                           error);
}

static int fail_missing(bool is_data, struct ink_error *error)
{
    return is_data ? ink_fail(error, INK_ERROR_ARGUMENT, "DATA is missing (see --help)")
                   : ink_fail(error, INK_ERROR_ARGUMENT, "MODEL is missing (see --help)");
}

static int parse_name(struct ink_options *o, struct arguments *a, bool dash,
                      struct ink_error *error)
{
    const char *text = a->argv[a->next++];
    const char **name = a->command & INK_TAKES_MODEL && !o->model ? &o->model
                        : a->command & INK_TAKES_DATA && !o->data ? &o->data
                                                                  : NULL;
    if (dash && !a->only_names && !o->from_stdin && strcmp(text, "-") == 0) {
        o->from_stdin = true;
    } else if (name && !*text) {
        return fail_missing(name == &o->data, error);
    } else if (name) {
        *name = text;
    } else {
        return ink_fail(error, INK_ERROR_ARGUMENT, "%s: one argument too many (see --help)",
                        *text ? text : "\"\"");
    }
    return INK_OK;
}

/* ------------------------------------------------------------------------------ environment */

/* "top-k" is INKSTONE_TOP_K. */
static void name_variable(char *out, size_t size, const char *name)
{
    size_t n = (size_t)snprintf(out, size, "INKSTONE_%s", name);
    for (size_t i = 0; i < n && i < size; i++) {
        if (out[i] == '-') {
            out[i] = '_';
        } else if (out[i] >= 'a' && out[i] <= 'z') {
            out[i] = (char)(out[i] - 'a' + 'A');
        }
    }
}

/* Ids in the environment must not fight with a prompt on the command line, nor a configuration
 * with a model. */
static bool is_superseded(const struct ink_options *o, enum ink_option_id id)
{
    return o->sources[id] == INK_FROM_COMMAND || (id == INK_OPTION_FROM_CONFIG && o->model) ||
           (id == INK_OPTION_IDS && (o->prompt || o->file || o->from_stdin));
}

/* INKSTONE_TYPE=f32 is meant for export, and must not keep generate from running. */
static bool is_for_others(const struct ink_option *option, const char *value)
{
    if (option->kind != INK_KIND_CHOICE || is_choice(option->choices, value)) {
        return false;
    }
    for (int id = 0; id < INK_OPTION_COUNT; id++) {
        const struct ink_option *other = &ink_options_table[id];
        if (other->kind == INK_KIND_CHOICE && strcmp(other->name, option->name) == 0 &&
            is_choice(other->choices, value)) {
            return true;
        }
    }
    return false;
}

static int read_environment(struct ink_options *o, unsigned command, struct ink_error *error)
{
    int status = INK_OK;
    for (int id = 0; id < INK_OPTION_COUNT && status == INK_OK; id++) {
        const struct ink_option *option = &ink_options_table[id];
        if (!option->name || id == INK_OPTION_HELP || !(option->commands & command) ||
            is_superseded(o, (enum ink_option_id)id)) {
            continue;
        }
        char variable[64];
        name_variable(variable, sizeof variable, option->name);
        const char *value = ink_terminal_getenv(variable);
        if (value && *value && !is_for_others(option, value)) {
            status = ink_options_set(o, (enum ink_option_id)id, value, variable,
                                     INK_FROM_ENVIRONMENT, error);
        }
    }
    return status;
}

int ink_options_parse(struct ink_options *out, unsigned command, int min_models, bool dash,
                      int argc, char **argv, struct ink_error *error)
{
    *out = (struct ink_options){.command = command};
    struct arguments a = {.argv = argv, .argc = argc, .command = command};
    int status = INK_OK;
    while (status == INK_OK && a.next < argc && !out->help) {
        const char *text = argv[a.next];
        if (!a.only_names && strcmp(text, "--") == 0) {
            a.only_names = true;
            a.next++;
        } else if (!a.only_names && text[0] == '-' && text[1] != '\0') {
            status = parse_option(out, &a, error);
        } else {
            status = parse_name(out, &a, dash, error);
        }
    }
    if (status != INK_OK || out->help) {
        return status;
    }
    if (command & INK_TAKES_MODEL && min_models > 0 && !out->model) {
        return fail_missing(false, error);
    }
    if (command & INK_TAKES_DATA && !out->data) {
        return fail_missing(true, error);
    }
    return read_environment(out, command, error);
}
