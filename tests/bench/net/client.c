/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load of the network benchmark, on one CPU of the host:
 *   client ADDRESS PORT keep CONNECTIONS IDLE SECONDS PATH   requests on connections that stay
 *   client ADDRESS PORT new CONNECTIONS 0 SECONDS PATH       a connection for each request
 *   client ADDRESS PORT get 1 0 0 PATH                       one answer; bytes and seconds
 *   client ADDRESS PORT set 1 0 BYTES -                      one value for a Redis server; likewise
 *   client ADDRESS PORT hold 0 IDLE 0 -                      until its input ends; prints `held
 * IDLE` IDLE connections are open besides. Prints `requests N seconds S p50 US p99 US` or `bytes N
 * seconds S`.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TIMES_MAX (4u << 20)
#define GONE_MS   20000

struct conn {
    int fd;
    size_t got;
    double start;
};

static struct sockaddr_in server;
static char request[1024], buf[1 << 18];
static size_t answer; /* bytes of every answer */
static float *times;
static size_t count;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "client: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int connection(void)
{
    const int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (void *)&server, sizeof server) < 0)
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void send_all(int fd, const char *data, size_t n)
{
    for (ssize_t r; n; data += r, n -= (size_t)r)
        if ((r = send(fd, data, n, MSG_NOSIGNAL)) <= 0)
            die("send");
}

/* Reads one answer whole: its length. */
static size_t answer_read(int fd)
{
    size_t got = 0, length = SIZE_MAX;
    while (got < length) {
        ssize_t n = recv(fd, buf + (length == SIZE_MAX ? got : 0),
                         length == SIZE_MAX ? sizeof buf - 1 - got : sizeof buf, 0);
        if (n <= 0)
            die("an answer ended early");
        got += (size_t)n;
        if (length != SIZE_MAX)
            continue;
        buf[got] = '\0';
        char *end = strstr(buf, "\r\n\r\n"), *field = strcasestr(buf, "\r\ncontent-length:");
        if (end && field)
            length = (size_t)(end + 4 - buf) + strtoull(field + 17, NULL, 10);
    }
    return got;
}

static void request_begin(struct conn *c)
{
    c->got = 0;
    c->start = now();
    send_all(c->fd, request, strlen(request));
}

static void request_done(const struct conn *c)
{
    if (count < TIMES_MAX)
        times[count] = (float)((now() - c->start) * 1e6);
    count++;
}

static int float_compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void load(int n, double seconds, bool again)
{
    struct conn *conns = calloc((size_t)n, sizeof *conns);
    struct epoll_event events[256];
    int ep = epoll_create1(0);
    double begin = now(), end = begin + seconds;
    for (int i = 0; i < n; i++) {
        conns[i].fd = connection();
        epoll_ctl(ep, EPOLL_CTL_ADD, conns[i].fd,
                  &(struct epoll_event){.events = EPOLLIN, .data.ptr = &conns[i]});
        request_begin(&conns[i]);
    }
    while (now() < end) {
        int ready = epoll_wait(ep, events, 256, GONE_MS);
        if (ready <= 0)
            die("nothing comes any more");
        for (int i = 0; i < ready; i++) {
            struct conn *c = events[i].data.ptr;
            ssize_t r = recv(c->fd, buf, sizeof buf, 0);
            if (r <= 0)
                die("a connection ended");
            c->got += (size_t)r;
            if (c->got < answer)
                continue;
            request_done(c);
            if (again) {
                close(c->fd);
                c->fd = connection();
                epoll_ctl(ep, EPOLL_CTL_ADD, c->fd,
                          &(struct epoll_event){.events = EPOLLIN, .data.ptr = c});
            }
            request_begin(c);
        }
    }
    double took = now() - begin;
    size_t known = count < TIMES_MAX ? count : TIMES_MAX;
    qsort(times, known, sizeof *times, float_compare);
    printf("requests %zu seconds %.4f p50 %.0f p99 %.0f\n", count, took, (double)times[known / 2],
           (double)times[known * 99 / 100]);
}

static void set_value(size_t bytes)
{
    int fd = connection();
    char reply[16];
    snprintf(request, sizeof request, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%zu\r\n", bytes);
    memset(buf, 'x', sizeof buf);
    double begin = now();
    send_all(fd, request, strlen(request));
    for (size_t left = bytes; left;) {
        size_t n = left < sizeof buf ? left : sizeof buf;
        send_all(fd, buf, n);
        left -= n;
    }
    send_all(fd, "\r\n", 2);
    if (recv(fd, reply, sizeof reply, 0) < 5 || memcmp(reply, "+OK", 3) != 0)
        die("SET");
    printf("bytes %zu seconds %.4f\n", bytes, now() - begin);
}

int main(int argc, char **argv)
{
    if (argc != 8)
        return 2;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    server =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2]))};
    inet_pton(AF_INET, argv[1], &server.sin_addr);
    times = malloc(TIMES_MAX * sizeof *times);
    if (strcmp(argv[3], "set") == 0) {
        set_value(strtoull(argv[6], NULL, 10));
        return 0;
    }
    for (int i = atoi(argv[5]); i > 0; i--)
        connection();
    if (strcmp(argv[3], "hold") == 0) {
        printf("held %s\n", argv[5]);
        fflush(stdout);
        while (read(0, buf, sizeof buf) > 0)
            ;
        return 0;
    }
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: bench\r\n%s\r\n", argv[7],
             strcmp(argv[3], "new") ? "" : "Connection: close\r\n");
    int fd = connection();
    double begin = now();
    send_all(fd, request, strlen(request));
    answer = answer_read(fd);
    close(fd);
    if (strcmp(argv[3], "get") == 0)
        printf("bytes %zu seconds %.4f\n", answer, now() - begin);
    else
        load(atoi(argv[4]), atof(argv[6]), strcmp(argv[3], "new") == 0);
    return 0;
}
