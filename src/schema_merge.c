/* $ref, and several schemas as one. Objects that are made hold references to the schema's own
 * nodes, so nothing is copied deep. */
#include "schema_internal.h"

#include <string.h>

/* --------------------------------------------------------------------------------------- $ref */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Decode the next part of a pointer, up to a slash, into out[n]; returns what follows, or NULL. */
static const char *read_part(const char *at, char *out, size_t n)
{
    size_t length = 0;
    for (; *at && *at != '/' && length + 1 < n; length++) {
        char c = *at++;
        if (c == '%' && hex_digit(at[0]) >= 0 && hex_digit(at[1]) >= 0) {
            c = (char)(hex_digit(at[0]) * 16 + hex_digit(at[1]));
            at += 2;
        }
        if (c == '~' && (*at == '0' || *at == '1')) {
            c = *at++ == '0' ? '~' : '/';
        }
        out[length] = c;
    }
    out[length] = '\0';
    return *at && *at != '/' ? NULL : at;
}

static const cJSON *find_item(struct ink_schema *s, const cJSON *array, const char *number)
{
    long left = 0;
    for (const char *c = number; *c; c++) {
        if (*c < '0' || *c > '9' || left > 100000) {
            return NULL;
        }
        left = left * 10 + (*c - '0');
    }
    const cJSON *item = array->child;
    for (; item && left > 0; left--) {
        item = item->next;
        s->steps++;
    }
    return item;
}

static int find_target(struct ink_schema *s, const cJSON *node, const cJSON *reference,
                       const cJSON **out)
{
    const char *at = cJSON_IsString(reference) ? reference->valuestring : "";
    const cJSON *target = s->root;
    char part[512];
    if (at[0] != '#' || (at[1] != '\0' && at[1] != '/')) {
        return ink_schema_fail(s, node, "$ref", "is no reference into this schema (\"#/...\")");
    }
    for (at++; at && *at == '/' && target;) {
        at = read_part(at + 1, part, sizeof part);
        target =
            cJSON_IsArray(target) ? find_item(s, target, part) : ink_schema_get(s, target, part);
    }
    if (!at || *at || !target) {
        return ink_schema_fail(s, node, "$ref", "refers to nothing");
    }
    *out = target;
    return INK_OK;
}

/* -------------------------------------------------------------------------------- new objects */

static int no_memory(struct ink_schema *s)
{
    return ink_fail_memory(s->error, sizeof(cJSON));
}

/* A new object or array that belongs to the schema. */
static int make(struct ink_schema *s, cJSON *node, const cJSON *origin, cJSON **out)
{
    *out = node;
    if (!node) {
        return no_memory(s);
    }
    if (s->n_made == INK_SCHEMA_MERGES) {
        cJSON_Delete(node);
        return ink_schema_fail(s, origin, "allOf", "there are too many schemas to be merged");
    }
    s->made[s->n_made++] = (struct ink_schema_made){node, origin};
    return INK_OK;
}

static int add(struct ink_schema *s, cJSON *object, const char *key, const cJSON *value)
{
    s->n_added++;
    int status = ink_schema_spend(s);
    if (status != INK_OK) {
        return status;
    }
    /* cJSON_AddItemReferenceToObject leaks where memory runs out */
    cJSON *reference = cJSON_CreateNull();
    if (!reference) {
        return no_memory(s);
    }
    *reference = *value;
    reference->next = reference->prev = NULL;
    reference->string = NULL;
    reference->type = (value->type & ~cJSON_StringIsConst) | cJSON_IsReference;
    if (!cJSON_AddItemToObject(object, key, reference)) {
        cJSON_Delete(reference);
        return no_memory(s);
    }
    return INK_OK;
}

/* object[key] = both a and b. */
static int add_both(struct ink_schema *s, cJSON *object, const char *key, const cJSON *a,
                    const cJSON *b)
{
    if (cJSON_IsFalse(a) || cJSON_IsTrue(b) || a == b) {
        return add(s, object, key, a);
    }
    if (cJSON_IsFalse(b) || cJSON_IsTrue(a)) {
        return add(s, object, key, b);
    }
    s->n_added += 4;
    int status = ink_schema_spend(s);
    if (status != INK_OK) {
        return status;
    }
    cJSON *both = cJSON_AddObjectToObject(object, key);
    cJSON *list = both ? cJSON_AddArrayToObject(both, "allOf") : NULL;
    return list && cJSON_AddItemReferenceToArray(list, (cJSON *)a) &&
                   cJSON_AddItemReferenceToArray(list, (cJSON *)b)
               ? INK_OK
               : no_memory(s);
}

