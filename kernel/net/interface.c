/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interfaces from the manifest's lines: see interface.h. A line is `dhcp`, or
 * `ADDRESS/BITS [GATEWAY]`; IPv6 configures itself from router advertisements.
 */
#include "net/interface.h"

#include <linux/errno.h>

#include "core/log.h"
#include "dev/netdev.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "lwip/dhcp.h"
#include "lwip/ip6_addr.h"
#include "lwip/netif.h"
#include "net/link.h"
#include "net/netlink.h"

#define LOOPBACK_MTU   65536
#define FLAG_UP        1u /* IFF_* of netdevice(7) */
#define FLAG_BROADCAST 2u
#define FLAG_LOOPBACK  8u
#define FLAG_RUNNING   0x40u
#define FLAG_MULTICAST 0x1000u
#define FLAG_LOWER_UP  0x10000u
#define COARSE_SECONDS DHCP_COARSE_TIMER_SECS

static struct manifest_list lines;
static unsigned next_line;
static bool dhcp_runs;

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
    word(line, text, sizeof text);
    if (text[0] && !ip4addr_aton(text, &gateway))
        return false;
    netif_set_addr(netif, &address, &mask, &gateway);
    return true;
}

static void address_changed(struct netif *netif)
{
    netlink_address_changed(netif_get_index(netif));
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
