/* An evaluation by several processes: of N, process r takes samples r, r + N, r + 2 N, ... and
 * afterwards all have everything. Which process computed a figure changes no bit of it, so their
 * number changes nothing. Without others these functions do nothing. */
#ifndef INK_EVAL_SHARE_H
#define INK_EVAL_SHARE_H

#include "cluster/cluster.h"
#include "perplexity.h"
#include "predict.h"

/* Are model, adapter (NULL: none), samples and what `settings` tells the same on all?
 * INK_ERROR_ARGUMENT if not. */
int ink_eval_compare(struct ink_cluster *cluster, const struct ink_model *model,
                     const struct ink_adapter *adapter, const struct ink_eval_set *set,
                     const struct ink_string *settings, struct ink_error *error);
/* losses [n]: those of other processes are {0, 0} before. */
int ink_losses_share(struct ink_cluster *cluster, struct ink_loss *losses, size_t n,
                     struct ink_error *error);
/* list [set->n]: those of other processes are {0} before. */
int ink_predictions_share(struct ink_cluster *cluster, struct ink_prediction *list,
                          const struct ink_eval_set *set, struct ink_error *error);

#endif
