#define _POSIX_C_SOURCE 200112L /* setenv */

#include "gemm_blas.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As cblas.h has them; int is OpenBLAS's usual integer. */
enum { ROW_MAJOR = 101, AS_IT_IS = 111, TURNED = 112 };
typedef void sgemm(int order, int turn_a, int turn_b, int m, int n, int k, float alpha,
                   const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc);
typedef void set_threads(int n);
typedef char *get_text(void);

static sgemm *multiply;
static char name[160];

/* ISO C has no cast between pointers to data and to functions. */
static void find(void *library, const char *symbol, void *function)
{
    void *found = dlsym(library, symbol);
    memcpy(function, &found, sizeof found);
}

/* "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ..." and "Zen" */
static void make_name(get_text *config, get_text *core)
{
    const char *facts = config ? config() : "OpenBLAS";
    const char *end = strchr(facts, ' ');
    end = end ? strchr(end + 1, ' ') : NULL;
    snprintf(name, sizeof name, "%.*s %s", end ? (int)(end - facts) : 40, facts,
             core ? core() : "");
}

bool ink_blas_open(void)
{
    static const char *const files[] = {"libopenblas.so.0", "libopenblas.0.dylib",
                                        "libopenblas.dylib"};
    set_threads *threads = NULL;
    get_text *config = NULL, *core = NULL;
    void *library = NULL;
    if (multiply) {
        return true;
    }
    setenv("OPENBLAS_NUM_THREADS", "1", 1); /* or it starts some when it is loaded */
    for (size_t i = 0; i < sizeof files / sizeof files[0] && !library; i++) {
        library = dlopen(files[i], RTLD_NOW | RTLD_LOCAL);
    }
    if (!library) {
        return false;
    }
    find(library, "openblas_set_num_threads", &threads);
    find(library, "openblas_get_config", &config);
    find(library, "openblas_get_corename", &core);
    find(library, "cblas_sgemm", &multiply);
    if (threads) {
        threads(1);
    }
    make_name(config, core);
    return multiply != NULL;
}

const char *ink_blas_name(void)
{
    return name;
}

void ink_blas_gemm(float *c, size_t ldc, float by, const float *a, size_t lda, bool a_turned,
                   const float *b, size_t ldb, bool b_turned, int m, int n, int k, bool adds)
{
    multiply(ROW_MAJOR, a_turned ? TURNED : AS_IT_IS, b_turned ? TURNED : AS_IT_IS, m, n, k, by, a,
             (int)lda, b, (int)ldb, adds ? 1.0f : 0.0f, c, (int)ldc);
}
