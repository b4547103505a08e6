/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interfaces from the manifest's lines: see interface.h; include/ops/manifest.h has their words.
 * IPv6 also configures itself from router advertisements.
 */
#include "net/interface.h"

#include <linux/errno.h>

#include "core/log.h"
#include "dev/netdev.h"
#include "fs/seq.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "lwip/dhcp.h"
#include "lwip/etharp.h"
#include "lwip/igmp.h"
#include "lwip/inet_chksum.h"
#include "lwip/ip6.h"
#include "lwip/ip6_addr.h"
#include "lwip/mld6.h"
#include "lwip/netif.h"
#include "lwip/prot/icmp6.h"
#include "lwip/prot/nd6.h"
#include "net/dhcp6.h"
#include "net/dhcp_options.h"
#include "net/link.h"
#include "net/lwip/hooks.h"
#include "net/netlink.h"
#include "sched/clock.h"
#include "sched/thread.h"
#include "sched/waitq.h"

#define LOOPBACK_MTU   65536
#define FLAG_UP        1u /* IFF_* of netdevice(7) */
#define FLAG_BROADCAST 2u
#define FLAG_LOOPBACK  8u
#define FLAG_RUNNING   0x40u
#define FLAG_MULTICAST 0x1000u
#define FLAG_LOWER_UP  0x10000u
#define NEIGHBOUR_HOPS 255 /* RFC 4861: what came over a router is not believed */
#define GATEWAYS       40u
#define DHCP_PATIENCE                                                                              \
    (5 * NSEC_PER_SEC) /* so long after the start whoever wants the name servers waits */
#define COARSE_SECONDS DHCP_COARSE_TIMER_SECS

static struct manifest_list lines;
static unsigned next_line;
static bool dhcp_runs;
static uint64_t started;
static struct waitq changed = WAITQ_INIT(changed); /* woken when an interface changes */
/* As the manifest and the last lease said; under the stack lock, likewise below. */
static ip_addr_t name_servers[NAME_SERVERS];
static unsigned own_servers;           /* those of the manifest stand first */
static ip6_addr_t gateways6[GATEWAYS]; /* by the interface's number; :: where there is none */

void interface_configure(const struct manifest_list *list)
{
    lines = *list;
}

/* A word of the line, terminated in `out`. */
static const char *word(const char *line, char *out, size_t size)
{
    size_t n = 0;
    while (*line == ' ')
        line++;
    for (; *line && *line != ' '; line++)
        if (n + 1 < size)
            out[n++] = *line;
    out[n] = '\0';
    return line;
}

/* ADDRESS/BITS; cuts `text` up. An IPv6 prefix is always 64 bits long: lwIP knows no other. */
static bool address_take(struct netif *netif, char *text)
{
    ip_addr_t ip;
    ip4_addr_t mask;
    s8_t index;
    unsigned bits = 0;
    char *slash = strchr(text, '/');
    if (!slash)
        return false;
    *slash++ = '\0';
    for (; *slash >= '0' && *slash <= '9' && bits <= 128; slash++)
        bits = bits * 10 + (unsigned)(*slash - '0');
    if (*slash || !ipaddr_aton(text, &ip) || bits > 128 || (IP_IS_V4(&ip) && bits > 32))
        return false;
    if (IP_IS_V4(&ip)) {
        ip4_addr_set_u32(&mask, bits ? lwip_htonl(~0u << (32 - bits)) : 0);
        netif_set_addr(netif, ip_2_ip4(&ip), &mask, netif_ip4_gw(netif));
        return true;
    }
    if (bits != 64 || netif_add_ip6_address(netif, ip_2_ip6(&ip), &index) != ERR_OK)
        return false;
    netif_ip6_addr_set_state(netif, index, IP6_ADDR_PREFERRED); /* whoever gave it made sure */
    return true;
}

static bool gateway_take(struct netif *netif, const char *text)
{
    ip_addr_t ip;
    if (!ipaddr_aton(text, &ip))
        return false;
    if (IP_IS_V4(&ip))
        netif_set_gw(netif, ip_2_ip4(&ip));
    else if (netif_get_index(netif) < GATEWAYS)
        gateways6[netif_get_index(netif)] = *ip_2_ip6(&ip);
    return true;
}

/* More servers than there is room for are not asked, as in resolv.conf(5). */
static bool server_take(const char *text)
{
    ip_addr_t ip;
    if (!ipaddr_aton(text, &ip))
        return false;
    if (own_servers < NAME_SERVERS)
        name_servers[own_servers++] = ip;
    return true;
}

