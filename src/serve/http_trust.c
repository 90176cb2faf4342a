#include "http_trust.h"

#include <string.h>

static bool same_host(const struct ink_authority *a, const char *text)
{
    struct ink_authority b;
    return text && ink_authority_parse(&b, text, true) && a->is_ipv6 == b.is_ipv6 &&
           strcmp(a->host, b.host) == 0;
}

static bool is_wildcard(const char *host)
{
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0 || strcmp(host, "[::]") == 0;
}

/* One of the names that need no option. That of a wildcard address is none: other pages reach the
 * machine by it. */
static bool is_own_name(const struct ink_trust *t, const struct ink_authority *host,
                        const char *local)
{
    if (ink_authority_is_loopback(host)) {
        return true;
    }
    return is_wildcard(t->host) ? *local && same_host(host, local) : same_host(host, t->host);
}

bool ink_trust_host(const struct ink_trust *t, const struct ink_authority *host, const char *local)
{
    if ((host->port == 0 || t->port == 0 || host->port == t->port) && is_own_name(t, host, local)) {
        return true;
    }
    for (int i = 0; i < t->n_hosts; i++) {
        struct ink_authority listed;
        if (strcmp(t->hosts[i], "*") == 0) {
            return true;
        }
        if (same_host(host, t->hosts[i]) && ink_authority_parse(&listed, t->hosts[i], true) &&
            (listed.port == 0 || listed.port == host->port)) {
            return true;
        }
    }
    return false;
}

enum ink_origin_kind ink_trust_origin(const struct ink_trust *t, const char *origin,
                                      const struct ink_authority *host, const char *local)
{
    for (int i = 0; i < t->n_origins; i++) {
        if (strcmp(t->origins[i], origin) == 0) {
            return INK_ORIGIN_LISTED;
        }
    }
    struct ink_authority a;
    if (!ink_origin_parse(&a, origin)) {
        return INK_ORIGIN_FOREIGN;
    }
    bool is_ours = t->port != 0 && a.port == t->port && is_own_name(t, &a, local);
    /* behind a proxy: the page came by the name that it asks for, at the port it names, or at the
     * usual ones if Host has none */
    bool is_same = a.is_ipv6 == host->is_ipv6 && strcmp(a.host, host->host) == 0 &&
                   (host->port ? a.port == host->port
                               : (a.port == 80 || a.port == 443) && !ink_authority_is_loopback(&a));
    return is_ours || is_same ? INK_ORIGIN_OWN : INK_ORIGIN_FOREIGN;
}
