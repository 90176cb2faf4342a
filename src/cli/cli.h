/* The program's commands: what main.c's table and the one file per command share. */
#ifndef INK_CLI_H
#define INK_CLI_H

#include "options.h"

/* Exit codes, a promise to scripts. */
enum ink_exit {
    INK_EXIT_DONE = 0,
    INK_EXIT_FAILED = 1,
    INK_EXIT_USAGE = 2,
    INK_EXIT_INPUT = 3,
    INK_EXIT_INTERRUPTED = 130,
};
enum ink_exit ink_exit_of_status(int status);

/* One command. Prints its answer on stdout through output.h; returns INK_OK or a negative status
 * with `error` filled, which main prints and turns into the exit code. */
typedef int ink_command_function(const struct ink_options *options, struct ink_error *error);
ink_command_function ink_command_chat, ink_command_generate, ink_command_tokenize,
    ink_command_detokenize, ink_command_logits, ink_command_inspect, ink_command_export,
    ink_command_quantize, ink_command_bench, ink_command_doctor, ink_command_serve,
    ink_command_split, ink_command_train, ink_command_eval;

enum ink_tokenizer_use {
    INK_TOKENIZER_UNUSED, /* do not even look for it */
    INK_TOKENIZER_WANTED, /* a model may come without */
    INK_TOKENIZER_NEEDED,
};
/* Open the model that the command line names, with its options; a warning about the model goes to
 * stderr. `to_look`: without loading weights, for commands that do not compute. */
int ink_cli_open_model(struct ink_model **out, const struct ink_options *options,
                       enum ink_tokenizer_use use, bool to_look, struct ink_error *error);

/* ink_cluster_open; its processes end at SIGTERM and SIGUSR1 as at Ctrl-C, which mpirun does not
 * hand on. */
int ink_cli_open_cluster(struct ink_cluster **out, struct ink_error *error);
/* Threads for a process that shares its machine with others, where the user has not said any; a
 * warning if mpirun holds the processes to few of a machine's cores. */
void ink_cli_share_threads(struct ink_options *options);

/* Open an adapter as --lora names it, "DIR" or "DIR:SCALE"; NULL for NULL. */
int ink_cli_open_adapter(struct ink_adapter **out, struct ink_model *model, const char *folder,
                         struct ink_error *error);

/* INK_ERROR_INPUT: the model gave scores that are not numbers. */
int ink_cli_fail_scores(const struct ink_model *model, struct ink_error *error);

/* INK_ERROR_LIMIT: the prompt of n tokens does not fit a context; says what sets that. */
int ink_cli_fail_too_long(const struct ink_model *model, size_t n, int context,
                          struct ink_error *error);

/* "inkstone: MESSAGE" on stderr, unless it is empty. */
void ink_cli_complain(const struct ink_error *error);
/* "inkstone: warning: MESSAGE" on stderr. */
void ink_cli_warn(const char *message);

#endif
