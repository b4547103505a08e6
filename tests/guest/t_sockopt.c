/* SPDX-License-Identifier: Apache-2.0 */
/* Socket options and what they do: socket(7), ip(7), ipv6(7), tcp(7). */
#include "guest.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/time.h>

#define TOLD(fd, level, name, expected)                                                            \
    ({                                                                                             \
        int told_value = -12345;                                                                   \
        socklen_t told_len = sizeof told_value;                                                    \
        getsockopt(fd, level, name, &told_value, &told_len) == 0 &&                                \
            told_len == sizeof told_value &&told_value == (expected);                              \
    })

static int put(int fd, int level, int name, int v)
{
    return setsockopt(fd, level, name, &v, sizeof v);
}

static struct sockaddr_in loopback(unsigned port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static unsigned bind_any(int fd)
{
    struct sockaddr_in a = loopback(0);
    socklen_t n = sizeof a;
    CHECK(bind(fd, (void *)&a, sizeof a) == 0 && getsockname(fd, (void *)&a, &n) == 0);
    return ntohs(a.sin_port);
}

static int do_connect(int fd, unsigned port)
{
    struct sockaddr_in a = loopback(port);
    return connect(fd, (void *)&a, sizeof a);
}

static void wait_for(int fd, short events)
{
    struct pollfd p = {fd, events, 0};
    CHECK(poll(&p, 1, 10000) == 1);
}

static void connection(int *client, int *server)
{
    int l = socket(AF_INET, SOCK_STREAM, 0);
    unsigned port = bind_any(l);
    *client = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(listen(l, 1) == 0 && do_connect(*client, port) == 0);
    *server = accept(l, NULL, NULL);
    CHECK(*server >= 0);
    close(l);
}

/* Numbers and switches that are kept: the default, a value, a value that is refused. */
struct kept {
    int level, name, initial, value, bad, error;
};

static void keeps(int fd, const struct kept *k)
{
    if (k->initial != -999 && !TOLD(fd, k->level, k->name, k->initial))
        printf("# level %d name %d: default\n", k->level, k->name);
    CHECK(k->initial == -999 || TOLD(fd, k->level, k->name, k->initial));
    CHECK(put(fd, k->level, k->name, k->value) == 0);
    if (!TOLD(fd, k->level, k->name, k->value))
        printf("# level %d name %d: value\n", k->level, k->name);
    CHECK(TOLD(fd, k->level, k->name, k->value));
    if (k->error)
        CHECK(FAILS(put(fd, k->level, k->name, k->bad), k->error));
}

TEST(socket_level)
{
    static const struct kept kept[] = {
        {SOL_SOCKET, SO_PRIORITY, 0, 6, 0, 0},           {SOL_SOCKET, SO_REUSEADDR, 0, 1, 0, 0},
        {SOL_SOCKET, SO_REUSEPORT, 0, 1, 0, 0},          {SOL_SOCKET, SO_KEEPALIVE, 0, 1, 0, 0},
        {SOL_SOCKET, SO_BROADCAST, 0, 1, 0, 0},          {SOL_SOCKET, SO_DONTROUTE, 0, 1, 0, 0},
        {SOL_SOCKET, SO_OOBINLINE, 0, 1, 0, 0},          {SOL_SOCKET, SO_RCVLOWAT, 1, 7, 0, 0},
        {SOL_SOCKET, SO_TIMESTAMP, 0, 1, 0, 0},          {SOL_SOCKET, SO_RXQ_OVFL, 0, 1, 0, 0},
        {SOL_SOCKET, SO_BUSY_POLL, -999, 0, -1, EINVAL},
    };
    int t = socket(AF_INET, SOCK_STREAM, 0), u = socket(AF_INET6, SOCK_DGRAM, 0);
    for (unsigned i = 0; i < COUNT(kept); i++) {
        keeps(t, &kept[i]);
        keeps(u, &kept[i]);
    }
    CHECK(put(t, SOL_SOCKET, SO_TIMESTAMPNS, 1) == 0 && TOLD(t, SOL_SOCKET, SO_TIMESTAMP, 0));
    CHECK(TOLD(t, SOL_SOCKET, SO_DOMAIN, AF_INET) && TOLD(u, SOL_SOCKET, SO_DOMAIN, AF_INET6));
    CHECK(TOLD(t, SOL_SOCKET, SO_PROTOCOL, IPPROTO_TCP));
    CHECK(TOLD(t, SOL_SOCKET, SO_SNDLOWAT, 1) &&
          FAILS(put(t, SOL_SOCKET, SO_SNDLOWAT, 9), ENOPROTOOPT));
    CHECK(FAILS(put(t, SOL_SOCKET, SO_TYPE, 1), ENOPROTOOPT));
    CHECK(FAILS(put(t, SOL_SOCKET, SO_ERROR, 1), ENOPROTOOPT));
    CHECK(FAILS(put(t, SOL_SOCKET, 200, 1), ENOPROTOOPT));
    uint64_t a = 0, b = 0;
    socklen_t n = 8;
    CHECK(getsockopt(t, SOL_SOCKET, SO_COOKIE, &a, &n) == 0 && n == 8 && a);
    CHECK(getsockopt(u, SOL_SOCKET, SO_COOKIE, &b, &n) == 0 && a != b);
    n = 4;
    CHECK(FAILS(getsockopt(u, SOL_SOCKET, SO_COOKIE, &b, &n), EINVAL));
    close(t);
    close(u);
}

TEST(buffers)
{
    int t = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(put(t, SOL_SOCKET, SO_SNDBUF, 30000) == 0 && TOLD(t, SOL_SOCKET, SO_SNDBUF, 60000));
    CHECK(put(t, SOL_SOCKET, SO_RCVBUF, 30000) == 0 && TOLD(t, SOL_SOCKET, SO_RCVBUF, 60000));
    CHECK(put(t, SOL_SOCKET, SO_SNDBUF, 0) == 0 && TOLD(t, SOL_SOCKET, SO_SNDBUF, 4608));
    CHECK(put(t, SOL_SOCKET, SO_RCVBUF, 0) == 0 && TOLD(t, SOL_SOCKET, SO_RCVBUF, 2304));
    if (geteuid() == 0) {
        CHECK(put(t, SOL_SOCKET, SO_SNDBUFFORCE, 5000000) == 0);
        CHECK(TOLD(t, SOL_SOCKET, SO_SNDBUF, 10000000));
    }
    close(t);
}

TEST(ip_level)
{
    static const struct kept kept[] = {
        {IPPROTO_IP, IP_TOS, 0, 0x10, 0, 0},
        {IPPROTO_IP, IP_TTL, 64, 33, 256, EINVAL},
        {IPPROTO_IP, IP_MULTICAST_TTL, 1, 9, 256, EINVAL},
        {IPPROTO_IP, IP_MULTICAST_LOOP, 1, 0, 0, 0},
        {IPPROTO_IP, IP_MTU_DISCOVER, -999, IP_PMTUDISC_DO, 77, EINVAL},
        {IPPROTO_IP, IP_RECVTTL, 0, 1, 0, 0},
        {IPPROTO_IP, IP_RECVTOS, 0, 1, 0, 0},
        {IPPROTO_IP, IP_PKTINFO, 0, 1, 0, 0},
        {IPPROTO_IP, IP_RECVERR, 0, 1, 0, 0},
        {IPPROTO_IP, IP_FREEBIND, 0, 1, 0, 0},
        {IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 0, 1, 0, 0},
    };
    int u = socket(AF_INET, SOCK_DGRAM, 0), t = socket(AF_INET, SOCK_STREAM, 0);
    for (unsigned i = 0; i < COUNT(kept); i++)
        keeps(u, &kept[i]);
    CHECK(FAILS(put(u, IPPROTO_IP, IP_TTL, 0), EINVAL) && put(u, IPPROTO_IP, IP_TTL, -1) == 0);
    CHECK(TOLD(u, IPPROTO_IP, IP_TTL, 64));
    unsigned char byte = 5;
    socklen_t n = 1;
    CHECK(setsockopt(u, IPPROTO_IP, IP_MULTICAST_TTL, &byte, 1) == 0);
    byte = 0;
    CHECK(getsockopt(u, IPPROTO_IP, IP_MULTICAST_TTL, &byte, &n) == 0 && n == 1 && byte == 5);
    CHECK(FAILS(put(t, IPPROTO_IP, IP_MULTICAST_TTL, 4), EINVAL));
    CHECK(FAILS(put(u, IPPROTO_IP, 240, 1), ENOPROTOOPT));
    CHECK(FAILS(put(u, IPPROTO_IPV6, IPV6_V6ONLY, 1), ENOPROTOOPT));
    int v;
    n = sizeof v;
    CHECK(FAILS(getsockopt(u, IPPROTO_IP, IP_MTU, &v, &n), ENOTCONN));
    CHECK(do_connect(u, 9) == 0 && getsockopt(u, IPPROTO_IP, IP_MTU, &v, &n) == 0 && v > 1000);
    close(u);
    close(t);
}

TEST(ipv6_level)
{
    static const struct kept kept[] = {
        {IPPROTO_IPV6, IPV6_TCLASS, 0, 0x20, 256, EINVAL},
        {IPPROTO_IPV6, IPV6_UNICAST_HOPS, 64, 11, 256, EINVAL},
        {IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 1, 3, 256, EINVAL},
        {IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 1, 0, 0, 0},
        {IPPROTO_IPV6, IPV6_RECVPKTINFO, 0, 1, 0, 0},
        {IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 0, 1, 0, 0},
        {IPPROTO_IPV6, IPV6_RECVTCLASS, 0, 1, 0, 0},
        {IPPROTO_IPV6, IPV6_V6ONLY, -999, 1, 0, 0},
    };
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int u = socket(AF_INET6, SOCK_DGRAM, 0);
    for (unsigned i = 0; i < COUNT(kept); i++)
        keeps(u, &kept[i]);
    CHECK(bind(u, (void *)&a, sizeof a) == 0);
    CHECK(FAILS(put(u, IPPROTO_IPV6, IPV6_V6ONLY, 0), EINVAL));
    CHECK(FAILS(put(u, IPPROTO_IPV6, 240, 1), ENOPROTOOPT));
    close(u);
}

TEST(tcp_level)
{
    static const struct kept kept[] = {
        {IPPROTO_TCP, TCP_KEEPIDLE, 7200, 30, 0, EINVAL},
        {IPPROTO_TCP, TCP_KEEPINTVL, 75, 5, 40000, EINVAL},
        {IPPROTO_TCP, TCP_KEEPCNT, 9, 3, 128, EINVAL},
        {IPPROTO_TCP, TCP_SYNCNT, 6, 2, 128, EINVAL},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, 0, 5000, -1, EINVAL},
        {IPPROTO_TCP, TCP_NODELAY, 0, 1, 0, 0},
        {IPPROTO_TCP, TCP_CORK, 0, 1, 0, 0},
        {IPPROTO_TCP, TCP_DEFER_ACCEPT, 0, 3, 0, 0},
        {IPPROTO_TCP, TCP_MAXSEG, -999, 1000, 10, EINVAL},
        {IPPROTO_TCP, TCP_FASTOPEN, 0, 16, -1, EINVAL},
    };
    char name[16] = "";
    socklen_t n = sizeof name;
    int t = socket(AF_INET, SOCK_STREAM, 0);
    for (unsigned i = 0; i < COUNT(kept); i++)
        if (kept[i].name != TCP_MAXSEG)
            keeps(t, &kept[i]);
    CHECK(FAILS(put(t, IPPROTO_TCP, TCP_MAXSEG, 10), EINVAL));
    CHECK(put(t, IPPROTO_TCP, TCP_DEFER_ACCEPT, 5) == 0);
    CHECK(TOLD(t, IPPROTO_TCP, TCP_DEFER_ACCEPT, 7));
    CHECK(put(t, IPPROTO_TCP, TCP_QUICKACK, 1) == 0 && TOLD(t, IPPROTO_TCP, TCP_QUICKACK, 1));
    CHECK(setsockopt(t, IPPROTO_TCP, TCP_CONGESTION, "reno", 4) == 0);
    CHECK(getsockopt(t, IPPROTO_TCP, TCP_CONGESTION, name, &n) == 0 && !strcmp(name, "reno"));
    CHECK(FAILS(setsockopt(t, IPPROTO_TCP, TCP_CONGESTION, "nonesuch", 8), ENOENT));
    CHECK(FAILS(put(t, IPPROTO_TCP, 200, 1), ENOPROTOOPT));
    close(t);
}

