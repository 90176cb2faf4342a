/* Texts of evaluation: src/eval, and what the command line says of it. */
#include "texts.h"

const struct ink_translation ink_texts_eval[] = {
    {"%s: \"%.*s\" is no metric (known: loss, bleu-13a, bleu-zh, bleu-char, rouge-l, rouge-l-char, "
     "exact, bleu, rouge, all)",
     "%s：“%.*s”不是指标（可用：loss、bleu-13a、bleu-zh、bleu-char、rouge-l、rouge-l-"
     "char、exact、bleu、rouge、all）"},
    {"%s: a text of %llu tokens is longer than the model's context of %d",
     "%s：%llu 个词元的文本超过模型的上下文长度 %d"},
    {"loss", "损失"},
    {"perplexity", "困惑度"},
    {"eval_loss of Hugging Face, batches of %d", "Hugging Face 的 eval_loss，每批 %d 条"},
    {"its exponential", "其指数"},
    {"ROUGE-L, as rouge_score", "ROUGE-L（同 rouge_score）"},
    {"ROUGE-L, characters", "ROUGE-L（按字符）"},
    {"exact match", "完全匹配"},
    {"exact match, normalised", "完全匹配（规范化后）"},
    {"answers cut short", "未写完的回答"},
    {"the answers and the token that ends each", "回答及其结束词元"},
    {"the answers without the token that ends each", "回答，不含结束词元"},
    {"every token, prompts too", "所有词元，包括提示词"},
    {"loss: mean of -ln p over tokens of scope %s: %s",
     "损失：范围 %s（%s）内各词元 -ln p 的平均值"},
    {"windows: longer texts (%llu) are read in samples of %llu tokens, each from the last token of "
     "the one before on\n",
     "窗口：更长的文本（%llu 个）以 %llu 个词元的样本读取，每个从前一个的最后一个词元开始\n"},
    {"perplexity: its exponential, so tokens weigh the same, not texts",
     "困惑度：损失的指数，每个词元（而不是每条文本）权重相同"},
    {"answers", "回答"},
    {"Evaluation", "评测"},
    {"data", "数据"},
    {"Metrics", "指标"},
    {"Loss curve", "损失曲线"},
    {"Answers", "回答对照"},
    {"line", "行"},
    {"question", "问题"},
    {"expected", "参考答案"},
    {"%s: line %llu: no token is left whose prediction counts (scope %s)",
     "%s：第 %llu 行：没有计入损失的词元（范围 %s）"},
    {"%s: \"%s\" is the data itself", "%s：“%s”就是数据文件本身"},
    {"%s: \"%s\" is the file of --predictions", "%s：“%s”已是 --predictions 的文件"},
    {"--metrics: \"%s\" needs answers, but %s has texts only (loss is what can be told)",
     "--metrics：“%s”需要回答，但 %s 只有文本（只能计算 loss）"},
    {" (weights %s, computed in %s, template %s)", "（权重 %s，以 %s 计算，模板 %s）"},
    {"measuring the loss", "计算损失"},
    {"writing answers", "生成回答"},
    {"%s: %llu broken records were left out; the first: %s",
     "%s：跳过了 %llu 条损坏的记录；第一条：%s"},
    {"%llu prompts and %llu answers were cut to the limits in tokens",
     "%llu 条提示词和 %llu 条回答被截断到词元上限"},
    {"rouge_score's ROUGE-L sees nothing of %llu of %llu answers: it knows ASCII letters and "
     "digits only. For Chinese take ROUGE-L over characters, and BLEU zh or char, since BLEU 13a "
     "takes a sentence as one word",
     "rouge_score 的 ROUGE-L 对 %llu 条（共 %llu 条）回答看不到任何词：它只认 ASCII "
     "字母和数字。中文请看按字符的 ROUGE-L，以及 BLEU zh 或 char，因为 BLEU 13a "
     "把一句话当作一个词"},
    {"drawn (temperature %g, top-k %d, top-p %g, seed %llu)",
     "采样（温度 %g，top-k %d，top-p %g，种子 %llu）"},
    {"greedy", "贪心"},
    {", repetition penalty %g", "，重复惩罚 %g"},
    {", at most %d tokens", "，最多 %d 个词元"},
    {"baseline", "基线"},
    {"%llu samples\n", "%llu 条样本\n"},
    {"loss, perplexity, BLEU, ROUGE-L and exact match on a file of questions and answers",
     "在问答文件上计算损失、困惑度、BLEU、ROUGE-L 和完全匹配"},
    {"DATA: JSON lines, a JSON array, CSV, TSV or q:... a:... lines, as split and train read "
     "them.\n"
     "Answers are greedy unless a sampling option or --preset says otherwise: what the model's "
     "own\n"
     "settings ask for does not count here.",
     "DATA：JSON 行、JSON 数组、CSV、TSV 或 q:... a:... 行，与 split 和 train 的读法相同。\n"
     "除非采样选项或 --preset 另有说明，回答用贪心生成：这里不采用模型自带的设置。"},
    {"chat: questions and answers in the model's format; none: their\ntext alone; auto (the "
     "default): chat if the model has a chat\ntemplate. As the model was trained",
     "chat：问题和回答用模型的格式；none：只用其文本；\nauto（默认）：模型有对话模板时用 "
     "chat。应与训练时一致"},
    {"of loss, bleu-13a, bleu-zh, bleu-char, rouge-l, rouge-l-char, exact\n(bleu, rouge: all of "
     "their kind; default: all). Without those of\nanswers none are written, which takes most of "
     "the time",
     "loss、bleu-13a、bleu-zh、bleu-char、rouge-l、rouge-l-char、exact "
     "中的\n若干个（bleu、rouge：同类全部；默认：全部）。没有回答类指标时\n不生成回答，而生成最费时"
     "间"},
    {"tokens that count in the loss: answers and the token that ends each\n(answer-end, the "
     "default: what training minimises), answers alone,\nor all, prompts too",
     "计入损失的词元：回答及其结束词元（answer-"
     "end，默认：训练所\n最小化的）、只有回答（answer）、或全部（all，包括提示词）"},
    {"use the first N samples (default: all)", "使用前 N 条样本（默认：全部）"},
    {"keep the first N tokens of a longer prompt (default 0: all)",
     "更长的提示词只保留前 N 个词元（默认 0：全部）"},
    {"in the loss, keep the first N tokens of a longer answer\n(default 0: all)",
     "计算损失时，更长的回答只保留前 N 个词元\n（默认 0：全部）"},
    {"evaluate this model too, without --lora, and print both",
     "也评测此模型（不用 --lora），并列显示"},
    {"write each answer with its scores, a JSON object a line",
     "写出每条回答及其得分，每行一个 JSON 对象"},
    {"write a page with figures, loss curve and answers side by side",
     "写出网页：指标、损失曲线、并列的回答"},
    {"samples in work at a time (default 8): same figures, more memory",
     "同时处理的样本数（默认 8）：结果相同，内存更多"},
};
const size_t ink_texts_eval_count = sizeof ink_texts_eval / sizeof ink_texts_eval[0];
