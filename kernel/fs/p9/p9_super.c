/* SPDX-License-Identifier: Apache-2.0 */
/* Mounting a share, and the tables of operations: see p9.h and p9_node.h. */
#include "fs/p9/p9.h"

#include <linux/errno.h>
#include <linux/magic.h>

#include "fs/p9/p9_node.h"
#include "fs/writeback.h"
#include "lib/string.h"
#include "mem/kmalloc.h"

static int p9_refresh(struct vnode *v)
{
    mutex_lock(&v->lock);
    int err = p9_node_refresh(p9_node(v));
    mutex_unlock(&v->lock);
    return err;
}

static int p9_link_text(struct vnode *v, char *buf, size_t n)
{
    struct p9_fid *path;
    int err = p9_node_path(p9_node(v), &path);
    if (err)
        return err;
    err = p9_readlink(path, buf, n);
    p9_fid_put(path);
    return err;
}

static int p9_change(struct vnode *v, const struct vnode_attr *a)
{
    struct p9_fid *path;
    unsigned set = a->mask & ATTR_NOW ? 0 : ~0u;
    unsigned mask = (a->mask & ATTR_MODE ? P9_SETATTR_MODE : 0) |
                    (a->mask & ATTR_UID ? P9_SETATTR_UID : 0) |
                    (a->mask & ATTR_GID ? P9_SETATTR_GID : 0) |
                    (a->mask & ATTR_ATIME ? P9_SETATTR_ATIME | (set & P9_SETATTR_ATIME_SET) : 0) |
                    (a->mask & ATTR_MTIME ? P9_SETATTR_MTIME | (set & P9_SETATTR_MTIME_SET) : 0);
    int err = p9_node_refresh(p9_node(v));
    if (err || p9_node_path(p9_node(v), &path))
        return err; /* without a name: known here only */
    err = mask ? p9_setattr(path, mask, a, 0) : 0;
    p9_fid_put(path);
    return err;
}

static void p9_destroy(struct vnode *v, size_t pages)
{
    struct p9_node *n = p9_node(v);
    (void)pages;
    p9_fid_put(n->created);
    p9_fid_put(n->reader);
    p9_fid_put(n->writer);
    p9_fid_put(n->fid);
    kfree(v->label);
    kfree(n);
}

const struct vnode_ops p9_file_ops = {
    .lookup = p9_lookup,
    .refresh = p9_refresh,
    .read_pages = p9_read_pages,
    .write_page = p9_write_page,
    .write_pages = p9_write_pages,
    .make = p9_make_entry,
    .link = p9_link_entry,
    .unlink = p9_unlink_entry,
    .rename = p9_rename_entry,
    .truncate = p9_truncate,
    .setattr = p9_change,
    .fsync = p9_sync,
    .open = p9_open,
    .xattr_get = p9_xattr_get,
    .xattr_set = p9_xattr_set,
    .xattr_list = p9_xattr_list,
    .destroy = p9_destroy,
};

const struct vnode_ops p9_special_ops = {
    .refresh = p9_refresh,
    .readlink = p9_link_text,
    .setattr = p9_change,
    .xattr_get = p9_xattr_get,
    .xattr_set = p9_xattr_set,
    .xattr_list = p9_xattr_list,
    .destroy = p9_destroy,
};

static void p9_statfs_root(struct fs *fs, struct fs_stats *st)
{
    struct p9_fid *path;
    *st = (struct fs_stats){.type = V9FS_MAGIC, .block_size = PAGE_SIZE, .name_max = 255};
    if (p9_node_path(p9_node(fs->root), &path))
        return;
    struct fs_stats told = {0};
    if (!p9_statfs(path, &told) && told.block_size)
        *st = told;
    p9_fid_put(path);
}

/* A mapping has ended: what it changed shall be seen. */
static bool p9_tick(struct fs *fs, bool due)
{
    (void)due;
    fs_sync(fs);
    return false;
}

static const struct fs_ops p9_fs_ops = {.statfs = p9_statfs_root, .tick = p9_tick};

int p9_mount(struct p9_channel *channel, uint32_t uid, bool read_only, struct fs **out)
{
    struct p9_fid *fid;
    struct p9_qid qid;
    struct vnode *root = NULL;
    struct p9_fs *fs = kzalloc(sizeof *fs);
    if (!fs)
        return -ENOMEM;
    fs_prepare(&fs->fs, &p9_fs_ops, "9p");
    fs->fs.read_only = read_only;
    int err = p9_client_init(&fs->client, channel);
    if (err) {
        kfree(fs);
        return err;
    }
    err = p9_attach(&fs->client, uid, &fid, &qid);
    if (!err)
        err = p9_node_find(fs, fid, &qid, &root);
    if (!err && !vnode_is_dir(root))
        err = -ENOTDIR;
    fs->fs.root = root;
    *out = &fs->fs;
    if (err)
        p9_unmount(&fs->fs);
    return err;
}

void p9_unmount(struct fs *fs)
{
    struct p9_fs *p9 = CONTAINER_OF(fs, struct p9_fs, fs);
    if (fs->root)
        vnode_put(fs->root);
    if (__atomic_load_n(&p9->client.clunks, __ATOMIC_ACQUIRE))
        return; /* the server still has memory of ours: better lost than written to */
    p9_client_destroy(&p9->client);
    kfree(p9);
}
