/* SPDX-License-Identifier: Apache-2.0 */
/* The system call instruction itself: unknown numbers, what is kept and what is not. */
#include "guest.h"

TEST(unknown_numbers)
{
    static const long numbers[] = {600, 1000, 4096, 0x3fffffff, 0x40000000 + 600, -1};
    for (unsigned i = 0; i < COUNT(numbers); i++)
        CHECK(FAILS(syscall(numbers[i]), ENOSYS));
}

/* Only the low 32 bits of rax count. */
TEST(high_bits_ignored)
{
    CHECK(syscall((7l << 40) | SYS_getpid) == getpid());
}

TEST(registers_kept)
{
    unsigned long in[11], out[11], rax = SYS_getppid;
    for (unsigned i = 0; i < 11; i++)
        in[i] = 0x1111111111111111ul * (i + 1);
    register unsigned long *from __asm__("r14") = in, *to __asm__("r15") = out;
    __asm__ volatile("movq (%%r14), %%rbx; movq 8(%%r14), %%rdx; movq 16(%%r14), %%rsi;"
                     "movq 24(%%r14), %%rdi; movq 32(%%r14), %%r8; movq 40(%%r14), %%r9;"
                     "movq 48(%%r14), %%r10; movq 56(%%r14), %%r12; movq 64(%%r14), %%r13;"
                     "syscall;"
                     "movq %%rbx, (%%r15); movq %%rdx, 8(%%r15); movq %%rsi, 16(%%r15);"
                     "movq %%rdi, 24(%%r15); movq %%r8, 32(%%r15); movq %%r9, 40(%%r15);"
                     "movq %%r10, 48(%%r15); movq %%r12, 56(%%r15); movq %%r13, 64(%%r15)"
                     : "+a"(rax), "+r"(from), "+r"(to)
                     :
                     : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
                       "memory", "cc");
    for (unsigned i = 0; i < 9; i++)
        CHECK(in[i] == out[i]);
    CHECK((long)rax == getppid());
}

TEST(flags_kept)
{
    unsigned long flags, rax = SYS_getpid;
    __asm__ volatile("std; stc; syscall; pushfq; popq %1; cld"
                     : "+a"(rax), "=r"(flags)
                     :
                     : "rcx", "r11", "memory", "cc");
    CHECK(flags & 1 && flags & 1 << 10 && (long)rax == getpid());
}

TEST(sse_kept)
{
    double before[2] = {1.5, -2.5}, after[2];
    unsigned long rax = SYS_getpid;
    __asm__ volatile("movupd %1, %%xmm7; syscall; movupd %%xmm7, %2"
                     : "+a"(rax)
                     : "m"(before), "m"(after)
                     : "rcx", "r11", "xmm7", "memory");
    CHECK(after[0] == 1.5 && after[1] == -2.5);
}
