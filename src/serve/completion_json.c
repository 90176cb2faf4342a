#include "completion.h"

#include "system.h"
#include "utf8.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PING_SECONDS = 10 };

static const char event_stream[] = "text/event-stream; charset=utf-8";

static bool is_chat(const struct ink_completion *c)
{
    return c->endpoint == INK_ENDPOINT_CHAT;
}

/* --------------------------------------------------------------------------------- JSON pieces */

static void append_text(struct ink_string *out, const char *key, const char *text, size_t n)
{
    ink_string_printf(out, "\"%s\":", key);
    ink_json_append_string(out, text ? text : "", text ? n : 0);
}

static void append_word(struct ink_string *out, const char *key, const char *word)
{
    append_text(out, key, word, strlen(word));
}

static void append_reason(struct ink_string *out, const char *reason)
{
    ink_string_printf(out, reason ? "\"finish_reason\":\"%s\"" : "\"finish_reason\":null", reason);
}

/* What every answer and every chunk of a stream begins with. */
static void append_head(struct ink_string *out, const struct ink_completion *c)
{
    const char *object = !is_chat(c)           ? "text_completion"
                         : c->params.is_stream ? "chat.completion.chunk"
                                               : "chat.completion";
    ink_string_puts(out, "{");
    append_word(out, "id", c->id);
    ink_string_puts(out, ",");
    append_word(out, "object", object);
    ink_string_printf(out, ",\"created\":%lld,", c->created);
    append_word(out, "model", c->model_name);
    ink_string_puts(out, ",");
    append_word(out, "system_fingerprint", c->api->fingerprint);
}

static void append_usage(struct ink_string *out, const struct ink_completion *c)
{
    ink_string_printf(
        out,
        "\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":%d,\"total_tokens\":%d,"
        "\"prompt_tokens_details\":{\"cached_tokens\":%d,\"audio_tokens\":0},"
        "\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0,"
        "\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}",
        c->n_prompt_tokens, c->n_tokens, c->n_prompt_tokens + c->n_tokens, c->n_cached);
}

static void separate(struct ink_string *out)
{
    if (out->length > 0) {
        ink_string_puts(out, ",");
    }
}

/* ---------------------------------------------------------------------------------- likelihoods */

/* Of one token: bytes [n]. */
static size_t token_bytes(const struct ink_completion *c, char *bytes, size_t room, int32_t id)
{
    size_t n = ink_token_bytes(c->api->options.model, bytes, room, id, true);
    return n < room ? n : room;
}

/* JSON has no infinity: OpenAI's own value for what is as good as impossible. */
static double finite(float logprob)
{
    return isfinite(logprob) ? (double)logprob : -9999.0;
}

/* {"token","logprob","bytes"} without the closing brace. */
static void append_scored(struct ink_string *out, const struct ink_completion *c,
                          struct ink_logprob scored)
{
    char bytes[512];
    size_t n = token_bytes(c, bytes, sizeof bytes, scored.token);
    ink_string_puts(out, "{");
    append_text(out, "token", bytes, n);
    ink_string_printf(out, ",\"logprob\":%.9g,\"bytes\":", finite(scored.logprob));
    if (ink_token_bytes(c->api->options.model, bytes, 0, scored.token, false) == 0 && n > 0) {
        ink_string_puts(out, "null"); /* a special token is no part of the text */
        return;
    }
    for (size_t i = 0; i < n; i++) {
        ink_string_printf(out, i > 0 ? ",%d" : "[%d", (unsigned char)bytes[i]);
    }
    ink_string_puts(out, n > 0 ? "]" : "[]");
}

static void append_chat_logprob(struct ink_string *out, const struct ink_completion *c,
                                const struct ink_answer_token *t)
{
    separate(out);
    append_scored(out, c, t->logprob);
    ink_string_puts(out, ",\"top_logprobs\":[");
    for (int i = 0; i < t->n_top; i++) {
        ink_string_puts(out, i > 0 ? "," : "");
        append_scored(out, c, t->top[i]);
        ink_string_puts(out, "}");
    }
    ink_string_puts(out, "]}");
}

static int count_characters(const char *bytes, size_t n)
{
    int count = 0;
    for (size_t i = 0; i < n; i++) {
        count += ((unsigned char)bytes[i] & 0xC0) != 0x80;
    }
    return count;
}

/* A token as completions name it: its text or, of a part of a character, "bytes:\xe4\xbd", so that
 * no two are called the same and the text can be put together again. */
