#include "schema_internal.h"

#include <stdlib.h>
#include <string.h>

enum { max_steps = 4000000, max_added = 80000 };

/* ------------------------------------------------------------------------------------- messages */

/* Append the path from `at` to `node`, or to what node is a reference to; false: it is not there.
 */
static bool append_path(struct ink_string *path, const cJSON *at, const cJSON *node)
{
    const size_t length = path->length;
    int index = 0;
    if (at == node || (node->child && at->child == node->child)) {
        return true;
    }
    for (const cJSON *c = at->child; c; c = c->next, index++) {
        if (c->string) {
            ink_string_puts(path, "/");
            for (const char *k = c->string; *k; k++) {
                ink_string_append(path,
                                  *k == '~'   ? "~0"
                                  : *k == '/' ? "~1"
                                              : k,
                                  *k == '~' || *k == '/' ? 2 : 1);
            }
        } else {
            ink_string_printf(path, "/%d", index);
        }
        if (append_path(path, c, node)) {
            return true;
        }
        path->length = length;
    }
    return false;
}

/* Is `node` in the tree of `at`, which was made? References are where that ends. */
static bool is_in(const cJSON *at, const cJSON *node)
{
    if (at == node) {
        return true;
    }
    for (const cJSON *c = at->type & cJSON_IsReference ? NULL : at->child; c; c = c->next) {
        if (is_in(c, node)) {
            return true;
        }
    }
    return false;
}

/* Where a node that was made comes from. */
static const cJSON *origin_of(const struct ink_schema *s, const cJSON *node)
{
    for (int i = 0; i < s->n_made; i++) {
        if (is_in(s->made[i].node, node)) {
            return s->made[i].origin;
        }
    }
    return s->root;
}

int ink_schema_fail(struct ink_schema *s, const cJSON *node, const char *keyword, const char *why)
{
    struct ink_string path = {0};
    ink_string_puts(&path, "#");
    for (int i = 0; i < 8 && !append_path(&path, s->root, node); i++) {
        node = origin_of(s, node);
    }
    if (path.failed) {
        ink_string_free(&path);
        return ink_fail_memory(s->error, path.capacity);
    }
    path.data[path.length] = '\0';
    int status = ink_fail(s->error, INK_ERROR_ARGUMENT, "%s: %.200s: \"%.60s\": %s", s->what,
                          path.data, keyword, ink_text(why));
    ink_string_free(&path);
    return status;
}

/* ---------------------------------------------------------------------------------- subschemas */

int ink_schema_spend(struct ink_schema *s)
{
    return s->steps > max_steps || s->n_added > max_added
               ? ink_fail(s->error, INK_ERROR_LIMIT, "%s: the schema is too large", s->what)
               : INK_OK;
}

const cJSON *ink_schema_get(struct ink_schema *s, const cJSON *object, const char *key)
{
    for (const cJSON *c = cJSON_IsObject(object) ? object->child : NULL; c; c = c->next) {
        s->steps++;
        if (strcmp(c->string, key) == 0) {
            return c;
        }
    }
    return NULL;
}

static uint32_t *find_entry(struct ink_schema *s, const cJSON *node)
{
    uint32_t at = (uint32_t)((uintptr_t)node / 16 * 2654435761u) % INK_SCHEMA_TABLE;
    while (s->table[at] && s->entries[s->table[at] - 1].node != node) {
        at = (at + 1) % INK_SCHEMA_TABLE;
    }
    return &s->table[at];
}

