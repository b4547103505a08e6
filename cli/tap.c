/* SPDX-License-Identifier: Apache-2.0 */
/* Tap devices: see tap.h. */
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ops/exit.h"

#define NAME_PATTERN "ops%d"

/* `what` failed, with errno. */
static bool failed(const char *what, struct err *err)
{
    if (errno == EPERM || errno == EACCES)
        return err_set(err, OPS_EXIT_FAILED,
                       "run it with sudo; the user network needs no root: --net user",
                       "%s needs root or CAP_NET_ADMIN", what);
    return err_set(err, OPS_EXIT_FAILED, NULL, "%s: %s", what, strerror(errno));
}

static bool bridge_join(int s, struct ifreq *r, const char *bridge, struct err *err)
{
    struct ifreq port = {0};
    memcpy(port.ifr_name, r->ifr_name, IFNAMSIZ);
    if (ioctl(s, SIOCGIFINDEX, &port) < 0)
        return failed("finding the tap device", err);
    struct ifreq b = {.ifr_ifindex = port.ifr_ifindex};
    snprintf(b.ifr_name, IFNAMSIZ, "%s", bridge);
    if (ioctl(s, SIOCBRADDIF, &b) == 0)
        return true;
    if (errno == ENODEV)
        return err_set(err, OPS_EXIT_FAILED, "`ip link show type bridge` lists them",
                       "there is no bridge %s", bridge);
    if (errno == EOPNOTSUPP)
        return err_set(err, OPS_EXIT_FAILED, "`ip link show type bridge` lists them",
                       "%s is no bridge", bridge);
    return failed("adding a port to a bridge", err);
}

static bool set_up(int s, struct ifreq *r, const char *bridge, unsigned mtu, struct err *err)
{
    r->ifr_mtu = (int)mtu;
    if (mtu && ioctl(s, SIOCSIFMTU, r) < 0)
        return failed("setting the tap device's MTU", err);
    if (bridge && !bridge_join(s, r, bridge, err))
        return false;
    if (ioctl(s, SIOCGIFFLAGS, r) < 0)
        return failed("finding the tap device", err);
    r->ifr_flags |= IFF_UP;
    return ioctl(s, SIOCSIFFLAGS, r) == 0 || failed("bringing up a tap device", err);
}

static int tun_open(struct err *err)
{
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        failed("opening /dev/net/tun", err);
    return fd;
}

int tap_open(const char *name, bool several, struct err *err)
{
    struct ifreq r = {.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)};
    if (several)
        r.ifr_flags |= IFF_MULTI_QUEUE;
    snprintf(r.ifr_name, IFNAMSIZ, "%s", name);
    if (!if_nametoindex(name)) {
        err_set(err, OPS_EXIT_FAILED, "`ip tuntap add IF mode tap` makes one",
                "there is no interface %s", name);
        return -1;
    }
    int fd = tun_open(err);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &r) == 0)
        return fd;
    if (errno == EBUSY)
        err_set(err, OPS_EXIT_FAILED, "choose another", "the tap device %s is in use", name);
    else if (errno == EINVAL)
        err_set(err, OPS_EXIT_FAILED, "`ip tuntap` lists them", "%s is no tap device", name);
    else
        failed("opening a tap device", err);
    close(fd);
    return -1;
}

int tap_make(const char *name, const char *bridge, unsigned mtu, struct err *err)
{
    struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL};
    int fd = tun_open(err);
    if (fd < 0)
        return -1;
    snprintf(r.ifr_name, IFNAMSIZ, "%s", name ? name : NAME_PATTERN);
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ok = s >= 0 || failed("making a socket", err);
    if (ok && ioctl(fd, TUNSETIFF, &r) < 0)
        ok = errno == EBUSY
                 ? err_set(err, OPS_EXIT_FAILED, "tap:IF uses a tap device that is there",
                           "there is an interface %s already", name)
                 : failed("making a tap device", err);
    ok = ok && set_up(s, &r, bridge, mtu, err);
    if (s >= 0)
        close(s);
    if (ok)
        return fd;
    close(fd);
    return -1;
}
