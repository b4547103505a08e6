/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ext4 writer: see rootfs.h. Files get their blocks from ext2fs_fallocate(),
 * so that they are contiguous where possible, and the data is written straight to
 * the extents found; holes of sparse sources stay holes.
 */
#include "rootfs.h"

#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "hostpath.h"
#include "ops/exit.h"

#define ROOTFS_BLOCK      4096u
#define ROOTFS_INODE_SIZE 256u
#define ROOTFS_CHUNK      64u /* blocks moved at once */
#define ROOTFS_MIN_FREE   (16u << 20)
#define ROOTFS_JOURNAL    1024u /* blocks */
#define ROOTFS_PER_INODE  16384 /* bytes of a large file system for each inode */

struct rootfs {
    ext2_filsys fs;
    const struct tree *tree;
    struct tree_entry **entries;
    char *chunk;
    void *hard; /* tsearch(3) root of entries whose source has several names */
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

void rootfs_digest(const struct tree *t, unsigned char digest[64])
{
    struct tree_entry **all = tree_entries(t);
    struct buf b = {0};
    for (size_t i = 0; all[i]; i++) {
        const struct tree_entry *e = all[i];
        bool own = e->text != NULL;
        buf_add(&b, e->path, strlen(e->path) + 1);
        buf_addf(&b, "%o %lld %lld %zu\n", e->st.st_mode,
                 (long long)(e->kind == TREE_DIR ? 0 : e->st.st_size),
                 (long long)e->st.st_mtim.tv_sec, own ? strlen(e->text) : 0);
        if (own)
            buf_add(&b, e->text, strlen(e->text));
    }
    ext2fs_sha512((unsigned char *)b.data, b.size, digest);
    buf_free(&b);
    free(all);
}

/* False with the library's reason; a full disk is named as such. */
static bool fs_fail(struct rootfs *r, errcode_t code, const char *what, const char *path)
{
    if (code == EXT2_ET_SHORT_WRITE)
        code = ENOSPC;
    if (code == ENOSPC || code == EDQUOT || code == EFBIG || code == EIO) {
        errno = (int)code;
        return err_errno(r->err, "write the image for", path);
    }
    if (code == EXT2_ET_BLOCK_ALLOC_FAIL || code == EXT2_ET_INODE_ALLOC_FAIL)
        return err_set(r->err, OPS_EXIT_FAILED, "raise BaseVolumeSz",
                       "the image is too small: no room for %s", path);
    return err_set(r->err, OPS_EXIT_FAILED, NULL, "cannot %s %s in the image: %s", what, path,
                   error_message(code));
}

static void inode_fill(struct ext2_inode *inode, const struct tree_entry *e)
{
    inode->i_mode = (uint16_t)e->st.st_mode;
    inode->i_uid = inode->i_gid = 0;
    inode->i_mtime = inode->i_ctime = inode->i_atime = (uint32_t)e->st.st_mtim.tv_sec;
}

/* Sets mode and times of an inode that libext2fs made. */
static bool inode_update(struct rootfs *r, const struct tree_entry *e)
{
    struct ext2_inode_large inode;
    struct ext2_inode *base = (struct ext2_inode *)&inode;
    errcode_t code = ext2fs_read_inode_full(r->fs, e->inode, base, sizeof inode);
    if (code)
        return fs_fail(r, code, "read", e->path);
    inode_fill(base, e);
    if (e->kind == TREE_LINK)
        inode.i_mode = LINUX_S_IFLNK | 0777;
    uint32_t epoch = (uint32_t)((e->st.st_mtim.tv_sec - (int32_t)e->st.st_mtim.tv_sec) >> 32) & 3;
    inode.i_mtime_extra = inode.i_ctime_extra = inode.i_atime_extra =
        (uint32_t)e->st.st_mtim.tv_nsec << 2 | epoch;
    inode.i_crtime = base->i_mtime;
    inode.i_crtime_extra = inode.i_mtime_extra;
    code = ext2fs_write_inode_full(r->fs, e->inode, base, sizeof inode);
    return !code || fs_fail(r, code, "write", e->path);
}

static ext2_ino_t parent_inode(struct rootfs *r, const struct tree_entry *e)
{
    char *dir = path_dirname(e->path);
    ext2_ino_t ino = strcmp(dir, "/") == 0 ? EXT2_ROOT_INO : tree_find(r->tree, dir)->inode;
    free(dir);
    return ino;
}

static bool entry_link(struct rootfs *r, const struct tree_entry *e, ext2_ino_t parent)
{
    static const int types[] = {
        [TREE_DIR] = EXT2_FT_DIR, [TREE_FILE] = EXT2_FT_REG_FILE, [TREE_LINK] = EXT2_FT_SYMLINK};
    const char *name = path_basename(e->path);
    errcode_t code = ext2fs_link(r->fs, parent, name, e->inode, types[e->kind]);
    if (code == EXT2_ET_DIR_NO_SPACE) {
        code = ext2fs_expand_dir(r->fs, parent);
        if (!code)
            code = ext2fs_link(r->fs, parent, name, e->inode, types[e->kind]);
    }
    return !code || fs_fail(r, code, "add", e->path);
}

static bool dir_write(struct rootfs *r, struct tree_entry *e)
{
    errcode_t code = 0;
    if (strcmp(e->path, "/") == 0) {
        e->inode = EXT2_ROOT_INO;
        return inode_update(r, e);
    }
    ext2_ino_t parent = parent_inode(r, e);
    code = ext2fs_new_inode(r->fs, parent, LINUX_S_IFDIR, NULL, &e->inode);
    if (!code)
        code = ext2fs_mkdir(r->fs, parent, e->inode, NULL);
    if (code)
        return fs_fail(r, code, "make", e->path);
    return entry_link(r, e, parent) && inode_update(r, e);
}

static bool link_write(struct rootfs *r, struct tree_entry *e)
{
    ext2_ino_t parent = parent_inode(r, e);
    errcode_t code = ext2fs_new_inode(r->fs, parent, LINUX_S_IFLNK, NULL, &e->inode);
    if (!code)
        code = ext2fs_symlink(r->fs, parent, e->inode, NULL, e->text);
    if (code)
        return fs_fail(r, code, "make", e->path);
    return entry_link(r, e, parent) && inode_update(r, e);
}

/* Reads up to n bytes at `offset`, zeros behind the end; a text entry has fd -1. */
static bool source_read(const struct tree_entry *e, int fd, char *to, size_t n, off_t offset)
{
    memset(to, 0, n);
    if (fd < 0) {
        size_t size = strlen(e->text);
        if ((size_t)offset < size)
            memcpy(to, e->text + offset, n < size - (size_t)offset ? n : size - (size_t)offset);
        return true;
    }
    for (size_t done = 0; done < n;) {
        ssize_t got = pread(fd, to + done, n - done, offset + (off_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return false;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return true;
}

static bool extent_write(struct rootfs *r, const struct tree_entry *e, int fd,
                         const struct ext2fs_extent *x)
{
    for (uint32_t done = 0; done < x->e_len;) {
        uint32_t n = x->e_len - done < ROOTFS_CHUNK ? x->e_len - done : ROOTFS_CHUNK;
        off_t offset = (off_t)(x->e_lblk + done) * ROOTFS_BLOCK;
        if (!source_read(e, fd, r->chunk, (size_t)n * ROOTFS_BLOCK, offset))
            return err_errno(r->err, "read", e->source);
        errcode_t code = io_channel_write_blk64(r->fs->io, x->e_pblk + done, (int)n, r->chunk);
        if (code)
            return fs_fail(r, code, "write", e->path);
        done += n;
    }
    return true;
}

/* Writes the data of every extent that fallocate made. */
static bool extents_write(struct rootfs *r, const struct tree_entry *e, int fd)
{
    ext2_extent_handle_t handle;
    struct ext2fs_extent x;
    errcode_t code = ext2fs_extent_open(r->fs, e->inode, &handle);
    if (code)
        return fs_fail(r, code, "write", e->path);
    bool ok = true;
    int op = EXT2_EXTENT_ROOT;
    while (ok && ext2fs_extent_get(handle, op, &x) == 0) {
        op = EXT2_EXTENT_NEXT;
        if ((x.e_flags & EXT2_EXTENT_FLAGS_LEAF) && !(x.e_flags & EXT2_EXTENT_FLAGS_SECOND_VISIT))
            ok = extent_write(r, e, fd, &x);
    }
    ext2fs_extent_free(handle);
    return ok;
}

/* Gives the inode blocks for each run of data in the source. */
static errcode_t blocks_reserve(struct rootfs *r, const struct tree_entry *e, int fd,
                                struct ext2_inode *inode)
{
    off_t size = e->st.st_size, at = 0, end = size;
    errcode_t code = 0;
    while (!code && at < size) {
        if (fd >= 0) {
            off_t data = lseek(fd, at, SEEK_DATA);
            if (data < 0 && errno == ENXIO)
                break;
            at = data < 0 ? at : data;
            end = data < 0 ? size : lseek(fd, at, SEEK_HOLE);
            if (end <= at || end > size)
                end = size;
        }
        uint64_t first = (uint64_t)at / ROOTFS_BLOCK, last = blocks_of((uint64_t)end);
        code = ext2fs_fallocate(r->fs, EXT2_FALLOCATE_FORCE_INIT, e->inode, inode, 0, first,
                                last - first);
        at = end;
    }
    return code;
}

static bool file_fill(struct rootfs *r, struct tree_entry *e, int fd)
{
    struct ext2_inode inode = {0};
    inode_fill(&inode, e);
    inode.i_links_count = 1;
    inode.i_flags = EXT4_EXTENTS_FL;
    ext2_extent_handle_t handle;
    errcode_t code = ext2fs_write_new_inode(r->fs, e->inode, &inode);
    if (!code && !(code = ext2fs_extent_open2(r->fs, e->inode, &inode, &handle)))
        ext2fs_extent_free(handle); /* made an empty extent tree */
    if (!code)
        code = ext2fs_inode_size_set(r->fs, &inode, e->st.st_size);
    if (!code)
        code = ext2fs_write_inode(r->fs, e->inode, &inode);
    if (!code)
        code = blocks_reserve(r, e, fd, &inode);
    if (code)
        return fs_fail(r, code, "write", e->path);
    return extents_write(r, e, fd) && inode_update(r, e);
}

/* For tdestroy(3): the entries belong to the tree. */
static void entry_keep(void *entry)
{
    (void)entry;
}

static int same_file_compare(const void *a, const void *b)
{
    const struct stat *s = &((const struct tree_entry *)a)->st;
    const struct stat *t = &((const struct tree_entry *)b)->st;
    if (s->st_dev != t->st_dev)
        return s->st_dev < t->st_dev ? -1 : 1;
    return s->st_ino < t->st_ino ? -1 : s->st_ino > t->st_ino;
}

/* A second name of a file that was written already: only a directory entry and a link count. */
static bool file_link_again(struct rootfs *r, struct tree_entry *e, const struct tree_entry *first)
{
    struct ext2_inode inode;
    e->inode = first->inode;
    errcode_t code = ext2fs_read_inode(r->fs, e->inode, &inode);
    inode.i_links_count++;
    if (!code)
        code = ext2fs_write_inode(r->fs, e->inode, &inode);
    if (code)
        return fs_fail(r, code, "link", e->path);
    return entry_link(r, e, parent_inode(r, e));
}

static bool file_write(struct rootfs *r, struct tree_entry *e)
{
    if (e->source && e->st.st_nlink > 1) {
        struct tree_entry **first = tsearch(e, &r->hard, same_file_compare);
        if (first && *first != e)
            return file_link_again(r, e, *first);
    }
    int fd = -1;
    if (e->source && (fd = open(e->source, O_RDONLY | O_CLOEXEC)) < 0)
        return err_errno(r->err, "open", e->source);
    ext2_ino_t parent = parent_inode(r, e);
    errcode_t code = ext2fs_new_inode(r->fs, parent, LINUX_S_IFREG, NULL, &e->inode);
    if (!code)
        ext2fs_inode_alloc_stats2(r->fs, e->inode, +1, 0);
    bool ok =
        code ? fs_fail(r, code, "make", e->path) : file_fill(r, e, fd) && entry_link(r, e, parent);
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool entries_write(struct rootfs *r)
{
    bool ok = true;
    for (size_t i = 0; ok && r->entries[i]; i++) {
        struct tree_entry *e = r->entries[i];
        ok = e->kind == TREE_DIR    ? dir_write(r, e)
             : e->kind == TREE_LINK ? link_write(r, e)
                                    : file_write(r, e);
    }
    return ok;
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

static void super_fill(struct ext2_super_block *s, const struct rootfs_options *o)
{
    memcpy(s->s_uuid, o->id, sizeof s->s_uuid);
    s->s_uuid[6] = (uint8_t)((s->s_uuid[6] & 0x0f) | 0x40); /* formed as a version 4 UUID */
    s->s_uuid[8] = (uint8_t)((s->s_uuid[8] & 0x3f) | 0x80);
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
    r->fs->now = tree_clock(r->entries);
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

static bool fs_fill(struct rootfs *r, const char *path, const struct rootfs_options *o)
{
    errcode_t code = fs_prepare(r);
    if (!code && o->journal)
        code = ext2fs_add_journal_inode(r->fs, ROOTFS_JOURNAL, EXT2_MKJOURNAL_LAZYINIT);
    if (code)
        return fs_fail(r, code, "format", path);
    if (!entries_write(r))
        return false;
    code = ext2fs_close_free(&r->fs);
    return !code || fs_fail(r, code, "write", path);
}

bool rootfs_write(const char *path, const struct tree *t, const struct rootfs_options *options,
                  struct err *err)
{
    struct rootfs r = {.tree = t, .err = err, .entries = tree_entries(t)};
    r.chunk = alloc_zero((size_t)ROOTFS_CHUNK * ROOTFS_BLOCK);
    initialize_ext2_error_table();
    struct stat st;
    off_t end = (off_t)(options->offset + options->size);
    bool ok = false;
    if (stat(path, &st) < 0 || (st.st_size < end && truncate(path, end) < 0)) {
        err_errno(err, "write", path);
    } else {
        errcode_t code = fs_initialize(&r, path, options);
        ok = code ? fs_fail(&r, code, "format", path) : fs_fill(&r, path, options);
    }
    if (r.fs)
        ext2fs_free(r.fs);
    tdestroy(r.hard, entry_keep);
    free(r.chunk);
    free(r.entries);
    return ok;
}
