/* SPDX-License-Identifier: Apache-2.0 */
/* The devices in /dev that programs open. */
#include "guest.h"

#include <sys/mman.h>
#include <sys/sysmacros.h>

TEST(null)
{
    char c;
    int fd = open("/dev/null", O_RDWR);
    CHECK(fd >= 0 && write(fd, "gone", 4) == 4 && read(fd, &c, 1) == 0);
    CHECK(lseek(fd, 100, SEEK_SET) == 0);
    close(fd);
    fd = open("/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0666);
    CHECK(fd >= 0);
    close(fd);
}

TEST(zero)
{
    char buf[10000];
    memset(buf, 1, sizeof buf);
    int fd = open("/dev/zero", O_RDWR);
    CHECK(fd >= 0 && read(fd, buf, sizeof buf) == sizeof buf);
    for (unsigned i = 0; i < sizeof buf; i++)
        CHECK(buf[i] == 0);
    CHECK(write(fd, buf, 5) == 5);
    close(fd);
}

TEST(zero_mapped)
{
    int fd = open("/dev/zero", O_RDWR);
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    close(fd);
    CHECK(p != MAP_FAILED && p[5000] == 0);
    p[5000] = 1;
    CHECK(munmap(p, 8192) == 0);
}

TEST(full)
{
    char c = 1;
    int fd = open("/dev/full", O_RDWR);
    CHECK(fd >= 0 && read(fd, &c, 1) == 1 && c == 0);
    CHECK(FAILS(write(fd, &c, 1), ENOSPC));
    close(fd);
}

TEST(numbers)
{
    static const struct {
        const char *name;
        unsigned minor;
    } dev[] = {{"/dev/null", 3},
               {"/dev/zero", 5},
               {"/dev/full", 7},
               {"/dev/random", 8},
               {"/dev/urandom", 9}};
    for (unsigned i = 0; i < COUNT(dev); i++) {
        struct stat st;
        CHECK(stat(dev[i].name, &st) == 0 && S_ISCHR(st.st_mode));
        CHECK(major(st.st_rdev) == 1 && minor(st.st_rdev) == dev[i].minor);
        CHECK((st.st_mode & 0666) == 0666);
    }
}

TEST(own_descriptors)
{
    char name[32], c;
    int fd = open(data_path("text.txt"), O_RDONLY);
    snprintf(name, sizeof name, "/dev/fd/%d", fd);
    int again = open(name, O_RDONLY);
    CHECK(again >= 0 && read(again, &c, 1) == 1 && c == '0');
    close(again);
    close(fd);
    struct stat a, b;
    CHECK(stat("/dev/stdout", &a) == 0 && fstat(1, &b) == 0 && a.st_ino == b.st_ino);
}

TEST(shared_memory)
{
    int fd = shm_open("/guest-test", O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0 && ftruncate(fd, 10000) == 0);
    char *p = mmap(NULL, 10000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    p[9999] = 5;
    char c;
    CHECK(pread(fd, &c, 1, 9999) == 1 && c == 5);
    CHECK(shm_unlink("/guest-test") == 0);
    munmap(p, 10000);
    close(fd);
}

TEST(missing)
{
    CHECK(FAILS(open("/dev/nothing", O_RDONLY), ENOENT));
}
