/* SPDX-License-Identifier: Apache-2.0 */
/* Errors of the network that datagram sockets are told (IP_RECVERR), and many datagrams by one
 * send. */
#include "guest.h"

#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

static const struct sockaddr_in loopback = {.sin_family = AF_INET,
                                            .sin_addr.s_addr = __builtin_bswap32(INADDR_LOOPBACK)};

/* A socket on 127.0.0.1, and its port; -1: a port that nobody has. */
static int bound(in_port_t *port)
{
    struct sockaddr_in a = loopback;
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&a, &n) == 0);
    *port = a.sin_port;
    return fd;
}

static in_port_t nobody(void)
{
    in_port_t port;
    close(bound(&port));
    return port;
}

static ssize_t send_to(int fd, const char *text, in_port_t port)
{
    struct sockaddr_in a = loopback;
    a.sin_port = port;
    return sendto(fd, text, strlen(text), 0, (struct sockaddr *)&a, sizeof a);
}

static short events(int fd)
{
    struct pollfd p = {fd, 0, 0};
    CHECK(poll(&p, 1, 5000) >= 0);
    return p.revents;
}

struct told {
    ssize_t n;
    char data[100];
    struct sockaddr_storage to;
    int flags, level, type;
    struct sock_extended_err error;
    struct sockaddr_storage offender;
};

static struct told error_take(int fd, size_t room)
{
    struct told t = {0};
    char control[256];
    struct iovec v = {t.data, room};
    struct msghdr m = {.msg_name = &t.to,
                       .msg_namelen = sizeof t.to,
                       .msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof control};
    t.n = recvmsg(fd, &m, MSG_ERRQUEUE);
    t.flags = m.msg_flags;
    for (struct cmsghdr *c = t.n < 0 ? NULL : CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        t.level = c->cmsg_level;
        t.type = c->cmsg_type;
        memcpy(&t.error, CMSG_DATA(c), sizeof t.error);
        memcpy(&t.offender, SO_EE_OFFENDER((struct sock_extended_err *)CMSG_DATA(c)),
               c->cmsg_len - CMSG_LEN(sizeof t.error));
    }
    return t;
}

/* A socket that is not connected learns which datagram was refused, by whom, and what was in it. */
TEST(refused_is_queued)
{
    in_port_t own, closed = nobody();
    const int on = 1;
    int fd = bound(&own);
    CHECK(setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on) == 0);
    CHECK(recv(fd, &own, 1, MSG_ERRQUEUE) == -1 && errno == EAGAIN);
    CHECK(send_to(fd, "first", closed) == 5);
    CHECK(events(fd) & POLLERR);
    struct told t = error_take(fd, sizeof t.data);
    CHECK(t.n == 5 && !memcmp(t.data, "first", 5));
    const struct sockaddr_in *to = (void *)&t.to, *offender = (void *)&t.offender;
    CHECK(to->sin_family == AF_INET && to->sin_port == closed);
    CHECK(to->sin_addr.s_addr == loopback.sin_addr.s_addr);
    CHECK(t.flags & MSG_ERRQUEUE && !(t.flags & MSG_TRUNC));
    CHECK(t.level == IPPROTO_IP && t.type == IP_RECVERR);
    CHECK(t.error.ee_errno == ECONNREFUSED && t.error.ee_origin == SO_EE_ORIGIN_ICMP);
    CHECK(t.error.ee_type == ICMP_DEST_UNREACH && t.error.ee_code == ICMP_PORT_UNREACH);
    CHECK(t.error.ee_info == 0 && t.error.ee_data == 0);
    CHECK(offender->sin_family == AF_INET && offender->sin_port == 0);
    CHECK(offender->sin_addr.s_addr == loopback.sin_addr.s_addr);
    CHECK(!(events(fd) & POLLERR) && FAILS(recv(fd, &own, 1, MSG_DONTWAIT), EAGAIN));
    close(fd);
}

