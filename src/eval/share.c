#include "share.h"

#include "adapter.h"
#include "sha256.h"

#include <stdlib.h>
#include <string.h>

int ink_eval_compare(struct ink_cluster *cluster, const struct ink_model *model,
                     const struct ink_adapter *adapter, const struct ink_eval_set *set,
                     const struct ink_string *settings, struct ink_error *error)
{
    struct ink_sha256 sha;
    char hex[65];
    bool is_same;
    if (settings->failed) {
        return ink_fail_memory(error, settings->capacity);
    }
    ink_weights_fingerprint(&model->weights, hex);
    ink_sha256_start(&sha);
    ink_sha256_add(&sha, hex, strlen(hex));
    if (adapter) {
        ink_adapter_fingerprint(adapter, hex);
        ink_sha256_add(&sha, hex, strlen(hex));
    }
    ink_sha256_add(&sha, settings->data, settings->length);
    for (size_t i = 0; i < set->n; i++) {
        const struct ink_encoded *e = &set->samples[i].encoded;
        ink_sha256_add(&sha, &e->n, sizeof e->n);
        ink_sha256_add(&sha, e->tokens, e->n * sizeof *e->tokens);
        ink_sha256_add(&sha, set->samples[i].counted, e->n);
    }
    ink_sha256_finish(&sha, hex);
    hex[16] = '\0';
    int status = ink_cluster_compare(cluster, strtoull(hex, NULL, 16), &is_same, error);
    return status != INK_OK || is_same
               ? status
               : ink_fail(error, INK_ERROR_ARGUMENT,
                          "model, adapter, data or options are not the same on all machines");
}

/* ---------------------------------------------------------------------------------------- losses
 */

int ink_losses_share(struct ink_cluster *cluster, struct ink_loss *losses, size_t n,
                     struct ink_error *error)
{
    double *values = ink_cluster_size(cluster) > 1 ? ink_calloc(n, 2 * sizeof *values) : NULL;
    int status = INK_OK;
    if (ink_cluster_size(cluster) == 1) {
        return INK_OK;
    }
    if (!values) {
        return ink_fail_memory(error, n * 2 * sizeof *values);
    }
    for (size_t i = 0; i < n; i++) {
        values[2 * i] = losses[i].nll;
        values[2 * i + 1] = (double)losses[i].n_tokens;
    }
    status = ink_cluster_sum_doubles(cluster, values, 2 * n, error);
    for (size_t i = 0; i < n && status == INK_OK; i++) {
        losses[i] = (struct ink_loss){values[2 * i], (uint64_t)values[2 * i + 1]};
    }
    ink_free(values);
    return status;
}

/* --------------------------------------------------------------------------------------- answers
 */

/* One answer as it travels, before its text. */
struct head {
    uint64_t length;
    int32_t n_tokens, is_complete;
};

static void pack(struct ink_string *out, const struct ink_prediction *list, size_t n, size_t rank,
                 size_t size)
{
    for (size_t i = rank; i < n; i += size) {
        const struct ink_prediction *p = &list[i];
        const struct head head = {p->text.length, p->n_tokens, p->is_complete};
        ink_string_append(out, (const char *)&head, sizeof head);
        ink_string_append(out, p->text.data ? p->text.data : "", p->text.length);
        out->failed |= p->text.failed;
    }
}

static int unpack(struct ink_prediction *list, const struct ink_eval_set *set,
                  const struct ink_string *in, size_t rank, size_t size, struct ink_error *error)
{
    size_t at = 0;
    for (size_t i = rank; i < set->n; i += size) {
        struct ink_prediction *p = &list[i];
        struct head head = {0, 0, 0};
        if (in->length - at >= sizeof head) {
            memcpy(&head, in->data + at, sizeof head);
            at += sizeof head;
        }
        if (head.length > in->length - at) {
            return ink_fail(error, INK_ERROR_SYSTEM, "process %d sent broken answers", (int)rank);
        }
        if (set->samples[i].has_answer) {
            ink_string_append(&p->text, in->data + at, (size_t)head.length);
            ink_string_puts(&p->text, "");
        }
        p->n_tokens = head.n_tokens;
        p->is_complete = head.is_complete != 0;
        at += (size_t)head.length;
        if (p->text.failed) {
            return ink_fail_memory(error, head.length);
        }
    }
    return INK_OK;
}

int ink_predictions_share(struct ink_cluster *cluster, struct ink_prediction *list,
                          const struct ink_eval_set *set, struct ink_error *error)
{
    const int size = ink_cluster_size(cluster), own = ink_cluster_rank(cluster);
    int status = INK_OK;
    for (int rank = 0; rank < size && size > 1 && status == INK_OK; rank++) {
        struct ink_string text = {0};
        if (rank == own) {
            pack(&text, list, set->n, (size_t)rank, (size_t)size);
        }
        status = ink_cluster_send_string(cluster, rank, &text, error);
        if (status == INK_OK && rank != own) {
            status = unpack(list, set, &text, (size_t)rank, (size_t)size, error);
        }
        ink_string_free(&text);
    }
    return status;
}
