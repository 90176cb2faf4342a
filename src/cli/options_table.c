#include "options.h"

#include <limits.h>

#define AT(field) offsetof(struct ink_options, field)
#define FOR_TEXT (INK_FOR_CHAT | INK_FOR_GENERATE)
#define FOR_RUN (FOR_TEXT | INK_FOR_LOGITS | INK_FOR_EVAL)
#define FOR_SAMPLING (FOR_TEXT | INK_FOR_SERVE | INK_FOR_EVAL)
#define FOR_DATA (INK_FOR_SPLIT | INK_FOR_EVAL | INK_FOR_TRAIN)
#define FOR_CPU \
    (FOR_RUN | INK_FOR_SERVE | INK_FOR_INSPECT | INK_FOR_DOCTOR | INK_FOR_QUANTIZE | INK_FOR_BENCH)

/* In the order of --help. */
const struct ink_option ink_options_table[INK_OPTION_COUNT] = {
    [INK_OPTION_PROMPT] = {NULL, 'p', INK_KIND_TEXT, false, INK_FOR_GENERATE, AT(prompt), 0, 0,
                           NULL, "TEXT", "the prompt"},
    [INK_OPTION_FILE] = {NULL, 'f', INK_KIND_TEXT, false,
                         INK_FOR_GENERATE | INK_FOR_TOKENIZE | INK_FOR_DETOKENIZE, AT(file), 0, 0,
                         NULL, "FILE", "read the input from FILE"},
    [INK_OPTION_IDS] = {"ids", 0, INK_KIND_TEXT, false, INK_FOR_GENERATE | INK_FOR_LOGITS, AT(ids),
                        0, 0, NULL, "\"1 2 3\"", "the prompt as token ids, taken as they are"},
    [INK_OPTION_OUTPUT] = {NULL, 'o', INK_KIND_TEXT, false, INK_FOR_EXPORT, AT(output), 0, 0, NULL,
                           "OUT", "where to write: a folder, or a file OUT.gguf"},
    [INK_OPTION_OUTPUT_QUANTIZE] = {NULL, 'o', INK_KIND_TEXT, false, INK_FOR_QUANTIZE, AT(output),
                                    0, 0, NULL, "OUT.gguf", "the file to write"},
    [INK_OPTION_OUTPUT_SPLIT] = {NULL, 'o', INK_KIND_TEXT, false, INK_FOR_SPLIT, AT(output), 0, 0,
                                 NULL, "DIR", "the folder to write to"},
    [INK_OPTION_RATIO] = {"ratio", 0, INK_KIND_TEXT, false, INK_FOR_SPLIT, AT(ratio), 0, 0, NULL,
                          "A:B:C", "sizes of train, val and test (default 8:1:1)"},
    [INK_OPTION_SEED_SPLIT] = {"seed", 0, INK_KIND_TEXT, false, INK_FOR_SPLIT, AT(seed_text), 0, 0,
                               NULL, "N",
                               "any whole number (default 42): the order is that of Python's"
                               "\nrandom.seed(N); random.shuffle(records)"},
    [INK_OPTION_GROUP_BY] = {"group-by", 0, INK_KIND_TEXT, false, INK_FOR_SPLIT, AT(group_by), 0, 0,
                             NULL, "FIELD",
                             "records with the same value of FIELD, such as an entity, go to the"
                             "\nsame file; sizes then come as near the ratio as they can"},
    [INK_OPTION_GROUP_UNTIL] = {"group-until", 0, INK_KIND_TEXT, false, INK_FOR_SPLIT,
                                AT(group_until), 0, 0, NULL, "TEXT",
                                "of FIELD only what stands before TEXT counts: --group-by output"
                                "\n--group-until 的 groups answers by what they begin with"},
    [INK_OPTION_FORCE] = {"force", 0, INK_KIND_FLAG, false, INK_FOR_SPLIT, AT(force), 0, 0, NULL,
                          NULL,
                          "replace files that are not, or no longer, as split wrote them;"
                          "\nits own are replaced without asking"},
    [INK_OPTION_FROM_CONFIG] = {"from-config", 0, INK_KIND_TEXT, false, INK_FOR_TRAIN,
                                AT(from_config), 0, 0, NULL, "CONFIG",
                                "instead of MODEL: train a new model, whose weights are drawn at"
                                "\nrandom, of the shape that this config.json says"},
    [INK_OPTION_TRAIN] = {"train", 0, INK_KIND_TEXT, false, INK_FOR_TRAIN, AT(train), 0, 0, NULL,
                          "FILE", "what to train on"},
    [INK_OPTION_VAL] = {"val", 0, INK_KIND_TEXT, false, INK_FOR_TRAIN, AT(val), 0, 0, NULL, "FILE",
                        "held-out data, whose loss is reported along the way"},
    [INK_OPTION_OUTPUT_TRAIN] = {NULL, 'o', INK_KIND_TEXT, false, INK_FOR_TRAIN, AT(output), 0, 0,
                                 NULL, "DIR", "the folder for checkpoints, log and loss curve"},
    [INK_OPTION_METHOD] = {"method", 0, INK_KIND_CHOICE, false, INK_FOR_TRAIN, AT(method), 0, 0,
                           "full|lora", NULL,
                           "full (the default): all weights; lora: a small adapter beside"
                           "\nthem, with a fifth of the memory"},
    [INK_OPTION_EPOCHS] = {"epochs", 0, INK_KIND_DOUBLE, false, INK_FOR_TRAIN, AT(epochs), 0.001,
                           1e6, NULL, "N", "passes over the data (default 3)"},
    [INK_OPTION_MAX_STEPS] = {"max-steps", 0, INK_KIND_INT, false, INK_FOR_TRAIN, AT(max_steps), 1,
                              INT_MAX, NULL, "N", "end after N steps, whatever --epochs says"},
    [INK_OPTION_BATCH_SIZE] = {"batch-size", 0, INK_KIND_INT, false, INK_FOR_TRAIN, AT(batch_size),
                               1, 4096, NULL, "N", "samples of a batch (default 2)"},
    [INK_OPTION_GRAD_ACCUM] = {"grad-accum", 0, INK_KIND_INT, false, INK_FOR_TRAIN, AT(grad_accum),
                               1, 65536, NULL, "N", "batches of a step (default 1)"},
    [INK_OPTION_LR] = {"lr", 0, INK_KIND_DOUBLE, false, INK_FOR_TRAIN, AT(lr), 1e-12, 10, NULL, "X",
                       "the highest learning rate (default 2e-5; lora 2e-4; a new model"
                       "\n5e-4)"},
    [INK_OPTION_SCHEDULE] = {"schedule", 0, INK_KIND_CHOICE, false, INK_FOR_TRAIN, AT(schedule), 0,
                             0, "linear|cosine|constant", NULL,
                             "how the learning rate falls to 0 (default linear)"},
    [INK_OPTION_WARMUP_STEPS] = {"warmup-steps", 0, INK_KIND_INT, false, INK_FOR_TRAIN,
                                 AT(warmup_steps), 0, INT_MAX, NULL, "N",
                                 "steps in which it rises from 0 (default 0)"},
    [INK_OPTION_WEIGHT_DECAY] = {"weight-decay", 0, INK_KIND_DOUBLE, false, INK_FOR_TRAIN,
                                 AT(weight_decay), 0, 1, NULL, "X", "of matrices (default 0)"},
    [INK_OPTION_MAX_GRAD_NORM] = {"max-grad-norm", 0, INK_KIND_DOUBLE, false, INK_FOR_TRAIN,
                                  AT(max_grad_norm), 0, 1e9, NULL, "X",
                                  "clip gradients to this norm (default 1; 0: do not)"},
    [INK_OPTION_MAX_PROMPT_TRAIN] =
        {"max-prompt", 0, INK_KIND_INT, false, INK_FOR_TRAIN, AT(max_prompt), 0, INT_MAX, NULL, "N",
         "keep the first N tokens of a longer prompt (default 256; 0: all)"},
    [INK_OPTION_MAX_RESPONSE_TRAIN] =
        {"max-response", 0, INK_KIND_INT, false, INK_FOR_TRAIN, AT(max_response), 0, INT_MAX, NULL,
         "N", "keep the first N tokens of a longer answer (default 256; 0: all)"},
    [INK_OPTION_MAX_LENGTH_TRAIN] =
        {"max-length", 0, INK_KIND_INT, false, INK_FOR_TRAIN, AT(max_length), 2, INT_MAX, NULL, "N",
         "read longer texts in windows of N tokens, each from the last token of"
         "\nthe one before on (default 512, or the model's context)"},
    [INK_OPTION_TEMPLATE_TRAIN] = {"template", 0, INK_KIND_CHOICE, false, INK_FOR_TRAIN,
                                   AT(template_name), 0, 0, "chat|none|auto", NULL,
                                   "chat: questions and answers in the model's format; none: their"
                                   "\ntext alone; auto (the default): chat if the model has a chat"
                                   "\ntemplate"},
    [INK_OPTION_LORA_RANK] = {"lora-rank", 0, INK_KIND_INT, false, INK_FOR_TRAIN, AT(lora_rank), 1,
                              1024, NULL, "N", "rank of the adapter (default 8)"},
    [INK_OPTION_LORA_ALPHA] = {"lora-alpha", 0, INK_KIND_DOUBLE, false, INK_FOR_TRAIN,
                               AT(lora_alpha), 1e-6, 1e6, NULL, "X",
                               "its scale is X / rank (default: twice the rank)"},
    [INK_OPTION_LORA_DROPOUT] = {"lora-dropout", 0, INK_KIND_DOUBLE, false, INK_FOR_TRAIN,
                                 AT(lora_dropout), 0, 0.99, NULL, "X",
                                 "part of its input that is dropped while training (default 0)"},
    [INK_OPTION_LORA_TARGETS] = {"lora-targets", 0, INK_KIND_TEXT, false, INK_FOR_TRAIN,
                                 AT(lora_targets), 0, 0, NULL, "LIST",
                                 "of q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj"
                                 "\n(default: all of them)"},
    [INK_OPTION_LORA_BASE] = {"lora-base", 0, INK_KIND_CHOICE, false, INK_FOR_TRAIN, AT(lora_base),
                              0, 0, "file|int8", NULL,
                              "the frozen weights: as they are in the file (the default), or"
                              "\nrounded to int8, which takes half the memory of bf16"},
    [INK_OPTION_LORA_RSLORA] = {"lora-rslora", 0, INK_KIND_FLAG, false, INK_FOR_TRAIN, AT(rslora),
                                0, 0, NULL, NULL, "scale by alpha / sqrt(rank)"},
    [INK_OPTION_SAVE_STEPS] = {"save-steps", 0, INK_KIND_INT, false, INK_FOR_TRAIN, AT(save_steps),
                               0, INT_MAX, NULL, "N",
                               "steps between checkpoints (default 100; 0: only at the end)"},
    [INK_OPTION_SAVE_TOTAL_LIMIT] = {"save-total-limit", 0, INK_KIND_INT, false, INK_FOR_TRAIN,
                                     AT(save_total_limit), 0, INT_MAX, NULL, "N",
                                     "checkpoints to keep, the newest (default 1; 0: all)"},
    [INK_OPTION_SAVE_DTYPE] = {"save-dtype", 0, INK_KIND_CHOICE, false, INK_FOR_TRAIN,
                               AT(save_dtype), 0, 0, "f32|bf16", NULL,
                               "type of the weights in checkpoints (default f32); a run goes on"
                               "\nexactly from both"},
    [INK_OPTION_LOGGING_STEPS] = {"logging-steps", 0, INK_KIND_INT, false, INK_FOR_TRAIN,
                                  AT(logging_steps), 1, INT_MAX, NULL, "N",
                                  "steps between rows of the log (default 10)"},
    [INK_OPTION_EVAL_STEPS] = {"eval-steps", 0, INK_KIND_INT, false, INK_FOR_TRAIN, AT(eval_steps),
                               1, INT_MAX, NULL, "N",
                               "steps between losses on --val (default: as --save-steps)"},
    [INK_OPTION_DTYPE] = {"dtype", 0, INK_KIND_CHOICE, false, INK_FOR_TRAIN, AT(dtype), 0, 0,
                          "f32|bf16|auto", NULL,
                          "of the factors of products with matrices; all else is float32 (default"
                          "\nf32: the same bits on every machine). bf16 is up to twice as fast on"
                          "\nprocessors with AVX-512 BF16, and slower on others; auto: bf16 there"},
    [INK_OPTION_RECOMPUTE] = {"recompute", 0, INK_KIND_FLAG, false, INK_FOR_TRAIN, AT(recompute), 0,
                              0, NULL, NULL,
                              "keep less of the forward pass and compute it again: a third more"
                              "\ntime, less memory; done by itself where memory is short"},
    [INK_OPTION_SEED_TRAIN] =
        {"seed", 0, INK_KIND_U64, false, INK_FOR_TRAIN, AT(seed), 0, 0, NULL, "N",
         "of the order of samples, of a new adapter's or a new model's weights,"
         "\nof dropout (default 42)"},
    [INK_OPTION_RESUME] = {"resume", 0, INK_KIND_FLAG, false, INK_FOR_TRAIN, AT(resume), 0, 0, NULL,
                           NULL,
                           "go on from the newest checkpoint in DIR, bit for bit as if the run"
                           "\nhad not stopped"},
    [INK_OPTION_DRY_RUN] = {"dry-run", 0, INK_KIND_FLAG, false, INK_FOR_TRAIN, AT(dry_run), 0, 0,
                            NULL, NULL, "say what it takes and show a sample, and stop"},
    [INK_OPTION_FORMAT_DATA] =
        {"format", 0, INK_KIND_CHOICE, false, FOR_DATA, AT(data_format), 0, 0,
         "auto|jsonl|json|csv|tsv|tsv-plain|qa|lines", "FORMAT",
         "of the data: auto (the default), jsonl, json (an array), csv, tsv,"
         "\ntsv-plain (quotes mean nothing), qa (q:... a:...), lines (texts)"},
    [INK_OPTION_SCHEMA] = {"schema", 0, INK_KIND_CHOICE, false, FOR_DATA, AT(schema), 0, 0,
                           "auto|input-output|alpaca|erniekit|sharegpt|messages|text", "SCHEMA",
                           "of its records: auto (the default), input-output, alpaca, erniekit,"
                           "\nsharegpt, messages (OpenAI's), text"},
    [INK_OPTION_INPUT_FIELD] = {"input-field", 0, INK_KIND_TEXT, false, FOR_DATA, AT(input_field),
                                0, 0, NULL, "NAME",
                                "the key or column that holds the question; default: input, prompt,"
                                "\nquestion, query or 问题"},
    [INK_OPTION_OUTPUT_FIELD] = {"output-field", 0, INK_KIND_TEXT, false, FOR_DATA,
                                 AT(output_field), 0, 0, NULL, "NAME",
                                 "the one that holds the answer; default: output, completion,"
                                 "\nanswer, response or 答案"},
    [INK_OPTION_SYSTEM_FIELD] = {"system-field", 0, INK_KIND_TEXT, false, FOR_DATA,
                                 AT(system_field), 0, 0, NULL, "NAME",
                                 "the one that holds a system text (default system)"},
    [INK_OPTION_TEXT_FIELD] = {"text-field", 0, INK_KIND_TEXT, false, FOR_DATA, AT(text_field), 0,
                               0, NULL, "NAME", "the one that holds a plain text (default text)"},
    [INK_OPTION_SKIP_BAD] = {"skip-bad", 0, INK_KIND_FLAG, false, FOR_DATA, AT(skip_bad), 0, 0,
                             NULL, NULL,
                             "leave out broken records and count them, instead of stopping at the"
                             "\nfirst"},
    [INK_OPTION_JSON] = {"json", 0, INK_KIND_FLAG, false,
                         INK_FOR_GENERATE | INK_FOR_INSPECT | INK_FOR_DOCTOR | INK_FOR_QUANTIZE |
                             INK_FOR_BENCH | INK_FOR_SPLIT | INK_FOR_EVAL,
                         AT(json), 0, 0, NULL, NULL, "print one JSON object"},
    /* it always does */
    [INK_OPTION_JSON_LOGITS] = {"json", 0, INK_KIND_FLAG, true, INK_FOR_LOGITS, AT(json), 0, 0,
                                NULL, NULL, "print one JSON object"},
    [INK_OPTION_TEMPLATE_CHAT] = {"template", 0, INK_KIND_CHOICE, false, INK_FOR_CHAT,
                                  AT(template_name), 0, 0, "chat|none|auto", NULL,
                                  "chat: a conversation in the model's format; none: every line is"
                                  "\na text to be continued, by itself; auto (the default): chat if"
                                  "\nthe model has a chat template"},
    [INK_OPTION_TEMPLATE_GENERATE] = {"template", 0, INK_KIND_CHOICE, false, INK_FOR_GENERATE,
                                      AT(template_name), 0, 0, "chat|none|auto", NULL,
                                      "none (the default): continue the prompt; chat: answer it"
                                      "\nas a chat does; auto: chat if the model has a template"},
    [INK_OPTION_TEMPLATE_EVAL] = {"template", 0, INK_KIND_CHOICE, false, INK_FOR_EVAL,
                                  AT(template_name), 0, 0, "chat|none|auto", NULL,
                                  "chat: questions and answers in the model's format; none: their"
                                  "\ntext alone; auto (the default): chat if the model has a chat"
                                  "\ntemplate. As the model was trained"},
    [INK_OPTION_METRICS] = {"metrics", 0, INK_KIND_TEXT, false, INK_FOR_EVAL, AT(metrics), 0, 0,
                            NULL, "LIST",
                            "of loss, bleu-13a, bleu-zh, bleu-char, rouge-l, rouge-l-char, exact"
                            "\n(bleu, rouge: all of their kind; default: all). Without those of"
                            "\nanswers none are written, which takes most of the time"},
    [INK_OPTION_SCOPE] = {"scope", 0, INK_KIND_CHOICE, false, INK_FOR_EVAL, AT(scope), 0, 0,
                          "answer-end|answer|all", NULL,
                          "tokens that count in the loss: answers and the token that ends each"
                          "\n(answer-end, the default: what training minimises), answers alone,"
                          "\nor all, prompts too"},
    [INK_OPTION_LIMIT] = {"limit", 0, INK_KIND_INT, false, INK_FOR_EVAL, AT(limit), 1, INT_MAX,
                          NULL, "N", "use the first N samples (default: all)"},
    [INK_OPTION_MAX_PROMPT] = {"max-prompt", 0, INK_KIND_INT, false, INK_FOR_EVAL, AT(max_prompt),
                               0, INT_MAX, NULL, "N",
                               "keep the first N tokens of a longer prompt (default 0: all)"},
    [INK_OPTION_MAX_RESPONSE] = {"max-response", 0, INK_KIND_INT, false, INK_FOR_EVAL,
                                 AT(max_response), 0, INT_MAX, NULL, "N",
                                 "in the loss, keep the first N tokens of a longer answer"
                                 "\n(default 0: all)"},
    [INK_OPTION_MAX_LENGTH] = {"max-length", 0, INK_KIND_INT, false, INK_FOR_EVAL, AT(max_length),
                               2, INT_MAX, NULL, "N",
                               "read longer texts in windows of N tokens, as training does"
                               "\n(default: the model's context)"},
    [INK_OPTION_BASELINE] = {"baseline", 0, INK_KIND_TEXT, false, INK_FOR_EVAL, AT(baseline), 0, 0,
                             NULL, "MODEL2",
                             "evaluate this model too, without --lora, and print both"},
    [INK_OPTION_PREDICTIONS] = {"predictions", 0, INK_KIND_TEXT, false, INK_FOR_EVAL,
                                AT(predictions), 0, 0, NULL, "OUT.jsonl",
                                "write each answer with its scores, a JSON object a line"},
    [INK_OPTION_REPORT] = {"report", 0, INK_KIND_TEXT, false, INK_FOR_EVAL, AT(report), 0, 0, NULL,
                           "OUT.html",
                           "write a page with figures, loss curve and answers side by side"},
    [INK_OPTION_BATCH_EVAL] = {"batch", 0, INK_KIND_INT, false, INK_FOR_EVAL, AT(batch_size), 1,
                               256, NULL, "N",
                               "samples in work at a time (default 8): same figures, more memory"},
    [INK_OPTION_HOST] = {"host", 0, INK_KIND_TEXT, false, INK_FOR_SERVE, AT(host), 0, 0, NULL,
                         "HOST",
                         "address or name to listen on (default 127.0.0.1: this machine"
                         "\nonly; 0.0.0.0 or ::: every machine), or unix:PATH"},
    [INK_OPTION_PORT] = {"port", 0, INK_KIND_INT, false, INK_FOR_SERVE, AT(port), 0, 65535, NULL,
                         "N", "port to listen on (default 7860; 0: any that is free)"},
    [INK_OPTION_API_KEY] = {"api-key", 0, INK_KIND_TEXTS, false, INK_FOR_SERVE, AT(api_keys), 0, 0,
                            NULL, "KEY",
                            "let in who sends Authorization: Bearer KEY, and nobody else;"
                            "\nmay be repeated. Better in a file, or in INKSTONE_API_KEY:"
                            "\narguments can be seen by other users"},
    [INK_OPTION_API_KEY_FILE] =
        {"api-key-file", 0, INK_KIND_TEXT, false, INK_FOR_SERVE, AT(api_key_file), 0, 0, NULL,
         "FILE", "the same with the keys in FILE, one a line; SIGHUP reads it anew"},
    [INK_OPTION_INSECURE_NO_AUTH] = {"insecure-no-auth", 0, INK_KIND_FLAG, false, INK_FOR_SERVE,
                                     AT(insecure_no_auth), 0, 0, NULL, NULL,
                                     "serve other machines without asking for a key"},
    [INK_OPTION_ALLOW_HOST] = {"allow-host", 0, INK_KIND_TEXTS, false, INK_FOR_SERVE,
                               AT(allowed_hosts), 0, 0, NULL, "NAME",
                               "a name by which clients may call this server, beside --host and"
                               "\nthe loopback names; *: any. May be repeated"},
    [INK_OPTION_ALLOW_ORIGIN] =
        {"allow-origin", 0, INK_KIND_TEXTS, false, INK_FOR_SERVE, AT(allowed_origins), 0, 0, NULL,
         "ORIGIN",
         "a web site whose pages may use this server, such as"
         "\nhttps://chat.example.org, beside its own page. May be repeated"},
    [INK_OPTION_TLS_CERTIFICATE] = {"tls-certificate", 0, INK_KIND_TEXT, false, INK_FOR_SERVE,
                                    AT(tls_certificate), 0, 0, NULL, "FILE",
                                    "speak HTTPS, with this chain of certificates (PEM)"},
    [INK_OPTION_TLS_KEY] = {"tls-key", 0, INK_KIND_TEXT, false, INK_FOR_SERVE, AT(tls_key), 0, 0,
                            NULL, "FILE", "the certificate's private key (PEM)"},
    [INK_OPTION_SLOTS] = {"slots", 0, INK_KIND_INT, false, INK_FOR_SERVE, AT(slots), 1, 256, NULL,
                          "N", "answers that are written at the same time (default 8)"},
    [INK_OPTION_QUEUE] = {"queue", 0, INK_KIND_INT, false, INK_FOR_SERVE, AT(queue), 0, 65536, NULL,
                          "N",
                          "requests that may wait for a slot (default: twice the slots);"
                          "\nmore are refused with status 429"},
    [INK_OPTION_PREFIX_CACHE] = {"prefix-cache", 0, INK_KIND_INT, false, INK_FOR_SERVE,
                                 AT(prefix_cache), 0, 1 << 20, NULL, "MIB",
                                 "memory for beginnings of prompts that were read before"
                                 "\n(default 256; 0: none)"},
    [INK_OPTION_MODEL_NAME] = {"model-name", 0, INK_KIND_TEXT, false, INK_FOR_SERVE, AT(model_name),
                               0, 0, NULL, "NAME",
                               "what clients call the model (default: the last part of MODEL,"
                               "\nwithout .gguf)"},
    [INK_OPTION_TEMPLATE_SERVE] = {"template", 0, INK_KIND_CHOICE, false, INK_FOR_SERVE,
                                   AT(template_name), 0, 0, "chat|none|auto", NULL,
                                   "chat: messages in the model's format; none: their text alone;"
                                   "\nauto (the default): chat if the model has a chat template"},
    [INK_OPTION_MAX_NEW_TOKENS] =
        {"max-new-tokens", 0, INK_KIND_INT, false, FOR_SAMPLING, AT(max_new_tokens), 1, INT_MAX,
         NULL, "N", "stop after N tokens (default: generate and eval 256, chat and serve\n1024)"},
    [INK_OPTION_STOP] = {"stop", 0, INK_KIND_STOP, false, FOR_TEXT | INK_FOR_EVAL, AT(stops), 0, 0,
                         NULL, "TEXT", "stop before TEXT, which is not printed; may be repeated"},
    [INK_OPTION_PRESET] = {"preset", 0, INK_KIND_CHOICE, false, FOR_TEXT | INK_FOR_EVAL, AT(preset),
                           0, 0, "article", NULL,
                           "article: temperature 0.9, top-p 0.95, repetition penalty 1.2,"
                           "\n128 new tokens, plain prompts cut to 256 tokens"},
    [INK_OPTION_PRESET_SERVE] = {"preset", 0, INK_KIND_CHOICE, false, INK_FOR_SERVE, AT(preset), 0,
                                 0, "article", NULL,
                                 "article: temperature 0.9, top-p 0.95, repetition penalty 1.2,"
                                 "\n128 new tokens, where a request does not say"},
    [INK_OPTION_SEED] = {"seed", 0, INK_KIND_U64, false, FOR_SAMPLING, AT(seed), 0, 0, NULL, "N",
                         "start of the random numbers (default 0): the same seed gives"
                         "\nthe same text; /regen in a chat draws anew"},
    [INK_OPTION_TEMPERATURE] = {"temperature", 0, INK_KIND_FLOAT, false, FOR_SAMPLING,
                                AT(temperature), 0, 100, NULL, "X",
                                "0: always the likeliest token; 1: the model's own odds"
                                "\n(default of this and the next five: the model's settings)"},
    [INK_OPTION_TOP_K] = {"top-k", 0, INK_KIND_INT, false, FOR_SAMPLING, AT(top_k), 0, 16777216,
                          NULL, "N", "choose among the N likeliest tokens; 0: all"},
    [INK_OPTION_TOP_P] = {"top-p", 0, INK_KIND_FLOAT, false, FOR_SAMPLING, AT(top_p), 0, 1, NULL,
                          "X", "choose among the likeliest tokens that sum up to X; 1: all"},
    [INK_OPTION_REPETITION_PENALTY] =
        {"repetition-penalty", 0, INK_KIND_FLOAT, false, FOR_SAMPLING, AT(repetition_penalty), 0.01,
         100, NULL, "X", "divide the score of tokens seen in prompt or answer; 1: off"},
    [INK_OPTION_PRESENCE_PENALTY] = {"presence-penalty", 0, INK_KIND_FLOAT, false, FOR_SAMPLING,
                                     AT(presence_penalty), -100, 100, NULL, "X",
                                     "lower the score of tokens in the answer so far; 0: off"},
    [INK_OPTION_FREQUENCY_PENALTY] = {"frequency-penalty", 0, INK_KIND_FLOAT, false, FOR_SAMPLING,
                                      AT(frequency_penalty), -100, 100, NULL, "X",
                                      "the same, for each time that they occur; 0: off"},
    [INK_OPTION_SPECIAL_TOKENIZE] = {"special", 0, INK_KIND_FLAG, false, INK_FOR_TOKENIZE,
                                     AT(special), 0, 0, NULL, NULL,
                                     "text such as </s> becomes its token instead of staying text"},
    [INK_OPTION_SPECIAL_DETOKENIZE] = {"special", 0, INK_KIND_FLAG, false, INK_FOR_DETOKENIZE,
                                       AT(special), 0, 0, NULL, NULL,
                                       "write special tokens as text instead of leaving them out"},
    [INK_OPTION_TOP] = {"top", 0, INK_KIND_INT, false, INK_FOR_LOGITS, AT(top), 1, 1000000, NULL,
                        "N", "list the N best tokens of the last position (default 8)"},
    [INK_OPTION_CHUNK] = {"chunk", 0, INK_KIND_INT, false, INK_FOR_LOGITS, AT(chunk), 1, 1024, NULL,
                          "N", "positions to compute at a time (default 64)"},
    [INK_OPTION_TENSORS] = {"tensors", 0, INK_KIND_FLAG, false, INK_FOR_INSPECT, AT(tensors), 0, 0,
                            NULL, NULL, "list every tensor too"},
    [INK_OPTION_PREFILL] = {"prefill", 0, INK_KIND_LIST, false, INK_FOR_BENCH, AT(prefill), 1,
                            INT_MAX, NULL, "N,...",
                            "read prompts of N tokens (default 64,512,2048); none: do not"},
    [INK_OPTION_DECODE] = {"decode", 0, INK_KIND_INT, false, INK_FOR_BENCH, AT(decode), 1, INT_MAX,
                           NULL, "N", "tokens to decode in a run (default 64)"},
    [INK_OPTION_DEPTH] = {"depth", 0, INK_KIND_LIST, false, INK_FOR_BENCH, AT(depth), 0, INT_MAX,
                          NULL, "N,...",
                          "decode after N tokens (default 0,4096,16384); none: do not"},
    [INK_OPTION_BATCH] = {"batch", 0, INK_KIND_LIST, false, INK_FOR_BENCH, AT(batch), 1, 256, NULL,
                          "N,...", "decode N texts together (default 1,2,4,8,16); none: do not"},
    [INK_OPTION_REPEAT] = {"repeat", 0, INK_KIND_INT, false, INK_FOR_BENCH, AT(repeat), 1, 1000,
                           NULL, "N", "runs of each kind, of which the median counts (default 5)"},
    [INK_OPTION_FORMAT] = {"format", 0, INK_KIND_CHOICE, false, INK_FOR_BENCH, AT(output_format), 0,
                           0, "md|csv|json", NULL, "a Markdown table (the default), CSV or JSON"},
    /* how bench starts itself: read a prompt of N tokens, print the most memory in use */
    [INK_OPTION_BENCH_PROBE] = {"probe", 0, INK_KIND_INT, true, INK_FOR_BENCH, AT(bench_probe), 1,
                                INT_MAX, NULL, "N", ""},
    [INK_OPTION_TYPE_RUN] = {"type", 0, INK_KIND_CHOICE, false,
                             FOR_SAMPLING | INK_FOR_INSPECT | INK_FOR_BENCH, AT(type), 0, 0,
                             "native|q8_0", NULL,
                             "q8_0: round weights to int8 on loading (the default);"
                             "\nnative: compute with what is in the file"},
    [INK_OPTION_TYPE_PROBE] = {"type", 0, INK_KIND_CHOICE, false, INK_FOR_LOGITS | INK_FOR_DOCTOR,
                               AT(type), 0, 0, "native|q8_0", NULL,
                               "native: compute with what is in the file (the default);"
                               "\nq8_0: round weights to int8 on loading"},
    [INK_OPTION_TYPE_EXPORT] = {"type", 0, INK_KIND_CHOICE, false, INK_FOR_EXPORT, AT(type), 0, 0,
                                "native|f32|bf16|f16|q8_0", NULL,
                                "type of the weights to write (default native: as they are);"
                                "\nq8_0 for models in GGUF only"},
    [INK_OPTION_TYPE_QUANTIZE] = {"type", 0, INK_KIND_CHOICE, false, INK_FOR_QUANTIZE, AT(type), 0,
                                  0, "q8_0", NULL,
                                  "q8_0 (the default): blocks of 32 int8 weights and a scale;"
                                  "\nmatrices whose rows are no multiple of 32 stay as they are"},
    [INK_OPTION_CHECK] = {"check", 0, INK_KIND_TEXT, false, INK_FOR_QUANTIZE, AT(check), 0, 0, NULL,
                          "DATA",
                          "compare both models on a UTF-8 text: perplexity, KL divergence,"
                          "\nbest tokens; this needs the memory to run both"},
    [INK_OPTION_CTX] = {"ctx", 0, INK_KIND_INT, false, FOR_TEXT, AT(ctx), 1, INT_MAX, NULL, "N",
                        "tokens of prompt and answer together"
                        "\n(default 4096, or the model's maximum if that is less;"
                        "\ngenerate makes room for a longer prompt)"},
    [INK_OPTION_CTX_INSPECT] = {"ctx", 0, INK_KIND_INT, false, INK_FOR_INSPECT, AT(ctx), 1, INT_MAX,
                                NULL, "N", "context to state the memory for (default 4096)"},
    [INK_OPTION_CTX_SERVE] = {"ctx", 0, INK_KIND_INT, false, INK_FOR_SERVE, AT(ctx), 1, INT_MAX,
                              NULL, "N",
                              "tokens of a prompt and its answer together, for each slot"
                              "\n(default 4096, or the model's maximum if that is less)"},
    [INK_OPTION_KV] = {"kv", 0, INK_KIND_CHOICE, false, FOR_SAMPLING | INK_FOR_BENCH, AT(kv), 0, 0,
                       "f16|f32|q8", NULL, "type of the key/value cache (default f16)"},
    [INK_OPTION_KV_LOGITS] = {"kv", 0, INK_KIND_CHOICE, false, INK_FOR_LOGITS, AT(kv), 0, 0,
                              "f16|f32|q8", NULL, "type of the key/value cache (default f32)"},
    [INK_OPTION_DRAFT] = {"draft", 0, INK_KIND_CHOICE, false, FOR_TEXT, AT(draft), 0, 0,
                          "auto|off|1|2|3|4|5|6|7|8", "auto|off|1..8",
                          "guess ahead what repeats the text so far; the same text, sooner."
                          "\nauto (the default): up to 8 tokens where that saves time;"
                          "\na number: always up to so many"},
    [INK_OPTION_MAX_BODY] = {"max-body", 0, INK_KIND_INT, false, INK_FOR_SERVE, AT(max_body), 1,
                             1024, NULL, "MIB", "longest request (default 4)"},
    [INK_OPTION_MAX_CONNECTIONS] = {"max-connections", 0, INK_KIND_INT, false, INK_FOR_SERVE,
                                    AT(max_connections), 1, 65536, NULL, "N",
                                    "connections at the same time (default 1024)"},
    [INK_OPTION_MAX_PER_ADDRESS] = {"max-per-address", 0, INK_KIND_INT, false, INK_FOR_SERVE,
                                    AT(max_per_address), 0, 65536, NULL, "N",
                                    "of them, from one address (default 64, none on loopback; 0: no"
                                    "\nlimit, as behind a proxy)"},
    [INK_OPTION_DRAIN_DELAY] = {"drain-delay", 0, INK_KIND_INT, false, INK_FOR_SERVE,
                                AT(drain_delay), 0, 3600, NULL, "SECONDS",
                                "after SIGTERM, say that no more requests are wanted, but still"
                                "\ntake them for so long (default 0)"},
    [INK_OPTION_DRAIN_TIMEOUT] = {"drain-timeout", 0, INK_KIND_INT, false, INK_FOR_SERVE,
                                  AT(drain_timeout), 0, 86400, NULL, "SECONDS",
                                  "then, time for answers under way to be finished (default 30)"},
    [INK_OPTION_LOG_FORMAT] = {"log-format", 0, INK_KIND_CHOICE, false, INK_FOR_SERVE,
                               AT(log_format), 0, 0, "text|json", NULL,
                               "the log on standard error: text (the default), or a JSON object"
                               "\na line. It never holds prompts, answers or keys"},
    [INK_OPTION_QUIET] = {"quiet", 'q', INK_KIND_FLAG, false, INK_FOR_SERVE, AT(quiet), 0, 0, NULL,
                          NULL, "log warnings and errors only"},
    [INK_OPTION_THREADS] = {"threads", 0, INK_KIND_INT, false, FOR_CPU | INK_FOR_TRAIN, AT(threads),
                            1, 1024, NULL, "N",
                            "default: the physical cores allowed to the process"},
    [INK_OPTION_CPU_LEVEL] = {"cpu-level", 0, INK_KIND_TEXT, false, FOR_CPU, AT(cpu_level), 0, 0,
                              NULL, "LEVEL",
                              "auto (the default), c or a level that doctor lists; same results"},
    [INK_OPTION_GPU] = {"gpu", 0, INK_KIND_TEXT, false, FOR_RUN | INK_FOR_SERVE | INK_FOR_BENCH,
                        AT(gpu), 0, 0, NULL, "auto|none",
                        "this version computes on the CPU: both mean that"},
    [INK_OPTION_LORA] = {"lora", 0, INK_KIND_TEXT, false, FOR_RUN, AT(lora), 0, 0, NULL, "DIR[:X]",
                         "use a LoRA adapter, a folder as PEFT saves it or a GGUF file;"
                         "\nX (default 1) multiplies what it adds"},
    [INK_OPTION_LORA_EXPORT] = {"lora", 0, INK_KIND_TEXT, false, INK_FOR_EXPORT, AT(lora), 0, 0,
                                NULL, "DIR[:X]",
                                "merge a LoRA adapter into the weights; X (default 1)"
                                "\nmultiplies what it adds"},
    [INK_OPTION_LORA_SERVE] = {"lora", 0, INK_KIND_TEXTS, false, INK_FOR_SERVE, AT(adapters), 0, 0,
                               NULL, "NAME=DIR[:X]",
                               "serve the model with this LoRA adapter too, as model NAME;"
                               "\nmay be repeated; X (default 1) multiplies what it adds"},
    [INK_OPTION_BASE] = {"base", 0, INK_KIND_TEXT, false, INK_FOR_EXPORT, AT(base), 0, 0, NULL,
                         "MODEL",
                         "the model that an adapter is for, where that is what is written"
                         "\n(default: the one that its adapter_config.json names)"},
    [INK_OPTION_TOKENIZER] = {"tokenizer", 0, INK_KIND_TEXT, false, INK_TAKES_MODEL,
                              AT(tokenizer_dir), 0, 0, NULL, "DIR",
                              "folder of the tokenizer, for a model that comes without"},
    [INK_OPTION_TOKENIZER_SPLIT] = {"tokenizer", 0, INK_KIND_TEXT, false, INK_FOR_SPLIT,
                                    AT(tokenizer_dir), 0, 0, NULL, "DIR",
                                    "state lengths in tokens too, of the tokenizer in this folder"},
    [INK_OPTION_HELP] = {"help", 'h', INK_KIND_FLAG, false, INK_FOR_ALL, AT(help), 0, 0, NULL, NULL,
                         "show this help"},
};
