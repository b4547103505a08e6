/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies that touch user memory. Each instruction that may fault has an entry
 * in .extable. SMAP is opened around them (the stac and clac are skipped where
 * the CPU has none). Copies use 8-byte moves: `rep movsb` costs 20 times as
 * much under TCG, and the tails are short.
 */
#define CPU_SMAP_BIT 2 /* CPU_SMAP of features.h */

.macro EX from to
    .pushsection .extable, "a"
    .quad \from, \to
    .popsection
.endm
.macro OPEN
    testl $CPU_SMAP_BIT, cpu_features(%rip)
    jz 7770f
    stac
7770:
.endm
.macro CLOSE
    testl $CPU_SMAP_BIT, cpu_features(%rip)
    jz 7771f
    clac
7771:
.endm

    .text
    .balign 16
    .globl usercopy
usercopy: /* rdi dst, rsi src, rdx n */
    OPEN
    movq %rdx, %rcx
    andq $-32, %rcx
    jz 2f
    addq %rcx, %rsi /* both point behind the blocks, rcx runs from minus their size to 0 */
    addq %rcx, %rdi
    subq %rcx, %rdx
    negq %rcx
1:  movq (%rsi, %rcx), %rax
10: movq 8(%rsi, %rcx), %r8
11: movq 16(%rsi, %rcx), %r9
12: movq 24(%rsi, %rcx), %r10
13: movq %rax, (%rdi, %rcx)
14: movq %r8, 8(%rdi, %rcx)
15: movq %r9, 16(%rdi, %rcx)
16: movq %r10, 24(%rdi, %rcx)
    addq $32, %rcx
    jnz 1b
2:  cmpq $8, %rdx
    jb 3f
20: movq (%rsi), %rax
21: movq %rax, (%rdi)
    addq $8, %rsi
    addq $8, %rdi
    subq $8, %rdx
    jmp 2b
3:  cmpq $4, %rdx
    jb 30f
6:  movl (%rsi), %eax
60: movl %eax, (%rdi)
    addq $4, %rsi
    addq $4, %rdi
    subq $4, %rdx
30: testq %rdx, %rdx
    jz 5f
4:  movb (%rsi), %al
40: movb %al, (%rdi)
    incq %rsi
    incq %rdi
    decq %rdx
    jnz 4b
5:  movq %rdx, %rax
    CLOSE
    ret
7:  addq %rcx, %rsi /* a block faulted: from its start byte by byte to the exact one */
    addq %rcx, %rdi
    subq %rcx, %rdx
    jmp 30b
    EX 1b, 7b
    EX 10b, 7b
    EX 11b, 7b
    EX 12b, 7b
    EX 13b, 7b
    EX 14b, 7b
    EX 15b, 7b
    EX 16b, 7b
    EX 20b, 30b
    EX 21b, 30b
    EX 6b, 30b
    EX 60b, 30b
    EX 4b, 5b
    EX 40b, 5b

    .balign 16
    .globl userzero
userzero: /* rdi dst, rsi n */
    OPEN
    xorl %eax, %eax
1:  cmpq $8, %rsi
    jb 3f
2:  movq %rax, (%rdi)
    addq $8, %rdi
    subq $8, %rsi
    jmp 1b
3:  testq %rsi, %rsi
    jz 5f
4:  movb %al, (%rdi)
    incq %rdi
    decq %rsi
    jnz 4b
5:  movq %rsi, %rax
    CLOSE
    ret
    EX 2b, 3b
    EX 4b, 5b

    .balign 16
    .globl userstrncpy
userstrncpy: /* rdi dst, rsi src, rdx max */
    OPEN
    xorl %eax, %eax
1:  cmpq %rdx, %rax
    jae 3f
2:  movb (%rsi, %rax), %cl
    movb %cl, (%rdi, %rax)
    testb %cl, %cl
    jz 3f
    incq %rax
    jmp 1b
3:  CLOSE
    ret
4:  movq $-1, %rax
    jmp 3b
    EX 2b, 4b

    .balign 16
    .globl usercmpxchg32
usercmpxchg32: /* rdi p, esi expected, edx desired, rcx old */
    OPEN
    movl %esi, %eax
1:  lock cmpxchgl %edx, (%rdi)
    movl %eax, (%rcx)
    xorl %eax, %eax
2:  CLOSE
    ret
3:  movl $-1, %eax
    jmp 2b
    EX 1b, 3b

    .balign 16
    .globl userload32
userload32: /* rdi p, rsi out */
    OPEN
1:  movl (%rdi), %eax
    movl %eax, (%rsi)
    xorl %eax, %eax
2:  CLOSE
    ret
3:  movl $-1, %eax
    jmp 2b
    EX 1b, 3b

    /* Extended state: the instruction itself touches user memory; rdi area, rsi mask */
.macro STATE name instruction
    .balign 16
    .globl \name
\name:
    OPEN
    movl %esi, %eax
    movq %rsi, %rdx
    shrq $32, %rdx
1:  \instruction (%rdi)
    xorl %eax, %eax
2:  CLOSE
    ret
3:  movl $-1, %eax
    jmp 2b
    EX 1b, 3b
.endm
    STATE userxsave xsave64
    STATE userxrstor xrstor64
    STATE userfxsave fxsave64

    .section .note.GNU-stack, "", @progbits
