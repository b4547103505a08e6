/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An open file: what a descriptor points to. Operations never sleep for
 * readiness: they answer -EAGAIN, and the one wait loop (file/wait.h) sleeps,
 * so blocking, O_NONBLOCK, timeouts, poll and signals agree. Operations may
 * still sleep for disk I/O and locks.
 */
#pragma once

#include <linux/fcntl.h>

#include "lib/types.h"
#include "sched/mutex.h"
#include "vm/uio.h"

struct file;
struct file_pages;
struct poll_table;
struct vm_object;
struct vnode;

/* What stat(2) and statx(2) tell. Times are nanoseconds since 1970. */
struct file_stat {
    uint64_t dev, ino, rdev;
    uint32_t mode, nlink, uid, gid, blksize;
    uint64_t size, blocks; /* blocks of 512 bytes */
    int64_t atime, mtime, ctime, btime;
};

/* Called for each directory entry; non-zero stops (the sink is full), the entry is not consumed. */
typedef int dirent_fn(void *arg, const char *name, size_t len, uint64_t ino, unsigned type,
                      uint64_t next_pos);

/* Every operation may be NULL; the reason in brackets is what file_* answers then. */
struct file_ops {
    /* `pos` is where to read or write and is advanced; NULL for streams. [-EINVAL] */
    ssize_t (*read)(struct file *f, struct uio *u, uint64_t *pos);
    ssize_t (*write)(struct file *f, struct uio *u, uint64_t *pos);
    /*
     * For sendfile(2), see file/sendfile.h: fills in `p` with up to n bytes from `pos`; how many,
     * 0 at the end. And the other end: what it took of the bytes, off the front; it has references
     * of its own. [-EOPNOTSUPP, both: read and write do it]
     */
    ssize_t (*pages)(struct file *f, uint64_t pos, size_t n, struct file_pages *p);
    ssize_t (*send_pages)(struct file *f, struct file_pages *p);
    /* POLL* bits that hold now; adds its wait queues to the table when pt != NULL. [POLLIN|POLLOUT]
     */
    uint32_t (*poll)(struct file *f, struct poll_table *pt);
    /* [-ENOTTY] */
    long (*ioctl)(struct file *f, unsigned cmd, struct uptr arg);
    /* The new position. [-ESPIPE] */
    int64_t (*seek)(struct file *f, int64_t off, int whence);
    /* Entries from f->pos on; advances it. [-ENOTDIR] */
    int (*readdir)(struct file *f, dirent_fn *fn, void *arg);
    int (*stat)(struct file *f, struct file_stat *st); /* required */
    /* The object to map, referenced. [-ENODEV] */
    int (*mmap)(struct file *f, struct vm_object **out);
    int (*truncate)(struct file *f, uint64_t size); /* [-EINVAL] */
    int (*fsync)(struct file *f, bool data_only);   /* [-EINVAL] */
    void (*release)(struct file *f);                /* the last reference is gone */
    bool no_position; /* read and write do not look at `pos`, though seek answers */
};

struct file {
    const struct file_ops *ops;
    uint32_t refs;
    uint32_t flags; /* O_ACCMODE and status flags, as F_GETFL tells them */
    uint64_t pos;   /* under pos_lock */
    struct mutex pos_lock;
    struct vnode *vnode;  /* a file of a file system: referenced; else NULL */
    struct path *path;    /* where it was found (fs/path.h): referenced; NULL for pipes and such */
    uint32_t errors_seen; /* of write-back: page_cache_error() */
    void *priv;           /* the implementation's */
    uint64_t patience[2]; /* ns that one wait of a read, of a write may last; 0: for ever */
    struct list watches;  /* epoll's, under its lock (file/epoll.c) */
    int owner;            /* F_SETOWN: whom news of it is signalled to; 0: nobody */
    uint8_t owner_type;   /* F_OWNER_* */
    uint8_t owner_signal; /* F_SETSIG */
    bool quiet;           /* -EPIPE of a write raises no SIGPIPE */
    bool locked;          /* it may own locks: file_unlock() */
};

/* One reference, no vnode. NULL when memory is out. */
struct file *file_create(const struct file_ops *ops, uint32_t flags, void *priv);
void file_get(struct file *f);
void file_put(struct file *f);

/*
 * read(2) and write(2): blocking as the file's flags say (THE wait loop). With
 * `pos` NULL the file's own position is used and moved, under pos_lock; else
 * *pos is (pread, pwrite: -ESPIPE on streams). Bytes, -EBADF for the wrong access mode,
 * or the operation's error.
 */
ssize_t file_read(struct file *f, struct uio *u, uint64_t *pos);
ssize_t file_write(struct file *f, struct uio *u, uint64_t *pos);
/* lseek(2). */
int64_t file_seek(struct file *f, int64_t off, int whence);
/* Moves f->pos for a file of `size` bytes: what most seek operations are. */
int64_t file_seek_size(struct file *f, int64_t off, int whence, uint64_t size);
int file_stat(struct file *f, struct file_stat *st);
/* st for a file without a file system: its own inode number (file_next_ino()), owner, times 0. */
void file_stat_anonymous(struct file_stat *st, uint32_t mode, uint64_t ino);
uint64_t file_next_ino(void);
/* ioctl(2): FIONBIO here, the rest by the file. */
long file_ioctl(struct file *f, unsigned cmd, struct uptr arg);
/* F_SETFL: O_APPEND, O_NONBLOCK and such; other bits stay. */
void file_set_flags(struct file *f, uint32_t flags);
/* By the access mode: 0 reads, 1 writes, 2 does both, 3 neither. */
static inline bool file_readable(const struct file *f)
{
    return !(f->flags & O_PATH) && (f->flags + 1) & 1;
}
static inline bool file_writable(const struct file *f)
{
    return !(f->flags & O_PATH) && (f->flags + 1) & 2;
}

/* After a write(2) or splice(2) to f that answered r: SIGPIPE when that was -EPIPE. */
void file_written(const struct file *f, ssize_t r);

/* Set by fs/: drops f->vnode and f->path at the last put. */
extern void (*file_detach)(struct file *f);
/* Set by fs/ with the first lock: a descriptor of f, or (`last`) f itself, is closed. */
extern void (*file_unlock)(struct file *f, bool last);
/* Set by proc/: raises SIGPIPE in the calling thread; NULL: nobody cares. */
extern void (*file_broken_pipe)(void);
/* Set by proc/: sends the signal to f's owner, if it has one. f is there meanwhile. */
extern void (*file_owner_signal)(const struct file *f, int sig);
