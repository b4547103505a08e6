/* SPDX-License-Identifier: Apache-2.0 */
/* Pairs of AF_UNIX sockets: streams, datagrams, sequenced packets; options; the ends of both. */
#include "guest.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>

static int s[2];

static void pair(int type)
{
    CHECK(socketpair(AF_UNIX, type, 0, s) == 0);
}

static void pair_close(void)
{
    close(s[0]);
    close(s[1]);
}

static short polled(int fd)
{
    struct pollfd p = {fd, POLLIN | POLLOUT | POLLRDHUP, 0};
    return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

TEST(stream_both_ways)
{
    char buf[16];
    pair(SOCK_STREAM);
    CHECK(write(s[0], "hello", 5) == 5 && write(s[0], " world", 6) == 6);
    CHECK(read(s[1], buf, 4) == 4 && !memcmp(buf, "hell", 4));
    CHECK(read(s[1], buf, sizeof buf) == 7 && !memcmp(buf, "o world", 7));
    CHECK(send(s[1], "back", 4, 0) == 4 && recv(s[0], buf, sizeof buf, 0) == 4);
    CHECK(FAILS(recv(s[0], buf, 1, MSG_DONTWAIT), EAGAIN));
    pair_close();
}

TEST(stream_end)
{
    char buf[8];
    pair(SOCK_STREAM);
    CHECK(write(s[0], "x", 1) == 1);
    close(s[0]);
    CHECK((polled(s[1]) & (POLLIN | POLLHUP | POLLRDHUP)) == (POLLIN | POLLHUP | POLLRDHUP));
    CHECK(read(s[1], buf, sizeof buf) == 1 && read(s[1], buf, sizeof buf) == 0);
    close(s[1]);
}

static volatile sig_atomic_t pipes;

static void on_pipe(int sig)
{
    (void)sig;
    pipes = pipes + 1;
}

TEST(stream_broken)
{
    pair(SOCK_STREAM);
    close(s[1]);
    signal(SIGPIPE, on_pipe);
    pipes = 0;
    CHECK(FAILS(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE) && pipes == 0);
    CHECK(FAILS(send(s[0], "x", 1, 0), EPIPE) && pipes == 1);
    CHECK(FAILS(write(s[0], "x", 1), EPIPE) && pipes == 2);
    signal(SIGPIPE, SIG_DFL);
    close(s[0]);
}

/* Only streams raise SIGPIPE: whole messages fail by the error alone. */
TEST(packets_break_silently)
{
    static const struct {
        int type, error;
    } ends[] = {{SOCK_SEQPACKET, EPIPE}, {SOCK_DGRAM, ECONNREFUSED}};
    signal(SIGPIPE, on_pipe);
    pipes = 0;
    for (unsigned i = 0; i < COUNT(ends); i++) {
        pair(ends[i].type);
        close(s[1]);
        CHECK(FAILS(send(s[0], "x", 1, 0), ends[i].error));
        CHECK(FAILS(write(s[0], "x", 1), i ? ENOTCONN : EPIPE)); /* a refused peer is forgotten */
        close(s[0]);
        pair(ends[i].type);
        CHECK(shutdown(s[0], SHUT_WR) == 0);
        CHECK(FAILS(send(s[0], "x", 1, 0), EPIPE) && FAILS(write(s[0], "x", 1), EPIPE));
        pair_close();
        pair(ends[i].type);
        CHECK(shutdown(s[1], SHUT_RD) == 0);
        CHECK(FAILS(send(s[0], "x", 1, 0), EPIPE) && FAILS(write(s[0], "x", 1), EPIPE));
        pair_close();
    }
    CHECK(pipes == 0);
    signal(SIGPIPE, SIG_DFL);
}

TEST(stream_reset)
{
    char c;
    int err = -1;
    socklen_t len = sizeof err;
    pair(SOCK_STREAM);
    CHECK(write(s[0], "lost", 4) == 4);
    close(s[1]);
    CHECK(polled(s[0]) & POLLERR);
    CHECK(getsockopt(s[0], SOL_SOCKET, SO_ERROR, &err, &len) == 0 && err == ECONNRESET);
    CHECK(read(s[0], &c, 1) == 0);
    close(s[0]);
}

TEST(shutdown_one_way)
{
    char buf[4];
    pair(SOCK_STREAM);
    CHECK(write(s[0], "ab", 2) == 2);
    CHECK(shutdown(s[0], SHUT_WR) == 0);
    CHECK(FAILS(send(s[0], "c", 1, MSG_NOSIGNAL), EPIPE));
    CHECK(polled(s[1]) & POLLRDHUP && !(polled(s[1]) & POLLHUP));
    CHECK(read(s[1], buf, 4) == 2 && read(s[1], buf, 4) == 0);
    CHECK(write(s[1], "back", 4) == 4 && read(s[0], buf, 4) == 4);
    CHECK(shutdown(s[1], SHUT_WR) == 0 && polled(s[0]) & POLLHUP);
    CHECK(FAILS(shutdown(s[0], 3), EINVAL));
    pair_close();
}

TEST(shutdown_read)
{
    char c;
    pair(SOCK_STREAM);
    CHECK(shutdown(s[0], SHUT_RD) == 0);
    CHECK(read(s[0], &c, 1) == 0);
    CHECK(FAILS(send(s[1], "c", 1, MSG_NOSIGNAL), EPIPE));
    pair_close();
}

static volatile long moved;

static void *reads_all(void *arg)
{
    static char buf[3000];
    long n, sum = 0;
    while ((n = read(*(int *)arg, buf, sizeof buf)) > 0) {
        for (long i = 0; i < n; i++)
            sum += buf[i] == (char)((moved + i) % 251);
        moved += n;
    }
    return (void *)sum;
}

TEST(stream_much)
{
    static char buf[50000];
    pthread_t t;
    void *good;
    pair(SOCK_STREAM);
    moved = 0;
    CHECK(pthread_create(&t, NULL, reads_all, &s[1]) == 0);
    for (long done = 0; done < 2000000; done += sizeof buf) {
        for (size_t i = 0; i < sizeof buf; i++)
            buf[i] = (char)((done + (long)i) % 251);
        CHECK(write(s[0], buf, sizeof buf) == sizeof buf);
    }
    close(s[0]);
    pthread_join(t, &good);
    CHECK(moved == 2000000 && (long)good == 2000000);
    close(s[1]);
}

TEST(stream_full)
{
    static char buf[65536];
    long n, total = 0;
    pair(SOCK_STREAM | SOCK_NONBLOCK);
    while ((n = write(s[0], buf, sizeof buf)) > 0)
        total += n;
    CHECK(errno == EAGAIN && total > 100000 && !(polled(s[0]) & POLLOUT));
    while ((n = read(s[1], buf, sizeof buf)) > 0)
        total -= n;
    CHECK(total == 0 && polled(s[0]) & POLLOUT);
    pair_close();
}

TEST(stream_flags)
{
    char buf[8];
    int n = 0;
    pair(SOCK_STREAM);
    CHECK(write(s[0], "abcdef", 6) == 6);
    CHECK(recv(s[1], buf, 8, MSG_PEEK) == 6 && recv(s[1], buf, 2, MSG_PEEK) == 2);
    CHECK(ioctl(s[1], FIONREAD, &n) == 0 && n == 6);
    CHECK(recv(s[1], buf, 6, MSG_WAITALL) == 6 && !memcmp(buf, "abcdef", 6));
    CHECK(ioctl(s[1], FIONREAD, &n) == 0 && n == 0);
    pair_close();
}

static void *writes_late(void *arg)
{
    for (int i = 0; i < 4; i++) {
        usleep(2000);
        CHECK(write(*(int *)arg, "ab", 2) == 2);
    }
    return NULL;
}

TEST(stream_wait_all)
{
    char buf[8];
    pthread_t t;
    pair(SOCK_STREAM);
    CHECK(pthread_create(&t, NULL, writes_late, &s[0]) == 0);
    CHECK(recv(s[1], buf, 8, MSG_WAITALL) == 8 && !memcmp(buf, "abababab", 8));
    pthread_join(t, NULL);
    pair_close();
}

static void messages(int type)
{
    char buf[16];
    pair(type);
    CHECK(send(s[0], "one", 3, 0) == 3 && send(s[0], "three", 5, 0) == 5);
    CHECK(recv(s[1], buf, sizeof buf, MSG_PEEK) == 3);
    CHECK(recv(s[1], buf, sizeof buf, 0) == 3 && !memcmp(buf, "one", 3));
    CHECK(recv(s[1], buf, 2, MSG_TRUNC) == 5 && !memcmp(buf, "th", 2));
    CHECK(FAILS(recv(s[1], buf, 2, MSG_DONTWAIT), EAGAIN));
    struct iovec v = {buf, 2};
    struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1};
    CHECK(send(s[0], "cut off", 7, 0) == 7);
    CHECK(recvmsg(s[1], &h, 0) == 2 && h.msg_flags & MSG_TRUNC);
    CHECK(send(s[0], "", 0, 0) == 0 && polled(s[1]) & POLLIN && recv(s[1], buf, 1, 0) == 0);
    static char big[400000];
    CHECK(FAILS(send(s[0], big, sizeof big, 0), EMSGSIZE));
}

