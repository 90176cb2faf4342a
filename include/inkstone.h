/* inkstone: run ERNIE-4.5 language models on a CPU.
 *
 * The whole public interface of libinkstone. Seven nouns:
 *   model     weights and tokenizer, read-only once open, may be shared by threads
 *   adapter   what fine-tuning added to a model (LoRA), for the sessions that want it
 *   session   one text being read and written: a KV cache and a position in it
 *   tokens    int32_t ids into the model's vocabulary
 *   logits    one float for each id of the vocabulary: the scores of the next token
 *   sampler   turns logits into a token, reproducibly for a seed on any machine
 *   generator a session and a sampler at work: one token after another
 *
 * Conventions
 *   - Functions that can fail return INK_OK (0) or a negative enum ink_status and, where they take
 *     `error` (it may be NULL), fill it. The library never prints, exits or aborts.
 *   - On failure nothing was changed and *out is NULL. Every close function accepts NULL.
 *   - Strings are UTF-8, zero-terminated unless a length is given; paths too, on every system.
 *   - A model may be used by several threads, but ink_eval calls on one model run one at a time
 *     (it locks); a session or a sampler belongs to one thread at a time.
 *   - Same bits: logits depend on the weights, the adapter and the tokens before them, never on the
 *     number of threads, the instruction set, how a prompt was cut into calls, or what else was in
 * a batch.
 */
#ifndef INKSTONE_H
#define INKSTONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum ink_status {
    INK_OK = 0,
    INK_ERROR_ARGUMENT = -1,  /* the caller's mistake */
    INK_ERROR_INPUT = -2,     /* a file is missing, damaged, or not of a supported kind */
    INK_ERROR_MEMORY = -3,    /* an allocation failed */
    INK_ERROR_LIMIT = -4,     /* more than the context, the memory or a stated limit allows */
    INK_ERROR_SYSTEM = -5,    /* the system refused: disk full, read-only folder, ... */
    INK_ERROR_CANCELLED = -6, /* a callback asked to stop */
};

struct ink_error {
    int code;           /* enum ink_status */
    char message[1024]; /* "FILE: what is wrong (field, value, limit)", no newline */
};

/* Library version, "0.1.0". */
const char *ink_version(void);

/* Language of messages from now on, for the whole process: "zh" or "en" (the default). */
void ink_set_language(const char *language);

/* ------------------------------------------------------------------------------------- models */

struct ink_model;

/* What keys and values are kept as. Q8 is int8, with a float32 scale for each head's row: half of
 * F16's memory, and an error that shows in the logits' third digit. */
enum ink_kv_type { INK_KV_F16 = 0, INK_KV_F32 = 1, INK_KV_Q8 = 2 };

/* What matrices are computed with. Q8_0 is int8 in blocks of 32 with a scale each: matrices of the
 * file that are anything else are rounded to it on loading, where their width is a multiple of 32.
 */
enum ink_weight_type {
    INK_WEIGHTS_AUTO = 0, /* Q8_0 */
    INK_WEIGHTS_NATIVE,   /* as they are in the file (4- to 6-bit types widened to float32) */
    INK_WEIGHTS_Q8_0,
};

struct ink_model_options {
    int threads;           /* 0: the physical cores allowed to this process; at most 256.
                              (OpenMP's runtime ends the process if the system refuses it a
                              thread; nothing else in the library does.) */
    const char *cpu_level; /* NULL or "auto": the best; else "c", "avx2", "avx512", "neon" */
    enum ink_weight_type weight_type;
    const char *tokenizer_dir; /* NULL: the model's own folder */
    bool without_tokenizer;    /* open even if there is no tokenizer; text functions then fail */
    bool without_weights;      /* for tokenizing and looking: nothing is loaded, ink_eval fails */
    bool check_weights;        /* read every weight and refuse NaN and infinity */
};

