#include "plot_internal.h"

#include <math.h>
#include <pango/pangocairo.h>

bool ink_plot_has_png(void)
{
    return true;
}

static void use_colour(cairo_t *cairo, const struct ink_plot_shape *shape)
{
    const uint32_t c = shape->colour;
    cairo_set_source_rgba(cairo, (c >> 16 & 255) / 255.0, (c >> 8 & 255) / 255.0, (c & 255) / 255.0,
                          shape->opacity);
}

static void draw_line(cairo_t *cairo, const struct ink_plot_shape *shape,
                      const struct ink_plot_point *points)
{
    for (int i = 0; i < shape->n_points; i++) {
        cairo_line_to(cairo, points[i].x, points[i].y);
    }
    cairo_set_line_width(cairo, shape->size);
    cairo_stroke(cairo);
}

/* Without a font that has Chinese, English is better than boxes. */
static void set_text(PangoLayout *layout, const struct ink_plot_shape *shape)
{
    pango_layout_set_text(layout, ink_plot_text(shape), -1);
    if (shape->english && pango_layout_get_unknown_glyphs_count(layout) > 0) {
        pango_layout_set_text(layout, shape->english, -1);
    }
}

static void draw_text(cairo_t *cairo, const struct ink_plot_shape *shape,
                      const struct ink_plot_point *at)
{
    PangoLayout *layout = pango_cairo_create_layout(cairo);
    PangoFontDescription *font = pango_font_description_from_string("Sans");
    PangoRectangle size;
    /* Han characters have national forms; English does not mind. */
    pango_context_set_language(pango_layout_get_context(layout),
                               pango_language_from_string("zh-cn"));
    pango_font_description_set_absolute_size(font, shape->size * PANGO_SCALE);
    pango_layout_set_font_description(layout, font);
    set_text(layout, shape);
    pango_layout_get_pixel_extents(layout, NULL, &size);
    cairo_save(cairo);
    cairo_translate(cairo, at->x, at->y);
    if (shape->kind == INK_PLOT_UP) {
        cairo_rotate(cairo, -acos(-1.0) / 2);
    }
    const double width = size.width;
    cairo_translate(cairo,
                    shape->kind == INK_PLOT_TEXT  ? 0
                    : shape->kind == INK_PLOT_END ? -width
                                                  : -width / 2,
                    -(double)pango_layout_get_baseline(layout) / PANGO_SCALE);
    pango_cairo_show_layout(cairo, layout);
    cairo_restore(cairo);
    pango_font_description_free(font);
    g_object_unref(layout);
}

static void draw(cairo_t *cairo, const struct ink_plot_drawing *d)
{
    cairo_set_line_join(cairo, CAIRO_LINE_JOIN_ROUND);
    cairo_set_line_cap(cairo, CAIRO_LINE_CAP_ROUND);
    for (int i = 0; i < d->n_shapes; i++) {
        const struct ink_plot_shape *shape = &d->shapes[i];
        const struct ink_plot_point *at = d->points + shape->first_point;
        use_colour(cairo, shape);
        switch (shape->kind) {
        case INK_PLOT_LINE:
            draw_line(cairo, shape, at);
            break;
        case INK_PLOT_DOT:
            cairo_arc(cairo, at->x, at->y, shape->size, 0, 2 * acos(-1.0));
            cairo_fill(cairo);
            break;
        case INK_PLOT_BOX:
            cairo_rectangle(cairo, at[0].x, at[0].y, at[1].x - at[0].x, at[1].y - at[0].y);
            cairo_fill(cairo);
            break;
        default:
            draw_text(cairo, shape, at);
        }
    }
}

static cairo_status_t take_bytes(void *context, const unsigned char *bytes, unsigned n)
{
    struct ink_string *out = context;
    ink_string_append(out, (const char *)bytes, n);
    return out->failed ? CAIRO_STATUS_NO_MEMORY : CAIRO_STATUS_SUCCESS;
}

int ink_plot_print_png(const struct ink_plot_drawing *d, struct ink_string *out,
                       struct ink_error *error)
{
    if (d->failed) {
        return ink_fail_memory(error, 0);
    }
    cairo_surface_t *surface =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, INK_PLOT_WIDTH, INK_PLOT_HEIGHT);
    cairo_t *cairo = cairo_create(surface);
    cairo_status_t state = cairo_status(cairo);
    if (state == CAIRO_STATUS_SUCCESS) {
        draw(cairo, d);
        state = cairo_status(cairo);
    }
    if (state == CAIRO_STATUS_SUCCESS) {
        state = cairo_surface_write_to_png_stream(surface, take_bytes, out);
    }
    cairo_destroy(cairo);
    cairo_surface_destroy(surface);
    if (state == CAIRO_STATUS_NO_MEMORY || out->failed) {
        return ink_fail_memory(error, out->length);
    }
    return state == CAIRO_STATUS_SUCCESS
               ? INK_OK
               : ink_fail(error, INK_ERROR_SYSTEM, "cairo cannot draw the loss curve: %s",
                          cairo_status_to_string(state));
}
