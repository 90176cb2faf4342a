/* inkstone: the program. A table of commands; everything else hangs from it. */
#include "cli.h"
#include "cluster/cluster.h"
#include "interrupt.h"
#include "output.h"
#include "system.h"
#include "terminal.h"

#include <stdio.h>
#include <string.h>

struct command {
    const char *name;
    enum ink_command_bit bit;
    bool model_is_optional, takes_dash;
    const char *usage, *summary, *details; /* details may be "" */
    ink_command_function *run;
};

static const struct command commands[] = {
    {"chat", INK_FOR_CHAT, false, false, "MODEL [OPTION]...", "question and answer in the terminal",
     "An empty line, exit, Ctrl-D or Ctrl-C at the prompt leaves; Ctrl-C stops an answer.\n"
     "/help lists the commands of a conversation. Without a terminal each line of standard\n"
     "input is a question, and standard output gets the answers alone, each ended by a newline.",
     ink_command_chat},
    {"generate", INK_FOR_GENERATE, false, true, "MODEL [-p TEXT | -f FILE | -] [OPTION]...",
     "one completion to standard output",
     "- reads the prompt from standard input; one newline at the end of a file or of standard\n"
     "input is not part of the prompt. Without a prompt the model begins a text, if it can.\n"
     "Standard output gets the new text exactly; a newline follows it only on a terminal.",
     ink_command_generate},
    {"tokenize", INK_FOR_TOKENIZE, false, false, "MODEL [-f FILE] [OPTION]...",
     "text to token ids, a JSON array for each line",
     "Reads standard input without -f. A line ends at a newline alone: a carriage return before\n"
     "it is text.",
     ink_command_tokenize},
    {"detokenize", INK_FOR_DETOKENIZE, false, false, "MODEL [-f FILE] [OPTION]...",
     "token ids to text, a line for each line",
     "Reads standard input without -f: lines such as [1, 2, 3] or 1 2 3.", ink_command_detokenize},
    {"logits", INK_FOR_LOGITS, false, false, "MODEL --ids \"1 2 3\" [OPTION]...",
     "the model's scores, to compare with other programs",
     "Prints one JSON object: ids; logsumexp and argmax of the logits after each of them; top,\n"
     "the best [id, logit] pairs after the last.",
     ink_command_logits},
    {"inspect", INK_FOR_INSPECT, false, false, "MODEL [OPTION]...",
     "format, dimensions and memory of a model", "", ink_command_inspect},
    {"export", INK_FOR_EXPORT, false, false, "MODEL|ADAPTER -o OUT [OPTION]...",
     "write a model as a folder or as a GGUF file",
     "OUT appears when it is complete, or not at all. OUT.gguf is a GGUF file, any other name a\n"
     "folder. ADAPTER is a folder with a LoRA adapter: OUT.gguf is then the adapter alone, as\n"
     "llama.cpp's --lora takes it; MODEL with --lora is the model with the adapter merged.",
     ink_command_export},
    {"quantize", INK_FOR_QUANTIZE, false, false, "MODEL -o OUT.gguf [OPTION]...",
     "write a model with int8 weights, and what that changes",
     "OUT.gguf appears when it is complete, or not at all: a run that is killed leaves a file\n"
     "OUT.gguf.tmp-NUMBER, which may be deleted. Prints each tensor's error as a table.",
     ink_command_quantize},
    {"split", INK_FOR_SPLIT, true, false, "DATA -o DIR [OPTION]...",
     "data for training in three parts: train, val and test",
     "DATA is a file of questions and answers, or of texts: JSON lines, a JSON array, CSV, TSV, "
     "or\n"
     "q:... a:... lines. DIR gets train.json, val.json and test.json, a JSON object a line, and\n"
     "split.json, which says how they came about. Each appears whole or not at all. Prints "
     "counts,\n"
     "lengths, duplicates and questions that are in two parts.",
     ink_command_split},
    {"train", INK_FOR_TRAIN, true, false,
     "{MODEL | --from-config CONFIG} --train FILE [--val FILE] -o DIR [OPTION]...",
     "fine-tune a model on questions and answers, or on texts; or train a new one",
     "Trains on answers and the token that ends each, never on questions. DIR gets checkpoint-N\n"
     "folders, which every command and transformers or peft load as they are, trainer_state.json,\n"
     "loss_curve.svg and .png, and runs/ for TensorBoard. Ctrl-C finishes the step and saves.",
     ink_command_train},
    {"bench", INK_FOR_BENCH, false, false, "MODEL [OPTION]...",
     "speed and memory, beside what the machine can do at most",
     "Between the runs the read bandwidth of memory and the peak of int8 and float32 arithmetic "
     "are\n"
     "measured with the same threads. Decoding is held against the bandwidth, by the bytes of\n"
     "weights and cache that it reads; reading a prompt against the arithmetic in use, by the\n"
     "operations of its matrices; decoding together against the one that limits it more.",
     ink_command_bench},
    {"eval", INK_FOR_EVAL, false, false, "MODEL DATA [OPTION]...",
     "loss, perplexity, BLEU, ROUGE-L and exact match on a file of questions and answers",
     "DATA: JSON lines, a JSON array, CSV, TSV or q:... a:... lines, as split and train read "
     "them.\n"
     "Answers are greedy unless a sampling option or --preset says otherwise: what the model's "
     "own\n"
     "settings ask for does not count here.",
     ink_command_eval},
    {"serve", INK_FOR_SERVE, false, false, "MODEL [OPTION]...",
     "a web page and an HTTP API, as OpenAI's",
     "Listens until SIGTERM, or SIGINT (Ctrl-C): answers under way are then finished first, at a\n"
     "second signal they are not. Facts about fronts, keys, drain and metrics: docs/deploy.md.",
     ink_command_serve},
    {"doctor", INK_FOR_DOCTOR, true, false, "[MODEL] [OPTION]...",
     "facts about this computer, and with MODEL a self-test", "", ink_command_doctor},
};

