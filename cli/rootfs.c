/* SPDX-License-Identifier: Apache-2.0 */
/* Makes ext4 filesystems: see rootfs.h. The files are ext4tree.c's. */
#include "rootfs.h"

#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "ext4tree.h"
#include "mtree.h"
#include "ops/exit.h"

#define ROOTFS_BLOCK      4096u
#define ROOTFS_INODE_SIZE 256u
#define ROOTFS_MIN_FREE   (16u << 20)
#define ROOTFS_JOURNAL    1024u /* blocks */
#define ROOTFS_PER_INODE  16384 /* bytes of a large file system for each inode */

struct rootfs {
    ext2_filsys fs;
    const struct tree *tree;
    struct tree_entry **entries;
    const char *large_hint;
    const char *shown;
    struct err *err;
};

static uint64_t blocks_of(uint64_t bytes)
{
    return (bytes + ROOTFS_BLOCK - 1) / ROOTFS_BLOCK;
}

/* `size`: of the file system, which may be filled with files; 0: not known yet. */
static uint64_t inode_count(const struct tree *t, uint64_t size)
{
    uint64_t by_tree = t->count + t->count / 4 + 1024, by_size = size / ROOTFS_PER_INODE;
    return by_tree > by_size ? by_tree : by_size;
}

uint64_t rootfs_size(const struct tree *t, bool journal)
{
    struct tree_entry **all = tree_entries(t);
    uint64_t blocks = 0;
    for (size_t i = 0; all[i]; i++) {
        if (all[i]->kind == TREE_FILE)
            blocks += blocks_of((uint64_t)all[i]->st.st_size);
        else if (all[i]->kind == TREE_DIR || all[i]->st.st_size >= 60)
            blocks++;
    }
    free(all);
    blocks += t->count / 8 + blocks / 64 + 64; /* large directories, extent trees, bitmaps */
    blocks += blocks_of(inode_count(t, 0) * ROOTFS_INODE_SIZE) + (journal ? ROOTFS_JOURNAL : 0);
    uint64_t spare = blocks / 4;
    if (spare < ROOTFS_MIN_FREE / ROOTFS_BLOCK)
        spare = ROOTFS_MIN_FREE / ROOTFS_BLOCK;
    uint64_t bytes = (blocks + spare) * ROOTFS_BLOCK;
    return (bytes + (1 << 20) - 1) >> 20 << 20;
}

/* What only a list says of an entry. */
static void listed_add(struct buf *b, const struct mtree_entry *e)
{
    buf_add(b, e->sha256, sizeof e->sha256);
    for (size_t i = 0; i < e->xattr_count; i++) {
        buf_addf(b, "%s %zu\n", e->xattrs[i].name, e->xattrs[i].size);
        buf_add(b, e->xattrs[i].value, e->xattrs[i].size);
    }
}

void rootfs_digest(const struct tree *t, unsigned char digest[64])
{
    struct tree_entry **all = tree_entries(t);
    struct buf b = {0};
    for (size_t i = 0; all[i]; i++) {
        const struct tree_entry *e = all[i];
        bool own = e->text != NULL;
        buf_add(&b, e->path, strlen(e->path) + 1);
        buf_addf(&b, "%o %u %u %lld %lld %zu\n", e->st.st_mode, e->uid, e->gid,
                 (long long)(e->kind == TREE_DIR ? 0 : e->st.st_size),
                 (long long)e->st.st_mtim.tv_sec, own ? strlen(e->text) : 0);
        if (own)
            buf_add(&b, e->text, strlen(e->text));
        if (e->listed)
            listed_add(&b, e->listed);
    }
    ext2fs_sha512((unsigned char *)b.data, b.size, digest);
    buf_free(&b);
    free(all);
}

/* False with the library's reason; a full disk is named as such. */
static bool format_fail(struct rootfs *r, errcode_t code, const char *what)
{
    if (code == EXT2_ET_SHORT_WRITE)
        code = ENOSPC;
    if (code == ENOSPC || code == EDQUOT || code == EFBIG || code == EIO) {
        errno = (int)code;
        return err_errno(r->err, "write", r->shown);
    }
    return err_set(r->err, OPS_EXIT_FAILED, r->large_hint, "cannot %s the filesystem in %s: %s",
                   what, r->shown, error_message(code));
}

/* The newest time in the tree: the only clock of the image. 1 where there is none. */
static time_t tree_clock(struct tree_entry **entries)
{
    time_t newest = 1;
    for (size_t i = 0; entries[i]; i++)
        if (entries[i]->st.st_mtim.tv_sec > newest)
            newest = entries[i]->st.st_mtim.tv_sec;
    return newest;
}

/* Formed as a version 4 UUID. */
static void uuid_fill(uint8_t uuid[16], const unsigned char id[64])
{
    memcpy(uuid, id, 16);
    uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
    uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}

