/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the families t_posix_*: each case runs twice, on a disk (beside $GUEST_DATA: ext4
 * here and there) and in memory (/dev/shm: tmpfs here and there), in an empty directory
 * that is the current one. PLACES(name) { ... `disk` tells which ... }
 */
#pragma once

#include "guest.h"

#include <dirent.h>
#include <ftw.h>
#include <sys/xattr.h>

static char posix_dir[400];

static int posix_remove(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)st, (void)type, (void)f;
    return remove(path);
}

static void posix_leave(void)
{
    if (seteuid(0) || setegid(0) || chdir("/"))
        return;
    umask(022);
    nftw(posix_dir, posix_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static void posix_enter(bool disk)
{
    const char *data = getenv("GUEST_DATA");
    if (posix_dir[0])
        posix_leave();
    snprintf(posix_dir, sizeof posix_dir, "%s/posix-XXXXXX",
             disk ? (data ? data : ".") : "/dev/shm");
    if (disk)
        snprintf(posix_dir, sizeof posix_dir, "%s/../posix-XXXXXX", data ? data : ".");
    if (!mkdtemp(posix_dir) || chdir(posix_dir) || chmod(".", 0755))
        perror(posix_dir);
    umask(022);
}

#define PLACES(name)                                                                               \
    static void places_##name(bool disk);                                                          \
    TEST(name##_on_disk)                                                                           \
    {                                                                                              \
        posix_enter(true);                                                                         \
        places_##name(true);                                                                       \
        posix_leave();                                                                             \
    }                                                                                              \
    TEST(name##_in_memory)                                                                         \
    {                                                                                              \
        posix_enter(false);                                                                        \
        places_##name(false);                                                                      \
        posix_leave();                                                                             \
    }                                                                                              \
    static void places_##name(__attribute__((unused)) bool disk)

/* A file with that text. */
__attribute__((unused)) static void file_make(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

__attribute__((unused)) static bool file_is(const char *name, const char *text)
{
    char buf[512];
    int fd = open(name, O_RDONLY);
    ssize_t n = read(fd, buf, sizeof buf);
    close(fd);
    return n == (ssize_t)strlen(text) && !memcmp(buf, text, (size_t)n);
}

__attribute__((unused)) static struct stat stat_of(const char *name)
{
    struct stat st = {0};
    CHECK(lstat(name, &st) == 0);
    return st;
}

__attribute__((unused)) static unsigned mode_of(const char *name)
{
    return stat_of(name).st_mode & 07777;
}

/* Becomes another user for the rest of the case, or root again. */
__attribute__((unused)) static void user_be(unsigned uid, unsigned gid)
{
    CHECK(seteuid(0) == 0 && setegid(gid) == 0 && seteuid(uid) == 0);
}