/* ------------------------------------------------------------------------------------ messages */

enum ink_exit ink_exit_of_status(int status)
{
    switch (status) {
    case INK_OK:
        return INK_EXIT_DONE;
    case INK_ERROR_ARGUMENT:
        return INK_EXIT_USAGE;
    case INK_ERROR_INPUT:
        return INK_EXIT_INPUT;
    case INK_ERROR_CANCELLED:
        return INK_EXIT_INTERRUPTED;
    default:
        return INK_EXIT_FAILED;
    }
}

/* One write, so that lines of several programs do not mix. */
void ink_cli_complain(const struct ink_error *error)
{
    if (*error->message) {
        fprintf(stderr, "inkstone: %s\n", error->message);
    }
}

void ink_cli_warn(const char *message)
{
    if (!ink_cluster_speaks(NULL)) {
        return;
    }
    fprintf(stderr, "inkstone: %s: %s\n", ink_text("warning"), message);
}

/* ---------------------------------------------------------------------------------------- help */

static int print_command_help(const struct command *command, struct ink_error *error)
{
    struct ink_string out = {0};
    ink_string_printf(&out, "%s: inkstone %s %s\n\n%s%s\n", ink_text("usage"), command->name,
                      command->usage, ink_text(command->summary), ink_text("."));
    if (*command->details) {
        ink_string_printf(&out, "%s\n", ink_text(command->details));
    }
    ink_string_printf(&out, "\n%s\n", ink_text("options:"));
    ink_options_describe(&out, command->bit);
    ink_string_printf(&out, "\n%s\n",
                      ink_text("INKSTONE_<OPTION> in the environment sets a default: "
                               "INKSTONE_TOKENIZER=DIR is --tokenizer DIR."));
    int status = ink_output_put_string(&out, error);
    ink_string_free(&out);
    return status;
}

static int print_help(struct ink_error *error)
{
    struct ink_string out = {0};
    ink_string_printf(&out, "%s: inkstone COMMAND MODEL [OPTION]...\n\n%s\n\n%s\n",
                      ink_text("usage"), ink_text("Runs ERNIE-4.5 language models on a CPU."),
                      ink_text("commands:"));
    for (size_t i = 0; i < INK_COUNT(commands); i++) {
        ink_string_puts(&out, "  ");
        ink_output_pad(&out, commands[i].name, 12);
        ink_string_printf(&out, "%s\n", ink_text(commands[i].summary));
    }
    ink_string_printf(&out, "\n%s\n",
                      ink_text("MODEL is a folder with config.json and weights, or a GGUF file.\n"
                               "inkstone COMMAND --help describes a command; --version prints the "
                               "version.\n"
                               "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 bad or missing "
                               "input file, 130 interrupted."));
    int status = ink_output_put_string(&out, error);
    ink_string_free(&out);
    return status;
}

