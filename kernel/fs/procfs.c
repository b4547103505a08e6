/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc and /sys: two trees of registered entries, and their vnodes. `struct proc_node`
 * is an entry; nodes are made at boot and never go, so the trees need no lock. What
 * stands in fd/ and fdinfo/ is made at each look-up (procfs_fd.c), and so are the
 * numbered directories of task/: one template whose files get the number along. The
 * content that fs/ knows itself is in procfs_system.c.
 */
#include "fs/procfs.h"

#include <linux/errno.h>
#include <linux/magic.h>

#include "fs/fs.h"
#include "fs/procfs_node.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mem/kmalloc.h"

#define SELF       "self" /* stands for the process's directory in registered paths */
#define NUMBER     "[n]"  /* and this for each number */
#define SYS        "/sys"
#define NUMBER_MAX (1u << 22)
#define WRITE_MAX  256

static struct proc_node root_node = {.name = "", .mode = S_IFDIR | 0555, .ino = 1};
static struct proc_node sys_node = {.name = "", .mode = S_IFDIR | 0555, .ino = 1};
static struct proc_node *self_node;
static struct fs proc_fs, sys_fs;
static uint64_t last_ino = 1;
struct proc_process proc_process = {.name = "1"};

static struct proc_node *node_child(const struct proc_node *dir, const char *name, size_t len)
{
    for (struct proc_node *n = dir->children; n; n = n->next)
        if (n->len == len && n->name[0] == name[0] && !memcmp(n->name, name, len))
            return n;
    return NULL;
}

static struct proc_node *node_add(struct proc_node *dir, const char *name, size_t len,
                                  uint32_t mode)
{
    struct proc_node *n = kzalloc(sizeof *n);
    if (!n || len >= sizeof n->name) {
        kfree(n);
        return NULL;
    }
    memcpy(n->name, name, len);
    n->mode = mode;
    n->ino = ++last_ino;
    n->parent = dir;
    n->id = -1;
    n->len = len;
    if (dir->last_child)
        dir->last_child->next = n;
    else
        dir->children = n;
    dir->last_child = n;
    return n;
}

/* The node at a path, made with its directories when missing. */
struct proc_node *proc_node_make(const char *path, uint32_t mode)
{
    struct proc_node *n = &root_node;
    if (!strncmp(path, SYS "/", strlen(SYS) + 1)) {
        n = &sys_node;
        path += strlen(SYS) + 1;
    }
    while (n && *path) {
        const char *end = strchr(path, '/');
        size_t len = end ? (size_t)(end - path) : strlen(path);
        struct proc_node *child = node_child(n, path, len);
        if (!child)
            child = node_add(n, path, len, end ? S_IFDIR | 0555 : mode);
        if (child && n == &root_node && len == strlen(SELF) && !memcmp(path, SELF, len))
            self_node = child;
        n = child;
        path += len + (end != NULL);
    }
    return n;
}

int procfs_register_mode(const char *path, uint32_t mode, procfs_text_fn *fn)
{
    struct proc_node *n = proc_node_make(path, S_IFREG | mode);
    if (!n)
        return -ENOMEM;
    n->constant = NULL;
    n->text = fn; /* a later registration replaces an earlier one */
    return 0;
}

int procfs_register_id(const char *path, int id, procfs_text_fn *fn)
{
    struct proc_node *n = proc_node_make(path, S_IFREG | 0444);
    if (!n)
        return -ENOMEM;
    n->text = fn;
    n->id = id;
    return 0;
}

int procfs_register(const char *path, procfs_text_fn *fn)
{
    return procfs_register_mode(path, 0444, fn);
}

int procfs_text(const char *path, struct seq *out)
{
    const struct proc_node *n = &root_node;
    while (n && *path) {
        const char *end = strchr(path, '/');
        size_t len = end ? (size_t)(end - path) : strlen(path);
        n = node_child(n, path, len);
        path += len + (end != NULL);
    }
    out->id = n ? n->id : -1;
    return n && n->text ? n->text(out) : -ENOENT;
}

int procfs_register_text_link(const char *path, int (*text)(char *buf, size_t n))
{
    struct proc_node *n = proc_node_make(path, S_IFLNK | 0777);
    if (!n)
        return -ENOMEM;
    n->link_text = text;
    return 0;
}

