/* SPDX-License-Identifier: Apache-2.0 */
/* Mappings of files: private copies, the tail of the last page, SIGBUS, shared ones in /tmp. */
#include "guest.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#define PAGE 4096ul
#define BIG  300000ul /* big.bin: 73 pages and 992 bytes */

static sigjmp_buf trap;
static siginfo_t info;

static void on_fault(int sig, siginfo_t *si, void *uc)
{
    (void)uc;
    info = *si;
    siglongjmp(trap, sig);
}

static int touch(volatile char *p, bool write)
{
    struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO}, segv, bus;
    sigaction(SIGSEGV, &sa, &segv);
    sigaction(SIGBUS, &sa, &bus);
    int sig = sigsetjmp(trap, 1);
    if (!sig) {
        if (write)
            *p = 1;
        else
            (void)*p;
    }
    sigaction(SIGSEGV, &segv, NULL);
    sigaction(SIGBUS, &bus, NULL);
    return sig;
}

static unsigned char big_at(size_t i)
{
    return (unsigned char)(i * 7 + i / 251);
}

static unsigned char *map_big(size_t len, int prot, off_t offset)
{
    int fd = open(data_path("big.bin"), O_RDONLY);
    CHECK(fd >= 0);
    unsigned char *p = mmap(NULL, len, prot, MAP_PRIVATE, fd, offset);
    close(fd); /* the mapping stays */
    CHECK(p != MAP_FAILED);
    return p;
}

TEST(content)
{
    unsigned char *p = map_big(BIG, PROT_READ, 0);
    for (size_t i = 0; i < BIG; i++)
        CHECK(p[i] == big_at(i));
    munmap(p, BIG);
}

TEST(at_offset)
{
    unsigned char *p = map_big(3 * PAGE, PROT_READ, 10 * PAGE);
    CHECK(p[0] == big_at(10 * PAGE) && p[3 * PAGE - 1] == big_at(13 * PAGE - 1));
    munmap(p, 3 * PAGE);
}

TEST(private_copy)
{
    unsigned char *p = map_big(BIG, PROT_READ | PROT_WRITE, 0), c;
    CHECK(p[5000] == big_at(5000));
    p[5000] ^= 0xff;
    memset(p + 20 * PAGE, 0, 3 * PAGE);
    CHECK(p[5001] == big_at(5001) && p[23 * PAGE] == big_at(23 * PAGE));
    unsigned char *q = map_big(BIG, PROT_READ, 0);
    CHECK(q[5000] == big_at(5000) && q[21 * PAGE] == big_at(21 * PAGE));
    int fd = open(data_path("big.bin"), O_RDONLY);
    CHECK(pread(fd, &c, 1, 5000) == 1 && c == big_at(5000));
    close(fd);
    munmap(p, BIG);
    munmap(q, BIG);
}

TEST(tail_is_zero)
{
    unsigned char *p = map_big(BIG, PROT_READ | PROT_WRITE, 0);
    for (size_t i = BIG; i < 74 * PAGE; i++)
        CHECK(p[i] == 0);
    p[BIG] = 1; /* allowed, and private */
    munmap(p, BIG);
    p = map_big(BIG, PROT_READ, 0);
    CHECK(p[BIG] == 0);
    munmap(p, BIG);
}

TEST(beyond_the_end)
{
    unsigned char *p = map_big(80 * PAGE, PROT_READ, 0);
    char *at = (char *)p + 75 * PAGE + 12;
    CHECK(touch((char *)p + 73 * PAGE, false) == 0);
    CHECK(touch(at, false) == SIGBUS && info.si_addr == at && info.si_code == BUS_ADRERR);
    munmap(p, 80 * PAGE);
}

TEST(read_only_mapping)
{
    unsigned char *p = map_big(PAGE, PROT_READ, 0);
    CHECK(touch((char *)p, true) == SIGSEGV && info.si_code == SEGV_ACCERR);
    CHECK(mprotect(p, PAGE, PROT_READ | PROT_WRITE) == 0); /* private: may become writable */
    CHECK(touch((char *)p, true) == 0);
    munmap(p, PAGE);
}

