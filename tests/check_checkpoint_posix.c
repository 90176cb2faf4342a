/* Checkpoints: the numbers come back bit for bit, engines open what was written, and whatever
 * happens to the process or the disk, the newest whole one is there and older ones are as they
 * were. tests/oracle_train_files has transformers and peft load them. */
#define _GNU_SOURCE /* mount, usleep */

#include "support.h"

#include "../src/adapter.h"
#include "../src/quant.h"
#include "../src/sync.h"
#include "../src/system.h"
#include "../src/train/checkpoint.h"
#include "../src/train/parameters.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char run[] = "check_checkpoint.tmp";

/* ------------------------------------------------------------------------- a run with made-up
 * tensors
 */

static const struct ink_checkpoint_tensor shapes[] = {
    {"model.embed_tokens.weight", 40, 16, false},
    {"model.layers.0.self_attn.q_proj.weight", 16, 16, false},
    {"model.layers.0.mlp.up_proj.weight", 300, 100, false},
    {"model.norm.weight", 1, 16, true},
};
enum { n_shapes = 4, largest = 300 * 100 };

struct made {
    float values[n_shapes][3][largest];
    const char *fill; /* a file that grows when the last part is asked for: it fills the disk */
    struct ink_model *model;
    struct ink_training_state state;
    struct ink_history history;
    struct ink_checkpoint c;
};

static float *place(void *context, int i, enum ink_checkpoint_part part)
{
    struct made *m = context;
    if (m->fill && part == INK_CHECKPOINT_SQUARE && i == 0) {
        static const char zeros[4096];
        int fd = open(m->fill, O_WRONLY | O_CREAT, 0600);
        while (write(fd, zeros, sizeof zeros) > 0) {
        }
        close(fd);
    }
    return m->values[i][part];
}

/* Bits that depend on everything. NaN and infinities are among them. */
static float value_of(int64_t step, int i, int part, int j)
{
    uint32_t x =
        (uint32_t)step * 2654435761u ^ (uint32_t)(i * 3 + part) * 40503u ^ (uint32_t)j * 97u;
    float f;
    x ^= x >> 15;
    x *= 2246822519u;
    x ^= x >> 13;
    memcpy(&f, &x, sizeof f);
    return f;
}

static void fill(struct made *m, int64_t step)
{
    for (int i = 0; i < n_shapes; i++) {
        for (int part = 0; part < 3; part++) {
            for (int j = 0; j < shapes[i].rows * shapes[i].cols; j++) {
                m->values[i][part][j] = value_of(step, i, part, j);
            }
        }
    }
    m->state.step = step;
    m->history.step = step;
}

static bool is_filled(const struct made *m, int64_t step)
{
    for (int i = 0; i < n_shapes; i++) {
        for (int part = 0; part < 3; part++) {
            for (int j = 0; j < shapes[i].rows * shapes[i].cols; j++) {
                const float wanted = value_of(step, i, part, j);
                if (memcmp(&wanted, &m->values[i][part][j], sizeof wanted) != 0) {
                    return false;
                }
            }
        }
    }
    return true;
}

static void make(struct made *m)
{
    struct ink_error error = {0};
    struct ink_model_options options = {.threads = 1};
    memset(m, 0, sizeof *m);
    assert_ok(
        ink_model_open(&m->model, shared_path("data/stories260K/as-ernie45"), &options, &error));
    assert_ok(ink_training_state_set(&m->state, "learning_rate", "2e-05", &error));
    m->c = (struct ink_checkpoint){.model = m->model,
                                   .tensors = shapes,
                                   .n_tensors = n_shapes,
                                   .place = place,
                                   .context = m,
                                   .state = &m->state,
                                   .history = &m->history};
}

static void unmake(struct made *m)
{
    ink_training_state_close(&m->state);
    ink_history_close(&m->history);
    ink_model_close(m->model);
}

static struct made *made(void)
{
    static struct made m;
    return &m;
}

/* $RUN is the run's folder. */
static void shell(const char *command)
{
    if (system(command) != 0) {
        fail_msg("%s failed", command);
    }
}

static bool exists(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", run, name);
    return ink_path_kind(path) != INK_PATH_NONE;
}