TEST(datagrams)
{
    char c;
    messages(SOCK_DGRAM);
    close(s[1]);
    CHECK(FAILS(send(s[0], &c, 1, 0), ECONNREFUSED));
    close(s[0]);
}

TEST(sequenced_packets)
{
    char c;
    messages(SOCK_SEQPACKET);
    close(s[1]);
    CHECK(FAILS(send(s[0], &c, 1, MSG_NOSIGNAL), EPIPE));
    CHECK(recv(s[0], &c, 1, 0) == 0);
    close(s[0]);
}

TEST(scatter_gather)
{
    char a[3], b[8];
    struct iovec out[2] = {{(void *)"abc", 3}, {(void *)"defg", 4}}, in[2] = {{a, 3}, {b, 8}};
    struct msghdr h = {.msg_iov = out, .msg_iovlen = 2}, r = {.msg_iov = in, .msg_iovlen = 2};
    pair(SOCK_STREAM);
    CHECK(sendmsg(s[0], &h, 0) == 7);
    CHECK(recvmsg(s[1], &r, 0) == 7 && !memcmp(a, "abc", 3) && !memcmp(b, "defg", 4));
    CHECK(r.msg_flags == 0 && r.msg_controllen == 0);
    CHECK(writev(s[1], out, 2) == 7 && readv(s[0], in, 2) == 7);
    pair_close();
}

