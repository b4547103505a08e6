/* SPDX-License-Identifier: Apache-2.0 */
/* Interfaces and addresses as programs ask for them: netdevice(7), rtnetlink(7), getifaddrs(3). */
#include "guest.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static int inet(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(fd >= 0);
    return fd;
}

static struct ifreq named(const char *name)
{
    struct ifreq r;
    memset(&r, 0, sizeof r);
    strcpy(r.ifr_name, name);
    return r;
}

TEST(loopback_requests)
{
    int fd = inet();
    struct ifreq r = named("lo");
    CHECK(ioctl(fd, SIOCGIFINDEX, &r) == 0 && r.ifr_ifindex == 1);
    CHECK(ioctl(fd, SIOCGIFFLAGS, &r) == 0);
    CHECK((r.ifr_flags & (IFF_UP | IFF_LOOPBACK | IFF_RUNNING)) ==
          (IFF_UP | IFF_LOOPBACK | IFF_RUNNING));
    CHECK(ioctl(fd, SIOCGIFADDR, &r) == 0 && r.ifr_addr.sa_family == AF_INET);
    CHECK(((struct sockaddr_in *)&r.ifr_addr)->sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    CHECK(ioctl(fd, SIOCGIFNETMASK, &r) == 0);
    CHECK(((struct sockaddr_in *)&r.ifr_addr)->sin_addr.s_addr == htonl(0xff000000));
    CHECK(ioctl(fd, SIOCGIFMTU, &r) == 0 && r.ifr_mtu == 65536);
    CHECK(ioctl(fd, SIOCGIFHWADDR, &r) == 0 && r.ifr_hwaddr.sa_family == ARPHRD_LOOPBACK);
    r.ifr_ifindex = 1;
    r.ifr_name[0] = 0;
    CHECK(ioctl(fd, SIOCGIFNAME, &r) == 0 && !strcmp(r.ifr_name, "lo"));
    r = named("none7");
    CHECK(FAILS(ioctl(fd, SIOCGIFINDEX, &r), ENODEV));
    r.ifr_ifindex = 4711;
    CHECK(FAILS(ioctl(fd, SIOCGIFNAME, &r), ENODEV));
    CHECK(FAILS(ioctl(fd, SIOCGIFADDR, 8), EFAULT));
    CHECK(FAILS(ioctl(fd, 0x1234, &r), ENOTTY));
    close(fd);
}

TEST(list)
{
    int fd = inet();
    struct ifreq r[16];
    struct ifconf c = {.ifc_len = sizeof r, .ifc_req = r};
    CHECK(ioctl(fd, SIOCGIFCONF, &c) == 0);
    CHECK(c.ifc_len >= (int)sizeof r[0] && c.ifc_len % (int)sizeof r[0] == 0);
    CHECK(!strcmp(r[0].ifr_name, "lo"));
    int all = c.ifc_len;
    c.ifc_req = NULL;
    CHECK(ioctl(fd, SIOCGIFCONF, &c) == 0 && c.ifc_len >= all);
    close(fd);
}

TEST(names_and_numbers)
{
    char name[IF_NAMESIZE];
    CHECK(if_nametoindex("lo") == 1 && if_indextoname(1, name) && !strcmp(name, "lo"));
    CHECK(if_nametoindex("none7") == 0 && errno == ENODEV);
    struct if_nameindex *all = if_nameindex();
    CHECK(all && all[0].if_index == 1 && !strcmp(all[0].if_name, "lo"));
    if_freenameindex(all);
}

TEST(get_if_addresses)
{
    struct ifaddrs *all;
    bool v4 = false, packet = false;
    CHECK(getifaddrs(&all) == 0);
    for (struct ifaddrs *i = all; i; i = i->ifa_next) {
        if (strcmp(i->ifa_name, "lo") || !i->ifa_addr)
            continue;
        const struct sockaddr_in *a = (void *)i->ifa_addr, *m = (void *)i->ifa_netmask;
        packet |= i->ifa_addr->sa_family == AF_PACKET;
        if (i->ifa_addr->sa_family == AF_INET)
            v4 |= a->sin_addr.s_addr == htonl(INADDR_LOOPBACK) &&
                  m->sin_addr.s_addr == htonl(0xff000000) && i->ifa_flags & IFF_LOOPBACK;
    }
    freeifaddrs(all);
    CHECK(v4 && packet);
}

static int route_socket(struct sockaddr_nl *own)
{
    socklen_t n = sizeof *own;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    *own = (struct sockaddr_nl){.nl_family = AF_NETLINK};
    CHECK(fd >= 0 && bind(fd, (void *)own, n) == 0);
    CHECK(getsockname(fd, (void *)own, &n) == 0 && n == sizeof *own && own->nl_pid);
    return fd;
}

struct request {
    struct nlmsghdr h;
    union {
        struct rtgenmsg gen;
        struct ifinfomsg link;
        struct rtmsg route;
        struct ifaddrmsg address;
    };
    char room[64];
};

static void ask(int fd, struct request *r, unsigned type, unsigned flags, size_t size)
{
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    r->h = (struct nlmsghdr){.nlmsg_len = (uint32_t)NLMSG_LENGTH(size),
                             .nlmsg_type = (uint16_t)type,
                             .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
                             .nlmsg_seq = 77};
    CHECK(sendto(fd, r, r->h.nlmsg_len, 0, (void *)&kernel, sizeof kernel) == r->h.nlmsg_len);
}

/* Messages of a dump, each of them right in its frame; -1: an error instead. */
static int dump(unsigned type, unsigned family, unsigned answer)
{
    struct sockaddr_nl own, from;
    struct request r;
    static char buf[32768];
    int count = 0, fd = route_socket(&own);
    memset(&r, 0, sizeof r);
    r.gen.rtgen_family = (unsigned char)family;
    ask(fd, &r, type, NLM_F_DUMP, sizeof r.gen);
    for (;;) {
        socklen_t n = sizeof from;
        ssize_t size = recvfrom(fd, buf, sizeof buf, MSG_PEEK | MSG_TRUNC, (void *)&from, &n);
        CHECK(size > 0 && recvfrom(fd, buf, sizeof buf, 0, (void *)&from, &n) == size);
        CHECK(n == sizeof from && from.nl_pid == 0);
        int len = (int)size;
        for (struct nlmsghdr *h = (void *)buf; NLMSG_OK(h, (unsigned)len); h = NLMSG_NEXT(h, len)) {
            CHECK(h->nlmsg_seq == 77 && h->nlmsg_pid == own.nl_pid);
            if (h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE) {
                close(fd);
                return h->nlmsg_type == NLMSG_DONE ? count : -1;
            }
            CHECK(h->nlmsg_type == answer && h->nlmsg_flags & NLM_F_MULTI);
            count++;
        }
    }
}

TEST(dumps)
{
    CHECK(dump(RTM_GETLINK, AF_UNSPEC, RTM_NEWLINK) >= 1);
    CHECK(dump(RTM_GETADDR, AF_UNSPEC, RTM_NEWADDR) >= 1);
    CHECK(dump(RTM_GETADDR, AF_INET, RTM_NEWADDR) >= 1);
    CHECK(dump(RTM_GETROUTE, AF_INET, RTM_NEWROUTE) >= 0);
    CHECK(dump(RTM_GETNEIGH, AF_UNSPEC, RTM_NEWNEIGH) >= 0);
}

/* The error that a request is answered with; 0: acknowledged. */
static int refused(int fd)
{
    char buf[4096];
    struct nlmsghdr *h = (void *)buf;
    ssize_t n = recv(fd, buf, sizeof buf, 0);
    int err = 1;
    CHECK(n >= (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)) && h->nlmsg_type == NLMSG_ERROR);
    memcpy(&err, NLMSG_DATA(h), sizeof err);
    return err;
}

