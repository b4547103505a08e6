/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The standard streams and the controlling terminal: see tty.h. `struct tty` is
 * one of the three streams; terminal modes and size are common to all. Input
 * waits in a buffer here so that a canonical read can end at its line.
 * Locks: tty.lock (mutex) for the input buffer; `modes_lock` (spin) for modes.
 */
#include "file/tty.h"

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <asm/termios.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/poll.h>
#include <ops/control.h>

#include "dev/stream.h"
#include "file/mode.h"
#include "file/poll.h"
#include "lib/fmt.h"
#include "lib/string.h"

#define INPUT_SIZE   1024
#define OUTPUT_CHUNK 1024
#define RDEV_NULL    (1u << 8 | 3)
#define RDEV_PTS     (136u << 8)

enum tty_kind { TTY_NULL, TTY_PIPE, TTY_TERMINAL };

struct tty {
    enum tty_kind kind;
    struct stream *stream; /* NULL: none, behaves as null */
    struct mutex lock;
    size_t head, used; /* of input */
    uint64_t written;  /* bytes of output so far; atomic */
    char input[INPUT_SIZE];
    uint64_t ino;
};

static struct tty tty[3];
static bool error_is_output; /* the host has one file for both */
static struct spinlock modes_lock;
static struct winsize window;
static tty_report_fn *report;
static int own_pid = 1;
static struct termios modes = {
    .c_iflag = ICRNL | IXON | IUTF8,
    .c_oflag = OPOST | ONLCR,
    .c_cflag = B38400 | CS8 | CREAD,
    .c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
    .c_cc = {[VINTR] = 3,
             [VQUIT] = 28,
             [VERASE] = 127,
             [VKILL] = 21,
             [VEOF] = 4,
             [VMIN] = 1,
             [VSTART] = 17,
             [VSTOP] = 19,
             [VSUSP] = 26,
             [VREPRINT] = 18,
             [VDISCARD] = 15,
             [VWERASE] = 23,
             [VLNEXT] = 22},
};

int tty_init(const char *const kinds[3], unsigned rows, unsigned columns)
{
    static const char *const ports[] = {OPS_PORT_STDIN, OPS_PORT_STDOUT, OPS_PORT_STDERR};
    static const char *const words[] = {
        [TTY_NULL] = "null", [TTY_PIPE] = "pipe", [TTY_TERMINAL] = "tty"};
    error_is_output = !strcmp(kinds[2], "stdout");
    for (int i = 0; i < (error_is_output ? 2 : 3); i++) {
        unsigned k = 0;
        while (k < ARRAY_SIZE(words) && strcmp(kinds[i], words[k]))
            k++;
        if (k == ARRAY_SIZE(words))
            return -EINVAL;
        tty[i].kind = (enum tty_kind)k;
        tty[i].stream = k == TTY_NULL ? NULL : stream_find(ports[i]);
        tty[i].ino = file_next_ino();
        mutex_init(&tty[i].lock);
    }
    tty_set_winsize(rows, columns);
    return 0;
}

void tty_set_winsize(unsigned rows, unsigned columns)
{
    spin_lock(&modes_lock);
    window.ws_row = (unsigned short)rows;
    window.ws_col = (unsigned short)columns;
    spin_unlock(&modes_lock);
}

void tty_set_report(tty_report_fn *fn)
{
    report = fn;
}

void tty_set_pid(int pid)
{
    own_pid = pid;
}

/* Takes what the stream has into the buffer; its lock is held. */
static void input_fill(struct tty *t)
{
    while (t->used < INPUT_SIZE) {
        size_t tail = (t->head + t->used) % INPUT_SIZE;
        size_t room = MIN(INPUT_SIZE - tail, INPUT_SIZE - t->used);
        size_t n = t->stream->ops->read(t->stream, t->input + tail, room);
        t->used += n;
        if (n < room)
            return;
    }
}

/* Bytes a read may take from the front in one piece; *end: the line ends with them. */
static size_t input_piece(const struct tty *t, size_t want, bool lines, bool *end)
{
    size_t n = MIN(MIN(want, t->used), INPUT_SIZE - t->head);
    const char *nl = lines ? memchr(t->input + t->head, '\n', n) : NULL;
    *end = nl != NULL;
    return nl ? (size_t)(nl - (t->input + t->head)) + 1 : n;
}

