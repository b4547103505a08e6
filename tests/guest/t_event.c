/* SPDX-License-Identifier: Apache-2.0 */
/* signalfd, epoll's corners, splice and its relatives, a signal storm. */
#include "guest.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>

static sigset_t block(int a, int b)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, a);
    sigaddset(&set, b);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return set;
}

TEST(signalfd_reads)
{
    struct signalfd_siginfo i[4];
    sigset_t set = block(SIGUSR1, SIGRTMIN + 2);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    CHECK(fd >= 0);
    CHECK(FAILS(read(fd, i, sizeof i), EAGAIN));
    kill(getpid(), SIGUSR1);
    union sigval v = {.sival_int = 1234};
    CHECK(sigqueue(getpid(), SIGRTMIN + 2, v) == 0);
    struct pollfd p = {fd, POLLIN, 0};
    CHECK(poll(&p, 1, 0) == 1);
    CHECK(read(fd, i, sizeof i) == 2 * sizeof i[0]);
    CHECK(i[0].ssi_signo == SIGUSR1 && i[0].ssi_code == SI_USER &&
          i[0].ssi_pid == (uint32_t)getpid());
    CHECK(i[1].ssi_signo == (uint32_t)SIGRTMIN + 2 && i[1].ssi_int == 1234);
    CHECK(poll(&p, 1, 0) == 0);
    CHECK(FAILS(read(fd, i, 100), EINVAL));
    close(fd);
}

static void *kills_later(void *arg)
{
    usleep(5000);
    kill(getpid(), SIGUSR1);
    return arg;
}

TEST(signalfd_waits)
{
    struct signalfd_siginfo i;
    struct epoll_event e = {.events = EPOLLIN}, got;
    sigset_t set = block(SIGUSR1, SIGUSR1);
    int fd = signalfd(-1, &set, 0), ep = epoll_create1(0);
    pthread_t t;
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) == 0);
    for (int round = 0; round < 2; round++) {
        CHECK(pthread_create(&t, NULL, kills_later, NULL) == 0);
        if (round)
            CHECK(epoll_wait(ep, &got, 1, 10000) == 1);
        CHECK(read(fd, &i, sizeof i) == sizeof i && i.ssi_signo == SIGUSR1);
        pthread_join(t, NULL);
    }
    close(ep);
    close(fd);
}

TEST(signalfd_mask)
{
    struct signalfd_siginfo i;
    sigset_t set = block(SIGUSR1, SIGUSR2), one;
    sigemptyset(&one);
    sigaddset(&one, SIGUSR2);
    int fd = signalfd(-1, &set, SFD_NONBLOCK);
    CHECK(signalfd(fd, &one, 0) == fd);
    kill(getpid(), SIGUSR1);
    CHECK(FAILS(read(fd, &i, sizeof i), EAGAIN));
    CHECK(signalfd(fd, &set, 0) == fd);
    CHECK(read(fd, &i, sizeof i) == sizeof i);
    CHECK(FAILS(signalfd(0, &set, 0), EINVAL));
    CHECK(FAILS(signalfd(-1, &set, 1), EINVAL));
    CHECK(FAILS(signalfd(-2, &set, 0), EBADF));
    close(fd);
}

static int watch(int ep, int op, int fd, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.fd = fd};
    return epoll_ctl(ep, op, fd, &e);
}

static int ready(int ep)
{
    struct epoll_event e[4];
    return epoll_wait(ep, e, 4, 0);
}

TEST(epoll_nested)
{
    uint64_t n = 1;
    int in = epoll_create1(0), out = epoll_create1(0), fd = eventfd(0, EFD_NONBLOCK);
    CHECK(watch(in, EPOLL_CTL_ADD, fd, EPOLLIN) == 0);
    CHECK(watch(out, EPOLL_CTL_ADD, in, EPOLLIN) == 0);
    CHECK(ready(out) == 0);
    CHECK(write(fd, &n, 8) == 8 && ready(out) == 1 && ready(in) == 1);
    CHECK(read(fd, &n, 8) == 8 && ready(out) == 0 && ready(in) == 0);
    struct pollfd p = {in, POLLIN, 0};
    CHECK(poll(&p, 1, 0) == 0);
    close(fd);
    close(in);
    close(out);
}

TEST(epoll_loops)
{
    int ep[7];
    for (int i = 0; i < 7; i++)
        ep[i] = epoll_create1(0);
    CHECK(FAILS(watch(ep[0], EPOLL_CTL_ADD, ep[0], EPOLLIN), EINVAL));
    CHECK(watch(ep[0], EPOLL_CTL_ADD, ep[1], EPOLLIN) == 0);
    CHECK(FAILS(watch(ep[1], EPOLL_CTL_ADD, ep[0], EPOLLIN), ELOOP));
    for (int i = 1; i < 4; i++)
        CHECK(watch(ep[i], EPOLL_CTL_ADD, ep[i + 1], EPOLLIN) == 0);
    CHECK(FAILS(watch(ep[4], EPOLL_CTL_ADD, ep[0], EPOLLIN), ELOOP));
    for (int i = 0; i < 7; i++)
        close(ep[i]);
}

