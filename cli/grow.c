/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growing filesystems in files: see grow.h. A bare one grows where it is, first the file,
 * then the filesystem. The partition of a disk grows in a copy (resize2fs cuts a regular
 * file behind the filesystem it believes to start at 0), and a new disk is made of it that
 * takes the old one's place by rename.
 */
#include "grow.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "ext4tools.h"
#include "gpt_table.h"
#include "hole.h"
#include "hold.h"
#include "hostpath.h"
#include "ops/exit.h"
#include "ops/image.h"
#include "size.h"
#include "tempfile.h"

#define GROW_PARTS 8
#define GROW_CHUNK ((size_t)1 << 20)
#define HEAD_BYTES ((size_t)GPT_HEAD_SECTORS * GPT_SECTOR)
#define TAIL_BYTES ((size_t)GPT_TAIL_SECTORS * GPT_SECTOR)
#define GROW_TAIL  ((uint64_t)1 << 20) /* behind the last partition, for the second table */

/* Size of the filesystem now. */
static bool size_now(const char *file, uint64_t *bytes, struct err *err)
{
    struct ext4file f;
    if (!ext4file_open(&f, file, OPS_ROOT_LABEL, EXT4FILE_READ, err))
        return false;
    *bytes = ext2fs_blocks_count(f.fs->super) * f.fs->blocksize;
    ext4file_abandon(&f);
    return true;
}

/* Copies n bytes; holes stay holes in a new file. */
static bool span_copy(int from, off_t at, int to, off_t put, uint64_t n, struct err *err)
{
    char *bytes = alloc_zero(GROW_CHUNK);
    off_t end = at + (off_t)n, shift = put - at;
    bool ok = true;
    while (ok && at < end) {
        at = hole_skip(from, at, end);
        size_t want = end - at < (off_t)GROW_CHUNK ? (size_t)(end > at ? end - at : 0) : GROW_CHUNK;
        ssize_t got = want ? pread(from, bytes, want, at) : 0;
        if (got <= 0 && want)
            ok = got == 0 || err_errno(err, "read", "the disk");
        else if (want && pwrite(to, bytes, (size_t)got, at + shift) != got)
            ok = err_errno(err, "write", "the disk");
        at = got > 0 ? at + got : end;
    }
    free(bytes);
    return ok;
}

/* The tables of a disk whose last partition, the root, has `size` bytes. */
static bool table_make(const struct ext4file *f, uint64_t size, uint8_t *head, uint8_t *tail,
                       uint64_t *sectors, struct err *err)
{
    struct gpt_partition parts[GROW_PARTS];
    char names[GROW_PARTS][37];
    uint8_t disk_id[16];
    off_t now = lseek(f->fd, 0, SEEK_END);
    if (pread(f->fd, head, HEAD_BYTES, 0) != (ssize_t)HEAD_BYTES)
        return err_errno(err, "read", f->path);
    size_t count = gpt_read(head, (uint64_t)now / GPT_SECTOR, parts, names, GROW_PARTS, disk_id);
    bool known = count > 0 && count < GROW_PARTS;
    size_t last = 0; /* by its place on the disk */
    for (size_t i = 0; i < count; i++) {
        known = known && parts[i].type != GPT_OTHER;
        last = parts[i].first > parts[last].first ? i : last;
    }
    if (!known || parts[last].first * GPT_SECTOR != f->offset)
        return err_set(err, OPS_EXIT_FAILED, "only disks of `ops build` are resized",
                       "the root partition of %s is not its last one", f->path);
    parts[last].last = parts[last].first + size / GPT_SECTOR - 1;
    *sectors = (f->offset + size + GROW_TAIL) / GPT_SECTOR;
    gpt_fill(head, tail, *sectors, disk_id, parts, count);
    return true;
}

