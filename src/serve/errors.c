#include "errors.h"

#include "json.h"

#include <string.h>

static const char *type_of(int status)
{
    switch (status) {
    case 401:
        return "authentication_error";
    case 403:
        return "permission_error";
    case 429:
        return "rate_limit_error";
    default:
        return status >= 500 ? "server_error" : "invalid_request_error";
    }
}

static void append_text(struct ink_string *out, const char *text)
{
    if (text) {
        ink_json_append_string(out, text, strlen(text));
    } else {
        ink_string_puts(out, "null");
    }
}

void ink_errors_append(struct ink_string *out, int status, const char *message, const char *param,
                       const char *code)
{
    ink_string_puts(out, "{\"error\":{\"message\":");
    append_text(out, message);
    ink_string_printf(out, ",\"type\":\"%s\",\"param\":", type_of(status));
    append_text(out, param);
    ink_string_puts(out, ",\"code\":");
    append_text(out, code);
    ink_string_puts(out, "}}");
}

void ink_errors_reply(struct ink_exchange *x, int status, const char *message, const char *param,
                      const char *code)
{
    static const char no_memory[] =
        "{\"error\":{\"message\":\"out of memory\",\"type\":\"server_error\",\"param\":null,"
        "\"code\":\"out_of_memory\"}}";
    struct ink_string out = {0};
    ink_errors_append(&out, status, message, param, code);
    if (out.failed) {
        ink_exchange_reply(x, 503, "application/json", no_memory, sizeof no_memory - 1);
    } else {
        ink_exchange_reply(x, status, "application/json", out.data, out.length);
    }
    ink_string_free(&out);
}
