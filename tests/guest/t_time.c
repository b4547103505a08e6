/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks and sleeping; what the vDSO says against what the kernel says. */
#include "guest.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

static int64_t ns(const struct timespec *t)
{
    return t->tv_sec * 1000000000ll + t->tv_nsec;
}

static int64_t clock_ns(clockid_t id)
{
    struct timespec t;
    CHECK(clock_gettime(id, &t) == 0 && t.tv_nsec >= 0 && t.tv_nsec < 1000000000);
    return ns(&t);
}

static int64_t syscall_ns(clockid_t id)
{
    struct timespec t;
    CHECK(syscall(SYS_clock_gettime, id, &t) == 0);
    return ns(&t);
}

TEST(monotonic)
{
    int64_t last = clock_ns(CLOCK_MONOTONIC), first = last;
    for (int i = 0; i < 100000; i++) {
        int64_t t = clock_ns(CLOCK_MONOTONIC);
        CHECK(t >= last);
        last = t;
    }
    CHECK(last > first);
}

TEST(vdso_agrees)
{
    static const clockid_t ids[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME};
    for (unsigned i = 0; i < COUNT(ids); i++)
        for (int k = 0; k < 100; k++) {
            int64_t a = clock_ns(ids[i]), b = syscall_ns(ids[i]), c = clock_ns(ids[i]);
            CHECK(a <= b && b <= c);
        }
}

TEST(all_clocks)
{
    static const clockid_t ids[] = {
        CLOCK_REALTIME,      CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID,
        CLOCK_MONOTONIC_RAW, CLOCK_BOOTTIME,  CLOCK_REALTIME_COARSE,    CLOCK_MONOTONIC_COARSE};
    for (unsigned i = 0; i < COUNT(ids); i++) {
        struct timespec t;
        CHECK(clock_ns(ids[i]) > 0);
        CHECK(clock_getres(ids[i], &t) == 0 && ns(&t) > 0 && ns(&t) <= 100 * MS);
    }
    struct timespec t;
    CHECK(FAILS(clock_gettime(999, &t), EINVAL) && FAILS(clock_getres(999, &t), EINVAL));
    CHECK(clock_getres(CLOCK_MONOTONIC, &t) == 0 && ns(&t) == 1);
}

TEST(coarse_is_near)
{
    int64_t fine = clock_ns(CLOCK_MONOTONIC), coarse = clock_ns(CLOCK_MONOTONIC_COARSE);
    CHECK(coarse > fine - 1000 * MS && coarse < fine + 1000 * MS);
}

TEST(wall_clock)
{
    struct timeval tv;
    int64_t a = clock_ns(CLOCK_REALTIME);
    CHECK(gettimeofday(&tv, NULL) == 0);
    time_t t = time(NULL);
    int64_t b = clock_ns(CLOCK_REALTIME);
    int64_t mid = tv.tv_sec * 1000000000ll + tv.tv_usec * 1000;
    CHECK(mid >= a - 1000 && mid <= b);
    CHECK(t >= a / 1000000000 - 1 && t <= b / 1000000000);
    CHECK(a / 1000000000 > 1700000000); /* after 2023 */
}

TEST(sleep_is_long_enough)
{
    static const long times[] = {1, 50000, 1000000, 20000000};
    for (unsigned i = 0; i < COUNT(times); i++) {
        struct timespec t = {0, times[i]};
        int64_t start = clock_ns(CLOCK_MONOTONIC);
        CHECK(nanosleep(&t, NULL) == 0);
        int64_t took = clock_ns(CLOCK_MONOTONIC) - start;
        CHECK(took >= times[i] && took < times[i] + 5000 * MS);
    }
}

TEST(sleep_until)
{
    int64_t end = clock_ns(CLOCK_MONOTONIC) + 10 * MS;
    struct timespec t = {end / 1000000000, end % 1000000000};
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == 0);
    CHECK(clock_ns(CLOCK_MONOTONIC) >= end);
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == 0); /* in the past */
    t = (struct timespec){0, 1000};
    CHECK(clock_nanosleep(CLOCK_REALTIME, 0, &t, NULL) == 0);
}

TEST(sleep_errors)
{
    struct timespec bad = {0, 1000000000}, negative = {-1, 0};
    CHECK(FAILS(nanosleep(&bad, NULL), EINVAL));
    CHECK(FAILS(nanosleep(&negative, NULL), EINVAL));
    CHECK(clock_nanosleep(999, 0, &bad, NULL) == EINVAL);
}

static void on_signal(int sig)
{
    (void)sig;
}

static volatile int done;

static void *send_signals(void *arg)
{
    while (!done) {
        pthread_kill(*(pthread_t *)arg, SIGUSR1);
        sched_yield();
    }
    return NULL;
}

TEST(sleep_interrupted)
{
    struct sigaction sa = {.sa_handler = on_signal};
    struct timespec t = {100, 0}, left = {0, 0};
    pthread_t me = pthread_self(), other;
    done = 0;
    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
    CHECK(pthread_create(&other, NULL, send_signals, &me) == 0);
    int r = nanosleep(&t, &left), err = errno;
    done = 1;
    pthread_join(other, NULL);
    CHECK(r == -1 && err == EINTR && left.tv_sec >= 80 && left.tv_sec <= 100);
}

TEST(cpu_time)
{
    int64_t wall = clock_ns(CLOCK_MONOTONIC);
    int64_t process = clock_ns(CLOCK_PROCESS_CPUTIME_ID), self = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    int64_t end = self + 20 * MS, limit = wall + 20000 * MS;
    while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < end)
        CHECK(clock_ns(CLOCK_MONOTONIC) < limit);
    CHECK(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - process >= 19 * MS);
    CHECK(clock_ns(CLOCK_MONOTONIC) - wall >= 19 * MS); /* one thread: no faster than the wall */
    self = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    struct timespec t = {0, 50 * MS};
    nanosleep(&t, NULL);
    CHECK(clock_ns(CLOCK_THREAD_CPUTIME_ID) - self < 40 * MS); /* asleep it does not run */
}
