#include "plot_internal.h"

#include <stdio.h>

static void *grow(void *list, int *capacity, int n, size_t size, bool *failed)
{
    if (n < *capacity) {
        return list;
    }
    const int wanted = *capacity ? 2 * *capacity : 64;
    void *grown = ink_realloc(list, (size_t)wanted, size);
    *failed |= !grown;
    *capacity = grown ? wanted : *capacity;
    return grown ? grown : list;
}

void ink_plot_add_point(struct ink_plot_drawing *d, double x, double y)
{
    d->points = grow(d->points, &d->point_capacity, d->n_points, sizeof *d->points, &d->failed);
    if (!d->failed) {
        d->points[d->n_points++] = (struct ink_plot_point){x, y};
        d->shapes[d->n_shapes - 1].n_points++;
    }
}

/* A shape whose points follow. NULL if memory ran out, as add_point then does nothing either. */
struct ink_plot_shape *ink_plot_add_shape(struct ink_plot_drawing *d, enum ink_plot_kind kind,
                                          uint32_t colour, double opacity, double size)
{
    d->shapes = grow(d->shapes, &d->shape_capacity, d->n_shapes, sizeof *d->shapes, &d->failed);
    if (d->failed) {
        return NULL;
    }
    struct ink_plot_shape *shape = &d->shapes[d->n_shapes++];
    *shape = (struct ink_plot_shape){.kind = kind,
                                     .colour = colour,
                                     .opacity = opacity,
                                     .size = size,
                                     .first_point = d->n_points};
    return shape;
}

void ink_plot_add_line(struct ink_plot_drawing *d, double x0, double y0, double x1, double y1,
                       uint32_t colour, double width)
{
    ink_plot_add_shape(d, INK_PLOT_LINE, colour, 1, width);
    ink_plot_add_point(d, x0, y0);
    ink_plot_add_point(d, x1, y1);
}

void ink_plot_add_dot(struct ink_plot_drawing *d, double x, double y, uint32_t colour,
                      double radius)
{
    ink_plot_add_shape(d, INK_PLOT_DOT, colour, 1, radius);
    ink_plot_add_point(d, x, y);
}

void ink_plot_add_label(struct ink_plot_drawing *d, enum ink_plot_kind kind, double x, double y,
                        const char *english, double size)
{
    struct ink_plot_shape *shape = ink_plot_add_shape(d, kind, INK_PLOT_INK, 1, size);
    if (shape) {
        shape->english = english;
    }
    ink_plot_add_point(d, x, y);
}

void ink_plot_add_number(struct ink_plot_drawing *d, enum ink_plot_kind kind, double x, double y,
                         const char *text)
{
    struct ink_plot_shape *shape = ink_plot_add_shape(d, kind, INK_PLOT_INK, 1, 13);
    if (shape) {
        snprintf(shape->text, sizeof shape->text, "%s", text);
    }
    ink_plot_add_point(d, x, y);
}

const char *ink_plot_text(const struct ink_plot_shape *shape)
{
    return shape->english ? ink_text(shape->english) : shape->text;
}
