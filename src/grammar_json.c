#include "grammar_json.h"

#include "json.h"

#include <string.h>

/* ------------------------------------------------------------------------------------- strings */

static void add_hex(struct ink_builder *b, uint32_t from, unsigned flags, uint32_t to)
{
    ink_build_edge(b, from, '0', '9', flags, to);
    ink_build_edge(b, from, 'a', 'f', flags, to);
    ink_build_edge(b, from, 'A', 'F', flags, to);
}

/* A letter of either case. */
static void add_letters(struct ink_builder *b, uint32_t from, unsigned low, unsigned high,
                        uint32_t to)
{
    ink_build_edge(b, from, low, high, 0, to);
    ink_build_edge(b, from, low - 32, high - 32, 0, to);
}

/* After "\u": four digits that are not 0000, or a pair of surrogates. */
static void add_unicode_escape(struct ink_builder *b, uint32_t rule, uint32_t from, unsigned count,
                               uint32_t to)
{
    uint32_t left[4] = {to}; /* n more digits */
    for (int n = 1; n <= 3; n++) {
        left[n] = ink_build_state(b, rule);
        add_hex(b, left[n], n == 1 ? count : 0, left[n - 1]);
    }
    uint32_t zeros = from; /* only zeros so far */
    for (int n = 3; n >= 0; n--) {
        ink_build_edge(b, zeros, '1', '9', n == 0 ? count : 0, left[n]);
        if (n < 3) {
            ink_build_edge(b, zeros, 'a', 'f', n == 0 ? count : 0, left[n]);
            ink_build_edge(b, zeros, 'A', 'F', n == 0 ? count : 0, left[n]);
        }
        if (n > 0) {
            uint32_t next = ink_build_state(b, rule);
            ink_build_edge(b, zeros, '0', '0', 0, next);
            zeros = next;
        }
    }
    add_letters(b, from, 'a', 'c', left[3]);
    add_letters(b, from, 'e', 'f', left[3]);
    uint32_t d = ink_build_state(b, rule), high2 = ink_build_state(b, rule),
             high1 = ink_build_state(b, rule), escape = ink_build_state(b, rule),
             u = ink_build_state(b, rule), low4 = ink_build_state(b, rule),
             low3 = ink_build_state(b, rule);
    add_letters(b, from, 'd', 'd', d);
    ink_build_edge(b, d, '0', '7', 0, left[2]);
    ink_build_edge(b, d, '8', '9', 0, high2);
    add_letters(b, d, 'a', 'b', high2);
    add_hex(b, high2, 0, high1);
    add_hex(b, high1, 0, escape);
    ink_build_edge(b, escape, '\\', '\\', 0, u);
    ink_build_edge(b, u, 'u', 'u', 0, low4);
    add_letters(b, low4, 'd', 'd', low3);
    add_letters(b, low3, 'c', 'f', left[2]);
}

/* UTF-8 of more than one byte: Unicode's table 3-7. */
static void add_utf8(struct ink_builder *b, uint32_t rule, uint32_t from, unsigned enter,
                     unsigned count, uint32_t to)
{
    uint32_t left[4] = {to};
    for (int n = 1; n <= 3; n++) {
        left[n] = ink_build_state(b, rule);
        ink_build_edge(b, left[n], 0x80, 0xBF, n == 1 ? count : 0, left[n - 1]);
    }
    static const struct {
        uint8_t lead, low, high, more; /* after the lead byte low..high, and then `more` */
    } odd[] = {
        {0xE0, 0xA0, 0xBF, 1}, {0xED, 0x80, 0x9F, 1}, {0xF0, 0x90, 0xBF, 2}, {0xF4, 0x80, 0x8F, 2}};
    ink_build_edge(b, from, 0xC2, 0xDF, enter, left[1]);
    ink_build_edge(b, from, 0xE1, 0xEC, enter, left[2]);
    ink_build_edge(b, from, 0xEE, 0xEF, enter, left[2]);
    ink_build_edge(b, from, 0xF1, 0xF3, enter, left[3]);
    for (size_t i = 0; i < INK_COUNT(odd); i++) {
        uint32_t next = ink_build_state(b, rule);
        ink_build_edge(b, from, odd[i].lead, odd[i].lead, enter, next);
        ink_build_edge(b, next, odd[i].low, odd[i].high, 0, left[odd[i].more]);
    }
}

