#include "spm_proto.h"

#include <string.h>

/* ------------------------------------------------------------------------------- wire format */

struct reader {
    const unsigned char *data;
    size_t n, at;
    const char *path;
    struct ink_error *error;
};

enum wire { wire_varint = 0, wire_fixed64 = 1, wire_bytes = 2, wire_fixed32 = 5 };

struct field {
    uint32_t number;
    enum wire wire;
    uint64_t value;            /* a varint, or the bits of a fixed number */
    const unsigned char *data; /* [value] of a length-delimited field */
};

static int damaged(const struct reader *r, const char *why)
{
    return ink_fail(r->error, INK_ERROR_INPUT,
                    "%s: not a SentencePiece model: %s (byte %llu of a message of %llu)", r->path,
                    ink_text(why), (unsigned long long)r->at, (unsigned long long)r->n);
}

static int read_varint(struct reader *r, uint64_t *out)
{
    uint64_t value = 0;
    for (int i = 0; i < 10; i++) {
        if (r->at >= r->n) {
            return damaged(r, "a number is cut off");
        }
        unsigned char byte = r->data[r->at++];
        if (i == 9 && byte > 1) {
            break;
        }
        value |= (uint64_t)(byte & 0x7F) << (7 * i);
        if (byte < 0x80) {
            *out = value;
            return INK_OK;
        }
    }
    return damaged(r, "a number of more than 64 bits");
}

static int read_fixed(struct reader *r, size_t size, uint64_t *out)
{
    if (r->n - r->at < size) {
        return damaged(r, "a number is cut off");
    }
    *out = size == 4 ? ink_read_u32(r->data + r->at) : ink_read_u64(r->data + r->at);
    r->at += size;
    return INK_OK;
}

static int read_bytes(struct reader *r, struct field *f)
{
    int status = read_varint(r, &f->value);
    if (status != INK_OK) {
        return status;
    }
    if (f->value > r->n - r->at) {
        return damaged(r, "a length that runs past the end");
    }
    f->data = r->data + r->at;
    r->at += (size_t)f->value;
    return INK_OK;
}

/* The next field; r->at < r->n. */
static int read_field(struct reader *r, struct field *f)
{
    uint64_t tag;
    int status = read_varint(r, &tag);
    if (status != INK_OK) {
        return status;
    }
    *f = (struct field){.number = (uint32_t)(tag >> 3), .wire = (enum wire)(tag & 7)};
    if (tag > UINT32_MAX || f->number == 0) {
        return damaged(r, "a field number out of range");
    }
    switch (f->wire) {
    case wire_varint:
        return read_varint(r, &f->value);
    case wire_fixed64:
        return read_fixed(r, 8, &f->value);
    case wire_bytes:
        return read_bytes(r, f);
    case wire_fixed32:
        return read_fixed(r, 4, &f->value);
    default:
        return damaged(r, "a field of an unsupported wire type");
    }
}

static struct reader inside(const struct reader *r, const struct field *f)
{
    return (struct reader){f->data, (size_t)f->value, 0, r->path, r->error};
}

static int expect(const struct reader *r, const struct field *f, enum wire wire)
{
    return f->wire == wire ? INK_OK : damaged(r, "a field of the wrong wire type");
}

/* ----------------------------------------------------------------------------------- reading */

/* Field numbers of sentencepiece_model.proto. */
enum { model_pieces = 1, model_trainer = 2, model_normalizer = 3, model_denormalizer = 5 };
enum { piece_text = 1, piece_score = 2, piece_type = 3 };
enum {
    trainer_model_type = 3,
    trainer_whitespace_suffix = 24,
    trainer_byte_fallback = 35,
    trainer_unk_id = 40,
    trainer_bos_id = 41,
    trainer_eos_id = 42,
    trainer_pad_id = 43,
};
enum { normalizer_charsmap = 2, normalizer_dummy = 3, normalizer_extra = 4, normalizer_escape = 5 };

