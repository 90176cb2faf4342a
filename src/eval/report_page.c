/* The HTML page of an evaluation. */
#include "report.h"

#include "utf8.h"

#include <string.h>

static const char style[] =
    ":root{color-scheme:light dark}"
    "body{font:16px/1.6 system-ui,'Noto Sans CJK SC','PingFang SC','Microsoft YaHei',sans-serif;"
    "max-width:76rem;margin:2rem auto;padding:0 1rem}"
    "h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.5rem}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{border:1px solid #8888;padding:.4rem .7rem;text-align:left;vertical-align:top}"
    "table.figures{width:auto}table.figures td{text-align:right;"
    "font-variant-numeric:tabular-nums}table.figures td.text{text-align:left}"
    "thead th{background:#8882}td.text{white-space:pre-wrap;overflow-wrap:anywhere}"
    "td.same{background:#2a42}p.note{white-space:pre-wrap;color:#777;margin:.5rem 0}"
    "figure{margin:1rem 0;overflow-x:auto}svg{max-width:100%;height:auto;background:#fff}"
    "td.line{color:#777;text-align:right}";

static const char *entity_of(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

/* C0 and C1 controls and noncharacters. */
static bool is_unspeakable(uint32_t c)
{
    return (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7F && c <= 0x9F) ||
           (c & 0xFFFE) == 0xFFFE || (c >= 0xFDD0 && c <= 0xFDEF);
}

void ink_html_append(struct ink_string *out, const char *text, size_t n)
{
    for (size_t at = 0; at < n;) {
        uint32_t c = 0;
        const int length = ink_utf8_decode(text + at, n - at, &c);
        const char *entity = entity_of(text[at]);
        if (length <= 0 || is_unspeakable(c)) {
            ink_string_puts(out, "\xEF\xBF\xBD");
        } else if (entity) {
            ink_string_puts(out, entity);
        } else {
            ink_string_append(out, text + at, (size_t)length);
        }
        at += length > 0 ? (size_t)length : 1;
    }
}

static void put(struct ink_string *out, const char *text)
{
    ink_html_append(out, text, strlen(text));
}

/* <TAG>text</TAG>; `tag` may bring attributes. */
static void put_element(struct ink_string *out, const char *tag, const char *text)
{
    ink_string_printf(out, "<%s>", tag);
    put(out, text);
    ink_string_printf(out, "</%.*s>", (int)strcspn(tag, " "), tag);
}

/* --------------------------------------------------------------------------------------- parts */

static void put_head(struct ink_string *out, const struct ink_report *r)
{
    ink_string_printf(out,
                      "<!doctype html>\n<html lang=\"%s\">\n<head>\n<meta charset=\"utf-8\">\n"
                      "<meta name=\"viewport\" content=\"width=device-width\">\n"
                      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                      "style-src 'unsafe-inline'\">\n",
                      r->is_chinese ? "zh-CN" : "en");
    put_element(out, "title", ink_text("Evaluation"));
    ink_string_printf(out, "\n<style>%s</style>\n</head>\n<body>\n", style);
    put_element(out, "h1", ink_text("Evaluation"));
    ink_string_puts(out, "\n<table class=\"figures\">\n<tbody>\n<tr>");
    put_element(out, "th", ink_text("data"));
    put_element(out, "td class=\"text\"", r->data);
    ink_string_puts(out, "</tr>\n");
    for (int c = 0; c < r->n_columns; c++) {
        ink_string_puts(out, "<tr>");
        put_element(out, "th", r->columns[c].name);
        put_element(out, "td class=\"text\"", r->columns[c].description);
        ink_string_puts(out, "</tr>\n");
    }
    ink_string_puts(out, "</tbody>\n</table>\n");
}

static void put_figures(struct ink_string *out, const struct ink_report *r)
{
    put_element(out, "h2", ink_text("Metrics"));
    ink_string_puts(out, "\n<table class=\"figures\">\n<thead><tr><th></th>");
    for (int c = 0; c < r->n_columns; c++) {
        put_element(out, "th", r->columns[c].name);
    }
    ink_string_puts(out, "</tr></thead>\n<tbody>\n");
    bool is_row = true;
    for (int row = 0; is_row; row++) {
        for (int c = 0; c < r->n_columns && is_row; c++) {
            struct ink_string label = {0}, value = {0};
            is_row = ink_report_row(r, row, c, &label, &value);
            if (is_row && c == 0) {
                ink_string_puts(out, "<tr>");
                put_element(out, "th", label.data ? label.data : "");
            }
            if (is_row) {
                put_element(out, "td", value.data ? value.data : "");
            }
            out->failed |= label.failed || value.failed;
            ink_string_free(&label);
            ink_string_free(&value);
        }
        ink_string_puts(out, is_row ? "</tr>\n" : "");
    }
    ink_string_puts(out, "</tbody>\n</table>\n");
    struct ink_string notes = {0};
    ink_report_notes(r, &notes);
    put_element(out, "p class=\"note\"", notes.data ? notes.data : "");
    ink_string_puts(out, "\n");
    out->failed |= notes.failed;
    ink_string_free(&notes);
}

static void put_curve(struct ink_string *out, const struct ink_report *r)
{
    if (r->curve) {
        put_element(out, "h2", ink_text("Loss curve"));
        ink_string_printf(out, "\n<figure>\n%s\n</figure>\n", r->curve);
    }
}

static void put_answer(struct ink_string *out, const struct ink_evaluation *e, size_t i)
{
    const struct ink_prediction *p = &e->predictions[i];
    const bool is_same = e->scores[i].is_exact || e->scores[i].is_exact_normalised;
    ink_string_puts(out, is_same ? "<td class=\"text same\">" : "<td class=\"text\">");
    ink_html_append(out, p->text.data ? p->text.data : "", p->text.length);
    ink_string_puts(out, p->is_complete ? "</td>" : " …</td>");
}

static void put_answers(struct ink_string *out, const struct ink_report *r)
{
    const struct ink_eval_set *set = r->columns[0].evaluation->set;
    put_element(out, "h2", ink_text("Answers"));
    ink_string_puts(out, "\n<table>\n<thead><tr>");
    put_element(out, "th", ink_text("line"));
    put_element(out, "th", ink_text("question"));
    put_element(out, "th", ink_text("expected"));
    for (int c = 0; c < r->n_columns; c++) {
        put_element(out, "th", r->columns[c].name);
    }
    ink_string_puts(out, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < set->n; i++) {
        const struct ink_eval_sample *s = &set->samples[i];
        if (!s->has_answer) {
            continue;
        }
        ink_string_printf(out, "<tr><td class=\"line\">%llu</td>", (unsigned long long)s->line);
        put_element(out, "td class=\"text\"", s->question);
        put_element(out, "td class=\"text\"", s->reference);
        for (int c = 0; c < r->n_columns; c++) {
            put_answer(out, r->columns[c].evaluation, i);
        }
        ink_string_puts(out, "</tr>\n");
    }
    ink_string_puts(out, "</tbody>\n</table>\n");
}

void ink_report_page(const struct ink_report *r, struct ink_string *out)
{
    put_head(out, r);
    put_figures(out, r);
    put_curve(out, r);
    if (r->columns[0].evaluation->has_answers) {
        put_answers(out, r);
    }
    ink_string_printf(out, "<p class=\"note\">inkstone %s</p>\n</body>\n</html>\n", ink_version());
}
