/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/net (proc(5)) and /sys/class/net, from lwIP's tables and the sockets. */
#include "net/procnet.h"

#include <linux/errno.h>

#include "dev/netdev.h"
#include "fs/procfs.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "lwip/etharp.h"
#include "lwip/igmp.h"
#include "lwip/priv/nd6_priv.h"
#include "net/abi.h"
#include "net/inet.h"
#include "net/interface.h"
#include "net/link.h"
#include "net/netstat.h"
#include "net/route.h"
#include "net/tcp_options.h"
#include "net/tcp_socket.h"
#include "net/tcp_table.h"
#include "net/udp_socket.h"
#include "net/unix.h"

#define LINE_TCP 149 /* characters of a line in the lists of sockets, as Linux pads them */

static struct netif *device_next(unsigned *index)
{
    return *index < 255 ? netif_get_by_index((u8_t)++ * index) : NULL;
}

/* /proc/net/dev */
static int dev_text(struct seq *s)
{
    unsigned index = 0;
    struct netif *netif;
    seq_text(s, "Inter-|   Receive                                                |  Transmit\n"
                " face |bytes    packets errs drop fifo frame compressed multicast|bytes    "
                "packets errs drop fifo colls carrier compressed\n");
    int err = stack_enter();
    if (err)
        return err;
    while ((netif = device_next(&index)) != NULL) {
        static const struct netdev none;
        const struct netdev *d = link_device(netif) ? link_device(netif) : &none;
        char name[INTERFACE_NAME];
        interface_name(index, name);
        seq_printf(s,
                   "%6s: %7lu %7lu    0    0    0     0          0         0 %8lu %7lu    0 %4lu"
                   "    0     0       0          0\n",
                   name, d->received_bytes, d->received, d->sent_bytes, d->sent, d->dropped);
    }
    stack_unlock();
    return 0;
}

/* /proc/net/route: hexadecimal, in the byte order of the machine. */
static void route_line(struct seq *s, unsigned index, u32_t to, u32_t gateway, u32_t mask,
                       unsigned metric)
{
    char name[INTERFACE_NAME];
    interface_name(index, name);
    seq_printf(s, "%s\t%08X\t%08X\t%04X\t0\t0\t%u\t%08X\t0\t0\t0\n", name, to, gateway,
               gateway ? 3 : 1, metric, mask);
}

static int route_text(struct seq *s)
{
    unsigned index = 0;
    struct netif *netif;
    seq_text(s,
             "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT"
             "\n");
    int err = stack_enter();
    if (err)
        return err;
    while ((netif = device_next(&index)) != NULL) {
        u32_t own = ip4_addr_get_u32(netif_ip4_addr(netif));
        u32_t mask = ip4_addr_get_u32(netif_ip4_netmask(netif));
        u32_t gateway = ip4_addr_get_u32(netif_ip4_gw(netif));
        if (!own || !link_device(netif))
            continue;
        if (route_is_default(netif))
            route_line(s, index, 0, gateway, 0, route_metric(netif));
        route_line(s, index, own & mask, 0, mask, 0);
        const struct lease_route *r;
        for (unsigned i = 0; (r = route_lease_nth(i)) != NULL; i++)
            if (r->index == index)
                route_line(s, index, r->net, r->gateway, route_mask(r->bits), 0);
    }
    stack_unlock();
    return 0;
}

static void hex6(struct seq *s, const ip6_addr_t *ip)
{
    for (unsigned i = 0; i < 4; i++)
        seq_printf(s, "%08x", lwip_htonl(ip->addr[i]));
}

/* /proc/net/if_inet6 */
static int if_inet6_text(struct seq *s)
{
    unsigned index = 0;
    struct netif *netif;
    int err = stack_enter();
    if (err)
        return err;
    while ((netif = device_next(&index)) != NULL) {
        char name[INTERFACE_NAME];
        interface_name(index, name);
        for (s8_t i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
            u8_t state = netif_ip6_addr_state(netif, i);
            const ip6_addr_t *ip = netif_ip6_addr(netif, i);
            if (ip6_addr_isinvalid(state))
                continue;
            hex6(s, ip);
            seq_printf(s, " %02x %02x %02x %02x %8s\n", index, link_device(netif) ? 64 : 128,
                       ip6_addr_isloopback(ip)    ? 0x10
                       : ip6_addr_islinklocal(ip) ? 0x20
                                                  : 0,
                       ip6_addr_istentative(state)         ? 0x40
                       : netif_ip6_addr_isstatic(netif, i) ? 0x80
                                                           : 0,
                       name);
        }
    }
    stack_unlock();
    return 0;
}

