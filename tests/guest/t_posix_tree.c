/* SPDX-License-Identifier: Apache-2.0 */
/* Names: link, unlink, rename in all their forms, directories, permissions of other users. */
#include "posix.h"

#include <linux/fs.h>

static int renamed(const char *from, const char *to, unsigned flags)
{
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, flags) ? errno : 0;
}

PLACES(rename_matrix)
{
    file_make("file", "f");
    file_make("other", "o");
    CHECK(mkdir("dir", 0755) == 0 && mkdir("empty", 0755) == 0 && mkdir("full", 0755) == 0);
    CHECK(mkdir("dir/sub", 0755) == 0);
    file_make("full/x", "x");
    CHECK(link("file", "same") == 0 && symlink("file", "link") == 0);
    static const struct {
        const char *from, *to;
        unsigned flags;
        int want;
    } t[] = {
        {"none", "x", 0, ENOENT},
        {"none", "file", RENAME_EXCHANGE, ENOENT},
        {"file", "none/x", 0, ENOENT},
        {"file", "other/x", 0, ENOTDIR},
        {"file", "file", 0, 0},
        {"file", "same", 0, 0},
        {"file", "empty", 0, EISDIR},
        {"dir", "file", 0, ENOTDIR},
        {"dir", "full", 0, ENOTEMPTY},
        {"dir", "dir/sub", 0, EINVAL},
        {"dir", "dir/sub/new", 0, EINVAL},
        {"dir/sub", "dir", 0, ENOTEMPTY},
        {"dir", ".", 0, EBUSY},
        {".", "dir", 0, EBUSY},
        {"dir/..", "x", 0, EBUSY},
        {"dir/.", "x", 0, EBUSY},
        {"file", "other", RENAME_NOREPLACE, EEXIST},
        {"file", "empty", RENAME_NOREPLACE, EEXIST},
        {"dir", "full", RENAME_NOREPLACE, EEXIST},
        {"file", "none", RENAME_EXCHANGE, ENOENT},
        {"dir", "dir/sub", RENAME_EXCHANGE, EINVAL},
        {"dir/sub", "dir", RENAME_EXCHANGE, EINVAL},
        {"file", "other", RENAME_NOREPLACE | RENAME_EXCHANGE, EINVAL},
        {"file", "other", RENAME_WHITEOUT | RENAME_EXCHANGE, EINVAL},
        {"file", "other", 64, EINVAL},
        {"file/", "x", 0, ENOTDIR},
        {"file", "x/", 0, ENOTDIR},
        {"", "x", 0, ENOENT},
        {"file", "", 0, ENOENT},
    };
    for (unsigned i = 0; i < COUNT(t); i++) {
        int got = renamed(t[i].from, t[i].to, t[i].flags);
        if (got != t[i].want)
            printf("# %s -> %s, %u: %d, not %d\n", t[i].from, t[i].to, t[i].flags, got, t[i].want);
        CHECK(got == t[i].want);
    }
    CHECK(file_is("file", "f") && file_is("same", "f") && file_is("other", "o"));
    CHECK(renamed("file", "empty", RENAME_EXCHANGE) == 0);
    CHECK(S_ISDIR(stat_of("file").st_mode) && file_is("empty", "f"));
    CHECK(renamed("dir", "file", 0) == 0 && S_ISDIR(stat_of("file/sub").st_mode));
    CHECK(renamed("link", "moved", RENAME_NOREPLACE) == 0 && S_ISLNK(stat_of("moved").st_mode));
    CHECK(renamed("file/", "new/", 0) == 0 && stat_of("new").st_nlink == 3);
    CHECK(FAILS(lstat("file", &(struct stat){0}), ENOENT));
}

