/* SPDX-License-Identifier: Apache-2.0 */
/* Urgent data: MSG_OOB of TCP and of AF_UNIX streams, SIOCATMARK, SIGURG, owners of files. */
#include "guest.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <linux/sockios.h>

static void pair(int family, int e[2])
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    if (family == AF_UNIX) {
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, e) == 0);
        return;
    }
    int l = socket(AF_INET, SOCK_STREAM, 0);
    e[0] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(l, (struct sockaddr *)&a, sizeof a) == 0 && listen(l, 1) == 0);
    CHECK(getsockname(l, (struct sockaddr *)&a, &n) == 0);
    CHECK(connect(e[0], (struct sockaddr *)&a, sizeof a) == 0);
    e[1] = accept(l, NULL, NULL);
    CHECK(e[1] >= 0);
    close(l);
}

static void pair_close(int e[2])
{
    close(e[0]);
    close(e[1]);
}

static void wait_for(int fd, short events)
{
    struct pollfd p = {fd, events, 0};
    CHECK(poll(&p, 1, 20000) == 1 && p.revents & events);
}

static short now(int fd)
{
    struct pollfd p = {fd, POLLIN | POLLPRI | POLLRDBAND, 0};
    CHECK(poll(&p, 1, 0) >= 0);
    return p.revents;
}

static int waiting(int fd)
{
    int n = -1;
    CHECK(ioctl(fd, FIONREAD, &n) == 0);
    return n;
}

static bool at_mark(int fd)
{
    int n = -1;
    CHECK(ioctl(fd, SIOCATMARK, &n) == 0 && (n == 0 || n == 1));
    CHECK(sockatmark(fd) == n);
    return n;
}

static bool reads(int fd, const char *text, int flags)
{
    char b[64];
    size_t n = strlen(text);
    return recv(fd, b, sizeof b, flags) == (ssize_t)n && !memcmp(b, text, n);
}

static void say(int fd, const char *text, int flags)
{
    CHECK(send(fd, text, strlen(text), flags) == (ssize_t)strlen(text));
}

static void in_line(int fd)
{
    CHECK(setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &(int){1}, sizeof(int)) == 0);
}

/* More has come than the urgent byte alone: waits until n bytes stand in line. */
static void arrived(int fd, int n)
{
    char b[256];
    struct timespec ms = {0, 1000000};
    for (unsigned i = 0; i < 20000 && recv(fd, b, (size_t)n, MSG_PEEK | MSG_DONTWAIT) != n; i++)
        nanosleep(&ms, NULL);
    CHECK(recv(fd, b, (size_t)n, MSG_PEEK | MSG_DONTWAIT) == n);
}

static const int families[] = {AF_INET, AF_UNIX};

TEST(taken)
{
    for (unsigned i = 0; i < COUNT(families); i++) {
        int e[2];
        char c = 0;
        pair(families[i], e);
        CHECK(!at_mark(e[1]) && FAILS(recv(e[1], &c, 1, MSG_OOB), EINVAL));
        say(e[0], "abc!", MSG_OOB);
        wait_for(e[1], POLLPRI);
        CHECK(now(e[1]) == (POLLIN | POLLPRI) && !at_mark(e[1]));
        CHECK(waiting(e[1]) == (families[i] == AF_INET ? 3 : 4));
        CHECK(recv(e[1], &c, 1, MSG_OOB | MSG_PEEK) == 1 && c == '!');
        CHECK(recv(e[1], &c, 1, MSG_OOB) == 1 && c == '!');
        CHECK(FAILS(recv(e[1], &c, 1, MSG_OOB), EINVAL));
        CHECK(now(e[1]) == POLLIN);
        say(e[0], "def", 0);
        if (families[i] == AF_UNIX)
            wait_for(e[1], POLLIN);
        CHECK(reads(e[1], "abc", 0) && at_mark(e[1]));
        wait_for(e[1], POLLIN);
        CHECK(reads(e[1], "def", 0) && !at_mark(e[1]));
        CHECK(FAILS(recv(e[1], &c, 1, MSG_DONTWAIT), EAGAIN));
        pair_close(e);
    }
}

