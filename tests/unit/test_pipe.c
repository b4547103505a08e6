/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes, eventfd, the wait loop, poll and epoll. */
#include "fs_test.h"

#include <linux/eventpoll.h>
#include <linux/fcntl.h>
#include <linux/poll.h>

#include "fake_stream.h"
#include "file/epoll.h"
#include "file/eventfd.h"
#include "file/pipe.h"
#include "file/tty.h"
#include "file/wait.h"

extern uint64_t fake_clock;
extern uint64_t fake_bad_user;

static struct file *r, *w;

static int open_pipe(void **state)
{
    (void)state;
    return pipe_create(O_NONBLOCK, &r, &w);
}

static int close_pipe(void **state)
{
    (void)state;
    if (r)
        file_put(r);
    if (w)
        file_put(w);
    r = w = NULL;
    return 0;
}

static void bytes_go_through_in_order(void **state)
{
    char in[3000], out[3000];
    (void)state;
    for (unsigned round = 0; round < 200; round++) {
        memset(in, (int)round, sizeof in);
        assert_int_equal(t_write(w, in, 1 + round * 13 % 3000), 1 + round * 13 % 3000);
        assert_int_equal(t_read(r, out, sizeof out), 1 + round * 13 % 3000);
        assert_memory_equal(in, out, 1 + round * 13 % 3000);
    }
}

static void small_writes_are_atomic(void **state)
{
    static char big[65536];
    char c[2];
    (void)state;
    assert_int_equal(t_write(w, big, 65535), 65535);
    assert_int_equal(t_write(w, big, 2), -EAGAIN); /* never a half */
    assert_int_equal(t_write(w, big, 1), 1);
    assert_int_equal(t_write(w, big, 1), -EAGAIN);
    assert_int_equal(t_read(r, c, 2), 2);
    assert_int_equal(t_write(w, big, 65536), 2); /* a large one may be cut */
}

static void ends_tell_each_other(void **state)
{
    char c;
    (void)state;
    assert_int_equal(t_read(r, &c, 1), -EAGAIN);
    assert_int_equal(file_poll(r, NULL), 0);
    assert_int_equal(t_write(w, "x", 1), 1);
    file_put(w);
    w = NULL;
    assert_int_equal(file_poll(r, NULL) & (POLLIN | POLLHUP), POLLIN | POLLHUP);
    assert_int_equal(t_read(r, &c, 1), 1);
    assert_int_equal(t_read(r, &c, 1), 0);
}

static unsigned signals;
static void broken(void)
{
    signals++;
}

static void a_broken_pipe_raises(void **state)
{
    (void)state;
    file_broken_pipe = broken;
    file_put(r);
    r = NULL;
    assert_int_equal(t_write(w, "x", 1), -EPIPE);
    assert_int_equal(signals, 1);
    assert_true(file_poll(w, NULL) & POLLERR);
    file_broken_pipe = NULL;
}

static void the_size_can_change(void **state)
{
    static char big[65536];
    (void)state;
    assert_int_equal(pipe_size(r), 65536);
    assert_int_equal(pipe_resize(w, 5000), 8192);
    assert_int_equal(t_write(w, big, 65536), 8192);
    assert_int_equal(pipe_resize(w, 4096), -EBUSY);
    assert_int_equal(pipe_resize(w, 2 << 20), -EPERM);
    assert_int_equal(pipe_resize(w, 1 << 20), 1 << 20);
}

static void wrong_access_mode(void **state)
{
    char c = 0;
    (void)state;
    assert_int_equal(t_read(w, &c, 1), -EBADF);
    assert_int_equal(t_write(r, &c, 1), -EBADF);
    struct uio_vec v;
    struct uio u;
    uint64_t pos = 0;
    uio_init_kernel(&u, &v, &c, 1);
    assert_int_equal(file_read(r, &u, &pos), -ESPIPE);
}

static void bad_memory_loses_nothing(void **state)
{
    char out[8];
    (void)state;
    assert_int_equal(t_write(w, "abcdef", 6), 6);
    fake_bad_user = 1;
    assert_int_equal(t_read(r, out, 6), -EFAULT);
    fake_bad_user = 0;
    assert_int_equal(t_read(r, out, 6), 6);
    assert_memory_equal(out, "abcdef", 6);
}

static ssize_t never(struct file *f, void *arg)
{
    (void)f;
    ++*(unsigned *)arg;
    return -EAGAIN;
}