PLACES(links)
{
    file_make("file", "f");
    CHECK(mkdir("dir", 0755) == 0 && symlink("file", "soft") == 0 &&
          symlink("none", "broken") == 0);
    CHECK(FAILS(link("dir", "x"), EPERM) && FAILS(link("none", "x"), ENOENT));
    CHECK(FAILS(link("file", "dir"), EEXIST) && FAILS(link("file", "file"), EEXIST));
    CHECK(FAILS(link("file", "none/x"), ENOENT) && FAILS(link("file", "file/x"), ENOTDIR));
    CHECK(FAILS(link("file", "x/"), ENOENT));
    CHECK(link("soft", "hard") == 0 && S_ISLNK(stat_of("hard").st_mode));
    CHECK(linkat(AT_FDCWD, "soft", AT_FDCWD, "followed", AT_SYMLINK_FOLLOW) == 0);
    CHECK(S_ISREG(stat_of("followed").st_mode) && stat_of("file").st_nlink == 2);
    CHECK(link("broken", "broken2") == 0 &&
          FAILS(linkat(AT_FDCWD, "broken", AT_FDCWD, "x", AT_SYMLINK_FOLLOW), ENOENT));
    CHECK(FAILS(linkat(AT_FDCWD, "file", AT_FDCWD, "x", 8), EINVAL));
    CHECK(FAILS(unlink("dir"), EISDIR) && FAILS(unlink("none"), ENOENT));
    CHECK(FAILS(unlink("file/"), ENOTDIR) && FAILS(unlink("dir/"), EISDIR) &&
          FAILS(unlink("."), EISDIR));
    CHECK(FAILS(unlinkat(AT_FDCWD, "file", 1), EINVAL));
    CHECK(FAILS(unlinkat(AT_FDCWD, "file", AT_REMOVEDIR), ENOTDIR));
    CHECK(unlink("soft") == 0 && unlink("followed") == 0 && stat_of("file").st_nlink == 1);
    CHECK(FAILS(readlink("file", (char[4]){0}, 4), EINVAL));
    CHECK(FAILS(readlink("broken", (char[4]){0}, 0), EINVAL));
    char buf[3];
    CHECK(readlink("broken", buf, 3) == 3 && !memcmp(buf, "non", 3));
}

PLACES(directories)
{
    CHECK(mkdir("a", 0777) == 0 && mode_of("a") == 0755 && stat_of("a").st_nlink == 2);
    CHECK(mkdir("a/b/", 0700) == 0 && stat_of("a").st_nlink == 3);
    CHECK(FAILS(mkdir("a", 0755), EEXIST) && FAILS(mkdir(".", 0755), EEXIST));
    CHECK(FAILS(mkdir("none/x", 0755), ENOENT) && FAILS(mkdir("", 0755), ENOENT));
    CHECK(FAILS(rmdir("a"), ENOTEMPTY) && FAILS(rmdir("."), EINVAL) &&
          FAILS(rmdir("a/.."), ENOTEMPTY));
    CHECK(FAILS(rmdir("none"), ENOENT) && FAILS(rmdir("a/b/."), EINVAL));
    file_make("file", "");
    CHECK(FAILS(rmdir("file"), ENOTDIR) && FAILS(mkdir("file/x", 0755), ENOTDIR));
    int fd = open("a/b", O_RDONLY | O_DIRECTORY);
    CHECK(rmdir("a/b/") == 0 && stat_of("a").st_nlink == 2);
    struct stat st;
    CHECK(fstat(fd, &st) == 0 && st.st_nlink == 0);
    CHECK(openat(fd, "x", O_RDWR | O_CREAT, 0600) == -1 && errno == ENOENT);
    CHECK(FAILS(mkdirat(fd, "x", 0755), ENOENT));
    char buf[512];
    CHECK(getdents64(fd, buf, sizeof buf) == 0 || errno == ENOENT);
    close(fd);
    CHECK(mknod("plain", S_IFREG | 0600, 0) == 0 && S_ISREG(stat_of("plain").st_mode));
    CHECK(mknod("fifo", S_IFIFO | 0666, 0) == 0 && mode_of("fifo") == 0644);
    CHECK(FAILS(mknod("file", S_IFREG | 0600, 0), EEXIST));
    CHECK(FAILS(mknod("d", S_IFDIR | 0700, 0), EPERM));
}

