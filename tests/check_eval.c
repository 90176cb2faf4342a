/* Evaluating a model on a file: what is encoded and counted, answers that do not depend on what is
 * written beside them, figures that are those of the parts, and a page whose texts stay texts. */
#include "support.h"

#include "../src/eval/report.h"
#include "../src/utf8.h"

#include <math.h>

static const char data_path[] = "check_eval.tmp.jsonl";
static struct ink_model *model; /* stories260K */

static const char *const lines[] = {
    "{\"input\": \"Once upon a time\", \"output\": \", there was a little girl named Lily.\"}",
    "{\"input\": \"The dog was happy because\", \"output\": \" he had a big bone.\"}",
    "{\"input\": \"Tom said\", \"output\": \" <b>\\\"hi\\\"</b> & went home. </s>\"}",
    "{\"input\": \"\\u4f60\\u597d\", \"output\": \"\\u4f60\\u597d\\uff01\"}",
    "{\"input\": \"One day, a big bear saw a small cat in the tree. The bear said\", \"output\": "
    "\"x\"}",
    "{\"input\": \"Sue\", \"output\": \" and Ben\"}",
    "{\"input\": \"Lily and Ben are friends. They like to play in the park. Lily\", \"output\": "
    "\"!\"}",
};
enum { n_lines = INK_COUNT(lines) };

static void write_text(const char *path, const char *text)
{
    struct ink_error error = {0};
    struct ink_writer w;
    assert_ok(ink_writer_open(&w, path, &error));
    assert_ok(ink_writer_put(&w, text, strlen(text), &error));
    assert_ok(ink_writer_commit(&w, &error));
    ink_writer_close(&w);
}

static struct ink_dataset *open_data(void)
{
    struct ink_error error = {0};
    struct ink_dataset *dataset = NULL;
    struct ink_string text = {0};
    for (size_t i = 0; i < n_lines; i++) {
        ink_string_printf(&text, "%s\n", lines[i]);
    }
    write_text(data_path, text.data);
    ink_string_free(&text);
    assert_ok(ink_dataset_open(&dataset, data_path, NULL, &error));
    return dataset;
}

static void open_set(struct ink_eval_set *set, const struct ink_dataset *dataset,
                     enum ink_loss_scope scope, size_t limit)
{
    struct ink_error error = {0};
    const struct ink_eval_options options = {.scope = scope, .limit = limit};
    assert_ok(ink_eval_set_open(set, model, dataset, &options, &error));
}

/* ------------------------------------------------------------------------------------- samples */

static size_t count(const struct ink_eval_sample *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->encoded.n; i++) {
        n += s->counted[i];
    }
    return n;
}

static void samples(void **state)
{
    (void)state;
    struct ink_dataset *dataset = open_data();
    struct ink_eval_set sets[INK_SCOPE_COUNT];
    for (int scope = 0; scope < INK_SCOPE_COUNT; scope++) {
        open_set(&sets[scope], dataset, (enum ink_loss_scope)scope, 0);
        assert_int_equal(sets[scope].n, n_lines);
        assert_int_equal(sets[scope].n_answers, n_lines);
    }
    for (size_t i = 0; i < n_lines; i++) {
        const struct ink_eval_sample *s = &sets[INK_SCOPE_ANSWER_END].samples[i];
        assert_int_equal(s->line, i + 1);
        assert_int_equal(count(s), s->encoded.n - s->n_prompt);
        assert_int_equal(count(&sets[INK_SCOPE_ANSWER].samples[i]), count(s) - 1);
        assert_int_equal(count(&sets[INK_SCOPE_ALL].samples[i]), s->encoded.n - 1);
        assert_false(s->counted[0]);
        assert_false(s->counted[s->n_prompt - 1]);
    }
    assert_string_equal(sets[0].samples[0].question, "Once upon a time");
    assert_string_equal(sets[0].samples[2].reference, " <b>\"hi\"</b> & went home. </s>");
    for (int scope = 0; scope < INK_SCOPE_COUNT; scope++) {
        ink_eval_set_close(&sets[scope]);
    }
    open_set(&sets[0], dataset, INK_SCOPE_ALL, 3);
    assert_int_equal(sets[0].n, 3);
    ink_eval_set_close(&sets[0]);
    ink_dataset_close(dataset);
}

