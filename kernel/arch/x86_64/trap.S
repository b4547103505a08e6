/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry of exceptions and interrupts. Each of the 256 stubs pushes error code
 * and vector and joins trap_common, which completes a struct trap_frame and
 * calls trap_dispatch(frame). Vectors with a stack of their own (IST) may come
 * at any instruction, so they look at the GS base itself before swapgs.
 */
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/trap.h"

.macro PUSH_REGS
    pushq $-1 /* orig_rax; the stub's vector and error are above */
    pushq %rdi
    pushq %rsi
    pushq %rdx
    pushq %rcx
    pushq %rax
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
.endm

.macro POP_REGS
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rax
    popq %rcx
    popq %rdx
    popq %rsi
    popq %rdi
.endm

    .section .text.entry, "ax"
    .balign 16
    .globl trap_stubs
trap_stubs:
    .set vector, 0
    .rept 256
    .balign 16
    .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30
    /* the CPU pushed an error code */
    .else
    pushq $0
    .endif
    pushq $vector
    .if vector == 1 || vector == 2 || vector == 8 || vector == 18
    jmp trap_paranoid
    .else
    jmp trap_common
    .endif
    .set vector, vector + 1
    .endr

    .balign 16
trap_common:
    cld
    PUSH_REGS
    testb $3, FRAME_CS(%rsp)
    jz 1f
    swapgs
1:  movq %rsp, %rdi
    xorl %ebp, %ebp
    call trap_dispatch
    testb $3, FRAME_CS(%rsp)
    jz trap_restore
trap_to_user:
    /* interrupts are off; leave only when no work is pending */
    cmpl $0, %gs:PERCPU_WORK
    jne 3f
2:  swapgs
trap_restore:
    POP_REGS
    addq $24, %rsp /* orig_rax, vector, error */
    .globl trap_iretq
trap_iretq:
    iretq
3:  movq %rsp, %rdi
    call user_return
    jmp 2b

    /* void trap_return(struct trap_frame *f): the frame is the one at the top of the stack */
    .globl trap_return
trap_return:
    cli
    movq %rdi, %rsp
    jmp trap_to_user

    .balign 16
trap_paranoid:
    cld
    PUSH_REGS
    movl $0xc0000101, %ecx
    rdmsr
    xorl %ebx, %ebx
    testl %edx, %edx
    js 1f
    swapgs
    incl %ebx
1:  movq %rsp, %rdi
    xorl %ebp, %ebp
    call trap_dispatch
    testl %ebx, %ebx
    jz 2f
    swapgs
2:  jmp trap_restore

    .section .note.GNU-stack, "", @progbits
