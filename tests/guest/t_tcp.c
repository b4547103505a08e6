/* SPDX-License-Identifier: Apache-2.0 */
/* TCP sockets over the loopback: tcp(7), ip(7), ipv6(7). */
#include "guest.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

static struct sockaddr_in loopback(unsigned port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int do_bind(int fd, struct sockaddr_in a)
{
    return bind(fd, (struct sockaddr *)&a, sizeof a);
}

static int do_connect(int fd, struct sockaddr_in a)
{
    return connect(fd, (struct sockaddr *)&a, sizeof a);
}

static unsigned port_of(int fd)
{
    struct sockaddr_in a;
    socklen_t n = sizeof a;
    CHECK(getsockname(fd, (struct sockaddr *)&a, &n) == 0 && n == sizeof a);
    return ntohs(a.sin_port);
}

static int listener(unsigned *port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0);
    CHECK(do_bind(fd, loopback(0)) == 0);
    CHECK(listen(fd, 16) == 0);
    *port = port_of(fd);
    return fd;
}

/* Two ends of a connection. */
static void tcp_pair(int end[2])
{
    unsigned port;
    int l = listener(&port);
    end[0] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(do_connect(end[0], loopback(port)) == 0);
    end[1] = accept(l, NULL, NULL);
    CHECK(end[1] >= 0);
    close(l);
}

static short poll_once(int fd, short events, int ms)
{
    struct pollfd p = {fd, events, 0};
    CHECK(poll(&p, 1, ms) >= 0);
    return p.revents;
}

static void send_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t r = send(fd, p, n, MSG_NOSIGNAL);
        CHECK(r > 0);
        p += r;
        n -= (size_t)r;
    }
}

TEST(create)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0);
    close(fd);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    CHECK(fd >= 0);
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    CHECK(FAILS(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT));
    CHECK(FAILS(socket(AF_INET, SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT));
    CHECK(FAILS(socket(AF_INET, 77, 0), EINVAL));
    CHECK(FAILS(socketpair(AF_INET, SOCK_STREAM, 0, (int[2]){0, 0}), EOPNOTSUPP));
}

TEST(fresh)
{
    char c;
    struct sockaddr_in a;
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0), v;
    CHECK(FAILS(getpeername(fd, (struct sockaddr *)&a, &n), ENOTCONN));
    CHECK(getsockname(fd, (struct sockaddr *)&a, &n) == 0);
    CHECK(n == sizeof a && a.sin_family == AF_INET && !a.sin_port && !a.sin_addr.s_addr);
    CHECK(FAILS(recv(fd, &c, 1, 0), ENOTCONN));
    CHECK(FAILS(send(fd, "x", 1, MSG_NOSIGNAL), EPIPE));
    CHECK(FAILS(shutdown(fd, SHUT_WR), ENOTCONN));
    CHECK(FAILS(accept(fd, NULL, NULL), EINVAL));
    CHECK(poll_once(fd, POLLIN | POLLOUT, 0) == (POLLOUT | POLLHUP));
    n = sizeof v;
    CHECK(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &v, &n) == 0 && v == 0);
    CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &v, &n) == 0 && v == 0);
    CHECK(getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &v, &n) == 0 && v == IPPROTO_TCP);
    CHECK(FAILS(lseek(fd, 0, SEEK_SET), ESPIPE));
    close(fd);
}

