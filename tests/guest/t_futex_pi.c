/* SPDX-License-Identifier: Apache-2.0 */
/* PI futexes, robust lists, futex_waitv, membarrier, and a futex storm. */
#include "guest.h"

#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>

static long futex(volatile uint32_t *addr, int op, uint32_t val, const void *timeout,
                  volatile uint32_t *addr2, uint32_t val3)
{
    return syscall(SYS_futex, addr, op | FUTEX_PRIVATE_FLAG, val, timeout, addr2, val3);
}

static volatile uint32_t word, other;
static volatile int waiting, owned;

static void *locks(void *arg)
{
    waiting = 1;
    if (futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0) == 0) {
        owned = (word & FUTEX_TID_MASK) == (uint32_t)gettid();
        futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
    }
    return arg;
}

TEST(pi_uncontended)
{
    uint32_t me = (uint32_t)gettid();
    word = 0;
    CHECK(futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0) == 0 && word == me);
    CHECK(FAILS(futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0), EDEADLK));
    CHECK(FAILS(futex(&word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), EDEADLK));
    CHECK(futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0) == 0 && word == 0);
    CHECK(FAILS(futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), EPERM));
    CHECK(futex(&word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0) == 0 && word == me);
    CHECK(futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0) == 0);
}

TEST(pi_owner_unknown)
{
    word = 0x3ffffff0;
    CHECK(FAILS(futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0), ESRCH));
    word = 0;
}

TEST(pi_hand_over)
{
    pthread_t t;
    uint32_t me = (uint32_t)gettid();
    word = me;
    waiting = owned = 0;
    CHECK(pthread_create(&t, NULL, locks, NULL) == 0);
    CHECK(SOON(word == (me | FUTEX_WAITERS)));
    CHECK(owned == 0);
    CHECK(futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0) == 0);
    pthread_join(t, NULL);
    CHECK(owned == 1 && word == 0);
}

static void *holds(void *arg)
{
    word = (uint32_t)gettid();
    waiting = 1;
    while (!owned)
        usleep(1000);
    if (arg)
        futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
    return NULL;
}

TEST(pi_time_out)
{
    struct timespec t;
    pthread_t th;
    waiting = owned = 0;
    CHECK(pthread_create(&th, NULL, holds, (void *)1l) == 0);
    CHECK(SOON(waiting));
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += 20 * MS;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    int64_t start = now_ns();
    CHECK(FAILS(futex(&word, FUTEX_LOCK_PI, 0, &t, NULL, 0), ETIMEDOUT));
    CHECK(now_ns() - start >= 19 * MS);
    clock_gettime(CLOCK_MONOTONIC, &t);
    CHECK(FAILS(futex(&word, FUTEX_LOCK_PI2, 0, &t, NULL, 0), ETIMEDOUT));
    CHECK(FAILS(futex(&word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), EAGAIN));
    owned = 1;
    pthread_join(th, NULL);
    CHECK(word == 0);
}

/* The owner ends without unlocking: who waits gets it, and is told. */
TEST(pi_owner_dies)
{
    pthread_t t;
    waiting = owned = 0;
    CHECK(pthread_create(&t, NULL, holds, NULL) == 0);
    CHECK(SOON(waiting));
    pthread_t t2;
    waiting = 0;
    CHECK(pthread_create(&t2, NULL, locks, NULL) == 0);
    CHECK(SOON(word & FUTEX_WAITERS));
    owned = 1;
    pthread_join(t, NULL);
    pthread_join(t2, NULL);
    CHECK(owned == 1);
    CHECK((word & FUTEX_TID_MASK) == 0);
}

