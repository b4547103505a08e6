/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4: group descriptors and the two bitmaps of a group. A group that was never
 * used has no bitmaps on the disk yet: they are made here when first asked for.
 */
#include <linux/errno.h>

#include "fs/ext4/ext4_fs.h"
#include "lib/crc.h"
#include "mem/kmalloc.h"

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

static uint32_t desc_per_block(const struct ext4_fs *fs)
{
    return fs->block_size / fs->desc_size;
}

/* The block that holds the n-th block of descriptors. */
static uint64_t desc_block(const struct ext4_fs *fs, uint32_t n)
{
    if (!(fs->incompat & INCOMPAT_META_BG) || n < fs->first_meta_bg)
        return fs->first_data_block + 1ull + n;
    uint32_t group = n * desc_per_block(fs);
    return ext4_group_first(fs, group) + group_has_super(fs, group);
}

uint64_t ext4_group_first(const struct ext4_fs *fs, uint32_t group)
{
    return fs->first_data_block + (uint64_t)group * fs->blocks_per_group;
}

uint32_t ext4_group_blocks(const struct ext4_fs *fs, uint32_t group)
{
    return (uint32_t)MIN((uint64_t)fs->blocks_per_group, fs->blocks - ext4_group_first(fs, group));
}

static uint16_t desc_csum(const struct ext4_fs *fs, uint32_t group, const uint8_t *d)
{
    static const uint8_t zero[2];
    if (fs->csum) {
        uint32_t c = crc32c(fs->seed, &group, sizeof group);
        c = crc32c(c, d, GD_CHECKSUM);
        c = crc32c(c, zero, sizeof zero);
        return (uint16_t)crc32c(c, d + GD_SIZE_MIN, fs->desc_size - GD_SIZE_MIN);
    }
    uint16_t c = crc16(0xffff, fs->uuid, sizeof fs->uuid);
    c = crc16(c, &group, sizeof group);
    c = crc16(c, d, GD_CHECKSUM);
    return crc16(c, d + GD_SIZE_MIN, fs->desc_size - GD_SIZE_MIN);
}

static bool desc_csummed(const struct ext4_fs *fs)
{
    return fs->csum || (fs->ro_compat & RO_COMPAT_GDT_CSUM);
}

/* Per group, in fs->group_state: as for blocks, checksums are compared once and computed late. */
enum {
    DESC_KNOWN = 1,
    BLOCKS_CHANGED = 2, /* the checksum of that bitmap and the descriptor's are to be computed */
    INODES_CHANGED = 4,
};

int ext4_groups_init(struct ext4_fs *fs)
{
    fs->group_state = kzalloc(fs->groups);
    return fs->group_state ? 0 : -ENOMEM;
}

void ext4_groups_forget(struct ext4_fs *fs)
{
    memset(fs->group_state, 0, fs->groups);
}

static bool state_has(const struct ext4_fs *fs, uint32_t group, uint8_t bit)
{
    return __atomic_load_n(&fs->group_state[group], __ATOMIC_ACQUIRE) & bit;
}

static void state_add(struct ext4_fs *fs, uint32_t group, uint8_t bit)
{
    __atomic_fetch_or(&fs->group_state[group], bit, __ATOMIC_RELEASE);
}

/*
 * Readers of the inode table's place come without `op`: one that found the checksum wrong because
 * somebody else had just begun to change the descriptor sees that it is known now.
 */
static bool desc_valid(struct ext4_fs *fs, uint32_t group, const uint8_t *desc)
{
    if (state_has(fs, group, DESC_KNOWN))
        return true;
    if (desc_csummed(fs) && desc_csum(fs, group, desc) != le16(desc + GD_CHECKSUM))
        return state_has(fs, group, DESC_KNOWN);
    state_add(fs, group, DESC_KNOWN);
    return true;
}

int ext4_group_get(struct ext4_fs *fs, uint32_t group, struct ext4_group *out)
{
    int err = ext4_block_get(fs, desc_block(fs, group / desc_per_block(fs)), &out->b);
    if (err)
        return err;
    out->number = group;
    out->desc = out->b.data + (group % desc_per_block(fs)) * fs->desc_size;
    if (desc_valid(fs, group, out->desc))
        return 0;
    ext4_block_put(&out->b);
    return ext4_bad(fs, "group descriptor checksum", group);
}

void ext4_group_put(struct ext4_group *g)
{
    ext4_block_put(&g->b);
}

static uint64_t field_part(const uint8_t *at, unsigned size)
{
    return size == 2 ? le16(at) : le32(at);
}

uint64_t ext4_group_field(const struct ext4_fs *fs, const struct ext4_group *g, unsigned low,
                          unsigned high, unsigned size)
{
    uint64_t v = field_part(g->desc + low, size);
    if (fs->desc_size >= 64)
        v |= field_part(g->desc + high, size) << (size * 8);
    return v;
}