static void append_token_name(struct ink_string *out, const char *bytes, size_t n)
{
    struct ink_string name = {0};
    if (ink_utf8_valid_prefix(bytes, n) == n) {
        ink_json_append_string(out, bytes, n);
        return;
    }
    ink_string_puts(&name, "bytes:");
    for (size_t i = 0; i < n; i++) {
        ink_string_printf(&name, "\\x%02x", (unsigned char)bytes[i]);
    }
    ink_json_append_string(out, name.data ? name.data : "", name.length);
    out->failed |= name.failed;
    ink_string_free(&name);
}

/* Completions: four parallel arrays. Offsets count characters. */
static void append_completion_logprob(struct ink_completion_choice *choice,
                                      const struct ink_completion *c,
                                      const struct ink_answer_token *t)
{
    char bytes[512];
    size_t n = token_bytes(c, bytes, sizeof bytes, t->logprob.token);
    separate(&choice->logprobs);
    append_token_name(&choice->logprobs, bytes, n);
    separate(&choice->values);
    ink_string_printf(&choice->values, "%.9g", finite(t->logprob.logprob));
    separate(&choice->offsets);
    ink_string_printf(&choice->offsets, "%zu", choice->n_chars);
    if (ink_token_bytes(c->api->options.model, bytes, 0, t->logprob.token, false) > 0) {
        choice->n_chars +=
            (size_t)count_characters(bytes, n); /* special ones are not in the text */
    }
    separate(&choice->top);
    ink_string_puts(&choice->top, "{");
    for (int i = 0; i < t->n_top; i++) {
        n = token_bytes(c, bytes, sizeof bytes, t->top[i].token);
        ink_string_puts(&choice->top, i > 0 ? "," : "");
        append_token_name(&choice->top, bytes, n);
        ink_string_printf(&choice->top, ":%.9g", finite(t->top[i].logprob));
    }
    ink_string_puts(&choice->top, "}");
}

static void append_logprobs(struct ink_string *out, const struct ink_completion *c,
                            const struct ink_completion_choice *choice)
{
    const char *entries = choice->logprobs.length > 0 ? choice->logprobs.data : "";
    if (c->params.n_logprobs < 0) {
        ink_string_puts(out, "\"logprobs\":null");
    } else if (is_chat(c)) {
        ink_string_puts(out, "\"logprobs\":{\"content\":[");
        ink_string_puts(out, entries);
        ink_string_puts(out, "],\"refusal\":null}");
    } else {
        const struct ink_string *const parts[] = {&choice->values, &choice->top, &choice->offsets};
        static const char *const names[] = {"token_logprobs", "top_logprobs", "text_offset"};
        ink_string_puts(out, "\"logprobs\":{\"tokens\":[");
        ink_string_puts(out, entries);
        for (size_t i = 0; i < INK_COUNT(parts); i++) {
            ink_string_printf(out, "],\"%s\":[", names[i]);
            ink_string_puts(out, parts[i]->length > 0 ? parts[i]->data : "");
        }
        ink_string_puts(out, "]}");
    }
}

static bool has_failed(const struct ink_completion_choice *choice)
{
    return choice->text.failed || choice->calls.failed || choice->logprobs.failed ||
           choice->top.failed || choice->offsets.failed || choice->values.failed;
}

/* What was sent of a choice is forgotten. */
static void clear(struct ink_completion_choice *choice)
{
    struct ink_string *const all[] = {&choice->text, &choice->logprobs, &choice->calls,
                                      &choice->top,  &choice->offsets,  &choice->values};
    for (size_t i = 0; i < INK_COUNT(all); i++) {
        all[i]->length = 0;
    }
}

/* ----------------------------------------------------------------------------------- tool calls */

struct found_call {
    struct ink_completion *c;
    struct ink_completion_choice *choice;
};

static void note_call(void *context, int index, const char *name, const char *arguments)
{
    struct found_call *f = context;
    struct ink_string *out = &f->choice->calls;
    separate(out);
    ink_string_puts(out, "{");
    if (f->c->params.is_stream) {
        ink_string_printf(out, "\"index\":%d,", index);
    }
    ink_string_printf(out, "\"id\":\"call_%016llx\",\"type\":\"function\",\"function\":{",
                      (unsigned long long)ink_api_unique(f->c->api));
    append_word(out, "name", name);
    ink_string_puts(out, ",");
    append_word(out, "arguments", arguments);
    ink_string_puts(out, "}}");
    f->choice->n_tool_calls++;
}