TEST(errors)
{
    int fd = open(data_path("big.bin"), O_RDONLY), dir = open(data_path("dir"), O_RDONLY);
    int wr = open(tmp_path("m"), O_WRONLY | O_CREAT, 0600);
    CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 100) == MAP_FAILED && errno == EINVAL);
    CHECK(mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EACCES);
    CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, dir, 0) == MAP_FAILED && errno == ENODEV);
    CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, wr, 0) == MAP_FAILED && errno == EACCES);
    CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 999, 0) == MAP_FAILED && errno == EBADF);
    close(fd);
    close(dir);
    close(wr);
    unlink(tmp_path("m"));
}

TEST(fixed_pieces)
{
    /* As a dynamic linker maps a library: a span, then pieces over it, then zeroes. */
    int fd = open(data_path("big.bin"), O_RDONLY);
    unsigned char *p = mmap(NULL, 8 * PAGE, PROT_READ, MAP_PRIVATE | MAP_DENYWRITE, fd, 0);
    CHECK(p != MAP_FAILED);
    int fixed = MAP_PRIVATE | MAP_FIXED;
    CHECK(mmap(p + 2 * PAGE, 2 * PAGE, PROT_READ | PROT_EXEC, fixed, fd, 3 * PAGE) == p + 2 * PAGE);
    CHECK(mmap(p + 4 * PAGE, PAGE, PROT_READ | PROT_WRITE, fixed, fd, 4 * PAGE) == p + 4 * PAGE);
    CHECK(mmap(p + 5 * PAGE, 3 * PAGE, PROT_READ | PROT_WRITE, fixed | MAP_ANONYMOUS, -1, 0) ==
          p + 5 * PAGE);
    close(fd);
    CHECK(p[PAGE] == big_at(PAGE) && p[2 * PAGE] == big_at(3 * PAGE));
    CHECK(p[4 * PAGE] == big_at(4 * PAGE) && p[6 * PAGE] == 0);
    p[4 * PAGE] = p[6 * PAGE] = 1;
    munmap(p, 8 * PAGE);
}

TEST(shared_file)
{
    char buf[4];
    int fd = open(tmp_path("s"), O_RDWR | O_CREAT, 0600);
    CHECK(ftruncate(fd, 2 * PAGE) == 0);
    char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *q = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED && q != MAP_FAILED);
    memcpy(p + PAGE, "map", 3);
    CHECK(pread(fd, buf, 3, PAGE) == 3 && !memcmp(buf, "map", 3) && !memcmp(q + PAGE, "map", 3));
    CHECK(pwrite(fd, "file", 4, 10) == 4 && !memcmp(p + 10, "file", 4));
    CHECK(msync(p, 2 * PAGE, MS_SYNC) == 0);
    munmap(p, 2 * PAGE);
    munmap(q, 2 * PAGE);
    close(fd);
    unlink(tmp_path("s"));
}

TEST(truncated_under_mapping)
{
    int fd = open(tmp_path("t"), O_RDWR | O_CREAT, 0600);
    CHECK(ftruncate(fd, 3 * PAGE) == 0);
    char *p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED && touch(p + 2 * PAGE, true) == 0);
    CHECK(ftruncate(fd, PAGE) == 0);
    CHECK(touch(p + 2 * PAGE, false) == SIGBUS && touch(p, true) == 0);
    munmap(p, 3 * PAGE);
    close(fd);
    unlink(tmp_path("t"));
}

#define RW (PROT_READ | PROT_WRITE)

