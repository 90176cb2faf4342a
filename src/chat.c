#include "chat.h"

#include "spm.h"
#include "utf8.h"

#include <string.h>

static const char begin_token[] = "<|begin_of_sentence|>";
static const char end_token[] = "<|end_of_sentence|>";

bool ink_chat_is_supported(const struct ink_tokenizer *t)
{
    return ink_tokenizer_find(t, begin_token) >= 0 && ink_tokenizer_find(t, end_token) >= 0;
}

int32_t ink_chat_end_token(const struct ink_tokenizer *t)
{
    return ink_chat_is_supported(t) ? ink_tokenizer_find(t, end_token) : -1;
}

/* ------------------------------------------------------------------------------------- encoding */

struct chat {
    const struct ink_tokenizer *t;
    struct ink_ids ids;
    struct ink_string text; /* since the last special token */
    struct ink_error *error;
};

static int append_token(struct chat *c, const char *token)
{
    const int32_t id = ink_tokenizer_find(c->t, token);
    return ink_ids_append(&c->ids, &id, 1) ? INK_OK : ink_fail_memory(c->error, sizeof id);
}

/* The text so far, as one string and as plain text, then `token` (NULL: none). */
static int end_text(struct chat *c, const char *token)
{
    int32_t *ids = NULL;
    size_t n = 0;
    int status = c->text.failed
                     ? ink_fail_memory(c->error, c->text.length)
                     : ink_tokenizer_encode(c->t, &ids, &n, c->text.data ? c->text.data : "",
                                            c->text.length, false, c->error);
    if (status == INK_OK && !ink_ids_append(&c->ids, ids, n)) {
        status = ink_fail_memory(c->error, n * sizeof *ids);
    }
    if (status == INK_OK && token) {
        status = append_token(c, token);
    }
    ink_free(ids);
    c->text.length = 0;
    return status;
}

static int append_message(struct chat *c, const struct ink_message *m)
{
    if (!m->role || !m->content) {
        return ink_fail(c->error, INK_ERROR_ARGUMENT, "a chat message has no role or no content");
    }
    if (strcmp(m->role, "system") == 0) {
        ink_string_puts(&c->text, m->content);
        ink_string_puts(&c->text, "\n");
        return INK_OK;
    }
    if (strcmp(m->role, "user") == 0) {
        ink_string_puts(&c->text, "User: ");
        ink_string_puts(&c->text, m->content);
        ink_string_puts(&c->text, "\n");
        return INK_OK;
    }
    if (strcmp(m->role, "assistant") == 0) {
        ink_string_puts(&c->text, "Assistant: ");
        ink_string_puts(&c->text, m->content);
        return end_text(c, end_token);
    }
    return ink_fail(c->error, INK_ERROR_ARGUMENT,
                    "unknown role \"%.40s\" of a chat message (system, user or assistant)",
                    m->role);
}

static int append_chat(struct chat *c, const struct ink_message *messages, int n_messages,
                       bool add_generation_prompt)
{
    int status = append_token(c, begin_token);
    for (int i = 0; i < n_messages && status == INK_OK; i++) {
        status = append_message(c, &messages[i]);
    }
    if (add_generation_prompt) {
        ink_string_puts(&c->text, "Assistant: ");
    }
    return status == INK_OK ? end_text(c, NULL) : status;
}

int ink_chat_encode(const struct ink_tokenizer *t, int32_t **out, size_t *n,
                    const struct ink_message *messages, int n_messages, bool add_generation_prompt,
                    struct ink_error *error)
{
    struct chat c = {.t = t, .error = error};
    *out = NULL;
    *n = 0;
    if (!ink_chat_is_supported(t)) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "this model has no chat format (its vocabulary lacks %s or %s)",
                        begin_token, end_token);
    }
    int status = append_chat(&c, messages, n_messages, add_generation_prompt);
    ink_string_free(&c.text);
    if (status != INK_OK) {
        ink_free(c.ids.data);
        return status;
    }
    *out = c.ids.data;
    *n = c.ids.length;
    return INK_OK;
}

/* ------------------------------------------------------------------------------ other templates */

