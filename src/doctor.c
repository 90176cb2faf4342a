#include "doctor.h"

#include "cpu.h"
#include "kernels.h"
#include "measure.h"
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

static void report_peak(struct ink_doctor *d, struct ink_meter *meter, const char *name,
                        const struct ink_peak_loop *loop)
{
    ink_doctor_report(d, true, name, ink_text("%.0f GOP/s (%s)"), ink_meter_peak(meter, loop) / 1e9,
                      loop->instruction);
}

/* Decoding a token reads every weight once, so memory bounds it; reading a prompt is arithmetic. */
static void report_ceilings(struct ink_doctor *d, int threads, const char *level)
{
    struct ink_meter *meter = ink_meter_new(threads, level);
    const double bandwidth = meter ? ink_meter_bandwidth(meter) : 0;
    const char *name = ink_text("read bandwidth");
    if (bandwidth > 0) {
        ink_doctor_report(d, true, name, ink_text("%.1f GB/s with %d threads"), bandwidth / 1e9,
                          threads);
    } else {
        ink_doctor_report(d, true, name, "%s", ink_text("not measured: too little memory"));
    }
    if (meter) {
        const struct ink_peak *peak = ink_peak_find(level);
        report_peak(d, meter, ink_text("int8 peak"), &peak->int8);
        report_peak(d, meter, ink_text("float32 peak"), &peak->f32);
        if (peak->bf16.run) {
            report_peak(d, meter, ink_text("bf16 peak"), &peak->bf16);
        }
    }
    ink_meter_close(meter);
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
    report_ceilings(d, threads, m ? m->info.cpu_level : ink_kernels_find(NULL)->name);
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
