/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the other CPUs wake up: in real mode at the start of a page below
 * 1 MiB. The code is copied there, finds its page from CS and its parameters
 * at the end, and ends in smp_enter(id) on the stack it was given.
 */
#define OFF(sym) (sym - trampoline_start)

    .section .rodata
    .balign 16
    .globl trampoline_start, trampoline_end, trampoline_params
    .code16
trampoline_start:
    cli
    cld
    xorl %ebx, %ebx
    movw %cs, %bx
    shll $4, %ebx /* ebx: where this page is */
    movw %cs, %ax
    movw %ax, %ds
    leal OFF(tramp_gdt)(%ebx), %eax
    movl %eax, OFF(tramp_gdt_ptr) + 2
    leal OFF(tramp_long)(%ebx), %eax
    movl %eax, OFF(tramp_target)
    lgdtl OFF(tramp_gdt_ptr)
    movl $0x20, %eax /* PAE */
    movl %eax, %cr4
    movl OFF(trampoline_params), %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x901, %eax /* NXE, LME, SCE */
    wrmsr
    movl $0x80050033, %eax
    movl %eax, %cr0
    ljmpl *OFF(tramp_target)

    .code64
tramp_long:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movl %ebx, %ebx
    movq OFF(trampoline_params) + 8(%rbx), %rax  /* the kernel's page table */
    movq OFF(trampoline_params) + 16(%rbx), %rsi
    movq OFF(trampoline_params) + 24(%rbx), %rdi
    movq OFF(trampoline_params) + 32(%rbx), %rdx
    jmp *%rdx

    .balign 8
tramp_gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
tramp_gdt_ptr:
    .word . - tramp_gdt - 1
    .long 0
tramp_target:
    .long 0
    .word 8
    .balign 8
trampoline_params:
    .quad 0, 0, 0, 0, 0 /* boot cr3, kernel cr3, stack, argument, entry */
trampoline_end:

    /* At the kernel's own address: now its page table and a stack from it. */
    .text
    .code64
    .globl smp_entry
smp_entry:
    movq %rax, %cr3
    movq %rsi, %rsp
    xorl %ebp, %ebp
    pushq $0
    jmp smp_enter

    .section .note.GNU-stack, "", @progbits
