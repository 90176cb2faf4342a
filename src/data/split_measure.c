/* What the parts of a split look like. */
#include "split_internal.h"

#include "tokenizer.h"

#include <stdlib.h>
#include <string.h>

enum { QUESTION, ANSWER, N_SIDES, MOST_IDS = 1 << 20, EACH = 256 };

/* A text's digest and the part that it is in. */
struct tagged {
    struct ink_digest digest;
    int part;
};

struct measure {
    const struct ink_tokenizer *tokenizer; /* NULL: none */
    uint32_t *chars[N_SIDES], *tokens[N_SIDES];
    struct tagged *questions, *records; /* [n] */
    size_t n_questions;
    struct ink_string text; /* of all turns, each with its role before it and a zero after it */
    struct ink_error *error;
};

static uint32_t count_characters(const char *text, size_t n)
{
    uint32_t count = 0;
    for (size_t i = 0; i < n; i++) {
        count += ((unsigned char)text[i] & 0xC0) != 0x80;
    }
    return count;
}

static int add_turn(struct measure *m, size_t at, const struct ink_turn *turn)
{
    const int side =
        turn->role == INK_ROLE_SYSTEM || turn->role == INK_ROLE_USER ? QUESTION : ANSWER;
    const char role = (char)('0' + turn->role);
    m->chars[side][at] += count_characters(turn->text, turn->n_text);
    ink_string_append(&m->text, &role, 1);
    ink_string_append(&m->text, turn->text, turn->n_text + 1);
    if (!m->tokenizer) {
        return INK_OK;
    }
    int32_t *ids = NULL;
    size_t n = 0;
    int status =
        ink_tokenizer_encode(m->tokenizer, &ids, &n, turn->text, turn->n_text, false, m->error);
    m->tokens[side][at] += (uint32_t)n;
    ink_free(ids);
    return status;
}

/* Record number `at` of the split. */
static int add_sample(struct measure *m, size_t at, int part, const struct ink_sample *sample)
{
    int status = INK_OK;
    m->text.length = 0;
    for (int i = 0; i < sample->n_turns && status == INK_OK; i++) {
        status = add_turn(m, at, &sample->turns[i]);
    }
    if (status == INK_OK && m->text.failed) {
        return ink_fail_memory(m->error, m->text.capacity);
    }
    if (status == INK_OK) {
        const struct ink_turn *last = &sample->turns[sample->n_turns - 1];
        m->records[at] = (struct tagged){ink_digest_of(m->text.data, m->text.length), part};
        if (last->role != INK_ROLE_TEXT) { /* all before the last answer is the question */
            const size_t n = m->text.length - last->n_text - 2;
            m->questions[m->n_questions++] = (struct tagged){ink_digest_of(m->text.data, n), part};
        }
    }
    return status;
}

/* ------------------------------------------------------------------------------------- figures */

