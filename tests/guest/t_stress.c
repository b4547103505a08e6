/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Much of everything at once: threads, futexes, signals, descriptors. What is counted
 * must come out exact. GUEST_STRESS multiplies the work (tests/run-long).
 */
#include "guest.h"

#include <linux/futex.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

static long stress(long n)
{
    const char *times = getenv("GUEST_STRESS");
    return n * (times ? atol(times) : 1);
}

static long add(long *p, long n)
{
    return __atomic_add_fetch(p, n, __ATOMIC_SEQ_CST);
}

static long get(const long *p)
{
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

/* ---- threads ---- */

#define LEAK_ROUNDS 10
#define LEAK_LIMIT  (64 << 10) /* bytes a round may keep; on a busy host others take more */

static void *same(void *arg)
{
    return arg;
}

static bool create_join(long n)
{
    pthread_t t;
    void *r;
    for (long i = 0; i < n; i++)
        if (pthread_create(&t, NULL, same, (void *)i) || pthread_join(t, &r) || (long)r != i)
            return false;
    return true;
}

static long free_memory(void)
{
    struct sysinfo s;
    return sysinfo(&s) ? -1 : (long)(s.freeram * s.mem_unit);
}

/* A leak takes something in every round, other programs of a host do not. */
static bool every_round_loses(long n)
{
    bool loses = true;
    for (int i = 0; i < LEAK_ROUNDS; i++) {
        long before = free_memory();
        CHECK(create_join(n / LEAK_ROUNDS));
        loses = loses && before - free_memory() > LEAK_LIMIT;
    }
    return loses;
}

TEST(threads_leave_nothing)
{
    CHECK(create_join(100));
    bool leak = every_round_loses(stress(100000));
    for (int again = 0; again < 3 && leak; again++)
        leak = every_round_loses(stress(2000));
    CHECK(!leak);
}

#define MANY 1000

static pthread_barrier_t everybody;
static long present;

static void *be_there(void *arg)
{
    add(&present, 1);
    pthread_barrier_wait(&everybody);
    return get(&present) == MANY ? arg : NULL;
}

TEST(thousand_threads_at_once)
{
    static pthread_t t[MANY];
    pthread_attr_t attr;
    long good = 0;
    void *r;
    pthread_attr_init(&attr);
    CHECK(pthread_attr_setstacksize(&attr, 64 << 10) == 0);
    CHECK(pthread_barrier_init(&everybody, NULL, MANY + 1) == 0);
    present = 0;
    for (int i = 0; i < MANY; i++)
        CHECK(pthread_create(&t[i], &attr, be_there, &present) == 0);
    pthread_barrier_wait(&everybody);
    for (int i = 0; i < MANY; i++)
        good += pthread_join(t[i], &r) == 0 && r == &present;
    CHECK(good == MANY);
}

static long spinning;

static void *spin(void *arg)
{
    add(&spinning, 1);
    while (get(arg) == 0)
        ;
    return NULL;
}

static void *sleep_and_yield(void *arg)
{
    const struct timespec nap = {0, 1000000};
    for (int i = 0; i < 20; i++) {
        nanosleep(&nap, NULL);
        sched_yield();
    }
    return arg;
}

static bool create_on(int cpu, pthread_t *t, void *(*fn)(void *), void *arg)
{
    pthread_attr_t attr;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    pthread_attr_init(&attr);
    return !pthread_attr_setaffinity_np(&attr, sizeof set, &set) &&
           !pthread_create(t, &attr, fn, arg);
}

/* A thread that never sleeps on every CPU: the others of that CPU go on all the same. */
TEST(spinners_starve_nobody)
{
    static pthread_t spinner[CPU_SETSIZE], other[CPU_SETSIZE];
    cpu_set_t mine;
    long stop = 0;
    int cpus = 0, joined = 0;
    CHECK(sched_getaffinity(0, sizeof mine, &mine) == 0);
    spinning = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &mine) && create_on(cpu, &spinner[cpus], spin, &stop))
            cpus += create_on(cpu, &other[cpus], sleep_and_yield, NULL);
    CHECK(cpus == CPU_COUNT(&mine) && SOON(get(&spinning) == cpus));
    for (int i = 0; i < cpus; i++)
        joined += pthread_join(other[i], NULL) == 0;
    add(&stop, 1);
    for (int i = 0; i < cpus; i++)
        joined += pthread_join(spinner[i], NULL) == 0;
    CHECK(joined == 2 * cpus);
}

