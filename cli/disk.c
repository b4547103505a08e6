/* SPDX-License-Identifier: Apache-2.0 */
/* The raw disk of `ops build`: see disk.h. */
#include "disk.h"

#include <ext2fs/ext2fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "alloc.h"
#include "digest.h"
#include "disk_stamp.h"
#include "fat.h"
#include "gpt_table.h"
#include "grub.h"
#include "gzip.h"
#include "hostpath.h"
#include "image_digest.h"
#include "iso.h"
#include "ops/crashlog.h"
#include "ops/exit.h"
#include "ops/image.h"
#include "outfile.h"
#include "rootfs.h"
#include "tarball.h"

#define DISK_MIB ((uint64_t)1 << 20)
/* Behind the table, in what is free before the first MiB. */
#define LOG_OFFSET ((uint64_t)64 << 10)

enum { PART_BIOS, PART_EFI, PART_BOOT, PART_ROOT, PART_LOG, PART_COUNT };

/* What GRUB loads. */
struct boot {
    struct buf kernel, manifest; /* packed */
    struct image_digests digests;
    unsigned char id[64];
};

/* Packs and digests it; all identifiers of the disk come from the digests. */
static bool boot_read(struct boot *b, const struct disk_content *c, const unsigned char root[64],
                      struct err *err)
{
    size_t size;
    char *kernel = path_read(c->kernel, 64 << 20, &size, err);
    struct buf all = {0};
    if (!kernel)
        return false;
    gzip_pack(&b->kernel, kernel, size);
    gzip_pack(&b->manifest, c->manifest->data, c->manifest->size);
    digest_of_bytes(kernel, size, b->digests.kernel);
    digest_of_bytes(c->manifest->data, c->manifest->size, b->digests.manifest);
    b->digests.efi_signed = c->efi_key != NULL;
    buf_add(&all, root, 64);
    buf_add(&all, kernel, size);
    buf_add(&all, c->manifest->data, c->manifest->size);
    ext2fs_sha512((unsigned char *)all.data, all.size, b->id);
    buf_free(&all);
    free(kernel);
    return true;
}

static void boot_free(struct boot *b)
{
    buf_free(&b->kernel);
    buf_free(&b->manifest);
}

/* The boot partition's tree. */
static bool boot_tree(struct tree *t, const struct boot *b, struct err *err)
{
    struct buf digests = {0};
    image_digests_write(&b->digests, &digests);
    bool ok =
        tree_add_dir(t, "/", 0755, "boot", err) &&
        tree_add_bytes(t, OPS_KERNEL_PATH, 0644, b->kernel.data, b->kernel.size, "boot", err) &&
        tree_add_bytes(t, OPS_MANIFEST_PATH, 0644, b->manifest.data, b->manifest.size, "boot",
                       err) &&
        tree_add_text(t, OPS_DIGESTS_PATH, 0644, digests.data, "boot", err);
    buf_free(&digests);
    return ok;
}

/* The same as an archive, for a program that carries it. */
static bool boot_archive(struct buf *to, const struct boot *b, struct err *err)
{
    struct tarball tar;
    size_t size;
    int fd = memfd_create("files.tar", 0);
    bool ok = fd >= 0 || err_errno(err, "make", "a temporary file");
    if (ok && (ok = tarball_begin(&tar, fd, "files.tar", false, err))) {
        ok = tarball_add(&tar, OPS_KERNEL_PATH + 1, b->kernel.size, b->kernel.data, -1, err) &&
             tarball_add(&tar, OPS_MANIFEST_PATH + 1, b->manifest.size, b->manifest.data, -1, err);
        ok = tarball_end(&tar, ok, err);
    }
    char *path = alloc_printf("/proc/self/fd/%d", fd);
    char *bytes = ok ? path_read(path, 64 << 20, &size, err) : NULL;
    if (bytes)
        buf_add(to, bytes, size);
    if (fd >= 0)
        close(fd);
    free(bytes);
    free(path);
    return bytes != NULL;
}

struct disk {
    struct gpt_partition parts[PART_COUNT];
    uint64_t sectors;
    uint8_t id[16];
    struct rootfs_options boot, root;
};

