/* SPDX-License-Identifier: Apache-2.0 */
/* POSIX timers, timerfd, interval timers, CPU clocks. */
#include "guest.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/timex.h>

static volatile sig_atomic_t hits, overruns;
static volatile int last_value;
static volatile pid_t last_tid;

static void handler(int sig, siginfo_t *info, void *context)
{
    (void)sig, (void)context;
    overruns = overruns + info->si_overrun;
    last_value = info->si_value.sival_int;
    last_tid = gettid();
    hits = hits + 1;
}

static void catch (int sig)
{
    struct sigaction a = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};
    hits = overruns = 0;
    sigaction(sig, &a, NULL);
}

static struct itimerspec once(int64_t ns)
{
    return (struct itimerspec){{0, 0}, {ns / 1000000000, ns % 1000000000}};
}

static struct itimerspec every(int64_t ns)
{
    struct itimerspec t = once(ns);
    t.it_interval = t.it_value;
    return t;
}

static int64_t value_ns(const struct timespec *t)
{
    return t->tv_sec * 1000000000ll + t->tv_nsec;
}

/* Burns CPU until the condition holds, for at most ten seconds. */
#define BURN(cond)                                                                                 \
    ({                                                                                             \
        int64_t burn_end = now_ns() + 10000 * MS;                                                  \
        while (!(cond) && now_ns() < burn_end)                                                     \
            ;                                                                                      \
        (cond);                                                                                    \
    })

TEST(timer_signal)
{
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec t = once(20 * MS), left;
    timer_t id;
    e.sigev_value.sival_int = 4711;
    catch (SIGUSR1);
    CHECK(timer_create(CLOCK_MONOTONIC, &e, &id) == 0);
    int64_t start = now_ns();
    CHECK(timer_settime(id, 0, &t, NULL) == 0);
    CHECK(timer_gettime(id, &left) == 0 && value_ns(&left.it_value) > 0);
    CHECK(SOON(hits == 1));
    CHECK(now_ns() - start >= 20 * MS && last_value == 4711);
    CHECK(timer_gettime(id, &left) == 0 && value_ns(&left.it_value) == 0);
    CHECK(timer_delete(id) == 0);
    CHECK(FAILS(timer_delete(id), EINVAL));
}

TEST(timer_default_event)
{
    struct itimerspec t = once(1);
    timer_t id;
    catch (SIGALRM);
    CHECK(timer_create(CLOCK_REALTIME, NULL, &id) == 0);
    CHECK(timer_settime(id, 0, &t, NULL) == 0);
    CHECK(SOON(hits == 1));
    CHECK(timer_delete(id) == 0);
}

TEST(timer_interval)
{
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 3};
    struct itimerspec t = every(5 * MS), left;
    timer_t id;
    catch (SIGRTMIN + 3);
    CHECK(timer_create(CLOCK_BOOTTIME, &e, &id) == 0);
    CHECK(timer_settime(id, 0, &t, NULL) == 0);
    CHECK(SOON(hits >= 5));
    t = once(0);
    CHECK(timer_settime(id, 0, &t, &left) == 0 && value_ns(&left.it_interval) == 5 * MS);
    int seen = hits;
    usleep(20000);
    CHECK(hits <= seen + 1);
    CHECK(timer_delete(id) == 0);
}

TEST(timer_absolute)
{
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct timespec now;
    timer_t id;
    catch (SIGUSR1);
    CHECK(timer_create(CLOCK_REALTIME, &e, &id) == 0);
    clock_gettime(CLOCK_REALTIME, &now);
    struct itimerspec t = once(value_ns(&now) + 20 * MS);
    CHECK(timer_settime(id, TIMER_ABSTIME, &t, NULL) == 0);
    CHECK(SOON(hits == 1));
    clock_gettime(CLOCK_REALTIME, &now);
    CHECK(value_ns(&now) >= value_ns(&t.it_value));
    CHECK(timer_settime(id, TIMER_ABSTIME, &t, NULL) == 0); /* is over: at once */
    CHECK(SOON(hits == 2));
    CHECK(timer_delete(id) == 0);
}

/* A blocked signal stands for all firings; si_overrun and timer_getoverrun tell how many. */
TEST(timer_overrun)
{
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
    struct itimerspec t = every(MS), off = once(0);
    sigset_t set;
    timer_t id;
    catch (SIGUSR2);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    CHECK(timer_create(CLOCK_MONOTONIC, &e, &id) == 0);
    CHECK(timer_settime(id, 0, &t, NULL) == 0);
    usleep(30000);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    timer_settime(id, 0, &off, NULL);
    CHECK(hits >= 1 && overruns >= 15);
    CHECK(timer_getoverrun(id) >= 0);
    CHECK(timer_delete(id) == 0);
    CHECK(FAILS(timer_getoverrun(id), EINVAL));
}

static volatile pid_t other_tid;
static volatile int done;

static void *waits(void *arg)
{
    other_tid = gettid();
    while (!done)
        usleep(1000);
    return arg;
}

