/* SPDX-License-Identifier: Apache-2.0 */
/* Machines that have a name: see instance.h. */
#include "instance.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "alloc.h"
#include "hostpath.h"
#include "ops/exit.h"

#define NAME_MOST 32

static const char *const files[] = {INSTANCE_QMP, INSTANCE_GUEST, INSTANCE_PID, INSTANCE_OPS};
#define FILE_COUNT (sizeof files / sizeof files[0])

bool instance_name_check(const char *name, struct err *err)
{
    return path_name_ok(name, NAME_MOST) ||
           err_set(err, OPS_EXIT_USAGE,
                   "1 to 32 letters, digits, '.', '_' or '-', the first a letter or digit",
                   "'%s' cannot be the name of a machine", name);
}

static char *base_dir(void)
{
    const char *xdg = getenv("XDG_RUNTIME_DIR");
    return xdg && xdg[0] == '/' ? path_join(xdg, "ops")
                                : alloc_printf("/tmp/ops-%u", (unsigned)getuid());
}

bool instance_place(struct instance *i, const char *name, struct err *err)
{
    struct sockaddr_un address;
    *i = (struct instance){.lock = -1};
    if (!instance_name_check(name, err))
        return false;
    char *base = base_dir();
    i->name = alloc_string(name);
    i->dir = path_join(base, name);
    free(base);
    if (strlen(i->dir) + 1 + strlen(INSTANCE_GUEST) >= sizeof address.sun_path)
        return err_set(err, OPS_EXIT_FAILED, "set XDG_RUNTIME_DIR to a shorter path",
                       "the path of a socket in %s is too long", i->dir);
    return true;
}

/* Opens and locks the directory: its descriptor; -1: see errno, EWOULDBLOCK for one in use. */
static int dir_lock(const char *dir)
{
    for (;;) {
        struct stat locked, there;
        int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
            return -1;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
            int number = errno;
            close(fd);
            errno = number;
            return -1;
        }
        if (fstat(fd, &locked) == 0 && stat(dir, &there) == 0 && locked.st_ino == there.st_ino)
            return fd;
        close(fd); /* its owner removed it between our two steps */
    }
}

static void dir_clear(int fd)
{
    for (size_t i = 0; i < FILE_COUNT; i++)
        unlinkat(fd, files[i], 0);
}

bool instance_claim(struct instance *i, struct err *err)
{
    char *base = path_dirname(i->dir);
    bool ok = path_private_dir(base, err);
    if (!ok && !err->hint)
        err_hint(err, "remove it, or set XDG_RUNTIME_DIR");
    free(base);
    while (ok && i->lock < 0) {
        if (mkdir(i->dir, 0700) < 0 && errno != EEXIST)
            return err_errno(err, "make", i->dir);
        i->lock = dir_lock(i->dir);
        if (i->lock < 0 && errno == EWOULDBLOCK)
            ok = err_set(err, OPS_EXIT_FAILED, "choose another name",
                         "a machine named %s is running", i->name);
        else if (i->lock < 0 && errno != ENOENT)
            ok = err_errno(err, "lock", i->dir);
    }
    if (ok)
        dir_clear(i->lock); /* what a killed one left */
    return ok;
}

bool instance_write_pid(const struct instance *i, pid_t pid, struct err *err)
{
    int fd = openat(i->lock, INSTANCE_PID, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && dprintf(fd, "%d\n", (int)pid) > 0;
    if (fd >= 0)
        close(fd);
    return ok || err_errno(err, "write", i->dir);
}

bool instance_find(struct instance *i, const char *name, struct err *err)
{
    if (!instance_place(i, name, err))
        return false;
    int fd = dir_lock(i->dir);
    if (fd < 0 && errno == EWOULDBLOCK)
        return true;
    if (fd >= 0) { /* a leftover */
        dir_clear(fd);
        rmdir(i->dir);
        close(fd);
    } else if (errno != ENOENT) {
        return err_errno(err, "open", i->dir);
    }
    return err_set(err, OPS_EXIT_FAILED, "`ops run --name NAME` starts one with a name",
                   "no machine named %s is running", name);
}

void instance_names(struct strlist *names)
{
    char *base = base_dir();
    DIR *d = opendir(base);
    for (struct dirent *e; d && (e = readdir(d));) {
        struct instance i = {.lock = -1};
        struct err ignored = {0};
        if (e->d_name[0] != '.' && instance_find(&i, e->d_name, &ignored))
            strlist_add(names, e->d_name);
        instance_leave(&i);
        err_free(&ignored);
    }
    if (d)
        closedir(d);
    free(base);
}

int instance_listen(const struct instance *i, const char *socket_name, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", i->dir, socket_name);
    unlink(address.sun_path);  /* of the machine's last run: the directory is ours */
    mode_t mask = umask(0177); /* the socket is its user's alone, wherever it is */
    bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    umask(mask);
    if (bound && listen(fd, SOMAXCONN) == 0)
        return fd;
    err_errno(err, "listen on", address.sun_path);
    if (fd >= 0)
        close(fd);
    return -1;
}

int instance_connect(const struct instance *i, const char *socket_name, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", i->dir, socket_name);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    err_errno(err, "connect to", address.sun_path);
    if (fd >= 0)
        close(fd);
    return -1;
}

void instance_leave(struct instance *i)
{
    if (i->lock >= 0)
        close(i->lock);
    i->lock = -1;
    instance_free(i);
}

void instance_free(struct instance *i)
{
    if (i->dir && i->lock >= 0) {
        dir_clear(i->lock);
        rmdir(i->dir);
        close(i->lock);
    }
    free(i->dir);
    free(i->name);
    *i = (struct instance){.lock = -1};
}