/* A file in /tmp of so many pages, each with its number in the first byte; unlinked. */
static int numbered_file(size_t pages)
{
    int fd = open(tmp_path("n"), O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0 && unlink(tmp_path("n")) == 0 && ftruncate(fd, (off_t)(pages * PAGE)) == 0);
    for (size_t i = 0; i < pages; i++)
        CHECK(pwrite(fd, &(char){(char)(i + 1)}, 1, (off_t)(i * PAGE)) == 1);
    return fd;
}

TEST(remove_pages)
{
    struct stat st;
    int fd = numbered_file(8);
    char *p = mmap(NULL, 8 * PAGE, RW, MAP_SHARED, fd, 0);
    char *q = mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, fd, 2 * PAGE);
    char *own = mmap(NULL, 8 * PAGE, RW, MAP_PRIVATE, fd, 0), first;
    CHECK(p != MAP_FAILED && q != MAP_FAILED && own != MAP_FAILED);
    CHECK(p[3 * PAGE] == 4 && q[PAGE] == 4 && own[3 * PAGE] == 4);
    own[4 * PAGE] = 77;
    CHECK(madvise(p + 3 * PAGE, 2 * PAGE, MADV_REMOVE) == 0);
    CHECK(fstat(fd, &st) == 0 && st.st_size == 8 * PAGE && st.st_blocks == 6 * PAGE / 512);
    CHECK(p[2 * PAGE] == 3 && p[3 * PAGE] == 0 && p[4 * PAGE] == 0 && p[5 * PAGE] == 6);
    CHECK(q[0] == 3 && q[PAGE] == 0 && q[2 * PAGE] == 0 && q[3 * PAGE] == 6);
    CHECK(own[3 * PAGE] == 0 && own[4 * PAGE] == 77); /* a copy of one's own stays */
    CHECK(pread(fd, &first, 1, 3 * PAGE) == 1 && first == 0);
    p[3 * PAGE] = 9;
    CHECK(q[PAGE] == 9 && own[3 * PAGE] == 9);
    munmap(p, 8 * PAGE);
    munmap(q, 4 * PAGE);
    munmap(own, 8 * PAGE);
    close(fd);
}

TEST(remove_errors)
{
    int fd = numbered_file(4);
    char *p = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(FAILS(madvise(p, PAGE, MADV_REMOVE), EINVAL));
    munmap(p, 4 * PAGE);
    p = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE, fd, 0);
    CHECK(FAILS(madvise(p, PAGE, MADV_REMOVE), EACCES));
    munmap(p, 4 * PAGE);
    p = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0);
    CHECK(FAILS(madvise(p + 1, PAGE, MADV_REMOVE), EINVAL));
    CHECK(mlock(p, PAGE) == 0 && FAILS(madvise(p, PAGE, MADV_REMOVE), EINVAL));
    CHECK(p[0] == 1 && munlock(p, PAGE) == 0);
    CHECK(munmap(p + PAGE, PAGE) == 0 && FAILS(madvise(p, 4 * PAGE, MADV_REMOVE), ENOMEM));
    CHECK(p[0] == 0 && p[2 * PAGE] == 0); /* done all the same */
    munmap(p, 4 * PAGE);
    p = mmap(NULL, 4 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    p[PAGE] = p[2 * PAGE] = 5;
    CHECK(madvise(p + PAGE, PAGE, MADV_REMOVE) == 0 && p[PAGE] == 0 && p[2 * PAGE] == 5);
    munmap(p, 4 * PAGE);
    close(fd);
}