int procfs_register_const(const char *path, const char *text)
{
    struct proc_node *n = proc_node_make(path, S_IFREG | 0444);
    if (!n)
        return -ENOMEM;
    n->constant = text;
    return 0;
}

int procfs_register_link(const char *path, procfs_link_fn *fn)
{
    struct proc_node *n = proc_node_make(path, S_IFLNK | 0777);
    if (!n)
        return -ENOMEM;
    n->link = fn;
    return 0;
}

int procfs_register_write(const char *path, procfs_write_fn *fn)
{
    struct proc_node *n = proc_node_make(path, S_IFREG | 0644);
    if (!n)
        return -ENOMEM;
    n->mode |= 0200;
    n->write = fn;
    return 0;
}

int procfs_register_numbers(const char *path, int (*next)(int after))
{
    struct proc_node *n = proc_node_make(path, S_IFDIR | 0555);
    struct proc_node *each = n ? node_add(n, NUMBER, strlen(NUMBER), S_IFDIR | 0555) : NULL;
    if (!each)
        return -ENOMEM;
    n->next_number = next;
    return 0;
}

int proc_number_parse(const struct vnode_name *name, unsigned limit)
{
    unsigned value = 0;
    if (name->len > 7 || (name->len > 1 && name->text[0] == '0'))
        return -1;
    for (size_t i = 0; i < name->len; i++) {
        if (name->text[i] < '0' || name->text[i] > '9')
            return -1;
        value = value * 10 + (unsigned)(name->text[i] - '0');
    }
    return value < limit ? (int)value : -1;
}

static struct proc_vnode *proc_vnode(struct vnode *v)
{
    return CONTAINER_OF(v, struct proc_vnode, v);
}

static const struct vnode_ops proc_vnode_ops, proc_self_ops, proc_text_link_ops;

static uint64_t proc_ino(const struct proc_node *node, int id)
{
    return id < 0 ? node->ino : PROC_FD_INO + node->ino * NUMBER_MAX + (unsigned)id;
}

int proc_vnode_create(struct fs *fs, struct proc_node *node, int id, struct vnode **out)
{
    uint64_t ino = proc_ino(node, id);
    *out = vnode_find(fs, ino);
    if (*out)
        return 0;
    struct proc_vnode *n = kzalloc(sizeof *n);
    if (!n)
        return -ENOMEM;
    bool entry = node->entry_mode && id >= 0;
    uint32_t mode = entry ? node->entry_mode : node->mode;
    const struct vnode_ops *ops = node == proc_process.link ? &proc_self_ops
                                  : node->link_text         ? &proc_text_link_ops
                                                            : &proc_vnode_ops;
    vnode_init(&n->v, fs, ops, ino, mode);
    n->v.nlink = S_ISDIR(mode) ? 2 : 1;
    n->v.flags = (node->entry_mode && !entry) || node->next_number ? VNODE_DYNAMIC : 0;
    n->node = node;
    n->id = id;
    *out = vnode_publish(&n->v);
    return 0;
}

static int number_lookup(struct vnode *dir, struct proc_node *d, const struct vnode_name *name,
                         struct vnode **out)
{
    int id = proc_number_parse(name, NUMBER_MAX);
    if (id < 0 || d->next_number(id - 1) != id)
        return -ENOENT;
    return proc_vnode_create(dir->fs, d->children, id, out);
}

static int proc_lookup(struct vnode *dir, const struct vnode_name *name, struct vnode **out)
{
    struct proc_node *d = proc_vnode(dir)->node;
    int id = proc_vnode(dir)->id;
    if (d->entry_mode)
        return proc_fd_lookup(dir, d, name, out);
    if (d->next_number)
        return number_lookup(dir, d, name, out);
    struct proc_node *n = node_child(d, name->text, name->len);
    if (d == &root_node && n == self_node)
        n = proc_process.link; /* "self" is a link to the process's number */
    else if (!n && d == &root_node && strlen(proc_process.name) == name->len &&
             !memcmp(name->text, proc_process.name, name->len))
        n = self_node;
    return n ? proc_vnode_create(dir->fs, n, id, out) : -ENOENT;
}

