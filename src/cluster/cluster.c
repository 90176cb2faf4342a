#include "cluster.h"

#include "cluster_internal.h"
#include "system.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_PROCESSORS = 4096, /* of a machine; beyond, bindings are not seen */
    PIECE = 1 << 24,       /* values or bytes that MPI gets at once: its counts are int, and it may
                              want memory of that size */
};

/* Where a process runs. */
struct place {
    char machine[256];
    unsigned char processors[MAX_PROCESSORS / 8]; /* a bit for each that it may use */
    int32_t n_processors, n_cores;                /* of the machine; that it may use */
};

struct ink_cluster {
    int rank, size;
    struct place *places; /* [size] */
    bool has_ended;       /* nothing is exchanged any more */
    struct ink_error end; /* why: what all processes agree on */
};

/* ------------------------------------------------------------------------------ the environment */

/* What the mpirun of Open MPI, MPICH and its kin, and SLURM's srun set. */
static const struct {
    const char *rank, *size;
} launchers[] = {
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
    {"PMI_RANK", "PMI_SIZE"},
    {"PMIX_RANK", NULL},
};

static int number_of(const char *variable, int otherwise)
{
    const char *text = variable ? getenv(variable) : NULL;
    char *end;
    const long n = text ? strtol(text, &end, 10) : 0;
    return text && end != text && n >= 0 && n <= INT32_MAX ? (int)n : otherwise;
}

/* False: this process was started alone. *size 0: it is not known. */
static bool find_launcher(int *rank, int *size)
{
    for (size_t i = 0; i < INK_COUNT(launchers); i++) {
        *rank = number_of(launchers[i].rank, -1);
        *size = number_of(launchers[i].size, 0);
        if (*rank >= 0) {
            return true;
        }
    }
    return false;
}

/* ------------------------------------------------------------------------------------ agreement */

/* What a process is about to do, told with its length: nothing may be exchanged unless all are
 * about to do the same. */
enum deed { END = 1, MEET, SUM_FLOATS, SUM_DOUBLES, SEND, COMPARE };

static int end_with(struct ink_cluster *c, struct ink_error *error)
{
    if (error) {
        *error = c->end;
    }
    return c->end.code;
}

/* The words of the process that failed, to all. */
static void hear(struct ink_cluster *c, int from, int code, const struct ink_error *error)
{
    struct ink_error *end = &c->end;
    *end = (struct ink_error){0};
    if (from == c->rank) {
        *end = *error;
        end->code = code;
        end->message[sizeof end->message - 1] = '\0';
    }
    ink_mpi_send(from, end, (int)sizeof *end);
    end->message[sizeof end->message - 1] = '\0';
    if (from > 0 && *end->message) {
        const struct ink_error told = *end;
        ink_fail(end, told.code, "process %d on %s: %s", from,
                 c->places ? c->places[from].machine : "?", told.message);
    }
}

/* `error` is read if status is not INK_OK. */
static int agree(struct ink_cluster *c, enum deed deed, uint64_t n, int status,
                 struct ink_error *error)
{
    const int64_t same = (int64_t)(n << 4) + (int64_t)deed;
    int64_t least[3] = {status == INK_OK ? c->size : c->rank, same, -same};
    if (c->has_ended) {
        return end_with(c, error);
    }
    ink_mpi_smallest(least, 3);
    if (least[0] < c->size) {
        struct ink_error none = {0};
        c->has_ended = true;
        hear(c, (int)least[0], status, error ? error : &none);
        return end_with(c, error);
    }
    if (least[1] != -least[2]) {
        c->has_ended = true;
        ink_fail(&c->end, INK_ERROR_ARGUMENT,
                 "the processes are not about to do the same; do they all have the same options, "
                 "INKSTONE_ variables, data and version?");
        return end_with(c, error);
    }
    return INK_OK;
}

int ink_cluster_meet(struct ink_cluster *c, struct ink_error *error)
{
    return c ? agree(c, MEET, 0, INK_OK, error) : INK_OK;
}

/* ------------------------------------------------------------------------------------- exchange */

static int piece(uint64_t n, uint64_t at)
{
    return (int)(n - at < PIECE ? n - at : PIECE);
}

