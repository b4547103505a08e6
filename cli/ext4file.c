/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, locking and reading ext4 filesystems in files: see ext4file.h. */
#include "ext4file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "alloc.h"
#include "ext4tools.h"
#include "gpt_table.h"
#include "ops/exit.h"

#define READ_CHUNK (256u << 10)

static bool ext4_fail(const struct ext4file *f, errcode_t code, const char *verb, const char *what,
                      struct err *err)
{
    return err_set(err, OPS_EXIT_FAILED, "`ops volume check` or `ops image check` says more",
                   "cannot %s %s in %s: %s", verb, what, f->path, error_message(code));
}

/* Finds the partition; a file without partition table is a filesystem as a whole. */
static bool place_find(struct ext4file *f, const struct stat *st, struct err *err)
{
    uint8_t *head = alloc_zero((size_t)GPT_HEAD_SECTORS * GPT_SECTOR);
    struct gpt_partition part;
    f->size = (uint64_t)st->st_size;
    ssize_t n = pread(f->fd, head, (size_t)GPT_HEAD_SECTORS * GPT_SECTOR, 0);
    bool ok = n >= 0 || err_errno(err, "read", f->path);
    f->disk = ok && gpt_present(head);
    if (f->disk) {
        ok = gpt_find(head, (uint64_t)st->st_size / GPT_SECTOR, f->partition, &part);
        if (!ok)
            err_set(err, OPS_EXIT_FAILED, "`ops build` writes disks that hold one",
                    "the disk %s has no partition %s", f->path, f->partition);
        f->offset = ok ? part.first * GPT_SECTOR : 0;
        f->size = ok ? (part.last - part.first + 1) * GPT_SECTOR : 0;
    }
    free(head);
    return ok;
}

