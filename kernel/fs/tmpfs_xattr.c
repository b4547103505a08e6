/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes of tmpfs: a list a node. Lock: the vnode's. */
#include <linux/errno.h>
#include <linux/xattr.h>

#include "fs/tmpfs_node.h"
#include "fs/xattr.h"
#include "lib/string.h"
#include "mem/kmalloc.h"

#define TOTAL_MAX (128u << 10) /* bytes of names and values a node may have */

struct tmp_xattr {
    struct tmp_xattr *next;
    size_t name_len, size;
    char bytes[]; /* the name, terminated, and the value */
};

/* The pointer that leads to the attribute, or to the end. */
static struct tmp_xattr **find(struct tmp_node *n, const char *name)
{
    struct tmp_xattr **at = &n->xattrs;
    while (*at && strcmp((*at)->bytes, name))
        at = &(*at)->next;
    return at;
}

int tmpfs_xattr_get(struct vnode *v, const char *name, void *value, size_t size)
{
    const struct tmp_xattr *x = *find(tmp_node(v), name);
    if (!x)
        return -ENODATA;
    if (size && size < x->size)
        return -ERANGE;
    if (size)
        memcpy(value, x->bytes + x->name_len + 1, x->size);
    return (int)x->size;
}

static size_t bytes_of(const struct tmp_node *n)
{
    size_t sum = 0;
    for (const struct tmp_xattr *x = n->xattrs; x; x = x->next)
        sum += sizeof *x + x->name_len + 1 + x->size;
    return sum;
}

static void remove_at(struct tmp_xattr **at)
{
    struct tmp_xattr *x = *at;
    *at = x->next;
    kfree(x);
}

int tmpfs_xattr_set(struct vnode *v, const char *name, const void *value, size_t size, int flags)
{
    struct tmp_node *n = tmp_node(v);
    struct tmp_xattr **at = find(n, name);
    if (!*at && (!value || flags & XATTR_REPLACE))
        return -ENODATA;
    if (*at && value && flags & XATTR_CREATE)
        return -EEXIST;
    if (value) {
        size_t len = strlen(name), all = sizeof(struct tmp_xattr) + len + 1 + size;
        if (bytes_of(n) + all > TOTAL_MAX)
            return -ENOSPC;
        struct tmp_xattr *x = kmalloc(all);
        if (!x)
            return -ENOMEM;
        *x = (struct tmp_xattr){.next = n->xattrs, .name_len = len, .size = size};
        memcpy(x->bytes, name, len + 1);
        memcpy(x->bytes + len + 1, value, size);
        if (*at)
            remove_at(at);
        x->next = n->xattrs;
        n->xattrs = x;
    } else {
        remove_at(at);
    }
    return 0;
}

int tmpfs_xattr_list(struct vnode *v, char *list, size_t size)
{
    size_t at = 0;
    for (const struct tmp_xattr *x = tmp_node(v)->xattrs; x; x = x->next) {
        if (size && at + x->name_len + 1 > size)
            return -ERANGE;
        if (size)
            memcpy(list + at, x->bytes, x->name_len + 1);
        at += x->name_len + 1;
    }
    return (int)at;
}

void tmpfs_xattr_free(struct tmp_node *n)
{
    while (n->xattrs)
        remove_at(&n->xattrs);
}
