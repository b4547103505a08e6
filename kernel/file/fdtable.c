/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The descriptor table: see fdtable.h. Arrays grow by doubling; growth allocates
 * without the lock and retries. A reserved descriptor has its bit set and no file.
 */
#include "file/fdtable.h"

#include <linux/errno.h>
#include <linux/fcntl.h>

#include "lib/string.h"
#include "mem/kmalloc.h"

#define FIRST_CAP 64u

static bool bit_get(const uint64_t *map, unsigned i)
{
    return map[i / 64] >> (i % 64) & 1;
}

static void bit_put(uint64_t *map, unsigned i, bool on)
{
    uint64_t bit = 1ull << (i % 64);
    map[i / 64] = on ? map[i / 64] | bit : map[i / 64] & ~bit;
}

struct arrays {
    struct file **file;
    uint64_t *used, *cloexec;
};

static int arrays_create(struct arrays *a, unsigned cap)
{
    a->file = kzalloc(cap * sizeof *a->file);
    a->used = kzalloc(cap / 8);
    a->cloexec = kzalloc(cap / 8);
    if (a->file && a->used && a->cloexec)
        return 0;
    kfree(a->file);
    kfree(a->used);
    kfree(a->cloexec);
    return -ENOMEM;
}

int fd_table_init(struct fd_table *t, unsigned limit)
{
    struct arrays a;
    *t = (struct fd_table){.limit = limit};
    if (arrays_create(&a, FIRST_CAP))
        return -ENOMEM;
    t->file = a.file;
    t->used = a.used;
    t->cloexec = a.cloexec;
    t->cap = FIRST_CAP;
    return 0;
}

void fd_table_fini(struct fd_table *t)
{
    fd_close_range(t, 0, UINT32_MAX, false);
    kfree(t->file);
    kfree(t->used);
    kfree(t->cloexec);
    *t = (struct fd_table){0};
}

void fd_table_set_limit(struct fd_table *t, unsigned limit)
{
    t->limit = MIN(limit, FD_TABLE_MAX);
}

/* Room for descriptor `fd`. */
static int table_grow(struct fd_table *t, unsigned fd)
{
    struct arrays a, old = {0};
    unsigned cap = MAX(t->cap, FIRST_CAP);
    while (cap <= fd)
        cap *= 2;
    if (arrays_create(&a, cap))
        return -ENOMEM;
    spin_lock(&t->lock);
    if (cap > t->cap) {
        memcpy(a.file, t->file, t->cap * sizeof *a.file);
        memcpy(a.used, t->used, t->cap / 8);
        memcpy(a.cloexec, t->cloexec, t->cap / 8);
        old = (struct arrays){t->file, t->used, t->cloexec};
        t->file = a.file;
        t->used = a.used;
        t->cloexec = a.cloexec;
        t->cap = cap;
    } else {
        old = a; /* another thread was faster */
    }
    spin_unlock(&t->lock);
    kfree(old.file);
    kfree(old.used);
    kfree(old.cloexec);
    return 0;
}

static inline int get(struct fd_table *t, int fd, struct file **out)
{
    int err = -EBADF;
    spin_lock(&t->lock);
    if ((unsigned)fd < t->cap && t->file[fd]) {
        *out = t->file[fd];
        file_get(*out);
        err = 0;
    }
    spin_unlock(&t->lock);
    return err;
}

int fd_get_any(struct fd_table *t, int fd, struct file **out)
{
    return get(t, fd, out);
}

int fd_get(struct fd_table *t, int fd, struct file **out)
{
    int err = get(t, fd, out);
    if (!err && UNLIKELY((*out)->flags & O_PATH)) {
        file_put(*out);
        err = -EBADF;
    }
    return err;
}

/* The table is locked: the lowest free descriptor >= min, maybe beyond the arrays. */
static unsigned lowest_free(const struct fd_table *t, unsigned min)
{
    unsigned i = MAX(min, t->first);
    while (i < t->cap) {
        uint64_t free = ~t->used[i / 64] >> (i % 64);
        if (free)
            return i + (unsigned)__builtin_ctzll(free);
        i = (i / 64 + 1) * 64;
    }
    return i;
}

