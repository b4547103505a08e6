/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vnode is one file of one file system: attributes, page cache, operations.
 * File systems embed it in their own inode structure. `struct fs` is a mounted
 * file system.
 *
 * Lock order: fs rename lock > a directory's vnode lock > a child's vnode lock
 * > page_cache.writing > vm.lock > the file system's own mutexes > name cache
 * (spin) > vnode hash (spin) > page cache (spin) > list of dirty vnodes (spin).
 * The page-fault path (page_cache_get) takes no vnode lock, so user memory may be
 * touched while one is held. The last vnode_put() may come with any of these held,
 * so `destroy` takes no mutex.
 */
#pragma once

#include "file/file.h"
#include "file/mode.h"
#include "fs/page_cache.h"
#include "lib/list.h"
#include "lib/types.h"
#include "sched/mutex.h"

struct fs;
struct path;
struct vnode;

/* Who asks: the ids that permission checks use (fsuid, fsgid, supplementary groups). */
struct cred {
    uint32_t uid, gid;
    uint32_t group_count;
    const uint32_t *groups; /* the owner's, must stay valid */
};

#define MAY_EXEC  1
#define MAY_WRITE 2
#define MAY_READ  4

/* What a new directory entry shall be; the type is in `mode`. */
struct vnode_new {
    uint32_t mode; /* S_IF* and permissions, umask already applied */
    uint32_t uid, gid;
    uint64_t rdev;      /* S_IFCHR, S_IFBLK */
    const char *target; /* S_IFLNK, terminated */
    bool opens;         /* the same call opens it next */
};

#define ATTR_MODE  1
#define ATTR_UID   2
#define ATTR_GID   4
#define ATTR_ATIME 8
#define ATTR_MTIME 16
#define ATTR_NOW   32 /* the times are "now": write permission is enough */

/* Changes to attributes; `mask` tells which fields count. */
struct vnode_attr {
    unsigned mask;
    uint32_t mode; /* permission bits only */
    uint32_t uid, gid;
    int64_t atime, mtime; /* ns since 1970 */
};

#define RENAME_NO_REPLACE 1 /* values of renameat2(2) */
#define RENAME_SWAP       2

struct vnode_name {
    const char *text; /* not terminated */
    size_t len;       /* 1..255, never "." or ".." */
};

/*
 * Operations on directories run with the directory's lock held (rename: both
 * directories'); those on one file with that file's lock held unless said
 * otherwise. NULL: the answer in brackets. All may sleep.
 */
