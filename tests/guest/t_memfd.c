/* SPDX-License-Identifier: Apache-2.0 */
/* Memory shared by object: memfd_create, its seals, and shared anonymous mappings. */
#include "guest.h"

#include <sys/mman.h>

#define PAGE 4096ul
#define RW   (PROT_READ | PROT_WRITE)

static int memfd(unsigned flags, off_t size)
{
    int fd = memfd_create("test", flags);
    CHECK(fd >= 0);
    CHECK(ftruncate(fd, size) == 0);
    return fd;
}

static char *shared(size_t pages)
{
    char *p = mmap(NULL, pages * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

TEST(memfd_name)
{
    char link[64], buf[64] = "";
    int fd = memfd(MFD_CLOEXEC, 100);
    CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    CHECK(readlink(link, buf, sizeof buf - 1) > 0);
    CHECK(!strcmp(buf, "/memfd:test (deleted)"));
    close(fd);
}

TEST(memfd_errors)
{
    char name[260];
    memset(name, 'n', sizeof name);
    name[250] = 0;
    CHECK(FAILS(memfd_create(name, 0), EINVAL));
    name[249] = 0;
    int fd = memfd_create(name, 0);
    CHECK(fd >= 0);
    close(fd);
    CHECK(FAILS(memfd_create("x", 0x80000000u), EINVAL));
    CHECK(FAILS(memfd_create((void *)1, 0), EFAULT));
}

TEST(memfd_is_shared)
{
    int fd = memfd(0, 3 * PAGE);
    char *a = mmap(NULL, 3 * PAGE, RW, MAP_SHARED, fd, 0);
    char *b = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE);
    char c;
    CHECK(a != MAP_FAILED && b != MAP_FAILED);
    a[PAGE + 7] = 'q';
    CHECK(b[7] == 'q');
    CHECK(pread(fd, &c, 1, PAGE + 7) == 1 && c == 'q');
    CHECK(pwrite(fd, "z", 1, PAGE + 8) == 1 && b[8] == 'z');
    munmap(a, 3 * PAGE);
    munmap(b, PAGE);
    close(fd);
}

TEST(memfd_private_copy)
{
    int fd = memfd(0, PAGE);
    char *a = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
    char *b = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);
    a[0] = 1;
    CHECK(b[0] == 1);
    b[0] = 2;
    CHECK(a[0] == 1);
    a[1] = 5;
    CHECK(b[1] == 0);
    munmap(a, PAGE);
    munmap(b, PAGE);
    close(fd);
}

TEST(seals_default)
{
    int fd = memfd(0, 10);
    CHECK(fcntl(fd, F_GET_SEALS) == F_SEAL_SEAL);
    CHECK(FAILS(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM));
    close(fd);
    fd = memfd(MFD_ALLOW_SEALING, 10);
    CHECK(fcntl(fd, F_GET_SEALS) == 0);
    CHECK(FAILS(fcntl(fd, F_ADD_SEALS, 0x1000), EINVAL));
    close(fd);
}

TEST(seals_of_others)
{
    int fds[2], fd = open("/proc/self/status", O_RDONLY);
    CHECK(pipe(fds) == 0);
    CHECK(FAILS(fcntl(fds[0], F_GET_SEALS), EINVAL));
    CHECK(FAILS(fcntl(fd, F_GET_SEALS), EINVAL));
    close(fds[0]);
    close(fds[1]);
    close(fd);
}

TEST(seal_shrink)
{
    int fd = memfd(MFD_ALLOW_SEALING, 2 * PAGE);
    CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
    CHECK(FAILS(ftruncate(fd, PAGE), EPERM));
    CHECK(ftruncate(fd, 3 * PAGE) == 0);
    CHECK(fcntl(fd, F_GET_SEALS) == F_SEAL_SHRINK);
    close(fd);
}