static int take_lowest(struct fd_table *t, struct file *f, unsigned min, bool cloexec)
{
    for (;;) {
        spin_lock(&t->lock);
        unsigned fd = lowest_free(t, min);
        bool over = fd >= t->limit, fits = fd < t->cap;
        if (!over && fits) {
            bit_put(t->used, fd, true);
            bit_put(t->cloexec, fd, cloexec);
            t->file[fd] = f;
            if (min <= t->first)
                t->first = fd + 1;
        }
        spin_unlock(&t->lock);
        if (over)
            return -EMFILE;
        if (fits)
            return (int)fd;
        int err = table_grow(t, fd);
        if (err)
            return err;
    }
}

int fd_install(struct fd_table *t, struct file *f, unsigned min, bool cloexec)
{
    return take_lowest(t, f, min, cloexec);
}

int fd_reserve(struct fd_table *t, unsigned min, bool cloexec)
{
    return take_lowest(t, NULL, min, cloexec);
}

void fd_publish(struct fd_table *t, int fd, struct file *f)
{
    spin_lock(&t->lock);
    t->file[fd] = f;
    spin_unlock(&t->lock);
}

/* The table is locked: frees a slot and returns what was in it. */
static struct file *slot_clear(struct fd_table *t, unsigned fd)
{
    struct file *f = t->file[fd];
    t->file[fd] = NULL;
    bit_put(t->used, fd, false);
    bit_put(t->cloexec, fd, false);
    t->first = MIN(t->first, fd);
    return f;
}

void fd_cancel(struct fd_table *t, int fd)
{
    spin_lock(&t->lock);
    slot_clear(t, (unsigned)fd);
    spin_unlock(&t->lock);
}

/* What was in a slot loses this descriptor. */
static void slot_close(struct file *f)
{
    if (file_unlock)
        file_unlock(f, false);
    file_put(f);
}

int fd_replace(struct fd_table *t, int fd, struct file *f, bool cloexec)
{
    struct file *old = NULL;
    int err = 0;
    if (fd < 0 || (unsigned)fd >= t->limit)
        return -EBADF;
    if ((unsigned)fd >= t->cap)
        err = table_grow(t, (unsigned)fd);
    if (err)
        return err;
    spin_lock(&t->lock);
    if (bit_get(t->used, (unsigned)fd) && !t->file[fd]) {
        err = -EBUSY; /* somebody is opening it */
    } else {
        old = t->file[fd];
        file_get(f);
        t->file[fd] = f;
        bit_put(t->used, (unsigned)fd, true);
        bit_put(t->cloexec, (unsigned)fd, cloexec);
    }
    spin_unlock(&t->lock);
    if (old)
        slot_close(old);
    return err ? err : fd;
}

int fd_close(struct fd_table *t, int fd)
{
    struct file *f = NULL;
    spin_lock(&t->lock);
    if ((unsigned)fd < t->cap && t->file[fd])
        f = slot_clear(t, (unsigned)fd);
    spin_unlock(&t->lock);
    if (!f)
        return -EBADF;
    slot_close(f);
    return 0;
}

int fd_close_range(struct fd_table *t, unsigned first, unsigned last, bool mark)
{
    if (first > last)
        return -EINVAL;
    for (unsigned fd = first; fd < t->cap && fd <= last; fd++) {
        struct file *f = NULL;
        spin_lock(&t->lock);
        if (t->file[fd] && mark)
            bit_put(t->cloexec, fd, true);
        else if (t->file[fd])
            f = slot_clear(t, fd);
        spin_unlock(&t->lock);
        if (f)
            slot_close(f);
    }
    return 0;
}

void fd_close_on_exec(struct fd_table *t)
{
    for (unsigned fd = 0; fd < t->cap; fd++)
        if (fd_cloexec_get(t, (int)fd) > 0)
            fd_close(t, (int)fd);
}

int fd_cloexec_get(struct fd_table *t, int fd)
{
    int r = -EBADF;
    spin_lock(&t->lock);
    if ((unsigned)fd < t->cap && t->file[fd])
        r = bit_get(t->cloexec, (unsigned)fd);
    spin_unlock(&t->lock);
    return r;
}

int fd_cloexec_set(struct fd_table *t, int fd, bool on)
{
    int r = -EBADF;
    spin_lock(&t->lock);
    if ((unsigned)fd < t->cap && t->file[fd]) {
        bit_put(t->cloexec, (unsigned)fd, on);
        r = 0;
    }
    spin_unlock(&t->lock);
    return r;
}

int fd_next(struct fd_table *t, int fd)
{
    int r = -1;
    spin_lock(&t->lock);
    for (unsigned i = (unsigned)MAX(fd, 0); i < t->cap && r < 0; i++)
        if (t->file[i])
            r = (int)i;
    spin_unlock(&t->lock);
    return r;
}
