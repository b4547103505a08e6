/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growing filesystems in files: see grow.h. The order makes every interruption
 * harmless: first the file is larger, then the partition, at last the filesystem.
 */
#include "grow.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "ext4tools.h"
#include "gpt_table.h"
#include "hold.h"
#include "ops/exit.h"
#include "ops/image.h"
#include "size.h"

#define GROW_PARTS 8
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

static bool table_write(const struct ext4file *f, const uint8_t *head, const uint8_t *tail,
                        uint64_t sectors, struct err *err)
{
    const size_t head_size = (size_t)GPT_HEAD_SECTORS * GPT_SECTOR;
    const size_t tail_size = (size_t)GPT_TAIL_SECTORS * GPT_SECTOR;
    off_t end = (off_t)((sectors - GPT_TAIL_SECTORS) * GPT_SECTOR);
    if (ftruncate(f->fd, (off_t)(sectors * GPT_SECTOR)) == 0 &&
        pwrite(f->fd, tail, tail_size, end) == (ssize_t)tail_size && fsync(f->fd) == 0 &&
        pwrite(f->fd, head, head_size, 0) == (ssize_t)head_size)
        return true;
    return err_errno(err, "write", f->path);
}

/* Makes the last partition, which must be the root, `size` bytes. */
static bool disk_grow(struct ext4file *f, uint64_t size, struct err *err)
{
    struct gpt_partition parts[GROW_PARTS];
    char names[GROW_PARTS][37];
    uint8_t disk_id[16];
    uint64_t sectors = (f->offset + size + GROW_TAIL) / GPT_SECTOR;
    off_t now = lseek(f->fd, 0, SEEK_END);
    uint8_t *head = alloc_zero((size_t)GPT_HEAD_SECTORS * GPT_SECTOR);
    uint8_t *tail = alloc_zero((size_t)GPT_TAIL_SECTORS * GPT_SECTOR);
    bool ok = pread(f->fd, head, (size_t)GPT_HEAD_SECTORS * GPT_SECTOR, 0) > 0 ||
              err_errno(err, "read", f->path);
    size_t count =
        ok ? gpt_read(head, (uint64_t)now / GPT_SECTOR, parts, names, GROW_PARTS, disk_id) : 0;
    bool known = count > 0 && count < GROW_PARTS;
    for (size_t i = 0; i < count; i++)
        known = known && parts[i].type != GPT_OTHER;
    struct gpt_partition *root = known ? &parts[count - 1] : NULL;
    if (ok && (!root || root->first * GPT_SECTOR != f->offset))
        ok = err_set(err, OPS_EXIT_FAILED, "only disks of `ops build` are resized",
                     "the root partition of %s is not its last one", f->path);
    if (ok) {
        root->last = root->first + size / GPT_SECTOR - 1;
        gpt_fill(head, tail, sectors, disk_id, parts, count);
        ok = table_write(f, head, tail, sectors, err);
    }
    free(head);
    free(tail);
    return ok;
}

static bool place_grow(struct ext4file *f, uint64_t size, struct err *err)
{
    if (f->size >= size)
        return true;
    if (f->disk)
        return disk_grow(f, size, err);
    return ftruncate(f->fd, (off_t)size) == 0 || err_errno(err, "write", f->path);
}

static bool file_grow(const char *file, uint64_t size, struct err *err)
{
    struct ext4file f;
    struct hold hold;
    if (!ext4file_locate(&f, file, OPS_ROOT_LABEL, EXT4FILE_WRITE, err))
        return false;
    hold_begin(&hold);
    bool ok = place_grow(&f, size, err) && ext4tools_grow(&f, size, err);
    if (ok && fsync(f.fd) < 0)
        ok = err_errno(err, "write", file);
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