TEST(seal_grow)
{
    int fd = memfd(MFD_ALLOW_SEALING, PAGE);
    CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) == 0);
    CHECK(FAILS(ftruncate(fd, 2 * PAGE), EPERM));
    CHECK(FAILS(pwrite(fd, "x", 1, PAGE), EPERM));
    CHECK(pwrite(fd, "x", 1, PAGE - 1) == 1);
    CHECK(FAILS(fallocate(fd, 0, 0, 2 * PAGE), EPERM));
    CHECK(ftruncate(fd, 10) == 0);
    close(fd);
}

TEST(seal_write)
{
    int fd = memfd(MFD_ALLOW_SEALING, PAGE);
    char *p = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
    CHECK(FAILS(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY));
    p[0] = 9;
    munmap(p, PAGE);
    CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
    CHECK(FAILS(write(fd, "x", 1), EPERM));
    CHECK(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EPERM);
    p = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);
    CHECK(p != MAP_FAILED && p[0] == 9);
    p[0] = 1;
    munmap(p, PAGE);
    CHECK(FAILS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE), EPERM));
    close(fd);
}

TEST(seal_future_write)
{
    int fd = memfd(MFD_ALLOW_SEALING, PAGE);
    char *p = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
    CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0);
    p[3] = 4; /* the old mapping goes on */
    CHECK(FAILS(pwrite(fd, "x", 1, 0), EPERM));
    CHECK(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EPERM);
    char *q = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(q != MAP_FAILED && q[3] == 4);
    CHECK(FAILS(mprotect(q, PAGE, RW), EACCES));
    munmap(p, PAGE);
    munmap(q, PAGE);
    close(fd);
}

TEST(seal_seal)
{
    int fd = memfd(MFD_ALLOW_SEALING, PAGE);
    CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_GROW) == 0);
    CHECK(FAILS(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), EPERM));
    close(fd);
}

TEST(shared_anonymous)
{
    char *p = shared(4), path[] = "/proc/self/maps", line[512];
    bool seen = false;
    p[PAGE] = 3;
    FILE *f = fopen(path, "r");
    CHECK(f);
    while (fgets(line, sizeof line, f))
        if (strtoul(line, NULL, 16) == (unsigned long)p)
            seen = strstr(line, "rw-s") && strstr(line, "/dev/zero (deleted)");
    fclose(f);
    CHECK(seen);
    munmap(p, 4 * PAGE);
}

TEST(shared_remap_duplicates)
{
    char *p = shared(2);
    strcpy(p + PAGE, "twice");
    char *q = mremap(p, 0, 2 * PAGE, MREMAP_MAYMOVE);
    CHECK(q != MAP_FAILED && q != p);
    CHECK(!strcmp(q + PAGE, "twice"));
    q[0] = 'x';
    CHECK(p[0] == 'x');
    munmap(p, 2 * PAGE);
    CHECK(q[0] == 'x');
    munmap(q, 2 * PAGE);
}

TEST(private_remap_of_nothing)
{
    char *p = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(mremap(p, 0, PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == EINVAL);
    munmap(p, PAGE);
}

TEST(shared_dontneed_keeps)
{
    char *p = shared(1);
    p[0] = 77;
    CHECK(madvise(p, PAGE, MADV_DONTNEED) == 0);
    CHECK(p[0] == 77); /* the object has it still */
    CHECK(FAILS(madvise(p, PAGE, MADV_FREE), EINVAL));
    munmap(p, PAGE);
}

TEST(shared_validate)
{
    char *p = mmap(NULL, PAGE, RW, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p == MAP_FAILED && errno == EINVAL);
    int fd = memfd(0, PAGE);
    p = mmap(NULL, PAGE, RW, MAP_SHARED_VALIDATE, fd, 0);
    CHECK(p != MAP_FAILED);
    munmap(p, PAGE);
    p = mmap(NULL, PAGE, RW, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);
    CHECK(p == MAP_FAILED && errno == EOPNOTSUPP);
    close(fd);
}
