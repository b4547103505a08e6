/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a tree into an open ext4 filesystem: see ext4tree.h. Files get their blocks
 * from ext2fs_fallocate(), so that they are contiguous where possible, and the data is
 * written straight to the extents found; holes of sparse sources stay holes.
 */
#include "ext4tree.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "hostpath.h"
#include "mtree.h"
#include "ops/exit.h"

#define CHUNK_BYTES (256u << 10) /* moved at once */

struct writer {
    ext2_filsys fs;
    const struct ext4tree_options *options;
    const struct tree *tree;
    uint32_t block; /* bytes */
    char *chunk;
    void *hard; /* tsearch(3) root of entries whose source has several names */
    struct err *err;
};

/* False with the library's reason; a full disk is named as such. */
static bool fs_fail(struct writer *w, errcode_t code, const char *what, const char *path)
{
    if (code == EXT2_ET_SHORT_WRITE)
        code = ENOSPC;
    if (code == ENOSPC || code == EDQUOT || code == EFBIG || code == EIO) {
        errno = (int)code;
        return err_errno(w->err, "write the image for", path);
    }
    if (code == EXT2_ET_BLOCK_ALLOC_FAIL || code == EXT2_ET_INODE_ALLOC_FAIL)
        return err_set(w->err, OPS_EXIT_FAILED, w->options->large_hint,
                       "the filesystem is too small: no room for %s", path);
    return err_set(w->err, OPS_EXIT_FAILED, NULL, "cannot %s %s in the image: %s", what, path,
                   error_message(code));
}

static bool step(struct writer *w, const struct tree_entry *e, uint64_t bytes)
{
    const struct ext4tree_options *o = w->options;
    return !o->step || o->step(o->context, e, bytes, w->err);
}

static void inode_fill(struct ext2_inode *inode, const struct tree_entry *e)
{
    inode->i_mode = (uint16_t)e->st.st_mode;
    inode->i_uid = (uint16_t)e->uid;
    inode->i_uid_high = (uint16_t)(e->uid >> 16);
    inode->i_gid = (uint16_t)e->gid;
    inode->i_gid_high = (uint16_t)(e->gid >> 16);
    inode->i_mtime = inode->i_ctime = inode->i_atime = (uint32_t)e->st.st_mtim.tv_sec;
}

/* The extended attributes that a list gives the entry. */
static errcode_t attributes_write(struct writer *w, const struct tree_entry *e)
{
    struct ext2_xattr_handle *h;
    size_t count = e->listed ? e->listed->xattr_count : 0;
    errcode_t code = count ? ext2fs_xattrs_open(w->fs, e->inode, &h) : 0;
    if (!count || code)
        return code;
    code = ext2fs_xattrs_read(h);
    for (size_t i = 0; !code && i < count; i++) {
        const struct mtree_xattr *x = &e->listed->xattrs[i];
        code = ext2fs_xattr_set(h, x->name, x->value, x->size);
    }
    errcode_t closed = ext2fs_xattrs_close(&h); /* writes what was set */
    return code ? code : closed;
}

/* Sets mode and times of an inode that libext2fs made. */
static bool inode_update(struct writer *w, const struct tree_entry *e)
{
    struct ext2_inode_large inode;
    struct ext2_inode *base = (struct ext2_inode *)&inode;
    errcode_t code = ext2fs_read_inode_full(w->fs, e->inode, base, sizeof inode);
    if (code)
        return fs_fail(w, code, "read", e->path);
    inode_fill(base, e);
    if (e->kind == TREE_LINK)
        inode.i_mode = LINUX_S_IFLNK | 0777;
    uint32_t epoch = (uint32_t)((e->st.st_mtim.tv_sec - (int32_t)e->st.st_mtim.tv_sec) >> 32) & 3;
    inode.i_mtime_extra = inode.i_ctime_extra = inode.i_atime_extra =
        (uint32_t)e->st.st_mtim.tv_nsec << 2 | epoch;
    inode.i_crtime = base->i_mtime;
    inode.i_crtime_extra = inode.i_mtime_extra;
    code = ext2fs_write_inode_full(w->fs, e->inode, base, sizeof inode);
    if (!code)
        code = attributes_write(w, e);
    return !code || fs_fail(w, code, "write", e->path);
}

