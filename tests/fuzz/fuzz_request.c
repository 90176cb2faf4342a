/* What is read of a request's head: the first byte says as what the rest is taken. Whatever is let
 * through must keep its promises. */
#include "../../src/serve/http_target.h"
#include "../../src/serve/http_trust.h"
#include "../../src/utf8.h"

#include <stdlib.h>
#include <string.h>

static void demand(bool ok)
{
    if (!ok) {
        abort();
    }
}

static void take_target(const char *raw, size_t n)
{
    struct ink_target t;
    const char *why;
    if (ink_target_parse(&t, raw, n, &why)) {
        size_t length = strlen(t.path);
        demand(t.path[0] == '/' && !strstr(t.path, "//") && !strchr(t.path, '\\') &&
               !strstr(t.path, "/../") && !strstr(t.path, "/./"));
        demand(length < 3 || strcmp(t.path + length - 3, "/..") != 0);
        demand(ink_utf8_valid_prefix(t.path, length) == length);
        demand(ink_is_field_value(t.path, length) && !strchr(t.path, '\t'));
        for (int i = 0; i < t.n_arguments; i++) {
            demand(ink_target_argument(&t, t.arguments[i].name) != NULL);
            demand(ink_is_field_value(t.arguments[i].value, strlen(t.arguments[i].value)));
        }
    } else {
        demand(why != NULL);
    }
    ink_target_free(&t);
}

/* A host that is let in is one of the few. */
static void take_host(const char *text)
{
    static const char *const hosts[] = {"ink.example"};
    const struct ink_trust trust = {"127.0.0.1", 7860, hosts, 1, NULL, 0};
    struct ink_authority a;
    if (!ink_authority_parse(&a, text, false)) {
        return;
    }
    demand(a.host[0] && strlen(a.host) <= strlen(text) && a.port >= 0 && a.port <= 65535);
    if (ink_trust_host(&trust, &a, "")) {
        demand(strcmp(a.host, "ink.example") == 0 ||
               ((a.port == 0 || a.port == 7860) && ink_authority_is_loopback(&a)));
    }
}

static void take_origin(const char *text)
{
    static const char *const origins[] = {"https://app.example"};
    const struct ink_trust trust = {"127.0.0.1", 7860, NULL, 0, origins, 1};
    struct ink_authority host, a;
    demand(ink_authority_parse(&host, "localhost:7860", false));
    enum ink_origin_kind kind = ink_trust_origin(&trust, text, &host, "");
    demand(kind != INK_ORIGIN_LISTED || strcmp(text, origins[0]) == 0);
    if (kind == INK_ORIGIN_OWN) {
        demand(ink_origin_parse(&a, text) && a.port == 7860 && ink_authority_is_loopback(&a));
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n)
{
    if (n < 1) {
        return 0;
    }
    char *text = malloc(n);
    memcpy(text, data + 1, n - 1);
    text[n - 1] = 0;
    switch (data[0] % 4) {
    case 0:
        take_target((const char *)data + 1, n - 1);
        break;
    case 1:
        take_host(text);
        break;
    case 2:
        take_origin(text);
        break;
    default:
        if (ink_is_request_id(text)) {
            demand(strlen(text) <= 64 && ink_is_token(text, strlen(text)));
        }
        demand(!ink_is_json_type(text) || strlen(text) >= strlen("application/json"));
        demand(!ink_is_token(text, n - 1) || ink_is_field_value(text, n - 1));
    }
    free(text);
    return 0;
}