/* Of several exchanges the last is asked, and those before it stand in the prompt. */
static void conversations(void **state)
{
    (void)state;
    static const char path[] = "check_eval_chat.tmp.jsonl";
    struct ink_error error = {0};
    struct ink_dataset *dataset = NULL;
    struct ink_eval_set set;
    write_text(path, "{\"messages\": [{\"role\": \"user\", \"content\": \"One\"}, "
                     "{\"role\": \"assistant\", \"content\": \"two\"}, "
                     "{\"role\": \"user\", \"content\": \"three\"}, "
                     "{\"role\": \"assistant\", \"content\": \"four and five\"}]}\n");
    assert_ok(ink_dataset_open(&dataset, path, NULL, &error));
    open_set(&set, dataset, INK_SCOPE_ANSWER_END, 0);
    const struct ink_eval_sample *s = &set.samples[0];
    assert_string_equal(s->question, "three");
    assert_string_equal(s->reference, "four and five");
    assert_true(count(s) > s->encoded.n - s->n_prompt); /* "two" counts too */
    char *text;
    size_t n;
    assert_ok(ink_detokenize(model, &text, &n, s->encoded.tokens + s->n_prompt,
                             s->encoded.n - s->n_prompt, false, &error));
    assert_non_null(strstr(text, "four and five"));
    assert_null(strstr(text, "three"));
    ink_free(text);
    ink_eval_set_close(&set);
    ink_dataset_close(dataset);
    remove(path);
}

/* A mere text has a loss, but nothing to answer. */
static void texts(void **state)
{
    (void)state;
    static const char path[] = "check_eval_text.tmp.jsonl";
    struct ink_error error = {0};
    struct ink_dataset *dataset = NULL;
    struct ink_eval_set set;
    struct ink_evaluation e;
    write_text(path, "{\"text\": \"Once upon a time\"}\n{\"text\": \"a\"}\n");
    assert_ok(ink_dataset_open(&dataset, path, NULL, &error));
    open_set(&set, dataset, INK_SCOPE_ANSWER_END, 0);
    assert_int_equal(set.n_answers, 0);
    assert_ok(ink_evaluation_open(&e, &set, &error));
    const struct ink_loss_options loss = {.n_sessions = 2};
    const struct ink_predict_options answer = {.max_new_tokens = 4, .batch = 2};
    assert_ok(ink_evaluation_measure(&e, model, &loss, 8, NULL, NULL, &error));
    assert_ok(ink_evaluation_answer(&e, model, &answer, NULL, NULL, &error));
    assert_ok(ink_evaluation_score(&e, INK_EVAL_ALL, &error));
    assert_true(e.has_loss && !e.has_answers && e.loss > 0);
    ink_evaluation_close(&e);
    ink_eval_set_close(&set);
    ink_dataset_close(dataset);
    remove(path);
}

/* ---------------------------------------------------------------------------------------- loss */

/* From the logits of one session, token by token. */
static double plain_nll(const struct ink_eval_sample *s)
{
    struct ink_session *session = open_session(model, INK_KV_F32);
    const size_t v = (size_t)ink_model_get_info(model)->vocab_size;
    float *logits = eval_all(model, session, s->encoded.tokens, (int)s->encoded.n, 7);
    double nll = 0;
    for (size_t i = 1; i < s->encoded.n; i++) {
        const float *row = logits + (i - 1) * v;
        double sum = 0;
        for (size_t j = 0; j < v; j++) {
            sum += exp((double)row[j]);
        }
        nll += s->counted[i] ? log(sum) - (double)row[s->encoded.tokens[i]] : 0;
    }
    free(logits);
    ink_session_close(session);
    return nll;
}

static void losses(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct ink_dataset *dataset = open_data();
    struct ink_eval_set set;
    struct ink_evaluation e;
    const struct ink_loss_options options = {.n_sessions = 3, .kv_type = INK_KV_F32};
    open_set(&set, dataset, INK_SCOPE_ANSWER_END, 0);
    assert_ok(ink_evaluation_open(&e, &set, &error));
    assert_ok(ink_evaluation_measure(&e, model, &options, 2, NULL, NULL, &error));
    double nll = 0;
    uint64_t n_tokens = 0;
    for (size_t i = 0; i < n_lines; i++) {
        const double expected = plain_nll(&set.samples[i]);
        assert_true(fabs(e.losses[i].nll - expected) < 1e-9 * expected);
        assert_int_equal(e.losses[i].n_tokens, count(&set.samples[i]));
        nll += expected;
        n_tokens += count(&set.samples[i]);
    }
    assert_int_equal(e.n_tokens, n_tokens);
    assert_true(fabs(e.loss - nll / (double)n_tokens) < 1e-9 * e.loss);
    assert_true(fabs(e.perplexity - exp(e.loss)) < 1e-9 * e.perplexity);
    assert_true(e.hf_loss > 0 && fabs(e.hf_loss - e.loss) > 1e-6);
    ink_evaluation_close(&e);
    ink_eval_set_close(&set);
    ink_dataset_close(dataset);
}