static ext2_ino_t parent_inode(struct writer *w, const struct tree_entry *e)
{
    char *dir = path_dirname(e->path);
    ext2_ino_t ino = strcmp(dir, "/") == 0 ? w->options->base : tree_find(w->tree, dir)->inode;
    free(dir);
    return ino;
}

/* Frees an inode that no name leads to any more. */
static errcode_t inode_free(ext2_filsys fs, ext2_ino_t ino, struct ext2_inode_large *inode)
{
    struct ext2_inode *base = (struct ext2_inode *)inode;
    bool dir = LINUX_S_ISDIR(inode->i_mode);
    errcode_t code = ext2fs_free_ext_attr(fs, ino, inode);
    if (!code && ext2fs_inode_has_valid_blocks2(fs, base))
        code = ext2fs_punch(fs, ino, base, NULL, 0, ~0ULL);
    inode->i_links_count = 0;
    inode->i_dtime = (uint32_t)(fs->now ? fs->now : time(NULL));
    errcode_t written = ext2fs_write_inode_full(fs, ino, base, sizeof *inode);
    if (!written)
        ext2fs_inode_alloc_stats2(fs, ino, -1, dir);
    return code ? code : written;
}

/* One name less; a directory's parent loses the link of its "..". */
static errcode_t inode_drop(ext2_filsys fs, ext2_ino_t parent, ext2_ino_t ino)
{
    struct ext2_inode_large inode;
    struct ext2_inode *base = (struct ext2_inode *)&inode, up;
    errcode_t code = ext2fs_read_inode_full(fs, ino, base, sizeof inode);
    if (code)
        return code;
    if (LINUX_S_ISDIR(inode.i_mode)) {
        code = ext2fs_read_inode(fs, parent, &up);
        if (!code && up.i_links_count > 2) {
            up.i_links_count--;
            code = ext2fs_write_inode(fs, parent, &up);
        }
    } else if (inode.i_links_count > 1) {
        inode.i_links_count--;
        return ext2fs_write_inode_full(fs, ino, base, sizeof inode);
    }
    return code ? code : inode_free(fs, ino, &inode);
}

errcode_t ext4tree_unlink(ext2_filsys fs, ext2_ino_t dir, const char *name, ext2_ino_t inode)
{
    errcode_t code = ext2fs_unlink(fs, dir, name, inode, 0);
    return code ? code : inode_drop(fs, dir, inode);
}

/* What stands where the entry goes, 0: nothing. False: it is of the other kind. */
static bool old_find(struct writer *w, const struct tree_entry *e, ext2_ino_t parent,
                     ext2_ino_t *old)
{
    struct ext2_inode inode;
    const char *name = path_basename(e->path);
    errcode_t code = ext2fs_lookup(w->fs, parent, name, (int)strlen(name), NULL, old);
    if (code == EXT2_ET_FILE_NOT_FOUND)
        *old = 0;
    else if (code || (code = ext2fs_read_inode(w->fs, *old, &inode)))
        return fs_fail(w, code, "look up", e->path);
    else if (!LINUX_S_ISDIR(inode.i_mode) != (e->kind != TREE_DIR))
        return err_set(w->err, OPS_EXIT_FAILED, NULL, "cannot write %s: a %s is there", e->path,
                       e->kind == TREE_DIR ? "file" : "directory");
    return true;
}

/* Gives the finished inode its name, in the place of `old` (0: none). */
static bool entry_link(struct writer *w, const struct tree_entry *e, ext2_ino_t parent,
                       ext2_ino_t old)
{
    static const int types[] = {
        [TREE_DIR] = EXT2_FT_DIR, [TREE_FILE] = EXT2_FT_REG_FILE, [TREE_LINK] = EXT2_FT_SYMLINK};
    const char *name = path_basename(e->path);
    errcode_t code = old ? ext4tree_unlink(w->fs, parent, name, old) : 0;
    if (!code)
        code = ext2fs_link(w->fs, parent, name, e->inode, types[e->kind]);
    if (code == EXT2_ET_DIR_NO_SPACE) {
        code = ext2fs_expand_dir(w->fs, parent);
        if (!code)
            code = ext2fs_link(w->fs, parent, name, e->inode, types[e->kind]);
    }
    return !code || fs_fail(w, code, "add", e->path);
}

