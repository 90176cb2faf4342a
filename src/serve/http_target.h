/* What a request's first line and headers say, taken apart and checked: bytes in, no HTTP library.
 * Whatever is not plainly in order is refused, never mended. */
#ifndef INK_HTTP_TARGET_H
#define INK_HTTP_TARGET_H

#include "common.h"

enum { INK_TARGET_MAX_ARGUMENTS = 64 };

/* The target of a request, decoded once. */
struct ink_target {
    char *path; /* begins with "/"; UTF-8; no control characters, "\", empty, "." or ".." parts */
    struct {
        const char *name, *value; /* value "" where there is none */
    } arguments[INK_TARGET_MAX_ARGUMENTS];
    int n_arguments;
    char *query; /* what the arguments point into */
};
/* raw [n] as the client wrote it: "/path?query". False: *why (English, static) says what is wrong;
 * NULL: out of memory. Free it either way. */
bool ink_target_parse(struct ink_target *t, const char *raw, size_t n, const char **why);
void ink_target_free(struct ink_target *t);
/* NULL: there is none. */
const char *ink_target_argument(const struct ink_target *t, const char *name);

/* "name", "name:80", "127.0.0.1:80", "[::1]:80". */
struct ink_authority {
    char host[256]; /* lower case, without brackets, without a dot at the end */
    bool is_ipv6;   /* stood in brackets */
    int port;       /* 1 to 65535; 0: none given */
};
/* Also without brackets round an IPv6 address if `is_bare`: then there is no port. */
bool ink_authority_parse(struct ink_authority *a, const char *text, bool is_bare);
/* "localhost", 127.x.y.z as four plain decimal numbers, "::1". Other spellings are not. */
bool ink_authority_is_loopback(const struct ink_authority *a);
/* "http://..." or "https://..." and nothing behind the port; a missing port is filled in. */
bool ink_origin_parse(struct ink_authority *a, const char *origin);

/* Lower and upper case of ASCII are the same. */
bool ink_same_word(const char *a, const char *b);
/* A header's name or a method: RFC 9110's token. */
bool ink_is_token(const char *text, size_t n);
/* A header's value: no control character but tab. */
bool ink_is_field_value(const char *text, size_t n);
/* 1 to 64 of A-Z a-z 0-9 . _ - */
bool ink_is_request_id(const char *text);
/* application/json, with charset=utf-8 or without a parameter. */
bool ink_is_json_type(const char *content_type);

#endif