/* What a model is. All pointers live as long as the model. */
struct ink_model_info {
    const char *path;
    const char *format;       /* "safetensors", "safetensors sharded", "pytorch", "pytorch sharded",
                                 "gguf" */
    const char *architecture; /* "ernie4_5" or "llama" */
    const char *weight_type;  /* type of the matrices in the file: "BF16", "F32", "Q8_0", ... */
    const char *cpu_level;
    int threads;
    int vocab_size, hidden_size, intermediate_size, n_layers, n_heads, n_kv_heads, head_dim;
    int max_positions;
    float rope_theta, norm_eps;
    bool rope_half; /* pairs (i, i + d/2), as in Llama folders; else (2i, 2i+1) */
    bool tied_head, has_bias;
    uint64_t n_parameters;
    uint64_t mapped_bytes;  /* weights used straight from the mapped file */
    uint64_t loaded_bytes;  /* weights that had to be converted into memory */
    uint64_t scratch_bytes; /* working memory of ink_eval */
    uint64_t token_bytes;   /* of matrices, that decoding a token reads; the KV cache is extra */
    const char *arithmetic; /* what matrices are multiplied in: "int8" or "float32" */
    bool has_tokenizer;
    bool has_chat_template; /* it has a chat template, and the tokens that ERNIE's needs */
    const char *warning;    /* NULL, or what a user should know (template differs, ...) */
};

/* Open a Hugging Face folder (config.json and weights) or one GGUF file. `options` may be NULL. */
int ink_model_open(struct ink_model **out, const char *path,
                   const struct ink_model_options *options, struct ink_error *error);
void ink_model_close(struct ink_model *model);
const struct ink_model_info *ink_model_get_info(const struct ink_model *model);

/* Call `visit` for each tensor in file order until it returns non-zero; returns that value.
 * shape [n_dims], outermost first; `type` as in ink_model_info. */
typedef int ink_tensor_visitor(void *context, const char *name, const char *type,
                               const int64_t *shape, int n_dims, uint64_t n_bytes);
int ink_model_visit_tensors(const struct ink_model *model, ink_tensor_visitor *visit,
                            void *context);

/* ----------------------------------------------------------------------------------- sessions */

struct ink_session;

/* Bytes that a session of n_positions takes: the KV cache and what attention works in. */
uint64_t ink_session_bytes(const struct ink_model *model, int n_positions, enum ink_kv_type type);

/* A session for up to n_positions tokens (0: the model's maximum, or what fits a default of 4096).
 * INK_ERROR_LIMIT, with the numbers, above the model's maximum or the memory that is free. */
int ink_session_open(struct ink_session **out, struct ink_model *model, int n_positions,
                     enum ink_kv_type type, struct ink_error *error);
void ink_session_close(struct ink_session *session);
int ink_session_length(const struct ink_session *session);   /* tokens read so far */
int ink_session_capacity(const struct ink_session *session); /* n_positions */
/* Forget all but the first `length` tokens (no effect if it is not longer than that). */
void ink_session_truncate(struct ink_session *session, int length);

/* Keys and values can be kept and put back in blocks of INK_BLOCK tokens: block i is of tokens
 * i * INK_BLOCK to (i + 1) * INK_BLOCK - 1, and means something only after the same tokens before
 * it. Sessions of one model and KV type exchange them; ink_session_block_bytes each. */
enum { INK_BLOCK = 32 };
uint64_t ink_session_block_bytes(const struct ink_session *session);
/* The session must have read the whole block. */
void ink_session_read_block(const struct ink_session *session, void *out, int block);
/* The session, which has read at least the blocks before, is then as if it had read up to the end
 * of this one. It must have room. */
void ink_session_write_block(struct ink_session *session, const void *in, int block);

/* One session's part of a batch: append tokens, and say what is wanted of them. */
struct ink_step {
    struct ink_session *session; /* all of the same model, none twice */
    const int32_t *tokens;       /* [n_tokens], each in 0..vocab_size-1 */
    int n_tokens;                /* >= 1; the session must have room */
    int n_logits;                /* logits of the last n_logits tokens: 0..n_tokens */
    float *logits;               /* out [n_logits, vocab_size] */
    float *hidden;               /* NULL, or out [n_layers + 1, n_tokens, hidden_size]: the
                                    embedding, then the output of each layer, before the final
                                    norm */
    int n_best; /* 0: all logits are wanted. Else only the n_best greatest of each token's, and ties
                   of the least of them, need be written; any other may be -INFINITY instead, and
                   which of them is left to chance. Reads less memory where the head is int8 and
                   n_best at most INK_MAX_BEST. */
};
enum { INK_MAX_BEST = 64 };

/* How often n_best saved reading: since the model was opened, 16-row groups of the head that were
 * screened by the upper bits of their weights, and those that had to be read whole after all (whose
 * number is left to chance where there are several threads). */
struct ink_head_statistics {
    uint64_t screened, read_whole;
};
void ink_model_get_head_statistics(const struct ink_model *model, struct ink_head_statistics *out);