TEST(tcp_info)
{
    int c, s;
    struct tcp_info i;
    socklen_t n = sizeof i;
    char buf[5000];
    connection(&c, &s);
    CHECK(write(c, buf, 5000) == 5000 && recv(s, buf, 5000, MSG_WAITALL) == 5000);
    CHECK(getsockopt(s, IPPROTO_TCP, TCP_INFO, &i, &n) == 0);
    CHECK(i.tcpi_state == 1 && i.tcpi_bytes_received == 5000 && i.tcpi_snd_mss > 100);
    CHECK(i.tcpi_rto >= 100000 && i.tcpi_snd_cwnd >= 1);
    CHECK(SOON((n = sizeof i, getsockopt(c, IPPROTO_TCP, TCP_INFO, &i, &n) == 0 &&
                                  i.tcpi_bytes_acked >= 5000 && !i.tcpi_unacked)));
    close(s);
    CHECK(SOON(
        (n = sizeof i, getsockopt(c, IPPROTO_TCP, TCP_INFO, &i, &n) == 0 && i.tcpi_state == 8)));
    close(c);
}

/* Options of a listener are those of its connections. */
TEST(inherited)
{
    int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
    unsigned port = bind_any(l);
    struct linger g = {1, 3}, told;
    socklen_t n = sizeof told;
    CHECK(put(l, IPPROTO_TCP, TCP_NODELAY, 1) == 0 && put(l, SOL_SOCKET, SO_KEEPALIVE, 1) == 0);
    CHECK(put(l, IPPROTO_TCP, TCP_KEEPIDLE, 44) == 0 && put(l, IPPROTO_IP, IP_TTL, 55) == 0);
    CHECK(setsockopt(l, SOL_SOCKET, SO_LINGER, &g, sizeof g) == 0);
    CHECK(listen(l, 1) == 0 && do_connect(c, port) == 0);
    int s = accept(l, NULL, NULL);
    CHECK(TOLD(s, IPPROTO_TCP, TCP_NODELAY, 1) && TOLD(s, SOL_SOCKET, SO_KEEPALIVE, 1));
    CHECK(TOLD(s, IPPROTO_TCP, TCP_KEEPIDLE, 44) && TOLD(s, IPPROTO_IP, IP_TTL, 55));
    CHECK(getsockopt(s, SOL_SOCKET, SO_LINGER, &told, &n) == 0 && told.l_linger == 3);
    close(s);
    close(l);
    close(c);
}

