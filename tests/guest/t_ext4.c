/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files on a disk: beside $GUEST_DATA, which in the guest is the ext4 root (/tmp is
 * memory). Content, holes, allocation, names, attributes, durability, shared
 * mappings, writers in parallel.
 */
#include "guest.h"

#include <dirent.h>
#include <ftw.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <sys/xattr.h>

#define PAGE 4096

static char dir[300];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)st, (void)type, (void)f;
    return remove(path);
}

static void remove_all(void)
{
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* A path in the directory of this run; four may be in use at once. */
static const char *at(const char *name)
{
    static char path[4][400];
    static unsigned turn;
    if (!dir[0]) {
        const char *data = getenv("GUEST_DATA");
        snprintf(dir, sizeof dir, "%s/../ext4-XXXXXX", data ? data : ".");
        CHECK(mkdtemp(dir) != NULL);
        atexit(remove_all);
    }
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

static int make(const char *name, int flags)
{
    return open(at(name), O_RDWR | O_CREAT | O_TRUNC | flags, 0644);
}

static void fill(char *p, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (char)(i * 13 + i / 255 + seed);
}

static bool zeroes(const char *p, size_t n)
{
    while (n--)
        if (*p++)
            return false;
    return true;
}

TEST(written_is_read)
{
    static char in[300000], out[300001];
    int fd = make("content", 0);
    fill(in, sizeof in, 1);
    CHECK(fd >= 0);
    CHECK(write(fd, in, 100) == 100);
    CHECK(write(fd, in + 100, sizeof in - 100) == (ssize_t)sizeof in - 100);
    CHECK(pread(fd, out, sizeof out, 0) == (ssize_t)sizeof in);
    CHECK(!memcmp(in, out, sizeof in));
    CHECK(pwrite(fd, "middle", 6, 150001) == 6);
    memcpy(in + 150001, "middle", 6);
    CHECK(fsync(fd) == 0 && close(fd) == 0);
    fd = open(at("content"), O_RDONLY);
    CHECK(read(fd, out, sizeof out) == (ssize_t)sizeof in);
    CHECK(!memcmp(in, out, sizeof in));
    close(fd);
}

TEST(append_and_vectors)
{
    char out[16] = {0};
    struct iovec v[2] = {{(void *)"one", 3}, {(void *)"two", 3}};
    int fd = make("append", O_APPEND);
    CHECK(writev(fd, v, 2) == 6);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    CHECK(write(fd, "!", 1) == 1);
    CHECK(pread(fd, out, 16, 0) == 7 && !strcmp(out, "onetwo!"));
    close(fd);
}

TEST(a_bad_buffer_leaves_the_rest)
{
    char *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char out[2 * PAGE];
    int fd = make("fault", 0);
    memset(page, 'x', 2 * PAGE);
    CHECK(write(fd, page, 2 * PAGE) == 2 * PAGE && fsync(fd) == 0);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    memset(page, 'y', 2 * PAGE);
    munmap(page + PAGE, PAGE);
    ssize_t n = pwrite(fd, page + PAGE - 100, PAGE, 0);
    CHECK(n == 100 || (n == -1 && errno == EFAULT));
    CHECK(pread(fd, out, sizeof out, 0) == (ssize_t)sizeof out);
    for (size_t i = 100; i < sizeof out; i++)
        CHECK(out[i] == 'x');
    close(fd);
}

/* How many of a file's first pages are in memory. */
static int resident(int fd, size_t pages)
{
    unsigned char in[64];
    int n = 0;
    void *p = mmap(NULL, pages * PAGE, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED && mincore(p, pages * PAGE, in) == 0);
    for (size_t i = 0; i < pages; i++)
        n += in[i] & 1;
    munmap(p, pages * PAGE);
    return n;
}

TEST(advice_drops_and_fetches)
{
    static char in[16 * PAGE], out[16 * PAGE];
    int fd = make("advice", 0);
    fill(in, sizeof in, 3);
    CHECK(write(fd, in, sizeof in) == sizeof in && resident(fd, 16) == 16);
    CHECK(fsync(fd) == 0 && posix_fadvise(fd, PAGE + 1, 2 * PAGE, POSIX_FADV_DONTNEED) == 0);
    CHECK(resident(fd, 16) >= 15); /* only whole pages go */
    CHECK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0 && resident(fd, 16) == 0);
    CHECK(posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED) == 0);
    for (int64_t end = now_ns() + 5000 * MS; resident(fd, 16) < 16 && now_ns() < end;)
        usleep(1000);
    CHECK(resident(fd, 16) == 16);
    CHECK(pread(fd, out, sizeof out, 0) == sizeof out && !memcmp(in, out, sizeof in));
    close(fd);
}

