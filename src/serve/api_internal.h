/* What the files of the API share. api.c: opening, health, models, metrics; api_text.c: tokenize
 * and its kin; completion.c: reading requests for text; completion_json.c: writing the answers;
 * gradio.c; api_page.c. */
#ifndef INK_API_INTERNAL_H
#define INK_API_INTERNAL_H

#include "answer.h"
#include "api.h"
#include "errors.h"
#include "grammars.h"
#include "params.h"

#include <stdatomic.h>
#include <time.h>

struct ink_gradio;

struct ink_api {
    struct ink_api_options options;
    const struct ink_model_info *info;
    char fingerprint[64];
    size_t longest_token; /* bytes */
    time_t created;       /* when the model was opened */
    _Atomic bool is_ready;
    _Atomic uint64_t n_requests; /* for ids and seeds */
    unsigned char secret[32];
    struct ink_gradio *gradio;
    struct ink_grammars *grammars;
};

/* An answer that is an error; ends the exchange. */
void ink_api_fail(struct ink_api *api, struct ink_exchange *x, const struct ink_fault *fault);
/* The headers of load: how many slots are free, how many wait. */
void ink_api_add_load(struct ink_api *api, struct ink_exchange *x);
/* A whole JSON answer; ends the exchange. Frees out. */
void ink_api_reply_json(struct ink_api *api, struct ink_exchange *x, struct ink_string *out);
/* The body as JSON, or the fault. */
bool ink_api_read_body(cJSON **out, struct ink_exchange *x, struct ink_fault *fault);
/* A number that no other request has, as far as 64 bits allow, and that nobody can guess from
 * others: it also names what is kept for a client. Any thread. */
uint64_t ink_api_unique(struct ink_api *api);
/* What the model is called, if `name` is one of the models that are served: NULL else. A name that
 * is NULL means the first. */
const char *ink_api_find_model(const struct ink_api *api, const char *name, int *variant,
                               struct ink_fault *fault);

/* Ids of a text or a chat as prompt; the fault where it is empty or does not fit the context. */
bool ink_api_encode_text(struct ink_api *api, struct ink_answer_prompt *out, const char *text,
                         size_t n, struct ink_fault *fault);
bool ink_api_encode_chat(struct ink_api *api, struct ink_answer_prompt *out,
                         const struct ink_message *messages, int n_messages,
                         struct ink_fault *fault);
bool ink_api_check_length(struct ink_api *api, size_t n, const char *param,
                          struct ink_fault *fault);
/* Room for the answer of a prompt of n tokens: `wanted` (0: the default), or what the context
 * leaves. */
int ink_api_room(const struct ink_api *api, size_t n, int wanted);

/* Submits, and fills the fault if it is not admitted; a full queue adds Retry-After to x
 * (NULL: its answer has begun). */
bool ink_api_submit(struct ink_api *api, struct ink_exchange *x,
                    const struct ink_answer_request *request, struct ink_fault *fault);
/* What `finished` of a sink says, as an error. */
void ink_api_finish_fault(struct ink_fault *fault, enum ink_finish why, const char *message);

int ink_gradio_open(struct ink_gradio **out, struct ink_error *error);
void ink_gradio_close(struct ink_gradio *g);

/* Routes */
ink_handler ink_api_chat_completions, ink_api_completions, ink_api_tokenize, ink_api_detokenize,
    ink_api_apply_template, ink_api_page, ink_gradio_config, ink_gradio_info, ink_gradio_call,
    ink_gradio_result, ink_gradio_join, ink_gradio_data, ink_gradio_cancel;

#endif
