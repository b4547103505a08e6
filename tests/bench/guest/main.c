/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The measured program: `boot` prints the TSC as it was first thing in main, another word
 * the rows of a group, and `calls` those of all that need one CPU. `off` as last argument
 * powers Linux off.
 */
#include "guest.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <time.h>

static bool linux_off;

static unsigned long tsc(void)
{
    unsigned lo, hi;
    __asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi)::"memory");
    return (unsigned long)hi << 32 | lo;
}

double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static _Noreturn void end(int status)
{
    fflush(stdout);
    if (linux_off)
        reboot(RB_POWER_OFF);
    exit(status);
}

void need_failed(const char *file, int line, const char *what)
{
    printf("failed %s:%d: %s (errno %d)\n", file, line, what, errno);
    end(1);
}

static void nothing(void)
{
}

void measure(const char *name, void (*run)(long n), long n)
{
    measure_after(name, nothing, run, n);
}

void measure_after(const char *name, void (*before)(void), void (*run)(long n), long n)
{
    double best_ns = 1e18, best_ticks = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        before();
        double ns = now_ns();
        unsigned long start = tsc();
        run(n);
        double ticks = (double)(tsc() - start);
        ns = now_ns() - ns;
        best_ns = ns < best_ns ? ns : best_ns;
        best_ticks = ticks < best_ticks ? ticks : best_ticks;
    }
    printf("%s %.1f %.2f\n", name, best_ns / (double)n, best_ticks / (double)n);
}

void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    NEED(sched_setaffinity(0, sizeof set, &set) == 0);
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

double median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, by_value);
    return values[n / 2];
}

/* Seconds that Linux' CPU had nothing to do. */
static void idle_print(void)
{
    double up, idle;
    FILE *f = fopen("/proc/uptime", "r");
    if (f && fscanf(f, "%lf %lf", &up, &idle) == 2)
        printf("idle %.2f\n", idle);
}

static const struct {
    const char *name;
    void (*run)(void);
    bool one_cpu;
} groups[] = {
    {"call", rows_call, true},     {"thread", rows_thread, true}, {"signal", rows_signal, true},
    {"memory", rows_memory, true}, {"file", rows_file, true},     {"time", rows_time, true},
    {"two", rows_two_cpus, false}, {"idle", rows_idle, false},
};

int main(int argc, char **argv)
{
    unsigned long start = tsc();
    linux_off = strcmp(argv[argc - 1], "off") == 0;
    if (linux_off) {
        mkdir("/proc", 0755);
        mount("proc", "/proc", "proc", 0, NULL);
    }
    if (strcmp(argv[1], "boot") == 0) {
        printf("main %lu\n", start);
        if (linux_off)
            idle_print();
    }
    bool all = strcmp(argv[1], "calls") == 0;
    for (unsigned i = 0; i < sizeof groups / sizeof *groups; i++)
        if (all ? groups[i].one_cpu : strcmp(argv[1], groups[i].name) == 0)
            groups[i].run();
    end(0);
}
