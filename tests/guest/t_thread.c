/* SPDX-License-Identifier: Apache-2.0 */
/* Threads as programs use them: creation, join, locks, condition variables, thread-local data. */
#include "guest.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>

static void *twice(void *arg)
{
    return (void *)((long)arg * 2);
}

TEST(create_join_100)
{
    for (long i = 0; i < 100; i++) {
        pthread_t t;
        void *r;
        CHECK(pthread_create(&t, NULL, twice, (void *)i) == 0);
        CHECK(pthread_join(t, &r) == 0 && (long)r == 2 * i);
    }
}

TEST(many_at_once)
{
    pthread_t t[50];
    for (long i = 0; i < 50; i++)
        CHECK(pthread_create(&t[i], NULL, twice, (void *)i) == 0);
    for (long i = 0; i < 50; i++) {
        void *r;
        CHECK(pthread_join(t[i], &r) == 0 && (long)r == 2 * i);
    }
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static long counter;

static void *add_locked(void *arg)
{
    for (int i = 0; i < 20000; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
    }
    return arg;
}

TEST(mutex_contention)
{
    pthread_t t[4];
    counter = 0;
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&t[i], NULL, add_locked, NULL) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    CHECK(counter == 80000);
}

static int turn;

static void *take_turns(void *arg)
{
    int me = (int)(long)arg;
    for (int i = 0; i < 1000; i++) {
        pthread_mutex_lock(&mutex);
        while (turn != me)
            pthread_cond_wait(&cond, &mutex);
        turn = !me;
        pthread_cond_broadcast(&cond);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

TEST(condition_ping_pong)
{
    pthread_t t;
    turn = 0;
    CHECK(pthread_create(&t, NULL, take_turns, (void *)1l) == 0);
    take_turns(NULL);
    CHECK(pthread_join(t, NULL) == 0 && turn == 0);
}

TEST(condition_times_out)
{
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_nsec += 20 * MS;
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    int64_t start = now_ns();
    pthread_mutex_lock(&mutex);
    int r = pthread_cond_timedwait(&cond, &mutex, &at);
    pthread_mutex_unlock(&mutex);
    CHECK(r == ETIMEDOUT && now_ns() - start >= 15 * MS);
}

static __thread int local = 7;
static __thread char local_zero[100];

static void *use_local(void *arg)
{
    int bad = local != 7 || local_zero[50] != 0;
    for (int i = 0; i < 1000; i++) {
        local = (int)(long)arg;
        local_zero[50] = (char)(long)arg;
        sched_yield();
        bad += local != (int)(long)arg || local_zero[50] != (char)(long)arg;
    }
    return (void *)(long)bad;
}

TEST(thread_local_data)
{
    pthread_t t[4];
    for (long i = 0; i < 4; i++)
        CHECK(pthread_create(&t[i], NULL, use_local, (void *)(i + 10)) == 0);
    for (int i = 0; i < 4; i++) {
        void *bad;
        pthread_join(t[i], &bad);
        CHECK(!bad);
    }
    CHECK(local == 7);
}

static void *set_errno(void *arg)
{
    errno = 0;
    close(-1);
    return (void *)(long)(errno == EBADF && arg == NULL);
}

TEST(errno_per_thread)
{
    pthread_t t;
    void *ok;
    errno = 5;
    CHECK(pthread_create(&t, NULL, set_errno, NULL) == 0);
    pthread_join(t, &ok);
    CHECK(errno == 5 && ok);
}

static sem_t semaphore;

static void *post_detached(void *arg)
{
    sem_post(&semaphore);
    return arg;
}

TEST(detached)
{
    pthread_attr_t attr;
    CHECK(sem_init(&semaphore, 0, 0) == 0);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    for (int i = 0; i < 20; i++) {
        pthread_t t;
        CHECK(pthread_create(&t, &attr, post_detached, NULL) == 0);
    }
    for (int i = 0; i < 20; i++)
        CHECK(sem_wait(&semaphore) == 0);
}

static pthread_barrier_t barrier;
static volatile int before, after;

static void *meet(void *arg)
{
    __atomic_add_fetch(&before, 1, __ATOMIC_SEQ_CST);
    pthread_barrier_wait(&barrier);
    if (before == 5)
        __atomic_add_fetch(&after, 1, __ATOMIC_SEQ_CST);
    return arg;
}

TEST(barrier_meets)
{
    pthread_t t[4];
    before = after = 0;
    CHECK(pthread_barrier_init(&barrier, NULL, 5) == 0);
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&t[i], NULL, meet, NULL) == 0);
    meet(NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    CHECK(after == 5);
}

static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static long pair[2];

static void *read_pairs(void *arg)
{
    long bad = 0;
    for (int i = 0; i < 5000; i++) {
        pthread_rwlock_rdlock(&rwlock);
        bad += pair[0] != pair[1];
        pthread_rwlock_unlock(&rwlock);
    }
    (void)arg;
    return (void *)bad;
}

TEST(reader_writer_lock)
{
    pthread_t t[3];
    void *bad;
    for (int i = 0; i < 3; i++)
        CHECK(pthread_create(&t[i], NULL, read_pairs, NULL) == 0);
    for (int i = 0; i < 2000; i++) {
        pthread_rwlock_wrlock(&rwlock);
        pair[0]++;
        pair[1]++;
        pthread_rwlock_unlock(&rwlock);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(t[i], &bad);
        CHECK(!bad);
    }
}

static void *wait_for_ever(void *arg)
{
    sem_post(&semaphore);
    for (;;)
        pause();
    return arg;
}

TEST(cancel)
{
    pthread_t t;
    void *r;
    CHECK(pthread_create(&t, NULL, wait_for_ever, NULL) == 0);
    sem_wait(&semaphore);
    CHECK(pthread_cancel(t) == 0 && pthread_join(t, &r) == 0 && r == PTHREAD_CANCELED);
}

static void *thread_id(void *arg)
{
    (void)arg;
    return (void *)syscall(SYS_gettid);
}

TEST(identity)
{
    pthread_t t;
    void *tid;
    CHECK(syscall(SYS_gettid) == getpid());
    CHECK(pthread_create(&t, NULL, thread_id, NULL) == 0);
    pthread_join(t, &tid);
    CHECK((long)tid > 0 && (long)tid != getpid());
}

static void *use_stack(void *arg)
{
    volatile char big[900 * 1024];
    for (unsigned i = 0; i < sizeof big; i += 4096)
        big[i] = 1;
    return big[4096] ? arg : NULL;
}

TEST(stack_size)
{
    pthread_attr_t attr;
    pthread_t t;
    void *r;
    pthread_attr_init(&attr);
    CHECK(pthread_attr_setstacksize(&attr, 1 << 20) == 0);
    CHECK(pthread_create(&t, &attr, use_stack, &mutex) == 0);
    CHECK(pthread_join(t, &r) == 0 && r == &mutex);
}

static void *spin_flag(void *arg)
{
    volatile int *flag = arg;
    while (!*flag)
        ;
    return NULL;
}

/* Threads that never sleep must not starve one another, even on one CPU. */
TEST(preemption)
{
    pthread_t t[3];
    volatile int stop = 0;
    for (int i = 0; i < 3; i++)
        CHECK(pthread_create(&t[i], NULL, spin_flag, (void *)&stop) == 0);
    int64_t end = now_ns() + 50 * MS;
    while (now_ns() < end)
        ;
    stop = 1;
    for (int i = 0; i < 3; i++)
        CHECK(pthread_join(t[i], NULL) == 0);
}

TEST(affinity)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CHECK(sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) >= 1);
    CHECK(CPU_COUNT(&set) <= sysconf(_SC_NPROCESSORS_ONLN));
    long n = syscall(SYS_sched_getaffinity, 0, sizeof set, &set);
    CHECK(n > 0 && n % 8 == 0);
    CHECK(FAILS(syscall(SYS_sched_getaffinity, 0, 1, &set), EINVAL));
    CHECK(sched_getcpu() >= 0);
}

/* ---- clone itself ---- */

static volatile int cleared, child_ran;
static char child_stack[65536] __attribute__((aligned(16)));

static int child(void *arg)
{
    child_ran = *(int *)arg;
    syscall(SYS_exit, 0); /* this thread only */
    return 0;
}

TEST(clone_clears_tid)
{
    int value = 42, parent_tid = 0;
    cleared = 1;
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
    int tid =
        clone(child, child_stack + sizeof child_stack, flags, &value, &parent_tid, NULL, &cleared);
    CHECK(tid > 0 && parent_tid == tid);
    CHECK(SOON(cleared == 0) && child_ran == 42);
}