TEST(names)
{
    struct sockaddr_un name = {.sun_family = 99};
    socklen_t len = sizeof name;
    char c;
    pair(SOCK_STREAM);
    CHECK(getsockname(s[0], (void *)&name, &len) == 0);
    CHECK(len == 2 && name.sun_family == AF_UNIX);
    len = sizeof name;
    CHECK(getpeername(s[0], (void *)&name, &len) == 0 && len == 2);
    CHECK(write(s[0], "x", 1) == 1);
    len = sizeof name;
    CHECK(recvfrom(s[1], &c, 1, 0, (void *)&name, &len) == 1 && len == 0);
    pair_close();
}

TEST(options)
{
    int v, type = 0;
    socklen_t len = sizeof v;
    struct linger l = {1, 5};
    struct ucred who;
    pair(SOCK_SEQPACKET);
    CHECK(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET);
    CHECK(getsockopt(s[0], SOL_SOCKET, SO_DOMAIN, &v, &len) == 0 && v == AF_UNIX);
    CHECK(getsockopt(s[0], SOL_SOCKET, SO_ERROR, &v, &len) == 0 && v == 0);
    CHECK(getsockopt(s[0], SOL_SOCKET, SO_ACCEPTCONN, &v, &len) == 0 && v == 0);
    v = 20000;
    CHECK(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, sizeof v) == 0);
    CHECK(getsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, &len) == 0 && v == 40000);
    v = 1;
    CHECK(setsockopt(s[0], SOL_SOCKET, SO_KEEPALIVE, &v, sizeof v) == 0);
    CHECK(getsockopt(s[0], SOL_SOCKET, SO_KEEPALIVE, &v, &len) == 0 && v == 1);
    CHECK(setsockopt(s[0], SOL_SOCKET, SO_LINGER, &l, sizeof l) == 0);
    len = sizeof who;
    CHECK(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && who.pid == getpid());
    CHECK(FAILS(setsockopt(s[0], SOL_SOCKET, 999, &v, sizeof v), ENOPROTOOPT));
    CHECK(FAILS(setsockopt(s[0], SOL_SOCKET, SO_KEEPALIVE, &v, 1), EINVAL));
    CHECK(FAILS(setsockopt(s[0], 6, 1, &v, sizeof v), EOPNOTSUPP));
    pair_close();
}

