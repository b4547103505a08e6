/* SPDX-License-Identifier: Apache-2.0 */
/* One-shot timers on the CPU that armed them; tickless. */
#pragma once

#include "lib/rbtree.h"
#include "lib/types.h"

struct timer {
    struct rb_node node;
    uint64_t deadline;           /* clock_now() based */
    void (*fn)(struct timer *t); /* in interrupt context; may arm it again */
    uint32_t cpu;
    bool armed;
};

void timer_init(struct timer *t, void (*fn)(struct timer *t));
/* Arms it, or moves an armed one; by one thread at a time. */
void timer_arm(struct timer *t, uint64_t deadline);
/* True if it was armed. On return fn does not run and will not. Not from fn itself. */
bool timer_cancel(struct timer *t);
/* Programs the timer for what was armed before the clock was calibrated. */
void timer_restart(void);
