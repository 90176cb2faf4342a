/* Which requests are let in. libmicrohttpd has taken the head apart; it mends much that others
 * might read differently, so what it made is held against what came. */
#include "http_internal.h"

#include "keys.h"
#include "metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_HEADERS = 100 };

/* What is gathered of the headers. */
struct head {
    struct ink_exchange *x;
    size_t n_bytes; /* that the headers had, as far as they are of the plain form */
    int n_headers, n_hosts, n_lengths, n_encodings, n_origins, n_authorizations, n_types;
    bool is_bad, is_out_of_memory;
};

static enum MHD_Result take_header(void *context, enum MHD_ValueKind kind, const char *name,
                                   size_t n_name, const char *value, size_t n_value)
{
    struct head *head = context;
    (void)kind;
    const struct {
        const char *name;
        int *n;
    } counted[] = {
        {"Host", &head->n_hosts},
        {"Content-Length", &head->n_lengths},
        {"Transfer-Encoding", &head->n_encodings},
        {"Origin", &head->n_origins},
        {"Authorization", &head->n_authorizations},
        {"Content-Type", &head->n_types},
    };
    value = value ? value : "";
    /* both stand where they were read: between them are the colon and blanks */
    head->n_bytes += (size_t)(value + n_value - name) + 2;
    head->n_headers++;
    head->is_bad = head->is_bad || value < name + n_name || !ink_is_token(name, n_name) ||
                   !ink_is_field_value(value, n_value);
    if (head->is_bad || head->n_headers > MAX_HEADERS) {
        return MHD_NO;
    }
    for (size_t i = 0; i < INK_COUNT(counted); i++) {
        *counted[i].n += ink_same_word(name, counted[i].name);
    }
    /* blanks at the end are no part of a value */
    char *copy = ink_strndup(value, n_value);
    while (copy && n_value > 0 && (copy[n_value - 1] == ' ' || copy[n_value - 1] == '\t')) {
        copy[--n_value] = 0;
    }
    head->is_out_of_memory = !copy || !ink_pairs_add(&head->x->headers, name, copy);
    ink_free(copy);
    return head->is_out_of_memory ? MHD_NO : MHD_YES;
}

static bool refuse(struct ink_exchange *x, int status, const char *message, const char *code)
{
    ink_exchange_refuse(x, status, message, code);
    return false;
}

/* Where the request ends cannot be told for sure: nothing more is read from this client. */
static bool refuse_frame(struct ink_exchange *x, int status, const char *message)
{
    x->must_close = true;
    ink_metrics_add(x->http->options.metrics, INK_METRIC_REJECTED_LIMIT, 1);
    return refuse(x, status, message, "bad_request");
}

/* libmicrohttpd takes a lone LF for a line's end, joins folded lines, and cuts values at a zero
 * byte. Each of these shows in the sum: the head is longer or shorter than its plain form. */
static bool is_plain(const struct head *head, const char *method, const char *version)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(head->x->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    size_t n =
        strlen(method) + 1 + strlen(head->x->raw) + 1 + strlen(version) + 2 + head->n_bytes + 2;
    return info && info->header_size == n;
}

static bool check_frame(struct ink_exchange *x, const struct head *head, const char *version)
{
    bool is_old = strcmp(version, "HTTP/1.0") == 0;
    const char *encoding = ink_pairs_find(&x->headers, "Transfer-Encoding");
    const char *length = ink_pairs_find(&x->headers, "Content-Length");
    if (head->n_hosts != 1) {
        return refuse_frame(x, 400, "a request needs one Host header");
    }
    if (head->n_lengths > 1 || head->n_encodings > 1 || (length && encoding)) {
        return refuse_frame(x, 400, "the length of the body is given twice");
    }
    if (encoding && (is_old || !ink_same_word(encoding, "chunked"))) {
        return refuse_frame(x, is_old ? 400 : 501, "Transfer-Encoding must be chunked");
    }
    /* In chunks libmicrohttpd takes a lone LF for a line's end, where others may not: what comes
     * behind such a body is not read. */
    x->must_close = encoding != NULL;
    if (head->n_origins > 1 || head->n_authorizations > 1 || head->n_types > 1) {
        return refuse_frame(x, 400, "a header is given twice");
    }
    return true;
}

