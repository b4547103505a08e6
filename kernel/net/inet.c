/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and ports: see inet.h. */
#include "net/inet.h"

#include <linux/errno.h>

#include "core/random.h"
#include "lib/string.h"
#include "lwip/netif.h"
#include "net/abi.h"
#include "net/tcp_socket.h"
#include "net/udp_socket.h"

#define BUCKETS    256u
#define PORT_FIRST 32768u /* net.ipv4.ip_local_port_range */
#define PORT_COUNT 28232u

static struct list binds[BUCKETS];

int inet_create(int family, int type, int protocol, uint32_t flags, struct file **out)
{
    int err = stack_start();
    if (err)
        return err;
    if (type == SOCK_STREAM && (protocol == 0 || protocol == IPPROTO_TCP))
        return tcp_create(family, flags, out);
    if (type == SOCK_DGRAM && (protocol == 0 || protocol == IPPROTO_UDP))
        return udp_create(family, flags, out);
    if (type == SOCK_STREAM || type == SOCK_DGRAM)
        return -EPROTONOSUPPORT;
    return -ESOCKTNOSUPPORT;
}

int inet_address_of(const struct message *m, int family, ip_addr_t *ip, u16_t *port)
{
    const struct sockaddr_in *in = (const void *)&m->name;
    const struct sockaddr_in6 *in6 = (const void *)&m->name;
    if (m->name_len < sizeof m->name.ss_family)
        return -EINVAL;
    if (m->name.ss_family == AF_INET) {
        if (m->name_len < sizeof *in)
            return -EINVAL;
        if (family != AF_INET)
            return -EAFNOSUPPORT;
        ip_addr_set_ip4_u32_val(*ip, in->sin_addr.s_addr);
        *port = lwip_ntohs(in->sin_port);
        return 0;
    }
    if (m->name.ss_family != AF_INET6 || family != AF_INET6)
        return -EAFNOSUPPORT;
    if (m->name_len < offsetof(struct sockaddr_in6, sin6_scope_id))
        return -EINVAL;
    u32_t a[4];
    memcpy(a, &in6->sin6_addr, sizeof a);
    *port = lwip_ntohs(in6->sin6_port);
    if (!a[0] && !a[1] && a[2] == lwip_htonl(0xffff)) {
        ip_addr_set_ip4_u32_val(*ip, a[3]);
        return 0;
    }
    IP_ADDR6(ip, a[0], a[1], a[2], a[3]);
    if (ip6_addr_lacks_zone(ip_2_ip6(ip), IP6_UNICAST)) {
        if (m->name_len >= sizeof *in6 && in6->sin6_scope_id)
            ip6_addr_set_zone(ip_2_ip6(ip), (u8_t)in6->sin6_scope_id);
        else if (netif_default)
            ip6_addr_assign_zone(ip_2_ip6(ip), IP6_UNICAST, netif_default);
    }
    return 0;
}

unsigned inet_name(int family, const ip_addr_t *ip, u16_t port,
                   struct __kernel_sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (family == AF_INET) {
        struct sockaddr_in *in = (void *)out;
        in->sin_family = AF_INET;
        in->sin_port = lwip_htons(port);
        if (ip && IP_IS_V4(ip))
            in->sin_addr.s_addr = ip4_addr_get_u32(ip_2_ip4(ip));
        return sizeof *in;
    }
    struct sockaddr_in6 *in6 = (void *)out;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = lwip_htons(port);
    if (ip && IP_IS_V4_VAL(*ip)) {
        u32_t a[4] = {0, 0, lwip_htonl(0xffff), ip4_addr_get_u32(ip_2_ip4(ip))};
        memcpy(&in6->sin6_addr, a, sizeof a);
    } else if (ip) {
        memcpy(&in6->sin6_addr, ip_2_ip6(ip)->addr, sizeof in6->sin6_addr);
        in6->sin6_scope_id = ip6_addr_zone(ip_2_ip6(ip));
    }
    return sizeof *in6;
}

ip_addr_t inet_this_machine(void)
{
    ip_addr_t ip;
    ip_addr_set_ip4_u32_val(ip, lwip_htonl(IPADDR_LOOPBACK));
    return ip;
}

static bool is_local(const ip_addr_t *ip)
{
    struct netif *netif;
    if (ip_addr_isany(ip) || IP_IS_ANY_TYPE_VAL(*ip))
        return true;
    if (IP_IS_V4(ip) && (ip4_addr_isloopback(ip_2_ip4(ip)) || ip4_addr_ismulticast(ip_2_ip4(ip))))
        return true;
    if (IP_IS_V6(ip) && ip6_addr_ismulticast(ip_2_ip6(ip)))
        return true;
    NETIF_FOREACH(netif)
    {
        if (IP_IS_V4(ip) && ip4_addr_eq(ip_2_ip4(ip), netif_ip4_addr(netif)))
            return true;
        if (IP_IS_V6(ip) && netif_get_ip6_addr_match(netif, ip_2_ip6(ip)) >= 0)
            return true;
    }
    return false;
}

static struct list *bucket_of(u16_t port)
{
    struct list *l = &binds[port % BUCKETS];
    if (!l->next)
        list_init(l);
    return l;
}

