/* SPDX-License-Identifier: Apache-2.0 */
/* Time: reading the clock, how late a short sleep ends, and what interrupts an idle machine. */
#include "guest.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

#define SLEEPS     101
#define SLEEP_NS   50000
#define IDLE_SLEEP 4 /* seconds */

static void clock_reads(long n)
{
    struct timespec t;
    while (n--)
        clock_gettime(CLOCK_MONOTONIC, &t);
}

static void lateness_row(void)
{
    static double late[SLEEPS];
    const struct timespec t = {0, SLEEP_NS};
    for (int i = 0; i < SLEEPS; i++) {
        double start = now_ns();
        nanosleep(&t, NULL);
        late[i] = now_ns() - start - SLEEP_NS;
    }
    printf("late %.1f 0\n", median(late, SLEEPS));
}

void rows_time(void)
{
    measure("clock", clock_reads, 20000);
    lateness_row();
}

/* All interrupts of all CPUs so far: the columns of /proc/interrupts. */
static double interrupts(void)
{
    static char line[4096];
    double sum = 0;
    FILE *f = fopen("/proc/interrupts", "r");
    NEED(f && fgets(line, sizeof line, f)); /* the names of the CPUs */
    while (fgets(line, sizeof line, f)) {
        char *at = strchr(line, ':'), *end;
        for (at = at ? at + 1 : line;; at = end) {
            unsigned long n = strtoul(at, &end, 10);
            if (end == at || !isspace((unsigned char)*end))
                break;
            sum += (double)n;
        }
    }
    fclose(f);
    return sum;
}

void rows_idle(void)
{
    const struct timespec t = {IDLE_SLEEP, 0};
    double before = interrupts();
    nanosleep(&t, NULL);
    printf("wakeups %.2f 0\n", (interrupts() - before) / IDLE_SLEEP);
}
