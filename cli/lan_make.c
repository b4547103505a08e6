/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making and deleting networks: see lan_make.h. The file is written before the first
 * step and again behind the last one, so a kill in between leaves a file that says
 * so, and the next who makes or deletes a network sweeps.
 */
#include "lan_make.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <arpa/inet.h>

#include "alloc.h"
#include "buf.h"
#include "hold.h"
#include "lan_setup.h"
#include "lease.h"
#include "ops/exit.h"

#define DEFAULT_NETS 256 /* 10.77.0.0/24 to 10.77.255.0/24 */

static unsigned mask_bits(const struct sockaddr *mask)
{
    unsigned bits = 0, size = mask->sa_family == AF_INET ? 4 : 16;
    const uint8_t *bytes = mask->sa_family == AF_INET
                               ? (const uint8_t *)&((const struct sockaddr_in *)mask)->sin_addr
                               : (const uint8_t *)&((const struct sockaddr_in6 *)mask)->sin6_addr;
    for (unsigned i = 0; i < size * 8 && bytes[i / 8] & 0x80 >> i % 8; i++)
        bits++;
    return bits;
}

static struct cidr interface_net(const struct ifaddrs *a)
{
    struct cidr c = {0};
    if (!a->ifa_addr || !a->ifa_netmask ||
        (a->ifa_addr->sa_family != AF_INET && a->ifa_addr->sa_family != AF_INET6))
        return c;
    c.family = a->ifa_addr->sa_family;
    c.bits = mask_bits(a->ifa_netmask);
    if (c.family == AF_INET)
        memcpy(c.bytes, &((struct sockaddr_in *)a->ifa_addr)->sin_addr, 4);
    else
        memcpy(c.bytes, &((struct sockaddr_in6 *)a->ifa_addr)->sin6_addr, 16);
    return c;
}

/* Who has addresses of this network: an interface or a network of ours; freed with free(). */
static char *overlap_find(const struct cidr *net, const char *but)
{
    struct ifaddrs *all = NULL;
    struct strlist names = {0};
    struct err ignored = {0};
    char *found = NULL, text[CIDR_TEXT];
    if (getifaddrs(&all) < 0)
        all = NULL;
    for (const struct ifaddrs *a = all; a && !found; a = a->ifa_next) {
        struct cidr own = interface_net(a);
        if (!cidr_overlap(&own, net) || strcmp(a->ifa_name, but) == 0)
            continue;
        cidr_text(&own, text);
        found = alloc_printf("%s (%s)", a->ifa_name, text);
    }
    lan_names(&names, &ignored);
    for (size_t i = 0; i < names.count && !found; i++) {
        struct lan l;
        if (!lan_load(&l, names.items[i], &ignored) || strcmp(l.bridge, but) == 0 ||
            (!cidr_overlap(&l.gateway, net) && !cidr_overlap(&l.gateway6, net)))
            continue;
        found = alloc_printf("the network %s", l.name);
    }
    if (all)
        freeifaddrs(all);
    strlist_free(&names);
    err_free(&ignored);
    return found;
}

static bool net_check(const struct cidr *net, const char *text, const struct lan *l,
                      struct err *err)
{
    char *other = overlap_find(net, l->bridge);
    if (other)
        err_set(err, OPS_EXIT_FAILED, "choose other addresses", "%s overlaps with %s", text, other);
    free(other);
    return other == NULL;
}

/* 192.168.7.0/24, or .1/24, which is then the host's own address. */
static bool subnet_take(struct lan *l, const char *text, struct err *err)
{
    struct cidr given;
    if (!cidr_parse(&given, text) || given.family != AF_INET || given.bits < 8 || given.bits > 29)
        return err_set(err, OPS_EXIT_USAGE, "write --subnet 192.168.7.0/24, from /8 to /29",
                       "%s is no subnet", text);
    struct cidr net = cidr_network(&given);
    l->gateway = cidr_equal(&net, &given) ? cidr_host(&net, 1) : given;
    return net_check(&net, text, l, err);
}

static bool subnet_choose(struct lan *l, struct err *err)
{
    for (unsigned i = 0; i < DEFAULT_NETS; i++) {
        struct cidr net = {.family = AF_INET, .bits = 24, .bytes = {10, 77, (uint8_t)i}};
        char *other = overlap_find(&net, l->bridge);
        bool usable = !other;
        free(other);
        if (usable) {
            l->gateway = cidr_host(&net, 1);
            return true;
        }
    }
    return err_set(err, OPS_EXIT_FAILED, "name one with --subnet", "no 10.77.N.0/24 is free");
}

static bool ipv6_take(struct lan *l, const char *text, struct err *err)
{
    struct cidr given;
    if (!cidr_parse(&given, text) || given.family != AF_INET6 || given.bits != 64)
        return err_set(err, OPS_EXIT_USAGE, "write --ipv6 fd00:7::/64; a network has 64 bits",
                       "%s is no IPv6 network", text);
    struct cidr net = cidr_network(&given);
    l->gateway6 = cidr_host(&net, 1);
    return net_check(&net, text, l, err);
}

