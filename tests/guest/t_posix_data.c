/* SPDX-License-Identifier: Apache-2.0 */
/* Content, holes and allocation, flags of single transfers, times, attributes, copies. */
#include "posix.h"

#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/vfs.h>

#define BLOCK 4096
#define DAY   86400

static int made(const char *name)
{
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
    CHECK(fd >= 0);
    return fd;
}

/* `blocks` blocks, the n-th full of 'a' + n. */
static int lettered(const char *name, unsigned blocks)
{
    char buf[BLOCK];
    int fd = made(name);
    for (unsigned i = 0; i < blocks; i++) {
        memset(buf, 'a' + (int)i, sizeof buf);
        CHECK(write(fd, buf, sizeof buf) == BLOCK);
    }
    return fd;
}

/* The file's blocks as letters, '.' for zeroes, '?' for a mixture. */
static const char *letters(int fd)
{
    static char text[64];
    unsigned char buf[BLOCK];
    unsigned n = 0;
    for (ssize_t got; n < 63 && (got = pread(fd, buf, sizeof buf, (off_t)n * BLOCK)) > 0; n++) {
        bool same = true;
        for (ssize_t i = 0; i < got; i++)
            same &= buf[i] == buf[0];
        text[n] = !same ? '?' : buf[0] ? (char)buf[0] : '.';
    }
    text[n] = 0;
    return text;
}

PLACES(truncation)
{
    char buf[3 * BLOCK];
    int fd = lettered("file", 3);
    CHECK(ftruncate(fd, 5000) == 0 && lseek(fd, 0, SEEK_END) == 5000);
    CHECK(ftruncate(fd, 3 * BLOCK) == 0);
    CHECK(pread(fd, buf, sizeof buf, 0) == sizeof buf);
    CHECK(buf[4999] == 'b' && buf[5000] == 0 && buf[sizeof buf - 1] == 0);
    struct timespec old[2] = {{1000, 0}, {1000, 0}};
    CHECK(futimens(fd, old) == 0 && ftruncate(fd, 3 * BLOCK) == 0);
    CHECK(stat_of("file").st_mtime > 1000); /* also when the size stays */
    CHECK(truncate("file", 0) == 0 && stat_of("file").st_blocks == 0);
    CHECK(FAILS(truncate("none", 0), ENOENT) && FAILS(truncate(".", 0), EISDIR));
    int other = open("file", O_RDONLY);
    CHECK(FAILS(ftruncate(other, 0), EINVAL));
    close(other);
    close(fd);
}

PLACES(allocation)
{
    int fd = lettered("file", 6);
    struct stat st;
    CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, BLOCK, 2 * BLOCK) == 0);
    CHECK(!strcmp(letters(fd), "a..def"));
    CHECK(fstat(fd, &st) == 0 && st.st_size == 6 * BLOCK && st.st_blocks == 4 * BLOCK / 512);
    CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 3 * BLOCK + 100, 200) == 0);
    CHECK(!strcmp(letters(fd), "a..?ef"));
    CHECK(FAILS(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, BLOCK), EOPNOTSUPP));
    CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100 * BLOCK, BLOCK) == 0);
    CHECK(lseek(fd, 0, SEEK_END) == 6 * BLOCK);
    CHECK(fallocate(fd, 0, BLOCK, BLOCK) == 0 && !strcmp(letters(fd), "a..?ef"));
    CHECK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 20 * BLOCK) == 0);
    CHECK(fstat(fd, &st) == 0 && st.st_size == 6 * BLOCK);
    CHECK(!disk || st.st_blocks >= 20 * BLOCK / 512);
    CHECK(ftruncate(fd, 6 * BLOCK) == 0);
    CHECK(fallocate(fd, 0, 7 * BLOCK, 1) == 0 && lseek(fd, 0, SEEK_END) == 7 * BLOCK + 1);
    CHECK(FAILS(fallocate(fd, 0, 0, 0), EINVAL) && FAILS(fallocate(fd, 0, -1, 1), EINVAL));
    CHECK(FAILS(fallocate(fd, 0, 1, -1), EINVAL) && FAILS(fallocate(fd, 0, INT64_MAX, 1), EFBIG));
    CHECK(FAILS(fallocate(fd, 0x1000, 0, BLOCK), EOPNOTSUPP));
    int other = open("file", O_RDONLY), dir = open(".", O_RDONLY), pipes[2];
    CHECK(FAILS(fallocate(other, 0, 0, 1), EBADF) && FAILS(fallocate(dir, 0, 0, 1), EBADF));
    CHECK(pipe(pipes) == 0 && FAILS(fallocate(pipes[1], 0, 0, 1), ESPIPE));
    CHECK(posix_fallocate(fd, 10 * BLOCK, 10) == 0 && lseek(fd, 0, SEEK_END) == 10 * BLOCK + 10);
    close(other), close(dir), close(pipes[0]), close(pipes[1]);
    close(fd);
}

