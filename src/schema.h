/* JSON Schema as a grammar. What is supported stands in inkstone.h. */
#ifndef INK_SCHEMA_H
#define INK_SCHEMA_H

#include "grammar_json.h"

enum {
    INK_SCHEMA_BYTES = 256 << 10, /* limits of one schema's text */
    INK_SCHEMA_VALUES = 20000,
    INK_SCHEMA_DEPTH = 64,
    INK_SCHEMA_MERGES = 500, /* objects made for allOf and for keywords beside $ref and anyOf */
};

/* A rule for the values of the schema in text [n]; `what` names it in messages. */
int ink_schema_build(struct ink_builder *b, uint32_t *rule, struct ink_json_rules *rules,
                     const char *text, size_t n, const char *what, struct ink_error *error);

#endif
