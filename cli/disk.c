/* SPDX-License-Identifier: Apache-2.0 */
/* The raw disk of `ops build`: see disk.h. */
#include "disk.h"

#include <ext2fs/ext2fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "disk_stamp.h"
#include "fat.h"
#include "gpt_table.h"
#include "grub.h"
#include "hostpath.h"
#include "ops/crashlog.h"
#include "ops/exit.h"
#include "ops/image.h"
#include "outfile.h"
#include "rootfs.h"

#define DISK_MIB ((uint64_t)1 << 20)
#define LOG_OFFSET                                                                                 \
    ((uint64_t)64 << 10) /* behind the table, in what is free before the first MiB                 \
                          */

enum { PART_BIOS, PART_EFI, PART_BOOT, PART_ROOT, PART_LOG, PART_COUNT };

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
    d->boot = (struct rootfs_options){.label = OPS_BOOT_LABEL, .offset = 2 * DISK_MIB + FAT_BYTES};
    d->boot.size = (used + used / 16 + 3 * DISK_MIB) / DISK_MIB * DISK_MIB;
    d->root = (struct rootfs_options){.label = OPS_ROOT_LABEL, .journal = true};
    d->root.offset = d->boot.offset + d->boot.size;
    d->root.size = c->root_size ? c->root_size : rootfs_size(c->root, true);
    uint64_t around = d->root.offset + DISK_MIB; /* what is not the root's */
    uint64_t align = c->align ? c->align : DISK_MIB;
    d->root.size = (d->root.size + around + align - 1) / align * align - around;
    rootfs_digest(c->root, d->root.id);
    if (!boot_digest(c, d->root.id, d->boot.id, err))
        return false;
    const struct {
        uint64_t offset, size;
        const char *name;
    } places[] = {{DISK_MIB, DISK_MIB, "ops-grub"},
                  {2 * DISK_MIB, FAT_BYTES, "ops-efi"},
                  {d->boot.offset, d->boot.size, OPS_BOOT_LABEL},
                  {d->root.offset, d->root.size, OPS_ROOT_LABEL},
                  {LOG_OFFSET, OPS_LOG_BYTES, OPS_LOG_LABEL}};
    static const enum gpt_type types[] = {GPT_BIOS_BOOT, GPT_EFI, GPT_LINUX, GPT_LINUX,
                                          GPT_RESERVED};
    for (int i = 0; i < PART_COUNT; i++) {
        struct gpt_partition *p = &d->parts[i];
        p->type = types[i];
        p->first = places[i].offset / GPT_SECTOR;
        p->last = (places[i].offset + places[i].size) / GPT_SECTOR - 1;
        p->name = places[i].name;
        stamp_id(d->boot.id, p->name, p->id);
    }
    stamp_id(d->boot.id, "disk", d->id);
    d->sectors = (d->root.offset + d->root.size + DISK_MIB) / GPT_SECTOR;
    return true;
}

static bool bytes_write(int fd, const char *shown, const void *bytes, size_t n, uint64_t sector,
                        struct err *err)
{
    return outfile_put(fd, shown, bytes, n, (off_t)(sector * GPT_SECTOR), err);
}

/* The EFI system partition; its serial number follows from the partition's identifier. */
static bool efi_write(int fd, const char *shown, const struct disk *d, const struct buf *program,
                      struct err *err)
{
    const struct gpt_partition *p = &d->parts[PART_EFI];
    uint8_t *fat = alloc_zero(FAT_BYTES);
    uint32_t serial = (uint32_t)p->id[0] << 24 | p->id[1] << 16 | p->id[2] << 8 | p->id[3];
    bool ok = fat_fill(fat, p->first, serial, program->data, program->size) ||
              err_set(err, OPS_EXIT_FAILED, NULL, "GRUB's program for UEFI machines is too large");
    size_t used = FAT_BYTES; /* the rest stays a hole */
    while (ok && used && !fat[used - 1])
        used--;
    ok = ok && bytes_write(fd, shown, fat, used, p->first, err);
    free(fat);
    return ok;
}

/* Boot sector, GRUB's core and both partition tables. */
static bool frame_write(int fd, const char *shown, const struct disk *d, struct err *err)
{
    struct grub g;
    uint64_t core = d->parts[PART_BIOS].first;
    uint8_t *head = alloc_zero((size_t)GPT_HEAD_SECTORS * GPT_SECTOR);
    uint8_t *tail = alloc_zero((size_t)GPT_TAIL_SECTORS * GPT_SECTOR);
    bool ok = grub_make(&g, core, PART_BOOT + 1, err);
    if (ok) {
        memcpy(head, g.boot, GRUB_SECTOR);
        gpt_fill(head, tail, d->sectors, d->id, d->parts, PART_COUNT);
        ok = bytes_write(fd, shown, head, (size_t)GPT_HEAD_SECTORS * GPT_SECTOR, 0, err) &&
             bytes_write(fd, shown, g.core.data, g.core.size, core, err) &&
             efi_write(fd, shown, d, &g.efi, err) &&
             bytes_write(fd, shown, tail, (size_t)GPT_TAIL_SECTORS * GPT_SECTOR,
                         d->sectors - GPT_TAIL_SECTORS, err);
    }
    grub_free(&g);
    free(head);
    free(tail);
    return ok;
}

bool disk_write(int fd, const char *shown, const struct disk_content *c, struct err *err)
{
    struct disk d = {0};
    struct tree boot = {0};
    char *path = alloc_printf("/proc/self/fd/%d", fd);
    bool ok = boot_tree(&boot, c, err) && disk_layout(&d, &boot, c, err);
    d.boot.shown = d.root.shown = shown;
    if (ok && ftruncate(fd, (off_t)(d.sectors * GPT_SECTOR)) < 0)
        ok = err_errno(err, "write", shown);
    ok = ok && frame_write(fd, shown, &d, err) && rootfs_write(path, &boot, &d.boot, err) &&
         rootfs_write(path, c->root, &d.root, err);
    tree_free(&boot);
    free(path);
    return ok;
}
