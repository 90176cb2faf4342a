/* Samples as tokens, and which of them are trained on: the answers and the token that ends each,
 * never the prompts.
 *
 * Each exchange of a sample (a system text and a question, then an answer) becomes
 *
 *   INK_TEMPLATE_NONE   prompt  [begin] system "\n" question     for base models; begin is the
 * token answer  answer </s>                      that plain text of this model starts with (ERNIE
 * has none) INK_TEMPLATE_CHAT   prompt  <|begin_of_sentence|> system "\n" "User: " question "\n"
 * "Assistant: " answer  answer <|end_of_sentence|>
 *
 * (begin and system in the first exchange only), and a text becomes [begin] text </s> under either.
 * Prompt and answer are tokenised separately, each as one string: so no token lies across the
 * border, and the prompt has the ids that it has when the model is asked. Where tokenising both
 * together would give other ids, `differs_jointly` says so. Special tokens inside texts stay text.
 *
 * Limits. Of a longer prompt the first max_prompt tokens are kept, begin among them, as Hugging
 * Face's truncation does; under a chat template its last tokens are those of "\nAssistant: " all
 * the same, so that the answer follows what it always follows. Of a longer answer (its end token
 * not counted) the first max_response are kept, and no end token is trained on; between exchanges
 * there is one that is not trained on, and after the last none. With refuse_long nothing is cut:
 * INK_ERROR_LIMIT names line, tokens and limit. Texts are encoded whole, however long they are:
 * ink_encoded_window cuts them.
 *
 * trained[0] is always 0: nothing comes before it that could predict it. */
#ifndef INK_DATA_ENCODE_H
#define INK_DATA_ENCODE_H

#include "dataset.h"
#include "tokenizer.h"

enum ink_encode_template { INK_TEMPLATE_NONE, INK_TEMPLATE_CHAT };

struct ink_encode_options {
    enum ink_encode_template chat_template;
    int32_t end_token; /* of plain answers and texts: ink_model_plain_end_token, so that a model
                          learns to stop where it is stopped; 0: the tokenizer's </s> */
    int max_prompt, max_response; /* tokens; 0: no limit */
    int max_context; /* the model's; 0: no limit. A sample that is longer all the same (several
                        turns, or no limits) and no text is refused */
    bool refuse_long;
    bool compare_joint; /* fill differs_jointly, which costs tokenising twice */
};

/* Start with {0}. Encoding fills it anew and uses its memory again. */
struct ink_encoded {
    int32_t *tokens;  /* [n] */
    uint8_t *trained; /* [n], 1: the loss of predicting this token counts */
    size_t n, n_trained;
    size_t n_prompt; /* tokens before the first answer */
    bool is_text;
    bool prompt_cut, response_cut;
    bool differs_jointly;
    size_t capacity;
};
void ink_encoded_free(struct ink_encoded *encoded);

/* A part of an encoded sample: tokens[begin .. begin + n - 1]. Start with {0}. */
struct ink_window {
    size_t begin, n;
};
/* The next of the windows in which a text of more than `limit` tokens (at least 2) is read, as GPTs
 * read long texts; false after the last. The first has limit tokens. Each that follows begins with
 * the last token of the one before, which is there to be read, not to be predicted (its flag in
 * `trained` does not count), and has up to limit - 1 more. So each token of a text but its first is
 * trained on once, and its end token ends the last window only. Other samples are one window. */
bool ink_encoded_next(const struct ink_encoded *encoded, struct ink_window *window, size_t limit);

/* INK_ERROR_INPUT if the template needs tokens that the tokenizer lacks, or none of the tokens left
 * is trained on; INK_ERROR_LIMIT for what is too long. `path` is for messages. */
int ink_encode_sample(const struct ink_tokenizer *tokenizer, struct ink_encoded *out,
                      const struct ink_sample *sample, const struct ink_encode_options *options,
                      const char *path, struct ink_error *error);

#endif
