/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vnodes: reference counts, the table that finds them by number, permission
 * checks, and content through the page cache. Locks: see vnode.h; the hash lock
 * guards the table and the step of a count to 0.
 */
#include "fs/vnode.h"

#include <linux/errno.h>
#include <linux/falloc.h>
#include <linux/fcntl.h>

#include "file/sendfile.h"
#include "fs/path.h"
#include "fs/inotify.h"
#include "fs/writeback.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mem/page.h"
#include "sched/clock.h"
#include "vm/map.h"

#define VNODE_BUCKETS 256
#define COPY_PAGES    16u /* asked of the cache at once by one read */

static struct {
    struct spinlock lock;
    bool ready;
    struct list bucket[VNODE_BUCKETS];
} table;

#define DAY (86400 * (int64_t)NSEC_PER_SEC)

static uint64_t next_dev = 1;

uint64_t vnode_size_limit = UINT64_MAX;
bool vnode_writer_privileged;
void (*vnode_limit_exceeded)(void);

void fs_prepare(struct fs *fs, const struct fs_ops *ops, const char *type)
{
    *fs = (struct fs){.ops = ops, .type = type};
    fs->dev = __atomic_fetch_add(&next_dev, 1, __ATOMIC_RELAXED);
    mutex_init(&fs->rename_lock);
    list_init(&fs->dirty_link);
}

/* The table is locked. */
static struct list *vnode_bucket(const struct fs *fs, uint64_t ino)
{
    if (!table.ready) {
        for (unsigned i = 0; i < VNODE_BUCKETS; i++)
            list_init(&table.bucket[i]);
        table.ready = true;
    }
    return &table.bucket[(ino * 31 + fs->dev) % VNODE_BUCKETS];
}

static struct vnode *vnode_of_cache(struct page_cache *c)
{
    return CONTAINER_OF(c, struct vnode, cache);
}

static int vnode_cache_read(struct page_cache *c, uint64_t index, struct page **pages, unsigned n)
{
    struct vnode *v = vnode_of_cache(c);
    if (v->ops->read_pages)
        return v->ops->read_pages(v, index, pages, n);
    for (unsigned i = 0; i < n; i++)
        memset(page_address(pages[i]), 0, PAGE_SIZE);
    return 0;
}

static int vnode_cache_write(struct page_cache *c, uint64_t index, struct page *fresh,
                             struct page **out)
{
    struct vnode *v = vnode_of_cache(c);
    if (v->fs->read_only || !v->ops->write_page)
        return -EROFS;
    writeback_throttle(v);
    return v->ops->write_page(v, index, fresh, out);
}

static int vnode_cache_write_pages(struct page_cache *c, struct page **pages, unsigned n)
{
    struct vnode *v = vnode_of_cache(c);
    return v->ops->write_pages(v, pages, n);
}

static void vnode_cache_forget(struct page_cache *c, struct page *p)
{
    struct vnode *v = vnode_of_cache(c);
    if (v->ops->forget)
        v->ops->forget(v, p);
}

static void vnode_cache_dirtied(struct page_cache *c)
{
    vnode_set_dirty(vnode_of_cache(c), false);
}

static uint64_t vnode_cache_size(struct page_cache *c)
{
    return __atomic_load_n(&vnode_of_cache(c)->size, __ATOMIC_ACQUIRE);
}

static void vnode_cache_get(struct page_cache *c)
{
    vnode_get(vnode_of_cache(c));
}

static void vnode_cache_put(struct page_cache *c)
{
    struct vnode *v = vnode_of_cache(c);
    if (v->flags & VNODE_LIVE && list_empty(&c->object.mappings) &&
        __atomic_load_n(&c->dirty_count, __ATOMIC_RELAXED))
        fs_set_dirty(v->fs, true); /* others shall see what was changed through mappings */
    vnode_put(v);
}

static int vnode_cache_describe(struct page_cache *c, char *buf, size_t n, uint64_t *dev,
                                uint64_t *ino)
{
    struct vnode *v = vnode_of_cache(c);
    *dev = v->fs->dev;
    *ino = v->ino;
    int len = v->label ? snprintf(buf, n, "%s (deleted)", v->label) : path_text_of_vnode(v, buf, n);
    if (len < 0 && n)
        buf[0] = 0;
    return len < 0 ? len : 0;
}

