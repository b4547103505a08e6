/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4: superblock, group descriptors, metadata blocks. `struct ext4_fs` is a
 * mounted volume; it does not change after the mount. Metadata blocks come from
 * a page cache over the device.
 */
#include <linux/errno.h>
#include <linux/magic.h>

#include "core/log.h"
#include "dev/blkdev.h"
#include "fs/ext4/ext4.h"
#include "fs/ext4/ext4_fs.h"
#include "fs/io_batch.h"
#include "lib/crc.h"
#include "mem/kmalloc.h"
#include "mem/page.h"

#define COMPLAINTS_MAX  32
#define SUPER_OFFSET    1024
#define CHECKSUM_CRC32C 1
#define META_AHEAD      4 /* pages read with a metadata block that is missing */

#define KNOWN_INCOMPAT                                                                             \
    (INCOMPAT_FILETYPE | INCOMPAT_RECOVER | INCOMPAT_META_BG | INCOMPAT_EXTENTS | INCOMPAT_64BIT | \
     INCOMPAT_FLEX_BG | INCOMPAT_EA_INODE | INCOMPAT_CSUM_SEED | INCOMPAT_LARGEDIR |               \
     INCOMPAT_INLINE_DATA)

int ext4_bad(struct ext4_fs *fs, const char *what, uint64_t number)
{
    if (fs->complaints < COMPLAINTS_MAX) {
        fs->complaints++;
        log_warn("ext4 %s: %s (%llu)", fs->dev->name, what, (unsigned long long)number);
    }
    return -EIO;
}

static uint64_t device_size(struct page_cache *c)
{
    return CONTAINER_OF(c, struct ext4_fs, meta)->dev->sectors * 512;
}

static int device_read(struct page_cache *c, uint64_t index, struct page **pages, unsigned n)
{
    struct ext4_fs *fs = CONTAINER_OF(c, struct ext4_fs, meta);
    uint64_t size = device_size(c);
    struct io_batch b;
    io_batch_init(&b, fs->dev);
    for (unsigned i = 0; i < n; i++) {
        uint64_t off = (index + i) << PAGE_SHIFT;
        uint32_t len = (uint32_t)MIN(PAGE_SIZE, size - off);
        char *at = page_address(pages[i]);
        io_batch_read(&b, off, at, len);
        memset(at + len, 0, PAGE_SIZE - len);
    }
    return io_batch_finish(&b);
}

static const struct page_cache_ops device_cache_ops = {.read_pages = device_read,
                                                       .size = device_size};

int ext4_block_get(struct ext4_fs *fs, uint64_t number, struct ext4_block *out)
{
    if (number >= fs->blocks)
        return ext4_bad(fs, "block number out of range", number);
    uint64_t off = number << fs->block_shift;
    int err = page_cache_get(&fs->meta, off >> PAGE_SHIFT, META_AHEAD, &out->page);
    if (err)
        return err == -EFAULT ? -EIO : err;
    out->data = (uint8_t *)page_address(out->page) + (off & (PAGE_SIZE - 1));
    return 0;
}

void ext4_block_put(struct ext4_block *b)
{
    page_put(b->page);
}

static bool power_of(uint32_t n, uint32_t base)
{
    while (n % base == 0)
        n /= base;
    return n == 1;
}

/* Whether a group begins with a copy of the superblock. */
static bool group_has_super(const struct ext4_fs *fs, uint32_t group)
{
    if (group == 0)
        return true;
    if (fs->compat & COMPAT_SPARSE_SUPER2)
        return group == fs->backup_group[0] || group == fs->backup_group[1];
    if (!(fs->ro_compat & RO_COMPAT_SPARSE_SUPER) || group == 1)
        return true;
    return power_of(group, 3) || power_of(group, 5) || power_of(group, 7);
}

/* The block that holds the n-th block of descriptors. */
static uint64_t desc_block(const struct ext4_fs *fs, uint32_t n)
{
    if (!(fs->incompat & INCOMPAT_META_BG) || n < fs->first_meta_bg)
        return fs->first_data_block + 1ull + n;
    uint32_t group = n * (fs->block_size / fs->desc_size);
    return fs->first_data_block + (uint64_t)group * fs->blocks_per_group +
           group_has_super(fs, group);
}

static bool desc_valid(const struct ext4_fs *fs, uint32_t group, const uint8_t *d)
{
    static const uint8_t zero[2];
    if (fs->csum) {
        uint32_t c = crc32c(fs->seed, &group, sizeof group);
        c = crc32c(c, d, GD_CHECKSUM);
        c = crc32c(c, zero, sizeof zero);
        c = crc32c(c, d + GD_SIZE_MIN, fs->desc_size - GD_SIZE_MIN);
        return (uint16_t)c == le16(d + GD_CHECKSUM);
    }
    if (!(fs->ro_compat & RO_COMPAT_GDT_CSUM))
        return true;
    uint16_t c = crc16(0xffff, fs->uuid, sizeof fs->uuid);
    c = crc16(c, &group, sizeof group);
    c = crc16(c, d, GD_CHECKSUM);
    c = crc16(c, d + GD_SIZE_MIN, fs->desc_size - GD_SIZE_MIN);
    return c == le16(d + GD_CHECKSUM);
}