/* Read the tokens of every step: prefill, decode, and a batch of sessions (with different adapters
 * and without, as it comes) are this one function.
 * `cancel` (may be NULL) is asked between chunks; non-zero stops with INK_ERROR_CANCELLED and
 * restores every session's length. */
typedef int ink_cancel_function(void *context);
int ink_eval(struct ink_model *model, const struct ink_step *steps, int n_steps,
             ink_cancel_function *cancel, void *context, struct ink_error *error);

/* ----------------------------------------------------------------------------------- adapters */

/* A LoRA adapter as PEFT saves it or llama.cpp reads it: with y = W x, a layer's matrix that it
 * targets gives y + scale * B (A x), scale being alpha / r (alpha / sqrt(r) with use_rslora) times
 * the caller's. The model's weights stay as they are: one model serves any number of adapters at
 * once. */
struct ink_adapter;

struct ink_adapter_info {
    const char *path; /* lives as long as the adapter */
    int rank;         /* the largest of its matrices */
    int n_targets;    /* matrices of the model that it changes */
    float scale;      /* the caller's */
    uint64_t bytes;   /* memory that it takes, whatever the number of sessions */
};

/* Open a folder with adapter_config.json and adapter_model.safetensors (or adapter_model.bin), or a
 * GGUF file as ink_export_adapter writes it, for `model`, which must stay
 * open longer. `scale` (1: as trained; finite) multiplies what the adapter adds. Refused, with the
 * field or the tensor at fault: adapters of other kinds than plain LoRA on the layers' q, k, v, o,
 * gate, up and down projections (DoRA, biases, embeddings, saved modules), shapes that do not fit
 * the model, tensors missing or too many, values that are not finite. Safe while other threads
 * evaluate. */
int ink_adapter_open(struct ink_adapter **out, struct ink_model *model, const char *path,
                     float scale, struct ink_error *error);
/* No session may use it any more. */
void ink_adapter_close(struct ink_adapter *adapter);
const struct ink_adapter_info *ink_adapter_get_info(const struct ink_adapter *adapter);

/* Use `adapter` (NULL: none, as at first) from now on. It must be one of the session's model. The
 * keys and values of tokens depend on it: INK_ERROR_ARGUMENT if the session has read any (see
 * ink_session_truncate) and the adapter would change. */
int ink_session_set_adapter(struct ink_session *session, const struct ink_adapter *adapter,
                            struct ink_error *error);
const struct ink_adapter *ink_session_adapter(const struct ink_session *session);

/* ----------------------------------------------------------------------------------- sampling */

/* In transformers' order and meaning. A value that switches its rule off is in brackets. */
struct ink_sampling {
    float temperature;        /* 0: greedy [1] */
    int top_k;                /* keep the k best, ties of the k-th included [0] */
    float top_p;              /* smallest set with at least this probability [1] */
    float repetition_penalty; /* over prompt and answer: logit > 0 divided, else multiplied [1] */
    float presence_penalty;   /* subtracted once from ids of the answer so far [0] */
    float frequency_penalty;  /* subtracted for each time in the answer so far [0] */
    uint64_t seed;
};

/* The settings of the model's generation_config.json, where it has one; greedy where it says so. */
void ink_sampling_defaults(const struct ink_model *model, struct ink_sampling *out);

/* How many of the best logits the choice depends on; 0: on all of them. */
int ink_sampling_needs(const struct ink_sampling *settings);

struct ink_sampler;
/* Bytes that a sampler takes. */
uint64_t ink_sampler_bytes(const struct ink_model *model);
int ink_sampler_open(struct ink_sampler **out, const struct ink_model *model,
                     const struct ink_sampling *settings, struct ink_error *error);
void ink_sampler_close(struct ink_sampler *sampler);
/* Tell the sampler of tokens that penalties count. `is_prompt`: part of the prompt. */
void ink_sampler_accept(struct ink_sampler *sampler, const int32_t *tokens, int n_tokens,
                        bool is_prompt);
/* Choose the next token. logits [vocab_size], not changed. Does not accept it. -1 if no logit is a
 * number above minus infinity, as damaged weights give. */
int32_t ink_sampler_choose(struct ink_sampler *sampler, const float *logits);

/* ----------------------------------------------------------------------------------- writing */