/* The keywords that say something of values, with the types of those; every other is ignored. */
static const struct {
    const char *name;
    int types; /* -1: not supported */
} keywords[] = {
    {"type", 0},
    {"enum", 0},
    {"const", 0},
    {"anyOf", 0},
    {"oneOf", 0},
    {"allOf", 0},
    {"$ref", 0},
    {"not", -1},
    {"if", -1},
    {"then", -1},
    {"else", -1},
    {"dependentRequired", -1},
    {"dependentSchemas", -1},
    {"dependencies", -1},
    {"patternProperties", -1},
    {"propertyNames", -1},
    {"contains", -1},
    {"minContains", -1},
    {"maxContains", -1},
    {"unevaluatedProperties", -1},
    {"unevaluatedItems", -1},
    {"$dynamicRef", -1},
    {"$recursiveRef", -1},
    {"extends", -1},
    {"disallow", -1},
    {"properties", INK_TYPE_OBJECT_},
    {"required", INK_TYPE_OBJECT_},
    {"additionalProperties", INK_TYPE_OBJECT_},
    {"minProperties", INK_TYPE_OBJECT_},
    {"maxProperties", INK_TYPE_OBJECT_},
    {"items", INK_TYPE_ARRAY_},
    {"prefixItems", INK_TYPE_ARRAY_},
    {"minItems", INK_TYPE_ARRAY_},
    {"maxItems", INK_TYPE_ARRAY_},
    {"uniqueItems", INK_TYPE_ARRAY_},
    {"minLength", INK_TYPE_STRING_},
    {"maxLength", INK_TYPE_STRING_},
    {"pattern", INK_TYPE_STRING_},
    {"format", INK_TYPE_STRING_},
    {"minimum", INK_TYPE_NUMBER_ | INK_TYPE_INTEGER_},
    {"maximum", INK_TYPE_NUMBER_ | INK_TYPE_INTEGER_},
    {"exclusiveMinimum", INK_TYPE_NUMBER_ | INK_TYPE_INTEGER_},
    {"exclusiveMaximum", INK_TYPE_NUMBER_ | INK_TYPE_INTEGER_},
    {"multipleOf", INK_TYPE_NUMBER_ | INK_TYPE_INTEGER_},
};

bool ink_schema_is_alone(const cJSON *node, const char *keyword)
{
    for (const cJSON *c = node->child; c; c = c->next) {
        for (size_t i = 0; i < INK_COUNT(keywords); i++) {
            if (strcmp(c->string, keywords[i].name) == 0 && strcmp(c->string, keyword) != 0) {
                return false;
            }
        }
    }
    return true;
}

int ink_schema_rule(struct ink_schema *s, const cJSON *node, uint32_t *rule)
{
    *rule = 0;
    int status = ink_schema_follow(s, node, &node);
    if (status != INK_OK) {
        return status;
    }
    uint32_t *at = find_entry(s, node);
    if (*at) {
        *rule = s->entries[*at - 1].rule;
        return INK_OK;
    }
    s->n_added += s->n_entries >= INK_SCHEMA_TABLE / 2 ? max_added : 0;
    status = ink_schema_spend(s);
    if (status != INK_OK) {
        return status;
    }
    if (s->n_entries == s->entries_room) {
        uint32_t room = s->entries_room ? 2 * s->entries_room : 64;
        struct ink_schema_entry *more = ink_realloc(s->entries, room, sizeof *more);
        if (!more) {
            return ink_fail_memory(s->error, room * sizeof *more);
        }
        s->entries = more;
        s->entries_room = room;
    }
    *rule = ink_build_rule(s->b);
    s->entries[s->n_entries++] = (struct ink_schema_entry){node, *rule};
    *at = s->n_entries;
    return s->b->status;
}

/* --------------------------------------------------------------------------- arrays and objects */

static int build_array(struct ink_schema *s, const cJSON *node, uint32_t *rule)
{
    struct ink_json_array_parts parts = {.most = UINT32_MAX, .item = UINT32_MAX};
    const cJSON *items = ink_schema_get(s, node, "items"),
                *prefix = ink_schema_get(s, node, "prefixItems"), *rest = items;
    if (cJSON_IsArray(items)) { /* before draft 2020-12 */
        prefix = items;
        rest = ink_schema_get(s, node, "additionalItems");
    }
    if (prefix && !cJSON_IsArray(prefix)) {
        return ink_schema_fail(s, node, "prefixItems", "must be a list of schemas");
    }
    int status = ink_schema_count(s, node, "minItems", &parts.least);
    if (status == INK_OK) {
        status = ink_schema_count(s, node, "maxItems", &parts.most);
    }
    if (status == INK_OK && parts.least > parts.most) {
        return ink_schema_fail(s, node, "minItems", "is greater than maxItems");
    }
    uint32_t *rules = NULL;
    if (status == INK_OK && prefix) {
        parts.n_prefix = (uint32_t)cJSON_GetArraySize(prefix);
        parts.prefix = rules = ink_calloc((size_t)parts.n_prefix + 1, sizeof *rules);
        status = rules ? INK_OK : ink_fail_memory(s->error, parts.n_prefix * sizeof *rules);
        int i = 0;
        for (const cJSON *c = prefix->child; c && status == INK_OK; c = c->next) {
            status = ink_schema_rule(s, c, &rules[i++]);
        }
    }
    if (status == INK_OK && !rest) {
        parts.item = ink_json_any(s->b, s->rules);
    } else if (status == INK_OK && !cJSON_IsFalse(rest)) {
        status = ink_schema_rule(s, rest, &parts.item);
    }
    if (status == INK_OK) {
        *rule = ink_json_array_of(s->b, &parts);
        status = s->b->status;
    }
    ink_free(rules);
    return status;
}

