/* What the files of `inkstone bench` share. Nobody else includes this. */
#ifndef INK_BENCH_H
#define INK_BENCH_H

#include "cli.h"

enum {
    INK_BENCH_MOST_TESTS = 3 * INK_MAX_LIST,
    INK_BENCH_PROMPT = 8,     /* tokens, of the run from process start to first token */
    INK_BENCH_CONTEXT = 2048, /* tokens, of the run whose memory is told */
};

/* One kind of run: a prompt is read, or `batch` texts grow together by `decode` tokens each. */
struct ink_bench_test {
    char name[48];                     /* "prefill 512", "decode 64 @ 4096" */
    int prefill, decode, depth, batch; /* prefill 0: decoding */
};

/* Medians of the runs. */
struct ink_bench_result {
    const struct ink_bench_test *test;
    double seconds, tokens_per_second;
    double stddev;                /* of the tokens per second */
    struct ink_ceilings ceilings; /* measured before each run */
    double bytes_per_token;       /* weights and cache; NaN for reading a prompt */
    double operations_per_token;  /* of matrices */
    const char *limit;            /* "memory", "int8" or "float32" */
    double reached;               /* of that limit; 1: all; NaN: not known */
};

struct ink_bench {
    const struct ink_options *options;
    const struct ink_model_info *info;
    enum ink_kv_type kv;
    int repeat;
    struct ink_bench_test tests[INK_BENCH_MOST_TESTS];
    struct ink_bench_result results[INK_BENCH_MOST_TESTS];
    int n_tests;
    struct ink_ceilings ceilings; /* medians of the results' */
    char cpu[64];
    /* Runs of their own processes: NaN and 0 where that was not possible. */
    double first_token, first_token_stddev;
    uint64_t peak_memory;
    int context;
};

/* Median and standard deviation. Sorts the values. */
double ink_bench_median(double *values, int n);
double ink_bench_deviation(const double *values, int n);

/* Measure all tests on a model. */
int ink_bench_run(struct ink_bench *b, struct ink_model *model, struct ink_error *error);

/* Start this program again and again: first_token, peak_memory. */
void ink_bench_probe(struct ink_bench *b);
/* What such a process does. */
int ink_bench_answer_probe(const struct ink_options *o, struct ink_error *error);

/* The results on stdout, in the format of the options. */
int ink_bench_print(const struct ink_bench *b, struct ink_error *error);

/* Run this program again with `arguments` (NULL after the last), unheard on stderr, and wait for
 * its end. *seconds: from its start to the end of the first line that it prints; that line is put
 * into line[size]. False if any of it fails. bench_process_posix.c, bench_process_win32.c. */
bool ink_bench_spawn(const char *const *arguments, double *seconds, char *line, size_t size);

#endif