/* One word of an interface's line. */
static bool word_take(struct netif *netif, char *text)
{
    char *equals = strchr(text, '=');
    if (!strcmp(text, "dhcp")) {
        bool runs = dhcp_start(netif) == ERR_OK;
        dhcp_runs |= runs;
        return runs;
    }
    if (!equals)
        return address_take(netif, text);
    *equals++ = '\0';
    if (!strcmp(text, "gateway"))
        return gateway_take(netif, equals);
    return !strcmp(text, "dns") && server_take(equals);
}

const ip6_addr_t *net_ip6_gateway(const struct netif *netif)
{
    unsigned index = netif_get_index(netif);
    return index < GATEWAYS && !ip6_addr_isany_val(gateways6[index]) ? &gateways6[index] : NULL;
}

/* The default interface is the first that leads further. */
static void default_choose(struct netif *netif)
{
    const struct netif *now = netif_default;
    if (!now || (!netif_dhcp_data(now) && ip4_addr_isany(netif_ip4_gw(now)) &&
                 (netif_dhcp_data(netif) || !ip4_addr_isany(netif_ip4_gw(netif)))))
        netif_set_default(netif);
}

static void address_changed(struct netif *netif)
{
    dhcp_options_apply();
    netlink_changed(netif_get_index(netif), NETLINK_LINK | NETLINK_ADDRESSES);
    waitq_wake(&changed, 0);
}

static void link_changed(struct netif *netif)
{
    netlink_changed(netif_get_index(netif), NETLINK_LINK);
}

/* RFC 4861 §7.2.6: an advertisement that nobody asked for, with the address of our card. */
static void neighbour_advertise(struct netif *netif, const ip6_addr_t *address)
{
    struct pbuf *p = pbuf_alloc(PBUF_IP, sizeof(struct na_header) + 8, PBUF_RAM);
    ip6_addr_t all;
    if (!p)
        return;
    struct na_header *na = p->payload;
    uint8_t *option = (uint8_t *)(na + 1);
    memset(na, 0, p->len);
    na->type = ICMP6_TYPE_NA;
    na->flags = ND6_FLAG_OVERRIDE;
    ip6_addr_copy_to_packed(na->target_address, *address);
    option[0] = ND6_OPTION_TYPE_TARGET_LLADDR;
    option[1] = 1; /* unit: 8 bytes */
    memcpy(option + 2, netif->hwaddr, 6);
    ip6_addr_set_allnodes_linklocal(&all);
    ip6_addr_assign_zone(&all, IP6_MULTICAST, netif);
    na->chksum = ip6_chksum_pseudo(p, IP6_NEXTH_ICMP6, p->len, address, &all);
    ip6_output_if(p, address, &all, NEIGHBOUR_HOPS, 0, IP6_NEXTH_ICMP6, netif);
    pbuf_free(p);
}

void interface_announce(struct netif *netif)
{
    if (!ip4_addr_isany_val(*netif_ip4_addr(netif)))
        etharp_gratuitous(netif);
    igmp_report_groups(netif);
    mld6_report_groups(netif);
    for (s8_t i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++)
        if (ip6_addr_isvalid(netif_ip6_addr_state(netif, i)))
            neighbour_advertise(netif, netif_ip6_addr(netif, i));
}

static int device_start(struct netdev *d, void *arg)
{
    (void)arg;
    const char *line = next_line < lines.count ? lines.item[next_line] : "dhcp";
    char text[64];
    next_line++;
    struct netif *netif = link_add(d);
    if (!netif) {
        log_error("%s: no memory for the interface", d->name);
        return 0;
    }
    netif_set_status_callback(netif, address_changed);
    netif_set_link_callback(netif, link_changed);
    netif_create_ip6_linklocal_address(netif, 1);
    netif_set_ip6_autoconfig_enabled(netif, 1);
    for (const char *rest = word(line, text, sizeof text); text[0];
         rest = word(rest, text, sizeof text))
        if (!word_take(netif, text))
            log_error("%s: cannot use %s of its line: %s", d->name, text, line);
    default_choose(netif);
    return 0;
}

void interface_start(void)
{
    started = clock_now();
    netdev_for_each(device_start, NULL);
}

void interface_tick(void)
{
    static unsigned seconds;
    struct netif *netif;
    NETIF_FOREACH(netif)
    if (netif->flags & NETIF_FLAG_ETHERNET)
        dhcp6_tick(netif);
    if (!dhcp_runs)
        return;
    dhcp_fine_tmr(); /* its unit is half a second */
    dhcp_fine_tmr();
    if (++seconds % COARSE_SECONDS == 0)
        dhcp_coarse_tmr();
    dhcp_options_apply();
}

/* Interfaces are never removed and keep their names: no lock. */
void interface_name(unsigned index, char name[INTERFACE_NAME])
{
    const struct netif *netif = index < 256 ? netif_get_by_index((u8_t)index) : NULL;
    const struct netdev *dev = netif ? link_device(netif) : NULL;
    snprintf(name, INTERFACE_NAME, "%s", dev ? dev->name : netif ? "lo" : "");
}

