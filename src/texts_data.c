/* Texts of training data: src/data, and what the command line says of it. */
#include "texts.h"

const struct ink_translation ink_texts_data[] = {
    /* reading */
    {"%s: line %llu: %s", "%s：第 %llu 行：%s"},
    {"%s: line %llu: a record longer than %llu bytes, the limit",
     "%s：第 %llu 行：记录超过上限 %llu 字节"},
    {"%s: line %llu: does not begin with \"q:\"", "%s：第 %llu 行：不以 \"q:\" 或 \"问：\" 开头"},
    {"%s: line %llu: a question without its \"a:\"",
     "%s：第 %llu 行：问题之后没有 \"a:\" 或 \"答：\""},
    {"not a JSON array", "不是 JSON 数组"},
    {"text after the end of the array", "数组结束之后还有文本"},
    {"a comma or the array's closing bracket is missing", "缺少逗号或数组的右括号"},
    {"an element of the array is missing, or has no end", "数组缺少一个元素，或元素没有结尾"},
    {"a quoted field without its closing quote", "带引号的字段没有右引号"},
    {"text after the closing quote of a field (a quote inside it must be doubled)",
     "字段的右引号之后还有文本（字段内的引号必须写两次）"},
    {"%s: too many columns (limit %d)", "%s：列太多（上限 %d）"},
    {"%s: two columns have the name \"%.80s\"", "%s：有两列同名 \"%.80s\""},
    {"%s: %d fields, but the header has %d", "%s：有 %d 个字段，而表头有 %d 个"},
    {"%s: a zero byte (byte %llu)", "%s：有零字节（第 %llu 字节）"},
    {"%s: not UTF-8 (byte %llu); a file in GBK has to be converted first",
     "%s：不是 UTF-8（第 %llu 字节）；GBK 文件须先转换编码"},
    {"%s: UTF-16 text; it must be saved as UTF-8", "%s：这是 UTF-16 文本，须另存为 UTF-8"},
    {"%s: its format cannot be told (--format jsonl, json, csv, tsv, tsv-plain, qa or lines)",
     "%s：无法判断其格式（--format 可为 jsonl、json、csv、tsv、tsv-plain、qa 或 lines）"},
    {"%s: more than %d records", "%s：超过 %d 条记录"},
    {"%s: all %llu records are broken; the first: %s", "%s：全部 %llu 条记录都有错误；第一条：%s"},
    {"%s: holds no records", "%s：没有记录"},
    {"%s: two columns would be \"%s\": that one, and \"%s\"",
     "%s：会有两列叫 \"%s\"：这一列，以及 \"%s\""},
    /* schemas */
    {"%s: no known schema has its fields (%s)", "%s：没有已知的数据模式具有这些字段（%s）"},
    {"%s: preference data (chosen and rejected answers) cannot be learnt from",
     "%s：不支持偏好数据（选中与未选中的回答）"},
    {"%s: \"%s\" is empty", "%s：\"%s\" 为空"},
    {"%s: \"%s\" is not supported: write it into the texts", "%s：不支持 \"%s\"：请将其写入文本"},
    {"a list", "列表"},
    {"a list of strings", "字符串的列表"},
    {"a list of pairs of strings", "字符串对的列表"},
    {"a list of 0 and 1", "0 和 1 的列表"},
    {"a string or a list of parts of type text", "字符串或 text 类型部分的列表"},
    {"%s: \"label\" is not a list of %d numbers", "%s：\"label\" 不是 %d 个数字的列表"},
    {"%s: \"src\" has %d turns and \"tgt\" %d: there must be as many of both",
     "%s：\"src\" 有 %d 轮，\"tgt\" 有 %d 轮：两者必须一样多"},
    {"%s: unknown role \"%.40s\"", "%s：未知的角色 \"%.40s\""},
    {"a turn without a role", "有一轮没有角色"},
    {"%s: turn %d is the %s's, where the %s's must come", "%s：第 %d 轮是 %s 的，此处应为 %s 的"},
    {"the last turn is not the assistant's", "最后一轮不是 assistant 的"},
    {"none of its turns is to be learnt", "没有要学习的轮次"},
    /* tokens */
    {"%s: line %llu: %s has %llu tokens, more than %d, the limit",
     "%s：第 %llu 行：%s有 %llu 个词元，超过上限 %d"},
    {"the answer", "回答"},
    {"%s: line %llu: %llu tokens are more than the model's context of %d",
     "%s：第 %llu 行：%llu 个词元超过模型的上下文长度 %d"},
    {"the tokenizer lacks the tokens of the chat format", "分词器没有对话格式所需的词元"},
    {"the tokenizer has no end token", "分词器没有结束词元"},
    {"%s: line %llu: no token is left to learn", "%s：第 %llu 行：没有要学习的词元"},
    /* orders */
    {"%s: \"%.40s\" is not a whole number of at most %d digits",
     "%s：\"%.40s\" 不是至多 %d 位的整数"},
    /* split */
    {"%s: \"%s\" is not three numbers such as 8:1:1, the first above 0",
     "%s：\"%s\" 不是形如 8:1:1 的三个数，且第一个大于 0"},
    {"%s: exists already, and is not as split wrote it (--force replaces it)",
     "%s：已经存在，且不是 split 写入时的样子（--force 可替换）"},
    {"%s: is the data itself; name another folder with -o",
     "%s：就是数据本身；请用 -o 指定另一个文件夹"},
    {"DATA is missing (see --help)", "缺少 DATA（见 --help）"},
    {"--group-until: needs a text, and --group-by with it",
     "--group-until：需要文本，并与 --group-by 同用"},
    {"%llu broken records are left out; the first: %s", "略去 %llu 条有错误的记录；第一条：%s"},
    {"%s.json is empty: too few records for the ratio", "%s.json 为空：记录太少，无法按比例划分"},
    {"measuring", "统计"},
    {"records", "记录"},
    {"file", "文件"},
    {"lengths of", "长度"},
    {"questions, characters", "问题，字符"},
    {"answers, characters", "回答，字符"},
    {"texts, characters", "文本，字符"},
    {"texts, tokens", "文本，词元"},
    {"questions, tokens", "问题，词元"},
    {"answers, tokens", "回答，词元"},
    {"%s: %llu records (format %s, schema %s)\n", "%s：%llu 条记录（格式 %s，模式 %s）\n"},
    {"%llu groups by \"%s\", none of them torn\n", "%llu 组，按 \"%s\"，没有拆开任何一组\n"},
    {"\n%llu records are the same as an earlier one\n", "\n%llu 条记录与更早的一条相同\n"},
    {"%llu of the %llu questions of %s.json are also in %s.json\n",
     "%llu 个问题（共 %llu 个，%s.json）也在 %s.json 中\n"},
    /* help */
    {"data for training in three parts: train, val and test",
     "把训练数据分为 train、val、test 三份"},
    {"DATA is a file of questions and answers, or of texts: JSON lines, a JSON array, CSV, TSV, "
     "or\n"
     "q:... a:... lines. DIR gets train.json, val.json and test.json, a JSON object a line, and\n"
     "split.json, which says how they came about. Each appears whole or not at all. Prints "
     "counts,\n"
     "lengths, duplicates and questions that are in two parts.",
     "DATA 是问答或文本的文件：JSON 行、JSON 数组、CSV、TSV 或 q:... a:... 行。\n"
     "DIR 中写入 train.json、val.json、test.json（每行一个 JSON 对象）和说明其由来的\n"
     "split.json。每个文件要么完整出现，要么不出现。\n"
     "打印数量、长度、重复的记录，以及同时在两份中的问题。"},
    {"the folder to write to", "写入的文件夹"},
    {"sizes of train, val and test (default 8:1:1)", "train、val、test 的大小（默认 8:1:1）"},
    {"any whole number (default 42): the order is that of Python's"
     "\nrandom.seed(N); random.shuffle(records)",
     "任意整数（默认 42）：次序与 Python 的"
     "\nrandom.seed(N); random.shuffle(records) 相同"},
    {"records with the same value of FIELD, such as an entity, go to the"
     "\nsame file; sizes then come as near the ratio as they can",
     "FIELD（例如实体）的值相同的记录放进同一个文件；"
     "\n大小则尽量接近比例"},
    {"of FIELD only what stands before TEXT counts: --group-by output"
     "\n--group-until 的 groups answers by what they begin with",
     "FIELD 中只有 TEXT 之前的部分算数：--group-by output"
     "\n--group-until 的 按回答的开头分组"},
    {"replace files that are not, or no longer, as split wrote them;"
     "\nits own are replaced without asking",
     "替换不是（或不再是）split 写入时样子的文件；"
     "\n它自己写的文件不加询问即替换"},
    {"of the data: auto (the default), jsonl, json (an array), csv, tsv,"
     "\ntsv-plain (quotes mean nothing), qa (q:... a:...), lines (texts)",
     "数据的格式：auto（默认）、jsonl、json（数组）、csv、tsv、"
     "\ntsv-plain（引号无特殊含义）、qa（q:... a:...）、lines（文本）"},
    {"of its records: auto (the default), input-output, alpaca, erniekit,"
     "\nsharegpt, messages (OpenAI's), text",
     "记录的模式：auto（默认）、input-output、alpaca、erniekit、"
     "\nsharegpt、messages（OpenAI 的）、text"},
    {"the key or column that holds the question; default: input, prompt,"
     "\nquestion, query or 问题",
     "问题所在的键或列；默认：input、prompt、"
     "\nquestion、query 或 问题"},
    {"the one that holds the answer; default: output, completion,"
     "\nanswer, response or 答案",
     "回答所在的键或列；默认：output、completion、"
     "\nanswer、response 或 答案"},
    {"the one that holds a system text (default system)", "系统文本所在的键或列（默认 system）"},
    {"the one that holds a plain text (default text)", "纯文本所在的键或列（默认 text）"},
    {"leave out broken records and count them, instead of stopping at the"
     "\nfirst",
     "略去有错误的记录并计数，而不是在第一条处停止"},
    {"state lengths in tokens too, of the tokenizer in this folder",
     "也以词元计长度，用此文件夹中的分词器"},
};
const size_t ink_texts_data_count = sizeof ink_texts_data / sizeof ink_texts_data[0];
