/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's network: see network.h. */
#include "network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_tun.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "alloc.h"
#include "ops/exit.h"
#include "portowner.h"

#define GUEST_INTERFACE "10.0.2.15/24 10.0.2.2 10.0.2.3" /* what QEMU's user network expects */
#define HINT            "write -p 8080, -p 8080:80, -p 0.0.0.0:8080:80 or -p 5353:53/udp"
#define FORWARDS_MAX    1024
#define QUEUES_MAX      8 /* of a tap device, each with a file */

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

static bool forward_add(struct network *n, const char *address, const struct range *host,
                        const struct range *guest, bool udp, struct err *err)
{
    for (unsigned i = 0; i <= host->last - host->first; i++) {
        if (n->forward_count == FORWARDS_MAX)
            return err_set(err, OPS_EXIT_USAGE, NULL, "more than %d ports to forward",
                           FORWARDS_MAX);
        n->forwards = alloc_array(n->forwards, n->forward_count + 1, sizeof *n->forwards);
        struct forward *f = &n->forwards[n->forward_count++];
        *f = (struct forward){
            .host = (uint16_t)(host->first + i), .guest = (uint16_t)(guest->first + i), .udp = udp};
        strcpy(f->address, address);
    }
    return true;
}

/* One port or range; `text` is cut up. */
static bool forward_parse(struct network *n, const char *whole, char *text, bool udp,
                          struct err *err)
{
    char address[46] = "127.0.0.1", *slash = strchr(text, '/'), *part[3] = {text};
    struct in_addr ip;
    struct range host, guest;
    int count = 1;
    if (slash) {
        *slash++ = '\0';
        if (strcmp(slash, "udp") != 0 && strcmp(slash, "tcp") != 0)
            return wrong(whole, err);
        udp = *slash == 'u';
    }
    for (char *colon = strchr(text, ':'); colon; colon = strchr(colon, ':')) {
        if (count == 3)
            return wrong(whole, err);
        *colon++ = '\0';
        part[count++] = colon;
    }
    char **first = part;
    if (count == 3 || (count == 2 && strchr(part[0], '.'))) {
        if (inet_pton(AF_INET, part[0], &ip) != 1)
            return wrong(whole, err);
        strcpy(address, part[0]);
        first++;
        count--;
    }
    if (!range_parse(first[0], &host))
        return wrong(whole, err);
    guest = host;
    if (count == 2 && !range_parse(first[1], &guest))
        return wrong(whole, err);
    if (!guest.first || guest.last - guest.first != host.last - host.first)
        return wrong(whole, err);
    return forward_add(n, address, &host, &guest, udp, err);
}

static bool forwards_parse(struct network *n, const struct strlist *ports, bool udp,
                           struct err *err)
{
    bool ok = true;
    for (size_t i = 0; ok && i < ports->count; i++) {
        struct strlist parts = {0};
        strlist_split(&parts, ports->items[i], ",");
        if (!parts.count)
            ok = wrong(ports->items[i], err);
        for (size_t j = 0; ok && j < parts.count; j++) {
            char *copy = alloc_string(parts.items[j]);
            ok = forward_parse(n, parts.items[j], copy, udp, err);
            free(copy);
        }
        strlist_free(&parts);
    }
    return ok;
}

bool network_parse(struct network *n, const char *net, const struct strlist *ports,
                   const struct strlist *udp_ports, struct err *err)
{
    *n = (struct network){0};
    if (net && strcmp(net, "none") == 0)
        n->kind = NETWORK_NONE;
    else if (net && strncmp(net, "tap:", 4) == 0 && net[4] && strlen(net + 4) < 16 &&
             !strchr(net, ','))
        n->kind = NETWORK_TAP;
    else if (net && strcmp(net, "user") != 0)
        return err_set(err, OPS_EXIT_USAGE, NULL, "--net must be user, none or tap:NAME, not %s",
                       net);
    n->tap = n->kind == NETWORK_TAP ? net + 4 : NULL;
    if (n->kind != NETWORK_USER && ports->count + udp_ports->count)
        return err_set(err, OPS_EXIT_USAGE, "leave out --net or the ports",
                       "ports are forwarded in the user network, not with --net %s", net);
    return forwards_parse(n, ports, false, err) && forwards_parse(n, udp_ports, true, err);
}