TEST(names)
{
    unsigned port;
    struct sockaddr_in a;
    socklen_t n = sizeof a;
    int l = listener(&port), c = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(port);
    CHECK(do_connect(c, loopback(port)) == 0);
    CHECK(getpeername(c, (struct sockaddr *)&a, &n) == 0);
    CHECK(a.sin_port == htons((uint16_t)port) && a.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    n = sizeof a;
    int s = accept4(l, (struct sockaddr *)&a, &n, SOCK_CLOEXEC);
    CHECK(s >= 0 && n == sizeof a);
    CHECK(ntohs(a.sin_port) == port_of(c) && a.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    CHECK(port_of(s) == port);
    CHECK(fcntl(s, F_GETFD) & FD_CLOEXEC);
    CHECK(!(fcntl(s, F_GETFL) & O_NONBLOCK));
    /* A short buffer gets a part and the full length. */
    n = 4;
    memset(&a, 0x55, sizeof a);
    CHECK(getpeername(s, (struct sockaddr *)&a, &n) == 0 && n == sizeof a);
    CHECK(a.sin_addr.s_addr == 0x55555555);
    close(s);
    close(c);
    close(l);
}

TEST(echo)
{
    int e[2];
    char buf[8];
    tcp_pair(e);
    CHECK(write(e[0], "hello", 5) == 5);
    CHECK(read(e[1], buf, sizeof buf) == 5 && !memcmp(buf, "hello", 5));
    CHECK(send(e[1], "ab", 2, 0) == 2);
    CHECK(recv(e[0], buf, 1, 0) == 1 && buf[0] == 'a');
    CHECK(recv(e[0], buf, 8, 0) == 1 && buf[0] == 'b');
    CHECK(FAILS(recv(e[0], buf, 8, MSG_DONTWAIT), EAGAIN));
    close(e[0]);
    CHECK(read(e[1], buf, 8) == 0);
    close(e[1]);
}

TEST(peek_waitall_fionread)
{
    int e[2], n;
    char buf[16];
    tcp_pair(e);
    CHECK(send(e[0], "abcdef", 6, 0) == 6);
    CHECK(poll_once(e[1], POLLIN, 5000) == POLLIN);
    CHECK(recv(e[1], buf, 4, MSG_PEEK) == 4 && !memcmp(buf, "abcd", 4));
    CHECK(ioctl(e[1], FIONREAD, &n) == 0 && n == 6);
    CHECK(recv(e[1], buf, 6, MSG_WAITALL) == 6 && !memcmp(buf, "abcdef", 6));
    CHECK(ioctl(e[1], FIONREAD, &n) == 0 && n == 0);
    CHECK(send(e[0], "xyz", 3, 0) == 3);
    shutdown(e[0], SHUT_WR);
    CHECK(recv(e[1], buf, 16, MSG_WAITALL) == 3);
    close(e[0]);
    close(e[1]);
}

TEST(vectors)
{
    int e[2];
    char a[3], b[4];
    tcp_pair(e);
    struct iovec out[2] = {{"abc", 3}, {"defg", 4}}, in[2] = {{a, 3}, {b, 4}};
    CHECK(writev(e[0], out, 2) == 7);
    CHECK(poll_once(e[1], POLLIN, 5000) == POLLIN);
    struct msghdr m = {.msg_iov = in, .msg_iovlen = 2};
    CHECK(recvmsg(e[1], &m, MSG_WAITALL) == 7);
    CHECK(!memcmp(a, "abc", 3) && !memcmp(b, "defg", 4) && m.msg_flags == 0);
    m = (struct msghdr){.msg_iov = out, .msg_iovlen = 2};
    CHECK(sendmsg(e[1], &m, 0) == 7);
    CHECK(readv(e[0], in, 2) == 7);
    close(e[0]);
    close(e[1]);
}

static void *sink(void *arg)
{
    int fd = *(int *)arg;
    static char buf[65536];
    unsigned long sum = 0;
    ssize_t n;
    while ((n = read(fd, buf, sizeof buf)) > 0)
        for (ssize_t i = 0; i < n; i++)
            sum = sum * 31 + (unsigned char)buf[i];
    return (void *)sum;
}

TEST(bulk)
{
    enum { SIZE = 8 << 20 };
    int e[2];
    pthread_t t;
    void *got;
    char *data = malloc(SIZE);
    unsigned long sum = 0;
    tcp_pair(e);
    for (size_t i = 0; i < SIZE; i++) {
        data[i] = (char)(i * 7 + i / 4096);
        sum = sum * 31 + (unsigned char)data[i];
    }
    CHECK(pthread_create(&t, NULL, sink, &e[1]) == 0);
    send_all(e[0], data, SIZE);
    shutdown(e[0], SHUT_WR);
    pthread_join(t, &got);
    CHECK((unsigned long)got == sum);
    free(data);
    close(e[0]);
    close(e[1]);
}

TEST(small_writes)
{
    int e[2];
    pthread_t t;
    void *got;
    unsigned long sum = 0;
    tcp_pair(e);
    CHECK(pthread_create(&t, NULL, sink, &e[1]) == 0);
    for (unsigned i = 0; i < 20000; i++) {
        char c = (char)i;
        sum = sum * 31 + (unsigned char)c;
        CHECK(write(e[0], &c, 1) == 1);
    }
    shutdown(e[0], SHUT_WR);
    pthread_join(t, &got);
    CHECK((unsigned long)got == sum);
    close(e[0]);
    close(e[1]);
}

/* A sender that nobody reads from blocks, and goes on when the reader does. */
TEST(full)
{
    static char buf[65536];
    int e[2];
    size_t sent = 0, read_back = 0;
    ssize_t n;
    tcp_pair(e);
    fcntl(e[0], F_SETFL, O_NONBLOCK);
    fcntl(e[1], F_SETFL, O_NONBLOCK);
    for (;;) {
        while ((n = write(e[0], buf, sizeof buf)) > 0)
            sent += (size_t)n;
        CHECK(errno == EAGAIN);
        if (!(poll_once(e[0], POLLOUT, 300) & POLLOUT))
            break;
    }
    CHECK(sent > 100000);
    while (read_back < sent) {
        n = read(e[1], buf, sizeof buf);
        if (n < 0) {
            CHECK(errno == EAGAIN);
            CHECK(poll_once(e[1], POLLIN, 5000) == POLLIN);
            continue;
        }
        read_back += (size_t)n;
    }
    CHECK(read_back == sent);
    CHECK(poll_once(e[0], POLLOUT, 5000) == POLLOUT);
    close(e[0]);
    close(e[1]);
}

TEST(refused)
{
    unsigned port;
    int l = listener(&port), v, fd = socket(AF_INET, SOCK_STREAM, 0);
    socklen_t n = sizeof v;
    close(l);
    CHECK(FAILS(do_connect(fd, loopback(port)), ECONNREFUSED));
    close(fd);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (do_connect(fd, loopback(port)) == -1 && errno == EINPROGRESS) {
        CHECK(poll_once(fd, POLLOUT, 5000) & POLLOUT);
        CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &v, &n) == 0 && v == ECONNREFUSED);
        CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &v, &n) == 0 && v == 0);
    }
    close(fd);
}

