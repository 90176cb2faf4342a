/* The calls that a Gradio client makes to a page with one text in and one text out, so that scripts
 * written for such a page keep working: POST /gradio_api/call/predict and its result, and the queue
 * that gradio_client uses. A question waits until its answer is asked for, and is then answered
 * into that stream: nothing is kept for clients that never come back. */
#include "api_internal.h"

#include "sync.h"
#include "system.h"

#include <stdio.h>
#include <string.h>

enum { MOST_QUESTIONS = 256, MOST_HASH = 64, KEEP_SECONDS = 60, MOST_BYTES = 16 << 20 };

struct question {
    char id[24], session[MOST_HASH + 1]; /* session "": of a plain call */
    char *text;                          /* NULL: the place is free */
    double asked;
};

/* A client's open queue: answers to several questions go into one exchange. */
struct stream {
    struct ink_exchange *x;
    char session[MOST_HASH + 1];
    int n_open;         /* answers on their way */
    struct work *works; /* those of them that can be cancelled */
    bool is_gone;
    struct stream *next;
};

struct ink_gradio {
    struct ink_mutex *lock; /* of everything here, and of writing to streams */
    struct question questions[MOST_QUESTIONS];
    struct stream *streams;
};

/* One answer. */
struct work {
    struct ink_api *api;
    struct ink_exchange *x; /* of a plain call */
    struct stream *stream;  /* of a queue; else NULL */
    char id[24];
    struct ink_string text;
    double began;
    bool is_cancelled; /* with the lock */
    struct work *next; /* of the stream's */
};

int ink_gradio_open(struct ink_gradio **out, struct ink_error *error)
{
    struct ink_gradio *g = ink_calloc(1, sizeof *g);
    *out = NULL;
    if (g) {
        g->lock = ink_mutex_new();
    }
    if (!g || !g->lock) {
        ink_free(g);
        return ink_fail_memory(error, sizeof *g);
    }
    *out = g;
    return INK_OK;
}

void ink_gradio_close(struct ink_gradio *g)
{
    if (g) {
        for (int i = 0; i < MOST_QUESTIONS; i++) {
            ink_free(g->questions[i].text);
        }
        ink_mutex_free(g->lock);
        ink_free(g);
    }
}

/* ------------------------------------------------------------------------------------ questions */

/* A free place for a text of n bytes, or that of a question whose answer nobody came for. NULL:
 * there is none, or all texts together would be too long. With the lock. */
static struct question *find_place(struct ink_gradio *g, size_t n)
{
    double now = ink_system_seconds();
    struct question *place = NULL;
    for (int i = 0; i < MOST_QUESTIONS; i++) {
        struct question *q = &g->questions[i];
        if (q->text && now - q->asked > KEEP_SECONDS) {
            ink_free(q->text);
            q->text = NULL;
        }
        place = q->text || place ? place : q;
        n += q->text ? strlen(q->text) : 0;
    }
    return n <= MOST_BYTES ? place : NULL;
}

static bool read_text(const cJSON *body, const char **text, struct ink_fault *fault)
{
    const cJSON *data = ink_json_get(body, "data");
    if (!cJSON_IsArray(data) || cJSON_GetArraySize(data) != 1 || !cJSON_IsString(data->child)) {
        return ink_fault_set(fault, 400, "data", "invalid_type",
                             "'data' must be an array of one string");
    }
    *text = data->child->valuestring;
    return true;
}

static bool read_session(const cJSON *body, const char **session, struct ink_fault *fault)
{
    const cJSON *hash = ink_json_get(body, "session_hash");
    if (!cJSON_IsString(hash) || !*hash->valuestring || strlen(hash->valuestring) > MOST_HASH) {
        return ink_fault_set(fault, 400, "session_hash", "invalid_type",
                             "'session_hash' must be a string of 1 to %d bytes", MOST_HASH);
    }
    *session = hash->valuestring;
    return true;
}