/* Binds the port for a moment, as QEMU will. */
static bool forward_check(struct forward *f, struct err *err)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(f->host)};
    socklen_t len = sizeof in;
    const int on = 1;
    inet_pton(AF_INET, f->address, &in.sin_addr);
    int fd = socket(AF_INET, (f->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_errno(err, "make", "a socket");
    if (!f->udp)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool ok = bind(fd, (struct sockaddr *)&in, sizeof in) == 0;
    int failed = errno;
    if (ok && getsockname(fd, (struct sockaddr *)&in, &len) == 0)
        f->host = ntohs(in.sin_port);
    close(fd);
    if (ok)
        return true;
    char *owner = failed == EADDRINUSE ? port_owner(f->host, f->udp) : NULL;
    if (owner)
        err_set(err, OPS_EXIT_FAILED, "end it, or forward another port: -p 0 takes a free one",
                "port %u is in use by %s", f->host, owner);
    else if (failed == EADDRINUSE)
        err_set(err, OPS_EXIT_FAILED, "forward another port: -p 0 takes a free one",
                "port %u is in use", f->host);
    else if (failed == EACCES)
        err_set(err, OPS_EXIT_FAILED, "ports below 1024 are for root: -p 8080:80 forwards another",
                "you may not bind port %u", f->host);
    else
        err_set(err, OPS_EXIT_FAILED, NULL, "cannot bind %s port %u: %s", f->address, f->host,
                strerror(failed));
    free(owner);
    return false;
}

bool network_check(struct network *n, struct err *err)
{
    for (size_t i = 0; i < n->forward_count; i++)
        if (!forward_check(&n->forwards[i], err))
            return false;
    return true;
}

/* 1: the tap device has one queue, and QEMU must not ask for more; it also must ask for several of
 * one that was made for them. */
static unsigned tap_queues(const char *tap, unsigned cpus)
{
    unsigned flags = 0;
    char *path = alloc_printf("/sys/class/net/%s/tun_flags", tap);
    FILE *f = fopen(path, "re");
    free(path);
    if (f && fscanf(f, "%x", &flags) != 1)
        flags = 0;
    if (f)
        fclose(f);
    if (!(flags & IFF_MULTI_QUEUE))
        return 1;
    return cpus < 2 ? 2 : cpus < QUEUES_MAX ? cpus : QUEUES_MAX;
}

void network_arguments(const struct network *n, const char *bus, unsigned cpus,
                       struct strlist *argv)
{
    if (n->kind == NETWORK_NONE)
        return;
    bool pci = strcmp(bus, "pci") == 0;
    unsigned queues = n->kind == NETWORK_TAP ? tap_queues(n->tap, cpus) : 1;
    char *line = n->kind == NETWORK_TAP
                     ? alloc_printf("tap,id=net0,ifname=%s,script=no,downscript=no", n->tap)
                     : alloc_string("user,id=net0");
    if (queues > 1) {
        char *longer = alloc_printf("%s,queues=%u", line, queues);
        free(line);
        line = longer;
    }
    for (size_t i = 0; i < n->forward_count; i++) {
        const struct forward *f = &n->forwards[i];
        char *longer = alloc_printf("%s,hostfwd=%s:%s:%u-:%u", line, f->udp ? "udp" : "tcp",
                                    f->address, f->host, f->guest);
        free(line);
        line = longer;
    }
    strlist_add(argv, "-netdev");
    strlist_add(argv, line);
    strlist_add(argv, "-device");
    /* No option ROM: nothing boots from the network. */
    char *device = alloc_printf("virtio-net-%s,netdev=net0%s%s", bus, pci ? ",romfile=" : "",
                                queues > 1 ? ",mq=on" : "");
    if (pci && queues > 1) /* one for each queue, for the control queue and for changes */
        strlist_addf(argv, "%s,vectors=%u", device, 2 * queues + 2);
    else
        strlist_add(argv, device);
    free(device);
    free(line);
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

void network_announce(const struct network *n, unsigned port, FILE *to)
{
    for (size_t i = 0; i < n->forward_count; i++) {
        const struct forward *f = &n->forwards[i];
        if (!f->udp && f->guest == port)
            fprintf(to, "ops: listening on %s%s:%u\n", scheme_of(port), f->address, f->host);
    }
}

const char *network_interface(const struct network *n)
{
    return n->kind == NETWORK_USER ? GUEST_INTERFACE : NULL;
}

void network_free(struct network *n)
{
    free(n->forwards);
    *n = (struct network){0};
}