struct properties {
    struct ink_json_property *list;
    uint32_t n, n_required, others;
};

/* A name of `required` that is no property: any other one's schema holds for it. */
static int add_required(struct ink_schema *s, const cJSON *node, struct properties *p,
                        const char *name)
{
    for (uint32_t i = 0; i < p->n; i++) {
        s->steps++;
        if (strcmp(p->list[i].name, name) == 0) {
            p->n_required += !p->list[i].is_required;
            p->list[i].is_required = true;
            return INK_OK;
        }
    }
    const cJSON *others = ink_schema_get(s, node, "additionalProperties");
    struct ink_json_property *one = &p->list[p->n++];
    *one = (struct ink_json_property){.name = name, .is_required = true};
    p->n_required++;
    if (cJSON_IsFalse(others)) {
        return ink_schema_fail(s, node, "required", "names a property that may not be there");
    }
    if (others && !cJSON_IsTrue(others)) {
        return ink_schema_rule(s, others, &one->rule);
    }
    one->rule = ink_json_any(s->b, s->rules);
    return s->b->status;
}

static int read_properties(struct ink_schema *s, const cJSON *node, const cJSON *properties,
                           const cJSON *required, struct properties *p)
{
    int status = INK_OK;
    for (const cJSON *c = properties ? properties->child : NULL; c && status == INK_OK;
         c = c->next) {
        struct ink_json_property *one = &p->list[p->n++];
        *one = (struct ink_json_property){.name = c->string, .is_never = cJSON_IsFalse(c)};
        status = one->is_never ? INK_OK : ink_schema_rule(s, c, &one->rule);
    }
    for (const cJSON *c = required ? required->child : NULL; c && status == INK_OK; c = c->next) {
        status = cJSON_IsString(c)
                     ? add_required(s, node, p, c->valuestring)
                     : ink_schema_fail(s, node, "required", "must be a list of names");
    }
    return status;
}

/* Are minProperties and maxProperties kept whatever is written? */
static int check_property_counts(struct ink_schema *s, const cJSON *node,
                                 const struct properties *p)
{
    uint32_t least = 0, most = UINT32_MAX;
    int status = ink_schema_count(s, node, "minProperties", &least);
    if (status == INK_OK) {
        status = ink_schema_count(s, node, "maxProperties", &most);
    }
    if (status == INK_OK && least > p->n_required) {
        return ink_schema_fail(s, node, "minProperties",
                               "is not supported above the number of required properties");
    }
    if (status == INK_OK && most != UINT32_MAX && (p->others != UINT32_MAX || p->n > most)) {
        return ink_schema_fail(s, node, "maxProperties",
                               "is not supported below the number of possible properties");
    }
    return status;
}

