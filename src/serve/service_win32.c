#include "service.h"

void ink_service_notify(const char *state)
{
    (void)state;
}

double ink_service_watchdog(void)
{
    return 0;
}

int ink_service_listen_fd(int *fd, bool *is_local, struct ink_error *error)
{
    (void)is_local, (void)error;
    *fd = 0;
    return INK_OK;
}