/* -------------------------------------------------------------------------------------- streams */

static void send(struct ink_completion *c, struct ink_string *out)
{
    if (out->failed || !ink_exchange_write(c->x, out->data, out->length)) {
        c->is_gone = true;
    }
    c->last_write = ink_system_seconds();
    ink_string_free(out);
}

static void begin(struct ink_completion *c)
{
    if (!c->has_begun) {
        c->has_begun = true;
        ink_exchange_begin(c->x, 200, event_stream);
    }
}

/* `delta`: of chats, JSON; else NULL. */
static void send_chunk(struct ink_completion *c, int index, const char *delta)
{
    struct ink_completion_choice *choice = &c->choices[index];
    struct ink_string out = {0};
    ink_string_puts(&out, "data: ");
    append_head(&out, c);
    ink_string_printf(&out, ",\"choices\":[{\"index\":%d,", index);
    if (delta) {
        ink_string_puts(&out, "\"delta\":");
        ink_string_puts(&out, delta);
    } else {
        append_text(&out, "text", choice->text.data, choice->text.length);
    }
    ink_string_puts(&out, ",");
    append_logprobs(&out, c, choice);
    ink_string_puts(&out, ",");
    append_reason(&out, choice->finish_reason);
    ink_string_puts(&out, c->params.include_usage ? "}],\"usage\":null}\n\n" : "}]}\n\n");
    out.failed |= has_failed(choice);
    clear(choice);
    send(c, &out);
}

/* What a choice has to say, if anything. */
static void send_delta(struct ink_completion *c, int index)
{
    struct ink_completion_choice *choice = &c->choices[index];
    struct ink_string delta = {0};
    if (!is_chat(c)) {
        if (choice->text.length > 0 || choice->logprobs.length > 0 || choice->finish_reason) {
            send_chunk(c, index, NULL);
        }
        return;
    }
    ink_string_puts(&delta, "{");
    if (choice->text.length > 0) {
        append_text(&delta, "content", choice->text.data, choice->text.length);
    }
    if (choice->calls.length > 0) {
        ink_string_puts(&delta, choice->text.length > 0 ? ",\"tool_calls\":[" : "\"tool_calls\":[");
        ink_string_append(&delta, choice->calls.data, choice->calls.length);
        ink_string_puts(&delta, "]");
    }
    ink_string_puts(&delta, "}");
    if (delta.length > 2 || choice->logprobs.length > 0 || choice->finish_reason) {
        send_chunk(c, index, delta.failed ? "{}" : delta.data);
    }
    c->is_gone |= delta.failed;
    ink_string_free(&delta);
}

/* Chats: the first chunk of a choice says who speaks. */
static void send_role(struct ink_completion *c, int index)
{
    struct ink_completion_choice *choice = &c->choices[index];
    if (is_chat(c) && !choice->has_begun) {
        struct ink_string text = choice->text, calls = choice->calls, logprobs = choice->logprobs;
        choice->text = choice->calls = choice->logprobs = (struct ink_string){0};
        send_chunk(c, index, "{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}");
        choice->text = text;
        choice->calls = calls;
        choice->logprobs = logprobs;
    }
    choice->has_begun = true;
}

static void end_stream(struct ink_completion *c)
{
    struct ink_string out = {0};
    if (c->params.include_usage) {
        ink_string_puts(&out, "data: ");
        append_head(&out, c);
        ink_string_puts(&out, ",\"choices\":[],");
        append_usage(&out, c);
        ink_string_puts(&out, "}\n\n");
    }
    ink_string_puts(&out, "data: [DONE]\n\n");
    send(c, &out);
    ink_exchange_end(c->x, true);
}

static void end_stream_with(struct ink_completion *c, const struct ink_fault *fault)
{
    struct ink_string out = {0};
    ink_string_puts(&out, "data: ");
    ink_errors_append(&out, fault->status, fault->message, fault->param, fault->code);
    ink_string_puts(&out, "\n\n");
    send(c, &out);
    ink_exchange_end(c->x, !c->is_gone);
}

/* -------------------------------------------------------------------------------- whole answers */

static void append_message(struct ink_string *out, const struct ink_completion_choice *choice)
{
    ink_string_puts(out, "\"message\":{\"role\":\"assistant\",");
    if (choice->calls.length > 0 && choice->text.length == 0) {
        ink_string_puts(out, "\"content\":null");
    } else {
        append_text(out, "content", choice->text.data, choice->text.length);
    }
    ink_string_puts(out, ",\"refusal\":null");
    if (choice->calls.length > 0) {
        ink_string_puts(out, ",\"tool_calls\":[");
        ink_string_append(out, choice->calls.data, choice->calls.length);
        ink_string_puts(out, "]");
    }
    ink_string_puts(out, "}");
}

