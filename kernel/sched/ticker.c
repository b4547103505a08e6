/* SPDX-License-Identifier: Apache-2.0 */
/* Timers of the program: see ticker.h. Lock order: `all_lock`, then a ticker's. */
#include "sched/ticker.h"

#include "sched/clock.h"

#define GAP 20000 /* ns: a shorter interval is counted, but does not interrupt more often */

static struct spinlock all_lock;
static struct list all = LIST_INIT(all); /* those that follow the wall clock */

static uint64_t ticker_now(const struct ticker *t)
{
    return t->by_wall ? clock_wall() : clock_now();
}

static void ticker_arm(struct ticker *t, uint64_t earliest)
{
    uint64_t at = t->next;
    if (t->by_wall) {
        uint64_t wall = clock_wall();
        at = clock_now() + (at > wall ? at - wall : 0);
    }
    timer_arm(&t->timer, MAX(at, earliest));
}

static bool ticker_advance(struct ticker *t)
{
    uint64_t now = ticker_now(t);
    if (!t->on || now < t->next)
        return false;
    uint64_t n = t->interval ? 1 + (now - t->next) / t->interval : 1;
    t->count += n;
    t->next += n * t->interval;
    t->on = t->interval;
    return true;
}

static void ticker_fire(struct timer *timer)
{
    struct ticker *t = CONTAINER_OF(timer, struct ticker, timer);
    spin_lock_raw(&t->lock);
    bool fired = ticker_advance(t);
    if (t->on)
        ticker_arm(t, clock_now() + GAP);
    spin_unlock_raw(&t->lock);
    if (fired && t->fn)
        t->fn(t);
}

void ticker_init(struct ticker *t, bool wall_clock, void (*fn)(struct ticker *t))
{
    *t = (struct ticker){.wall_clock = wall_clock, .fn = fn};
    timer_init(&t->timer, ticker_fire);
    list_init(&t->link);
    if (!wall_clock)
        return;
    irqflags_t flags = spin_lock_irq(&all_lock);
    list_add_tail(&all, &t->link);
    spin_unlock_irq(&all_lock, flags);
}

void ticker_fini(struct ticker *t)
{
    irqflags_t flags = spin_lock_irq(&all_lock);
    list_remove(&t->link);
    spin_unlock_irq(&all_lock, flags);
    flags = spin_lock_irq(&t->lock);
    t->on = false;
    spin_unlock_irq(&t->lock, flags);
    timer_cancel(&t->timer);
}

static void get_locked(struct ticker *t, struct ticker_time *out)
{
    uint64_t now = ticker_now(t);
    out->interval = t->interval;
    out->value = !t->on ? 0 : t->next > now ? t->next - now : 1;
}

void ticker_get(struct ticker *t, struct ticker_time *out)
{
    irqflags_t flags = spin_lock_irq(&t->lock);
    get_locked(t, out);
    spin_unlock_irq(&t->lock, flags);
}

void ticker_set(struct ticker *t, const struct ticker_time *new, bool absolute,
                struct ticker_time *old)
{
    irqflags_t flags = spin_lock_irq(&t->lock);
    get_locked(t, old);
    t->on = new->value; /* one that is switched off may still interrupt once: no harm */
    t->by_wall = absolute && t->wall_clock;
    t->next = absolute ? new->value : clock_now() + new->value;
    t->interval = new->value ? new->interval : 0;
    t->count = t->clock_sets = 0;
    if (t->on)
        ticker_arm(t, 0);
    spin_unlock_irq(&t->lock, flags);
}

uint64_t ticker_take(struct ticker *t)
{
    irqflags_t flags = spin_lock_irq(&t->lock);
    uint64_t n = t->count;
    t->count = 0;
    spin_unlock_irq(&t->lock, flags);
    return n;
}

void ticker_clock_set(void)
{
    irqflags_t flags = spin_lock_irq(&all_lock);
    LIST_FOR_EACH(l, &all)
    {
        struct ticker *t = LIST_ENTRY(l, struct ticker, link);
        spin_lock_raw(&t->lock);
        if (t->by_wall)
            t->clock_sets++;
        if (t->on && t->by_wall)
            ticker_arm(t, 0);
        spin_unlock_raw(&t->lock);
        if (t->fn)
            t->fn(t);
    }
    spin_unlock_irq(&all_lock, flags);
}