/* A generator writes answers to prompts that may go on from one another. It guesses ahead what
 * repeats the text so far, checks its guesses in one evaluation, and keeps what the sampler would
 * have chosen anyway: the tokens are the same with and without.
 *
 *     ink_generator_start(g, prompt, n, &sampling, 256, &error);
 *     while ((what = ink_generator_take(g, &token)) <= INK_GENERATED_NOTHING) {
 *         if (what == INK_GENERATED_TOKEN) { use(token); continue; }
 *         ink_generator_prepare(g, 512, &step);
 *         ink_eval(model, &step, 1, NULL, NULL, &error);   (or with steps of other generators)
 *         ink_generator_done(g, seconds);
 *     }
 */
struct ink_generator;

enum { INK_MAX_DRAFT = 8 };

struct ink_generator_options {
    int n_positions;          /* as ink_session_open */
    enum ink_kv_type kv_type; /* as ink_session_open */
    int max_draft;            /* tokens guessed ahead at most: 0 to INK_MAX_DRAFT */
    bool always_draft;        /* guess even where that is not likely to save time */
};

/* Bytes that a generator takes, its session and sampler among them. n_positions > 0. */
uint64_t ink_generator_bytes(const struct ink_model *model,
                             const struct ink_generator_options *options);
int ink_generator_open(struct ink_generator **out, struct ink_model *model,
                       const struct ink_generator_options *options, struct ink_error *error);
void ink_generator_close(struct ink_generator *g);
/* The session in it, to look at. */
const struct ink_session *ink_generator_session(const struct ink_generator *g);

/* ink_session_set_adapter for the generator's session. If the adapter changes, the session forgets
 * its tokens first, and an answer that was going on ends. */
int ink_generator_set_adapter(struct ink_generator *g, const struct ink_adapter *adapter,
                              struct ink_error *error);

/* Begin an answer of up to max_new_tokens tokens to prompt [n_prompt], n_prompt >= 1. What the
 * session has read of it already is kept. Evaluates nothing. */
int ink_generator_start(struct ink_generator *g, const int32_t *prompt, int n_prompt,
                        const struct ink_sampling *sampling, int max_new_tokens,
                        struct ink_error *error);
/* Tokens of the prompt that are still to be read. */
int ink_generator_unread(const struct ink_generator *g);
/* How many of tokens [n] its session holds as the beginning of its text, started or not. */
int ink_generator_shared(const struct ink_generator *g, const int32_t *tokens, int n);
/* The text so far, prompt and answer: *n tokens. Lives until the next call that changes it. */
const int32_t *ink_generator_text(const struct ink_generator *g, int *n);
/* After start, before anything is evaluated: block of the prompt, instead of reading it. False if
 * that is not possible or would not help: the blocks before are not read yet, this one is, or it
 * holds the prompt's last token, which must be read. */
bool ink_generator_put_block(struct ink_generator *g, const void *in, int block);

/* The likelihood of a token: natural logarithm of its softmax of the model's own logits, before
 * penalties, temperature and whatever else narrows the choice. */
struct ink_logprob {
    int32_t token;
    float logprob;
};
enum { INK_MAX_LOGPROBS = 20 };
/* After start: n_top (0 to INK_MAX_LOGPROBS) of the likeliest are wanted with every token. */
int ink_generator_want_logprobs(struct ink_generator *g, int n_top, struct ink_error *error);
/* Of the token taken last, and top [n_top] of the likeliest in its place, likeliest first; fewer if
 * the vocabulary is smaller. Returns how many. */
int ink_generator_logprobs(const struct ink_generator *g, struct ink_logprob *chosen,
                           struct ink_logprob *top);

enum ink_generated {
    INK_GENERATED_TOKEN,   /* here is one */
    INK_GENERATED_NOTHING, /* prepare, ink_eval, done come first */
    INK_GENERATED_STOP,    /* the answer is over: an end token */
    INK_GENERATED_LENGTH,  /* the answer is over: max_new_tokens, or the context is full */
    INK_GENERATED_DAMAGE,  /* the scores are not numbers */
};
/* The next token of the answer. */
enum ink_generated ink_generator_take(struct ink_generator *g, int32_t *token);
/* What to evaluate: at most `most` tokens (>= 1) of the prompt, or the last token and guesses. The
 * step is the generator's and stays as it is until ink_generator_done; an evaluation that failed
 * may be repeated. */