TEST(connect_nonblocking)
{
    unsigned port;
    int l = listener(&port), v, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    socklen_t n = sizeof v;
    int r = do_connect(fd, loopback(port));
    CHECK(r == 0 || errno == EINPROGRESS);
    CHECK(poll_once(fd, POLLOUT, 5000) == POLLOUT);
    CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &v, &n) == 0 && v == 0);
    do_connect(fd, loopback(port));
    CHECK(FAILS(do_connect(fd, loopback(port)), EISCONN));
    close(fd);
    close(l);
}

TEST(connect_errors)
{
    struct sockaddr_in a = loopback(1);
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(FAILS(connect(fd, (struct sockaddr *)&a, 3), EINVAL));
    CHECK(FAILS(connect(fd, (struct sockaddr *)&six, sizeof six), EAFNOSUPPORT));
    CHECK(FAILS(connect(fd, NULL, sizeof a), EFAULT));
    CHECK(FAILS(connect(-1, (struct sockaddr *)&a, sizeof a), EBADF));
    CHECK(FAILS(connect(0, (struct sockaddr *)&a, sizeof a), ENOTSOCK));
    close(fd);
}

TEST(bind_rules)
{
    unsigned port;
    const int on = 1;
    int l = listener(&port), fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(FAILS(do_bind(fd, loopback(port)), EADDRINUSE));
    CHECK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
    CHECK(FAILS(do_bind(fd, loopback(port)), EADDRINUSE)); /* it listens */
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    CHECK(FAILS(bind(fd, (struct sockaddr *)&a, sizeof a), EADDRINUSE));
    a.sin_addr.s_addr = inet_addr("203.0.113.7");
    CHECK(FAILS(bind(fd, (struct sockaddr *)&a, sizeof a), EADDRNOTAVAIL));
    CHECK(FAILS(bind(fd, (struct sockaddr *)&a, 2), EINVAL));
    CHECK(do_bind(fd, loopback(0)) == 0);
    CHECK(FAILS(do_bind(fd, loopback(0)), EINVAL)); /* twice */
    close(fd);
    close(l);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(do_bind(fd, loopback(port)) == 0);
    close(fd);
}

TEST(listen_without_bind)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), v;
    socklen_t n = sizeof v;
    CHECK(listen(fd, 1) == 0);
    CHECK(port_of(fd) != 0);
    CHECK(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &v, &n) == 0 && v == 1);
    CHECK(listen(fd, 5) == 0); /* again: a new backlog */
    fcntl(fd, F_SETFL, O_NONBLOCK);
    CHECK(FAILS(accept(fd, NULL, NULL), EAGAIN));
    CHECK(poll_once(fd, POLLIN | POLLOUT, 0) == 0);
    close(fd);
}