/* What stands inside a string, and its closing quote: from `body` to a final state. */
static void add_body(struct ink_builder *b, uint32_t rule, uint32_t body, uint32_t least,
                     uint32_t most)
{
    const bool counts = least > 0 || most != UINT32_MAX;
    const unsigned enter = most != UINT32_MAX ? INK_EDGE_NEED_MAX : 0;
    const unsigned count = counts ? INK_EDGE_COUNT : 0;
    uint32_t end = ink_build_state(b, rule), escape = ink_build_state(b, rule),
             u = ink_build_state(b, rule);
    ink_build_final(b, end);
    ink_build_edge(b, body, '"', '"', least > 0 ? INK_EDGE_NEED_MIN : 0, end);
    ink_build_edge(b, body, 0x5D, 0x7F, enter | count, body);
    ink_build_edge(b, body, 0x23, 0x5B, enter | count, body);
    ink_build_edge(b, body, 0x20, 0x21, enter | count, body);
    ink_build_edge(b, body, '\\', '\\', enter, escape);
    for (const char *c = "\"\\/bfnrt"; *c; c++) {
        ink_build_edge(b, escape, (unsigned char)*c, (unsigned char)*c, count, body);
    }
    ink_build_edge(b, escape, 'u', 'u', 0, u);
    add_unicode_escape(b, rule, u, count, body);
    add_utf8(b, rule, body, enter, count, body);
    if (b->status == INK_OK) {
        struct ink_rule *r = &b->rules[rule];
        r->least = least;
        r->most = most;
        r->anchor = r->loop = body;
    }
}

uint32_t ink_json_string_of(struct ink_builder *b, uint32_t least, uint32_t most)
{
    uint32_t rule = ink_build_rule(b), body = ink_build_state(b, rule);
    ink_build_edge(b, ink_build_start(b, rule), '"', '"', 0, body);
    add_body(b, rule, body, least, most);
    return rule;
}

uint32_t ink_json_string_in(struct ink_builder *b, const struct ink_dfa *d)
{
    uint32_t rule = ink_build_rule(b), body = ink_build_state(b, rule),
             end = ink_build_state(b, rule);
    ink_build_edge(b, ink_build_start(b, rule), '"', '"', 0, body);
    ink_build_final(b, end);
    ink_dfa_build(b, d, body, end);
    return rule;
}

uint32_t ink_json_string(struct ink_builder *b, struct ink_json_rules *rules)
{
    if (!rules->string) {
        rules->string = ink_json_string_of(b, 0, UINT32_MAX);
    }
    return rules->string;
}

uint32_t ink_json_rest_of_string(struct ink_builder *b, struct ink_json_rules *rules)
{
    if (!rules->rest_of_string) {
        rules->rest_of_string = ink_build_rule(b);
        add_body(b, rules->rest_of_string, ink_build_start(b, rules->rest_of_string), 0,
                 UINT32_MAX);
    }
    return rules->rest_of_string;
}

/* ------------------------------------------------------------------------------------- numbers */

/* From `from` one to n digits; each state after a digit goes to the list. */
static void add_digits(struct ink_builder *b, uint32_t rule, uint32_t from, unsigned first, int n,
                       uint32_t *after)
{
    for (int i = 0; i < n; i++) {
        after[i] = ink_build_state(b, rule);
        ink_build_edge(b, from, i == 0 ? first : '0', '9', 0, after[i]);
        from = after[i];
    }
}

uint32_t ink_json_integer(struct ink_builder *b, struct ink_json_rules *rules)
{
    enum { digits = 18 };
    if (!rules->integer) {
        uint32_t rule = ink_build_rule(b), after[digits], start = ink_build_start(b, rule),
                 minus = ink_build_state(b, rule), zero = ink_build_state(b, rule);
        add_digits(b, rule, start, '1', digits, after);
        ink_build_edge(b, start, '0', '0', 0, zero);
        ink_build_edge(b, start, '-', '-', 0, minus);
        ink_build_edge(b, minus, '1', '9', 0, after[0]);
        ink_build_final(b, zero);
        for (int i = 0; i < digits; i++) {
            ink_build_final(b, after[i]);
        }
        rules->integer = rule;
    }
    return rules->integer;
}

uint32_t ink_json_number(struct ink_builder *b, struct ink_json_rules *rules)
{
    enum { digits = 16, exponent = 2 };
    if (rules->number) {
        return rules->number;
    }
    uint32_t rule = ink_build_rule(b), whole[digits + 1], part[digits], power[exponent],
             start = ink_build_start(b, rule), minus = ink_build_state(b, rule),
             point = ink_build_state(b, rule), e = ink_build_state(b, rule),
             sign = ink_build_state(b, rule);
    whole[digits] = ink_build_state(b, rule); /* a lone zero */
    add_digits(b, rule, start, '1', digits, whole);
    ink_build_edge(b, start, '0', '0', 0, whole[digits]);
    ink_build_edge(b, start, '-', '-', 0, minus);
    ink_build_edge(b, minus, '1', '9', 0, whole[0]);
    ink_build_edge(b, minus, '0', '0', 0, whole[digits]);
    add_digits(b, rule, point, '0', digits, part);
    add_digits(b, rule, e, '0', exponent, power);
    ink_build_edge(b, e, '+', '+', 0, sign);
    ink_build_edge(b, e, '-', '-', 0, sign);
    ink_build_edge(b, sign, '0', '9', 0, power[0]);
    for (int i = 0; i <= digits; i++) {
        ink_build_final(b, whole[i]);
        ink_build_edge(b, whole[i], '.', '.', 0, point);
        add_letters(b, whole[i], 'e', 'e', e);
        if (i < digits) {
            ink_build_final(b, part[i]);
            add_letters(b, part[i], 'e', 'e', e);
        }
    }
    ink_build_final(b, power[0]);
    ink_build_final(b, power[1]);
    return rules->number = rule;
}

