/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/self/fd, fdinfo, cwd and root: views of the descriptor table and the
 * path context that procfs_set_process() named.
 */
#include <linux/errno.h>

#include "fs/procfs_node.h"
#include "lib/fmt.h"
#include "lib/string.h"

static int fd_file(int fd, struct file **out)
{
    if (!proc_process.fds || fd_get_any(proc_process.fds, fd, out))
        return -ENOENT;
    return 0;
}

int proc_fd_lookup(struct vnode *dir, struct proc_node *d, const struct vnode_name *name,
                   struct vnode **out)
{
    struct file *f;
    int fd = proc_number_parse(name, FD_TABLE_MAX);
    if (fd < 0 || fd_file(fd, &f))
        return -ENOENT;
    file_put(f);
    return proc_vnode_create(dir->fs, d, fd, out);
}

int proc_fd_readdir(struct proc_node *d, uint64_t *pos, dirent_fn *fn, void *arg)
{
    char name[12];
    for (int fd = (int)MIN(*pos - 2, (uint64_t)INT32_MAX);
         proc_process.fds && (fd = fd_next(proc_process.fds, fd)) >= 0; fd++) {
        int len = snprintf(name, sizeof name, "%d", fd);
        uint64_t ino = PROC_FD_INO + d->ino * FD_TABLE_MAX + (unsigned)fd;
        if (fn(arg, name, (size_t)len, ino, d->entry_mode >> 12, (uint64_t)fd + 3))
            return 1;
        *pos = (uint64_t)fd + 3;
    }
    return 0;
}

int proc_fd_target(int fd, struct path **out)
{
    struct file *f;
    int err = fd_file(fd, &f);
    if (err)
        return err;
    *out = f->path;
    if (f->path)
        path_get(f->path);
    file_put(f);
    return 0;
}

int proc_fd_describe(int fd, char *buf, size_t n)
{
    char text[300];
    struct file_stat st;
    struct file *f;
    int err = fd_file(fd, &f);
    if (err)
        return err;
    err = file_stat(f, &st);
    unsigned long long ino = st.ino;
    int len = 0;
    if (f->vnode && f->vnode->label)
        len = snprintf(text, sizeof text, "%s (deleted)", f->vnode->label);
    file_put(f);
    if (err)
        return err;
    if (len)
        ;
    else if (S_ISFIFO(st.mode))
        len = snprintf(text, sizeof text, "pipe:[%llu]", ino);
    else if (S_ISSOCK(st.mode))
        len = snprintf(text, sizeof text, "socket:[%llu]", ino);
    else if (S_ISCHR(st.mode))
        len = snprintf(text, sizeof text, (st.rdev >> 8) == 1 ? "/dev/null" : "/dev/tty");
    else
        len = snprintf(text, sizeof text, "anon_inode:[%llu]", ino);
    len = (int)MIN((size_t)len, n);
    memcpy(buf, text, (size_t)len);
    return len;
}

int proc_fd_info(int fd, struct seq *s)
{
    struct file *f;
    int err = fd_file(fd, &f);
    if (err)
        return err;
    seq_printf(s, "pos:\t%llu\nflags:\t0%o\nmnt_id:\t1\n", (unsigned long long)f->pos, f->flags);
    file_put(f);
    return 0;
}

int proc_fd_open(int fd, struct file **out)
{
    return fd_file(fd, out);
}

static int cwd_link(struct path **out)
{
    if (!proc_process.ctx)
        return -ENOENT;
    *out = fs_context_cwd(proc_process.ctx);
    return 0;
}

static int root_link(struct path **out)
{
    if (!proc_process.ctx)
        return -ENOENT;
    *out = fs_context_root(proc_process.ctx);
    return 0;
}

int proc_fd_register(void)
{
    struct proc_node *fd = proc_node_make("self/fd", S_IFDIR | 0500);
    struct proc_node *info = proc_node_make("self/fdinfo", S_IFDIR | 0500);
    if (!fd || !info)
        return -ENOMEM;
    fd->entry_mode = S_IFLNK | 0700;
    info->entry_mode = S_IFREG | 0400;
    int err = procfs_register_link("self/cwd", cwd_link);
    return err ? err : procfs_register_link("self/root", root_link);
}
