/* SPDX-License-Identifier: Apache-2.0 */
/* open(2) with its flags, O_PATH, names and their limits, RLIMIT_FSIZE, positions. */
#include "posix.h"

#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/statfs.h>

static int opened(const char *name, int flags)
{
    int fd = open(name, flags, 0644);
    if (fd >= 0)
        close(fd);
    return fd >= 0 ? 0 : errno;
}

PLACES(every_flag_on_every_kind)
{
    file_make("file", "text");
    CHECK(mkdir("dir", 0755) == 0 && symlink("file", "link") == 0 &&
          symlink("none", "broken") == 0);
    CHECK(symlink("loop", "loop") == 0 && symlink("dir", "dirlink") == 0);
    static const struct {
        const char *name;
        int flags, want;
    } t[] = {
        {"file", O_RDONLY, 0},
        {"file", O_WRONLY, 0},
        {"file", O_RDWR | O_APPEND, 0},
        {"file", O_RDONLY | O_CREAT, 0},
        {"file", O_RDWR | O_CREAT | O_EXCL, EEXIST},
        {"file", O_RDONLY | O_DIRECTORY, ENOTDIR},
        {"file", O_RDONLY | O_NOFOLLOW, 0},
        {"file/", O_RDONLY, ENOTDIR},
        {"file/x", O_RDONLY, ENOTDIR},
        {"file/.", O_RDONLY, ENOTDIR},
        {"dir", O_RDONLY, 0},
        {"dir/", O_RDONLY, 0},
        {"dir/.", O_RDONLY | O_DIRECTORY, 0},
        {"dir", O_WRONLY, EISDIR},
        {"dir", O_RDWR, EISDIR},
        {"dir", O_RDONLY | O_CREAT, EISDIR},
        {"dir", O_RDONLY | O_CREAT | O_EXCL, EEXIST},
        {"dir", O_RDONLY | O_TRUNC, EISDIR},
        {"link", O_RDONLY, 0},
        {"link", O_RDONLY | O_NOFOLLOW, ELOOP},
        {"link", O_RDWR | O_CREAT | O_EXCL, EEXIST},
        {"link", O_RDONLY | O_DIRECTORY, ENOTDIR},
        {"link", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, ENOTDIR},
        {"link/", O_RDONLY, ENOTDIR},
        {"dirlink", O_RDONLY | O_DIRECTORY, 0},
        {"dirlink", O_RDONLY | O_NOFOLLOW, ELOOP},
        {"dirlink/", O_RDONLY | O_NOFOLLOW, 0},
        {"dirlink", O_WRONLY, EISDIR},
        {"broken", O_RDONLY, ENOENT},
        {"broken", O_RDWR | O_CREAT | O_EXCL, EEXIST},
        {"broken", O_RDONLY | O_NOFOLLOW, ELOOP},
        {"loop", O_RDONLY, ELOOP},
        {"loop", O_RDWR | O_CREAT, ELOOP},
        {"loop/x", O_RDONLY, ELOOP},
        {"none", O_RDONLY, ENOENT},
        {"none/", O_RDONLY, ENOENT},
        {"none/", O_RDWR | O_CREAT, EISDIR},
        {"none/x", O_RDWR | O_CREAT, ENOENT},
        {"", O_RDONLY, ENOENT},
        {"", O_RDWR | O_CREAT, ENOENT},
        {".", O_RDWR | O_CREAT, EISDIR},
        {"..", O_RDWR, EISDIR},
        {"file", O_PATH, 0},
        {"link", O_PATH | O_NOFOLLOW, 0},
        {"broken", O_PATH, ENOENT},
        {"dir", O_PATH | O_DIRECTORY, 0},
        {"file", O_PATH | O_DIRECTORY, ENOTDIR},
        {"file", O_RDONLY | O_NOATIME, 0},
    };
    for (unsigned i = 0; i < COUNT(t); i++) {
        int got = opened(t[i].name, t[i].flags);
        if (got != t[i].want)
            printf("# %s %#o: %d, not %d\n", t[i].name, t[i].flags, got, t[i].want);
        CHECK(got == t[i].want);
    }
    CHECK(file_is("file", "text"));
    CHECK(opened("broken", O_RDWR | O_CREAT) == 0); /* creates what it leads to */
    CHECK(stat_of("none").st_size == 0);
    CHECK(opened("file", O_WRONLY | O_TRUNC) == 0 && stat_of("file").st_size == 0);
}

