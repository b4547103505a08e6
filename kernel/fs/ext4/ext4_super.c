/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4: superblock, mounting, metadata blocks. `struct ext4_fs` is a mounted
 * volume. Metadata blocks come from a page cache over the device. The first change
 * (ext4_open()) notes on the disk that the volume is in use, the end of the
 * machine (ext4_end_fs()) that it is clean again.
 */
#include <linux/errno.h>
#include <linux/magic.h>

#include "core/log.h"
#include "dev/blkdev.h"
#include "fs/ext4/ext4.h"
#include "fs/ext4/ext4_journal.h"
#include "fs/io_batch.h"
#include "fs/writeback.h"
#include "lib/crc.h"
#include "mem/kmalloc.h"
#include "mem/page.h"
#include "sched/clock.h"

#define COMPLAINTS_MAX  32
#define SUPER_OFFSET    1024
#define CHECKSUM_CRC32C 1
#define META_AHEAD      4 /* pages read with a metadata block that is missing */

#define KNOWN_INCOMPAT                                                                             \
    (INCOMPAT_FILETYPE | INCOMPAT_RECOVER | INCOMPAT_META_BG | INCOMPAT_EXTENTS | INCOMPAT_64BIT | \
     INCOMPAT_FLEX_BG | INCOMPAT_EA_INODE | INCOMPAT_CSUM_SEED | INCOMPAT_LARGEDIR |               \
     INCOMPAT_INLINE_DATA)

#define KNOWN_RO_COMPAT                                                                            \
    (RO_COMPAT_SPARSE_SUPER | RO_COMPAT_LARGE_FILE | RO_COMPAT_HUGE_FILE | RO_COMPAT_GDT_CSUM |    \
     RO_COMPAT_DIR_NLINK | RO_COMPAT_EXTRA_ISIZE | RO_COMPAT_METADATA_CSUM)

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
    out->number = number;
    return 0;
}

void ext4_block_put(struct ext4_block *b)
{
    page_put(b->page);
}

static void ext4_statfs(struct fs *base, struct fs_stats *st)
{
    struct ext4_fs *fs = CONTAINER_OF(base, struct ext4_fs, fs);
    if (!fs->fs.read_only)
        ext4_reap(fs);
    uint64_t reserved = __atomic_load_n(&fs->reserved, __ATOMIC_RELAXED);
    uint64_t free = fs->free_blocks > reserved ? fs->free_blocks - reserved : 0;
    *st = (struct fs_stats){.type = EXT4_SUPER_MAGIC,
                            .block_size = fs->block_size,
                            .blocks = fs->blocks - fs->overhead,
                            .blocks_free = free,
                            .files = fs->inodes,
                            .files_free = fs->free_inodes,
                            .name_max = 255};
    if (free > fs->reserved_blocks)
        st->blocks_available = free - fs->reserved_blocks;
    memcpy(&st->id, fs->uuid, sizeof st->id);
}

/* The block that holds the superblock, and where in it. */
static int super_get(struct ext4_fs *fs, struct ext4_block *b, uint8_t **sb)
{
    int err = ext4_block_get(fs, SUPER_OFFSET >> fs->block_shift, b);
    if (!err)
        *sb = b->data + (SUPER_OFFSET & (fs->block_size - 1));
    return err;
}

static void super_encode(struct ext4_fs *fs, uint8_t *sb)
{
    put32(sb + SB_FREE_BLOCKS, fs->free_blocks);
    if (fs->incompat & INCOMPAT_64BIT)
        put32(sb + SB_FREE_BLOCKS_HI, fs->free_blocks >> 32);
    put32(sb + SB_FREE_INODES, fs->free_inodes);
    put32(sb + SB_WRITE_TIME, clock_wall() / NSEC_PER_SEC);
    if (fs->csum)
        put32(sb + SB_CHECKSUM, crc32c(~0u, sb, SB_CHECKSUM));
}

int ext4_super_store(struct ext4_fs *fs, void (*edit)(struct ext4_fs *fs, uint8_t *sb))
{
    struct ext4_block b;
    uint8_t *sb;
    int err = super_get(fs, &b, &sb);
    if (err)
        return err;
    err = ext4_block_change(fs, &b);
    if (!err && edit)
        edit(fs, sb);
    if (!err)
        super_encode(fs, sb);
    ext4_block_put(&b);
    return err;
}

