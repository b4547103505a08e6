/* SPDX-License-Identifier: Apache-2.0 */
/* ext4, what others may call: mounting. */
#pragma once

#include "fs/vnode.h"

struct blkdev;

/*
 * Reads the superblock: 0 and the volume label (terminated, 17 bytes), -EINVAL
 * when it is not an ext2/3/4 file system, -EIO.
 */
int ext4_probe(struct blkdev *dev, char label[17]);
/* The same, and the volume's UUID. */
int ext4_identify(struct blkdev *dev, char label[17], uint8_t uuid[16]);
/*
 * Mounts, writable unless the device or a feature (logged by name) forbids it; a
 * journal is replayed. -EINVAL: not ext4, or a feature we do not know (logged by
 * name); -EIO: damaged, or the disk failed; -ENOMEM.
 */
int ext4_mount(struct blkdev *dev, bool read_only, struct fs **out);
/* Syncs, leaves a clean volume, gives everything back; no vnode may be in use. */
void ext4_unmount(struct fs *fs);
