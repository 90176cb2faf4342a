/* The command line: one table of options, from which parsing, ranges, INKSTONE_<OPTION> defaults
 * and every --help are made. */
#ifndef INK_OPTIONS_H
#define INK_OPTIONS_H

#include "common.h"

enum {
    INK_MAX_STOPS = 16,
    INK_MAX_STOP_BYTES = 1024,
    INK_MAX_LIST = 16,
    INK_MAX_TEXTS = 32,
};

/* Which commands take an option: a bit for each. */
enum ink_command_bit {
    INK_FOR_CHAT = 1,
    INK_FOR_GENERATE = 2,
    INK_FOR_TOKENIZE = 4,
    INK_FOR_DETOKENIZE = 8,
    INK_FOR_LOGITS = 16,
    INK_FOR_INSPECT = 32,
    INK_FOR_EXPORT = 64,
    INK_FOR_DOCTOR = 128,
    INK_FOR_QUANTIZE = 256,
    INK_FOR_BENCH = 512,
    INK_FOR_SERVE = 1024,
    INK_FOR_SPLIT = 2048,
    INK_FOR_EVAL = 4096,
    INK_FOR_TRAIN = 8192,
    INK_FOR_ALL = 16383,
    /* what the arguments name: a model, data, or both in this order */
    INK_TAKES_DATA = INK_FOR_SPLIT | INK_FOR_EVAL,
    INK_TAKES_MODEL = INK_FOR_ALL & ~INK_FOR_SPLIT,
};