/* Errors wait in order; taking one leaves the next as the socket's error. */
TEST(several_errors)
{
    in_port_t own, closed = nobody();
    const int on = 1;
    int fd = bound(&own), v;
    socklen_t n = sizeof v;
    CHECK(setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on) == 0);
    CHECK(send_to(fd, "one", closed) == 3);
    CHECK(events(fd) & POLLERR);
    CHECK(FAILS(send_to(fd, "lost", closed), ECONNREFUSED));
    CHECK(send_to(fd, "two", closed) == 3);
    CHECK(events(fd) & POLLERR);
    struct told t = error_take(fd, 2);
    CHECK(t.n == 2 && !memcmp(t.data, "on", 2) && t.flags & MSG_TRUNC);
    CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &v, &n) == 0 && v == ECONNREFUSED);
    CHECK(events(fd) & POLLERR); /* the queue alone says so */
    t = error_take(fd, sizeof t.data);
    CHECK(t.n == 3 && !memcmp(t.data, "two", 3));
    CHECK(error_take(fd, 1).n == -1 && errno == EAGAIN);
    close(fd);
}

/* Without the option only a connected socket is told, and nothing is queued. */
TEST(not_asked)
{
    in_port_t own, closed = nobody();
    struct sockaddr_in a = loopback;
    int fd = bound(&own);
    char c;
    CHECK(send_to(fd, "x", closed) == 1);
    CHECK(send_to(fd, "x", own) == 1);
    CHECK(recv(fd, &c, 1, 0) == 1); /* the answer to the first was there before */
    CHECK(events(fd) == 0 && FAILS(recv(fd, &c, 1, MSG_DONTWAIT), EAGAIN));
    a.sin_port = closed;
    CHECK(connect(fd, (struct sockaddr *)&a, sizeof a) == 0 && send(fd, "x", 1, 0) == 1);
    CHECK(events(fd) & POLLERR);
    CHECK(error_take(fd, 1).n == -1 && errno == EAGAIN);
    CHECK(FAILS(recv(fd, &c, 1, MSG_DONTWAIT), ECONNREFUSED));
    close(fd);
}

TEST(refused_ipv6)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t n = sizeof a;
    const int on = 1;
    int gone = socket(AF_INET6, SOCK_DGRAM, 0), fd = socket(AF_INET6, SOCK_DGRAM, 0);
    CHECK(bind(gone, (struct sockaddr *)&a, sizeof a) == 0);
    CHECK(getsockname(gone, (struct sockaddr *)&a, &n) == 0);
    close(gone);
    CHECK(setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on) == 0);
    CHECK(sendto(fd, "hello", 5, 0, (struct sockaddr *)&a, sizeof a) == 5);
    CHECK(events(fd) & POLLERR);
    struct told t = error_take(fd, sizeof t.data);
    const struct sockaddr_in6 *to = (void *)&t.to, *offender = (void *)&t.offender;
    CHECK(t.n == 5 && !memcmp(t.data, "hello", 5));
    CHECK(to->sin6_family == AF_INET6 && to->sin6_port == a.sin6_port);
    CHECK(t.level == IPPROTO_IPV6 && t.type == IPV6_RECVERR);
    CHECK(t.error.ee_errno == ECONNREFUSED && t.error.ee_origin == SO_EE_ORIGIN_ICMP6);
    CHECK(t.error.ee_type == 1 && t.error.ee_code == 4);
    CHECK(offender->sin6_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&offender->sin6_addr));
    close(fd);
}

static void want_datagrams(int fd, const char *data, size_t total, size_t each)
{
    char got[2000];
    for (size_t at = 0; at < total; at += each) {
        size_t n = total - at < each ? total - at : each;
        CHECK(recv(fd, got, sizeof got, 0) == (ssize_t)n && !memcmp(got, data + at, n));
    }
    CHECK(FAILS(recv(fd, got, 1, MSG_DONTWAIT), EAGAIN));
}

