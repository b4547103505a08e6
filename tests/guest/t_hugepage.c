/* SPDX-License-Identifier: Apache-2.0 */
/* 2 MiB pages: what the program sees of them, and whatever takes them apart, alone and in races. */
#include "guest.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#define PAGE 4096ul
#define HUGE (2ul << 20)
#define RW   (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

/* `n` aligned times 2 MiB with room on both sides that nobody may touch. */
static char *map_aligned(size_t n, int prot)
{
    char *p = mmap(NULL, (n + 2) * HUGE, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
    CHECK(p != MAP_FAILED);
    p = (char *)(((uintptr_t)p + HUGE) & ~(HUGE - 1));
    CHECK(mprotect(p, n * HUGE, prot) == 0);
    return p;
}

static char *map_advised(size_t n)
{
    char *p = map_aligned(n, RW);
    CHECK(madvise(p, n * HUGE, MADV_HUGEPAGE) == 0);
    return p;
}

/* Every page gets its number, later checked by content_is(). */
static void fill(char *p, size_t len)
{
    for (size_t i = 0; i < len / PAGE; i++)
        *(size_t *)(p + i * PAGE + 8) = i + 1;
}

static bool content_is(const char *p, size_t first, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (*(const size_t *)(p + i * PAGE + 8) != first + i + 1)
            return false;
    return true;
}

static bool all_zero(const char *p, size_t len)
{
    for (size_t i = 0; i < len; i += 8)
        if (*(const uint64_t *)(p + i))
            return false;
    return true;
}

/* A line of the mapping's entry in smaps: its number, or -1. */
static long smaps_value(const void *p, const char *name)
{
    char line[512];
    unsigned long start, end;
    long value = -1;
    bool here = false;
    FILE *f = fopen("/proc/self/smaps", "r");
    while (f && value < 0 && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            here = start <= (uintptr_t)p && (uintptr_t)p < end;
        else if (here && !strncmp(line, name, strlen(name)))
            value = strtol(line + strlen(name), NULL, 10);
    }
    if (f)
        fclose(f);
    return value;
}

static bool smaps_flag(const void *p, const char *flag)
{
    char line[512];
    unsigned long start, end;
    bool here = false, found = false;
    FILE *f = fopen("/proc/self/smaps", "r");
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            here = start <= (uintptr_t)p && (uintptr_t)p < end;
        else if (here && !strncmp(line, "VmFlags:", 8))
            found = strstr(line, flag);
    }
    if (f)
        fclose(f);
    return found;
}

/* False where the administrator switched them off. */
static bool huge_enabled(void)
{
    char text[64] = "";
    int fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    return n > 0 && !strstr(text, "[never]");
}

static long faults(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_minflt;
}

TEST(advised_touch)
{
    char *p = map_advised(4);
    long before = faults();
    fill(p, 4 * HUGE);
    long took = faults() - before;
    CHECK(content_is(p, 0, 4 * HUGE / PAGE));
    CHECK(!huge_enabled() || took < 64);
    CHECK(!huge_enabled() || smaps_value(p, "AnonHugePages:") == 4 * HUGE / 1024);
    CHECK(smaps_value(p, "Rss:") == 4 * HUGE / 1024);
    CHECK(smaps_value(p, "Private_Dirty:") == 4 * HUGE / 1024);
    CHECK(smaps_flag(p, " hg"));
    CHECK(munmap(p, 4 * HUGE) == 0);
}

TEST(fresh_memory_is_zero)
{
    for (int round = 0; round < 4; round++) {
        char *p = map_advised(2);
        p[HUGE / 2] = p[2 * HUGE - 1] = 1;
        p[HUGE / 2] = p[2 * HUGE - 1] = 0;
        CHECK(all_zero(p, 2 * HUGE));
        memset(p, 0xff, 2 * HUGE);
        CHECK(munmap(p, 2 * HUGE) == 0);
    }
}

