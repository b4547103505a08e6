/* SPDX-License-Identifier: Apache-2.0 */
/* What a system call costs: one that does nothing, and a read of one byte of /dev/zero. */
#include "guest.h"

#include <fcntl.h>
#include <sys/syscall.h>

static int zero;

static inline long call(long number, long a, const void *b, long c)
{
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}

static void getppids(long n)
{
    while (n--)
        NEED(call(SYS_getppid, 0, NULL, 0) >= 0);
}

static void reads(long n)
{
    char byte;
    while (n--)
        NEED(call(SYS_read, zero, &byte, 1) == 1);
}

void rows_call(void)
{
    zero = open("/dev/zero", O_RDONLY);
    NEED(zero >= 0);
    measure("getppid", getppids, 20000);
    measure("read", reads, 20000);
}
