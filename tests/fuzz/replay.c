/* A main for the fuzz targets where there is no libFuzzer: runs every file of the folders given.
 *
 *     replay FOLDER...        exit 0: all ran; 1: nothing to run; a crash is a crash
 *
 * One TAP line for each folder. */
#define _POSIX_C_SOURCE 200809L

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly the file's size, so that AddressSanitizer sees any read beyond it. */
static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    long size = -1;
    if (f && fseek(f, 0, SEEK_END) == 0 && (size = ftell(f)) >= 0 && fseek(f, 0, SEEK_SET) == 0) {
        data = malloc(size ? (size_t)size : 1);
    }
    int is_run = data && fread(data, 1, (size_t)size, f) == (size_t)size;
    if (is_run) {
        LLVMFuzzerTestOneInput(data, (size_t)size);
    }
    free(data);
    if (f) {
        fclose(f);
    }
    return is_run;
}

static int run_folder(const char *folder)
{
    DIR *d = opendir(folder);
    int n = 0;
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        char path[4096];
        if (e->d_name[0] != '.' &&
            snprintf(path, sizeof path, "%s/%s", folder, e->d_name) < (int)sizeof path) {
            n += run_file(path);
        }
    }
    if (d) {
        closedir(d);
    }
    return n;
}

int main(int argc, char **argv)
{
    int is_bad = argc < 2;
    printf("1..%d\n", argc - 1);
    for (int i = 1; i < argc; i++) {
        int n = run_folder(argv[i]);
        printf("%s %d - %s: %d inputs\n", n > 0 ? "ok" : "not ok", i, argv[i], n);
        is_bad |= n == 0;
    }
    return is_bad;
}
