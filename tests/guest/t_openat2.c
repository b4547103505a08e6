/* SPDX-License-Identifier: Apache-2.0 */
/* openat2: where a walk may go, and what the call refuses. */
#include "guest.h"

#include <linux/openat2.h>

static long open2(int dir, const char *name, uint64_t flags, uint64_t resolve)
{
    struct open_how how = {.flags = flags, .resolve = resolve};
    return syscall(SYS_openat2, dir, name, &how, sizeof how);
}

/* 0 when it opens, else the error. */
static int try(int dir, const char *name, uint64_t flags, uint64_t resolve)
{
    long fd = open2(dir, name, flags, resolve);
    if (fd < 0)
        return errno;
    close((int)fd);
    return 0;
}

/* A directory with dir/file, a link of each sort, and a way out. */
static int make_tree(void)
{
    char target[160];
    CHECK(mkdir(tmp_path("r"), 0700) == 0);
    int r = open(tmp_path("r"), O_RDONLY | O_DIRECTORY);
    CHECK(r >= 0 && mkdirat(r, "dir", 0700) == 0 && mkdirat(r, "dir/in", 0700) == 0);
    close(openat(r, "dir/file", O_CREAT | O_WRONLY, 0600));
    CHECK(symlinkat("file", r, "dir/link") == 0);
    CHECK(symlinkat("../file2", r, "dir/up") == 0);
    CHECK(symlinkat("/dir/file", r, "rooted") == 0);
    snprintf(target, sizeof target, "%s/dir/file", tmp_path("r"));
    CHECK(symlinkat(target, r, "whole") == 0);
    CHECK(symlinkat("..", r, "out") == 0);
    close(openat(r, "file2", O_CREAT | O_WRONLY, 0600));
    return r;
}

static void remove_tree(int r)
{
    static const char *const name[] = {"dir/file", "dir/link", "dir/up", "rooted",
                                       "whole",    "out",      "file2"};
    for (size_t i = 0; i < COUNT(name); i++)
        unlinkat(r, name[i], 0);
    unlinkat(r, "dir/in", AT_REMOVEDIR);
    unlinkat(r, "dir", AT_REMOVEDIR);
    close(r);
    rmdir(tmp_path("r"));
}

TEST(plain)
{
    int r = make_tree();
    struct open_how how = {.flags = O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, .mode = 0640};
    long fd = syscall(SYS_openat2, r, "dir/new", &how, sizeof how);
    struct stat st;
    CHECK(fd >= 0 && fcntl((int)fd, F_GETFD) == FD_CLOEXEC && write((int)fd, "x", 1) == 1);
    CHECK(fstat((int)fd, &st) == 0 && (st.st_mode & 07777) == (0640 & ~022));
    close((int)fd);
    CHECK(unlinkat(r, "dir/new", 0) == 0);
    CHECK(try(r, "dir/link", O_RDONLY, 0) == 0 && try(r, "whole", O_RDONLY, 0) == 0);
    CHECK(try(r, "none", O_RDONLY, 0) == ENOENT && try(-1, "none", O_RDONLY, 0) == EBADF);
    CHECK(try(r, "", O_RDONLY, 0) == ENOENT && try(r, "file2/x", O_RDONLY, 0) == ENOTDIR);
    remove_tree(r);
}

