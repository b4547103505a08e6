/* SPDX-License-Identifier: Apache-2.0 */
/* AF_UNIX sockets with names: listeners, connections, datagrams to an address: unix(7). */
#include "guest.h"

#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#define HEAD offsetof(struct sockaddr_un, sun_path)

static socklen_t path_name(struct sockaddr_un *a, const char *name)
{
    memset(a, 0, sizeof *a);
    a->sun_family = AF_UNIX;
    strcpy(a->sun_path, tmp_path(name));
    unlink(a->sun_path);
    return (socklen_t)sizeof *a;
}

static socklen_t abstract_name(struct sockaddr_un *a, const char *name)
{
    memset(a, 0, sizeof *a);
    a->sun_family = AF_UNIX;
    return (socklen_t)HEAD + 1 +
           (socklen_t)sprintf(a->sun_path + 1, "guest-%d-%s", (int)getpid(), name);
}

static int listener(int type, const struct sockaddr_un *a, socklen_t n, int backlog)
{
    int fd = socket(AF_UNIX, type, 0);
    CHECK(fd >= 0);
    CHECK(bind(fd, (const struct sockaddr *)a, n) == 0);
    CHECK(listen(fd, backlog) == 0);
    return fd;
}

static int do_connect(int fd, const struct sockaddr_un *a, socklen_t n)
{
    return connect(fd, (const struct sockaddr *)a, n);
}

