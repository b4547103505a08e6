/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to a running machine: see attend.h. A thread of its own reads them, one at
 * a time, and may sleep as long as the answer takes. Traced calls come from the
 * program's threads, which do not wait for the host: they put their lines into a ring,
 * and those that find it full are counted. Lock: ring.lock.
 */
#include "proc/attend.h"

#include <linux/errno.h>

#include "core/log.h"
#include "dev/stream.h"
#include "fs/procfs.h"
#include "fs/volume.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "ops/control.h"
#include "proc/control.h"
#include "proc/procinfo.h"
#include "sched/clock.h"
#include "sched/thread.h"

#define DISK_WAIT (10 * NSEC_PER_SEC) /* for a disk that was plugged in just now */
#define LOG_BYTES 8192
#define RING_SIZE 65536
#define TEXT_LINE 768 /* the longest line that is told */

static struct stream *requests;
static const struct attend_tracer *tracer;

static struct {
    struct spinlock lock;
    struct waitq filled;
    char *bytes;
    size_t head, tail; /* ever put in and taken out */
    unsigned long lost;
} ring = {SPINLOCK_INIT, WAITQ_INIT(ring.filled), NULL, 0, 0, 0};

static void answer(const char *error)
{
    char line[128];
    int n = snprintf(line, sizeof line, "%s%s\n", error ? "error " : "ok", error ? error : "");
    stream_write_all(requests, line, MIN((size_t)n, sizeof line - 1));
}

/* ` TEXT`, with its newline; the length. */
static size_t line_make(char line[TEXT_LINE], const char *text)
{
    line[0] = ' ';
    size_t len = control_escape(line, 1, TEXT_LINE, text);
    line[len++] = '\n';
    return len;
}

static void text_send(struct seq *s)
{
    char line[TEXT_LINE];
    seq_write(s, "\n", 2); /* ends the last line, and the text */
    for (char *at = s->buf; !s->err && *at;) {
        char *end = strchr(at, '\n');
        *end = '\0';
        if (*at || end[1])
            stream_write_all(requests, line, line_make(line, at));
        at = end + 1;
    }
}

static int text_of_log(struct seq *s)
{
    char *last = kmalloc(LOG_BYTES);
    if (!last)
        return -ENOMEM;
    seq_write(s, last, log_copy(last, LOG_BYTES));
    kfree(last);
    return s->err;
}

static int text_read(const char *what, const char **why)
{
    static const char *const files[] = {"meminfo", "net/dev", "net/tcp", "net/tcp6",
                                        "stat",    "uptime",  "loadavg"};
    struct seq s = {.id = -1};
    int err = -ENOENT;
    if (!strcmp(what, "log"))
        err = text_of_log(&s);
    else if (!strcmp(what, "syscalls"))
        tracer->counts(&s), err = s.err;
    else if (!strcmp(what, "threads"))
        procinfo_threads(&s), err = s.err;
    for (unsigned i = 0; i < ARRAY_SIZE(files) && err == -ENOENT; i++)
        if (!strcmp(what, files[i]))
            err = procfs_text(what, &s);
    if (!err)
        text_send(&s);
    err = err ? err : s.err;
    *why = err == -ENOMEM ? "no memory is left for the answer" : "the kernel has no such text";
    seq_reset(&s);
    return err;
}

/* Of a thread of the program; the host gets it as fast as it reads. */
static void ring_put(const char *text)
{
    char line[TEXT_LINE];
    size_t len = line_make(line, text);
    irqflags_t flags = spin_lock_irq(&ring.lock);
    bool room = ring.bytes && RING_SIZE - (ring.head - ring.tail) >= len;
    for (size_t i = 0; room && i < len; i++)
        ring.bytes[ring.head++ % RING_SIZE] = line[i];
    ring.lost += !room;
    spin_unlock_irq(&ring.lock, flags);
    waitq_wake(&ring.filled, 0);
}

/* A piece of what is in the ring, or how much was lost once it is empty; 0: neither. */
static size_t ring_take(char *out, size_t n)
{
    irqflags_t flags = spin_lock_irq(&ring.lock);
    size_t len = MIN(n, ring.head - ring.tail);
    for (size_t i = 0; i < len; i++)
        out[i] = ring.bytes[ring.tail++ % RING_SIZE];
    if (!len && ring.lost) {
        len = (size_t)snprintf(out, n, "lost %lu\n", ring.lost);
        ring.lost = 0;
    }
    spin_unlock_irq(&ring.lock, flags);
    return len;
}

static void ring_set(char *bytes)
{
    irqflags_t flags = spin_lock_irq(&ring.lock);
    char *old = ring.bytes;
    ring.bytes = bytes;
    ring.head = ring.tail = ring.lost = 0;
    spin_unlock_irq(&ring.lock, flags);
    kfree(old);
}

/* Until the host has heard enough: who is traced for says nothing more, only the next one does. */
static void ring_send(void)
{
    struct waiter line, end;
    char part[512];
    waiter_init(&line);
    waiter_init(&end);
    for (;;) {
        waitq_add(&ring.filled, &line);
        waitq_add(&requests->readable, &end);
        size_t n = ring_take(part, sizeof part);
        if (stream_turned(requests))
            break;
        if (!n) {
            thread_block(CLOCK_NEVER, false);
            continue;
        }
        waitq_remove(&line);
        waitq_remove(&end);
        stream_write_all(requests, part, n);
    }
    waitq_remove(&line);
    waitq_remove(&end);
}

/* Answers by itself when all is well. */
static int trace(const char *set, const char **why)
{
    char *bytes = kmalloc(RING_SIZE);
    *why = "no memory is left for it";
    if (!bytes)
        return -ENOMEM;
    ring_set(bytes);
    int err = tracer->start(set, ring_put);
    if (!err) {
        answer(NULL);
        ring_send();
        tracer->stop();
    }
    ring_set(NULL);
    *why = err == -EBUSY ? "it was started with --trace" : "no system call has such a name";
    return err;
}

static void handle(const char *line)
{
    const char *why = "the kernel does not know that request";
    bool traced = !strncmp(line, "trace ", 6);
    int err = -EINVAL;
    if (!strncmp(line, "mount ", 6))
        err = volume_mount(line + 6, clock_now() + DISK_WAIT, &why);
    else if (!strncmp(line, "unmount ", 8))
        err = volume_unmount(line + 8, &why);
    else if (!strncmp(line, "read ", 5))
        err = text_read(line + 5, &why);
    else if (traced)
        err = trace(line + 6, &why);
    if (err)
        log_info("%s: %s (error %d)", line, why, -err);
    if (err || !traced)
        answer(err ? why : NULL);
}

static void attend(void *arg)
{
    static char line[OPS_CONTROL_LINE];
    (void)arg;
    for (;;) {
        stream_read_line(requests, line, sizeof line);
        handle(line);
    }
}

void attend_init(const struct attend_tracer *t)
{
    struct thread *thread;
    tracer = t;
    requests = stream_find(OPS_PORT_INSTANCE);
    if (!requests)
        return;
    int err = thread_create(&thread, "attend", attend, NULL);
    if (err)
        log_error("no requests are answered: error %d", -err);
    else
        thread_start(thread);
}
