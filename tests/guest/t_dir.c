/* SPDX-License-Identifier: Apache-2.0 */
/* Directories and paths: getdents64, readlink, getcwd, chdir, fchdir, path walking. */
#include "guest.h"

#include <dirent.h>
#include <limits.h>

#define FILES 40 /* dir/f00 .. dir/f39 */

struct dirent64_raw {
    uint64_t ino;
    int64_t off;
    unsigned short reclen;
    unsigned char type;
    char name[];
};

/* Reads the whole directory with a buffer of this size: each name once, types right. */
static bool list_complete(int fd, size_t size)
{
    char buf[4096];
    int seen[FILES] = {0}, dots = 0;
    long n;
    while ((n = syscall(SYS_getdents64, fd, buf, size)) > 0) {
        for (long at = 0; at < n;) {
            struct dirent64_raw *d = (void *)(buf + at);
            unsigned i;
            at += d->reclen;
            if (!strcmp(d->name, ".") || !strcmp(d->name, ".."))
                dots++;
            else if (sscanf(d->name, "f%u", &i) == 1 && i < FILES &&
                     (d->type == DT_REG || d->type == DT_UNKNOWN))
                seen[i]++;
            else
                return false;
        }
    }
    for (int i = 0; i < FILES; i++)
        if (seen[i] != 1)
            return false;
    return n == 0 && dots == 2;
}

TEST(list_all)
{
    int fd = open(data_path("dir"), O_RDONLY | O_DIRECTORY);
    CHECK(fd >= 0);
    CHECK(list_complete(fd, 4096));
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    CHECK(list_complete(fd, 64)); /* an entry or two at a time */
    close(fd);
}

TEST(list_errors)
{
    char buf[8];
    int fd = open(data_path("dir"), O_RDONLY), file = open(data_path("text.txt"), O_RDONLY);
    CHECK(FAILS(syscall(SYS_getdents64, fd, buf, 8), EINVAL));
    CHECK(FAILS(syscall(SYS_getdents64, file, buf, 8), ENOTDIR));
    CHECK(FAILS(syscall(SYS_getdents64, -1, buf, 8), EBADF));
    close(fd);
    close(file);
}

TEST(readdir_tmp)
{
    int found = 0;
    CHECK(mkdir(tmp_path("d"), 0755) == 0);
    for (int i = 0; i < 20; i++) {
        char name[300];
        snprintf(name, sizeof name, "%s/entry%d", tmp_path("d"), i);
        close(open(name, O_CREAT | O_WRONLY, 0600));
    }
    DIR *d = opendir(tmp_path("d"));
    CHECK(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        found += !strncmp(e->d_name, "entry", 5);
    closedir(d);
    CHECK(found == 20);
    for (int i = 0; i < 20; i++) {
        char name[300];
        snprintf(name, sizeof name, "%s/entry%d", tmp_path("d"), i);
        CHECK(unlink(name) == 0);
    }
    CHECK(rmdir(tmp_path("d")) == 0);
}

TEST(readlink_text)
{
    char buf[64];
    CHECK(readlink(data_path("link"), buf, sizeof buf) == 8 && !memcmp(buf, "text.txt", 8));
    CHECK(readlink(data_path("link"), buf, 3) == 3 && !memcmp(buf, "tex", 3));
    CHECK(FAILS(readlink(data_path("text.txt"), buf, sizeof buf), EINVAL));
    CHECK(FAILS(readlink(data_path("missing"), buf, sizeof buf), ENOENT));
    CHECK(FAILS(syscall(SYS_readlink, data_path("link"), buf, 0), EINVAL));
}

TEST(symlink_in_tmp)
{
    char buf[64];
    CHECK(symlink("somewhere/else", tmp_path("l")) == 0);
    CHECK(readlink(tmp_path("l"), buf, sizeof buf) == 14);
    CHECK(FAILS(symlink("x", tmp_path("l")), EEXIST));
    CHECK(unlink(tmp_path("l")) == 0);
}

TEST(chdir_getcwd)
{
    char before[PATH_MAX], cwd[PATH_MAX];
    struct stat st;
    CHECK(getcwd(before, sizeof before));
    CHECK(chdir(data_path("deep/a/b")) == 0);
    CHECK(getcwd(cwd, sizeof cwd));
    CHECK(strlen(cwd) > 9 && !strcmp(cwd + strlen(cwd) - 9, "/deep/a/b"));
    CHECK(stat("c/file", &st) == 0 && st.st_size == 5);
    CHECK(chdir("..") == 0 && stat("b/c/file", &st) == 0);
    CHECK(chdir("/") == 0 && getcwd(cwd, sizeof cwd) && !strcmp(cwd, "/"));
    CHECK(chdir("..") == 0 && getcwd(cwd, sizeof cwd) && !strcmp(cwd, "/"));
    CHECK(chdir(before) == 0);
}

TEST(fchdir_and_back)
{
    struct stat st;
    int here = open(".", O_RDONLY | O_DIRECTORY), there = open(data_path("dir"), O_RDONLY);
    CHECK(here >= 0 && there >= 0);
    CHECK(fchdir(there) == 0 && stat("f00", &st) == 0);
    CHECK(fchdir(here) == 0);
    close(here);
    close(there);
    CHECK(FAILS(fchdir(there), EBADF));
}

TEST(chdir_errors)
{
    char buf[2];
    CHECK(FAILS(chdir(data_path("text.txt")), ENOTDIR));
    CHECK(FAILS(chdir(data_path("missing")), ENOENT));
    CHECK(chdir("/tmp") == 0);
    CHECK(FAILS(syscall(SYS_getcwd, buf, 2), ERANGE));
    CHECK(chdir("/") == 0);
    CHECK(syscall(SYS_getcwd, buf, 2) == 2 && buf[0] == '/');
}

TEST(odd_paths)
{
    struct stat a, b;
    char path[600];
    CHECK(stat(data_path("text.txt"), &a) == 0);
    snprintf(path, sizeof path, "%s", data_path("./dir/..//dir/./../text.txt"));
    CHECK(stat(path, &b) == 0 && a.st_ino == b.st_ino);
    CHECK(stat(data_path("dir///"), &b) == 0 && S_ISDIR(b.st_mode));
    CHECK(FAILS(stat(data_path("text.txt/"), &b), ENOTDIR));
    CHECK(FAILS(stat(data_path("text.txt/."), &b), ENOTDIR));
    CHECK(stat("/..", &b) == 0 && stat("/", &a) == 0 && a.st_ino == b.st_ino);
    CHECK(stat(data_path("dirlink/../text.txt"), &b) == 0);
}

TEST(openat_walks)
{
    char buf[8];
    int dir = open(data_path("deep"), O_RDONLY | O_DIRECTORY);
    int fd = openat(dir, "a/b/c/file", O_RDONLY);
    CHECK(fd >= 0 && read(fd, buf, sizeof buf) == 5 && !memcmp(buf, "deep\n", 5));
    close(fd);
    CHECK(FAILS(openat(-1, "a", O_RDONLY), EBADF));
    fd = openat(-1, data_path("text.txt"), O_RDONLY); /* an absolute path needs no directory */
    CHECK(fd >= 0);
    close(fd);
    close(dir);
}
