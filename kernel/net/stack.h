/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Internet stack: lwIP (net/lwip/ is its port) under one lock. Whoever calls
 * lwIP, or touches what its call-backs touch, holds the stack lock; it is a
 * mutex, so user memory may be copied under it. One thread receives frames and
 * runs the timers. The stack starts with the first Internet socket: a program
 * without one pays nothing.
 * Order: descriptor > stack lock > wait queues.
 */
#pragma once

#include "lib/types.h"

/* Starts it if it does not run yet. May sleep. -ENOMEM. */
int stack_start(void);
/* The same, and locks it: for who may be the first to look at it. */
int stack_enter(void);
void stack_lock(void); /* of a stack that runs */
/* The devices learn of what was queued at once or within a fifth of a millisecond. */
void stack_unlock(void);
/* Something to do for the stack's thread. Any context. */
void stack_wake(void);
/* Seconds and milliseconds of lwIP's clock. */
uint32_t stack_now_ms(void);
