/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System call entry. The fast path saves what C code may clobber and jumps
 * through the table; the registers C preserves (rbx, rbp, r12-r15) are stored
 * in the frame only when somebody needs them: work on the way out, a traced
 * call, or a call that copies the frame (syscall_full_*).
 */
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/trap.h"

.macro SYSCALL_ENTER
    swapgs
    movq %rsp, %gs:PERCPU_USER_RSP
    movq %gs:PERCPU_KERNEL_RSP, %rsp
    pushq $USER_DS
    pushq %gs:PERCPU_USER_RSP
    pushq %r11
    pushq $USER_CS
    pushq %rcx
    pushq $0
    pushq $VECTOR_SYSCALL
    pushq %rax
    sti
    pushq %rdi
    pushq %rsi
    pushq %rdx
    pushq %rcx
    pushq $-38 /* rax: -ENOSYS until somebody answers */
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    subq $48, %rsp
.endm

.macro SAVE_PRESERVED off
    movq %rbx, \off+FRAME_RBX(%rsp)
    movq %rbp, \off+FRAME_RBP(%rsp)
    movq %r12, \off+FRAME_R12(%rsp)
    movq %r13, \off+FRAME_R13(%rsp)
    movq %r14, \off+FRAME_R14(%rsp)
    movq %r15, \off+FRAME_R15(%rsp)
.endm

    .section .text.entry, "ax"
    .balign 64
    .globl syscall_entry
syscall_entry:
    SYSCALL_ENTER
    movl %eax, %eax /* the number is an int: upper bits do not count */
    cmpq $SYSCALL_TABLE_SIZE, %rax
    jae 9f
    incq %gs:PERCPU_CALLS(, %rax, 8)
    movq %r10, %rcx
    call *syscall_table(, %rax, 8)
syscall_exit:
    cli
    cmpl $0, %gs:PERCPU_WORK
    jne syscall_exit_work
    movq FRAME_RDI(%rsp), %rdi
    movq FRAME_RSI(%rsp), %rsi
    movq FRAME_RDX(%rsp), %rdx
    movq FRAME_R8(%rsp), %r8
    movq FRAME_R9(%rsp), %r9
    movq FRAME_R10(%rsp), %r10
    movq FRAME_R11(%rsp), %r11
    movq FRAME_RIP(%rsp), %rcx
    movq FRAME_RSP(%rsp), %rsp
    swapgs
    sysretq
9:  movq %rax, %rdi
    call syscall_unknown
    jmp syscall_exit

syscall_exit_work:
    movq %rax, FRAME_RAX(%rsp)
    SAVE_PRESERVED 0
    movq %rsp, %rdi
    jmp trap_return

    /* With --trace: everything goes through C. */
    .balign 16
    .globl syscall_entry_traced
syscall_entry_traced:
    SYSCALL_ENTER
    SAVE_PRESERVED 0
    movq %rsp, %rdi
    call syscall_dispatch
    jmp syscall_exit

    /* Calls that need the whole frame: the table leads to sys_full_<name>. */
.macro FULL name
    .balign 16
    .globl sys_full_\name
sys_full_\name:
    SAVE_PRESERVED 8
    jmp sys_\name
.endm
    FULL clone
    FULL clone3
    FULL fork
    FULL vfork
    FULL execve
    FULL execveat
    FULL rt_sigreturn

    .section .note.GNU-stack, "", @progbits
