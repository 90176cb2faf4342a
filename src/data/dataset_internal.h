/* What the files of the data set reader share. */
#ifndef INK_DATA_DATASET_INTERNAL_H
#define INK_DATA_DATASET_INTERNAL_H

#include "dataset.h"
#include "file.h"
#include "json.h"

/* Where a record lies: its bytes without the newline that ends it. */
struct ink_record {
    size_t offset, length;
    uint64_t line; /* from 1 */
};

/* ---------------------------------------------------------------------------------------- scan.c
 */

/* Goes through a file's text record by record. */
struct ink_scan {
    const char *path; /* for messages */
    const char *data; /* [n], without a byte order mark */
    size_t n, at;
    uint64_t line; /* of data[at] */
    enum ink_data_format format;
    size_t max_line;
    bool skip_line;      /* the line at `at` is broken: go on after it */
    bool is_in_array;    /* past the opening bracket */
    bool is_after_value; /* in an array: a comma or the closing bracket comes next */
    bool is_stuck;       /* the rest cannot be read */
};

/* The next record; *got is false at the end. INK_ERROR_INPUT for one that has no end, or is too
 * long: the next call goes on after the line on which it begins, unless is_stuck. */
int ink_scan_next(struct ink_scan *s, struct ink_record *out, bool *got, struct ink_error *error);

/* The format of a text [n], by its first line and the ending of its name; AUTO: unknown. A blank
 * text is jsonl. */
enum ink_data_format ink_scan_detect(const char *path, const char *data, size_t n);

/* ---------------------------------------------------------------------------------------- pair.c
 */

/* A question and its answer in the text of a record, without white space around them. */
struct ink_pair {
    const char *question, *answer;
    size_t n_question, n_answer;
};
bool ink_pair_split(struct ink_pair *out, const char *text, size_t n);
/* Bytes of "q:" or "a:" at the start of text; 0: there is none. */
size_t ink_pair_match_marker(const char *text, size_t n, bool is_question);
/* Without white space at both ends, the ideographic space included. */
void ink_pair_trim(const char **text, size_t *n);

/* --------------------------------------------------------------------------------------- table.c
 */

bool ink_data_is_table(enum ink_data_format format); /* csv, tsv, tsv-plain */

/* The row at text[0..*end), which may go over several lines; *end is where it stops: a newline, or
 * n also where a quoted field has no end. NULL, or why it is none. */
const char *ink_table_find_end(enum ink_data_format format, const char *text, size_t n,
                               size_t *end);

/* Column names. Start with {0}. */
struct ink_columns {
    char **names; /* [n] */
    int n;
};
int ink_table_read_header(struct ink_columns *out, enum ink_data_format format, const char *text,
                          size_t n, const char *where, struct ink_error *error);
void ink_columns_free(struct ink_columns *columns);
/* A row as an object of strings. `where` is "PATH: line N". */
int ink_table_read_row(cJSON **out, const struct ink_columns *columns, enum ink_data_format format,
                       const char *text, size_t n, const char *where, struct ink_error *error);

/* ------------------------------------------------------------------------------ fields.c, turns.c
 */

/* A schema and the names of its fields. */
struct ink_fields {
    enum ink_schema schema;
    const char *name;                           /* of the schema */
    const char *input, *output, *system, *text; /* those that the schema has */
};

/* Which schema has an object? wanted: what the user said. `where` is "PATH: line N". */
int ink_fields_detect(struct ink_fields *out, const struct ink_dataset_options *wanted,
                      const cJSON *object, const char *where, struct ink_error *error);

/* The turns of a record, checked. */
int ink_turns_read(struct ink_sample *out, const struct ink_fields *fields, const cJSON *object,
                   const char *where, struct ink_error *error);

/* ---------------------------------------------------------------------------- dataset.c, record.c
 */

struct ink_dataset {
    struct ink_dataset_info info;
    struct ink_mapping file;
    const char *data; /* [n]: the file without its byte order mark */
    size_t n;
    char *path, *names[4]; /* copies of the options' field names */
    struct ink_dataset_options options;
    struct ink_columns columns;
    struct ink_fields fields;
    struct ink_record *records; /* [info.n_samples] */
    size_t capacity;
    struct ink_error first_bad;
};

/* ink_dataset_open with the file's bytes, which become the data set's, also on failure. */
int ink_dataset_open_mapped(struct ink_dataset **out, struct ink_mapping *file, const char *path,
                            const struct ink_dataset_options *options, struct ink_error *error);

/* "PATH: line N", for messages. */
void ink_record_name(struct ink_error *where, const struct ink_dataset *d,
                     const struct ink_record *r);
/* Is it UTF-8 without zero bytes? */
int ink_record_check_text(const char *text, size_t n, const char *where, struct ink_error *error);
/* A record as an object, whatever the format. */
int ink_record_parse(const struct ink_dataset *d, cJSON **out, const struct ink_record *r,
                     const char *where, struct ink_error *error);

#endif
