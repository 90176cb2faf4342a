#include "doctor.h"

#include "cpu.h"
#include "kernels.h"
#include "system.h"
#include "threads.h"
#include "utf8.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#if defined(__clang__)
static const char compiler[] = "clang " __clang_version__;
#elif defined(__GNUC__)
static const char compiler[] = "gcc " __VERSION__;
#else
static const char compiler[] = "?";
#endif

/* The library cannot tell at run time; configure knows. */
#ifndef INK_SENTENCEPIECE_VERSION
#define INK_SENTENCEPIECE_VERSION ""
#endif

void ink_doctor_report(struct ink_doctor *d, bool ok, const char *name, const char *format, ...)
{
    char value[512];
    va_list args;
    va_start(args, format);
    vsnprintf(value, sizeof value, format, args);
    va_end(args);
    value[ink_utf8_valid_prefix(value, strlen(value))] = '\0';
    d->n_bad += !ok;
    d->line(d->context, name, value, ok);
}

/* ------------------------------------------------------------------------------------ bandwidth */

enum { most_lanes = 256 };

struct reading {
    uint64_t *data;
    int n_lines; /* of 64 bytes */
    uint64_t sums[most_lanes];
};

/* Pages that nobody wrote may all be one page of zeros, which a cache holds. */
static void write_share(void *context, struct ink_team *team, int lane, int n_lanes)
{
    struct reading *r = context;
    int begin, end;
    (void)team;
    ink_threads_share(lane, n_lanes, r->n_lines, 64, &begin, &end);
    memset(r->data + (size_t)begin * 8, 1, (size_t)(end - begin) * 64);
}

static void read_share(void *context, struct ink_team *team, int lane, int n_lanes)
{
    struct reading *r = context;
    int begin, end;
    uint64_t sums[8] = {0};
    (void)team;
    ink_threads_share(lane, n_lanes, r->n_lines, 64, &begin, &end);
    for (const uint64_t *p = r->data + (size_t)begin * 8, *stop = r->data + (size_t)end * 8;
         p < stop; p += 8) {
        for (int i = 0; i < 8; i++) {
            sums[i] += p[i];
        }
    }
    for (int i = 0; i < 8; i++) { /* kept, or the compiler would leave the reading out */
        r->sums[lane] += sums[i];
    }
}

/* Decoding a token reads every weight once, so this is what bounds it. */
static void report_bandwidth(struct ink_doctor *d, int threads)
{
    const int n_threads = threads < most_lanes ? threads : most_lanes;
    const char *name = ink_text("read bandwidth");
    const uint64_t free_memory = ink_system_free_memory(), most = 256u << 20;
    const size_t n = (size_t)(free_memory / 4 < most ? free_memory / 4 / 64 * 64 : most);
    void *buffer = n > 0 ? ink_alloc_aligned(n) : NULL;
    if (!buffer) {
        ink_doctor_report(d, true, name, "%s", ink_text("not measured: too little memory"));
        return;
    }
    struct reading r = {.data = buffer, .n_lines = (int)(n / 64)};
    ink_threads_run(n_threads, write_share, &r);
    const double start = ink_system_seconds();
    double seconds = 0;
    int passes = 0;
    while (seconds < 0.2 && passes < 1000) {
        ink_threads_run(n_threads, read_share, &r);
        passes++;
        seconds = ink_system_seconds() - start;
    }
    ink_doctor_report(d, true, name, ink_text("%.1f GB/s with %d threads"),
                      seconds > 0 ? (double)n * passes / seconds / 1e9 : 0.0, n_threads);
    ink_free_aligned(buffer);
}

/* --------------------------------------------------------------------------------- the machine */

static void report_levels(struct ink_doctor *d, const struct ink_model *m)
{
    char list[128] = "";
    const struct ink_kernels *k;
    for (int i = 0; (k = ink_kernels_at(i)) != NULL; i++) {
        const size_t n = strlen(list);
        snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", k->name);
    }
    ink_doctor_report(d, true, ink_text("instruction sets"), ink_text("%s; in use: %s"), list,
                      m ? m->info.cpu_level : ink_kernels_find(NULL)->name);
}

static void report_machine(struct ink_doctor *d, const struct ink_model *m)
{
    char name[128];
    const int cores = ink_system_cores(), threads = m ? m->info.threads : cores;
    const uint64_t memory = ink_system_free_memory();
    ink_cpu_name(name, sizeof name);
    ink_doctor_report(d, true, ink_text("processor"), "%s", name[0] ? name : ink_text("unknown"));
    report_levels(d, m);
    ink_doctor_report(d, true, ink_text("threads"), ink_text("%d on %d cores"), threads, cores);
    if (memory == UINT64_MAX) {
        ink_doctor_report(d, true, ink_text("memory"), "%s", ink_text("unknown"));
    } else {
        ink_doctor_report(d, true, ink_text("memory"), ink_text("%.1f GB free"),
                          (double)memory / 1e9);
    }
    report_bandwidth(d, threads);
}

static void report_build(struct ink_doctor *d)
{
    const char *none = ink_text("not built in");
    const char *spm = INK_SENTENCEPIECE_VERSION;
    ink_doctor_report(d, true, "inkstone", "%s (%s)", ink_version(), compiler);
    ink_doctor_report(d, true, "OpenMP", "%s",
                      ink_threads_are_available() ? ink_text("yes") : ink_text("no: one thread"));
    ink_doctor_report(d, true, "SentencePiece", "%s", spm[0] ? spm : ink_text("version unknown"));
    ink_doctor_report(d, true, "cJSON", "%s", cJSON_Version());
    ink_doctor_report(d, true, "Vulkan", "%s", none);
    ink_doctor_report(d, true, "OpenBLAS", "%s", none);
}

/* ------------------------------------------------------------------------------------- the model
 */

static int check_model(struct ink_doctor *d, struct ink_model *m, struct ink_error *error)
{
    int status = ink_doctor_check_files(d, m, error);
    if (status == INK_OK) {
        status = ink_doctor_check_values(d, m, error);
    }
    if (status == INK_OK && m->tokenizer) {
        status = ink_doctor_check_tokenizer(d, m, error);
    }
    if (status == INK_OK) {
        status = ink_doctor_check_forward(d, m, error);
    }
    return status == INK_OK ? ink_doctor_check_oracle(d, m, error) : status;
}

int ink_doctor(struct ink_model *model, ink_report_function *line, void *context,
               struct ink_error *error)
{
    struct ink_doctor d = {line, context, 0};
    report_build(&d);
    report_machine(&d, model);
    int status = ink_doctor_check_kernels(&d, error);
    if (status == INK_OK && model) {
        status = check_model(&d, model, error);
    }
    return status == INK_OK ? d.n_bad : status;
}