/* The entry could not be finished: its inode must not stay without a name. Always false. */
static bool entry_undo(struct writer *w, const struct tree_entry *e, ext2_ino_t parent)
{
    inode_drop(w->fs, parent, e->inode);
    return false;
}

static bool dir_write(struct writer *w, struct tree_entry *e)
{
    if (strcmp(e->path, "/") == 0) {
        e->inode = w->options->base;
        return w->options->keep_base || inode_update(w, e);
    }
    ext2_ino_t parent = parent_inode(w, e), old;
    if (!old_find(w, e, parent, &old))
        return false;
    if ((e->inode = old))
        return true;
    errcode_t code = ext2fs_new_inode(w->fs, parent, LINUX_S_IFDIR, NULL, &e->inode);
    if (!code)
        code = ext2fs_mkdir(w->fs, parent, e->inode, NULL);
    if (code)
        return fs_fail(w, code, "make", e->path);
    return (inode_update(w, e) && entry_link(w, e, parent, 0)) || entry_undo(w, e, parent);
}

static bool link_write(struct writer *w, struct tree_entry *e)
{
    ext2_ino_t parent = parent_inode(w, e), old;
    if (!old_find(w, e, parent, &old))
        return false;
    errcode_t code = ext2fs_new_inode(w->fs, parent, LINUX_S_IFLNK, NULL, &e->inode);
    if (!code)
        code = ext2fs_symlink(w->fs, parent, e->inode, NULL, e->text);
    if (code)
        return fs_fail(w, code, "make", e->path);
    return (inode_update(w, e) && entry_link(w, e, parent, old)) || entry_undo(w, e, parent);
}

