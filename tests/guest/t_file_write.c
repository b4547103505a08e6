/* SPDX-License-Identifier: Apache-2.0 */
/* Files that can be written, in /tmp: create, write, append, truncate, rename, unlink. */
#include "guest.h"

#include <sys/uio.h>

static int make(const char *name, int flags)
{
    return open(tmp_path(name), O_RDWR | O_CREAT | flags, 0644);
}

static bool content_is(const char *name, const char *text)
{
    char buf[256];
    int fd = open(tmp_path(name), O_RDONLY);
    ssize_t n = read(fd, buf, sizeof buf);
    close(fd);
    return n == (ssize_t)strlen(text) && !memcmp(buf, text, (size_t)n);
}

TEST(create_write_read)
{
    int fd = make("a", O_EXCL);
    CHECK(fd >= 0);
    CHECK(write(fd, "hello", 5) == 5 && write(fd, " world", 6) == 6);
    CHECK(lseek(fd, 0, SEEK_CUR) == 11);
    close(fd);
    CHECK(content_is("a", "hello world"));
    CHECK(FAILS(make("a", O_EXCL), EEXIST));
    CHECK(unlink(tmp_path("a")) == 0);
    CHECK(FAILS(open(tmp_path("a"), O_RDONLY), ENOENT));
}

TEST(overwrite_middle)
{
    int fd = make("b", 0);
    CHECK(write(fd, "0123456789", 10) == 10);
    CHECK(pwrite(fd, "xyz", 3, 4) == 3);
    CHECK(lseek(fd, 0, SEEK_CUR) == 10);
    CHECK(content_is("b", "0123xyz789"));
    close(fd);
    unlink(tmp_path("b"));
}

TEST(append)
{
    int fd = make("c", O_APPEND);
    CHECK(write(fd, "one", 3) == 3);
    lseek(fd, 0, SEEK_SET);
    CHECK(write(fd, "two", 3) == 3);
    CHECK(lseek(fd, 0, SEEK_CUR) == 6);
    CHECK(content_is("c", "onetwo"));
    close(fd);
    unlink(tmp_path("c"));
}

TEST(truncate_on_open)
{
    int fd = make("d", 0);
    CHECK(write(fd, "text", 4) == 4);
    close(fd);
    fd = open(tmp_path("d"), O_WRONLY | O_TRUNC);
    struct stat st;
    CHECK(fd >= 0 && fstat(fd, &st) == 0 && st.st_size == 0);
    close(fd);
    unlink(tmp_path("d"));
}

TEST(ftruncate_both_ways)
{
    char buf[8192];
    struct stat st;
    int fd = make("e", 0);
    memset(buf, 'x', sizeof buf);
    CHECK(write(fd, buf, sizeof buf) == sizeof buf);
    CHECK(ftruncate(fd, 100) == 0);
    CHECK(ftruncate(fd, 6000) == 0 && fstat(fd, &st) == 0 && st.st_size == 6000);
    CHECK(pread(fd, buf, sizeof buf, 0) == 6000);
    CHECK(buf[99] == 'x');
    for (int i = 100; i < 6000; i++)
        CHECK(buf[i] == 0);
    CHECK(FAILS(ftruncate(fd, -1), EINVAL));
    close(fd);
    unlink(tmp_path("e"));
}

TEST(hole_reads_zero)
{
    char c = 1;
    int fd = make("f", 0);
    CHECK(pwrite(fd, "end", 3, 1 << 20) == 3);
    CHECK(lseek(fd, 0, SEEK_END) == (1 << 20) + 3);
    CHECK(pread(fd, &c, 1, 12345) == 1 && c == 0);
    CHECK(pread(fd, &c, 1, 1 << 20) == 1 && c == 'e');
    close(fd);
    unlink(tmp_path("f"));
}

TEST(writev_gathers)
{
    struct iovec v[] = {{"ab", 2}, {"", 0}, {"cde", 3}};
    int fd = make("g", 0);
    CHECK(writev(fd, v, 3) == 5);
    CHECK(content_is("g", "abcde"));
    close(fd);
    unlink(tmp_path("g"));
}

TEST(large_file)
{
    enum { SIZE = 1 << 20 };
    unsigned char *a = malloc(SIZE), *b = malloc(SIZE);
    CHECK(a && b);
    for (int i = 0; i < SIZE; i++)
        a[i] = (unsigned char)(i * 13 + i / 4096);
    int fd = make("h", 0);
    CHECK(write(fd, a, SIZE) == SIZE);
    CHECK(pread(fd, b, SIZE, 0) == SIZE);
    CHECK(!memcmp(a, b, SIZE));
    close(fd);
    unlink(tmp_path("h"));
    free(a);
    free(b);
}

TEST(unlinked_file_lives)
{
    char buf[4];
    int fd = make("i", 0);
    CHECK(write(fd, "data", 4) == 4 && unlink(tmp_path("i")) == 0);
    struct stat st;
    CHECK(pread(fd, buf, 4, 0) == 4 && !memcmp(buf, "data", 4));
    CHECK(fstat(fd, &st) == 0 && st.st_nlink == 0);
    close(fd);
    CHECK(FAILS(unlink(tmp_path("i")), ENOENT));
}

TEST(rename_replaces)
{
    int fd = make("j", 0);
    CHECK(write(fd, "new", 3) == 3);
    close(fd);
    fd = make("k", 0);
    CHECK(write(fd, "old", 3) == 3);
    close(fd);
    CHECK(rename(tmp_path("j"), tmp_path("k")) == 0);
    CHECK(content_is("k", "new"));
    CHECK(access(tmp_path("j"), F_OK) == -1);
    CHECK(FAILS(rename(tmp_path("j"), tmp_path("k")), ENOENT));
    unlink(tmp_path("k"));
}

TEST(directories)
{
    char inner[256];
    CHECK(mkdir(tmp_path("dir"), 0755) == 0);
    CHECK(FAILS(mkdir(tmp_path("dir"), 0755), EEXIST));
    snprintf(inner, sizeof inner, "%s/file", tmp_path("dir"));
    int fd = open(inner, O_CREAT | O_WRONLY, 0600);
    CHECK(fd >= 0);
    close(fd);
    CHECK(FAILS(rmdir(tmp_path("dir")), ENOTEMPTY));
    CHECK(FAILS(rmdir(inner), ENOTDIR));
    CHECK(unlink(inner) == 0);
    CHECK(rmdir(tmp_path("dir")) == 0);
    CHECK(FAILS(rmdir(tmp_path("dir")), ENOENT));
}

TEST(write_only_cannot_read)
{
    char c;
    int fd = open(tmp_path("l"), O_WRONLY | O_CREAT, 0600);
    CHECK(fd >= 0);
    CHECK(FAILS(read(fd, &c, 1), EBADF));
    close(fd);
    unlink(tmp_path("l"));
}
