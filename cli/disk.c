/* SPDX-License-Identifier: Apache-2.0 */
/* The raw disk of `ops build`: see disk.h. */
#include "disk.h"

#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "gpt_table.h"
#include "grub.h"
#include "hostpath.h"
#include "ops/exit.h"
#include "ops/image.h"
#include "rootfs.h"
#include "tempfile.h"

#define DISK_MIB ((uint64_t)1 << 20)

enum { PART_BIOS, PART_BOOT, PART_ROOT, PART_COUNT };

/* The boot partition's tree. The kernel's own time would make equal builds differ. */
static bool boot_tree(struct tree *t, const struct disk_content *c, struct err *err)
{
    char *kernel = realpath(c->kernel, NULL);
    bool ok = tree_add_dir(t, "/", 0755, "boot", err) &&
              tree_add_text(t, "/manifest", 0644, c->manifest->data, "boot", err) &&
              tree_add_host(t, "/kernel.elf", kernel ? kernel : c->kernel, "boot", err);
    if (ok) {
        struct stat *st = &tree_find(t, "/kernel.elf")->st;
        st->st_mtim = (struct timespec){0};
        st->st_mode = S_IFREG | 0644;
    }
    free(kernel);
    return ok;
}

/* Digest of the boot partition's content; all identifiers of the disk come from the digests. */
static bool boot_digest(const struct disk_content *c, const unsigned char root[64],
                        unsigned char digest[64], struct err *err)
{
    size_t size;
    char *kernel = path_read(c->kernel, 64 << 20, &size, err);
    struct buf b = {0};
    if (!kernel)
        return false;
    buf_add(&b, root, 64);
    buf_add(&b, kernel, size);
    buf_add(&b, c->manifest->data, c->manifest->size);
    ext2fs_sha512((unsigned char *)b.data, b.size, digest);
    buf_free(&b);
    free(kernel);
    return true;
}

struct disk {
    struct gpt_partition parts[PART_COUNT];
    uint64_t sectors;
    uint8_t id[16];
    struct rootfs_options boot, root;
};

/* Sizes and places of everything; partitions start at whole MiB. */
static bool disk_layout(struct disk *d, const struct tree *boot, const struct disk_content *c,
                        struct err *err)
{
    uint64_t used = 0;
    struct tree_entry **files = tree_entries(boot);
    for (size_t i = 0; files[i]; i++)
        used += (uint64_t)files[i]->st.st_size;
    free(files);
    d->boot = (struct rootfs_options){.label = OPS_BOOT_LABEL, .offset = 2 * DISK_MIB};
    d->boot.size = (used + used / 16 + 3 * DISK_MIB) / DISK_MIB * DISK_MIB;
    d->root = (struct rootfs_options){.label = OPS_ROOT_LABEL, .journal = true};
    d->root.offset = d->boot.offset + d->boot.size;
    d->root.size = c->root_size ? c->root_size : rootfs_size(c->root, true);
    d->root.size = (d->root.size + DISK_MIB - 1) / DISK_MIB * DISK_MIB;
    rootfs_digest(c->root, d->root.id);
    if (!boot_digest(c, d->root.id, d->boot.id, err))
        return false;
    const struct {
        uint64_t offset, size;
        const char *name;
    } places[] = {{DISK_MIB, DISK_MIB, "ops-grub"},
                  {d->boot.offset, d->boot.size, OPS_BOOT_LABEL},
                  {d->root.offset, d->root.size, OPS_ROOT_LABEL}};
    for (int i = 0; i < PART_COUNT; i++) {
        struct gpt_partition *p = &d->parts[i];
        p->type = i == PART_BIOS ? GPT_BIOS_BOOT : GPT_LINUX;
        p->first = places[i].offset / GPT_SECTOR;
        p->last = (places[i].offset + places[i].size) / GPT_SECTOR - 1;
        p->name = places[i].name;
        memcpy(p->id, d->boot.id + 16 * (i + 1), 16);
        gpt_id_stamp(p->id);
    }
    memcpy(d->id, d->root.id + 32, 16);
    gpt_id_stamp(d->id);
    d->sectors = (d->root.offset + d->root.size + DISK_MIB) / GPT_SECTOR;
    return true;
}

