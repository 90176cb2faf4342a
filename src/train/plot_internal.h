/* A picture as a list of shapes, which plot.c lays out, and two files draw. Nobody else includes
 * this. */
#ifndef INK_TRAIN_PLOT_INTERNAL_H
#define INK_TRAIN_PLOT_INTERNAL_H

#include "plot.h"

#define INK_PLOT_WIDTH 800
#define INK_PLOT_HEIGHT 500
/* What the axes enclose. */
#define INK_PLOT_LEFT 84
#define INK_PLOT_RIGHT (INK_PLOT_WIDTH - 28)
#define INK_PLOT_TOP 52
#define INK_PLOT_BOTTOM (INK_PLOT_HEIGHT - 62)
#define INK_PLOT_INK 0x333333 /* the colour of texts */

enum ink_plot_kind {
    INK_PLOT_LINE,   /* through its points, with round ends */
    INK_PLOT_DOT,    /* a filled circle of radius `size` around its point */
    INK_PLOT_BOX,    /* filled, from its first point to its second */
    INK_PLOT_TEXT,   /* of font size `size`, its baseline from the point on */
    INK_PLOT_CENTRE, /* the same, with its middle at the point */
    INK_PLOT_END,    /* with its end there */
    INK_PLOT_UP,     /* with its middle there, and turned a quarter to the left */
};

struct ink_plot_point {
    double x, y; /* pixels from the upper left corner */
};

struct ink_plot_shape {
    enum ink_plot_kind kind;
    uint32_t colour;           /* 0xRRGGBB */
    double opacity, size;      /* a line's width, ... */
    int first_point, n_points; /* in the drawing's points */
    const char *english;       /* of a text that has a translation; lives long */
    char text[32];             /* of one that has none */
};

struct ink_plot_drawing {
    struct ink_plot_shape *shapes; /* [n_shapes] */
    int n_shapes, shape_capacity;
    struct ink_plot_point *points; /* [n_points] */
    int n_points, point_capacity;
    const char *title; /* English */
    bool failed;       /* memory ran out */
};

/* Add a shape, whose points are then added to it. Once memory ran out (d->failed) nothing is. NULL
 * then. */
struct ink_plot_shape *ink_plot_add_shape(struct ink_plot_drawing *d, enum ink_plot_kind kind,
                                          uint32_t colour, double opacity, double size);
void ink_plot_add_point(struct ink_plot_drawing *d, double x, double y);
void ink_plot_add_line(struct ink_plot_drawing *d, double x0, double y0, double x1, double y1,
                       uint32_t colour, double width);
void ink_plot_add_dot(struct ink_plot_drawing *d, double x, double y, uint32_t colour,
                      double radius);
/* A text with a translation, and one without. */
void ink_plot_add_label(struct ink_plot_drawing *d, enum ink_plot_kind kind, double x, double y,
                        const char *english, double size);
void ink_plot_add_number(struct ink_plot_drawing *d, enum ink_plot_kind kind, double x, double y,
                         const char *text);

/* A curve's points in their order. Losses that are not there are NaN. */
struct ink_plot_curve {
    double *steps, *losses; /* [n] */
    int n, n_finite;
};

struct ink_plot_axes {
    double last_step; /* the first is 0 */
    double low, high; /* of the losses, or their decimal logarithms */
    bool is_logarithmic;
};
/* Axes that hold both curves. */
void ink_plot_choose_axes(struct ink_plot_axes *a, const struct ink_plot_curve *train,
                          const struct ink_plot_curve *validation);
/* Grid, ticks and names. */
void ink_plot_add_frame(struct ink_plot_drawing *d, const struct ink_plot_axes *a);
double ink_plot_x_of(const struct ink_plot_axes *a, double step);
double ink_plot_y_of(const struct ink_plot_axes *a, double loss);

/* The text of a shape in the user's language. */
const char *ink_plot_text(const struct ink_plot_shape *shape);
/* The drawing as a PNG file's bytes, or nothing in a build without pangocairo. */
int ink_plot_print_png(const struct ink_plot_drawing *d, struct ink_string *out,
                       struct ink_error *error);
void ink_plot_draw_svg(const struct ink_plot_drawing *d, struct ink_string *out);

#endif
