/* Times training steps on a data set, and says what part of the processor's peak they reach:
 *
 *     bench_train MODEL DATA.jsonl [full|lora|lora-int8] [steps] [threads] [batch]
 *
 * One line for each step, then one of JSON for bench/compare-train. The first step warms up. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "system.h"
#include "train/trainer.h"

struct bench {
    const char *method;
    int steps, threads, batch;
    struct ink_model *model;
    struct ink_dataset *data;
    struct ink_corpus corpus;
    struct ink_trainer *trainer;
};

static int open_all(struct bench *b, const char *model, const char *data, struct ink_error *error)
{
    const struct ink_model_options options = {.without_weights = true};
    const struct ink_dataset_options format = {0};
    struct ink_encode_options encode = {
        .chat_template = INK_TEMPLATE_CHAT, .max_prompt = 256, .max_response = 256};
    int status = ink_model_open(&b->model, model, &options, error);
    if (status == INK_OK) {
        encode.end_token = ink_model_plain_end_token(b->model);
        status = ink_dataset_open(&b->data, data, &format, error);
    }
    if (status == INK_OK) {
        status = ink_corpus_read(&b->corpus, b->data, ink_model_tokenizer(b->model), &encode, 512,
                                 false, error);
    }
    return status;
}

static int open_trainer(struct bench *b, struct ink_error *error)
{
    const bool is_lora = strcmp(b->method, "full") != 0;
    const struct ink_trainer_settings settings = {
        .is_lora = is_lora,
        .lora = {.rank = 8, .alpha = 16, .targets = INK_LORA_ALL_TARGETS, .seed = 42},
        .base = strcmp(b->method, "lora-int8") == 0 ? INK_BASE_INT8 : INK_BASE_FROZEN,
        .epochs = 1,
        .max_steps = b->steps,
        .batch_size = b->batch,
        .accumulation = 1,
        .rate = 2e-5,
        .schedule = INK_SCHEDULE_CONSTANT,
        .beta1 = 0.9,
        .beta2 = 0.999,
        .epsilon = 1e-8,
        .clip = 1,
        .seed = 42,
        .threads = b->threads,
    };
    return ink_trainer_open(&b->trainer, b->model, &b->corpus, NULL, &settings, error);
}

/* As run.c counts them, at ERNIE's shapes: of every weight that multiplies a row. */
static double operations(const struct bench *b, const struct ink_trainer_report *r)
{
    const struct ink_architecture *a = &b->model->architecture;
    const double h = a->hidden_size, width = (double)a->n_heads * a->head_dim;
    const double kv = (double)a->n_kv_heads * a->head_dim;
    const double trunk = a->n_layers * h * (2 * width + 2 * kv + 3.0 * a->intermediate_size);
    const double passes = b->trainer->settings.is_lora ? 4 : 6;
    return passes * (trunk * (double)r->n_tokens + h * a->vocab_size * (double)r->n_labels);
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, compare);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static double peak(int threads)
{
    const char *level = ink_kernels_find(NULL)->name;
    struct ink_meter *meter = ink_meter_new(threads, level);
    const double result = meter ? ink_meter_peak(meter, &ink_peak_find(level)->f32) : 0;
    ink_meter_close(meter);
    return result;
}

/* The peak is measured last: its memory is not training's. */
static void print_result(const struct bench *b, double *seconds, double *rates, int n)
{
    const unsigned long long memory = ink_system_peak_memory();
    const double most = peak(b->threads);
    printf("{\"seconds\": %.4f, \"share_of_peak\": %.3f, \"peak_gflops\": %.1f, \"peak_memory\": "
           "%llu}\n",
           median(seconds, n), median(rates, n) / most, most * 1e-9, memory);
}

static int run(struct bench *b, struct ink_error *error)
{
    double *seconds = calloc((size_t)b->steps, sizeof *seconds);
    double *rates = calloc((size_t)b->steps, sizeof *rates);
    int status = seconds && rates ? INK_OK : ink_fail(error, INK_ERROR_MEMORY, "no memory");
    for (int i = 0; status == INK_OK && i < b->steps; i++) {
        struct ink_trainer_report report;
        const double start = ink_system_seconds();
        status = ink_trainer_step(b->trainer, &report, error);
        seconds[i] = ink_system_seconds() - start;
        rates[i] = operations(b, &report) / seconds[i];
        printf("step %d: loss %.4f, %d tokens, %d labels, %.3f s, %.1f GFLOP/s\n", i + 1,
               report.loss, (int)report.n_tokens, (int)report.n_labels, seconds[i],
               rates[i] * 1e-9);
        fflush(stdout);
    }
    if (status == INK_OK) {
        const int skip = b->steps > 1;
        print_result(b, seconds + skip, rates + skip, b->steps - skip);
    }
    free(seconds);
    free(rates);
    return status;
}

int main(int argc, char **argv)
{
    struct ink_error error = {0};
    struct bench b = {
        .method = argc > 3 ? argv[3] : "full",
        .steps = argc > 4 ? atoi(argv[4]) : 6,
        .threads = argc > 5 ? atoi(argv[5]) : 2,
        .batch = argc > 6 ? atoi(argv[6]) : 2,
    };
    if (argc < 3 || b.steps < 1 || b.threads < 1 || b.batch < 1) {
        fprintf(stderr, "usage: bench_train MODEL DATA [full|lora|lora-int8] [steps] [threads] "
                        "[batch]\n");
        return 2;
    }
    int status = open_all(&b, argv[1], argv[2], &error);
    if (status == INK_OK) {
        status = open_trainer(&b, &error);
    }
    if (status == INK_OK) {
        status = run(&b, &error);
    }
    if (status != INK_OK) {
        fprintf(stderr, "bench_train: %s\n", error.message);
    }
    ink_trainer_close(b.trainer);
    ink_corpus_close(&b.corpus);
    ink_dataset_close(b.data);
    ink_model_close(b.model);
    return status != INK_OK;
}
