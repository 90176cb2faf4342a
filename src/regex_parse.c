/* Patterns of ECMA-262 as trees. */
#include "regex.h"

#include <string.h>

int ink_regex_wrong(struct ink_regex_parser *p, const char *why)
{
    if (!p->why) {
        p->why = ink_text(why);
    }
    p->at = p->end;
    return 0;
}

int ink_regex_add_node(struct ink_regex_parser *p, enum ink_regex_node_kind kind, int a, int b)
{
    if (p->n_nodes == INK_REGEX_NODES) {
        return ink_regex_wrong(p, "the pattern is too large");
    }
    p->nodes[p->n_nodes] = (struct ink_regex_node){kind, a, b, 0, 0};
    return p->n_nodes++;
}

void ink_regex_add_range(struct ink_regex_parser *p, uint32_t low, uint32_t high)
{
    if (p->n_ranges == INK_REGEX_RANGES) {
        ink_regex_wrong(p, "the pattern is too large");
        return;
    }
    p->ranges[p->n_ranges++] = (struct ink_range){low, high};
}

static int read_choice(struct ink_regex_parser *p);

static int read_group(struct ink_regex_parser *p)
{
    if (p->end - p->at >= 2 && p->at[0] == '?') {
        const char kind = p->at[1], next = p->end - p->at >= 3 ? p->at[2] : 0;
        if (kind == '=' || kind == '!' || (kind == '<' && (next == '=' || next == '!'))) {
            return ink_regex_wrong(p, "lookaround is not supported");
        }
        if (kind == '<') {
            while (p->at < p->end && *p->at != '>') {
                p->at++;
            }
            p->at += p->at < p->end;
        } else if (kind == ':') {
            p->at += 2;
        } else {
            return ink_regex_wrong(p, "an unknown kind of group");
        }
    }
    if (++p->depth > INK_REGEX_DEPTH) {
        return ink_regex_wrong(p, "the pattern nests too deep");
    }
    int node = read_choice(p);
    p->depth--;
    if (p->at == p->end || *p->at != ')') {
        return ink_regex_wrong(p, "a group without its end");
    }
    p->at++;
    return node;
}

static int read_atom(struct ink_regex_parser *p)
{
    const int from = p->n_ranges;
    const char c = *p->at;
    if (c == '(' || c == '[' || c == '^' || c == '$' || c == '.') {
        p->at++;
    }
    switch (c) {
    case '(':
        return read_group(p);
    case '[':
        return ink_regex_read_set(p);
    case '^':
        return ink_regex_add_node(p, INK_REGEX_BEGIN, 0, 0);
    case '$':
        return ink_regex_add_node(p, INK_REGEX_END, 0, 0);
    case '.':
        ink_regex_add_range(p, '\n', '\n');
        ink_regex_add_range(p, '\r', '\r');
        ink_regex_add_range(p, 0x2028, 0x2029);
        ink_regex_tidy_ranges(p, from, true);
        return ink_regex_add_node(p, INK_REGEX_CHARACTER, from, p->n_ranges);
    case '*':
    case '+':
    case '?':
        return ink_regex_wrong(p, "nothing to repeat");
    default:
        break;
    }
    if (c == '\\' && p->end - p->at >= 2 && ink_regex_add_class(p, p->at[1])) {
        p->at += 2;
        return ink_regex_add_node(p, INK_REGEX_CHARACTER, from, p->n_ranges);
    }
    p->at += c == '\\';
    uint32_t one = c == '\\' ? ink_regex_read_escape(p, false) : ink_regex_read_plain(p);
    ink_regex_add_range(p, one, one);
    return ink_regex_add_node(p, INK_REGEX_CHARACTER, from, p->n_ranges);
}

/* A number of up to 9 digits; -1: there is none. */
static int read_number(struct ink_regex_parser *p)
{
    int n = -1;
    for (; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++) {
        n = (n < 0 ? 0 : n * 10) + (*p->at - '0');
        n = n > 99999999 ? 99999999 : n;
    }
    return n;
}

/* {n}, {n,}, {n,m}. False: it is none, and a brace is a brace. */
static bool read_braces(struct ink_regex_parser *p, int *least, int *most)
{
    const char *start = p->at++;
    *least = *most = read_number(p);
    if (*least >= 0 && p->at < p->end && *p->at == ',') {
        p->at++;
        *most = read_number(p);
        *most = *most < 0 ? INK_REGEX_NO_LIMIT : *most;
    }
    if (*least < 0 || p->at == p->end || *p->at != '}') {
        p->at = start;
        return false;
    }
    p->at++;
    return true;
}

static int read_repeat(struct ink_regex_parser *p)
{
    int node = read_atom(p);
    if (p->at == p->end || !*p->at || !strchr("*+?{", *p->at)) {
        return node;
    }
    int least = *p->at == '+', most = *p->at == '?' ? 1 : INK_REGEX_NO_LIMIT;
    if (*p->at != '{') {
        p->at++;
    } else if (!read_braces(p, &least, &most)) {
        return node;
    }
    p->at += p->at < p->end && *p->at == '?'; /* lazy: the same texts */
    if (least > INK_REGEX_REPEAT || most > INK_REGEX_REPEAT) {
        return ink_regex_wrong(p, "a repetition of more than 1000");
    }
    if (most != INK_REGEX_NO_LIMIT && most < least) {
        return ink_regex_wrong(p, "a bad repetition");
    }
    node = ink_regex_add_node(p, INK_REGEX_REPETITION, node, 0);
    if (!p->why) {
        p->nodes[node].least = least;
        p->nodes[node].most = most;
    }
    return node;
}

static int read_sequence(struct ink_regex_parser *p)
{
    int node = ink_regex_add_node(p, INK_REGEX_EMPTY, 0, 0);
    while (p->at < p->end && *p->at != '|' && *p->at != ')') {
        int next = *p->at == '{' ? -1 : read_repeat(p), least, most;
        if (next < 0) { /* a brace that begins nothing */
            const int from = p->n_ranges;
            if (read_braces(p, &least, &most)) {
                return ink_regex_wrong(p, "nothing to repeat");
            }
            p->at++;
            ink_regex_add_range(p, '{', '{');
            next = ink_regex_add_node(p, INK_REGEX_CHARACTER, from, p->n_ranges);
        }
        node = ink_regex_add_node(p, INK_REGEX_SEQUENCE, node, next);
    }
    return node;
}

static int read_choice(struct ink_regex_parser *p)
{
    int node = read_sequence(p);
    while (p->at < p->end && *p->at == '|') {
        p->at++;
        int other = read_sequence(p);
        node = ink_regex_add_node(p, INK_REGEX_CHOICE, node, other);
    }
    return node;
}

int ink_regex_parse(struct ink_regex_parser *p)
{
    int root = read_choice(p);
    if (p->at < p->end) {
        ink_regex_wrong(p, "a bracket that closes nothing");
    }
    return root;
}