/* ------------------------------------------------------------------------------------- answers */

/* One generator, one token at a time, as inkstone.h shows it. */
static void answer_plainly(struct ink_string *out, bool *is_complete,
                           const struct ink_eval_sample *s, const struct ink_sampling *sampling,
                           int max_new_tokens)
{
    struct ink_error error = {0};
    struct ink_generator *g;
    struct ink_stream *stream;
    const struct ink_generator_options options = {.n_positions = 400};
    const char *piece;
    size_t n;
    int32_t token;
    enum ink_generated what;
    assert_ok(ink_generator_open(&g, model, &options, &error));
    assert_ok(ink_stream_open(&stream, model, false, &error));
    assert_ok(ink_generator_start(g, s->encoded.tokens, (int)s->n_prompt, sampling, max_new_tokens,
                                  &error));
    for (size_t i = 0; i < s->n_prompt; i++) {
        assert_ok(ink_stream_push(stream, s->encoded.tokens[i], &piece, &n, &error));
    }
    while ((what = ink_generator_take(g, &token)) <= INK_GENERATED_NOTHING) {
        if (what == INK_GENERATED_TOKEN) {
            assert_ok(ink_stream_push(stream, token, &piece, &n, &error));
            ink_string_append(out, piece, n);
            continue;
        }
        struct ink_step step;
        ink_generator_prepare(g, 5, &step);
        assert_ok(ink_eval(model, &step, 1, NULL, NULL, &error));
        ink_generator_done(g, 0);
    }
    assert_ok(ink_stream_flush(stream, &piece, &n, &error));
    ink_string_append(out, piece, n);
    ink_string_puts(out, "");
    *is_complete = what == INK_GENERATED_STOP;
    ink_stream_close(stream);
    ink_generator_close(g);
}

static void check_answers(const struct ink_eval_set *set, const struct ink_predict_options *base)
{
    struct ink_error error = {0};
    struct ink_string expected[n_lines] = {{0}};
    bool is_complete[n_lines];
    for (size_t i = 0; i < n_lines; i++) {
        struct ink_sampling sampling = base->sampling;
        sampling.seed += i;
        answer_plainly(&expected[i], &is_complete[i], &set->samples[i], &sampling,
                       base->max_new_tokens);
    }
    for (int batch = 1; batch <= 16; batch += batch < 4 ? 1 : 12) {
        struct ink_prediction out[n_lines] = {{{0}, 0, false}};
        struct ink_predict_options options = *base;
        options.batch = batch;
        assert_ok(ink_predict(out, model, set, &options, NULL, NULL, &error));
        for (size_t i = 0; i < n_lines; i++) {
            assert_string_equal(out[i].text.data, expected[i].data);
            assert_int_equal(out[i].is_complete, is_complete[i]);
            assert_true(out[i].n_tokens <= base->max_new_tokens);
            ink_prediction_free(&out[i]);
        }
    }
    for (size_t i = 0; i < n_lines; i++) {
        ink_string_free(&expected[i]);
    }
}

static void answers(void **state)
{
    (void)state;
    struct ink_dataset *dataset = open_data();
    struct ink_eval_set set;
    open_set(&set, dataset, INK_SCOPE_ANSWER_END, 0);
    struct ink_predict_options options = {.sampling = {.top_p = 1, .repetition_penalty = 1},
                                          .max_new_tokens = 150};
    check_answers(&set, &options);
    options.sampling.temperature = 0.9F;
    options.sampling.repetition_penalty = 1.2F;
    options.sampling.seed = 7;
    check_answers(&set, &options);
    ink_eval_set_close(&set);
    ink_dataset_close(dataset);
}

/* An answer ends before the text, wherever it is in its tokens. */
static void stops(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct ink_dataset *dataset = open_data();
    struct ink_eval_set set;
    static const char *const stop[] = {"a big", "."};
    open_set(&set, dataset, INK_SCOPE_ANSWER_END, 0);
    struct ink_predict_options options = {
        .sampling = {.top_p = 1, .repetition_penalty = 1}, .max_new_tokens = 150, .batch = 3};
    struct ink_prediction whole[n_lines] = {{{0}, 0, false}}, cut[n_lines] = {{{0}, 0, false}};
    assert_ok(ink_predict(whole, model, &set, &options, NULL, NULL, &error));
    options.stops = stop;
    options.n_stops = 2;
    assert_ok(ink_predict(cut, model, &set, &options, NULL, NULL, &error));
    for (size_t i = 0; i < n_lines; i++) {
        const char *a = strstr(whole[i].text.data, stop[0]), *b = strstr(whole[i].text.data, ".");
        const char *first = !a ? b : !b ? a : a < b ? a : b;
        const size_t n = first ? (size_t)(first - whole[i].text.data) : whole[i].text.length;
        assert_int_equal(cut[i].text.length, n);
        assert_memory_equal(cut[i].text.data, whole[i].text.data, n);
        assert_true(cut[i].is_complete);
        ink_prediction_free(&whole[i]);
        ink_prediction_free(&cut[i]);
    }
    ink_eval_set_close(&set);
    ink_dataset_close(dataset);
}

