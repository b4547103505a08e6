/* SPDX-License-Identifier: Apache-2.0 */
/* futex(2) itself: wait, wake, bit sets, requeue, time-outs, interruption. */
#include "guest.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>

static long futex(volatile uint32_t *addr, int op, uint32_t val, const void *timeout,
                  volatile uint32_t *addr2, uint32_t val3)
{
    return syscall(SYS_futex, addr, op, val, timeout, addr2, val3);
}

static volatile uint32_t word, other;
static volatile int waiting, woken;

struct wait {
    int op;
    uint32_t bits;
    volatile uint32_t *addr;
};

static void *waiter(void *arg)
{
    const struct wait *w = arg;
    __atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
    while (futex(w->addr, w->op, 0, NULL, NULL, w->bits) == -1 && errno == EINTR)
        ;
    __atomic_add_fetch(&woken, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static pthread_t thread[8];

static void waiters_start(unsigned n, struct wait *w)
{
    word = other = 0;
    waiting = woken = 0;
    for (unsigned i = 0; i < n; i++)
        CHECK(pthread_create(&thread[i], NULL, waiter, w) == 0);
    CHECK(SOON(waiting == (int)n));
}

static void waiters_join(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        pthread_join(thread[i], NULL);
}

/* Wakes until `n` threads have been in all; they may not sleep yet when it begins. */
static long wake_until(int op, uint32_t bits, long n)
{
    long total = 0;
    SOON((total += futex(&word, op, 1, NULL, NULL, bits)) >= n);
    return total;
}

TEST(value_differs)
{
    word = 1;
    CHECK(FAILS(futex(&word, FUTEX_WAIT, 0, NULL, NULL, 0), EAGAIN));
    CHECK(FAILS(futex(&word, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0), EAGAIN));
}

TEST(nobody_to_wake)
{
    CHECK(futex(&word, FUTEX_WAKE, 10, NULL, NULL, 0) == 0);
}

TEST(time_out)
{
    struct timespec t = {0, 20 * MS};
    word = 0;
    int64_t start = now_ns();
    CHECK(FAILS(futex(&word, FUTEX_WAIT_PRIVATE, 0, &t, NULL, 0), ETIMEDOUT));
    int64_t took = now_ns() - start;
    CHECK(took >= 20 * MS && took < 5000 * MS);
}

TEST(absolute_time_out)
{
    struct timespec t;
    int64_t start = now_ns(), end = start + 20 * MS;
    t = (struct timespec){end / 1000000000, end % 1000000000};
    word = 0;
    CHECK(FAILS(futex(&word, FUTEX_WAIT_BITSET, 0, &t, NULL, FUTEX_BITSET_MATCH_ANY), ETIMEDOUT));
    CHECK(now_ns() >= end);
    clock_gettime(CLOCK_REALTIME, &t); /* is over already */
    CHECK(FAILS(
        futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &t, NULL, FUTEX_BITSET_MATCH_ANY),
        ETIMEDOUT));
}

TEST(wake_one_by_one)
{
    struct wait w = {FUTEX_WAIT_PRIVATE, 0, &word};
    waiters_start(4, &w);
    CHECK(wake_until(FUTEX_WAKE_PRIVATE, 0, 4) == 4);
    CHECK(SOON(woken == 4));
    waiters_join(4);
}

TEST(wake_count)
{
    struct wait w = {FUTEX_WAIT, 0, &word};
    waiters_start(6, &w);
    long n = 0;
    while (n < 6) {
        long k = futex(&word, FUTEX_WAKE, 2, NULL, NULL, 0);
        CHECK(k >= 0 && k <= 2);
        n += k;
        sched_yield();
    }
    waiters_join(6);
    CHECK(woken == 6);
}

/* A waiter without PRIVATE and a waker with it, and the other way round. */
TEST(private_meets_shared)
{
    struct wait w = {FUTEX_WAIT, 0, &word};
    waiters_start(1, &w);
    CHECK(wake_until(FUTEX_WAKE, 0, 1) == 1);
    waiters_join(1);
    w.op = FUTEX_WAIT_BITSET;
    w.bits = FUTEX_BITSET_MATCH_ANY;
    waiters_start(1, &w);
    CHECK(wake_until(FUTEX_WAKE, 0, 1) == 1);
    waiters_join(1);
}

TEST(bit_sets)
{
    struct wait w = {FUTEX_WAIT_BITSET_PRIVATE, 4, &word};
    waiters_start(1, &w);
    for (int i = 0; i < 100; i++) {
        CHECK(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 9, NULL, NULL, 3) == 0);
        sched_yield();
    }
    CHECK(woken == 0);
    CHECK(wake_until(FUTEX_WAKE_BITSET_PRIVATE, 12, 1) == 1);
    waiters_join(1);
    CHECK(FAILS(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, 0), EINVAL));
}

TEST(requeue)
{
    struct wait w = {FUTEX_WAIT_PRIVATE, 0, &word};
    long moved = 0, n = 0;
    waiters_start(4, &w);
    CHECK(SOON((moved += futex(&word, FUTEX_REQUEUE_PRIVATE, 0, (void *)9l, &other, 0)) == 4));
    CHECK(futex(&word, FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0) == 0 && woken == 0);
    CHECK(SOON((n += futex(&other, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0)) == 4));
    waiters_join(4);
}

TEST(compare_requeue)
{
    struct wait w = {FUTEX_WAIT_PRIVATE, 0, &word};
    waiters_start(3, &w);
    CHECK(FAILS(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)9l, &other, 77), EAGAIN));
    CHECK(woken == 0);
    CHECK(SOON(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)9l, &other, 0) >= 0 &&
               futex(&other, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) >= 0 && woken == 3));
    waiters_join(3);
}

static void on_signal(int sig)
{
    (void)sig;
}

static volatile int interrupted;

static void *wait_once(void *arg)
{
    waiting = 1;
    interrupted = futex(arg, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0) == -1 && errno == EINTR;
    waiting = 0;
    return NULL;
}

TEST(signal_interrupts)
{
    struct sigaction sa = {.sa_handler = on_signal};
    pthread_t t;
    word = 0;
    waiting = 0;
    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
    CHECK(pthread_create(&t, NULL, wait_once, (void *)&word) == 0);
    CHECK(SOON(waiting));
    for (int64_t end = now_ns() + 10000 * MS; waiting && now_ns() < end; sched_yield())
        pthread_kill(t, SIGUSR1);
    CHECK(!waiting);
    pthread_join(t, NULL);
    CHECK(interrupted);
}

TEST(errors)
{
    struct timespec bad = {0, 2000000000};
    word = 0;
    CHECK(FAILS(futex(&word, FUTEX_WAIT, 0, &bad, NULL, 0), EINVAL));
    CHECK(FAILS(futex((void *)((char *)&word + 1), FUTEX_WAIT, 0, NULL, NULL, 0), EINVAL));
    CHECK(FAILS(futex((void *)8, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT));
    CHECK(FAILS(futex(&word, 99, 0, NULL, NULL, 0), ENOSYS));
}