static ssize_t tty_take(struct tty *t, struct uio *u)
{
    bool lines = t->kind == TTY_TERMINAL && (modes.c_lflag & ICANON), end = false;
    size_t start = u->done;
    int err = 0;
    while (u->left && t->used && !end && !err) {
        size_t n = input_piece(t, u->left, lines, &end), before = u->done;
        err = uio_copy_out(u, t->input + t->head, n);
        t->head = (t->head + (u->done - before)) % INPUT_SIZE;
        t->used -= u->done - before;
        if (!t->used && !end)
            input_fill(t);
    }
    if (u->done > start)
        return (ssize_t)(u->done - start);
    return err ? err : t->stream->eof ? 0 : -EAGAIN;
}

/* Where a file reads: the terminal's input is stdin's stream. */
static struct tty *tty_input(struct tty *t)
{
    return t->kind == TTY_TERMINAL && tty[0].kind == TTY_TERMINAL ? &tty[0] : t;
}

static ssize_t tty_read(struct file *f, struct uio *u, uint64_t *pos)
{
    struct tty *t = tty_input(f->priv);
    (void)pos;
    if (!t->stream || !u->left)
        return 0;
    mutex_lock(&t->lock);
    input_fill(t);
    ssize_t n = tty_take(t, u);
    mutex_unlock(&t->lock);
    return n;
}

/* Where a file writes: /dev/tty and a terminal on stdin go to a terminal's output. */
static struct tty *tty_output(struct tty *t)
{
    if (t != &tty[0])
        return t;
    return tty[1].kind == TTY_TERMINAL ? &tty[1] : &tty[2];
}

/* tcdrain(3): until the host has taken what was written. */
static void output_drain(struct tty *t)
{
    struct stream *s = tty_output(t)->stream;
    if (s)
        s->ops->drain(s);
}

/* What has come and was not read yet is dropped. */
static void input_flush(struct tty *t)
{
    struct tty *in = tty_input(t);
    if (!in->stream)
        return;
    mutex_lock(&in->lock);
    do {
        in->used = 0;
        input_fill(in);
    } while (in->used);
    mutex_unlock(&in->lock);
}

static ssize_t tty_write(struct file *f, struct uio *u, uint64_t *pos)
{
    struct tty *t = tty_output(f->priv);
    struct stream *s = t->stream;
    char chunk[OUTPUT_CHUNK];
    size_t first = u->done;
    int err = 0;
    (void)pos;
    if (!s) {
        u->done += u->left;
        u->left = 0;
        return (ssize_t)(u->done - first);
    }
    while (u->left && !err) {
        struct uio start = *u;
        size_t n = MIN(u->left, sizeof chunk);
        err = uio_copy_in(u, chunk, n);
        if (err)
            break;
        size_t taken = s->ops->write(s, chunk, n);
        __atomic_fetch_add(&t->written, taken, __ATOMIC_RELAXED);
        if (taken < n) {
            uio_revert(u, n - taken, &start);
            err = -EAGAIN;
        }
    }
    return u->done > first ? (ssize_t)(u->done - first) : err;
}

static uint32_t tty_poll(struct file *f, struct poll_table *pt)
{
    struct tty *in = tty_input(f->priv), *out = tty_output(f->priv);
    uint32_t bits = 0;
    if (file_readable(f)) {
        if (in->stream)
            poll_add(pt, &in->stream->readable);
        if (!in->stream || in->used || in->stream->eof || in->stream->ops->can_read(in->stream))
            bits |= POLLIN | POLLRDNORM;
        if (in->stream && in->stream->eof && !in->used)
            bits |= POLLHUP;
    }
    if (file_writable(f)) {
        if (out->stream)
            poll_add(pt, &out->stream->writable);
        if (!out->stream || out->stream->ops->can_write(out->stream))
            bits |= POLLOUT | POLLWRNORM;
    }
    return bits;
}

static void modes_report(const struct termios *t)
{
    char line[128];
    if (!report)
        return;
    uint64_t at = __atomic_load_n(&tty[1].written, __ATOMIC_RELAXED);
    int n = snprintf(line, sizeof line, "termios %lu %x %x %x %x ", at, t->c_iflag, t->c_oflag,
                     t->c_cflag, t->c_lflag);
    for (unsigned i = 0; i < NCCS; i++)
        n += snprintf(line + n, sizeof line - (size_t)n, "%02x", t->c_cc[i]);
    report(line);
}