TEST(timer_thread_id)
{
    struct sigevent e = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    struct itimerspec t = once(MS);
    pthread_t th;
    timer_t id;
    catch (SIGUSR1);
    done = 0;
    other_tid = 0;
    CHECK(pthread_create(&th, NULL, waits, NULL) == 0);
    CHECK(SOON(other_tid));
    e._sigev_un._tid = other_tid;
    CHECK(timer_create(CLOCK_MONOTONIC, &e, &id) == 0);
    CHECK(timer_settime(id, 0, &t, NULL) == 0);
    CHECK(SOON(hits == 1));
    CHECK(last_tid == other_tid);
    done = 1;
    pthread_join(th, NULL);
    CHECK(timer_delete(id) == 0);
    e._sigev_un._tid = 1;
    CHECK(FAILS(timer_create(CLOCK_MONOTONIC, &e, &id), EINVAL));
}

static void thread_notified(union sigval v)
{
    last_value = v.sival_int;
    hits = hits + 1;
}

TEST(timer_sigev_thread)
{
    struct sigevent e = {.sigev_notify = SIGEV_THREAD};
    struct itimerspec t = once(MS);
    timer_t id;
    hits = 0;
    e.sigev_notify_function = thread_notified;
    e.sigev_value.sival_int = 99;
    CHECK(timer_create(CLOCK_MONOTONIC, &e, &id) == 0);
    CHECK(timer_settime(id, 0, &t, NULL) == 0);
    CHECK(SOON(hits == 1));
    CHECK(last_value == 99 && timer_delete(id) == 0);
}

TEST(timer_none)
{
    struct sigevent e = {.sigev_notify = SIGEV_NONE};
    struct itimerspec t = once(5 * MS), left;
    timer_t id;
    CHECK(timer_create(CLOCK_MONOTONIC, &e, &id) == 0);
    CHECK(timer_settime(id, 0, &t, NULL) == 0);
    CHECK(timer_gettime(id, &left) == 0 && value_ns(&left.it_value) <= 5 * MS);
    CHECK(SOON(timer_gettime(id, &left) == 0 && value_ns(&left.it_value) == 0));
    CHECK(timer_delete(id) == 0);
}

TEST(timer_cpu_clock)
{
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec t = once(20 * MS);
    static const clockid_t clocks[] = {CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};
    for (unsigned i = 0; i < COUNT(clocks); i++) {
        struct timespec from, to;
        timer_t id;
        catch (SIGUSR1);
        CHECK(timer_create(clocks[i], &e, &id) == 0);
        clock_gettime(clocks[i], &from);
        CHECK(timer_settime(id, 0, &t, NULL) == 0);
        usleep(40000); /* asleep: the clock stands still, unless the host was slow before */
        int early = hits;
        clock_gettime(clocks[i], &to);
        CHECK(early == 0 || value_ns(&to) - value_ns(&from) >= 20 * MS);
        CHECK(BURN(hits == 1));
        clock_gettime(clocks[i], &to);
        CHECK(value_ns(&to) - value_ns(&from) >= 20 * MS);
        CHECK(timer_delete(id) == 0);
    }
}

TEST(timer_errors)
{
    struct sigevent e = {.sigev_notify = 77, .sigev_signo = SIGUSR1};
    struct itimerspec t = {{0, 0}, {0, 1000000000}};
    timer_t id;
    CHECK(FAILS(timer_create(CLOCK_MONOTONIC, &e, &id), EINVAL));
    e = (struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65};
    CHECK(FAILS(timer_create(CLOCK_MONOTONIC, &e, &id), EINVAL));
    CHECK(FAILS(timer_create(99, NULL, &id), EINVAL));
    CHECK(FAILS(timer_create(CLOCK_MONOTONIC_RAW, NULL, &id), EOPNOTSUPP));
    CHECK(timer_create(CLOCK_MONOTONIC, NULL, &id) == 0);
    CHECK(FAILS(timer_settime(id, 0, &t, NULL), EINVAL));
    CHECK(syscall(SYS_timer_settime, id, 0, NULL, NULL) == -1 && errno == EINVAL);
    CHECK(timer_delete(id) == 0);
}

TEST(timerfd_once)
{
    struct itimerspec t = once(20 * MS), left;
    uint64_t n = 0;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    CHECK(fd >= 0);
    int64_t start = now_ns();
    CHECK(timerfd_settime(fd, 0, &t, NULL) == 0);
    CHECK(timerfd_gettime(fd, &left) == 0 && value_ns(&left.it_value) > 0);
    CHECK(read(fd, &n, sizeof n) == sizeof n && n == 1);
    CHECK(now_ns() - start >= 20 * MS);
    CHECK(timerfd_gettime(fd, &left) == 0 && value_ns(&left.it_value) == 0);
    CHECK(FAILS(read(fd, &n, 4), EINVAL));
    CHECK(FAILS(write(fd, &n, 8), EINVAL));
    close(fd);
}

