/* Several processes of this program that work on one thing, as `mpirun -np N inkstone ...` starts
 * them: the same command line, each with its rank 0..N-1, on one machine or on many.
 *
 * All processes call the same functions below in the same order, and each waits there for the
 * others. Before anything is exchanged they tell each other whether they are well: if one has
 * failed and gone to ink_cluster_end, whatever the others were about to do ends with its error.
 * So a process that fails just returns, up to ink_cluster_end; nobody waits for it forever, and
 * all end with one code and one message. Once a function here has failed on one process it has
 * failed on all, and so does every later one.
 *
 * A NULL cluster is one process alone: all functions take it and do nothing. One thread calls
 * them. A build without MPI (configure --with-mpi=no) has only that. */
#ifndef INK_CLUSTER_H
#define INK_CLUSTER_H

#include "common.h"

struct ink_cluster;

/* Was this process started with others? Then *out is their cluster, else NULL. INK_ERROR_ARGUMENT
 * if it was, but this build has no MPI, or another MPI than mpirun's. Call it once a process; end
 * and close *out in any case. */
int ink_cluster_open(struct ink_cluster **out, struct ink_error *error);
/* Wait until all are done. `status` is how this process fared, with *error filled if that is not
 * INK_OK. Returns how all of them did: the first failure by rank, with its message on rank 0 and an
 * empty one elsewhere. */
int ink_cluster_end(struct ink_cluster *c, int status, struct ink_error *error);
/* Leave, together: mpirun may kill the others as soon as one process has ended with an error, so
 * rank 0 says before what it has to say. */
void ink_cluster_close(struct ink_cluster *c);

int ink_cluster_rank(const struct ink_cluster *c); /* 0 alone */
int ink_cluster_size(const struct ink_cluster *c); /* 1 alone */
/* Of several processes, is this the one that speaks, writes files and shows progress: rank 0? Tells
 * also without a cluster, by the environment that mpirun sets, for what fails before one is open.
 */
bool ink_cluster_speaks(const struct ink_cluster *c);
/* Machines in it, and processes on this one. */
int ink_cluster_machines(const struct ink_cluster *c);
int ink_cluster_peers(const struct ink_cluster *c);
/* Threads for this process by default: its share of the cores that it may use; 0 alone. */
int ink_cluster_threads(const struct ink_cluster *c);
/* The smallest share of its machine's processors that a machine's processes may use together, as
 * mpirun has bound them; `machine` gets its name. Alone, or where it is not known: 1. */
double ink_cluster_bound(const struct ink_cluster *c, char machine[256]);

/* Wait until all are here. */
int ink_cluster_meet(struct ink_cluster *c, struct ink_error *error);
/* values [n] become the sums over all processes: the same bits on each, in an order of the MPI
 * library's. */
int ink_cluster_sum_floats(struct ink_cluster *c, float *values, uint64_t n,
                           struct ink_error *error);
int ink_cluster_sum_doubles(struct ink_cluster *c, double *values, uint64_t n,
                            struct ink_error *error);
/* n bytes of process `from` to all. */
int ink_cluster_send(struct ink_cluster *c, int from, void *bytes, uint64_t n,
                     struct ink_error *error);
/* Text of any length of process `from`, in place of what the others have there. */
int ink_cluster_send_string(struct ink_cluster *c, int from, struct ink_string *text,
                            struct ink_error *error);
/* Is `hash` the same on all? *same is; it is for the caller to say what that means. */
int ink_cluster_compare(struct ink_cluster *c, uint64_t hash, bool *same, struct ink_error *error);

#endif