TEST(passed)
{
    for (unsigned i = 0; i < COUNT(families); i++) {
        int e[2];
        char c;
        pair(families[i], e);
        say(e[0], "ab!", MSG_OOB);
        say(e[0], "cd", 0);
        wait_for(e[1], POLLPRI);
        CHECK(reads(e[1], "ab", 0) && at_mark(e[1]) && now(e[1]) & POLLPRI);
        wait_for(e[1], POLLIN);
        CHECK(reads(e[1], "cd", MSG_PEEK) && at_mark(e[1]));
        CHECK(reads(e[1], "cd", 0) && !at_mark(e[1]) && !now(e[1]));
        CHECK(FAILS(recv(e[1], &c, 1, MSG_OOB), EINVAL));
        pair_close(e);
    }
}

TEST(inline)
{
    for (unsigned i = 0; i < COUNT(families); i++) {
        int e[2];
        char c;
        pair(families[i], e);
        in_line(e[1]);
        say(e[0], "ab!", MSG_OOB);
        say(e[0], "cd", 0);
        wait_for(e[1], POLLPRI);
        CHECK(FAILS(recv(e[1], &c, 1, MSG_OOB), EINVAL));
        CHECK(reads(e[1], "ab", 0) && at_mark(e[1]));
        if (families[i] == AF_INET)
            arrived(e[1], 3);
        CHECK(reads(e[1], "!cd", 0) && !at_mark(e[1]) && !now(e[1]));
        pair_close(e);
    }
}

TEST(alone)
{
    for (unsigned i = 0; i < COUNT(families); i++) {
        int e[2];
        char c = 0;
        pair(families[i], e);
        say(e[0], "!", MSG_OOB);
        wait_for(e[1], POLLPRI);
        CHECK(at_mark(e[1]));
        if (families[i] == AF_INET)
            CHECK(waiting(e[1]) == 0 && now(e[1]) == POLLPRI);
        CHECK(FAILS(recv(e[1], &c, 1, MSG_DONTWAIT | MSG_PEEK), EAGAIN));
        CHECK(recv(e[1], &c, 1, MSG_OOB) == 1 && c == '!');
        CHECK(FAILS(recv(e[1], &c, 1, MSG_DONTWAIT), EAGAIN));
        close(e[0]);
        CHECK(recv(e[1], &c, 1, 0) == 0);
        close(e[1]);
    }
}

/* A second one: the first becomes one of the others, or goes if it stood at the front. */
TEST(second)
{
    for (unsigned i = 0; i < COUNT(families); i++) {
        int e[2];
        char c = 0;
        pair(families[i], e);
        say(e[0], "ab1", MSG_OOB);
        wait_for(e[1], POLLPRI);
        say(e[0], "cd2", MSG_OOB);
        for (unsigned n = 0; n < 100000 && c != '2'; n++)
            recv(e[1], &c, 1, MSG_OOB | MSG_PEEK);
        CHECK(c == '2' && recv(e[1], &c, 1, MSG_OOB) == 1);
        CHECK(reads(e[1], "ab1cd", 0) && at_mark(e[1]));
        pair_close(e);
    }
}

TEST(waitall)
{
    for (unsigned i = 0; i < COUNT(families); i++) {
        int e[2];
        char b[8];
        pair(families[i], e);
        say(e[0], "abc!", MSG_OOB);
        say(e[0], "defgh", 0);
        wait_for(e[1], POLLPRI);
        CHECK(recv(e[1], b, 8, MSG_WAITALL) == 3 && !memcmp(b, "abc", 3) && at_mark(e[1]));
        CHECK(recv(e[1], b, 5, MSG_WAITALL) == 5 && !memcmp(b, "defgh", 5));
        pair_close(e);
    }
}