static void write_step(struct made *m, int64_t step, int limit)
{
    struct ink_error error = {0};
    fill(m, step);
    assert_ok(ink_checkpoint_write(&m->c, run, limit, NULL, &error));
}

static void assert_newest(const char *name)
{
    struct ink_error error = {0};
    char *found;
    assert_ok(ink_checkpoint_find(&found, run, &error));
    if (!name || !found) {
        assert_true(!name && !found);
    } else {
        assert_string_equal(found + strlen(run) + 1, name);
    }
    ink_free(found);
}

/* --------------------------------------------------------------------------------------- numbers
 */

static void bit_for_bit(void **state)
{
    (void)state;
    struct made *m = made();
    make(m);
    for (int bf16 = 0; bf16 < 2; bf16++) {
        struct ink_error error = {0};
        struct ink_training_state saved;
        char *path = NULL;
        shell("rm -rf $RUN");
        m->c.is_bf16 = bf16 == 1;
        fill(m, 7);
        m->state.random[3] = UINT64_MAX;
        m->state.loss_sum = 1.0 / 3;
        assert_ok(ink_checkpoint_write(&m->c, run, 0, &path, &error));
        assert_string_equal(path, "check_checkpoint.tmp/checkpoint-7");
        fill(m, 8);
        assert_ok(ink_checkpoint_load(&m->c, path, &error));
        assert_true(is_filled(m, 7));
        assert_ok(ink_training_state_read(&saved, path, &error));
        assert_true(saved.random[3] == UINT64_MAX && saved.loss_sum == 1.0 / 3 && saved.step == 7);
        assert_ok(ink_training_state_compare(&saved, &m->state, path, &error));
        ink_training_state_close(&saved);
        assert_true(exists("checkpoint-7/tokenizer.model") && exists("checkpoint-7/config.json"));
        ink_free(path);
    }
    shell("rm -rf $RUN");
    unmake(m);
}

/* Logits of the model's own weights, and of a checkpoint that holds the same numbers. */
static float *logits_of(struct ink_model *model, int32_t *ids)
{
    struct ink_session *s = open_session(model, INK_KV_F32);
    fill_probe(ids, ink_model_get_info(model)->vocab_size);
    float *logits = eval_all(model, s, ids, 40, 40);
    ink_session_close(s);
    return logits;
}

static float *place_parameter(void *context, int i, enum ink_checkpoint_part part)
{
    struct ink_parameters *p = context;
    (void)part;
    return p->list[i].value;
}

/* Folders with ERNIE's and Llama's names; GGUF, whose rotary pairs lie in another order. */
static void engines_open_it(void **state)
{
    (void)state;
    static const char *const names[] = {"fixtures/ernie-tiny", "fixtures/llama-tiny",
                                        "data/stories260K/as-ernie45",
                                        "../../models/stories260K.gguf"};
    for (size_t i = 0; i < INK_COUNT(names); i++) {
        struct ink_error error = {0};
        struct ink_parameters *p;
        int32_t ids[n_probe];
        const char *path = shared_path(names[i]);
        struct ink_model_options options = {
            .threads = 1, .weight_type = INK_WEIGHTS_NATIVE, .without_tokenizer = i < 2};
        struct ink_model *model, *again;
        shell("rm -rf $RUN");
        assert_ok(ink_model_open(&model, path, &options, &error));
        assert_ok(ink_parameters_open(&p, model, INK_BASE_TRAINED, &error));
        struct ink_checkpoint_tensor *tensors = calloc((size_t)p->n, sizeof *tensors);
        for (int j = 0; j < p->n; j++) {
            tensors[j] =
                (struct ink_checkpoint_tensor){p->list[j].name, p->list[j].matrix.rows,
                                               p->list[j].matrix.cols, p->list[j].is_vector};
        }
        struct ink_training_state now = {.step = 5};
        struct ink_history history = {.step = 5};
        struct ink_checkpoint c = {.model = model,
                                   .tensors = tensors,
                                   .n_tensors = p->n,
                                   .place = place_parameter,
                                   .context = p,
                                   .without_optimizer = true,
                                   .state = &now,
                                   .history = &history};
        char *written = NULL;
        assert_ok(ink_checkpoint_write(&c, run, 1, &written, &error));
        assert_ok(ink_model_open(&again, written, &options, &error));
        float *a = logits_of(model, ids), *b = logits_of(again, ids);
        const size_t n = 40 * (size_t)ink_model_get_info(model)->vocab_size;
        assert_memory_equal(a, b, n * sizeof *a);
        float *before = malloc(p->n_values * sizeof *before);
        memcpy(before, p->values, p->n_values * sizeof *before);
        for (int j = 0; j < p->n; j++) {
            memset(p->list[j].value, 0,
                   sizeof(float) * (size_t)p->list[j].matrix.rows * (size_t)p->list[j].matrix.cols);
        }
        assert_ok(ink_checkpoint_load(&c, written, &error));
        assert_memory_equal(before, p->values, p->n_values * sizeof *before);
        assert_newest(NULL); /* no optimizer: nothing to go on from */
        free(before);
        free(a);
        free(b);
        free(tensors);
        ink_free(written);
        ink_model_close(again);
        ink_parameters_close(p);
        ink_model_close(model);
        shell("rm -rf $RUN");
    }
}