int ink_cluster_sum_floats(struct ink_cluster *c, float *values, uint64_t n,
                           struct ink_error *error)
{
    int status = c ? agree(c, SUM_FLOATS, n, INK_OK, error) : INK_OK;
    for (uint64_t at = 0; c && status == INK_OK && at < n; at += PIECE) {
        ink_mpi_sum_floats(values + at, piece(n, at));
    }
    return status;
}

int ink_cluster_sum_doubles(struct ink_cluster *c, double *values, uint64_t n,
                            struct ink_error *error)
{
    int status = c ? agree(c, SUM_DOUBLES, n, INK_OK, error) : INK_OK;
    for (uint64_t at = 0; c && status == INK_OK && at < n; at += PIECE) {
        ink_mpi_sum_doubles(values + at, piece(n, at));
    }
    return status;
}

static void send_pieces(int from, void *bytes, uint64_t n)
{
    for (uint64_t at = 0; at < n; at += PIECE) {
        ink_mpi_send(from, (char *)bytes + at, piece(n, at));
    }
}

int ink_cluster_send(struct ink_cluster *c, int from, void *bytes, uint64_t n,
                     struct ink_error *error)
{
    int status = c ? agree(c, SEND, n, INK_OK, error) : INK_OK;
    if (c && status == INK_OK) {
        send_pieces(from, bytes, n);
    }
    return status;
}

int ink_cluster_send_string(struct ink_cluster *c, int from, struct ink_string *text,
                            struct ink_error *error)
{
    uint64_t n = text->length;
    int status = text->failed ? ink_fail_memory(error, text->capacity)
                              : ink_cluster_send(c, from, &n, sizeof n, error);
    if (!c || status != INK_OK) {
        return status;
    }
    if (c->rank != from) {
        ink_string_free(text);
        *text = (struct ink_string){
            .data = ink_calloc((size_t)n + 1, 1), .length = (size_t)n, .capacity = (size_t)n + 1};
        if (!text->data) {
            *text = (struct ink_string){0};
            return ink_fail_memory(error, n);
        }
    }
    return ink_cluster_send(c, from, text->data, n, error);
}

int ink_cluster_compare(struct ink_cluster *c, uint64_t hash, bool *same, struct ink_error *error)
{
    const int64_t half[2] = {(int64_t)(hash >> 32), (int64_t)(hash & UINT32_MAX)};
    int64_t least[4] = {half[0], -half[0], half[1], -half[1]};
    int status = c ? agree(c, COMPARE, 0, INK_OK, error) : INK_OK;
    if (c && status == INK_OK) {
        ink_mpi_smallest(least, 4);
    }
    *same = least[0] == -least[1] && least[2] == -least[3];
    return status;
}

/* --------------------------------------------------------------------------------------- places */

static bool is_same_machine(const struct place *a, const struct place *b)
{
    return strcmp(a->machine, b->machine) == 0;
}

static int exchange_places(struct ink_cluster *c, struct ink_error *error)
{
    c->places = ink_calloc((size_t)c->size, sizeof *c->places);
    int status = c->places ? INK_OK : ink_fail_memory(error, (uint64_t)c->size * sizeof *c->places);
    if (status == INK_OK) {
        struct place *own = &c->places[c->rank];
        ink_system_host(own->machine, sizeof own->machine);
        own->n_cores = ink_system_cores();
        own->n_processors = ink_system_processors(own->processors, sizeof own->processors);
    }
    for (int i = 0; i < c->size && status == INK_OK; i++) {
        status = ink_cluster_send(c, i, &c->places[i], sizeof *c->places, error);
    }
    return status;
}

int ink_cluster_rank(const struct ink_cluster *c)
{
    return c ? c->rank : 0;
}

int ink_cluster_size(const struct ink_cluster *c)
{
    return c ? c->size : 1;
}

bool ink_cluster_speaks(const struct ink_cluster *c)
{
    int rank, size;
    return c ? c->rank == 0 : !find_launcher(&rank, &size) || rank == 0;
}