/* ---- futexes ---- */

#define QUEUE     16
#define PRODUCERS 4

static struct {
    pthread_mutex_t lock;
    pthread_cond_t room, item;
    long value[QUEUE], first, used;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER,
           .room = PTHREAD_COND_INITIALIZER,
           .item = PTHREAD_COND_INITIALIZER};

static void queue_put(long v)
{
    pthread_mutex_lock(&queue.lock);
    while (queue.used == QUEUE)
        pthread_cond_wait(&queue.room, &queue.lock);
    queue.value[(queue.first + queue.used++) % QUEUE] = v;
    pthread_cond_signal(&queue.item);
    pthread_mutex_unlock(&queue.lock);
}

static long queue_take(void)
{
    pthread_mutex_lock(&queue.lock);
    while (!queue.used)
        pthread_cond_wait(&queue.item, &queue.lock);
    long v = queue.value[queue.first++ % QUEUE];
    queue.used--;
    if (queue.used == QUEUE - 1)
        pthread_cond_broadcast(&queue.room);
    pthread_mutex_unlock(&queue.lock);
    return v;
}

static void *produce(void *arg)
{
    for (long i = 1; i <= (long)arg; i++)
        queue_put(i);
    queue_put(0);
    return NULL;
}

static void *consume(void *arg)
{
    long v, sum = 0;
    (void)arg;
    while ((v = queue_take()))
        sum += v;
    return (void *)sum;
}

TEST(queue_of_mutex_and_conditions)
{
    pthread_t t[2 * PRODUCERS];
    const long n = stress(4000);
    long sum = 0;
    void *r = NULL;
    for (int i = 0; i < 2 * PRODUCERS; i++)
        CHECK(!pthread_create(&t[i], NULL, i % 2 ? consume : produce, (void *)n));
    for (int i = 0; i < 2 * PRODUCERS; i++) {
        CHECK(pthread_join(t[i], &r) == 0);
        sum += i % 2 ? (long)r : 0;
    }
    CHECK(sum == PRODUCERS * n * (n + 1) / 2 && queue.used == 0);
}

#define WAITERS 8

static int gate,
    hall; /* futexes: the number of the round; who waits at one is moved to the other */
static long waiting, through;

static long futex(int *word, int op, int value, long count, int *word2, int value2)
{
    return syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, count, word2, value2);
}

/* Each round a waiter passes the gate once, however it was moved about. */
static void *pass_gates(void *arg)
{
    for (int round = 0; round < (int)(long)arg; round++) {
        add(&waiting, 1);
        while (__atomic_load_n(&gate, __ATOMIC_SEQ_CST) == round)
            futex(&gate, FUTEX_WAIT, round, 0, NULL, 0);
        add(&through, 1);
    }
    return NULL;
}

