#include "events.h"

#include "system.h"

#include <stdio.h>
#include <string.h>

/* ------------------------------------------------------------------------------------- records */

uint32_t ink_events_crc32c(const void *bytes, size_t n)
{
    const unsigned char *at = bytes;
    uint32_t crc = 0xFFFFFFFF;
    for (size_t i = 0; i < n; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78 : 0);
        }
    }
    return ~crc;
}

static void put_bytes(struct ink_string *s, uint64_t value, int n)
{
    char bytes[8];
    for (int i = 0; i < n; i++) {
        bytes[i] = (char)(value >> 8 * i & 255);
    }
    ink_string_append(s, bytes, (size_t)n);
}

/* A CRC of data that hold their own CRC is weak, so stored ones are turned and shifted. */
static uint32_t masked_crc(const void *bytes, size_t n)
{
    const uint32_t crc = ink_events_crc32c(bytes, n);
    return (crc >> 15 | crc << 17) + 0xA282EAD8;
}

static void put_record(struct ink_string *out, struct ink_string *event)
{
    struct ink_string length = {0};
    put_bytes(&length, event->length, 8);
    out->failed |= event->failed || length.failed;
    if (!out->failed) {
        ink_string_append(out, length.data, 8);
        put_bytes(out, masked_crc(length.data, 8), 4);
        ink_string_append(out, event->data, event->length);
        put_bytes(out, masked_crc(event->data, event->length), 4);
    }
    ink_string_free(&length);
    ink_string_free(event);
}

/* ------------------------------------------------------------------------------------ protobuf */

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

static void put_varint(struct ink_string *s, uint64_t value)
{
    for (; value >= 128; value >>= 7) {
        put_bytes(s, value | 128, 1);
    }
    put_bytes(s, value, 1);
}

static void put_tag(struct ink_string *s, int field, enum wire wire)
{
    put_varint(s, (uint64_t)field << 3 | (uint64_t)wire);
}

static void put_bytes_field(struct ink_string *s, int field, const char *bytes, size_t n)
{
    put_tag(s, field, WIRE_BYTES);
    put_varint(s, n);
    ink_string_append(s, bytes, n);
}

static void put_message(struct ink_string *s, int field, struct ink_string *message)
{
    put_bytes_field(s, field, message->data ? message->data : "", message->length);
    s->failed |= message->failed;
    ink_string_free(message);
}

static void put_double_field(struct ink_string *s, int field, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_tag(s, field, WIRE_64);
    put_bytes(s, bits, 8);
}

/* Summary.Value: tag = 1, simple_value = 2; in Summary it is field 1. */
static void put_scalar(struct ink_string *summary, const char *tag, double value)
{
    struct ink_string message = {0};
    const float narrow = (float)value;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    put_bytes_field(&message, 1, tag, strlen(tag));
    put_tag(&message, 2, WIRE_32);
    put_bytes(&message, bits, 4);
    put_message(summary, 1, &message);
}

/* Event: wall_time = 1, file_version = 3. */
void ink_events_print_start(struct ink_string *out, double wall_time)
{
    static const char version[] = "brain.Event:2";
    struct ink_string event = {0};
    put_double_field(&event, 1, wall_time);
    put_bytes_field(&event, 3, version, sizeof version - 1);
    put_record(out, &event);
}

/* Tags of values[i]; epoch comes with each kind under the first one's prefix. */
static const struct tags {
    int n;
    const char *names[INK_HISTORY_VALUES], *epoch;
} tags[] = {
    {3, {"train/grad_norm", "train/learning_rate", "train/loss"}, "train/epoch"},
    {4,
     {"eval/loss", "eval/runtime", "eval/samples_per_second", "eval/steps_per_second"},
     "train/epoch"},
    {5,
     {"train/total_flos", "train/train_loss", "train/train_runtime",
      "train/train_samples_per_second", "train/train_steps_per_second"},
     "train/epoch"},
};

/* Event: wall_time = 1, step = 2, summary = 5. */
void ink_events_print_row(struct ink_string *out, double wall_time,
                          const struct ink_history_row *row)
{
    struct ink_string event = {0}, summary = {0};
    const struct tags *t = &tags[row->kind];
    for (int i = 0; i < t->n; i++) {
        put_scalar(&summary, t->names[i], row->values[i]);
    }
    put_scalar(&summary, t->epoch, row->epoch);
    put_double_field(&event, 1, wall_time);
    put_tag(&event, 2, WIRE_VARINT);
    put_varint(&event, (uint64_t)row->step);
    put_message(&event, 5, &summary);
    put_record(out, &event);
}

/* ------------------------------------------------------------------------------------ the file */

static int put_text(struct ink_events *e, struct ink_string *text, struct ink_error *error)
{
    int status = text->failed ? ink_fail_memory(error, text->length)
                              : ink_writer_put(&e->writer, text->data, text->length, error);
    ink_string_free(text);
    return status == INK_OK ? ink_writer_flush(&e->writer, error) : status;
}

/* A host's name goes into a file's. */
static void clean_host(char *host)
{
    for (; *host; host++) {
        if (*host == '/' || *host == '\\' || *host == ':') {
            *host = '_';
        }
    }
}

/* Names that are taken (two runs in one second) count up. */
static int open_file(struct ink_events *e, const char *folder, double wall_time,
                     struct ink_error *error)
{
    char host[64], name[192];
    int status = INK_ERROR_SYSTEM;
    ink_system_host(host, sizeof host);
    clean_host(host);
    for (int n = 0; n < 1000 && status == INK_ERROR_SYSTEM; n++) {
        snprintf(name, sizeof name, "events.out.tfevents.%lld.%s.%ld.%d", (long long)wall_time,
                 host, ink_system_process(), n);
        char *path = ink_path_join(folder, name);
        const bool taken = path && ink_path_kind(path) != INK_PATH_NONE;
        if (!path) {
            status = ink_fail_memory(error, strlen(folder));
        } else if (!taken) {
            status = ink_writer_open_log(&e->writer, path, error);
        }
        ink_free(path);
        if (!taken) {
            break;
        }
    }
    return status;
}

int ink_events_open(struct ink_events *e, const char *folder, double wall_time,
                    struct ink_error *error)
{
    struct ink_string text = {0};
    *e = (struct ink_events){{0}};
    int status = ink_make_folder(folder, error);
    if (status == INK_OK) {
        status = open_file(e, folder, wall_time, error);
    }
    if (status == INK_OK) {
        ink_events_print_start(&text, wall_time);
        status = put_text(e, &text, error);
    }
    if (status != INK_OK) {
        ink_events_close(e);
    }
    return status;
}

int ink_events_add(struct ink_events *e, double wall_time, const struct ink_history_row *row,
                   struct ink_error *error)
{
    struct ink_string text = {0};
    ink_events_print_row(&text, wall_time, row);
    return put_text(e, &text, error);
}

void ink_events_close(struct ink_events *e)
{
    ink_writer_close(&e->writer);
}
