/* SPDX-License-Identifier: Apache-2.0 */
/* Says what it is given and how many CPUs there are, after a sleep by the clock; ends with 42. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct timespec before, after, pause = {.tv_nsec = 200000000};
    clock_gettime(CLOCK_MONOTONIC, &before);
    nanosleep(&pause, NULL);
    clock_gettime(CLOCK_MONOTONIC, &after);
    double slept =
        (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) / 1e9;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    printf("hello %s, %ld CPU%s, slept %s\n", argc > 1 ? argv[1] : "", cpus, cpus == 1 ? "" : "s",
           slept >= 0.2 && slept < 5 ? "well" : "badly");
    return 42;
}