TEST(requeue_loses_nobody)
{
    pthread_t t[WAITERS];
    const int rounds = (int)stress(1000);
    gate = hall = 0;
    waiting = through = 0;
    for (int i = 0; i < WAITERS; i++)
        CHECK(!pthread_create(&t[i], NULL, pass_gates, (void *)(long)rounds));
    for (int round = 0; round < rounds; round++) {
        CHECK(SOON(get(&waiting) == (round + 1) * WAITERS));
        long moved = futex(&gate, FUTEX_CMP_REQUEUE, 1, INT_MAX, &hall, round);
        CHECK(moved >= 0 && moved <= WAITERS);
        CHECK(FAILS(futex(&gate, FUTEX_CMP_REQUEUE, 1, INT_MAX, &hall, round + 1), EAGAIN));
        __atomic_store_n(&gate, round + 1, __ATOMIC_SEQ_CST);
        /* Who woke up or came late is at the gate again, the others are in the hall. */
        CHECK(futex(&gate, FUTEX_WAKE, INT_MAX, 0, NULL, 0) >= 0);
        CHECK(futex(&hall, FUTEX_WAKE, INT_MAX, 0, NULL, 0) <= WAITERS);
        CHECK(SOON(get(&through) == (round + 1) * WAITERS));
    }
    for (int i = 0; i < WAITERS; i++)
        CHECK(pthread_join(t[i], NULL) == 0);
}

/* ---- signals ---- */

#define SENDERS 4

static pthread_t sender[SENDERS];
static pthread_barrier_t senders_there;
static long sent, sent_sum, taken, taken_sum;

static void take_signal(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    add(&taken, 1);
    add(&taken_sum, info->si_value.sival_int);
}

/* Sends real-time signals to the others and makes calls that they interrupt. */
static void *send_signals(void *arg)
{
    unsigned me = (unsigned)(long)arg % SENDERS, seed = me + 1;
    const long n = (long)arg / SENDERS;
    int pipes[2], bad = pipe(pipes);
    char c = 'x';
    pthread_barrier_wait(&senders_there);
    for (long i = 0; i < n;) {
        const union sigval value = {.sival_int = (int)(i & 1023)};
        seed = seed * 1103515245 + 12345;
        int err = pthread_sigqueue(sender[(me + 1 + (seed >> 16) % (SENDERS - 1)) % SENDERS],
                                   SIGRTMIN + (int)(seed >> 20) % 4, value);
        if (!err) {
            add(&sent_sum, value.sival_int);
            add(&sent, 1);
            i++;
        }
        bad |= err && err != EAGAIN; /* the queue is full */
        bad |= write(pipes[1], &c, 1) != 1 || read(pipes[0], &c, 1) != 1;
    }
    while (get(&taken) < n * SENDERS)
        poll(NULL, 0, 1);
    close(pipes[0]);
    close(pipes[1]);
    return (void *)(long)bad;
}

TEST(no_signal_is_lost)
{
    struct sigaction sa = {.sa_sigaction = take_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    const long n = stress(2000);
    void *bad;
    for (int sig = SIGRTMIN; sig < SIGRTMIN + 4; sig++)
        CHECK(sigaction(sig, &sa, NULL) == 0);
    sent = sent_sum = taken = taken_sum = 0;
    CHECK(pthread_barrier_init(&senders_there, NULL, SENDERS + 1) == 0);
    for (long i = 0; i < SENDERS; i++)
        CHECK(!pthread_create(&sender[i], NULL, send_signals, (void *)(n * SENDERS + i)));
    pthread_barrier_wait(&senders_there);
    for (int i = 0; i < SENDERS; i++)
        CHECK(pthread_join(sender[i], &bad) == 0 && !bad);
    CHECK(sent == n * SENDERS && taken == sent && taken_sum == sent_sum);
}

/* ---- descriptors ---- */

#define PIPES   8
#define READERS 3

static int ends[PIPES][2], counter[PIPES], set;
static long bytes, counts, expected;

static void *write_both(void *arg)
{
    const uint64_t one = 1;
    int i = (int)(long)arg % PIPES;
    for (long left = (long)arg / PIPES; left; left--)
        if (write(ends[i][1], "x", 1) != 1 || write(counter[i], &one, 8) != 8)
            return arg;
    return NULL;
}

static bool watch(int op, int fd)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLONESHOT, .data.fd = fd};
    return epoll_ctl(set, op, fd, &e) == 0;
}

