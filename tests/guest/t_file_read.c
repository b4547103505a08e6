/* SPDX-License-Identifier: Apache-2.0 */
/* Reading files of a read-only tree: open, read, pread, readv, lseek and their errors. */
#include "guest.h"

#include <limits.h>
#include <sys/uio.h>

/* tests/run-guest writes text.txt: the digits 0..9, 100 times, and big.bin: byte i is i * 7 + i /
 * 251. */
#define TEXT_SIZE 1000
#define BIG_SIZE  300000

static int open_data(const char *name)
{
    return open(data_path(name), O_RDONLY);
}

TEST(read_whole)
{
    char buf[2048];
    int fd = open_data("text.txt");
    CHECK(fd >= 0);
    CHECK(read(fd, buf, sizeof buf) == TEXT_SIZE);
    for (int i = 0; i < TEXT_SIZE; i++)
        CHECK(buf[i] == '0' + i % 10);
    CHECK(read(fd, buf, sizeof buf) == 0);
    close(fd);
}

TEST(read_pieces)
{
    static unsigned char buf[BIG_SIZE];
    int fd = open_data("big.bin");
    size_t n = 0;
    for (ssize_t k; (k = read(fd, buf + n, 4099)) > 0;)
        n += (size_t)k;
    CHECK(n == BIG_SIZE);
    for (unsigned i = 0; i < BIG_SIZE; i++)
        CHECK(buf[i] == (unsigned char)(i * 7 + i / 251));
    close(fd);
}

TEST(read_zero_bytes)
{
    int fd = open_data("text.txt");
    char c;
    CHECK(read(fd, &c, 0) == 0);
    CHECK(lseek(fd, 0, SEEK_CUR) == 0);
    close(fd);
}

TEST(empty_file)
{
    char c;
    int fd = open_data("empty");
    CHECK(fd >= 0 && read(fd, &c, 1) == 0 && lseek(fd, 0, SEEK_END) == 0);
    close(fd);
}

TEST(lseek_all_ways)
{
    char c;
    int fd = open_data("text.txt");
    CHECK(lseek(fd, 15, SEEK_SET) == 15 && read(fd, &c, 1) == 1 && c == '5');
    CHECK(lseek(fd, 2, SEEK_CUR) == 18 && read(fd, &c, 1) == 1 && c == '8');
    CHECK(lseek(fd, -3, SEEK_END) == TEXT_SIZE - 3 && read(fd, &c, 1) == 1 && c == '7');
    CHECK(lseek(fd, 5000, SEEK_SET) == 5000 && read(fd, &c, 1) == 0);
    close(fd);
}

TEST(lseek_errors)
{
    int fd = open_data("text.txt");
    CHECK(FAILS(lseek(fd, -1, SEEK_SET), EINVAL));
    CHECK(FAILS(lseek(fd, -TEXT_SIZE - 1, SEEK_END), EINVAL));
    CHECK(FAILS(lseek(fd, 0, 99), EINVAL));
    CHECK(lseek(fd, 0, SEEK_CUR) == 0);
    CHECK(FAILS(lseek(-1, 0, SEEK_SET), EBADF));
    close(fd);
}

TEST(pread_keeps_offset)
{
    char buf[4];
    int fd = open_data("text.txt");
    lseek(fd, 3, SEEK_SET);
    CHECK(pread(fd, buf, 4, 996) == 4 && !memcmp(buf, "6789", 4));
    CHECK(pread(fd, buf, 4, 998) == 2);
    CHECK(pread(fd, buf, 4, 5000) == 0);
    CHECK(FAILS(pread(fd, buf, 4, -1), EINVAL));
    CHECK(lseek(fd, 0, SEEK_CUR) == 3);
    close(fd);
}

TEST(readv_scatters)
{
    char a[3], b[1], c[10];
    struct iovec v[] = {{a, 3}, {NULL, 0}, {b, 1}, {c, 10}};
    int fd = open_data("text.txt");
    CHECK(readv(fd, v, 4) == 14);
    CHECK(!memcmp(a, "012", 3) && b[0] == '3' && !memcmp(c, "4567890123", 10));
    lseek(fd, -4, SEEK_END);
    CHECK(readv(fd, v, 4) == 4 && b[0] == '9');
    CHECK(preadv(fd, v, 1, 7) == 3 && !memcmp(a, "789", 3));
    CHECK(FAILS(syscall(SYS_readv, fd, v, -1), EINVAL));
    CHECK(FAILS(syscall(SYS_readv, fd, v, IOV_MAX + 1), EINVAL));
    CHECK(readv(fd, v, 0) == 0);
    close(fd);
}

TEST(open_errors)
{
    char name[PATH_MAX + 10];
    CHECK(FAILS(open_data("missing"), ENOENT));
    CHECK(FAILS(open_data("missing/also"), ENOENT));
    CHECK(FAILS(open_data("text.txt/x"), ENOTDIR));
    CHECK(FAILS(open("", O_RDONLY), ENOENT));
    CHECK(FAILS(open(data_path("text.txt"), O_RDONLY | O_DIRECTORY), ENOTDIR));
    CHECK(FAILS(open(data_path("dir"), O_WRONLY), EISDIR));
    CHECK(FAILS(open(data_path("text.txt"), O_RDONLY | O_CREAT | O_EXCL, 0600), EEXIST));
    memset(name, 'a', sizeof name);
    name[0] = '/';
    name[sizeof name - 1] = 0;
    CHECK(FAILS(open(name, O_RDONLY), ENAMETOOLONG));
    name[300] = 0;
    CHECK(FAILS(open(name, O_RDONLY), ENAMETOOLONG)); /* one component of 299 bytes */
}

TEST(descriptor_errors)
{
    char c = 0;
    int fd = open_data("text.txt");
    CHECK(FAILS(write(fd, &c, 1), EBADF));
    close(fd);
    CHECK(FAILS(read(fd, &c, 1), EBADF));
    CHECK(FAILS(close(fd), EBADF));
    CHECK(FAILS(read(-1, &c, 1), EBADF));
    CHECK(FAILS(read(1 << 30, &c, 1), EBADF));
}

TEST(read_directory)
{
    char c;
    int fd = open(data_path("dir"), O_RDONLY);
    CHECK(fd >= 0);
    CHECK(FAILS(read(fd, &c, 1), EISDIR));
    close(fd);
}

TEST(open_through_symlink)
{
    char c;
    int fd = open_data("link");
    CHECK(fd >= 0 && read(fd, &c, 1) == 1 && c == '0');
    close(fd);
    CHECK(FAILS(open(data_path("link"), O_RDONLY | O_NOFOLLOW), ELOOP));
    CHECK(FAILS(open_data("dangling"), ENOENT));
    CHECK(FAILS(open_data("loop"), ELOOP));
    fd = open_data("dirlink/f07");
    CHECK(fd >= 0);
    close(fd);
}

TEST(independent_offsets)
{
    char a, b;
    int x = open_data("text.txt"), y = open_data("text.txt");
    CHECK(x != y);
    lseek(x, 4, SEEK_SET);
    CHECK(read(x, &a, 1) == 1 && read(y, &b, 1) == 1 && a == '4' && b == '0');
    close(x);
    close(y);
}
