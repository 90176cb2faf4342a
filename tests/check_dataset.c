/* The reader of training data: formats, schemas, what is refused and with which words. */
#include "support.h"

#include "../src/data/dataset.h"
#include "../src/system.h"

static const char base[] = "check_dataset_file";

static void write_bytes(const char *path, const char *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

/* The samples as "role: text | role: text", "+" after the role where it is trained on, with their
 * line before it, a line each; and the records that they came from. */
static void show(struct ink_string *out, const struct ink_dataset *d)
{
    struct ink_error error = {0};
    struct ink_sample s = {0};
    for (size_t i = 0; i < ink_dataset_get_info(d)->n_samples; i++) {
        assert_ok(ink_dataset_read(d, &s, i, &error));
        ink_string_printf(out, "%llu", (unsigned long long)s.line);
        for (int t = 0; t < s.n_turns; t++) {
            assert_int_equal(strlen(s.turns[t].text), s.turns[t].n_text);
            ink_string_printf(out, "%s%s%s: %s", t ? " | " : " ", ink_role_name(s.turns[t].role),
                              s.turns[t].is_trained ? "+" : "", s.turns[t].text);
        }
        ink_string_puts(out, "\n");
    }
    ink_sample_free(&s);
}

static struct ink_dataset *open_text(const char *ending, const char *text, size_t n,
                                     const struct ink_dataset_options *options, int *status,
                                     struct ink_error *error)
{
    char path[64];
    struct ink_dataset *d = NULL;
    snprintf(path, sizeof path, "%s%s", base, ending);
    write_bytes(path, text, n);
    *status = ink_dataset_open(&d, path, options, error);
    assert_true((*status == INK_OK) == (d != NULL));
    remove(path);
    return d;
}

/* Opens, and shows what is wanted. */
static void reads_as(const char *ending, const char *text,
                     const struct ink_dataset_options *options, const char *schema,
                     const char *wanted)
{
    struct ink_error error = {0};
    struct ink_string got = {0};
    int status;
    struct ink_dataset *d = open_text(ending, text, strlen(text), options, &status, &error);
    if (!d) {
        fail_msg("%s: %s", text, error.message);
    }
    show(&got, d);
    assert_string_equal(got.data, wanted);
    assert_string_equal(ink_dataset_get_info(d)->schema_name, schema);
    ink_string_free(&got);
    ink_dataset_close(d);
}

/* Is refused, with the text in the message. */
static void refuses_bytes(const char *ending, const char *text, size_t n,
                          const struct ink_dataset_options *options, const char *says)
{
    struct ink_error error = {0};
    int status;
    struct ink_dataset *d = open_text(ending, text, n, options, &status, &error);
    assert_null(d);
    if (status != INK_ERROR_INPUT || strncmp(error.message, base, sizeof base - 1) != 0 ||
        !strstr(error.message, says)) {
        fail_msg("%.60s: status %d, \"%s\", wanted \"%s\"", text, status, error.message, says);
    }
}

static void refuses(const char *text, const char *says)
{
    refuses_bytes("", text, strlen(text), NULL, says);
}

/* ---------------------------------------------------------------------------------------- schemas
 */

static void reads_each_schema(void **state)
{
    (void)state;
    reads_as("", "{\"input\": \"a\", \"output\": \"b\"}\n{\"input\":\"c\",\"output\":\"d\"}", NULL,
             "input-output", "1 user: a | assistant+: b\n2 user: c | assistant+: d\n");
    reads_as("", "{\"output\":\"b\",\"id\":7,\"system\":\"s\",\"input\":\"a\"}\n", NULL,
             "input-output", "1 system: s | user: a | assistant+: b\n");
    reads_as(
        "", /* ids need not differ */
        "{\"id\":7,\"input\":\"a\",\"output\":\"b\"}\n{\"id\":7,\"input\":\"c\",\"output\":\"d\"}",
        NULL, "input-output", "1 user: a | assistant+: b\n2 user: c | assistant+: d\n");
    reads_as("", "{\"prompt\":\"a\",\"completion\":\"b\"}\n", NULL, "prompt-completion",
             "1 user: a | assistant+: b\n");
    reads_as("", "{\"question\":\"a\",\"answer\":\"b\"}\n", NULL, "question-answer",
             "1 user: a | assistant+: b\n");
    reads_as("",
             "{\"instruction\":\"do\",\"input\":\"x\",\"output\":\"y\"}\n"
             "{\"instruction\":\"do\",\"input\":\"\",\"output\":\"y\",\"system\":\"s\"}\n"
             "{\"instruction\":\"do\",\"output\":\"y\",\"history\":[[\"q\",\"a\"]]}\n",
             NULL, "alpaca",
             "1 user: do\nx | assistant+: y\n2 system: s | user: do | assistant+: y\n"
             "3 user: q | assistant+: a | user: do | assistant+: y\n");
    reads_as("",
             "{\"src\":\"a\",\"tgt\":\"b\"}\n"
             "{\"system\":\"s\",\"src\":[\"a\",\"c\"],\"tgt\":[\"b\",\"d\"],\"label\":[0,1]}\n",
             NULL, "erniekit",
             "1 user: a | assistant+: b\n"
             "2 system: s | user: a | assistant: b | user: c | assistant+: d\n");
    reads_as("",
             "{\"conversations\":[{\"from\":\"human\",\"value\":\"a\"},"
             "{\"from\":\"function_call\",\"value\":\"f\"},"
             "{\"from\":\"observation\",\"value\":\"o\"},{\"from\":\"gpt\",\"value\":\"b\"}],"
             "\"system\":\"s\",\"tools\":\"\"}\n",
             NULL, "sharegpt",
             "1 system: s | user: a | assistant+: <tool_call>f</tool_call> | "
             "user: <tool_response>o</tool_response> | assistant+: b\n");
    reads_as("",
             "{\"messages\":[{\"role\":\"developer\",\"content\":\"s\"},"
             "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
             "{\"type\":\"text\",\"text\":\"b\"}]},"
             "{\"role\":\"assistant\",\"content\":\"c\",\"weight\":0},"
             "{\"role\":\"user\",\"content\":\"d\"},"
             "{\"role\":\"assistant\",\"content\":\"e\"}]}\n",
             NULL, "messages", "1 system: s | user: ab | assistant: c | user: d | assistant+: e\n");
    reads_as("", "{\"text\":\"once\"}\n", NULL, "text", "1 text+: once\n");
    reads_as("", "{\"问题\":\"甲\",\"答案\":\"乙\"}\n", NULL, "问题-答案",
             "1 user: 甲 | assistant+: 乙\n");
}

static void fields_can_be_named(void **state)
{
    (void)state;
    const struct ink_dataset_options named = {.input_field = "q", .output_field = "r"};
    const struct ink_dataset_options half = {.input_field = "q"};
    const struct ink_dataset_options text = {.text_field = "story"};
    const struct ink_dataset_options forced = {.schema = INK_SCHEMA_TEXT};
    reads_as("", "{\"q\":\"a\",\"r\":\"b\",\"input\":\"c\"}\n", &named, "input-output",
             "1 user: a | assistant+: b\n");
    reads_as(".csv", "id,q,output\n1,a,b\n", &half, "input-output", "2 user: a | assistant+: b\n");
    reads_as("", "{\"story\":\"x\"}\n", &text, "text", "1 text+: x\n");
    reads_as("", "{\"text\":\"x\",\"input\":\"a\",\"output\":\"b\"}\n", &forced, "text",
             "1 text+: x\n");
    refuses_bytes(".csv", "id,x\n1,a\n", 9, &half, "line 2: \"output\" is missing");
}

/* ---------------------------------------------------------------------------------------- formats
 */

static void reads_each_format(void **state)
{
    (void)state;
    const struct ink_dataset_options lines = {.format = INK_DATA_LINES};
    const struct ink_dataset_options plain = {.format = INK_DATA_TSV_PLAIN};
    reads_as("",
             "\xEF\xBB\xBF\r\n{\"input\":\"a\",\"output\":\"b\"}\r\n \t\r\n"
             "{\"input\":\"c\\r\\n\",\"output\":\"d\"}\r\n\r\n",
             NULL, "input-output", "2 user: a | assistant+: b\n4 user: c\r\n | assistant+: d\n");
    reads_as("",
             " [ {\"input\": \"a]\",\n  \"output\": \"\\\"b\"},\n\n {\"input\":\"{\",\"output\":"
             "\"d\"}\n]\n",
             NULL, "input-output", "1 user: a] | assistant+: \"b\n4 user: { | assistant+: d\n");
    reads_as(".csv", "input,output\r\n\"a,\"\"x\"\"\",\"b\nc\"\r\n\r\nd,e\"f", NULL, "input-output",
             "2 user: a,\"x\" | assistant+: b\nc\n5 user: d | assistant+: e\"f\n");
    reads_as(".TSV", "output\tinput\nb\ta\n\"d\td\"\tc\n", NULL, "input-output",
             "2 user: a | assistant+: b\n3 user: c | assistant+: d\td\n");
    reads_as("", "input\toutput\na\tb", NULL, "input-output", "2 user: a | assistant+: b\n");
    reads_as("", "input\toutput\n\"a\" or\tb \"c\"\n\"\t\"x\n", &plain, "input-output",
             "2 user: \"a\" or | assistant+: b \"c\"\n3 user: \" | assistant+: \"x\n");
    reads_as("", "one\n\n two \r\nthree", &lines, "text",
             "1 text+: one\n3 text+:  two \n4 text+: three\n");
    reads_as("",
             "q: what? a: this\nQ：今天？A：周二 \n问：几点？答：三点。\n\n  q:x\n\n a: y "
             "z\n问：是 a:吗\n",
             NULL, "input-output",
             "1 user: what? | assistant+: this\n2 user: 今天？ | assistant+: 周二\n"
             "3 user: 几点？ | assistant+: 三点。\n5 user: x | assistant+: y z\n"
             "8 user: 是 | assistant+: 吗\n");
}

/* An answer may stand on the line after its question, but not without one. */
static void pairs_on_two_lines(void **state)
{
    (void)state;
    reads_as("", "问：是吗\n答： 是\xE3\x80\x80\nq:a b?a:c\n", NULL, "input-output",
             "1 user: 是吗 | assistant+: 是\n3 user: a b? | assistant+: c\n");
    refuses("q: x\nq: y a: z\n", "line 1: a question without its \"a:\"");
    refuses("q: x\n", "line 1: a question without its \"a:\"");
    refuses("q: x a: y\nz\n", "line 2: does not begin with \"q:\"");
    refuses("q: a: y\n", "line 1: \"input\" is empty");
    refuses("q: x a:  \n", "line 1: \"output\" is empty");
}

static void records_are_kept(void **state)
{
    (void)state;
    static const struct {
        const char *ending, *text, *wanted;
        struct ink_dataset_options options;
    } cases[] = {
        {"",
         "{\"id\":1.50,\"input\" : \"\\u4f60\", \"output\":\"b\"} \r\n",
         "{\"id\":1.50,\"input\" : \"\\u4f60\", \"output\":\"b\"} ",
         {0}},
        {"",
         "[\n {\"input\" :\"a  :, \\\" b\",\n\t\"n\":[1 ,2.50], \"output\":\"x\\\\\"}]",
         "{\"input\": \"a  :, \\\" b\", \"n\": [1, 2.50], \"output\": \"x\\\\\"}",
         {0}},
        {".csv",
         "id,answer,question\n7,\"b\n\"\"c\"\"\",a\n",
         "{\"input\": \"a\", \"output\": \"b\\n\\\"c\\\"\", \"id\": \"7\"}",
         {0}},
        {".csv", "instruction,output\na,b\n", "{\"instruction\": \"a\", \"output\": \"b\"}", {0}},
        {"", "q:你 a:好\n", "{\"input\": \"你\", \"output\": \"好\"}", {0}},
        {"", "a \"b\"\n", "{\"text\": \"a \\\"b\\\"\"}", {.format = INK_DATA_LINES}},
    };
    for (size_t i = 0; i < INK_COUNT(cases); i++) {
        struct ink_error error = {0};
        struct ink_string line = {0};
        int status;
        struct ink_dataset *d = open_text(cases[i].ending, cases[i].text, strlen(cases[i].text),
                                          &cases[i].options, &status, &error);
        assert_non_null(d);
        assert_ok(ink_dataset_append_record(d, &line, 0, &error));
        assert_string_equal(line.data, cases[i].wanted);
        ink_string_free(&line);
        ink_dataset_close(d);
    }
}

static void fields_by_name(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct ink_string value = {0};
    int status;
    static const char text[] =
        "{\"input\":\"a\",\"output\":\"b\",\"e\":\"x y\",\"n\":[1,{}],\"z\":null}";
    struct ink_dataset *d = open_text("", text, sizeof text - 1, NULL, &status, &error);
    assert_ok(ink_dataset_append_field(d, &value, 0, "e", &error));
    assert_ok(ink_dataset_append_field(d, &value, 0, "n", &error));
    assert_string_equal(value.data, "x y[1,{}]");
    assert_int_equal(ink_dataset_append_field(d, &value, 0, "z", &error), INK_ERROR_INPUT);
    assert_non_null(strstr(error.message, "line 1: \"z\" is missing"));
    assert_int_equal(ink_dataset_append_field(d, &value, 0, "no", &error), INK_ERROR_INPUT);
    ink_string_free(&value);
    ink_dataset_close(d);
}

/* ---------------------------------------------------------------------------------------- refusals
 */

#define PAIR "{\"input\":\"a\",\"output\":\"b\"}\n"

static void refuses_broken_records(void **state)
{
    (void)state;
    refuses("", "holds no records");
    refuses("\xEF\xBB\xBF", "holds no records");
    refuses(" \n\r\n", "holds no records");
    refuses("[]", "holds no records");
    refuses("hello\n", "its format cannot be told");
    refuses(PAIR "{\"input\":\"a\",\"output\":}\n",
            "line 2: not valid JSON: an unexpected character");
    refuses(PAIR "\n[1]\n", "line 3: not a JSON object");
    refuses(PAIR "{\"input\":\"a\"}\n", "line 2: \"output\" is missing");
    refuses(PAIR "{\"input\":\"a\",\"output\":3}\n", "line 2: \"output\" is not a string");
    refuses(PAIR "{\"input\":\"a\",\"output\":\"\"}\n", "line 2: \"output\" is empty");
    refuses(PAIR "{\"input\":\" \",\"output\":\"b\"}\n", "line 2: \"input\" is empty");
    refuses(PAIR "{\"input\":\"a\",\"input\":\"a\",\"output\":\"b\"}\n", "line 2: duplicate key");
    refuses(PAIR "{\"input\":\"a\\u0000\",\"output\":\"b\"}\n", "line 2: not valid JSON: \\u0000");
    refuses("{\"a\":\"b\",\"c\":1}\n", "line 1: no known schema has its fields (a, c)");
    refuses("{\"prompt\":\"a\",\"chosen\":\"b\",\"rejected\":\"c\"}\n", "preference data");
    refuses("{\"src\":[\"a\"],\"tgt\":[],\"response\":[[\"b\"],[\"c\"]],\"sort\":[1,0]}\n",
            "preference data");
    refuses("{\"src\":[\"a\",\"b\"],\"tgt\":[\"c\"]}\n", "\"src\" has 2 turns and \"tgt\" 1");
    refuses("{\"src\":[],\"tgt\":[]}\n", "\"src\" has 0 turns and \"tgt\" 0");
    refuses("{\"src\":[\"a\"],\"tgt\":[3]}\n", "\"tgt\" is not a list of strings");
    refuses("{\"src\":\"a\",\"tgt\":\"b\",\"label\":[1,1]}\n", "not a list of 1 numbers");
    refuses("{\"src\":\"a\",\"tgt\":\"b\",\"label\":[2]}\n", "not a list of 0 and 1");
    refuses("{\"src\":\"a\",\"tgt\":\"b\",\"label\":[0]}\n", "none of its turns is to be learnt");
    refuses("{\"instruction\":\"a\",\"output\":\"b\",\"history\":[[\"x\"]]}\n", "list of pairs");
    refuses("{\"instruction\":\"a\",\"output\":\"b\",\"history\":[[\"x\",\"y\",\"z\"]]}\n",
            "of pairs");
    refuses("{\"messages\":[]}\n", "the last turn is not the assistant's");
    refuses("{\"messages\":3}\n", "\"messages\" is not a list");
    refuses("{\"messages\":[{\"role\":\"user\",\"content\":\"\"}]}\n", "\"content\" is empty");
    refuses("{\"src\":[\"a\"],\"tgt\":[\" \"]}\n", "\"tgt\" is empty");
    refuses("{\"text\":\"\\n\"}\n", "\"text\" is empty");
    refuses("{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}\n", "last turn is not");
    refuses("{\"messages\":[{\"role\":\"assistant\",\"content\":\"a\"}]}\n",
            "turn 1 is the assistant's, where the user's must come");
    refuses("{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":"
            "\"b\"}]}",
            "turn 2 is the user's, where the assistant's must come");
    refuses("{\"messages\":[{\"role\":\"king\",\"content\":\"a\"}]}\n", "unknown role \"king\"");
    refuses("{\"messages\":[\"a\"]}\n", "a turn without a role");
    refuses("{\"messages\":[{\"role\":\"user\"}]}\n", "is not a string");
    refuses("{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]}\n",
            "\"content\" is not a string or a list of parts of type text");
    refuses("{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},"
            "{\"role\":\"assistant\",\"content\":\"b\",\"tool_calls\":[{}]}]}\n",
            "\"tool_calls\" is not supported");
    refuses("{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},"
            "{\"role\":\"assistant\",\"content\":\"b\",\"weight\":0}]}\n",
            "none of its turns is to be learnt");
}

static void refuses_broken_files(void **state)
{
    (void)state;
    static const char zero[] = PAIR "{\"input\":\"a\",\0\"output\":\"b\"}\n";
    static const char late_zero[] = ".input\toutput\na\tb\0";
    refuses_bytes("", zero, sizeof zero - 1, NULL, "line 2: a zero byte (byte 14)");
    refuses_bytes("", late_zero + 1, sizeof late_zero - 2, NULL, "line 2: a zero byte (byte 4)");
    refuses(PAIR "{\"input\":\"\xC4\xE3\",\"output\":\"b\"}\n", "line 2: not UTF-8 (byte 11)");
    refuses_bytes(".csv", "input,output\n\xC4\xE3,b\n", 18, NULL, "line 2: not UTF-8 (byte 1)");
    refuses_bytes(".csv", "in\xFFput,output\na,b\n", 17, NULL, "line 1: not UTF-8 (byte 3)");
    refuses_bytes("", "\xFF\xFE{\0", 4, NULL, "UTF-16");
    refuses("version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer");
    refuses("[{\"input\":\"a\",\"output\":\"b\"}",
            "line 1: a comma or the array's closing bracket");
    refuses("[{\"input\":\"a\",\"output\":\"b\"}\n{}]", "line 2: a comma or the array's closing");
    refuses("[{\"input\":\"a\",\"output\":\"b\"},]", "an element of the array is missing");
    refuses("[{\"input\":\"a\",\"output\":\"b\"}]\n\nx", "line 3: text after the end of the array");
    refuses("[{\"input\":\"a\"", "has no end");
    refuses("[\n3]", "line 2: not a JSON object");
    refuses_bytes(".csv", "input,input\na,b\n", 16, NULL, "line 1: two columns have the name");
    refuses_bytes(".csv", "input,output\na\n", 15, NULL, "line 2: 1 fields, but the header has 2");
    refuses_bytes(".csv", "input,output\na,b,c\n", 19, NULL, "3 fields, but the header has 2");
    refuses_bytes(".csv", "input,output\n\"a\"b,c\n", 20, NULL, "text after the closing quote");
    refuses_bytes(".csv", "input,output\nx,\"a\n", 18, NULL,
                  "line 2: a quoted field without its closing quote");
    refuses_bytes(".csv", "x,y\na,b\n", 8, NULL, "no known schema has its fields (x, y)");
    refuses_bytes(".csv", "input,output\n", 13, NULL, "holds no records");
    refuses_bytes(".csv", "", 0, NULL, "holds no records");
}

static void refuses_what_is_no_file(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct ink_dataset *d;
    assert_int_equal(ink_dataset_open(&d, "no such file", NULL, &error), INK_ERROR_INPUT);
    assert_int_equal(ink_dataset_open(&d, ".", NULL, &error), INK_ERROR_INPUT);
    assert_null(d);
}

/* ---------------------------------------------------------------------------------------- limits
 */

static void skips_and_counts(void **state)
{
    (void)state;
    struct ink_error error = {0};
    int status;
    const struct ink_dataset_options skip = {.skip_bad = true, .max_line = 40};
    static const struct {
        const char *ending, *text;
        size_t n, n_bad;
        const char *first;
    } cases[] = {
        {"", PAIR "{}\n{\"input\":3}\n" PAIR "\xFF\n", 2, 3, "line 2: \"input\" is missing"},
        {"", "{\"a\":1}\n" PAIR, 1, 1, "line 1: no known schema"},
        {"", PAIR "{\"input\":\"a\",\"output\":\"0123456789012345678901234567890\"}\n" PAIR, 2, 1,
         "line 2: a record longer than 40 bytes, the limit"},
        {"", "[" PAIR ",3,\n" PAIR "]", 2, 1, "line 2: not a JSON object"},
        {".csv", "input,output\n\"a\"b,c\nd,e\nf\ng,\"h\n", 1, 3, "line 2: text after"},
        {"", "q:a a:b\nx\nq:c\nq:d a:e\n", 2, 2, "line 2: does not begin with \"q:\""},
    };
    for (size_t i = 0; i < INK_COUNT(cases); i++) {
        struct ink_dataset *d = open_text(cases[i].ending, cases[i].text, strlen(cases[i].text),
                                          &skip, &status, &error);
        if (!d) {
            fail_msg("%s", error.message);
        }
        const struct ink_dataset_info *info = ink_dataset_get_info(d);
        assert_int_equal(info->n_samples, cases[i].n);
        assert_int_equal(info->n_bad, cases[i].n_bad);
        assert_non_null(strstr(info->first_bad, cases[i].first));
        ink_dataset_close(d);
    }
    refuses_bytes("", "{}\n{}\n", 6, &skip, "all 2 records are broken; the first: ");
    refuses_bytes("", "[" PAIR "3]", sizeof PAIR + 2, &skip, "a comma or the array's closing");
}

static void length_limit_holds(void **state)
{
    (void)state;
    const struct ink_dataset_options small = {.max_line = sizeof PAIR - 2};
    const struct ink_dataset_options less = {.max_line = sizeof PAIR - 3};
    reads_as("", PAIR, &small, "input-output", "1 user: a | assistant+: b\n");
    reads_as("", "{\"input\":\"a\",\"output\":\"b\"}\r\n", &small, "input-output",
             "1 user: a | assistant+: b\n");
    refuses_bytes("", PAIR, sizeof PAIR - 1, &less, "line 1: a record longer than 25 bytes");
    refuses_bytes("", "[" PAIR "]", sizeof PAIR + 1, &less, "line 1: a record longer than 25");
    reads_as("", "[" PAIR "]", &small, "input-output", "1 user: a | assistant+: b\n");
    const struct ink_dataset_options csv = {.max_line = 14};
    reads_as(".csv", "input,output\nabcdefg,hijklm\n", &csv, "input-output",
             "2 user: abcdefg | assistant+: hijklm\n");
    refuses_bytes(".csv", "input,output\nabcdefg,hijklmn\n", 29, &csv, "line 2: a record longer");
    refuses_bytes(".csv", "input,output\na,\"hijklmnopqrst\n", 30, &csv, "line 2: a record longer");
}

/* A file with one line of a gibibyte is refused at once, in little memory. */
static void long_line_costs_nothing(void **state)
{
    (void)state;
    static const char *const endings[] = {".jsonl", ".csv", "", ".json"};
    static const char *const starts[] = {"{\"input\":\"", "input,output\n\"",
                                         "q:", "[{\"input\":\""};
    for (size_t i = 0; i < INK_COUNT(endings); i++) {
        struct ink_error error = {0};
        struct ink_dataset *d;
        char path[64];
        snprintf(path, sizeof path, "%s%s", base, endings[i]);
        FILE *f = fopen(path, "wb");
        fputs(starts[i], f);
        bool sparse = fseek(f, (1 << 30) - 1, SEEK_SET) == 0 && fputc('x', f) == 'x';
        fclose(f);
        const uint64_t memory = ink_system_peak_memory();
        const double start = cpu_seconds();
        if (sparse) {
            assert_int_equal(ink_dataset_open(&d, path, NULL, &error), INK_ERROR_INPUT);
            assert_non_null(strstr(error.message, "longer than 16777216 bytes"));
            assert_true(cpu_seconds() - start < time_limit());
            assert_true(IS_SANITIZED || ink_system_peak_memory() - memory < 64u << 20);
        }
        remove(path);
    }
}

/* Whatever allocation fails, opening and reading say so and leak nothing. */
static void allocations_may_fail(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct ink_dataset *d;
    struct ink_sample s = {0};
    static const char text[] = "input,output\n\"a\",b\nc,d\n";
    const struct ink_dataset_options options = {.input_field = "input", .skip_bad = true};
    char path[64];
    snprintf(path, sizeof path, "%s.csv", base);
    write_bytes(path, text, sizeof text - 1);
    int n = 0;
    for (int status = INK_ERROR_MEMORY; status != INK_OK; n++) {
        assert_true(n < 1000);
        ink_fail_allocation(n + 1, false);
        status = ink_dataset_open(&d, path, &options, &error);
        if (status == INK_OK) {
            status = ink_dataset_read(d, &s, 1, &error);
        }
        ink_fail_allocation(0, false);
        assert_true(status == INK_OK || status == INK_ERROR_MEMORY);
        ink_dataset_close(d);
        ink_sample_free(&s);
    }
    assert_true(n > 5);
    remove(path);
}

/* ---------------------------------------------------------------------------------------- real
 * data */

static void reads_real_files(void **state)
{
    (void)state;
    static const struct {
        const char *path, *schema;
        size_t n;
    } files[] = {
        {"data/qa-zh/article-format/kgclue_question_input_output.jsonl", "input-output", 22000},
        {"data/qa-zh/ernie-sft-demo/sft-train.jsonl", "erniekit", 200},
        {"data/qa-zh/llamafactory-alpaca-zh/alpaca_zh_demo.json", "alpaca", 1000},
        {"data/qa-zh/kgclue/train.json", "question-answer", 18000},
    };
    for (size_t i = 0; i < INK_COUNT(files); i++) {
        struct ink_error error = {0};
        struct ink_dataset *d;
        assert_ok(ink_dataset_open(&d, shared_path(files[i].path), NULL, &error));
        assert_string_equal(ink_dataset_get_info(d)->schema_name, files[i].schema);
        assert_int_equal(ink_dataset_get_info(d)->n_samples, files[i].n);
        ink_dataset_close(d);
    }
    struct ink_error error = {0};
    struct ink_dataset *d;
    const struct ink_dataset_options tsv = {.input_field = "paragraph", .output_field = "answer"};
    assert_ok(
        ink_dataset_open(&d, shared_path("data/qa-zh/ernie-gen-dureader/dev.tsv"), &tsv, &error));
    assert_int_equal(ink_dataset_get_info(d)->n_samples, 1628);
    ink_dataset_close(d);
    assert_int_equal(ink_dataset_open(&d, shared_path("data/qa-zh/ernie-sft-demo/dpo-train.jsonl"),
                                      NULL, &error),
                     INK_ERROR_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_each_schema),       cmocka_unit_test(fields_can_be_named),
        cmocka_unit_test(reads_each_format),       cmocka_unit_test(pairs_on_two_lines),
        cmocka_unit_test(records_are_kept),        cmocka_unit_test(fields_by_name),
        cmocka_unit_test(refuses_broken_records),  cmocka_unit_test(refuses_broken_files),
        cmocka_unit_test(refuses_what_is_no_file), cmocka_unit_test(skips_and_counts),
        cmocka_unit_test(length_limit_holds),      cmocka_unit_test(long_line_costs_nothing),
        cmocka_unit_test(allocations_may_fail),    cmocka_unit_test(reads_real_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
