/* SPDX-License-Identifier: Apache-2.0 */
/* SIOCGIF* requests: see interface_ioctl.h. Under the stack lock. */
#include "net/interface_ioctl.h"

#include <linux/errno.h>
#include <linux/sockios.h>

#include "dev/netdev.h"
#include "lib/string.h"
#include "net/abi.h"
#include "net/inet.h"
#include "net/interface.h"
#include "net/link.h"
#include "net/socket.h"

/* struct ifreq */
struct request {
    char name[INTERFACE_NAME];
    union {
        struct sockaddr_in address;
        struct {
            uint16_t family;
            uint8_t bytes[14];
        } hardware;
        uint16_t flags;
        int number;
        uint64_t room[3];
    };
};

/* struct ifconf */
struct list_request {
    int len, pad;
    uint64_t buf;
};

static void address_fill(struct request *r, uint32_t address)
{
    r->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = address};
}

static int answer(struct netif *netif, unsigned cmd, struct request *r)
{
    const struct netdev *d = link_device(netif);
    uint32_t own = ip4_addr_get_u32(netif_ip4_addr(netif));
    memset(r->room, 0, sizeof r->room);
    switch (cmd) {
    case SIOCGIFADDR:
    case SIOCGIFNETMASK:
    case SIOCGIFBRDADDR:
    case SIOCGIFDSTADDR:
        if (!own)
            return -EADDRNOTAVAIL;
        address_fill(r, cmd == SIOCGIFNETMASK   ? ip4_addr_get_u32(netif_ip4_netmask(netif))
                        : cmd == SIOCGIFBRDADDR ? interface_broadcast(netif)
                                                : own);
        return 0;
    case SIOCGIFFLAGS:
        r->flags = (uint16_t)interface_flags(netif);
        return 0;
    case SIOCGIFMTU:
        r->number = (int)interface_mtu(netif);
        return 0;
    case SIOCGIFINDEX:
        r->number = netif_get_index(netif);
        return 0;
    case SIOCGIFMETRIC:
        r->number = 0;
        return 0;
    case SIOCGIFTXQLEN:
        r->number = 1000;
        return 0;
    case SIOCGIFHWADDR:
        r->hardware.family = d ? ARPHRD_ETHER : ARPHRD_LOOPBACK;
        if (d)
            memcpy(r->hardware.bytes, d->mac, sizeof d->mac);
        return 0;
    default:
        return -ENOTTY;
    }
}

/* SIOCGIFCONF: interfaces that have an IPv4 address, as many as there is room for. */
static long list(struct uptr arg)
{
    struct list_request l;
    struct netif *netif;
    int done = 0;
    if (copy_from_user(&l, arg, sizeof l))
        return -EFAULT;
    for (unsigned i = 1; i < 256 && (netif = netif_get_by_index((u8_t)i)) != NULL; i++) {
        struct request r = {.room = {0}};
        uint32_t own = ip4_addr_get_u32(netif_ip4_addr(netif));
        if (!own)
            continue;
        interface_name(i, r.name);
        address_fill(&r, own);
        if (l.buf && l.len - done < (int)sizeof r)
            break;
        if (l.buf && copy_to_user((struct uptr){l.buf + (uint64_t)done}, &r, sizeof r))
            return -EFAULT;
        done += (int)sizeof r;
    }
    l.len = done;
    return copy_to_user(arg, &l, sizeof l);
}

/* SIOCGIFNAME: the other way, from the number. */
static long name_of(struct request *r)
{
    unsigned index = r->number > 0 ? (unsigned)r->number : 0;
    interface_name(index, r->name);
    return r->name[0] ? 0 : -ENODEV;
}

static bool changes(unsigned cmd)
{
    switch (cmd) {
    case SIOCSIFFLAGS:
    case SIOCSIFADDR:
    case SIOCSIFNETMASK:
    case SIOCSIFBRDADDR:
    case SIOCSIFMTU:
    case SIOCSIFHWADDR:
    case SIOCSIFNAME:
    case SIOCADDRT:
    case SIOCDELRT:
        return true;
    default:
        return false;
    }
}

static long one(unsigned cmd, struct uptr arg)
{
    struct request r;
    long err;
    if (copy_from_user(&r, arg, sizeof r))
        return -EFAULT;
    r.name[INTERFACE_NAME - 1] = '\0';
    if (cmd == SIOCGIFNAME) {
        err = name_of(&r);
    } else {
        struct netif *netif = netif_get_by_index((u8_t)interface_index(r.name));
        err = netif ? answer(netif, cmd, &r) : -ENODEV;
    }
    return err ? err : copy_to_user(arg, &r, sizeof r);
}

long interface_ioctl(unsigned cmd, struct uptr arg)
{
    if (changes(cmd))
        return socket_process.privileged() ? -EOPNOTSUPP : -EPERM;
    if (cmd != SIOCGIFCONF && cmd != SIOCGIFNAME && (cmd < SIOCGIFNAME || cmd > SIOCGIFTXQLEN))
        return -ENOTTY;
    int err = stack_enter();
    if (err)
        return err;
    long r = cmd == SIOCGIFCONF ? list(arg) : one(cmd, arg);
    stack_unlock();
    return r;
}
