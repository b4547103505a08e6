/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 9P2000.L: directories of the host, live (`ops run --share`). Names and attributes are
 * the host's of this moment, reads and writes go to it; mappings are written back by
 * msync, close and soon after munmap. File locks are the kernel's own: QEMU grants each
 * one it is asked for, without looking. renameat2's flags and O_TMPFILE are refused, as
 * Linux refuses them here; so is an extended attribute without content.
 */
#pragma once

#include "dev/p9_channel.h"
#include "fs/vnode.h"

/*
 * Mounts the directory behind a channel. `uid`: whose the files are that are made, if
 * the host lets us. -EIO, -EPROTONOSUPPORT, -ENOTDIR, -ENOMEM. Sleeps.
 */
int p9_mount(struct p9_channel *channel, uint32_t uid, bool read_only, struct fs **out);
/* Frees a mount that nobody uses. */
void p9_unmount(struct fs *fs);