/* While reading: where the next text goes, and how many pieces there may be. */
struct building {
    struct ink_vocabulary *v;
    char *text_end;
    int max_pieces;
};

static int read_piece(struct reader r, struct building *b)
{
    struct ink_piece *piece = &b->v->pieces[b->v->n_pieces];
    const int id = b->v->n_pieces;
    struct field text = {0};
    uint64_t type = INK_PIECE_NORMAL;
    bool has_score = false;
    while (r.at < r.n) {
        struct field f;
        int status = read_field(&r, &f);
        if (status == INK_OK && f.number == piece_text) {
            status = expect(&r, &f, wire_bytes);
            text = f;
        } else if (status == INK_OK && f.number == piece_score) {
            status = expect(&r, &f, wire_fixed32);
            const uint32_t bits = (uint32_t)f.value;
            memcpy(&piece->score, &bits, sizeof bits);
            has_score = true;
        } else if (status == INK_OK && f.number == piece_type) {
            status = expect(&r, &f, wire_varint);
            type = f.value;
        }
        if (status != INK_OK) {
            return status;
        }
    }
    if (type < INK_PIECE_NORMAL || type > INK_PIECE_BYTE) {
        return ink_fail(r.error, INK_ERROR_INPUT, "%s: piece %d has an unknown type (%llu)", r.path,
                        id, (unsigned long long)type);
    }
    if (!has_score && type == INK_PIECE_NORMAL) {
        return ink_fail(r.error, INK_ERROR_INPUT, "%s: piece %d has no score", r.path, id);
    }
    if (text.value > INK_MAX_PIECE_BYTES || (text.value > 0 && memchr(text.data, 0, text.value))) {
        return ink_fail(r.error, INK_ERROR_INPUT,
                        "%s: piece %d has a zero byte or is too long (%llu bytes, limit %d)",
                        r.path, id, (unsigned long long)text.value, INK_MAX_PIECE_BYTES);
    }
    if (text.value > 0) {
        memcpy(b->text_end, text.data, (size_t)text.value);
    }
    b->text_end[text.value] = '\0';
    piece->text = b->text_end;
    piece->type = (enum ink_piece_type)type;
    b->text_end += text.value + 1;
    b->v->n_pieces++;
    return INK_OK;
}

static int read_id(const struct reader *r, const struct field *f, int32_t *out)
{
    /* An int32 travels as 64 bits: -1 is ten bytes of ones. */
    const int64_t value = (int64_t)f->value;
    int status = expect(r, f, wire_varint);
    if (status == INK_OK && (value < -1 || value > INK_MAX_PIECES)) {
        status = ink_fail(r->error, INK_ERROR_INPUT,
                          "%s: a special id is out of range (trainer_spec field %u, value %lld)",
                          r->path, f->number, (long long)value);
    }
    if (status == INK_OK) {
        *out = (int32_t)value;
    }
    return status;
}

static int read_model_type(const struct reader *r, const struct field *f, struct ink_vocabulary *v)
{
    int status = expect(r, f, wire_varint);
    if (status == INK_OK && f->value != INK_MODEL_BPE && f->value != INK_MODEL_UNIGRAM) {
        status = ink_fail(r->error, INK_ERROR_INPUT,
                          "%s: unsupported kind of SentencePiece model (model_type %llu; 1 Unigram "
                          "and 2 BPE are supported)",
                          r->path, (unsigned long long)f->value);
    }
    v->model_type = status == INK_OK ? (enum ink_model_type)f->value : v->model_type;
    return status;
}

