/* SPDX-License-Identifier: Apache-2.0 */
/* Options of a lease: see dhcp_options.h. An option counts only if all of it makes sense. */
#include "net/dhcp_options.h"

#include "core/log.h"
#include "lib/string.h"
#include "lwip/dhcp.h"
#include "lwip/prot/dhcp.h"
#include "net/link.h"
#include "net/lwip/hooks.h"
#include "net/ntp.h"
#include "net/route.h"
#include "net/socket.h"

#define HOST_NAME_MAX 64
#define OPTION_MAX    255u
#define NTP_MAX       4u
#define MTU_MIN       1280u /* IPv6 needs as much */
#define LABEL_MAX     63u
#define POINTERS_MAX  16u /* in one name (RFC 1035 §4.1.4) */

enum {
    OPTION_HOST_NAME = 12,
    OPTION_DOMAIN = 15,
    OPTION_MTU = 26,
    OPTION_NTP = 42,
    OPTION_SEARCH = 119,
    OPTION_ROUTES = 121
};

static char search[DHCP_SEARCH_LEN], domain[DHCP_SEARCH_LEN];
static u32_t exchange; /* the message that the options seen last were in */

const char *dhcp_search(void)
{
    return search;
}

const char *dhcp_domain(void)
{
    return domain;
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.';
}

/* A name as RFC 1123 allows it. */
static bool is_host_name(const char *name)
{
    bool sound = *name && *name != '-' && *name != '.';
    for (; *name; name++)
        sound &= is_name_char(*name);
    return sound;
}

/* The text of an option, with the zero that some servers put behind it. */
static bool text_take(const u8_t *value, unsigned len, char *out, size_t size)
{
    char text[OPTION_MAX + 1];
    memcpy(text, value, len);
    text[len] = '\0';
    if (strlen(text) + 1 < len || strlen(text) >= size || !is_host_name(text))
        return false;
    memcpy(out, text, strlen(text) + 1);
    return true;
}

/* One name of the list at *at, put behind the others; false: it makes no sense. */
static bool search_name(const u8_t *v, unsigned len, unsigned *at, char *out, size_t *n)
{
    unsigned pos = *at, pointers = 0;
    size_t start = *n;
    bool jumped = false;
    for (;;) {
        if (pos >= len)
            return false;
        unsigned label = v[pos++];
        if (label >= 0xc0) {
            if (pos >= len || ++pointers > POINTERS_MAX)
                return false;
            unsigned to = (label & 0x3f) << 8 | v[pos++];
            *at = jumped ? *at : pos;
            jumped = true;
            pos = to;
            continue;
        }
        if (!label)
            break;
        if (label > LABEL_MAX || label > len - pos || *n + label + 2 >= DHCP_SEARCH_LEN)
            return false;
        if (*n) {
            out[*n] = *n == start ? ' ' : '.';
            ++*n;
        }
        memcpy(out + *n, v + pos, label);
        *n += label;
        pos += label;
    }
    *at = jumped ? *at : pos;
    out[*n] = '\0';
    return *n > start && is_host_name(out + start + (start > 0));
}

static void search_take(const u8_t *v, unsigned len)
{
    char out[DHCP_SEARCH_LEN] = "";
    size_t n = 0;
    unsigned at = 0;
    while (at < len)
        if (!search_name(v, len, &at, out, &n))
            return;
    memcpy(search, out, n + 1);
}

static void routes_take(const struct netif *netif, const u8_t *v, unsigned len)
{
    struct lease_route list[LEASE_ROUTES];
    unsigned count = 0;
    for (unsigned at = 0; at < len;) {
        unsigned bits = v[at++], bytes = (bits + 7) / 8;
        if (bits > 32 || len - at < bytes + 4)
            return;
        struct lease_route r = {.bits = (u8_t)bits};
        memcpy(&r.net, v + at, bytes);
        memcpy(&r.gateway, v + at + bytes, 4);
        r.net &= route_mask(bits);
        at += bytes + 4;
        if (count < LEASE_ROUTES)
            list[count++] = r;
    }
    route_lease_set(netif, list, count);
}

static void ntp_take(const u8_t *v, unsigned len)
{
    ip4_addr_t server[NTP_MAX];
    unsigned n = MIN(len / 4, NTP_MAX);
    if (len % 4)
        return;
    memcpy(server, v, n * sizeof *server);
    ntp_take_servers(server, n);
}

void net_dhcp_option(struct netif *netif, const struct dhcp_msg *msg, u8_t type, u8_t option,
                     u8_t len, struct pbuf *p, u16_t offset)
{
    u8_t v[OPTION_MAX];
    char name[HOST_NAME_MAX + 1];
    if (type != DHCP_ACK || !netif || pbuf_copy_partial(p, v, len, offset) != len)
        return;
    if (msg->xid != exchange) { /* another lease: what it does not repeat is over */
        exchange = msg->xid;
        route_lease_set(netif, NULL, 0);
    }
    if (option == OPTION_HOST_NAME && text_take(v, len, name, sizeof name))
        socket_process.host_named(name);
    else if (option == OPTION_DOMAIN)
        text_take(v, len, domain, sizeof domain);
    else if (option == OPTION_MTU && len == 2 && (v[0] << 8 | v[1]) >= (int)MTU_MIN)
        link_set_mtu(netif, (u16_t)(v[0] << 8 | v[1]));
    else if (option == OPTION_NTP)
        ntp_take(v, len);
    else if (option == OPTION_SEARCH)
        search_take(v, len);
    else if (option == OPTION_ROUTES)
        routes_take(netif, v, len);
}

void dhcp_options_apply(void)
{
    struct netif *netif;
    ip4_addr_t gateway;
    NETIF_FOREACH(netif)
    {
        if (!netif_dhcp_data(netif) || !dhcp_supplied_address(netif) ||
            !route_lease_default(netif, &gateway) || ip4_addr_eq(&gateway, netif_ip4_gw(netif)))
            continue;
        netif_set_gw(netif, &gateway); /* RFC 3442: the router option does not count then */
    }
}