/* Positions of telldir stay good while names come and go. */
PLACES(listing_while_it_changes)
{
    char name[32];
    bool seen[200] = {0};
    for (unsigned i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "entry-%03u", i);
        file_make(name, "");
    }
    DIR *d = opendir(".");
    struct dirent *e;
    unsigned count = 0;
    long at[220];
    while ((e = readdir(d))) {
        unsigned i;
        if (sscanf(e->d_name, "entry-%u", &i) == 1 && i < 200) {
            CHECK(!seen[i]);
            seen[i] = true;
            if (i % 2 && i < 100)
                unlink(e->d_name);
        }
        at[count++] = telldir(d);
        if (count == 50)
            file_make("late", "");
    }
    for (unsigned i = 0; i < 200; i++)
        CHECK(seen[i]);
    rewinddir(d);
    unsigned left = 0;
    while ((e = readdir(d)))
        left += e->d_name[0] == 'e';
    CHECK(left == 150);
    seekdir(d, at[count - 1]);
    CHECK(readdir(d) == NULL);
    seekdir(d, at[10]);
    CHECK(readdir(d) != NULL);
    closedir(d);
}

PLACES(other_users)
{
    file_make("file", "f");
    CHECK(chmod("file", 0640) == 0 && chown("file", 1000, 2000) == 0);
    CHECK(mkdir("dir", 0750) == 0 && chown("dir", 1000, 2000) == 0);
    CHECK(mkdir("sticky", 0777) == 0 && chmod("sticky", 01777) == 0);
    CHECK(mkdir("locked", 0700) == 0);
    file_make("locked/in", "");
    file_make("sticky/roots", "");
    user_be(3000, 3000);
    CHECK(FAILS(open("file", O_RDONLY), EACCES) && FAILS(open("file", O_WRONLY), EACCES));
    CHECK(open("file", O_PATH) >= 0);
    CHECK(FAILS(open("dir", O_RDONLY), EACCES) && FAILS(chdir("dir"), EACCES));
    CHECK(FAILS(open("new", O_RDWR | O_CREAT, 0600), EACCES) && FAILS(mkdir("x", 0700), EACCES));
    CHECK(FAILS(unlink("file"), EACCES) && FAILS(rename("file", "x"), EACCES));
    CHECK(FAILS(lstat("locked/in", &(struct stat){0}), EACCES));
    CHECK(FAILS(chmod("file", 0666), EPERM) && FAILS(chown("file", 3000, -1), EPERM));
    CHECK(FAILS(truncate("file", 0), EACCES) &&
          FAILS(utimensat(AT_FDCWD, "file", NULL, 0), EACCES));
    CHECK(FAILS(unlink("sticky/roots"), EPERM) && FAILS(rename("sticky/roots", "sticky/x"), EPERM));
    file_make("sticky/mine", "m");
    CHECK(stat_of("sticky/mine").st_uid == 3000 && stat_of("sticky/mine").st_gid == 3000);
    user_be(4000, 2000);
    int fd = open("file", O_RDONLY);
    CHECK(fd >= 0 && FAILS(open("file", O_RDWR), EACCES));
    CHECK(FAILS(fchmod(fd, 0666), EPERM));
    close(fd);
    CHECK(chdir("dir") == 0 && FAILS(mkdir("x", 0700), EACCES));
    CHECK(fchdir(open("..", O_PATH)) == 0);
    CHECK(FAILS(unlink("sticky/mine"), EPERM) && FAILS(rename("sticky/mine", "sticky/y"), EPERM));
    user_be(1000, 1000);
    CHECK((fd = open("file", O_RDWR)) >= 0 &&
          FAILS(open("file", O_RDONLY | O_NOATIME), EPERM) == 0);
    close(fd);
    CHECK(chmod("file", 0444) == 0 && FAILS(open("file", O_RDWR), EACCES));
    CHECK(FAILS(chown("file", 3000, -1), EPERM) && FAILS(chown("file", -1, 9999), EPERM));
    CHECK(chown("file", -1, 1000) == 0);
    user_be(3000, 3000);
    CHECK(open("file", O_RDONLY) >= 0 && FAILS(open("file", O_RDONLY | O_NOATIME), EPERM));
    CHECK(unlink("sticky/mine") == 0);
    user_be(0, 0);
    CHECK((fd = open("file", O_RDWR)) >= 0);
    close(fd);
}