static void the_wait_ends_at_its_deadline(void **state)
{
    unsigned tries = 0;
    uint64_t deadline = fake_clock + 1000;
    (void)state;
    file_set_flags(r, 0);
    r->patience[0] = 1000;
    assert_int_equal(file_wait(r, false, never, &tries), -EAGAIN);
    assert_int_equal(fake_clock, deadline);
    assert_true(tries >= 3); /* also once after the deadline */
    tries = 0;
    file_set_flags(r, O_NONBLOCK);
    assert_int_equal(file_wait(r, false, never, &tries), -EAGAIN);
    assert_int_equal(tries, 1);
}

static ssize_t second_time(struct file *f, void *arg)
{
    (void)f;
    /* Data comes between the look and the sleep: the wake-up must not be lost. */
    if (++*(unsigned *)arg == 2)
        t_write(w, "x", 1);
    return *(unsigned *)arg < 3 ? -EAGAIN : 7;
}

static void a_wake_up_before_sleep_counts(void **state)
{
    unsigned tries = 0;
    (void)state;
    file_set_flags(r, 0);
    assert_int_equal(file_wait(r, false, second_time, &tries), 7);
}

static void poll_of_several(void **state)
{
    struct poll_file p[40] = {{0}};
    (void)state;
    for (unsigned i = 0; i < 40; i++)
        p[i] = (struct poll_file){.file = i == 5 ? NULL : r, .events = POLLIN};
    p[39] = (struct poll_file){.file = w, .events = POLLOUT};
    assert_int_equal(poll_wait(p, 39, fake_clock + 50), 0);
    assert_int_equal(poll_wait(p, 40, CLOCK_NEVER), 1);
    assert_int_equal(p[39].revents, POLLOUT);
    t_write(w, "x", 1);
    assert_int_equal(poll_wait(p, 40, CLOCK_NEVER), 39);
    assert_true(list_empty(&r->watches));
}

static void eventfd_counts(void **state)
{
    struct file *e;
    uint64_t v = 3;
    (void)state;
    assert_int_equal(eventfd_create(2, false, O_NONBLOCK, &e), 0);
    assert_int_equal(t_write(e, &v, 8), 8);
    assert_int_equal(t_read(e, &v, 4), -EINVAL);
    assert_int_equal(t_read(e, &v, 8), 8);
    assert_int_equal(v, 5);
    assert_int_equal(t_read(e, &v, 8), -EAGAIN);
    v = UINT64_MAX - 1;
    assert_int_equal(t_write(e, &v, 8), 8);
    v = 1;
    assert_int_equal(t_write(e, &v, 8), -EAGAIN);
    assert_int_equal(file_poll(e, NULL) & (POLLIN | POLLOUT), POLLIN);
    v = UINT64_MAX;
    assert_int_equal(t_write(e, &v, 8), -EINVAL);
    file_put(e);
    assert_int_equal(eventfd_create(2, true, O_NONBLOCK, &e), 0);
    assert_int_equal(t_read(e, &v, 8), 8);
    assert_int_equal(v, 1);
    file_put(e);
}

static void epoll_level_and_edge(void **state)
{
    struct file *ep;
    struct epoll_event res[4];
    const struct uptr out = {(uint64_t)res};
    char c;
    (void)state;
    assert_int_equal(epoll_create(&ep), 0);
    assert_int_equal(epoll_control(ep, EPOLL_CTL_ADD, 3, r, EPOLLIN, 33), 0);
    assert_int_equal(epoll_control(ep, EPOLL_CTL_ADD, 3, r, EPOLLIN, 33), -EEXIST);
    assert_int_equal(epoll_collect(ep, out, 4, 0), 0);
    t_write(w, "xy", 2);
    for (int i = 0; i < 3; i++)
        assert_int_equal(epoll_collect(ep, out, 4, 0), 1); /* level: again and again */
    assert_int_equal(res[0].data, 33);
    assert_int_equal(res[0].events, EPOLLIN);
    assert_int_equal(epoll_control(ep, EPOLL_CTL_MOD, 3, r, EPOLLIN | EPOLLET, 34), 0);
    assert_int_equal(epoll_collect(ep, out, 4, 0), 1);
    assert_int_equal(epoll_collect(ep, out, 4, 0), 0); /* edge: once */
    t_write(w, "z", 1);
    assert_int_equal(epoll_collect(ep, out, 4, 0), 1);
    assert_int_equal(epoll_control(ep, EPOLL_CTL_MOD, 3, r, EPOLLIN | EPOLLONESHOT, 35), 0);
    assert_int_equal(epoll_collect(ep, out, 4, 0), 1);
    t_read(r, &c, 1);
    t_write(w, "z", 1);
    assert_int_equal(epoll_collect(ep, out, 4, 0), 0); /* one shot: until MOD */
    assert_int_equal(epoll_control(ep, EPOLL_CTL_DEL, 4, r, 0, 0), -ENOENT);
    assert_int_equal(epoll_control(ep, EPOLL_CTL_DEL, 3, r, 0, 0), 0);
    assert_int_equal(epoll_control(ep, EPOLL_CTL_ADD, 9, ep, EPOLLIN, 0), -EINVAL);
    file_put(ep);
}