static bool read_headers(struct ink_exchange *x, const char *method, const char *version)
{
    struct head head = {.x = x};
    MHD_get_connection_values_n(x->connection, MHD_HEADER_KIND, take_header, &head);
    if (head.is_out_of_memory) {
        x->must_close = true;
        return refuse(x, 503, "out of memory", "out_of_memory");
    }
    const char *id = ink_pairs_find(&x->headers, "X-Request-Id");
    if (id && ink_is_request_id(id)) {
        snprintf(x->id, sizeof x->id, "%s", id);
    }
    if (head.n_headers > MAX_HEADERS) {
        return refuse_frame(x, 431, "too many headers");
    }
    if (head.is_bad || !ink_is_token(method, strlen(method)) || !is_plain(&head, method, version)) {
        return refuse_frame(x, 400, "the head of the request is not of the plain form");
    }
    return check_frame(x, &head, version);
}

/* ---------------------------------------------------------------------------------------- trust */

static bool refuse_source(struct ink_exchange *x, int status, const char *message, const char *code)
{
    ink_metrics_add(x->http->options.metrics, INK_METRIC_REJECTED_KEY, 1);
    return refuse(x, status, message, code);
}

static bool is_reading(const struct ink_exchange *x)
{
    return strcmp(x->method, "GET") == 0 || strcmp(x->method, "HEAD") == 0;
}

static bool check_source(struct ink_exchange *x)
{
    struct ink_authority host;
    const struct ink_trust *trust = &x->http->trust;
    const char *local = x->client->local;
    if (!ink_authority_parse(&host, ink_pairs_find(&x->headers, "Host"), false)) {
        return refuse_frame(x, 400, "the Host header is not a name or address");
    }
    if (!ink_trust_host(trust, &host, local)) {
        return refuse_source(x, 403, "this server does not answer to that Host",
                             "host_not_allowed");
    }
    const char *origin = ink_pairs_find(&x->headers, "Origin");
    const char *site = ink_pairs_find(&x->headers, "Sec-Fetch-Site");
    enum ink_origin_kind kind =
        origin ? ink_trust_origin(trust, origin, &host, local) : INK_ORIGIN_OWN;
    if (kind == INK_ORIGIN_FOREIGN) {
        return refuse_source(x, 403, "pages of that Origin may not use this server",
                             "origin_not_allowed");
    }
    if (kind == INK_ORIGIN_LISTED) {
        x->cors = origin;
    } else if (site && ink_same_word(site, "cross-site") && !is_reading(x)) {
        return refuse_source(x, 403, "other sites' pages may not use this server",
                             "origin_not_allowed");
    }
    return true;
}

static bool check_key(struct ink_exchange *x)
{
    struct ink_keys *keys = x->http->options.keys;
    if (!keys || x->route->is_public ||
        ink_keys_allow(keys, ink_pairs_find(&x->headers, "Authorization"))) {
        return true;
    }
    ink_exchange_add_header(x, "WWW-Authenticate", "Bearer");
    return refuse_source(x, 401, "a valid API key is needed: Authorization: Bearer KEY",
                         "invalid_api_key");
}

/* --------------------------------------------------------------------------------------- target */

static bool check_target(struct ink_exchange *x)
{
    const char *why;
    if (!ink_target_parse(&x->target, x->raw, strlen(x->raw), &why)) {
        x->must_close = true;
        return why ? refuse(x, 400, why, "bad_address")
                   : refuse(x, 503, "out of memory", "out_of_memory");
    }
    x->request.path = x->target.path;
    if (ink_target_argument(&x->target, "api_key") || ink_target_argument(&x->target, "key")) {
        return refuse_source(x, 400, "an API key must not be in the address: it ends in logs",
                             "key_in_address");
    }
    return true;
}

static bool matches(const struct ink_route *route, const char *path, const char **rest)
{
    size_t n = strlen(route->path);
    if (n > 0 && route->path[n - 1] == '*') {
        *rest = path + n - 1;
        return strncmp(route->path, path, n - 1) == 0;
    }
    *rest = path + strlen(path);
    return strcmp(route->path, path) == 0;
}

/* An exact path comes before one that ends in "*", the longer one first. */
static size_t precision(const struct ink_route *route)
{
    size_t n = strlen(route->path);
    return n > 0 && route->path[n - 1] == '*' ? n : SIZE_MAX;
}

