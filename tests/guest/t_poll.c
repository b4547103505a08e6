/* SPDX-License-Identifier: Apache-2.0 */
/* poll on pipes and files: readiness, time-outs, wake-ups. */
#include "guest.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>

static int p[2];

TEST(readable_when_written)
{
    CHECK(pipe(p) == 0);
    struct pollfd f[] = {{p[0], POLLIN, 0}, {p[1], POLLOUT, 0}};
    CHECK(poll(f, 2, 0) == 1 && f[0].revents == 0 && f[1].revents == POLLOUT);
    CHECK(write(p[1], "x", 1) == 1);
    CHECK(poll(f, 2, -1) == 2 && f[0].revents == POLLIN && f[1].revents == POLLOUT);
    close(p[0]);
    close(p[1]);
}

TEST(hang_up)
{
    CHECK(pipe(p) == 0);
    struct pollfd f = {p[0], POLLIN, 0};
    close(p[1]);
    CHECK(poll(&f, 1, -1) == 1 && f.revents == POLLHUP);
    close(p[0]);
    CHECK(pipe(p) == 0);
    close(p[0]);
    f = (struct pollfd){p[1], POLLOUT, 0};
    CHECK(poll(&f, 1, 0) == 1 && f.revents & POLLERR);
    close(p[1]);
}

TEST(invalid_and_ignored)
{
    struct pollfd f[] = {{999, POLLIN, 7}, {-5, POLLIN, 7}};
    CHECK(poll(f, 2, 1000) == 1 && f[0].revents == POLLNVAL && f[1].revents == 0);
}

TEST(files_always_ready)
{
    int a = open(data_path("text.txt"), O_RDONLY), b = open("/dev/zero", O_RDWR);
    struct pollfd f[] = {{a, POLLIN, 0}, {b, POLLIN | POLLOUT, 0}};
    CHECK(poll(f, 2, -1) == 2);
    CHECK(f[0].revents == POLLIN && f[1].revents == (POLLIN | POLLOUT));
    close(a);
    close(b);
}

TEST(times_out)
{
    CHECK(pipe(p) == 0);
    struct pollfd f = {p[0], POLLIN, 0};
    int64_t start = now_ns();
    CHECK(poll(&f, 1, 50) == 0);
    int64_t took = now_ns() - start;
    CHECK(took >= 50 * MS && took < 5000 * MS);
    CHECK(poll(NULL, 0, 1) == 0);
    close(p[0]);
    close(p[1]);
}

static void *write_one(void *arg)
{
    int64_t *start = arg;
    while (now_ns() < *start + 20 * MS)
        sched_yield();
    return (void *)(long)write(p[1], "x", 1);
}

TEST(woken_by_thread)
{
    pthread_t t;
    CHECK(pipe(p) == 0);
    int64_t start = now_ns();
    CHECK(pthread_create(&t, NULL, write_one, &start) == 0);
    struct pollfd f = {p[0], POLLIN, 0};
    CHECK(poll(&f, 1, 10000) == 1 && f.revents == POLLIN);
    CHECK(now_ns() - start < 9000 * MS);
    pthread_join(t, NULL);
    close(p[0]);
    close(p[1]);
}

static void on_signal(int sig)
{
    (void)sig;
}

struct target {
    pthread_t thread;
    volatile int stop;
};

static void *send_signals(void *arg)
{
    struct target *t = arg;
    while (!t->stop) {
        pthread_kill(t->thread, SIGUSR1);
        sched_yield();
    }
    return NULL;
}

/* poll is never restarted, SA_RESTART or not (signal(7)). */
TEST(interrupted)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct target me = {pthread_self(), 0};
    pthread_t t;
    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
    CHECK(pthread_create(&t, NULL, send_signals, &me) == 0);
    int r = poll(NULL, 0, 10000), err = errno;
    me.stop = 1;
    pthread_join(t, NULL);
    signal(SIGUSR1, SIG_DFL);
    CHECK(r == -1 && err == EINTR);
}

TEST(too_many)
{
    CHECK(FAILS(syscall(SYS_poll, NULL, 1u << 30, 0), EINVAL));
}
