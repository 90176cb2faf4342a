#define _GNU_SOURCE /* sched_getaffinity */

#include "system.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_HUGEPAGE
#define MADV_HUGEPAGE MADV_NORMAL
#endif

/* ------------------------------------------------------------------------- small /sys readers */

static bool read_line(const char *path, char *line, int size)
{
    FILE *f = fopen(path, "r");
    bool ok = f && fgets(line, size, f) != NULL;
    if (f) {
        fclose(f);
    }
    return ok;
}

static bool read_number(const char *path, unsigned long long *out)
{
    char line[64], *end;
    if (!read_line(path, line, sizeof line)) {
        return false;
    }
    *out = strtoull(line, &end, 10);
    return end != line;
}

/* ------------------------------------------------------------------------------ control groups */

enum { GROUP_SIZE = 1024 };

/* Is the name one of a list that ends with a colon, and has commas between? */
static bool is_listed(const char *list, const char *name)
{
    const size_t n = strlen(name);
    bool found = false;
    do {
        const size_t length = strcspn(list, ",:");
        found = found || (length == n && memcmp(list, name, n) == 0);
        list += length;
    } while (*list++ == ',');
    return found;
}

/* The path, below its hierarchy's folder, of the control group that this process is in: of version
 * 2, for "", or of version 1's controller. Limits of its parents hold as well, up to "". */
static void find_group(char path[GROUP_SIZE], const char *controller)
{
    FILE *f = fopen("/proc/self/cgroup", "r");
    char line[GROUP_SIZE + 256];
    path[0] = '\0';
    while (f && fgets(line, sizeof line, f)) { /* number:controller[,controller...]:path */
        char *at = strchr(line, ':'), *colon = at ? strchr(at + 1, ':') : NULL;
        if (colon && is_listed(at + 1, controller)) {
            colon[1 + strcspn(colon + 1, "\n")] = '\0';
            snprintf(path, GROUP_SIZE, "%s", strcmp(colon + 1, "/") == 0 ? "" : colon + 1);
        }
    }
    if (f) {
        fclose(f);
    }
}

/* The parent's path; false if there is none. */
static bool leave_group(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash) {
        *slash = '\0';
    }
    return slash != NULL;
}

/* What a group allows, by a kind of limit; UINT64_MAX without one. */
typedef uint64_t group_limit(const void *kind, const char *group);

/* The least that the group of find_group and its parents allow. */
static uint64_t least_of_groups(const char *controller, group_limit *limit, const void *kind)
{
    char group[GROUP_SIZE];
    uint64_t least = UINT64_MAX;
    find_group(group, controller);
    do {
        const uint64_t one = limit(kind, group);
        least = one < least ? one : least;
    } while (leave_group(group));
    return least;
}

/* --------------------------------------------------------------------------------------- cores */

static bool cpu_fact(int cpu, const char *name, unsigned long long *out)
{
    char path[128];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/%s", cpu, name);
    return read_number(path, out);
}

/* One hardware thread of each core: the first of its siblings that we may use. */
static bool is_first_of_core(int cpu, const cpu_set_t *allowed)
{
    char path[128], line[256];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    if (!read_line(path, line, sizeof line)) {
        return true;
    }
    for (char *p = line; *p >= '0' && *p <= '9';) {
        long first = strtol(p, &p, 10);
        long last = *p == '-' ? strtol(p + 1, &p, 10) : first;
        for (long i = first; i <= last && i < CPU_SETSIZE; i++) {
            if (CPU_ISSET((int)i, allowed)) {
                return i == cpu;
            }
        }
        p += *p == ',';
    }
    return true;
}

/* How fast the kernel thinks a core is; 0 where it does not say. */
static unsigned long long core_speed(int cpu)
{
    unsigned long long speed = 0;
    if (!cpu_fact(cpu, "cpu_capacity", &speed)) {
        cpu_fact(cpu, "cpufreq/cpuinfo_max_freq", &speed);
    }
    return speed;
}

/* Cores of the faster kind: within 15 % of the fastest (turbo bins differ a little). */
static int count_fast_cores(const cpu_set_t *allowed)
{
    unsigned long long fastest = 0;
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, allowed) && core_speed(i) > fastest) {
            fastest = core_speed(i);
        }
    }
    int n = 0;
    for (int i = 0; i < CPU_SETSIZE; i++) {
        n += CPU_ISSET(i, allowed) && is_first_of_core(i, allowed) &&
             core_speed(i) >= fastest - fastest * 15 / 100;
    }
    return n;
}

/* What a group may use of the processors, in cores, rounded up. */
static uint64_t group_cores(const void *kind, const char *group)
{
    char path[GROUP_SIZE + 64], line[64];
    long long quota = -1, period = 100000;
    (void)kind;
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", group);
    if (read_line(path, line, sizeof line) && sscanf(line, "%lld %lld", &quota, &period) != 2) {
        quota = -1; /* "max" */
    }
    return quota <= 0 || period <= 0 ? UINT64_MAX : (uint64_t)((quota + period - 1) / period);
}

static uint64_t old_group_cores(const void *kind, const char *group)
{
    char path[GROUP_SIZE + 64];
    unsigned long long quota = 0, period = 100000;
    (void)kind;
    snprintf(path, sizeof path, "/sys/fs/cgroup/cpu%s/cpu.cfs_quota_us", group);
    if (!read_number(path, &quota) || (long long)quota <= 0) { /* -1: none */
        return UINT64_MAX;
    }
    snprintf(path, sizeof path, "/sys/fs/cgroup/cpu%s/cpu.cfs_period_us", group);
    read_number(path, &period);
    return period == 0 ? UINT64_MAX : (quota + period - 1) / period;
}

