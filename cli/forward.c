/* SPDX-License-Identifier: Apache-2.0 */
/* Ports of the host that lead into the machine: see forward.h. */
#include "forward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "ops/exit.h"
#include "portowner.h"

#define HINT         "write -p 8080, -p 8080:80, -p 0.0.0.0:8080:80, -p [::1]:8080:80 or -p 5353:53/udp"
#define FORWARDS_MAX 1024
#define FREE_TRIES   16

struct range {
    unsigned first, last;
};

static bool range_parse(const char *text, struct range *r)
{
    char *end;
    r->first = r->last = (unsigned)strtoul(text, &end, 10);
    if (end == text || *text < '0' || *text > '9')
        return false;
    if (*end == '-') {
        const char *second = end + 1;
        r->last = (unsigned)strtoul(second, &end, 10);
        if (end == second || *second < '0' || *second > '9')
            return false;
    }
    return !*end && r->last <= UINT16_MAX && r->first <= r->last;
}

static bool wrong(const char *text, struct err *err)
{
    return err_set(err, OPS_EXIT_USAGE, HINT, "%s is not a port to forward", text);
}

static bool twice(const struct forwards *all, const struct forward *f)
{
    for (size_t i = 0; i < all->count; i++)
        if (f->host && all->items[i].host == f->host && all->items[i].udp == f->udp &&
            strcmp(all->items[i].address, f->address) == 0)
            return true;
    return false;
}

static bool forward_add(struct forwards *all, const struct forward *like, const struct range *host,
                        const struct range *guest, struct err *err)
{
    for (unsigned i = 0; i <= host->last - host->first; i++) {
        struct forward f = *like;
        f.host = (uint16_t)(host->first + i);
        f.guest = (uint16_t)(guest->first + i);
        if (twice(all, &f))
            return err_set(err, OPS_EXIT_USAGE, NULL, "port %u is forwarded twice", f.host);
        if (all->count == FORWARDS_MAX)
            return err_set(err, OPS_EXIT_USAGE, NULL, "more than %d ports to forward",
                           FORWARDS_MAX);
        all->items = alloc_array(all->items, all->count + 1, sizeof *all->items);
        all->items[all->count++] = f;
    }
    return true;
}

/* The address in front, if there is one: what follows its colon; NULL: it is none. */
static char *address_take(struct forward *f, char *text)
{
    uint8_t ip[16];
    char *end, *colon;
    strcpy(f->address, "127.0.0.1");
    f->plain = true;
    if (text[0] == '[') {
        end = strchr(text, ']');
        if (!end || end[1] != ':')
            return NULL;
        *end = 0;
        f->v6 = true;
        colon = end + 1;
        text++;
    } else {
        colon = strchr(text, ':');
        if (!colon || (!strchr(colon + 1, ':') && !memchr(text, '.', (size_t)(colon - text))))
            return text;
    }
    *colon = 0;
    if (strlen(text) >= sizeof f->address || inet_pton(f->v6 ? AF_INET6 : AF_INET, text, ip) != 1)
        return NULL;
    strcpy(f->address, text);
    f->plain = false;
    return colon + 1;
}

/* One port or range; `text` is cut up. */
static bool forward_parse(struct forwards *all, const char *whole, char *text, bool udp,
                          struct err *err)
{
    struct forward f = {.udp = udp};
    struct range host, guest;
    char *slash = strchr(text, '/');
    if (slash) {
        *slash++ = '\0';
        if (strcmp(slash, "udp") != 0 && strcmp(slash, "tcp") != 0)
            return wrong(whole, err);
        f.udp = *slash == 'u';
    }
    char *ports = address_take(&f, text), *second = ports ? strchr(ports, ':') : NULL;
    if (second)
        *second++ = '\0';
    if (!ports || !range_parse(ports, &host))
        return wrong(whole, err);
    guest = host;
    if (second && !range_parse(second, &guest))
        return wrong(whole, err);
    if (!guest.first || guest.last - guest.first != host.last - host.first)
        return wrong(whole, err);
    return forward_add(all, &f, &host, &guest, err);
}

bool forwards_parse(struct forwards *f, const struct strlist *ports, bool udp, struct err *err)
{
    bool ok = true;
    for (size_t i = 0; ok && i < ports->count; i++) {
        struct strlist parts = {0};
        strlist_split(&parts, ports->items[i], ",");
        if (!parts.count)
            ok = wrong(ports->items[i], err);
        for (size_t j = 0; ok && j < parts.count; j++) {
            char *copy = alloc_string(parts.items[j]);
            ok = forward_parse(f, parts.items[j], copy, udp, err);
            free(copy);
        }
        strlist_free(&parts);
    }
    return ok;
}

