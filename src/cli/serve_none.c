/* The command "serve" of a program that was built without libmicrohttpd. */
#include "cli.h"

int ink_command_serve(const struct ink_options *options, struct ink_error *error)
{
    (void)options;
    return ink_fail(error, INK_ERROR_SYSTEM,
                    "serve: this inkstone was built without its HTTP server: install libmicrohttpd "
                    "(Debian: libmicrohttpd-dev), then configure and make it again");
}