static bool file_lock(struct ext4file *f, enum ext4file_mode mode, struct err *err)
{
    struct stat st;
    if (flock(f->fd, (mode != EXT4FILE_READ ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0) {
        if (fstat(f->fd, &st) == 0 && st.st_nlink > 0)
            return true;
        return err_set(err, OPS_EXIT_FAILED, "try again", "%s was deleted or replaced just now",
                       f->path);
    }
    if (errno != EWOULDBLOCK)
        return err_errno(err, "lock", f->path);
    if (mode != EXT4FILE_READ)
        return err_set(err, OPS_EXIT_FAILED, "wait until that has ended",
                       "%s is in use by a running machine or another ops", f->path);
    f->busy = true;
    return true;
}

bool ext4file_locate(struct ext4file *f, const char *path, const char *partition,
                     enum ext4file_mode mode, struct err *err)
{
    struct stat st;
    *f = (struct ext4file){.path = alloc_string(path), .partition = partition, .fd = -1};
    f->writable = mode == EXT4FILE_WRITE;
    f->held = mode == EXT4FILE_HOLD;
    f->fd = open(path, (mode != EXT4FILE_READ ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    bool ok = f->fd >= 0 && fstat(f->fd, &st) == 0;
    if (!ok)
        err_errno(err, "open", path);
    else if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        ok =
            err_set(err, OPS_EXIT_FAILED, NULL, "%s is no file that could hold a filesystem", path);
    ok = ok && file_lock(f, mode, err) && place_find(f, &st, err);
    if (!ok)
        ext4file_abandon(f);
    return ok;
}

static errcode_t library_open(struct ext4file *f, bool write)
{
    char options[48];
    initialize_ext2_error_table();
    snprintf(options, sizeof options, "offset=%llu", (unsigned long long)f->offset);
    return ext2fs_open2(f->path, options, EXT2_FLAG_64BITS | (write ? EXT2_FLAG_RW : 0), 0, 0,
                        unix_io_manager, &f->fs);
}

static bool needs_replay(const struct ext4file *f)
{
    return ext2fs_has_feature_journal_needs_recovery(f->fs->super) && !f->busy && !f->held;
}

/* Brings the filesystem up to date with its journal, if this user may write the file. */
static bool journal_replay(struct ext4file *f, struct err *err)
{
    struct ext4file again = *f;
    again.fd = open(f->path, O_RDWR | O_CLOEXEC);
    if (again.fd < 0) {
        fprintf(stderr,
                "ops: %s cannot be written, and its journal was not replayed: the last "
                "changes may be missing\n",
                f->path);
        return true;
    }
    close(again.fd);
    ext2fs_free(f->fs);
    f->fs = NULL;
    if (flock(f->fd, LOCK_EX | LOCK_NB) < 0)
        return err_set(err, OPS_EXIT_FAILED, "wait until that has ended",
                       "%s is in use by another ops", f->path);
    if (!ext4tools_replay(f, err))
        return false;
    if (!f->writable && flock(f->fd, LOCK_SH) < 0)
        return err_errno(err, "lock", f->path);
    errcode_t code = library_open(f, false);
    return !code || ext4_fail(f, code, "read", "the filesystem", err);
}

/* Marks the filesystem as being changed, until ext4file_close(). */
static bool write_begin(struct ext4file *f, struct err *err)
{
    struct ext2_super_block *s = f->fs->super;
    if (!(s->s_state & EXT2_VALID_FS) || (s->s_state & EXT2_ERROR_FS))
        return err_set(err, OPS_EXIT_FAILED, "`check --repair` repairs it",
                       "the filesystem in %s is damaged, or ops was killed while it changed it",
                       f->path);
    if (!ext2fs_has_feature_extents(s) || s->s_rev_level < EXT2_DYNAMIC_REV)
        return err_set(err, OPS_EXIT_FAILED, "`tune2fs -O extents` makes ext4 of it",
                       "the filesystem in %s is ext2 or ext3; only ext4 can be changed", f->path);
    errcode_t code = ext2fs_read_bitmaps(f->fs);
    s->s_state &= (uint16_t)~EXT2_VALID_FS;
    ext2fs_mark_super_dirty(f->fs);
    if (!code)
        code = ext2fs_flush(f->fs);
    f->marked = !code;
    return !code || ext4_fail(f, code, "change", "the filesystem", err);
}

bool ext4file_attach(struct ext4file *f, struct err *err)
{
    errcode_t code = library_open(f, false);
    if (code == EXT2_ET_BAD_MAGIC || code == EXT2_ET_SHORT_READ)
        return err_set(err, OPS_EXIT_FAILED, NULL, "%s holds no ext4 filesystem", f->path);
    if (code)
        return ext4_fail(f, code, "read", "the filesystem", err);
    if (needs_replay(f) && !journal_replay(f, err))
        return false;
    if (!f->writable)
        return true;
    ext2fs_free(f->fs);
    f->fs = NULL;
    code = library_open(f, true);
    if (code)
        return ext4_fail(f, code, "change", "the filesystem", err);
    return write_begin(f, err);
}

bool ext4file_open(struct ext4file *f, const char *path, const char *partition,
                   enum ext4file_mode mode, struct err *err)
{
    if (!ext4file_locate(f, path, partition, mode, err))
        return false;
    bool ok = ext4file_attach(f, err);
    if (!ok)
        ext4file_abandon(f);
    else if (f->busy)
        fprintf(stderr, "ops: %s is in use: what is shown may be incomplete\n", path);
    return ok;
}

/* What libext2fs knows goes to the file, and the mark of write_begin() goes away. */
static errcode_t changes_write(struct ext4file *f)
{
    f->fs->super->s_state |= EXT2_VALID_FS;
    ext2fs_mark_super_dirty(f->fs);
    errcode_t code = ext2fs_close_free(&f->fs);
    return code ? code : fsync(f->fd) < 0 ? errno : 0;
}

void ext4file_abandon(struct ext4file *f)
{
    if (f->fs && f->marked)
        changes_write(f); /* whole changes until the error */
    if (f->fs)
        ext2fs_free(f->fs);
    if (f->fd >= 0)
        close(f->fd);
    free(f->path);
    *f = (struct ext4file){.fd = -1};
}

bool ext4file_close(struct ext4file *f, struct err *err)
{
    errcode_t code = f->fs && f->marked ? changes_write(f) : 0;
    bool ok = !code || ext4_fail(f, code, "write", "the filesystem", err);
    f->marked = false;
    ext4file_abandon(f);
    return ok;
}

void ext4file_uuid(const uint8_t uuid[16], char text[37])
{
    for (int i = 0; i < 16; i++) {
        bool dash = i == 4 || i == 6 || i == 8 || i == 10;
        text += snprintf(text, 4, "%s%02x", dash ? "-" : "", uuid[i]);
    }
}

const char *ext4file_state(const struct ext4file *f)
{
    const struct ext2_super_block *s = f->fs->super;
    if (s->s_state & EXT2_ERROR_FS)
        return "damaged";
    if (f->busy)
        return "in use";
    if (ext2fs_has_feature_journal_needs_recovery(f->fs->super))
        return "journal not replayed";
    return s->s_state & EXT2_VALID_FS ? "clean" : "not closed";
}

bool ext4file_lookup(struct ext4file *f, const char *path, bool follow, ext2_ino_t *ino,
                     struct err *err)
{
    errcode_t code = follow ? ext2fs_namei_follow(f->fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path, ino)
                            : ext2fs_namei(f->fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path, ino);
    if (code == EXT2_ET_FILE_NOT_FOUND)
        return err_set(err, OPS_EXIT_FAILED, NULL, "there is no %s in %s", path, f->path);
    if (code == EXT2_ET_NO_DIRECTORY)
        return err_set(err, OPS_EXIT_FAILED, NULL, "%s in %s runs through a file", path, f->path);
    return !code || ext4_fail(f, code, "find", path, err);
}

static struct timespec time_of(uint32_t seconds, uint32_t extra, bool wide)
{
    struct timespec t = {.tv_sec = (int32_t)seconds};
    if (wide) {
        t.tv_sec += (time_t)(extra & 3) << 32;
        t.tv_nsec = extra >> 2;
    }
    return t;
}

bool ext4file_stat(struct ext4file *f, ext2_ino_t ino, struct stat *st, struct err *err)
{
    struct ext2_inode_large large = {0};
    struct ext2_inode *i = (struct ext2_inode *)&large;
    errcode_t code = ext2fs_read_inode_full(f->fs, ino, i, sizeof large);
    if (code)
        return ext4_fail(f, code, "read", "an inode", err);
    bool wide =
        EXT2_INODE_SIZE(f->fs->super) > EXT2_GOOD_OLD_INODE_SIZE && large.i_extra_isize >= 16;
    *st = (struct stat){.st_ino = ino,
                        .st_mode = i->i_mode,
                        .st_nlink = i->i_links_count,
                        .st_uid = inode_uid(*i),
                        .st_gid = inode_gid(*i),
                        .st_size = (off_t)EXT2_I_SIZE(i),
                        .st_blocks = (blkcnt_t)ext2fs_get_stat_i_blocks(f->fs, i),
                        .st_mtim = time_of(i->i_mtime, large.i_mtime_extra, wide)};
    return true;
}

struct name_list {
    struct ext4name *names;
    size_t count;
};

static int name_take(ext2_ino_t dir, int entry, struct ext2_dir_entry *d, int offset,
                     int block_size, char *block, void *context)
{
    struct name_list *l = context;
    size_t n = (size_t)ext2fs_dirent_name_len(d);
    (void)dir, (void)offset, (void)block_size, (void)block;
    if (entry != DIRENT_OTHER_FILE || memchr(d->name, '/', n) || memchr(d->name, 0, n) || n == 0)
        return 0;
    l->names = alloc_array(l->names, l->count + 2, sizeof *l->names);
    l->names[l->count++] = (struct ext4name){alloc_bytes(d->name, n), d->inode};
    return 0;
}

static int name_compare(const void *a, const void *b)
{
    return strcmp(((const struct ext4name *)a)->name, ((const struct ext4name *)b)->name);
}

bool ext4file_names(struct ext4file *f, ext2_ino_t dir, struct ext4name **names, struct err *err)
{
    struct name_list l = {.names = alloc_zero(sizeof *l.names)};
    errcode_t code = ext2fs_dir_iterate2(f->fs, dir, 0, NULL, name_take, &l);
    if (l.count)
        qsort(l.names, l.count, sizeof *l.names, name_compare);
    l.names[l.count] = (struct ext4name){0};
    *names = l.names;
    if (!code)
        return true;
    ext4file_names_free(l.names);
    *names = NULL;
    return ext4_fail(f, code, "read", "a directory", err);
}

void ext4file_names_free(struct ext4name *names)
{
    for (struct ext4name *n = names; n && n->name; n++)
        free(n->name);
    free(names);
}

/* Takes what ext4file_read() gives into a buffer. */
static bool buffer_take(void *context, const char *bytes, size_t n, struct err *err)
{
    (void)err;
    buf_add(context, bytes, n);
    return true;
}

char *ext4file_link(struct ext4file *f, ext2_ino_t ino, struct err *err)
{
    struct ext2_inode inode;
    struct buf b = {0};
    errcode_t code = ext2fs_read_inode(f->fs, ino, &inode);
    if (code || EXT2_I_SIZE(&inode) > 4096) {
        ext4_fail(f, code ? code : EXT2_ET_INODE_CORRUPTED, "read", "a symlink", err);
        return NULL;
    }
    if (ext2fs_is_fast_symlink(&inode))
        buf_add(&b, inode.i_block, strnlen((char *)inode.i_block, sizeof inode.i_block));
    else if (!ext4file_read(f, ino, buffer_take, &b, err)) {
        buf_free(&b);
        return NULL;
    }
    buf_add(&b, "", 0);
    return b.data;
}

bool ext4file_read(struct ext4file *f, ext2_ino_t ino, ext4file_take_fn *take, void *context,
                   struct err *err)
{
    ext2_file_t file;
    unsigned n = 0;
    errcode_t code = ext2fs_file_open(f->fs, ino, 0, &file);
    if (code)
        return ext4_fail(f, code, "open", "a file", err);
    char *bytes = alloc_zero(READ_CHUNK);
    bool ok = true;
    while (ok && !(code = ext2fs_file_read(file, bytes, READ_CHUNK, &n)) && n > 0)
        ok = take(context, bytes, n, err);
    if (ok && code)
        ok = ext4_fail(f, code, "read", "a file", err);
    ext2fs_file_close(file);
    free(bytes);
    return ok;
}
