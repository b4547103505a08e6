/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only functions that arch/ calls and folders below it define: where traps,
 * interrupts and system calls enter the portable kernel.
 */
#pragma once

#include "lib/types.h"

struct trap_frame;
struct thread;

_Noreturn void kernel_main(void);                       /* main.c: the boot CPU, on its stack */
_Noreturn void kernel_main_ap(void);                    /* main.c: every other CPU */
void *paging_table_alloc(void);                         /* mem: one zeroed page, NULL if out */
void paging_table_free(void *table);                    /* mem */
void preempt_check(void);                               /* sched: see cpu.h */
void timer_interrupt(void);                             /* sched: the local timer fired */
bool fault_handle(struct trap_frame *f, uint64_t addr); /* vm: page fault; false: unresolved */
void trap_user(struct trap_frame *f, uint64_t addr);    /* proc: a fault of the program -> signal */
void user_return(struct trap_frame *f);      /* proc: work before going back to the program */
long syscall_dispatch(struct trap_frame *f); /* syscall: number in f->rax */