/* The adapter of a fixture, written by us: PEFT's names, our configuration. */
struct adapter {
    struct ink_weights weights;
    float *values[64];
};

static float *place_adapter(void *context, int i, enum ink_checkpoint_part part)
{
    struct adapter *a = context;
    (void)part;
    return a->values[i];
}

static void adapters(void **state)
{
    (void)state;
    static const char *const targets[] = {"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                          "gate_proj", "up_proj", "down_proj"};
    struct ink_error error = {0};
    struct adapter a = {0};
    struct ink_checkpoint_tensor tensors[64];
    char path[1024], *written;
    snprintf(path, sizeof path, "%s/adapter_model.safetensors",
             shared_path("adapters/ernie-all-r8"));
    struct ink_model *model = open_model_at(shared_path("fixtures/ernie-tiny"), 1, NULL);
    assert_ok(ink_weights_open(&a.weights, path, &error));
    assert_true(a.weights.n_tensors <= 64);
    for (int i = 0; i < a.weights.n_tensors; i++) {
        const struct ink_tensor *t = &a.weights.tensors[i];
        tensors[i] =
            (struct ink_checkpoint_tensor){t->name, (int)t->shape[0], (int)t->shape[1], false};
        a.values[i] = calloc(ink_tensor_count(t), sizeof(float));
        ink_dequantize(a.values[i], t->data, t->type, ink_tensor_count(t));
    }
    const struct ink_checkpoint_lora lora = {.base = "底座/ernie-tiny",
                                             .rank = 8,
                                             .alpha = 16,
                                             .dropout = 0.05,
                                             .targets = targets,
                                             .n_targets = 7};
    struct ink_training_state now = {.step = 1};
    struct ink_history history = {0};
    struct ink_checkpoint c = {.model = model,
                               .tensors = tensors,
                               .n_tensors = a.weights.n_tensors,
                               .place = place_adapter,
                               .context = &a,
                               .lora = &lora,
                               .state = &now,
                               .history = &history};
    shell("rm -rf $RUN");
    assert_ok(ink_checkpoint_write(&c, run, 1, &written, &error));
    struct ink_adapter *theirs, *ours;
    assert_ok(ink_adapter_open(&theirs, model, shared_path("adapters/ernie-all-r8"), 1, &error));
    assert_ok(ink_adapter_open(&ours, model, written, 1, &error));
    assert_int_equal(theirs->info.n_targets, ours->info.n_targets);
    struct ink_session *s = open_session(model, INK_KV_F32);
    int32_t ids[n_probe];
    const size_t v = (size_t)ink_model_get_info(model)->vocab_size;
    float *logits[2] = {malloc(v * sizeof(float)), malloc(v * sizeof(float))};
    fill_probe(ids, (int)v);
    for (int i = 0; i < 2; i++) {
        ink_session_truncate(s, 0);
        assert_ok(ink_session_set_adapter(s, i ? ours : theirs, &error));
        struct ink_step step = {s, ids, 20, 1, logits[i], NULL, 0};
        assert_ok(ink_eval(model, &step, 1, NULL, NULL, &error));
    }
    assert_memory_equal(logits[0], logits[1], v * sizeof(float));
    assert_newest("checkpoint-1");
    ink_session_close(s);
    ink_adapter_close(ours);
    ink_adapter_close(theirs);
    for (int i = 0; i < a.weights.n_tensors; i++) {
        free(a.values[i]);
    }
    free(logits[0]);
    free(logits[1]);
    ink_free(written);
    ink_weights_close(&a.weights);
    ink_model_close(model);
    shell("rm -rf $RUN");
}

/* ---------------------------------------------------------------------------------------- folders
 */

static void only_ours_are_removed(void **state)
{
    (void)state;
    struct made *m = made();
    make(m);
    shell("rm -rf $RUN; mkdir -p $RUN");
    shell("cd $RUN && mkdir checkpoint-500 checkpoint-007 checkpoint-x checkpoint-3.old && "
          "echo 1 > checkpoint-500/model.safetensors && echo 2 > checkpoint-9 && "
          "mkdir -p tmp-checkpoint-4 && echo 3 > tmp-checkpoint-4/config.json");
    write_step(m, 100, 2);
    assert_false(exists("tmp-checkpoint-4"));
    shell("echo mine > $RUN/checkpoint-100/notes.txt");
    write_step(m, 200, 2);
    write_step(m, 300, 2);
    write_step(m, 400, 2);
    assert_true(exists("checkpoint-100/notes.txt") && exists("checkpoint-100/model.safetensors"));
    assert_false(exists("checkpoint-200"));
    assert_true(exists("checkpoint-300") && exists("checkpoint-400"));
    assert_true(exists("checkpoint-500/model.safetensors") && exists("checkpoint-007") &&
                exists("checkpoint-x") && exists("checkpoint-9") && exists("checkpoint-3.old"));
    assert_newest("checkpoint-400");
    /* resumed from an older one: the newest whole one stays beside the one just written */
    write_step(m, 350, 1);
    assert_true(exists("checkpoint-350") && exists("checkpoint-400"));
    assert_false(exists("checkpoint-300"));
    write_step(m, 450, 1);
    assert_false(exists("checkpoint-350") || exists("checkpoint-400"));
    assert_newest("checkpoint-450");
    /* a name of ours that is no checkpoint of ours is not replaced */
    struct ink_error error = {0};
    fill(m, 500);
    assert_int_equal(ink_checkpoint_write(&m->c, run, 1, NULL, &error), INK_ERROR_SYSTEM);
    assert_non_null(strstr(error.message, "checkpoint-500: exists already"));
    assert_false(exists("tmp-checkpoint-500"));
    shell("rm -rf $RUN");
    unmake(m);
}

/* What lacks a byte, a file or its state is passed over. One of the same name is replaced. */
static void damaged_ones(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct made *m = made();
    make(m);
    shell("rm -rf $RUN");
    assert_newest(NULL);
    for (int step = 1; step <= 4; step++) {
        write_step(m, step, 0);
    }
    shell("truncate -s -1 $RUN/checkpoint-4/optimizer.safetensors");
    assert_newest("checkpoint-3");
    shell("rm $RUN/checkpoint-3/config.json");
    assert_newest("checkpoint-2");
    shell("truncate -s 100 $RUN/checkpoint-2/training_state.json");
    assert_newest("checkpoint-1");
    write_step(m, 4, 0);
    assert_newest("checkpoint-4");
    fill(m, 1);
    assert_ok(ink_checkpoint_load(&m->c, "check_checkpoint.tmp/checkpoint-4", &error));
    assert_true(is_filled(m, 4));
    /* killed between the two renames of a replacement */
    shell("rm -rf $RUN/checkpoint-2 && mv $RUN/checkpoint-4 $RUN/old-checkpoint-4");
    assert_newest("old-checkpoint-4");
    write_step(m, 5, 0);
    assert_newest("checkpoint-5");
    assert_false(exists("old-checkpoint-4"));
    shell("rm -rf $RUN");
    unmake(m);
}

/* Each of the changes to checkpoint-2 makes a run go on from 1, or from 2 all the same; nothing
 * waits for a FIFO's writer or reads a device. */
static void files_of_other_kinds(void **state)
{
    static const struct {
        const char *change;
        bool is_whole;
    } cases[] = {
        {"sed -i 's/\"version\": 1/\"version\": 2/' training_state.json", false},
        {"rm training_state.json && mkfifo training_state.json", false},
        {"rm training_state.json && mkdir training_state.json", false},
        {"ln -sf /dev/zero training_state.json", false},
        {"rm model.safetensors && mkfifo model.safetensors", false},
        {"rm optimizer.safetensors && mkdir optimizer.safetensors", false},
        {"ln -sf /dev/zero optimizer.safetensors", false},
        {"ln -sf nowhere config.json", false},
        {"cd .. && rm -r checkpoint-2 && mkfifo checkpoint-2", false},
        {"mv model.safetensors ../w && ln -s ../w model.safetensors", true},
        {"cd .. && mv checkpoint-2 real && ln -s real checkpoint-2", true},
    };
    (void)state;
    struct made *m = made();
    make(m);
    for (size_t i = 0; i < INK_COUNT(cases); i++) {
        struct ink_error error = {0};
        char command[200];
        shell("rm -rf $RUN");
        write_step(m, 1, 0);
        write_step(m, 2, 0);
        snprintf(command, sizeof command, "cd $RUN/checkpoint-2 && %s", cases[i].change);
        shell(command);
        assert_newest(cases[i].is_whole ? "checkpoint-2" : "checkpoint-1");
        if (cases[i].is_whole) {
            assert_ok(ink_checkpoint_load(&m->c, "check_checkpoint.tmp/checkpoint-2", &error));
            assert_true(is_filled(m, 2));
        }
    }
    shell("rm -rf $RUN");
    unmake(m);
}

/* Files that end a byte too early, or at a multiple of 4 KiB, or are one byte longer. Only a state
 * without the newline at its end is whole. */
static void cut_anywhere(void **state)
{
    static const char *const names[] = {"model.safetensors", "optimizer.safetensors",
                                        "training_state.json", "trainer_state.json"};
    (void)state;
    struct made *m = made();
    make(m);
    shell("rm -rf $RUN");
    write_step(m, 1, 0);
    write_step(m, 2, 0);
    for (size_t i = 0; i < INK_COUNT(names); i++) {
        char path[100];
        struct stat st;
        snprintf(path, sizeof path, "%s/checkpoint-2/%s", run, names[i]);
        assert_int_equal(stat(path, &st), 0);
        shell("cp -r $RUN/checkpoint-2 $RUN/kept");
        assert_int_equal(truncate(path, st.st_size + 1), 0);
        const bool has_newline = strcmp(names[i], "training_state.json") == 0;
        for (off_t at = st.st_size - (has_newline ? 2 : 1); at >= 0;
             at = at % 4096 ? at - at % 4096 : at - 4096) {
            assert_newest("checkpoint-1");
            assert_int_equal(truncate(path, at), 0);
        }
        assert_newest("checkpoint-1");
        shell("rm -r $RUN/checkpoint-2 && mv $RUN/kept $RUN/checkpoint-2");
        assert_newest("checkpoint-2");
    }
    shell("rm -rf $RUN");
    unmake(m);
}

/* A flipped bit in a header is an error that names the file; in the numbers it is not seen, as
 * there is no checksum. */
static void flipped_bits(void **state)
{
    static const char *const names[] = {"model.safetensors", "optimizer.safetensors"};
    (void)state;
    struct made *m = made();
    make(m);
    shell("rm -rf $RUN");
    write_step(m, 1, 0);
    for (size_t i = 0; i < INK_COUNT(names); i++) {
        char path[100];
        snprintf(path, sizeof path, "%s/checkpoint-1/%s", run, names[i]);
        int fd = open(path, O_RDWR);
        assert_true(fd >= 0);
        for (off_t at = 0; at < 160; at++) {
            struct ink_error error = {0};
            unsigned char byte, flipped;
            assert_int_equal(pread(fd, &byte, 1, at), 1);
            flipped = byte ^ (unsigned char)(1 << at % 8);
            assert_int_equal(pwrite(fd, &flipped, 1, at), 1);
            const int status =
                ink_checkpoint_load(&m->c, "check_checkpoint.tmp/checkpoint-1", &error);
            assert_int_equal(pwrite(fd, &byte, 1, at), 1);
            if (status != INK_OK && (status != INK_ERROR_INPUT || !strstr(error.message, path))) {
                fail_msg("byte %d: status %d, \"%s\"", (int)at, status, error.message);
            }
            assert_true(status != INK_OK || at >= 8); /* the header's length */
        }
        close(fd);
    }
    struct ink_error error = {0};
    assert_ok(ink_checkpoint_load(&m->c, "check_checkpoint.tmp/checkpoint-1", &error));
    assert_true(is_filled(m, 1));
    shell("rm -rf $RUN");
    unmake(m);
}

static void what_does_not_fit(void **state)
{
    (void)state;
    struct made *m = made();
    struct ink_checkpoint_tensor other[n_shapes];
    static const struct {
        int n, i, rows;
        const char *name, *message;
    } cases[] = {
        {3, 0, 40, "model.embed_tokens.weight",
         "check_checkpoint.tmp/checkpoint-1/model.safetensors: has 4 tensors, and this training "
         "knows 3 of them"},
        {4, 1, 16, "model.layers.1.self_attn.q_proj.weight",
         "check_checkpoint.tmp/checkpoint-1/model.safetensors: tensor "
         "\"model.layers.1.self_attn.q_proj.weight\" is missing"},
        {4, 0, 41, "model.embed_tokens.weight",
         "check_checkpoint.tmp/checkpoint-1/model.safetensors: tensor "
         "\"model.embed_tokens.weight\" has not the shape [41, 16] of this training's"},
    };
    make(m);
    shell("rm -rf $RUN");
    write_step(m, 1, 0);
    for (size_t i = 0; i < INK_COUNT(cases); i++) {
        struct ink_error error = {0};
        struct ink_checkpoint c = m->c;
        memcpy(other, shapes, sizeof other);
        other[cases[i].i].name = cases[i].name;
        other[cases[i].i].rows = cases[i].rows;
        c.tensors = other;
        c.n_tensors = cases[i].n;
        assert_int_equal(ink_checkpoint_load(&c, "check_checkpoint.tmp/checkpoint-1", &error),
                         INK_ERROR_INPUT);
        assert_string_equal(error.message, cases[i].message);
    }
    shell("rm $RUN/checkpoint-1/optimizer.safetensors");
    struct ink_error error = {0};
    assert_int_equal(ink_checkpoint_load(&m->c, "check_checkpoint.tmp/checkpoint-1", &error),
                     INK_ERROR_INPUT);
    assert_non_null(strstr(error.message, "optimizer.safetensors"));
    m->c.without_optimizer = true;
    assert_ok(ink_checkpoint_load(&m->c, "check_checkpoint.tmp/checkpoint-1", &error));
    shell("rm -rf $RUN");
    unmake(m);
}

static void other_arguments(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct ink_training_state a = {0}, b = {0};
    FILE *f = fopen("check_checkpoint_data.tmp", "wb");
    fputs("abc", f);
    fclose(f);
    assert_ok(ink_training_state_set_file(&a, "train", "check_checkpoint_data.tmp", &error));
    remove("check_checkpoint_data.tmp");
    assert_string_equal(
        a.facts[0].value,
        "3 bytes, sha256 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(ink_training_state_compare(&a, &b, "x", &error), INK_ERROR_ARGUMENT);
    assert_int_equal(ink_training_state_compare(&b, &a, "x", &error), INK_ERROR_ARGUMENT);
    assert_ok(ink_training_state_set(&a, "lr", "1", &error));
    assert_ok(ink_training_state_set(&b, "lr", "2", &error));
    assert_ok(ink_training_state_set(&b, "train", a.facts[0].value, &error));
    assert_int_equal(ink_training_state_compare(&a, &b, "x", &error), INK_ERROR_ARGUMENT);
    assert_string_equal(error.message, "x: cannot go on: \"lr\" was \"1\" when this was saved, and "
                                       "is \"2\" now");
    assert_ok(ink_training_state_set(&b, "lr", "1", &error));
    assert_ok(ink_training_state_compare(&a, &b, "x", &error));
    ink_training_state_close(&a);
    ink_training_state_close(&b);
}

/* ----------------------------------------------------------------------------------------- faults
 */

/* The child writes one checkpoint after the other, from where the last one was whole. */
static void write_for_ever(struct made *m, int64_t step)
{
    for (;; step++) {
        fill(m, step);
        if (ink_checkpoint_write(&m->c, run, 2, NULL, NULL) != INK_OK) {
            _exit(1);
        }
    }
}

static void killed(void **state)
{
    (void)state;
    struct made *m = made();
    int64_t last = 0;
    uint32_t x = 1;
    const int rounds = is_emulated() ? 10 : 50;
    struct ink_error first = {0};
    make(m);
    shell("rm -rf $RUN");
    fill(m, 1);
    const double start = ink_system_seconds();
    if (ink_checkpoint_write(&m->c, run, 2, NULL, &first) != INK_OK) {
        fail_msg("%s", first.message);
    }
    const double takes = ink_system_seconds() - start;
    shell("rm -rf $RUN");
    int n = 0;
    for (; n < rounds || (last == 0 && n < 20 * rounds); n++) { /* a busy machine is slower later */
        struct ink_error error = {0};
        char *path;
        int status;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            write_for_ever(m, last + 1);
        }
        x = x * 1664525u + 1013904223u;
        ink_sleep(2.5 * takes * (x >> 8) / (1 << 24)); /* within two or three checkpoints */
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        assert_true(WIFSIGNALED(status)); /* and no write failed */
        assert_ok(ink_checkpoint_find(&path, run, &error));
        if (!path) {
            assert_int_equal(last, 0);
            continue;
        }
        struct ink_training_state saved;
        struct ink_history history;
        assert_ok(ink_training_state_read(&saved, path, &error));
        assert_ok(ink_history_read(&history, path, &error));
        assert_true(saved.step >= last && history.step == saved.step);
        last = saved.step;
        fill(m, 0);
        assert_ok(ink_checkpoint_load(&m->c, path, &error));
        assert_true(is_filled(m, last));
        ink_training_state_close(&saved);
        ink_history_close(&history);
        ink_free(path);
    }
    printf("# %d kills, %lld checkpoints\n", n, (long long)last);
    assert_true(last > 0);
    shell("rm -rf $RUN");
    unmake(m);
}

/* In a child, because the limit stays: no file may be longer than the optimizer's. */
static int write_under_limit(struct made *m)
{
    struct ink_error error = {0};
    const struct rlimit limit = {200000, 200000};
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) {
        return 2;
    }
    fill(m, 2);
    const int status = ink_checkpoint_write(&m->c, run, 1, NULL, &error);
    return status == INK_ERROR_SYSTEM &&
                   strstr(error.message, "optimizer.safetensors: cannot write: ")
               ? 0
               : 1;
}