static int number_readdir(struct proc_node *d, uint64_t *pos, dirent_fn *fn, void *arg)
{
    char name[12];
    for (int id = (int)MIN(*pos, (uint64_t)NUMBER_MAX) - 3; (id = d->next_number(id)) >= 0;) {
        int len = snprintf(name, sizeof name, "%d", id);
        uint64_t after = (uint64_t)id + 3;
        if (fn(arg, name, (size_t)len, proc_ino(d->children, id), S_IFDIR >> 12, after))
            return 1;
        *pos = after;
    }
    return 0;
}

static int proc_readdir(struct vnode *dir, uint64_t *pos, dirent_fn *fn, void *arg)
{
    struct proc_node *d = proc_vnode(dir)->node;
    uint64_t at = 2;
    if (*pos == 0) {
        if (fn(arg, ".", 1, dir->ino, S_IFDIR >> 12, 1))
            return 1;
        *pos = 1;
    }
    if (*pos == 1) {
        if (fn(arg, "..", 2, d->parent ? d->parent->ino : d->ino, S_IFDIR >> 12, 2))
            return 1;
        *pos = 2;
    }
    if (d->entry_mode)
        return proc_fd_readdir(d, pos, fn, arg);
    if (d->next_number)
        return number_readdir(d, pos, fn, arg);
    for (struct proc_node *n = d->children; n; n = n->next, at++) {
        const char *name = n == self_node ? proc_process.name : n->name;
        if (at < *pos)
            continue;
        if (fn(arg, name, strlen(name), proc_ino(n, proc_vnode(dir)->id), n->mode >> 12, at + 1))
            return 1;
        *pos = at + 1;
    }
    return 0;
}

static int proc_link_target(struct proc_vnode *n, struct path **out)
{
    if (proc_is_fd(n))
        return proc_fd_target(n->id, out);
    return n->node->link ? n->node->link(out) : -EINVAL;
}

static int proc_readlink(struct vnode *v, char *buf, size_t n)
{
    struct proc_vnode *p = proc_vnode(v);
    struct path *to = NULL;
    int err = proc_link_target(p, &to);
    if (err)
        return err;
    if (!to)
        return proc_fd_describe(p->id, buf, n);
    char *text = kmalloc(PATH_LIMIT);
    int len = text ? path_text(to, NULL, text, PATH_LIMIT) : -ENOMEM;
    path_put(to);
    if (len > 0) {
        len = (int)MIN((size_t)len, n);
        memcpy(buf, text, (size_t)len);
    }
    kfree(text);
    return len;
}

static int proc_self_readlink(struct vnode *v, char *buf, size_t n)
{
    size_t len = MIN(strlen(proc_process.name), n);
    (void)v;
    memcpy(buf, proc_process.name, len);
    return (int)len;
}

static int proc_text_readlink(struct vnode *v, char *buf, size_t n)
{
    return proc_vnode(v)->node->link_text(buf, n);
}

static int proc_follow(struct vnode *v, struct path **out)
{
    return proc_link_target(proc_vnode(v), out);
}

/* An open text: made at a read from position 0, kept for the reads that follow. */
static ssize_t proc_read(struct file *f, struct uio *u, uint64_t *pos)
{
    struct proc_vnode *n = proc_vnode(f->vnode);
    struct seq *s = f->priv;
    if (n->node->constant) {
        size_t len = strlen(n->node->constant), at = MIN(*pos, (uint64_t)len), first = u->done;
        int err = uio_copy_out(u, n->node->constant + at, MIN(len - at, u->left));
        *pos += u->done - first;
        return u->done > first ? (ssize_t)(u->done - first) : err;
    }
    if (*pos == 0 || !s->buf) {
        seq_reset(s);
        s->id = n->id >= 0 ? n->id : n->node->id;
        int err = proc_is_fd(n) ? proc_fd_info(n->id, s) : n->node->text(s);
        err = err ? err : s->err;
        if (err) {
            seq_reset(s);
            return err;
        }
    }
    if (*pos >= s->len)
        return 0;
    size_t first = u->done;
    int err = uio_copy_out(u, s->buf + *pos, MIN(s->len - *pos, u->left));
    *pos += u->done - first;
    return u->done > first ? (ssize_t)(u->done - first) : err;
}

