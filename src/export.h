/* Writing models: what the files of export share. Nobody else includes this.
 *
 * An export is a list of items (one for each tensor: where it comes from, its type and place in the
 * new file), a header that the target's format makes of it, and the items' data, streamed piece by
 * piece from the mapped source. */
#ifndef INK_EXPORT_H
#define INK_EXPORT_H

#include "adapter.h"
#include "file.h"

struct ink_adapter_source;
struct ink_metadata;

struct ink_export_item {
    char name[128]; /* in the new file */
    const struct ink_tensor *tensor;
    enum ink_type type;
    bool is_vector;
    double factor; /* of every value: 1, but for an adapter's scales that GGUF cannot say */
    /* NULL, or what is added to the tensor, in its own order of rows */
    const struct ink_low_rank *term;
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
    const struct ink_adapter *merged;         /* NULL, or what is added to the model's matrices */
    const struct ink_adapter_source *adapter; /* not NULL: what is written, and not the model */
    const char *source_path;                  /* where the tensors are from, for messages */
    const char *out_path;                     /* without slashes at the end */
    bool is_finite;     /* every value must be finite, of tensors that are copied too */
    bool is_quantizing; /* what each item lost is reported */
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

/* Plan and write: for ink_export and its kind, which fill in the fields up to is_quantizing but
 * out_path, and the callbacks. */
int ink_export_run(struct ink_export *e, const char *out_path, const char *type,
                   struct ink_error *error);

/* Tell what an item lost. */
void ink_export_report_item(const struct ink_export *e, const struct ink_export_item *item,
                            const struct ink_export_loss *loss);

/* The data of one item, converted and permuted, at the writer's position. Pages of the source are
 * let go of behind it. */
int ink_export_put_item(struct ink_export *e, struct ink_writer *w,
                        const struct ink_export_item *item, struct ink_error *error);

/* The items of an adapter, and its file. */
int ink_export_plan_adapter(struct ink_export *e, struct ink_error *error);
int ink_export_write_adapter(struct ink_export *e, struct ink_error *error);

/* The type that most bytes of matrices have; F32 without matrices. */
enum ink_type ink_export_main_type(const struct ink_export *e);
/* The GGUF file of this metadata, to which the list of tensors is added, and the items. */
int ink_export_write_file(struct ink_export *e, struct ink_metadata *m, struct ink_error *error);

/* The two targets. They write everything, or leave nothing behind. */
int ink_export_write_gguf(struct ink_export *e, struct ink_error *error);
int ink_export_write_folder(struct ink_export *e, struct ink_error *error);

#endif
