#include "texts.h"

#include <string.h>

/* English (the key, exactly as in the source) and Chinese, by file. Conversions come in the same
 * order on both sides. */
static const struct {
    const char *english, *chinese;
} table[] = {
    /* common */
    {"out of memory (%llu bytes)", "内存不足（需要 %llu 字节）"},
    {"%s: %s", "%s：%s"},
    /* files */
    /* json */
    /* weights: safetensors, pytorch, gguf */
    /* tokenizer, chat */
    {"%s: too large (%llu bytes, limit %llu)", "%s：过大（%llu 字节，上限 %llu）"},
    {"out of memory in SentencePiece", "SentencePiece 内存不足"},
    {"%s: SentencePiece failed (%s)", "%s：SentencePiece 出错（%s）"},
    {"%s: not a SentencePiece model: %s (byte %llu of a message of %llu)",
     "%s：不是 SentencePiece 模型：%s（第 %llu 字节，所在消息共 %llu 字节）"},
    {"a number is cut off", "数字被截断"},
    {"a number of more than 64 bits", "数字超过 64 位"},
    {"a length that runs past the end", "长度超出末尾"},
    {"a field number out of range", "字段号超出范围"},
    {"a field of an unsupported wire type", "字段的编码类型不受支持"},
    {"a field of the wrong wire type", "字段的编码类型不对"},
    {"%s: piece %d has an unknown type (%llu)", "%s：第 %d 个词片的类型未知（%llu）"},
    {"%s: piece %d has no score", "%s：第 %d 个词片没有分数"},
    {"%s: piece %d has a zero byte or is too long (%llu bytes, limit %d)",
     "%s：第 %d 个词片含零字节或过长（%llu 字节，上限 %d）"},
    {"%s: a special id is out of range (trainer_spec field %u, value %lld)",
     "%s：特殊词元编号超出范围（trainer_spec 字段 %u，值 %lld）"},
    {"%s: unsupported kind of SentencePiece model (model_type %llu; 1 Unigram and 2 BPE are "
     "supported)",
     "%s：不支持这种 SentencePiece 模型（model_type %llu；支持 1 Unigram 和 2 BPE）"},
    {"%s: treat_whitespace_as_suffix is not supported", "%s：不支持 treat_whitespace_as_suffix"},
    {"%s: escape_whitespaces = false is not supported", "%s：不支持 escape_whitespaces = false"},
    {"%s: a denormalizer is not supported", "%s：不支持 denormalizer"},
    {"%s: more pieces than the model has embedding rows (limit %d)",
     "%s：词片数多于模型的嵌入行数（上限 %d）"},
    {"%s: pieces %d and %d have the same text", "%s：第 %d 个和第 %d 个词片的文本相同"},
    {"%s: piece %d is empty", "%s：第 %d 个词片为空"},
    {"%s: piece %d is not UTF-8", "%s：第 %d 个词片不是 UTF-8"},
    {"%s: piece %d has a score out of range (%g)", "%s：第 %d 个词片的分数超出范围（%g）"},
    {"%s: pieces %d and %d are both the unknown one", "%s：第 %d 个和第 %d 个词片都是未知词片"},
    {"%s: control piece %d is a single character", "%s：第 %d 个词片是控制词片，却只有一个字符"},
    {"%s: user-defined piece %d holds a space", "%s：第 %d 个词片由用户定义，却含空格"},
    {"%s: piece %d is no byte \"<0x00>\" to \"<0xFF>\", or byte_fallback is not set",
     "%s：第 %d 个词片不是 \"<0x00>\" 到 \"<0xFF>\" 的字节，或未设置 byte_fallback"},
    {"%s: no piece is the unknown one", "%s：没有未知词片"},
    {"%s: byte_fallback is set, but the piece of byte %d is missing",
     "%s：设置了 byte_fallback，但缺少字节 %d 的词片"},
    {"%s: %s is out of range (%d of %d pieces)", "%s：%s 超出范围（%d，共 %d 个词片）"},
    {"%s: %s and %s are both %d", "%s：%s 和 %s 都是 %d"},
    {"%s: too many user-defined pieces begin with one another (limit %d)",
     "%s：互为前缀的用户定义词片过多（上限 %d）"},
    {"%s: no pieces", "%s：没有词片"},
    {"%s: precompiled_charsmap is damaged: %s", "%s：precompiled_charsmap 已损坏：%s"},
    {"its length does not fit", "长度不符"},
    {"its text has no end", "文本没有结尾"},
    {"its text is not UTF-8", "文本不是 UTF-8"},
    {"its trie points outside itself", "字典树指向自身之外"},
    {"a replacement is outside its text or too long", "替换文本越界或过长"},
    {"its trie has a cycle, or a rule is too long", "字典树有环，或规则过长"},
    {"too many rules begin with one another", "互为前缀的规则过多"},
    {"%s: token %lld is empty or too long (%llu bytes, limit %d)",
     "%s：词元 %lld 为空或过长（%llu 字节，上限 %d）"},
    {"%s: the id of token \"%s\" is out of range (%lld, vocabulary %d)",
     "%s：词元 \"%s\" 的编号超出范围（%lld，词表 %d）"},
    {"%s: token \"%s\" has two ids (%d and %lld)", "%s：词元 \"%s\" 有两个编号（%d 和 %lld）"},
    {"%s: tokens \"%s\" and \"%s\" have the same id (%lld)",
     "%s：词元 \"%s\" 和 \"%s\" 的编号相同（%lld）"},
    {"%s: \"%s\" is no token", "%s：\"%s\" 不是词元"},
    {"text: %llu bytes without a place to cut (limit %d)",
     "文本：有 %llu 字节无处可切分（上限 %d）"},
    {"text: too long (%llu bytes, limit %llu)", "文本过长（%llu 字节，上限 %llu）"},
    {"%s: unsupported tokenizer.ggml.model (only \"llama\" is)",
     "%s：不支持这种 tokenizer.ggml.model（只支持 \"llama\"）"},
    {"%s: tokenizer.ggml.tokens is missing, empty, or longer than the embedding (%lld tokens, %d "
     "rows)",
     "%s：tokenizer.ggml.tokens 缺失、为空或比嵌入矩阵长（%lld 个词元，%d 行）"},
    {"%s: tokenizer.ggml.tokens, .scores and .token_type differ in length (%lld, %lld, %lld)",
     "%s：tokenizer.ggml.tokens、.scores、.token_type 长度不同（%lld、%lld、%lld）"},
    {"a chat message has no role or no content", "对话消息缺少角色或内容"},
    {"unknown role \"%.40s\" of a chat message (system, user or assistant)",
     "对话消息的角色 \"%.40s\" 未知（应为 system、user 或 assistant）"},
    {"this model has no chat format (its vocabulary lacks %s or %s)",
     "这个模型没有对话格式（词表缺少 %s 或 %s）"},
    {"the model's chat template is not ERNIE 4.5's, which is used instead; they differ first in "
     "its line %d: \"%s\", not \"%s\"",
     "模型的对话模板不是 ERNIE 4.5 的模板，程序改用后者；第一处不同在其第 %d 行：是 \"%s\"，而非 "
     "\"%s\""},
    {"%s: opened without a tokenizer", "%s：打开时没有分词器"},
    /* config, model, session, sampler */
    /* export, doctor */
    /* command line */
};

const char *ink_texts_find_chinese(const char *english)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(table[i].english, english) == 0) {
            return table[i].chinese;
        }
    }
    return NULL;
}
