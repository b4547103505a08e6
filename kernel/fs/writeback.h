/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Write-back: what is dirty, and the kernel thread that writes it: vnodes after
 * half a minute, or sooner when much is dirty; file systems every five seconds
 * while they have something to commit. With nothing dirty it sleeps for ever.
 * Lock: one spinlock guards both lists; it may be taken under a page cache's.
 */
#pragma once

#include "fs/vnode.h"

/* Creates the thread. Without it (unit tests) only syncs write. -ENOMEM. */
int writeback_start(void);
/* Enters the vnode in the list, which holds a reference. No sleep. */
void vnode_set_dirty(struct vnode *v, bool attributes);
bool vnode_is_dirty(const struct vnode *v);
/* A deleted vnode: if only the list and the caller know it, it leaves the list, pages dropped. */
void vnode_forget_dirty(struct vnode *v);
/* Attributes were changed by the generic code. */
void vnode_changed(struct vnode *v);
/* Writes pages and attributes; 0 or the first error. No vnode lock needed. May sleep. */
int vnode_write_back(struct vnode *v);
/* Asks for fs_ops.tick; `now`: before the next period. No sleep. */
void fs_set_dirty(struct fs *fs, bool now);
/* Waits until the thread has no vnode and no file system in hand. May sleep. */
void writeback_wait(void);
/* It is going away: no ticks any more. May sleep. */
void fs_forget_dirty(struct fs *fs);
/* sync(2) for one file system: all its vnodes, then its own sync. */
int fs_sync(struct fs *fs);
/* A thread that makes pages dirty helps to write when there are too many. May sleep. */
void writeback_throttle(struct vnode *v);