void ink_generator_prepare(struct ink_generator *g, int most, struct ink_step *step);
/* It is evaluated. `seconds` that this step took by itself, by which the generator judges whether
 * guessing pays; 0: not known. */
void ink_generator_done(struct ink_generator *g, double seconds);
/* The answer ends here, whatever the reason: guesses are forgotten. */
void ink_generator_stop(struct ink_generator *g);
/* Tokens of this answer that were guessed ahead, and how many of them were right. */
void ink_generator_count_drafts(const struct ink_generator *g, uint64_t *drafted,
                                uint64_t *accepted);

/* ----------------------------------------------------------------------------------- grammars */

/* What an answer may be, as bytes: any JSON object, the values of a JSON Schema, or calls of tools.
 * A generator with a grammar chooses among the tokens that the grammar allows, and of those only
 * what leaves enough tokens to finish: so an answer that ends by itself matches the grammar, and so
 * does one that would be too long, unless not even the shortest text fits max_new_tokens and the
 * context. An answer that is complete, and can only end, ends at once (INK_GENERATED_STOP); so does
 * one that is complete when its tokens are used up, as a number may be, unless free text goes on.
 *
 * JSON is written compactly: of white space only one space may follow a colon or a comma. Strings
 * are UTF-8 without U+0000 and without lone surrogates. Numbers have at most 16 digits before and
 * after the point and 2 of the exponent, integers at most 18. Values nest about 64 deep at most.
 * Special tokens are not written. Names in free objects may come twice, as JSON allows.
 *
 * JSON Schema: type (one or a list), enum, const, anyOf, oneOf (like anyOf: that branches exclude
 * one another is up to the schema), allOf (merged), $ref into the same schema (recursive ones too),
 * $defs, definitions;
 *   properties (in the schema's order), required, additionalProperties: without it, a schema with
 *   properties allows no others, and one without allows any; other properties come last, and their
 *   names and matched strings use escapes only where JSON demands them; minProperties and
 *   maxProperties where they say nothing new;
 *   items, prefixItems, minItems, maxItems;
 *   minLength, maxLength (in characters), pattern (without lookaround, back-references, \b and
 *   \p), format (date, time, date-time, uuid, email, ipv4; others are ignored; years from 1000);
 *   minimum, maximum, exclusiveMinimum, exclusiveMaximum (then at most 15 digits and no exponent),
 *   multipleOf (1 only).
 * Without `type`, the types are those that its keywords speak of. Keywords that say something of
 * values and are not in this list are refused, as is a schema that no value matches:
 * INK_ERROR_ARGUMENT, naming the place as a JSON pointer, and the keyword. Unknown keywords are
 * ignored. Schemas have at most 256 KiB, 64 levels and 20,000 values; grammars at most 60,000
 * states: INK_ERROR_LIMIT.
 *
 * A grammar is read-only and may be shared by threads and generators. It takes a few megabytes at
 * most, keeps masks of up to 1.4 MB more, and must be closed before its model. The first one makes
 * an index of the model's vocabulary (9 MB for ERNIE), which stays with the model. */
struct ink_grammar;

int ink_grammar_open_json(struct ink_grammar **out, const struct ink_model *model,
                          struct ink_error *error);
/* `schema`: n bytes of JSON. */
int ink_grammar_open_schema(struct ink_grammar **out, const struct ink_model *model,
                            const char *schema, size_t n, struct ink_error *error);

struct ink_tool {
    const char *name;
    const char
        *parameters; /* n_parameters bytes: the JSON Schema of its arguments; NULL: any object */
    size_t n_parameters;
};
/* A call is before + {"name":NAME,"arguments":VALUE} + after; several have `between` between them.
 */
struct ink_tools {
    const struct ink_tool *tools; /* [n_tools], n_tools >= 1, no name twice */
    int n_tools;
    const char *before, *after, *between; /* "" or NULL: nothing; before: at most 64 bytes */
    const char *name_key, *arguments_key; /* NULL: "name", "arguments" */
    bool is_required; /* the answer is calls only; else any text, until `before` appears in it
                         (which must not be "" then): from there on it is calls */
    bool is_single;   /* one call, not several */
};
int ink_grammar_open_tools(struct ink_grammar **out, const struct ink_model *model,
                           const struct ink_tools *tools, struct ink_error *error);
void ink_grammar_close(struct ink_grammar *grammar);
/* Bytes that it takes at present, the masks that it keeps among them. */
uint64_t ink_grammar_bytes(const struct ink_grammar *grammar);