/* Processes on the machine of process i up to it. */
static int peers_before(const struct ink_cluster *c, int i, int end)
{
    int n = 0;
    for (int j = 0; j < end; j++) {
        n += is_same_machine(&c->places[i], &c->places[j]);
    }
    return n;
}

int ink_cluster_machines(const struct ink_cluster *c)
{
    int n = c ? 0 : 1;
    for (int i = 0; c && i < c->size; i++) {
        n += peers_before(c, i, i) == 0;
    }
    return n;
}

int ink_cluster_peers(const struct ink_cluster *c)
{
    return c ? peers_before(c, c->rank, c->size) : 1;
}

/* mpirun binds processes to cores of their own, or lets them all run everywhere: those that may use
 * the same ones share them. */
int ink_cluster_threads(const struct ink_cluster *c)
{
    int sharing = 0;
    for (int i = 0; c && i < c->size; i++) {
        const struct place *own = &c->places[c->rank], *other = &c->places[i];
        sharing += is_same_machine(own, other) &&
                   memcmp(own->processors, other->processors, sizeof own->processors) == 0;
    }
    const int n = c ? c->places[c->rank].n_cores / sharing : 0;
    return c && n < 1 ? 1 : n;
}

static int count_bits(unsigned byte)
{
    int n = 0;
    for (; byte; byte &= byte - 1) {
        n++;
    }
    return n;
}

double ink_cluster_bound(const struct ink_cluster *c, char machine[256])
{
    double least = 1;
    *machine = '\0';
    for (int i = 0; c && i < c->size; i++) {
        const struct place *one = &c->places[i];
        int n = 0;
        for (size_t at = 0; at < sizeof one->processors; at++) {
            unsigned all = 0;
            for (int j = 0; j < c->size; j++) {
                all |= is_same_machine(one, &c->places[j]) ? c->places[j].processors[at] : 0u;
            }
            n += count_bits(all);
        }
        const double share = n > 0 && one->n_processors > 0 ? (double)n / one->n_processors : 1;
        if (share < least) {
            least = share;
            memcpy(machine, one->machine, sizeof one->machine);
        }
    }
    return least;
}

/* -------------------------------------------------------------------------------- open and close
 */

static int check_size(const struct ink_cluster *c, int started, struct ink_error *error)
{
    if (started == 0 || started == c->size) {
        return INK_OK;
    }
    return ink_fail(error, INK_ERROR_ARGUMENT,
                    "mpirun has started %d processes, of which %s sees %d: it is another MPI's "
                    "mpirun",
                    started, ink_mpi_name(), c->size);
}

static int join(struct ink_cluster *c, int started, struct ink_error *error)
{
    if (!ink_mpi_open(&c->rank, &c->size)) {
        return ink_fail(error, INK_ERROR_SYSTEM, "MPI does not start");
    }
    int status = check_size(c, started, error);
    if (status != INK_OK) {
        ink_mpi_close();
    }
    return status;
}

int ink_cluster_open(struct ink_cluster **out, struct ink_error *error)
{
    int rank, started;
    *out = NULL;
    if (!find_launcher(&rank, &started)) {
        return INK_OK;
    }
    if (!ink_mpi_is_built()) {
        return started == 1 ? INK_OK
                            : ink_fail(error, INK_ERROR_ARGUMENT,
                                       "this inkstone knows no mpirun; one that is configured "
                                       "--with-mpi does");
    }
    struct ink_cluster *c = ink_calloc(1, sizeof *c);
    int status = c ? join(c, started, error) : ink_fail_memory(error, sizeof *c);
    if (status != INK_OK) {
        ink_free(c);
        return status;
    }
    status = exchange_places(c, error);
    *out = c; /* also after a failure, which the others are to hear of */
    return status;
}

int ink_cluster_end(struct ink_cluster *c, int status, struct ink_error *error)
{
    if (c) {
        status = agree(c, END, 0, status, error);
    }
    if (c && status != INK_OK && c->rank > 0 && error) {
        error->message[0] = '\0';
    }
    return status;
}

void ink_cluster_close(struct ink_cluster *c)
{
    if (c) {
        ink_mpi_close();
        ink_free(c->places);
        ink_free(c);
    }
}