/* The modes change between what was written before and what is written afterwards. */
static long modes_set(struct tty *t, unsigned cmd, struct uptr arg)
{
    struct termios fresh;
    int err = copy_from_user(&fresh, arg, sizeof fresh);
    if (err)
        return err;
    if (cmd != TCSETS)
        output_drain(t);
    if (cmd == TCSETSF)
        input_flush(t);
    spin_lock(&modes_lock);
    bool changed = memcmp(&modes, &fresh, sizeof fresh) != 0;
    modes = fresh;
    spin_unlock(&modes_lock);
    if (changed)
        modes_report(&fresh);
    return 0;
}

static long modes_get(struct uptr arg)
{
    struct termios now;
    spin_lock(&modes_lock);
    now = modes;
    spin_unlock(&modes_lock);
    return copy_to_user(arg, &now, sizeof now);
}

static long input_count(struct tty *t, struct uptr arg)
{
    mutex_lock(&t->lock);
    if (t->stream)
        input_fill(t);
    int n = (int)t->used;
    mutex_unlock(&t->lock);
    return copy_to_user(arg, &n, sizeof n);
}

static long queue_flush(struct tty *t, uint64_t which)
{
    if (which > TCIOFLUSH)
        return -EINVAL;
    if (which != TCOFLUSH) /* output does not wait here */
        input_flush(t);
    return 0;
}

static long terminal_ioctl(struct tty *t, unsigned cmd, struct uptr arg)
{
    struct winsize w;
    long err;
    switch (cmd) {
    case TCGETS:
        return modes_get(arg);
    case TCSETS:
    case TCSETSW:
    case TCSETSF:
        return modes_set(t, cmd, arg);
    case TIOCGWINSZ:
        spin_lock(&modes_lock);
        w = window;
        spin_unlock(&modes_lock);
        return copy_to_user(arg, &w, sizeof w);
    case TIOCSWINSZ:
        err = copy_from_user(&w, arg, sizeof w);
        if (!err)
            tty_set_winsize(w.ws_row, w.ws_col);
        return err;
    case TIOCGPGRP:
    case TIOCGSID:
        return copy_to_user(arg, &own_pid, sizeof own_pid);
    case TCSBRK:
        output_drain(t);
        return 0;
    case TCFLSH:
        return queue_flush(t, arg.addr);
    case TIOCSPGRP:
    case TIOCSCTTY:
    case TCXONC:
        return 0;
    default:
        return -ENOTTY;
    }
}

static long tty_ioctl(struct file *f, unsigned cmd, struct uptr arg)
{
    struct tty *t = f->priv;
    if (cmd == FIONREAD && t->kind != TTY_NULL)
        return input_count(tty_input(t), arg);
    return t->kind == TTY_TERMINAL ? terminal_ioctl(t, cmd, arg) : -ENOTTY;
}

static int tty_stat(struct file *f, struct file_stat *st)
{
    struct tty *t = f->priv;
    if (t->kind == TTY_PIPE) {
        file_stat_anonymous(st, S_IFIFO | 0600, t->ino);
        return 0;
    }
    file_stat_anonymous(st, S_IFCHR | (t->kind == TTY_NULL ? 0666 : 0620), 3);
    st->rdev = t->kind == TTY_NULL ? RDEV_NULL : RDEV_PTS;
    return 0;
}

static const struct file_ops tty_ops = {
    .read = tty_read,
    .write = tty_write,
    .poll = tty_poll,
    .ioctl = tty_ioctl,
    .stat = tty_stat,
};

int tty_open_standard(int which, struct file **out)
{
    if (which == 2 && error_is_output)
        which = 1;
    uint32_t flags = tty[which].kind == TTY_TERMINAL ? O_RDWR : which ? O_WRONLY : O_RDONLY;
    *out = file_create(&tty_ops, flags, &tty[which]);
    return *out ? 0 : -ENOMEM;
}

int tty_open(uint32_t flags, struct file **out)
{
    if (tty[0].kind != TTY_TERMINAL && tty[1].kind != TTY_TERMINAL)
        return -ENXIO;
    *out = file_create(&tty_ops, flags, &tty[tty[0].kind == TTY_TERMINAL ? 0 : 1]);
    return *out ? 0 : -ENOMEM;
}
