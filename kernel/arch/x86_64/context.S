/* SPDX-License-Identifier: Apache-2.0 */
/* struct thread *context_swap(struct context *from, struct context *to, struct thread *self) */
    .text
    .balign 16
    .globl context_swap
context_swap:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq (%rsi), %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    movq %rdx, %rax
    ret

    /* First code of a new thread: rbx = fn, r12 = arg, rax = the thread before. */
    .globl context_start
context_start:
    movq %rax, %rdi
    call thread_started
    movq %r12, %rdi
    xorl %ebp, %ebp
    call *%rbx
    ud2

    .section .note.GNU-stack, "", @progbits
