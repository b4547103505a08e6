/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program under the packet tests: does on its sockets what lines of standard input
 * say, and answers each with one line: a number, a word, or -ERRNO. It also echoes what
 * connections to port ECHO send, in a thread of its own.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <linux/sockios.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ECHO     7000
#define PATIENCE 15000 /* ms that a line may wait */

static char buffer[1 << 20];

static long answer(long n)
{
    if (n < 0)
        printf("-%s\n", strerrorname_np(errno));
    else
        printf("%ld\n", n);
    return n;
}

static bool ready(int fd, short events)
{
    struct pollfd p = {fd, events, 0};
    if (poll(&p, 1, PATIENCE) > 0)
        return true;
    errno = ETIME;
    answer(-1);
    return false;
}

static socklen_t address(const char *text, unsigned port, struct sockaddr_storage *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return sizeof *v4;
    }
    inet_pton(AF_INET6, text, &v6->sin6_addr);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    return sizeof *v6;
}

static void do_listen(int type, unsigned port, int backlog)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    int one = 1, fd = socket(AF_INET6, type, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&any, sizeof any) ||
        (type == SOCK_STREAM && listen(fd, backlog)))
        answer(-1);
    else
        answer(fd);
}

static void do_open(int type, const char *ip, unsigned port, unsigned from)
{
    struct sockaddr_storage to, own;
    socklen_t len = address(ip, port, &to);
    int one = 1, fd = socket(to.ss_family, type | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    address(to.ss_family == AF_INET ? "0.0.0.0" : "::", from, &own);
    if (from && bind(fd, (struct sockaddr *)&own, len))
        answer(-1);
    else if (connect(fd, (struct sockaddr *)&to, len) && errno != EINPROGRESS)
        answer(-1);
    else
        answer(fd);
}

static void do_error(int fd)
{
    int error = 0;
    socklen_t len = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
    errno = error;
    answer(error ? -1 : 0);
}

static void do_send(int fd, size_t n)
{
    size_t sent = 0;
    for (size_t i = 0; i < n && i < sizeof buffer; i++)
        buffer[i] = (char)(i * 7 + i / 251);
    while (sent < n) {
        ssize_t got = send(fd, buffer + sent, n - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (got < 0 && (errno != EAGAIN || !sent)) {
            answer(-1);
            return;
        }
        if (got < 0)
            break;
        sent += (size_t)got;
    }
    answer((long)sent);
}

static void do_receive(int fd, size_t n)
{
    size_t got = 0;
    while (got < n) {
        if (!ready(fd, POLLIN))
            return;
        ssize_t r = recv(fd, buffer + got, n - got, MSG_DONTWAIT);
        if (r < 0) {
            answer(-1);
            return;
        }
        if (!r)
            break;
        got += (size_t)r;
    }
    unsigned sum = 0;
    for (size_t i = 0; i < got; i++)
        sum = sum * 31 + (unsigned char)buffer[i];
    printf("%zu %u\n", got, sum);
}

/* The byte that MSG_OOB takes, and where reading is: at the mark? */
static void do_take_urgent(int fd)
{
    unsigned char byte = 0;
    int mark = -1;
    if (ioctl(fd, SIOCATMARK, &mark) || recv(fd, &byte, 1, MSG_OOB | MSG_DONTWAIT) < 0)
        answer(-1);
    else
        printf("%d %d\n", byte, mark);
}

static void do_info(int fd)
{
    struct tcp_info i = {0};
    socklen_t len = sizeof i;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &len))
        answer(-1);
    else
        printf("%u %u %u\n", i.tcpi_state, i.tcpi_snd_mss, i.tcpi_unacked);
}

/* Memory that is free, or will be when asked for, in KiB. */
static void do_memory(void)
{
    char line[128];
    long value, sum = 0;
    FILE *f = fopen("/proc/meminfo", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "MemFree: %ld", &value) == 1 || sscanf(line, "Cached: %ld", &value) == 1)
            sum += value;
    if (f)
        fclose(f);
    answer(sum);
}

static void do_option(int fd, int level, int name, int value)
{
    answer(setsockopt(fd, level, name, &value, sizeof value));
}

/* How many objects of each size the kernel has, while nothing else goes on. */
static void do_objects(void)
{
    char line[256];
    long n;
    FILE *f = fopen("/proc/slabinfo", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "kmalloc-%*s %ld", &n) == 1)
            printf("%ld ", n);
    if (f)
        fclose(f);
    puts("");
}

/* Ends the connections to ECHO, by reset, but for those from that address. */
static void do_drop(const char *but)
{
    long n = 0;
    struct in_addr kept;
    inet_pton(AF_INET, but, &kept);
    for (int fd = 3; fd < 1024; fd++) {
        struct sockaddr_in6 own, peer;
        socklen_t size = sizeof own;
        if (getsockname(fd, (struct sockaddr *)&own, &size) || own.sin6_port != htons(ECHO))
            continue;
        size = sizeof peer;
        if (getpeername(fd, (struct sockaddr *)&peer, &size) ||
            !memcmp(&peer.sin6_addr.s6_addr[12], &kept, 4))
            continue;
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
        shutdown(fd, SHUT_RDWR);
        n++;
    }
    answer(n);
}

