#include "corpus.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------- reading */

static bool grow(void **p, size_t n, size_t size)
{
    void *more = ink_realloc(*p, n, size);
    *p = more ? more : *p;
    return more != NULL;
}

static bool reserve(struct ink_corpus *c, size_t tokens)
{
    const size_t used = (size_t)c->begins[c->n];
    if (used + tokens > c->token_capacity) {
        const size_t n = 2 * c->token_capacity + tokens + 4096;
        if (!grow((void **)&c->tokens, n, sizeof *c->tokens) ||
            !grow((void **)&c->trained, n, sizeof *c->trained)) {
            return false;
        }
        c->token_capacity = n;
    }
    if (c->n + 2 > c->sample_capacity) {
        const size_t n = 2 * c->sample_capacity;
        if (!grow((void **)&c->begins, n, sizeof *c->begins) ||
            !grow((void **)&c->lines, n, sizeof *c->lines)) {
            return false;
        }
        c->sample_capacity = n;
    }
    return true;
}

/* A window as a sample of its own. */
static int append_window(struct ink_corpus *c, const struct ink_encoded *e,
                         const struct ink_window *window, uint64_t line, struct ink_error *error)
{
    size_t n = window->n;
    while (n > 0 && !e->trained[window->begin + n - 1]) {
        n--;
    }
    if (!reserve(c, n)) {
        return ink_fail_memory(error, n * sizeof *c->tokens);
    }
    const size_t at = (size_t)c->begins[c->n];
    memcpy(c->tokens + at, e->tokens + window->begin, n * sizeof *c->tokens);
    memcpy(c->trained + at, e->trained + window->begin, n);
    c->trained[at] = 0;
    c->lines[c->n++] = line;
    c->begins[c->n] = at + n;
    c->longest = (int)n > c->longest ? (int)n : c->longest;
    return INK_OK;
}

static int append(struct ink_corpus *c, const struct ink_encoded *e, size_t limit, uint64_t line,
                  struct ink_error *error)
{
    struct ink_window window = {0};
    const size_t n_before = c->n;
    int status = INK_OK;
    while (status == INK_OK && ink_encoded_next(e, &window, limit)) {
        status = append_window(c, e, &window, line, error);
    }
    c->n_labels += e->n_trained;
    c->n_cut_prompts += e->prompt_cut;
    c->n_cut_responses += e->response_cut;
    c->n_in_windows += c->n > n_before + 1;
    return status;
}

int ink_corpus_read(struct ink_corpus *c, const struct ink_dataset *dataset,
                    const struct ink_tokenizer *tokenizer, const struct ink_encode_options *options,
                    int window, bool skip_bad, struct ink_error *error)
{
    const struct ink_dataset_info *info = ink_dataset_get_info(dataset);
    struct ink_sample sample = {0};
    struct ink_encoded encoded = {0};
    int status = INK_OK;
    *c = (struct ink_corpus){.sample_capacity = 64, .n_bad = info->n_bad};
    c->begins = ink_calloc(c->sample_capacity, sizeof *c->begins);
    c->lines = ink_calloc(c->sample_capacity, sizeof *c->lines);
    if (!c->begins || !c->lines) {
        return ink_fail_memory(error, c->sample_capacity * sizeof *c->begins);
    }
    for (size_t i = 0; i < info->n_samples && status == INK_OK; i++) {
        status = ink_dataset_read(dataset, &sample, i, error);
        if (status != INK_OK) {
            break;
        }
        status = ink_encode_sample(tokenizer, &encoded, &sample, options, info->path, error);
        if (status == INK_OK) {
            status = append(c, &encoded, (size_t)window, sample.line, error);
        } else if (skip_bad && (status == INK_ERROR_INPUT || status == INK_ERROR_LIMIT)) {
            c->n_bad++;
            status = INK_OK;
        }
    }
    ink_encoded_free(&encoded);
    ink_sample_free(&sample);
    if (status == INK_OK && c->n == 0) {
        status = ink_fail(error, INK_ERROR_INPUT, "%s: nothing to train on", info->path);
    }
    return status;
}

void ink_corpus_close(struct ink_corpus *c)
{
    ink_free(c->tokens);
    ink_free(c->trained);
    ink_free(c->begins);
    ink_free(c->lines);
    *c = (struct ink_corpus){0};
}

/* ------------------------------------------------------------------------------------- batches */

static int compare_falling(const void *a, const void *b)
{
    const int x = *(const int *)a, y = *(const int *)b;
    return (x < y) - (x > y);
}

int ink_corpus_largest_batch(const struct ink_corpus *c, int batch)
{
    int *lengths = ink_malloc(c->n * sizeof *lengths);
    int64_t sum = 0;
    if (!lengths) { /* an upper bound */
        sum = (int64_t)batch * (c->longest - 1);
        return sum < INT32_MAX ? (int)sum : INT32_MAX;
    }
    for (size_t i = 0; i < c->n; i++) {
        lengths[i] = (int)(c->begins[i + 1] - c->begins[i]) - 1;
    }
    qsort(lengths, c->n, sizeof *lengths, compare_falling);
    for (size_t i = 0; i < c->n && i < (size_t)batch; i++) {
        sum += lengths[i];
    }
    ink_free(lengths);
    return sum < INT32_MAX ? (int)sum : INT32_MAX;
}

/* Places for `n_tokens` tokens of n samples in one piece of memory. */
static int lay_out(struct ink_batch_memory *b, size_t n_tokens, int n, struct ink_error *error)
{
    const size_t needed = 4 * n_tokens + (size_t)n + 1;
    if (needed > b->capacity) {
        if (!grow((void **)&b->memory, needed, sizeof *b->memory)) {
            return ink_fail_memory(error, needed * sizeof *b->memory);
        }
        b->capacity = needed;
    }
    int32_t *p = b->memory;
    b->packed = (struct ink_packed){.tokens = p,
                                    .positions = p + n_tokens,
                                    .label_rows = p + 2 * n_tokens,
                                    .label_tokens = p + 3 * n_tokens,
                                    .begins = p + 4 * n_tokens,
                                    .n_sequences = n};
    return INK_OK;
}

int ink_corpus_pack(const struct ink_corpus *c, struct ink_batch_memory *out, const uint32_t *order,
                    int n, struct ink_error *error)
{
    size_t total = 0;
    for (int i = 0; i < n; i++) {
        total += (size_t)(c->begins[order[i] + 1] - c->begins[order[i]]) - 1;
    }
    int status = lay_out(out, total, n, error);
    if (status != INK_OK) {
        return status;
    }
    int32_t *tokens = out->memory, *positions = tokens + total, *rows = positions + total;
    int32_t *labels = rows + total, *begins = labels + total, t = 0;
    for (int i = 0; i < n; i++) {
        const uint64_t from = c->begins[order[i]], to = c->begins[order[i] + 1];
        begins[i] = t;
        for (uint64_t j = from; j + 1 < to; j++, t++) {
            tokens[t] = c->tokens[j];
            positions[t] = (int32_t)(j - from);
            if (c->trained[j + 1]) {
                rows[out->packed.n_labels] = t;
                labels[out->packed.n_labels++] = c->tokens[j + 1];
            }
        }
    }
    begins[n] = t;
    out->packed.n_tokens = t;
    return INK_OK;
}

void ink_batch_memory_free(struct ink_batch_memory *b)
{
    ink_free(b->memory);
    *b = (struct ink_batch_memory){0};
}