static int reuse_port(int type, unsigned port)
{
    int fd = socket(AF_INET, type, 0);
    struct sockaddr_in a = loopback(port);
    CHECK(put(fd, SOL_SOCKET, SO_REUSEPORT, 1) == 0);
    CHECK(bind(fd, (void *)&a, sizeof a) == 0);
    return fd;
}

static unsigned port_of(int fd)
{
    struct sockaddr_in a;
    socklen_t n = sizeof a;
    CHECK(getsockname(fd, (void *)&a, &n) == 0);
    return ntohs(a.sin_port);
}

/* Listeners on one port share its connections; one may go. */
TEST(reuse_port_listeners)
{
    enum { N = 24 };
    int l[3], c[N], got[3] = {0}, total = 0;
    l[0] = reuse_port(SOCK_STREAM, 0);
    unsigned port = port_of(l[0]);
    for (int i = 0; i < 3; i++) {
        if (i)
            l[i] = reuse_port(SOCK_STREAM, port);
        CHECK(listen(l[i], 64) == 0 && fcntl(l[i], F_SETFL, O_NONBLOCK) == 0);
    }
    int other = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = loopback(port);
    CHECK(FAILS(bind(other, (void *)&a, sizeof a), EADDRINUSE));
    close(other);
    for (int i = 0; i < N; i++) {
        c[i] = socket(AF_INET, SOCK_STREAM, 0);
        CHECK(do_connect(c[i], port) == 0);
    }
    int64_t end = now_ns() + 5000 * MS;
    while (total < N && now_ns() < end)
        for (int i = 0; i < 3; i++) {
            int s = accept(l[i], NULL, NULL);
            if (s < 0)
                continue;
            got[i]++;
            total++;
            close(s);
        }
    CHECK(total == N && got[0] && got[1] && got[2]);
    for (int i = 0; i < N; i++)
        close(c[i]);
    /* The first member goes: the others have the port still. */
    close(l[0]);
    for (int i = 0; i < 8; i++) {
        int x = socket(AF_INET, SOCK_STREAM, 0), s = -1;
        CHECK(do_connect(x, port) == 0);
        CHECK(SOON(s >= 0 || (s = accept(l[1], NULL, NULL)) >= 0 ||
                   (s = accept(l[2], NULL, NULL)) >= 0));
        close(s);
        close(x);
    }
    close(l[1]);
    close(l[2]);
    int x = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(FAILS(do_connect(x, port), ECONNREFUSED));
    close(x);
}

