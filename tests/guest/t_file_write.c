/* SPDX-License-Identifier: Apache-2.0 */
/* Files that can be written, in /tmp: create, write, append, truncate, rename, unlink. */
#include "guest.h"

#include <limits.h>
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

/* A file without a name in `dir` gets one, by `how`: 0 /proc, 1 AT_EMPTY_PATH. */
static void unnamed_in(const char *dir, int how)
{
    char name[PATH_MAX + 32], by[64], text[PATH_MAX] = "";
    struct stat st, again;
    snprintf(name, sizeof name, "%s/guest-unnamed-%d", dir, (int)getpid());
    int fd = open(dir, O_TMPFILE | O_RDWR, 0640);
    CHECK(fd >= 0 && fstat(fd, &st) == 0 && st.st_nlink == 0 && S_ISREG(st.st_mode));
    CHECK((st.st_mode & 07777) == (0640 & ~022) && st.st_size == 0);
    CHECK(write(fd, "content", 7) == 7 && fsync(fd) == 0);
    snprintf(by, sizeof by, "/proc/self/fd/%d", fd);
    CHECK(readlink(by, text, sizeof text - 1) > 0 && strstr(text, " (deleted)") &&
          !strncmp(text, dir, strlen(dir)));
    if (how)
        CHECK(linkat(fd, "", AT_FDCWD, name, AT_EMPTY_PATH) == 0);
    else
        CHECK(linkat(AT_FDCWD, by, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0);
    CHECK(stat(name, &again) == 0 && again.st_ino == st.st_ino && again.st_nlink == 1);
    CHECK(FAILS(linkat(AT_FDCWD, by, AT_FDCWD, name, AT_SYMLINK_FOLLOW), EEXIST));
    close(fd);
    fd = open(name, O_RDONLY);
    CHECK(read(fd, text, sizeof text) == 7 && !memcmp(text, "content", 7));
    /* Once it had a name, none of its own comes back after the last is gone. */
    snprintf(by, sizeof by, "/proc/self/fd/%d", fd);
    CHECK(unlink(name) == 0);
    CHECK(FAILS(linkat(AT_FDCWD, by, AT_FDCWD, name, AT_SYMLINK_FOLLOW), ENOENT));
    close(fd);
}

static void unnamed_refused(const char *dir)
{
    char name[PATH_MAX + 32], by[64];
    snprintf(name, sizeof name, "%s/guest-unnamed-%d", dir, (int)getpid());
    int fd = open(dir, O_TMPFILE | O_RDWR | O_EXCL, 0600);
    CHECK(fd >= 0 && write(fd, "x", 1) == 1);
    snprintf(by, sizeof by, "/proc/self/fd/%d", fd);
    CHECK(FAILS(linkat(AT_FDCWD, by, AT_FDCWD, name, AT_SYMLINK_FOLLOW), ENOENT));
    close(fd);
    CHECK(FAILS(open(dir, O_TMPFILE | O_RDONLY, 0600), EINVAL));
    CHECK(FAILS(open(dir, (O_TMPFILE & ~O_DIRECTORY) | O_RDWR, 0600), EINVAL));
    CHECK(FAILS(open(dir, O_TMPFILE | O_CREAT | O_RDWR, 0600), EINVAL));
    close(open(name, O_CREAT | O_RDWR, 0600));
    CHECK(FAILS(open(name, O_TMPFILE | O_RDWR, 0600), ENOTDIR));
    unlink(name);
    CHECK(FAILS(open(name, O_TMPFILE | O_RDWR, 0600), ENOENT));
}

TEST(unnamed_file)
{
    unnamed_in("/tmp", 0);
    unnamed_in("/tmp", 1);
    unnamed_refused("/tmp");
    CHECK(FAILS(open("/proc", O_TMPFILE | O_RDWR, 0600), EOPNOTSUPP));
}

/* Beside $GUEST_DATA, which in the guest is the ext4 root. */
TEST(unnamed_file_on_disk)
{
    const char *name = data_path("../guest-unnamed");
    char dir[PATH_MAX];
    CHECK(mkdir(name, 0700) == 0 && realpath(name, dir));
    unnamed_in(dir, 0);
    unnamed_in(dir, 1);
    unnamed_refused(dir);
    int fd[50]; /* the list of those without names grows and shrinks in the middle */
    for (int i = 0; i < 50; i++) {
        fd[i] = open(dir, O_TMPFILE | O_RDWR, 0600);
        CHECK(fd[i] >= 0 && pwrite(fd[i], "x", 1, i * 4096) == 1);
    }
    for (int i = 0; i < 50; i++) {
        char by[64], to[PATH_MAX + 16];
        snprintf(by, sizeof by, "/proc/self/fd/%d", fd[i]);
        snprintf(to, sizeof to, "%s/%d", dir, i);
        if (i % 3 == 1)
            CHECK(linkat(AT_FDCWD, by, AT_FDCWD, to, AT_SYMLINK_FOLLOW) == 0);
        close(fd[i]);
        CHECK(unlink(to) == (i % 3 == 1 ? 0 : -1));
    }
    CHECK(rmdir(dir) == 0);
}