PLACES(zeroed_ranges)
{
    int fd = lettered("file", 5);
    if (!disk) {
        CHECK(FAILS(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, BLOCK), EOPNOTSUPP));
        CHECK(FAILS(fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, BLOCK), EOPNOTSUPP));
        close(fd);
        return;
    }
    CHECK(fallocate(fd, FALLOC_FL_ZERO_RANGE, BLOCK, BLOCK) == 0 && !strcmp(letters(fd), "a.cde"));
    CHECK(fallocate(fd, FALLOC_FL_ZERO_RANGE, 2 * BLOCK + 1, 10) == 0 &&
          !strcmp(letters(fd), "a.?de"));
    CHECK(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 4 * BLOCK, 4 * BLOCK) == 0);
    CHECK(!strcmp(letters(fd), "a.?d."));
    CHECK(fallocate(fd, FALLOC_FL_ZERO_RANGE, 4 * BLOCK, 2 * BLOCK) == 0);
    CHECK(!strcmp(letters(fd), "a.?d.."));
    close(fd);
}

PLACES(shifted_ranges)
{
    const int out = FALLOC_FL_COLLAPSE_RANGE, in = FALLOC_FL_INSERT_RANGE;
    int fd = lettered("file", 6);
    CHECK(fallocate(fd, out | FALLOC_FL_KEEP_SIZE, 0, BLOCK) == -1);
    CHECK(fallocate(fd, in | FALLOC_FL_KEEP_SIZE, 0, BLOCK) == -1);
    CHECK(fallocate(fd, in | out, 0, BLOCK) == -1 && !strcmp(letters(fd), "abcdef"));
    if (!disk || (fallocate(fd, out, BLOCK, 2 * BLOCK) == -1 && errno == EOPNOTSUPP)) {
        CHECK(FAILS(fallocate(fd, out, 0, BLOCK), EOPNOTSUPP)); /* another kind of file system */
        CHECK(FAILS(fallocate(fd, in, 0, BLOCK), EOPNOTSUPP));
        close(fd);
        return;
    }
    CHECK(!strcmp(letters(fd), "adef") && stat_of("file").st_blocks == 4 * BLOCK / 512);
    CHECK(fallocate(fd, in, BLOCK, 2 * BLOCK) == 0 && !strcmp(letters(fd), "a..def"));
    CHECK(lseek(fd, 0, SEEK_HOLE) == BLOCK && lseek(fd, BLOCK, SEEK_DATA) == 3 * BLOCK);
    CHECK(stat_of("file").st_blocks == 4 * BLOCK / 512);
    CHECK(pwrite(fd, "xyz", 3, 6 * BLOCK) == 3 && fallocate(fd, out, 0, 3 * BLOCK) == 0);
    CHECK(lseek(fd, 0, SEEK_END) == 3 * BLOCK + 3 && file_is("file", "") == false);
    char *map = mmap(NULL, 4 * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(map != MAP_FAILED && map[0] == 'd' && map[3 * BLOCK + 2] == 'z');
    map[2 * BLOCK + 5] = 'F';
    CHECK(fallocate(fd, out, 0, BLOCK) == 0 && map[0] == 'e' && map[BLOCK + 5] == 'F');
    CHECK(fallocate(fd, in, 0, BLOCK) == 0 && map[0] == 0 && map[2 * BLOCK + 5] == 'F');
    CHECK(munmap(map, 4 * BLOCK) == 0 && fsync(fd) == 0);
    CHECK(!strcmp(letters(fd), ".e??"));
    CHECK(FAILS(fallocate(fd, out, 1, BLOCK), EINVAL) && FAILS(fallocate(fd, out, 0, 5), EINVAL));
    CHECK(FAILS(fallocate(fd, in, 1, BLOCK), EINVAL) && FAILS(fallocate(fd, in, 0, 5), EINVAL));
    CHECK(FAILS(fallocate(fd, out, 2 * BLOCK, 2 * BLOCK), EINVAL)); /* up to the end: truncate */
    CHECK(FAILS(fallocate(fd, in, 4 * BLOCK, BLOCK), EINVAL));
    CHECK(FAILS(fallocate(fd, in, 0, INT64_MAX - BLOCK + 1), EFBIG));
    CHECK(!strcmp(letters(fd), ".e??"));
    close(fd);
}

PLACES(holes_are_found)
{
    int fd = made("file");
    CHECK(ftruncate(fd, 40 * BLOCK) == 0);
    CHECK(pwrite(fd, "x", 1, 10 * BLOCK) == 1 && pwrite(fd, "y", 1, 30 * BLOCK + 7) == 1);
    CHECK(lseek(fd, 0, SEEK_DATA) == 10 * BLOCK && lseek(fd, 0, SEEK_HOLE) == 0);
    CHECK(lseek(fd, 10 * BLOCK + 5, SEEK_DATA) == 10 * BLOCK + 5);
    CHECK(lseek(fd, 10 * BLOCK, SEEK_HOLE) == 11 * BLOCK);
    CHECK(lseek(fd, 11 * BLOCK, SEEK_DATA) == 30 * BLOCK);
    CHECK(lseek(fd, 30 * BLOCK, SEEK_HOLE) == 31 * BLOCK);
    CHECK(FAILS(lseek(fd, 31 * BLOCK, SEEK_DATA), ENXIO) &&
          FAILS(lseek(fd, 40 * BLOCK, SEEK_HOLE), ENXIO));
    CHECK(FAILS(lseek(fd, -1, SEEK_DATA), ENXIO));
    CHECK(fsync(fd) == 0 && lseek(fd, 0, SEEK_DATA) == 10 * BLOCK);
    CHECK(stat_of("file").st_blocks == 2 * BLOCK / 512);
    close(fd);
}

static ssize_t write_with(int fd, const char *text, off_t at, int flags)
{
    struct iovec v = {(void *)(uintptr_t)text, strlen(text)};
    return pwritev2(fd, &v, 1, at, flags);
}

PLACES(flags_of_one_transfer)
{
    char buf[16];
    struct iovec v = {buf, sizeof buf};
    int fd = made("file");
    CHECK(write_with(fd, "one", 0, 0) == 3 && write_with(fd, "two", 0, RWF_APPEND) == 3);
    CHECK(file_is("file", "onetwo") && lseek(fd, 0, SEEK_CUR) == 0);
    CHECK(write_with(fd, "three", -1, RWF_APPEND) == 5 && lseek(fd, 0, SEEK_CUR) == 11);
    CHECK(write_with(fd, "ONE", 0, RWF_DSYNC) == 3 && write_with(fd, "TWO", 3, RWF_SYNC) == 3);
    CHECK(write_with(fd, "o", 0, RWF_HIPRI) == 1 && file_is("file", "oNETWOthree"));
    CHECK(FAILS(write_with(fd, "x", 0, 1 << 20), EOPNOTSUPP) &&
          FAILS(write_with(fd, "x", -2, 0), EINVAL));
    if (disk)
        CHECK(preadv2(fd, &v, 1, 0, RWF_NOWAIT) == 11);
    CHECK(preadv2(fd, &v, 1, 2, RWF_HIPRI) == 9 && !memcmp(buf, "ETWO", 4));
    CHECK(lseek(fd, 4, SEEK_SET) == 4 && preadv2(fd, &v, 1, -1, 0) == 7 &&
          lseek(fd, 0, SEEK_CUR) == 11);
    CHECK(FAILS(preadv2(fd, &v, 1, 0, 1 << 20), EOPNOTSUPP));
    CHECK(preadv2(fd, &v, 0, 0, 0) == 0);
    close(fd);
}

PLACES(direct)
{
    char *buf;
    if (!disk)
        return;
    CHECK(posix_memalign((void **)&buf, BLOCK, 2 * BLOCK) == 0);
    memset(buf, 'd', 2 * BLOCK);
    int fd = open("file", O_RDWR | O_CREAT | O_DIRECT, 0644);
    CHECK(fd >= 0 && pwrite(fd, buf, BLOCK, 0) == BLOCK && pwrite(fd, buf, 512, BLOCK) == 512);
    CHECK(FAILS(pwrite(fd, buf, 100, 0), EINVAL) && FAILS(pwrite(fd, buf, 512, 1), EINVAL));
    CHECK(pread(fd, buf, 2 * BLOCK, 0) == BLOCK + 512 && buf[0] == 'd' && buf[BLOCK + 511] == 'd');
    CHECK(FAILS(pread(fd, buf, 511, 0), EINVAL));
    int other = open("file", O_RDWR);
    CHECK(pwrite(other, "x", 1, 5) == 1 && pread(fd, buf, 512, 0) == 512 && buf[5] == 'x');
    close(other);
    close(fd);
    free(buf);
}

static struct timespec atime_of(const char *name)
{
    return stat_of(name).st_atim;
}

static void times_set(const char *name, time_t atime, time_t mtime)
{
    struct timespec t[2] = {{atime, 0}, {mtime, 0}};
    CHECK(utimensat(AT_FDCWD, name, t, AT_SYMLINK_NOFOLLOW) == 0);
}

/* relatime: reading moves atime if it is not newer than the last change, or a day old. */
PLACES(access_time)
{
    char buf[8];
    time_t now = time(NULL);
    file_make("file", "text");
    times_set("file", now - 100, now - 50);
    CHECK(file_is("file", "text") && atime_of("file").tv_sec >= now - 1);
    /* (its ctime is now, so atime has to be set ahead to be newer) */
    times_set("file", now + 500, now - 50);
    CHECK(file_is("file", "text") && atime_of("file").tv_sec == now + 500);
    times_set("file", now - 2 * DAY, now - 3 * DAY);
    int fd = open("file", O_RDONLY | O_NOATIME);
    CHECK(read(fd, buf, 4) == 4 && atime_of("file").tv_sec == now - 2 * DAY);
    close(fd);
    CHECK(file_is("file", "text") && atime_of("file").tv_sec >= now - 1);
    times_set("file", 1000, 2000);
    fd = open("file", O_RDWR);
    CHECK(pread(fd, buf, 0, 0) == 0 && (!disk || atime_of("file").tv_sec == 1000));
    times_set("file", 1000, 2000);
    CHECK(pwrite(fd, "T", 1, 0) == 1 && atime_of("file").tv_sec == 1000);
    char *at = mmap(NULL, BLOCK, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK(at[0] == 'T' && atime_of("file").tv_sec >= now - 1);
    munmap(at, BLOCK);
    close(fd);
    CHECK(mkdir("dir", 0755) == 0 && symlink("file", "link") == 0);
    times_set("dir", 1000, 2000);
    DIR *d = opendir("dir");
    while (readdir(d))
        ;
    closedir(d);
    CHECK(atime_of("dir").tv_sec >= now - 1);
    times_set("link", 1000, 2000);
    CHECK(readlink("link", buf, 8) == 4 && atime_of("link").tv_sec >= now - 1);
}

PLACES(times)
{
    struct timespec t[2] = {{5, 6}, {7, 999999999}};
    file_make("file", "");
    CHECK(chown("file", 1000, 1000) == 0 && chmod("file", 0666) == 0);
    CHECK(utimensat(AT_FDCWD, "file", t, 0) == 0);
    struct stat st = stat_of("file");
    CHECK(st.st_atim.tv_sec == 5 && st.st_atim.tv_nsec == 6 && st.st_mtim.tv_nsec == 999999999);
    t[0].tv_nsec = UTIME_OMIT, t[1] = (struct timespec){77, 0};
    CHECK(utimensat(AT_FDCWD, "file", t, 0) == 0 && atime_of("file").tv_sec == 5);
    CHECK(stat_of("file").st_mtime == 77);
    t[1].tv_nsec = 1000000000;
    CHECK(FAILS(utimensat(AT_FDCWD, "file", t, 0), EINVAL));
    t[1].tv_nsec = -1;
    CHECK(FAILS(utimensat(AT_FDCWD, "file", t, 0), EINVAL));
    t[1].tv_nsec = UTIME_OMIT;
    CHECK(utimensat(AT_FDCWD, "none", t, 0) == 0 || errno == ENOENT);
    user_be(3000, 3000);
    CHECK(utimensat(AT_FDCWD, "file", NULL, 0) == 0); /* may write: now */
    t[0] = t[1] = (struct timespec){0, UTIME_NOW};
    CHECK(utimensat(AT_FDCWD, "file", t, 0) == 0);
    t[1].tv_nsec = UTIME_OMIT;
    CHECK(FAILS(utimensat(AT_FDCWD, "file", t, 0), EPERM));
    t[0] = t[1] = (struct timespec){9, 9};
    CHECK(FAILS(utimensat(AT_FDCWD, "file", t, 0), EPERM));
    user_be(1000, 1000);
    CHECK(utimensat(AT_FDCWD, "file", t, 0) == 0 && stat_of("file").st_mtime == 9);
    CHECK(FAILS(utimensat(AT_FDCWD, "file", t, 1), EINVAL));
}

PLACES(statx_tells)
{
    struct statx x;
    file_make("file", "text");
    CHECK(statx(AT_FDCWD, "file", 0, STATX_BASIC_STATS | STATX_BTIME, &x) == 0);
    CHECK((x.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS && x.stx_size == 4);
    CHECK(x.stx_mode == (S_IFREG | 0644) && x.stx_nlink == 1 && x.stx_uid == 0 &&
          x.stx_blksize == BLOCK);
    struct stat st = stat_of("file");
    CHECK(x.stx_ino == st.st_ino && x.stx_mtime.tv_sec == st.st_mtim.tv_sec);
    CHECK(x.stx_mtime.tv_nsec == (unsigned)st.st_mtim.tv_nsec);
    if (disk)
        CHECK(x.stx_mask & STATX_BTIME && x.stx_btime.tv_sec > 1000000000);
    CHECK(FAILS(statx(AT_FDCWD, "file", 0, 0x80000000u, &x), EINVAL));
    CHECK(FAILS(statx(AT_FDCWD, "file", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, 0, &x), EINVAL));
    CHECK(FAILS(statx(AT_FDCWD, "", 0, 0, &x), ENOENT));
}

PLACES(extended_attributes)
{
    char buf[300], big[4000];
    static char huge[70000];
    memset(big, 'b', sizeof big);
    file_make("file", "");
    CHECK(mkdir("dir", 0777) == 0 && symlink("file", "link") == 0 && chmod("file", 0666) == 0);
    CHECK(setxattr("file", "trusted.t", "1", 1, 0) == 0 &&
          setxattr("file", "security.s", "22", 2, 0) == 0);
    CHECK(getxattr("file", "trusted.t", buf, 300) == 1 &&
          getxattr("file", "security.s", NULL, 0) == 2);
    CHECK(FAILS(setxattr("file", "nothing", "1", 1, 0), EOPNOTSUPP) &&
          FAILS(setxattr("file", "other.x", "1", 1, 0), EOPNOTSUPP));
    if (disk) {
        CHECK(setxattr("file", "user.a", "value", 5, XATTR_CREATE) == 0);
        CHECK(FAILS(setxattr("file", "user.a", "v", 1, XATTR_CREATE), EEXIST));
        CHECK(FAILS(setxattr("file", "user.b", "v", 1, XATTR_REPLACE), ENODATA));
        CHECK(setxattr("file", "user.a", "", 0, XATTR_REPLACE) == 0 &&
              getxattr("file", "user.a", buf, 9) == 0);
        CHECK(setxattr("file", "user.a", "value", 5, 0) == 0);
        CHECK(FAILS(getxattr("file", "user.a", buf, 4), ERANGE) &&
              getxattr("file", "user.a", NULL, 0) == 5);
        CHECK(FAILS(getxattr("file", "user.none", buf, 4), ENODATA));
        CHECK(FAILS(lsetxattr("link", "user.a", "v", 1, 0), EPERM));
        CHECK(setxattr("link", "user.c", "v", 1, 0) == 0 &&
              getxattr("file", "user.c", buf, 9) == 1);
        ssize_t n = listxattr("file", buf, sizeof buf);
        CHECK(n > 0 && memmem(buf, (size_t)n, "user.a", 7) &&
              memmem(buf, (size_t)n, "trusted.t", 10));
        CHECK(FAILS(listxattr("file", buf, 3), ERANGE) && listxattr("file", NULL, 0) == n);
        CHECK(removexattr("file", "user.c") == 0 && FAILS(removexattr("file", "user.c"), ENODATA));
        CHECK(FAILS(setxattr("file", "user.big", huge, sizeof huge, 0), E2BIG));
        CHECK(setxattr("dir", "user.d", big, 3000, 0) == 0 &&
              getxattr("dir", "user.d", NULL, 0) == 3000);
        CHECK(FAILS(setxattr("dir", "user.e", big, 3000, 0), ENOSPC));
        CHECK(FAILS(setxattr("file", "user.a", "v", 1, 8), EINVAL));
    }
    memset(buf, 'x', sizeof buf);
    memcpy(buf, "user.", 5);
    buf[256] = 0;
    CHECK(FAILS(setxattr("file", buf, "v", 1, 0), ERANGE) &&
          FAILS(getxattr("file", "", big, 1), ERANGE));
    user_be(3000, 3000);
    CHECK(FAILS(setxattr("file", "trusted.t", "1", 1, 0), EPERM) &&
          FAILS(getxattr("file", "trusted.t", buf, 9), ENODATA));
    CHECK(FAILS(setxattr("file", "security.s", "1", 1, 0), EPERM));
    ssize_t n = listxattr("file", buf, sizeof buf);
    CHECK(n >= 0 && !memmem(buf, (size_t)n, "trusted.", 8));
    if (disk)
        CHECK(setxattr("file", "user.mine", "1", 1, 0) == 0);
}

PLACES(copies)
{
    char buf[64];
    loff_t in = 2, out = 5;
    off_t at = 1;
    file_make("from", "0123456789");
    int a = open("from", O_RDWR), b = made("to");
    CHECK(copy_file_range(a, &in, b, &out, 4, 0) == 4 && in == 6 && out == 9);
    CHECK(pread(b, buf, 64, 0) == 9 && !memcmp(buf,
                                               "\0\0\0\0\0"
                                               "2345",
                                               9));
    CHECK(copy_file_range(a, NULL, b, NULL, 3, 0) == 3 && lseek(a, 0, SEEK_CUR) == 3 &&
          lseek(b, 0, SEEK_CUR) == 3);
    in = 10;
    CHECK(copy_file_range(a, &in, b, NULL, 3, 0) == 0);
    CHECK(FAILS(copy_file_range(a, NULL, b, NULL, 3, 1), EINVAL));
    in = 0, out = 2;
    CHECK(FAILS(copy_file_range(a, &in, a, &out, 5, 0), EINVAL)); /* one over the other */
    int c = open("to", O_WRONLY | O_APPEND), d = open(".", O_RDONLY);
    CHECK(FAILS(copy_file_range(a, NULL, c, NULL, 1, 0), EBADF));
    CHECK(FAILS(copy_file_range(d, NULL, b, NULL, 1, 0), EISDIR));
    CHECK(FAILS(copy_file_range(c, NULL, b, NULL, 1, 0), EBADF));
    CHECK(ftruncate(b, 0) == 0 && lseek(b, 0, SEEK_SET) == 0);
    CHECK(sendfile(b, a, &at, 5) == 5 && at == 6 && file_is("to", "12345"));
    at = 100;
    CHECK(sendfile(b, a, &at, 5) == 0 && FAILS(sendfile(a, c, NULL, 1), EBADF));
    CHECK(FAILS(sendfile(c, a, &at, 1), EINVAL)); /* O_APPEND */
    close(a), close(b), close(c), close(d);
}

PLACES(advice)
{
    int fd = lettered("file", 4), pipes[2];
    CHECK(pipe(pipes) == 0);
    for (int i = POSIX_FADV_NORMAL; i <= POSIX_FADV_NOREUSE; i++)
        CHECK(posix_fadvise(fd, 0, 0, i) == 0);
    CHECK(posix_fadvise(fd, 0, 0, 77) == EINVAL && posix_fadvise(fd, 0, -1, 0) == EINVAL);
    CHECK(posix_fadvise(pipes[0], 0, 0, 0) == ESPIPE && posix_fadvise(-1, 0, 0, 0) == EBADF);
    CHECK(readahead(fd, 0, 100000) == 0 && FAILS(readahead(pipes[0], 0, 1), EINVAL));
    int other = open("file", O_WRONLY);
    CHECK(FAILS(readahead(other, 0, 1), EBADF));
    CHECK(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER) == 0);
    CHECK(FAILS(sync_file_range(fd, 0, 0, 64), EINVAL) &&
          FAILS(sync_file_range(fd, -1, 0, 0), EINVAL));
    CHECK(FAILS(sync_file_range(pipes[0], 0, 0, 0), ESPIPE));
    CHECK(fsync(fd) == 0 && fdatasync(fd) == 0 && syncfs(fd) == 0 && FAILS(syncfs(-1), EBADF));
    CHECK(FAILS(fsync(pipes[0]), EINVAL) && FAILS(fsync(-1), EBADF));
    int dir = open(".", O_RDONLY);
    CHECK(fsync(dir) == 0 && fdatasync(dir) == 0);
    CHECK(!strcmp(letters(fd), "abcd"));
    close(fd), close(other), close(dir), close(pipes[0]), close(pipes[1]);
}