void rootfs_uuid(const unsigned char id[64], char text[37])
{
    uint8_t u[16];
    uuid_fill(u, id);
    for (size_t i = 0, at = 0; i < sizeof u; i++)
        at += (size_t)snprintf(text + at, 37 - at, "%s%02x",
                               i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", u[i]);
}

static void super_fill(struct ext2_super_block *s, const struct rootfs_options *o)
{
    uuid_fill(s->s_uuid, o->id);
    memcpy(s->s_hash_seed, o->id + 16, sizeof s->s_hash_seed);
    memcpy(s->s_volume_name, o->label, strnlen(o->label, sizeof s->s_volume_name));
    s->s_def_hash_version = EXT2_HASH_HALF_MD4;
    s->s_flags |= EXT2_FLAGS_SIGNED_HASH;
    s->s_checksum_type = EXT2_CRC32C_CHKSUM;
    s->s_max_mnt_count = -1;
}

static errcode_t fs_initialize(struct rootfs *r, const char *path, const struct rootfs_options *o)
{
    struct ext2_super_block p = {0};
    char offset[48];
    ext2fs_blocks_count_set(&p, o->size / ROOTFS_BLOCK);
    p.s_log_block_size = 2;
    p.s_inode_size = ROOTFS_INODE_SIZE;
    p.s_rev_level = EXT2_DYNAMIC_REV;
    p.s_inodes_count = (uint32_t)inode_count(r->tree, o->size);
    p.s_log_groups_per_flex = 4;
    p.s_desc_size = EXT2_MIN_DESC_SIZE_64BIT;
    p.s_checksum_type = EXT2_CRC32C_CHKSUM;
    p.s_feature_compat = EXT2_FEATURE_COMPAT_DIR_INDEX | EXT2_FEATURE_COMPAT_EXT_ATTR;
    if (o->volume)
        p.s_feature_compat |= EXT2_FEATURE_COMPAT_RESIZE_INODE;
    p.s_feature_incompat = EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_EXTENTS |
                           EXT4_FEATURE_INCOMPAT_64BIT | EXT4_FEATURE_INCOMPAT_FLEX_BG;
    p.s_feature_ro_compat = EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER |
                            EXT2_FEATURE_RO_COMPAT_LARGE_FILE | EXT4_FEATURE_RO_COMPAT_HUGE_FILE |
                            EXT4_FEATURE_RO_COMPAT_DIR_NLINK | EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE |
                            EXT4_FEATURE_RO_COMPAT_METADATA_CSUM;
    errcode_t code = ext2fs_initialize(path, EXT2_FLAG_EXCLUSIVE | EXT2_FLAG_64BITS, &p,
                                       unix_io_manager, &r->fs);
    if (code)
        return code;
    snprintf(offset, sizeof offset, "offset=%llu", (unsigned long long)o->offset);
    io_channel_set_options(r->fs->io, offset);
    r->fs->now = o->volume ? time(NULL) : tree_clock(r->entries);
    r->fs->super->s_mkfs_time = r->fs->super->s_lastcheck = (uint32_t)r->fs->now;
    super_fill(r->fs->super, o);
    ext2fs_init_csum_seed(r->fs);
    return 0;
}

/* Tables, root directory and reserved inodes. The file is new and sparse: tables are zero. */
static errcode_t fs_prepare(struct rootfs *r)
{
    errcode_t code = ext2fs_allocate_tables(r->fs);
    if (code)
        return code;
    for (dgrp_t g = 0; g < r->fs->group_desc_count; g++) {
        ext2fs_bg_flags_set(r->fs, g, EXT2_BG_INODE_ZEROED);
        ext2fs_group_desc_csum_set(r->fs, g);
    }
    code = ext2fs_mkdir(r->fs, EXT2_ROOT_INO, EXT2_ROOT_INO, NULL);
    for (ext2_ino_t i = 1; !code && i < EXT2_FIRST_INODE(r->fs->super); i++)
        if (i != EXT2_ROOT_INO)
            ext2fs_inode_alloc_stats2(r->fs, i, +1, 0);
    return code;
}

/* A volume's journal grows with it, as mke2fs has it; a root's stays small. */
static blk_t journal_blocks(const struct rootfs *r, const struct rootfs_options *o)
{
    int usual = o->volume ? ext2fs_default_journal_size(ext2fs_blocks_count(r->fs->super)) : 0;
    return usual > (int)ROOTFS_JOURNAL ? (blk_t)usual : ROOTFS_JOURNAL;
}

static bool fs_fill(struct rootfs *r, const struct rootfs_options *o)
{
    const struct ext4tree_options write = {
        .base = EXT2_ROOT_INO, .large_hint = r->large_hint, .step = o->step, .context = o->context};
    errcode_t code = fs_prepare(r);
    if (!code && o->volume)
        code = ext2fs_create_resize_inode(r->fs);
    if (!code && o->journal)
        code = ext2fs_add_journal_inode(r->fs, journal_blocks(r, o), EXT2_MKJOURNAL_LAZYINIT);
    if (code)
        return format_fail(r, code, "format");
    if (!ext4tree_write(r->fs, r->tree, &write, r->err))
        return false;
    code = ext2fs_close_free(&r->fs);
    return !code || format_fail(r, code, "write");
}

bool rootfs_write(const char *path, const struct tree *t, const struct rootfs_options *options,
                  struct err *err)
{
    struct rootfs r = {.tree = t, .err = err, .entries = tree_entries(t)};
    r.shown = options->shown ? options->shown : path;
    r.large_hint = options->volume ? "give it a larger size" : "raise BaseVolumeSz";
    initialize_ext2_error_table();
    struct stat st;
    off_t end = (off_t)(options->offset + options->size);
    bool ok = false;
    if (stat(path, &st) < 0 || (st.st_size < end && truncate(path, end) < 0)) {
        err_errno(err, "write", r.shown);
    } else {
        errcode_t code = fs_initialize(&r, path, options);
        ok = code ? format_fail(&r, code, "format") : fs_fill(&r, options);
    }
    if (r.fs)
        ext2fs_free(r.fs);
    free(r.entries);
    return ok;
}
