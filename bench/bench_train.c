/* Times training steps on a data set, and says what part they reach of the peak that the processor
 * has just before and after each of them:
 *
 *     bench_train MODEL DATA.jsonl [full|lora|lora-int8][-bf16] [steps] [threads] [batch]
 *
 * -bf16: products in bf16, and the peak of these, if the processor has one of its own.
 * One line for each step, then one of JSON for bench/compare-train. The first step warms up. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "system.h"
#include "threads.h"
#include "train/trainer.h"

struct bench {
    const char *method;
    bool is_bf16;
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
    const bool is_lora = strncmp(b->method, "full", 4) != 0;
    const struct ink_trainer_settings settings = {
        .is_lora = is_lora,
        .lora = {.rank = 8, .alpha = 16, .targets = INK_LORA_ALL_TARGETS, .seed = 42},
        .base = strncmp(b->method, "lora-int8", 9) == 0 ? INK_BASE_INT8 : INK_BASE_FROZEN,
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
        .is_bf16 = b->is_bf16,
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

static void run_peak(void *context, struct ink_team *team, int lane, int n_lanes)
{
    const struct ink_peak_loop *loop = context;
    (void)team;
    (void)lane;
    (void)n_lanes;
    loop->run(1 << 20);
}

/* Multiply-adds a second of all threads together, times 2, at this moment: on a shared machine it
 * may halve from one second to the next. */
static double peak(const struct bench *b)
{
    const struct ink_peak *peaks = ink_peak_find(ink_kernels_find(NULL)->name);
    struct ink_peak_loop loop = b->is_bf16 && peaks->bf16.run ? peaks->bf16 : peaks->f32;
    const double start = ink_system_seconds();
    ink_threads_run(b->threads, run_peak, &loop);
    return b->threads * loop.operations * (1 << 20) / (ink_system_seconds() - start);
}

struct measured {
    double *seconds, *shares, *peaks; /* [steps] */
};

static int measure_step(struct bench *b, int i, double *before, const struct measured *m,
                        struct ink_error *error)
{
    struct ink_trainer_report report;
    const double start = ink_system_seconds();
    const int status = ink_trainer_step(b->trainer, &report, error);
    m->seconds[i] = ink_system_seconds() - start;
    if (status != INK_OK) {
        return status;
    }
    const double after = peak(b), rate = operations(b, &report) / m->seconds[i];
    m->peaks[i] = (*before + after) / 2;
    m->shares[i] = rate / m->peaks[i];
    *before = after;
    printf("step %d: loss %.4f, %d tokens, %d labels, %.3f s, %.1f of %.1f GFLOP/s\n", i + 1,
           report.loss, (int)report.n_tokens, (int)report.n_labels, m->seconds[i], rate * 1e-9,
           m->peaks[i] * 1e-9);
    fflush(stdout);
    return INK_OK;
}

static void print_result(const struct measured *m, int n)
{
    printf("{\"seconds\": %.4f, \"share_of_peak\": %.3f, \"peak_gflops\": %.1f, \"peak_memory\": "
           "%llu}\n",
           median(m->seconds, n), median(m->shares, n), median(m->peaks, n) * 1e-9,
           (unsigned long long)ink_system_peak_memory());
}

static int run(struct bench *b, struct ink_error *error)
{
    double *room = calloc((size_t)b->steps, 3 * sizeof *room), before = peak(b);
    int status = room ? INK_OK : ink_fail(error, INK_ERROR_MEMORY, "no memory");
    struct measured m = {room, room + b->steps, room + 2 * (size_t)b->steps};
    for (int i = 0; status == INK_OK && i < b->steps; i++) {
        status = measure_step(b, i, &before, &m, error);
    }
    if (status == INK_OK) {
        const int skip = b->steps > 1;
        m.seconds += skip, m.shares += skip, m.peaks += skip;
        print_result(&m, b->steps - skip);
    }
    free(room);
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
    b.is_bf16 = strstr(b.method, "-bf16") != NULL;
    if (argc < 3 || b.steps < 1 || b.threads < 1 || b.batch < 1) {
        fprintf(stderr,
                "usage: bench_train MODEL DATA [full|lora|lora-int8][-bf16] [steps] [threads] "
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