TEST(timerfd_interval)
{
    struct itimerspec t = every(2 * MS);
    uint64_t n = 0;
    int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
    CHECK(FAILS(read(fd, &n, sizeof n), EAGAIN));
    CHECK(timerfd_settime(fd, 0, &t, NULL) == 0);
    usleep(21000);
    CHECK(read(fd, &n, sizeof n) == sizeof n && n >= 10);
    struct pollfd p = {fd, POLLIN, 0};
    CHECK(poll(&p, 1, 5000) == 1 && p.revents == POLLIN);
    CHECK(timerfd_settime(fd, 0, &(struct itimerspec){0}, &t) == 0);
    CHECK(value_ns(&t.it_interval) == 2 * MS);
    CHECK(FAILS(read(fd, &n, sizeof n), EAGAIN));
    close(fd);
}

TEST(timerfd_absolute)
{
    struct timespec now;
    uint64_t n;
    int fd = timerfd_create(CLOCK_REALTIME, 0);
    clock_gettime(CLOCK_REALTIME, &now);
    struct itimerspec t = once(value_ns(&now) + 20 * MS);
    CHECK(timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &t, NULL) == 0);
    CHECK(read(fd, &n, sizeof n) == sizeof n && n == 1);
    clock_gettime(CLOCK_REALTIME, &now);
    CHECK(value_ns(&now) >= value_ns(&t.it_value));
    t = once(1); /* long ago */
    CHECK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, NULL) == 0);
    CHECK(read(fd, &n, sizeof n) == sizeof n && n == 1);
    close(fd);
}

TEST(timerfd_errors)
{
    struct itimerspec t = once(MS), bad = {{0, -1}, {1, 0}};
    CHECK(FAILS(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL));
    CHECK(FAILS(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL));
    CHECK(FAILS(timerfd_settime(0, 0, &t, NULL), EINVAL));
    CHECK(FAILS(timerfd_settime(-1, 0, &t, NULL), EBADF));
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    CHECK(FAILS(timerfd_settime(fd, 0, &bad, NULL), EINVAL));
    CHECK(FAILS(timerfd_settime(fd, 8, &t, NULL), EINVAL));
    CHECK(syscall(SYS_timerfd_settime, fd, 0, NULL, NULL) == -1 && errno == EFAULT);
    close(fd);
}

TEST(itimer_real)
{
    struct itimerval t = {{0, 2000}, {0, 2000}}, old;
    catch (SIGALRM);
    CHECK(setitimer(ITIMER_REAL, &t, NULL) == 0);
    CHECK(SOON(hits >= 3));
    CHECK(getitimer(ITIMER_REAL, &old) == 0 && old.it_interval.tv_usec == 2000);
    memset(&t, 0, sizeof t);
    CHECK(setitimer(ITIMER_REAL, &t, &old) == 0 && old.it_interval.tv_usec == 2000);
    CHECK(FAILS(setitimer(3, &t, NULL), EINVAL));
}

TEST(itimer_cpu)
{
    static const int which[] = {ITIMER_VIRTUAL, ITIMER_PROF}, sigs[] = {SIGVTALRM, SIGPROF};
    for (int i = 0; i < 2; i++) {
        struct itimerval t = {{0, 5000}, {0, 5000}}, off = {{0, 0}, {0, 0}};
        catch (sigs[i]);
        CHECK(setitimer(which[i], &t, NULL) == 0);
        usleep(30000);
        CHECK(hits <= 1);
        CHECK(BURN(hits >= 3));
        CHECK(setitimer(which[i], &off, &t) == 0 && t.it_interval.tv_usec == 5000);
    }
}

static void *burns(void *arg)
{
    while (!done)
        ;
    return arg;
}

TEST(sleep_on_cpu_clock)
{
    struct timespec t = {0, 20 * MS}, from, to;
    clockid_t clock;
    pthread_t th;
    done = 0;
    CHECK(pthread_create(&th, NULL, burns, NULL) == 0);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    CHECK(clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &t, NULL) == 0);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    CHECK(value_ns(&to) - value_ns(&from) >= 20 * MS);
    CHECK(pthread_getcpuclockid(th, &clock) == 0);
    CHECK(clock_nanosleep(clock, 0, &t, NULL) == 0);
    done = 1;
    pthread_join(th, NULL);
}

TEST(adjtimex_reads)
{
    struct timex t = {.modes = 0};
    CHECK(adjtimex(&t) >= 0);
    CHECK(t.tick == 10000);
    t = (struct timex){.modes = 0};
    CHECK(clock_adjtime(CLOCK_REALTIME, &t) >= 0);
    CHECK(FAILS(clock_adjtime(CLOCK_MONOTONIC, &t), EOPNOTSUPP));
}

/* Many timers at once, each with its own value. */
TEST(hundred_timers)
{
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1};
    timer_t id[100];
    catch (SIGRTMIN + 1);
    for (unsigned i = 0; i < COUNT(id); i++) {
        struct itimerspec t = once((int64_t)(i % 7 + 1) * MS);
        CHECK(timer_create(CLOCK_MONOTONIC, &e, &id[i]) == 0);
        CHECK(timer_settime(id[i], 0, &t, NULL) == 0);
    }
    CHECK(SOON(hits == (int)COUNT(id)));
    for (unsigned i = 0; i < COUNT(id); i++)
        CHECK(timer_delete(id[i]) == 0);
}
