#define _POSIX_C_SOURCE 200809L

#include "lineedit_lines.h"
#include "interrupt.h"
#include "utf8.h"

#include <errno.h>
#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    HISTORY_LINES = 1000,
    WAKE_MILLISECONDS = 1000, /* a signal that comes just before the wait is seen then */
};

struct ink_lineedit {
    struct ink_lines lines; /* for input that is not edited */
    FILE *screen;
    EditLine *editor; /* NULL: plain lines */
    HistoryW *history;
    wchar_t *prompt;
    bool dropped_text, interrupted;
};

/* ------------------------------------------------------------------------------------- signals */

/* While a line is edited the terminal is in a mode that no other program expects: it is put right
 * before these signals have their usual effect. */
static const int watched[] = {SIGWINCH, SIGTSTP, SIGCONT, SIGTERM, SIGHUP, SIGQUIT};
static volatile sig_atomic_t raised; /* bit i: watched[i] */
static struct sigaction old_actions[INK_COUNT(watched)];

static void note_signal(int number)
{
    for (size_t i = 0; i < INK_COUNT(watched); i++) {
        if (watched[i] == number) {
            raised |= 1 << i;
        }
    }
}

static void watch_signals(bool on)
{
    for (size_t i = 0; i < INK_COUNT(watched); i++) {
        if (on) {
            struct sigaction action = {.sa_handler = note_signal};
            sigemptyset(&action.sa_mask);
            sigaction(watched[i], &action, &old_actions[i]);
        } else {
            sigaction(watched[i], &old_actions[i], NULL);
        }
    }
}

static void pass_on(EditLine *editor, int number)
{
    el_set(editor, EL_PREP_TERM, 0);
    watch_signals(false);
    raise(number); /* a stop ends here until it is continued */
    watch_signals(true);
    el_set(editor, EL_PREP_TERM, 1);
    el_set(editor, EL_REFRESH);
}

static void handle_signals(EditLine *editor)
{
    sig_atomic_t now = raised;
    raised = 0;
    for (size_t i = 0; i < INK_COUNT(watched); i++) {
        if (!(now & 1 << i)) {
            continue;
        }
        if (watched[i] == SIGWINCH) {
            el_resize(editor);
        } else if (watched[i] == SIGCONT) {
            el_set(editor, EL_PREP_TERM, 1);
            el_set(editor, EL_REFRESH);
        } else {
            pass_on(editor, watched[i]);
        }
    }
}

/* --------------------------------------------------------------------------------------- input */

/* One byte from the terminal: 1, or 0 at the end, or -1 after Ctrl-C or on failure. */
static int read_byte(EditLine *editor, char *byte)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    for (;;) {
        if (ink_interrupt_pending()) {
            return -1;
        }
        handle_signals(editor);
        int ready = poll(&input, 1, WAKE_MILLISECONDS);
        if (ready < 0 && errno != EINTR && errno != EAGAIN) {
            return -1;
        }
        if (ready > 0) {
            ssize_t n = read(STDIN_FILENO, byte, 1);
            if (n >= 0 || (errno != EINTR && errno != EAGAIN)) {
                return (int)n;
            }
        }
    }
}

/* Ctrl-C: let libedit put the cursor behind what was typed, then end the line. */
static int end_line(EditLine *editor, struct ink_lineedit *e, wchar_t *out)
{
    const LineInfoW *info = el_wline(editor);
    if (e->interrupted || info->lastchar == info->buffer) {
        e->interrupted = true;
        return -1;
    }
    e->interrupted = e->dropped_text = true;
    *out = 'E' - '@'; /* Ctrl-E: to the end of the line */
    return 1;
}

/* libedit asks for a character. Bytes that are no UTF-8 become U+FFFD. */
static int read_character(EditLine *editor, wchar_t *out)
{
    struct ink_lineedit *e = NULL;
    el_wget(editor, EL_CLIENTDATA, &e);
    char bytes[4];
    for (size_t n = 0; n < sizeof bytes;) {
        int got = read_byte(editor, &bytes[n]);
        if (got < 0 && ink_interrupt_pending()) {
            return end_line(editor, e, out);
        }
        if (got <= 0) {
            return got;
        }
        uint32_t c;
        int length = ink_utf8_decode(bytes, ++n, &c);
        if (length >= 0) {
            *out = length > 0 ? (wchar_t)c : (wchar_t)0xfffd;
            return 1;
        }
    }
    *out = 0xfffd;
    return 1;
}

static wchar_t *give_prompt(EditLine *editor)
{
    static wchar_t none[] = L"";
    struct ink_lineedit *e = NULL;
    el_wget(editor, EL_CLIENTDATA, &e);
    return e && e->prompt ? e->prompt : none;
}

/* ---------------------------------------------------------------------------------------- open */

/* libedit measures and writes characters by the locale: it must be one with UTF-8. */
static bool use_utf8_locale(void)
{
    static const char *const names[] = {"", "C.UTF-8", "C.utf8", "en_US.UTF-8"};
    for (size_t i = 0; i < INK_COUNT(names); i++) {
        if (setlocale(LC_CTYPE, names[i]) && strcmp(nl_langinfo(CODESET), "UTF-8") == 0) {
            return true;
        }
    }
    setlocale(LC_CTYPE, "C");
    return false;
}

static bool can_edit(void)
{
    const char *terminal = getenv("TERM");
    return terminal && *terminal && strcmp(terminal, "dumb") != 0 && use_utf8_locale();
}