/* The same past the journal: at once and for good. Nothing of it is in a transaction. */
static int super_write(struct ext4_fs *fs, void (*edit)(struct ext4_fs *fs, uint8_t *sb))
{
    struct ext4_block b;
    uint8_t *sb;
    int err = super_get(fs, &b, &sb);
    if (err)
        return err;
    edit(fs, sb);
    super_encode(fs, sb);
    err = blkdev_write(fs->dev, b.number << fs->block_shift, b.data, fs->block_size);
    ext4_block_put(&b);
    return err ? err : blkdev_flush(fs->dev);
}

static void super_in_use(struct ext4_fs *fs, uint8_t *sb)
{
    if (fs->journal->size)
        put32(sb + SB_INCOMPAT, le32(sb + SB_INCOMPAT) | INCOMPAT_RECOVER);
    else
        put16(sb + SB_STATE, le16(sb + SB_STATE) & ~(uint32_t)STATE_CLEAN);
}

static void super_clean(struct ext4_fs *fs, uint8_t *sb)
{
    (void)fs;
    put32(sb + SB_INCOMPAT, le32(sb + SB_INCOMPAT) & ~(uint32_t)INCOMPAT_RECOVER);
    put16(sb + SB_STATE, le16(sb + SB_STATE) | STATE_CLEAN);
}

int ext4_open(struct ext4_fs *fs)
{
    struct ext4_journal *j = fs->journal;
    int err = super_write(fs, super_in_use);
    if (!err && j->size)
        err = jlog_super_write(fs, j->running.tid, j->head);
    if (err)
        return ext4_abort(fs, err);
    fs->opened = true;
    return 0;
}

static int ext4_sync(struct fs *base)
{
    struct ext4_fs *fs = CONTAINER_OF(base, struct ext4_fs, fs);
    ext4_reap(fs);
    return fs->journal ? ext4_commit(fs, ext4_tid(fs)) : 0;
}

static bool ext4_tick(struct fs *base, bool due)
{
    struct ext4_fs *fs = CONTAINER_OF(base, struct ext4_fs, fs);
    bool more = ext4_reap(fs);
    if (due)
        ext4_commit_running(fs);
    return more || fs->journal->running.count;
}

/* Everything is written and nobody writes any more: leaves a clean volume. */
static void ext4_end_fs(struct fs *base)
{
    struct ext4_fs *fs = CONTAINER_OF(base, struct ext4_fs, fs);
    struct ext4_journal *j = fs->journal;
    if (!fs->opened || j->aborted)
        return;
    ext4_reap(fs);
    int err = ext4_journal_empty(fs);
    mutex_lock(&fs->op);
    fs->ended = true;
    if (!err && j->size)
        err = jlog_super_write(fs, j->running.tid, 0);
    if (!err && list_empty(&fs->orphans)) /* else the journal's owner has to look at them */
        err = super_write(fs, super_clean);
    mutex_unlock(&fs->op);
    if (err)
        log_error("ext4 %s: error %d at the end: not clean", fs->dev->name, -err);
}

static const struct fs_ops ext4_fs_ops = {
    .statfs = ext4_statfs,
    .sync = ext4_sync,
    .tick = ext4_tick,
    .end = ext4_end_fs,
    .unmount = ext4_unmount,
    .trim = ext4_trim,
};

/* Reads the superblock into 1024 bytes; -EINVAL when it is none. */
static int super_read(struct blkdev *dev, uint8_t *sb)
{
    uint32_t block = dev->block_size; /* the disk is read by whole ones */
    uint64_t at = SUPER_OFFSET / block * block;
    uint32_t size = MAX(block, (uint32_t)SB_SIZE);
    if (dev->sectors < (at + size) / 512)
        return -EINVAL;
    uint8_t *buf = block > SB_SIZE ? kmalloc(size) : sb;
    if (!buf)
        return -ENOMEM;
    int err = blkdev_read(dev, at, buf, size);
    if (!err && buf != sb)
        memcpy(sb, buf + (SUPER_OFFSET - at), SB_SIZE);
    if (buf != sb)
        kfree(buf);
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
    return 0;
}

