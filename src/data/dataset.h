/* Training data: a file of one of many formats and schemas, as a list of samples.
 *
 * A file has a format (how records are told apart) and a schema (which fields of a record are
 * question and answer). Both are detected from the content, or forced.
 *
 *   format     records
 *   jsonl      one JSON object a line
 *   json       an array of objects
 *   csv, tsv   RFC 4180: a header of column names, fields in quotes may hold separators, quotes
 *              (doubled) and newlines; every value is a string
 *   tsv-plain  TSV without quoting: a quote is a character like any other
 *   qa         "q: question a: answer" on one line, or an answer "a: ..." on the line after its
 *              question; q and a in either case, or 问 and 答; a colon may be full-width
 *   lines      every line is a text (only if forced)
 *
 *   schema             fields, * may be missing                    trained on
 *   input-output       input, output, *system                      output
 *     and, by the same rules: prompt, completion; question, answer; query, response; 问题, 答案
 *   alpaca             instruction, *input, output, *system,        output, answers of history
 *                      *history: [[question, answer]...]
 *   erniekit           src, tgt: a string or a list of them,        tgt where label is 1
 *                      *system, *label: [0 or 1...]
 *   sharegpt           conversations: [{from, value}...] (human,    gpt, function_call
 *                      gpt, system, function_call, observation),
 *                      *system
 *   messages           messages: [{role, content}...] (OpenAI:      assistant, unless its "weight"
 *                      system, developer, user, assistant, tool)    is 0
 *   text               text                                         all of it
 * Other fields are ignored. Alpaca's instruction and input are joined by "\n", as LLaMA-Factory
 * does. A function call becomes "<tool_call>...</tool_call>" of the assistant, an observation or a
 * tool's message "<tool_response>...</tool_response>" of the user, as the server writes them.
 *
 * What a record must be: turns system (at most one, first), then user and assistant in turn, ending
 * with an assistant's; or one text. No turn is empty or white space alone, and at least one is
 * trained on. Strings are UTF-8 without NUL. A byte order mark at the start of the file, CRLF at
 * the end of lines and lines of white space are accepted. A line above max_line bytes is refused
 * before it is looked at: the memory that one record takes is a small multiple of that.
 *
 * The file is mapped, and records are parsed when they are asked for: it must not be changed while
 * it is open. A dataset is read-only once open and may be shared by threads. */
#ifndef INK_DATA_DATASET_H
#define INK_DATA_DATASET_H

#include "common.h"

enum ink_data_format {
    INK_DATA_AUTO = 0,
    INK_DATA_JSONL,
    INK_DATA_JSON,
    INK_DATA_CSV,
    INK_DATA_TSV,
    INK_DATA_TSV_PLAIN,
    INK_DATA_QA,
    INK_DATA_LINES,
    INK_DATA_FORMAT_COUNT,
};

enum ink_schema {
    INK_SCHEMA_AUTO = 0,
    INK_SCHEMA_INPUT_OUTPUT,
    INK_SCHEMA_ALPACA,
    INK_SCHEMA_ERNIEKIT,
    INK_SCHEMA_SHAREGPT,
    INK_SCHEMA_MESSAGES,
    INK_SCHEMA_TEXT,
    INK_SCHEMA_COUNT,
};

/* The words of the tables above, and "auto"; COUNT for an unknown word. */
const char *ink_data_format_name(enum ink_data_format format);
enum ink_data_format ink_data_format_find(const char *name);
const char *ink_data_schema_name(enum ink_schema schema);
enum ink_schema ink_data_schema_find(const char *name);

enum { INK_DATA_MAX_LINE = 16 << 20, INK_DATA_MAX_RECORDS = 200000000 };

struct ink_dataset_options {
    enum ink_data_format format;
    enum ink_schema schema;
    /* Columns of CSV and TSV, or keys of JSON objects, of schema input-output; NULL: those of the
     * table. Either of input and output implies that schema, and the other may be NULL if the file
     * has a field by one of its usual names. text implies schema text. */
    const char *input_field, *output_field, *system_field, *text_field;
    /* Leave out records that are broken, and count them. In a JSON array only elements that have an
     * end can be: where a bracket or a comma is missing, the rest of the file is, and reading
     * fails. */
    bool skip_bad;
    size_t max_line; /* bytes of a record, a quoted field's lines together; 0: INK_DATA_MAX_LINE */
};

struct ink_dataset_info {
    const char *path;
    enum ink_data_format format; /* as detected or forced */
    enum ink_schema schema;
    const char *schema_name;                /* "input-output", or "question-answer", ... */
    const char *input_field, *output_field; /* of input-output; else NULL */
    size_t n_samples;
    size_t n_bad;          /* left out: only with skip_bad */
    const char *first_bad; /* the message about the first of them; NULL: none */
};

enum ink_role { INK_ROLE_SYSTEM, INK_ROLE_USER, INK_ROLE_ASSISTANT, INK_ROLE_TEXT };

/* "system", "user", "assistant" (as in struct ink_message), "text". */
const char *ink_role_name(enum ink_role role);

struct ink_turn {
    enum ink_role role;
    bool is_trained;  /* assistants' and texts only */
    const char *text; /* not empty; zero-terminated, and no zero before that */
    size_t n_text;
};

/* Start with {0}. Reading fills it anew and uses its memory again. */
struct ink_sample {
    struct ink_turn *turns; /* [n_turns], n_turns >= 1 */
    int n_turns;
    uint64_t line; /* of the file, from 1, on which the record begins */
    int turn_capacity;
    struct ink_string memory; /* what `text` points into */
};
void ink_sample_free(struct ink_sample *sample);

struct ink_dataset;

/* Every record is checked here. INK_ERROR_INPUT "PATH: line N: reason" at the first that is broken
 * (without skip_bad); also if the file has no record left, is no regular file, or its format or
 * schema cannot be told. `options` may be NULL. Takes 24 bytes for a record. */
int ink_dataset_open(struct ink_dataset **out, const char *path,
                     const struct ink_dataset_options *options, struct ink_error *error);
void ink_dataset_close(struct ink_dataset *dataset);
const struct ink_dataset_info *ink_dataset_get_info(const struct ink_dataset *dataset);

/* Sample i (0 to n_samples - 1), in the order of the file. */
int ink_dataset_read(const struct ink_dataset *dataset, struct ink_sample *out, size_t i,
                     struct ink_error *error);

/* Append record i as one line of JSON, without a newline: of JSON files the record's own bytes
 * (without line breaks between values), so that fields, their order, numbers and escapes stay; of
 * the others an object: {"input", "output"} where the schema is input-output (other columns follow
 * under their own names), columns under their own names for other schemas, {"text"} for lines. */
int ink_dataset_append_record(const struct ink_dataset *dataset, struct ink_string *out, size_t i,
                              struct ink_error *error);

/* Append the value of a field of record i by name, be it one that no schema knows: strings as they
 * are, other JSON values as JSON. INK_ERROR_INPUT, with the line, if the record lacks it. */
int ink_dataset_append_field(const struct ink_dataset *dataset, struct ink_string *out, size_t i,
                             const char *field, struct ink_error *error);

/* SHA-256 of the file, as 64 hexadecimal digits. */
void ink_dataset_hash(const struct ink_dataset *dataset, char hex[65]);

/* Is this the file that is open, be it through a link? */
bool ink_dataset_is_of(const struct ink_dataset *dataset, const char *path);

#endif