static void bind_keys(EditLine *editor)
{
    static const wchar_t *const keys[][2] = {
        {L"\033[H", L"ed-move-to-beg"},       {L"\033OH", L"ed-move-to-beg"},
        {L"\033[1~", L"ed-move-to-beg"},      {L"\033[F", L"ed-move-to-end"},
        {L"\033OF", L"ed-move-to-end"},       {L"\033[4~", L"ed-move-to-end"},
        {L"\033[3~", L"ed-delete-next-char"}, {L"\033[1;5C", L"em-next-word"},
        {L"\033[1;5D", L"ed-prev-word"},
    };
    for (size_t i = 0; i < INK_COUNT(keys); i++) {
        el_wset(editor, EL_BIND, keys[i][0], keys[i][1], NULL);
    }
}

/* libedit miscounts columns when it inserts or deletes wide characters in the middle of a line that
 * wraps: without these abilities of the terminal it writes the rest of the line anew. */
static void avoid_insertion(EditLine *editor)
{
    static const char *const abilities[] = {"ic", "IC", "im", "ei", "ip", "dc", "DC", "dm", "ed"};
    for (size_t i = 0; i < INK_COUNT(abilities); i++) {
        el_set(editor, EL_SETTC, abilities[i], "", NULL);
    }
}

/* Without an editor lines are read plainly: no failure. */
static void open_editor(struct ink_lineedit *e)
{
    HistEventW event;
    e->editor = el_init("inkstone", stdin, e->screen, stderr);
    e->history = e->editor ? history_winit() : NULL;
    if (!e->history || history_w(e->history, &event, H_SETSIZE, HISTORY_LINES) < 0) {
        return;
    }
    history_w(e->history, &event, H_SETUNIQUE, 1);
    el_wset(e->editor, EL_CLIENTDATA, e);
    el_wset(e->editor, EL_PROMPT, give_prompt);
    el_wset(e->editor, EL_EDITOR, L"emacs");
    el_wset(e->editor, EL_HIST, history_w, e->history);
    el_wset(e->editor, EL_GETCFN, read_character);
    el_wset(e->editor, EL_SIGNAL, 0);
    bind_keys(e->editor);
    avoid_insertion(e->editor);
}

int ink_lineedit_open(struct ink_lineedit **out, struct ink_error *error)
{
    *out = ink_calloc(1, sizeof **out);
    if (!*out) {
        return ink_fail_memory(error, sizeof **out);
    }
    (*out)->screen = ink_lineedit_screen();
    if ((*out)->screen && can_edit()) {
        open_editor(*out);
    }
    return ink_lines_open(&(*out)->lines, NULL, error);
}

void ink_lineedit_close(struct ink_lineedit *e)
{
    if (!e) {
        return;
    }
    if (e->history) {
        history_wend(e->history);
    }
    if (e->editor) {
        el_end(e->editor);
    }
    ink_free(e->prompt);
    ink_free(e);
}

bool ink_lineedit_is_interactive(const struct ink_lineedit *e)
{
    return e->screen != NULL;
}

/* ---------------------------------------------------------------------------------------- read */

static bool set_prompt(struct ink_lineedit *e, const char *prompt)
{
    size_t n = strlen(prompt), n_wide = 0;
    wchar_t *wide = ink_realloc(e->prompt, n + 1, sizeof *wide);
    if (!wide) {
        return false;
    }
    for (size_t i = 0; i < n;) {
        uint32_t c = 0xfffd;
        int length = ink_utf8_decode(prompt + i, n - i, &c);
        wide[n_wide++] = (wchar_t)c;
        i += length > 0 ? (size_t)length : 1;
    }
    wide[n_wide] = L'\0';
    e->prompt = wide;
    return true;
}

static void take_line(struct ink_string *line, const wchar_t *wide, int n)
{
    line->length = 0;
    ink_string_puts(line, "");
    for (int i = 0; i < n && wide[i] != L'\n'; i++) {
        char bytes[4];
        ink_string_append(line, bytes, (size_t)ink_utf8_encode(bytes, (uint32_t)wide[i]));
    }
}

static void remember(struct ink_lineedit *e, const wchar_t *wide)
{
    HistEventW event;
    if (*wide && *wide != L'\n') {
        history_w(e->history, &event, H_ENTER, wide);
    }
}

static const wchar_t *edit(struct ink_lineedit *e, int *n)
{
    const wchar_t *wide;
    watch_signals(true);
    do {
        e->interrupted = e->dropped_text = false;
        wide = el_wgets(e->editor, n);
        if (e->interrupted) {
            fputs("^C\n", e->screen);
            ink_interrupt_clear();
        }
    } while (e->interrupted && e->dropped_text);
    watch_signals(false);
    return wide;
}

enum ink_line_result ink_lineedit_read(struct ink_lineedit *e, struct ink_string *line,
                                       const char *prompt, struct ink_error *error)
{
    if (!e->history) {
        return ink_lineedit_read_plain(&e->lines, line, e->screen, prompt, error);
    }
    if (!set_prompt(e, prompt)) {
        ink_fail_memory(error, strlen(prompt));
        return INK_LINE_FAILED;
    }
    int n = 0;
    const wchar_t *wide = edit(e, &n);
    if (e->interrupted) {
        return INK_LINE_INTERRUPTED;
    }
    if (!wide || n <= 0) {
        return INK_LINE_END;
    }
    remember(e, wide);
    take_line(line, wide, n);
    if (line->failed) {
        ink_fail_memory(error, (uint64_t)n);
        return INK_LINE_FAILED;
    }
    return INK_LINE_READ;
}