static void a_file_that_ends(void **state)
{
    (void)state;
    struct made *m = made();
    int status;
    make(m);
    shell("rm -rf $RUN");
    write_step(m, 1, 1);
    pid_t child = fork();
    if (child == 0) {
        _exit(write_under_limit(m));
    }
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_newest("checkpoint-1");
    assert_false(exists("tmp-checkpoint-2"));
    shell("rm -rf $RUN");
    unmake(m);
}

/* Refused before anything is written; then a disk that fills up meanwhile. */
static void a_full_disk(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct made *m = made();
    make(m); /* which may skip: nothing is mounted yet */
    shell("rm -rf $RUN; mkdir $RUN");
    if (mount("tmpfs", run, "tmpfs", 0, "size=1700k") != 0) {
        printf("# SKIP: cannot mount a small file system here (%s)\n", strerror(errno));
        shell("rm -rf $RUN");
        unmake(m);
        skip();
    }
    m->fill = NULL;
    write_step(m, 1, 1);
    fill(m, 2);
    const int refused = ink_checkpoint_write(&m->c, run, 1, NULL, &error);
    char why[sizeof error.message];
    strcpy(why, error.message);
    assert_newest("checkpoint-1");
    shell("mount -o remount,size=4000k $RUN");
    m->fill = "check_checkpoint.tmp/filler";
    const int full = ink_checkpoint_write(&m->c, run, 1, NULL, &error);
    assert_newest("checkpoint-1");
    const bool left = exists("tmp-checkpoint-2");
    m->fill = NULL;
    fill(m, 0);
    struct ink_error load_error = {0};
    const int loaded = ink_checkpoint_load(&m->c, "check_checkpoint.tmp/checkpoint-1", &load_error);
    umount2(run, MNT_DETACH); /* even if somebody still looks into it */
    shell("rm -rf $RUN");
    assert_int_equal(refused, INK_ERROR_SYSTEM);
    assert_non_null(strstr(why, "check_checkpoint.tmp: not enough room for a checkpoint: "));
    assert_int_equal(full, INK_ERROR_SYSTEM);
    assert_non_null(strstr(error.message, "optimizer.safetensors: cannot write: No space left"));
    assert_false(left);
    assert_int_equal(loaded, INK_OK);
    assert_true(is_filled(m, 1));
    unmake(m);
}

