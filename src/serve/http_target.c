#include "http_target.h"

#include "utf8.h"

#include <string.h>

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return lower(c) >= 'a' && lower(c) <= 'z';
}

static bool is_control(char c)
{
    return (unsigned char)c < 32 || c == 127;
}

bool ink_same_word(const char *a, const char *b)
{
    while (*a && lower(*a) == lower(*b)) {
        a++;
        b++;
    }
    return lower(*a) == lower(*b);
}

bool ink_is_token(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!is_letter(text[i]) && !is_digit(text[i]) &&
            (text[i] == 0 || !strchr("!#$%&'*+-.^_`|~", text[i]))) {
            return false;
        }
    }
    return n > 0;
}

bool ink_is_field_value(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (is_control(text[i]) && text[i] != '\t') {
            return false;
        }
    }
    return true;
}

bool ink_is_request_id(const char *text)
{
    size_t n = 0;
    for (; text[n]; n++) {
        if (n == 64 || (!is_letter(text[n]) && !is_digit(text[n]) && !strchr("._-", text[n]))) {
            return false;
        }
    }
    return n > 0;
}

/* What stands behind `word` in text, in any case; NULL: text does not begin with it. */
static const char *after(const char *text, const char *word)
{
    for (; *word; text++, word++) {
        if (lower(*text) != *word) {
            return NULL;
        }
    }
    return text;
}

static const char *skip_blanks(const char *p)
{
    while (*p == ' ' || *p == '\t') {
        p++;
    }
    return p;
}

bool ink_is_json_type(const char *content_type)
{
    const char *p = after(content_type, "application/json");
    if (!p) {
        return false;
    }
    p = skip_blanks(p);
    if (*p != ';') {
        return *p == 0;
    }
    p = after(skip_blanks(p + 1), "charset=");
    if (!p) {
        return false;
    }
    const char *quoted = after(p, "\"utf-8\"");
    p = quoted ? quoted : after(p, "utf-8");
    return p && *skip_blanks(p) == 0;
}

/* ------------------------------------------------------------------------------------ authority */

static bool read_port(struct ink_authority *a, const char *text)
{
    int port = 0;
    for (; *text; text++) {
        if (!is_digit(*text) || port > 6553) {
            return false;
        }
        port = 10 * port + (*text - '0');
    }
    a->port = port;
    return port >= 1 && port <= 65535;
}

/* text [n] may be an IPv6 address: whether it is one does not matter, it is only compared. */
static bool looks_like_ipv6(const char *text, size_t n)
{
    bool has_colon = false;
    for (size_t i = 0; i < n; i++) {
        has_colon = has_colon || text[i] == ':';
        if (!is_digit(text[i]) && !(lower(text[i]) >= 'a' && lower(text[i]) <= 'f') &&
            text[i] != ':' && text[i] != '.') {
            return false;
        }
    }
    return has_colon;
}

static void copy_host(struct ink_authority *a, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        a->host[i] = lower(text[i]);
    }
    a->host[n] = 0;
}

bool ink_authority_parse(struct ink_authority *a, const char *text, bool is_bare)
{
    memset(a, 0, sizeof *a);
    size_t n = strlen(text);
    if (is_bare && n < sizeof a->host && looks_like_ipv6(text, n)) {
        copy_host(a, text, n);
        a->is_ipv6 = true;
        return true;
    }
    const char *host = text, *rest;
    if (*text == '[') {
        const char *end = strchr(text, ']');
        if (!end) {
            return false;
        }
        host = text + 1;
        n = (size_t)(end - host);
        rest = end + 1;
        a->is_ipv6 = true;
    } else {
        n = strcspn(text, ":");
        rest = text + n;
    }
    n -= !a->is_ipv6 && n > 1 && host[n - 1] == '.';
    if (n == 0 || n >= sizeof a->host || (a->is_ipv6 && !looks_like_ipv6(host, n))) {
        return false;
    }
    for (size_t i = 0; i < n && !a->is_ipv6; i++) {
        if (!is_letter(host[i]) && !is_digit(host[i]) && !strchr("-._", host[i])) {
            return false;
        }
    }
    copy_host(a, host, n);
    return *rest == 0 || (*rest == ':' && read_port(a, rest + 1));
}

static bool is_loopback_ipv4(const char *host)
{
    if (strncmp(host, "127.", 4) != 0) {
        return false;
    }
    for (int part = 0; part < 4; part++) {
        int n = 0, value = 0;
        for (; is_digit(host[n]) && n < 4; n++) {
            value = 10 * value + (host[n] - '0');
        }
        if (n == 0 || value > 255 || (n > 1 && host[0] == '0') || host[n] != (part < 3 ? '.' : 0)) {
            return false;
        }
        host += n + 1;
    }
    return true;
}