static void epoll_forgets_closed_files(void **state)
{
    struct file *ep, *outer;
    struct epoll_event res[4];
    const struct uptr out = {(uint64_t)res};
    (void)state;
    assert_int_equal(epoll_create(&ep), 0);
    assert_int_equal(epoll_create(&outer), 0);
    assert_int_equal(epoll_control(ep, EPOLL_CTL_ADD, 3, r, EPOLLIN, 1), 0);
    assert_int_equal(epoll_control(outer, EPOLL_CTL_ADD, 5, ep, EPOLLIN, 2), 0);
    assert_int_equal(epoll_control(ep, EPOLL_CTL_ADD, 6, outer, EPOLLIN, 2), -ELOOP);
    t_write(w, "x", 1);
    assert_int_equal(epoll_collect(outer, out, 4, 0), 1);
    file_put(r);
    r = NULL;
    assert_int_equal(epoll_collect(ep, out, 4, 0), 0);
    file_put(ep);
    file_put(outer);
}

static char reported[256];
static void report(const char *line)
{
    snprintf(reported, sizeof reported, "%s", line);
}

static void the_terminal_reads_lines(void **state)
{
    struct file *in, *out;
    char buf[32];
    (void)state;
    assert_int_equal(tty_init((const char *const[]){"tty", "tty", "pipe"}, 24, 80), 0);
    tty_set_report(report);
    assert_int_equal(tty_open_standard(0, &in), 0);
    assert_int_equal(tty_open_standard(1, &out), 0);
    file_set_flags(in, O_NONBLOCK);
    assert_int_equal(t_read(in, buf, 32), -EAGAIN);
    memcpy(fake_stream_in, "one\ntwo\n", 8);
    fake_stream_in_len = 8;
    assert_int_equal(t_read(in, buf, 32), 4); /* a line at a time */
    assert_int_equal(t_read(in, buf, 2), 2);
    assert_int_equal(t_read(in, buf, 32), 2);
    fake_stream.eof = true;
    assert_int_equal(t_read(in, buf, 32), 0);
    fake_stream.eof = false;
    assert_int_equal(t_write(out, "hi", 2), 2);
    assert_memory_equal(fake_stream_out, "hi", 2);
    fake_stream_room = 3;
    file_set_flags(out, O_NONBLOCK);
    assert_int_equal(t_write(out, "abcdef", 6), 3);
    assert_int_equal(t_write(out, "def", 3), -EAGAIN);
    unsigned termios[9];
    assert_int_equal(file_ioctl(in, 0x5401, (struct uptr){(uint64_t)termios}), 0);
    termios[3] ^= 2;
    assert_int_equal(file_ioctl(in, 0x5402, (struct uptr){(uint64_t)termios}), 0);
    assert_memory_equal(reported, "termios ", 8);
    assert_int_equal(strlen(strrchr(reported, ' ') + 1), 38);
    file_put(in);
    file_put(out);
    assert_int_equal(tty_open_standard(2, &out), 0);
    assert_int_equal(file_ioctl(out, 0x5401, (struct uptr){(uint64_t)termios}), -ENOTTY);
    file_put(out);
    assert_int_equal(tty_init((const char *const[]){"x", "tty", "pipe"}, 24, 80), -EINVAL);
}

#define PIPE_TEST(name) cmocka_unit_test_setup_teardown(name, open_pipe, close_pipe)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PIPE_TEST(bytes_go_through_in_order),
        PIPE_TEST(small_writes_are_atomic),
        PIPE_TEST(ends_tell_each_other),
        PIPE_TEST(a_broken_pipe_raises),
        PIPE_TEST(the_size_can_change),
        PIPE_TEST(wrong_access_mode),
        PIPE_TEST(bad_memory_loses_nothing),
        PIPE_TEST(the_wait_ends_at_its_deadline),
        PIPE_TEST(a_wake_up_before_sleep_counts),
        PIPE_TEST(poll_of_several),
        PIPE_TEST(eventfd_counts),
        PIPE_TEST(epoll_level_and_edge),
        PIPE_TEST(epoll_forgets_closed_files),
        cmocka_unit_test(the_terminal_reads_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