TEST(refused)
{
    char *p = map_aligned(2, RW);
    CHECK(madvise(p, 2 * HUGE, MADV_NOHUGEPAGE) == 0);
    fill(p, 2 * HUGE);
    CHECK(smaps_value(p, "AnonHugePages:") == 0);
    CHECK(smaps_value(p, "THPeligible:") == 0);
    CHECK(smaps_flag(p, " nh"));
    CHECK(content_is(p, 0, 2 * HUGE / PAGE));
    CHECK(munmap(p, 2 * HUGE) == 0);
}

TEST(disabled_for_the_process)
{
    CHECK(prctl(PR_SET_THP_DISABLE, 1l, 0l, 0l, 0l) == 0);
    char *p = map_advised(2);
    fill(p, 2 * HUGE);
    long kib = smaps_value(p, "AnonHugePages:");
    CHECK(prctl(PR_SET_THP_DISABLE, 0l, 0l, 0l, 0l) == 0);
    CHECK(kib == 0);
    CHECK(content_is(p, 0, 2 * HUGE / PAGE));
    CHECK(munmap(p, 2 * HUGE) == 0);
}

/* Memory that nobody advised and that is touched here and there must stay as small as it is. */
TEST(sparse_touch_stays_small)
{
    char *p = map_aligned(16, RW);
    if (madvise(p, 16 * HUGE, MADV_NOHUGEPAGE) == 0) /* the host may be set to "always" */
        for (size_t i = 0; i < 16; i++)
            p[i * HUGE + 5 * PAGE] = 1;
    CHECK(smaps_value(p, "Rss:") == 16 * PAGE / 1024);
    CHECK(munmap(p, 16 * HUGE) == 0);
}

TEST(unmap_a_part)
{
    char *p = map_advised(2);
    fill(p, 2 * HUGE);
    CHECK(munmap(p + 100 * PAGE, 3 * PAGE) == 0);
    CHECK(content_is(p, 0, 100) && content_is(p + 103 * PAGE, 103, 2 * 512 - 103));
    CHECK(FAILS(mincore(p + 100 * PAGE, PAGE, (unsigned char[1]){0}), ENOMEM));
    char *q = mmap(p + 100 * PAGE, 3 * PAGE, RW, ANON | MAP_FIXED, -1, 0);
    CHECK(q == p + 100 * PAGE && all_zero(q, 3 * PAGE));
    fill(q, 3 * PAGE);
    CHECK(content_is(p + 103 * PAGE, 103, 409) && content_is(p, 0, 100));
    CHECK(munmap(p + HUGE, HUGE) == 0);
    CHECK(content_is(p + 103 * PAGE, 103, 409));
    CHECK(munmap(p, HUGE) == 0);
}

TEST(discard_a_part)
{
    char *p = map_advised(1);
    fill(p, HUGE);
    CHECK(madvise(p + 7 * PAGE, 2 * PAGE, MADV_DONTNEED) == 0);
    CHECK(smaps_value(p, "Rss:") == (long)(510 * PAGE / 1024));
    CHECK(all_zero(p + 7 * PAGE, 2 * PAGE));
    CHECK(content_is(p, 0, 7) && content_is(p + 9 * PAGE, 9, 503));
    CHECK(madvise(p, HUGE, MADV_DONTNEED) == 0);
    CHECK(smaps_value(p, "Rss:") == 0);
    CHECK(all_zero(p, HUGE));
    CHECK(munmap(p, HUGE) == 0);
}

TEST(discard_and_touch_again)
{
    char *p = map_advised(2);
    for (int round = 0; round < 8; round++) {
        fill(p, 2 * HUGE);
        CHECK(content_is(p, 0, 1024));
        CHECK(madvise(p, 2 * HUGE, MADV_DONTNEED) == 0);
    }
    CHECK(munmap(p, 2 * HUGE) == 0);
}

TEST(free_a_part)
{
    char *p = map_advised(1);
    fill(p, HUGE);
    CHECK(madvise(p + 10 * PAGE, 20 * PAGE, MADV_FREE) == 0);
    for (size_t i = 10; i < 30; i++) /* what was there, or zeroes */
        CHECK(content_is(p + i * PAGE, i, 1) || all_zero(p + i * PAGE, PAGE));
    CHECK(content_is(p, 0, 10) && content_is(p + 30 * PAGE, 30, 482));
    CHECK(munmap(p, HUGE) == 0);
}