enum ink_option_id {
    INK_OPTION_PROMPT,
    INK_OPTION_FILE,
    INK_OPTION_IDS,
    INK_OPTION_OUTPUT,
    INK_OPTION_OUTPUT_QUANTIZE,
    INK_OPTION_OUTPUT_SPLIT,
    INK_OPTION_RATIO,
    INK_OPTION_SEED_SPLIT,
    INK_OPTION_GROUP_BY,
    INK_OPTION_GROUP_UNTIL,
    INK_OPTION_FORCE,
    INK_OPTION_FROM_CONFIG,
    INK_OPTION_TRAIN,
    INK_OPTION_VAL,
    INK_OPTION_OUTPUT_TRAIN,
    INK_OPTION_METHOD,
    INK_OPTION_EPOCHS,
    INK_OPTION_MAX_STEPS,
    INK_OPTION_BATCH_SIZE,
    INK_OPTION_GRAD_ACCUM,
    INK_OPTION_LR,
    INK_OPTION_SCHEDULE,
    INK_OPTION_WARMUP_STEPS,
    INK_OPTION_WEIGHT_DECAY,
    INK_OPTION_MAX_GRAD_NORM,
    INK_OPTION_MAX_PROMPT_TRAIN,
    INK_OPTION_MAX_RESPONSE_TRAIN,
    INK_OPTION_MAX_LENGTH_TRAIN,
    INK_OPTION_TEMPLATE_TRAIN,
    INK_OPTION_LORA_RANK,
    INK_OPTION_LORA_ALPHA,
    INK_OPTION_LORA_DROPOUT,
    INK_OPTION_LORA_TARGETS,
    INK_OPTION_LORA_BASE,
    INK_OPTION_LORA_RSLORA,
    INK_OPTION_SAVE_STEPS,
    INK_OPTION_SAVE_TOTAL_LIMIT,
    INK_OPTION_SAVE_DTYPE,
    INK_OPTION_LOGGING_STEPS,
    INK_OPTION_EVAL_STEPS,
    INK_OPTION_DTYPE,
    INK_OPTION_RECOMPUTE,
    INK_OPTION_SEED_TRAIN,
    INK_OPTION_RESUME,
    INK_OPTION_DRY_RUN,
    INK_OPTION_FORMAT_DATA,
    INK_OPTION_SCHEMA,
    INK_OPTION_INPUT_FIELD,
    INK_OPTION_OUTPUT_FIELD,
    INK_OPTION_SYSTEM_FIELD,
    INK_OPTION_TEXT_FIELD,
    INK_OPTION_SKIP_BAD,
    INK_OPTION_JSON,
    INK_OPTION_JSON_LOGITS,
    INK_OPTION_TEMPLATE_CHAT,
    INK_OPTION_TEMPLATE_GENERATE,
    INK_OPTION_TEMPLATE_EVAL,
    INK_OPTION_METRICS,
    INK_OPTION_SCOPE,
    INK_OPTION_LIMIT,
    INK_OPTION_MAX_PROMPT,
    INK_OPTION_MAX_RESPONSE,
    INK_OPTION_MAX_LENGTH,
    INK_OPTION_BASELINE,
    INK_OPTION_PREDICTIONS,
    INK_OPTION_REPORT,
    INK_OPTION_BATCH_EVAL,
    INK_OPTION_HOST,
    INK_OPTION_PORT,
    INK_OPTION_API_KEY,
    INK_OPTION_API_KEY_FILE,
    INK_OPTION_INSECURE_NO_AUTH,
    INK_OPTION_ALLOW_HOST,
    INK_OPTION_ALLOW_ORIGIN,
    INK_OPTION_TLS_CERTIFICATE,
    INK_OPTION_TLS_KEY,
    INK_OPTION_SLOTS,
    INK_OPTION_QUEUE,
    INK_OPTION_PREFIX_CACHE,
    INK_OPTION_MODEL_NAME,
    INK_OPTION_TEMPLATE_SERVE,
    INK_OPTION_MAX_NEW_TOKENS,
    INK_OPTION_STOP,
    INK_OPTION_PRESET,
    INK_OPTION_PRESET_SERVE,
    INK_OPTION_SEED,
    INK_OPTION_TEMPERATURE,
    INK_OPTION_TOP_K,
    INK_OPTION_TOP_P,
    INK_OPTION_REPETITION_PENALTY,
    INK_OPTION_PRESENCE_PENALTY,
    INK_OPTION_FREQUENCY_PENALTY,
    INK_OPTION_SPECIAL_TOKENIZE,
    INK_OPTION_SPECIAL_DETOKENIZE,
    INK_OPTION_TOP,
    INK_OPTION_CHUNK,
    INK_OPTION_TENSORS,
    INK_OPTION_PREFILL,
    INK_OPTION_DECODE,
    INK_OPTION_DEPTH,
    INK_OPTION_BATCH,
    INK_OPTION_REPEAT,
    INK_OPTION_FORMAT,
    INK_OPTION_BENCH_PROBE,
    INK_OPTION_TYPE_RUN,
    INK_OPTION_TYPE_PROBE,
    INK_OPTION_TYPE_EXPORT,
    INK_OPTION_TYPE_QUANTIZE,
    INK_OPTION_CHECK,
    INK_OPTION_CTX,
    INK_OPTION_CTX_INSPECT,
    INK_OPTION_CTX_SERVE,
    INK_OPTION_KV,
    INK_OPTION_KV_LOGITS,
    INK_OPTION_DRAFT,
    INK_OPTION_MAX_BODY,
    INK_OPTION_MAX_CONNECTIONS,
    INK_OPTION_MAX_PER_ADDRESS,
    INK_OPTION_DRAIN_DELAY,
    INK_OPTION_DRAIN_TIMEOUT,
    INK_OPTION_LOG_FORMAT,
    INK_OPTION_QUIET,
    INK_OPTION_THREADS,
    INK_OPTION_CPU_LEVEL,
    INK_OPTION_GPU,
    INK_OPTION_LORA,
    INK_OPTION_LORA_EXPORT,
    INK_OPTION_LORA_SERVE,
    INK_OPTION_BASE,
    INK_OPTION_TOKENIZER,
    INK_OPTION_TOKENIZER_SPLIT,
    INK_OPTION_HELP,
    INK_OPTION_COUNT,
};

/* Where a value came from; a later one wins. */
enum ink_option_source {
    INK_FROM_NOWHERE,
    INK_FROM_ENVIRONMENT,
    INK_FROM_COMMAND,
};

/* Several whole numbers. */
struct ink_option_list {
    int values[INK_MAX_LIST], n;
};

/* Several texts. */
struct ink_option_texts {
    const char *values[INK_MAX_TEXTS];
    int n;
};

/* Values. Strings point into argv or the environment. Fields whose option was not given are zero:
 * ask ink_options_has. */