TEST(reuse_port_datagrams)
{
    enum { N = 40 };
    int u[2], got[2] = {0}, v;
    char b;
    u[0] = reuse_port(SOCK_DGRAM, 0);
    unsigned port = port_of(u[0]);
    u[1] = reuse_port(SOCK_DGRAM, port);
    for (int i = 0; i < N; i++) {
        int x = socket(AF_INET, SOCK_DGRAM, 0);
        CHECK(do_connect(x, port) == 0 && send(x, "x", 1, 0) == 1);
        v = -1;
        CHECK(SOON(v >= 0 || (recv(u[0], &b, 1, MSG_DONTWAIT) == 1 && (v = 0, true)) ||
                   (recv(u[1], &b, 1, MSG_DONTWAIT) == 1 && (v = 1, true))));
        got[v]++;
        close(x);
    }
    CHECK(got[0] && got[1] && got[0] + got[1] == N);
    close(u[0]);
    close(u[1]);
}

/* A full queue takes no more; what waits gets in when there is room. */
TEST(backlog)
{
    int l = socket(AF_INET, SOCK_STREAM, 0), c[4], n = 0;
    unsigned port = bind_any(l);
    CHECK(listen(l, 1) == 0);
    for (int i = 0; i < 4; i++) {
        c[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        CHECK(do_connect(c[i], port) == 0 || errno == EINPROGRESS);
    }
    usleep(100000);
    for (int i = 0; i < 4; i++) {
        struct pollfd p = {c[i], POLLOUT, 0};
        n += poll(&p, 1, 0) == 1 && !(p.revents & POLLERR);
    }
    CHECK(n >= 2 && n < 4);
    for (int i = 0; i < 4; i++) {
        int s = accept(l, NULL, NULL); /* the later ones after they have asked again */
        CHECK(s >= 0);
        close(s);
    }
    for (int i = 0; i < 4; i++)
        close(c[i]);
    close(l);
}

TEST(defer_accept)
{
    int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
    unsigned port = bind_any(l);
    char b[4];
    CHECK(put(l, IPPROTO_TCP, TCP_DEFER_ACCEPT, 30) == 0 && listen(l, 4) == 0);
    CHECK(do_connect(c, port) == 0);
    struct pollfd p = {l, POLLIN, 0};
    CHECK(poll(&p, 1, 100) == 0);
    CHECK(write(c, "now", 3) == 3);
    wait_for(l, POLLIN);
    int s = accept(l, NULL, NULL);
    CHECK(s >= 0 && recv(s, b, 4, 0) == 3);
    close(s);
    close(c);
    close(l);
}

/* What the peer does not take holds close() up, for the time that was asked for. */
TEST(linger_waits)
{
    int c, s, flags;
    struct linger g = {1, 1};
    static char buf[100000];
    connection(&c, &s);
    CHECK(setsockopt(c, SOL_SOCKET, SO_LINGER, &g, sizeof g) == 0);
    CHECK(write(c, buf, 1000) == 1000);
    int64_t start = now_ns();
    close(c);
    CHECK(now_ns() - start < 900 * MS);
    CHECK(recv(s, buf, sizeof buf, MSG_WAITALL) == 1000);
    close(s);
    connection(&c, &s);
    CHECK(setsockopt(c, SOL_SOCKET, SO_LINGER, &g, sizeof g) == 0);
    while (send(c, buf, sizeof buf, MSG_DONTWAIT) > 0)
        ;
    CHECK(errno == EAGAIN);
    flags = fcntl(c, F_GETFL);
    CHECK(!(flags & O_NONBLOCK));
    start = now_ns();
    close(c);
    CHECK(now_ns() - start >= 900 * MS);
    close(s);
}

/* A reader with a small buffer, and the other way at once: neither stands still. */
static void *swallow_and_answer(void *arg)
{
    static char buf[3000];
    int fd = *(int *)arg;
    size_t got = 0;
    ssize_t n;
    while (got < 400000 && (n = read(fd, buf, sizeof buf)) > 0) {
        got += (size_t)n;
        if (write(fd, buf, (size_t)n) != n)
            break;
    }
    return (void *)got;
}

TEST(small_receive_buffers)
{
    static char data[400000];
    const int size = 2000;
    unsigned port;
    pthread_t t;
    void *got;
    size_t back = 0;
    ssize_t n;
    int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(setsockopt(l, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) == 0);
    CHECK(setsockopt(c, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) == 0);
    port = bind_any(l);
    CHECK(listen(l, 1) == 0 && do_connect(c, port) == 0);
    int s = accept(l, NULL, NULL);
    CHECK(s >= 0);
    CHECK(pthread_create(&t, NULL, swallow_and_answer, &s) == 0);
    for (size_t sent = 0; back < sizeof data;) {
        if (sent < sizeof data) {
            n = send(c, data + sent, sizeof data - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
            CHECK(n > 0 || errno == EAGAIN);
            sent += n > 0 ? (size_t)n : 0;
        }
        wait_for(c, sent < sizeof data ? POLLIN | POLLOUT : POLLIN);
        n = recv(c, data, 3000, MSG_DONTWAIT);
        CHECK(n > 0 || errno == EAGAIN);
        back += n > 0 ? (size_t)n : 0;
    }
    pthread_join(t, &got);
    CHECK((size_t)got == sizeof data);
    close(s);
    close(c);
    close(l);
}

TEST(low_water)
{
    int c, s;
    char b[8];
    connection(&c, &s);
    CHECK(put(s, SOL_SOCKET, SO_RCVLOWAT, 4) == 0 && write(c, "ab", 2) == 2);
    struct pollfd p = {s, POLLIN, 0};
    CHECK(poll(&p, 1, 50) == 0);
    CHECK(recv(s, b, 8, MSG_DONTWAIT) == 2);
    CHECK(write(c, "ab", 2) == 2 && write(c, "cd", 2) == 2);
    wait_for(s, POLLIN);
    CHECK(recv(s, b, 8, 0) == 4);
    close(c);
    CHECK(poll(&p, 1, 5000) == 1);
    close(s);
}

TEST(discard)
{
    int c, s;
    char b[4] = "";
    connection(&c, &s);
    CHECK(write(c, "skipped!rest", 12) == 12);
    wait_for(s, POLLIN);
    CHECK(recv(s, NULL, 8, MSG_TRUNC) == 8);
    CHECK(recv(s, b, 4, MSG_WAITALL) == 4 && !memcmp(b, "rest", 4));
    CHECK(FAILS(recv(s, b, 4, MSG_OOB), EINVAL));
    CHECK(FAILS(recv(s, b, 4, MSG_ERRQUEUE), EAGAIN));
    close(c);
    close(s);
}

struct got {
    int ttl, tos, device, count;
    uint32_t to;
    struct timeval time;
};

static ssize_t receive(int fd, struct got *g)
{
    char data[16];
    union {
        char bytes[256];
        struct cmsghdr align;
    } c;
    struct iovec v = {data, sizeof data};
    struct msghdr h = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c};
    memset(g, 0, sizeof *g);
    g->ttl = g->tos = g->device = -1;
    wait_for(fd, POLLIN);
    ssize_t r = recvmsg(fd, &h, 0);
    for (struct cmsghdr *m = CMSG_FIRSTHDR(&h); m; m = CMSG_NXTHDR(&h, m)) {
        const void *p = CMSG_DATA(m);
        g->count++;
        if (m->cmsg_level == SOL_SOCKET && m->cmsg_type == SO_TIMESTAMP)
            memcpy(&g->time, p, sizeof g->time);
        else if ((m->cmsg_level == IPPROTO_IP && m->cmsg_type == IP_TTL) ||
                 (m->cmsg_level == IPPROTO_IPV6 && m->cmsg_type == IPV6_HOPLIMIT))
            memcpy(&g->ttl, p, sizeof(int));
        else if (m->cmsg_level == IPPROTO_IP && m->cmsg_type == IP_TOS)
            g->tos = *(const unsigned char *)p;
        else if (m->cmsg_level == IPPROTO_IPV6 && m->cmsg_type == IPV6_TCLASS)
            memcpy(&g->tos, p, sizeof(int));
        else if (m->cmsg_level == IPPROTO_IP && m->cmsg_type == IP_PKTINFO) {
            g->device = ((const struct in_pktinfo *)p)->ipi_ifindex;
            g->to = ((const struct in_pktinfo *)p)->ipi_addr.s_addr;
        } else if (m->cmsg_level == IPPROTO_IPV6 && m->cmsg_type == IPV6_PKTINFO)
            g->device = (int)((const struct in6_pktinfo *)p)->ipi6_ifindex;
    }
    return r;
}

TEST(arrivals)
{
    int u = socket(AF_INET, SOCK_DGRAM, 0), x = socket(AF_INET, SOCK_DGRAM, 0);
    unsigned port = bind_any(u);
    struct got g;
    struct timeval now;
    CHECK(put(u, IPPROTO_IP, IP_RECVTTL, 1) == 0 && put(u, IPPROTO_IP, IP_RECVTOS, 1) == 0);
    CHECK(put(u, IPPROTO_IP, IP_PKTINFO, 1) == 0 && put(u, SOL_SOCKET, SO_TIMESTAMP, 1) == 0);
    CHECK(do_connect(x, port) == 0 && send(x, "a", 1, 0) == 1);
    CHECK(receive(u, &g) == 1 && g.count == 4 && g.ttl == 64 && g.tos == 0 && g.device == 1);
    CHECK(g.to == htonl(INADDR_LOOPBACK) && gettimeofday(&now, NULL) == 0);
    CHECK(now.tv_sec - g.time.tv_sec >= 0 && now.tv_sec - g.time.tv_sec < 60);
    CHECK(put(x, IPPROTO_IP, IP_TTL, 17) == 0 && put(x, IPPROTO_IP, IP_TOS, 0x28) == 0);
    CHECK(send(x, "a", 1, 0) == 1 && receive(u, &g) == 1 && g.ttl == 17 && g.tos == 0x28);
    /* One datagram's own. */
    union {
        char bytes[128];
        struct cmsghdr align;
    } c;
    struct iovec v = {"b", 1};
    struct msghdr h = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = CMSG_SPACE(4)};
    c.align = (struct cmsghdr){CMSG_LEN(4), IPPROTO_IP, IP_TTL};
    memcpy(CMSG_DATA(&c.align), &(int){99}, 4);
    CHECK(sendmsg(x, &h, 0) == 1 && receive(u, &g) == 1 && g.ttl == 99);
    c.align = (struct cmsghdr){CMSG_LEN(4), IPPROTO_IP, 77};
    CHECK(FAILS(sendmsg(x, &h, 0), EINVAL));
    close(u);
    close(x);
}

