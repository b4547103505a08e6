/* SPDX-License-Identifier: Apache-2.0 */
/* UDP sockets over the loopback: udp(7), ip(7). */
#include "guest.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

static struct sockaddr_in loopback(unsigned port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int bound(unsigned *port)
{
    struct sockaddr_in a = loopback(0);
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(fd >= 0);
    CHECK(bind(fd, (struct sockaddr *)&a, sizeof a) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&a, &n) == 0);
    *port = ntohs(a.sin_port);
    return fd;
}

static int do_connect(int fd, unsigned port)
{
    struct sockaddr_in a = loopback(port);
    return connect(fd, (struct sockaddr *)&a, sizeof a);
}

static ssize_t send_to(int fd, const void *data, size_t n, unsigned port)
{
    struct sockaddr_in a = loopback(port);
    return sendto(fd, data, n, 0, (struct sockaddr *)&a, sizeof a);
}

static short poll_once(int fd, short events, int ms)
{
    struct pollfd p = {fd, events, 0};
    CHECK(poll(&p, 1, ms) >= 0);
    return p.revents;
}

TEST(send_and_receive)
{
    unsigned a, b;
    int x = bound(&a), y = bound(&b);
    char buf[16];
    struct sockaddr_in from;
    socklen_t n = sizeof from;
    CHECK(poll_once(y, POLLIN | POLLOUT, 0) == POLLOUT);
    CHECK(send_to(x, "hello", 5, b) == 5);
    CHECK(poll_once(y, POLLIN, 5000) == POLLIN);
    CHECK(recvfrom(y, buf, sizeof buf, 0, (struct sockaddr *)&from, &n) == 5);
    CHECK(!memcmp(buf, "hello", 5) && n == sizeof from && ntohs(from.sin_port) == a);
    CHECK(from.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    CHECK(FAILS(recv(y, buf, 1, MSG_DONTWAIT), EAGAIN));
    close(x);
    close(y);
}

/* Datagrams keep their borders; what does not fit is cut and said. */
TEST(borders)
{
    unsigned a, b;
    int x = bound(&a), y = bound(&b), v;
    char buf[16];
    CHECK(send_to(x, "abcdef", 6, b) == 6);
    CHECK(send_to(x, "", 0, b) == 0);
    CHECK(send_to(x, "gh", 2, b) == 2);
    CHECK(poll_once(y, POLLIN, 5000) == POLLIN);
    CHECK(ioctl(y, FIONREAD, &v) == 0 && v == 6);
    CHECK(recv(y, buf, 3, MSG_PEEK) == 3);
    CHECK(recv(y, buf, 3, MSG_PEEK | MSG_TRUNC) == 6);
    struct iovec io = {buf, 4};
    struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1};
    CHECK(recvmsg(y, &m, 0) == 4 && m.msg_flags & MSG_TRUNC);
    CHECK(recv(y, buf, sizeof buf, 0) == 0);
    CHECK(recv(y, buf, sizeof buf, 0) == 2);
    close(x);
    close(y);
}

TEST(connected)
{
    unsigned a, b, c;
    int x = bound(&a), y = bound(&b), z = bound(&c);
    char buf[8];
    struct sockaddr_in name;
    socklen_t n = sizeof name;
    CHECK(FAILS(send(x, "x", 1, 0), EDESTADDRREQ));
    CHECK(FAILS(getpeername(x, (struct sockaddr *)&name, &n), ENOTCONN));
    CHECK(do_connect(x, b) == 0);
    CHECK(getpeername(x, (struct sockaddr *)&name, &n) == 0 && ntohs(name.sin_port) == b);
    CHECK(send(x, "one", 3, 0) == 3);
    CHECK(poll_once(y, POLLIN, 5000) == POLLIN && recv(y, buf, 8, 0) == 3);
    /* Only the peer's datagrams come in. */
    CHECK(send_to(z, "other", 5, a) == 5);
    CHECK(send_to(y, "peer", 4, a) == 4);
    CHECK(poll_once(x, POLLIN, 5000) == POLLIN && recv(x, buf, 8, 0) == 4);
    CHECK(FAILS(recv(x, buf, 8, MSG_DONTWAIT), EAGAIN));
    /* Another destination may be named still, and the connection dissolved. */
    CHECK(send_to(x, "z", 1, c) == 1);
    CHECK(poll_once(z, POLLIN, 5000) == POLLIN && recv(z, buf, 8, 0) == 1);
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    CHECK(connect(x, &none, sizeof none) == 0);
    CHECK(FAILS(getpeername(x, (struct sockaddr *)&name, &n), ENOTCONN));
    close(x);
    close(y);
    close(z);
}

TEST(refused)
{
    unsigned a, b;
    int x = bound(&a), y = bound(&b), v;
    socklen_t n = sizeof v;
    char c;
    close(y);
    CHECK(do_connect(x, b) == 0);
    CHECK(send(x, "x", 1, 0) == 1);
    CHECK(poll_once(x, POLLIN, 5000) & POLLERR);
    CHECK(FAILS(recv(x, &c, 1, 0), ECONNREFUSED));
    CHECK(FAILS(recv(x, &c, 1, MSG_DONTWAIT), EAGAIN));
    CHECK(send(x, "x", 1, 0) == 1);
    CHECK(poll_once(x, POLLIN, 5000) & POLLERR);
    CHECK(getsockopt(x, SOL_SOCKET, SO_ERROR, &v, &n) == 0 && v == ECONNREFUSED);
    close(x);
}