struct ink_options {
    unsigned command;            /* enum ink_command_bit */
    struct ink_cluster *cluster; /* no option: of train and eval under mpirun, else NULL */
    const char *model;           /* NULL only where the command can do without */
    const char *data;            /* a file of training data, for INK_TAKES_DATA */
    bool from_stdin;             /* "-" was given */
    const char *prompt, *file, *ids, *output, *check;
    const char *template_name, *preset, *type, *kv, *gpu, *lora, *base, *cpu_level, *tokenizer_dir;
    const char *draft, *output_format;
    const char *data_format, *schema, *input_field, *output_field, *system_field, *text_field;
    const char *ratio, *seed_text, *group_by, *group_until;
    const char *metrics, *scope, *baseline, *predictions, *report;
    const char *host, *api_key_file, *tls_certificate, *tls_key, *model_name, *log_format;
    struct ink_option_texts api_keys, allowed_hosts, allowed_origins, adapters;
    const char *stops[INK_MAX_STOPS];
    int n_stops;
    bool json, special, tensors, help, insecure_no_auth, quiet, skip_bad, force;
    int port, slots, queue, prefix_cache, max_body, max_connections, max_per_address;
    int drain_delay, drain_timeout;
    int limit, max_prompt, max_response, max_length, batch_size;
    int max_new_tokens, top, chunk, ctx, threads, top_k, decode, repeat, bench_probe;
    struct ink_option_list prefill, depth, batch;
    const char *from_config, *train, *val, *method, *schedule, *dtype, *save_dtype, *lora_targets,
        *lora_base;
    bool resume, dry_run, recompute, rslora;
    int max_steps, grad_accum, warmup_steps, lora_rank, save_steps, save_total_limit;
    int logging_steps, eval_steps;
    double epochs, lr, weight_decay, max_grad_norm, lora_alpha, lora_dropout;
    uint64_t seed;
    float temperature, top_p, repetition_penalty, presence_penalty, frequency_penalty;
    unsigned char sources[INK_OPTION_COUNT]; /* enum ink_option_source */
};

enum ink_option_kind {
    INK_KIND_FLAG,   /* bool */
    INK_KIND_TEXT,   /* const char * */
    INK_KIND_CHOICE, /* const char *, one of `choices` */
    INK_KIND_INT,    /* int, min..max */
    INK_KIND_LIST,   /* struct ink_option_list, each min..max: "1,2,3", or "none" */
    INK_KIND_FLOAT,  /* float, min..max */
    INK_KIND_DOUBLE, /* double, min..max */
    INK_KIND_U64,    /* uint64_t */
    INK_KIND_STOP,   /* appended to stops[] */
    INK_KIND_TEXTS,  /* appended to struct ink_option_texts */
};

struct ink_option {
    const char *name;   /* without "--"; NULL: only the letter */
    char letter;        /* 0: none */
    unsigned char kind; /* enum ink_option_kind */
    bool hidden;        /* known, but refused: not in --help */
    unsigned commands;  /* enum ink_command_bit */
    size_t offset;      /* of its value in struct ink_options */
    double min, max;
    const char *choices;  /* "a|b|c" */
    const char *argument; /* "N", "TEXT"; NULL for flags, and for choices that are all of use */
    const char *help;     /* English; may hold newlines */
};
extern const struct ink_option ink_options_table[INK_OPTION_COUNT];

/* Read the arguments after the command's name: a model where the command takes one (`min_models`
 * 0: it may be missing), then data. `dash`: "-" for stdin is allowed. INK_ERROR_ARGUMENT names
 * option, value and range. With --help the rest is not looked at. */
int ink_options_parse(struct ink_options *out, unsigned command, int min_models, bool dash,
                      int argc, char **argv, struct ink_error *error);

/* Set one option from text, as /set in a chat does. `shown` is how messages call it. */
int ink_options_set(struct ink_options *o, enum ink_option_id id, const char *value,
                    const char *shown, enum ink_option_source source, struct ink_error *error);
/* The option of that name (without "--") for a command; INK_OPTION_COUNT if there is none. */
enum ink_option_id ink_options_find(const char *name, unsigned command);

bool ink_options_has(const struct ink_options *o, enum ink_option_id id);

/* The settings of --preset where nothing stronger was said: the command line is stronger than the
 * preset, the preset than the environment. Returns the tokens that prompts are cut to, 0 for none.
 */
int ink_options_apply_preset(struct ink_options *o);

/* Put what was given in place of the rules in *out. */
void ink_options_override_sampling(const struct ink_options *o, struct ink_sampling *out);
/* Sampling rules: the model's own, with what was given in their place. */
void ink_options_sampling(const struct ink_options *o, const struct ink_model *model,
                          struct ink_sampling *out);

/* What --type says; without it int8, but what is in the file where arithmetic is looked at. */
enum ink_weight_type ink_options_weights(const struct ink_options *o);

enum ink_kv_type ink_options_kv(const struct ink_options *o, enum ink_kv_type fallback);

/* What --ctx (n_positions in its place), --kv and --draft say. */
void ink_options_generator(const struct ink_options *o, int n_positions,
                           struct ink_generator_options *out);

/* How a file of training data is read. */
struct ink_dataset_options;
void ink_options_dataset(const struct ink_options *o, struct ink_dataset_options *out);

/* Append the lines of --help about options. */
void ink_options_describe(struct ink_string *out, unsigned command);

#endif
