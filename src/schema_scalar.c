#include "schema_internal.h"

#include <math.h>
#include <string.h>

int ink_schema_count(struct ink_schema *s, const cJSON *node, const char *keyword, uint32_t *out)
{
    const cJSON *value = ink_schema_get(s, node, keyword);
    if (!value) {
        return INK_OK;
    }
    const double v = cJSON_IsNumber(value) ? value->valuedouble : -1;
    if (v < 0 || v != floor(v)) {
        return ink_schema_fail(s, node, keyword, "must be an integer of zero or more");
    }
    *out = v < UINT32_MAX ? (uint32_t)v : UINT32_MAX - 1;
    return INK_OK;
}

/* ------------------------------------------------------------------------------------- strings */

#define YEAR "[1-9][0-9]{3}"
#define LEAP "([1-9][0-9](0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00)"
#define DATE                                                                                     \
    "(" YEAR "-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-" \
    "(0[1-9]|1[0-9]|2[0-8]))|" LEAP "-02-29)"
#define TIME                                                                                       \
    "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9]" \
    ")"
#define OCTET "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
#define HEX(n) "[0-9a-fA-F]{" #n "}"
#define LABEL "[A-Za-z0-9]+(-[A-Za-z0-9]+)*"

static const char *format_pattern(const char *format)
{
    static const struct {
        const char *format, *pattern;
    } formats[] = {
        {"date", "^" DATE "$"},
        {"time", "^" TIME "$"},
        {"date-time", "^" DATE "T" TIME "$"},
        {"uuid", "^" HEX(8) "-" HEX(4) "-" HEX(4) "-" HEX(4) "-" HEX(12) "$"},
        {"email", "^[A-Za-z0-9_+-]+(\\.[A-Za-z0-9_+-]+)*@" LABEL "(\\." LABEL ")+$"},
        {"ipv4", "^" OCTET "\\." OCTET "\\." OCTET "\\." OCTET "$"},
    };
    for (size_t i = 0; i < INK_COUNT(formats); i++) {
        if (strcmp(formats[i].format, format) == 0) {
            return formats[i].pattern;
        }
    }
    return NULL;
}

/* What a string must match; `any`: there is something. */
struct demands {
    struct ink_dfa d;
    bool any;
};

/* *sum = *sum and `more`, which is closed. */
static int demand(struct ink_schema *s, struct demands *sum, struct ink_dfa *more)
{
    int status = INK_OK;
    if (sum->any) {
        struct ink_dfa both;
        status = ink_dfa_intersect(&both, &sum->d, more, s->error);
        ink_dfa_close(&sum->d);
        ink_dfa_close(more);
        sum->d = both;
    } else {
        sum->d = *more;
    }
    sum->any = true;
    return status;
}

static int demand_pattern(struct ink_schema *s, const cJSON *node, const char *keyword,
                          const char *pattern, struct demands *sum)
{
    struct ink_dfa d;
    const char *why;
    int status = ink_dfa_of_pattern(&d, pattern, &s->b->pattern_work, &why, s->error);
    if (status == INK_OK) {
        return demand(s, sum, &d);
    }
    ink_dfa_close(&d);
    return why ? ink_schema_fail(s, node, keyword, why) : status;
}

static int read_demands(struct ink_schema *s, const cJSON *node, struct demands *sum)
{
    const cJSON *pattern = ink_schema_get(s, node, "pattern"),
                *format = ink_schema_get(s, node, "format");
    const char *known = NULL;
    int status = INK_OK;
    if ((pattern && !cJSON_IsString(pattern)) || (format && !cJSON_IsString(format))) {
        return ink_schema_fail(s, node, pattern && !cJSON_IsString(pattern) ? "pattern" : "format",
                               "must be a string");
    }
    if (pattern) {
        status = demand_pattern(s, node, "pattern", pattern->valuestring, sum);
    }
    if (status == INK_OK && format) {
        known = format_pattern(format->valuestring);
    }
    return known ? demand_pattern(s, node, "format", known, sum) : status;
}

static int read_lengths(struct ink_schema *s, const cJSON *node, uint32_t *least, uint32_t *most)
{
    *least = 0;
    *most = UINT32_MAX;
    int status = ink_schema_count(s, node, "minLength", least);
    if (status == INK_OK) {
        status = ink_schema_count(s, node, "maxLength", most);
    }
    return status == INK_OK && *least > *most
               ? ink_schema_fail(s, node, "minLength", "is greater than maxLength")
               : status;
}

