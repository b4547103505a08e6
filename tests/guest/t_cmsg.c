/* SPDX-License-Identifier: Apache-2.0 */
/* Control messages, several messages in one call: unix(7), cmsg(3), sendmmsg(2), recvmmsg(2). */
#include "guest.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/socket.h>
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

union control {
    char bytes[512];
    struct cmsghdr align;
};

static ssize_t send_fds(int to, const char *data, size_t n, const int *fds, unsigned count)
{
    union control c;
    struct iovec v = {(void *)data, n};
    struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1};
    memset(&c, 0, sizeof c);
    h.msg_control = c.bytes;
    h.msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *m = CMSG_FIRSTHDR(&h);
    m->cmsg_level = SOL_SOCKET;
    m->cmsg_type = SCM_RIGHTS;
    m->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(m), fds, count * sizeof(int));
    return sendmsg(to, &h, 0);
}

/* Bytes; *count descriptors in fds, *flags as told. */
static ssize_t receive_fds(int from, char *buf, size_t n, int *fds, unsigned *count, size_t room,
                           int flags, int *told)
{
    union control c;
    struct iovec v = {buf, n};
    struct msghdr h = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = c.bytes, .msg_controllen = room};
    ssize_t r = recvmsg(from, &h, flags);
    *count = 0;
    *told = h.msg_flags;
    for (struct cmsghdr *m = r < 0 ? NULL : CMSG_FIRSTHDR(&h); m; m = CMSG_NXTHDR(&h, m))
        if (m->cmsg_level == SOL_SOCKET && m->cmsg_type == SCM_RIGHTS) {
            *count = (unsigned)((m->cmsg_len - CMSG_LEN(0)) / sizeof(int));
            memcpy(fds, CMSG_DATA(m), *count * sizeof(int));
        }
    return r;
}

static void descriptors(int type)
{
    int p[2], fds[4], told;
    unsigned n;
    char buf[8];
    pair(type);
    CHECK(pipe(p) == 0);
    CHECK(send_fds(s[0], "fd", 2, p, 2) == 2);
    close(p[0]);
    close(p[1]);
    CHECK(receive_fds(s[1], buf, 8, fds, &n, 512, MSG_CMSG_CLOEXEC, &told) == 2 && n == 2);
    CHECK(!(told & MSG_CTRUNC) && fcntl(fds[0], F_GETFD) == FD_CLOEXEC);
    CHECK(write(fds[1], "through", 7) == 7 && read(fds[0], buf, 8) == 7);
    close(fds[0]);
    close(fds[1]);
    pair_close();
}

TEST(rights_stream)
{
    descriptors(SOCK_STREAM);
}

TEST(rights_datagram)
{
    descriptors(SOCK_DGRAM);
}

TEST(rights_packet)
{
    descriptors(SOCK_SEQPACKET);
}

/* Descriptors end a read; bytes before them come along. */
TEST(rights_in_a_stream)
{
    int p[2], fds[4], told;
    unsigned n;
    char buf[16];
    pair(SOCK_STREAM);
    CHECK(pipe(p) == 0);
    CHECK(write(s[0], "ab", 2) == 2);
    CHECK(send_fds(s[0], "cd", 2, p, 1) == 2);
    CHECK(write(s[0], "ef", 2) == 2);
    CHECK(receive_fds(s[1], buf, 16, fds, &n, 512, 0, &told) == 4 && n == 1);
    close(fds[0]);
    CHECK(receive_fds(s[1], buf, 16, fds, &n, 512, 0, &told) == 2 && n == 0);
    /* They come with the first byte of theirs. */
    CHECK(send_fds(s[0], "cd", 2, p, 1) == 2);
    CHECK(receive_fds(s[1], buf, 1, fds, &n, 512, 0, &told) == 1 && n == 1);
    close(fds[0]);
    CHECK(receive_fds(s[1], buf, 1, fds, &n, 512, 0, &told) == 1 && n == 0);
    /* A look gives descriptors of its own. */
    CHECK(send_fds(s[0], "x", 1, p, 1) == 1);
    CHECK(receive_fds(s[1], buf, 1, fds, &n, 512, MSG_PEEK, &told) == 1 && n == 1);
    close(fds[0]);
    CHECK(receive_fds(s[1], buf, 1, fds, &n, 512, 0, &told) == 1 && n == 1);
    close(fds[0]);
    close(p[0]);
    close(p[1]);
    pair_close();
}

