/* Compiled only where configure found MPI; nothing else sees its header. */
#include "cluster_internal.h"

#include <mpi.h>
#include <string.h>

bool ink_mpi_is_built(void)
{
    return true;
}

/* "Open MPI v4.1.4, package: Debian ..." or "MPICH Version:\t4.0.2\nMPICH Release date: ...": the
 * first line, up to a comma. */
const char *ink_mpi_name(void)
{
    static char name[MPI_MAX_LIBRARY_VERSION_STRING];
    int n = 0;
    MPI_Get_library_version(name, &n);
    name[strcspn(name, ",\n")] = '\0';
    for (char *p = name; *p; p++) {
        *p = *p == '\t' ? ' ' : *p;
    }
    return name;
}

/* Only the thread that opens it calls MPI. */
bool ink_mpi_open(int *rank, int *size)
{
    int provided;
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS) {
        return false;
    }
    MPI_Comm_rank(MPI_COMM_WORLD, rank);
    MPI_Comm_size(MPI_COMM_WORLD, size);
    return true;
}

void ink_mpi_close(void)
{
    MPI_Finalize();
}

void ink_mpi_smallest(int64_t *values, int n)
{
    MPI_Allreduce(MPI_IN_PLACE, values, n, MPI_INT64_T, MPI_MIN, MPI_COMM_WORLD);
}

void ink_mpi_sum_floats(float *values, int n)
{
    MPI_Allreduce(MPI_IN_PLACE, values, n, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
}

void ink_mpi_sum_doubles(double *values, int n)
{
    MPI_Allreduce(MPI_IN_PLACE, values, n, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
}

void ink_mpi_send(int from, void *bytes, int n)
{
    MPI_Bcast(bytes, n, MPI_BYTE, from, MPI_COMM_WORLD);
}