TEST(truncate_cuts_and_grows)
{
    static char in[20000], out[20000];
    struct stat st;
    int fd = make("cut", 0);
    fill(in, sizeof in, 2);
    CHECK(write(fd, in, sizeof in) == sizeof in);
    CHECK(ftruncate(fd, 5001) == 0 && ftruncate(fd, 15000) == 0);
    CHECK(pread(fd, out, sizeof out, 0) == 15000);
    CHECK(!memcmp(in, out, 5001) && zeroes(out + 5001, 15000 - 5001));
    CHECK(fstat(fd, &st) == 0 && st.st_size == 15000);
    CHECK(truncate(at("cut"), 0) == 0 && fstat(fd, &st) == 0 && st.st_size == 0);
    CHECK(fsync(fd) == 0 && fstat(fd, &st) == 0 && st.st_blocks == 0);
    close(fd);
}

TEST(holes)
{
    char c[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    struct stat st;
    int fd = make("holes", 0);
    CHECK(pwrite(fd, "far", 3, 10 << 20) == 3);
    CHECK(fsync(fd) == 0 && fstat(fd, &st) == 0);
    CHECK(st.st_size == (10 << 20) + 3 && st.st_blocks < 1000);
    CHECK(pread(fd, c, 8, 5 << 20) == 8 && zeroes(c, 8));
    CHECK(lseek(fd, 0, SEEK_DATA) == 10 << 20);
    CHECK(lseek(fd, 0, SEEK_HOLE) == 0);
    CHECK(lseek(fd, 10 << 20, SEEK_HOLE) == (10 << 20) + 3);
    CHECK(FAILS(lseek(fd, (10 << 20) + 3, SEEK_DATA), ENXIO));
    close(fd);
}

TEST(allocate)
{
    static char out[100000];
    struct stat st;
    int fd = make("allocate", 0);
    if (fallocate(fd, 0, 0, 100000) == -1 && errno == EOPNOTSUPP) {
        close(fd); /* the host's file system cannot */
        return;
    }
    CHECK(fstat(fd, &st) == 0 && st.st_size == 100000 && st.st_blocks * 512 >= 100000);
    CHECK(pread(fd, out, sizeof out, 0) == 100000 && zeroes(out, sizeof out));
    CHECK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 100000, 50000) == 0);
    CHECK(fstat(fd, &st) == 0 && st.st_size == 100000);
    memset(out, 'a', sizeof out);
    CHECK(pwrite(fd, out, sizeof out, 0) == 100000);
    CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10000, 50000) == 0);
    CHECK(pread(fd, out, sizeof out, 0) == 100000);
    CHECK(out[9999] == 'a' && zeroes(out + 10000, 50000) && out[60000] == 'a');
    CHECK(FAILS(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10), EOPNOTSUPP));
    CHECK(FAILS(fallocate(fd, 0, 0, 0), EINVAL));
    CHECK(FAILS(fallocate(fd, 0, -1, 10), EINVAL));
    close(fd);
}

TEST(names)
{
    struct stat a, b;
    char text[300];
    CHECK(mkdir(at("names"), 0755) == 0 && FAILS(mkdir(at("names"), 0755), EEXIST));
    int fd = make("names/a", 0);
    CHECK(write(fd, "a", 1) == 1 && close(fd) == 0);
    CHECK(link(at("names/a"), at("names/b")) == 0);
    CHECK(stat(at("names/a"), &a) == 0 && stat(at("names/b"), &b) == 0);
    CHECK(a.st_ino == b.st_ino && a.st_nlink == 2);
    CHECK(FAILS(rmdir(at("names")), ENOTEMPTY));
    CHECK(rename(at("names/a"), at("names/b")) == 0); /* the same file: nothing happens */
    CHECK(stat(at("names/a"), &a) == 0);
    CHECK(symlink("somewhere", at("names/l")) == 0);
    CHECK(readlink(at("names/l"), text, sizeof text) == 9);
    memset(text, 'y', 200);
    text[200] = 0;
    CHECK(symlink(text, at("names/long")) == 0);
    CHECK(readlink(at("names/long"), text, sizeof text) == 200 && text[199] == 'y');
    CHECK(mkdir(at("names/sub"), 0700) == 0);
    CHECK(stat(at("names"), &a) == 0 && a.st_nlink == 3);
    CHECK(rename(at("names/sub"), at("sub")) == 0);
    CHECK(stat(at("names"), &a) == 0 && a.st_nlink == 2);
    CHECK(FAILS(rename(at("names"), at("sub/../names/x")), EINVAL));
    CHECK(unlink(at("names/a")) == 0 && unlink(at("names/b")) == 0);
    CHECK(unlink(at("names/l")) == 0 && unlink(at("names/long")) == 0);
    CHECK(rmdir(at("names")) == 0 && rmdir(at("sub")) == 0);
}

