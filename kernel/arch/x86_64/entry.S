/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way in. PVH (Xen's direct boot ABI, what `qemu -kernel` uses) and
 * multiboot2 (GRUB) both enter here in 32-bit protected mode without paging;
 * we map the first 4 GiB at 0, at DIRECT_MAP and at KERNEL_BASE (1 GiB of it),
 * switch to long mode and call boot_main(info, loader) on a boot stack.
 */
#include "arch/x86_64/layout.h"

#define PHYS(sym) (sym - KERNEL_BASE)

    .section .note.pvh, "a", @note
    .long 4, 8, 18 /* name size, desc size, XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .quad PHYS(boot_pvh_entry)

    .section .multiboot2, "a"
    .balign 8
mb2_header:
    .long 0xe85250d6, 0, mb2_end - mb2_header
    .long -(0xe85250d6 + 0 + (mb2_end - mb2_header))
    .short 3, 0 /* entry address */
    .long 12, PHYS(boot_mb2_entry), 0
    .short 6, 0 /* modules on page boundaries */
    .long 8
    .short 0, 0 /* end */
    .long 8
mb2_end:

    .section .boot.text, "ax"
    .code32
    .globl boot_pvh_entry
boot_pvh_entry:
    xorl %ebp, %ebp /* BOOT_PVH */
    jmp 1f
    .globl boot_mb2_entry
boot_mb2_entry:
    movl $1, %ebp /* BOOT_MULTIBOOT2 */
1:  cld
    cli
    movl %ebx, %esi /* loader's info, kept in esi */

    /* 4 page directories of 2 MiB pages: the first 4 GiB */
    movl $PHYS(boot_pd), %edi
    movl $0x83, %eax /* present, write, large */
    xorl %edx, %edx
    movl $2048, %ecx
2:  movl %eax, (%edi)
    movl %edx, 4(%edi)
    addl $0x200000, %eax
    addl $8, %edi
    loop 2b
    movl $PHYS(boot_pdpt), %edi
    movl $PHYS(boot_pd) + 3, %eax
    movl $4, %ecx
3:  movl %eax, (%edi)
    addl $0x1000, %eax
    addl $8, %edi
    loop 3b
    movl $PHYS(boot_pd) + 3, %eax
    movl %eax, PHYS(boot_pdpt_high) + 510 * 8
    movl $PHYS(boot_pdpt) + 3, %eax
    movl %eax, PHYS(boot_pml4)
    movl %eax, PHYS(boot_pml4) + 256 * 8 /* DIRECT_MAP */
    movl $PHYS(boot_pdpt_high) + 3, %eax
    movl %eax, PHYS(boot_pml4) + 511 * 8

    movl $0x20, %eax /* PAE */
    movl %eax, %cr4
    movl $PHYS(boot_pml4), %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx /* EFER: LME, NXE, SCE */
    rdmsr
    orl $0x901, %eax
    wrmsr
    movl $0x80050033, %eax /* PG, AM, WP, NE, ET, MP, PE */
    movl %eax, %cr0
    lgdt PHYS(boot_gdt_ptr)
    ljmp $0x10, $PHYS(boot_long)

    .code64
boot_long:
    movabsq $boot_high, %rax
    jmp *%rax
boot_high:
    movl $0x18, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    leaq boot_stack_top(%rip), %rsp
    movl %esi, %edi
    movl %ebp, %esi
    xorl %ebp, %ebp
    call boot_main
    ud2

    .balign 8
boot_gdt:
    .quad 0, 0
    .quad 0x00af9b000000ffff /* 0x10: 64-bit code */
    .quad 0x00cf93000000ffff /* 0x18: data */
boot_gdt_ptr:
    .word . - boot_gdt - 1
    .long PHYS(boot_gdt)

    .bss
    .balign 4096
    .globl boot_pml4
boot_pml4: .skip 4096
boot_pdpt: .skip 4096
boot_pdpt_high: .skip 4096
boot_pd: .skip 4 * 4096
    .balign 16
boot_stack: .skip 8192
    .globl boot_stack_top
boot_stack_top:

    .section .note.GNU-stack, "", @progbits
