/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A system-call fuzzer that runs in the guest: several threads make random calls
 * with random and edge-case arguments, and the main thread keeps interrupting
 * them by signals. It knows nothing about the kernel. What would end it by right
 * (exit, SIGKILL, unmapping its own code) is left out; whatever else happens,
 * the kernel must not panic or hang: the program ends with status 0 in time.
 *   syscalls SECONDS SEED
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#define THREADS     4
#define ARENA_PAGES 64
#define PAGE        4096ul
#define LAST_CALL   470

static char *arena;
static _Atomic int stop, ready, done;
static _Atomic unsigned long calls;
static pid_t tids[THREADS];
static uint64_t first_seed;
static __thread sigjmp_buf recover;
static __thread volatile int recovering;

static uint64_t next(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

/* Calls that end the program, its threads or the run itself by right. */
static int forbidden(long nr)
{
    static const short never[] = {
        SYS_exit,
        SYS_exit_group,
        SYS_rt_sigreturn,
        SYS_kill,
        SYS_tkill,
        SYS_tgkill,
        SYS_rt_sigqueueinfo,
        SYS_rt_tgsigqueueinfo,
        SYS_clone,
        SYS_clone3,
        SYS_fork,
        SYS_vfork,
        SYS_arch_prctl,
        SYS_set_robust_list,
        SYS_set_tid_address,
        SYS_rt_sigaction,
        SYS_rt_sigprocmask,
        SYS_sigaltstack,
        SYS_brk,
        SYS_reboot,
        SYS_rseq,
        SYS_alarm,
        SYS_setitimer,
        SYS_timer_create,
        SYS_timer_settime,
        SYS_shmat,
        SYS_shmdt,
        SYS_remap_file_pages,
        SYS_ptrace,
        SYS_rt_sigtimedwait,
        SYS_seccomp,
        SYS_ppoll,
        SYS_pselect6,
        SYS_rt_sigsuspend,
        SYS_epoll_pwait,
        SYS_epoll_pwait2,
        SYS_prlimit64,
        SYS_setrlimit,
        SYS_munlockall,
        SYS_mlockall,
        SYS_clock_settime,
        SYS_settimeofday,
        SYS_chroot,
        SYS_close_range,
    };
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        if (never[i] == nr)
            return 1;
    return 0;
}

static int moves_memory(long nr)
{
    return nr == SYS_mmap || nr == SYS_munmap || nr == SYS_mprotect || nr == SYS_mremap ||
           nr == SYS_madvise || nr == SYS_pkey_mprotect || nr == SYS_process_madvise;
}

/* Standard output stays open for the report. */
static int keeps_output(long nr, const uint64_t a[6])
{
    if (nr == SYS_close)
        return (int)a[0] > 2;
    return (nr != SYS_dup2 && nr != SYS_dup3) || (int)a[1] > 2;
}

static uint64_t in_arena(uint64_t r)
{
    return (uint64_t)arena + (r >> 8) % (ARENA_PAGES * PAGE);
}

static uint64_t edge(uint64_t r)
{
    static const uint64_t edges[] = {
        0,
        1,
        2,
        3,
        4,
        7,
        8,
        63,
        64,
        255,
        256,
        4095,
        4096,
        4097,
        65535,
        65536,
        1u << 20,
        1u << 31,
        UINT32_MAX,
        1ull << 32,
        1ull << 47,
        (1ull << 47) - 1,
        (1ull << 47) - 4096,
        1ull << 63,
        UINT64_MAX,
        UINT64_MAX - 1,
        UINT64_MAX - 4095,
        0xffff800000000000,
        0xffffffff80100000,
        (uint64_t)-100,
        (uint64_t)-512,
        INT64_MAX,
    };
    return edges[(r >> 8) % (sizeof edges / sizeof *edges)];
}

static uint64_t argument(uint64_t *s)
{
    uint64_t r = next(s);
    switch (r & 15) {
    case 0:
    case 1:
    case 2:
        return edge(r);
    case 3:
    case 4:
        return (r >> 8) % 40; /* a descriptor, a small count, a signal */
    case 5:
        return 1ull << ((r >> 8) & 63);
    case 6:
        return r;
    case 7:
        return (r >> 8) & 0xfff;
    case 8:
        return (in_arena(r) & ~(PAGE - 1)) + PAGE - (r >> 40) % 16; /* close to a page's end */
    default:
        return in_arena(r);
    }
}

/* Changes of mappings stay within the arena. */
static void confine(long nr, uint64_t a[6])
{
    uint64_t page = (a[0] >> 12) % ARENA_PAGES;
    a[0] = (uint64_t)arena + page * PAGE;
    a[1] = 1 + a[1] % ((ARENA_PAGES - page) * PAGE);
    if (nr == SYS_mremap) {
        a[2] = 1 + a[2] % ((ARENA_PAGES - page) * PAGE);
        a[3] &= ~(uint64_t)MREMAP_FIXED;
    }
    if (nr == SYS_mmap && !(a[3] & MAP_FIXED))
        a[1] %= 1u << 20;
}

/* Fills part of the arena, so that structures read from it are not all zeroes. */
static void scribble(uint64_t *s)
{
    static const char *const names[] = {"/tmp",   "/tmp/a", "/proc/self/maps", "/dev/zero", ".",
                                        "a/../b", "/"};
    uint64_t r = next(s);
    char *at = arena + (r >> 8) % (ARENA_PAGES * PAGE - 128);
    if (r & 1) {
        const char *name = names[(r >> 40) % (sizeof names / sizeof *names)];
        syscall(SYS_pread64, -1, at, 0, 0); /* a call between, as any program makes */
        if (mprotect((void *)((uint64_t)at & ~(PAGE - 1)), 2 * PAGE, PROT_READ | PROT_WRITE) == 0)
            memcpy(at, name, strlen(name) + 1);
    } else if (mprotect((void *)((uint64_t)at & ~(PAGE - 1)), 2 * PAGE, PROT_READ | PROT_WRITE) ==
               0) {
        for (int i = 0; i < 8; i++)
            ((uint64_t *)((uint64_t)at & ~7ull))[i] = argument(s);
    }
}

static void on_signal(int sig)
{
    if (sig == SIGSEGV || sig == SIGBUS) { /* another thread took the page away */
        if (!recovering)
            _exit(5); /* not where a fault may happen */
        siglongjmp(recover, 1);
    }
}

static void scribble_safely(uint64_t *seed)
{
    recovering = 1;
    if (!sigsetjmp(recover, 1))
        scribble(seed);
    recovering = 0;
}

static void *fuzz(void *arg)
{
    uint64_t seed = first_seed + 0x9e3779b97f4a7c15ull * (1 + (uintptr_t)arg);
    tids[(uintptr_t)arg] = (pid_t)syscall(SYS_gettid);
    ready++;
    while (!stop) {
        uint64_t a[6];
        const long nr = (long)(next(&seed) % LAST_CALL);
        if (forbidden(nr))
            continue;
        if (next(&seed) % 8 == 0)
            scribble_safely(&seed);
        for (int i = 0; i < 6; i++)
            a[i] = argument(&seed);
        if (moves_memory(nr))
            confine(nr, a);
        if (keeps_output(nr, a)) {
            syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
            calls++;
        }
    }
    done++;
    return NULL;
}

int main(int argc, char **argv)
{
    unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 5;
    first_seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    struct sigaction sa = {.sa_handler = on_signal};
    for (int sig = 1; sig < 65; sig++)
        sigaction(sig, &sa, NULL);
    arena = mmap(NULL, (ARENA_PAGES + 2) * PAGE, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    arena += PAGE;
    for (uintptr_t i = 0; i < THREADS; i++) {
        pthread_t t;
        if (pthread_create(&t, NULL, fuzz, (void *)i))
            return 2;
    }
    while (ready < THREADS)
        sched_yield();
    struct timespec now, end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += seconds;
    const struct timespec tick = {0, 1000000};
    pid_t pid = getpid();
    do {
        syscall(SYS_nanosleep, &tick, NULL);
        for (int i = 0; i < THREADS; i++)
            syscall(SYS_tgkill, pid, tids[i], SIGUSR1);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec < end.tv_sec);
    stop = 1;
    for (int i = 0; done < THREADS && i < 5000; i++) {
        for (int t = 0; t < THREADS; t++)
            syscall(SYS_tgkill, pid, tids[t], SIGUSR1);
        syscall(SYS_nanosleep, &tick, NULL);
    }
    char line[96];
    int n = snprintf(line, sizeof line, "%lu calls, seed %lu, %d of %d threads ended\n", calls,
                     first_seed, (int)done, THREADS);
    int failed = write(1, line, (size_t)n) != n || done != THREADS;
    syscall(SYS_exit_group, failed ? 4 : 0);
}
