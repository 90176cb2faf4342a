/* Rules for the parts of JSON text, as grammars are built of them. All of it is compact: no white
 * space, but for one space that may follow a colon or a comma. */
#ifndef INK_GRAMMAR_JSON_H
#define INK_GRAMMAR_JSON_H

#include "dfa.h"

/* Rules that many places share; 0: not made yet (rule 0 is the root's). */
struct ink_json_rules {
    uint32_t any, string, rest_of_string, number, integer, object, array;
};
/* Any value; a string of any length; what follows a string's opening quote; a number of up to 16
 * digits before and after the point and 2 of the exponent; an integer of up to 18 digits; an object
 * or an array of any values. */
uint32_t ink_json_any(struct ink_builder *b, struct ink_json_rules *rules);
uint32_t ink_json_string(struct ink_builder *b, struct ink_json_rules *rules);
uint32_t ink_json_rest_of_string(struct ink_builder *b, struct ink_json_rules *rules);
uint32_t ink_json_number(struct ink_builder *b, struct ink_json_rules *rules);
uint32_t ink_json_integer(struct ink_builder *b, struct ink_json_rules *rules);
uint32_t ink_json_object(struct ink_builder *b, struct ink_json_rules *rules);
uint32_t ink_json_array(struct ink_builder *b, struct ink_json_rules *rules);

/* A string of least..most characters (most UINT32_MAX: no limit). */
uint32_t ink_json_string_of(struct ink_builder *b, uint32_t least, uint32_t most);
/* A string that an automaton matches. */
uint32_t ink_json_string_in(struct ink_builder *b, const struct ink_dfa *d);

/* An array: first items by rules [n_prefix], the others (if there is a rule, else UINT32_MAX) by
 * `item`; least..most of them. */
struct ink_json_array_parts {
    const uint32_t *prefix;
    uint32_t n_prefix, item, least, most;
};
uint32_t ink_json_array_of(struct ink_builder *b, const struct ink_json_array_parts *parts);

/* An object: its properties in this order, those that are not required perhaps left out; then
 * others by the rule `others` (UINT32_MAX: none), whose names are none of the properties'. */
struct ink_json_property {
    const char *name;
    uint32_t rule;
    bool is_required, is_never; /* never: the name may not be there */
};
int ink_json_object_of(struct ink_builder *b, uint32_t rule,
                       const struct ink_json_property *properties, uint32_t n, uint32_t others,
                       struct ink_json_rules *rules);

/* The bound of a number. */
struct ink_json_bound {
    bool is_set, is_exclusive;
    double value;
};
/* A number between them, without an exponent: an integer of up to 18 digits, or a number of up to
 * 15. *why is set where there is none (INK_ERROR_ARGUMENT). */
int ink_json_number_within(struct ink_builder *b, uint32_t *rule, bool is_integer,
                           struct ink_json_bound low, struct ink_json_bound high, const char **why);

#endif
