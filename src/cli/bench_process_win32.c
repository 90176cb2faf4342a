#define WIN32_LEAN_AND_MEAN
#define _WIN32_WINNT 0x0601

#include "bench.h"
#include "system.h"

#include <windows.h>

#include <string.h>

/* Append an argument as CommandLineToArgvW reads it: in quotes, quotes within and the backslashes
 * before them escaped. */
static void append_quoted(struct ink_string *out, const char *argument)
{
    size_t slashes = 0;
    ink_string_puts(out, out->length ? " \"" : "\"");
    for (const char *c = argument; *c; c++) {
        if (*c == '"') {
            for (size_t i = 0; i <= slashes; i++) {
                ink_string_puts(out, "\\");
            }
        }
        slashes = *c == '\\' ? slashes + 1 : 0;
        ink_string_append(out, c, 1);
    }
    for (size_t i = 0; i < slashes; i++) {
        ink_string_puts(out, "\\");
    }
    ink_string_puts(out, "\"");
}

static wchar_t *make_command(const char *const *arguments)
{
    struct ink_string line = {0};
    wchar_t *wide = NULL;
    append_quoted(&line, "inkstone");
    for (int i = 0; arguments[i]; i++) {
        append_quoted(&line, arguments[i]);
    }
    const int n = line.failed ? 0 : MultiByteToWideChar(CP_UTF8, 0, line.data, -1, NULL, 0);
    if (n > 0 && (wide = ink_calloc((size_t)n, sizeof *wide)) != NULL) {
        MultiByteToWideChar(CP_UTF8, 0, line.data, -1, wide, n);
    }
    ink_string_free(&line);
    return wide;
}

static bool start(PROCESS_INFORMATION *process, const char *const *arguments, HANDLE out)
{
    static wchar_t path[32768];
    STARTUPINFOW how = {.cb = sizeof how, .dwFlags = STARTF_USESTDHANDLES, .hStdOutput = out};
    wchar_t *command = make_command(arguments);
    const DWORD n = GetModuleFileNameW(NULL, path, INK_COUNT(path));
    const bool ok = command && n > 0 && n < INK_COUNT(path) &&
                    CreateProcessW(path, command, NULL, NULL, TRUE, 0, NULL, NULL, &how, process);
    ink_free(command);
    return ok;
}

/* Up to and without the first newline; false if there is none within size. */
static bool read_line(HANDLE in, char *line, size_t size)
{
    size_t n = 0;
    DWORD got = 0;
    while (n < size && ReadFile(in, line + n, (DWORD)(size - n), &got, NULL) && got > 0) {
        n += got;
        char *end = memchr(line, '\n', n);
        if (end) {
            *end = '\0';
            return true;
        }
    }
    return false;
}

bool ink_bench_spawn(const char *const *arguments, double *seconds, char *line, size_t size)
{
    SECURITY_ATTRIBUTES inherited = {.nLength = sizeof inherited, .bInheritHandle = TRUE};
    PROCESS_INFORMATION process;
    HANDLE in, out;
    DWORD code = 1;
    if (!CreatePipe(&in, &out, &inherited, 0)) {
        return false;
    }
    SetHandleInformation(in, HANDLE_FLAG_INHERIT, 0);
    const double begin = ink_system_seconds();
    bool ok = start(&process, arguments, out);
    CloseHandle(out);
    if (ok) {
        ok = read_line(in, line, size);
        *seconds = ink_system_seconds() - begin;
        WaitForSingleObject(process.hProcess, INFINITE);
        ok = GetExitCodeProcess(process.hProcess, &code) && code == INK_EXIT_DONE && ok;
        CloseHandle(process.hThread);
        CloseHandle(process.hProcess);
    }
    CloseHandle(in);
    return ok;
}
