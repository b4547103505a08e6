/* SPDX-License-Identifier: Apache-2.0 */
/* Adapters: what files are: stat, statx, access, statfs, directory listings, extended attributes.
 */
#include <asm/stat.h>
#include <asm/statfs.h>
#include <linux/errno.h>
#include <linux/fcntl.h>

#include "fs/fs.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "proc/process.h"
#include "sched/clock.h"
#include "syscall/args.h"
#include "syscall/syscalls.h"

#define DIRENT_BUFFER 32768u
#define ST_RDONLY     1

static long stat_copy(struct uptr to, const struct file_stat *s)
{
    struct stat st = {
        .st_dev = s->dev,
        .st_ino = s->ino,
        .st_nlink = s->nlink,
        .st_mode = s->mode,
        .st_uid = s->uid,
        .st_gid = s->gid,
        .st_rdev = s->rdev,
        .st_size = (long)s->size,
        .st_blksize = s->blksize,
        .st_blocks = (long)s->blocks,
        .st_atime = (unsigned long)(s->atime / (int64_t)NSEC_PER_SEC),
        .st_atime_nsec = (unsigned long)(s->atime % (int64_t)NSEC_PER_SEC),
        .st_mtime = (unsigned long)(s->mtime / (int64_t)NSEC_PER_SEC),
        .st_mtime_nsec = (unsigned long)(s->mtime % (int64_t)NSEC_PER_SEC),
        .st_ctime = (unsigned long)(s->ctime / (int64_t)NSEC_PER_SEC),
        .st_ctime_nsec = (unsigned long)(s->ctime % (int64_t)NSEC_PER_SEC),
    };
    return copy_to_user(to, &st, sizeof st);
}

/* The attributes of what (dirfd, name, flags) means. */
static int stat_at(int dir, struct uptr name, unsigned flags, struct file_stat *s)
{
    struct at at;
    struct path *p;
    int err = at_get(&at, dir, name, flags & AT_EMPTY_PATH);
    if (err)
        return err;
    if (at_is_file(&at)) {
        err = file_stat(at.file, s);
    } else {
        err = at_walk(&at, flags, &p);
        if (!err) {
            err = fs_stat_path(p, !(flags & AT_SYMLINK_NOFOLLOW), s);
            path_put(p);
        }
    }
    at_put(&at);
    return err;
}

long sys_newfstatat(int dir, struct uptr name, struct uptr st, unsigned flags)
{
    struct file_stat s;
    if (flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH))
        return -EINVAL;
    int err = stat_at(dir, name, flags, &s);
    return err ? err : stat_copy(st, &s);
}

long sys_stat(struct uptr name, struct uptr st)
{
    return sys_newfstatat(AT_FDCWD, name, st, 0);
}

long sys_lstat(struct uptr name, struct uptr st)
{
    return sys_newfstatat(AT_FDCWD, name, st, AT_SYMLINK_NOFOLLOW);
}

long sys_fstat(int fd, struct uptr st)
{
    struct file *f;
    struct file_stat s;
    int err = file_of_any(fd, &f);
    if (err)
        return err;
    err = file_stat(f, &s);
    file_put(f);
    return err ? err : stat_copy(st, &s);
}

static struct statx_timestamp statx_time(int64_t ns)
{
    return (struct statx_timestamp){.tv_sec = ns / (int64_t)NSEC_PER_SEC,
                                    .tv_nsec = (uint32_t)(ns % (int64_t)NSEC_PER_SEC)};
}

/* The two halves of a device number as stat(2) encodes it. */
static uint32_t dev_major(uint64_t dev)
{
    return (uint32_t)(dev >> 8) & 0xfff;
}

static uint32_t dev_minor(uint64_t dev)
{
    return (uint32_t)((dev & 0xff) | (dev >> 12 & 0xfff00));
}

long sys_statx(int dir, struct uptr name, unsigned flags, unsigned mask, struct uptr st)
{
    struct file_stat s;
    if (mask & STATX__RESERVED)
        return -EINVAL;
    if (flags &
        ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE))
        return -EINVAL;
    if ((flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE)
        return -EINVAL;
    int err = stat_at(dir, name, flags, &s);
    if (err)
        return err;
    struct statx x = {
        .stx_mask = STATX_BASIC_STATS | (s.btime ? STATX_BTIME : 0),
        .stx_blksize = s.blksize,
        .stx_nlink = s.nlink,
        .stx_uid = s.uid,
        .stx_gid = s.gid,
        .stx_mode = (uint16_t)s.mode,
        .stx_ino = s.ino,
        .stx_size = s.size,
        .stx_blocks = s.blocks,
        .stx_atime = statx_time(s.atime),
        .stx_btime = statx_time(s.btime),
        .stx_ctime = statx_time(s.ctime),
        .stx_mtime = statx_time(s.mtime),
        .stx_rdev_major = dev_major(s.rdev),
        .stx_rdev_minor = dev_minor(s.rdev),
        .stx_dev_major = dev_major(s.dev),
        .stx_dev_minor = dev_minor(s.dev),
    };
    return copy_to_user(st, &x, sizeof x);
}

