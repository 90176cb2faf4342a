/* What the files of the schema compiler share. Nobody else includes this. */
#ifndef INK_SCHEMA_INTERNAL_H
#define INK_SCHEMA_INTERNAL_H

#include "schema.h"

#include "json.h"

struct ink_schema_entry {
    const cJSON *node;
    uint32_t rule;
};
struct ink_schema_made {
    cJSON *node;
    const cJSON *origin; /* of the schema's text, for messages */
};

struct ink_schema {
    struct ink_builder *b;
    struct ink_json_rules *rules;
    const cJSON *root;
    const char *what;
    struct ink_error *error;
    /* Subschemas with their rules, in the order in which they were met; those from `built` on are
     * still to be built. */
    struct ink_schema_entry *entries;
    uint32_t n_entries, entries_room, built;
    uint32_t *table; /* [INK_SCHEMA_TABLE] entries by node: index + 1 */
    struct ink_schema_made made[INK_SCHEMA_MERGES];
    int n_made;
    long steps, n_added; /* of searches, of references to nodes: what a hostile schema makes many */
};
enum { INK_SCHEMA_TABLE = 65536 };

/* INK_ERROR_ARGUMENT, naming the place and the keyword. */
int ink_schema_fail(struct ink_schema *s, const cJSON *node, const char *keyword, const char *why);
/* INK_ERROR_LIMIT once there were too many steps or references. */
int ink_schema_spend(struct ink_schema *s);
/* The member of an object, or NULL. */
const cJSON *ink_schema_get(struct ink_schema *s, const cJSON *object, const char *key);
/* Does no other keyword of this schema say anything of values? */
bool ink_schema_is_alone(const cJSON *node, const char *keyword);
/* The rule of a subschema, to be built by and by. */
int ink_schema_rule(struct ink_schema *s, const cJSON *node, uint32_t *rule);

/* schema_merge.c: the schema that one with nothing but a $ref stands for; others as they are. */
int ink_schema_follow(struct ink_schema *s, const cJSON *node, const cJSON **out);
/* Follow $ref, and make one of allOf. *out is a node without both. */
int ink_schema_resolve(struct ink_schema *s, const cJSON *node, const cJSON **out);
/* Both at once. Without the keyword `drop` (may be NULL) of a. */
int ink_schema_merge(struct ink_schema *s, const cJSON *a, const cJSON *b, const char *drop,
                     const cJSON **out);

/* Types as bits. */
enum {
    INK_TYPE_NULL_ = 1,
    INK_TYPE_BOOLEAN_ = 2,
    INK_TYPE_STRING_ = 4,
    INK_TYPE_NUMBER_ = 8,
    INK_TYPE_INTEGER_ = 16,
    INK_TYPE_ARRAY_ = 32,
    INK_TYPE_OBJECT_ = 64,
};
/* Those that the keyword `type` names; 0: it is not there. */
int ink_schema_types(struct ink_schema *s, const cJSON *node, int *types);

/* schema_scalar.c */
int ink_schema_string(struct ink_schema *s, const cJSON *node, uint32_t *rule);
int ink_schema_number(struct ink_schema *s, const cJSON *node, bool is_integer, uint32_t *rule);
/* The texts of `enum` and `const` that the other keywords allow too: from `from` to `to`. */
int ink_schema_values(struct ink_schema *s, const cJSON *node, int types, uint32_t from,
                      uint32_t to);
/* A count such as minLength: 0 to UINT32_MAX - 1; *out stays as it is if it is not there. */
int ink_schema_count(struct ink_schema *s, const cJSON *node, const char *keyword, uint32_t *out);

#endif
