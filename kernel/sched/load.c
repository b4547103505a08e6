/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load averages: see load.h. With every sample n an average moves towards it:
 * a = a * decay + n * (1 - decay), decay = e^(-5 s / its length). Lock: load_lock,
 * interrupts off.
 */
#include "sched/load.h"

#include "core/spinlock.h"
#include "sched/clock.h"
#include "sched/thread.h"

#define ONE (1ull << LOAD_SHIFT)

static const uint64_t decay[LOAD_AVERAGES] = {964736, 1031245, 1042767}; /* times ONE */

volatile uint64_t load_next = LOAD_PERIOD;

static struct spinlock load_lock;
static uint64_t averages[LOAD_AVERAGES];

/* base^n, in units of 1 / ONE. */
static uint64_t power(uint64_t base, uint64_t n)
{
    uint64_t result = ONE;
    for (; n; n >>= 1) {
        if (n & 1)
            result = result * base >> LOAD_SHIFT;
        base = base * base >> LOAD_SHIFT;
    }
    return result;
}

void load_sample(uint64_t now, unsigned active)
{
    irqflags_t flags = spin_lock_irq(&load_lock);
    if (now >= load_next) {
        uint64_t samples = 1 + (now - load_next) / LOAD_PERIOD;
        for (unsigned i = 0; i < LOAD_AVERAGES; i++) {
            uint64_t keep = power(decay[i], samples);
            averages[i] = (averages[i] * keep >> LOAD_SHIFT) + active * (ONE - keep);
        }
        load_next += samples * LOAD_PERIOD;
    }
    spin_unlock_irq(&load_lock, flags);
}

void load_get(uint64_t average[LOAD_AVERAGES])
{
    uint64_t now = clock_now();
    if (now >= load_next)
        load_sample(now, thread_active());
    irqflags_t flags = spin_lock_irq(&load_lock);
    for (unsigned i = 0; i < LOAD_AVERAGES; i++)
        average[i] = averages[i];
    spin_unlock_irq(&load_lock, flags);
}