TEST(exchange)
{
    char c = 0;
    int a = make("xa", 0), b = make("xb", 0);
    CHECK(write(a, "a", 1) == 1 && write(b, "b", 1) == 1);
    if (syscall(SYS_renameat2, AT_FDCWD, at("xa"), AT_FDCWD, at("xb"), 2) == -1) {
        CHECK(errno == EINVAL); /* the host's file system cannot */
    } else {
        int fd = open(at("xa"), O_RDONLY);
        CHECK(read(fd, &c, 1) == 1 && c == 'b');
        close(fd);
    }
    CHECK(FAILS(syscall(SYS_renameat2, AT_FDCWD, at("xa"), AT_FDCWD, at("xb"), 1), EEXIST));
    close(a);
    close(b);
}

TEST(large_directory)
{
    char name[100];
    unsigned seen = 0;
    struct dirent *e;
    CHECK(mkdir(at("large"), 0755) == 0);
    for (unsigned i = 0; i < 700; i++) {
        snprintf(name, sizeof name, "large/a name long enough to fill some blocks of it %u", i);
        int fd = make(name, O_EXCL);
        CHECK(fd >= 0);
        close(fd);
    }
    DIR *d = opendir(at("large"));
    while ((e = readdir(d)))
        seen++;
    closedir(d);
    CHECK(seen == 702);
    for (unsigned i = 0; i < 700; i++) {
        snprintf(name, sizeof name, "large/a name long enough to fill some blocks of it %u", i);
        CHECK(unlink(at(name)) == 0);
    }
    CHECK(rmdir(at("large")) == 0);
}

TEST(deleted_but_open)
{
    char c[4];
    struct stat st;
    int fd = make("deleted", 0);
    CHECK(write(fd, "text", 4) == 4);
    CHECK(unlink(at("deleted")) == 0);
    CHECK(fstat(fd, &st) == 0 && st.st_nlink == 0);
    CHECK(fsync(fd) == 0);
    CHECK(pread(fd, c, 4, 0) == 4 && !memcmp(c, "text", 4));
    CHECK(pwrite(fd, "more", 4, 100000) == 4);
    close(fd);
}

TEST(attributes_stay)
{
    struct timespec t[2] = {{1000000000, 123456789}, {4000000000, 987654321}};
    struct stat st;
    int fd = make("attributes", 0);
    close(fd);
    CHECK(chmod(at("attributes"), 04711) == 0);
    CHECK(utimensat(AT_FDCWD, at("attributes"), t, 0) == 0);
    CHECK(stat(at("attributes"), &st) == 0);
    CHECK((st.st_mode & 07777) == 04711);
    CHECK(st.st_atim.tv_sec == 1000000000 && st.st_atim.tv_nsec == 123456789);
    CHECK(st.st_mtim.tv_sec == 4000000000 && st.st_mtim.tv_nsec == 987654321);
}

TEST(extended_attributes)
{
    char got[100];
    int fd = make("xattr", 0);
    if (fsetxattr(fd, "user.one", "value", 5, 0) == -1 && errno == EOPNOTSUPP) {
        close(fd);
        return;
    }
    CHECK(getxattr(at("xattr"), "user.one", got, sizeof got) == 5 && !memcmp(got, "value", 5));
    CHECK(getxattr(at("xattr"), "user.one", NULL, 0) == 5);
    CHECK(FAILS(fgetxattr(fd, "user.one", got, 2), ERANGE));
    CHECK(FAILS(fgetxattr(fd, "user.two", got, 2), ENODATA));
    CHECK(FAILS(fsetxattr(fd, "user.one", "v", 1, XATTR_CREATE), EEXIST));
    CHECK(FAILS(fsetxattr(fd, "user.two", "v", 1, XATTR_REPLACE), ENODATA));
    CHECK(fsetxattr(fd, "user.two", "", 0, XATTR_CREATE) == 0);
    CHECK(FAILS(fsetxattr(fd, "bad", "v", 1, 0), EOPNOTSUPP));
    CHECK(flistxattr(fd, got, sizeof got) == 18);
    CHECK(fremovexattr(fd, "user.one") == 0 && FAILS(fremovexattr(fd, "user.one"), ENODATA));
    CHECK(flistxattr(fd, NULL, 0) == 9);
    close(fd);
}