static int build_object(struct ink_schema *s, const cJSON *node, uint32_t rule)
{
    const cJSON *properties = ink_schema_get(s, node, "properties"),
                *required = ink_schema_get(s, node, "required"),
                *others = ink_schema_get(s, node, "additionalProperties");
    struct properties p = {.others = UINT32_MAX};
    if (properties && !cJSON_IsObject(properties)) {
        return ink_schema_fail(s, node, "properties", "must be an object of schemas");
    }
    if (required && !cJSON_IsArray(required)) {
        return ink_schema_fail(s, node, "required", "must be a list of names");
    }
    size_t n = (size_t)cJSON_GetArraySize(properties) + (size_t)cJSON_GetArraySize(required);
    p.list = ink_calloc(n + 1, sizeof *p.list);
    int status = p.list ? read_properties(s, node, properties, required, &p)
                        : ink_fail_memory(s->error, n * sizeof *p.list);
    if (status == INK_OK && (others ? cJSON_IsTrue(others) : !properties)) {
        p.others = ink_json_any(s->b, s->rules);
    } else if (status == INK_OK && others && !cJSON_IsFalse(others)) {
        status = ink_schema_rule(s, others, &p.others);
    }
    if (status == INK_OK) {
        status = check_property_counts(s, node, &p);
    }
    if (status == INK_OK) {
        status = ink_json_object_of(s->b, rule, p.list, p.n, p.others, s->rules);
    }
    ink_free(p.list);
    return status;
}

/* ------------------------------------------------------------------------------------- a schema */

int ink_schema_types(struct ink_schema *s, const cJSON *node, int *types)
{
    static const struct {
        const char *name;
        int bit;
    } names[] = {{"null", INK_TYPE_NULL_},       {"boolean", INK_TYPE_BOOLEAN_},
                 {"string", INK_TYPE_STRING_},   {"number", INK_TYPE_NUMBER_ | INK_TYPE_INTEGER_},
                 {"integer", INK_TYPE_INTEGER_}, {"array", INK_TYPE_ARRAY_},
                 {"object", INK_TYPE_OBJECT_}};
    const cJSON *type = ink_schema_get(s, node, "type");
    const cJSON *at = cJSON_IsArray(type) ? type->child : type;
    *types = 0;
    if (type && !at) {
        return ink_schema_fail(s, node, "type", "names no type");
    }
    for (; at; at = at == type ? NULL : at->next) {
        int bit = 0;
        for (size_t i = 0; i < INK_COUNT(names); i++) {
            if (cJSON_IsString(at) && strcmp(at->valuestring, names[i].name) == 0) {
                bit = names[i].bit;
            }
        }
        if (!bit) {
            return ink_schema_fail(s, node, "type", "names no type");
        }
        *types |= bit;
    }
    return INK_OK;
}

/* What may not be ignored; and the types that keywords speak of. */
static int read_keywords(struct ink_schema *s, const cJSON *node, int *types)
{
    *types = 0;
    for (const cJSON *c = node->child; c; c = c->next) {
        for (size_t i = 0; i < INK_COUNT(keywords); i++) {
            if (strcmp(c->string, keywords[i].name) != 0) {
                continue;
            }
            if (keywords[i].types < 0 || (c->string[0] == 'u' && !cJSON_IsFalse(c))) {
                return ink_schema_fail(s, node, c->string, "is not supported");
            }
            *types |= keywords[i].types;
        }
    }
    return INK_OK;
}

/* One of several schemas. What stands beside them holds for each. */
static int build_branches(struct ink_schema *s, const cJSON *node, const char *keyword,
                          const cJSON *branches, uint32_t from, uint32_t to)
{
    if (!cJSON_IsArray(branches) || !branches->child) {
        return ink_schema_fail(s, node, keyword, "must be a list of schemas");
    }
    int status = INK_OK;
    const bool is_alone = ink_schema_is_alone(node, keyword);
    for (const cJSON *c = branches->child; c && status == INK_OK; c = c->next) {
        const cJSON *both = c;
        uint32_t rule;
        if (!is_alone) {
            status = ink_schema_merge(s, node, c, keyword, &both);
        }
        if (status == INK_OK && !cJSON_IsFalse(both)) {
            status = ink_schema_rule(s, both, &rule);
            ink_build_call(s->b, from, rule, 0, to);
        }
    }
    return status;
}