/* One send, many datagrams: by the option, or by a control message, which counts more. */
TEST(segments)
{
    in_port_t to, from;
    int x = bound(&from), y = bound(&to), v;
    struct sockaddr_in a = loopback;
    socklen_t n = sizeof v;
    char data[6500], control[CMSG_SPACE(sizeof(uint16_t))] = {0};
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)(i * 7 + i / 251);
    a.sin_port = to;
    CHECK(connect(x, (struct sockaddr *)&a, sizeof a) == 0);
    CHECK(getsockopt(x, IPPROTO_UDP, UDP_SEGMENT, &v, &n) == 0 && v == 0 && n == sizeof v);
    v = 1000;
    CHECK(setsockopt(x, IPPROTO_UDP, UDP_SEGMENT, &v, sizeof v) == 0);
    CHECK(getsockopt(x, IPPROTO_UDP, UDP_SEGMENT, &v, &n) == 0 && v == 1000);
    CHECK(send(x, data, sizeof data, 0) == sizeof data);
    want_datagrams(y, data, sizeof data, 1000);
    CHECK(send(x, data, 1000, 0) == 1000); /* one */
    want_datagrams(y, data, 1000, 1000);
    CHECK(send(x, data, 7, 0) == 7);
    want_datagrams(y, data, 7, 1000);
    CHECK(send(x, data, 0, 0) == 0);
    CHECK(recv(y, data, 1, 0) == 0);
    struct iovec part[2] = {{data, 50}, {data + 50, 3950}};
    struct msghdr m = {
        .msg_iov = part, .msg_iovlen = 2, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    *c = (struct cmsghdr){CMSG_LEN(sizeof(uint16_t)), IPPROTO_UDP, UDP_SEGMENT};
    memcpy(CMSG_DATA(c), &(uint16_t){100}, 2);
    CHECK(sendmsg(x, &m, 0) == 4000);
    want_datagrams(y, data, 4000, 100);
    c->cmsg_len = CMSG_LEN(1);
    CHECK(FAILS(sendmsg(x, &m, 0), EINVAL));
    c->cmsg_len = CMSG_LEN(2);
    c->cmsg_type = 99;
    CHECK(FAILS(sendmsg(x, &m, 0), EINVAL));
    close(x);
    close(y);
}

TEST(segment_errors)
{
    in_port_t to, from;
    int x = bound(&from), y = bound(&to), v;
    struct sockaddr_in a = loopback;
    static char data[20000];
    a.sin_port = to;
    CHECK(connect(x, (struct sockaddr *)&a, sizeof a) == 0);
    v = -1;
    CHECK(FAILS(setsockopt(x, IPPROTO_UDP, UDP_SEGMENT, &v, sizeof v), EINVAL));
    v = 65536;
    CHECK(FAILS(setsockopt(x, IPPROTO_UDP, UDP_SEGMENT, &v, sizeof v), EINVAL));
    CHECK(FAILS(setsockopt(x, IPPROTO_UDP, UDP_SEGMENT, &v, 2), EINVAL));
    v = 10;
    CHECK(setsockopt(x, IPPROTO_UDP, UDP_SEGMENT, &v, sizeof v) == 0);
    CHECK(FAILS(send(x, data, 10 * 300, 0), EINVAL)); /* more datagrams than any kernel takes */
    CHECK(FAILS(send(x, NULL, 500, 0), EFAULT));
    want_datagrams(y, data, 0, 10);
    v = 1;
    CHECK(setsockopt(y, IPPROTO_UDP, UDP_GRO, &v, sizeof v) == 0);
    v = 0;
    CHECK(setsockopt(x, IPPROTO_UDP, UDP_SEGMENT, &v, sizeof v) == 0);
    CHECK(send(x, "whole", 5, 0) == 5);
    want_datagrams(y, "whole", 5, 5);
    close(x);
    close(y);
}