void ext4_group_set(const struct ext4_fs *fs, struct ext4_group *g, unsigned low, unsigned high,
                    unsigned size, uint64_t value)
{
    bool wide = fs->desc_size >= 64;
    if (size == 2) {
        put16(g->desc + low, (uint32_t)value & 0xffff);
        if (wide)
            put16(g->desc + high, (uint32_t)(value >> 16));
    } else {
        put32(g->desc + low, value);
        if (wide)
            put32(g->desc + high, value >> 32);
    }
}

int ext4_inode_table(struct ext4_fs *fs, uint32_t group, uint64_t *out)
{
    struct ext4_group g;
    int err = ext4_group_get(fs, group, &g);
    if (err)
        return err;
    *out = ext4_group_field(fs, &g, GD_INODE_TABLE, GD_INODE_TABLE_HI, 4);
    ext4_group_put(&g);
    return 0;
}

static void bits_set(uint8_t *map, uint64_t from, uint64_t to)
{
    for (; from < to; from++)
        map[from / 8] |= (uint8_t)(1 << from % 8);
}

/* Marks those of the blocks that lie in the group. */
static void mark_in_group(const struct ext4_fs *fs, uint32_t group, uint8_t *map, uint64_t start,
                          uint64_t count)
{
    uint64_t first = ext4_group_first(fs, group), end = first + ext4_group_blocks(fs, group);
    if (start < end && start + count > first)
        bits_set(map, MAX(start, first) - first, MIN(start + count, end) - first);
}

/* How many blocks at the start of a group are superblock, descriptors and room for them to grow. */
static uint64_t base_blocks(const struct ext4_fs *fs, uint32_t group)
{
    uint64_t n = group_has_super(fs, group);
    uint32_t blocks = (fs->groups + desc_per_block(fs) - 1) / desc_per_block(fs);
    if (!(fs->incompat & INCOMPAT_META_BG))
        return n ? n + blocks + fs->reserved_desc : 0;
    if (group / desc_per_block(fs) < fs->first_meta_bg)
        return n ? n + fs->first_meta_bg : 0;
    uint32_t in_meta = group % desc_per_block(fs);
    return n + (in_meta == 0 || in_meta == 1 || in_meta == desc_per_block(fs) - 1);
}

/* The bitmap of a group whose blocks were never used: only its own metadata. */
static void block_bitmap_make(struct ext4_fs *fs, struct ext4_group *g, uint8_t *map)
{
    uint32_t blocks = ext4_group_blocks(fs, g->number);
    memset(map, 0, fs->block_size);
    bits_set(map, 0, base_blocks(fs, g->number));
    mark_in_group(fs, g->number, map,
                  ext4_group_field(fs, g, GD_BLOCK_BITMAP, GD_BLOCK_BITMAP_HI, 4), 1);
    mark_in_group(fs, g->number, map,
                  ext4_group_field(fs, g, GD_INODE_BITMAP, GD_INODE_BITMAP_HI, 4), 1);
    mark_in_group(fs, g->number, map, ext4_group_field(fs, g, GD_INODE_TABLE, GD_INODE_TABLE_HI, 4),
                  ((uint64_t)fs->inodes_per_group * fs->inode_size + fs->block_size - 1) >>
                      fs->block_shift);
    bits_set(map, blocks, fs->block_size * 8ull);
}

/* What differs between the two bitmaps of a group. */
struct bitmap {
    unsigned at, at_hi, csum, csum_hi; /* fields of the descriptor */
    unsigned uninit;                   /* flag of the descriptor: nothing on the disk yet */
    uint8_t changed;                   /* bit of the group's state */
    const char *bad;
};

static const struct bitmap of_blocks = {.at = GD_BLOCK_BITMAP,
                                        .at_hi = GD_BLOCK_BITMAP_HI,
                                        .csum = GD_BLOCK_CSUM,
                                        .csum_hi = GD_BLOCK_CSUM_HI,
                                        .uninit = GROUP_BLOCK_UNINIT,
                                        .changed = BLOCKS_CHANGED,
                                        .bad = "block bitmap checksum, group"};
static const struct bitmap of_inodes = {.at = GD_INODE_BITMAP,
                                        .at_hi = GD_INODE_BITMAP_HI,
                                        .csum = GD_INODE_CSUM,
                                        .csum_hi = GD_INODE_CSUM_HI,
                                        .uninit = GROUP_INODE_UNINIT,
                                        .changed = INODES_CHANGED,
                                        .bad = "inode bitmap checksum, group"};

static uint32_t bitmap_csum(const struct ext4_fs *fs, const struct bitmap *kind, const uint8_t *map)
{
    uint32_t bits = kind == &of_blocks ? fs->blocks_per_group : fs->inodes_per_group;
    return crc32c(fs->seed, map, bits / 8);
}

