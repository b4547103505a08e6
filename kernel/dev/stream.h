/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte streams to the world outside the guest: the ports named in
 * include/ops/control.h, or the serial line in their place. Drivers register
 * them by name; the tty and the control channel use them.
 */
#pragma once

#include "sched/waitq.h"

struct stream;

struct stream_ops {
    /* Bytes taken now, 0 when full (`writable` is woken later). Any context, no sleep. */
    size_t (*write)(struct stream *s, const void *buf, size_t n);
    /* Bytes read, 0 when none are there; `eof` tells whether any can come. */
    size_t (*read)(struct stream *s, void *buf, size_t n);
    bool (*can_read)(struct stream *s);
    bool (*can_write)(struct stream *s);
    /*
     * Waits until all that was written has left the guest. With interrupts on
     * (thread context) it sleeps as long as the host takes; with interrupts off
     * it polls and gives up after a second without progress.
     */
    void (*drain)(struct stream *s);
};

struct stream {
    const struct stream_ops *ops;
    const char *name;
    bool eof;              /* the host closed its end: reads give 0 */
    struct waitq readable; /* woken when data or end of file arrive */
    struct waitq writable; /* woken when there is room again */
    struct list link;
};

/* Writes everything, waiting for the host where it must; interrupts off: polls. */
void stream_write_all(struct stream *s, const void *data, size_t n);

/*
 * The next line without its newline, terminated, cut at n - 1 bytes; one that the host's
 * end of the stream cuts off is dropped. Sleeps.
 */
void stream_read_line(struct stream *s, char *line, size_t n);

/* Has the host closed its end, or, perhaps another one by now, something new to say? */
bool stream_turned(struct stream *s);

void stream_register(struct stream *s);       /* any context */
struct stream *stream_find(const char *name); /* NULL if nobody registered it */
/*
 * As stream_find(), but while a device still announces its ports waits for the
 * name until `deadline` (clock_now() based). Sleeps.
 */
struct stream *stream_wait(const char *name, uint64_t deadline);
/* A device will register streams; what it has are not known yet. */
void stream_expect(void);
bool stream_expected(void);

/*
 * For panic, with every other CPU stopped: from now on drivers of streams take
 * no locks and wake nobody.
 */
void stream_emergency_begin(void);
bool stream_emergency(void);
