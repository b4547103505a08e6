/* SPDX-License-Identifier: Apache-2.0 */
/* The address space at its edges: many mappings, reservations, limits, locks, advice, races. */
#include "guest.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define PAGE 4096ul
#define RW   (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static sigjmp_buf trap;

static void on_fault(int sig)
{
    siglongjmp(trap, sig);
}

/* The signal that touching this byte raises, 0 if none. */
static int touch(volatile char *p, bool write)
{
    static char stack[65536];
    stack_t alt = {.ss_sp = stack, .ss_size = sizeof stack}, old_alt;
    struct sigaction sa = {.sa_handler = on_fault, .sa_flags = SA_ONSTACK}, old_segv, old_bus;
    sigaltstack(&alt, &old_alt);
    sigaction(SIGSEGV, &sa, &old_segv);
    sigaction(SIGBUS, &sa, &old_bus);
    int sig = sigsetjmp(trap, 1);
    if (!sig) {
        if (write)
            *p = 1;
        else
            (void)*p;
    }
    sigaction(SIGSEGV, &old_segv, NULL);
    sigaction(SIGBUS, &old_bus, NULL);
    sigaltstack(&old_alt, NULL);
    return sig;
}

static char *map(size_t pages, int prot)
{
    char *p = mmap(NULL, pages * PAGE, prot, ANON, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

/* A number of /proc/self/status in its unit, -1 if it is not there. */
static long status_value(const char *name)
{
    char line[256];
    long value = -1;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':')
            value = strtol(line + strlen(name) + 1, NULL, 10);
    if (f)
        fclose(f);
    return value;
}

#define MANY 50000ul

TEST(fifty_thousand_mappings)
{
    char *base = mmap(NULL, MANY * PAGE, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
    CHECK(base != MAP_FAILED);
    for (size_t i = 0; i < MANY; i += 2)
        CHECK(mprotect(base + i * PAGE, PAGE, PROT_READ) == 0);
    int64_t begin = now_ns();
    for (size_t i = 0; i < 2000; i++) { /* the search must not walk over all of them */
        char *p = map(2, RW);
        CHECK(p + 2 * PAGE <= base || p >= base + MANY * PAGE);
        CHECK(munmap(p, 2 * PAGE) == 0);
    }
    CHECK(now_ns() - begin < 2000 * MS);
    CHECK(munmap(base, MANY * PAGE) == 0);
}

TEST(holes_are_found)
{
    char *base = map(1000, RW);
    for (size_t i = 1; i < 1000; i += 2)
        CHECK(munmap(base + i * PAGE, PAGE) == 0);
    char *p = map(300, RW); /* fits into none of the holes */
    CHECK(p + 300 * PAGE <= base || p >= base + 1000 * PAGE);
    munmap(p, 300 * PAGE);
    munmap(base, 1000 * PAGE);
}

TEST(too_many_mappings)
{
    size_t n = 140000, i = 0;
    char *base = mmap(NULL, n * PAGE, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
    CHECK(base != MAP_FAILED);
    while (i < n && mprotect(base + i * PAGE, PAGE, PROT_READ) == 0)
        i += 2;
    CHECK(i < n && errno == ENOMEM);
    CHECK(i > 60000 && i < 66000 + 10);
    CHECK(munmap(base, n * PAGE) == 0);
}

TEST(terabytes_of_nothing)
{
    size_t size = 8ul << 40;
    char *p = mmap(NULL, size, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
    CHECK(p != MAP_FAILED);
    CHECK(mprotect(p + size / 2, PAGE, RW) == 0);
    p[size / 2] = 1;
    CHECK(touch(p, false) == SIGSEGV);
    CHECK(munmap(p, size) == 0);
    p = mmap(NULL, 1ul << 40, RW, ANON | MAP_NORESERVE, -1, 0);
    CHECK(p != MAP_FAILED);
    p[1ul << 39] = 1;
    CHECK(munmap(p, 1ul << 40) == 0);
}

TEST(overcommit_heuristic)
{
    CHECK(mmap(NULL, 16ul << 40, RW, ANON, -1, 0) == MAP_FAILED && errno == ENOMEM);
    CHECK(mmap(NULL, 16ul << 40, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED &&
          errno == ENOMEM);
    char *p = mmap(NULL, 16ul << 40, PROT_READ, ANON, -1, 0);
    CHECK(p != MAP_FAILED);
    CHECK(FAILS(mprotect(p, 16ul << 40, RW), ENOMEM));
    munmap(p, 16ul << 40);
}

TEST(limit_as)
{
    struct rlimit old, lim;
    CHECK(getrlimit(RLIMIT_AS, &old) == 0);
    lim = old;
    lim.rlim_cur = (size_t)status_value("VmSize") * 1024 + (64ul << 20);
    CHECK(setrlimit(RLIMIT_AS, &lim) == 0);
    void *p = mmap(NULL, 128ul << 20, PROT_NONE, ANON, -1, 0);
    int err = errno;
    void *q = mmap(NULL, 16ul << 20, PROT_NONE, ANON, -1, 0);
    void *r = q == MAP_FAILED ? q : mremap(q, 16ul << 20, 128ul << 20, MREMAP_MAYMOVE);
    int err2 = errno;
    setrlimit(RLIMIT_AS, &old);
    CHECK(p == MAP_FAILED && err == ENOMEM);
    CHECK(q != MAP_FAILED);
    CHECK(r == MAP_FAILED && err2 == ENOMEM);
    munmap(q, 16ul << 20);
}

TEST(limit_data)
{
    struct rlimit old, lim = {64ul << 20, RLIM_INFINITY};
    CHECK(getrlimit(RLIMIT_DATA, &old) == 0);
    lim.rlim_max = old.rlim_max;
    CHECK(setrlimit(RLIMIT_DATA, &lim) == 0);
    void *p = mmap(NULL, 100ul << 20, RW, ANON, -1, 0);
    int err = errno;
    void *q = mmap(NULL, 100ul << 20, PROT_READ, ANON, -1, 0); /* not data */
    int r = q == MAP_FAILED ? 0 : mprotect(q, 100ul << 20, RW);
    int err2 = errno;
    void *brk_end = sbrk(0);
    bool grown = sbrk(100 << 20) != (void *)-1;
    setrlimit(RLIMIT_DATA, &old);
    CHECK(p == MAP_FAILED && err == ENOMEM);
    CHECK(q != MAP_FAILED && r == -1 && err2 == ENOMEM);
    CHECK(!grown && sbrk(0) == brk_end);
    munmap(q, 100ul << 20);
}

/* Touches the stack that far below here. */
static int stack_use(size_t bytes)
{
    return touch((char *)__builtin_frame_address(0) - bytes, true);
}

TEST(limit_stack)
{
    struct rlimit old, lim;
    CHECK(getrlimit(RLIMIT_STACK, &old) == 0);
    lim = old;
    lim.rlim_cur = 1ul << 20;
    CHECK(setrlimit(RLIMIT_STACK, &lim) == 0);
    int far = stack_use(3ul << 20);
    setrlimit(RLIMIT_STACK, &old);
    int near = stack_use(3ul << 20);
    CHECK(far == SIGSEGV && near == 0);
}

TEST(resident_counts)
{
    long before = status_value("VmRSS");
    char *p = map(1024, RW);
    memset(p, 1, 1024 * PAGE);
    long with = status_value("VmRSS");
    CHECK(with - before >= 3900 && with - before < 8000);
    munmap(p, 1024 * PAGE);
    CHECK(status_value("VmRSS") <= before + 600);
}

TEST(random_touch_stays_small)
{
    long before = status_value("VmRSS");
    char *p = map(16384, RW);
    CHECK(madvise(p, 16384 * PAGE, MADV_NOHUGEPAGE) == 0 || errno == EINVAL);
    for (size_t i = 0; i < 16384; i += 256)
        p[i * PAGE] = 1;
    CHECK(status_value("VmRSS") - before < 2000);
    munmap(p, 16384 * PAGE);
}

TEST(sequential_touch_takes_few_faults)
{
    struct rusage a, b;
    char *p = map(16384, RW);
    CHECK(getrusage(RUSAGE_SELF, &a) == 0);
    for (size_t i = 0; i < 16384; i++)
        p[i * PAGE] = (char)i;
    CHECK(getrusage(RUSAGE_SELF, &b) == 0);
    CHECK(b.ru_minflt - a.ru_minflt <= 16384 + 64);
    for (size_t i = 0; i < 16384; i++)
        CHECK(p[i * PAGE] == (char)i && p[i * PAGE + 1] == 0);
    munmap(p, 16384 * PAGE);
}

TEST(read_before_write)
{
    const size_t n = 2000;
    char *p = map(n, RW);
    long sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += p[i * PAGE] + p[i * PAGE + PAGE - 1];
    CHECK(sum == 0);
    for (size_t i = 0; i < n; i += 3)
        p[i * PAGE + 1] = (char)(i % 100 + 1);
    for (size_t i = 0; i < n; i++) /* each has a page of its own by then, or none */
        CHECK(p[i * PAGE + 1] == (i % 3 ? 0 : (char)(i % 100 + 1)) && p[i * PAGE + 2] == 0);
    for (size_t i = 0; i < n; i++)
        p[i * PAGE + 2] = 9;
    for (size_t i = 0; i < n; i++)
        CHECK(p[i * PAGE + 1] == (i % 3 ? 0 : (char)(i % 100 + 1)) && p[i * PAGE + 2] == 9);
    munmap(p, n * PAGE);
}

TEST(growsdown)
{
    char *base = mmap(NULL, 4096 * PAGE, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
    CHECK(base != MAP_FAILED);
    CHECK(munmap(base + PAGE, 4094 * PAGE) == 0);
    char *top = base + 4000 * PAGE;
    char *p = mmap(top, PAGE, RW, ANON | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
    CHECK(p == top);
    CHECK(touch(top - 8, true) == 0 && touch(top - 3 * PAGE, true) == 0);
    char *q = mmap(NULL, PAGE, RW, ANON, -1, 0);
    CHECK(q != MAP_FAILED);
    CHECK(q < top - 3 * PAGE - 256 * PAGE || q >= top + PAGE); /* the guard gap */
    munmap(q, PAGE);
    munmap(base, 4096 * PAGE);
}

TEST(growsdown_guard)
{
    char *base = mmap(NULL, 1024 * PAGE, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
    CHECK(base != MAP_FAILED && munmap(base, 1024 * PAGE) == 0);
    char *below = mmap(base, PAGE, RW, ANON | MAP_FIXED, -1, 0);
    char *top = base + 500 * PAGE;
    char *p = mmap(top, PAGE, RW, ANON | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
    CHECK(below == base && p == top);
    CHECK(touch(top - 100 * PAGE, true) == 0);
    CHECK(touch(below + 200 * PAGE, true) == SIGSEGV); /* nearer than 256 pages */
    CHECK(touch(below + 300 * PAGE, true) == 0);
    munmap(base, 1024 * PAGE);
}

TEST(protect_growsdown)
{
    char *p = map(2, RW);
    CHECK(FAILS(mprotect(p, PAGE, PROT_READ | PROT_GROWSDOWN), EINVAL));
    CHECK(FAILS(mprotect(p, PAGE, PROT_READ | PROT_GROWSUP), EINVAL));
    munmap(p, 2 * PAGE);
}

TEST(remap_dontunmap)
{
    char *p = map(4, RW);
    memset(p, 5, 4 * PAGE);
    char *q = mremap(p, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
    CHECK(q != MAP_FAILED && q != p);
    CHECK(q[3 * PAGE] == 5 && p[0] == 0);
    p[0] = 1;
    CHECK(q[0] == 5);
    munmap(p, 4 * PAGE);
    munmap(q, 4 * PAGE);
    p = map(2, RW);
    CHECK(mremap(p, 2 * PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP) == MAP_FAILED &&
          errno == EINVAL);
    CHECK(mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_DONTUNMAP) == MAP_FAILED && errno == EINVAL);
    munmap(p, 2 * PAGE);
}

TEST(remap_fixed)
{
    char *p = map(4, RW), *to = map(8, RW);
    strcpy(p + 3 * PAGE, "moved");
    to[4 * PAGE] = 9;
    char *q = mremap(p, 4 * PAGE, 6 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to);
    CHECK(q == to && !strcmp(q + 3 * PAGE, "moved") && q[4 * PAGE] == 0);
    CHECK(touch(p, false) == SIGSEGV);
    CHECK(mremap(to, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to + PAGE) == MAP_FAILED &&
          errno == EINVAL);
    CHECK(mremap(to, PAGE, PAGE, MREMAP_FIXED, p) == MAP_FAILED && errno == EINVAL);
    CHECK(mremap(to, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to + 8 * PAGE + 1) == MAP_FAILED &&
          errno == EINVAL);
    munmap(to, 8 * PAGE);
}

TEST(remap_shrink_and_grow)
{
    char *p = map(8, RW);
    memset(p, 3, 8 * PAGE);
    CHECK(mremap(p, 8 * PAGE, 2 * PAGE, 0) == p);
    CHECK(touch(p + 2 * PAGE, false) == SIGSEGV);
    CHECK(mremap(p, 2 * PAGE, 4 * PAGE, 0) == p);
    CHECK(p[2 * PAGE - 1] == 3 && p[2 * PAGE] == 0);
    CHECK(mremap(p, 5 * PAGE, 6 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == EFAULT);
    munmap(p, 4 * PAGE);
    CHECK(mremap(p, PAGE, PAGE, 0) == MAP_FAILED && errno == EFAULT);
}

TEST(remap_no_room)
{
    char *p = map(3, RW);
    CHECK(munmap(p + 2 * PAGE, PAGE) == 0);
    CHECK(mmap(p + 2 * PAGE, PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0) == p + 2 * PAGE);
    p[PAGE] = 8;
    CHECK(mremap(p, 2 * PAGE, 4 * PAGE, 0) == MAP_FAILED && errno == ENOMEM);
    char *q = mremap(p, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE);
    CHECK(q != MAP_FAILED && q != p && q[PAGE] == 8);
    munmap(q, 4 * PAGE);
    munmap(p + 2 * PAGE, PAGE);
}

TEST(advice_known)
{
    static const int advice[] = {MADV_NORMAL,   MADV_RANDOM,  MADV_SEQUENTIAL, MADV_WILLNEED,
                                 MADV_DONTFORK, MADV_DOFORK,  MADV_DONTDUMP,   MADV_DODUMP,
                                 MADV_COLD,     MADV_PAGEOUT, MADV_WIPEONFORK, MADV_KEEPONFORK};
    char *p = map(4, RW);
    memset(p, 6, 4 * PAGE);
    for (size_t i = 0; i < COUNT(advice); i++)
        CHECK(madvise(p + PAGE, PAGE, advice[i]) == 0);
    CHECK(p[0] == 6 && p[PAGE] == 6);
    CHECK(FAILS(madvise(p, PAGE, 1234), EINVAL));
    CHECK(FAILS(madvise(p, 0, 1234), EINVAL) && madvise(p, 0, MADV_DONTNEED) == 0);
    CHECK(FAILS(madvise(p + 1, PAGE, MADV_NORMAL), EINVAL));
    munmap(p, 4 * PAGE);
}

TEST(advice_refused)
{
    char *p = map(2, RW), *q = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(q != MAP_FAILED && mlock(p, PAGE) == 0);
    CHECK(FAILS(madvise(p, 2 * PAGE, MADV_COLD), EINVAL));
    CHECK(FAILS(madvise(p, 2 * PAGE, MADV_PAGEOUT), EINVAL));
    CHECK(FAILS(madvise(p, PAGE, MADV_FREE), EINVAL));
    CHECK(FAILS(madvise(q, PAGE, MADV_WIPEONFORK), EINVAL));
    CHECK(FAILS(madvise(q, PAGE, MADV_FREE), EINVAL));
    CHECK(FAILS(madvise(p, 2 * PAGE, MADV_REMOVE), EINVAL));
    CHECK(madvise(p, 0, MADV_REMOVE) == 0 && madvise(p, 0, MADV_HUGEPAGE) == 0);
    CHECK(FAILS(madvise(p, 0, 7), EINVAL) && FAILS(madvise(p, 0, 26), EINVAL));
    munmap(p, 2 * PAGE);
    munmap(q, PAGE);
}

TEST(advice_over_hole)
{
    char *p = map(3, RW);
    memset(p, 6, 3 * PAGE);
    munmap(p + PAGE, PAGE);
    CHECK(FAILS(madvise(p, 3 * PAGE, MADV_DONTNEED), ENOMEM));
    CHECK(p[0] == 0 && p[2 * PAGE] == 0); /* done all the same */
    munmap(p, 3 * PAGE);
}

TEST(advice_populate)
{
    unsigned char vec[8];
    char *p = map(8, RW);
    CHECK(madvise(p, 4 * PAGE, MADV_POPULATE_WRITE) == 0 || errno == EINVAL);
    if (errno != EINVAL || mincore(p, PAGE, vec) != 0 || vec[0]) {
        CHECK(mincore(p, 8 * PAGE, vec) == 0);
        CHECK(vec[0] & 1 && vec[3] & 1 && !(vec[7] & 1));
        mprotect(p + 4 * PAGE, PAGE, PROT_READ);
        CHECK(FAILS(madvise(p + 4 * PAGE, PAGE, MADV_POPULATE_WRITE), EINVAL));
        CHECK(madvise(p + 4 * PAGE, PAGE, MADV_POPULATE_READ) == 0);
        munmap(p + 5 * PAGE, PAGE);
        CHECK(FAILS(madvise(p + 4 * PAGE, 2 * PAGE, MADV_POPULATE_READ), ENOMEM));
    }
    munmap(p, 8 * PAGE);
}

TEST(incore)
{
    unsigned char vec[4] = {0};
    char *p = map(4, RW);
    p[2 * PAGE] = 1;
    CHECK(mincore(p, 4 * PAGE, vec) == 0);
    CHECK(vec[2] & 1 && !(vec[0] & 1));
    CHECK(FAILS(mincore(p + 1, PAGE, vec), EINVAL));
    CHECK(FAILS(mincore(p, PAGE, (void *)1), EFAULT));
    munmap(p + PAGE, PAGE);
    CHECK(FAILS(mincore(p, 4 * PAGE, vec), ENOMEM));
    munmap(p, 4 * PAGE);
}

TEST(lock_brings_in)
{
    unsigned char vec[4];
    char *p = map(4, RW);
    CHECK(mlock(p + 1, PAGE) == 0); /* rounded outwards: two pages */
    CHECK(mincore(p, 4 * PAGE, vec) == 0 && vec[0] & 1 && vec[1] & 1);
    CHECK(status_value("VmLck") == 8);
    CHECK(FAILS(madvise(p, PAGE, MADV_DONTNEED), EINVAL));
    CHECK(FAILS(msync(p, PAGE, MS_INVALIDATE), EBUSY));
    CHECK(munlock(p, 2 * PAGE) == 0 && status_value("VmLck") == 0);
    CHECK(madvise(p, PAGE, MADV_DONTNEED) == 0);
    munmap(p, 4 * PAGE);
}

TEST(lock_errors)
{
    char *p = map(2, RW);
    munmap(p + PAGE, PAGE);
    CHECK(FAILS(mlock(p, 2 * PAGE), ENOMEM));
    munlock(p, PAGE);
    CHECK(FAILS(munlock(p, 2 * PAGE), ENOMEM));
    CHECK(FAILS(syscall(SYS_mlock2, p, PAGE, 8), EINVAL));
    mprotect(p, PAGE, PROT_NONE);
    CHECK(FAILS(mlock(p, PAGE), ENOMEM));
    munlock(p, PAGE);
    CHECK(FAILS(mlockall(0), EINVAL) && FAILS(mlockall(MCL_ONFAULT), EINVAL));
    munmap(p, PAGE);
}

TEST(lock_future)
{
    unsigned char vec[2];
    CHECK(mlockall(MCL_FUTURE) == 0);
    char *p = map(2, RW);
    CHECK(mincore(p, 2 * PAGE, vec) == 0 && vec[0] & 1 && vec[1] & 1);
    CHECK(munlockall() == 0);
    CHECK(status_value("VmLck") == 0);
    char *q = map(2, RW);
    CHECK(mincore(q, 2 * PAGE, vec) == 0 && !(vec[1] & 1));
    munmap(p, 2 * PAGE);
    munmap(q, 2 * PAGE);
}

TEST(sync_flags)
{
    char *p = map(2, RW);
    CHECK(msync(p, PAGE, MS_SYNC) == 0 && msync(p, PAGE, MS_ASYNC) == 0);
    CHECK(FAILS(msync(p, PAGE, MS_SYNC | MS_ASYNC), EINVAL));
    CHECK(FAILS(msync(p, PAGE, 64), EINVAL) && FAILS(msync(p + 1, PAGE, MS_SYNC), EINVAL));
    munmap(p + PAGE, PAGE);
    CHECK(FAILS(msync(p, 2 * PAGE, MS_SYNC), ENOMEM));
    munmap(p, PAGE);
}

TEST(map_32bit)
{
    char *p = mmap(NULL, PAGE, RW, ANON | MAP_32BIT, -1, 0);
    CHECK(p != MAP_FAILED && (uintptr_t)p < 0x80000000u);
    munmap(p, PAGE);
}

/* Races: each thread fights in two slots of its own, side by side with those of the others. */

#define RACERS 4
#define SLOT   64ul

static char *arena;
static volatile bool stop;

/* One round on n pages at p, moved to `to` on the way: what went wrong. */
static const char *race_round(char *p, char *to, size_t n, char mark)
{
    if (mmap(p, n * PAGE, RW, ANON | MAP_FIXED, -1, 0) != p)
        return "mmap";
    for (size_t i = 0; i < n; i++) {
        if (p[i * PAGE])
            return "not zero";
        p[i * PAGE] = mark;
    }
    if (mprotect(p, PAGE, PROT_READ) || p[0] != mark)
        return "mprotect";
    if (mremap(p, n * PAGE, (n + 4) * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
        return n > 1 && errno == EFAULT ? NULL : "mremap"; /* two mappings: not allowed */
    if (to[(n - 1) * PAGE] != mark)
        return "moved";
    if (madvise(to, n * PAGE, MADV_DONTNEED) || to[0])
        return "madvise";
    return munmap(to, (n + 4) * PAGE) ? "munmap" : NULL;
}

static void *race(void *arg)
{
    size_t me = (size_t)arg;
    unsigned seed = (unsigned)me * 7919 + 1;
    char *slot = arena + me * 2 * SLOT * PAGE;
    const char *why = NULL;
    while (!stop && !why) {
        size_t n = 1 + rand_r(&seed) % 8, page = rand_r(&seed) % (SLOT - 16);
        size_t to = rand_r(&seed) % (SLOT - 16);
        why = race_round(slot + page * PAGE, slot + (SLOT + to) * PAGE, n, (char)(me + 1));
    }
    return (void *)why;
}

TEST(race_of_mappings)
{
    pthread_t t[RACERS];
    void *why, *first = NULL;
    arena = mmap(NULL, RACERS * 2 * SLOT * PAGE, RW, ANON, -1, 0);
    CHECK(arena != MAP_FAILED);
    for (size_t i = 0; i < RACERS; i++)
        CHECK(pthread_create(&t[i], NULL, race, (void *)i) == 0);
    usleep(1000000);
    stop = true;
    for (size_t i = 0; i < RACERS; i++) {
        pthread_join(t[i], &why);
        first = first ? first : why;
    }
    CHECK(!first);
    munmap(arena, RACERS * 2 * SLOT * PAGE);
}

/* One thread reads while another flips the protection: only 0 or the value may be seen. */

static volatile char *flipped;

static void *reader(void *arg)
{
    (void)arg;
    while (!stop)
        for (size_t i = 0; i < 16; i++) {
            char c = flipped[i * PAGE];
            if (c != 0 && c != 42)
                return "torn";
        }
    return NULL;
}

TEST(race_of_protection)
{
    pthread_t t[3];
    void *why, *first = NULL;
    stop = false;
    flipped = map(16, RW);
    for (size_t i = 0; i < 3; i++)
        CHECK(pthread_create(&t[i], NULL, reader, NULL) == 0);
    int64_t end = now_ns() + 500 * MS;
    while (now_ns() < end) {
        CHECK(mprotect((char *)flipped, 16 * PAGE, RW) == 0);
        for (size_t i = 0; i < 16; i++)
            flipped[i * PAGE] = 42;
        CHECK(mprotect((char *)flipped, 16 * PAGE, PROT_READ) == 0);
        CHECK(madvise((char *)flipped, 16 * PAGE, MADV_DONTNEED) == 0);
    }
    stop = true;
    for (size_t i = 0; i < 3; i++) {
        pthread_join(t[i], &why);
        first = first ? first : why;
    }
    CHECK(!first);
    munmap((char *)flipped, 16 * PAGE);
}
