/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors: a byte to and fro through two pipes, and epoll_wait beside many idle ones. */
#include "guest.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#define IDLE_MAX 10000

static int there[2], back[2];
static int epoll, idle[IDLE_MAX];

static void *echo(void *arg)
{
    char byte;
    while (read(there[0], &byte, 1) == 1)
        NEED(write(back[1], &byte, 1) == 1);
    return arg;
}

static void round_trips(long n)
{
    char byte = 0;
    while (n--)
        NEED(write(there[1], &byte, 1) == 1 && read(back[0], &byte, 1) == 1);
}

static void pipe_row(void)
{
    pthread_t t;
    NEED(pipe(there) == 0 && pipe(back) == 0);
    NEED(pthread_create(&t, NULL, echo, NULL) == 0);
    measure("pipe", round_trips, 2000);
    close(there[1]);
    pthread_join(t, NULL);
}

static void watch(int fd)
{
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    NEED(fd >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) == 0);
}

static void waits(long n)
{
    struct epoll_event e[16];
    while (n--)
        NEED(epoll_wait(epoll, e, 16, -1) == 1);
}

void rows_file(void)
{
    static const struct {
        const char *name;
        int idle;
    } rows[] = {{"epoll1", 1}, {"epoll1000", 1000}, {"epoll10000", IDLE_MAX}};
    const struct rlimit limit = {IDLE_MAX + 64, IDLE_MAX + 64};
    int have = 0;
    pipe_row();
    NEED(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    epoll = epoll_create1(0);
    watch(eventfd(1, 0)); /* always ready */
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (; have < rows[i].idle; have++)
            watch(idle[have] = eventfd(0, 0));
        measure(rows[i].name, waits, 5000);
    }
    while (have)
        close(idle[--have]);
    close(epoll);
}