/* Why the file system must stay as it is: a name for the log, or NULL. */
static const char *read_only_reason(const struct ext4_fs *fs, const uint8_t *sb)
{
    static const char *const names[32] = {
        [8] = "quota",    [9] = "bigalloc",       [11] = "replica", [12] = "read-only",
        [13] = "project", [14] = "shared_blocks", [15] = "verity",  [16] = "orphan_file",
    };
    uint32_t unknown = fs->ro_compat & ~(uint32_t)KNOWN_RO_COMPAT;
    if (unknown) {
        const char *name = names[__builtin_ctz(unknown)];
        return name ? name : "of an unknown kind";
    }
    if (fs->incompat & INCOMPAT_EA_INODE)
        return "ea_inode";
    if (!(fs->incompat & INCOMPAT_EXTENTS))
        return "block maps without extents";
    if (le32(sb + SB_JOURNAL_DEV))
        return "journal on another device";
    if (le16(sb + SB_STATE) & STATE_ERROR)
        return "errors (run e2fsck)";
    if (!(fs->compat & COMPAT_JOURNAL) && !(le16(sb + SB_STATE) & STATE_CLEAN))
        return "no journal, and was not unmounted (run e2fsck)";
    return NULL;
}

/* Writable, as far as the device and the features allow it. */
static int super_writable(struct ext4_fs *fs, const uint8_t *sb)
{
    const char *reason = read_only_reason(fs, sb);
    bool dirty = fs->incompat & INCOMPAT_RECOVER;
    if (fs->dev->read_only) {
        if (dirty)
            log_warn("ext4 %s: the journal was not replayed, the disk is read-only; the last "
                     "changes may be missing",
                     fs->dev->name);
        return 0;
    }
    if (reason && dirty) {
        log_error("ext4 %s: %s, and the journal is not empty", fs->dev->name, reason);
        return -EINVAL;
    }
    if (reason) {
        log_warn("ext4 %s: read-only: %s", fs->dev->name, reason);
        return 0;
    }
    fs->fs.read_only = false;
    int err =
        ext4_journal_load(fs, fs->compat & COMPAT_JOURNAL ? le32(sb + SB_JOURNAL_INO) : 0, dirty);
    if (!err && ext4_journal_failed(fs)) {
        log_warn("ext4 %s: read-only: the journal was given up (run e2fsck)", fs->dev->name);
        fs->fs.read_only = true;
    }
    if (err && !dirty) {
        log_warn("ext4 %s: read-only: the journal cannot be used", fs->dev->name);
        fs->fs.read_only = true;
        return 0;
    }
    return err;
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
    fs->overhead = le32(sb + SB_OVERHEAD);
    if (fs->overhead >= fs->blocks)
        fs->overhead = 0;
    fs->reserved_desc = le16(sb + SB_RESERVED_DESC);
    fs->log_flex = sb[SB_LOG_FLEX];
    fs->hash_version = sb[SB_HASH_VERSION];
    fs->want_extra = fs->inode_size > IN_SIZE_MIN ? le16(sb + SB_WANT_EXTRA) : 0;
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
    if (fs->block_size < fs->dev->block_size) {
        log_error("ext4 %s: blocks of %u bytes, but the disk has %u", fs->dev->name, fs->block_size,
                  fs->dev->block_size);
        return -EINVAL;
    }
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
    if (fs->blocks_per_group < 8 || fs->blocks_per_group % 8 || !fs->inodes_per_group ||
        fs->inodes_per_group % 8 || fs->inodes_per_group > 8 * fs->block_size ||
        (fs->blocks_per_group > 8 * fs->block_size && !(fs->ro_compat & RO_COMPAT_BIGALLOC)))
        return ext4_bad(fs, "group size", fs->blocks_per_group);
    uint64_t groups =
        (fs->blocks - fs->first_data_block + fs->blocks_per_group - 1) / fs->blocks_per_group;
    if (groups > UINT32_MAX || fs->inodes > groups * fs->inodes_per_group)
        return ext4_bad(fs, "number of inodes", fs->inodes);
    fs->groups = (uint32_t)groups;
    if (fs->want_extra > fs->inode_size - IN_SIZE_MIN || fs->want_extra & 3)
        fs->want_extra = MIN(28u, fs->inode_size - IN_SIZE_MIN);
    return 0;
}