TEST(accept_poll)
{
    unsigned port;
    int l = listener(&port), c = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(do_connect(c, loopback(port)) == 0);
    CHECK(poll_once(l, POLLIN, 5000) == POLLIN);
    int s = accept4(l, NULL, NULL, SOCK_NONBLOCK);
    CHECK(s >= 0 && fcntl(s, F_GETFL) & O_NONBLOCK);
    CHECK(poll_once(l, POLLIN, 0) == 0);
    CHECK(FAILS(accept4(l, NULL, NULL, 1), EINVAL));
    close(s);
    close(c);
    close(l);
}

TEST(half_close)
{
    int e[2];
    char buf[8];
    tcp_pair(e);
    CHECK(send(e[0], "x", 1, 0) == 1);
    CHECK(shutdown(e[0], SHUT_WR) == 0);
    CHECK(FAILS(send(e[0], "x", 1, MSG_NOSIGNAL), EPIPE));
    CHECK(read(e[1], buf, 8) == 1);
    CHECK(read(e[1], buf, 8) == 0);
    CHECK(poll_once(e[1], POLLIN | POLLRDHUP, 5000) == (POLLIN | POLLRDHUP));
    CHECK(send(e[1], "back", 4, 0) == 4);
    CHECK(read(e[0], buf, 8) == 4);
    CHECK(shutdown(e[1], SHUT_WR) == 0);
    CHECK(read(e[0], buf, 8) == 0);
    CHECK(poll_once(e[0], POLLIN, 5000) & POLLHUP);
    close(e[0]);
    close(e[1]);
}

TEST(shutdown_read)
{
    int e[2];
    char c;
    tcp_pair(e);
    CHECK(shutdown(e[0], SHUT_RD) == 0);
    CHECK(recv(e[0], &c, 1, 0) == 0);
    CHECK(poll_once(e[0], POLLIN, 0) & POLLIN);
    CHECK(FAILS(shutdown(e[0], 7), EINVAL));
    close(e[0]);
    close(e[1]);
}

/* Data unread when the socket closes: the peer gets a reset. */
TEST(reset_by_close)
{
    int e[2];
    char c;
    tcp_pair(e);
    CHECK(send(e[0], "unread", 6, 0) == 6);
    CHECK(poll_once(e[1], POLLIN, 5000) == POLLIN);
    close(e[1]);
    CHECK(poll_once(e[0], POLLIN, 5000) & POLLERR);
    CHECK(FAILS(recv(e[0], &c, 1, 0), ECONNRESET));
    CHECK(recv(e[0], &c, 1, 0) == 0);
    CHECK(FAILS(send(e[0], "x", 1, MSG_NOSIGNAL), EPIPE));
    close(e[0]);
}

TEST(linger_reset)
{
    int e[2];
    char c;
    struct linger l = {1, 0};
    tcp_pair(e);
    CHECK(setsockopt(e[1], SOL_SOCKET, SO_LINGER, &l, sizeof l) == 0);
    close(e[1]);
    CHECK(FAILS(recv(e[0], &c, 1, 0), ECONNRESET));
    close(e[0]);
}

static volatile sig_atomic_t pipes;
static void on_pipe(int sig)
{
    (void)sig;
    pipes++;
}

TEST(sigpipe)
{
    int e[2];
    signal(SIGPIPE, on_pipe);
    tcp_pair(e);
    CHECK(shutdown(e[0], SHUT_WR) == 0);
    CHECK(FAILS(write(e[0], "x", 1), EPIPE));
    CHECK(pipes == 1);
    CHECK(FAILS(send(e[0], "x", 1, MSG_NOSIGNAL), EPIPE));
    CHECK(pipes == 1);
    close(e[0]);
    close(e[1]);
}

/* What was written before close arrives, however slowly it is read. */
TEST(close_delivers)
{
    enum { SIZE = 100000 };
    static char out[SIZE], in[SIZE];
    int e[2];
    size_t got = 0;
    ssize_t n;
    tcp_pair(e);
    for (size_t i = 0; i < SIZE; i++)
        out[i] = (char)(i * 13);
    send_all(e[0], out, SIZE);
    close(e[0]);
    while ((n = read(e[1], in + got, 1000)) > 0)
        got += (size_t)n;
    CHECK(n == 0 && got == SIZE && !memcmp(in, out, SIZE));
    close(e[1]);
}

