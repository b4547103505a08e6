/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the KVM suite runs: prints its arguments and ends with status 42;
 * `threads N` adds in N threads, until every CPU took part, and checks the sum
 * and that no CPU's clock is behind another's;
 * `sleep MS` checks a sleep against the clock, `crash` dies of SIGSEGV.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS   2000
#define PATIENCE 20000000000ll /* ns until every CPU must have run a thread */

static atomic_long sum;
static _Atomic long long latest; /* the highest time anybody saw */
static atomic_long backward;
static atomic_long cpus; /* bit set */

static long long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void *add(void *unused)
{
    const long every = (1l << sysconf(_SC_NPROCESSORS_ONLN)) - 1;
    const long long end = now() + PATIENCE;
    for (int i = 0; i < ROUNDS || (cpus != every && now() < end); i++) {
        long long seen = latest, t = now();
        if (t < seen)
            backward++;
        while (t > seen && !atomic_compare_exchange_weak(&latest, &seen, t))
            ;
        sum += i < ROUNDS;
        cpus |= 1 << sched_getcpu();
        if (i % 100 == 0)
            sched_yield();
    }
    return unused;
}

static int threads(int count)
{
    pthread_t thread[16];
    for (int i = 0; i < count; i++)
        if (pthread_create(&thread[i], NULL, add, NULL))
            return 1;
    for (int i = 0; i < count; i++)
        pthread_join(thread[i], NULL);
    printf("sum %ld backward %ld cpus %#lx\n", (long)sum, (long)backward, (long)cpus);
    return sum == (long)count * ROUNDS && !backward ? 0 : 2;
}

static int nap(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    long long start = now();
    nanosleep(&t, NULL);
    long long took = now() - start;
    printf("slept %lld ms\n", took / 1000000);
    return took >= ms * 1000000ll && took < ms * 1000000ll + 2000000000ll ? 0 : 3;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "threads") == 0)
        return threads(atoi(argv[2]));
    if (argc == 3 && strcmp(argv[1], "sleep") == 0)
        return nap(atol(argv[2]));
    if (argc == 2 && strcmp(argv[1], "crash") == 0)
        *(volatile int *)8 = 1;
    for (int i = 1; i < argc; i++)
        printf("%s%s", argv[i], i + 1 < argc ? " " : "\n");
    return 42;
}