/* ------------------------------------------------------------------------------------- keywords */

enum policy { FIRST, GREATEST, LEAST, TYPES, NAMES, BOTH, VALUES, CHOICES, SAME, ELSEWHERE };

static enum policy policy_of(const char *key)
{
    static const struct {
        const char *key;
        enum policy policy;
    } policies[] = {{"minimum", GREATEST},
                    {"exclusiveMinimum", GREATEST},
                    {"minLength", GREATEST},
                    {"minItems", GREATEST},
                    {"minProperties", GREATEST},
                    {"maximum", LEAST},
                    {"exclusiveMaximum", LEAST},
                    {"maxLength", LEAST},
                    {"maxItems", LEAST},
                    {"maxProperties", LEAST},
                    {"type", TYPES},
                    {"required", NAMES},
                    {"items", BOTH},
                    {"additionalProperties", ELSEWHERE},
                    {"properties", ELSEWHERE},
                    {"enum", VALUES},
                    {"const", VALUES},
                    {"anyOf", CHOICES},
                    {"oneOf", CHOICES},
                    {"pattern", SAME},
                    {"format", SAME},
                    {"multipleOf", SAME},
                    {"prefixItems", SAME},
                    {"additionalItems", SAME},
                    {"uniqueItems", SAME},
                    {"$ref", ELSEWHERE},
                    {"$defs", ELSEWHERE},
                    {"definitions", ELSEWHERE}};
    for (size_t i = 0; i < INK_COUNT(policies); i++) {
        if (strcmp(policies[i].key, key) == 0) {
            return policies[i].policy;
        }
    }
    return FIRST;
}

static int cannot(struct ink_schema *s, const cJSON *node, const char *key)
{
    return ink_schema_fail(s, node, key, "cannot be merged with that of another schema");
}

static bool is_same_scalar(const cJSON *a, const cJSON *b)
{
    return (a->type & 0xFF) == (b->type & 0xFF) && !a->child && !b->child &&
           (!cJSON_IsNumber(a) || a->valuedouble == b->valuedouble) &&
           (!cJSON_IsString(a) || strcmp(a->valuestring, b->valuestring) == 0);
}

static int add_types(struct ink_schema *s, cJSON *out, const cJSON *a, const cJSON *b)
{
    static const struct {
        const char *name;
        int bit;
    } names[] = {{"null", INK_TYPE_NULL_},     {"boolean", INK_TYPE_BOOLEAN_},
                 {"string", INK_TYPE_STRING_}, {"number", INK_TYPE_NUMBER_},
                 {"array", INK_TYPE_ARRAY_},   {"object", INK_TYPE_OBJECT_}};
    int x = 0, y = 0;
    int status = ink_schema_types(s, a, &x);
    if (status == INK_OK) {
        status = ink_schema_types(s, b, &y);
    }
    if (status != INK_OK) {
        return status;
    }
    if (!(x & y)) {
        return ink_schema_fail(s, a, "type", "no value has the types of all merged schemas");
    }
    cJSON *list = cJSON_AddArrayToObject(out, "type");
    bool fails = !list;
    for (size_t i = 0; i < INK_COUNT(names) && !fails; i++) {
        const char *name = x & y & names[i].bit ? names[i].name : NULL;
        if (names[i].bit == INK_TYPE_NUMBER_ && !name && x & y & INK_TYPE_INTEGER_) {
            name = "integer";
        }
        fails = name && !cJSON_AddItemToArray(list, cJSON_CreateStringReference(name));
    }
    return fails ? no_memory(s) : INK_OK;
}

static int add_list(struct ink_schema *s, cJSON *list, const cJSON *from)
{
    for (const cJSON *c = from->child; c; c = c->next) {
        s->n_added++;
        int status =
            cJSON_AddItemReferenceToArray(list, (cJSON *)c) ? ink_schema_spend(s) : no_memory(s);
        if (status != INK_OK) {
            return status;
        }
    }
    return INK_OK;
}

/* Both lists of names. Names that come twice do no harm. */
static int add_names(struct ink_schema *s, cJSON *out, const cJSON *a, const cJSON *b)
{
    cJSON *list = cJSON_AddArrayToObject(out, "required");
    int status = list ? add_list(s, list, a) : no_memory(s);
    return status == INK_OK ? add_list(s, list, b) : status;
}

static const cJSON *first_value(const cJSON *enumeration, const cJSON *constant)
{
    return constant ? constant : enumeration->child;
}