/* INT_MAX without a limit. */
static int quota_cores(void)
{
    const uint64_t new = least_of_groups("", group_cores, NULL);
    const uint64_t old = least_of_groups("cpu", old_group_cores, NULL);
    const uint64_t least = new < old ? new : old;
    return least < INT_MAX ? (int)least : INT_MAX;
}

int ink_system_cores(void)
{
    cpu_set_t allowed;
    int n;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
        n = count_fast_cores(&allowed);
    } else {
        n = (int)sysconf(_SC_NPROCESSORS_ONLN);
    }
    int quota = quota_cores();
    n = n < quota ? n : quota;
    return n < 1 ? 1 : n;
}

int ink_system_processors(unsigned char *mask, size_t n)
{
    cpu_set_t allowed;
    memset(mask, 0, n);
    const bool is_known = sched_getaffinity(0, sizeof allowed, &allowed) == 0;
    for (size_t i = 0; is_known && i < 8 * n && i < CPU_SETSIZE; i++) {
        if (CPU_ISSET((int)i, &allowed)) {
            mask[i / 8] |= (unsigned char)(1u << i % 8);
        }
    }
    const long running = sysconf(_SC_NPROCESSORS_ONLN);
    return running > 0 ? (int)running : 0;
}

/* -------------------------------------------------------------------------------------- memory */

static uint64_t available_memory(void)
{
    FILE *f = fopen("/proc/meminfo", "r");
    char line[256];
    unsigned long long kib = 0;
    bool found = false;
    while (f && !found && fgets(line, sizeof line, f)) {
        found = sscanf(line, "MemAvailable: %llu", &kib) == 1;
    }
    if (f) {
        fclose(f);
    }
    return found ? kib * 1024 : UINT64_MAX;
}

/* The number after `name` in a file of "name number" lines; 0 without one. */
static unsigned long long read_named(const char *path, const char *name)
{
    FILE *f = fopen(path, "r");
    char line[256];
    unsigned long long value = 0;
    size_t n = strlen(name);
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, name, n) == 0 && line[n] == ' ') {
            value = strtoull(line + n, NULL, 10);
            break;
        }
    }
    if (f) {
        fclose(f);
    }
    return value;
}

struct memory_group {
    const char *controller, *root, *limit, *used, *inactive, *active;
};

static const char *in_group(char path[2 * GROUP_SIZE], const struct memory_group *v,
                            const char *group, const char *file)
{
    snprintf(path, 2 * GROUP_SIZE, "%s%s/%s", v->root, group, file);
    return path;
}

/* What the group's limit leaves. Usage counts the page cache, which the kernel gives back when
 * asked. */
static uint64_t group_memory(const void *kind, const char *group)
{
    const struct memory_group *v = kind;
    char path[2 * GROUP_SIZE];
    unsigned long long limit, used;
    if (!read_number(in_group(path, v, group, v->limit), &limit) || /* "max" */
        !read_number(in_group(path, v, group, v->used), &used)) {
        return UINT64_MAX;
    }
    in_group(path, v, group, "memory.stat");
    const unsigned long long cache = read_named(path, v->inactive) + read_named(path, v->active);
    used = used > cache ? used - cache : 0;
    return limit > used ? limit - used : 0;
}

static uint64_t cgroup_memory(void)
{
    static const struct memory_group versions[] = {
        {"", "/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file", "active_file"},
        {"memory", "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
         "total_inactive_file", "total_active_file"},
    };
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < INK_COUNT(versions); i++) {
        const uint64_t left = least_of_groups(versions[i].controller, group_memory, &versions[i]);
        least = left < least ? left : least;
    }
    return least;
}

static uint64_t address_space(void)
{
    struct rlimit limit;
    unsigned long long pages = 0;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
        !read_number("/proc/self/statm", &pages)) {
        return UINT64_MAX;
    }
    uint64_t used = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    return limit.rlim_cur > used ? limit.rlim_cur - used : 0;
}

uint64_t ink_system_free_memory(void)
{
    uint64_t least = available_memory();
    uint64_t others[] = {cgroup_memory(), address_space()};
    for (size_t i = 0; i < INK_COUNT(others); i++) {
        least = others[i] < least ? others[i] : least;
    }
    return least;
}

/* ru_maxrss is also that of the process which started this one, until it had its own memory. */
uint64_t ink_system_peak_memory(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    unsigned long long kib = 0;
    while (f && kib == 0 && fgets(line, sizeof line, f)) {
        sscanf(line, "VmHWM: %llu", &kib);
    }
    if (f) {
        fclose(f);
    }
    if (kib > 0) {
        return kib * 1024;
    }
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}

/* --------------------------------------------------------------------------------------- other */

double ink_system_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void ink_system_prefer_large_pages(void *p, size_t n)
{
    uintptr_t page = 4096, first = ((uintptr_t)p + page - 1) / page * page;
    if ((uintptr_t)p + n > first) {
        madvise((void *)first, (uintptr_t)p + n - first, MADV_HUGEPAGE);
    }
}

void ink_system_yield(void)
{
    sched_yield();
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
    return false;
}

double ink_system_clock(void)
{
    struct timespec t = {0};
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

long ink_system_process(void)
{
    return (long)getpid();
}

void ink_system_host(char *out, size_t n)
{
    if (n > 0 && (gethostname(out, n) != 0 || !memchr(out, '\0', n) || !*out)) {
        snprintf(out, n, "localhost");
    }
}