int ext4_inode_table(struct ext4_fs *fs, uint32_t group, uint64_t *out)
{
    struct ext4_block b;
    uint32_t per_block = fs->block_size / fs->desc_size;
    int err = ext4_block_get(fs, desc_block(fs, group / per_block), &b);
    if (err)
        return err;
    const uint8_t *d = b.data + (group % per_block) * fs->desc_size;
    if (!desc_valid(fs, group, d))
        err = ext4_bad(fs, "group descriptor checksum", group);
    *out = le32(d + GD_INODE_TABLE);
    if (fs->desc_size >= 64)
        *out |= (uint64_t)le32(d + GD_INODE_TABLE_HI) << 32;
    ext4_block_put(&b);
    return err;
}

static void ext4_statfs(struct fs *base, struct fs_stats *st)
{
    struct ext4_fs *fs = CONTAINER_OF(base, struct ext4_fs, fs);
    *st = (struct fs_stats){.type = EXT4_SUPER_MAGIC,
                            .block_size = fs->block_size,
                            .blocks = fs->blocks,
                            .blocks_free = fs->free_blocks,
                            .files = fs->inodes,
                            .files_free = fs->free_inodes,
                            .name_max = 255};
    if (fs->free_blocks > fs->reserved_blocks)
        st->blocks_available = fs->free_blocks - fs->reserved_blocks;
    memcpy(&st->id, fs->uuid, sizeof st->id);
}

static const struct fs_ops ext4_fs_ops = {.statfs = ext4_statfs};

/* Reads the superblock into 1024 bytes; -EINVAL when it is none. */
static int super_read(struct blkdev *dev, uint8_t *sb)
{
    if (dev->sectors < (SUPER_OFFSET + SB_SIZE) / 512)
        return -EINVAL;
    int err = blkdev_read(dev, SUPER_OFFSET, sb, SB_SIZE);
    if (err)
        return err;
    return le16(sb + SB_MAGIC) == EXT4_MAGIC ? 0 : -EINVAL;
}

int ext4_probe(struct blkdev *dev, char label[17])
{
    uint8_t uuid[16];
    return ext4_identify(dev, label, uuid);
}

int ext4_identify(struct blkdev *dev, char label[17], uint8_t uuid[16])
{
    uint8_t *sb = kmalloc(SB_SIZE);
    if (!sb)
        return -ENOMEM;
    int err = super_read(dev, sb);
    if (!err) {
        memcpy(label, sb + SB_LABEL, 16);
        memcpy(uuid, sb + SB_UUID, 16);
        label[16] = 0;
    }
    kfree(sb);
    return err;
}

/* Refuses what we cannot read, by its name. */
static int super_features(struct ext4_fs *fs)
{
    static const char *const names[32] = {
        [0] = "compression", [3] = "journal_dev", [8] = "mmp",
        [12] = "dirdata",    [16] = "encrypt",    [17] = "casefold",
    };
    uint32_t unknown = fs->incompat & ~(uint32_t)KNOWN_INCOMPAT;
    if (unknown) {
        unsigned bit = (unsigned)__builtin_ctz(unknown);
        log_error("ext4 %s: feature %s (incompat bit %u) is not supported", fs->dev->name,
                  names[bit] ? names[bit] : "unknown", bit);
        return -EINVAL;
    }
    if (fs->incompat & INCOMPAT_RECOVER)
        log_warn("ext4 %s: the journal was not replayed; the last changes may be missing",
                 fs->dev->name);
    return 0;
}

static int super_checksum(struct ext4_fs *fs, const uint8_t *sb)
{
    fs->csum = fs->ro_compat & RO_COMPAT_METADATA_CSUM;
    if (!fs->csum)
        return 0;
    if (sb[SB_CHECKSUM_TYPE] != CHECKSUM_CRC32C)
        return ext4_bad(fs, "unknown kind of checksum", sb[SB_CHECKSUM_TYPE]);
    if (crc32c(~0u, sb, SB_CHECKSUM) != le32(sb + SB_CHECKSUM))
        return ext4_bad(fs, "superblock checksum", 0);
    fs->seed = fs->incompat & INCOMPAT_CSUM_SEED ? le32(sb + SB_CHECKSUM_SEED)
                                                 : crc32c(~0u, sb + SB_UUID, 16);
    return 0;
}

