/* SPDX-License-Identifier: Apache-2.0 */
/* stat, lstat, fstat, newfstatat, statx, access. */
#include "guest.h"

#include <sys/sysmacros.h>

TEST(regular_file)
{
    struct stat st;
    CHECK(stat(data_path("text.txt"), &st) == 0);
    CHECK(S_ISREG(st.st_mode) && st.st_size == 1000 && st.st_nlink == 1);
    CHECK((st.st_mode & 0777) == 0644);
    CHECK(st.st_blksize >= 512 && st.st_mtime > 1000000000);
    CHECK(stat(data_path("script"), &st) == 0 && (st.st_mode & 0777) == 0755);
}

TEST(directory)
{
    struct stat st;
    CHECK(stat(data_path("dir"), &st) == 0 && S_ISDIR(st.st_mode) && st.st_nlink >= 1);
    CHECK(stat("/", &st) == 0 && S_ISDIR(st.st_mode));
}

TEST(symlink_itself)
{
    struct stat st, target;
    CHECK(lstat(data_path("link"), &st) == 0 && S_ISLNK(st.st_mode));
    CHECK(st.st_size == (off_t)strlen("text.txt"));
    CHECK(stat(data_path("link"), &st) == 0 && stat(data_path("text.txt"), &target) == 0);
    CHECK(st.st_ino == target.st_ino && st.st_dev == target.st_dev);
    CHECK(lstat(data_path("dangling"), &st) == 0);
    CHECK(FAILS(stat(data_path("dangling"), &st), ENOENT));
}

TEST(descriptor_agrees)
{
    struct stat a, b, c;
    int fd = open(data_path("big.bin"), O_RDONLY);
    CHECK(fstat(fd, &a) == 0 && stat(data_path("big.bin"), &b) == 0);
    CHECK(a.st_ino == b.st_ino && a.st_size == b.st_size && a.st_mtime == b.st_mtime);
    CHECK(fstatat(fd, "", &c, AT_EMPTY_PATH) == 0 && c.st_ino == a.st_ino);
    close(fd);
    CHECK(FAILS(fstat(fd, &a), EBADF));
}

TEST(relative_to_directory)
{
    struct stat st;
    int dir = open(data_path("dir"), O_RDONLY | O_DIRECTORY);
    CHECK(dir >= 0);
    CHECK(fstatat(dir, "f03", &st, 0) == 0 && S_ISREG(st.st_mode));
    CHECK(fstatat(dir, "../text.txt", &st, 0) == 0 && st.st_size == 1000);
    CHECK(fstatat(dir, "../link", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode));
    CHECK(FAILS(fstatat(dir, "nothing", &st, 0), ENOENT));
    CHECK(FAILS(fstatat(dir, "", &st, 0), ENOENT));
    CHECK(FAILS(fstatat(-1, "f03", &st, 0), EBADF));
    close(dir);
    int file = open(data_path("text.txt"), O_RDONLY);
    CHECK(FAILS(fstatat(file, "f03", &st, 0), ENOTDIR));
    close(file);
}

TEST(pipe_and_device)
{
    struct stat st;
    int p[2];
    CHECK(pipe(p) == 0);
    CHECK(fstat(p[0], &st) == 0 && S_ISFIFO(st.st_mode));
    close(p[0]);
    close(p[1]);
    CHECK(stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode));
    CHECK(major(st.st_rdev) == 1 && minor(st.st_rdev) == 3);
}

TEST(statx_fields)
{
    struct statx sx;
    struct stat st;
    CHECK(statx(AT_FDCWD, data_path("text.txt"), 0, STATX_BASIC_STATS, &sx) == 0);
    CHECK(stat(data_path("text.txt"), &st) == 0);
    CHECK((sx.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
    CHECK(sx.stx_size == 1000 && sx.stx_ino == st.st_ino && S_ISREG(sx.stx_mode));
    CHECK(sx.stx_mtime.tv_sec == st.st_mtime);
}

TEST(size_follows_writes)
{
    struct stat st;
    int fd = open(tmp_path("s"), O_RDWR | O_CREAT, 0640);
    CHECK(fd >= 0);
    CHECK(fstat(fd, &st) == 0 && st.st_size == 0 && st.st_nlink == 1);
    CHECK(write(fd, "12345", 5) == 5);
    CHECK(fstat(fd, &st) == 0 && st.st_size == 5);
    CHECK(stat(tmp_path("s"), &st) == 0 && st.st_size == 5);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    CHECK(st.st_mtime <= now.tv_sec + 1 && st.st_mtime >= now.tv_sec - 100);
    close(fd);
    unlink(tmp_path("s"));
}

TEST(umask_applies)
{
    struct stat st;
    mode_t old = umask(027);
    int fd = open(tmp_path("u"), O_RDWR | O_CREAT, 0666);
    CHECK(umask(old) == 027);
    CHECK(fstat(fd, &st) == 0 && (st.st_mode & 0777) == 0640);
    close(fd);
    unlink(tmp_path("u"));
}

TEST(access_modes)
{
    CHECK(access(data_path("text.txt"), F_OK) == 0);
    CHECK(access(data_path("text.txt"), R_OK) == 0);
    CHECK(access(data_path("script"), R_OK | X_OK) == 0);
    CHECK(FAILS(access(data_path("text.txt"), X_OK), EACCES));
    CHECK(FAILS(access(data_path("missing"), F_OK), ENOENT));
    CHECK(FAILS(access(data_path("text.txt"), 77), EINVAL));
    CHECK(faccessat(AT_FDCWD, data_path("dir"), X_OK, 0) == 0);
}
