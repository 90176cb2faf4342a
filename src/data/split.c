#include "split_internal.h"

#include "shuffle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const ink_split_names[INK_SPLIT_PARTS] = {"train", "val", "test"};

int ink_split_parse_ratio(double ratio[INK_SPLIT_PARTS], const char *text, const char *shown,
                          struct ink_error *error)
{
    const char *at = text;
    bool is_right = strspn(text, "0123456789.:") == strlen(text);
    for (int k = 0; k < INK_SPLIT_PARTS && is_right; k++) {
        char *end;
        ratio[k] = strtod(at, &end);
        is_right = end != at && ratio[k] < 1e9 && *end == (k + 1 < INK_SPLIT_PARTS ? ':' : '\0');
        at = end + 1;
    }
    if (!is_right || !(ratio[0] > 0)) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "%s: \"%s\" is not three numbers such as 8:1:1, the first above 0", shown,
                        text);
    }
    return INK_OK;
}

/* Where the parts begin among n records. */
static void cut(size_t begin[INK_SPLIT_PARTS + 1], const double ratio[INK_SPLIT_PARTS], size_t n)
{
    const double sum = ratio[0] + ratio[1] + ratio[2];
    const double whole = fabs(sum - 1) < 1e-9 ? 1 : sum;
    const double train = ratio[0] / whole, val = ratio[1] / whole;
    const size_t a = (size_t)((double)n * train), b = (size_t)((double)n * (train + val));
    begin[0] = 0;
    begin[1] = a < n ? a : n;
    begin[2] = b < n && ratio[2] > 0 ? b : n;
    begin[3] = n;
}

/* Records part by part, in a part as they were. */
static int arrange(struct ink_split *s, const uint32_t *groups, const unsigned char *parts,
                   struct ink_error *error)
{
    uint32_t *order = ink_malloc(s->n * sizeof *order);
    size_t at = 0;
    if (!order) {
        return ink_fail_memory(error, s->n * sizeof *order);
    }
    for (int k = 0; k < INK_SPLIT_PARTS; k++) {
        s->begin[k] = at;
        for (size_t i = 0; i < s->n; i++) {
            if (parts[groups[s->order[i]]] == k) {
                order[at++] = s->order[i];
            }
        }
    }
    ink_free(s->order);
    s->order = order;
    return INK_OK;
}

static int keep_together(struct ink_split *s, const struct ink_dataset *d,
                         const struct ink_split_options *options, struct ink_error *error)
{
    size_t target[INK_SPLIT_PARTS];
    uint32_t *groups = ink_calloc(s->n, sizeof *groups), *sizes = ink_calloc(s->n, sizeof *sizes);
    unsigned char *parts = ink_calloc(s->n, 1);
    int status = groups && sizes && parts
                     ? ink_split_find_groups(groups, &s->n_groups, d, s->order, options, error)
                     : ink_fail_memory(error, s->n * (2 * sizeof *groups + 1));
    for (int k = 0; k < INK_SPLIT_PARTS; k++) {
        target[k] = s->begin[k + 1] - s->begin[k];
    }
    if (status == INK_OK) {
        for (size_t i = 0; i < s->n; i++) {
            sizes[groups[i]]++;
        }
        status = ink_split_assign(parts, sizes, s->n_groups, target, error);
    }
    if (status == INK_OK) {
        status = arrange(s, groups, parts, error);
    }
    ink_free(groups);
    ink_free(sizes);
    ink_free(parts);
    return status;
}

int ink_split_plan(struct ink_split *out, const struct ink_dataset *d,
                   const struct ink_split_options *options, struct ink_error *error)
{
    struct ink_twister twister;
    const size_t n = ink_dataset_get_info(d)->n_samples;
    *out = (struct ink_split){.n = n, .order = ink_malloc(n * sizeof *out->order)};
    int status = out->order ? ink_twister_seed_python(&twister, options->seed, "--seed", error)
                            : ink_fail_memory(error, n * sizeof *out->order);
    if (status == INK_OK) {
        for (size_t i = 0; i < n; i++) {
            out->order[i] = (uint32_t)i;
        }
        ink_twister_shuffle(&twister, out->order, n);
        cut(out->begin, options->ratio, n);
        status = options->group_by ? keep_together(out, d, options, error) : INK_OK;
    }
    if (status != INK_OK) {
        ink_split_free(out);
    }
    return status;
}

void ink_split_free(struct ink_split *split)
{
    ink_free(split->order);
    *split = (struct ink_split){0};
}