TEST(message)
{
    for (unsigned i = 0; i < COUNT(families); i++) {
        int e[2];
        char c = 0;
        struct iovec v = {&c, 1};
        struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
        pair(families[i], e);
        CHECK(sendmsg(e[0], &(struct msghdr){.msg_iov = &(struct iovec){"xy", 2}, .msg_iovlen = 1},
                      MSG_OOB) == 2);
        wait_for(e[1], POLLPRI);
        CHECK(recvmsg(e[1], &m, MSG_OOB) == 1 && c == 'y' && m.msg_flags & MSG_OOB);
        CHECK(recvmsg(e[1], &m, 0) == 1 && c == 'x' && !(m.msg_flags & MSG_OOB));
        pair_close(e);
    }
}

TEST(waits)
{
    for (unsigned i = 0; i < COUNT(families); i++) {
        int e[2], ep = epoll_create1(0);
        struct epoll_event ev = {.events = EPOLLPRI | EPOLLET}, got;
        struct timeval patience = {20, 0};
        fd_set except;
        pair(families[i], e);
        CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, e[1], &ev) == 0);
        CHECK(epoll_wait(ep, &got, 1, 0) == 0);
        say(e[0], "quiet", 0);
        wait_for(e[1], POLLIN);
        CHECK(epoll_wait(ep, &got, 1, 0) == 0);
        say(e[0], "!", MSG_OOB);
        CHECK(epoll_wait(ep, &got, 1, 20000) == 1 && got.events == EPOLLPRI);
        FD_ZERO(&except);
        FD_SET(e[1], &except);
        CHECK(select(e[1] + 1, NULL, NULL, &except, &patience) == 1 && FD_ISSET(e[1], &except));
        close(ep);
        pair_close(e);
    }
}

TEST(refused)
{
    char c;
    int e[2], n, u = socket(AF_INET, SOCK_DGRAM, 0), l = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(FAILS(recv(l, &c, 1, MSG_OOB), EINVAL));
    CHECK(FAILS(send(l, "x", 1, MSG_OOB | MSG_NOSIGNAL), EPIPE));
    CHECK(listen(l, 1) == 0 && FAILS(recv(l, &c, 1, MSG_OOB), ENOTCONN));
    CHECK(FAILS(ioctl(u, SIOCATMARK, &n), ENOTTY));
    CHECK(FAILS(send(u, "x", 1, MSG_OOB), EOPNOTSUPP));
    close(u);
    close(l);
    for (unsigned i = 0; i < 2; i++) {
        CHECK(socketpair(AF_UNIX, i ? SOCK_DGRAM : SOCK_SEQPACKET, 0, e) == 0);
        CHECK(FAILS(send(e[0], "x", 1, MSG_OOB), EOPNOTSUPP));
        CHECK(FAILS(recv(e[0], &c, 1, MSG_OOB), EOPNOTSUPP));
        CHECK(FAILS(ioctl(e[0], SIOCATMARK, &n), EOPNOTSUPP));
        pair_close(e);
    }
    pair(AF_UNIX, e);
    CHECK(FAILS(send(e[0], "", 0, MSG_OOB), EOPNOTSUPP));
    pair_close(e);
}

/* The mark far behind: reads come up to it in any pieces. */
TEST(far)
{
    static char out[100000], in[100000];
    for (unsigned i = 0; i < COUNT(families); i++) {
        int e[2];
        size_t got = 0;
        char c = 0;
        pair(families[i], e);
        for (size_t n = 0; n < sizeof out; n++)
            out[n] = (char)(n * 7 + n / 251);
        CHECK(send(e[0], out, sizeof out, MSG_OOB) == sizeof out);
        say(e[0], "behind", 0);
        while (!at_mark(e[1])) {
            ssize_t n = read(e[1], in + got, got + 777 < sizeof in ? 777 : sizeof in - got);
            CHECK(n > 0);
            got += (size_t)n;
        }
        CHECK(got == sizeof out - 1 && !memcmp(in, out, got));
        wait_for(e[1], POLLPRI);
        CHECK(recv(e[1], &c, 1, MSG_OOB) == 1 && c == out[sizeof out - 1]);
        CHECK(recv(e[1], in, 6, MSG_WAITALL) == 6 && !memcmp(in, "behind", 6));
        pair_close(e);
    }
}