static void super_decode(struct ext4_fs *fs, const uint8_t *sb)
{
    bool wide = fs->incompat & INCOMPAT_64BIT, dynamic = le32(sb + SB_REVISION) > 0;
    fs->blocks = le32(sb + SB_BLOCKS);
    fs->free_blocks = le32(sb + SB_FREE_BLOCKS);
    fs->reserved_blocks = le32(sb + SB_RESERVED);
    if (wide) {
        fs->blocks |= (uint64_t)le32(sb + SB_BLOCKS_HI) << 32;
        fs->free_blocks |= (uint64_t)le32(sb + SB_FREE_BLOCKS_HI) << 32;
        fs->reserved_blocks |= (uint64_t)le32(sb + SB_RESERVED_HI) << 32;
    }
    fs->free_inodes = le32(sb + SB_FREE_INODES);
    fs->inodes = le32(sb + SB_INODES);
    fs->first_data_block = le32(sb + SB_FIRST_DATA_BLOCK);
    fs->blocks_per_group = le32(sb + SB_BLOCKS_PER_GROUP);
    fs->inodes_per_group = le32(sb + SB_INODES_PER_GROUP);
    fs->inode_size = dynamic ? le16(sb + SB_INODE_SIZE) : IN_SIZE_MIN;
    fs->first_ino = dynamic ? le32(sb + SB_FIRST_INO) : 11;
    fs->desc_size = wide ? le16(sb + SB_DESC_SIZE) : GD_SIZE_MIN;
    fs->first_meta_bg = le32(sb + SB_FIRST_META_BG);
    fs->backup_group[0] = le32(sb + SB_BACKUP_GROUPS);
    fs->backup_group[1] = le32(sb + SB_BACKUP_GROUPS + 4);
    fs->hash_unsigned = le32(sb + SB_FLAGS) & 2;
    memcpy(fs->uuid, sb + SB_UUID, sizeof fs->uuid);
    memcpy(fs->hash_seed, sb + SB_HASH_SEED, sizeof fs->hash_seed);
}

static bool power_of_two(uint32_t n)
{
    return n && !(n & (n - 1));
}

/* Whether the numbers fit each other and the device; computes what follows from them. */
static int super_geometry(struct ext4_fs *fs, const uint8_t *sb)
{
    uint32_t log = le32(sb + SB_LOG_BLOCK_SIZE);
    if (log > 2)
        return ext4_bad(fs, "block size above 4096", log);
    fs->block_shift = 10 + log;
    fs->block_size = 1u << fs->block_shift;
    if (fs->blocks > fs->dev->sectors * 512 >> fs->block_shift)
        return ext4_bad(fs, "larger than the device, blocks", fs->blocks);
    if (fs->first_data_block >= fs->blocks || fs->first_data_block != (log == 0))
        return ext4_bad(fs, "first data block", fs->first_data_block);
    if (!power_of_two(fs->inode_size) || fs->inode_size < IN_SIZE_MIN ||
        fs->inode_size > fs->block_size)
        return ext4_bad(fs, "inode size", fs->inode_size);
    if (!power_of_two(fs->desc_size) || fs->desc_size < GD_SIZE_MIN ||
        fs->desc_size > fs->block_size || ((fs->incompat & INCOMPAT_64BIT) && fs->desc_size < 64))
        return ext4_bad(fs, "group descriptor size", fs->desc_size);
    if (fs->blocks_per_group < 8 || !fs->inodes_per_group ||
        fs->inodes_per_group > 8 * fs->block_size)
        return ext4_bad(fs, "group size", fs->blocks_per_group);
    uint64_t groups =
        (fs->blocks - fs->first_data_block + fs->blocks_per_group - 1) / fs->blocks_per_group;
    if (groups > UINT32_MAX || fs->inodes > groups * fs->inodes_per_group)
        return ext4_bad(fs, "number of inodes", fs->inodes);
    fs->groups = (uint32_t)groups;
    return 0;
}

int ext4_mount(struct blkdev *dev, struct fs **out)
{
    struct ext4_fs *fs = kzalloc(sizeof *fs);
    uint8_t *sb = kmalloc(SB_SIZE);
    int err = fs && sb ? super_read(dev, sb) : -ENOMEM;
    if (err)
        goto free;
    fs_prepare(&fs->fs, &ext4_fs_ops, "ext4");
    fs->fs.read_only = true;
    fs->dev = dev;
    if (le32(sb + SB_REVISION) > 0) {
        fs->compat = le32(sb + SB_COMPAT);
        fs->incompat = le32(sb + SB_INCOMPAT);
        fs->ro_compat = le32(sb + SB_RO_COMPAT);
    }
    err = super_features(fs);
    if (!err)
        err = super_checksum(fs, sb);
    if (err)
        goto free;
    super_decode(fs, sb);
    err = super_geometry(fs, sb);
    if (err)
        goto free;
    page_cache_init(&fs->meta, &device_cache_ops, false);
    err = ext4_inode_get(fs, EXT4_ROOT_INO, &fs->fs.root);
    if (!err && !vnode_is_dir(fs->fs.root)) {
        err = ext4_bad(fs, "root inode is no directory", EXT4_ROOT_INO);
        vnode_put(fs->fs.root);
    }
    if (err)
        goto drop;
    kfree(sb);
    *out = &fs->fs;
    return 0;
drop:
    page_cache_fini(&fs->meta);
free:
    kfree(sb);
    kfree(fs);
    return err;
}

void ext4_unmount(struct fs *base)
{
    struct ext4_fs *fs = CONTAINER_OF(base, struct ext4_fs, fs);
    vnode_put(base->root);
    page_cache_fini(&fs->meta);
    kfree(fs);
}