/* ------------------------------------------------------------------------------------- figures */

static void put_answer(struct ink_prediction *p, const char *text)
{
    ink_string_puts(&p->text, text);
    p->is_complete = true;
}

static void figures(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct ink_dataset *dataset = open_data();
    struct ink_eval_set set;
    struct ink_evaluation e;
    open_set(&set, dataset, INK_SCOPE_ANSWER_END, 4);
    assert_ok(ink_evaluation_open(&e, &set, &error));
    put_answer(&e.predictions[0], "There was a little girl named Lily!");
    put_answer(&e.predictions[1], "he had a big bone");
    put_answer(&e.predictions[2], "");
    put_answer(&e.predictions[3], "你好！");
    assert_ok(ink_evaluation_score(&e, INK_EVAL_ALL, &error));
    assert_int_equal(e.n_exact, 1);
    assert_int_equal(e.n_exact_normalised, 2);
    assert_int_equal(e.n_blind, 1); /* Chinese alone; the empty answer is a plain zero */
    assert_true(fabs(e.rouge_l - (1 + 1 + 0 + 0) / 4.0) < 1e-12);
    /* of 8 + 1 and 7 + 1 words, 7 are common; 5 of 6; none; all 3 */
    const double first = 2.0 * 7 / (9 + 8), second = 2.0 * 5 / (6 + 5);
    assert_true(fabs(e.rouge_l_char - (first + second + 0 + 1) / 4) < 1e-12);
    assert_true(e.bleu[0].score > 10 && e.bleu[2].score > e.bleu[0].score);
    ink_evaluation_close(&e);
    ink_eval_set_close(&set);
    ink_dataset_close(dataset);
}

static void metric_names(void **state)
{
    (void)state;
    struct ink_error error = {0};
    unsigned bits;
    assert_ok(ink_eval_metrics_parse(&bits, "loss", "--metrics", &error));
    assert_int_equal(bits, INK_EVAL_LOSS);
    assert_ok(ink_eval_metrics_parse(&bits, "exact,bleu,loss,loss", "--metrics", &error));
    assert_int_equal(bits, INK_EVAL_EXACT | INK_EVAL_LOSS | INK_EVAL_BLEU_13A | INK_EVAL_BLEU_ZH |
                               INK_EVAL_BLEU_CHAR);
    assert_ok(ink_eval_metrics_parse(&bits, "all", "--metrics", &error));
    assert_int_equal(bits, INK_EVAL_ALL);
    static const char *const bad[] = {"", "los", "losss", "loss,", ",loss", "loss exact", "BLEU"};
    for (size_t i = 0; i < INK_COUNT(bad); i++) {
        assert_int_equal(ink_eval_metrics_parse(&bits, bad[i], "--metrics", &error),
                         INK_ERROR_ARGUMENT);
    }
}

/* ---------------------------------------------------------------------------------------- page */

static void page(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct ink_dataset *dataset = open_data();
    struct ink_eval_set set;
    struct ink_evaluation e;
    struct ink_string out = {0};
    open_set(&set, dataset, INK_SCOPE_ANSWER_END, 0);
    assert_ok(ink_evaluation_open(&e, &set, &error));
    for (size_t i = 0; i < n_lines; i++) {
        put_answer(&e.predictions[i], "<script>alert('1')</script>\x01&amp;\xFF");
    }
    e.has_answers = true;
    const struct ink_report r = {.data = "<data>",
                                 .settings = "greedy",
                                 .metrics = INK_EVAL_ALL,
                                 .columns = {{"a\"b", "<m1>", &e}, {"b", "m2", &e}},
                                 .n_columns = 2,
                                 .curve = "<svg></svg>"};
    ink_report_page(&r, &out);
    assert_false(out.failed);
    assert_null(strstr(out.data, "<script"));
    assert_null(strstr(out.data, "<b>"));
    assert_null(strstr(out.data, "<data>"));
    assert_null(strstr(out.data, "://"));
    assert_null(strchr(out.data, '\x01'));
    assert_non_null(strstr(out.data, "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;\xEF\xBF\xBD"
                                     "&amp;amp;\xEF\xBF\xBD"));
    assert_non_null(strstr(out.data, "&lt;b&gt;&quot;hi&quot;&lt;/b&gt; &amp; went home."));
    assert_non_null(strstr(out.data, "<svg></svg>"));
    assert_int_equal(ink_utf8_valid_prefix(out.data, out.length), out.length);
    ink_string_free(&out);
    ink_evaluation_close(&e);
    ink_eval_set_close(&set);
    ink_dataset_close(dataset);
}

