#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#include <shellapi.h>

#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <stdlib.h>
#include <string.h>

static UINT console_output_page;

static void restore_console(void)
{
    SetConsoleOutputCP(console_output_page);
}

/* malloc'ed; NULL if memory ran out. */
static char *utf8_of(const wchar_t *wide)
{
    int n = WideCharToMultiByte(CP_UTF8, 0, wide, -1, NULL, 0, NULL, NULL);
    char *text = n > 0 ? malloc((size_t)n) : NULL;
    if (text) {
        WideCharToMultiByte(CP_UTF8, 0, wide, -1, text, n, NULL, NULL);
    }
    return text;
}

static wchar_t *wide_of(const char *text)
{
    int n = MultiByteToWideChar(CP_UTF8, 0, text, -1, NULL, 0);
    wchar_t *wide = n > 0 ? malloc((size_t)n * sizeof *wide) : NULL;
    if (wide) {
        MultiByteToWideChar(CP_UTF8, 0, text, -1, wide, n);
    }
    return wide;
}

/* The arguments live until the program ends; on any failure those of main stay. */
static void read_arguments(int *argc, char ***argv)
{
    int n = 0;
    wchar_t **wide = CommandLineToArgvW(GetCommandLineW(), &n);
    char **texts = wide ? calloc((size_t)n + 1, sizeof *texts) : NULL;
    bool ok = texts != NULL;
    for (int i = 0; ok && i < n; i++) {
        texts[i] = utf8_of(wide[i]);
        ok = texts[i] != NULL;
    }
    if (ok) {
        *argc = n;
        *argv = texts;
    }
    LocalFree(wide);
}

void ink_terminal_open(int *argc, char ***argv)
{
    _setmode(_fileno(stdin), _O_BINARY);
    _setmode(_fileno(stdout), _O_BINARY);
    _setmode(_fileno(stderr), _O_BINARY);
    console_output_page = GetConsoleOutputCP();
    if (console_output_page != 0 && SetConsoleOutputCP(CP_UTF8)) {
        atexit(restore_console);
    }
    read_arguments(argc, argv);
}

static HANDLE handle_of(enum ink_stream_number stream)
{
    static const DWORD names[] = {STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE};
    return GetStdHandle(names[stream]);
}

/* _isatty also says yes to NUL; only a console has a mode. */
bool ink_terminal_is(enum ink_stream_number stream)
{
    DWORD mode;
    return GetConsoleMode(handle_of(stream), &mode) != 0;
}

int ink_terminal_width(void)
{
    CONSOLE_SCREEN_BUFFER_INFO info;
    if (GetConsoleScreenBufferInfo(handle_of(INK_STDERR), &info)) {
        return info.srWindow.Right - info.srWindow.Left + 1;
    }
    return 80;
}

/* The console writes no "^C". */
void ink_terminal_hide_control(bool on)
{
    (void)on;
}

FILE *ink_terminal_open_file(const char *path)
{
    wchar_t *wide = wide_of(path);
    if (!wide) {
        errno = ENOMEM;
        return NULL;
    }
    FILE *file = _wfopen(wide, L"rb");
    int code = errno;
    free(wide);
    errno = code;
    return file;
}

/* Never freed: a handful of short strings, read once. */
const char *ink_terminal_getenv(const char *name)
{
    wchar_t *wide = wide_of(name);
    const wchar_t *value = wide ? _wgetenv(wide) : NULL;
    const char *text = value ? utf8_of(value) : NULL;
    free(wide);
    return text;
}

/* The console gives UTF-16: reading its bytes under code page 65001 loses all but ASCII. Ctrl-Z at
 * the start of a line is the end. */
static long read_console(char *buffer, size_t n)
{
    static char held[4 * 256];
    static size_t n_held, taken;
    if (taken == n_held) {
        wchar_t wide[256];
        DWORD n_wide = 0;
        if (!ReadConsoleW(handle_of(INK_STDIN), wide, 256, &n_wide, NULL)) {
            errno = EIO;
            return -1;
        }
        if (n_wide == 0) { /* Ctrl-C: the handler runs in another thread, perhaps later */
            Sleep(20);
            errno = EINTR;
            return -1;
        }
        if (wide[0] == 0x1a) {
            return 0;
        }
        int length =
            WideCharToMultiByte(CP_UTF8, 0, wide, (int)n_wide, held, (int)sizeof held, NULL, NULL);
        n_held = length > 0 ? (size_t)length : 0;
        taken = 0;
    }
    size_t part = n_held - taken < n ? n_held - taken : n;
    memcpy(buffer, held + taken, part);
    taken += part;
    return (long)part;
}

long ink_terminal_read(void *buffer, size_t n)
{
    if (ink_terminal_is(INK_STDIN)) {
        return read_console(buffer, n);
    }
    return _read(_fileno(stdin), buffer, n > 65536 ? 65536 : (unsigned)n);
}
