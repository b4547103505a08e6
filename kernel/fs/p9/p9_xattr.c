/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes of shared files: a value is read from, or written to, a fid
 * that stands for the attribute. Lock: the vnode's.
 */
#include <linux/errno.h>
#include <linux/xattr.h>

#include "fs/p9/p9_node.h"
#include "fs/xattr.h"
#include "lib/string.h"
#include "mem/kmalloc.h"

/* Moves n bytes of an attribute in messages as long as they may be. */
static int value_move(struct p9_fid *f, void *value, size_t n, bool write)
{
    size_t done = 0, most = p9_data_max(f->client);
    while (done < n) {
        struct p9_piece piece = {(char *)value + done, (uint32_t)MIN(n - done, most)};
        ssize_t got = write ? p9_write(f, done, &piece, 1) : p9_read(f, done, &piece, 1);
        if (got <= 0)
            return got < 0 ? (int)got : -EIO;
        done += (size_t)got;
    }
    return 0;
}

/* The value behind a name, or with "" all names: its size; nothing is copied with size 0. */
static int value_get(struct vnode *v, const char *name, void *value, size_t size)
{
    struct p9_fid *path, *fid;
    uint64_t n;
    int err = p9_node_path(p9_node(v), &path);
    if (err)
        return -EOPNOTSUPP; /* it has no name that the host could be asked by */
    err = p9_xattr_walk(path, name, &fid, &n);
    p9_fid_put(path);
    if (err)
        return err;
    if (n > XATTR_VALUE_MAX)
        err = -E2BIG;
    else if (size && n > size)
        err = -ERANGE;
    void *copy = !err && size && n ? kmalloc(n) : NULL; /* the host cannot write to a stack */
    if (!err && size && n && !copy)
        err = -ENOMEM;
    if (copy && !err)
        err = value_move(fid, copy, n, false);
    if (copy && !err)
        memcpy(value, copy, n);
    kfree(copy);
    p9_fid_put(fid);
    return err ? err : (int)n;
}

int p9_xattr_get(struct vnode *v, const char *name, void *value, size_t size)
{
    return value_get(v, name, value, size);
}

int p9_xattr_list(struct vnode *v, char *list, size_t size)
{
    return value_get(v, "", list, size);
}

int p9_xattr_set(struct vnode *v, const char *name, const void *value, size_t size, int flags)
{
    struct p9_fid *path, *fid;
    if (value && !size)
        return -EOPNOTSUPP; /* the protocol takes an empty value for "remove it" */
    int err = p9_node_refresh(p9_node(v));
    if (!err && p9_node_path(p9_node(v), &path))
        err = -EOPNOTSUPP;
    if (err)
        return err;
    err = p9_walk(path, NULL, &fid, NULL);
    p9_fid_put(path);
    if (err)
        return err;
    void *copy = value ? kmemdup(value, size) : NULL;
    if (value && !copy)
        err = -ENOMEM;
    if (!err)
        err = p9_xattr_create(fid, name, size, value ? flags : XATTR_REPLACE);
    if (!err && value)
        err = value_move(fid, copy, size, true);
    kfree(copy);
    if (!err)
        return p9_clunk(fid); /* which sets it */
    p9_fid_put(fid);
    return err;
}