static bool keep_question(struct ink_api *api, const char *session, const char *text, char *id,
                          size_t n_id, struct ink_fault *fault)
{
    struct ink_gradio *g = api->gradio;
    snprintf(id, n_id, "%016llx", (unsigned long long)ink_api_unique(api));
    char *copy = ink_strdup(text);
    ink_mutex_lock(g->lock);
    struct question *q = copy ? find_place(g, strlen(copy)) : NULL;
    if (q) {
        snprintf(q->id, sizeof q->id, "%s", id);
        snprintf(q->session, sizeof q->session, "%s", session);
        q->text = copy;
        q->asked = ink_system_seconds();
    }
    ink_mutex_unlock(g->lock);
    if (!q) {
        ink_free(copy);
        return ink_fault_set(fault, 429, NULL, "rate_limit_exceeded", "too many questions wait");
    }
    return true;
}

/* Take the question with that id, or the next of that session (id NULL). NULL: there is none. */
static char *take_question(struct ink_gradio *g, const char *id, const char *session, char *id_out)
{
    char *text = NULL;
    for (int i = 0; i < MOST_QUESTIONS && !text; i++) {
        struct question *q = &g->questions[i];
        if (q->text && strcmp(q->session, session) == 0 && (!id || strcmp(q->id, id) == 0)) {
            text = q->text;
            q->text = NULL;
            snprintf(id_out, sizeof q->id, "%s", q->id);
        }
    }
    return text;
}

/* ------------------------------------------------------------------------------------- messages */

/* With the lock. */
static void send(struct stream *s, struct ink_string *out)
{
    if (out->failed || !ink_exchange_write(s->x, out->data, out->length)) {
        s->is_gone = true;
    }
    ink_string_free(out);
}

static void send_message(struct stream *s, const char *msg, const char *id, const char *rest)
{
    struct ink_string out = {0};
    ink_string_printf(&out, "data: {\"msg\":\"%s\"", msg);
    if (id) {
        ink_string_printf(&out, ",\"event_id\":\"%s\"", id);
    }
    ink_string_puts(&out, rest);
    ink_string_puts(&out, "}\n\n");
    send(s, &out);
}

static void append_data(struct ink_string *out, const struct ink_string *text)
{
    ink_string_puts(out, "[");
    ink_json_append_string(out, text->data ? text->data : "", text->length);
    ink_string_puts(out, "]");
}

/* The last answer of a stream closes it. With the lock. */
static void leave_stream(struct ink_gradio *g, struct stream *s)
{
    if (--s->n_open > 0) {
        return;
    }
    struct stream **link = &g->streams;
    while (*link != s) {
        link = &(*link)->next;
    }
    *link = s->next;
    send_message(s, "close_stream", NULL, "");
    ink_exchange_end(s->x, !s->is_gone);
    ink_free(s);
}

/* With the lock. */
static void forget_work(struct stream *s, const struct work *w)
{
    struct work **link = &s->works;
    while (*link && *link != w) {
        link = &(*link)->next;
    }
    *link = *link ? (*link)->next : NULL;
}

static void finish_queued(struct work *w, const struct ink_fault *fault)
{
    struct ink_gradio *g = w->api->gradio;
    struct ink_string rest = {0};
    double seconds = ink_system_seconds() - w->began;
    if (fault) {
        ink_string_puts(&rest, ",\"success\":false,\"output\":{\"error\":");
        ink_json_append_string(&rest, fault->message, strlen(fault->message));
        ink_string_puts(&rest, "}");
    } else {
        ink_string_puts(&rest, ",\"success\":true,\"output\":{\"data\":");
        append_data(&rest, &w->text);
        ink_string_printf(&rest,
                          ",\"is_generating\":false,\"duration\":%.3f,\"average_duration\":%.3f,"
                          "\"render_config\":null,\"changed_state_ids\":[]}",
                          seconds, seconds);
    }
    ink_mutex_lock(g->lock);
    forget_work(w->stream, w);
    w->stream->is_gone |= rest.failed;
    send_message(w->stream, "process_completed", w->id, rest.failed ? "" : rest.data);
    leave_stream(g, w->stream);
    ink_mutex_unlock(g->lock);
    ink_string_free(&rest);
}

