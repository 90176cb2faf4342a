/* Errors in OpenAI's shape: {"error":{"message","type","param","code"}}. */
#ifndef INK_ERRORS_H
#define INK_ERRORS_H

#include "exchange.h"

/* type follows from status: 400, 404, 405, 413, 415 "invalid_request_error", 401
 * "authentication_error", 403 "permission_error", 429 "rate_limit_error", 5xx "server_error".
 * `param` and `code` may be NULL: null. Messages are English whatever the locale: programs read
 * them. */
void ink_errors_append(struct ink_string *out, int status, const char *message, const char *param,
                       const char *code);
/* Ends the exchange with that. */
void ink_errors_reply(struct ink_exchange *x, int status, const char *message, const char *param,
                      const char *code);

#endif