unsigned interface_index(const char *name)
{
    struct netif *netif;
    char own[INTERFACE_NAME];
    NETIF_FOREACH(netif)
    {
        interface_name(netif_get_index(netif), own);
        if (!strcmp(own, name))
            return netif_get_index(netif);
    }
    return 0;
}

unsigned interface_flags(const struct netif *netif)
{
    unsigned flags = netif_is_up(netif) ? FLAG_UP : 0;
    if (netif_is_link_up(netif))
        flags |= FLAG_RUNNING | FLAG_LOWER_UP;
    return flags | (link_device(netif) ? FLAG_BROADCAST | FLAG_MULTICAST : FLAG_LOOPBACK);
}

unsigned interface_mtu(const struct netif *netif)
{
    return netif->mtu ? netif->mtu : LOOPBACK_MTU;
}

unsigned interface_bits(const struct netif *netif)
{
    unsigned bits = 0;
    for (u32_t mask = ip4_addr_get_u32(netif_ip4_netmask(netif)); mask; mask &= mask - 1)
        bits++;
    return bits;
}

uint32_t interface_broadcast(const struct netif *netif)
{
    return ip4_addr_get_u32(netif_ip4_addr(netif)) | ~ip4_addr_get_u32(netif_ip4_netmask(netif));
}

/* Behind lwIP's atoi(): the number of an interface in ADDRESS%NUMBER. */
long strtol(const char *text, char **end, int base);

long strtol(const char *text, char **end, int base)
{
    long n = 0;
    for (; *text >= '0' && *text <= '9' && n < 256; text++)
        n = n * base + (*text - '0');
    if (end)
        *end = (char *)(uintptr_t)text;
    return n;
}

/* What dhcp.c calls for each name server of a lease. */
void dns_setserver(u8_t n, const ip_addr_t *server);

void dns_setserver(u8_t n, const ip_addr_t *server)
{
    unsigned i = own_servers + n;
    if (i < NAME_SERVERS)
        name_servers[i] = *server;
    if (i + 1 < NAME_SERVERS)
        ip_addr_set_zero(&name_servers[i + 1]);
}

/* DHCP is at work and has not come to an end. */
static bool dhcp_pending(void)
{
    struct netif *netif;
    bool pending = false;
    stack_lock();
    NETIF_FOREACH(netif)
    pending |= netif_dhcp_data(netif) && !dhcp_supplied_address(netif);
    stack_unlock();
    return pending;
}

static void server_text(struct seq *s, const ip_addr_t *server)
{
    char text[IPADDR_STRLEN_MAX];
    ipaddr_ntoa_r(server, text, sizeof text);
    for (char *c = text; *c; c++)
        *c = (char)(*c >= 'A' && *c <= 'F' ? *c - 'A' + 'a' : *c); /* RFC 5952 */
    seq_printf(s, "nameserver %s\n", text);
}

unsigned interface_name_servers(ip_addr_t *to)
{
    ip_addr_t servers6[DHCP6_SERVERS];
    unsigned n = 0, n6 = dhcp6_servers(servers6);
    for (; n < NAME_SERVERS && !ip_addr_isany_val(name_servers[n]); n++)
        to[n] = name_servers[n];
    for (unsigned i = 0; i < n6 && n < NAME_SERVERS; i++)
        to[n++] = servers6[i];
    return n;
}

/* As long as DHCP is at work: 0, or the error that ended the wait. */
static int lease_wait(uint64_t deadline)
{
    struct waiter w;
    int err = 0;
    waiter_init(&w);
    for (;;) {
        waitq_add(&changed, &w);
        if (!dhcp_pending() || err)
            break;
        err = thread_block(deadline, true);
    }
    waitq_remove(&w);
    return err;
}

bool interface_wait(uint64_t deadline)
{
    lease_wait(deadline);
    return !dhcp_pending();
}

int interface_pnp_text(struct seq *s)
{
    ip_addr_t servers[NAME_SERVERS];
    int err = stack_start();
    if (err)
        return err;
    lease_wait(started + DHCP_PATIENCE);
    stack_lock();
    seq_text(s, dhcp_runs ? "#PROTO: DHCP\n" : "#MANUAL\n");
    unsigned n = interface_name_servers(servers);
    for (unsigned i = 0; i < n; i++)
        server_text(s, &servers[i]);
    if (*dhcp_search())
        seq_printf(s, "search %s\n", dhcp_search());
    else if (*dhcp_domain())
        seq_printf(s, "domain %s\n", dhcp_domain());
    stack_unlock();
    return 0;
}