/* -------------------------------------------------------------------------------------- faults */

static int cancel(void *context, uint64_t done, uint64_t total)
{
    assert_true(done <= total);
    return ++*(int *)context == 9;
}

static int evaluate_all(struct ink_dataset *dataset, ink_progress_function *progress, void *context,
                        struct ink_error *error)
{
    struct ink_eval_set set;
    struct ink_evaluation e = {0};
    const struct ink_eval_options options = {.limit = 3};
    const struct ink_loss_options loss = {.n_sessions = 2};
    const struct ink_predict_options answer = {
        .sampling = {.top_p = 1, .repetition_penalty = 1}, .max_new_tokens = 12, .batch = 2};
    int status = ink_eval_set_open(&set, model, dataset, &options, error);
    if (status == INK_OK) {
        status = ink_evaluation_open(&e, &set, error);
    }
    if (status == INK_OK) {
        status = ink_evaluation_measure(&e, model, &loss, 8, NULL, NULL, error);
    }
    if (status == INK_OK) {
        status = ink_evaluation_answer(&e, model, &answer, progress, context, error);
    }
    if (status == INK_OK) {
        status = ink_evaluation_score(&e, INK_EVAL_ALL, error);
    }
    ink_evaluation_close(&e);
    ink_eval_set_close(&set);
    return status;
}

static void faults(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct ink_dataset *dataset = open_data();
    int asked = 0;
    assert_int_equal(evaluate_all(dataset, cancel, &asked, &error), INK_ERROR_CANCELLED);
    for (long i = 1;; i += is_emulated() ? 13 : 1) {
        ink_fail_allocation(i, true);
        const int status = evaluate_all(dataset, NULL, NULL, &error);
        if (ink_fail_allocation(0, false) < i) {
            assert_int_equal(status, INK_OK);
            break;
        }
        assert_int_equal(status, INK_ERROR_MEMORY);
    }
    ink_dataset_close(dataset);
}

static void too_long(void **state)
{
    (void)state;
    static const char path[] = "check_eval_long.tmp.jsonl";
    struct ink_error error = {0};
    struct ink_dataset *dataset = NULL;
    struct ink_eval_set set;
    struct ink_string text = {0};
    ink_string_puts(&text,
                    "{\"input\": \"a\", \"output\": \"b\"}\n{\"input\": \"a\", \"output\": \"");
    for (int i = 0; i < 600; i++) {
        ink_string_puts(&text, "z9");
    }
    ink_string_puts(&text, "\"}\n");
    write_text(path, text.data);
    assert_ok(ink_dataset_open(&dataset, path, NULL, &error));
    struct ink_eval_options options = {.scope = INK_SCOPE_ALL};
    assert_int_equal(ink_eval_set_open(&set, model, dataset, &options, &error), INK_ERROR_LIMIT);
    assert_non_null(strstr(error.message, "check_eval_long.tmp.jsonl: line 2: "));
    assert_non_null(strstr(error.message, "512"));
    ink_eval_set_close(&set);
    options.encode.max_response = 100;
    assert_ok(ink_eval_set_open(&set, model, dataset, &options, &error));
    assert_int_equal(set.n_responses_cut, 1);
    ink_eval_set_close(&set);
    ink_string_free(&text);
    ink_dataset_close(dataset);
    remove(path);
}

static int open_model(void **state)
{
    (void)state;
    model = open_model_at(shared_path("data/stories260K/as-ernie45"), 2, NULL);
    return 0;
}

static int close_model(void **state)
{
    (void)state;
    ink_model_close(model);
    remove(data_path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples), cmocka_unit_test(conversations), cmocka_unit_test(texts),
        cmocka_unit_test(losses),  cmocka_unit_test(answers),       cmocka_unit_test(stops),
        cmocka_unit_test(figures), cmocka_unit_test(metric_names),  cmocka_unit_test(page),
        cmocka_unit_test(faults),  cmocka_unit_test(too_long),
    };
    return cmocka_run_group_tests_name("eval", tests, open_model, close_model);
}