/* The values that are in both. */
static int add_values(struct ink_schema *s, cJSON *out, const cJSON *a, const cJSON *b)
{
    const cJSON *a_enum = ink_schema_get(s, a, "enum"), *a_const = ink_schema_get(s, a, "const"),
                *b_enum = ink_schema_get(s, b, "enum"), *b_const = ink_schema_get(s, b, "const");
    cJSON *list = cJSON_AddArrayToObject(out, "enum");
    if (!list) {
        return no_memory(s);
    }
    for (const cJSON *x = first_value(a_enum, a_const); x; x = x == a_const ? NULL : x->next) {
        int status = ink_schema_spend(s);
        if (status != INK_OK) {
            return status;
        }
        for (const cJSON *y = first_value(b_enum, b_const); y; y = y == b_const ? NULL : y->next) {
            s->steps++;
            if (x->child && y->child) {
                return cannot(s, a, a_const ? "const" : "enum");
            }
            if (is_same_scalar(x, y) && !cJSON_AddItemReferenceToArray(list, (cJSON *)x)) {
                return no_memory(s);
            }
        }
    }
    return list->child ? INK_OK
                       : ink_schema_fail(s, a, a_const ? "const" : "enum",
                                         "no value is in all merged schemas");
}

/* Properties of a, each with what b says of it: its own, or what it says of others. */
static int add_side(struct ink_schema *s, cJSON *out, const cJSON *a, const cJSON *b, bool common)
{
    const cJSON *ours = ink_schema_get(s, a, "properties"),
                *theirs = ink_schema_get(s, b, "properties"),
                *others = ink_schema_get(s, b, "additionalProperties");
    int status = INK_OK;
    for (const cJSON *c = ours ? ours->child : NULL; c && status == INK_OK; c = c->next) {
        const cJSON *same = ink_schema_get(s, theirs, c->string);
        if (same && common) {
            status = add_both(s, out, c->string, c, same);
        } else if (!same && others) {
            status = add_both(s, out, c->string, c, others);
        } else if (!same) {
            status = add(s, out, c->string, c);
        }
    }
    return status;
}

static int add_properties(struct ink_schema *s, cJSON *out, const cJSON *a, const cJSON *b)
{
    const cJSON *x = ink_schema_get(s, a, "additionalProperties"),
                *y = ink_schema_get(s, b, "additionalProperties");
    int status = INK_OK;
    if (ink_schema_get(s, a, "properties") || ink_schema_get(s, b, "properties")) {
        cJSON *list = cJSON_AddObjectToObject(out, "properties");
        status = list ? add_side(s, list, a, b, true) : no_memory(s);
        if (status == INK_OK) {
            status = add_side(s, list, b, a, false);
        }
    }
    if (status == INK_OK && x && y) {
        return add_both(s, out, "additionalProperties", x, y);
    }
    return status == INK_OK && (x || y) ? add(s, out, "additionalProperties", x ? x : y) : status;
}

/* ------------------------------------------------------------------------------------- merging */

/* A keyword of a, which b may have as well. */
static int add_keyword(struct ink_schema *s, cJSON *out, const cJSON *a, const cJSON *b,
                       const cJSON *x)
{
    const cJSON *y = ink_schema_get(s, b, x->string);
    const char *key = x->string;
    switch (policy_of(key)) {
    case ELSEWHERE:
    case VALUES:
        return INK_OK;
    case GREATEST:
        return add(s, out, key, y && y->valuedouble > x->valuedouble ? y : x);
    case LEAST:
        return add(s, out, key, y && y->valuedouble < x->valuedouble ? y : x);
    case TYPES:
        return y ? add_types(s, out, a, b) : add(s, out, key, x);
    case NAMES:
        return y ? add_names(s, out, x, y) : add(s, out, key, x);
    case BOTH:
        if (cJSON_IsArray(x) || (y && cJSON_IsArray(y)) || ink_schema_get(s, b, "prefixItems")) {
            return cannot(s, a, key);
        }
        return y ? add_both(s, out, key, x, y) : add(s, out, key, x);
    case CHOICES:
    case SAME:
        if ((y && y != x && !is_same_scalar(x, y)) ||
            (strcmp(key, "prefixItems") == 0 && ink_schema_get(s, b, "items"))) {
            return cannot(s, a, key);
        }
        return add(s, out, key, x);
    default:
        return add(s, out, key, x);
    }
}

