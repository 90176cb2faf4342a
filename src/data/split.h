/* A data set in three parts, train, val and test: which record goes where, what the parts look
 * like, and their files. */
#ifndef INK_DATA_SPLIT_H
#define INK_DATA_SPLIT_H

#include "dataset.h"

enum { INK_SPLIT_PARTS = 3 };

/* "train", "val", "test". */
extern const char *const ink_split_names[INK_SPLIT_PARTS];

/* "8:1:1": three numbers that are not negative, the first above 0. `shown` is how messages call it.
 * INK_ERROR_ARGUMENT. */
int ink_split_parse_ratio(double ratio[INK_SPLIT_PARTS], const char *text, const char *shown,
                          struct ink_error *error);

struct ink_split_options {
    double ratio[INK_SPLIT_PARTS]; /* as ink_split_parse_ratio gives them */
    const char *seed;              /* as ink_twister_seed_python takes it */
    const char *group_by;          /* NULL, or a field: records with the same value stay together */
    const char *group_until;       /* NULL, or: only what stands before the first of this in the
                                      field's text counts (all of it where there is none) */
};

struct ink_split {
    uint32_t *order; /* [n] records of the data set; part k is order[begin[k]..begin[k + 1]) */
    size_t n, begin[INK_SPLIT_PARTS + 1];
    size_t n_groups; /* 0: without groups */
};

/* Without groups exactly what Python does for a list of the records:
 *
 *     random.seed(seed); random.shuffle(records)
 *     a, b = int(n * train), int(n * (train + val))
 *     records[:a], records[a:b], records[b:]
 *
 * in double arithmetic, where train and val are parts of the ratio divided by its sum (as they are,
 * if that is 1 to nine digits). A test part of 0 is empty, whatever rounding says.
 *
 * With groups the parts come near those sizes: no group moved, and no two exchanged, would bring
 * them nearer (in the sum of the distances). Within a part records are in the order of that
 * shuffle. INK_ERROR_INPUT, with the line, for a record without the field. */
int ink_split_plan(struct ink_split *out, const struct ink_dataset *dataset,
                   const struct ink_split_options *options, struct ink_error *error);
void ink_split_free(struct ink_split *split);

/* ------------------------------------------------------------------------------------- statistics
 */

struct ink_lengths {
    uint32_t min, p95, max; /* p95 by nearest rank */
    double median;          /* of an even number the mean of the two in the middle */
};

struct ink_split_part {
    size_t n;
    /* Of each record: all that it asks (system and user) and all that it answers (assistant, or the
     * text). In Unicode characters, and in tokens of plain text if there is a tokenizer. All 0 in
     * an empty part. */
    struct ink_lengths question_chars, answer_chars, question_tokens, answer_tokens;
};

struct ink_split_statistics {
    struct ink_split_part parts[INK_SPLIT_PARTS];
    bool has_tokens, has_questions; /* texts are no questions */
    size_t duplicates;              /* records whose turns are those of an earlier one */
    /* Records of one part whose question is also in another: */
    size_t val_in_train, test_in_train, test_in_val;
};

/* tokenizer: a folder, or NULL. `progress` (may be NULL) gets records; non-zero cancels. */
int ink_split_measure(struct ink_split_statistics *out, const struct ink_dataset *dataset,
                      const struct ink_split *split, const char *tokenizer,
                      ink_progress_function *progress, void *context, struct ink_error *error);

/* ------------------------------------------------------------------------------------------ files
 */

struct ink_split_file {
    char *path;
    uint64_t n_bytes;
    char sha256[65];
};

/* May FOLDER/train.json, val.json, test.json and split.json be written? Existing ones only if they
 * are what this function's twin below wrote there, unchanged (by the hashes in split.json), or with
 * `force`; never the data set itself. INK_ERROR_SYSTEM. */
int ink_split_check_folder(const char *folder, const struct ink_dataset *dataset, bool force,
                           struct ink_error *error);

/* Write the parts as JSON lines, the records as ink_dataset_append_record gives them, and
 * split.json, which says how they came about and has their hashes. The folder is made if it is not
 * there. Each file appears whole or not at all, none before all are written, split.json last.
 * files [3] are freed with ink_split_free_files, also after a failure. */
int ink_split_write(struct ink_split_file *files, const char *folder,
                    const struct ink_dataset *dataset, const struct ink_split *split,
                    const struct ink_split_options *options, ink_progress_function *progress,
                    void *context, struct ink_error *error);
void ink_split_free_files(struct ink_split_file *files);

#endif