/* Sizes and places of everything; partitions start at whole MiB. */
static void disk_layout(struct disk *d, const struct boot *b, const struct disk_content *c)
{
    uint64_t used = b->kernel.size + b->manifest.size;
    d->boot = (struct rootfs_options){.label = OPS_BOOT_LABEL, .offset = 2 * DISK_MIB + FAT_BYTES};
    d->boot.size = (used + used / 16 + 3 * DISK_MIB) / DISK_MIB * DISK_MIB;
    memcpy(d->boot.id, b->id, sizeof b->id);
    d->root.offset = d->boot.offset + d->boot.size;
    d->root.size = c->root_size ? c->root_size : rootfs_size(c->root, true);
    uint64_t around = d->root.offset + DISK_MIB; /* what is not the root's */
    uint64_t align = c->align ? c->align : DISK_MIB;
    d->root.size = (d->root.size + around + align - 1) / align * align - around;
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

/* The records of a CD-ROM, behind the partition table. */
static bool cd_write(int fd, const char *shown, const struct disk *d, const struct buf *core,
                     struct err *err)
{
    const struct gpt_partition *efi = &d->parts[PART_EFI];
    const struct iso iso = {.core = core,
                            .efi = efi->first * GPT_SECTOR,
                            .efi_size = (efi->last - efi->first + 1) * GPT_SECTOR,
                            .size = d->sectors * GPT_SECTOR};
    uint8_t *records = alloc_zero(ISO_END - ISO_START);
    bool ok = iso_fill(records, &iso) ||
              err_set(err, OPS_EXIT_FAILED, NULL, "GRUB's image for CD-ROMs is too large");
    size_t used = ISO_END - ISO_START;
    while (ok && used && !records[used - 1])
        used--;
    ok = ok && bytes_write(fd, shown, records, used, ISO_START / GPT_SECTOR, err);
    free(records);
    return ok;
}

/* Boot sector, GRUB's core and both partition tables. */
static bool frame_write(int fd, const char *shown, const struct disk *d, const struct grub *g,
                        struct err *err)
{
    uint8_t *head = alloc_zero((size_t)GPT_HEAD_SECTORS * GPT_SECTOR);
    uint8_t *tail = alloc_zero((size_t)GPT_TAIL_SECTORS * GPT_SECTOR);
    memcpy(head, g->boot, GRUB_SECTOR);
    gpt_fill(head, tail, d->sectors, d->id, d->parts, PART_COUNT);
    bool ok = bytes_write(fd, shown, head, (size_t)GPT_HEAD_SECTORS * GPT_SECTOR, 0, err) &&
              bytes_write(fd, shown, g->core.data, g->core.size, d->parts[PART_BIOS].first, err) &&
              efi_write(fd, shown, d, &g->efi, err) &&
              (!g->cd.size || cd_write(fd, shown, d, &g->cd, err)) &&
              bytes_write(fd, shown, tail, (size_t)GPT_TAIL_SECTORS * GPT_SECTOR,
                          d->sectors - GPT_TAIL_SECTORS, err);
    free(head);
    free(tail);
    return ok;
}

static bool loader_write(int fd, const char *shown, const struct disk *d, const struct boot *b,
                         const struct disk_content *c, struct err *err)
{
    struct grub g = {0};
    struct buf carried = {0};
    char uuid[37];
    rootfs_uuid(d->root.id, uuid);
    const struct grub_request request = {.first = d->parts[PART_BIOS].first,
                                         .partition = PART_BOOT + 1,
                                         .cd = c->cd,
                                         .memory_root = c->cd ? uuid : NULL,
                                         .memory_sectors = d->root.size / GRUB_SECTOR,
                                         .key = c->efi_key,
                                         .certificate = c->efi_certificate,
                                         .carried = &carried};
    bool ok = (!c->efi_key || boot_archive(&carried, b, err)) && grub_make(&g, &request, err) &&
              frame_write(fd, shown, d, &g, err);
    grub_free(&g);
    buf_free(&carried);
    return ok;
}

/* The root first: the boot partition holds its digest. */
static bool systems_write(int fd, const char *shown, struct disk *d, struct boot *b,
                          const struct disk_content *c, struct err *err)
{
    struct tree t = {0};
    char *path = alloc_printf("/proc/self/fd/%d", fd);
    d->boot.shown = d->root.shown = shown;
    bool ok =
        rootfs_write(path, c->root, &d->root, err) &&
        ((image_digest_range(fd, d->root.offset, d->root.size, b->digests.root) &&
          image_digest_range(fd, IMAGE_LOADER, d->boot.offset - IMAGE_LOADER, b->digests.loader)) ||
         err_errno(err, "read", shown)) &&
        boot_tree(&t, b, err) && rootfs_write(path, &t, &d->boot, err);
    tree_free(&t);
    free(path);
    return ok;
}

bool disk_write(int fd, const char *shown, const struct disk_content *c, struct err *err)
{
    struct disk d = {.root = {.label = OPS_ROOT_LABEL, .journal = true}};
    struct boot b = {0};
    rootfs_digest(c->root, d.root.id);
    bool ok = boot_read(&b, c, d.root.id, err);
    if (ok) {
        disk_layout(&d, &b, c);
        ok = (ftruncate(fd, (off_t)(d.sectors * GPT_SECTOR)) == 0 ||
              err_errno(err, "write", shown)) &&
             loader_write(fd, shown, &d, &b, c, err) && systems_write(fd, shown, &d, &b, c, err);
    }
    boot_free(&b);
    return ok;
}