TEST(time_outs)
{
    struct timeval t = {0, 20000};
    char c;
    pair(SOCK_STREAM);
    CHECK(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t) == 0);
    int64_t start = now_ns();
    CHECK(FAILS(read(s[0], &c, 1), EAGAIN));
    CHECK(FAILS(recv(s[0], &c, 1, 0), EAGAIN));
    CHECK(now_ns() - start >= 40 * MS);
    t.tv_usec = 1000000;
    CHECK(FAILS(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t), EDOM));
    pair_close();
}

TEST(socket_errors)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "/nowhere/at/all"};
    int fds[2], fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char c;
    CHECK(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
    CHECK(FAILS(connect(fd, (void *)&name, sizeof name), ENOENT));
    strcpy(name.sun_path, "/etc/passwd");
    CHECK(FAILS(connect(fd, (void *)&name, sizeof name), ECONNREFUSED));
    CHECK(FAILS(connect(fd, (void *)&name, 1), EINVAL));
    CHECK(FAILS(send(fd, "x", 1, MSG_NOSIGNAL), ENOTCONN));
    CHECK(FAILS(recv(fd, &c, 1, 0), EINVAL));
    socklen_t len = sizeof name;
    CHECK(FAILS(getpeername(fd, (void *)&name, &len), ENOTCONN));
    CHECK(polled(fd) == (POLLOUT | POLLHUP));
    CHECK(FAILS(lseek(fd, 0, SEEK_CUR), ESPIPE));
    close(fd);
    CHECK(FAILS(send(0, "x", 1, 0), ENOTSOCK));
    CHECK(FAILS(send(-1, "x", 1, 0), EBADF));
    CHECK(FAILS(socket(AF_UNIX, 77, 0), EINVAL));
    CHECK(FAILS(socket(AF_UNIX, SOCK_STREAM, 17), EPROTONOSUPPORT));
    CHECK(FAILS(socket(AF_UNIX, SOCK_RDM, 0), ESOCKTNOSUPPORT));
    CHECK(FAILS(socket(99, SOCK_STREAM, 0), EAFNOSUPPORT));
    CHECK(FAILS(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, 8), EFAULT));
    CHECK(FAILS(socketpair(99, SOCK_STREAM, 0, fds), EAFNOSUPPORT));
    struct stat st;
    pair(SOCK_STREAM);
    CHECK(fstat(s[0], &st) == 0 && S_ISSOCK(st.st_mode));
    pair_close();
}
