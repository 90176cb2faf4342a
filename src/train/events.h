/* TensorBoard's event files: scalars over steps, appended while a run goes on.
 *
 * A file is a row of TFRecords (u64 length, masked CRC-32C of it, bytes, masked CRC-32C of them;
 * little-endian), each an Event of tensorflow/core/util/event.proto. Tags are those of Hugging
 * Face's TensorBoardCallback, so that runs of both lie side by side. */
#ifndef INK_TRAIN_EVENTS_H
#define INK_TRAIN_EVENTS_H

#include "file.h"
#include "history.h"

struct ink_events {
    struct ink_writer writer;
};

/* Create folder/events.out.tfevents.SECONDS.HOST.PROCESS.N, of which TensorBoard shows all that lie
 * in one folder as one run, and write its first record. The folder is made if it is not there; its
 * parent must be. `wall_time` is seconds since 1970 (ink_system_clock). Start with {0}. */
int ink_events_open(struct ink_events *e, const char *folder, double wall_time,
                    struct ink_error *error);
/* One record for the row: train/loss, train/grad_norm, train/learning_rate, train/epoch; or
 * eval/loss, eval/runtime, ...; or train/train_loss and its kin. Readers see it at once. */
int ink_events_add(struct ink_events *e, double wall_time, const struct ink_history_row *row,
                   struct ink_error *error);
void ink_events_close(struct ink_events *e);

/* For tests: append the TFRecords themselves. */
void ink_events_print_start(struct ink_string *out, double wall_time);
void ink_events_print_row(struct ink_string *out, double wall_time,
                          const struct ink_history_row *row);
/* CRC-32C (Castagnoli, RFC 3720 appendix B.4) of bytes[n]: of "123456789" it is 0xe3069283. */
uint32_t ink_events_crc32c(const void *bytes, size_t n);

#endif
