/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tmpfs: files, directories, links and device nodes in memory. A file's pages
 * live in its page cache only, so mmap, read and write share them.
 */
#pragma once

#include "fs/vnode.h"

/* `limit`: most bytes of content, shared with nobody; 0: half of RAM. `mode` of the root. */
int tmpfs_create(struct fs **out, const char *type, uint64_t limit, uint32_t mode);
/*
 * An unnamed regular file with one reference (memfd, shared anonymous memory), on
 * a hidden tmpfs that is made at the first call. `label` is what it is called in
 * /proc/self/maps; it can be sealed once its owner clears F_SEAL_SEAL.
 */
int tmpfs_anonymous(const char *label, uint32_t mode, uint64_t size, struct vnode **out);
/* For tests: frees the tree; nothing may be in use. */
void tmpfs_destroy(struct fs *fs);
