/* What cluster.c needs of MPI: cluster_mpi.c, or cluster_none.c in a build without it. Where MPI
 * itself fails (a connection breaks, a process is killed) it ends the program with its own message.
 */
#ifndef INK_CLUSTER_INTERNAL_H
#define INK_CLUSTER_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

bool ink_mpi_is_built(void);
const char *ink_mpi_name(void); /* "Open MPI v4.1.4"; after ink_mpi_open */
bool ink_mpi_open(int *rank, int *size);
void ink_mpi_close(void);

/* Each is done by all processes. values [n] become the smallest of each, or the sums. */
void ink_mpi_smallest(int64_t *values, int n);
void ink_mpi_sum_floats(float *values, int n);
void ink_mpi_sum_doubles(double *values, int n);
void ink_mpi_send(int from, void *bytes, int n);

#endif
