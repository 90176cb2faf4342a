# Libraries: the required ones, the optional ones, and the closing summary.

# INK_REQUIRE(PREFIX, MODULE, DEBIAN-PACKAGE, FEDORA-PACKAGE)
AC_DEFUN([INK_REQUIRE], [
PKG_CHECK_MODULES([$1], [$2], [],
    [AC_MSG_ERROR([$2 is missing; inkstone cannot be built without it.
  Debian, Ubuntu: apt-get install $3
  Fedora:         dnf install $4
  or run ./quickstart, which installs what is missing. pkg-config said:
  $$1[]_PKG_ERRORS])])
])

# INK_WITH(NAME, PREFIX, MODULES, PURPOSE, [used]): --with-NAME=yes|no|auto. MODULES are pkg-config
# names, the first that is found wins. HAVE_<PREFIX>, <PREFIX>_CFLAGS and <PREFIX>_LIBS are set
# only if the library is `used'; otherwise the switch is reserved, and only reported.
AC_DEFUN([INK_WITH], [
AC_ARG_WITH([$1], [AS_HELP_STRING([--with-$1=yes|no|auto], [$4 @<:@auto@:>@])], [], [with_$1=auto])
ink_found=
AS_CASE(["$with_$1"],
    [yes | auto], [
        AC_MSG_CHECKING([for $1])
        for ink_module in $3; do
            AS_IF([test -z "$ink_found" && $PKG_CONFIG --exists "$ink_module"],
                  [ink_found=$ink_module])
        done
        AC_MSG_RESULT([${ink_found:-no}])],
    [no], [],
    [AC_MSG_ERROR([--with-$1 takes yes, no or auto, not "$with_$1"])])
AS_IF([test -z "$ink_found" && test "$with_$1" = yes],
      [AC_MSG_ERROR([--with-$1=yes, but pkg-config finds none of: $3])])
m4_if([$5], [used], [
    AS_IF([test -n "$ink_found"], [
        AC_DEFINE([HAVE_$2], [1], [$4])
        $2_CFLAGS=`$PKG_CONFIG --cflags "$ink_found"`
        $2_LIBS=`$PKG_CONFIG --libs "$ink_found"`])
    AM_CONDITIONAL([HAVE_$2], [test -n "$ink_found"])
    AC_SUBST([$2_CFLAGS])
    AC_SUBST([$2_LIBS])
    ink_state=yes], [ink_state="found, not used yet"])
AS_IF([test "$with_$1" = no], [ink_state=no],
      [test -z "$ink_found"], [ink_state="not found"])
INK_SUMMARY_LINE([$1], [$4], [$ink_state])
])

# INK_CMOCKA: for `make check' only, so its absence is no error here.
AC_DEFUN([INK_CMOCKA], [
PKG_CHECK_MODULES([CMOCKA], [cmocka], [ink_cmocka=yes], [ink_cmocka="not found"])
AM_CONDITIONAL([HAVE_CMOCKA], [test "$ink_cmocka" = yes])
INK_SUMMARY_LINE([cmocka], [make check], [$ink_cmocka])
])

# INK_SUMMARY_LINE(NAME, PURPOSE, STATE)
AC_DEFUN([INK_SUMMARY_LINE], [
ink_line=`printf '  %-12s%-30s%s' '$1' "$2" "$3"`
ink_summary="$ink_summary
$ink_line"
])

AC_DEFUN([INK_SUMMARY], [
AS_ECHO(["
$PACKAGE_NAME $PACKAGE_VERSION for $host

  compiler    $CC, $CXX ($CFLAGS)
  libraries  `test "$enable_static" = yes && AS_ECHO([" static"])``test "$enable_shared" = yes && AS_ECHO([" shared"])`
  SIMD levels C`AS_ECHO(["$ink_simd"]) | tr ABCDEFGHIJKLMNOPQRSTUVWXYZ abcdefghijklmnopqrstuvwxyz`
  OpenMP      $ink_openmp
  prefix      $prefix
$ink_summary

Now type: make"])
])
