/* Writes what a training run writes, with made-up numbers, for people and oracles to look at
 * (tests/oracle_train_files).
 *
 *     train_files plots FOLDER [zh]          loss curves of all kinds, each in a folder of its own
 *     train_files model FOLDER MODEL [bf16]  a run of MODEL, its weights as they are
 *     train_files adapter FOLDER MODEL PEFT  a run of MODEL with the numbers of adapter PEFT
 *
 * FOLDER exists. Exit status 1 and a message for a failure. */
#include "../src/quant.h"
#include "../src/train/checkpoint.h"
#include "../src/train/events.h"
#include "../src/train/parameters.h"
#include "../src/train/plot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void need(int status, const struct ink_error *error)
{
    if (status != INK_OK) {
        fprintf(stderr, "train_files: %s\n", error->message);
        exit(1);
    }
}

/* ---------------------------------------------------------------------------------------- plots */

static double noise(void)
{
    static uint32_t x = 1;
    x = x * 1664525u + 1013904223u;
    return (double)(x >> 8) / (1 << 24) - 0.5;
}

static void add(struct ink_history *h, enum ink_history_kind kind, int64_t step, double loss)
{
    struct ink_error error = {0};
    const int at = kind == INK_HISTORY_EVAL ? INK_HISTORY_EVAL_LOSS : INK_HISTORY_LOSS;
    struct ink_history_row row = {kind, step, (double)step / 100, {0}};
    row.values[at] = loss;
    need(ink_history_add(h, &row, &error), &error);
}

static double plain(int i, int n)
{
    return 0.8 + 6 * exp(-5.0 * i / n) + noise();
}

static double with_gaps(int i, int n)
{
    return i % 17 == 3 || i % 17 == 5 ? (double)NAN : i == n / 2 ? (double)INFINITY : plain(i, n);
}

static double huge(int i, int n)
{
    return pow(10, 9 - 16.0 * i / n + noise());
}

static double tiny(int i, int n)
{
    return 1e-9 * plain(i, n);
}

static double below_zero(int i, int n)
{
    return plain(i, n) - 3;
}

static double large(int i, int n)
{
    return 2.5e6 + 1e5 * plain(i, n);
}

static double decades(int i, int n)
{
    return 11 * exp(-8.0 * i / n) * (1 + noise() / 4);
}

static double constant(int i, int n)
{
    (void)i;
    (void)n;
    return 2.5;
}

static const struct plot {
    const char *name;
    double (*loss)(int i, int n);
    int n_train, every, n_eval;
} plots[] = {
    {"none", plain, 0, 10, 0},
    {"one", plain, 1, 1, 0},
    {"one_of_each", plain, 1, 10, 1},
    {"two", plain, 2, 1, 0},
    {"fifty", plain, 50, 10, 5},
    {"2000", plain, 2000, 10, 40},
    {"gaps", with_gaps, 200, 5, 5},
    {"train_only", plain, 100, 7, 0},
    {"validation_only", plain, 0, 100, 6},
    {"huge_range", huge, 300, 10, 6},
    {"tiny", tiny, 60, 1, 3},
    {"below_zero", below_zero, 60, 1, 3},
    {"large", large, 60, 1000, 3},
    {"decades", decades, 400, 10, 8},
    {"constant", constant, 30, 10, 3},
    {"100000", plain, 100000, 1, 200},
};

static void write_plots(const char *folder, const char *language)
{
    struct ink_error error = {0};
    ink_set_language(language);
    for (size_t p = 0; p < INK_COUNT(plots); p++) {
        const struct plot *plot = &plots[p];
        struct ink_history h = {0};
        char *path = ink_path_join(folder, plot->name);
        const int length = plot->n_train > 0 ? plot->n_train : plot->n_eval;
        for (int i = 0; i < plot->n_train; i++) {
            add(&h, INK_HISTORY_TRAIN, (int64_t)(i + 1) * plot->every, plot->loss(i, length));
        }
        for (int i = 0; i < plot->n_eval; i++) {
            const int at = (i + 1) * length / plot->n_eval;
            add(&h, INK_HISTORY_EVAL, (int64_t)at * plot->every, plot->loss(at, length) + 0.4);
        }
        need(ink_make_folder(path, &error), &error);
        need(ink_plot_write(&h, path, &error), &error);
        ink_free(path);
        ink_history_close(&h);
    }
}

/* ----------------------------------------------------------------------------------------- runs */

struct values {
    struct ink_checkpoint_tensor *tensors;
    float **floats;
    float *moments;
    int n;
};

static float *place(void *context, int i, enum ink_checkpoint_part part)
{
    struct values *v = context;
    return part == INK_CHECKPOINT_VALUE ? v->floats[i] : v->moments;
}

static struct values make_values(int n)
{
    struct values v = {calloc((size_t)n, sizeof *v.tensors), calloc((size_t)n, sizeof *v.floats),
                       NULL, n};
    return v;
}

static void give_moments(struct values *v)
{
    size_t most = 0;
    for (int i = 0; i < v->n; i++) {
        const size_t n = (size_t)v->tensors[i].rows * (size_t)v->tensors[i].cols;
        most = n > most ? n : most;
    }
    v->moments = calloc(most, sizeof *v->moments);
}

