#include "plot_internal.h"

#include "number.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Fonts that have Chinese on Linux, Windows and macOS, then whatever the browser takes. */
static const char fonts[] = "'Noto Sans CJK SC','Noto Sans SC','Source Han Sans SC',"
                            "'Microsoft YaHei','PingFang SC','WenQuanYi Micro Hei',sans-serif";

/* Two places are a hundredth of a pixel. */
static void put_number(struct ink_string *s, double value)
{
    char text[INK_NUMBER_SIZE];
    ink_number_from_double(text, round(value * 100) / 100);
    const size_t n = strlen(text);
    ink_string_append(s, text, n > 2 && strcmp(text + n - 2, ".0") == 0 ? n - 2 : n);
}

static void put_attribute(struct ink_string *s, const char *name, double value)
{
    ink_string_printf(s, " %s=\"", name);
    put_number(s, value);
    ink_string_puts(s, "\"");
}

static void put_colour(struct ink_string *s, const char *name, const struct ink_plot_shape *shape)
{
    ink_string_printf(s, " %s=\"#%06x\"", name, (unsigned)shape->colour);
    if (shape->opacity < 1) {
        ink_string_printf(s, " %s-opacity=\"", name);
        put_number(s, shape->opacity);
        ink_string_puts(s, "\"");
    }
}

static void put_escaped(struct ink_string *s, const char *text)
{
    for (; *text; text++) {
        if (*text == '&' || *text == '<' || *text == '>' || *text == '"') {
            ink_string_printf(s, "&#%d;", *text);
        } else {
            ink_string_append(s, text, 1);
        }
    }
}

static void put_line(struct ink_string *s, const struct ink_plot_shape *shape,
                     const struct ink_plot_point *points)
{
    ink_string_puts(s,
                    "<polyline fill=\"none\" stroke-linejoin=\"round\" stroke-linecap=\"round\"");
    put_colour(s, "stroke", shape);
    put_attribute(s, "stroke-width", shape->size);
    ink_string_puts(s, " points=\"");
    for (int i = 0; i < shape->n_points; i++) {
        ink_string_puts(s, i ? " " : "");
        put_number(s, points[i].x);
        ink_string_puts(s, ",");
        put_number(s, points[i].y);
    }
    ink_string_puts(s, "\"/>\n");
}

static void put_dot(struct ink_string *s, const struct ink_plot_shape *shape,
                    const struct ink_plot_point *at)
{
    ink_string_puts(s, "<circle");
    put_colour(s, "fill", shape);
    put_attribute(s, "cx", at->x);
    put_attribute(s, "cy", at->y);
    put_attribute(s, "r", shape->size);
    ink_string_puts(s, "/>\n");
}

static void put_box(struct ink_string *s, const struct ink_plot_shape *shape,
                    const struct ink_plot_point *corners)
{
    ink_string_puts(s, "<rect");
    put_colour(s, "fill", shape);
    put_attribute(s, "x", corners[0].x);
    put_attribute(s, "y", corners[0].y);
    put_attribute(s, "width", corners[1].x - corners[0].x);
    put_attribute(s, "height", corners[1].y - corners[0].y);
    ink_string_puts(s, "/>\n");
}

static void put_text(struct ink_string *s, const struct ink_plot_shape *shape,
                     const struct ink_plot_point *at)
{
    static const char *const anchors[] = {"start", "middle", "end", "middle"};
    ink_string_printf(s, "<text text-anchor=\"%s\"", anchors[shape->kind - INK_PLOT_TEXT]);
    put_colour(s, "fill", shape);
    put_attribute(s, "font-size", shape->size);
    if (shape->kind == INK_PLOT_UP) {
        ink_string_puts(s, " transform=\"translate(");
        put_number(s, at->x);
        ink_string_puts(s, " ");
        put_number(s, at->y);
        ink_string_puts(s, ") rotate(-90)\"");
    } else {
        put_attribute(s, "x", at->x);
        put_attribute(s, "y", at->y);
    }
    ink_string_puts(s, ">");
    put_escaped(s, ink_plot_text(shape));
    ink_string_puts(s, "</text>\n");
}

void ink_plot_draw_svg(const struct ink_plot_drawing *d, struct ink_string *out)
{
    if (d->failed) {
        out->failed = true;
        return;
    }
    ink_string_printf(out,
                      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
                      "viewBox=\"0 0 %d %d\" role=\"img\" font-family=\"%s\">\n<title>",
                      INK_PLOT_WIDTH, INK_PLOT_HEIGHT, INK_PLOT_WIDTH, INK_PLOT_HEIGHT, fonts);
    put_escaped(out, ink_text(d->title));
    ink_string_puts(out, "</title>\n");
    for (int i = 0; i < d->n_shapes; i++) {
        const struct ink_plot_shape *shape = &d->shapes[i];
        const struct ink_plot_point *points = d->points + shape->first_point;
        switch (shape->kind) {
        case INK_PLOT_LINE:
            put_line(out, shape, points);
            break;
        case INK_PLOT_DOT:
            put_dot(out, shape, points);
            break;
        case INK_PLOT_BOX:
            put_box(out, shape, points);
            break;
        default:
            put_text(out, shape, points);
        }
    }
    ink_string_puts(out, "</svg>\n");
}