static int vnode_cache_sync(struct page_cache *c)
{
    struct vnode *v = vnode_of_cache(c);
    int err = vnode_write_back(v);
    int failed = v->ops->fsync ? v->ops->fsync(v, true) : 0;
    return err ? err : failed;
}

static int vnode_cache_punch(struct page_cache *c, uint64_t offset, uint64_t len)
{
    struct vnode *v = vnode_of_cache(c);
    if (!v->ops->allocate)
        return -EOPNOTSUPP;
    mutex_lock(&v->lock);
    int err = v->ops->allocate(v, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, len);
    if (!err) {
        v->mtime = v->ctime = (int64_t)clock_wall();
        vnode_changed(v);
    }
    mutex_unlock(&v->lock);
    return err;
}

#define VNODE_CACHE_OPS                                                                            \
    .read_pages = vnode_cache_read, .write_page = vnode_cache_write, .size = vnode_cache_size,     \
    .get = vnode_cache_get, .put = vnode_cache_put, .describe = vnode_cache_describe,              \
    .sync = vnode_cache_sync, .punch = vnode_cache_punch

static const struct page_cache_ops vnode_cache_ops = {VNODE_CACHE_OPS};
static const struct page_cache_ops vnode_cache_ops_written = {
    VNODE_CACHE_OPS,
    .write_pages = vnode_cache_write_pages,
    .forget = vnode_cache_forget,
    .dirtied = vnode_cache_dirtied,
};

void vnode_init(struct vnode *v, struct fs *fs, const struct vnode_ops *ops, uint64_t ino,
                uint32_t mode)
{
    *v = (struct vnode){.ops = ops, .fs = fs, .refs = 1, .ino = ino, .mode = mode, .nlink = 1};
    v->atime = v->mtime = v->ctime = v->btime = (int64_t)clock_wall();
    mutex_init(&v->lock);
    page_cache_init(&v->cache, ops->write_pages ? &vnode_cache_ops_written : &vnode_cache_ops,
                    false);
    list_init(&v->hash_link);
    list_init(&v->aliases);
    list_init(&v->dirty_link);
}

void vnode_get(struct vnode *v)
{
    __atomic_add_fetch(&v->refs, 1, __ATOMIC_RELAXED);
}

void vnode_put(struct vnode *v)
{
    uint32_t refs = __atomic_load_n(&v->refs, __ATOMIC_RELAXED);
    if (refs == 2 && v->nlink == 0 && vnode_is_dirty(v))
        vnode_forget_dirty(v); /* deleted: nobody will see what is not on the disk yet */
    refs = __atomic_load_n(&v->refs, __ATOMIC_RELAXED);
    while (refs > 1)
        if (__atomic_compare_exchange_n(&v->refs, &refs, refs - 1, false, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED))
            return;
    spin_lock(&table.lock);
    bool last = __atomic_sub_fetch(&v->refs, 1, __ATOMIC_ACQ_REL) == 0;
    if (last)
        list_remove(&v->hash_link);
    spin_unlock(&table.lock);
    if (!last)
        return;
    v->ops->destroy(v, page_cache_fini(&v->cache));
}

/* The table is locked. */
static struct vnode *vnode_find_locked(const struct fs *fs, uint64_t ino)
{
    LIST_FOR_EACH(l, vnode_bucket(fs, ino))
    {
        struct vnode *v = LIST_ENTRY(l, struct vnode, hash_link);
        if (v->ino == ino && v->fs == fs) {
            vnode_get(v);
            return v;
        }
    }
    return NULL;
}

struct vnode *vnode_find(struct fs *fs, uint64_t ino)
{
    spin_lock(&table.lock);
    struct vnode *v = vnode_find_locked(fs, ino);
    spin_unlock(&table.lock);
    return v;
}

struct vnode *vnode_publish(struct vnode *v)
{
    spin_lock(&table.lock);
    struct vnode *other = vnode_find_locked(v->fs, v->ino);
    if (!other)
        list_add_head(vnode_bucket(v->fs, v->ino), &v->hash_link);
    spin_unlock(&table.lock);
    if (!other)
        return v;
    vnode_put(v);
    return other;
}

void vnode_unpublish(struct vnode *v)
{
    spin_lock(&table.lock);
    list_remove(&v->hash_link);
    spin_unlock(&table.lock);
}

int vnode_refresh(struct vnode *v)
{
    return v->ops->refresh ? v->ops->refresh(v) : 0;
}