bool ink_authority_is_loopback(const struct ink_authority *a)
{
    if (a->is_ipv6) {
        return strcmp(a->host, "::1") == 0 || strcmp(a->host, "0:0:0:0:0:0:0:1") == 0;
    }
    return strcmp(a->host, "localhost") == 0 || is_loopback_ipv4(a->host);
}

bool ink_origin_parse(struct ink_authority *a, const char *origin)
{
    const char *secure = after(origin, "https://");
    const char *rest = secure ? secure : after(origin, "http://");
    if (!rest || !ink_authority_parse(a, rest, false)) {
        return false;
    }
    a->port = a->port ? a->port : secure ? 443 : 80;
    return true;
}

/* --------------------------------------------------------------------------------------- target */

static int hex_digit(char c)
{
    return is_digit(c) ? c - '0' : lower(c) >= 'a' && lower(c) <= 'f' ? lower(c) - 'a' + 10 : -1;
}

/* Decode p in place, "+" to a space if is_query. */
static bool decode(char *p, bool is_query, const char **why)
{
    char *out = p;
    for (; *p; p++) {
        char c = *p;
        if (c == '%') {
            int high = hex_digit(p[1]), low = high < 0 ? -1 : hex_digit(p[2]);
            if (low < 0) {
                *why = "the address has a \"%\" without two hexadecimal digits";
                return false;
            }
            c = (char)(high * 16 + low);
            p += 2;
            if (is_control(c) || (!is_query && (c == '/' || c == '\\'))) {
                *why = "the address has an encoded character that is not allowed";
                return false;
            }
        } else if (is_query && c == '+') {
            c = ' ';
        }
        *out++ = c;
    }
    *out = 0;
    return true;
}

static bool is_plain_path(const char *path)
{
    for (const char *part = path + 1;;) {
        size_t n = strcspn(part, "/");
        bool is_last = part[n] == 0;
        if ((n == 0 && !is_last) || (n == 1 && part[0] == '.') ||
            (n == 2 && part[0] == '.' && part[1] == '.')) {
            return false;
        }
        if (is_last) {
            return strchr(path, '\\') == NULL;
        }
        part += n + 1;
    }
}

static bool is_text(const char *text)
{
    size_t n = strlen(text);
    return ink_utf8_valid_prefix(text, n) == n;
}

static bool read_query(struct ink_target *t, const char **why)
{
    for (char *p = t->query; p && *p;) {
        char *next = strchr(p, '&'), *equals;
        if (next) {
            *next++ = 0;
        }
        if (*p) {
            if (t->n_arguments == INK_TARGET_MAX_ARGUMENTS) {
                *why = "the address has too many arguments";
                return false;
            }
            equals = strchr(p, '=');
            if (equals) {
                *equals++ = 0;
            }
            if (!decode(p, true, why) || (equals && !decode(equals, true, why))) {
                return false;
            }
            if (!is_text(p) || (equals && !is_text(equals))) {
                *why = "the address is not UTF-8";
                return false;
            }
            t->arguments[t->n_arguments].name = p;
            t->arguments[t->n_arguments++].value = equals ? equals : "";
        }
        p = next;
    }
    return true;
}

bool ink_target_parse(struct ink_target *t, const char *raw, size_t n, const char **why)
{
    memset(t, 0, sizeof *t);
    *why = NULL;
    if (n == 0 || raw[0] != '/') {
        *why = "the address must begin with \"/\"";
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (is_control(raw[i]) || raw[i] == ' ' || raw[i] == '#' || (unsigned char)raw[i] > 126) {
            *why = "the address has a character that must be encoded";
            return false;
        }
    }
    t->path = ink_strndup(raw, n);
    if (!t->path) {
        return false;
    }
    char *mark = strchr(t->path, '?');
    if (mark) {
        *mark = 0;
        t->query = ink_strdup(mark + 1);
        if (!t->query) {
            return false;
        }
    }
    if (!decode(t->path, false, why)) {
        return false;
    }
    if (!is_text(t->path)) {
        *why = "the address is not UTF-8";
        return false;
    }
    if (!is_plain_path(t->path)) {
        *why = "the address has empty parts, \".\", \"..\" or \"\\\"";
        return false;
    }
    return read_query(t, why);
}

void ink_target_free(struct ink_target *t)
{
    ink_free(t->path);
    ink_free(t->query);
    memset(t, 0, sizeof *t);
}

const char *ink_target_argument(const struct ink_target *t, const char *name)
{
    for (int i = 0; i < t->n_arguments; i++) {
        if (strcmp(t->arguments[i].name, name) == 0) {
            return t->arguments[i].value;
        }
    }
    return NULL;
}
