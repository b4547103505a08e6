/* SPDX-License-Identifier: Apache-2.0 */
/* inotify over a directory and files of /tmp. */
#include "guest.h"

#include <limits.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>

static char dir[64], path[128], path2[128];
static int fd, wd;

static const char *in_dir(char *buf, const char *name)
{
    snprintf(buf, 128, "%s/%s", dir, name);
    return buf;
}

static void start(uint32_t mask)
{
    snprintf(dir, sizeof dir, "%s", tmp_path("inotify"));
    CHECK(mkdir(dir, 0700) == 0);
    fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    CHECK(fd >= 0);
    wd = inotify_add_watch(fd, dir, mask);
    CHECK(wd >= 1);
}

static void finish(void)
{
    close(fd);
    CHECK(rmdir(dir) == 0);
}

static char events[4096];
static ssize_t have, at;

/* The next event; false: there is none. */
static bool next(int watch, uint32_t mask, const char *name)
{
    if (at >= have) {
        at = 0;
        have = read(fd, events, sizeof events);
        if (have <= 0)
            return false;
    }
    const struct inotify_event *e = (const void *)(events + at);
    at += (ssize_t)sizeof *e + e->len;
    bool ok =
        e->wd == watch && e->mask == mask && (name ? e->len && !strcmp(e->name, name) : !e->len);
    if (!ok)
        printf("event: wd %d mask %#x name %s\n", e->wd, e->mask, e->len ? e->name : "-");
    return ok;
}

static bool none(void)
{
    return at >= have && FAILS(read(fd, events, sizeof events), EAGAIN);
}

static void file_make(const char *name)
{
    int f = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    CHECK(f >= 0 && write(f, "x", 1) == 1 && close(f) == 0);
}

TEST(life_of_a_file)
{
    start(IN_ALL_EVENTS);
    in_dir(path, "file");
    file_make(path);
    CHECK(next(wd, IN_CREATE, "file") && next(wd, IN_OPEN, "file") && next(wd, IN_MODIFY, "file"));
    CHECK(next(wd, IN_CLOSE_WRITE, "file") && none());
    char c;
    int f = open(path, O_RDONLY);
    CHECK(read(f, &c, 1) == 1 && close(f) == 0);
    CHECK(next(wd, IN_OPEN, "file") && next(wd, IN_ACCESS, "file"));
    CHECK(next(wd, IN_CLOSE_NOWRITE, "file"));
    CHECK(chmod(path, 0640) == 0 && next(wd, IN_ATTRIB, "file"));
    CHECK(truncate(path, 10) == 0 && next(wd, IN_MODIFY, "file"));
    CHECK(unlink(path) == 0 && next(wd, IN_DELETE, "file") && none());
    finish();
}

TEST(directories)
{
    start(IN_CREATE | IN_DELETE);
    in_dir(path, "sub");
    CHECK(mkdir(path, 0700) == 0 && next(wd, IN_CREATE | IN_ISDIR, "sub"));
    CHECK(symlink("x", in_dir(path2, "link")) == 0 && next(wd, IN_CREATE, "link"));
    CHECK(unlink(path2) == 0 && next(wd, IN_DELETE, "link"));
    CHECK(rmdir(path) == 0 && next(wd, IN_DELETE | IN_ISDIR, "sub") && none());
    finish();
}

TEST(renames)
{
    start(IN_MOVE);
    in_dir(path, "old");
    in_dir(path2, "a rather long new name");
    file_make(path);
    CHECK(rename(path, path2) == 0);
    CHECK(next(wd, IN_MOVED_FROM, "old") && next(wd, IN_MOVED_TO, "a rather long new name"));
    const struct inotify_event *a = (const void *)events;
    const struct inotify_event *b = (const void *)(events + sizeof *a + a->len);
    CHECK(a->cookie && a->cookie == b->cookie && none());
    unlink(path2);
    finish();
}

TEST(watch_of_a_file)
{
    start(IN_CREATE);
    in_dir(path, "file");
    file_make(path);
    CHECK(next(wd, IN_CREATE, "file"));
    int w = inotify_add_watch(fd, path, IN_MODIFY | IN_MOVE_SELF | IN_DELETE_SELF);
    CHECK(w > wd && inotify_add_watch(fd, path, IN_MASK_ADD | IN_ATTRIB) == w);
    int f = open(path, O_WRONLY);
    CHECK(write(f, "abc", 3) == 3 && write(f, "abc", 3) == 3 && close(f) == 0);
    CHECK(next(w, IN_MODIFY, NULL) && none()); /* two equal ones are one */
    CHECK(rename(path, in_dir(path2, "other")) == 0 && next(w, IN_MOVE_SELF, NULL));
    CHECK(unlink(path2) == 0);
    CHECK(next(w, IN_ATTRIB, NULL) && next(w, IN_DELETE_SELF, NULL) && next(w, IN_IGNORED, NULL));
    CHECK(none() && FAILS(inotify_rm_watch(fd, w), EINVAL));
    finish();
}

TEST(watch_ends)
{
    int n = 0;
    start(IN_CREATE | IN_ONESHOT);
    file_make(in_dir(path, "one"));
    file_make(in_dir(path2, "two"));
    struct pollfd p = {fd, POLLIN, 0};
    CHECK(poll(&p, 1, 0) == 1 && ioctl(fd, FIONREAD, &n) == 0 && n >= 32);
    CHECK(next(wd, IN_CREATE, "one") && next(wd, IN_IGNORED, NULL) && none());
    CHECK(poll(&p, 1, 0) == 0);
    unlink(path);
    unlink(path2);
    wd = inotify_add_watch(fd, dir, IN_CREATE);
    CHECK(inotify_rm_watch(fd, wd) == 0 && next(wd, IN_IGNORED, NULL));
    finish();
}

TEST(errors)
{
    char small[4];
    start(IN_CREATE);
    CHECK(FAILS(inotify_init1(1), EINVAL));
    CHECK(FAILS(inotify_add_watch(fd, in_dir(path, "none"), IN_CREATE), ENOENT));
    CHECK(FAILS(inotify_add_watch(fd, dir, 0), EINVAL));
    CHECK(FAILS(inotify_add_watch(0, dir, IN_CREATE), EINVAL));
    CHECK(FAILS(inotify_add_watch(-1, dir, IN_CREATE), EBADF));
    CHECK(FAILS(inotify_add_watch(fd, data_path("text.txt"), IN_CREATE | IN_ONLYDIR), ENOTDIR));
    CHECK(FAILS(inotify_add_watch(fd, dir, IN_CREATE | IN_MASK_CREATE), EEXIST));
    CHECK(FAILS(inotify_rm_watch(fd, 999), EINVAL));
    file_make(in_dir(path, "file"));
    CHECK(FAILS(read(fd, small, sizeof small), EINVAL));
    unlink(path);
    finish();
}
