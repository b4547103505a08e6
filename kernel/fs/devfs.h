/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Character devices: who answers open(2) of a device node, on /dev (a tmpfs
 * filled at boot) or on any file system.
 */
#pragma once

#include "fs/vnode.h"

#define DEV_MAKE(major, minor) ((uint64_t)(major) << 8 | (minor)) /* minor < 256, as st_rdev */

typedef int device_open_fn(struct vnode *v, uint32_t flags, struct file **out);

/* One device number. -ENOSPC when the table is full. At boot only. */
int device_register(uint64_t rdev, device_open_fn *open);
/* Opens a device node's file; -ENXIO when nobody registered its number. */
int device_open(struct vnode *v, uint32_t flags, struct file **out);
/* The file system for /dev. */
int devfs_create(struct fs **out);