static int add_all_values(struct ink_schema *s, cJSON *out, const cJSON *a, const cJSON *b)
{
    const cJSON *x = ink_schema_get(s, a, "const"), *y = ink_schema_get(s, b, "const");
    x = x ? x : ink_schema_get(s, a, "enum");
    y = y ? y : ink_schema_get(s, b, "enum");
    if (x && y) {
        return add_values(s, out, a, b);
    }
    return x || y ? add(s, out, (x ? x : y)->string, x ? x : y) : INK_OK;
}

static int merge_objects(struct ink_schema *s, const cJSON *a, const cJSON *b, const char *drop,
                         const cJSON **out)
{
    cJSON *object;
    int status = make(s, cJSON_CreateObject(), a, &object);
    *out = object;
    for (const cJSON *x = a->child; x && status == INK_OK; x = x->next) {
        status = ink_schema_spend(s);
        if (status == INK_OK && (!drop || strcmp(x->string, drop) != 0)) {
            status = add_keyword(s, object, a, b, x);
        }
    }
    for (const cJSON *y = b->child; y && status == INK_OK; y = y->next) {
        const bool is_dropped = drop && strcmp(y->string, drop) == 0;
        status = ink_schema_spend(s);
        if (status == INK_OK && (is_dropped || !ink_schema_get(s, a, y->string))) {
            status = add_keyword(s, object, b, is_dropped ? NULL : a, y);
        }
    }
    if (status == INK_OK) {
        status = add_all_values(s, object, a, b);
    }
    return status == INK_OK ? add_properties(s, object, a, b) : status;
}

static int resolve(struct ink_schema *s, const cJSON *node, int depth, const cJSON **out);

static int merge(struct ink_schema *s, const cJSON *a, const cJSON *b, const char *drop, int depth,
                 const cJSON **out)
{
    int status = resolve(s, b, depth + 1, &b);
    *out = b;
    if (status != INK_OK || cJSON_IsFalse(b)) {
        return status;
    }
    static const cJSON nothing = {.type = cJSON_Object};
    if (!cJSON_IsTrue(b) && !cJSON_IsObject(b)) {
        return ink_schema_fail(s, b, "", "is no schema: neither an object nor true or false");
    }
    return merge_objects(s, a, cJSON_IsTrue(b) ? &nothing : b, drop, out);
}

int ink_schema_merge(struct ink_schema *s, const cJSON *a, const cJSON *b, const char *drop,
                     const cJSON **out)
{
    return merge(s, a, b, drop, 0, out);
}

static int merge_all(struct ink_schema *s, const cJSON *node, const cJSON *all, int depth,
                     const cJSON **out)
{
    if (!cJSON_IsArray(all) || !all->child) {
        return ink_schema_fail(s, node, "allOf", "must be a list of schemas");
    }
    int status = INK_OK;
    const char *drop = "allOf";
    for (const cJSON *c = all->child; c && status == INK_OK && !cJSON_IsFalse(node); c = c->next) {
        status = merge(s, node, c, drop, depth, &node);
        drop = NULL;
    }
    *out = node;
    return status;
}

static int resolve(struct ink_schema *s, const cJSON *node, int depth, const cJSON **out)
{
    const cJSON *all, *reference;
    int status = INK_OK;
    if (depth > 32) {
        return ink_schema_fail(s, node, "allOf", "nests too deep, or refers to itself");
    }
    for (int i = 0; (reference = ink_schema_get(s, node, "$ref")) != NULL; i++) {
        const cJSON *target = NULL;
        status = find_target(s, node, reference, &target);
        if (status == INK_OK && i == 32) {
            return ink_schema_fail(s, node, "$ref", "goes round in a circle");
        }
        if (status == INK_OK && !ink_schema_is_alone(node, "$ref")) {
            status = merge(s, node, target, "$ref", depth, &target);
        }
        if (status != INK_OK) {
            return status;
        }
        node = target;
    }
    if ((all = ink_schema_get(s, node, "allOf")) != NULL) {
        status = merge_all(s, node, all, depth, &node);
    }
    *out = node;
    return status;
}

int ink_schema_follow(struct ink_schema *s, const cJSON *node, const cJSON **out)
{
    const cJSON *reference;
    for (int i = 0;
         (reference = ink_schema_get(s, node, "$ref")) != NULL && ink_schema_is_alone(node, "$ref");
         i++) {
        const cJSON *target = NULL;
        int status = i < 32 ? find_target(s, node, reference, &target)
                            : ink_schema_fail(s, node, "$ref", "goes round in a circle");
        if (status != INK_OK) {
            return status;
        }
        node = target;
    }
    *out = node;
    return INK_OK;
}

int ink_schema_resolve(struct ink_schema *s, const cJSON *node, const cJSON **out)
{
    return resolve(s, node, 0, out);
}
