/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interfaces from the manifest's lines: see interface.h. A line is `dhcp`, or
 * `ADDRESS/BITS [GATEWAY [NAMESERVER]]`; IPv6 configures itself from router advertisements.
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
#include "lwip/prot/dhcp.h"
#include "lwip/prot/icmp6.h"
#include "lwip/prot/nd6.h"
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
#define HOST_NAME_MAX  64
#define NAME_SERVERS   3
#define DHCP_PATIENCE                                                                              \
    (5 * NSEC_PER_SEC) /* so long after the start whoever wants the name servers waits */
#define COARSE_SECONDS DHCP_COARSE_TIMER_SECS

static struct manifest_list lines;
static unsigned next_line;
static bool dhcp_runs;
static uint64_t started;
static struct waitq changed = WAITQ_INIT(changed); /* woken when an interface changes */
static ip4_addr_t name_servers[NAME_SERVERS]; /* as the last lease said; under the stack lock */

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

static bool address_static(struct netif *netif, const char *line)
{
    char text[64];
    ip4_addr_t address, mask, gateway = {0};
    unsigned bits = 0;
    line = word(line, text, sizeof text);
    char *slash = strchr(text, '/');
    if (!slash)
        return false;
    *slash++ = '\0';
    for (; *slash >= '0' && *slash <= '9' && bits <= 32; slash++)
        bits = bits * 10 + (unsigned)(*slash - '0');
    if (*slash || bits > 32 || !ip4addr_aton(text, &address))
        return false;
    ip4_addr_set_u32(&mask, bits ? lwip_htonl(~0u << (32 - bits)) : 0);
    line = word(line, text, sizeof text);
    if (text[0] && !ip4addr_aton(text, &gateway))
        return false;
    word(line, text, sizeof text);
    if (text[0] && !ip4addr_aton(text, &name_servers[0]))
        return false;
    netif_set_addr(netif, &address, &mask, &gateway);
    return true;
}

static void address_changed(struct netif *netif)
{
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
    if (!netif_default)
        netif_set_default(netif);
    if (!strcmp(line, "dhcp")) {
        dhcp_runs = dhcp_start(netif) == ERR_OK;
    } else if (!address_static(netif, line)) {
        log_error("%s: cannot read its address: %s", d->name, line);
    }
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
    if (!dhcp_runs)
        return;
    dhcp_fine_tmr(); /* its unit is half a second */
    dhcp_fine_tmr();
    if (++seconds % COARSE_SECONDS == 0)
        dhcp_coarse_tmr();
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

/* What dhcp.c calls for each name server of a lease. */
void dns_setserver(u8_t n, const ip_addr_t *server);

void dns_setserver(u8_t n, const ip_addr_t *server)
{
    if (n < NAME_SERVERS)
        name_servers[n] = *ip_2_ip4(server);
    if (n < NAME_SERVERS - 1)
        ip4_addr_set_zero(&name_servers[n + 1]);
}

/* A name as RFC 1123 allows it. */
static bool is_host_name(const char *name)
{
    bool sound = *name && *name != '-' && *name != '.';
    for (; *name; name++)
        sound &= (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
                 (*name >= '0' && *name <= '9') || *name == '-' || *name == '.';
    return sound;
}

void net_dhcp_option(const struct dhcp_msg *msg, u8_t type, u8_t option, u8_t len, struct pbuf *p,
                     u16_t offset)
{
    char name[HOST_NAME_MAX + 1] = "";
    (void)msg;
    if (type != DHCP_ACK || option != DHCP_OPTION_HOSTNAME || len > HOST_NAME_MAX ||
        pbuf_copy_partial(p, name, len, offset) != len || !is_host_name(name))
        return;
    socket_process.host_named(name);
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

int interface_pnp_text(struct seq *s)
{
    struct waiter w;
    int err = stack_start();
    if (err)
        return err;
    uint64_t deadline = started + DHCP_PATIENCE;
    waiter_init(&w);
    for (;;) {
        waitq_add(&changed, &w);
        if (!dhcp_pending() || err)
            break;
        err = thread_block(deadline, true);
    }
    waitq_remove(&w);
    stack_lock();
    seq_text(s, dhcp_runs ? "#PROTO: DHCP\n" : "#MANUAL\n");
    for (unsigned i = 0; i < NAME_SERVERS && !ip4_addr_isany_val(name_servers[i]); i++) {
        char text[16];
        seq_printf(s, "nameserver %s\n", ip4addr_ntoa_r(&name_servers[i], text, sizeof text));
    }
    stack_unlock();
    return 0;
}
