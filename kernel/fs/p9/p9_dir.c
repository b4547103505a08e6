/* SPDX-License-Identifier: Apache-2.0 */
/* Names of a shared directory: look-up, listing, making, removing, renaming. See p9_node.h. */
#include <linux/errno.h>
#include <linux/fcntl.h>

#include "fs/fs.h"
#include "fs/mount.h"
#include "fs/p9/p9_node.h"
#include "fs/path.h"
#include "lib/string.h"
#include "mem/kmalloc.h"

#define LIST_BYTES 16384
/* Positions of mount points that the host does not have, behind all that it may say. */
#define POS_MOUNTS (INT64_MAX - 64)

static struct p9_fs *p9_fs(struct vnode *v)
{
    return CONTAINER_OF(v->fs, struct p9_fs, fs);
}

int p9_lookup(struct vnode *dir, const struct vnode_name *name, struct vnode **out)
{
    struct p9_fid *path, *fid;
    struct p9_qid qid;
    int err = p9_node_path(p9_node(dir), &path);
    if (err)
        return err;
    err = p9_walk(path, name, &fid, &qid);
    p9_fid_put(path);
    return err ? err : p9_node_find(p9_fs(dir), fid, &qid, out);
}

/* The file is made open, so that its maker may write it whatever its mode is. */
static int file_make(struct p9_fid *dir, const struct vnode_name *name,
                     const struct vnode_new *what, struct p9_fid **out)
{
    int err = p9_walk(dir, NULL, out, NULL);
    if (err)
        return err;
    err = p9_lcreate(*out, name, O_RDWR | O_CREAT | O_EXCL, what->mode, what->gid);
    if (err)
        p9_fid_put(*out);
    return err;
}

int p9_make_entry(struct vnode *dir, const struct vnode_name *name, const struct vnode_new *what,
                  struct vnode **out)
{
    struct p9_fid *path, *open = NULL;
    int err = p9_node_path(p9_node(dir), &path);
    if (err)
        return err;
    err = S_ISREG(what->mode) ? file_make(path, name, what, &open) : p9_make(path, name, what);
    p9_fid_put(path);
    if (err == -ENXIO)
        err = -EPERM; /* QEMU refuses to touch special files */
    if (!err)
        err = p9_lookup(dir, name, out);
    if (!err && open && what->opens && vnode_is_regular(*out))
        p9_node_set(p9_node(*out), &p9_node(*out)->created, open);
    else if (open)
        p9_fid_put(open);
    return err;
}

int p9_link_entry(struct vnode *dir, const struct vnode_name *name, struct vnode *target)
{
    struct p9_fid *path, *to;
    struct vnode *again;
    int err = p9_node_refresh(p9_node(target));
    if (!err)
        err = p9_node_path(p9_node(dir), &path);
    if (err)
        return err;
    err = p9_node_path(p9_node(target), &to);
    if (!err) {
        err = p9_link(path, name, to);
        p9_fid_put(to);
    }
    p9_fid_put(path);
    if (!err && !p9_lookup(dir, name, &again)) /* by its newest name, which may stay longest */
        vnode_put(again);
    if (!err)
        p9_node_refresh(p9_node(target));
    return err;
}

int p9_unlink_entry(struct vnode *dir, const struct vnode_name *name, struct vnode *victim)
{
    struct p9_fid *path;
    int err = p9_node_path(p9_node(dir), &path);
    if (err)
        return err;
    err = p9_unlink(path, name, vnode_is_dir(victim));
    p9_fid_put(path);
    if (!err)
        p9_node_lost(p9_node(victim));
    return err;
}

int p9_rename_entry(struct vnode *from, const struct vnode_name *old, struct vnode *moved,
                    struct vnode *to, const struct vnode_name *name, struct vnode *victim,
                    unsigned flags)
{
    struct p9_fid *a, *b;
    (void)moved;
    if (flags)
        return -EINVAL; /* the protocol has no words for them */
    int err = p9_node_path(p9_node(from), &a);
    if (err)
        return err;
    err = p9_node_path(p9_node(to), &b);
    if (!err) {
        err = p9_rename(a, old, b, name);
        p9_fid_put(b);
    }
    p9_fid_put(a);
    if (!err && victim)
        p9_node_lost(p9_node(victim));
    return err;
}

/* One entry at b; false: none that can be. */
static bool entry_read(struct p9_buf *b, struct p9_qid *qid, uint64_t *next, uint8_t *type,
                       struct vnode_name *name)
{
    p9_get_qid(b, qid);
    *next = p9_get64(b);
    *type = p9_get8(b);
    name->text = p9_get_string(b, &name->len);
    return name->text && name->len >= 1 && name->len <= NAME_LIMIT && *next <= INT64_MAX &&
           !memchr(name->text, 0, name->len) && !memchr(name->text, '/', name->len);
}

/* 0: all taken, 1: the sink is full, or -EIO. */
static int entries_give(struct file *f, struct p9_buf *b, dirent_fn *fn, void *arg)
{
    while (b->at < b->size) {
        struct p9_qid qid;
        struct vnode_name name;
        uint64_t next;
        uint8_t type;
        if (!entry_read(b, &qid, &next, &type, &name))
            return p9_complain(p9_client(p9_node(f->vnode)), P9_TREADDIR);
        if (fn(arg, name.text, name.len, qid.path, type & 15, next))
            return 1;
        f->pos = next;
    }
    return 0;
}

/* What the host has. */
static int list_host(struct file *f, void *buf, dirent_fn *fn, void *arg)
{
    const struct p9_handle *h = f->priv;
    for (;;) {
        uint64_t before = f->pos;
        ssize_t n = p9_readdir(h->fid, before, buf, LIST_BYTES);
        if (n <= 0)
            return (int)n;
        struct p9_buf b = {.data = buf, .size = (size_t)n};
        int full = entries_give(f, &b, fn, arg);
        if (full)
            return full;
        if (f->pos == before)
            return p9_complain(p9_client(p9_node(f->vnode)), P9_TREADDIR); /* for ever the same */
    }
}

int p9_list(struct file *f, dirent_fn *fn, void *arg)
{
    if (!vnode_is_dir(f->vnode))
        return -ENOTDIR;
    if (f->pos < POS_MOUNTS || f->pos == INT64_MAX) {
        void *buf = kmalloc(LIST_BYTES);
        if (!buf)
            return -ENOMEM;
        int full = list_host(f, buf, fn, arg);
        kfree(buf);
        if (full || !f->path || !mount_synthetic_child(f->path, 0))
            return full > 0 ? 0 : full;
        f->pos = POS_MOUNTS;
    }
    return vnode_file_list_mounts(f, POS_MOUNTS, fn, arg);
}
