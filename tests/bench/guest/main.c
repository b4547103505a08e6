/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The measured program: `boot` prints the TSC as it was first thing in main, another word
 * the rows of a group, and `calls` those of all that need one CPU. `off` as last argument
 * powers Linux off.
 */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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

/* Seconds that the CPU had nothing to do; < 0: not known. */
static double idle_seconds(void)
{
    double up, idle = -1;
    FILE *f = fopen("/proc/uptime", "r");
    if (f && fscanf(f, "%lf %lf", &up, &idle) != 2)
        idle = -1;
    if (f)
        fclose(f);
    return idle;
}

static void measure_rounds(const char *name, void (*before)(void), void (*run)(long n), long n,
                           int rounds, bool waits)
{
    double best_ns = 1e18, best_ticks = 1e18;
    for (int round = 0; round < rounds; round++) {
        before();
        double idle = waits ? idle_seconds() : 0, ns = now_ns();
        unsigned long start = tsc();
        run(n);
        double ticks = (double)(tsc() - start);
        ns = now_ns() - ns;
        if (waits)
            ticks -= (idle_seconds() - idle) * 1e9;
        best_ns = ns < best_ns ? ns : best_ns;
        best_ticks = ticks < best_ticks ? ticks : best_ticks;
    }
    printf("%s %.1f %.2f\n", name, best_ns / (double)n, best_ticks / (double)n);
}

void measure_after(const char *name, void (*before)(void), void (*run)(long n), long n)
{
    measure_rounds(name, before, run, n, ROUNDS, false);
}

void measure_slow(const char *name, void (*before)(void), void (*run)(long n), long n)
{
    measure_rounds(name, before, run, n, SLOW_ROUNDS, true);
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

/*
 * What Linux needs before it finds the disk: modules/00, modules/01 and so on, and the second
 * disk mounted as `ops --mounts` does it.
 */
static void linux_disk(void)
{
    char name[32];
    for (int i = 0;; i++) {
        sprintf(name, "/modules/%02d", i);
        int fd = open(name, O_RDONLY);
        if (fd < 0)
            break;
        NEED(syscall(SYS_finit_module, fd, "", 0) == 0 || errno == EEXIST);
        close(fd);
    }
    mkdir("/dev", 0755);
    mkdir("/mnt", 0755);
    mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
    for (int i = 0; mount("/dev/vdb", "/mnt", "ext4", MS_RELATIME, NULL) != 0; i++) {
        NEED(i < 1000);
        usleep(10000);
    }
}

static const struct {
    const char *name;
    void (*run)(void);
    bool one_cpu;
} groups[] = {
    {"call", rows_call, true},      {"thread", rows_thread, true}, {"signal", rows_signal, true},
    {"memory", rows_memory, true},  {"file", rows_file, true},     {"time", rows_time, true},
    {"two", rows_two_cpus, false},  {"idle", rows_idle, false},    {"disk", rows_disk, false},
    {"sqlite", rows_sqlite, false},
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
            printf("idle %.2f\n", idle_seconds());
    }
    if (linux_off && (strcmp(argv[1], "disk") == 0 || strcmp(argv[1], "sqlite") == 0))
        linux_disk();
    bool all = strcmp(argv[1], "calls") == 0;
    for (unsigned i = 0; i < sizeof groups / sizeof *groups; i++)
        if (all ? groups[i].one_cpu : strcmp(argv[1], groups[i].name) == 0)
            groups[i].run();
    end(0);
}