/* The template that Baidu publishes with ERNIE-4.5-0.3B, without white space around tags. */
static const char *const known_templates[] = {
    "{%- if not add_generation_prompt is defined -%}"
    "{%- set add_generation_prompt = true -%}"
    "{%- endif -%}"
    "{%- if not cls_token is defined -%}"
    "{%- set cls_token = \"<|begin_of_sentence|>\" -%}"
    "{%- endif -%}"
    "{%- if not sep_token is defined -%}"
    "{%- set sep_token = \"<|end_of_sentence|>\" -%}"
    "{%- endif -%}"
    "{{- cls_token -}}"
    "{%- for message in messages -%}"
    "{%- if message[\"role\"] == \"user\" -%}"
    "{{- \"User: \" + message[\"content\"] + \"\n\" -}}"
    "{%- elif message[\"role\"] == \"assistant\" -%}"
    "{{- \"Assistant: \" + message[\"content\"] + sep_token -}}"
    "{%- elif message[\"role\"] == \"system\" -%}"
    "{{- message[\"content\"] + \"\n\" -}}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}"
    "{{- \"Assistant: \" -}}"
    "{%- endif -%}",
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Skip white space and comments. Between two tags that strip ("-%}", "{%-") white space has no
 * meaning, and inside a tag only between words, where one character of `at` would differ anyway. */
static const char *skip_blank(const char *at)
{
    for (;;) {
        while (is_space(*at)) {
            at++;
        }
        const char *end = strncmp(at, "{#", 2) == 0 ? strstr(at, "#}") : NULL;
        if (!end) {
            return at;
        }
        at = end + 2;
    }
}

/* One character of a template in normal form: escapes in strings resolved, quotes alike. */
struct cursor {
    const char *at;
    char quote; /* inside a string: the quote that ends it */
};

static int next_character(struct cursor *c)
{
    if (!c->quote) {
        c->at = skip_blank(c->at);
    }
    const char ch = *c->at;
    if (ch == '\0') {
        return -1;
    }
    c->at++;
    if (c->quote && ch == c->quote) {
        c->quote = 0;
        return '"';
    }
    if (!c->quote && (ch == '"' || ch == '\'')) {
        c->quote = ch;
        return '"';
    }
    if (c->quote && ch == '\\' && *c->at == 'n') {
        c->at++;
        return '\n';
    }
    return (unsigned char)ch;
}

/* Where `text` first differs from `known`, as a pointer into text; NULL if it does not. */
static const char *find_difference(const char *text, const char *known, const char **known_at)
{
    struct cursor a = {text, 0}, b = {known, 0};
    for (;;) {
        const char quoted = a.quote;
        const char *a_at = quoted ? a.at : skip_blank(a.at);
        const char *b_at = b.quote ? b.at : skip_blank(b.at);
        const int x = next_character(&a), y = next_character(&b);
        if (x != y) {
            *known_at = b_at;
            return a_at;
        }
        if (x < 0) {
            return NULL;
        }
    }
}

/* A few words around `text`, in one line, from the start of its tag if that is near. */
static void append_excerpt(struct ink_string *out, const char *text, const char *start)
{
    enum { most = 70, most_before = 40 };
    const char *const at = text;
    size_t n = 0;
    while (text > start && text[-1] != '\n' && text[-1] != '}' &&
           (at - text < most_before || ((unsigned char)*text & 0xC0) == 0x80)) {
        text--;
    }
    while (text < at && is_space(*text)) {
        text++;
    }
    while (n < most && text[n] != '\0' && text[n] != '\n') {
        n++;
    }
    while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80) {
        n--;
    }
    struct ink_utf8_assembler assembler = {.n_held = 0};
    for (size_t i = 0; i < n; i++) { /* it goes to a terminal: no control characters */
        ink_utf8_push(&assembler, out, (unsigned char)text[i] < ' ' ? " " : text + i, 1);
    }
    ink_utf8_flush(&assembler, out);
}

char *ink_chat_template_difference(const char *chat_template)
{
    if (!chat_template) {
        return NULL;
    }
    const char *known = "", *known_at = "", *at = chat_template;
    for (size_t i = 0; i < INK_COUNT(known_templates); i++) {
        known = known_templates[i];
        at = find_difference(chat_template, known, &known_at);
        if (!at) {
            return NULL;
        }
    }
    struct ink_string here = {0}, there = {0}, out = {0};
    int line = 1;
    for (const char *p = chat_template; p < at; p++) {
        line += *p == '\n';
    }
    append_excerpt(&here, at, chat_template);
    append_excerpt(&there, known_at, known);
    ink_string_printf(&out,
                      ink_text("the model's chat template is not ERNIE 4.5's, which is used "
                               "instead; they differ first in its line %d: \"%s\", not \"%s\""),
                      line, here.data ? here.data : "", there.data ? there.data : "");
    const bool failed = here.failed || there.failed || out.failed;
    ink_string_free(&here);
    ink_string_free(&there);
    if (failed) {
        ink_string_free(&out);
        return NULL;
    }
    return out.data;
}