TEST(arrivals_ipv6)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t n = sizeof a;
    struct got g;
    int u = socket(AF_INET6, SOCK_DGRAM, 0), x = socket(AF_INET6, SOCK_DGRAM, 0);
    CHECK(bind(u, (void *)&a, n) == 0 && getsockname(u, (void *)&a, &n) == 0);
    CHECK(put(u, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) == 0);
    CHECK(put(u, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1) == 0);
    CHECK(put(u, IPPROTO_IPV6, IPV6_RECVTCLASS, 1) == 0);
    CHECK(put(x, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 5) == 0);
    CHECK(put(x, IPPROTO_IPV6, IPV6_TCLASS, 0x48) == 0);
    CHECK(sendto(x, "a", 1, 0, (void *)&a, n) == 1);
    CHECK(receive(u, &g) == 1 && g.count == 3 && g.ttl == 5 && g.tos == 0x48 && g.device == 1);
    close(u);
    close(x);
}

TEST(multicast)
{
    int u = socket(AF_INET, SOCK_DGRAM, 0), x = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t n = sizeof a;
    struct ip_mreqn r = {.imr_multiaddr.s_addr = htonl(0xeffe0102), .imr_ifindex = 1};
    char b[4];
    CHECK(bind(u, (void *)&a, n) == 0 && getsockname(u, (void *)&a, &n) == 0);
    CHECK(setsockopt(u, IPPROTO_IP, IP_ADD_MEMBERSHIP, &r, sizeof r) == 0);
    CHECK(FAILS(setsockopt(u, IPPROTO_IP, IP_ADD_MEMBERSHIP, &r, sizeof r), EADDRINUSE));
    CHECK(setsockopt(x, IPPROTO_IP, IP_MULTICAST_IF, &(struct ip_mreqn){.imr_ifindex = 1},
                     sizeof r) == 0);
    a.sin_addr = r.imr_multiaddr;
    CHECK(sendto(x, "all", 3, 0, (void *)&a, n) == 3);
    wait_for(u, POLLIN);
    CHECK(recv(u, b, 4, 0) == 3);
    CHECK(setsockopt(u, IPPROTO_IP, IP_DROP_MEMBERSHIP, &r, sizeof r) == 0);
    CHECK(FAILS(setsockopt(u, IPPROTO_IP, IP_DROP_MEMBERSHIP, &r, sizeof r), EADDRNOTAVAIL));
    r.imr_multiaddr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(FAILS(setsockopt(u, IPPROTO_IP, IP_ADD_MEMBERSHIP, &r, sizeof r), EINVAL));
    r.imr_multiaddr.s_addr = htonl(0xeffe0102);
    r.imr_ifindex = 200;
    CHECK(FAILS(setsockopt(u, IPPROTO_IP, IP_ADD_MEMBERSHIP, &r, sizeof r), ENODEV));
    close(u);
    close(x);
}

TEST(bind_to_device)
{
    char name[16] = "x";
    socklen_t n = sizeof name;
    int u = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(getsockopt(u, SOL_SOCKET, SO_BINDTODEVICE, name, &n) == 0 && n == 0);
    CHECK(FAILS(setsockopt(u, SOL_SOCKET, SO_BINDTODEVICE, "none0", 6), ENODEV));
    CHECK(setsockopt(u, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) == 0);
    n = sizeof name;
    CHECK(getsockopt(u, SOL_SOCKET, SO_BINDTODEVICE, name, &n) == 0 && n == 3);
    CHECK(!strcmp(name, "lo"));
    close(u);
}

TEST(foreign_address)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201)};
    int t = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(FAILS(bind(t, (void *)&a, sizeof a), EADDRNOTAVAIL));
    CHECK(put(t, IPPROTO_IP, IP_FREEBIND, 1) == 0 && bind(t, (void *)&a, sizeof a) == 0);
    CHECK(listen(t, 1) == 0);
    close(t);
}