PLACES(truncation_needs_no_write_flag)
{
    file_make("file", "text");
    int fd = open("file", O_RDONLY | O_TRUNC);
    CHECK(fd >= 0 && stat_of("file").st_size == 0);
    CHECK(FAILS(write(fd, "x", 1), EBADF));
    close(fd);
}

PLACES(path_descriptors)
{
    char buf[8];
    struct stat st;
    file_make("file", "text");
    CHECK(symlink("file", "link") == 0 && mkdir("dir", 0755) == 0);
    int fd = open("file", O_PATH);
    CHECK(fd >= 0 && fstat(fd, &st) == 0 && st.st_size == 4);
    CHECK(FAILS(read(fd, buf, 1), EBADF) && FAILS(write(fd, buf, 1), EBADF));
    CHECK(FAILS(lseek(fd, 0, SEEK_SET), EBADF) && FAILS(ftruncate(fd, 0), EBADF));
    CHECK(FAILS(fchmod(fd, 0600), EBADF) && FAILS(fchown(fd, 0, 0), EBADF));
    CHECK(FAILS(fsync(fd), EBADF) && FAILS(fgetxattr(fd, "user.x", buf, 1), EBADF));
    CHECK((fcntl(fd, F_GETFL) & O_PATH) == O_PATH);
    int copy = dup(fd);
    CHECK(copy >= 0 && fstat(copy, &st) == 0);
    CHECK(linkat(fd, "", AT_FDCWD, "second", AT_EMPTY_PATH) == 0);
    CHECK(stat_of("file").st_nlink == 2);
    close(fd);
    close(copy);
    fd = open("link", O_PATH | O_NOFOLLOW);
    CHECK(fstat(fd, &st) == 0 && S_ISLNK(st.st_mode));
    CHECK(readlinkat(fd, "", buf, sizeof buf) == 4 && !memcmp(buf, "file", 4));
    close(fd);
    fd = open("dir", O_PATH);
    int in = openat(fd, "made", O_RDWR | O_CREAT, 0600);
    CHECK(in >= 0 && fchdir(fd) == 0 && stat_of("made").st_size == 0 && chdir("..") == 0);
    CHECK(FAILS(getdents64(fd, buf, sizeof buf), EBADF));
    close(in);
    close(fd);
}

PLACES(names_have_limits)
{
    char name[300], path[5000];
    memset(name, 'n', sizeof name);
    name[NAME_MAX] = 0;
    CHECK(opened(name, O_RDWR | O_CREAT) == 0);
    CHECK(stat_of(name).st_size == 0 && unlink(name) == 0);
    name[NAME_MAX] = 'n', name[NAME_MAX + 1] = 0;
    CHECK(opened(name, O_RDWR | O_CREAT) == ENAMETOOLONG);
    CHECK(FAILS(mkdir(name, 0755), ENAMETOOLONG) && FAILS(unlink(name), ENAMETOOLONG));
    CHECK(FAILS(symlink("x", name), ENAMETOOLONG) && FAILS(rename(name, "x"), ENAMETOOLONG));
    file_make("file", "");
    CHECK(FAILS(link("file", name), ENAMETOOLONG) && FAILS(rename("file", name), ENAMETOOLONG));
    for (unsigned i = 0; i < sizeof path; i += 2)
        memcpy(path + i, "./", 2);
    memcpy(path + PATH_MAX - 6, "/file", 6);
    CHECK(opened(path, O_RDONLY) == 0);
    memcpy(path + PATH_MAX - 6, "./file", 7);
    CHECK(opened(path, O_RDONLY) == ENAMETOOLONG);
    memset(path, 'l', sizeof path);
    path[PATH_MAX - 1] = 0;
    CHECK(symlink(path, "long") == 0 || (disk && errno == ENAMETOOLONG));
    path[PATH_MAX - 1] = 'l', path[PATH_MAX] = 0;
    CHECK(FAILS(symlink(path, "longer"), ENAMETOOLONG));
    CHECK(FAILS(symlink("", "empty"), ENOENT));
}