static int compare_numbers(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Sorts values. */
static struct ink_lengths summarise(uint32_t *values, size_t n)
{
    if (n == 0) {
        return (struct ink_lengths){0};
    }
    qsort(values, n, sizeof *values, compare_numbers);
    return (struct ink_lengths){.min = values[0],
                                .p95 = values[(n * 95 + 99) / 100 - 1],
                                .max = values[n - 1],
                                .median =
                                    ((double)values[(n - 1) / 2] + (double)values[n / 2]) / 2};
}

static int compare_tagged(const void *a, const void *b)
{
    return ink_digest_compare(&((const struct tagged *)a)->digest,
                              &((const struct tagged *)b)->digest);
}

/* The run of equal digests that begins at list[i]: how many of each part. Returns its end. */
static size_t count_run(size_t count[INK_SPLIT_PARTS], const struct tagged *list, size_t i,
                        size_t n)
{
    const struct tagged *first = &list[i];
    memset(count, 0, INK_SPLIT_PARTS * sizeof *count);
    for (; i < n && compare_tagged(first, &list[i]) == 0; i++) {
        count[list[i].part]++;
    }
    return i;
}

static void compare_all(struct ink_split_statistics *out, struct measure *m, size_t n)
{
    size_t count[INK_SPLIT_PARTS];
    qsort(m->records, n, sizeof *m->records, compare_tagged);
    for (size_t i = 0; i < n;) {
        const size_t end = count_run(count, m->records, i, n);
        out->duplicates += end - i - 1;
        i = end;
    }
    qsort(m->questions, m->n_questions, sizeof *m->questions, compare_tagged);
    for (size_t i = 0; i < m->n_questions;) {
        i = count_run(count, m->questions, i, m->n_questions);
        out->val_in_train += count[0] > 0 ? count[1] : 0;
        out->test_in_train += count[0] > 0 ? count[2] : 0;
        out->test_in_val += count[1] > 0 ? count[2] : 0;
    }
}

static void fill_parts(struct ink_split_statistics *out, const struct measure *m,
                       const struct ink_split *split)
{
    for (int k = 0; k < INK_SPLIT_PARTS; k++) {
        struct ink_split_part *part = &out->parts[k];
        const size_t from = split->begin[k], n = split->begin[k + 1] - from;
        *part = (struct ink_split_part){.n = n,
                                        .question_chars = summarise(m->chars[QUESTION] + from, n),
                                        .answer_chars = summarise(m->chars[ANSWER] + from, n),
                                        .question_tokens = summarise(m->tokens[QUESTION] + from, n),
                                        .answer_tokens = summarise(m->tokens[ANSWER] + from, n)};
    }
}

/* ------------------------------------------------------------------------------------ all records
 */

static int reserve(struct measure *m, size_t n)
{
    for (int side = 0; side < N_SIDES; side++) {
        m->chars[side] = ink_calloc(n, sizeof **m->chars);
        m->tokens[side] = ink_calloc(n, sizeof **m->tokens);
        if (!m->chars[side] || !m->tokens[side]) {
            return ink_fail_memory(m->error, 2 * n * sizeof **m->chars);
        }
    }
    m->questions = ink_calloc(n, sizeof *m->questions);
    m->records = ink_calloc(n, sizeof *m->records);
    return m->questions && m->records ? INK_OK
                                      : ink_fail_memory(m->error, 2 * n * sizeof *m->records);
}

static void release(struct measure *m)
{
    for (int side = 0; side < N_SIDES; side++) {
        ink_free(m->chars[side]);
        ink_free(m->tokens[side]);
    }
    ink_free(m->questions);
    ink_free(m->records);
    ink_string_free(&m->text);
}

static int read_all(struct measure *m, const struct ink_dataset *d, const struct ink_split *split,
                    ink_progress_function *progress, void *context)
{
    struct ink_sample sample = {0};
    int status = INK_OK, part = 0;
    for (size_t i = 0; i < split->n && status == INK_OK; i++) {
        while (i >= split->begin[part + 1]) {
            part++;
        }
        status = ink_dataset_read(d, &sample, split->order[i], m->error);
        if (status == INK_OK) {
            status = add_sample(m, i, part, &sample);
        }
        if (status == INK_OK && progress && i % EACH == 0 && progress(context, i, split->n)) {
            status = ink_fail(m->error, INK_ERROR_CANCELLED, "%s: interrupted",
                              ink_dataset_get_info(d)->path);
        }
    }
    ink_sample_free(&sample);
    return status;
}

int ink_split_measure(struct ink_split_statistics *out, const struct ink_dataset *d,
                      const struct ink_split *split, const char *folder,
                      ink_progress_function *progress, void *context, struct ink_error *error)
{
    struct measure m = {.error = error};
    struct ink_tokenizer *tokenizer = NULL;
    *out = (struct ink_split_statistics){.has_tokens = folder != NULL};
    int status = folder ? ink_tokenizer_open_folder(&tokenizer, folder, MOST_IDS, error) : INK_OK;
    m.tokenizer = tokenizer;
    if (status == INK_OK) {
        status = reserve(&m, split->n);
    }
    if (status == INK_OK) {
        status = read_all(&m, d, split, progress, context);
    }
    if (status == INK_OK) {
        out->has_questions = m.n_questions > 0;
        fill_parts(out, &m, split);
        compare_all(out, &m, split->n);
    }
    release(&m);
    ink_tokenizer_close(tokenizer);
    return status;
}
