/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes: names with a prefix that says who may use them: "user."
 * by the file's permissions, "trusted." and "security." for uid 0. The file system
 * stores them (vnode_ops.xattr_*, under the vnode's lock).
 */
#pragma once

#include "fs/path.h"

#define XATTR_VALUE_MAX 65536

/* The value's size; with size 0 nothing is copied. -ENODATA, -ERANGE, -EOPNOTSUPP, -EACCES. */
int fs_xattr_get(struct fs_context *ctx, struct vnode *v, const char *name, void *value,
                 size_t size);
/* value NULL: removes. flags: XATTR_CREATE, XATTR_REPLACE. -EEXIST, -ENODATA, -EPERM, -ENOSPC. */
int fs_xattr_set(struct fs_context *ctx, struct vnode *v, const char *name, const void *value,
                 size_t size, int flags);
/* The names, each terminated: their bytes; as fs_xattr_get(). */
int fs_xattr_list(struct fs_context *ctx, struct vnode *v, char *list, size_t size);