TEST(options)
{
    int e[2], v;
    socklen_t n = sizeof v;
    tcp_pair(e);
    CHECK(getsockopt(e[0], IPPROTO_TCP, TCP_NODELAY, &v, &n) == 0 && v == 0);
    v = 1;
    CHECK(setsockopt(e[0], IPPROTO_TCP, TCP_NODELAY, &v, sizeof v) == 0);
    v = 0;
    CHECK(getsockopt(e[0], IPPROTO_TCP, TCP_NODELAY, &v, &n) == 0 && v == 1);
    v = 1;
    CHECK(setsockopt(e[0], IPPROTO_TCP, TCP_CORK, &v, sizeof v) == 0);
    CHECK(getsockopt(e[0], IPPROTO_TCP, TCP_CORK, &v, &n) == 0 && v == 1);
    CHECK(getsockopt(e[0], IPPROTO_TCP, TCP_MAXSEG, &v, &n) == 0 && v > 500);
    CHECK(FAILS(setsockopt(e[0], IPPROTO_TCP, TCP_NODELAY, &v, 1), EINVAL));
    CHECK(FAILS(setsockopt(e[0], IPPROTO_TCP, 9999, &v, sizeof v), ENOPROTOOPT));
    CHECK(FAILS(setsockopt(e[0], SOL_SOCKET, 9999, &v, sizeof v), ENOPROTOOPT));
    CHECK(getsockopt(e[0], SOL_SOCKET, SO_TYPE, &v, &n) == 0 && v == SOCK_STREAM);
    CHECK(getsockopt(e[0], SOL_SOCKET, SO_DOMAIN, &v, &n) == 0 && v == AF_INET);
    close(e[0]);
    close(e[1]);
}

/* Corked data leaves when the cork does. */
TEST(cork)
{
    int e[2], v = 1;
    char buf[8];
    tcp_pair(e);
    CHECK(setsockopt(e[0], IPPROTO_TCP, TCP_CORK, &v, sizeof v) == 0);
    CHECK(write(e[0], "ab", 2) == 2);
    CHECK(write(e[0], "cd", 2) == 2);
    CHECK(poll_once(e[1], POLLIN, 30) == 0);
    v = 0;
    CHECK(setsockopt(e[0], IPPROTO_TCP, TCP_CORK, &v, sizeof v) == 0);
    CHECK(recv(e[1], buf, 4, MSG_WAITALL) == 4 && !memcmp(buf, "abcd", 4));
    close(e[0]);
    close(e[1]);
}

TEST(timeouts)
{
    int e[2];
    char c;
    struct timeval tv = {0, 20000};
    tcp_pair(e);
    CHECK(setsockopt(e[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) == 0);
    CHECK(FAILS(recv(e[0], &c, 1, 0), EAGAIN));
    close(e[0]);
    close(e[1]);
}

TEST(epoll_edges)
{
    int e[2], ep = epoll_create1(0);
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET | EPOLLRDHUP};
    char c;
    tcp_pair(e);
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, e[1], &ev) == 0);
    CHECK(epoll_wait(ep, &ev, 1, 0) == 0);
    CHECK(send(e[0], "a", 1, 0) == 1);
    CHECK(epoll_wait(ep, &ev, 1, 5000) == 1 && ev.events == EPOLLIN);
    CHECK(epoll_wait(ep, &ev, 1, 0) == 0);
    CHECK(send(e[0], "b", 1, 0) == 1);
    CHECK(epoll_wait(ep, &ev, 1, 5000) == 1 && ev.events == EPOLLIN);
    CHECK(read(e[1], &c, 1) == 1 && read(e[1], &c, 1) == 1);
    close(e[0]);
    CHECK(epoll_wait(ep, &ev, 1, 5000) == 1 && ev.events == (EPOLLIN | EPOLLRDHUP));
    close(e[1]);
    close(ep);
}

static void *late_connect(void *arg)
{
    struct sockaddr_in a = loopback(*(unsigned *)arg);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    usleep(20000);
    connect(fd, (struct sockaddr *)&a, sizeof a);
    return (void *)(long)fd;
}

TEST(accept_blocks)
{
    unsigned port;
    pthread_t t;
    void *fd;
    int l = listener(&port);
    CHECK(pthread_create(&t, NULL, late_connect, &port) == 0);
    int s = accept(l, NULL, NULL);
    CHECK(s >= 0);
    pthread_join(t, &fd);
    close((int)(long)fd);
    close(s);
    close(l);
}