PLACES(chains_of_links)
{
    char name[8], to[8];
    file_make("l0", "end");
    for (unsigned i = 1; i <= 41; i++) {
        snprintf(name, sizeof name, "l%u", i);
        snprintf(to, sizeof to, "l%u", i - 1);
        CHECK(symlink(to, name) == 0);
    }
    CHECK(opened("l40", O_RDONLY) == 0);
    CHECK(opened("l41", O_RDONLY) == ELOOP);
}

PLACES(positions)
{
    struct statfs fs;
    int fd = open("file", O_RDWR | O_CREAT, 0644);
    CHECK(write(fd, "0123456789", 10) == 10);
    CHECK(FAILS(lseek(fd, -1, SEEK_SET), EINVAL) && lseek(fd, 0, SEEK_CUR) == 10);
    CHECK(FAILS(lseek(fd, -11, SEEK_END), EINVAL) && lseek(fd, -10, SEEK_END) == 0);
    CHECK(FAILS(lseek(fd, 0, 77), EINVAL));
    CHECK(lseek(fd, 5, SEEK_END) == 15 && FAILS(lseek(fd, INT64_MAX, SEEK_CUR), EOVERFLOW) ==
                                              FAILS(lseek(fd, INT64_MAX, SEEK_CUR), EOVERFLOW));
    CHECK(lseek(fd, 0, SEEK_CUR) == 15);
    CHECK(FAILS(pread(fd, &fs, 1, -1), EINVAL) && FAILS(pwrite(fd, &fs, 1, -1), EINVAL));
    CHECK(fstatfs(fd, &fs) == 0 && fs.f_namelen == NAME_MAX);
    if (disk) {
        off_t most = ((1ll << 32) - 1) * 4096;
        CHECK(fs.f_bsize == 4096);
        CHECK(lseek(fd, most, SEEK_SET) == most);
        CHECK(FAILS(lseek(fd, most + 1, SEEK_SET), EINVAL));
        CHECK(FAILS(pwrite(fd, "x", 1, most), EFBIG));
        CHECK(ftruncate(fd, most) == 0 && FAILS(ftruncate(fd, most + 1), EFBIG));
        CHECK(pwrite(fd, "xy", 2, most - 1) == 1);
        CHECK(ftruncate(fd, 0) == 0);
    }
    CHECK(FAILS(ftruncate(fd, -1), EINVAL) && FAILS(truncate("file", -5), EINVAL));
    close(fd);
}

static volatile sig_atomic_t signals;

static void on_signal(int sig)
{
    signals += sig == SIGXFSZ;
}

PLACES(size_limit)
{
    struct rlimit old, limit;
    char buf[100] = {0};
    CHECK(getrlimit(RLIMIT_FSIZE, &old) == 0);
    limit = (struct rlimit){10000, old.rlim_max};
    int fd = open("file", O_RDWR | O_CREAT, 0644);
    CHECK(ftruncate(fd, 20000) == 0);
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    signal(SIGXFSZ, on_signal);
    signals = 0;
    CHECK(pwrite(fd, buf, 100, 9950) == 50 && signals == 0);
    CHECK(FAILS(pwrite(fd, buf, 100, 10000), EFBIG) && signals == 1);
    CHECK(FAILS(pwrite(fd, buf, 1, 15000), EFBIG) && signals == 2);
    CHECK(FAILS(ftruncate(fd, 30000), EFBIG) && signals == 3);
    CHECK(ftruncate(fd, 15000) == 0 && signals == 3); /* shorter is allowed */
    CHECK(FAILS(fallocate(fd, 0, 0, 16000), EFBIG) && signals == 4);
    CHECK(FAILS(truncate("file", 20000), EFBIG) && signals == 5);
    CHECK(ftruncate(fd, 100) == 0 && ftruncate(fd, 10000) == 0 && signals == 5);
    CHECK(pwrite(fd, buf, 0, 20000) == 0 && signals == 5);
    CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
    CHECK(pwrite(fd, buf, 100, 10000) == 100);
    signal(SIGXFSZ, SIG_DFL);
    close(fd);
}