/* Reads up to n bytes at `offset`, zeros behind the end; a text entry has fd -1. */
static bool source_read(const struct tree_entry *e, int fd, char *to, size_t n, off_t offset)
{
    memset(to, 0, n);
    if (fd < 0) {
        size_t size = (size_t)e->st.st_size;
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

static bool extent_write(struct writer *w, const struct tree_entry *e, int fd,
                         const struct ext2fs_extent *x)
{
    const uint32_t chunk = CHUNK_BYTES / w->block;
    for (uint32_t done = 0; done < x->e_len;) {
        uint32_t n = x->e_len - done < chunk ? x->e_len - done : chunk;
        off_t offset = (off_t)(x->e_lblk + done) * w->block;
        if (!source_read(e, fd, w->chunk, (size_t)n * w->block, offset))
            return err_errno(w->err, "read", e->source);
        errcode_t code = io_channel_write_blk64(w->fs->io, x->e_pblk + done, (int)n, w->chunk);
        if (code)
            return fs_fail(w, code, "write", e->path);
        if (!step(w, e, (uint64_t)n * w->block))
            return false;
        done += n;
    }
    return true;
}

/* Writes the data of every extent that fallocate made. */
static bool extents_write(struct writer *w, const struct tree_entry *e, int fd)
{
    ext2_extent_handle_t handle;
    struct ext2fs_extent x;
    errcode_t code = ext2fs_extent_open(w->fs, e->inode, &handle);
    if (code)
        return fs_fail(w, code, "write", e->path);
    bool ok = true;
    int op = EXT2_EXTENT_ROOT;
    while (ok && ext2fs_extent_get(handle, op, &x) == 0) {
        op = EXT2_EXTENT_NEXT;
        if ((x.e_flags & EXT2_EXTENT_FLAGS_LEAF) && !(x.e_flags & EXT2_EXTENT_FLAGS_SECOND_VISIT))
            ok = extent_write(w, e, fd, &x);
    }
    ext2fs_extent_free(handle);
    return ok;
}

/* Gives the inode blocks for each run of data in the source. */
static errcode_t blocks_reserve(struct writer *w, const struct tree_entry *e, int fd,
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
        uint64_t first = (uint64_t)at / w->block, last = ((uint64_t)end + w->block - 1) / w->block;
        code = ext2fs_fallocate(w->fs, EXT2_FALLOCATE_FORCE_INIT, e->inode, inode, 0, first,
                                last - first);
        at = end;
    }
    return code;
}

static bool file_fill(struct writer *w, struct tree_entry *e, int fd)
{
    struct ext2_inode inode = {0};
    inode_fill(&inode, e);
    inode.i_links_count = 1;
    inode.i_flags = EXT4_EXTENTS_FL;
    ext2_extent_handle_t handle;
    errcode_t code = ext2fs_write_new_inode(w->fs, e->inode, &inode);
    if (!code && !(code = ext2fs_extent_open2(w->fs, e->inode, &inode, &handle)))
        ext2fs_extent_free(handle); /* made an empty extent tree */
    if (!code)
        code = ext2fs_inode_size_set(w->fs, &inode, e->st.st_size);
    if (!code)
        code = ext2fs_write_inode(w->fs, e->inode, &inode);
    if (!code)
        code = blocks_reserve(w, e, fd, &inode);
    if (code)
        return fs_fail(w, code, "write", e->path);
    return extents_write(w, e, fd) && inode_update(w, e);
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
static bool file_link_again(struct writer *w, struct tree_entry *e, const struct tree_entry *first)
{
    struct ext2_inode inode;
    ext2_ino_t parent = parent_inode(w, e), old;
    e->inode = first->inode;
    if (!old_find(w, e, parent, &old))
        return false;
    errcode_t code = ext2fs_read_inode(w->fs, e->inode, &inode);
    inode.i_links_count++;
    if (!code)
        code = ext2fs_write_inode(w->fs, e->inode, &inode);
    if (code)
        return fs_fail(w, code, "link", e->path);
    return entry_link(w, e, parent, old) || entry_undo(w, e, parent);
}

static bool file_write(struct writer *w, struct tree_entry *e)
{
    if (e->source && e->st.st_nlink > 1) {
        struct tree_entry **first = tsearch(e, &w->hard, same_file_compare);
        if (first && *first != e)
            return file_link_again(w, e, *first);
    }
    ext2_ino_t parent = parent_inode(w, e), old;
    int fd = -1;
    if (!old_find(w, e, parent, &old))
        return false;
    if (e->source && (fd = open(e->source, O_RDONLY | O_CLOEXEC)) < 0)
        return err_errno(w->err, "open", e->source);
    errcode_t code = ext2fs_new_inode(w->fs, parent, LINUX_S_IFREG, NULL, &e->inode);
    bool ok = !code || fs_fail(w, code, "make", e->path);
    if (ok) {
        ext2fs_inode_alloc_stats2(w->fs, e->inode, +1, 0);
        ok = (file_fill(w, e, fd) && entry_link(w, e, parent, old)) || entry_undo(w, e, parent);
    }
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool entries_write(struct writer *w, struct tree_entry **entries)
{
    bool ok = true;
    for (size_t i = 0; ok && entries[i]; i++) {
        struct tree_entry *e = entries[i];
        ok = step(w, e, 0) && (e->kind == TREE_DIR    ? dir_write(w, e)
                               : e->kind == TREE_LINK ? link_write(w, e)
                                                      : file_write(w, e));
    }
    return ok;
}

bool ext4tree_write(ext2_filsys fs, const struct tree *t, const struct ext4tree_options *options,
                    struct err *err)
{
    struct writer w = {.fs = fs, .tree = t, .options = options, .block = fs->blocksize, .err = err};
    struct tree_entry **entries = tree_entries(t);
    w.chunk = alloc_zero(CHUNK_BYTES);
    bool ok = entries_write(&w, entries);
    tdestroy(w.hard, entry_keep);
    free(w.chunk);
    free(entries);
    return ok;
}