/* Many connections one after the other, over the same listener. */
TEST(short_connections)
{
    unsigned port;
    int l = listener(&port);
    for (int i = 0; i < 300; i++) {
        char c;
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        CHECK(do_connect(fd, loopback(port)) == 0);
        int s = accept(l, NULL, NULL);
        CHECK(s >= 0);
        CHECK(write(fd, "q", 1) == 1 && read(s, &c, 1) == 1);
        close(fd);
        CHECK(read(s, &c, 1) == 0);
        close(s);
    }
    close(l);
}

TEST(many_connections)
{
    enum { N = 200 };
    unsigned port;
    int l = listener(&port), c[N], s[N];
    for (int i = 0; i < N; i++) {
        c[i] = socket(AF_INET, SOCK_STREAM, 0);
        CHECK(do_connect(c[i], loopback(port)) == 0);
        s[i] = accept(l, NULL, NULL);
        CHECK(s[i] >= 0);
    }
    for (int i = 0; i < N; i++)
        CHECK(write(c[i], &i, sizeof i) == sizeof i);
    for (int i = N - 1; i >= 0; i--) {
        int v;
        CHECK(read(s[i], &v, sizeof v) == sizeof v && v == i);
    }
    for (int i = 0; i < N; i++) {
        close(c[i]);
        close(s[i]);
    }
    close(l);
}

TEST(ipv6)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t n = sizeof a;
    char buf[4];
    int l = socket(AF_INET6, SOCK_STREAM, 0);
    CHECK(l >= 0);
    CHECK(bind(l, (struct sockaddr *)&a, sizeof a) == 0);
    CHECK(listen(l, 1) == 0);
    CHECK(getsockname(l, (struct sockaddr *)&a, &n) == 0 && n == sizeof a && a.sin6_port);
    int c = socket(AF_INET6, SOCK_STREAM, 0);
    CHECK(connect(c, (struct sockaddr *)&a, sizeof a) == 0);
    int s = accept(l, (struct sockaddr *)&a, &n);
    CHECK(s >= 0 && a.sin6_family == AF_INET6);
    CHECK(!memcmp(&a.sin6_addr, &in6addr_loopback, sizeof in6addr_loopback));
    CHECK(send(c, "six", 3, 0) == 3 && recv(s, buf, 3, MSG_WAITALL) == 3);
    close(s);
    close(c);
    close(l);
}

/* A socket bound to :: takes IPv4 too, shown as a mapped address, unless IPV6_V6ONLY. */
TEST(dual_stack)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6};
    socklen_t n = sizeof a;
    const int on = 1;
    int l = socket(AF_INET6, SOCK_STREAM, 0), v;
    CHECK(bind(l, (struct sockaddr *)&a, sizeof a) == 0 && listen(l, 4) == 0);
    CHECK(getsockname(l, (struct sockaddr *)&a, &n) == 0);
    int c = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(do_connect(c, loopback(ntohs(a.sin6_port))) == 0);
    int s = accept(l, (struct sockaddr *)&a, &n);
    CHECK(s >= 0 && IN6_IS_ADDR_V4MAPPED(&a.sin6_addr));
    CHECK(!memcmp((char *)&a.sin6_addr + 12, "\x7f\0\0\1", 4));
    close(s);
    close(c);
    close(l);
    l = socket(AF_INET6, SOCK_STREAM, 0);
    n = sizeof v;
    CHECK(getsockopt(l, IPPROTO_IPV6, IPV6_V6ONLY, &v, &n) == 0 && v == 0);
    CHECK(setsockopt(l, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0);
    a = (struct sockaddr_in6){.sin6_family = AF_INET6};
    n = sizeof a;
    CHECK(bind(l, (struct sockaddr *)&a, sizeof a) == 0 && listen(l, 4) == 0);
    CHECK(getsockname(l, (struct sockaddr *)&a, &n) == 0);
    c = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(FAILS(do_connect(c, loopback(ntohs(a.sin6_port))), ECONNREFUSED));
    close(c);
    close(l);
}

/* A connected socket to a v4-mapped address is an IPv4 connection. */
TEST(mapped)
{
    unsigned port;
    int l = listener(&port), c = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    memcpy(&a.sin6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16);
    CHECK(connect(c, (struct sockaddr *)&a, sizeof a) == 0);
    int s = accept(l, NULL, NULL);
    CHECK(s >= 0);
    close(s);
    close(c);
    close(l);
}