static int build_matching(struct ink_schema *s, const cJSON *node, struct demands *sum,
                          uint32_t least, uint32_t most, uint32_t *rule)
{
    int status = INK_OK;
    if (least > 0 || most != UINT32_MAX) {
        struct ink_dfa lengths;
        status = ink_dfa_of_length(&lengths, least, most, s->error);
        if (status == INK_OK) {
            status = demand(s, sum, &lengths);
        } else {
            ink_dfa_close(&lengths);
        }
    }
    if (status == INK_OK && !ink_dfa_is_possible(&sum->d)) {
        status = ink_schema_fail(s, node, ink_schema_get(s, node, "pattern") ? "pattern" : "format",
                                 "no string matches it and the other keywords");
    }
    if (status == INK_OK) {
        *rule = ink_json_string_in(s->b, &sum->d);
    }
    return status;
}

int ink_schema_string(struct ink_schema *s, const cJSON *node, uint32_t *rule)
{
    uint32_t least, most;
    struct demands sum = {0};
    int status = read_lengths(s, node, &least, &most);
    if (status == INK_OK) {
        status = read_demands(s, node, &sum);
    }
    if (status == INK_OK && sum.any) {
        status = build_matching(s, node, &sum, least, most, rule);
    } else if (status == INK_OK) {
        *rule = least == 0 && most == UINT32_MAX ? ink_json_string(s->b, s->rules)
                                                 : ink_json_string_of(s->b, least, most);
    }
    ink_dfa_close(&sum.d);
    return status;
}

/* ------------------------------------------------------------------------------------- numbers */

/* The tighter one of, say, minimum and exclusiveMinimum. */
static int read_bound(struct ink_schema *s, const cJSON *node, const char *keyword,
                      const char *exclusive, double sign, struct ink_json_bound *out)
{
    const cJSON *value = ink_schema_get(s, node, keyword),
                *other = ink_schema_get(s, node, exclusive);
    *out = (struct ink_json_bound){0};
    if ((value && !cJSON_IsNumber(value)) || (other && !cJSON_IsNumber(other))) {
        return ink_schema_fail(s, node, value && !cJSON_IsNumber(value) ? keyword : exclusive,
                               "must be a number");
    }
    if (value) {
        *out = (struct ink_json_bound){true, false, value->valuedouble};
    }
    if (other && (!value || sign * other->valuedouble >= sign * value->valuedouble)) {
        *out = (struct ink_json_bound){true, true, other->valuedouble};
    }
    return INK_OK;
}

static int read_bounds(struct ink_schema *s, const cJSON *node, struct ink_json_bound *low,
                       struct ink_json_bound *high)
{
    int status = read_bound(s, node, "minimum", "exclusiveMinimum", 1, low);
    return status == INK_OK ? read_bound(s, node, "maximum", "exclusiveMaximum", -1, high) : status;
}

int ink_schema_number(struct ink_schema *s, const cJSON *node, bool is_integer, uint32_t *rule)
{
    struct ink_json_bound low, high;
    const cJSON *multiple = ink_schema_get(s, node, "multipleOf");
    const char *why;
    int status = read_bounds(s, node, &low, &high);
    if (status == INK_OK && multiple) {
        if (!cJSON_IsNumber(multiple) || multiple->valuedouble != 1) {
            return ink_schema_fail(s, node, "multipleOf", "is not supported, but for 1");
        }
        is_integer = true;
    }
    if (status != INK_OK) {
        return status;
    }
    if (!low.is_set && !high.is_set) {
        *rule = is_integer ? ink_json_integer(s->b, s->rules) : ink_json_number(s->b, s->rules);
        return s->b->status;
    }
    status = ink_json_number_within(s->b, rule, is_integer, low, high, &why);
    return why ? ink_schema_fail(s, node, low.is_set ? "minimum" : "maximum", why) : status;
}

/* -------------------------------------------------------------------------------------- values */

static int type_of(const cJSON *v)
{
    const bool is_whole = cJSON_IsNumber(v) && v->valuedouble == floor(v->valuedouble);
    return cJSON_IsNull(v)     ? INK_TYPE_NULL_
           : cJSON_IsBool(v)   ? INK_TYPE_BOOLEAN_
           : cJSON_IsString(v) ? INK_TYPE_STRING_
           : cJSON_IsArray(v)  ? INK_TYPE_ARRAY_
           : cJSON_IsObject(v) ? INK_TYPE_OBJECT_
           : is_whole          ? INK_TYPE_NUMBER_ | INK_TYPE_INTEGER_
                               : INK_TYPE_NUMBER_;
}