/* Whether the first card has a link. */
static void do_carrier(void)
{
    FILE *f = fopen("/sys/class/net/eth0/carrier", "r");
    int c = f ? fgetc(f) : EOF;
    if (f)
        fclose(f);
    printf("%d\n", c == '1');
}

/* Sends so often, one byte each, then computes so many ms without a call. */
static void do_burst(int fd, int times, int ms)
{
    struct timespec begin, now;
    for (int i = 0; i < times; i++)
        send(fd, "b", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 < ms);
    answer(0);
}

static void do_name(void)
{
    char name[65] = "";
    gethostname(name, sizeof name);
    puts(name);
}

static void line_do(char *line)
{
    char verb[32] = "", text[64] = "";
    int a = 0, b = 0, c = 0, d = 0;
    sscanf(line, "%31s %d %d %d %d", verb, &a, &b, &c, &d);
    if (!strcmp(verb, "connected"))
        ready(a, POLLOUT) ? do_error(a) : (void)0;
    else if (!strcmp(verb, "listen"))
        do_listen(SOCK_STREAM, (unsigned)a, b);
    else if (!strcmp(verb, "udp"))
        do_listen(SOCK_DGRAM, (unsigned)a, 0);
    else if (!strcmp(verb, "accept"))
        ready(a, POLLIN) ? answer(accept(a, NULL, NULL)) : 0;
    else if (sscanf(line, "connect %63s %d %d", text, &a, &b) >= 2)
        do_open(SOCK_STREAM, text, (unsigned)a, (unsigned)b);
    else if (sscanf(line, "udpto %63s %d %d", text, &a, &b) >= 2)
        do_open(SOCK_DGRAM, text, (unsigned)a, (unsigned)b);
    else if (!strcmp(verb, "error"))
        do_error(a);
    else if (!strcmp(verb, "poll"))
        ready(a, POLLIN) ? answer(1) : 0;
    else if (!strcmp(verb, "send"))
        do_send(a, (size_t)b);
    else if (!strcmp(verb, "burst"))
        do_burst(a, b, c);
    else if (!strcmp(verb, "urgent"))
        answer(send(a, buffer, (size_t)b, MSG_OOB | MSG_DONTWAIT | MSG_NOSIGNAL));
    else if (!strcmp(verb, "oob"))
        do_take_urgent(a);
    else if (!strcmp(verb, "recv"))
        do_receive(a, (size_t)b);
    else if (!strcmp(verb, "shut"))
        answer(shutdown(a, b));
    else if (!strcmp(verb, "close"))
        answer(close(a));
    else if (!strcmp(verb, "option"))
        do_option(a, b, c, d);
    else if (!strcmp(verb, "linger"))
        answer(setsockopt(a, SOL_SOCKET, SO_LINGER, &(struct linger){1, b}, sizeof(struct linger)));
    else if (!strcmp(verb, "info"))
        do_info(a);
    else if (!strcmp(verb, "carrier"))
        do_carrier();
    else if (!strcmp(verb, "name"))
        do_name();
    else if (sscanf(line, "drop %63s", text) == 1)
        do_drop(text);
    else if (!strcmp(verb, "objects"))
        do_objects();
    else if (!strcmp(verb, "memory"))
        do_memory();
    else
        puts("what?");
}

/* Sends back what came; false: the connection is over, or takes nothing. */
static bool echo(int fd)
{
    char text[4096];
    ssize_t n = recv(fd, text, sizeof text, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return true;
    return n > 0 && send(fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) == n;
}

/* One thread for all connections: what the kernel keeps for them is gone when they are. */
static void *serve(void *arg)
{
    int listener = (int)(long)arg, all = epoll_create1(0);
    struct epoll_event e = {EPOLLIN, {.fd = listener}};
    epoll_ctl(all, EPOLL_CTL_ADD, listener, &e);
    while (epoll_wait(all, &e, 1, -1) == 1) {
        int fd = e.data.fd;
        if (fd == listener) {
            e.data.fd = accept(listener, NULL, NULL);
            e.events = EPOLLIN;
            if (e.data.fd >= 0)
                epoll_ctl(all, EPOLL_CTL_ADD, e.data.fd, &e);
        } else if (!echo(fd)) {
            close(fd);
        }
    }
    return NULL;
}

int main(void)
{
    char line[256];
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(ECHO)};
    int one = 1, fd = socket(AF_INET6, SOCK_STREAM, 0);
    pthread_t t;
    setvbuf(stdout, NULL, _IOLBF, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&any, sizeof any) || listen(fd, 128))
        abort();
    pthread_create(&t, NULL, serve, (void *)(long)fd);
    puts("ready");
    while (fgets(line, sizeof line, stdin))
        line_do(line);
    _exit(0);
}