static int build_types(struct ink_schema *s, const cJSON *node, int types, uint32_t from,
                       uint32_t to)
{
    uint32_t rule = 0;
    int status = INK_OK;
    if (types & INK_TYPE_NULL_) {
        ink_build_path(s->b, from, "null", 4, to);
    }
    if (types & INK_TYPE_BOOLEAN_) {
        ink_build_path(s->b, from, "true", 4, to);
        ink_build_path(s->b, from, "false", 5, to);
    }
    if (types & INK_TYPE_STRING_) {
        status = ink_schema_string(s, node, &rule);
        ink_build_call(s->b, from, rule, 0, to);
    }
    if (status == INK_OK && types & (INK_TYPE_NUMBER_ | INK_TYPE_INTEGER_)) {
        status = ink_schema_number(s, node, !(types & INK_TYPE_NUMBER_), &rule);
        ink_build_call(s->b, from, rule, 0, to);
    }
    if (status == INK_OK && types & INK_TYPE_ARRAY_) {
        status = build_array(s, node, &rule);
        ink_build_call(s->b, from, rule, 0, to);
    }
    if (status == INK_OK && types & INK_TYPE_OBJECT_) {
        rule = ink_build_rule(s->b);
        status = build_object(s, node, rule);
        ink_build_call(s->b, from, rule, 0, to);
    }
    return status;
}

static int build(struct ink_schema *s, const cJSON *node, uint32_t rule)
{
    uint32_t start = ink_build_start(s->b, rule), end = ink_build_state(s->b, rule);
    ink_build_final(s->b, end);
    int status = ink_schema_resolve(s, node, &node), types = 0, spoken_of = 0;
    if (status != INK_OK) {
        return status;
    }
    if (cJSON_IsTrue(node)) {
        ink_build_call(s->b, start, ink_json_any(s->b, s->rules), 0, end);
        return s->b->status;
    }
    if (!cJSON_IsObject(node)) {
        return cJSON_IsFalse(node) ? INK_OK
                                   : ink_schema_fail(s, node, "",
                                                     "is no schema: neither an "
                                                     "object nor true or false");
    }
    static const char *const choices[] = {"anyOf", "oneOf"};
    for (size_t i = 0; i < INK_COUNT(choices); i++) {
        const cJSON *branches = ink_schema_get(s, node, choices[i]);
        if (branches) {
            return build_branches(s, node, choices[i], branches, start, end);
        }
    }
    status = read_keywords(s, node, &spoken_of);
    if (status == INK_OK) {
        status = ink_schema_types(s, node, &types);
    }
    if (status != INK_OK) {
        return status;
    }
    if (ink_schema_get(s, node, "enum") || ink_schema_get(s, node, "const")) {
        return ink_schema_values(s, node, types, start, end);
    }
    if (!types && !spoken_of) {
        ink_build_call(s->b, start, ink_json_any(s->b, s->rules), 0, end);
        return s->b->status;
    }
    return build_types(s, node, types ? types : spoken_of, start, end);
}

/* ------------------------------------------------------------------------------------------ all */

static void close(struct ink_schema *s, cJSON *root)
{
    for (int i = s->n_made; i-- > 0;) {
        cJSON_Delete(s->made[i].node);
    }
    cJSON_Delete(root);
    ink_free(s->entries);
    ink_free(s->table);
    ink_free(s);
}

int ink_schema_build(struct ink_builder *b, uint32_t *rule, struct ink_json_rules *rules,
                     const char *text, size_t n, const char *what, struct ink_error *error)
{
    static const struct ink_json_limits limits = {INK_SCHEMA_BYTES, INK_SCHEMA_VALUES,
                                                  INK_SCHEMA_DEPTH};
    cJSON *root = NULL;
    *rule = 0;
    struct ink_schema *s = ink_calloc(1, sizeof *s);
    if (!s) {
        return ink_fail_memory(error, sizeof *s);
    }
    int status = ink_json_parse(&root, text, n, &limits, what, error);
    if (status == INK_ERROR_INPUT) {
        status = INK_ERROR_ARGUMENT;
        if (error) {
            error->code = status;
        }
    }
    *s = (struct ink_schema){.b = b, .rules = rules, .root = root, .what = what, .error = error};
    s->table = ink_calloc(INK_SCHEMA_TABLE, sizeof *s->table);
    if (status == INK_OK && !s->table) {
        status = ink_fail_memory(error, INK_SCHEMA_TABLE * sizeof *s->table);
    }
    if (status == INK_OK) {
        status = ink_schema_rule(s, root, rule);
    }
    while (status == INK_OK && s->built < s->n_entries) {
        struct ink_schema_entry next = s->entries[s->built++];
        status = build(s, next.node, next.rule);
        status = status == INK_OK ? b->status : status;
    }
    close(s, root);
    return status;
}