TEST(single_requests)
{
    struct sockaddr_nl own;
    struct request r;
    char buf[8192];
    struct nlmsghdr *h = (void *)buf;
    int fd = route_socket(&own);
    memset(&r, 0, sizeof r);
    r.link.ifi_index = 1;
    ask(fd, &r, RTM_GETLINK, 0, sizeof r.link);
    CHECK(recv(fd, buf, sizeof buf, 0) > 0 && h->nlmsg_type == RTM_NEWLINK);
    CHECK(((struct ifinfomsg *)NLMSG_DATA(h))->ifi_index == 1);
    r.link.ifi_index = 4711;
    ask(fd, &r, RTM_GETLINK, 0, sizeof r.link);
    CHECK(refused(fd) == -ENODEV);
    ask(fd, &r, NLMSG_NOOP, NLM_F_ACK, 0);
    CHECK(refused(fd) == 0);
    /* The way to this machine. */
    memset(&r, 0, sizeof r);
    r.route.rtm_family = AF_INET;
    r.route.rtm_dst_len = 32;
    struct rtattr *a = (void *)((char *)&r + NLMSG_SPACE(sizeof r.route));
    a->rta_type = RTA_DST;
    a->rta_len = RTA_LENGTH(4);
    memcpy(RTA_DATA(a), &(uint32_t){htonl(INADDR_LOOPBACK)}, 4);
    ask(fd, &r, RTM_GETROUTE, 0, sizeof r.route + RTA_SPACE(4));
    ssize_t n = recv(fd, buf, sizeof buf, 0);
    CHECK(n > 0 && h->nlmsg_type == RTM_NEWROUTE);
    unsigned left = h->nlmsg_len - (unsigned)NLMSG_SPACE(sizeof(struct rtmsg)), out = 0;
    for (a = (void *)((char *)h + NLMSG_SPACE(sizeof(struct rtmsg))); RTA_OK(a, left);
         a = RTA_NEXT(a, left))
        if (a->rta_type == RTA_OIF)
            memcpy(&out, RTA_DATA(a), sizeof out);
    CHECK(out == 1);
    close(fd);
}

TEST(netlink_sockets)
{
    struct sockaddr_nl a, b;
    char c;
    int x = route_socket(&a), y = route_socket(&b), v = 1;
    CHECK(a.nl_pid != b.nl_pid && a.nl_pid == (unsigned)getpid());
    CHECK(FAILS(recv(x, &c, 1, MSG_DONTWAIT), EAGAIN));
    CHECK(FAILS(socket(AF_NETLINK, SOCK_STREAM, 0), ESOCKTNOSUPPORT));
    CHECK(FAILS(socket(AF_NETLINK, SOCK_RAW, 200), EPROTONOSUPPORT));
    CHECK(FAILS(bind(x, (void *)&b, 3), EINVAL));
    CHECK(setsockopt(x, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &v, sizeof v) == 0);
    socklen_t n = sizeof a;
    CHECK(getsockname(x, (void *)&a, &n) == 0 && a.nl_groups == 1);
    CHECK(FAILS(setsockopt(x, SOL_NETLINK, 99, &v, sizeof v), ENOPROTOOPT));
    struct pollfd p = {x, POLLIN | POLLOUT, 0};
    CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLOUT);
    close(x);
    close(y);
}