static void *waits_requeue(void *arg)
{
    waiting = 1;
    long r = futex(&word, FUTEX_WAIT_REQUEUE_PI, 0, NULL, &other, 0);
    if (r == 0 && (other & FUTEX_TID_MASK) == (uint32_t)gettid()) {
        __atomic_add_fetch(&owned, 1, __ATOMIC_SEQ_CST);
        futex(&other, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
    }
    return arg;
}

TEST(pi_requeue)
{
    pthread_t t[3];
    word = other = 0;
    owned = 0;
    for (unsigned i = 0; i < COUNT(t); i++)
        CHECK(pthread_create(&t[i], NULL, waits_requeue, NULL) == 0);
    CHECK(FAILS(futex(&word, FUTEX_CMP_REQUEUE_PI, 1, (void *)9l, &other, 1), EAGAIN));
    CHECK(FAILS(futex(&word, FUTEX_CMP_REQUEUE_PI, 2, (void *)9l, &other, 0), EINVAL));
    CHECK(futex(&other, FUTEX_LOCK_PI, 0, NULL, NULL, 0) == 0);
    long n = 0;
    CHECK(SOON((n += futex(&word, FUTEX_CMP_REQUEUE_PI, 1, (void *)9l, &other, 0)) == 3));
    CHECK(owned == 0);
    CHECK(futex(&other, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0) == 0);
    for (unsigned i = 0; i < COUNT(t); i++)
        pthread_join(t[i], NULL);
    CHECK(owned == 3 && other == 0);
}

TEST(pi_requeue_time_out)
{
    struct timespec t;
    word = other = 0;
    clock_gettime(CLOCK_MONOTONIC, &t);
    CHECK(FAILS(futex(&word, FUTEX_WAIT_REQUEUE_PI, 0, &t, &other, 0), ETIMEDOUT));
    CHECK(FAILS(futex(&word, FUTEX_WAIT_REQUEUE_PI, 1, &t, &other, 0), EAGAIN));
    CHECK(FAILS(futex(&word, FUTEX_WAIT_REQUEUE_PI, 0, &t, &word, 0), EINVAL));
}

static pthread_mutex_t mutex;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static long counter;

static void mutex_make(int protocol, int robust)
{
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setprotocol(&a, protocol);
    pthread_mutexattr_setrobust(&a, robust);
    pthread_mutex_init(&mutex, &a);
}

static void *counts(void *arg)
{
    for (int i = 0; i < 5000; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
    }
    return arg;
}

TEST(pi_mutex_contended)
{
    pthread_t t[4];
    counter = 0;
    mutex_make(PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_STALLED);
    for (unsigned i = 0; i < COUNT(t); i++)
        CHECK(pthread_create(&t[i], NULL, counts, NULL) == 0);
    for (unsigned i = 0; i < COUNT(t); i++)
        pthread_join(t[i], NULL);
    CHECK(counter == 20000);
    CHECK(pthread_mutex_destroy(&mutex) == 0);
}

static void *dies_locked(void *arg)
{
    pthread_mutex_lock(&mutex);
    waiting = 1;
    while (!owned)
        usleep(1000);
    return arg;
}

TEST(robust_mutexes)
{
    static const int protocol[] = {PTHREAD_PRIO_NONE, PTHREAD_PRIO_INHERIT};
    for (unsigned i = 0; i < 4; i++) {
        pthread_t t;
        waiting = 0;
        owned = i & 2; /* it dies at once, or when somebody may wait already */
        mutex_make(protocol[i & 1], PTHREAD_MUTEX_ROBUST);
        CHECK(pthread_create(&t, NULL, dies_locked, NULL) == 0);
        CHECK(SOON(waiting));
        owned = 1;
        CHECK(pthread_mutex_lock(&mutex) == EOWNERDEAD);
        CHECK(pthread_mutex_consistent(&mutex) == 0);
        CHECK(pthread_mutex_unlock(&mutex) == 0);
        CHECK(pthread_mutex_lock(&mutex) == 0);
        CHECK(pthread_mutex_unlock(&mutex) == 0);
        pthread_join(t, NULL);
        pthread_mutex_destroy(&mutex);
    }
}

static void *waits_cond(void *arg)
{
    pthread_mutex_lock(&mutex);
    waiting++;
    while (!owned)
        pthread_cond_wait(&cond, &mutex);
    counter++;
    pthread_mutex_unlock(&mutex);
    return arg;
}

TEST(pi_mutex_condition)
{
    pthread_t t[4];
    counter = waiting = owned = 0;
    mutex_make(PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_STALLED);
    for (unsigned i = 0; i < COUNT(t); i++)
        CHECK(pthread_create(&t[i], NULL, waits_cond, NULL) == 0);
    CHECK(SOON(waiting == 4));
    pthread_mutex_lock(&mutex);
    owned = 1;
    pthread_cond_broadcast(&cond);
    pthread_mutex_unlock(&mutex);
    for (unsigned i = 0; i < COUNT(t); i++)
        pthread_join(t[i], NULL);
    CHECK(counter == 4);
}

static long waitv(struct futex_waitv *w, unsigned n, const struct timespec *t)
{
    return syscall(SYS_futex_waitv, w, n, 0, t, CLOCK_MONOTONIC);
}

static struct futex_waitv entry(volatile uint32_t *p, uint32_t value)
{
    return (struct futex_waitv){
        .uaddr = (uintptr_t)p, .val = value, .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG};
}

static void *wakes(void *arg)
{
    while (futex(arg, FUTEX_WAKE, 1, NULL, NULL, 0) != 1)
        sched_yield();
    return NULL;
}

TEST(waitv_wake)
{
    static volatile uint32_t w[20];
    struct futex_waitv v[20];
    pthread_t t;
    for (unsigned i = 0; i < COUNT(v); i++)
        v[i] = entry(&w[i], 0);
    for (unsigned i = 0; i < COUNT(v); i += 6) {
        CHECK(pthread_create(&t, NULL, wakes, (void *)&w[i]) == 0);
        CHECK(waitv(v, COUNT(v), NULL) == (long)i);
        pthread_join(t, NULL);
    }
}

TEST(waitv_errors)
{
    volatile uint32_t a = 1, b = 2;
    struct timespec t;
    struct futex_waitv v[2] = {entry(&a, 1), entry(&b, 3)};
    clock_gettime(CLOCK_MONOTONIC, &t);
    CHECK(FAILS(waitv(v, 2, NULL), EAGAIN));
    CHECK(FAILS(waitv(v, 1, &t), ETIMEDOUT));
    CHECK(FAILS(waitv(v, 0, NULL), EINVAL));
    CHECK(FAILS(waitv(v, 129, NULL), EINVAL));
    CHECK(FAILS(syscall(SYS_futex_waitv, v, 1, 1, NULL, 0), EINVAL));
    CHECK(FAILS(syscall(SYS_futex_waitv, v, 1, 0, &t, CLOCK_BOOTTIME), EINVAL));
    v[0].flags = FUTEX_PRIVATE_FLAG;
    CHECK(FAILS(waitv(v, 1, NULL), EINVAL));
    v[0] = entry((void *)8, 1);
    CHECK(FAILS(waitv(v, 1, NULL), EFAULT));
}

static long membarrier(int cmd, unsigned flags)
{
    return syscall(SYS_membarrier, cmd, flags, 0);
}

TEST(membarrier_commands)
{
    long have = membarrier(MEMBARRIER_CMD_QUERY, 0);
    CHECK(have > 0 && have & MEMBARRIER_CMD_PRIVATE_EXPEDITED);
    CHECK(FAILS(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0), EPERM));
    CHECK(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0) == 0);
    CHECK(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0) == 0);
    CHECK(FAILS(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0), EPERM));
    CHECK(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0) == 0);
    CHECK(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0) == 0);
    CHECK(FAILS(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 2), EINVAL));
    CHECK(FAILS(membarrier(1 << 20, 0), EINVAL));
}