bool fs_in_use(const struct fs *fs)
{
    bool used = false;
    spin_lock(&table.lock);
    for (unsigned i = 0; table.ready && i < VNODE_BUCKETS && !used; i++)
        LIST_FOR_EACH(l, &table.bucket[i])
        {
            const struct vnode *v = LIST_ENTRY(l, struct vnode, hash_link);
            used |= v->fs == fs && v != fs->root && v->refs > v->watches;
        }
    spin_unlock(&table.lock);
    return used;
}

bool cred_in_group(const struct cred *c, uint32_t gid)
{
    if (c->gid == gid)
        return true;
    for (uint32_t i = 0; i < c->group_count; i++)
        if (c->groups[i] == gid)
            return true;
    return false;
}

int vnode_access(const struct vnode *v, const struct cred *cred, unsigned may)
{
    unsigned bits = v->mode & 7;
    if (cred->uid == 0) {
        /* root may do anything but execute what nobody may execute */
        bool exec = vnode_is_dir(v) || (v->mode & 0111);
        return (may & MAY_EXEC) && !exec ? -EACCES : 0;
    }
    if (v->uid == cred->uid)
        bits = (v->mode >> 6) & 7;
    else if (cred_in_group(cred, v->gid))
        bits = (v->mode >> 3) & 7;
    return may & ~bits ? -EACCES : 0;
}

bool vnode_owned(const struct vnode *v, const struct cred *cred)
{
    return cred->uid == 0 || cred->uid == v->uid;
}

void vnode_stat(struct vnode *v, struct file_stat *st)
{
    mutex_lock(&v->lock);
    *st = (struct file_stat){
        .dev = v->fs->dev,
        .ino = v->ino,
        .rdev = v->rdev,
        .mode = v->mode,
        .nlink = v->nlink,
        .uid = v->uid,
        .gid = v->gid,
        .blksize = PAGE_SIZE,
        .size = v->size,
        .blocks = v->blocks,
        .atime = v->atime,
        .mtime = v->mtime,
        .ctime = v->ctime,
        .btime = v->btime,
    };
    mutex_unlock(&v->lock);
    if (v->ops->stat)
        v->ops->stat(v, st);
}

/* The file was written: it may not be the program any more that was to run as another. */
static void drop_set_id(struct vnode *v)
{
    if (!vnode_writer_privileged)
        v->mode &= ~(v->mode & S_IXGRP ? S_ISUID | S_ISGID : S_ISUID);
}

int vnode_check_limit(uint64_t old, uint64_t size)
{
    if (size <= old || size <= __atomic_load_n(&vnode_size_limit, __ATOMIC_RELAXED))
        return 0;
    if (vnode_limit_exceeded)
        vnode_limit_exceeded();
    return -EFBIG;
}

void vnode_accessed(struct vnode *v)
{
    int64_t now, last = __atomic_load_n(&v->atime, __ATOMIC_RELAXED);
    if (v->fs->read_only || v->flags & VNODE_NOATIME)
        return;
    now = (int64_t)clock_wall();
    if (last > v->mtime && last > v->ctime && now - last < DAY)
        return;
    __atomic_store_n(&v->atime, now, __ATOMIC_RELAXED);
    if (!v->fs->lazy_atime)
        vnode_changed(v);
}

int vnode_truncate(struct vnode *v, uint64_t size)
{
    if (vnode_is_dir(v))
        return -EISDIR;
    if (!vnode_is_regular(v))
        return -EINVAL;
    if (v->fs->read_only || !v->ops->truncate)
        return -EROFS;
    if (size > INT64_MAX)
        return -EFBIG;
    mutex_lock(&v->lock);
    int err = v->seals ? vnode_check_seals(v, false, size) : 0;
    if (!err)
        err = vnode_check_limit(v->size, size);
    if (!err)
        err = v->ops->truncate(v, size);
    if (!err) {
        v->mtime = v->ctime = (int64_t)clock_wall();
        drop_set_id(v);
        vnode_changed(v);
    }
    mutex_unlock(&v->lock);
    if (!err)
        inotify_vnode(v, IN_MODIFY);
    return err;
}

int vnode_add_seals(struct vnode *v, unsigned seals)
{
    const unsigned all =
        F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
    if (!(v->flags & VNODE_SEALS) || seals & ~all)
        return -EINVAL;
    mutex_lock(&v->lock);
    int err = v->seals & F_SEAL_SEAL ? -EPERM : 0;
    if (!err && seals & ~v->seals & F_SEAL_WRITE && vm_object_writable(&v->cache.object))
        err = -EBUSY;
    if (!err)
        v->seals |= seals;
    mutex_unlock(&v->lock);
    return err;
}