long sys_faccessat2(int dir, struct uptr name, int mode, unsigned flags)
{
    struct at at;
    /* access(2) asks for the real ids, everything else for those of the file system. */
    struct cred real = process.fs->cred;
    real.uid = process.uid;
    real.gid = process.gid;
    if ((mode & ~7) || (flags & ~(unsigned)(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)))
        return -EINVAL;
    int err = at_get(&at, dir, name, flags & AT_EMPTY_PATH);
    if (err)
        return err;
    unsigned walk = (flags & AT_SYMLINK_NOFOLLOW ? WALK_NOFOLLOW : 0) |
                    (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0);
    if (at_is_file(&at) && !at.start)
        err = 0;
    else
        err = fs_access(process.fs, at.start, at.name, walk, (unsigned)mode,
                        flags & AT_EACCESS ? NULL : &real);
    at_put(&at);
    return err;
}

long sys_faccessat(int dir, struct uptr name, int mode)
{
    return sys_faccessat2(dir, name, mode, 0);
}

long sys_access(struct uptr name, int mode)
{
    return sys_faccessat2(AT_FDCWD, name, mode, 0);
}

static long statfs_copy(struct uptr to, struct fs *fs)
{
    struct fs_stats s;
    fs->ops->statfs(fs, &s);
    struct statfs st = {
        .f_type = (long)s.type,
        .f_bsize = (long)s.block_size,
        .f_blocks = (long)s.blocks,
        .f_bfree = (long)s.blocks_free,
        .f_bavail = (long)s.blocks_available,
        .f_files = (long)s.files,
        .f_ffree = (long)s.files_free,
        .f_fsid = {{(int)s.id, (int)(s.id >> 32)}},
        .f_namelen = s.name_max,
        .f_frsize = (long)s.block_size,
        .f_flags = 0x20 | (fs->read_only ? ST_RDONLY : 0),
    };
    return copy_to_user(to, &st, sizeof st);
}

long sys_statfs(struct uptr name, struct uptr buf)
{
    struct at at;
    struct path *p;
    long err = at_get(&at, AT_FDCWD, name, false);
    if (err)
        return err;
    err = at_walk(&at, 0, &p);
    if (!err) {
        err = statfs_copy(buf, p->vnode->fs);
        path_put(p);
    }
    at_put(&at);
    return err;
}

long sys_fstatfs(int fd, struct uptr buf)
{
    struct file *f;
    long err = file_of_any(fd, &f);
    if (err)
        return err;
    err = f->vnode ? statfs_copy(buf, f->vnode->fs) : -ENOSYS;
    file_put(f);
    return err;
}

/* A listing being put together in kernel memory. */
struct listing {
    char *buf;
    size_t len, size;
    bool old;  /* the layout of getdents(2), with the type in the last byte */
    bool full; /* an entry did not fit */
};

static int listing_add(void *arg, const char *name, size_t len, uint64_t ino, unsigned type,
                       uint64_t next_pos)
{
    struct listing *l = arg;
    size_t head = l->old ? 18 : 19, need = ALIGN_UP(head + len + 1 + l->old, (size_t)8);
    if (need > l->size - l->len) {
        l->full = true;
        return 1;
    }
    char *e = l->buf + l->len;
    uint16_t record = (uint16_t)need;
    memset(e, 0, need);
    memcpy(e, &ino, 8);
    memcpy(e + 8, &next_pos, 8);
    memcpy(e + 16, &record, 2);
    memcpy(e + head, name, len);
    e[l->old ? need - 1 : 18] = (char)type;
    l->len += need;
    return 0;
}

static long list_directory(int fd, struct uptr buf, unsigned size, bool old)
{
    struct listing l = {.size = MIN(size, DIRENT_BUFFER), .old = old};
    struct file *f;
    long r = file_of(fd, &f);
    if (r)
        return r;
    l.buf = kmalloc(MAX(l.size, (size_t)1));
    if (!l.buf) {
        r = -ENOMEM;
    } else if (!f->ops->readdir) {
        r = -ENOTDIR;
    } else {
        mutex_lock(&f->pos_lock);
        uint64_t pos = f->pos;
        r = f->ops->readdir(f, listing_add, &l);
        if (l.len)
            r = copy_to_user(buf, l.buf, l.len) ? -EFAULT : (long)l.len;
        else if (!r && l.full)
            r = -EINVAL;
        if (r == -EFAULT)
            f->pos = pos; /* nothing was read */
        mutex_unlock(&f->pos_lock);
    }
    kfree(l.buf);
    file_put(f);
    return r;
}

long sys_getdents64(int fd, struct uptr buf, unsigned size)
{
    return list_directory(fd, buf, size, false);
}

long sys_getdents(int fd, struct uptr buf, unsigned size)
{
    return list_directory(fd, buf, size, true);
}