/* Is the name free? One that was not finished does not count: it is swept. */
static bool name_free(const struct lan *l, struct err *err)
{
    struct lan there;
    struct err ignored = {0};
    bool known = lan_load(&there, l->name, &ignored);
    err_free(&ignored);
    if (known && there.ready)
        return err_set(err, OPS_EXIT_FAILED, "choose another name, or delete it first",
                       "there is a network %s already", l->name);
    if (known || !if_nametoindex(l->bridge))
        return true;
    err_set(err, OPS_EXIT_FAILED, NULL, "there is an interface %s already", l->bridge);
    err_hint(err, "choose another name, or `ip link delete %s`", l->bridge);
    return false;
}

bool lan_plan(struct lan *l, const struct lan_wish *w, struct err *err)
{
    if (!lan_init(l, w->name, err))
        return false;
    l->nat = w->nat;
    return name_free(l, err) &&
           (w->subnet ? subnet_take(l, w->subnet, err) : subnet_choose(l, err)) &&
           (!w->ipv6 || ipv6_take(l, w->ipv6, err)) && lan_choose_firewall(l, err);
}

bool lan_permitted(const char *what, const struct lan *l, struct err *err)
{
    struct strlist lines = {0};
    struct buf b = {0};
    if (lan_privileged())
        return true;
    lan_commands(l, &lines);
    for (size_t i = 0; i < lines.count; i++)
        buf_addf(&b, "%s%s", i ? "; " : "", lines.items[i]);
    err_set(err, OPS_EXIT_FAILED, NULL, "%s needs root or CAP_NET_ADMIN", what);
    err_hint(err, "with sudo it runs: %s", b.data);
    buf_free(&b);
    strlist_free(&lines);
    return false;
}

/* What killed ones left, under the lock. */
static void sweep(int dir)
{
    struct strlist names = {0};
    struct err ignored = {0};
    lan_names(&names, &ignored);
    for (size_t i = 0; i < names.count; i++) {
        struct lan l;
        if (!lan_load(&l, names.items[i], &ignored) || l.ready)
            continue;
        leases_sweep(&l);
        if (lan_lower(&l, &ignored))
            lan_forget(dir, &l);
    }
    strlist_free(&names);
    err_free(&ignored);
}

/* Under the lock, with signals held. */
static bool create(struct lan *l, int dir, struct err *err)
{
    bool ok = lan_save(dir, l, err) && lan_raise(l, err);
    if (ok) {
        l->ready = true;
        ok = lan_save(dir, l, err);
        if (!ok) {
            struct err ignored = {0};
            lan_lower(l, &ignored);
            err_free(&ignored);
        }
    }
    if (!ok)
        lan_forget(dir, l);
    return ok;
}

bool lan_create(struct lan *l, const struct lan_wish *w, struct err *err)
{
    struct hold hold;
    if (!lan_plan(l, w, err) || !lan_permitted("making a network", l, err))
        return false;
    int dir = lan_lock(err);
    if (dir < 0)
        return false;
    hold_begin(&hold);
    sweep(dir);
    bool ok = lan_plan(l, w, err) && create(l, dir, err); /* again: others may have been quicker */
    close(dir);
    hold_end(&hold);
    return ok;
}

static bool in_use(const struct lan *l, struct err *err)
{
    struct tenants t;
    tenants_find(&t, l);
    char text[CIDR_TEXT];
    bool any = t.count > 0;
    if (any) {
        cidr_address_text(&t.items[0].address, text);
        err_set(err, OPS_EXIT_FAILED, "stop its machines first: `ops network inspect` lists them",
                "the network %s is in use by %s%s", l->name,
                t.items[0].names.count ? t.items[0].names.items[0] : text,
                t.count > 1 ? " and others" : "");
    }
    tenants_free(&t);
    return any;
}

bool lan_delete(const char *name, struct err *err)
{
    struct lan l;
    struct hold hold;
    if (!lan_load(&l, name, err))
        return false;
    if (!lan_privileged())
        return err_set(err, OPS_EXIT_FAILED, "run it with sudo",
                       "deleting a network needs root or CAP_NET_ADMIN");
    int dir = lan_lock(err);
    if (dir < 0)
        return false;
    hold_begin(&hold);
    bool ok = lan_load(&l, name, err) && !in_use(&l, err);
    l.ready = false; /* from now on it is to be swept */
    ok = ok && lan_save(dir, &l, err) && lan_lower(&l, err);
    if (ok) {
        leases_sweep(&l);
        lan_forget(dir, &l);
    }
    close(dir);
    hold_end(&hold);
    return ok;
}

bool lan_ready(const struct lan *l, struct err *err)
{
    struct lan now;
    if (strcmp(lan_state(l), "up") == 0)
        return true;
    if (!lan_permitted("bringing up a network", l, err))
        return false;
    int dir = lan_lock(err);
    struct hold hold;
    hold_begin(&hold);
    bool ok = dir >= 0 && lan_load(&now, l->name, err);
    if (ok && !now.ready)
        ok = err_set(err, OPS_EXIT_FAILED, "delete it, and create it again",
                     "the network %s was not finished", l->name);
    if (ok && strcmp(lan_state(&now), "up") != 0)
        ok = lan_lower(&now, err) && lan_raise(&now, err);
    if (dir >= 0)
        close(dir);
    hold_end(&hold);
    return ok;
}
