/* SPDX-License-Identifier: Apache-2.0 */
/* Anonymous memory: mmap, munmap, mprotect, mremap, madvise, brk. */
#include "guest.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#define PAGE 4096ul

static sigjmp_buf trap;

static void on_fault(int sig)
{
    siglongjmp(trap, sig);
}

/* The signal that touching this byte raises, 0 if none. */
static int touch(volatile char *p, bool write)
{
    struct sigaction sa = {.sa_handler = on_fault}, old_segv, old_bus;
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
    return sig;
}

static char *map(size_t pages, int prot)
{
    char *p = mmap(NULL, pages * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

#define RW (PROT_READ | PROT_WRITE)

TEST(anonymous_is_zero)
{
    char *p = map(64, RW);
    for (size_t i = 0; i < 64 * PAGE; i += 64)
        CHECK(p[i] == 0);
    memset(p, 0xff, 64 * PAGE);
    CHECK(munmap(p, 64 * PAGE) == 0);
    CHECK(touch(p, false) == SIGSEGV);
}

TEST(unmap_middle)
{
    char *p = map(5, RW);
    memset(p, 7, 5 * PAGE);
    CHECK(munmap(p + 2 * PAGE, PAGE) == 0);
    CHECK(touch(p + 2 * PAGE, false) == SIGSEGV);
    CHECK(p[2 * PAGE - 1] == 7 && p[3 * PAGE] == 7);
    CHECK(munmap(p, 5 * PAGE) == 0); /* a hole is no error */
    CHECK(munmap(p, 5 * PAGE) == 0);
}

TEST(fixed_replaces)
{
    char *p = map(4, RW);
    memset(p, 3, 4 * PAGE);
    char *q = mmap(p + PAGE, 2 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    CHECK(q == p + PAGE);
    CHECK(p[PAGE - 1] == 3 && p[PAGE] == 0 && p[3 * PAGE - 1] == 0 && p[3 * PAGE] == 3);
    munmap(p, 4 * PAGE);
}

TEST(fixed_noreplace)
{
    char *p = map(4, RW);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    CHECK(mmap(p + PAGE, PAGE, RW, flags, -1, 0) == MAP_FAILED && errno == EEXIST);
    munmap(p + PAGE, PAGE);
    CHECK(mmap(p + PAGE, PAGE, RW, flags, -1, 0) == p + PAGE);
    munmap(p, 4 * PAGE);
}

TEST(hints)
{
    char *p = map(4, RW);
    munmap(p, 4 * PAGE);
    CHECK(mmap(p, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == p); /* free: taken */
    char *q = mmap(p, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(q != MAP_FAILED && q != p); /* occupied: elsewhere */
    munmap(p, PAGE);
    munmap(q, PAGE);
    q = mmap((void *)0xffffffffb0110000, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(q != MAP_FAILED);
    munmap(q, PAGE);
}

TEST(map_errors)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    CHECK(mmap(NULL, 0, RW, flags, -1, 0) == MAP_FAILED && errno == EINVAL);
    CHECK(mmap(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
    CHECK(mmap((void *)123, PAGE, RW, flags | MAP_FIXED, -1, 0) == MAP_FAILED && errno == EINVAL);
    CHECK(mmap(NULL, 1ul << 62, RW, flags, -1, 0) == MAP_FAILED && errno == ENOMEM);
    CHECK(mmap(NULL, PAGE, RW, MAP_PRIVATE, -1, 0) == MAP_FAILED && errno == EBADF);
    CHECK(FAILS(munmap((void *)1, PAGE), EINVAL));
    CHECK(FAILS(munmap((void *)PAGE, 0), EINVAL));
}

TEST(protect)
{
    char *p = map(5, RW);
    memset(p, 9, 5 * PAGE);
    CHECK(mprotect(p + PAGE, PAGE, PROT_READ) == 0);
    CHECK(mprotect(p + 3 * PAGE, PAGE, PROT_NONE) == 0);
    CHECK(touch(p, true) == 0 && touch(p + PAGE, false) == 0 && touch(p + PAGE, true) == SIGSEGV);
    CHECK(touch(p + 3 * PAGE, false) == SIGSEGV && touch(p + 4 * PAGE, true) == 0);
    CHECK(mprotect(p, 5 * PAGE, RW) == 0 && p[3 * PAGE] == 9 && touch(p + PAGE, true) == 0);
    munmap(p, 5 * PAGE);
    CHECK(FAILS(mprotect(p, PAGE, PROT_READ), ENOMEM));
    CHECK(FAILS(mprotect(p + 1, PAGE, PROT_READ), EINVAL));
}

TEST(reserve_and_commit)
{
    size_t size = 1ul << 40;
    char *p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(p != MAP_FAILED);
    CHECK(touch(p + (size >> 1), false) == SIGSEGV);
    for (unsigned i = 0; i < 100; i++) {
        char *q = p + (size >> 1) + i * 2 * PAGE;
        CHECK(mprotect(q, PAGE, RW) == 0);
        *q = (char)i;
    }
    CHECK(p[(size >> 1) + 198 * PAGE] == 99);
    CHECK(munmap(p, size) == 0);
}

TEST(many_mappings)
{
    char *p = map(2000, PROT_NONE);
    for (unsigned i = 0; i < 2000; i += 2)
        CHECK(mprotect(p + i * PAGE, PAGE, RW) == 0);
    for (unsigned i = 0; i < 2000; i += 2)
        p[i * PAGE] = (char)i;
    for (unsigned i = 1; i < 2000; i += 2)
        CHECK(mprotect(p + i * PAGE, PAGE, RW) == 0);
    for (unsigned i = 0; i < 2000; i += 2)
        CHECK(p[i * PAGE] == (char)i && p[(i + 1) * PAGE] == 0);
    munmap(p, 2000 * PAGE);
}

TEST(remap_grow_shrink)
{
    char *p = map(2, RW);
    memset(p, 5, 2 * PAGE);
    p = mremap(p, 2 * PAGE, 50 * PAGE, MREMAP_MAYMOVE);
    CHECK(p != MAP_FAILED && p[0] == 5 && p[2 * PAGE - 1] == 5 && p[2 * PAGE] == 0);
    p[50 * PAGE - 1] = 1;
    CHECK(mremap(p, 50 * PAGE, PAGE, 0) == p && p[0] == 5);
    CHECK(touch(p + PAGE, false) == SIGSEGV);
    munmap(p, PAGE);
}

TEST(remap_in_place_only)
{
    char *p = map(4, RW);
    p[0] = 1;
    CHECK(mremap(p, PAGE, 2 * PAGE, 0) == MAP_FAILED && errno == ENOMEM); /* a neighbour */
    munmap(p + 2 * PAGE, 2 * PAGE);
    char *q = mremap(p, 2 * PAGE, 3 * PAGE, 0);
    CHECK(q == p && touch(p + 2 * PAGE, true) == 0);
    munmap(p, 3 * PAGE);
}

TEST(remap_fixed)
{
    char *p = map(2, RW), *to = map(4, RW);
    memset(p, 4, 2 * PAGE);
    memset(to, 8, 4 * PAGE);
    CHECK(mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to + PAGE) == to + PAGE);
    CHECK(to[0] == 8 && to[PAGE] == 4 && to[3 * PAGE - 1] == 4 && to[3 * PAGE] == 8);
    CHECK(touch(p, false) == SIGSEGV);
    munmap(to, 4 * PAGE);
    CHECK(mremap(p, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == EFAULT);
    CHECK(mremap(p + 1, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == EINVAL);
}

TEST(dontneed_zeroes)
{
    char *p = map(8, RW);
    memset(p, 6, 8 * PAGE);
    CHECK(madvise(p + 2 * PAGE, 3 * PAGE, MADV_DONTNEED) == 0);
    CHECK(p[2 * PAGE - 1] == 6 && p[2 * PAGE] == 0 && p[5 * PAGE - 1] == 0 && p[5 * PAGE] == 6);
    munmap(p, 8 * PAGE);
}

TEST(advice)
{
    static const int accepted[] = {MADV_NORMAL,   MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED,
                                   MADV_DONTFORK, MADV_DOFORK, MADV_DONTDUMP,   MADV_DODUMP,
                                   MADV_FREE,     MADV_COLD};
    char *p = map(4, RW);
    memset(p, 1, 4 * PAGE);
    for (unsigned i = 0; i < COUNT(accepted); i++)
        CHECK(madvise(p, 4 * PAGE, accepted[i]) == 0);
    CHECK(FAILS(madvise(p + 1, PAGE, MADV_NORMAL), EINVAL));
    CHECK(FAILS(madvise(p, PAGE, 9999), EINVAL));
    munmap(p, 4 * PAGE);
    CHECK(FAILS(madvise(p, PAGE, MADV_DONTNEED), ENOMEM));
}

TEST(protection_keys)
{
    char *p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(FAILS(syscall(SYS_pkey_alloc, 1, 0), EINVAL));
    CHECK(FAILS(syscall(SYS_pkey_alloc, 0, 8), EINVAL));
    CHECK(FAILS(syscall(SYS_pkey_mprotect, p, PAGE, PROT_READ, 14), EINVAL));
    CHECK(FAILS(syscall(SYS_pkey_mprotect, p, PAGE, PROT_READ, -2), EINVAL));
    CHECK(FAILS(syscall(SYS_pkey_free, 99), EINVAL));
    CHECK(syscall(SYS_pkey_mprotect, p, PAGE, PROT_READ | PROT_WRITE, -1) == 0);
    p[0] = 1;
    CHECK(munmap(p, PAGE) == 0);
}

TEST(program_break)
{
    char *start = (char *)syscall(SYS_brk, 0);
    char *end = (char *)syscall(SYS_brk, start + 10 * PAGE);
    CHECK(end == start + 10 * PAGE);
    CHECK(end[-1] == 0);
    memset(start, 1, 10 * PAGE);
    CHECK((char *)syscall(SYS_brk, start + PAGE) == start + PAGE);
    CHECK((char *)syscall(SYS_brk, start + 10 * PAGE) == start + 10 * PAGE);
    CHECK(start[0] == 1 && start[2 * PAGE] == 0); /* what was given back came back clean */
    CHECK((char *)syscall(SYS_brk, 0) == end);
    CHECK((char *)syscall(SYS_brk, (char *)PAGE) == end); /* nonsense changes nothing */
    CHECK((char *)syscall(SYS_brk, start) == start);
}

TEST(shared_anonymous)
{
    char *p = mmap(NULL, 4 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED && p[PAGE] == 0);
    p[PAGE] = 3;
    CHECK(p[PAGE] == 3 && munmap(p, 4 * PAGE) == 0);
}

TEST(malloc_stress)
{
    static char *block[500];
    unsigned seed = 1;
    for (unsigned i = 0; i < 5000; i++) {
        seed = seed * 1103515245 + 12345;
        unsigned k = (seed >> 8) % 500, n = (seed >> 4) % 40000 + 1;
        free(block[k]);
        block[k] = malloc(n);
        CHECK(block[k]);
        block[k][0] = block[k][n - 1] = (char)k;
    }
    for (unsigned k = 0; k < 500; k++)
        free(block[k]);
}