struct found {
    const struct ink_route *best, *any;
    const char *rest;
    bool gets, posts;
};

/* Only the most precise path counts, whatever its methods: GET of a path that only POST knows is no
 * matter for a route that takes all paths. */
static struct found find_route(const struct ink_http *h, const char *method, const char *path)
{
    struct found found = {.rest = ""};
    for (int i = 0; i < h->n_routes; i++) {
        const struct ink_route *route = &h->routes[i];
        const char *rest;
        if (!matches(route, path, &rest) ||
            (found.any && precision(route) < precision(found.any))) {
            continue;
        }
        if (found.any && precision(route) > precision(found.any)) {
            found = (struct found){.rest = ""};
        }
        found.gets = found.gets || strcmp(route->method, "GET") == 0;
        found.posts = found.posts || strcmp(route->method, "POST") == 0;
        found.any = route;
        if (strcmp(route->method, method) == 0) {
            found.best = route;
            found.rest = rest;
        }
    }
    return found;
}

static bool answer_preflight(struct ink_exchange *x, const struct found *found)
{
    ink_exchange_add_header(x, "Access-Control-Allow-Methods",
                            found->gets && found->posts ? "GET, POST"
                            : found->gets               ? "GET"
                                                        : "POST");
    /* "*": OpenAI's packages send headers of their own; it does not cover Authorization */
    ink_exchange_add_header(x, "Access-Control-Allow-Headers", "authorization, *");
    ink_exchange_add_header(x, "Access-Control-Max-Age", "600");
    ink_exchange_refuse(x, 204, NULL, NULL);
    return false;
}

static bool check_route(struct ink_exchange *x)
{
    const char *method = strcmp(x->method, "HEAD") == 0 ? "GET" : x->method;
    struct found found = find_route(x->http, method, x->request.path);
    x->route = found.best ? found.best : found.any;
    if (!x->route || (!found.best && strcmp(found.any->path, "/*") == 0)) {
        return refuse(x, 404, "there is nothing at this address", "not_found");
    }
    if (x->cors && strcmp(method, "OPTIONS") == 0 &&
        ink_pairs_find(&x->headers, "Access-Control-Request-Method")) {
        return answer_preflight(x, &found);
    }
    if (!found.best) {
        ink_exchange_add_header(x, "Allow",
                                found.gets && found.posts ? "GET, HEAD, POST"
                                : found.gets              ? "GET, HEAD"
                                                          : "POST");
        return refuse(x, 405, "this address does not know that method", "method_not_allowed");
    }
    x->request.method = x->route->method;
    x->request.rest = found.rest;
    return true;
}

/* ----------------------------------------------------------------------------------------- body */

static bool check_body(struct ink_exchange *x)
{
    const char *length = ink_pairs_find(&x->headers, "Content-Length");
    const char *expect = ink_pairs_find(&x->headers, "Expect");
    const char *coding = ink_pairs_find(&x->headers, "Content-Encoding");
    const char *type = ink_pairs_find(&x->headers, "Content-Type");
    bool is_chunked = ink_pairs_find(&x->headers, "Transfer-Encoding") != NULL;
    unsigned long long n = length ? strtoull(length, NULL, 10) : 0; /* only digits come here */
    if (is_reading(x)) {
        return n == 0 && !is_chunked ? true : refuse_frame(x, 400, "this request has no body");
    }
    if (expect && !ink_same_word(expect, "100-continue")) {
        return refuse_frame(x, 417, "the only known expectation is 100-continue");
    }
    if (coding && !ink_same_word(coding, "identity")) {
        return refuse(x, 415, "a body must not be compressed", "unsupported_media_type");
    }
    if (!type || !ink_is_json_type(type)) {
        return refuse(x, 415, "a body must be application/json", "unsupported_media_type");
    }
    if (n > x->http->options.max_body) {
        x->must_close = true;
        ink_metrics_add(x->http->options.metrics, INK_METRIC_REJECTED_LIMIT, 1);
        return refuse(x, 413, "the body is too large", "body_too_large");
    }
    return true;
}

bool ink_http_admit(struct ink_exchange *x, const char *method, const char *version)
{
    snprintf(x->method, sizeof x->method, "%s", method);
    return read_headers(x, method, version) && check_target(x) && check_source(x) &&
           check_route(x) && check_key(x) && check_body(x);
}
