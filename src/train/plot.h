/* The loss curve of a run: training loss (pale, and smoothed) and validation loss over optimizer
 * steps, as loss_curve.svg and loss_curve.png, 800 x 500 pixels. */
#ifndef INK_TRAIN_PLOT_H
#define INK_TRAIN_PLOT_H

#include "history.h"

/* Is there a PNG too? (Built with pangocairo.) */
bool ink_plot_has_png(void);

/* Write folder/loss_curve.svg and, if it can be had, folder/loss_curve.png, each aside and renamed.
 * Words are in the language of ink_set_language; in the PNG English where no font has the
 * characters. Losses that are not finite leave a gap. The loss's axis is logarithmic where all
 * losses are positive and the largest is more than a thousand times the least. */
int ink_plot_write(const struct ink_history *h, const char *folder, struct ink_error *error);

/* Append the SVG itself, an element that can stand in an HTML page; out->failed tells that memory
 * ran out. */
void ink_plot_print_svg(const struct ink_history *h, struct ink_string *out);

#endif