static short polled(int fd)
{
    struct pollfd p = {fd, POLLIN | POLLOUT | POLLRDHUP, 0};
    return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

static void connection(int type)
{
    struct sockaddr_un a, b;
    socklen_t n = path_name(&a, "listen"), m = sizeof b;
    char buf[8];
    struct stat st;
    int v = 0, l = listener(type, &a, n, 5), c = socket(AF_UNIX, type, 0);
    socklen_t vn = sizeof v;
    CHECK(stat(a.sun_path, &st) == 0 && S_ISSOCK(st.st_mode));
    CHECK(polled(l) == 0 && FAILS(accept4(c, NULL, NULL, 0), EINVAL));
    CHECK(getsockopt(l, SOL_SOCKET, SO_ACCEPTCONN, &v, &vn) == 0 && v == 1);
    CHECK(do_connect(c, &a, n) == 0 && polled(l) == POLLIN);
    CHECK(send(c, "early", 5, 0) == 5); /* before accept(2) */
    int s = accept(l, (struct sockaddr *)&b, &m);
    CHECK(s >= 0 && m == HEAD && b.sun_family == AF_UNIX);
    CHECK(recv(s, buf, sizeof buf, 0) == 5 && !memcmp(buf, "early", 5));
    CHECK(send(s, "back", 4, 0) == 4 && recv(c, buf, sizeof buf, 0) == 4);
    m = sizeof b;
    CHECK(getpeername(c, (struct sockaddr *)&b, &m) == 0);
    CHECK(m == HEAD + strlen(a.sun_path) + 1 && !strcmp(b.sun_path, a.sun_path));
    m = sizeof b;
    CHECK(getsockname(s, (struct sockaddr *)&b, &m) == 0 && !strcmp(b.sun_path, a.sun_path));
    m = sizeof b;
    CHECK(getsockname(c, (struct sockaddr *)&b, &m) == 0 && m == HEAD);
    CHECK(FAILS(do_connect(c, &a, n), EISCONN));
    CHECK(FAILS(do_connect(l, &a, n), EINVAL));
    close(s);
    CHECK(polled(c) & POLLHUP && recv(c, buf, sizeof buf, 0) == 0);
    close(c);
    close(l);
    c = socket(AF_UNIX, type, 0);
    CHECK(FAILS(do_connect(c, &a, n), ECONNREFUSED));
    unlink(a.sun_path);
    CHECK(FAILS(do_connect(c, &a, n), ENOENT));
    close(c);
}

TEST(stream_connection)
{
    connection(SOCK_STREAM);
}

TEST(packet_connection)
{
    connection(SOCK_SEQPACKET);
}

TEST(bind_errors)
{
    struct sockaddr_un a;
    socklen_t n = path_name(&a, "bind");
    int x = socket(AF_UNIX, SOCK_STREAM, 0), y = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(FAILS(listen(x, 1), EINVAL));
    CHECK(FAILS(bind(x, (struct sockaddr *)&a, 1), EINVAL));
    CHECK(FAILS(bind(x, (struct sockaddr *)&a, sizeof a + 1), EINVAL));
    CHECK(bind(x, (struct sockaddr *)&a, n) == 0);
    CHECK(FAILS(bind(y, (struct sockaddr *)&a, n), EADDRINUSE));
    CHECK(FAILS(bind(x, (struct sockaddr *)&a, n), EADDRINUSE));
    struct sockaddr_un other;
    socklen_t m = path_name(&other, "other");
    CHECK(FAILS(bind(x, (struct sockaddr *)&other, m), EINVAL) && access(other.sun_path, F_OK));
    CHECK(FAILS(do_connect(y, &a, n), ECONNREFUSED)); /* it does not listen */
    int d = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK(FAILS(do_connect(d, &a, n), EPROTOTYPE));
    CHECK(FAILS(listen(d, 1), EOPNOTSUPP) && FAILS(accept(d, NULL, NULL), EOPNOTSUPP));
    CHECK(unlink(a.sun_path) == 0);
    /* The name is free again, the old socket keeps what it has. */
    CHECK(bind(y, (struct sockaddr *)&a, n) == 0);
    close(x);
    unlink(a.sun_path);
    strcpy(a.sun_path, "/nowhere/at/all");
    x = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(FAILS(bind(x, (struct sockaddr *)&a, n), ENOENT));
    strcpy(a.sun_path, data_path("text.txt"));
    CHECK(FAILS(bind(x, (struct sockaddr *)&a, n), EADDRINUSE));
    close(x);
    close(y);
    close(d);
}

/* A path of all 108 bytes, which leave no room for a terminator. */
TEST(longest_path)
{
    struct sockaddr_un a, b;
    socklen_t n = path_name(&a, ""), m = sizeof b;
    memset(a.sun_path + strlen(a.sun_path), 'x', sizeof a.sun_path - strlen(a.sun_path));
    char path[sizeof a.sun_path + 1] = "";
    memcpy(path, a.sun_path, sizeof a.sun_path);
    int l = listener(SOCK_STREAM, &a, n, 1), c = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(do_connect(c, &a, n) == 0);
    CHECK(getpeername(c, (struct sockaddr *)&b, &m) == 0 && m == sizeof a + 1);
    CHECK(!memcmp(&a, &b, sizeof a));
    CHECK(unlink(path) == 0);
    close(l);
    close(c);
}

TEST(abstract_names)
{
    struct sockaddr_un a, b;
    socklen_t n = abstract_name(&a, "one"), m = sizeof b;
    int l = listener(SOCK_STREAM, &a, n, 1), c = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(FAILS(bind(c, (struct sockaddr *)&a, n), EADDRINUSE));
    CHECK(FAILS(do_connect(c, &a, n - 1), ECONNREFUSED)); /* the length is part of it */
    int d = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK(FAILS(do_connect(d, &a, n), ECONNREFUSED)); /* each type has names of its own */
    CHECK(do_connect(c, &a, n) == 0);
    CHECK(getpeername(c, (struct sockaddr *)&b, &m) == 0 && m == n && !memcmp(&a, &b, n));
    close(l);
    CHECK(polled(c) & POLLHUP);
    close(c);
    c = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(bind(c, (struct sockaddr *)&a, n) == 0);
    close(c);
    close(d);
}

TEST(chosen_names)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX}, b;
    socklen_t n = sizeof a, m = sizeof b;
    int x = socket(AF_UNIX, SOCK_DGRAM, 0), y = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK(bind(x, (struct sockaddr *)&a, HEAD) == 0);
    CHECK(bind(y, (struct sockaddr *)&a, HEAD) == 0);
    CHECK(getsockname(x, (struct sockaddr *)&a, &n) == 0 && n == HEAD + 6 && !a.sun_path[0]);
    CHECK(getsockname(y, (struct sockaddr *)&b, &m) == 0 && m == n && memcmp(&a, &b, n));
    for (int i = 1; i < 6; i++)
        CHECK(strchr("0123456789abcdef", a.sun_path[i]) && a.sun_path[i]);
    close(x);
    close(y);
}