struct vnode_ops {
    /* The entry's vnode, referenced; -ENOENT. [-ENOTDIR] */
    int (*lookup)(struct vnode *dir, const struct vnode_name *name, struct vnode **out);
    /* Entries from *pos on; advances it. 0 at the end, 1 when fn stopped it. [-ENOTDIR] */
    int (*readdir)(struct vnode *dir, uint64_t *pos, dirent_fn *fn, void *arg);
    /* The link's text, not terminated: its length, cut at n. No lock held. [-EINVAL] */
    int (*readlink)(struct vnode *v, char *buf, size_t n);
    /*
     * A link that leads to an object instead of a name (/proc/self/exe): *out is
     * referenced, or NULL when the link itself stands for its target. No lock held.
     */
    int (*follow)(struct vnode *v, struct path **out);
    /*
     * Fills n pages with consecutive numbers from index on. No lock held; all
     * pages are PAGE_BUSY. 0, or -errno: all of them failed. [zeroes]
     */
    int (*read_pages)(struct vnode *v, uint64_t index, struct page **pages, unsigned n);
    /*
     * A page that will be changed, referenced; room for it on the disk is set aside
     * and it is marked dirty where that means something. `fresh` (or NULL) is a page
     * with all of the new content: it is entered if there is none. Called by write,
     * and without the lock by write faults on shared mappings. [-EROFS]
     */
    int (*write_page)(struct vnode *v, uint64_t index, struct page *fresh, struct page **out);
    /* See page_cache_ops. No lock held but page_cache.writing. NULL: pages are never dirty. */
    int (*write_pages)(struct vnode *v, struct page **pages, unsigned n);
    void (*forget)(struct vnode *v, struct page *p);
    /*
     * Attributes (times, mode, owner) were changed in memory: stores them. No lock
     * held. NULL: they live in memory only.
     */
    int (*store)(struct vnode *v);
    /* A new entry: file, directory, symlink, device. [-EROFS] */
    int (*make)(struct vnode *dir, const struct vnode_name *name, const struct vnode_new *what,
                struct vnode **out);
    /* A new file without a name, nlink 0, that `link` may give one (O_TMPFILE). [-EOPNOTSUPP] */
    int (*make_unnamed)(struct vnode *dir, const struct vnode_new *what, struct vnode **out);
    int (*link)(struct vnode *dir, const struct vnode_name *name, struct vnode *target);
    /* Also removes directories: -ENOTEMPTY. */
    int (*unlink)(struct vnode *dir, const struct vnode_name *name, struct vnode *victim);
    /* `victim` is what stands at the new name, or NULL; types have been checked. */
    int (*rename)(struct vnode *from, const struct vnode_name *old, struct vnode *moved,
                  struct vnode *to, const struct vnode_name *name, struct vnode *victim,
                  unsigned flags);
    int (*truncate)(struct vnode *v, uint64_t size); /* [-EROFS] */
    /* fallocate(2). [-EOPNOTSUPP] */
    int (*allocate)(struct vnode *v, int mode, uint64_t off, uint64_t len);
    /* May refuse; the generic code sets the fields and sees to `store`. [-EROFS] */
    int (*setattr)(struct vnode *v, const struct vnode_attr *a);
    int (*fsync)(struct vnode *v, bool data_only); /* no lock held [0] */
    /* A file of its own kind instead of the generic one. No lock held. */
    int (*open)(struct vnode *v, uint32_t flags, struct file **out);
    /*
     * Somebody else changes the file too: sets the fields to what they are now. -ESTALE:
     * it is another file now, the name must be looked up again. No lock held. [0]
     */
    int (*refresh)(struct vnode *v);
    /* Adjusts what vnode_stat() made of the fields. */
    void (*stat)(struct vnode *v, struct file_stat *st);
    /*
     * Where data (or a hole) begins at or behind `off`, which is below the size:
     * -ENXIO when there is no more data. No lock held. [all of it is data]
     */
    int64_t (*seek)(struct vnode *v, uint64_t off, bool hole);
    /* Extended attributes; see fs/xattr.h. [-EOPNOTSUPP] */
    int (*xattr_get)(struct vnode *v, const char *name, void *value, size_t size);
    int (*xattr_set)(struct vnode *v, const char *name, const void *value, size_t size, int flags);
    int (*xattr_list)(struct vnode *v, char *list, size_t size);
    /* The last reference is gone: frees the vnode. `pages` were in its cache, now dropped. */
    void (*destroy)(struct vnode *v, size_t pages);
};

#define VNODE_DYNAMIC 1  /* directory whose entries come and go: names are not cached */
#define VNODE_STREAM  2  /* files of it have no size to check reads against */
#define VNODE_SEALS   4  /* F_ADD_SEALS is known here (tmpfs) */
#define VNODE_NOATIME 32 /* reading does not move atime (chattr +A) */
#define VNODE_LIVE    16 /* others change it too: names in it are looked up each time */
#define VNODE_LINK    8  /* has no name yet, but may get one: under lock once it is known */

struct vnode {
    const struct vnode_ops *ops;
    struct fs *fs;
    uint32_t refs;
    uint32_t watches; /* of the references: inotify's, which do not keep a file system in use */
    uint32_t flags;   /* VNODE_* */
    uint64_t ino;
    uint32_t mode, nlink, uid, gid; /* changed under lock */
    uint64_t rdev;
    uint64_t size;                      /* bytes; changed under lock, read without */
    uint64_t blocks;                    /* of 512 bytes */
    int64_t atime, mtime, ctime, btime; /* ns since 1970 */
    struct mutex lock;
    struct page_cache cache;
    struct list hash_link;  /* vnode_find() */
    struct list aliases;    /* its names in the name cache, under that cache's lock */
    char *label;            /* what a file without a name is called in reports; NULL */
    unsigned seals;         /* F_SEAL_* of fcntl(2), under lock */
    struct list dirty_link; /* fs/writeback.c: on the list of dirty vnodes, which has a reference */
    uint64_t dirtied;       /* since when; clock_now() */
    bool attr_dirty;        /* attributes are newer than the disk */
};

struct fs_stats {
    uint64_t type, block_size, blocks, blocks_free, blocks_available, files, files_free;
    uint64_t id;
    uint32_t name_max;
};

struct fs_ops {
    void (*statfs)(struct fs *fs, struct fs_stats *st);
    /* What the vnodes have written becomes durable. NULL: nothing to write. */
    int (*sync)(struct fs *fs);
    /*
     * By the write-back thread for a file system that asked for it with
     * fs_set_dirty(): at once, and (`due`) every few seconds. False: no more to do.
     */
    bool (*tick)(struct fs *fs, bool due);
    /* The machine ends; sync() was called. Nothing is changed after that. */
    void (*end)(struct fs *fs);
    /* Leaves a clean volume and frees the fs; only the root's vnode is left. NULL: it stays. */
    void (*unmount)(struct fs *fs);
    /*
     * FITRIM: tells the device which parts of the bytes from..from+len-1 are free, where
     * at least `least` of them follow each other; *trimmed: bytes. [-EOPNOTSUPP]
     */
    int (*trim)(struct fs *fs, uint64_t from, uint64_t len, uint64_t least, uint64_t *trimmed);
};