/* Decodes the superblock; fs->dev is set. */
static int super_load(struct ext4_fs *fs, uint8_t *sb)
{
    int err = super_read(fs->dev, sb);
    if (err)
        return err;
    if (le32(sb + SB_REVISION) > 0) {
        fs->compat = le32(sb + SB_COMPAT);
        fs->incompat = le32(sb + SB_INCOMPAT);
        fs->ro_compat = le32(sb + SB_RO_COMPAT);
    }
    err = super_features(fs);
    if (!err)
        err = super_checksum(fs, sb);
    if (err)
        return err;
    super_decode(fs, sb);
    return super_geometry(fs, sb);
}

/* Replays the journal; what was read before that is read again. */
static int mount_writable(struct ext4_fs *fs, uint8_t *sb)
{
    bool dirty = fs->incompat & INCOMPAT_RECOVER;
    int err = super_writable(fs, sb);
    if (err || !dirty || fs->fs.read_only)
        return err;
    page_cache_drop(&fs->meta, 0, UINT64_MAX);
    ext4_groups_forget(fs);
    err = super_load(fs, sb);
    if (!err)
        err = super_write(fs, super_clean);
    return err;
}

static int mount_root(struct ext4_fs *fs, const uint8_t *sb)
{
    int err = ext4_inode_get(fs, EXT4_ROOT_INO, false, &fs->fs.root);
    if (!err && !vnode_is_dir(fs->fs.root)) {
        err = ext4_bad(fs, "root inode is no directory", EXT4_ROOT_INO);
        vnode_put(fs->fs.root);
    }
    if (err || fs->fs.read_only || !le32(sb + SB_LAST_ORPHAN))
        return err;
    err = ext4_orphan_finish(fs, le32(sb + SB_LAST_ORPHAN));
    if (err)
        vnode_put(fs->fs.root);
    return err;
}

static void fs_free(struct ext4_fs *fs)
{
    fs_forget_dirty(&fs->fs);
    for (struct ext4_inode *n; (n = fs->reap);) { /* could not be freed on the disk */
        fs->reap = n->reap_next;
        ext4_inode_discard(n);
    }
    for (unsigned i = 0; i < 2; i++) {
        for (uint32_t g = 0; fs->pending[i].bitmap && g < fs->groups; g++)
            kfree(fs->pending[i].bitmap[g]);
        kfree(fs->pending[i].bitmap);
    }
    ext4_journal_free(fs);
    kfree(fs->group_state);
    if (fs->meta.ops)
        page_cache_fini(&fs->meta);
    blkdev_put(fs->dev);
    kfree(fs);
}

int ext4_mount(struct blkdev *dev, bool read_only, struct fs **out)
{
    struct ext4_fs *fs = kzalloc(sizeof *fs);
    uint8_t *sb = kmalloc(SB_SIZE);
    if (!fs || !sb) {
        kfree(sb);
        kfree(fs);
        return -ENOMEM;
    }
    fs_prepare(&fs->fs, &ext4_fs_ops, "ext4");
    fs->fs.read_only = true;
    blkdev_get(dev);
    fs->dev = dev;
    mutex_init(&fs->op);
    mutex_init(&fs->reaping);
    mutex_init(&fs->load_lock);
    list_init(&fs->orphans);
    int err = super_load(fs, sb);
    if (err)
        goto free;
    page_cache_init(&fs->meta, &device_cache_ops, false);
    err = ext4_groups_init(fs);
    if (!err)
        err = mount_writable(fs, sb);
    if (!err)
        err = mount_root(fs, sb);
    if (err)
        goto free;
    fs->fs.read_only |= read_only;
    fs->fs.size_limit = ext4_size_limit(fs);
    kfree(sb);
    *out = &fs->fs;
    return 0;
free:
    kfree(sb);
    fs_free(fs);
    return err;
}

void ext4_unmount(struct fs *base)
{
    struct ext4_fs *fs = CONTAINER_OF(base, struct ext4_fs, fs);
    fs_sync(base);
    vnode_put(base->root);
    if (fs->journal)
        ext4_end_fs(base);
    fs_free(fs);
}
