/* Which names and which web pages may speak to the server. A browser hands requests of any page to
 * any address, so Host tells a rebound name from ours, and Origin whose page it is. */
#ifndef INK_HTTP_TRUST_H
#define INK_HTTP_TRUST_H

#include "http_target.h"

struct ink_trust {
    const char *host;         /* that the server listens on */
    int port;                 /* 0: none (a socket file) */
    const char *const *hosts; /* [n_hosts] names, "name:port", or "*" */
    int n_hosts;
    const char *const *origins; /* [n_origins] */
    int n_origins;
};

/* `local`: the address at which this connection arrived, where the server listens on all; or "". */
bool ink_trust_host(const struct ink_trust *t, const struct ink_authority *host, const char *local);

enum ink_origin_kind {
    INK_ORIGIN_FOREIGN,
    INK_ORIGIN_OWN,    /* the server's own page */
    INK_ORIGIN_LISTED, /* another that was allowed: it needs CORS headers */
};
/* `host`: the request's Host, which ink_trust_host allowed. */
enum ink_origin_kind ink_trust_origin(const struct ink_trust *t, const char *origin,
                                      const struct ink_authority *host, const char *local);

#endif