/* What is behind the mark was sent before the program looked: taken, the mark stays. */
TEST(taken_late)
{
    for (unsigned i = 0; i < COUNT(families); i++) {
        int e[2];
        char c = 0;
        pair(families[i], e);
        say(e[0], "a!", MSG_OOB);
        say(e[0], "b", 0);
        wait_for(e[1], POLLPRI);
        CHECK(reads(e[1], "a", 0) && at_mark(e[1]));
        CHECK(recv(e[1], &c, 1, MSG_OOB) == 1 && c == '!' && at_mark(e[1]));
        wait_for(e[1], POLLIN);
        CHECK(reads(e[1], "b", 0) && !at_mark(e[1]));
        pair_close(e);
    }
}

static bool signal_came(const sigset_t *set)
{
    siginfo_t info;
    struct timespec patience = {20, 0};
    return sigtimedwait(set, &info, &patience) == SIGURG && info.si_code == SI_KERNEL;
}

TEST(signals)
{
    sigset_t set;
    struct timespec none = {0, 0};
    sigemptyset(&set);
    sigaddset(&set, SIGURG);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    for (unsigned i = 0; i < COUNT(families); i++) {
        int e[2];
        char c;
        pair(families[i], e);
        say(e[0], "1", MSG_OOB);
        wait_for(e[1], POLLPRI);
        CHECK(recv(e[1], &c, 1, MSG_OOB) == 1);
        CHECK(FAILS(sigtimedwait(&set, NULL, &none), EAGAIN)); /* it has no owner */
        CHECK(fcntl(e[1], F_SETOWN, getpid()) == 0 && fcntl(e[1], F_GETOWN) == getpid());
        say(e[0], "2", MSG_OOB);
        CHECK(signal_came(&set));
        struct f_owner_ex me = {F_OWNER_TID, gettid()};
        CHECK(fcntl(e[1], F_SETOWN_EX, &me) == 0);
        say(e[0], "3", MSG_OOB);
        CHECK(signal_came(&set));
        CHECK(fcntl(e[1], F_SETOWN, 0) == 0);
        pair_close(e);
    }
    CHECK(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
}

TEST(owners)
{
    int e[2], id = -1;
    struct f_owner_ex ex = {9, 9};
    pair(AF_UNIX, e);
    CHECK(fcntl(e[0], F_GETOWN) == 0 && fcntl(e[0], F_GETSIG) == 0);
    CHECK(fcntl(e[0], F_GETOWN_EX, &ex) == 0 && ex.type == F_OWNER_TID && ex.pid == 0);
    CHECK(FAILS(fcntl(e[0], F_SETOWN, 4194300), ESRCH));
    CHECK(FAILS(fcntl(e[0], F_SETOWN, INT32_MIN), EINVAL));
    CHECK(fcntl(e[0], F_SETOWN, -getpgrp()) == 0);
    CHECK(fcntl(e[0], F_GETOWN_EX, &ex) == 0 && ex.type == F_OWNER_PGRP && ex.pid == getpgrp());
    CHECK(ioctl(e[0], FIOGETOWN, &id) == 0 && id == -getpgrp());
    id = getpid();
    CHECK(ioctl(e[0], SIOCSPGRP, &id) == 0 && fcntl(e[0], F_GETOWN) == getpid());
    id = 0;
    CHECK(ioctl(e[0], FIOSETOWN, &id) == 0 && fcntl(e[0], F_GETOWN) == 0);
    CHECK(ioctl(e[0], SIOCGPGRP, &id) == 0 && id == 0);
    ex = (struct f_owner_ex){7, getpid()};
    CHECK(FAILS(fcntl(e[0], F_SETOWN_EX, &ex), EINVAL));
    ex = (struct f_owner_ex){F_OWNER_TID, 4194300};
    CHECK(FAILS(fcntl(e[0], F_SETOWN_EX, &ex), ESRCH));
    CHECK(FAILS(fcntl(e[0], F_SETOWN_EX, (void *)8), EFAULT));
    CHECK(fcntl(e[0], F_SETSIG, SIGRTMIN) == 0 && fcntl(e[0], F_GETSIG) == SIGRTMIN);
    CHECK(FAILS(fcntl(e[0], F_SETSIG, 65), EINVAL));
    pair_close(e);
}