TEST(epoll_exclusive)
{
    int ep = epoll_create1(0), in = epoll_create1(0), fd = eventfd(1, 0);
    CHECK(FAILS(watch(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT), EINVAL));
    CHECK(FAILS(watch(ep, EPOLL_CTL_ADD, in, EPOLLIN | EPOLLEXCLUSIVE), EINVAL));
    CHECK(watch(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLEXCLUSIVE) == 0);
    CHECK(FAILS(watch(ep, EPOLL_CTL_MOD, fd, EPOLLIN), EINVAL));
    CHECK(ready(ep) == 1 && watch(ep, EPOLL_CTL_DEL, fd, 0) == 0 && ready(ep) == 0);
    CHECK(watch(ep, EPOLL_CTL_ADD, fd, EPOLLIN) == 0);
    CHECK(FAILS(watch(ep, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLEXCLUSIVE), EINVAL));
    close(ep);
    close(in);
    close(fd);
}

TEST(epoll_refuses)
{
    int ep = epoll_create1(0), fd = open(data_path("text.txt"), O_RDONLY), e = eventfd(0, 0);
    CHECK(FAILS(watch(ep, EPOLL_CTL_ADD, fd, EPOLLIN), EPERM));
    CHECK(FAILS(watch(ep, EPOLL_CTL_ADD, -1, EPOLLIN), EBADF));
    CHECK(FAILS(watch(e, EPOLL_CTL_ADD, ep, EPOLLIN), EINVAL));
    CHECK(FAILS(watch(ep, 9, e, EPOLLIN), EINVAL));
    CHECK(FAILS(watch(ep, EPOLL_CTL_DEL, e, 0), ENOENT));
    struct epoll_event ev;
    CHECK(FAILS(epoll_wait(ep, &ev, 0, 0), EINVAL));
    CHECK(FAILS(epoll_wait(e, &ev, 1, 0), EINVAL));
    close(ep);
    close(fd);
    close(e);
}

