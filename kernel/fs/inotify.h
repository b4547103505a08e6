/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inotify(7): files that tell what happens to other files. The rest of fs/ says
 * what happens by the two inotify_* calls below, after it happened; they may be
 * made with vnode locks held, and cost one load while nobody watches anything.
 */
#pragma once

#include <linux/inotify.h>

#include "fs/vnode.h"

/* flags: O_NONBLOCK. -ENOMEM. */
int inotify_create(uint32_t flags, struct file **out);
/* The watch's number. -EINVAL (no inotify file, no event in the mask), -EEXIST, -ENOMEM. */
int inotify_watch(struct file *f, struct vnode *v, uint32_t mask);
/* -EINVAL. */
int inotify_unwatch(struct file *f, int wd);

extern unsigned inotify_watches; /* how many there are */

/* For inotify_vnode() and inotify_entry(). */
void inotify_tell_vnode(struct vnode *v, uint32_t mask);
void inotify_tell_entry(struct vnode *dir, const char *name, size_t len, uint32_t mask,
                        uint32_t cookie);
/* The vnode lost a name, by unlink or by a rename over it. */
void inotify_unlinked(struct vnode *v);
/* The file system is gone: IN_UNMOUNT, and its watches end. */
void inotify_unmount(const struct fs *fs);

/* Something happened to v: its watches are told, and with its name those of its directory. */
static inline void inotify_vnode(struct vnode *v, uint32_t mask)
{
    if (__atomic_load_n(&inotify_watches, __ATOMIC_RELAXED))
        inotify_tell_vnode(v, mask);
}

/* An entry of a directory changed; `v` is what it names. A cookie pairs the halves of a rename. */
static inline void inotify_entry(struct vnode *dir, const char *name, size_t len,
                                 const struct vnode *v, uint32_t mask, uint32_t cookie)
{
    if (__atomic_load_n(&inotify_watches, __ATOMIC_RELAXED))
        inotify_tell_entry(dir, name, len, mask | (vnode_is_dir(v) ? IN_ISDIR : 0), cookie);
}