static volatile int x, y, r1, r2, round_of[2], rounds_wrong, rounds = 300;

/* Dekker with a compiler barrier here and membarrier over there: both never see 0. */
static void *dekker(void *arg)
{
    for (int i = 1; i <= rounds; i++) {
        while (__atomic_load_n(&round_of[0], __ATOMIC_ACQUIRE) != i)
            sched_yield();
        x = 1;
        __asm__ volatile("" ::: "memory");
        r1 = y;
        __atomic_store_n(&round_of[1], i, __ATOMIC_RELEASE);
    }
    return arg;
}

TEST(membarrier_orders)
{
    pthread_t t;
    CHECK(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0) == 0);
    CHECK(pthread_create(&t, NULL, dekker, NULL) == 0);
    for (int i = 1; i <= rounds; i++) {
        x = y = 0;
        __atomic_store_n(&round_of[0], i, __ATOMIC_RELEASE);
        y = 1;
        membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0);
        r2 = x;
        while (__atomic_load_n(&round_of[1], __ATOMIC_ACQUIRE) != i)
            sched_yield();
        rounds_wrong += !r1 && !r2;
    }
    pthread_join(t, NULL);
    CHECK(rounds_wrong == 0);
}

static volatile int stop;
static volatile uint32_t storm[4];

static void *storms(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg * 2654435761u + 1;
    const struct timespec t = {0, 100000};
    while (!stop) {
        seed = seed * 1103515245 + 12345;
        volatile uint32_t *a = &storm[seed >> 16 & 3], *b = &storm[seed >> 18 & 3];
        switch (seed >> 20 & 7) {
        case 0:
        case 1:
            futex(a, FUTEX_WAIT, 0, &t, NULL, 0);
            break;
        case 2:
            futex(a, FUTEX_WAKE, 2, NULL, NULL, 0);
            break;
        case 3:
            futex(a, FUTEX_REQUEUE, 1, (void *)2l, b, 0);
            break;
        case 4:
            futex(a, FUTEX_WAKE_OP, 1, (void *)1l, b,
                  FUTEX_OP(FUTEX_OP_SET, 0, FUTEX_OP_CMP_EQ, 0));
            break;
        case 5:
            futex(a, FUTEX_WAIT_BITSET, 0, &(struct timespec){0, 1}, NULL, seed | 1);
            break;
        default: {
            struct futex_waitv v[2] = {entry(a, 0), entry(b, 0)};
            waitv(v, 2, &(struct timespec){0, 1});
        }
        }
    }
    return NULL;
}

TEST(futex_storm)
{
    pthread_t t[8];
    stop = 0;
    for (uintptr_t i = 0; i < COUNT(t); i++)
        CHECK(pthread_create(&t[i], NULL, storms, (void *)i) == 0);
    usleep(700000);
    stop = 1;
    for (unsigned i = 0; i < COUNT(t); i++)
        pthread_join(t[i], NULL);
    for (unsigned i = 0; i < COUNT(storm); i++)
        CHECK(futex(&storm[i], FUTEX_WAKE, 100, NULL, NULL, 0) == 0);
}