TEST(refused)
{
    struct {
        struct open_how how;
        uint64_t more;
    } big = {.how = {.flags = O_RDONLY}};
    static char page[8192];
    long fd = syscall(SYS_openat2, AT_FDCWD, "/", &big, sizeof big);
    CHECK(fd >= 0 && close((int)fd) == 0);
    big.more = 1ull << 56;
    CHECK(FAILS(syscall(SYS_openat2, AT_FDCWD, "/", &big, sizeof big), E2BIG));
    CHECK(FAILS(syscall(SYS_openat2, AT_FDCWD, "/", &big, sizeof big.how - 1), EINVAL));
    CHECK(FAILS(syscall(SYS_openat2, AT_FDCWD, "/", &big, 0), EINVAL));
    fd = syscall(SYS_openat2, AT_FDCWD, "/", page, 4096);
    CHECK(fd >= 0 && close((int)fd) == 0);
    CHECK(FAILS(syscall(SYS_openat2, AT_FDCWD, "/", page, 4097), E2BIG));
    CHECK(FAILS(syscall(SYS_openat2, AT_FDCWD, "/", (void *)8, sizeof big.how), EFAULT));
    CHECK(try(AT_FDCWD, "/", 1ull << 31, 0) == EINVAL);
    CHECK(try(AT_FDCWD, "/", 1ull << 40, 0) == EINVAL);
    CHECK(try(AT_FDCWD, "/", O_RDONLY, 0x40) == EINVAL);
    CHECK(try(AT_FDCWD, "/", O_RDONLY, 1ull << 33) == EINVAL);
    CHECK(try(AT_FDCWD, "/", O_RDONLY, RESOLVE_BENEATH | RESOLVE_IN_ROOT) == EINVAL);
    CHECK(try(AT_FDCWD, "/", O_PATH | O_RDWR, 0) == EINVAL);
    CHECK(try(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0) == 0);
    struct open_how how = {.flags = O_RDONLY, .mode = 0600};
    CHECK(FAILS(syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof how), EINVAL));
    how = (struct open_how){.flags = O_CREAT | O_RDWR, .mode = 010000};
    CHECK(FAILS(syscall(SYS_openat2, AT_FDCWD, tmp_path("x"), &how, sizeof how), EINVAL));
}

TEST(beneath)
{
    int r = make_tree();
    const uint64_t b = RESOLVE_BENEATH;
    CHECK(try(r, "dir/file", O_RDONLY, b) == 0 && try(r, "dir/link", O_RDONLY, b) == 0);
    CHECK(try(r, "dir/../dir/in/../file", O_RDONLY, b) == 0);
    CHECK(try(r, "dir/up", O_RDONLY, b) == 0);
    CHECK(try(r, ".", O_RDONLY, b) == 0 && try(r, "dir/..", O_RDONLY, b) == 0);
    CHECK(try(r, "..", O_RDONLY, b) == EXDEV && try(r, "dir/../..", O_RDONLY, b) == EXDEV);
    CHECK(try(r, "../r/file2", O_RDONLY, b) == EXDEV && try(r, "out", O_RDONLY, b) == EXDEV);
    CHECK(try(r, "/", O_RDONLY, b) == EXDEV && try(-1, "/tmp", O_RDONLY, b) == EXDEV);
    CHECK(try(r, "whole", O_RDONLY, b) == EXDEV && try(r, "rooted", O_RDONLY, b) == EXDEV);
    CHECK(try(r, "whole", O_PATH | O_NOFOLLOW, b) == 0);
    int d = openat(r, "dir", O_PATH | O_DIRECTORY);
    CHECK(try(d, "up", O_RDONLY, b) == EXDEV && try(d, "link", O_RDWR, b) == 0);
    CHECK(try(d, "../x", O_CREAT | O_RDWR, b) == EXDEV &&
          try(d, "up", O_CREAT | O_RDWR, b) == EXDEV);
    CHECK(try(d, "file", O_CREAT | O_RDWR, b) == 0);
    close(d);
    d = open("/proc/self", O_PATH | O_DIRECTORY);
    CHECK(try(d, "status", O_RDONLY, b) == 0 && try(d, "exe", O_RDONLY, b) == EXDEV);
    CHECK(try(d, "cwd/.", O_RDONLY, b) == EXDEV);
    close(d);
    remove_tree(r);
}