TEST(backlog)
{
    struct sockaddr_un a;
    socklen_t n = abstract_name(&a, "backlog");
    int l = listener(SOCK_STREAM, &a, n, 1), c[3], s;
    for (int i = 0; i < 2; i++) {
        c[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        CHECK(do_connect(c[i], &a, n) == 0);
    }
    c[2] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK(FAILS(do_connect(c[2], &a, n), EAGAIN));
    s = accept(l, NULL, NULL);
    CHECK(s >= 0 && do_connect(c[2], &a, n) == 0);
    /* Who has not been taken is reset. */
    close(l);
    char b;
    CHECK(FAILS(recv(c[1], &b, 1, 0), ECONNRESET));
    CHECK(recv(c[0], &b, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
    for (int i = 0; i < 3; i++)
        close(c[i]);
    close(s);
}

struct connecting {
    struct sockaddr_un a;
    socklen_t n;
    volatile int result;
};

static void *connects(void *arg)
{
    struct connecting *k = arg;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    k->result = connect(fd, (struct sockaddr *)&k->a, k->n) ? errno : 0;
    return (void *)(long)fd;
}

TEST(connect_waits)
{
    struct connecting k = {.result = -1};
    pthread_t t;
    void *fd;
    k.n = abstract_name(&k.a, "waits");
    int l = listener(SOCK_STREAM, &k.a, k.n, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(do_connect(c, &k.a, k.n) == 0);
    CHECK(pthread_create(&t, NULL, connects, &k) == 0);
    usleep(10000);
    CHECK(k.result == -1);
    int s = accept(l, NULL, NULL);
    pthread_join(t, &fd);
    CHECK(s >= 0 && k.result == 0);
    close((int)(long)fd);
    close(s);
    /* The listener goes: whoever waits is refused. */
    k.result = -1;
    CHECK(pthread_create(&t, NULL, connects, &k) == 0);
    usleep(5000);
    close(l);
    pthread_join(t, &fd);
    CHECK(k.result == ECONNREFUSED);
    close((int)(long)fd);
    close(c);
}

static void *accepts(void *arg)
{
    return (void *)(long)accept(*(int *)arg, NULL, NULL);
}

TEST(accept_waits)
{
    struct sockaddr_un a;
    socklen_t n = abstract_name(&a, "accept");
    int l = listener(SOCK_STREAM, &a, n, 4), c = socket(AF_UNIX, SOCK_STREAM, 0);
    pthread_t t;
    void *fd;
    CHECK(pthread_create(&t, NULL, accepts, &l) == 0);
    usleep(5000);
    CHECK(do_connect(c, &a, n) == 0);
    pthread_join(t, &fd);
    CHECK((long)fd >= 0 && write((int)(long)fd, "x", 1) == 1);
    close((int)(long)fd);
    close(c);
    CHECK(fcntl(l, F_SETFL, O_NONBLOCK) == 0 && FAILS(accept(l, NULL, NULL), EAGAIN));
    c = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(shutdown(l, SHUT_RD) == 0 && FAILS(accept(l, NULL, NULL), EAGAIN));
    CHECK(fcntl(l, F_SETFL, 0) == 0);
    CHECK(FAILS(accept(l, NULL, NULL), EINVAL) && FAILS(do_connect(c, &a, n), ECONNREFUSED));
    close(l);
    close(c);
}

/* A socket that was watched before it was connected tells what comes then. */
TEST(epoll_over_connect)
{
    struct sockaddr_un a;
    socklen_t n = abstract_name(&a, "epoll");
    struct epoll_event e = {.events = EPOLLIN | EPOLLET}, got;
    int l = listener(SOCK_STREAM, &a, n, 4), c = socket(AF_UNIX, SOCK_STREAM, 0);
    int ep = epoll_create1(0);
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, c, &e) == 0 && epoll_ctl(ep, EPOLL_CTL_ADD, l, &e) == 0);
    while (epoll_wait(ep, &got, 1, 0) > 0) /* the end of the unconnected one */
        ;
    CHECK(do_connect(c, &a, n) == 0);
    int s = accept(l, NULL, NULL);
    while (epoll_wait(ep, &got, 1, 0) > 0)
        ;
    CHECK(write(s, "x", 1) == 1);
    CHECK(epoll_wait(ep, &got, 1, 5000) == 1 && got.events & EPOLLIN);
    close(ep);
    close(l);
    close(c);
    close(s);
}

TEST(datagrams_by_address)
{
    struct sockaddr_un a, b, from;
    socklen_t n = path_name(&a, "a"), m = abstract_name(&b, "b"), f = sizeof from;
    char buf[16];
    int x = socket(AF_UNIX, SOCK_DGRAM, 0), y = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK(bind(x, (struct sockaddr *)&a, n) == 0 && bind(y, (struct sockaddr *)&b, m) == 0);
    CHECK(sendto(y, "hello", 5, 0, (struct sockaddr *)&a, n) == 5 && polled(x) & POLLIN);
    CHECK(recvfrom(x, buf, sizeof buf, 0, (struct sockaddr *)&from, &f) == 5);
    CHECK(f == m && !memcmp(&from, &b, m));
    CHECK(sendto(x, "back", 4, 0, (struct sockaddr *)&from, f) == 4);
    f = sizeof from;
    CHECK(recvfrom(y, buf, sizeof buf, 0, (struct sockaddr *)&from, &f) == 4);
    CHECK(f == HEAD + strlen(a.sun_path) + 1 && !strcmp(from.sun_path, a.sun_path));
    CHECK(FAILS(send(x, "x", 1, 0), ENOTCONN));
    /* Connected, it hears its peer alone. */
    int z = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK(do_connect(x, &b, m) == 0 && send(x, "1", 1, 0) == 1 && recv(y, buf, 8, 0) == 1);
    CHECK(FAILS(sendto(z, "x", 1, 0, (struct sockaddr *)&a, n), EPERM));
    CHECK(FAILS(do_connect(z, &a, n), EPERM));
    CHECK(sendto(y, "2", 1, 0, (struct sockaddr *)&a, n) == 1 && recv(x, buf, 8, 0) == 1);
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    CHECK(connect(x, &none, sizeof none) == 0 && FAILS(send(x, "x", 1, 0), ENOTCONN));
    CHECK(sendto(z, "x", 1, 0, (struct sockaddr *)&a, n) == 1);
    f = sizeof from;
    CHECK(recvfrom(x, buf, 8, 0, (struct sockaddr *)&from, &f) == 1 && f == 0);
    close(x);
    CHECK(FAILS(sendto(z, "x", 1, 0, (struct sockaddr *)&a, n), ECONNREFUSED));
    unlink(a.sun_path);
    CHECK(FAILS(sendto(z, "x", 1, 0, (struct sockaddr *)&a, n), ENOENT));
    CHECK(FAILS(sendto(z, "x", 1, 0, (struct sockaddr *)&a, 2), EINVAL));
    close(y);
    close(z);
}

static void *sends(void *arg)
{
    return (void *)(long)send(*(int *)arg, "late", 4, 0);
}

/* A few datagrams of strangers fill the inbox. */
TEST(datagrams_full)
{
    struct sockaddr_un a;
    socklen_t n = abstract_name(&a, "full");
    char c[8];
    int x = socket(AF_UNIX, SOCK_DGRAM, 0), y = socket(AF_UNIX, SOCK_DGRAM, 0), count = 0;
    pthread_t t;
    void *r;
    CHECK(bind(x, (struct sockaddr *)&a, n) == 0 && do_connect(y, &a, n) == 0);
    while (send(y, "x", 1, MSG_DONTWAIT) == 1)
        count++;
    CHECK(errno == EAGAIN && count >= 5 && count < 600 && !(polled(y) & POLLOUT));
    struct epoll_event e = {.events = EPOLLOUT}, got;
    int ep = epoll_create1(0);
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, y, &e) == 0 && epoll_wait(ep, &got, 1, 0) == 0);
    CHECK(pthread_create(&t, NULL, sends, &y) == 0);
    usleep(5000);
    CHECK(recv(x, c, 8, 0) == 1);
    pthread_join(t, &r);
    CHECK((long)r == 4);
    for (int i = 0; i < count; i++)
        CHECK(recv(x, c, 8, 0) > 0);
    CHECK(epoll_wait(ep, &got, 1, 5000) == 1 && got.events == EPOLLOUT);
    close(ep);
    close(x);
    close(y);
}

TEST(permissions)
{
    struct sockaddr_un a;
    socklen_t n = path_name(&a, "perm");
    mode_t old = umask(027);
    struct stat st;
    int l = listener(SOCK_STREAM, &a, n, 1);
    umask(old);
    CHECK(stat(a.sun_path, &st) == 0 && (st.st_mode & 0777) == 0750);
    CHECK(open(a.sun_path, O_RDWR) == -1 && errno == ENXIO);
    close(l);
    unlink(a.sun_path);
}

TEST(queued_bytes)
{
    struct sockaddr_un a;
    socklen_t n = abstract_name(&a, "queued");
    int v = -1, l = listener(SOCK_STREAM, &a, n, 1), c = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(do_connect(c, &a, n) == 0);
    int s = accept(l, NULL, NULL);
    CHECK(write(c, "abc", 3) == 3 && ioctl(s, FIONREAD, &v) == 0 && v == 3);
    CHECK(ioctl(c, TIOCOUTQ, &v) == 0 && v > 0);
    CHECK(FAILS(ioctl(l, FIONREAD, &v), EINVAL));
    close(l);
    close(s);
    close(c);
}
