#include "doctor.h"

#include "oracle.h"
#include "quant.h"
#include "sha256.h"

#include <math.h>
#include <string.h>

/* Files from here on are neither hashed nor read in full: that would take too long. */
static const uint64_t large = 2000000000u;

/* ---------------------------------------------------------------------------------------- files */

static void hash(char hex[65], const void *bytes, uint64_t n)
{
    struct ink_sha256 s;
    ink_sha256_start(&s);
    ink_sha256_add(&s, bytes, (size_t)n);
    ink_sha256_finish(&s, hex);
}

static const struct ink_known_file *find_known(uint64_t n_bytes, const char *hex)
{
    for (int i = 0; i < ink_n_known_files; i++) {
        const struct ink_known_file *f = &ink_known_files[i];
        if (f->n_bytes == n_bytes && (!hex || strcmp(f->sha256, hex) == 0)) {
            return f;
        }
    }
    return NULL;
}

static void report_file(struct ink_doctor *d, const char *name, const void *bytes, uint64_t n)
{
    char hex[65];
    if (n >= large && !find_known(n, NULL)) {
        ink_doctor_report(d, true, name, ink_text("%llu bytes, no known release"),
                          (unsigned long long)n);
        return;
    }
    hash(hex, bytes, n);
    const struct ink_known_file *known = find_known(n, hex);
    if (known) {
        ink_doctor_report(d, true, name, ink_text("%llu bytes, SHA-256 %s: %s, as published"),
                          (unsigned long long)n, hex, known->name);
    } else {
        ink_doctor_report(d, true, name, ink_text("%llu bytes, SHA-256 %s: no known release"),
                          (unsigned long long)n, hex);
    }
}

int ink_doctor_check_files(struct ink_doctor *d, const struct ink_model *m, struct ink_error *error)
{
    const struct ink_model_info *i = &m->info;
    (void)error;
    ink_doctor_report(d, true, ink_text("model"),
                      ink_text("%s, %s, %s, %d layers, %.1f million parameters"), i->architecture,
                      i->format, i->weight_type, i->n_layers, (double)i->n_parameters / 1e6);
    for (int f = 0; f < m->weights.n_files; f++) {
        report_file(d, ink_text("weights file"), m->weights.files[f].data,
                    m->weights.files[f].size);
    }
    if (!m->tokenizer) {
        ink_doctor_report(d, true, ink_text("tokenizer"), "%s", ink_text("none"));
    } else if (!m->weights.gguf) { /* a GGUF file has no tokenizer.model to hash */
        const struct ink_tokenizer_facts *facts = ink_tokenizer_get_facts(m->tokenizer);
        report_file(d, ink_text("tokenizer"), facts->model_proto, facts->n_model_proto);
    }
    if (i->warning) {
        ink_doctor_report(d, true, ink_text("note"), "%s", i->warning);
    }
    return INK_OK;
}

/* --------------------------------------------------------------------------------------- values */

/* Values of the first `limit` of t that are not finite. */
static uint64_t count_bad(const struct ink_tensor *t, uint64_t limit)
{
    enum { piece = 4096 }; /* a multiple of every block size */
    const struct ink_type_facts *facts = ink_type_facts(t->type);
    const uint64_t all = ink_tensor_count(t), n = all < limit ? all : limit;
    uint64_t bad = 0;
    float values[piece];
    for (uint64_t at = 0; at < n; at += piece) {
        const uint64_t count = n - at < piece ? n - at : piece;
        const uint64_t block = at / (uint64_t)facts->block_values;
        ink_dequantize(values, (const char *)t->data + block * (uint64_t)facts->block_bytes,
                       t->type, count);
        for (uint64_t i = 0; i < count; i++) {
            bad += !isfinite(values[i]);
        }
    }
    return bad;
}

