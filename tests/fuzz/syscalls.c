/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A system-call fuzzer that runs in the guest: several threads make random calls
 * with random and edge-case arguments, and the main thread keeps interrupting
 * them by signals. It knows nothing about the kernel. What would end it by right
 * (exit, SIGKILL, unmapping its own code) is left out; whatever else happens,
 * the kernel must not panic, hang or lose memory: after each third of the time
 * everything is closed, unmapped and removed, and the memory that is free then must
 * not become less from part to part. (What is made once for good comes once.) Status
 * 0, in time, if all that holds.
 *   syscalls SECONDS SEED
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#define THREADS     4
#define ARENA_PAGES 64
#define PAGE        4096ul
#define LAST_CALL   470
#define STACK_SIZE  (256u << 10)
#define RANGES      512
#define PARTS       4
#define LEAK_MAX    128 /* KiB that caches may grow in a part */

static char *arena;
static _Atomic int stop, ready, done;
static _Atomic unsigned long calls;
static pid_t tids[THREADS];
static uint64_t first_seed, round_seed;
static char stacks[THREADS][STACK_SIZE] __attribute__((aligned(4096)));
static char text[256 << 10]; /* of a file in /proc */
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
        SYS_setuid, /* the rest of the run would be refused most things, the removal of files too */
        SYS_setreuid,
        SYS_setresuid,
        SYS_setfsuid,
        SYS_capset,
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
    uint64_t seed = round_seed + 0x9e3779b97f4a7c15ull * (1 + (uintptr_t)arg);
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

/* ---- what is left behind ---- */

struct range {
    uintptr_t start, end;
};

static struct range known[RANGES], found[RANGES];
static int known_count;

/* A whole file of /proc, as much as fits. */
static int slurp(const char *path)
{
    int fd = open(path, O_RDONLY);
    size_t n = 0;
    for (ssize_t k; fd >= 0 && (k = read(fd, text + n, sizeof text - 1 - n)) > 0;)
        n += (size_t)k;
    text[n] = 0;
    close(fd);
    return n > 0;
}

/* The mappings, but for heap, stack and the kernel's own. */
static int ranges_read(struct range *out)
{
    int n = 0;
    slurp("/proc/self/maps");
    for (char *line = text, *end; (end = strchr(line, '\n')) && n < RANGES; line = end + 1) {
        *end = 0;
        if (sscanf(line, "%lx-%lx", &out[n].start, &out[n].end) == 2 && !strchr(line, '['))
            n++;
    }
    return n;
}

/* Unmaps what of the range was not there at the start; `known` is in order. */
static int range_clear(struct range r)
{
    int cleared = 0;
    for (int i = 0; i <= known_count && r.start < r.end; i++) {
        uintptr_t end = i < known_count && known[i].start < r.end ? known[i].start : r.end;
        if (end > r.start)
            cleared += munmap((void *)r.start, end - r.start) == 0;
        if (i < known_count && known[i].end > r.start)
            r.start = known[i].end;
    }
    return cleared;
}

static void directory_clear(const char *path)
{
    char name[4096];
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        snprintf(name, sizeof name, "%s/%s", path, e->d_name);
        if (unlink(name) && errno == EISDIR) {
            directory_clear(name);
            rmdir(name);
        }
    }
    if (d)
        closedir(d);
}

static void segments_remove(void)
{
    struct shmid_ds ds;
    int last = shmctl(0, SHM_INFO, &ds);
    for (int i = 0; i <= last; i++) {
        int id = shmctl(i, SHM_STAT_ANY, &ds);
        if (id >= 0)
            shmctl(id, IPC_RMID, &ds);
    }
}

/* Everything the workers can have left is given back; KiB that are free or could be, 0: unknown. */
static unsigned long settle(void)
{
    unsigned long kib = 0;
    int cleared, n;
    syscall(SYS_close_range, 3, ~0u, 0);
    do {
        n = ranges_read(found);
        cleared = 0;
        for (int i = 0; i < n; i++)
            cleared += range_clear(found[i]);
    } while (cleared);
    mmap(arena, ARENA_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
         -1, 0);
    directory_clear("/tmp");
    segments_remove();
    sync();
    char *line = slurp("/proc/meminfo") ? strstr(text, "MemAvailable:") : NULL;
    return line && sscanf(line, "MemAvailable: %lu", &kib) == 1 ? kib : 0;
}

/* Interrupts the workers all the time, until all have ended; how many did. */
static int interrupt_for(double seconds)
{
    const struct timespec tick = {0, 1000000};
    const pid_t pid = getpid();
    struct timespec now, start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int last = 0; done < THREADS && last < 5000; last += stop) {
        syscall(SYS_nanosleep, &tick, NULL);
        for (int i = 0; i < THREADS; i++)
            syscall(SYS_tgkill, pid, tids[i], SIGUSR1);
        clock_gettime(CLOCK_MONOTONIC, &now);
        double passed =
            (double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) / 1e9;
        stop = passed >= seconds;
    }
    return done;
}

/* How many workers ended in time; with less than all of them they are still there. */
static int run_workers(double seconds)
{
    pthread_t threads[THREADS];
    stop = ready = done = 0;
    for (uintptr_t i = 0; i < THREADS; i++) {
        pthread_attr_t attr;
        pthread_attr_init(&attr);
        pthread_attr_setstack(&attr, stacks[i], STACK_SIZE);
        if (pthread_create(&threads[i], &attr, fuzz, (void *)i))
            return 0;
    }
    while (ready < THREADS)
        sched_yield();
    int ended = interrupt_for(seconds);
    for (int i = 0; ended == THREADS && i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return ended;
}

/* KiB that were lost in the part after the first that lost least. */
static long leak(const unsigned long kib[PARTS])
{
    long least = LONG_MAX;
    for (int i = 1; i < PARTS; i++) {
        long lost = (long)(kib[i - 1] - kib[i]);
        least = lost < least ? lost : least;
    }
    return least;
}

static _Noreturn void report(int ended, const unsigned long kib[PARTS])
{
    char line[160];
    int measured = ended == THREADS && kib[PARTS - 1];
    int n = snprintf(line, sizeof line,
                     "%lu calls, seed %lu, %d of %d threads ended, %ld KiB less free\n", calls,
                     first_seed, ended, THREADS, measured ? leak(kib) : 0);
    int good = write(1, line, (size_t)n) == n && measured && leak(kib) <= LEAK_MAX;
    syscall(SYS_exit_group, good ? 0 : 4);
    __builtin_unreachable();
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atoi(argv[1]) : 5;
    first_seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    struct sigaction sa = {.sa_handler = on_signal};
    for (int sig = 1; sig < 65; sig++)
        sigaction(sig, &sa, NULL);
    arena = mmap(NULL, (ARENA_PAGES + 2) * PAGE, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    arena += PAGE;
    known_count = ranges_read(known);
    unsigned long kib[PARTS] = {0};
    int ended = THREADS;
    for (int i = 0; i < PARTS && ended == THREADS; i++) {
        round_seed = first_seed + (uint64_t)i * THREADS;
        ended = run_workers(seconds / PARTS);
        kib[i] = ended == THREADS ? settle() : 0;
    }
    report(ended, kib);
}
