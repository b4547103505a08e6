/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tmpfs. `struct tmp_node` is a vnode with, for a directory, its entries: a list
 * in order of creation (positions for readdir) and a hash table by name. An
 * entry holds a reference to its vnode; a vnode lives until its last name and
 * user are gone. Locks: the vnode's; page counts are atomic. Content is in
 * tmpfs_data.c.
 */
#include "fs/tmpfs.h"

#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/magic.h>

#include "fs/tmpfs_node.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "mem/page.h"
#include "sched/clock.h"

#define POS_FIRST 2 /* after "." and ".." */

static uint32_t name_hash(const char *name, size_t len)
{
    uint32_t h = 2166136261u;
    while (len--)
        h = (h ^ (uint8_t)*name++) * 16777619u;
    return h;
}

static struct tmp_entry *entry_find(const struct tmp_node *dir, const struct vnode_name *name)
{
    if (!dir->bucket_count)
        return NULL;
    uint32_t h = name_hash(name->text, name->len);
    for (struct tmp_entry *e = dir->bucket[h & (dir->bucket_count - 1)]; e; e = e->chain)
        if (e->hash == h && e->len == name->len && !memcmp(e->name, name->text, e->len))
            return e;
    return NULL;
}

/* Keeps chains short; a failure to grow only makes them longer. */
static int bucket_grow(struct tmp_node *dir)
{
    if (dir->count < dir->bucket_count)
        return 0;
    unsigned count = dir->bucket_count ? dir->bucket_count * 2 : 8;
    struct tmp_entry **fresh = kzalloc(count * sizeof *fresh);
    if (!fresh)
        return dir->bucket_count ? 0 : -ENOMEM;
    LIST_FOR_EACH(l, &dir->entries)
    {
        struct tmp_entry *e = LIST_ENTRY(l, struct tmp_entry, link);
        e->chain = fresh[e->hash & (count - 1)];
        fresh[e->hash & (count - 1)] = e;
    }
    kfree(dir->bucket);
    dir->bucket = fresh;
    dir->bucket_count = count;
    return 0;
}

/* Adds a name; takes a reference to v. */
static int entry_add(struct tmp_node *dir, const struct vnode_name *name, struct vnode *v)
{
    struct tmp_entry *e = kmalloc(sizeof *e + name->len);
    if (!e)
        return -ENOMEM;
    if (bucket_grow(dir)) {
        kfree(e);
        return -ENOMEM;
    }
    *e = (struct tmp_entry){.pos = dir->next_pos++, .vnode = v, .len = (uint16_t)name->len};
    memcpy(e->name, name->text, name->len);
    e->hash = name_hash(name->text, name->len);
    e->chain = dir->bucket[e->hash & (dir->bucket_count - 1)];
    dir->bucket[e->hash & (dir->bucket_count - 1)] = e;
    list_add_tail(&dir->entries, &e->link);
    dir->count++;
    dir->v.size += 20;
    vnode_get(v);
    return 0;
}

/* Removes a name and its reference. */
static void entry_remove(struct tmp_node *dir, struct tmp_entry *e)
{
    struct tmp_entry **at = &dir->bucket[e->hash & (dir->bucket_count - 1)];
    while (*at != e)
        at = &(*at)->chain;
    *at = e->chain;
    list_remove(&e->link);
    dir->count--;
    dir->v.size -= 20;
    vnode_put(e->vnode);
    kfree(e);
}

static void dir_changed(struct vnode *dir)
{
    dir->mtime = dir->ctime = (int64_t)clock_wall();
}

static int tmp_lookup(struct vnode *dir, const struct vnode_name *name, struct vnode **out)
{
    struct tmp_entry *e = entry_find(tmp_node(dir), name);
    if (!e)
        return -ENOENT;
    vnode_get(e->vnode);
    *out = e->vnode;
    return 0;
}

static int tmp_readdir(struct vnode *dir, uint64_t *pos, dirent_fn *fn, void *arg)
{
    struct tmp_node *d = tmp_node(dir);
    if (*pos == 0) {
        if (fn(arg, ".", 1, dir->ino, S_IFDIR >> 12, 1))
            return 1;
        *pos = 1;
    }
    if (*pos == 1) {
        if (fn(arg, "..", 2, d->parent_ino, S_IFDIR >> 12, POS_FIRST))
            return 1;
        *pos = POS_FIRST;
    }
    LIST_FOR_EACH(l, &d->entries)
    {
        struct tmp_entry *e = LIST_ENTRY(l, struct tmp_entry, link);
        if (e->pos < *pos)
            continue;
        if (fn(arg, e->name, e->len, e->vnode->ino, e->vnode->mode >> 12, e->pos + 1))
            return 1;
        *pos = e->pos + 1;
    }
    return 0;
}

