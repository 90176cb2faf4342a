/* Writing models: what the files of export share. Nobody else includes this.
 *
 * An export is a list of items (one for each tensor: where it comes from, its type and place in the
 * new file), a header that the target's format makes of it, and the items' data, streamed piece by
 * piece from the mapped source. */
#ifndef INK_EXPORT_H
#define INK_EXPORT_H

#include "file.h"
#include "model.h"

struct ink_export_item {
    char name[128]; /* in the new file */
    const struct ink_tensor *tensor;
    enum ink_type type;
    bool is_vector;
    int head_dim;     /* 0: rows as they lie; else the rows of each head of so many change order */
    uint64_t n_bytes; /* in the new file, as the next */
    uint64_t offset;  /* from the start of the data */
};

/* What an item's values lost, in sums that do not depend on the threads. */
struct ink_export_loss {
    double squares, errors; /* of the values, of new less old value */
    double max_error;
};

struct ink_export {
    const struct ink_model *model;
    const char *out_path; /* without slashes at the end */
    bool is_quantizing;   /* every value must be finite, and what each item lost is reported */
    bool to_gguf;
    bool is_native;     /* keep types; else `type` */
    bool to_half_pairs; /* items with a head_dim: from (2i, 2i+1) to (i, i + d/2); else back */
    enum ink_type type;
    struct ink_export_item *items; /* in the order of the new file */
    int n_items;
    int n_lanes;                    /* threads that convert */
    float *values;                  /* [n_lanes, INK_EXPORT_PIECE] */
    unsigned char *packed;          /* room for a batch of any type that is written */
    ink_quantized_function *report; /* may be NULL, as the next */
    ink_progress_function *progress;
    void *context;
    uint64_t done, total; /* bytes */
};

/* Values that a thread converts at a time, a multiple of every block size; and pieces that are
 * converted, then written. */
#define INK_EXPORT_PIECE 65536
#define INK_EXPORT_BATCH 16

/* Plan and write: ink_export and ink_quantize, which fill in model, is_quantizing and callbacks. */
int ink_export_run(struct ink_export *e, const char *out_path, const char *type,
                   struct ink_error *error);

/* Tell what an item lost. */
void ink_export_report_item(const struct ink_export *e, const struct ink_export_item *item,
                            const struct ink_export_loss *loss);

/* The data of one item, converted and permuted, at the writer's position. Pages of the source are
 * let go of behind it. */
int ink_export_put_item(struct ink_export *e, struct ink_writer *w,
                        const struct ink_export_item *item, struct ink_error *error);

/* The two targets. They write everything, or leave nothing behind. */
int ink_export_write_gguf(struct ink_export *e, struct ink_error *error);
int ink_export_write_folder(struct ink_export *e, struct ink_error *error);

#endif