static bool bytes_write(int fd, const char *path, const void *bytes, size_t n, uint64_t sector,
                        struct err *err)
{
    ssize_t done = pwrite(fd, bytes, n, (off_t)(sector * GPT_SECTOR));
    if (done >= 0 && (size_t)done < n)
        errno = ENOSPC;
    return done == (ssize_t)n || err_errno(err, "write", path);
}

/* Boot sector, GRUB's core and both partition tables. */
static bool frame_write(int fd, const char *path, const struct disk *d, struct err *err)
{
    struct grub g;
    uint64_t core = d->parts[PART_BIOS].first;
    uint8_t *head = alloc_zero((size_t)GPT_HEAD_SECTORS * GPT_SECTOR);
    uint8_t *tail = alloc_zero((size_t)GPT_TAIL_SECTORS * GPT_SECTOR);
    bool ok = grub_make(&g, core, PART_BOOT + 1, err);
    if (ok) {
        memcpy(head, g.boot, GRUB_SECTOR);
        gpt_fill(head, tail, d->sectors, d->id, d->parts, PART_COUNT);
        ok = bytes_write(fd, path, head, (size_t)GPT_HEAD_SECTORS * GPT_SECTOR, 0, err) &&
             bytes_write(fd, path, g.core.data, g.core.size, core, err) &&
             bytes_write(fd, path, tail, (size_t)GPT_TAIL_SECTORS * GPT_SECTOR,
                         d->sectors - GPT_TAIL_SECTORS, err);
    }
    grub_free(&g);
    free(head);
    free(tail);
    return ok;
}

static bool content_write(int fd, const char *path, const struct disk_content *c, struct err *err)
{
    struct disk d = {0};
    struct tree boot = {0};
    bool ok = boot_tree(&boot, c, err) && disk_layout(&d, &boot, c, err);
    if (ok && ftruncate(fd, (off_t)(d.sectors * GPT_SECTOR)) < 0)
        ok = err_errno(err, "write", path);
    ok = ok && frame_write(fd, path, &d, err) && rootfs_write(path, &boot, &d.boot, err) &&
         rootfs_write(path, c->root, &d.root, err);
    if (ok && fsync(fd) < 0)
        ok = err_errno(err, "write", path);
    tree_free(&boot);
    return ok;
}

static bool output_check(const char *path, struct err *err)
{
    struct stat st;
    if (lstat(path, &st) < 0 || S_ISREG(st.st_mode))
        return true;
    return err_set(err, OPS_EXIT_FAILED, "choose the name of a new file",
                   "cannot write %s: it exists and is not a regular file", path);
}

bool disk_write(const char *path, const struct disk_content *content, struct err *err)
{
    if (!output_check(path, err))
        return false;
    char *dir = path_dirname(path), *name = alloc_printf(".%s.ops-unfinished", path_basename(path));
    char *joined = path_join(dir, name), *temp = path_absolute(joined);
    int fd = tempfile_open(temp, path, err);
    bool ok = fd >= 0;
    if (ok) {
        tempfile_guard(temp);
        ok = content_write(fd, temp, content, err);
        if (ok && rename(temp, path) < 0)
            ok = err_errno(err, "write", path);
        if (ok)
            tempfile_release();
        else
            tempfile_remove();
        close(fd);
    }
    int dir_fd = ok ? open(dir, O_RDONLY | O_CLOEXEC) : -1;
    if (dir_fd >= 0) {
        fsync(dir_fd);
        close(dir_fd);
    }
    free(temp);
    free(joined);
    free(name);
    free(dir);
    return ok;
}