static int print_version(struct ink_error *error)
{
    struct ink_string out = {0};
    ink_string_printf(&out, "inkstone %s\n", ink_version());
    int status = ink_output_put_string(&out, error);
    ink_string_free(&out);
    return status;
}

/* ------------------------------------------------------------------------------------ dispatch */

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < INK_COUNT(commands); i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static int run_help(int argc, char **argv, struct ink_error *error)
{
    if (argc == 0) {
        return print_help(error);
    }
    const struct command *command = find_command(argv[0]);
    if (!command) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "%s: unknown command (see inkstone --help)",
                        argv[0]);
    }
    if (argc > 1) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "%s: one argument too many (see --help)",
                        argv[1]);
    }
    return print_command_help(command, error);
}

static int run_alone(const struct command *command, struct ink_cluster *cluster, int argc,
                     char **argv, struct ink_error *error)
{
    struct ink_options options;
    int status = ink_options_parse(&options, command->bit, !command->model_is_optional,
                                   command->takes_dash, argc, argv, error);
    if (status != INK_OK) {
        return status;
    }
    options.cluster = cluster;
    if (options.help) {
        return ink_cluster_speaks(cluster) ? print_command_help(command, error) : INK_OK;
    }
    return command->run(&options, error);
}

/* As one of the processes that mpirun has started: of all only one speaks. */
static int run_together(const struct command *command, int argc, char **argv,
                        struct ink_error *error)
{
    struct ink_cluster *cluster;
    int status = ink_cli_open_cluster(&cluster, error);
    if (status == INK_OK) {
        status = run_alone(command, cluster, argc, argv, error);
    }
    status = ink_cluster_end(cluster, status, error);
    if (cluster && status != INK_OK && status != INK_ERROR_CANCELLED) {
        ink_cli_complain(error);
    }
    ink_interrupt_defer(cluster != NULL); /* the end of the first process ends the others */
    ink_cluster_close(cluster);
    if (status != INK_OK && (cluster || !ink_cluster_speaks(NULL))) {
        error->message[0] = '\0';
    }
    return status;
}

static int run_command(const struct command *command, int argc, char **argv,
                       struct ink_error *error)
{
    return command->bit & (INK_FOR_TRAIN | INK_FOR_EVAL)
               ? run_together(command, argc, argv, error)
               : run_alone(command, NULL, argc, argv, error);
}

static int run(int argc, char **argv, struct ink_error *error)
{
    if (argc < 2) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "COMMAND is missing (see inkstone --help)");
    }
    const char *name = argv[1];
    bool is_help = strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0;
    if (is_help || strcmp(name, "help") == 0) {
        return run_help(is_help ? 0 : argc - 2, argv + 2, error);
    }
    if (strcmp(name, "--version") == 0) {
        return print_version(error);
    }
    const struct command *command = find_command(name);
    if (!command) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "%s: unknown command (see inkstone --help)",
                        name);
    }
    return run_command(command, argc - 2, argv + 2, error);
}

int main(int argc, char **argv)
{
    ink_terminal_open(&argc, &argv);
    ink_interrupt_open();
    ink_set_language(ink_system_is_chinese() ? "zh" : "en");
    ink_interrupt_on_lost_file(ink_text("inkstone: a model file was cut short while it was in use, "
                                        "or its disk fails\n"));
    struct ink_error error = {0};
    int status = run(argc, argv, &error);
    struct ink_error flush_error = {0};
    int flushed = ink_output_flush(&flush_error);
    if (status == INK_OK && flushed != INK_OK) {
        status = flushed;
        error = flush_error;
    }
    if (status != INK_OK && status != INK_ERROR_CANCELLED) {
        ink_cli_complain(&error);
    }
    return (int)ink_exit_of_status(status);
}