/* /proc/net/arp */
static int arp_text(struct seq *s)
{
    seq_text(s, "IP address       HW type     Flags       HW address            Mask     Device\n");
    int err = stack_enter();
    if (err)
        return err;
    for (size_t i = 0; i < ARP_TABLE_SIZE; i++) {
        ip4_addr_t *ip;
        struct netif *netif;
        struct eth_addr *mac;
        char name[INTERFACE_NAME], text[16];
        if (!etharp_get_entry(i, &ip, &netif, &mac))
            continue;
        interface_name(netif_get_index(netif), name);
        ip4addr_ntoa_r(ip, text, sizeof text);
        seq_printf(s,
                   "%-16s 0x1         0x2         %02x:%02x:%02x:%02x:%02x:%02x     *        %s\n",
                   text, mac->addr[0], mac->addr[1], mac->addr[2], mac->addr[3], mac->addr[4],
                   mac->addr[5], name);
    }
    stack_unlock();
    return 0;
}

/* /proc/net/igmp */
static int igmp_text(struct seq *s)
{
    unsigned index = 0;
    struct netif *netif;
    seq_text(s, "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n");
    int err = stack_enter();
    if (err)
        return err;
    while ((netif = device_next(&index)) != NULL) {
        unsigned count = 0;
        char name[INTERFACE_NAME];
        interface_name(index, name);
        for (const struct igmp_group *g = netif_igmp_data(netif); g; g = g->next)
            count++;
        seq_printf(s, "%u\t%-10s: %5u      V3\n", index, name, count);
        for (const struct igmp_group *g = netif_igmp_data(netif); g; g = g->next)
            seq_printf(s, "\t\t\t\t%08X %5u 0:00000000\t\t0\n", ip4_addr_get_u32(&g->group_address),
                       g->use);
    }
    stack_unlock();
    return 0;
}

/* An address and a port of the lists of sockets. */
static void end_text(struct seq *s, int family, const ip_addr_t *ip, u16_t port)
{
    struct __kernel_sockaddr_storage name;
    const u32_t *words = (const u32_t *)&((struct sockaddr_in6 *)&name)->sin6_addr;
    inet_name(family, ip, port, &name);
    if (family == AF_INET)
        seq_printf(s, " %08X", ((struct sockaddr_in *)&name)->sin_addr.s_addr);
    else
        seq_printf(s, " %08X%08X%08X%08X", words[0], words[1], words[2], words[3]);
    seq_printf(s, ":%04X", port);
}

struct listing {
    struct seq *s;
    int family;
    unsigned line;
};

static void sock_line(void *arg, const struct inet_view *v)
{
    struct listing *l = arg;
    size_t start = l->s->len;
    if (v->family != l->family)
        return;
    seq_printf(l->s, "%4u:", l->line++);
    end_text(l->s, l->family, &v->local, v->local_port);
    end_text(l->s, l->family, &v->remote, v->remote_port);
    seq_printf(l->s, " %02X %08lX:%08lX %02X:%08X %08X %5u %8d %lu %d %016x %d", v->state, v->out,
               v->in, 0, 0, v->retransmissions, 0, 0, v->ino, 1, 0, 0);
    while (!l->s->err && l->family == AF_INET && l->s->len - start < LINE_TCP)
        seq_text(l->s, " ");
    seq_text(l->s, "\n");
}

static const char header4[] =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
    "inode                                                     \n";
static const char header6[] =
    "  sl  local_address                         remote_address                        st tx_queue "
    "rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

typedef void each_fn(void (*fn)(void *arg, const struct inet_view *v), void *arg);

static int listing_text(struct seq *s, int family, each_fn *each)
{
    struct listing l = {s, family, 0};
    seq_text(s, family == AF_INET ? header4 : header6);
    int err = stack_enter();
    if (err)
        return err;
    each(sock_line, &l);
    stack_unlock();
    return 0;
}

static int tcp_text(struct seq *s)
{
    return listing_text(s, AF_INET, tcp_each);
}

static int tcp6_text(struct seq *s)
{
    return listing_text(s, AF_INET6, tcp_each);
}

static int udp_text(struct seq *s)
{
    return listing_text(s, AF_INET, udp_each);
}

static int udp6_text(struct seq *s)
{
    return listing_text(s, AF_INET6, udp_each);
}

/* There are no raw sockets. */
static int raw_text(struct seq *s)
{
    seq_text(s, header4);
    return 0;
}

struct totals {
    unsigned used[2], waiting; /* by family */
};

static void count_one(void *arg, const struct inet_view *v)
{
    struct totals *t = arg;
    if (v->state == TCP_STATE_TIME_WAIT)
        t->waiting++;
    else
        t->used[v->family == AF_INET6]++;
}

static int sockstat(struct seq *s, bool v6)
{
    struct totals tcp = {0}, udp = {0};
    int err = stack_enter();
    if (err)
        return err;
    tcp_each(count_one, &tcp);
    udp_each(count_one, &udp);
    stack_unlock();
    if (v6) {
        seq_printf(s,
                   "TCP6: inuse %u\nUDP6: inuse %u\nUDPLITE6: inuse 0\nRAW6: inuse 0\n"
                   "FRAG6: inuse 0 memory 0\n",
                   tcp.used[1], udp.used[1]);
        return 0;
    }
    unsigned all = tcp.used[0] + tcp.used[1] + udp.used[0] + udp.used[1] + unix_count();
    seq_printf(s,
               "sockets: used %u\nTCP: inuse %u orphan 0 tw %u alloc %u mem 0\n"
               "UDP: inuse %u mem 0\nUDPLITE: inuse 0\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n",
               all, tcp.used[0], tcp.waiting, tcp.used[0] + tcp.used[1], udp.used[0]);
    return 0;
}