TEST(protect_a_part)
{
    char *p = map_advised(1);
    int fd[2];
    fill(p, HUGE);
    CHECK(pipe(fd) == 0);
    CHECK(mprotect(p + 50 * PAGE, 10 * PAGE, PROT_READ) == 0);
    CHECK(content_is(p, 0, 512));
    CHECK(write(fd[1], "x", 1) == 1 && FAILS(read(fd[0], p + 55 * PAGE, 1), EFAULT));
    CHECK(write(fd[1], "x", 1) == 1 && read(fd[0], p + 60 * PAGE, 1) == 1);
    CHECK(mprotect(p + 50 * PAGE, 10 * PAGE, RW) == 0);
    fill(p, HUGE);
    CHECK(content_is(p, 0, 512));
    close(fd[0]);
    close(fd[1]);
    CHECK(munmap(p, HUGE) == 0);
}

TEST(protect_all)
{
    char *p = map_advised(2);
    fill(p, 2 * HUGE);
    CHECK(mprotect(p, 2 * HUGE, PROT_NONE) == 0);
    CHECK(FAILS(write(-1, p, 1), EBADF));
    int fd[2];
    CHECK(pipe(fd) == 0 && FAILS(write(fd[1], p + HUGE, 1), EFAULT));
    CHECK(mprotect(p + HUGE, PAGE, PROT_READ) == 0); /* splits what nobody may touch */
    CHECK(content_is(p + HUGE, 512, 1));
    CHECK(mprotect(p, 2 * HUGE, RW) == 0);
    CHECK(content_is(p, 0, 1024));
    fill(p, 2 * HUGE);
    close(fd[0]);
    close(fd[1]);
    CHECK(munmap(p, 2 * HUGE) == 0);
}