struct fs {
    const struct fs_ops *ops;
    const char *type; /* "ext4", as in /proc/mounts */
    uint64_t dev;     /* st_dev of its files */
    bool read_only;
    uint64_t size_limit; /* of a file, bytes; 0: none but the type's */
    bool lazy_atime;     /* reading alone makes no inode dirty: atime goes to the disk with other
                            changes */
    struct vnode *root;  /* referenced */
    struct mutex rename_lock;
    struct list dirty_link; /* fs/writeback.c */
};

/* Sets every field of the fs; `dev` is chosen. */
void fs_prepare(struct fs *fs, const struct fs_ops *ops, const char *type);

/* Fields to defaults, one reference, not findable. */
void vnode_init(struct vnode *v, struct fs *fs, const struct vnode_ops *ops, uint64_t ino,
                uint32_t mode);
void vnode_get(struct vnode *v);
void vnode_put(struct vnode *v); /* may sleep */
/* The vnode with that number, referenced; NULL when none is in memory. */
struct vnode *vnode_find(struct fs *fs, uint64_t ino);
/* Makes it findable; when another thread was faster returns that one, referenced, and drops v. */
struct vnode *vnode_publish(struct vnode *v);

/* No look-up by number finds it any more: the number is another file's now. */
void vnode_unpublish(struct vnode *v);
/* See vnode_ops.refresh. */
int vnode_refresh(struct vnode *v);
/* Whether anybody but the name cache and inotify uses a vnode of the fs, apart from its root. */
bool fs_in_use(const struct fs *fs);

bool cred_in_group(const struct cred *c, uint32_t gid);
/* 0 or -EACCES. MAY_* bits. */
int vnode_access(const struct vnode *v, const struct cred *cred, unsigned may);
/* True if cred may change the vnode's attributes. */
bool vnode_owned(const struct vnode *v, const struct cred *cred);
void vnode_stat(struct vnode *v, struct file_stat *st);
/* Takes the lock. -EROFS, -EINVAL (not a regular file), -EISDIR. */
int vnode_truncate(struct vnode *v, uint64_t size);
int vnode_setattr(struct vnode *v, const struct vnode_attr *a);
/* F_ADD_SEALS: -EINVAL, -EPERM (sealed), -EBUSY (mapped for writing). Takes the lock. */
int vnode_add_seals(struct vnode *v, unsigned seals);
/* -EPERM if the seals forbid writing up to `end`, or changing the size to it. Locked. */
int vnode_check_seals(const struct vnode *v, bool write, uint64_t end);
/* Content through the page cache; advance *pos. For regular files. Take the lock themselves. */
ssize_t vnode_read(struct vnode *v, struct uio *u, uint64_t *pos);
ssize_t vnode_write(struct vnode *v, struct uio *u, uint64_t *pos, bool append);
/*
 * RLIMIT_FSIZE: nobody writes behind it, or makes a file longer. The hook is called where
 * a call asks for that and gets -EFBIG (SIGXFSZ); both are the process's to set.
 */
extern uint64_t vnode_size_limit;
/* True: the process may leave set-id bits of a file that it writes (CAP_FSETID). */
extern bool vnode_writer_privileged;
extern void (*vnode_limit_exceeded)(void);
/* -EFBIG, told, when a file of `old` bytes may not have `size`. */
int vnode_check_limit(uint64_t old, uint64_t size);
/* Cuts the transfer at RLIMIT_FSIZE; -EFBIG when nothing of it is below. Locked. */
int vnode_limit_write(struct vnode *v, struct uio *u, uint64_t pos);
/* It was read now: atime follows as with "relatime", unless the file was opened O_NOATIME. */
void vnode_accessed(struct vnode *v);
/* What file_ops.pages answers; -EOPNOTSUPP: a hole that has no page. */
ssize_t vnode_pages(struct vnode *v, uint64_t pos, size_t n, struct file_pages *out);
/* Kernel memory from a file (exec, loaders): bytes read, less than n only at the end. */
ssize_t vnode_read_kernel(struct vnode *v, void *buf, size_t n, uint64_t off);

static inline bool vnode_is_dir(const struct vnode *v)
{
    return S_ISDIR(v->mode);
}
static inline bool vnode_is_link(const struct vnode *v)
{
    return S_ISLNK(v->mode);
}
static inline bool vnode_is_regular(const struct vnode *v)
{
    return S_ISREG(v->mode);
}