static void finish_call(struct work *w, const struct ink_fault *fault)
{
    struct ink_string out = {0};
    if (fault) {
        ink_string_puts(&out, "event: error\ndata: ");
        ink_json_append_string(&out, fault->message, strlen(fault->message));
    } else {
        ink_string_puts(&out, "event: complete\ndata: ");
        append_data(&out, &w->text);
    }
    ink_string_puts(&out, "\n\n");
    bool ok = !out.failed && ink_exchange_write(w->x, out.data, out.length);
    ink_exchange_end(w->x, ok);
    ink_string_free(&out);
}

static void finish_work(struct work *w, const struct ink_fault *fault)
{
    if (w->stream) {
        finish_queued(w, fault);
    } else {
        finish_call(w, fault);
    }
    ink_string_free(&w->text);
    ink_free(w);
}

/* ------------------------------------------------------------------------------------- the sink */

static bool is_gone(void *context)
{
    const struct work *w = context;
    if (!w->stream) {
        return ink_exchange_is_gone(w->x);
    }
    ink_mutex_lock(w->api->gradio->lock);
    bool is_cancelled = w->is_cancelled;
    ink_mutex_unlock(w->api->gradio->lock);
    return is_cancelled || ink_exchange_is_gone(w->stream->x);
}

static void started(void *context, int n_cached)
{
    struct work *w = context;
    (void)n_cached;
    if (w->stream) {
        ink_mutex_lock(w->api->gradio->lock);
        send_message(w->stream, "process_starts", w->id, ",\"eta\":null");
        ink_mutex_unlock(w->api->gradio->lock);
    }
}

static void take_text(void *context, int choice, const char *text, size_t n,
                      const struct ink_answer_token *tokens, size_t n_tokens)
{
    struct work *w = context;
    (void)choice, (void)tokens, (void)n_tokens;
    ink_string_append(&w->text, text, n);
}

static void ended(void *context, int choice, enum ink_finish why)
{
    (void)context, (void)choice, (void)why;
}

static void finished(void *context, enum ink_finish why, const char *message, int n_tokens)
{
    struct work *w = context;
    struct ink_fault fault;
    (void)n_tokens;
    if (why == INK_FINISH_STOP && w->text.failed) {
        why = INK_FINISH_FAILED;
        message = "out of memory";
    }
    ink_api_finish_fault(&fault, why, message);
    finish_work(w, why == INK_FINISH_STOP ? NULL : &fault);
}

static const struct ink_answer_sink sink = {is_gone, started, take_text, ended, finished};

/* ----------------------------------------------------------------------------------- answering */

static bool encode(struct ink_api *api, struct ink_answer_prompt *out, const char *text,
                   struct ink_fault *fault)
{
    const struct ink_message question = {"user", text};
    return api->options.is_chat ? ink_api_encode_chat(api, out, &question, 1, fault)
                                : ink_api_encode_text(api, out, text, strlen(text), fault);
}

static bool submit(struct work *w, struct ink_answer_prompt *prompt, struct ink_fault *fault)
{
    struct ink_api *api = w->api;
    struct ink_answer_request request = {
        .model = api->options.model,
        .prompts = prompt,
        .n_prompts = 1,
        .n_choices = 1,
        .n_logprobs = -1,
        .sampling = api->options.sampling,
        .arrived = w->began,
        .sink = &sink,
        .context = w,
    };
    request.sampling.seed = ink_api_unique(api);
    request.max_new_tokens = ink_api_room(api, prompt->n, 0);
    return ink_api_submit(api, NULL, &request, fault);
}

/* Answer a question into a stream, or into an exchange of its own, which has begun. Takes text. */
static void answer(struct ink_api *api, struct stream *stream, struct ink_exchange *x,
                   const char *id, char *text)
{
    struct ink_fault fault;
    struct work *w = ink_calloc(1, sizeof *w);
    struct ink_answer_prompt *prompt = ink_calloc(1, sizeof *prompt);
    if (!w || !prompt) {
        struct work none = {.api = api, .x = x, .stream = stream};
        ink_fault_set(&fault, 503, NULL, "out_of_memory", "out of memory");
        snprintf(none.id, sizeof none.id, "%s", id);
        if (stream) {
            finish_queued(&none, &fault);
        } else {
            finish_call(&none, &fault);
        }
        ink_free(w);
        ink_free(prompt);
        ink_free(text);
        return;
    }
    *w = (struct work){.api = api, .x = x, .stream = stream, .began = ink_system_seconds()};
    snprintf(w->id, sizeof w->id, "%s", id);
    if (stream) {
        ink_mutex_lock(api->gradio->lock);
        w->next = stream->works;
        stream->works = w;
        ink_mutex_unlock(api->gradio->lock);
    }
    if (!encode(api, prompt, text, &fault) || !submit(w, prompt, &fault)) {
        ink_free(prompt->ids);
        ink_free(prompt);
        finish_work(w, &fault);
    }
    ink_free(text);
}