/* Checksum fields are halves of 16 bits; short descriptors have only the lower one. */
static bool bitmap_valid(struct ext4_fs *fs, const struct bitmap *kind, const struct ext4_group *g,
                         const struct ext4_block *b)
{
    if (ext4_block_known(fs, b))
        return true;
    if (fs->csum) {
        uint32_t c = bitmap_csum(fs, kind, b->data);
        if (ext4_group_field(fs, g, kind->csum, kind->csum_hi, 2) !=
            (fs->desc_size >= 64 ? c : c & 0xffff))
            return false;
    }
    ext4_block_set_known(fs, b);
    return true;
}

static void bitmap_changed(struct ext4_fs *fs, const struct bitmap *kind,
                           const struct ext4_group *g)
{
    state_add(fs, g->number, kind->changed);
    if (fs->unsealed_first == fs->unsealed_end)
        fs->unsealed_first = fs->unsealed_end = g->number;
    fs->unsealed_first = MIN(fs->unsealed_first, g->number);
    fs->unsealed_end = MAX(fs->unsealed_end, g->number + 1);
}

/* The first use of a group's bitmap: made in memory, part of the operation under way. */
static int bitmap_begin(struct ext4_fs *fs, const struct bitmap *kind, struct ext4_group *g,
                        struct ext4_block *b)
{
    int err = ext4_block_change(fs, b);
    if (!err)
        err = ext4_block_change(fs, &g->b);
    if (err)
        return err;
    if (kind == &of_blocks) {
        block_bitmap_make(fs, g, b->data);
    } else {
        memset(b->data, 0, fs->block_size);
        bits_set(b->data, fs->inodes_per_group, fs->block_size * 8ull);
    }
    put16(g->desc + GD_FLAGS, le16(g->desc + GD_FLAGS) & ~kind->uninit);
    ext4_block_set_known(fs, b);
    bitmap_changed(fs, kind, g);
    return 0;
}

static int bitmap_get(struct ext4_fs *fs, const struct bitmap *kind, struct ext4_group *g,
                      struct ext4_block *out)
{
    bool fresh = desc_csummed(fs) && le16(g->desc + GD_FLAGS) & kind->uninit;
    int err = ext4_block_get(fs, ext4_group_field(fs, g, kind->at, kind->at_hi, 4), out);
    if (err)
        return err;
    if (fresh)
        err = bitmap_begin(fs, kind, g, out);
    else if (!bitmap_valid(fs, kind, g, out))
        err = ext4_bad(fs, kind->bad, g->number);
    if (err)
        ext4_block_put(out);
    return err;
}

int ext4_block_bitmap(struct ext4_fs *fs, struct ext4_group *g, struct ext4_block *out)
{
    return bitmap_get(fs, &of_blocks, g, out);
}

int ext4_inode_bitmap(struct ext4_fs *fs, struct ext4_group *g, struct ext4_block *out)
{
    return bitmap_get(fs, &of_inodes, g, out);
}

void ext4_block_bitmap_changed(struct ext4_fs *fs, const struct ext4_group *g)
{
    bitmap_changed(fs, &of_blocks, g);
}

void ext4_inode_bitmap_changed(struct ext4_fs *fs, const struct ext4_group *g)
{
    bitmap_changed(fs, &of_inodes, g);
}

static int bitmap_seal(struct ext4_fs *fs, const struct bitmap *kind, struct ext4_group *g)
{
    struct ext4_block b;
    if (!fs->csum || !state_has(fs, g->number, kind->changed))
        return 0;
    int err = ext4_block_get(fs, ext4_group_field(fs, g, kind->at, kind->at_hi, 4), &b);
    if (err)
        return err;
    ext4_group_set(fs, g, kind->csum, kind->csum_hi, 2, bitmap_csum(fs, kind, b.data));
    ext4_block_put(&b);
    return 0;
}

static int group_seal(struct ext4_fs *fs, uint32_t group)
{
    struct ext4_group g;
    if (!desc_csummed(fs) || !state_has(fs, group, BLOCKS_CHANGED | INODES_CHANGED))
        return 0;
    int err = ext4_group_get(fs, group, &g);
    if (err)
        return err;
    err = bitmap_seal(fs, &of_blocks, &g);
    if (!err)
        err = bitmap_seal(fs, &of_inodes, &g);
    put16(g.desc + GD_CHECKSUM, desc_csum(fs, group, g.desc));
    __atomic_fetch_and(&fs->group_state[group], (uint8_t) ~(BLOCKS_CHANGED | INODES_CHANGED),
                       __ATOMIC_RELAXED);
    ext4_group_put(&g);
    return err;
}

int ext4_groups_seal(struct ext4_fs *fs)
{
    int err = 0;
    for (uint32_t g = fs->unsealed_first; g < fs->unsealed_end && !err; g++)
        err = group_seal(fs, g);
    if (!err)
        fs->unsealed_first = fs->unsealed_end = 0;
    return err;
}