TEST(large)
{
    static char out[65507], in[65507];
    unsigned a, b;
    int x = bound(&a), y = bound(&b);
    for (size_t i = 0; i < sizeof out; i++)
        out[i] = (char)(i * 11);
    CHECK(send_to(x, out, sizeof out, b) == sizeof out);
    CHECK(poll_once(y, POLLIN, 5000) == POLLIN);
    CHECK(recv(y, in, sizeof in, 0) == sizeof in && !memcmp(in, out, sizeof in));
    CHECK(FAILS(sendto(x, out, 65508, 0,
                       (struct sockaddr *)&(struct sockaddr_in){
                           AF_INET, htons((uint16_t)b), {htonl(INADDR_LOOPBACK)}, {0}},
                       sizeof(struct sockaddr_in)),
                EMSGSIZE));
    close(x);
    close(y);
}

TEST(unbound_gets_a_port)
{
    unsigned a;
    struct sockaddr_in name;
    socklen_t n = sizeof name;
    int x = bound(&a), y = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(getsockname(y, (struct sockaddr *)&name, &n) == 0 && name.sin_port == 0);
    CHECK(send_to(y, "x", 1, a) == 1);
    CHECK(getsockname(y, (struct sockaddr *)&name, &n) == 0 && name.sin_port != 0);
    CHECK(poll_once(x, POLLIN, 5000) == POLLIN);
    close(x);
    close(y);
}

TEST(port_rules)
{
    unsigned a;
    const int on = 1;
    int x = bound(&a), y = socket(AF_INET, SOCK_DGRAM, 0), z = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in name = loopback(a);
    CHECK(FAILS(bind(y, (struct sockaddr *)&name, sizeof name), EADDRINUSE));
    close(x);
    CHECK(setsockopt(y, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
    CHECK(setsockopt(z, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
    CHECK(bind(y, (struct sockaddr *)&name, sizeof name) == 0);
    CHECK(bind(z, (struct sockaddr *)&name, sizeof name) == 0);
    CHECK(FAILS(bind(z, (struct sockaddr *)&name, sizeof name), EINVAL));
    close(y);
    close(z);
}

TEST(errors)
{
    unsigned a;
    int x = bound(&a);
    struct sockaddr_in name = loopback(0);
    CHECK(FAILS(listen(x, 1), EOPNOTSUPP));
    CHECK(FAILS(accept(x, NULL, NULL), EOPNOTSUPP));
    CHECK(FAILS(sendto(x, "x", 1, 0, (struct sockaddr *)&name, sizeof name), EINVAL));
    CHECK(FAILS(sendto(x, "x", 1, 0, (struct sockaddr *)&name, 2), EINVAL));
    CHECK(FAILS(shutdown(x, SHUT_RD), ENOTCONN));
    CHECK(FAILS(socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP), EPROTONOSUPPORT));
    close(x);
}

/* The queue is bounded: what comes beyond is lost, not kept. */
TEST(bounded_queue)
{
    static char data[1000];
    unsigned a, b;
    int x = bound(&a), y = bound(&b), got = 0;
    for (int i = 0; i < 2000; i++)
        CHECK(send_to(x, data, sizeof data, b) == sizeof data);
    while (recv(y, data, sizeof data, MSG_DONTWAIT) > 0)
        got++;
    CHECK(got > 10 && got < 2000);
    close(x);
    close(y);
}

TEST(ipv6)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT}, from;
    socklen_t n = sizeof a;
    char buf[4];
    int x = socket(AF_INET6, SOCK_DGRAM, 0), y = socket(AF_INET6, SOCK_DGRAM, 0);
    CHECK(bind(x, (struct sockaddr *)&a, sizeof a) == 0);
    CHECK(getsockname(x, (struct sockaddr *)&a, &n) == 0 && a.sin6_port);
    CHECK(sendto(y, "six", 3, 0, (struct sockaddr *)&a, sizeof a) == 3);
    CHECK(poll_once(x, POLLIN, 5000) == POLLIN);
    CHECK(recvfrom(x, buf, 4, 0, (struct sockaddr *)&from, &n) == 3 && n == sizeof from);
    CHECK(!memcmp(&from.sin6_addr, &in6addr_loopback, 16));
    close(x);
    close(y);
}

/* A socket bound to :: hears IPv4 too and answers it. */
TEST(dual_stack)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6}, from;
    socklen_t n = sizeof a;
    unsigned port;
    char buf[4];
    int x = socket(AF_INET6, SOCK_DGRAM, 0), y = bound(&port);
    CHECK(bind(x, (struct sockaddr *)&a, sizeof a) == 0);
    CHECK(getsockname(x, (struct sockaddr *)&a, &n) == 0);
    CHECK(send_to(y, "four", 4, ntohs(a.sin6_port)) == 4);
    CHECK(poll_once(x, POLLIN, 5000) == POLLIN);
    CHECK(recvfrom(x, buf, 4, 0, (struct sockaddr *)&from, &n) == 4);
    CHECK(IN6_IS_ADDR_V4MAPPED(&from.sin6_addr));
    CHECK(sendto(x, "back", 4, 0, (struct sockaddr *)&from, n) == 4);
    CHECK(poll_once(y, POLLIN, 5000) == POLLIN && recv(y, buf, 4, 0) == 4);
    close(x);
    close(y);
}