TEST(in_root)
{
    int r = make_tree();
    const uint64_t b = RESOLVE_IN_ROOT;
    struct stat st, top;
    CHECK(try(r, "dir/file", O_RDONLY, b) == 0 && try(r, "/dir/file", O_RDONLY, b) == 0);
    CHECK(try(r, "rooted", O_RDONLY, b) == 0 && try(r, "rooted", O_RDONLY, 0) == ENOENT);
    CHECK(try(r, "whole", O_RDONLY, b) == ENOENT);
    CHECK(try(r, "../../../../file2", O_RDONLY, b) == 0 && try(r, "out/file2", O_RDONLY, b) == 0);
    CHECK(try(-1, "/dir/file", O_RDONLY, b) == EBADF);
    long fd = open2(r, "/../..", O_PATH, b);
    CHECK(fd >= 0 && fstat((int)fd, &st) == 0 && fstat(r, &top) == 0);
    CHECK(st.st_ino == top.st_ino && st.st_dev == top.st_dev);
    close((int)fd);
    CHECK(try(r, "/../file3", O_CREAT | O_RDWR, b) == 0 && unlinkat(r, "file3", 0) == 0);
    int d = open("/proc/self", O_PATH | O_DIRECTORY);
    CHECK(try(d, "/status", O_RDONLY, b) == 0 && try(d, "/exe", O_RDONLY, b) == EXDEV);
    close(d);
    remove_tree(r);
}

TEST(links)
{
    int r = make_tree();
    char fd_name[64];
    const uint64_t n = RESOLVE_NO_SYMLINKS, m = RESOLVE_NO_MAGICLINKS;
    CHECK(try(r, "dir/file", O_RDONLY, n) == 0 && try(r, "dir/link", O_RDONLY, n) == ELOOP);
    CHECK(try(r, "out/x", O_RDONLY, n) == ELOOP);
    CHECK(try(r, "dir/link", O_PATH | O_NOFOLLOW, n) == 0);
    CHECK(try(r, "dir/link", O_CREAT | O_RDWR, n) == ELOOP);
    CHECK(try(r, "dir/link", O_RDONLY, m) == 0);
    snprintf(fd_name, sizeof fd_name, "/proc/self/fd/%d", r);
    CHECK(try(AT_FDCWD, fd_name, O_RDONLY, 0) == 0 && try(AT_FDCWD, fd_name, O_RDONLY, m) == ELOOP);
    CHECK(try(AT_FDCWD, fd_name, O_RDONLY, n) == ELOOP);
    CHECK(try(AT_FDCWD, fd_name, O_PATH | O_NOFOLLOW, m) == 0);
    CHECK(try(AT_FDCWD, "/proc/self/exe", O_RDONLY, m) == ELOOP);
    CHECK(try(AT_FDCWD, "/proc/self/root/tmp", O_RDONLY, m) == ELOOP);
    CHECK(try(AT_FDCWD, "/proc/self/status", O_RDONLY, m) == 0);
    remove_tree(r);
}

TEST(one_file_system)
{
    const uint64_t x = RESOLVE_NO_XDEV;
    int root = open("/", O_PATH | O_DIRECTORY), proc = open("/proc", O_PATH | O_DIRECTORY);
    CHECK(try(root, "proc", O_RDONLY, x) == EXDEV &&
          try(root, "proc/version", O_RDONLY, x) == EXDEV);
    CHECK(try(AT_FDCWD, "/proc/version", O_RDONLY, x) == EXDEV);
    CHECK(try(proc, "version", O_RDONLY, x) == 0 && try(proc, "self/status", O_RDONLY, x) == 0);
    CHECK(try(proc, "..", O_RDONLY, x) == EXDEV && try(proc, "self/../version", O_RDONLY, x) == 0);
    CHECK(try(proc, "/", O_RDONLY, x) == 0);
    CHECK(try(proc, "self/exe", O_RDONLY, x) == EXDEV && try(root, ".", O_RDONLY, x) == 0);
    CHECK(try(proc, "version", O_CREAT | O_RDONLY, x) == 0);
    close(root);
    close(proc);
}

TEST(cached)
{
    int r = make_tree();
    const uint64_t c = RESOLVE_CACHED;
    CHECK(try(r, "dir/file", O_RDONLY, 0) == 0 && try(r, "dir/file", O_RDONLY, c) == 0);
    CHECK(try(r, "dir/file", O_RDWR | O_TRUNC, c) == EAGAIN);
    CHECK(try(r, "dir/other", O_RDWR | O_CREAT, c) == EAGAIN);
    CHECK(faccessat(r, "dir/other", F_OK, 0) == -1);
    remove_tree(r);
}