/* --------------------------------------------------------------------------------------- routes */

static const char event_stream[] = "text/event-stream; charset=utf-8";

static void reply_id(struct ink_api *api, struct ink_exchange *x, const char *id)
{
    struct ink_string out = {0};
    ink_string_printf(&out, "{\"event_id\":\"%s\"}", id);
    ink_api_reply_json(api, x, &out);
}

void ink_gradio_call(void *context, struct ink_exchange *x)
{
    struct ink_api *api = context;
    struct ink_fault fault = {0};
    cJSON *body = NULL;
    const char *text;
    char id[24];
    bool ok = ink_api_read_body(&body, x, &fault) && read_text(body, &text, &fault) &&
              keep_question(api, "", text, id, sizeof id, &fault);
    if (ok) {
        reply_id(api, x, id);
    } else {
        ink_api_fail(api, x, &fault);
    }
    cJSON_Delete(body);
}

void ink_gradio_result(void *context, struct ink_exchange *x)
{
    struct ink_api *api = context;
    char id[24];
    ink_mutex_lock(api->gradio->lock);
    char *text = take_question(api->gradio, ink_exchange_request(x)->rest, "", id);
    ink_mutex_unlock(api->gradio->lock);
    if (!text) {
        ink_errors_reply(x, 404, "no question with this event id waits", NULL, "not_found");
        return;
    }
    ink_exchange_begin(x, 200, event_stream);
    answer(api, NULL, x, id, text);
}

static struct stream *find_stream(struct ink_gradio *g, const char *session)
{
    struct stream *s = g->streams;
    while (s && strcmp(s->session, session) != 0) {
        s = s->next;
    }
    return s;
}

/* Answer what waits for this session; its stream, if it has one, stays open meanwhile. */
static void answer_waiting(struct ink_api *api, const char *session)
{
    struct ink_gradio *g = api->gradio;
    char id[24], *text = NULL;
    do {
        ink_mutex_lock(g->lock);
        struct stream *s = find_stream(g, session);
        text = s ? take_question(g, NULL, session, id) : NULL;
        if (text) {
            s->n_open++;
        }
        ink_mutex_unlock(g->lock);
        if (text) {
            answer(api, s, NULL, id, text);
        }
    } while (text);
}

void ink_gradio_join(void *context, struct ink_exchange *x)
{
    struct ink_api *api = context;
    struct ink_fault fault = {0};
    cJSON *body = NULL;
    const char *text, *session = "";
    char id[24];
    bool ok = ink_api_read_body(&body, x, &fault) && read_text(body, &text, &fault) &&
              read_session(body, &session, &fault) &&
              keep_question(api, session, text, id, sizeof id, &fault);
    if (ok) {
        reply_id(api, x, id);
        answer_waiting(api, session);
    } else {
        ink_api_fail(api, x, &fault);
    }
    cJSON_Delete(body);
}

void ink_gradio_data(void *context, struct ink_exchange *x)
{
    struct ink_api *api = context;
    struct ink_gradio *g = api->gradio;
    const char *session = ink_exchange_argument(x, "session_hash");
    char hash[MOST_HASH + 1];
    struct stream *s = ink_calloc(1, sizeof *s);
    if (!s || !session || !*session || strlen(session) > MOST_HASH) {
        ink_errors_reply(x, s ? 400 : 503, s ? "session_hash is missing" : "out of memory",
                         "session_hash", s ? "missing_parameter" : "out_of_memory");
        ink_free(s);
        return;
    }
    snprintf(hash, sizeof hash, "%s", session);
    snprintf(s->session, sizeof s->session, "%s", session);
    s->x = x;
    s->n_open = 1; /* until what waits now has been begun */
    ink_exchange_begin(x, 200, event_stream);
    ink_mutex_lock(g->lock);
    s->next = g->streams;
    g->streams = s;
    ink_mutex_unlock(g->lock);
    answer_waiting(api, hash);
    ink_mutex_lock(g->lock);
    leave_stream(g, s);
    ink_mutex_unlock(g->lock);
}