int ink_doctor_check_values(struct ink_doctor *d, const struct ink_model *m,
                            struct ink_error *error)
{
    const uint64_t limit = m->info.mapped_bytes < large ? UINT64_MAX : 65536;
    const struct ink_tensor *worst = NULL;
    uint64_t bad = 0, n = 0;
    (void)error;
    for (int i = 0; i < m->weights.n_tensors; i++) {
        const struct ink_tensor *t = &m->weights.tensors[i];
        const uint64_t all = ink_tensor_count(t), here = count_bad(t, limit);
        worst = here > 0 && !worst ? t : worst;
        bad += here;
        n += all < limit ? all : limit;
    }
    if (worst) {
        ink_doctor_report(d, false, ink_text("weight values"),
                          ink_text("%llu of %llu values are not finite, the first in \"%s\""),
                          (unsigned long long)bad, (unsigned long long)n, worst->name);
    } else {
        ink_doctor_report(d, true, ink_text("weight values"),
                          ink_text("all of %llu values read are finite"), (unsigned long long)n);
    }
    return INK_OK;
}

/* ------------------------------------------------------------------------------------ tokenizer */

int ink_doctor_check_tokenizer(struct ink_doctor *d, const struct ink_model *m,
                               struct ink_error *error)
{
    static const char sentence[] =
        "砚台 holds ink: naïve Größe, 文心一言 2024 年, привет, 😀 {x += 1}";
    const size_t n_sentence = sizeof sentence - 1;
    int32_t *ids = NULL;
    char *text = NULL;
    size_t n_ids = 0, n_text = 0;
    if (!ink_tokenizer_get_facts(m->tokenizer)->byte_fallback) {
        ink_doctor_report(d, true, ink_text("text and back"), "%s",
                          ink_text("not possible: this tokenizer has no bytes"));
        return INK_OK;
    }
    int status = ink_tokenize(m, &ids, &n_ids, sentence, n_sentence, false, error);
    if (status == INK_OK) {
        status = ink_detokenize(m, &text, &n_text, ids, n_ids, false, error);
    }
    if (status == INK_OK) {
        const bool ok = n_text == n_sentence && memcmp(text, sentence, n_text) == 0;
        ink_doctor_report(d, ok, ink_text("text and back"),
                          ok ? ink_text("a sentence in five scripts is the same after %llu tokens")
                             : ink_text("a sentence in five scripts is changed after %llu tokens"),
                          (unsigned long long)n_ids);
    }
    ink_free(ids);
    ink_free(text);
    return status;
}

/* -------------------------------------------------------------------------------------- forward */

/* tokens [n], `chunk` a call; logits of the last. */
static int eval_in_chunks(struct ink_model *m, float *logits, const int32_t *tokens, int n,
                          int chunk, struct ink_error *error)
{
    struct ink_session *s = NULL;
    int status = ink_session_open(&s, m, n, INK_KV_F16, error);
    for (int at = 0; at < n && status == INK_OK; at += chunk) {
        struct ink_step step = {.session = s,
                                .tokens = tokens + at,
                                .n_tokens = chunk,
                                .n_logits = 1,
                                .logits = logits};
        status = ink_eval(m, &step, 1, NULL, NULL, error);
    }
    ink_session_close(s);
    return status;
}

int ink_doctor_check_forward(struct ink_doctor *d, struct ink_model *m, struct ink_error *error)
{
    enum { most = 20 };
    const int n = m->info.max_positions < most ? m->info.max_positions : most;
    const size_t n_vocab = (size_t)m->info.vocab_size;
    int32_t tokens[most];
    float *logits = ink_calloc(2 * n_vocab, sizeof *logits);
    for (int i = 0; i < n; i++) {
        tokens[i] = (int32_t)((i * 7919u + 5) % n_vocab);
    }
    int status = logits ? eval_in_chunks(m, logits, tokens, n, n, error)
                        : ink_fail_memory(error, 2 * n_vocab * sizeof *logits);
    if (status == INK_OK) {
        status = eval_in_chunks(m, logits + n_vocab, tokens, n, 1, error);
    }
    if (status == INK_OK) {
        const bool ok = memcmp(logits, logits + n_vocab, n_vocab * sizeof *logits) == 0;
        ink_doctor_report(d, ok, ink_text("same bits"),
                          ok ? ink_text("%d tokens in one call and one by one: the same logits")
                             : ink_text("%d tokens in one call and one by one: other logits"),
                          n);
    }
    ink_free(logits);
    return status;
}
