/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry of byte streams. Main struct: stream. Lock: streams_lock
 * (interrupts off; drivers register from interrupt handlers) around the list;
 * streams are never removed.
 */
#include "dev/stream.h"

#include "lib/string.h"
#include "sched/thread.h"

static struct spinlock streams_lock = SPINLOCK_INIT;
static struct list streams = LIST_INIT(streams);
static struct waitq registered = WAITQ_INIT(registered);
static bool expected, emergency;

void stream_write_all(struct stream *s, const void *data, size_t n)
{
    for (const char *p = data; n;) {
        size_t done = s->ops->write(s, p, n);
        if (!done)
            s->ops->drain(s);
        p += done;
        n -= done;
    }
}

void stream_read_line(struct stream *s, char *line, size_t n)
{
    struct waiter w;
    size_t len = 0;
    waiter_init(&w);
    for (char c = '\0'; c != '\n';) {
        waitq_add(&s->readable, &w);
        if (!s->ops->read(s, &c, 1)) {
            len = s->eof ? 0 : len;
            thread_block(CLOCK_NEVER, false);
            continue;
        }
        waitq_remove(&w);
        if (c != '\n' && len < n - 1)
            line[len++] = c;
    }
    line[len] = '\0';
}

bool stream_turned(struct stream *s)
{
    return s->eof || s->ops->can_read(s);
}

void stream_register(struct stream *s)
{
    irqflags_t flags = spin_lock_irq(&streams_lock);
    list_add_tail(&streams, &s->link);
    spin_unlock_irq(&streams_lock, flags);
    waitq_wake(&registered, 0);
}

struct stream *stream_find(const char *name)
{
    struct stream *found = NULL;
    irqflags_t flags = spin_lock_irq(&streams_lock);
    LIST_FOR_EACH(l, &streams)
    {
        struct stream *s = LIST_ENTRY(l, struct stream, link);
        if (!strcmp(s->name, name)) {
            found = s;
            break;
        }
    }
    spin_unlock_irq(&streams_lock, flags);
    return found;
}

struct stream *stream_wait(const char *name, uint64_t deadline)
{
    struct stream *s;
    struct waiter w;
    int err = 0;
    waiter_init(&w);
    for (;;) {
        waitq_add(&registered, &w);
        s = stream_find(name);
        if (s || err || !expected)
            break;
        err = thread_block(deadline, false);
    }
    waitq_remove(&w);
    return s;
}

void stream_expect(void)
{
    expected = true;
}

bool stream_expected(void)
{
    return expected;
}

void stream_emergency_begin(void)
{
    emergency = true;
}

bool stream_emergency(void)
{
    return emergency;
}
