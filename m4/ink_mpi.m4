# INK_MPI: --with-mpi=no|yes|auto|MODULE, for training and evaluation by several processes. `no' is
# the default, unlike for other libraries: a program that is linked to MPI loads it at every start
# (2 to 4 ms), and runs only with that very MPI. MODULE is pkg-config's name of one (ompi-c, mpich),
# where there are several. HAVE_MPI, MPI_CFLAGS and MPI_LIBS, which may be given.
AC_DEFUN([INK_MPI], [
AC_ARG_VAR([MPI_CFLAGS], [C compiler flags for MPI, instead of pkg-config's])
AC_ARG_VAR([MPI_LIBS], [linker flags for MPI, instead of pkg-config's])
AC_ARG_WITH([mpi], [AS_HELP_STRING([--with-mpi=no|yes|auto|MODULE],
    [training on several machines @<:@no@:>@])], [], [with_mpi=no])
ink_found=
AS_CASE(["$with_mpi"],
    [no], [ink_modules=],
    [yes | auto], [ink_modules="ompi-c mpich mpi-c"],
    [ink_modules=$with_mpi])
AS_IF([test "$with_mpi" != no], [
    AC_MSG_CHECKING([for MPI])
    AS_IF([test -n "$MPI_LIBS"], [ink_found=MPI_LIBS])
    for ink_module in $ink_modules; do
        AS_IF([test -z "$ink_found" && $PKG_CONFIG --exists "$ink_module"], [
            ink_found=$ink_module
            MPI_CFLAGS=`$PKG_CONFIG --cflags "$ink_module"`
            MPI_LIBS=`$PKG_CONFIG --libs "$ink_module"`])
    done
    dnl Its compiler wrapper knows too: "gcc -I... -L... -lmpi".
    AS_IF([test -z "$ink_found"], [
        AS_CASE(["$with_mpi"], [yes | auto], [
            MPI_LIBS=`mpicc -show 2> /dev/null | sed 's/^@<:@^ @:>@* *//'`
            MPI_CFLAGS=$MPI_LIBS
            AS_IF([test -n "$MPI_LIBS"], [ink_found=mpicc])])])
    AC_MSG_RESULT([${ink_found:-no}])
    AS_IF([test -z "$ink_found" && test "$with_mpi" != auto],
          [AC_MSG_ERROR([--with-mpi=$with_mpi, but neither pkg-config nor mpicc knows it.
  Debian, Ubuntu: apt-get install libopenmpi-dev openmpi-bin])])])
AM_CONDITIONAL([HAVE_MPI], [test -n "$ink_found"])
AS_CASE(["$with_mpi,$ink_found"],
    [no,*], [ink_state="no (--with-mpi)"],
    [*,], [ink_state="not found"],
    [ink_state="yes ($ink_found)"])
INK_SUMMARY_LINE([mpi], [training on several machines], [$ink_state])
])
