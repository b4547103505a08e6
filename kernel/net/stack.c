/* SPDX-License-Identifier: Apache-2.0 */
/* The stack's lock, thread and timers: see stack.h. */
#include "net/stack.h"

#include <linux/errno.h>

#include "core/log.h"
#include "file/wait.h"
#include "lwip/etharp.h"
#include "lwip/igmp.h"
#include "lwip/init.h"
#include "lwip/ip4_frag.h"
#include "lwip/ip6_frag.h"
#include "lwip/mld6.h"
#include "lwip/nd6.h"
#include "lwip/sys.h"
#include "net/interface.h"
#include "net/link.h"
#include "net/neighbour.h"
#include "net/ntp.h"
#include "net/tcp_listen.h"
#include "net/tcp_options.h"
#include "net/tcp_table.h"
#include "sched/clock.h"
#include "sched/mutex.h"
#include "sched/thread.h"
#include "sched/timer.h"

#define TICK_NS   (NSEC_PER_SEC / 1000 * TCP_SLOW_INTERVAL)
#define SECOND_MS 1000u

/*
 * A device is told of frames ("kicked", which leaves the guest) at once when that was not done for
 * a while. What follows closely is held back, until it is enough, its sender or the CPU have
 * nothing more to do, or the time is over.
 */
#define HOLD_NS     (200 * NSEC_PER_SEC / 1000000)
#define HOLD_FRAMES 8
#define HOLD_BYTES  (128u << 10)

static struct mutex lock = MUTEX_INIT(lock);
static struct waitq work = WAITQ_INIT(work);
static volatile bool work_there;
static struct timer timer;
static bool running;
static uint64_t last_second; /* ms, when the slow timers ran */
static uint64_t told;        /* when the devices were told last */
static unsigned held;        /* frames that they were not told of when that was looked at last */
static volatile bool owed;   /* they have frames that they were not told of */
static struct timer hold;    /* until then */
static struct spinlock hold_lock = SPINLOCK_INIT; /* arming it */

void *net_calloc(size_t count, size_t size)
{
    return size && count > SIZE_MAX / size ? NULL : kzalloc(count * size);
}

u32_t sys_now(void)
{
    return stack_now_ms();
}

uint32_t stack_now_ms(void)
{
    return (uint32_t)(clock_now() / (NSEC_PER_SEC / 1000));
}

void stack_lock(void)
{
    mutex_lock(&lock);
}

/* Until nothing is left to do: when the timers are to run next. */
static uint64_t next_deadline(uint64_t now)
{
    if (tcp_table_busy())
        return now + TICK_NS;
    if (tcp_table_any() || link_any())
        return now + NSEC_PER_SEC;
    return CLOCK_NEVER;
}

/*
 * The timers of lwIP that count seconds. Those of multicast reports count tenths and are run
 * ten at a time: an idle machine shall not wake for them, and a report may be a second late.
 */
static void second_passed(void)
{
    etharp_tmr();
    ip_reass_tmr();
    nd6_tmr();
    ip6_reass_tmr();
    for (unsigned i = 0; i < SECOND_MS / IGMP_TMR_INTERVAL; i++) {
        igmp_tmr();
        mld6_tmr();
    }
    neighbour_tick();
    interface_tick();
    ntp_tick();
    tcp_options_tick();
    tcp_listen_tick();
}

static void timers_run(void)
{
    uint64_t now = clock_now() / (NSEC_PER_SEC / 1000);
    tcp_table_tick();
    if (now - last_second >= SECOND_MS) {
        last_second = now;
        second_passed();
        tcp_table_sweep();
    }
}

static void devices_tell(void)
{
    link_kick();
    told = clock_now();
    held = 0;
    owed = false;
}

static void hold_arm(void)
{
    irqflags_t flags = spin_lock_irq(&hold_lock);
    if (!hold.armed)
        timer_arm(&hold, told + HOLD_NS);
    spin_unlock_irq(&hold_lock, flags);
}

static void devices_tell_soon(void)
{
    struct link_unkicked u = link_unkicked();
    if (u.frames == held)
        return;
    held = u.frames;
    if (u.frames >= HOLD_FRAMES || u.bytes >= HOLD_BYTES || clock_now() - told >= HOLD_NS) {
        devices_tell();
    } else if (!owed) {
        owed = true;
        hold_arm();
    }
}

/* Any context. */
static bool tell_now(void)
{
    if (!mutex_trylock(&lock))
        return false;
    devices_tell();
    mutex_unlock(&lock);
    return true;
}

static void hold_over(struct timer *t)
{
    (void)t;
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* it is not armed any more: then is it owed? */
    if (!owed)
        return;
    if (clock_now() - told < HOLD_NS)
        hold_arm();
    else if (!tell_now())
        stack_wake(); /* whoever has the lock may hold back more */
}

/* Somebody goes to sleep, or a CPU does: nothing more will come from there. Any context. */
static void settle(void)
{
    if (owed)
        tell_now();
}

void stack_unlock(void)
{
    link_loop();
    devices_tell_soon();
    /* A connection that just began to wait for an answer needs the fast timer. */
    if (tcp_table_busy() && (!timer.armed || timer.deadline > clock_now() + 2 * TICK_NS))
        timer_arm(&timer, clock_now() + TICK_NS);
    mutex_unlock(&lock);
}

void stack_wake(void)
{
    work_there = true;
    waitq_wake(&work, 0);
}

static void timer_fired(struct timer *t)
{
    (void)t;
    stack_wake();
}

static void wait_for_work(void)
{
    struct waiter w;
    waiter_init(&w);
    for (;;) {
        waitq_add(&work, &w);
        if (work_there)
            break;
        thread_block(CLOCK_NEVER, false);
    }
    waitq_remove(&w);
}

/* The stack's thread: frames while there are any, then timers, then sleep. */
static void run(void *arg)
{
    (void)arg;
    for (;;) {
        wait_for_work();
        work_there = false;
        stack_lock();
        bool more = link_poll();
        timers_run();
        if (more)
            work_there = true;
        uint64_t next = next_deadline(clock_now());
        if (next == CLOCK_NEVER)
            timer_cancel(&timer);
        else
            timer_arm(&timer, next);
        stack_unlock();
    }
}

int stack_start(void)
{
    struct thread *t;
    int err = 0;
    stack_lock();
    if (!running) {
        err = tcp_table_init();
        if (!err)
            err = thread_create(&t, "net", run, NULL);
        if (!err) {
            lwip_init();
            timer_init(&timer, timer_fired);
            timer_init(&hold, hold_over);
            wait_sleep_hook = thread_idle_hook = settle;
            interface_start();
            running = true;
            thread_start(t);
            stack_wake();
        }
    }
    mutex_unlock(&lock);
    return err;
}

int stack_enter(void)
{
    int err = stack_start();
    if (!err)
        stack_lock();
    return err;
}
