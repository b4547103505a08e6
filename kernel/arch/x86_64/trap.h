/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registers a trap, interrupt or system call left behind, at the top of the
 * kernel stack when it came from the program. Offsets are known to trap.S and
 * syscall.S.
 */
#pragma once

#define FRAME_R15      0
#define FRAME_R14      8
#define FRAME_R13      16
#define FRAME_R12      24
#define FRAME_RBP      32
#define FRAME_RBX      40
#define FRAME_R11      48
#define FRAME_R10      56
#define FRAME_R9       64
#define FRAME_R8       72
#define FRAME_RAX      80
#define FRAME_RCX      88
#define FRAME_RDX      96
#define FRAME_RSI      104
#define FRAME_RDI      112
#define FRAME_ORIG_RAX 120
#define FRAME_VECTOR   128
#define FRAME_ERROR    136
#define FRAME_RIP      144
#define FRAME_CS       152
#define FRAME_RFLAGS   160
#define FRAME_RSP      168
#define FRAME_SS       176
#define FRAME_SIZE     184

#define KERNEL_CS 0x10
#define KERNEL_DS 0x18
#define USER_CS   0x33
#define USER_DS   0x2b
#define GDT_TSS   0x40

#define VECTOR_SYSCALL   0x80 /* as frame->vector only */
#define VECTOR_TIMER     0xec
#define VECTOR_RESCHED   0xed
#define VECTOR_TLB       0xee
#define VECTOR_SPURIOUS  0xff
#define VECTOR_IRQ_FIRST 0x30
#define VECTOR_IRQ_LAST  0xeb

#define KSTACK_PAGES 4

#ifndef __ASSEMBLER__
#include "lib/types.h"

struct trap_frame {
    uint64_t r15, r14, r13, r12, rbp, rbx;
    uint64_t r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t orig_rax; /* system call number, or -1 */
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};

static inline bool trap_from_user(const struct trap_frame *f)
{
    return (f->cs & 3) != 0;
}

/* Loads every register from a frame of the program and goes there; for frames that were edited. */
_Noreturn void trap_return(struct trap_frame *f);
/* Fills the IDT (once) and loads it (on each CPU). */
void trap_init(void);
void trap_load(void);
#endif