/* -------------------------------------------------------------------------------------- arrays */

/* After a comma: an item, with a space before it or not. */
static void add_item(struct ink_builder *b, uint32_t rule, uint32_t comma, uint32_t item,
                     unsigned flags, uint32_t to)
{
    uint32_t space = ink_build_state(b, rule);
    ink_build_edge(b, comma, ' ', ' ', 0, space);
    ink_build_call(b, comma, item, flags, to);
    ink_build_call(b, space, item, flags, to);
}

/* The items that `item` is for: a loop with a count. at: after the others, or if there are none,
 * after the bracket. Of the first item there is a way of its own, so that the least number of them
 * is part of every way to the end, see ink_grammar_weigh. */
static void add_items(struct ink_builder *b, uint32_t rule, const struct ink_json_array_parts *p,
                      uint32_t at, uint32_t end)
{
    const uint32_t least = p->least > p->n_prefix ? p->least - p->n_prefix : 0;
    const uint32_t most = p->most == UINT32_MAX ? p->most : p->most - p->n_prefix;
    const unsigned count = least > 0 || most != UINT32_MAX ? INK_EDGE_COUNT : 0;
    uint32_t anchor = ink_build_state(b, rule), loop = ink_build_state(b, rule);
    if (least == 0) {
        ink_build_edge(b, at, ']', ']', 0, end);
    }
    if (p->n_prefix == 0) {
        ink_build_call(b, at, p->item, count, anchor);
    } else {
        uint32_t comma = ink_build_state(b, rule);
        ink_build_edge(b, at, ',', ',', 0, comma);
        add_item(b, rule, comma, p->item, count, anchor);
    }
    ink_build_edge(b, anchor, ']', ']', least > 0 ? INK_EDGE_NEED_MIN : 0, end);
    ink_build_edge(b, anchor, ',', ',', most != UINT32_MAX ? INK_EDGE_NEED_MAX : 0, loop);
    add_item(b, rule, loop, p->item, count, anchor);
    if (b->status == INK_OK) {
        struct ink_rule *r = &b->rules[rule];
        r->least = least;
        r->most = most;
        r->anchor = anchor;
        r->loop = loop;
    }
}

uint32_t ink_json_array_of(struct ink_builder *b, const struct ink_json_array_parts *p)
{
    uint32_t rule = ink_build_rule(b), end = ink_build_state(b, rule),
             at = ink_build_state(b, rule);
    ink_build_final(b, end);
    ink_build_edge(b, ink_build_start(b, rule), '[', '[', 0, at);
    for (uint32_t i = 0; i < p->n_prefix && i < p->most; i++) {
        uint32_t next = ink_build_state(b, rule);
        if (i >= p->least) {
            ink_build_edge(b, at, ']', ']', 0, end);
        }
        if (i == 0) {
            ink_build_call(b, at, p->prefix[i], 0, next);
        } else {
            uint32_t comma = ink_build_state(b, rule);
            ink_build_edge(b, at, ',', ',', 0, comma);
            add_item(b, rule, comma, p->prefix[i], 0, next);
        }
        at = next;
    }
    if (p->item != UINT32_MAX && p->most > p->n_prefix) {
        add_items(b, rule, p, at, end);
    } else if (p->least <= p->n_prefix) {
        ink_build_edge(b, at, ']', ']', 0, end);
    }
    return rule;
}

uint32_t ink_json_array(struct ink_builder *b, struct ink_json_rules *rules)
{
    if (!rules->array) {
        struct ink_json_array_parts parts = {.item = ink_json_any(b, rules), .most = UINT32_MAX};
        if (!rules->array) { /* any value may be an array, and has made it */
            rules->array = ink_json_array_of(b, &parts);
        }
    }
    return rules->array;
}

/* ------------------------------------------------------------------------------------ any value */

uint32_t ink_json_object(struct ink_builder *b, struct ink_json_rules *rules)
{
    if (!rules->object) {
        uint32_t any = ink_json_any(b, rules);
        if (!rules->object) {
            rules->object = ink_build_rule(b);
            ink_json_object_of(b, rules->object, NULL, 0, any, rules);
        }
    }
    return rules->object;
}

uint32_t ink_json_any(struct ink_builder *b, struct ink_json_rules *rules)
{
    static const char *const words[] = {"true", "false", "null"};
    if (rules->any) {
        return rules->any;
    }
    uint32_t rule = rules->any = ink_build_rule(b), end = ink_build_state(b, rule),
             start = ink_build_start(b, rule);
    ink_build_final(b, end);
    ink_build_call(b, start, ink_json_string(b, rules), 0, end);
    ink_build_call(b, start, ink_json_number(b, rules), 0, end);
    ink_build_call(b, start, ink_json_object(b, rules), 0, end);
    ink_build_call(b, start, ink_json_array(b, rules), 0, end);
    for (size_t i = 0; i < INK_COUNT(words); i++) {
        ink_build_path(b, start, words[i], strlen(words[i]), end);
    }
    return rule;
}
