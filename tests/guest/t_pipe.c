/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes: order, ends, blocking and not. */
#include "guest.h"

#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>

static int p[2];

static void pipe_make(int flags)
{
    CHECK(pipe2(p, flags) == 0);
}

static void pipe_close(void)
{
    close(p[0]);
    close(p[1]);
}

TEST(round_trip)
{
    char buf[16];
    pipe_make(0);
    CHECK(write(p[1], "hello", 5) == 5 && write(p[1], "world", 5) == 5);
    CHECK(read(p[0], buf, 3) == 3 && !memcmp(buf, "hel", 3));
    CHECK(read(p[0], buf, 16) == 7 && !memcmp(buf, "loworld", 7));
    pipe_close();
}

TEST(end_of_file)
{
    char c;
    pipe_make(0);
    CHECK(write(p[1], "x", 1) == 1);
    close(p[1]);
    CHECK(read(p[0], &c, 1) == 1 && read(p[0], &c, 1) == 0);
    close(p[0]);
}

TEST(broken_pipe)
{
    signal(SIGPIPE, SIG_IGN);
    pipe_make(0);
    close(p[0]);
    CHECK(FAILS(write(p[1], "x", 1), EPIPE));
    close(p[1]);
    signal(SIGPIPE, SIG_DFL);
}

static volatile int pipe_signals;

static void on_pipe(int sig)
{
    pipe_signals += sig == SIGPIPE;
}

TEST(broken_pipe_signal)
{
    signal(SIGPIPE, on_pipe);
    pipe_make(0);
    close(p[0]);
    pipe_signals = 0;
    CHECK(FAILS(write(p[1], "x", 1), EPIPE) && pipe_signals == 1);
    close(p[1]);
    signal(SIGPIPE, SIG_DFL);
}

TEST(nonblocking)
{
    char c, block[4096] = {0};
    pipe_make(O_NONBLOCK);
    CHECK(FAILS(read(p[0], &c, 1), EAGAIN));
    size_t n = 0;
    for (ssize_t k; (k = write(p[1], block, sizeof block)) > 0;)
        n += (size_t)k;
    CHECK(errno == EAGAIN && n == 65536);
    CHECK(read(p[0], block, 4096) == 4096 && write(p[1], block, 4096) == 4096);
    pipe_close();
}

TEST(bytes_waiting)
{
    int n = -1;
    pipe_make(0);
    CHECK(ioctl(p[0], FIONREAD, &n) == 0 && n == 0);
    CHECK(write(p[1], "12345", 5) == 5 && ioctl(p[0], FIONREAD, &n) == 0 && n == 5);
    pipe_close();
}

TEST(not_seekable)
{
    char c;
    pipe_make(0);
    CHECK(FAILS(lseek(p[0], 0, SEEK_CUR), ESPIPE));
    CHECK(FAILS(pread(p[0], &c, 1, 0), ESPIPE));
    CHECK(FAILS(pwrite(p[1], &c, 1, 0), ESPIPE));
    CHECK(FAILS(read(p[1], &c, 1), EBADF) && FAILS(write(p[0], &c, 1), EBADF));
    pipe_close();
}

static void *write_soon(void *arg)
{
    sched_yield();
    return (void *)(long)write(p[1], arg, strlen(arg));
}

TEST(reader_blocks)
{
    char buf[8];
    pthread_t t;
    pipe_make(0);
    CHECK(pthread_create(&t, NULL, write_soon, "abc") == 0);
    CHECK(read(p[0], buf, 8) == 3 && !memcmp(buf, "abc", 3));
    pthread_join(t, NULL);
    pipe_close();
}

enum { TOTAL = 1 << 20 };

static void *write_all(void *arg)
{
    unsigned char block[5000];
    unsigned n = 0;
    (void)arg;
    while (n < TOTAL) {
        size_t k = sizeof block < TOTAL - n ? sizeof block : TOTAL - n;
        for (size_t i = 0; i < k; i++)
            block[i] = (unsigned char)((n + i) * 31 >> 3);
        if (write(p[1], block, k) != (ssize_t)k)
            break;
        n += (unsigned)k;
    }
    close(p[1]);
    return NULL;
}

TEST(megabyte_through)
{
    unsigned char block[7777];
    unsigned n = 0, wrong = 0;
    pthread_t t;
    pipe_make(0);
    CHECK(pthread_create(&t, NULL, write_all, NULL) == 0);
    for (ssize_t k; (k = read(p[0], block, sizeof block)) > 0; n += (unsigned)k)
        for (ssize_t i = 0; i < k; i++)
            wrong += block[i] != (unsigned char)((n + (unsigned)i) * 31 >> 3);
    pthread_join(t, NULL);
    CHECK(n == TOTAL && wrong == 0);
    close(p[0]);
}

TEST(pipe2_flags)
{
    pipe_make(O_CLOEXEC | O_NONBLOCK);
    CHECK(fcntl(p[0], F_GETFD) == FD_CLOEXEC && fcntl(p[1], F_GETFL) & O_NONBLOCK);
    pipe_close();
    CHECK(FAILS(pipe2(p, 0x123456), EINVAL));
}