static int read_trainer(struct reader r, struct ink_vocabulary *v)
{
    while (r.at < r.n) {
        struct field f;
        int status = read_field(&r, &f);
        if (status != INK_OK) {
            return status;
        }
        switch (f.number) {
        case trainer_model_type:
            status = read_model_type(&r, &f, v);
            break;
        case trainer_whitespace_suffix:
            status = expect(&r, &f, wire_varint);
            if (status == INK_OK && f.value != 0) {
                status = ink_fail(r.error, INK_ERROR_INPUT,
                                  "%s: treat_whitespace_as_suffix is not supported", r.path);
            }
            break;
        case trainer_byte_fallback:
            status = expect(&r, &f, wire_varint);
            v->byte_fallback = f.value != 0;
            break;
        case trainer_unk_id:
            status = read_id(&r, &f, &v->unk_id);
            break;
        case trainer_bos_id:
            status = read_id(&r, &f, &v->bos_id);
            break;
        case trainer_eos_id:
            status = read_id(&r, &f, &v->eos_id);
            break;
        case trainer_pad_id:
            status = read_id(&r, &f, &v->pad_id);
            break;
        default:
            break;
        }
        if (status != INK_OK) {
            return status;
        }
    }
    return INK_OK;
}

static int read_normalizer(struct reader r, struct ink_vocabulary *v)
{
    while (r.at < r.n) {
        struct field f;
        int status = read_field(&r, &f);
        if (status == INK_OK && f.number == normalizer_charsmap) {
            status = expect(&r, &f, wire_bytes);
            v->charsmap = f.data;
            v->n_charsmap = (size_t)f.value;
        } else if (status == INK_OK && f.number == normalizer_dummy) {
            status = expect(&r, &f, wire_varint);
            v->add_dummy_prefix = f.value != 0;
        } else if (status == INK_OK && f.number == normalizer_extra) {
            status = expect(&r, &f, wire_varint);
            v->remove_extra_whitespaces = f.value != 0;
        } else if (status == INK_OK && f.number == normalizer_escape) {
            status = expect(&r, &f, wire_varint);
            if (status == INK_OK && f.value == 0) {
                status = ink_fail(r.error, INK_ERROR_INPUT,
                                  "%s: escape_whitespaces = false is not supported", r.path);
            }
        }
        if (status != INK_OK) {
            return status;
        }
    }
    return INK_OK;
}

static int read_denormalizer(struct reader r)
{
    struct ink_vocabulary other = {0};
    int status = read_normalizer(r, &other);
    if (status == INK_OK && other.n_charsmap > 0) {
        status = ink_fail(r.error, INK_ERROR_INPUT, "%s: a denormalizer is not supported", r.path);
    }
    return status;
}

static int read_model_field(struct reader *r, struct building *b)
{
    struct field f;
    int status = read_field(r, &f);
    if (status != INK_OK) {
        return status;
    }
    if (f.number == model_pieces || f.number == model_trainer || f.number == model_normalizer ||
        f.number == model_denormalizer) {
        status = expect(r, &f, wire_bytes);
    }
    if (status != INK_OK) {
        return status;
    }
    switch (f.number) {
    case model_pieces:
        if (b->v->n_pieces >= b->max_pieces) {
            return ink_fail(r->error, INK_ERROR_INPUT,
                            "%s: more pieces than the model has embedding rows (limit %d)", r->path,
                            b->max_pieces);
        }
        return read_piece(inside(r, &f), b);
    case model_trainer:
        return read_trainer(inside(r, &f), b->v);
    case model_normalizer:
        return read_normalizer(inside(r, &f), b->v);
    case model_denormalizer:
        return read_denormalizer(inside(r, &f));
    default:
        return INK_OK;
    }
}

