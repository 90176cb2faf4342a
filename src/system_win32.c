#define WIN32_LEAN_AND_MEAN
#define _WIN32_WINNT 0x0601

#include "system.h"

#include <windows.h>

#include <psapi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Cores of the most efficient-less ("performance") class that our affinity mask allows. */
static int count_fast_cores(void)
{
    DWORD size = 0;
    GetLogicalProcessorInformationEx(RelationProcessorCore, NULL, &size);
    char *buffer = size ? ink_malloc(size) : NULL;
    int count[256] = {0}, best = 0;
    DWORD_PTR mine = 0, all = 0;
    GetProcessAffinityMask(GetCurrentProcess(), &mine, &all);
    if (buffer && GetLogicalProcessorInformationEx(RelationProcessorCore, (void *)buffer, &size)) {
        for (DWORD at = 0; at < size;) {
            const SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX *info = (const void *)(buffer + at);
            /* Reserved[0] is EfficiencyClass in newer headers. */
            const unsigned char *core = (const unsigned char *)&info->Processor;
            if (!mine || (info->Processor.GroupMask[0].Mask & mine)) {
                count[core[1]]++;
                best = core[1] > best ? core[1] : best;
            }
            at += info->Size;
        }
    }
    ink_free(buffer);
    return count[best];
}

int ink_system_cores(void)
{
    int n = count_fast_cores();
    if (n == 0) {
        SYSTEM_INFO info;
        GetSystemInfo(&info);
        n = (int)info.dwNumberOfProcessors;
    }
    return n < 1 ? 1 : n;
}

int ink_system_processors(unsigned char *mask, size_t n)
{
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    memset(mask, 0, n);
    return (int)info.dwNumberOfProcessors;
}

uint64_t ink_system_free_memory(void)
{
    MEMORYSTATUSEX status = {.dwLength = sizeof status};
    if (!GlobalMemoryStatusEx(&status)) {
        return UINT64_MAX;
    }
    return status.ullAvailPhys < status.ullAvailPageFile ? status.ullAvailPhys
                                                         : status.ullAvailPageFile;
}

uint64_t ink_system_peak_memory(void)
{
    PROCESS_MEMORY_COUNTERS counters;
    return GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters)
               ? counters.PeakWorkingSetSize
               : 0;
}

double ink_system_seconds(void)
{
    LARGE_INTEGER now, rate;
    QueryPerformanceCounter(&now);
    QueryPerformanceFrequency(&rate);
    return (double)now.QuadPart / (double)rate.QuadPart;
}

void ink_system_prefer_large_pages(void *p, size_t n)
{
    (void)p;
    (void)n;
}

void ink_system_yield(void)
{
    SwitchToThread();
}

bool ink_system_is_chinese(void)
{
    static const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
    for (size_t i = 0; i < INK_COUNT(names); i++) {
        const char *value = getenv(names[i]);
        if (value && *value) {
            return strncmp(value, "zh", 2) == 0;
        }
    }
    return PRIMARYLANGID(GetUserDefaultUILanguage()) == LANG_CHINESE;
}

/* 100 ns since 1601. */
double ink_system_clock(void)
{
    FILETIME t;
    GetSystemTimeAsFileTime(&t);
    const uint64_t ticks = (uint64_t)t.dwHighDateTime << 32 | t.dwLowDateTime;
    return (double)ticks / 1e7 - 11644473600.0;
}

long ink_system_process(void)
{
    return (long)GetCurrentProcessId();
}

void ink_system_host(char *out, size_t n)
{
    DWORD size = (DWORD)n;
    if (n > 0 && (!GetComputerNameA(out, &size) || !*out)) {
        snprintf(out, n, "localhost");
    }
}
