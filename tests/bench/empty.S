/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The empty guest, the floor of every comparison: entered by PVH, it writes the TSC
 * (under -icount: instructions since reset, all of them the firmware's) as eight
 * raw bytes to the serial port and ends QEMU by isa-debug-exit.
 */
    .section .note.pvh, "a", @note
    .long 4, 4, 18 /* name size, desc size, XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long entry

    .text
    .code32
    .globl entry
entry:
    rdtsc
    movl %eax, %ebx
    movl %edx, %ecx
    movl $0x3f8, %edx
    .rept 4
    movl %ebx, %eax
    outb %al, %dx
    shrl $8, %ebx
    .endr
    .rept 4
    movl %ecx, %eax
    outb %al, %dx
    shrl $8, %ecx
    .endr
    movl $0x501, %edx
    movl $0x10, %eax
    outl %eax, %dx
1:  hlt
    jmp 1b

    .section .note.GNU-stack, "", @progbits