/* What the receiver has no room for is closed. */
TEST(rights_lost)
{
    int p[2], fds[4], told;
    unsigned n;
    char buf[8];
    pair(SOCK_STREAM);
    CHECK(pipe(p) == 0);
    CHECK(send_fds(s[0], "x", 1, p + 1, 1) == 1);
    close(p[1]);
    CHECK(receive_fds(s[1], buf, 8, fds, &n, 0, 0, &told) == 1 && n == 0 && told & MSG_CTRUNC);
    CHECK(read(p[0], buf, 1) == 0);
    close(p[0]);
    CHECK(pipe(p) == 0);
    CHECK(send_fds(s[0], "x", 1, p, 2) == 1);
    CHECK(receive_fds(s[1], buf, 8, fds, &n, CMSG_LEN(4), 0, &told) == 1);
    CHECK(n == 1 && told & MSG_CTRUNC);
    close(fds[0]);
    CHECK(send_fds(s[0], "x", 1, p, 2) == 1 && recv(s[1], buf, 8, 0) == 1);
    close(p[1]);
    CHECK(read(p[0], buf, 1) == 0);
    close(p[0]);
    pair_close();
}

/* Descriptors that nobody received are closed with the socket, also within each other. */
TEST(rights_on_their_way)
{
    int p[2], q[2];
    char c;
    CHECK(pipe(p) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, q) == 0);
    pair(SOCK_STREAM);
    CHECK(send_fds(q[0], "x", 1, p + 1, 1) == 1);
    CHECK(send_fds(s[0], "x", 1, q, 2) == 1);
    close(p[1]);
    close(q[0]);
    close(q[1]);
    struct pollfd w = {p[0], POLLIN, 0};
    CHECK(poll(&w, 1, 0) == 0);
    pair_close();
    CHECK(read(p[0], &c, 1) == 0);
    close(p[0]);
}

/* A socket that gets its own peer, and throws it away. */
TEST(rights_of_the_peer)
{
    char buf[4];
    pair(SOCK_STREAM);
    CHECK(send_fds(s[0], "x", 1, s, 1) == 1);
    close(s[0]);
    CHECK(recv(s[1], buf, 4, 0) == 1 && recv(s[1], buf, 4, 0) == 0);
    close(s[1]);
}

TEST(rights_errors)
{
    int bad[1] = {999}, many[254];
    union control c;
    struct iovec v = {"x", 1};
    struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c};
    pair(SOCK_STREAM);
    CHECK(FAILS(send_fds(s[0], "x", 1, bad, 1), EBADF));
    memset(&c, 0, sizeof c);
    h.msg_controllen = CMSG_SPACE(4);
    c.align = (struct cmsghdr){.cmsg_len = 3, .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    CHECK(FAILS(sendmsg(s[0], &h, 0), EINVAL));
    c.align.cmsg_len = CMSG_SPACE(4) + 8;
    CHECK(FAILS(sendmsg(s[0], &h, 0), EINVAL));
    c.align.cmsg_len = CMSG_LEN(4);
    c.align.cmsg_type = 99;
    CHECK(FAILS(sendmsg(s[0], &h, 0), EINVAL));
    c.align.cmsg_level = 99; /* of another protocol: none of its business */
    CHECK(sendmsg(s[0], &h, 0) == 1);
    h.msg_controllen = 1 << 30;
    CHECK(FAILS(sendmsg(s[0], &h, 0), ENOBUFS));
    static char big[CMSG_SPACE(sizeof many)] __attribute__((aligned(8)));
    struct cmsghdr *m = (void *)big;
    for (unsigned i = 0; i < 254; i++)
        many[i] = s[0];
    *m = (struct cmsghdr){CMSG_LEN(sizeof many), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(m), many, sizeof many);
    h.msg_control = big;
    h.msg_controllen = sizeof big;
    CHECK(FAILS(sendmsg(s[0], &h, 0), EINVAL));
    h.msg_controllen = m->cmsg_len = CMSG_LEN(253 * sizeof(int));
    CHECK(sendmsg(s[0], &h, 0) == 1);
    pair_close();
}

static ssize_t receive_who(int fd, struct ucred *who)
{
    union control c;
    char buf[8];
    struct iovec v = {buf, 8};
    struct msghdr h = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c};
    ssize_t r = recvmsg(fd, &h, 0);
    struct cmsghdr *m = CMSG_FIRSTHDR(&h);
    memset(who, 0xff, sizeof *who);
    if (m && m->cmsg_type == SCM_CREDENTIALS && m->cmsg_len == CMSG_LEN(sizeof *who))
        memcpy(who, CMSG_DATA(m), sizeof *who);
    return r;
}