static ssize_t proc_write(struct file *f, struct uio *u, uint64_t *pos)
{
    const struct proc_vnode *n = proc_vnode(f->vnode);
    char text[WRITE_MAX];
    const struct uio start = *u;
    size_t len = u->left;
    if (!n->node->write || len >= sizeof text)
        return -EINVAL;
    int err = uio_copy_in(u, text, len);
    if (err)
        return err;
    text[len] = '\0';
    if (len && text[len - 1] == '\n')
        text[len - 1] = '\0';
    err = n->node->write(n->id, text);
    if (err) {
        *u = start; /* nothing of it was taken */
        return err;
    }
    *pos += len;
    return (ssize_t)len;
}

static int64_t proc_seek(struct file *f, int64_t off, int whence)
{
    return file_seek_size(f, off, whence, 0);
}

static void proc_release(struct file *f)
{
    seq_reset(f->priv);
    kfree(f->priv);
}

static const struct file_ops proc_file_ops = {
    .read = proc_read,
    .write = proc_write,
    .seek = proc_seek,
    .stat = vnode_file_stat,
    .release = proc_release,
};

static int proc_open(struct vnode *v, uint32_t flags, struct file **out)
{
    struct proc_vnode *n = proc_vnode(v);
    if (S_ISLNK(v->mode))
        return proc_is_fd(n) ? proc_fd_open(n->id, out) : -ELOOP;
    if (S_ISDIR(v->mode))
        return vnode_file_create(v, NULL, flags, out);
    if (!n->node->text && !n->node->constant && !proc_is_fd(n))
        return -EIO;
    struct seq *s = kzalloc(sizeof *s);
    if (!s)
        return -ENOMEM;
    *out = file_create(&proc_file_ops, flags, s);
    if (!*out) {
        kfree(s);
        return -ENOMEM;
    }
    vnode_file_attach(*out, v, NULL);
    return 0;
}

static void proc_destroy(struct vnode *v, size_t pages)
{
    (void)pages;
    kfree(proc_vnode(v));
}

/* Everything here is as old as its vnode. */
static void proc_stat(struct vnode *v, struct file_stat *st)
{
    st->atime = st->mtime = st->ctime = v->btime;
    st->blksize = 1024;
}

/* /proc/self, a link by text. */
static const struct vnode_ops proc_self_ops = {
    .readlink = proc_self_readlink,
    .stat = proc_stat,
    .destroy = proc_destroy,
};

/* A link whose text somebody makes. */
static const struct vnode_ops proc_text_link_ops = {
    .readlink = proc_text_readlink,
    .stat = proc_stat,
    .destroy = proc_destroy,
};

static const struct vnode_ops proc_vnode_ops = {
    .lookup = proc_lookup,
    .readdir = proc_readdir,
    .readlink = proc_readlink,
    .follow = proc_follow,
    .open = proc_open,
    .stat = proc_stat,
    .destroy = proc_destroy,
};

static void proc_statfs(struct fs *fs, struct fs_stats *st)
{
    *st = (struct fs_stats){.type = fs == &sys_fs ? SYSFS_MAGIC : PROC_SUPER_MAGIC,
                            .block_size = PAGE_SIZE,
                            .name_max = 255,
                            .id = fs->dev};
}

static const struct fs_ops proc_fs_ops = {.statfs = proc_statfs};

void procfs_set_process(struct fd_table *fds, struct fs_context *ctx, unsigned pid)
{
    snprintf(proc_process.name, sizeof proc_process.name, "%u", pid);
    proc_process.fds = fds;
    proc_process.ctx = ctx;
}

int procfs_create(struct fs **out)
{
    fs_prepare(&proc_fs, &proc_fs_ops, "proc");
    int err = proc_fd_register();
    if (!err)
        err = proc_system_register();
    /* The link is a node without a place: look-up and listing know it. */
    proc_process.link = kzalloc(sizeof *proc_process.link);
    if (!err && !proc_process.link)
        err = -ENOMEM;
    if (err)
        return err;
    *proc_process.link =
        (struct proc_node){.name = SELF, .mode = S_IFLNK | 0777, .ino = ++last_ino};
    err = proc_vnode_create(&proc_fs, &root_node, -1, &proc_fs.root);
    *out = &proc_fs;
    return err;
}

int sysfs_create(struct fs **out)
{
    fs_prepare(&sys_fs, &proc_fs_ops, "sysfs");
    *out = &sys_fs;
    return proc_vnode_create(&sys_fs, &sys_node, -1, &sys_fs.root);
}
