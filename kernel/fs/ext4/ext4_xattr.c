/* SPDX-License-Identifier: Apache-2.0 */
/* ext4: extended attributes. */
#include <linux/errno.h>

#include "fs/ext4/ext4_fs.h"

int ext4_xattr_free(struct ext4_inode *n)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    if (!n->xattr_block)
        return 0;
    struct ext4_block b;
    int err = ext4_block_get(fs, n->xattr_block, &b);
    if (err)
        return err;
    uint32_t refs = le32(b.data + 4);
    (void)refs;
    ext4_block_put(&b);
    err = ext4_free(fs, n->xattr_block, 1, true);
    n->xattr_block = 0;
    n->v.blocks -= fs->block_size / 512;
    return err;
}

int ext4_inline_out(struct ext4_inode *n)
{
    (void)n;
    return -EOPNOTSUPP;
}