int vnode_check_seals(const struct vnode *v, bool write, uint64_t end)
{
    unsigned bad = write ? F_SEAL_WRITE | F_SEAL_FUTURE_WRITE : 0;
    if (end > v->size)
        bad |= F_SEAL_GROW;
    else if (!write && end < v->size)
        bad |= F_SEAL_SHRINK;
    return v->seals & bad ? -EPERM : 0;
}

int vnode_setattr(struct vnode *v, const struct vnode_attr *a)
{
    if (v->fs->read_only || !v->ops->setattr)
        return -EROFS;
    mutex_lock(&v->lock);
    int err = v->ops->setattr(v, a);
    if (!err) {
        if (a->mask & ATTR_MODE)
            v->mode = (v->mode & ~07777u) | (a->mode & 07777);
        if (a->mask & ATTR_UID)
            v->uid = a->uid;
        if (a->mask & ATTR_GID)
            v->gid = a->gid;
        if (a->mask & ATTR_ATIME)
            v->atime = a->atime;
        if (a->mask & ATTR_MTIME)
            v->mtime = a->mtime;
        v->ctime = (int64_t)clock_wall();
        vnode_changed(v);
    }
    mutex_unlock(&v->lock);
    return err;
}

ssize_t vnode_read(struct vnode *v, struct uio *u, uint64_t *pos)
{
    size_t start = u->done;
    int err = 0;
    while (u->left && !err) {
        uint64_t size = __atomic_load_n(&v->size, __ATOMIC_ACQUIRE);
        if (*pos >= size)
            break;
        uint64_t off = *pos & (PAGE_SIZE - 1);
        size_t n = MIN(MIN((uint64_t)u->left, size - *pos), PAGE_SIZE - off);
        unsigned wanted = (unsigned)MIN((off + u->left + PAGE_SIZE - 1) >> PAGE_SHIFT, COPY_PAGES);
        struct page *p = NULL;
        if (v->cache.keep)
            p = page_cache_find(&v->cache, *pos >> PAGE_SHIFT); /* a missing page is a hole */
        else if (u->flags & UIO_CACHED)
            err = (p = page_cache_find(&v->cache, *pos >> PAGE_SHIFT)) ? 0 : -EAGAIN;
        else
            err = page_cache_read(&v->cache, *pos >> PAGE_SHIFT, wanted, &p);
        if (err)
            break;
        size_t before = u->done;
        err = p ? uio_copy_out(u, (char *)page_address(p) + off, n) : uio_zero_out(u, n);
        *pos += u->done - before;
        if (p)
            page_put(p);
    }
    if (err == -EFAULT && u->done == start && *pos >= v->size)
        err = 0; /* the file became shorter meanwhile */
    return u->done > start ? (ssize_t)(u->done - start) : err;
}

ssize_t vnode_pages(struct vnode *v, uint64_t pos, size_t n, struct file_pages *out)
{
    uint64_t size = __atomic_load_n(&v->size, __ATOMIC_ACQUIRE);
    int err = 0;
    if (pos >= size)
        return 0;
    n = MIN((uint64_t)n, size - pos);
    out->from = pos & (PAGE_SIZE - 1);
    while (out->left < n && out->count < FILE_PAGES) {
        uint64_t index = (pos + out->left) >> PAGE_SHIFT;
        unsigned wanted = (unsigned)((out->from + n + PAGE_SIZE - 1) >> PAGE_SHIFT) - out->count;
        struct page **p = &out->page[out->count];
        if (v->cache.keep)
            err = (*p = page_cache_find(&v->cache, index)) ? 0 : -EOPNOTSUPP;
        else
            err = page_cache_read(&v->cache, index, MIN(wanted, COPY_PAGES), p);
        if (err)
            break;
        out->count++;
        out->left = MIN(n, out->count * PAGE_SIZE - out->from);
    }
    out->end = pos + out->left >= size;
    if (out->left)
        return (ssize_t)out->left;
    return err == -EFAULT ? 0 : err; /* the file became shorter meanwhile */
}

/*
 * A whole page: the content comes first, so that a page which is not in memory
 * need not be read. *n: bytes that came. 0 or the error of the copy or of the page.
 */
