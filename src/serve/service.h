/* systemd's protocol of services, without its library: telling the manager how things are, its
 * watchdog, and a socket that it hands over. service_posix.c, service_win32.c (which does
 * nothing: Windows has no such manager). */
#ifndef INK_SERVICE_H
#define INK_SERVICE_H

#include "common.h"

/* Send "READY=1", "STOPPING=1", ... to whoever $NOTIFY_SOCKET names. Nothing if nobody does. */
void ink_service_notify(const char *state);
/* Seconds within which "WATCHDOG=1" must come again and again; 0: no watchdog. */
double ink_service_watchdog(void);
/* The listening socket that was handed over; 0: none. INK_ERROR_ARGUMENT if there are several, or
 * it is no listening stream socket. *is_local: only this machine can reach it. */
int ink_service_listen_fd(int *fd, bool *is_local, struct ink_error *error);

#endif