static int sockstat_text(struct seq *s)
{
    return sockstat(s, false);
}

static int sockstat6_text(struct seq *s)
{
    return sockstat(s, true);
}

/* The files of one interface in /sys: seq->id is its index, also before the stack runs. */

struct device_search {
    struct netdev *found;
    unsigned left; /* devices before it */
};

static int device_at(struct netdev *d, void *arg)
{
    struct device_search *search = arg;
    if (search->left--)
        return 0;
    search->found = d;
    return 1;
}

/* NULL: the loopback. */
static const struct netdev *sys_device(const struct seq *s)
{
    struct device_search search = {NULL, (unsigned)s->id - 2};
    if (s->id >= 2)
        netdev_for_each(device_at, &search);
    return search.found;
}

static int sys_address(struct seq *s)
{
    static const struct netdev none;
    const struct netdev *d = sys_device(s);
    const uint8_t *mac = d ? d->mac : none.mac;
    seq_printf(s, "%02x:%02x:%02x:%02x:%02x:%02x\n", mac[0], mac[1], mac[2], mac[3], mac[4],
               mac[5]);
    return 0;
}

static int sys_mtu(struct seq *s)
{
    const struct netdev *d = sys_device(s);
    seq_printf(s, "%u\n", d ? d->mtu : 65536u);
    return 0;
}

static int sys_index(struct seq *s)
{
    seq_printf(s, "%d\n", s->id);
    return 0;
}

static int sys_type(struct seq *s)
{
    seq_printf(s, "%d\n", sys_device(s) ? ARPHRD_ETHER : ARPHRD_LOOPBACK);
    return 0;
}

static int sys_flags(struct seq *s)
{
    seq_printf(s, "0x%x\n", sys_device(s) ? 0x1003 : 9);
    return 0;
}

static int sys_state(struct seq *s)
{
    const struct netdev *d = sys_device(s);
    seq_text(s, !d ? "unknown\n" : d->link ? "up\n" : "down\n");
    return 0;
}

static int sys_carrier(struct seq *s)
{
    const struct netdev *d = sys_device(s);
    seq_text(s, !d || d->link ? "1\n" : "0\n");
    return 0;
}

static int sys_received(struct seq *s)
{
    const struct netdev *d = sys_device(s);
    seq_printf(s, "%lu\n", d ? d->received_bytes : 0);
    return 0;
}

static int sys_sent(struct seq *s)
{
    const struct netdev *d = sys_device(s);
    seq_printf(s, "%lu\n", d ? d->sent_bytes : 0);
    return 0;
}

static int sys_register(const char *name, int index)
{
    static const struct {
        const char *name;
        procfs_text_fn *fn;
    } files[] = {
        {"address", sys_address},
        {"mtu", sys_mtu},
        {"ifindex", sys_index},
        {"type", sys_type},
        {"flags", sys_flags},
        {"operstate", sys_state},
        {"carrier", sys_carrier},
        {"statistics/rx_bytes", sys_received},
        {"statistics/tx_bytes", sys_sent},
    };
    char path[64];
    int err = 0;
    size_t dir = (size_t)snprintf(path, sizeof path, "/sys/class/net/%s/", name);
    for (unsigned i = 0; i < ARRAY_SIZE(files) && !err; i++) {
        memcpy(path + dir, files[i].name, strlen(files[i].name) + 1);
        err = procfs_register_id(path, index, files[i].fn);
    }
    return err;
}

static int sys_register_device(struct netdev *d, void *arg)
{
    int *index = arg;
    return sys_register(d->name, ++*index);
}

int procnet_init(void)
{
    static const struct {
        const char *path;
        procfs_text_fn *fn;
    } files[] = {
        {"net/dev", dev_text},           {"net/route", route_text},
        {"net/if_inet6", if_inet6_text}, {"net/arp", arp_text},
        {"net/igmp", igmp_text},         {"net/tcp", tcp_text},
        {"net/tcp6", tcp6_text},         {"net/udp", udp_text},
        {"net/udp6", udp6_text},         {"net/raw", raw_text},
        {"net/sockstat", sockstat_text}, {"net/sockstat6", sockstat6_text},
        {"net/unix", unix_text},         {"net/pnp", interface_pnp_text},
        {"net/snmp", netstat_snmp_text}, {"net/netstat", netstat_text},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(files); i++) {
        int err = procfs_register(files[i].path, files[i].fn);
        if (err)
            return err;
    }
    int index = 1, err = sys_register("lo", index);
    return err ? err : netdev_for_each(sys_register_device, &index);
}