TEST(sync_errors)
{
    int fd = numbered_file(4);
    char *p = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0);
    p[0] = p[3 * PAGE] = 1;
    CHECK(msync(p, 4 * PAGE, MS_SYNC | MS_INVALIDATE) == 0 && msync(p, 4 * PAGE, 0) == 0);
    CHECK(munmap(p + PAGE, PAGE) == 0);
    CHECK(FAILS(msync(p, 4 * PAGE, MS_SYNC), ENOMEM));
    CHECK(FAILS(msync(p, 4 * PAGE, MS_ASYNC), ENOMEM));
    CHECK(mlock(p + 2 * PAGE, PAGE) == 0);
    CHECK(FAILS(msync(p, 4 * PAGE, MS_SYNC | MS_INVALIDATE), EBUSY)); /* behind the hole */
    CHECK(FAILS(msync(p, 4 * PAGE, MS_ASYNC | MS_SYNC | MS_INVALIDATE), EINVAL));
    CHECK(munlock(p + 2 * PAGE, PAGE) == 0);
    CHECK(msync(p, 0, MS_SYNC) == 0 && FAILS(msync(p, (size_t)-PAGE, MS_SYNC), ENOMEM));
    munmap(p, 4 * PAGE);
    close(fd);
}

TEST(truncation_reaches_all_mappings)
{
    static char *map[40];
    int fd = numbered_file(4), other = numbered_file(4);
    for (size_t i = 0; i < COUNT(map); i++) {
        int flags = i % 3 == 2 ? MAP_PRIVATE : MAP_SHARED;
        map[i] = mmap(NULL, 4 * PAGE, RW, flags, i % 4 == 3 ? other : fd, 0);
        CHECK(map[i] != MAP_FAILED && touch(map[i] + 2 * PAGE, i % 2) == 0);
    }
    for (size_t i = 0; i < COUNT(map); i += 5) /* pieces and moved ones are found too */
        CHECK(mprotect(map[i] + 2 * PAGE, PAGE, PROT_READ) == 0);
    map[1] = mremap(map[1], 4 * PAGE, 5 * PAGE, MREMAP_MAYMOVE);
    CHECK(map[1] != MAP_FAILED && ftruncate(fd, 2 * PAGE) == 0);
    for (size_t i = 0; i < COUNT(map); i++) {
        CHECK(touch(map[i] + PAGE, false) == 0);
        CHECK(touch(map[i] + 2 * PAGE, false) == (i % 4 == 3 ? 0 : SIGBUS));
    }
    CHECK(ftruncate(fd, 4 * PAGE) == 0);
    for (size_t i = 0; i < COUNT(map); i++) {
        CHECK(i % 4 == 3 || map[i][2 * PAGE] == 0);
        munmap(map[i], i == 1 ? 5 * PAGE : 4 * PAGE);
    }
    close(fd);
    close(other);
}

/* One thread makes holes while others write: what is read afterwards is what the file holds. */

#define HOLED 16

static char *holed;
static volatile bool hole_stop;

static void *hole_writer(void *arg)
{
    for (unsigned i = (unsigned)(size_t)arg; !hole_stop; i += 7)
        holed[i % HOLED * PAGE + (size_t)arg] = 1;
    return NULL;
}

TEST(holes_while_writing)
{
    pthread_t t[2];
    int fd = numbered_file(HOLED);
    holed = mmap(NULL, HOLED * PAGE, RW, MAP_SHARED, fd, 0);
    CHECK(holed != MAP_FAILED);
    hole_stop = false;
    for (size_t i = 0; i < 2; i++)
        CHECK(pthread_create(&t[i], NULL, hole_writer, (void *)(i + 1)) == 0);
    for (int64_t end = now_ns() + 300 * MS; now_ns() < end;)
        CHECK(madvise(holed, HOLED * PAGE, MADV_REMOVE) == 0);
    hole_stop = true;
    for (size_t i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    for (size_t i = 0; i < HOLED; i++) {
        char in_file[3], mark[3] = {0, (char)i, 2};
        CHECK(pread(fd, in_file, 3, (off_t)(i * PAGE)) == 3);
        CHECK(!memcmp(in_file, holed + i * PAGE, 3));
        memcpy(holed + i * PAGE, mark, 3); /* the mapping and the file are the same page */
        CHECK(pread(fd, in_file, 3, (off_t)(i * PAGE)) == 3 && !memcmp(in_file, mark, 3));
    }
    munmap(holed, HOLED * PAGE);
    close(fd);
}