/* One shot: only one reader has a descriptor at a time, and gives it back when it is empty. */
static void *read_ready(void *arg)
{
    struct epoll_event e[4];
    char buf[64];
    while (get(&bytes) + get(&counts) < expected) {
        int n = epoll_wait(set, e, 4, 1);
        for (int i = 0; i < n; i++) {
            uint64_t value;
            bool is_counter = e[i].data.fd >= counter[0];
            ssize_t got =
                read(e[i].data.fd, is_counter ? (char *)&value : buf, is_counter ? 8 : 64);
            if (got > 0)
                add(is_counter ? &counts : &bytes, is_counter ? (long)value : got);
            if (got <= 0 || !watch(EPOLL_CTL_MOD, e[i].data.fd))
                return arg;
        }
    }
    return NULL;
}

TEST(epoll_counts_every_event)
{
    pthread_t writer[PIPES], reader[READERS];
    const long n = stress(1000);
    void *bad;
    bytes = counts = 0;
    expected = 2 * n * PIPES;
    CHECK((set = epoll_create1(0)) >= 0);
    for (int i = 0; i < PIPES; i++)
        CHECK(pipe(ends[i]) == 0);
    for (int i = 0; i < PIPES; i++)
        CHECK((counter[i] = eventfd(0, 0)) > ends[PIPES - 1][1]);
    for (int i = 0; i < PIPES; i++)
        CHECK(watch(EPOLL_CTL_ADD, ends[i][0]) && watch(EPOLL_CTL_ADD, counter[i]));
    for (long i = 0; i < READERS; i++)
        CHECK(!pthread_create(&reader[i], NULL, read_ready, &bytes));
    for (long i = 0; i < PIPES; i++)
        CHECK(!pthread_create(&writer[i], NULL, write_both, (void *)(n * PIPES + i)));
    for (int i = 0; i < PIPES; i++)
        CHECK(pthread_join(writer[i], &bad) == 0 && !bad);
    for (int i = 0; i < READERS; i++)
        CHECK(pthread_join(reader[i], &bad) == 0 && !bad);
    CHECK(bytes == n * PIPES && counts == n * PIPES);
    for (int i = 0; i < PIPES; i++)
        close(ends[i][0]), close(ends[i][1]), close(counter[i]);
    close(set);
}

/* Pages of a file are read by faults while it is cut: zeroes, or SIGBUS, and nothing else. */
static char *shown;
static volatile int cutting;
static __thread sigjmp_buf beyond;

static void on_bus(int sig)
{
    siglongjmp(beyond, sig);
}

static void *read_shown(void *arg)
{
    volatile long at = 0, wrong = 0;
    while (cutting) {
        at = (at + 1) % 64;
        if (!sigsetjmp(beyond, 1))
            wrong += ((volatile char *)shown)[at * 4096 + 17] != 0;
    }
    return wrong ? arg : NULL;
}

TEST(a_file_is_cut_while_its_pages_are_read)
{
    struct sigaction act = {.sa_handler = on_bus}, old;
    char name[] = "/tmp/cut.XXXXXX";
    pthread_t reader[READERS];
    const long n = stress(1500);
    void *bad;
    int fd = mkstemp(name);
    CHECK(fd >= 0 && unlink(name) == 0 && sigaction(SIGBUS, &act, &old) == 0);
    shown = mmap(NULL, 64 * 4096, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(shown != MAP_FAILED);
    cutting = 1;
    for (int i = 0; i < READERS; i++)
        CHECK(!pthread_create(&reader[i], NULL, read_shown, &shown));
    for (long i = 0; i < n; i++)
        CHECK(ftruncate(fd, 64 * 4096) == 0 && ftruncate(fd, i % 64 * 4096 + 5) == 0);
    cutting = 0;
    for (int i = 0; i < READERS; i++)
        CHECK(pthread_join(reader[i], &bad) == 0 && !bad);
    sigaction(SIGBUS, &old, NULL);
    munmap(shown, 64 * 4096);
    close(fd);
}
