/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets that hold each other on their way: unix(7). A pipe whose writing end is among them tells
 * when they are gone. Nobody says when that is, only that another socket is closed first. */
#include "guest.h"

#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#define PATIENCE 2000 /* looks of 10 ms */

/* False: there are too many on their way for one who is not root. */
static bool send_some(int to, const int *fds, unsigned count)
{
    union {
        char bytes[128];
        struct cmsghdr align;
    } c = {{0}};
    struct iovec v = {"x", 1};
    struct msghdr h = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = c.bytes,
                       .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    struct cmsghdr *m = CMSG_FIRSTHDR(&h);
    m->cmsg_level = SOL_SOCKET;
    m->cmsg_type = SCM_RIGHTS;
    m->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(m), fds, count * sizeof(int));
    ssize_t n = sendmsg(to, &h, 0);
    CHECK(n == 1 || errno == ETOOMANYREFS);
    return n == 1;
}

static void send_fds(int to, const int *fds, unsigned count)
{
    CHECK(send_some(to, fds, count));
}

/* The first descriptor that came; -1: none. */
static int receive_fd(int from, int flags)
{
    union {
        char bytes[128];
        struct cmsghdr align;
    } c;
    char byte;
    int fd = -1;
    struct iovec v = {&byte, 1};
    struct msghdr h = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = c.bytes, .msg_controllen = sizeof c};
    if (recvmsg(from, &h, flags) == 1 && CMSG_FIRSTHDR(&h))
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&h)), sizeof fd);
    return fd;
}

static bool ended(int pipe_end, int ms)
{
    struct pollfd p = {pipe_end, POLLIN, 0};
    return poll(&p, 1, ms) == 1 && p.revents & POLLHUP;
}

static void other_close(void)
{
    int s[2];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
    close(s[0]);
    close(s[1]);
}

/* Does the pipe end, once others are closed? */
static bool collected(int pipe_end)
{
    for (int i = 0; i < PATIENCE; i++) {
        other_close();
        if (ended(pipe_end, 10))
            return true;
    }
    return false;
}

static void cycle_of(int type, int length, int pipe_end)
{
    int s[8][2];
    for (int i = 0; i < length; i++)
        CHECK(socketpair(AF_UNIX, type, 0, s[i]) == 0);
    for (int i = 0; i < length; i++)
        send_fds(s[i][0], (int[]){s[(i + 1) % length][1], pipe_end}, 2);
    for (int i = 0; i < length; i++) {
        close(s[i][0]);
        close(s[i][1]);
    }
}

static void collected_cycle(int type, int length)
{
    int p[2];
    CHECK(pipe(p) == 0);
    cycle_of(type, length, p[1]);
    close(p[1]);
    CHECK(collected(p[0]));
    close(p[0]);
}

TEST(one_in_itself)
{
    collected_cycle(SOCK_STREAM, 1);
    collected_cycle(SOCK_DGRAM, 1);
    collected_cycle(SOCK_SEQPACKET, 1);
}

TEST(longer_cycles)
{
    collected_cycle(SOCK_STREAM, 2);
    collected_cycle(SOCK_DGRAM, 3);
    collected_cycle(SOCK_STREAM, 8);
}

/* Both ends in each other: no end is ever closed by the program. */
TEST(ends_in_each_other)
{
    int p[2], s[2];
    CHECK(pipe(p) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    send_fds(s[0], (int[]){s[0], p[1]}, 2);
    send_fds(s[1], s, 2);
    close(s[0]);
    close(s[1]);
    close(p[1]);
    CHECK(collected(p[0]));
    close(p[0]);
}

static socklen_t name_make(struct sockaddr_un *name, const char *text)
{
    memset(name, 0, sizeof *name);
    name->sun_family = AF_UNIX;
    snprintf(name->sun_path + 1, sizeof name->sun_path - 1, "%s-%d", text, getpid());
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name->sun_path + 1));
}

/* A connection that nobody has accepted holds its own listener. */
TEST(listener_in_its_queue)
{
    struct sockaddr_un name;
    socklen_t len = name_make(&name, "cycle");
    int p[2], l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(pipe(p) == 0 && bind(l, (struct sockaddr *)&name, len) == 0 && listen(l, 4) == 0);
    CHECK(connect(c, (struct sockaddr *)&name, len) == 0);
    send_fds(c, (int[]){l, p[1]}, 2);
    close(p[1]);
    close(l);
    close(c);
    CHECK(collected(p[0]));
    close(p[0]);
}

/* What somebody can still receive stays, and works. */
TEST(reachable_stays)
{
    int p[2], held[2], s[2], t[2], fd;
    CHECK(pipe(p) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, held) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, t) == 0);
    send_fds(s[0], (int[]){t[1], p[1]}, 2);
    send_fds(t[0], (int[]){s[1], p[1]}, 2); /* s[1] and t[1] hold each other */
    send_fds(held[0], &s[1], 1);            /* and one of them is held here */
    close(s[0]);
    close(s[1]);
    close(t[0]);
    close(t[1]);
    close(p[1]);
    for (int i = 0; i < 200; i++)
        other_close();
    CHECK(!ended(p[0], 50));
    fd = receive_fd(held[1], MSG_PEEK);
    CHECK(fd >= 0);
    close(fd);
    for (int i = 0; i < 50; i++)
        other_close();
    fd = receive_fd(held[1], 0);
    CHECK(fd >= 0);
    int next = receive_fd(fd, 0);
    CHECK(next >= 0 && receive_fd(next, MSG_DONTWAIT) >= 0);
    close(fd);
    close(next);
    close(held[0]);
    close(held[1]);
    close(p[0]);
}

/* As many as would fill memory if none were freed; no socket is closed for good meanwhile. */
TEST(many_without_a_close)
{
    int p[2];
    CHECK(pipe(p) == 0);
    bool more = true;
    for (int i = 0; i < 20000 && more; i++) {
        int s[2];
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
        more = send_some(s[0], (int[]){s[0], s[1], p[1]}, 3);
        close(s[0]);
        close(s[1]);
    }
    close(p[1]);
    CHECK(collected(p[0]));
    close(p[0]);
}

static volatile bool stop;
static int shared[2];

static void *move(void *arg)
{
    (void)arg;
    while (!stop) {
        int fd = receive_fd(shared[1], 0);
        if (fd < 0)
            break;
        send_fds(shared[0], &fd, 1);
        close(fd);
    }
    return NULL;
}

/* A socket that is nearly always on its way, and never lost. */
TEST(moving_ones_stay)
{
    int s[2];
    char byte;
    pthread_t thread;
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, shared) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    send_fds(shared[0], &s[1], 1);
    close(s[1]);
    CHECK(pthread_create(&thread, NULL, move, NULL) == 0);
    for (int i = 0; i < 3000; i++)
        other_close();
    CHECK(recv(s[0], &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
    stop = true;
    CHECK(pthread_join(thread, NULL) == 0);
    int fd = receive_fd(shared[1], 0);
    CHECK(fd >= 0 && write(s[0], "y", 1) == 1 && read(fd, &byte, 1) == 1 && byte == 'y');
    close(fd);
    close(s[0]);
    close(shared[0]);
    close(shared[1]);
}