static void a_read_only_folder(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct made *m = made();
    make(m); /* which may skip: nothing is mounted yet */
    shell("rm -rf $RUN; mkdir $RUN");
    const bool is_root = geteuid() == 0;
    if (is_root && mount("tmpfs", run, "tmpfs", 0, "size=4m") != 0) {
        printf("# SKIP: root may write everywhere, and cannot mount here (%s)\n", strerror(errno));
        shell("rm -rf $RUN");
        unmake(m);
        skip();
    }
    write_step(m, 1, 1);
    shell(is_root ? "mount -o remount,ro $RUN" : "chmod 500 $RUN");
    fill(m, 2);
    const int status = ink_checkpoint_write(&m->c, run, 1, NULL, &error);
    assert_newest("checkpoint-1");
    if (is_root) {
        umount2(run, MNT_DETACH); /* even if somebody still looks into it */
    }
    shell("chmod -R u+w $RUN; rm -rf $RUN");
    assert_int_equal(status, INK_ERROR_SYSTEM);
    assert_non_null(strstr(error.message, "check_checkpoint.tmp/tmp-checkpoint-2: cannot write: "));
    unmake(m);
}

static void every_allocation(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct made *m = made();
    make(m);
    shell("rm -rf $RUN");
    write_step(m, 1, 1);
    write_step(m, 2, 2);
    fill(m, 3);
    ink_fail_allocation(0, false);
    assert_ok(ink_checkpoint_write(&m->c, run, 3, NULL, &error));
    const long total = ink_fail_allocation(0, false);
    assert_true(total > 50);
    for (long n = 1; n <= total; n += n < 200 ? 1 : 1 + total / 100) {
        char *path;
        shell("rm -rf $RUN/checkpoint-3");
        ink_fail_allocation(n, false);
        const int status = ink_checkpoint_write(&m->c, run, 2, NULL, &error);
        ink_fail_allocation(0, false);
        assert_true(status == INK_OK || status == INK_ERROR_MEMORY);
        assert_ok(ink_checkpoint_find(&path, run, &error));
        assert_non_null(path);
        ink_fail_allocation(n, false);
        const int loaded = ink_checkpoint_load(&m->c, path, &error);
        ink_fail_allocation(0, false);
        assert_true(loaded == INK_OK || loaded == INK_ERROR_MEMORY);
        ink_free(path);
    }
    shell("rm -rf $RUN");
    unmake(m);
}

int main(void)
{
    setenv("RUN", run, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bit_for_bit),
        cmocka_unit_test(engines_open_it),
        cmocka_unit_test(adapters),
        cmocka_unit_test(only_ours_are_removed),
        cmocka_unit_test(damaged_ones),
        cmocka_unit_test(files_of_other_kinds),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(flipped_bits),
        cmocka_unit_test(what_does_not_fit),
        cmocka_unit_test(other_arguments),
        cmocka_unit_test(killed),
        cmocka_unit_test(a_file_that_ends),
        cmocka_unit_test(a_full_disk),
        cmocka_unit_test(a_read_only_folder),
        cmocka_unit_test(every_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