static bool any_of(const ip_addr_t *ip)
{
    return IP_IS_ANY_TYPE_VAL(*ip) || ip_addr_isany(ip);
}

static bool overlap(const ip_addr_t *a, const ip_addr_t *b)
{
    bool both = IP_IS_ANY_TYPE_VAL(*a) || IP_IS_ANY_TYPE_VAL(*b);
    if (!both && IP_GET_TYPE(a) != IP_GET_TYPE(b))
        return false;
    return any_of(a) || any_of(b) || ip_addr_eq(a, b);
}

/* bind(2): SO_REUSEADDR lets both in unless one listens, SO_REUSEPORT always. */
static bool conflict(const struct inet_bind *a, const struct inet_bind *b)
{
    if (a->protocol != b->protocol || a->port != b->port || !overlap(&a->address, &b->address))
        return false;
    if (a->reuse_port && b->reuse_port)
        return false;
    return !(a->reuse_address && b->reuse_address && !b->listening);
}

static bool port_taken(const struct inet_bind *b)
{
    LIST_FOR_EACH_SAFE(l, bucket_of(b->port))
    {
        if (conflict(b, LIST_ENTRY(l, struct inet_bind, link)))
            return true;
    }
    return false;
}

static bool port_choose(struct inet_bind *b)
{
    unsigned start = (unsigned)(random_u64() % PORT_COUNT);
    bool reuse = b->reuse_address;
    b->reuse_address = false; /* a port of one's own */
    for (unsigned i = 0; i < PORT_COUNT; i++) {
        b->port = (u16_t)(PORT_FIRST + (start + i) % PORT_COUNT);
        if (!port_taken(b)) {
            b->reuse_address = reuse;
            return true;
        }
    }
    b->reuse_address = reuse;
    b->port = 0;
    return false;
}

int inet_bind_take(struct inet_bind *b, u8_t protocol, const ip_addr_t *ip, u16_t port)
{
    if (!b->foreign && !is_local(ip))
        return -EADDRNOTAVAIL;
    b->address = *ip;
    b->protocol = protocol;
    b->port = port;
    if (!port && !port_choose(b))
        return -EADDRINUSE;
    if (port && port_taken(b)) {
        b->port = 0;
        return -EADDRINUSE;
    }
    list_add_tail(bucket_of(b->port), &b->link);
    return 0;
}

void inet_bind_share(struct inet_bind *b, const struct inet_bind *from, const ip_addr_t *ip)
{
    *b = *from;
    b->address = *ip;
    b->listening = false;
    list_add_tail(bucket_of(b->port), &b->link);
}

void inet_bind_release(struct inet_bind *b)
{
    if (!b->port)
        return;
    list_remove(&b->link);
    b->port = 0;
}

bool inet_bind_listened(const struct inet_bind *b)
{
    LIST_FOR_EACH_SAFE(l, bucket_of(b->port))
    {
        const struct inet_bind *o = LIST_ENTRY(l, struct inet_bind, link);
        if (o != b && o->listening && o->protocol == b->protocol && o->port == b->port &&
            overlap(&o->address, &b->address) && !(o->reuse_port && b->reuse_port))
            return true;
    }
    return false;
}

static bool same_group(const struct inet_bind *a, const struct inet_bind *b)
{
    return a->reuse_port && b->reuse_port && a->protocol == b->protocol && a->port == b->port &&
           a->listening == b->listening && IP_GET_TYPE(&a->address) == IP_GET_TYPE(&b->address) &&
           ip_addr_eq(&a->address, &b->address);
}

struct inet_bind *inet_bind_member(struct inet_bind *b, uint32_t hash)
{
    unsigned count = 0;
    if (!b->reuse_port)
        return b;
    LIST_FOR_EACH(l, bucket_of(b->port))
    count += same_group(LIST_ENTRY(l, struct inet_bind, link), b);
    unsigned chosen = count ? hash % count : 0;
    LIST_FOR_EACH(l, bucket_of(b->port))
    {
        struct inet_bind *o = LIST_ENTRY(l, struct inet_bind, link);
        if (same_group(o, b) && !chosen--)
            return o;
    }
    return b;
}

int inet_error(err_t err)
{
    static const int numbers[] = {
        [-ERR_OK] = 0,
        [-ERR_MEM] = ENOMEM,
        [-ERR_BUF] = ENOBUFS,
        [-ERR_TIMEOUT] = ETIMEDOUT,
        [-ERR_RTE] = ENETUNREACH,
        [-ERR_INPROGRESS] = EINPROGRESS,
        [-ERR_VAL] = EINVAL,
        [-ERR_WOULDBLOCK] = EAGAIN,
        [-ERR_USE] = EADDRINUSE,
        [-ERR_ALREADY] = EALREADY,
        [-ERR_ISCONN] = EISCONN,
        [-ERR_CONN] = ENOTCONN,
        [-ERR_IF] = ENETDOWN,
        [-ERR_ABRT] = ECONNABORTED,
        [-ERR_RST] = ECONNRESET,
        [-ERR_CLSD] = ENOTCONN,
        [-ERR_ARG] = EINVAL,
    };
    return err <= 0 && -err < (int)ARRAY_SIZE(numbers) ? -numbers[-err] : -EIO;
}
