/* SPDX-License-Identifier: Apache-2.0 */
/* Threads: making and joining them, handing a futex to and fro, giving the CPU away. */
#include "guest.h"

#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>

static int turn;     /* the futex: whose turn it is, or OVER */
static bool yielder; /* the other thread is to go on */
static int partner_cpu;

#define OVER 2

/* linux/futex.h, which musl's compiler does not find. */
#define FUTEX_WAIT_PRIVATE 128
#define FUTEX_WAKE_PRIVATE 129

static void *nothing(void *arg)
{
    return arg;
}

static void create_join(long n)
{
    while (n--) {
        pthread_t t;
        NEED(pthread_create(&t, NULL, nothing, NULL) == 0);
        NEED(pthread_join(t, NULL) == 0);
    }
}

static void wait_while(int value)
{
    while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) == value)
        syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, value, NULL);
}

static void pass(int to)
{
    __atomic_store_n(&turn, to, __ATOMIC_RELEASE);
    syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1);
}

static void *partner(void *arg)
{
    pin(partner_cpu);
    for (;;) {
        wait_while(0);
        if (turn == OVER)
            return arg;
        pass(0);
    }
}

static void ping_pong(long n)
{
    while (n--) {
        pass(1);
        wait_while(1);
    }
}

static void futex_row(const char *name, int cpu)
{
    pthread_t t;
    turn = 0;
    partner_cpu = cpu;
    NEED(pthread_create(&t, NULL, partner, NULL) == 0);
    measure(name, ping_pong, 2000);
    pass(OVER);
    pthread_join(t, NULL);
}

static void *yield_too(void *arg)
{
    while (__atomic_load_n(&yielder, __ATOMIC_RELAXED))
        sched_yield();
    return arg;
}

static void yields(long n)
{
    for (n /= 2; n--;) /* each of us switches to the other one */
        sched_yield();
}

static void yield_row(void)
{
    pthread_t t;
    yielder = true;
    NEED(pthread_create(&t, NULL, yield_too, NULL) == 0);
    measure("yield", yields, 10000);
    yielder = false;
    pthread_join(t, NULL);
}

void rows_thread(void)
{
    measure("thread", create_join, 300);
    futex_row("futex", 0);
    yield_row();
}

void rows_two_cpus(void)
{
    pin(0);
    futex_row("futex2", 1);
}
