/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes: who may do what, see xattr.h. Storing is the file system's affair. */
#include "fs/xattr.h"

#include <linux/errno.h>
#include <linux/xattr.h>

#include "fs/inotify.h"
#include "fs/writeback.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "sched/clock.h"

static bool has_prefix(const char *name, const char *prefix)
{
    return !strncmp(name, prefix, strlen(prefix));
}

/* May cred read or write (MAY_*) the attribute? */
static int xattr_access(const struct cred *cred, const struct vnode *v, const char *name,
                        unsigned may)
{
    if (has_prefix(name, XATTR_TRUSTED_PREFIX))
        return cred->uid == 0 ? 0 : may & MAY_WRITE ? -EPERM : -ENODATA;
    if (has_prefix(name, XATTR_SECURITY_PREFIX))
        return cred->uid == 0 || !(may & MAY_WRITE) ? 0 : -EPERM;
    if (!has_prefix(name, XATTR_USER_PREFIX))
        return -EOPNOTSUPP;
    if (!vnode_is_regular(v) && !vnode_is_dir(v))
        return may & MAY_WRITE ? -EPERM : -ENODATA;
    if (vnode_is_dir(v) && v->mode & S_ISVTX && may & MAY_WRITE && !vnode_owned(v, cred))
        return -EPERM;
    return vnode_access(v, cred, may);
}

static int name_check(const char *name)
{
    const char *dot = memchr(name, '.', strlen(name));
    if (!*name)
        return -ERANGE;
    return dot && !dot[1] ? -EINVAL : 0;
}

int fs_xattr_get(struct fs_context *ctx, struct vnode *v, const char *name, void *value,
                 size_t size)
{
    int err = name_check(name);
    if (!err)
        err = xattr_access(&ctx->cred, v, name, MAY_READ);
    if (err)
        return err;
    if (!v->ops->xattr_get)
        return -EOPNOTSUPP;
    mutex_lock(&v->lock);
    err = v->ops->xattr_get(v, name, value, size);
    mutex_unlock(&v->lock);
    return err;
}

int fs_xattr_set(struct fs_context *ctx, struct vnode *v, const char *name, const void *value,
                 size_t size, int flags)
{
    int err = name_check(name);
    if (flags & ~(XATTR_CREATE | XATTR_REPLACE))
        return -EINVAL;
    if (size > XATTR_VALUE_MAX)
        return -E2BIG;
    if (!err && v->fs->read_only)
        err = -EROFS;
    if (!err)
        err = xattr_access(&ctx->cred, v, name, MAY_WRITE);
    if (err)
        return err;
    if (!v->ops->xattr_set)
        return -EOPNOTSUPP;
    mutex_lock(&v->lock);
    err = v->ops->xattr_set(v, name, value, size, flags);
    if (!err) {
        v->ctime = (int64_t)clock_wall();
        vnode_changed(v);
    }
    mutex_unlock(&v->lock);
    if (!err)
        inotify_vnode(v, IN_ATTRIB);
    return err;
}

/* The list without the names that are for root only. */
static int list_for_others(struct vnode *v, char *list, size_t size)
{
    static const char hidden[] = "trusted.";
    int all = v->ops->xattr_list(v, NULL, 0), n = 0;
    char *buf = all > 0 ? kmalloc((size_t)all) : NULL;
    if (all <= 0 || !buf)
        return all > 0 ? -ENOMEM : all;
    all = v->ops->xattr_list(v, buf, (size_t)all);
    for (int at = 0, len; at < all; at += len) {
        len = (int)strlen(buf + at) + 1;
        if (!strncmp(buf + at, hidden, sizeof hidden - 1))
            continue;
        if (size && (size_t)(n + len) > size) {
            n = -ERANGE;
            break;
        }
        if (size)
            memcpy(list + n, buf + at, (size_t)len);
        n += len;
    }
    kfree(buf);
    return n;
}

int fs_xattr_list(struct fs_context *ctx, struct vnode *v, char *list, size_t size)
{
    if (!v->ops->xattr_list)
        return 0;
    mutex_lock(&v->lock);
    int err = ctx->cred.uid ? list_for_others(v, list, size) : v->ops->xattr_list(v, list, size);
    mutex_unlock(&v->lock);
    return err;
}
