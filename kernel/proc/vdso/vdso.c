/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of the vDSO (vdso(7)). They run in the program, read the clock
 * page with the TSC, and make the real system call for everything else.
 */
#include <asm/unistd.h>
#include <linux/time.h>

#include "sched/clock_page.h"

#define NSEC 1000000000ull

extern const struct clock_page clock_page __attribute__((visibility("hidden")));

int __vdso_clock_gettime(int id, struct timespec *ts);
int __vdso_gettimeofday(struct timeval *tv, struct timezone *tz);
long __vdso_time(long *t);
int __vdso_clock_getres(int id, struct timespec *ts);
long __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused);

static long call2(long nr, long a, long b)
{
    long r;
    __asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b) : "rcx", "r11", "memory");
    return r;
}

static uint64_t tsc(void)
{
    uint32_t lo, hi;
    __asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi)::"memory");
    return (uint64_t)hi << 32 | lo;
}

/* Nanoseconds since boot, or since 1970; 0 when only the kernel knows. */
static uint64_t now(int wall)
{
    const struct clock_page *p = &clock_page;
    uint32_t seq;
    uint64_t ns;
    do {
        while ((seq = __atomic_load_n(&p->seq, __ATOMIC_ACQUIRE)) & 1)
            ;
        if (!p->usable)
            return 0;
        ns = clock_page_now(p, tsc());
        if (wall)
            ns = clock_page_wall(p, ns);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while (seq != p->seq);
    return ns;
}

#define BIT(id) (1u << (id))
#define WALL    (BIT(CLOCK_REALTIME) | BIT(CLOCK_REALTIME_COARSE))
#define UPTIME                                                                                     \
    (BIT(CLOCK_MONOTONIC) | BIT(CLOCK_MONOTONIC_COARSE) | BIT(CLOCK_BOOTTIME) |                    \
     BIT(CLOCK_MONOTONIC_RAW))

int __vdso_clock_gettime(int id, struct timespec *ts)
{
    uint64_t ns = 0;
    if ((unsigned)id < 32 && BIT(id) & (WALL | UPTIME))
        ns = now(!!(BIT(id) & WALL));
    if (!ns)
        return (int)call2(__NR_clock_gettime, id, (long)ts);
    ts->tv_sec = (long)(ns / NSEC);
    ts->tv_nsec = (long)(ns % NSEC);
    return 0;
}

int __vdso_gettimeofday(struct timeval *tv, struct timezone *tz)
{
    uint64_t ns = now(1);
    if (!ns || tz)
        return (int)call2(__NR_gettimeofday, (long)tv, (long)tz);
    if (tv) {
        tv->tv_sec = (long)(ns / NSEC);
        tv->tv_usec = (long)(ns % NSEC / 1000);
    }
    return 0;
}

long __vdso_time(long *t)
{
    uint64_t ns = now(1);
    if (!ns)
        return call2(__NR_time, (long)t, 0);
    if (t)
        *t = (long)(ns / NSEC);
    return (long)(ns / NSEC);
}

int __vdso_clock_getres(int id, struct timespec *ts)
{
    return (int)call2(__NR_clock_getres, id, (long)ts);
}

long __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused)
{
    (void)unused;
    if (!clock_page.cpu_from_tsc_aux)
        return call2(__NR_getcpu, (long)cpu, (long)node);
    uint32_t lo, hi, aux;
    __asm__ volatile("rdtscp" : "=a"(lo), "=d"(hi), "=c"(aux));
    if (cpu)
        *cpu = aux;
    if (node)
        *node = 0;
    return 0;
}

#define ALIAS(name) __attribute__((alias(#name)))
int clock_gettime(int id, struct timespec *ts) ALIAS(__vdso_clock_gettime);
int gettimeofday(struct timeval *tv, struct timezone *tz) ALIAS(__vdso_gettimeofday);
long time(long *t) ALIAS(__vdso_time);
int clock_getres(int id, struct timespec *ts) ALIAS(__vdso_clock_getres);
long getcpu(unsigned *cpu, unsigned *node, void *unused) ALIAS(__vdso_getcpu);
