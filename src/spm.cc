#include "spm.h"

#include <sentencepiece_processor.h>

#include <exception>
#include <new>
#include <vector>

struct ink_spm {
    sentencepiece::SentencePieceProcessor processor;
};

/* Run `body`, which returns a status; turn what it throws into a status. */
template <typename Body> static int guarded(struct ink_error *error, const char *path, Body body)
{
    try {
        return body();
    } catch (const std::bad_alloc &) {
        return ink_fail(error, INK_ERROR_MEMORY, "out of memory in SentencePiece");
    } catch (const std::exception &e) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: SentencePiece failed (%s)", path, e.what());
    } catch (...) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: SentencePiece failed (%s)", path, "?");
    }
}

extern "C" int ink_spm_open(struct ink_spm **out, const void *proto, size_t n, const char *path,
                            struct ink_error *error)
{
    ink_spm *spm = nullptr;
    *out = nullptr;
    /* protobuf crashes where operator new throws: see first that there is memory. It takes some ten
     * times the model's size. */
    size_t room = 16 * n + (1u << 20);
    void *probe = ink_malloc(room);
    if (!probe) {
        return ink_fail_memory(error, room);
    }
    ink_free(probe);
    int status = guarded(error, path, [&] {
        spm = new ink_spm;
        auto loaded = spm->processor.LoadFromSerializedProto(
            absl::string_view(static_cast<const char *>(proto), n));
        return loaded.ok() ? static_cast<int>(INK_OK)
                           : ink_fail(error, INK_ERROR_INPUT, "%s: SentencePiece failed (%s)", path,
                                      loaded.error_message());
    });
    if (status != INK_OK) {
        ink_spm_close(spm);
        return status;
    }
    *out = spm;
    return INK_OK;
}

extern "C" void ink_spm_close(struct ink_spm *spm)
{
    delete spm;
}

extern "C" int ink_spm_encode(const struct ink_spm *spm, struct ink_ids *ids, const char *text,
                              size_t n, struct ink_error *error)
{
    return guarded(error, "text", [&] {
        std::vector<int> found;
        auto encoded = spm->processor.Encode(absl::string_view(text, n), &found);
        if (!encoded.ok()) {
            return ink_fail(error, INK_ERROR_INPUT, "%s: SentencePiece failed (%s)", "text",
                            encoded.error_message());
        }
        static_assert(sizeof(int) == sizeof(int32_t), "ids are copied as they are");
        return ink_ids_append(ids, found.data(), found.size())
                   ? static_cast<int>(INK_OK)
                   : ink_fail_memory(error, (ids->length + found.size()) * sizeof(int32_t));
    });
}
