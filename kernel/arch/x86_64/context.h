/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a thread keeps while it is switched out: its kernel stack, and for a
 * user thread the FS and GS bases and the extended state (x87, SSE, AVX, ...).
 */
#pragma once

#include "lib/types.h"

struct thread;

struct context {
    uint64_t rsp;       /* saved stack pointer; known to context.S as offset 0 */
    uint64_t stack_top; /* of the kernel stack */
    uint64_t fs_base, gs_base;
    void *fpu; /* fpu_area_create(), NULL for a kernel thread */
};

/* Prepares a stack so that the first switch calls fn(arg), which must not return. */
void context_init(struct context *c, uint64_t stack_top, void (*fn)(void *), void *arg);
/*
 * Switches stacks, bases and extended state. Interrupts are off. Returns in the
 * old thread when somebody switches back to it, with the thread it came from.
 */
struct thread *context_switch(struct context *from, struct context *to, struct thread *self);
/* Writes the running thread's FS base (arch_prctl, clone). */
void context_set_fs(struct context *c, uint64_t base);
uint64_t context_get_fs(struct context *c);
void context_set_gs(struct context *c, uint64_t base);
uint64_t context_get_gs(struct context *c);