static int vnode_write_fresh(struct vnode *v, struct uio *u, uint64_t index, size_t *n,
                             struct page **out)
{
    struct page *fresh = page_alloc(0);
    struct uio start = *u;
    if (!fresh)
        return -ENOMEM;
    int failed = uio_copy_in(u, page_address(fresh), PAGE_SIZE);
    *n = u->done - start.done;
    int err = *n ? v->cache.ops->write_page(&v->cache, index, *n == PAGE_SIZE ? fresh : NULL, out)
                 : failed;
    if (err) {
        *u = start;
        *n = 0;
        *out = NULL;
    } else {
        if (*out != fresh)
            memcpy(page_address(*out), page_address(fresh), *n);
        err = failed;
    }
    page_put(fresh);
    return err;
}

/* Part of a page, or all of one that is in memory. */
static int vnode_write_part(struct vnode *v, struct uio *u, uint64_t at, size_t *n,
                            struct page **out)
{
    size_t before = u->done;
    int err = v->cache.ops->write_page(&v->cache, at >> PAGE_SHIFT, NULL, out);
    if (err)
        *out = NULL;
    else
        err = uio_copy_in(u, (char *)page_address(*out) + (at & (PAGE_SIZE - 1)), *n);
    *n = u->done - before;
    return err;
}

/* Copies up to one page in; the vnode is locked. */
static int vnode_write_page(struct vnode *v, struct uio *u, uint64_t *pos)
{
    uint64_t off = *pos & (PAGE_SIZE - 1), old_size = v->size;
    size_t n = MIN((size_t)(PAGE_SIZE - off), u->left), wanted = n;
    struct page *p = NULL;
    /* The page must lie inside the file to be entered; take it back if the copy fails. */
    if (*pos + n > old_size)
        __atomic_store_n(&v->size, *pos + n, __ATOMIC_RELEASE);
    int err = -ENOMEM;
    if (n == PAGE_SIZE && v->cache.ops->write_pages)
        err = vnode_write_fresh(v, u, *pos >> PAGE_SHIFT, &n, &p);
    if (err == -ENOMEM && !p)
        err = vnode_write_part(v, u, *pos, &n, &p);
    if (p) {
        size_t old = old_size > *pos ? old_size - *pos : 0;
        if (MAX(n, old) < wanted) /* beyond the end: zeroes */
            memset((char *)page_address(p) + off + MAX(n, old), 0, wanted - MAX(n, old));
        if (v->cache.ops->write_pages)
            page_cache_dirty(&v->cache, p); /* again: it may have been written meanwhile */
        page_put(p);
    }
    *pos += p ? n : 0;
    if (v->size > old_size)
        __atomic_store_n(&v->size, MAX(old_size, *pos), __ATOMIC_RELEASE);
    return err;
}

int vnode_limit_write(struct vnode *v, struct uio *u, uint64_t pos)
{
    uint64_t limit = __atomic_load_n(&vnode_size_limit, __ATOMIC_RELAXED);
    if (limit == UINT64_MAX || !vnode_is_regular(v) || !u->left)
        return 0;
    if (pos >= limit)
        return vnode_check_limit(0, pos + 1);
    u->left = MIN(u->left, limit - pos);
    return 0;
}

ssize_t vnode_write(struct vnode *v, struct uio *u, uint64_t *pos, bool append)
{
    size_t start = u->done;
    int err = 0;
    if (v->fs->read_only || !v->ops->write_page)
        return -EROFS;
    mutex_lock(&v->lock);
    if (append)
        *pos = v->size;
    if (u->left && (*pos > INT64_MAX || u->left > INT64_MAX - *pos))
        err = -EFBIG;
    if (!err)
        err = vnode_limit_write(v, u, *pos);
    if (!err && v->seals && u->left)
        err = vnode_check_seals(v, true, *pos + u->left);
    while (u->left && !err)
        err = vnode_write_page(v, u, pos);
    if (u->done > start) {
        v->mtime = v->ctime = (int64_t)clock_wall();
        drop_set_id(v);
        vnode_changed(v);
    }
    mutex_unlock(&v->lock);
    return u->done > start ? (ssize_t)(u->done - start) : err;
}

ssize_t vnode_read_kernel(struct vnode *v, void *buf, size_t n, uint64_t off)
{
    struct uio_vec vec;
    struct uio u;
    uio_init_kernel(&u, &vec, buf, n);
    return vnode_read(v, &u, &off);
}