/* Right after ink_generator_start: the answer obeys the grammar, which must stay open until the
 * answer has ended. NULL: no grammar, as after every start. The first time it takes about 2 MB,
 * beyond ink_generator_bytes, which the generator keeps. INK_ERROR_ARGUMENT if the answer has begun
 * or the grammar is of another model. */
int ink_generator_constrain(struct ink_generator *g, const struct ink_grammar *grammar,
                            struct ink_error *error);

/* --------------------------------------------------------------------------------------- text */

/* Text to ids. *out [*n] is malloc'ed; free it with ink_free. parse_special: text such as
 * "<|end_of_sentence|>" becomes its token; otherwise it stays text, as user content must. */
int ink_tokenize(const struct ink_model *model, int32_t **out, size_t *n, const char *text,
                 size_t n_text, bool parse_special, struct ink_error *error);

/* Ids to text in one go. *out is malloc'ed and zero-terminated, *n_out its length (text may hold
 * zero bytes). keep_special: write special tokens as their text instead of leaving them out. */
int ink_detokenize(const struct ink_model *model, char **out, size_t *n_out, const int32_t *tokens,
                   size_t n_tokens, bool keep_special, struct ink_error *error);

/* Ids to text, one token at a time, for streaming: never part of a character, and the joined
 * pieces are exactly ink_detokenize's text. */
struct ink_stream;
int ink_stream_open(struct ink_stream **out, const struct ink_model *model, bool keep_special,
                    struct ink_error *error);
void ink_stream_close(struct ink_stream *stream);
/* The text that `token` completes, perhaps "". *piece lives until the next call. */
int ink_stream_push(struct ink_stream *stream, int32_t token, const char **piece, size_t *n,
                    struct ink_error *error);
/* What was held back, invalid bytes as U+FFFD. The stream is then as new. */
int ink_stream_flush(struct ink_stream *stream, const char **piece, size_t *n,
                     struct ink_error *error);

/* The bytes of one token as they stand in the middle of a text, perhaps a part of a character; of a
 * special token its name if keep_special, else none. out [room] gets what fits; returns how many
 * there are. */
size_t ink_token_bytes(const struct ink_model *model, char *out, size_t room, int32_t token,
                       bool keep_special);

struct ink_message {
    const char *role; /* "system", "user" or "assistant" */
    const char *content;
};

/* ERNIE 4.5's chat template over `messages`, as ids; ends with the prompt of the assistant's turn
 * if add_generation_prompt. Contents are text: special tokens inside them stay text. */
int ink_chat_tokenize(const struct ink_model *model, int32_t **out, size_t *n,
                      const struct ink_message *messages, int n_messages,
                      bool add_generation_prompt, struct ink_error *error);

/* Does this token end an answer? (end of text; in a chat also the turn tokens) */
bool ink_is_end_token(const struct ink_model *model, int32_t token);
/* The token that plain text begins with for this model, or -1 for none. */
int32_t ink_bos_token(const struct ink_model *model);

/* ------------------------------------------------------------------------------ model folders */

/* Write the model as a folder (out_path without ".gguf") or as one GGUF file. type: NULL or
 * "native" (as it is), "f32", "bf16", "f16", "q8_0" (GGUF only). Atomic: out_path appears whole or
 * not at all. `progress` (may be NULL) gets bytes done and in all; non-zero cancels. */
typedef int ink_progress_function(void *context, uint64_t done, uint64_t total);
int ink_export(const struct ink_model *model, const char *out_path, const char *type,
               ink_progress_function *progress, void *context, struct ink_error *error);

/* The same, with an adapter of that model (NULL: none) merged into its matrices: W + s B A, rounded
 * to float32, then to the type. As they are ("native"), matrices are rounded to the type that the
 * model has, which must then be one of those above. INK_ERROR_INPUT if a sum is not finite. */
int ink_export_merged(const struct ink_model *model, const struct ink_adapter *adapter,
                      const char *out_path, const char *type, ink_progress_function *progress,
                      void *context, struct ink_error *error);

/* Write the adapter that ink_adapter_open would open from adapter_path as a GGUF file that
 * llama.cpp and ink_adapter_open read (out_path ends in ".gguf"). type: NULL or "native" (as it
 * is), "f32", "bf16", "f16". The file holds one alpha: where the adapter has several scales
 * (rank_pattern, alpha_pattern), those that differ are multiplied into B. */