/* Binds the port for a moment, as will be done in earnest: its number, 0: errno. */
static unsigned port_try(const char *address, bool v6, unsigned port, bool udp)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr *name = v6 ? (struct sockaddr *)&in6 : (struct sockaddr *)&in;
    socklen_t len = v6 ? sizeof in6 : sizeof in;
    const int on = 1;
    inet_pton(v6 ? AF_INET6 : AF_INET, address, v6 ? (void *)&in6.sin6_addr : (void *)&in.sin_addr);
    int fd = socket(name->sa_family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return 0;
    if (!udp)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (v6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    bool ok = bind(fd, name, len) == 0 && getsockname(fd, name, &len) == 0;
    int number = errno;
    close(fd);
    errno = number;
    return ok ? ntohs(v6 ? in6.sin6_port : in.sin_port) : 0;
}

static bool refused(const char *address, bool v6, unsigned port, bool udp, int number,
                    struct err *err)
{
    char *owner = number == EADDRINUSE ? port_owner((uint16_t)port, udp, v6) : NULL;
    if (owner)
        err_set(err, OPS_EXIT_FAILED, "end it, or forward another port: -p 0 takes a free one",
                "port %u is in use by %s", port, owner);
    else if (number == EADDRINUSE)
        err_set(err, OPS_EXIT_FAILED, "forward another port: -p 0 takes a free one",
                "port %u is in use", port);
    else if (number == EACCES)
        err_set(err, OPS_EXIT_FAILED, "ports below 1024 are for root: -p 8080:80 forwards another",
                "you may not bind port %u", port);
    else
        err_set(err, OPS_EXIT_FAILED, NULL, "cannot bind %s port %u: %s", address, port,
                strerror(number));
    free(owner);
    return false;
}

/* `localhost` is often ::1 first: without an address nobody else may have the port there. */
static bool other_free(const struct forward *f, unsigned port)
{
    return !f->plain || port_try("::1", true, port, f->udp) || errno != EADDRINUSE;
}

static bool forward_check(struct forward *f, struct err *err)
{
    unsigned port = 0;
    for (int tries = 0; tries < FREE_TRIES; tries++) {
        port = port_try(f->address, f->v6, f->host, f->udp);
        if (!port || f->host || other_free(f, port))
            break;
    }
    if (!port)
        return refused(f->address, f->v6, f->host, f->udp, errno, err);
    if (!other_free(f, port))
        return refused("::1", true, port, f->udp, EADDRINUSE, err);
    f->host = (uint16_t)port;
    f->between = f->v6 ? (uint16_t)port_try("127.0.0.1", false, 0, f->udp) : 0;
    return !f->v6 || f->between || refused("127.0.0.1", false, 0, f->udp, errno, err);
}

bool forwards_check(struct forwards *f, struct err *err)
{
    for (size_t i = 0; i < f->count; i++)
        if (!forward_check(&f->items[i], err))
            return false;
    return true;
}

char *forwards_arguments(const struct forwards *all, const char *guest)
{
    struct buf b = {0};
    buf_add(&b, "", 0);
    for (size_t i = 0; i < all->count; i++) {
        const struct forward *f = &all->items[i];
        buf_addf(&b, ",hostfwd=%s:%s:%u-%s:%u", f->udp ? "udp" : "tcp",
                 f->v6 ? "127.0.0.1" : f->address, f->v6 ? f->between : f->host, guest, f->guest);
    }
    return b.data;
}

/* What usually speaks on the port, for a link that a terminal opens. */
static const char *scheme_of(unsigned port)
{
    static const uint16_t http[] = {80, 3000, 5000, 8000, 8080, 8888};
    for (size_t i = 0; i < sizeof http / sizeof http[0]; i++)
        if (http[i] == port)
            return "http://";
    return port == 443 || port == 8443 ? "https://" : "";
}

void forwards_announce(const struct forwards *all, unsigned port, FILE *to)
{
    for (size_t i = 0; i < all->count; i++) {
        const struct forward *f = &all->items[i];
        if (!f->udp && f->guest == port)
            fprintf(to, "ops: listening on %s%s%s%s:%u\n", scheme_of(port), f->v6 ? "[" : "",
                    f->address, f->v6 ? "]" : "", f->host);
    }
}

void forwards_free(struct forwards *f)
{
    free(f->items);
    *f = (struct forwards){0};
}