/* Drop the question, or end its answer, which then is an error. With the lock. */
static void cancel(struct ink_gradio *g, const char *session, const char *id)
{
    char dropped[24];
    ink_free(take_question(g, id, session, dropped));
    for (struct stream *s = g->streams; s; s = s->next) {
        for (struct work *w = s->works; w && strcmp(s->session, session) == 0; w = w->next) {
            w->is_cancelled |= strcmp(w->id, id) == 0;
        }
    }
}

void ink_gradio_cancel(void *context, struct ink_exchange *x)
{
    struct ink_api *api = context;
    struct ink_fault fault = {0};
    struct ink_string out = {0};
    cJSON *body = NULL;
    const char *session;
    if (!ink_api_read_body(&body, x, &fault) || !read_session(body, &session, &fault)) {
        ink_api_fail(api, x, &fault);
        cJSON_Delete(body);
        return;
    }
    const cJSON *id = ink_json_get(body, "event_id"); /* null: it was not sent yet */
    if (cJSON_IsString(id)) {
        ink_mutex_lock(api->gradio->lock);
        cancel(api->gradio, session, id->valuestring);
        ink_mutex_unlock(api->gradio->lock);
    }
    cJSON_Delete(body);
    ink_string_puts(&out, "{\"success\":true}");
    ink_api_reply_json(api, x, &out);
}

void ink_gradio_config(void *context, struct ink_exchange *x)
{
    static const char config[] =
        "{\"version\":\"5.0.0\",\"mode\":\"interface\",\"title\":\"inkstone\",\"protocol\":\"sse_"
        "v3\","
        "\"api_prefix\":\"/"
        "gradio_api\",\"is_space\":false,\"connect_heartbeat\":false,\"components\":["
        "{\"id\":1,\"type\":\"textbox\",\"props\":{\"label\":\"question\",\"name\":\"textbox\"},"
        "\"skip_api\":false,\"api_info\":{\"type\":\"string\"}},"
        "{\"id\":2,\"type\":\"textbox\",\"props\":{\"label\":\"answer\",\"name\":\"textbox\"},"
        "\"skip_api\":false,\"api_info\":{\"type\":\"string\"}}],"
        "\"dependencies\":[{\"id\":0,\"targets\":[[1,\"submit\"]],\"inputs\":[1],\"outputs\":[2],"
        "\"backend_fn\":true,\"js\":null,\"queue\":true,\"api_name\":\"predict\",\"show_api\":true,"
        "\"cancels\":[],\"types\":{\"generator\":false,\"cancel\":false}}]}";
    (void)context;
    ink_exchange_reply(x, 200, "application/json", config, sizeof config - 1);
}

void ink_gradio_info(void *context, struct ink_exchange *x)
{
    static const char info[] =
        "{\"named_endpoints\":{\"/predict\":{\"parameters\":[{\"label\":\"question\","
        "\"parameter_name\":\"question\",\"parameter_has_default\":false,\"parameter_default\":"
        "null,"
        "\"type\":{\"type\":\"string\"},\"python_type\":{\"type\":\"str\",\"description\":\"\"},"
        "\"component\":\"Textbox\",\"example_input\":\"Hello!!\"}],\"returns\":[{\"label\":"
        "\"answer\","
        "\"type\":{\"type\":\"string\"},\"python_type\":{\"type\":\"str\",\"description\":\"\"},"
        "\"component\":\"Textbox\"}],\"show_api\":true}},\"unnamed_endpoints\":{}}";
    (void)context;
    ink_exchange_reply(x, 200, "application/json", info, sizeof info - 1);
}