TEST(epoll_edge_and_oneshot)
{
    char c;
    int ep = epoll_create1(0), s[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    CHECK(watch(ep, EPOLL_CTL_ADD, s[0], EPOLLIN | EPOLLET | EPOLLRDHUP) == 0);
    CHECK(ready(ep) == 0);
    CHECK(write(s[1], "ab", 2) == 2 && ready(ep) == 1 && ready(ep) == 0);
    CHECK(read(s[0], &c, 1) == 1 && ready(ep) == 0);
    CHECK(write(s[1], "c", 1) == 1 && ready(ep) == 1);
    CHECK(watch(ep, EPOLL_CTL_MOD, s[0], EPOLLIN | EPOLLONESHOT) == 0);
    CHECK(ready(ep) == 1 && ready(ep) == 0);
    CHECK(write(s[1], "d", 1) == 1 && ready(ep) == 0);
    CHECK(watch(ep, EPOLL_CTL_MOD, s[0], EPOLLIN | EPOLLRDHUP) == 0 && ready(ep) == 1);
    close(s[1]);
    struct epoll_event e;
    CHECK(epoll_wait(ep, &e, 1, 1000) == 1 &&
          (e.events & (EPOLLRDHUP | EPOLLHUP)) == (EPOLLRDHUP | EPOLLHUP));
    close(s[0]);
    CHECK(ready(ep) == 0);
    close(ep);
}

TEST(epoll_pwait2_waits)
{
    struct timespec t = {0, 5 * MS};
    struct epoll_event e;
    int ep = epoll_create1(0);
    int64_t start = now_ns();
    CHECK(syscall(SYS_epoll_pwait2, ep, &e, 1, &t, NULL, 0) == 0);
    CHECK(now_ns() - start >= 5 * MS && now_ns() - start < 1000 * MS);
    t.tv_nsec = -1;
    CHECK(FAILS(syscall(SYS_epoll_pwait2, ep, &e, 1, &t, NULL, 0), EINVAL));
    close(ep);
}

TEST(splice_file_to_pipe)
{
    char buf[64];
    int p[2], fd = open(data_path("text.txt"), O_RDONLY);
    loff_t off = 5;
    CHECK(pipe(p) == 0);
    CHECK(splice(fd, &off, p[1], NULL, 20, 0) == 20 && off == 25);
    CHECK(read(p[0], buf, 64) == 20 && !memcmp(buf, "56789012345678901234", 20));
    CHECK(lseek(fd, 0, SEEK_CUR) == 0);
    CHECK(splice(fd, NULL, p[1], NULL, 10, SPLICE_F_MOVE) == 10 && lseek(fd, 0, SEEK_CUR) == 10);
    off = 1000;
    CHECK(splice(fd, &off, p[1], NULL, 10, 0) == 0);
    close(fd);
    close(p[0]);
    close(p[1]);
}

TEST(splice_pipe_to_file)
{
    char buf[64];
    int p[2], fd = open(tmp_path("splice"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    loff_t off = 3;
    CHECK(pipe(p) == 0 && write(p[1], "abcdefgh", 8) == 8);
    CHECK(splice(p[0], NULL, fd, &off, 5, 0) == 5 && off == 8);
    CHECK(splice(p[0], NULL, fd, NULL, 50, 0) == 3);
    CHECK(pread(fd, buf, 64, 0) == 8 && !memcmp(buf, "fghabcde", 8));
    CHECK(FAILS(splice(p[0], NULL, fd, NULL, 5, SPLICE_F_NONBLOCK), EAGAIN));
    close(p[1]);
    CHECK(splice(p[0], NULL, fd, NULL, 5, 0) == 0);
    close(p[0]);
    close(fd);
    unlink(tmp_path("splice"));
}

TEST(splice_pipes_and_tee)
{
    char buf[16];
    int a[2], b[2];
    CHECK(pipe(a) == 0 && pipe(b) == 0 && write(a[1], "0123456789", 10) == 10);
    CHECK(tee(a[0], b[1], 4, 0) == 4);
    CHECK(read(b[0], buf, 16) == 4 && !memcmp(buf, "0123", 4));
    CHECK(splice(a[0], NULL, b[1], NULL, 100, 0) == 10);
    CHECK(read(b[0], buf, 16) == 10 && !memcmp(buf, "0123456789", 10));
    CHECK(FAILS(tee(a[0], b[1], 4, SPLICE_F_NONBLOCK), EAGAIN));
    struct iovec v = {(void *)"vector", 6};
    CHECK(vmsplice(a[1], &v, 1, 0) == 6 && read(a[0], buf, 16) == 6);
    for (int i = 0; i < 2; i++) {
        close(a[i]);
        close(b[i]);
    }
}

TEST(splice_errors)
{
    int p[2], fd = open(data_path("text.txt"), O_RDONLY);
    int w = open(tmp_path("append"), O_RDWR | O_CREAT | O_APPEND, 0600);
    loff_t off = 0;
    CHECK(pipe(p) == 0);
    CHECK(FAILS(splice(fd, NULL, w, NULL, 5, 0), EINVAL));
    CHECK(FAILS(splice(fd, NULL, fd, NULL, 5, 0), EBADF));
    CHECK(FAILS(splice(p[0], &off, w, NULL, 5, 0), ESPIPE));
    CHECK(FAILS(splice(p[0], NULL, w, NULL, 5, 0), EINVAL)); /* O_APPEND */
    CHECK(FAILS(splice(p[0], NULL, p[1], NULL, 5, 0), EINVAL));
    CHECK(FAILS(splice(fd, NULL, p[1], NULL, 5, 64), EINVAL));
    CHECK(FAILS(splice(-1, NULL, p[1], NULL, 5, 0), EBADF));
    CHECK(FAILS(tee(fd, p[1], 5, 0), EINVAL));
    CHECK(FAILS(vmsplice(fd, &(struct iovec){p, 1}, 1, 0), EBADF));
    CHECK(splice(fd, NULL, p[1], NULL, 0, 0) == 0);
    close(p[0]);
    close(p[1]);
    close(fd);
    close(w);
    unlink(tmp_path("append"));
}

static volatile int caught, stop;
static pthread_t storm[4];

static void on_storm(int sig)
{
    (void)sig;
    __atomic_add_fetch(&caught, 1, __ATOMIC_RELAXED);
}

static void *storms(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg + 1;
    int p[2];
    char c;
    if (pipe2(p, O_NONBLOCK))
        return NULL;
    while (!stop) {
        seed = seed * 1103515245 + 12345;
        if (seed & 0x10000)
            pthread_kill(storm[seed >> 20 & 3], seed & 0x80000 ? SIGUSR1 : SIGRTMIN + 5);
        else if (seed & 0x20000)
            kill(getpid(), SIGUSR2);
        else
            (void)!(write(p[1], "x", 1) + read(p[0], &c, 1));
        if (!(seed & 0xf00000))
            usleep(50);
    }
    close(p[0]);
    close(p[1]);
    return arg;
}

/* Four threads send each other signals while they make system calls. */
TEST(signal_storm)
{
    struct sigaction a = {.sa_handler = on_storm, .sa_flags = SA_RESTART};
    sigset_t none;
    sigemptyset(&none);
    sigaction(SIGUSR1, &a, NULL);
    sigaction(SIGUSR2, &a, NULL);
    sigaction(SIGRTMIN + 5, &a, NULL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    stop = caught = 0;
    for (uintptr_t i = 0; i < COUNT(storm); i++)
        storm[i] = pthread_self(); /* until the real one is there */
    for (uintptr_t i = 0; i < COUNT(storm); i++) {
        pthread_t t;
        CHECK(pthread_create(&t, NULL, storms, (void *)i) == 0);
        storm[i] = t;
    }
    for (int64_t end = now_ns() + 700 * MS; now_ns() < end;)
        usleep(10000);
    pthread_t all[4];
    memcpy(all, (void *)storm, sizeof all);
    for (unsigned i = 0; i < COUNT(storm); i++)
        storm[i] = pthread_self();
    usleep(1000);
    stop = 1;
    for (unsigned i = 0; i < COUNT(storm); i++)
        pthread_join(all[i], NULL);
    CHECK(caught > 100);
}