TEST(credentials)
{
    const int on = 1;
    struct ucred who;
    union control c;
    struct iovec v = {"x", 1};
    struct msghdr h = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = CMSG_SPACE(12)};
    pair(SOCK_STREAM);
    CHECK(write(s[0], "a", 1) == 1);
    CHECK(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
    CHECK(write(s[0], "b", 1) == 1);
    CHECK(receive_who(s[1], &who) == 1 && who.pid == 0 && who.uid == 65534);
    CHECK(receive_who(s[1], &who) == 1 && who.pid == getpid() && who.uid == getuid());
    CHECK(who.gid == getgid());
    memset(&c, 0, sizeof c);
    c.align = (struct cmsghdr){CMSG_LEN(12), SOL_SOCKET, SCM_CREDENTIALS};
    memcpy(CMSG_DATA(&c.align), &(struct ucred){getpid(), getuid(), getgid()}, 12);
    CHECK(sendmsg(s[0], &h, 0) == 1 && receive_who(s[1], &who) == 1 && who.pid == getpid());
    memcpy(CMSG_DATA(&c.align), &(struct ucred){0x3fffffff, getuid(), getgid()}, 12);
    CHECK(FAILS(sendmsg(s[0], &h, 0), geteuid() ? EPERM : ESRCH));
    c.align.cmsg_len = CMSG_LEN(8);
    CHECK(FAILS(sendmsg(s[0], &h, 0), EINVAL));
    pair_close();
}

TEST(peer_credentials)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                              (size_t)sprintf(a.sun_path + 1, "guest-cred-%d", (int)getpid()));
    struct ucred who;
    socklen_t len = sizeof who;
    int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(getsockopt(c, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0);
    CHECK(who.pid == 0 && who.uid == (uid_t)-1);
    CHECK(bind(l, (void *)&a, n) == 0 && listen(l, 1) == 0 && connect(c, (void *)&a, n) == 0);
    CHECK(getsockopt(c, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && who.pid == getpid());
    int x = accept(l, NULL, NULL);
    CHECK(getsockopt(x, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && who.uid == getuid());
    close(l);
    close(c);
    close(x);
}

static int udp(struct sockaddr_in *a)
{
    socklen_t n = sizeof *a;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    *a = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK(bind(fd, (void *)a, n) == 0 && getsockname(fd, (void *)a, &n) == 0);
    return fd;
}

TEST(many_messages)
{
    struct sockaddr_in a, b, from[4];
    struct mmsghdr m[4];
    struct iovec v[4];
    char buf[4][16];
    int x = udp(&a), y = udp(&b);
    memset(m, 0, sizeof m);
    for (int i = 0; i < 3; i++) {
        v[i] = (struct iovec){"message", (size_t)i + 1};
        m[i].msg_hdr = (struct msghdr){
            .msg_name = &b, .msg_namelen = sizeof b, .msg_iov = &v[i], .msg_iovlen = 1};
    }
    CHECK(sendmmsg(x, m, 3, 0) == 3 && m[0].msg_len == 1 && m[2].msg_len == 3);
    struct pollfd p = {y, POLLIN, 0};
    CHECK(poll(&p, 1, 5000) == 1);
    for (int i = 0; i < 4; i++) {
        v[i] = (struct iovec){buf[i], 16};
        m[i].msg_hdr = (struct msghdr){
            .msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &v[i], .msg_iovlen = 1};
    }
    CHECK(recvmmsg(y, m, 2, 0, NULL) == 2 && m[0].msg_len == 1 && m[1].msg_len == 2);
    CHECK(from[1].sin_port == a.sin_port && m[1].msg_hdr.msg_namelen == sizeof a);
    CHECK(recvmmsg(y, m, 4, MSG_WAITFORONE, NULL) == 1 && m[0].msg_len == 3);
    CHECK(FAILS(recvmmsg(y, m, 4, MSG_DONTWAIT, NULL), EAGAIN));
    struct timespec t = {0, 0}, bad = {0, 1000000000};
    CHECK(send(x, "", 0, 0) == -1 && sendto(x, "z", 1, 0, (void *)&b, sizeof b) == 1);
    CHECK(recvmmsg(y, m, 4, 0, &t) == 1);
    CHECK(FAILS(recvmmsg(y, m, 4, 0, &bad), EINVAL));
    /* An error counts only where nothing was sent before. */
    m[0].msg_hdr =
        (struct msghdr){.msg_name = &b, .msg_namelen = sizeof b, .msg_iov = v, .msg_iovlen = 1};
    m[1] = m[0];
    m[1].msg_hdr.msg_namelen = 3;
    CHECK(sendmmsg(x, m, 2, 0) == 1 && FAILS(sendmmsg(x, m + 1, 1, 0), EINVAL));
    CHECK(FAILS(sendmmsg(0, m, 1, 0), ENOTSOCK));
    close(x);
    close(y);
}
