/* SPDX-License-Identifier: Apache-2.0 */
/* Host stand-in: one CPU. */
#pragma once

#include "lib/types.h"

#define CPU_MAX 64

struct thread;
struct percpu {
    uint32_t id;
    struct thread *current;
    void *page_cache;
    void *run_queue;
    uint32_t preempt;
};

extern struct percpu fake_percpu;
static inline struct percpu *percpu(void)
{
    return &fake_percpu;
}
static inline struct percpu *percpu_of(unsigned cpu)
{
    (void)cpu;
    return &fake_percpu;
}
static inline struct thread *percpu_current(void)
{
    return fake_percpu.current;
}
static inline unsigned cpu_count(void)
{
    return 1;
}