static int tmp_readlink(struct vnode *v, char *buf, size_t n)
{
    size_t len = MIN((size_t)v->size, n);
    memcpy(buf, tmp_node(v)->target, len);
    return (int)len;
}

static int node_create(struct fs *fs, const struct vnode_new *what, struct tmp_node **out)
{
    struct tmpfs *t = CONTAINER_OF(fs, struct tmpfs, fs);
    struct tmp_node *n = kzalloc(sizeof *n);
    if (!n)
        return -ENOMEM;
    uint64_t ino = __atomic_add_fetch(&t->next_ino, 1, __ATOMIC_RELAXED);
    vnode_init(&n->v, fs, &tmpfs_ops, ino, what->mode);
    n->v.cache.keep = true;
    n->v.flags = VNODE_SEALS;
    n->v.seals = F_SEAL_SEAL;
    n->v.uid = what->uid;
    n->v.gid = what->gid;
    n->v.rdev = what->rdev;
    list_init(&n->entries);
    n->next_pos = POS_FIRST;
    if (S_ISDIR(what->mode)) {
        n->v.nlink = 2;
        n->v.size = 40;
    }
    if (S_ISLNK(what->mode)) {
        n->target = kstrdup(what->target);
        if (!n->target) {
            kfree(n);
            return -ENOMEM;
        }
        n->v.size = strlen(what->target);
    }
    __atomic_add_fetch(&t->nodes, 1, __ATOMIC_RELAXED);
    *out = n;
    return 0;
}

static int tmp_make(struct vnode *dir, const struct vnode_name *name, const struct vnode_new *what,
                    struct vnode **out)
{
    struct tmp_node *n;
    if (dir->nlink == 0)
        return -ENOENT; /* removed, but somebody still stands in it */
    int err = node_create(dir->fs, what, &n);
    if (err)
        return err;
    err = entry_add(tmp_node(dir), name, &n->v);
    if (err) {
        vnode_put(&n->v);
        return err;
    }
    n->parent_ino = dir->ino;
    dir->nlink += S_ISDIR(what->mode);
    dir_changed(dir);
    *out = &n->v;
    return 0;
}

static int tmp_make_unnamed(struct vnode *dir, const struct vnode_new *what, struct vnode **out)
{
    struct tmp_node *n;
    int err = node_create(dir->fs, what, &n);
    if (err)
        return err;
    n->v.nlink = 0;
    *out = &n->v;
    return 0;
}

static int tmp_link(struct vnode *dir, const struct vnode_name *name, struct vnode *target)
{
    if (dir->nlink == 0)
        return -ENOENT;
    int err = entry_add(tmp_node(dir), name, target);
    if (err)
        return err;
    target->nlink++;
    target->ctime = (int64_t)clock_wall();
    dir_changed(dir);
    return 0;
}

/* One name of v in dir is gone. */
static void link_lost(struct vnode *dir, struct vnode *v)
{
    if (vnode_is_dir(v)) {
        v->nlink = 0;
        dir->nlink--;
    } else {
        v->nlink--;
    }
    v->ctime = (int64_t)clock_wall();
}

static int tmp_unlink(struct vnode *dir, const struct vnode_name *name, struct vnode *victim)
{
    struct tmp_entry *e = entry_find(tmp_node(dir), name);
    if (!e)
        return -ENOENT;
    if (tmp_node(victim)->count)
        return -ENOTEMPTY;
    link_lost(dir, victim);
    entry_remove(tmp_node(dir), e);
    dir_changed(dir);
    return 0;
}

/* v, a directory or not, now hangs on `to` instead of `from`. */
static void parent_changed(struct vnode *v, struct vnode *from, struct vnode *to)
{
    v->ctime = (int64_t)clock_wall();
    tmp_node(v)->parent_ino = to->ino;
    if (vnode_is_dir(v)) {
        from->nlink--;
        to->nlink++;
    }
}

