/* The gate in front of cJSON: what it lets pass, cJSON parses, and printing that and parsing it
 * again gives the same value. */
#include "../../src/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct ink_json_limits limits = {1 << 20, 10000, 64};

/* In order, as printing keeps it. cJSON_Compare takes time exponential in the depth, and cJSON
 * prints 15 digits of a number where that is near enough. */
static bool is_same(const cJSON *a, const cJSON *b)
{
    if ((a->type & 0xFF) != (b->type & 0xFF) || !a->string != !b->string ||
        (a->string && strcmp(a->string, b->string) != 0) ||
        (cJSON_IsString(a) && strcmp(a->valuestring, b->valuestring) != 0) ||
        (cJSON_IsNumber(a) &&
         fabs(a->valuedouble - b->valuedouble) > 1e-14 * fabs(a->valuedouble))) {
        return false;
    }
    const cJSON *x = a->child, *y = b->child;
    while (x && y && is_same(x, y)) {
        x = x->next;
        y = y->next;
    }
    return !x && !y;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n)
{
    struct ink_error error = {0};
    cJSON *value = NULL, *again = NULL;
    const char *text = (const char *)data;
    const int checked = ink_json_check(text, n, &limits, "fuzz", &error);
    if (checked != INK_OK && error.message[0] == '\0') {
        abort();
    }
    error.message[0] = '\0';
    const int parsed = ink_json_parse(&value, text, n, &limits, "fuzz", &error);
    if (parsed == INK_OK) {
        char *printed = cJSON_PrintUnformatted(value);
        if (checked != INK_OK || !value || !printed ||
            ink_json_parse(&again, printed, strlen(printed), &limits, "again", &error) != INK_OK ||
            !is_same(value, again)) {
            abort();
        }
        cJSON_free(printed);
    } else if (value || (checked == INK_OK && !strstr(error.message, "duplicate") &&
                         !strstr(error.message, "too large"))) {
        abort(); /* beyond the gate only duplicate keys and numbers beyond a double are refused */
    }
    cJSON_Delete(value);
    cJSON_Delete(again);
    return 0;
}