int ink_vocabulary_read(struct ink_vocabulary *v, const void *proto, size_t n, int max_pieces,
                        const char *path, struct ink_error *error)
{
    /* the proto's defaults */
    *v = (struct ink_vocabulary){.model_type = INK_MODEL_UNIGRAM,
                                 .add_dummy_prefix = true,
                                 .remove_extra_whitespaces = true,
                                 .unk_id = 0,
                                 .bos_id = 1,
                                 .eos_id = 2,
                                 .pad_id = -1};
    if (n > INK_MAX_MODEL_PROTO) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: too large (%llu bytes, limit %llu)", path,
                        (unsigned long long)n, (unsigned long long)INK_MAX_MODEL_PROTO);
    }
    max_pieces = max_pieces < INK_MAX_PIECES ? max_pieces : INK_MAX_PIECES;
    /* A piece takes 2 bytes beside its text in the file, so the texts with their zeros fit in n,
     * and there are at most n / 2 of them. */
    size_t room = n / 2 < (size_t)max_pieces ? n / 2 : (size_t)max_pieces;
    v->text = ink_malloc(n + 1);
    v->pieces = ink_calloc(room + 1, sizeof *v->pieces);
    if (!v->text || !v->pieces) {
        return ink_fail_memory(error, n + room * sizeof *v->pieces);
    }
    struct reader r = {proto, n, 0, path, error};
    struct building b = {v, v->text, max_pieces};
    while (r.at < r.n) {
        int status = read_model_field(&r, &b);
        if (status != INK_OK) {
            return status;
        }
    }
    return INK_OK;
}

/* ----------------------------------------------------------------------------------- writing */

static void put_varint(struct ink_string *out, uint64_t value)
{
    char bytes[10];
    size_t n = 0;
    for (; value >= 0x80; value >>= 7) {
        bytes[n++] = (char)(value | 0x80);
    }
    bytes[n++] = (char)value;
    ink_string_append(out, bytes, n);
}

static void put_number(struct ink_string *out, uint32_t number, int64_t value)
{
    put_varint(out, number << 3 | wire_varint);
    put_varint(out, (uint64_t)value);
}

static void put_bytes(struct ink_string *out, uint32_t number, const void *data, size_t n)
{
    put_varint(out, number << 3 | wire_bytes);
    put_varint(out, n);
    ink_string_append(out, data, n);
}

static void put_piece(struct ink_string *out, struct ink_string *message,
                      const struct ink_piece *piece)
{
    uint32_t bits;
    memcpy(&bits, &piece->score, sizeof bits);
    const char score[5] = {piece_score << 3 | wire_fixed32, (char)bits, (char)(bits >> 8),
                           (char)(bits >> 16), (char)(bits >> 24)};
    message->length = 0;
    put_bytes(message, piece_text, piece->text, strlen(piece->text));
    ink_string_append(message, score, sizeof score);
    put_number(message, piece_type, piece->type);
    put_bytes(out, model_pieces, message->data, message->length);
    out->failed |= message->failed;
}

static void put_trainer(struct ink_string *out, struct ink_string *message,
                        const struct ink_vocabulary *v)
{
    message->length = 0;
    put_number(message, trainer_model_type, v->model_type);
    put_number(message, trainer_byte_fallback, v->byte_fallback);
    put_number(message, trainer_unk_id, v->unk_id);
    put_number(message, trainer_bos_id, v->bos_id);
    put_number(message, trainer_eos_id, v->eos_id);
    put_number(message, trainer_pad_id, v->pad_id);
    put_bytes(out, model_trainer, message->data, message->length);
    out->failed |= message->failed;
}

static void put_normalizer(struct ink_string *out, struct ink_string *message,
                           const struct ink_vocabulary *v, bool raw)
{
    message->length = 0;
    if (v->n_charsmap > 0) {
        put_bytes(message, normalizer_charsmap, v->charsmap, v->n_charsmap);
    }
    put_number(message, normalizer_dummy, v->add_dummy_prefix && !raw);
    put_number(message, normalizer_extra, v->remove_extra_whitespaces && !raw);
    put_bytes(out, model_normalizer, message->data, message->length);
    out->failed |= message->failed;
}

void ink_vocabulary_write(const struct ink_vocabulary *v, bool raw, struct ink_string *out)
{
    struct ink_string message = {0};
    for (int i = 0; i < v->n_pieces; i++) {
        put_piece(out, &message, &v->pieces[i]);
    }
    put_trainer(out, &message, v);
    put_normalizer(out, &message, v, raw);
    ink_string_free(&message);
}

void ink_vocabulary_free(struct ink_vocabulary *v)
{
    ink_free(v->text);
    ink_free(v->pieces);
    ink_free(v->slots);
    *v = (struct ink_vocabulary){0};
}