PLACES(set_id_bits)
{
    file_make("file", "f");
    CHECK(chown("file", 1000, 1000) == 0 && chmod("file", 06755) == 0 && mode_of("file") == 06755);
    CHECK(chown("file", 1000, 1000) == 0 && mode_of("file") == 0755);
    CHECK(chmod("file", 02644) == 0 && chown("file", 0, 0) == 0 && mode_of("file") == 02644);
    CHECK(mkdir("group", 0755) == 0 && chown("group", 0, 2000) == 0 && chmod("group", 02775) == 0);
    file_make("group/in", "");
    CHECK(stat_of("group/in").st_gid == 2000 && mode_of("group/in") == 0644);
    CHECK(mkdir("group/sub", 0755) == 0 && mode_of("group/sub") == 02755);
    CHECK(stat_of("group/sub").st_gid == 2000);
    CHECK(symlink("x", "group/link") == 0 && stat_of("group/link").st_gid == 2000);
    CHECK(chown("group", 0, 2001) == 0 && mode_of("group") == 02775);
    CHECK(chmod("file", 06777) == 0 && chown("file", 1000, 1000) == 0 && chmod("file", 06777) == 0);
    user_be(1000, 1000);
    int fd = open("file", O_WRONLY);
    CHECK(fd >= 0 && write(fd, "x", 1) == 1 && mode_of("file") == 0777);
    CHECK(chmod("file", 06777) == 0 && ftruncate(fd, 0) == 0 && mode_of("file") == 0777);
    close(fd);
    user_be(0, 0);
    CHECK(chmod("file", 06777) == 0);
    fd = open("file", O_WRONLY);
    CHECK(write(fd, "x", 1) == 1 && ftruncate(fd, 0) == 0 && mode_of("file") == 06777);
    close(fd);
    umask(077);
    CHECK(mkdir("m", 0777) == 0 && mode_of("m") == 0700);
    file_make("n", "");
    CHECK(mode_of("n") == 0600);
    CHECK(umask(0) == 077 && mkdir("o", 01777) == 0 && mode_of("o") == 01777);
}

/* One who owns the file but is not in its group cannot give it that group's set-id bit. */
/* In a directory that gives its group on, others than its members make no programs of it. */
PLACES(programs_of_a_foreign_group)
{
    CHECK(mkdir("g", 0755) == 0 && chown("g", 0, 3000) == 0 && chmod("g", 02777) == 0);
    user_be(1000, 1000);
    umask(0);
    int fd = open("g/a", O_WRONLY | O_CREAT, 02775);
    CHECK(fd >= 0 && close(fd) == 0 && mode_of("g/a") == 0775 && stat_of("g/a").st_gid == 3000);
    fd = open("g/b", O_WRONLY | O_CREAT, 02765); /* locked, not run, by the group */
    CHECK(fd >= 0 && close(fd) == 0 && mode_of("g/b") == 02765);
    CHECK(mknod("g/c", S_IFREG | 02711, 0) == 0 && mode_of("g/c") == 0711);
    CHECK(mkdir("g/d", 0755) == 0 && mode_of("g/d") == 02755);
    umask(077);
    fd = open("g/e", O_WRONLY | O_CREAT, 02777);
    CHECK(fd >= 0 && close(fd) == 0 && mode_of("g/e") == 0700);
    fd = open("g", O_TMPFILE | O_RDWR, 02777);
    struct stat st;
    CHECK(fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0700 && close(fd) == 0);
    umask(0);
    user_be(1000, 3000);
    fd = open("g/f", O_WRONLY | O_CREAT, 02775);
    CHECK(fd >= 0 && close(fd) == 0 && mode_of("g/f") == 02775);
    user_be(0, 0);
    fd = open("g/h", O_WRONLY | O_CREAT, 02775);
    CHECK(fd >= 0 && close(fd) == 0 && mode_of("g/h") == 02775);
}

PLACES(chmod_drops_a_foreign_groups_bit)
{
    file_make("file", "");
    CHECK(chown("file", 1000, 5000) == 0);
    user_be(1000, 1000);
    CHECK(chmod("file", 02755) == 0 && mode_of("file") == 0755);
    CHECK(chmod("file", 04755) == 0 && mode_of("file") == 04755);
}