int ink_export_adapter(const struct ink_model *model, const char *adapter_path,
                       const char *out_path, const char *type, ink_progress_function *progress,
                       void *context, struct ink_error *error);

/* What quantising did to one tensor. A group's root mean square error is sqrt(sum of `errors` / sum
 * of `squares`) of that of its weights. */
struct ink_quantized {
    const char *name, *type;               /* in the new file */
    const char *source_name, *source_type; /* in the model */
    const int64_t *shape;                  /* [n_dims], outermost first */
    int n_dims;
    uint64_t n_bytes, source_bytes;
    bool is_kept;           /* a matrix that keeps its type: rows are no multiple of 32 */
    double squares, errors; /* sums of the squares of weights, of new less old weights */
    double max_error;       /* largest distance of a new weight from the old one */
};
typedef void ink_quantized_function(void *context, const struct ink_quantized *tensor);

/* Write the model as a GGUF file (out_path ends in ".gguf") with quantised matrices, and tell
 * `report` (may be NULL) of each tensor written. type: NULL or "q8_0"; vectors are float32. Atomic,
 * and `progress` as in ink_export. Works through the model in a few megabytes of memory, whatever
 * its size, most easily if opened `without_weights`. A weight that is not finite is
 * INK_ERROR_INPUT. Errors are the same on every machine, for any number of threads. */
int ink_quantize(const struct ink_model *model, const char *out_path, const char *type,
                 ink_quantized_function *report, ink_progress_function *progress, void *context,
                 struct ink_error *error);

/* How well two models with one vocabulary predict a text, and how far apart they are. Natural
 * logarithms. */
struct ink_divergence {
    uint64_t n_tokens;             /* predicted, the count behind every figure */
    double loss[2], perplexity[2]; /* of model and other: mean -log p of the text's next token; its
                                      exponential */
    double kl_mean, kl_99, kl_max; /* KL divergence of other's prediction from model's, per token:
                                      mean, 99th percentile (nearest rank), maximum */
    double agreement;              /* part of the tokens at which both rank the same token first */
    int window;                    /* tokens of the text that are read together */
    bool has_begin_token;          /* before each window */
};

enum { INK_DIVERGENCE_WINDOW = 512, INK_DIVERGENCE_LEAST = 16 };

/* Both models read tokens [n] in windows of `window` tokens (at least 2; less where a model's
 * longest context is shorter), each from an empty context: the model's begin token, if it has one,
 * comes first; without one the first token of a window is not predicted. At least
 * INK_DIVERGENCE_LEAST tokens must be predicted. `progress` (may be NULL) gets tokens; non-zero
 * cancels. The same result on every machine that gives the same logits. */
int ink_measure_divergence(struct ink_divergence *out, struct ink_model *model,
                           struct ink_model *other, const int32_t *tokens, size_t n, int window,
                           ink_progress_function *progress, void *context, struct ink_error *error);

/* --------------------------------------------------------------------------------- diagnostics */

/* Facts about this build, CPU and memory, and with a model its self-test, as lines of
 * "name", "value", ok. Calls `line` for each; returns the number of lines that were not ok, or a
 * negative status. model may be NULL. */
typedef void ink_report_function(void *context, const char *name, const char *value, bool ok);
int ink_doctor(struct ink_model *model, ink_report_function *line, void *context,
               struct ink_error *error);

/* What this machine can do at most, in the moment of asking, with the threads and the instruction
 * set of a model: what speeds are to be held against. Rates are per second; a multiplication and
 * its addition are two operations. */
struct ink_ceilings {
    const char *cpu; /* its own name for itself, perhaps ""; lives as long as the meter */
    const char *int8_instruction; /* what int8_operations was measured with */
    double read_bytes;            /* from memory; 0: not measured, too little memory is free */
    double int8_operations, f32_operations;
};
struct ink_meter;
/* Takes 256 MiB (more for many threads; at most a quarter of what is free) to read from. */
int ink_meter_open(struct ink_meter **out, const struct ink_model *model, struct ink_error *error);
void ink_meter_close(struct ink_meter *meter);
/* Measure, for about a tenth of a second. */
void ink_meter_read(struct ink_meter *meter, struct ink_ceilings *out);

/* Free what this library malloc'ed for the caller. */
void ink_free(void *pointer);

#ifdef __cplusplus
}
#endif

#endif