static struct values values_of_model(const struct ink_parameters *p)
{
    struct values v = make_values(p->n);
    for (int i = 0; i < p->n; i++) {
        const struct ink_parameter *from = &p->list[i];
        v.tensors[i] = (struct ink_checkpoint_tensor){from->name, from->matrix.rows,
                                                      from->matrix.cols, from->is_vector};
        v.floats[i] = from->value;
    }
    give_moments(&v);
    return v;
}

static struct values values_of_adapter(const struct ink_weights *w)
{
    struct values v = make_values(w->n_tensors);
    for (int i = 0; i < w->n_tensors; i++) {
        const struct ink_tensor *t = &w->tensors[i];
        v.tensors[i] =
            (struct ink_checkpoint_tensor){t->name, (int)t->shape[0], (int)t->shape[1], false};
        v.floats[i] = calloc(ink_tensor_count(t), sizeof(float));
        ink_dequantize(v.floats[i], t->data, t->type, ink_tensor_count(t));
    }
    give_moments(&v);
    return v;
}

static void log_run(struct ink_history *h, const char *folder)
{
    struct ink_error error = {0};
    struct ink_events events;
    char *path = ink_path_join(folder, "runs");
    need(ink_events_open(&events, path, 1.7e9, &error), &error);
    for (int step = 1; step <= 20; step++) {
        const struct ink_history_row train = {
            INK_HISTORY_TRAIN, step, step / 10.0, {noise() + 1, 2e-5 / step, 4.0 / step}};
        const struct ink_history_row eval = {
            INK_HISTORY_EVAL, step, step / 10.0, {3.0 / step, 0.5, 20, 10}};
        need(ink_history_add(h, &train, &error), &error);
        need(ink_events_add(&events, 1.7e9 + step, &train, &error), &error);
        if (step % 10 == 0) {
            need(ink_history_add(h, &eval, &error), &error);
            need(ink_events_add(&events, 1.7e9 + step, &eval, &error), &error);
        }
    }
    h->step = h->max_steps = 20;
    h->epoch = 2;
    h->num_train_epochs = 2;
    h->logging_steps = 1;
    h->eval_steps = h->save_steps = 10;
    h->train_batch_size = 2;
    ink_events_close(&events);
    ink_free(path);
}

static void write_run(const char *folder, struct ink_model *model, const struct values *v,
                      const struct ink_checkpoint_lora *lora, bool is_bf16)
{
    struct ink_error error = {0};
    struct ink_training_state state = {.step = 20, .epoch = 2};
    struct ink_history history = {0};
    struct ink_checkpoint c = {.model = model,
                               .tensors = v->tensors,
                               .n_tensors = v->n,
                               .place = place,
                               .context = (void *)(uintptr_t)v,
                               .lora = lora,
                               .is_bf16 = is_bf16,
                               .state = &state,
                               .history = &history};
    log_run(&history, folder);
    need(ink_checkpoint_write(&c, folder, 1, NULL, &error), &error);
    need(ink_plot_write(&history, folder, &error), &error);
    ink_history_close(&history);
}

static void write_model(const char *folder, struct ink_model *model, bool is_bf16)
{
    struct ink_error error = {0};
    struct ink_parameters *p;
    need(ink_parameters_open(&p, model, INK_BASE_TRAINED, &error), &error);
    struct values v = values_of_model(p);
    write_run(folder, model, &v, NULL, is_bf16);
    free(v.tensors);
    free(v.floats);
    free(v.moments);
    ink_parameters_close(p);
}

static void write_adapter(const char *folder, struct ink_model *model, const char *peft)
{
    static const char *const targets[] = {"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                          "gate_proj", "up_proj", "down_proj"};
    const struct ink_checkpoint_lora lora = {.base = ink_model_get_info(model)->path,
                                             .rank = 8,
                                             .alpha = 16,
                                             .dropout = 0.05,
                                             .targets = targets,
                                             .n_targets = INK_COUNT(targets)};
    struct ink_error error = {0};
    struct ink_weights w;
    char *path = ink_path_join(peft, "adapter_model.safetensors");
    need(ink_weights_open(&w, path, &error), &error);
    struct values v = values_of_adapter(&w);
    write_run(folder, model, &v, &lora, false);
    for (int i = 0; i < v.n; i++) {
        free(v.floats[i]);
    }
    free(v.tensors);
    free(v.floats);
    free(v.moments);
    ink_weights_close(&w);
    ink_free(path);
}

int main(int argc, char **argv)
{
    struct ink_error error = {0};
    struct ink_model *model = NULL;
    struct ink_model_options options = {.threads = 1, .weight_type = INK_WEIGHTS_NATIVE};
    const char *what = argc > 2 ? argv[1] : "";
    if (strcmp(what, "plots") == 0) {
        write_plots(argv[2], argc > 3 ? argv[3] : "en");
        return 0;
    }
    if (argc < 4 + (strcmp(what, "adapter") == 0)) {
        fprintf(stderr, "usage: train_files plots|model|adapter FOLDER ...\n");
        return 2;
    }
    if (ink_model_open(&model, argv[3], &options, &error) != INK_OK) {
        options.without_tokenizer = true; /* some fixtures have none */
        need(ink_model_open(&model, argv[3], &options, &error), &error);
    }
    if (strcmp(what, "adapter") == 0) {
        write_adapter(argv[2], model, argv[4]);
    } else {
        write_model(argv[2], model, argc > 4);
    }
    ink_model_close(model);
    return 0;
}