TEST(shared_mapping_is_the_file)
{
    char out[PAGE];
    int fd = make("shared", 0);
    CHECK(ftruncate(fd, 10 * PAGE) == 0);
    char *p = mmap(NULL, 10 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    CHECK(zeroes(p, PAGE)); /* mapped for reading first */
    for (unsigned round = 0; round < 3; round++) {
        memset(p + 3 * PAGE, 'a' + (int)round, PAGE);
        CHECK(pread(fd, out, PAGE, 3 * PAGE) == PAGE && out[17] == 'a' + (int)round);
        CHECK(pwrite(fd, "written", 7, 4 * PAGE) == 7 && !memcmp(p + 4 * PAGE, "written", 7));
        CHECK(msync(p, 10 * PAGE, round & 1 ? MS_ASYNC : MS_SYNC) == 0);
        CHECK(fsync(fd) == 0); /* write-protects: the next round faults again */
    }
    CHECK(munmap(p, 10 * PAGE) == 0);
    CHECK(pread(fd, out, PAGE, 3 * PAGE) == PAGE && out[PAGE - 1] == 'c');
    close(fd);
}

TEST(durability_calls)
{
    struct statfs s;
    int fd = make("durable", O_DSYNC);
    CHECK(write(fd, "x", 1) == 1);
    CHECK(fdatasync(fd) == 0 && fsync(fd) == 0);
    CHECK(sync_file_range(fd, 0, 0, 7) == 0);
    CHECK(FAILS(sync_file_range(fd, 0, 0, 8), EINVAL));
    CHECK(syncfs(fd) == 0);
    sync();
    CHECK(fstatfs(fd, &s) == 0 && s.f_bfree > 0 && s.f_bsize > 0);
    close(fd);
    fd = open(at("."), O_RDONLY | O_DIRECTORY);
    CHECK(fsync(fd) == 0);
    close(fd);
}

TEST(direct_io)
{
    char *buf = aligned_alloc(PAGE, 8 * PAGE), *got = aligned_alloc(PAGE, 8 * PAGE), c[16];
    int fd = make("direct", O_DIRECT);
    if (fd < 0) {
        CHECK(errno == EINVAL); /* the host's file system cannot */
        return;
    }
    fill(buf, 8 * PAGE, 5);
    CHECK(write(fd, buf, 8 * PAGE) == 8 * PAGE);
    CHECK(pread(fd, got, 8 * PAGE, 0) == 8 * PAGE && !memcmp(buf, got, 8 * PAGE));
    int plain = open(at("direct"), O_RDWR);
    CHECK(pwrite(plain, "coherent", 8, PAGE + 5) == 8);
    CHECK(pread(fd, got, PAGE, PAGE) == PAGE && !memcmp(got + 5, "coherent", 8));
    CHECK(pwrite(fd, buf, PAGE, PAGE) == PAGE);
    CHECK(pread(plain, c, 16, PAGE) == 16 && !memcmp(c, buf, 16));
    CHECK(FAILS(pwrite(fd, buf + 1, PAGE, 0), EINVAL));
    CHECK(FAILS(pwrite(fd, buf, PAGE + 1, 0), EINVAL));
    CHECK(FAILS(pread(fd, buf, PAGE, 1), EINVAL));
    close(plain);
    close(fd);
    free(buf);
    free(got);
}

/* Each thread works on its own files in one directory, and syncs; nobody may wait for ever. */
static void *worker(void *arg)
{
    unsigned id = (unsigned)(uintptr_t)arg;
    char name[64], path[400], buf[5000], got[5000];
    for (unsigned i = 0; i < 30; i++) {
        snprintf(name, sizeof name, "parallel/%u-%u", id, i % 7);
        snprintf(path, sizeof path, "%s/%s", dir, name);
        int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
        if (fd < 0)
            return "open";
        fill(buf, sizeof buf, id + i);
        for (unsigned k = 0; k < 4; k++)
            if (write(fd, buf, sizeof buf) != sizeof buf)
                return "write";
        if (i % 3 == 0 && fsync(fd))
            return "fsync";
        if (pread(fd, got, sizeof got, 3 * sizeof buf) != sizeof got ||
            memcmp(buf, got, sizeof got))
            return "content";
        close(fd);
        if (i % 4 == 3) {
            char other[420];
            snprintf(other, sizeof other, "%s.renamed", path);
            if (rename(path, other) || unlink(other))
                return "rename";
        }
    }
    return NULL;
}

TEST(writers_in_parallel)
{
    pthread_t t[6];
    void *failed;
    CHECK(mkdir(at("parallel"), 0755) == 0);
    for (uintptr_t i = 0; i < COUNT(t); i++)
        CHECK(pthread_create(&t[i], NULL, worker, (void *)i) == 0);
    for (unsigned i = 0; i < COUNT(t); i++) {
        CHECK(pthread_join(t[i], &failed) == 0);
        CHECK(failed == NULL);
    }
}