/* Writes the new disk: what stands before the root, the grown root, both tables. */
static bool disk_write_grown(const struct ext4file *f, int root, uint64_t size, int to,
                             struct err *err)
{
    uint8_t *head = alloc_zero(HEAD_BYTES), *tail = alloc_zero(TAIL_BYTES);
    struct stat st;
    uint64_t sectors = 0;
    bool ok = table_make(f, size, head, tail, &sectors, err) &&
              span_copy(f->fd, 0, to, 0, f->offset, err) &&
              span_copy(root, 0, to, (off_t)f->offset, size, err);
    if (ok && (fstat(f->fd, &st) < 0 || fchmod(to, st.st_mode & 07777) < 0 ||
               ftruncate(to, (off_t)(sectors * GPT_SECTOR)) < 0 ||
               pwrite(to, tail, TAIL_BYTES, (off_t)(sectors * GPT_SECTOR - TAIL_BYTES)) !=
                   (ssize_t)TAIL_BYTES ||
               pwrite(to, head, HEAD_BYTES, 0) != (ssize_t)HEAD_BYTES || fsync(to) < 0))
        ok = err_errno(err, "write", f->path);
    free(head);
    free(tail);
    return ok;
}

/* A copy of the root partition without a name, grown. -1: see err. */
static int root_grow(const struct ext4file *f, const char *dir, uint64_t size, struct err *err)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        err_errno(err, "make a temporary file in", dir);
        return -1;
    }
    struct ext4file copy = {.path = alloc_printf("/proc/self/fd/%d", fd), .fd = fd, .size = size};
    bool ok = span_copy(f->fd, (off_t)f->offset, fd, 0, f->size, err) &&
              (ftruncate(fd, (off_t)size) == 0 || err_errno(err, "write", dir)) &&
              ext4tools_grow(&copy, size, err);
    free(copy.path);
    if (ok)
        return fd;
    close(fd);
    return -1;
}

static bool disk_grow(const struct ext4file *f, uint64_t size, struct err *err)
{
    char *real = realpath(f->path, NULL), *dir = path_dirname(real ? real : f->path);
    char *temp = alloc_printf("%s/.%s.ops-unfinished", dir, path_basename(real ? real : f->path));
    int root = root_grow(f, dir, size, err), to = -1;
    bool ok = root >= 0;
    if (ok)
        ok = (to = tempfile_open(temp, f->path, err)) >= 0;
    if (ok) {
        tempfile_guard(temp);
        ok = disk_write_grown(f, root, size, to, err) &&
             (rename(temp, real) == 0 || err_errno(err, "write", f->path));
        if (ok)
            tempfile_release();
        else
            tempfile_remove();
    }
    if (root >= 0)
        close(root);
    if (to >= 0)
        close(to);
    free(temp);
    free(dir);
    free(real);
    return ok;
}

static bool bare_grow(const struct ext4file *f, uint64_t size, struct err *err)
{
    if (f->size < size && ftruncate(f->fd, (off_t)size) < 0)
        return err_errno(err, "write", f->path);
    if (!ext4tools_grow(f, size, err))
        return false;
    return fsync(f->fd) == 0 || err_errno(err, "write", f->path);
}

static bool file_grow(const char *file, uint64_t size, struct err *err)
{
    struct ext4file f;
    struct hold hold;
    if (!ext4file_locate(&f, file, OPS_ROOT_LABEL, EXT4FILE_WRITE, err))
        return false;
    hold_begin(&hold);
    bool ok = f.disk ? disk_grow(&f, size, err) : bare_grow(&f, size, err);
    ext4file_abandon(&f);
    hold_end(&hold);
    return ok;
}

bool grow_run(const struct verb_request *r, char **operands, size_t count, int *status,
              struct err *err)
{
    uint64_t size, now;
    (void)count, (void)status;
    if (!size_parse(operands[1], &size))
        return err_set(err, OPS_EXIT_USAGE, "write 64M or 2G", "%s is not a size", operands[1]);
    size = (size + (1 << 20) - 1) >> 20 << 20;
    char *file = r->family->place(operands[0], err);
    bool ok = file && size_now(file, &now, err);
    if (ok && size < now) {
        char *text = verb_size((double)now);
        ok = err_set(err, OPS_EXIT_FAILED, "make a smaller one and copy the files",
                     "%s has %s; a filesystem is not shrunk", operands[0], text);
        free(text);
    } else if (ok && size > now) {
        ok = file_grow(file, size, err);
    }
    free(file);
    return ok;
}