static int tmp_rename(struct vnode *from, const struct vnode_name *old, struct vnode *moved,
                      struct vnode *to, const struct vnode_name *name, struct vnode *victim,
                      unsigned flags)
{
    struct tmp_entry *a = entry_find(tmp_node(from), old), *b = entry_find(tmp_node(to), name);
    if (!a || to->nlink == 0)
        return -ENOENT;
    if (flags & RENAME_SWAP) {
        if (!b)
            return -ENOENT;
        b->vnode = moved;
        a->vnode = victim;
        parent_changed(victim, to, from);
    } else if (b) {
        if (tmp_node(victim)->count)
            return -ENOTEMPTY;
        link_lost(to, victim);
        vnode_get(moved);
        b->vnode = moved;
        vnode_put(victim);
        entry_remove(tmp_node(from), a);
    } else {
        int err = entry_add(tmp_node(to), name, moved);
        if (err)
            return err;
        entry_remove(tmp_node(from), a);
    }
    parent_changed(moved, from, to);
    dir_changed(from);
    dir_changed(to);
    return 0;
}

static int tmp_setattr(struct vnode *v, const struct vnode_attr *a)
{
    (void)v;
    (void)a;
    return 0; /* the generic code sets the fields */
}

static void tmp_destroy(struct vnode *v, size_t pages)
{
    struct tmp_node *n = tmp_node(v);
    struct tmpfs *t = CONTAINER_OF(v->fs, struct tmpfs, fs);
    while (!list_empty(&n->entries))
        entry_remove(n, LIST_ENTRY(n->entries.next, struct tmp_entry, link));
    __atomic_sub_fetch(&t->used, pages, __ATOMIC_RELAXED);
    __atomic_sub_fetch(&t->nodes, 1, __ATOMIC_RELAXED);
    tmpfs_xattr_free(n);
    kfree(n->bucket);
    kfree(n->target);
    kfree(n->v.label);
    kfree(n);
}

const struct vnode_ops tmpfs_ops = {
    .lookup = tmp_lookup,
    .readdir = tmp_readdir,
    .readlink = tmp_readlink,
    .write_page = tmpfs_write_page,
    .make = tmp_make,
    .make_unnamed = tmp_make_unnamed,
    .link = tmp_link,
    .unlink = tmp_unlink,
    .rename = tmp_rename,
    .truncate = tmpfs_truncate,
    .allocate = tmpfs_allocate,
    .seek = tmpfs_seek,
    .setattr = tmp_setattr,
    .xattr_get = tmpfs_xattr_get,
    .xattr_set = tmpfs_xattr_set,
    .xattr_list = tmpfs_xattr_list,
    .destroy = tmp_destroy,
};

static void tmp_statfs(struct fs *fs, struct fs_stats *st)
{
    struct tmpfs *t = CONTAINER_OF(fs, struct tmpfs, fs);
    uint64_t used = t->used;
    *st = (struct fs_stats){.type = TMPFS_MAGIC, .block_size = PAGE_SIZE, .name_max = 255};
    st->blocks = t->limit;
    st->blocks_free = st->blocks_available = t->limit > used ? t->limit - used : 0;
    st->files = page_count_total();
    st->files_free = st->files > t->nodes ? st->files - t->nodes : 0;
    st->id = fs->dev;
}

static const struct fs_ops tmp_fs_ops = {.statfs = tmp_statfs};

int tmpfs_create(struct fs **out, const char *type, uint64_t limit, uint32_t mode)
{
    struct tmp_node *root;
    struct tmpfs *t = kzalloc(sizeof *t);
    if (!t)
        return -ENOMEM;
    fs_prepare(&t->fs, &tmp_fs_ops, type);
    t->limit = limit ? (limit + PAGE_SIZE - 1) >> PAGE_SHIFT : page_count_total() / 2;
    struct vnode_new what = {.mode = S_IFDIR | mode};
    int err = node_create(&t->fs, &what, &root);
    if (err) {
        kfree(t);
        return err;
    }
    root->parent_ino = root->v.ino;
    t->fs.root = &root->v;
    *out = &t->fs;
    return 0;
}

int tmpfs_anonymous(const char *label, uint32_t mode, uint64_t size, struct vnode **out)
{
    static struct mutex lock = MUTEX_INIT(lock);
    static struct fs *hidden;
    struct tmp_node *n;
    struct vnode_new what = {.mode = S_IFREG | mode};
    mutex_lock(&lock);
    int err = hidden ? 0 : tmpfs_create(&hidden, "tmpfs", page_count_total() << PAGE_SHIFT, 0700);
    mutex_unlock(&lock);
    if (!err)
        err = node_create(hidden, &what, &n);
    if (err)
        return err;
    n->v.label = kstrdup(label);
    n->v.nlink = 0;
    n->v.size = size;
    *out = &n->v;
    if (n->v.label)
        return 0;
    vnode_put(&n->v);
    return -ENOMEM;
}

void tmpfs_destroy(struct fs *fs)
{
    vnode_put(fs->root);
    kfree(CONTAINER_OF(fs, struct tmpfs, fs));
}