TEST(remap_whole)
{
    char *p = map_advised(2), *q = map_aligned(2, PROT_NONE);
    fill(p, 2 * HUGE);
    CHECK(mremap(p, 2 * HUGE, 2 * HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
    CHECK(content_is(q, 0, 1024));
    fill(q, 2 * HUGE);
    CHECK(munmap(q, 2 * HUGE) == 0);
}

TEST(remap_askew)
{
    char *p = map_advised(2), *q = map_aligned(3, PROT_NONE);
    fill(p, 2 * HUGE);
    CHECK(mremap(p + 3 * PAGE, 700 * PAGE, 700 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
                 q + 5 * PAGE) == q + 5 * PAGE);
    CHECK(content_is(q + 5 * PAGE, 3, 700));
    CHECK(content_is(p, 0, 3) && content_is(p + 703 * PAGE, 703, 1024 - 703));
    CHECK(munmap(p, 3 * PAGE) == 0 && munmap(p + 703 * PAGE, (1024 - 703) * PAGE) == 0);
    CHECK(munmap(q, 3 * HUGE) == 0);
}

TEST(remap_shrink)
{
    char *p = map_advised(2);
    fill(p, 2 * HUGE);
    CHECK(mremap(p, 2 * HUGE, HUGE + 10 * PAGE, 0) == p);
    CHECK(content_is(p, 0, 522));
    CHECK(mremap(p, HUGE + 10 * PAGE, 100 * PAGE, 0) == p);
    CHECK(content_is(p, 0, 100));
    CHECK(munmap(p, 100 * PAGE) == 0);
}

TEST(lock_a_part)
{
    char *p = map_advised(1);
    fill(p, HUGE);
    CHECK(mlock(p + 8 * PAGE, 2 * PAGE) == 0);
    CHECK(FAILS(madvise(p, HUGE, MADV_DONTNEED), EINVAL));
    CHECK(content_is(p + 8 * PAGE, 8, 2));
    CHECK(munlock(p, HUGE) == 0);
    CHECK(munmap(p, HUGE) == 0);
}

TEST(populate)
{
    char *p = map_advised(2);
    long before = faults();
    CHECK(madvise(p, 2 * HUGE, MADV_POPULATE_WRITE) == 0 || errno == EINVAL);
    CHECK(smaps_value(p, "Rss:") == 2 * HUGE / 1024);
    before = faults();
    fill(p, 2 * HUGE);
    CHECK(faults() - before < 16);
    unsigned char vec[1024] = {0};
    CHECK(mincore(p, 2 * HUGE, vec) == 0);
    for (size_t i = 0; i < 1024; i++)
        CHECK(vec[i] & 1);
    CHECK(munmap(p, 2 * HUGE) == 0);
}

TEST(collapse)
{
    char *p = map_aligned(3, RW);
    CHECK(madvise(p, 3 * HUGE, MADV_NOHUGEPAGE) == 0);
    fill(p, 2 * HUGE);
    CHECK(madvise(p + 9 * PAGE, PAGE, MADV_DONTNEED) == 0);
    CHECK(FAILS(madvise(p, HUGE, MADV_COLLAPSE), EINVAL)); /* refused for it */
    CHECK(madvise(p, 3 * HUGE, MADV_HUGEPAGE) == 0);
    CHECK(madvise(p, 2 * HUGE, MADV_COLLAPSE) == 0);
    CHECK(smaps_value(p, "AnonHugePages:") == 2 * HUGE / 1024);
    CHECK(content_is(p, 0, 9) && all_zero(p + 9 * PAGE, PAGE));
    CHECK(content_is(p + 10 * PAGE, 10, 1014));
    CHECK(madvise(p, 2 * HUGE, MADV_COLLAPSE) == 0);
    CHECK(madvise(p + PAGE, HUGE, MADV_COLLAPSE) == 0); /* holds no 2 MiB: nothing to do */
    CHECK(FAILS(madvise(p + 2 * HUGE, HUGE, MADV_COLLAPSE), EINVAL)); /* nothing there yet */
    CHECK(munmap(p + HUGE / 2, HUGE) == 0);
    CHECK(content_is(p + 10 * PAGE, 10, 246));
    CHECK(content_is(p + HUGE / 2 + HUGE, 768, 256));
    CHECK(munmap(p, 3 * HUGE) == 0);
}

TEST(resident_is_counted)
{
    struct rusage a, b;
    getrusage(RUSAGE_SELF, &a);
    char *p = map_advised(40);
    for (size_t i = 0; i < 40 * HUGE; i += PAGE)
        p[i] = 1;
    getrusage(RUSAGE_SELF, &b);
    CHECK(b.ru_maxrss >= (long)(40 * HUGE / 1024));
    for (size_t i = 0; i < 40; i++) /* half of each goes */
        CHECK(munmap(p + i * HUGE, HUGE / 2) == 0);
    long sum = 0;
    for (size_t i = 0; i < 40; i++)
        sum += smaps_value(p + i * HUGE + HUGE / 2, "Rss:");
    CHECK(sum == (long)(40 * HUGE / 2 / 1024));
    CHECK(munmap(p, 40 * HUGE) == 0);
}

/* Many threads meet in the same untouched 2 MiB. */

#define MEET 4

static char *meeting;
static pthread_barrier_t gate;

static void *meet(void *arg)
{
    for (size_t c = 0; c < 8; c++) {
        pthread_barrier_wait(&gate);
        for (size_t i = (size_t)arg; i < 512; i += MEET)
            meeting[c * HUGE + i * PAGE + 1] = (char)(i + c);
    }
    return NULL;
}

TEST(first_touch_together)
{
    pthread_t t[MEET];
    meeting = map_advised(8);
    CHECK(pthread_barrier_init(&gate, NULL, MEET) == 0);
    for (size_t i = 0; i < MEET; i++)
        CHECK(pthread_create(&t[i], NULL, meet, (void *)i) == 0);
    for (size_t i = 0; i < MEET; i++)
        pthread_join(t[i], NULL);
    for (size_t c = 0; c < 8; c++)
        for (size_t i = 0; i < 512; i++)
            CHECK(meeting[c * HUGE + i * PAGE + 1] == (char)(i + c));
    CHECK(smaps_value(meeting, "Rss:") == 8 * HUGE / 1024);
    CHECK(munmap(meeting, 8 * HUGE) == 0);
}

/*
 * Workers own every fourth page of the same 2 MiB each: they know what their pages hold and
 * change them in every way, while a disturber changes all of it in ways that keep the content.
 */

#define WORKERS 4
#define CHUNKS  4
#define OWNED   (CHUNKS * HUGE / PAGE / WORKERS)

static char *shared, *aside;
static volatile bool stop;

struct worker {
    size_t id;
    unsigned seed;
    uint32_t value[OWNED]; /* what the page holds at offset 64 and at its end */
    const char *why;
};

static char *page_of(const struct worker *w, size_t i)
{
    return shared + (i * WORKERS + w->id) * PAGE;
}

static void page_write(struct worker *w, size_t i, uint32_t value)
{
    char *p = page_of(w, i);
    w->value[i] = value;
    *(volatile uint32_t *)(p + 64) = value;
    *(volatile uint32_t *)(p + PAGE - 4) = value;
}

static bool page_right(const struct worker *w, size_t i)
{
    const char *p = page_of(w, i);
    return *(volatile const uint32_t *)(p + 64) == w->value[i] &&
           *(volatile const uint32_t *)(p + PAGE - 4) == w->value[i];
}

/* To an address of its own and back. */
static bool page_away(const struct worker *w, char *p)
{
    char *to = aside + w->id * PAGE;
    return mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to &&
           mremap(to, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p) == p;
}

static bool page_change(struct worker *w, size_t i)
{
    char *p = page_of(w, i);
    switch (rand_r(&w->seed) % 8) {
    case 0:
        w->value[i] = 0;
        return madvise(p, PAGE, MADV_DONTNEED) == 0;
    case 1:
        w->value[i] = 0;
        return mmap(p, PAGE, RW, ANON | MAP_FIXED, -1, 0) == p;
    case 2:
        return mprotect(p, PAGE, PROT_READ) == 0 && page_right(w, i) && mprotect(p, PAGE, RW) == 0;
    case 3:
        return mprotect(p, PAGE, PROT_NONE) == 0 && mprotect(p, PAGE, RW) == 0;
    case 4:
        return page_away(w, p);
    default:
        page_write(w, i, (uint32_t)rand_r(&w->seed));
        return true;
    }
}

static void *work(void *arg)
{
    struct worker *w = arg;
    while (!stop && !w->why) {
        size_t i = (size_t)rand_r(&w->seed) % OWNED;
        if (!page_right(w, i))
            w->why = "wrong content";
        else if (!page_change(w, i))
            w->why = "a call failed";
    }
    for (size_t i = 0; i < OWNED && !w->why; i++)
        if (!page_right(w, i))
            w->why = "wrong content at the end";
    return NULL;
}

static void disturb(unsigned *seed)
{
    static unsigned char vec[512];
    static char text[16384];
    char *p = shared + (size_t)rand_r(seed) % CHUNKS * HUGE;
    int fd;
    switch (rand_r(seed) % 8) {
    case 0:
        madvise(p, HUGE, MADV_NOHUGEPAGE);
        break;
    case 1:
        mincore(p, HUGE, vec);
        break;
    case 2:
        fd = open("/proc/self/smaps", O_RDONLY);
        while (read(fd, text, sizeof text) > 0)
            ;
        close(fd);
        break;
    case 3:
        madvise(p, HUGE, MADV_POPULATE_WRITE);
        break;
    default:
        madvise(p, HUGE, MADV_HUGEPAGE);
        madvise(p, HUGE, MADV_COLLAPSE);
        break;
    }
}

TEST(race_of_splits)
{
    static struct worker w[WORKERS];
    pthread_t t[WORKERS];
    unsigned seed = 1;
    stop = false;
    shared = map_advised(CHUNKS);
    aside = map_aligned(1, PROT_NONE);
    for (size_t i = 0; i < WORKERS; i++)
        w[i] = (struct worker){.id = i, .seed = (unsigned)(i + getpid())};
    for (size_t i = 0; i < WORKERS; i++)
        CHECK(pthread_create(&t[i], NULL, work, &w[i]) == 0);
    for (int64_t end = now_ns() + 700 * MS; now_ns() < end;)
        disturb(&seed);
    stop = true;
    for (size_t i = 0; i < WORKERS; i++)
        pthread_join(t[i], NULL);
    for (size_t i = 0; i < WORKERS; i++) {
        if (w[i].why)
            printf("worker %zu: %s\n", i, w[i].why);
        CHECK(!w[i].why);
    }
    munmap(shared, CHUNKS * HUGE);
    munmap(aside, HUGE);
}

/*
 * Everybody does anything anywhere. A word is 0 or what its offset in the page says,
 * whoever wrote it and wherever the page was moved to.
 */

static __thread sigjmp_buf chaos_out;
static char *chaos;
static const char *chaos_why;

static void chaos_fault(int sig)
{
    (void)sig;
    siglongjmp(chaos_out, 1);
}

static void chaos_access(unsigned *seed)
{
    size_t at = (size_t)rand_r(seed) % (CHUNKS * HUGE) & ~7ul;
    uint64_t tag = 0x9e3779b97f4a7c15ull * (at % PAGE + 1);
    volatile uint64_t *p = (volatile uint64_t *)(chaos + at);
    if (sigsetjmp(chaos_out, 1)) /* unmapped or protected just now */
        return;
    uint64_t v = *p;
    if (v && v != tag)
        chaos_why = "torn or foreign content";
    *p = tag;
}

static void chaos_change(unsigned *seed)
{
    size_t from = (size_t)rand_r(seed) % (CHUNKS * 512), to = (size_t)rand_r(seed) % (CHUNKS * 512);
    size_t room = CHUNKS * 512 - (from > to ? from : to), n = (size_t)rand_r(seed) % 700 + 1;
    char *p = chaos + from * PAGE;
    size_t len = (n < room ? n : room) * PAGE;
    if (rand_r(seed) % 4 == 0) { /* all of 2 MiB */
        p = chaos + from / 512 * HUGE;
        len = HUGE;
    }
    switch (rand_r(seed) % 9) {
    case 0:
        munmap(p, len);
        break;
    case 1:
    case 2:
        mmap(p, len, RW, ANON | MAP_FIXED, -1, 0);
        break;
    case 3:
        mprotect(p, len, PROT_READ);
        break;
    case 4:
        mprotect(p, len, rand_r(seed) % 4 ? RW : PROT_NONE);
        break;
    case 5:
        madvise(p, len, rand_r(seed) % 2 ? MADV_DONTNEED : MADV_FREE);
        break;
    case 6:
        mremap(p, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, chaos + to * PAGE);
        break;
    case 7:
        madvise(p, len, rand_r(seed) % 2 ? MADV_COLLAPSE : MADV_POPULATE_WRITE);
        break;
    default:
        madvise(p, len, rand_r(seed) % 4 ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
        break;
    }
}

static void *chaos_run(void *arg)
{
    unsigned seed = (unsigned)(size_t)arg + (unsigned)getpid() * 16;
    while (!stop && !chaos_why) {
        for (int i = 0; i < 200; i++)
            chaos_access(&seed);
        if ((size_t)arg % 2)
            chaos_change(&seed);
    }
    return NULL;
}

TEST(race_of_everything)
{
    pthread_t t[WORKERS];
    struct sigaction sa = {.sa_handler = chaos_fault}, old;
    stop = false;
    chaos_why = NULL;
    chaos = map_advised(CHUNKS);
    sigaction(SIGSEGV, &sa, &old);
    for (size_t i = 0; i < WORKERS; i++)
        CHECK(pthread_create(&t[i], NULL, chaos_run, (void *)i) == 0);
    for (int64_t end = now_ns() + 700 * MS; now_ns() < end && !chaos_why;)
        usleep(1000);
    stop = true;
    for (size_t i = 0; i < WORKERS; i++)
        pthread_join(t[i], NULL);
    sigaction(SIGSEGV, &old, NULL);
    CHECK(!chaos_why);
    munmap(chaos, CHUNKS * HUGE);
}