static void reply_whole(struct ink_completion *c)
{
    struct ink_string out = {0};
    char cached[16];
    append_head(&out, c);
    ink_string_puts(&out, ",\"choices\":[");
    for (int i = 0; i < c->n_choices; i++) {
        const struct ink_completion_choice *choice = &c->choices[i];
        ink_string_printf(&out, i > 0 ? ",{\"index\":%d," : "{\"index\":%d,", i);
        if (is_chat(c)) {
            append_message(&out, choice);
        } else {
            append_text(&out, "text", choice->text.data, choice->text.length);
        }
        ink_string_puts(&out, ",");
        append_logprobs(&out, c, choice);
        ink_string_puts(&out, ",");
        append_reason(&out, choice->finish_reason);
        ink_string_puts(&out, "}");
        out.failed |= has_failed(choice);
    }
    ink_string_puts(&out, "],");
    append_usage(&out, c);
    ink_string_puts(&out, "}");
    snprintf(cached, sizeof cached, "%d", c->n_cached);
    ink_exchange_add_header(c->x, "X-Cached-Tokens", cached);
    ink_api_reply_json(c->api, c->x, &out);
}

/* ------------------------------------------------------------------------------------- the sink */

static bool is_gone(void *context)
{
    struct ink_completion *c = context;
    /* A stream that waits long says so, lest a proxy cut it. */
    if (c->params.is_stream && ink_system_seconds() - c->last_write > PING_SECONDS) {
        struct ink_string ping = {0};
        begin(c);
        ink_string_puts(&ping, ": waiting\n\n");
        send(c, &ping);
    }
    return c->is_gone || ink_exchange_is_gone(c->x);
}

static void started(void *context, int n_cached)
{
    struct ink_completion *c = context;
    c->n_cached += n_cached;
    if (c->params.is_stream) {
        begin(c);
    }
}

static void take_text(void *context, int index, const char *text, size_t n,
                      const struct ink_answer_token *tokens, size_t n_tokens)
{
    struct ink_completion *c = context;
    struct ink_completion_choice *choice = &c->choices[index];
    struct found_call found = {c, choice};
    for (size_t i = 0; i < n_tokens; i++) {
        if (is_chat(c)) {
            append_chat_logprob(&choice->logprobs, c, &tokens[i]);
        } else {
            append_completion_logprob(choice, c, &tokens[i]);
        }
    }
    if (c->tools.choice != INK_TOOLS_NONE) {
        ink_tool_reader_push(&choice->tools, &choice->text, text, n, note_call, &found);
    } else {
        ink_string_append(&choice->text, text, n);
    }
    if (c->params.is_stream) {
        send_role(c, index);
        send_delta(c, index);
    }
}

static void end_choice(void *context, int index, enum ink_finish why)
{
    struct ink_completion *c = context;
    struct ink_completion_choice *choice = &c->choices[index];
    if (c->tools.choice != INK_TOOLS_NONE) {
        ink_tool_reader_flush(&choice->tools, &choice->text);
    }
    choice->finish_reason = choice->n_tool_calls > 0   ? "tool_calls"
                            : why == INK_FINISH_LENGTH ? "length"
                                                       : "stop";
    if (c->params.is_stream) {
        const char *reason = choice->finish_reason;
        choice->finish_reason = NULL;
        send_role(c, index);
        send_delta(c, index); /* what was held back; then the end, in a chunk of its own */
        choice->finish_reason = reason;
        send_delta(c, index);
    }
}

static void finish(void *context, enum ink_finish why, const char *message, int n_tokens)
{
    struct ink_completion *c = context;
    struct ink_fault fault;
    c->n_tokens = n_tokens;
    ink_api_finish_fault(&fault, why, message);
    if (c->has_begun && why == INK_FINISH_STOP) {
        end_stream(c);
    } else if (c->has_begun) {
        end_stream_with(c, &fault);
    } else if (why == INK_FINISH_STOP) {
        reply_whole(c);
    } else {
        ink_api_fail(c->api, c->x, &fault);
    }
    ink_completion_close(c);
}

const struct ink_answer_sink ink_completion_sink = {
    .is_gone = is_gone,
    .started = started,
    .text = take_text,
    .ended = end_choice,
    .finished = finish,
};
