/* SPDX-License-Identifier: Apache-2.0 */
/* The program's end: see finish.h. */
#include "net/finish.h"

#include "file/fdtable.h"
#include "lwip/priv/tcp_priv.h"
#include "net/link.h"
#include "net/socket.h"
#include "net/tcp_table.h"
#include "sched/clock.h"
#include "sched/thread.h"

#define MS          (NSEC_PER_SEC / 1000)
#define ENDS_WAIT   (500 * MS) /* for ends of connections, which nothing depends on */
#define FRAMES_WAIT (100 * MS)
#define PAUSE_MOST  (20 * MS) /* between two looks */

/* What the other ends have not acknowledged. */
struct outstanding {
    unsigned data;         /* connections with bytes under way */
    unsigned ends;         /* such that only wait for that of their end */
    uint64_t acknowledged; /* changes when something was */
};

/* One that waits in close(2) (SO_LINGER) would wait twice. */
static void close_sockets(struct fd_table *fds)
{
    for (int fd = fd_next(fds, 0); fd >= 0; fd = fd_next(fds, fd + 1)) {
        struct file *f;
        if (fd_get(fds, fd, &f))
            continue;
        struct socket *s = socket_of(f);
        if (s && s->linger[1] > 0)
            s->linger[0] = 0;
        file_put(f);
        if (s)
            fd_close(fds, fd);
    }
}

static void count(const struct tcp_pcb *pcb, void *arg)
{
    struct outstanding *o = arg;
    if (pcb->state < ESTABLISHED || pcb->state == TIME_WAIT)
        return;
    o->acknowledged += pcb->lastack;
    if ((pcb->unacked && pcb->unacked->len) || (pcb->unsent && pcb->unsent->len))
        o->data++;
    else
        o->ends += pcb->unacked || pcb->unsent;
}

static struct outstanding look(void)
{
    struct outstanding o = {0};
    stack_lock();
    tcp_table_each(count, &o);
    stack_unlock();
    return o;
}

static void wait_for_peers(void)
{
    uint64_t begin = clock_now(), progress = begin, pause = MS / 4, acknowledged = 0;
    for (;;) {
        struct outstanding o = look();
        uint64_t now = clock_now();
        if (o.acknowledged != acknowledged)
            progress = now;
        acknowledged = o.acknowledged;
        if ((!o.data && !o.ends) || now - begin > FINISH_MOST * NSEC_PER_SEC ||
            now - progress > (o.data ? FINISH_STALL * NSEC_PER_SEC : ENDS_WAIT))
            return;
        thread_sleep_until(now + pause);
        pause = MIN(2 * pause, PAUSE_MOST);
    }
}

static void wait_for_devices(void)
{
    uint64_t deadline = clock_now() + FRAMES_WAIT;
    for (;;) {
        stack_lock();
        bool out = link_sent_all();
        stack_unlock();
        if (out || clock_now() > deadline)
            return;
        thread_sleep_until(clock_now() + MS / 4);
    }
}

void net_finish(struct fd_table *fds)
{
    close_sockets(fds);
    if (!link_any())
        return;
    wait_for_peers();
    wait_for_devices();
}