static uint32_t length_of(const char *text)
{
    uint32_t n = 0;
    for (; *text; text++) {
        n += (*text & 0xC0) != 0x80;
    }
    return n;
}

/* The other keywords, for values that are listed. */
struct filter {
    int types;
    uint32_t least, most;
    struct ink_json_bound low, high;
    struct demands demands;
    bool only_integers;
};

static bool admits(const struct filter *f, const cJSON *v)
{
    const double x = v->valuedouble;
    if (f->types && !(f->types & type_of(v))) {
        return false;
    }
    if (cJSON_IsString(v)) {
        const uint32_t n = length_of(v->valuestring);
        return n >= f->least && n <= f->most &&
               (!f->demands.any || ink_dfa_matches(&f->demands.d, v->valuestring));
    }
    if (cJSON_IsNumber(v)) {
        return !(f->only_integers && x != floor(x)) &&
               !(f->low.is_set && (f->low.is_exclusive ? x <= f->low.value : x < f->low.value)) &&
               !(f->high.is_set && (f->high.is_exclusive ? x >= f->high.value : x > f->high.value));
    }
    return true;
}

static int add_value(struct ink_schema *s, const cJSON *node, const cJSON *v, uint32_t from,
                     uint32_t to)
{
    if (cJSON_IsNumber(v) && fabs(v->valuedouble) > 0x1p53) {
        return ink_schema_fail(s, node, "enum", "has a number that is too large to be exact");
    }
    char *text = cJSON_PrintUnformatted(v);
    if (!text) {
        return ink_fail_memory(s->error, sizeof *v);
    }
    ink_build_path(s->b, from, text, strlen(text), to);
    cJSON_free(text);
    return s->b->status;
}

/* Arrays and objects in the list are compared with nothing but `type`. */
static int check_compound(struct ink_schema *s, const cJSON *node)
{
    static const char *const others[] = {"properties",    "required",      "additionalProperties",
                                         "minProperties", "maxProperties", "items",
                                         "prefixItems",   "minItems",      "maxItems"};
    for (size_t i = 0; i < INK_COUNT(others); i++) {
        if (ink_schema_get(s, node, others[i])) {
            return ink_schema_fail(s, node, others[i],
                                   "is not supported beside a list of arrays or objects");
        }
    }
    return INK_OK;
}

static int add_values(struct ink_schema *s, const cJSON *node, const struct filter *f,
                      uint32_t from, uint32_t to)
{
    const cJSON *constant = ink_schema_get(s, node, "const"),
                *list = ink_schema_get(s, node, "enum");
    int n = 0, status = INK_OK;
    for (const cJSON *v = constant ? constant : list->child; v && status == INK_OK;
         v = v == constant ? NULL : v->next) {
        if (v->child) {
            status = check_compound(s, node);
        }
        if (status == INK_OK && admits(f, v)) {
            status = add_value(s, node, v, from, to);
            n++;
        }
    }
    return status == INK_OK && n == 0
               ? ink_schema_fail(s, node, constant ? "const" : "enum",
                                 "has no value that the other keywords allow")
               : status;
}

int ink_schema_values(struct ink_schema *s, const cJSON *node, int types, uint32_t from,
                      uint32_t to)
{
    const cJSON *list = ink_schema_get(s, node, "enum"),
                *constant = ink_schema_get(s, node, "const"),
                *multiple = ink_schema_get(s, node, "multipleOf");
    struct filter f = {.types = types};
    if (list && (!cJSON_IsArray(list) || !list->child)) {
        return ink_schema_fail(s, node, "enum", "must be a list of values");
    }
    if (list && constant) {
        return ink_schema_fail(s, node, "const", "is not supported beside enum");
    }
    if (multiple && (!cJSON_IsNumber(multiple) || multiple->valuedouble != 1)) {
        return ink_schema_fail(s, node, "multipleOf", "is not supported, but for 1");
    }
    f.only_integers = multiple != NULL;
    int status = read_lengths(s, node, &f.least, &f.most);
    if (status == INK_OK) {
        status = read_bounds(s, node, &f.low, &f.high);
    }
    if (status == INK_OK) {
        status = read_demands(s, node, &f.demands);
    }
    if (status == INK_OK) {
        status = add_values(s, node, &f, from, to);
    }
    ink_dfa_close(&f.demands.d);
    return status;
}
