/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program that is measured, the same bytes on every kernel (PID 1 on Linux).
 * `boot` prints the TSC as it was first thing in main; `calls` prints what one
 * getppid and one read of a byte from /dev/zero cost, in nanoseconds and TSC
 * ticks (under -icount shift=0: guest instructions). `off` as last argument
 * powers Linux off.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 5
#define CALLS  20000

static unsigned long tsc(void)
{
    unsigned lo, hi;
    __asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi)::"memory");
    return (unsigned long)hi << 32 | lo;
}

static inline long call(long number, long a, const void *b, long c)
{
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The best round counts: the first one also pays for the translation of the code. */
static int measure(const char *name, long number, long fd, long size)
{
    double best_ns = 1e18, best_ticks = 1e18;
    char byte;
    for (int round = 0; round < ROUNDS; round++) {
        double ns = now_ns();
        unsigned long start = tsc();
        for (int i = 0; i < CALLS; i++)
            if (call(number, fd, &byte, size) < 0)
                return 1;
        double ticks = (double)(tsc() - start);
        ns = now_ns() - ns;
        best_ns = ns < best_ns ? ns : best_ns;
        best_ticks = ticks < best_ticks ? ticks : best_ticks;
    }
    printf("%s %.1f %.2f\n", name, best_ns / CALLS, best_ticks / CALLS);
    return 0;
}

/* Seconds that Linux' CPU had nothing to do. */
static void idle_print(void)
{
    double up, idle;
    mkdir("/proc", 0755);
    mount("proc", "/proc", "proc", 0, NULL);
    FILE *f = fopen("/proc/uptime", "r");
    if (f && fscanf(f, "%lf %lf", &up, &idle) == 2)
        printf("idle %.2f\n", idle);
}

int main(int argc, char **argv)
{
    unsigned long start = tsc();
    int failed = 0;
    bool off = strcmp(argv[argc - 1], "off") == 0;
    if (strcmp(argv[1], "boot") == 0) {
        printf("main %lu\n", start);
        if (off)
            idle_print();
    } else {
        int fd = open("/dev/zero", O_RDONLY);
        failed = measure("getppid", SYS_getppid, 0, 0) || measure("read", SYS_read, fd, 1);
    }
    fflush(stdout);
    if (off)
        reboot(RB_POWER_OFF);
    return failed;
}
