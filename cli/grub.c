/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GRUB: see grub.h. For BIOS machines two places hold disk addresses: the boot
 * sector the one of the core image, and the core's own first sector (diskboot)
 * the list of sectors of what follows.
 */
#include "grub.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "alloc.h"
#include "child.h"
#include "hostpath.h"
#include "ops/exit.h"
#include "script.h"
#include "strlist.h"

#define GRUB_DIR         "/usr/lib/grub/i386-pc"
#define GRUB_EFI_DIR     "/usr/lib/grub/x86_64-efi"
#define GRUB_BOOT_SECTOR 0x5c  /* boot.img: 64-bit sector of the core image */
#define GRUB_LIST_START  0x1f4 /* diskboot.img: 64-bit sector of the rest ... */
#define GRUB_LIST_LENGTH 0x1fc /* ... and how many, 16 bits */

static const char grub_config[] = "multiboot2 /kernel.elf\n"
                                  "module2 /manifest manifest\n"
                                  "boot\n";

static void put_le(char *to, uint64_t v, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        to[i] = (char)(v >> 8 * i);
}

static bool grub_missing(const char *what, struct err *err)
{
    return err_set(err, OPS_EXIT_FAILED,
                   "install it: apt install grub-pc-bin grub-efi-amd64-bin grub-common",
                   "cannot find GRUB's %s, which makes the disk bootable", what);
}

static bool core_check(struct grub *g, uint64_t first, struct err *err)
{
    static const char zeros[GRUB_SECTOR];
    buf_add(&g->core, zeros, (GRUB_SECTOR - g->core.size % GRUB_SECTOR) % GRUB_SECTOR);
    uint64_t sectors = g->core.size / GRUB_SECTOR;
    if (sectors < 2 || sectors > 1024)
        return err_set(err, OPS_EXIT_FAILED, NULL, "grub-mkimage made an image of a strange size");
    put_le(g->core.data + GRUB_LIST_START, first + 1, 8);
    put_le(g->core.data + GRUB_LIST_LENGTH, sectors - 1, 2);
    return true;
}

/* Runs grub-mkimage between two files in memory; `platform`: its words for it. */
static bool image_make(struct buf *to, const char *tool, const char *platform, const char *modules,
                       unsigned partition, struct err *err)
{
    int config = memfd_create("grub.cfg", 0), image = memfd_create("core.img", 0);
    const int keep[] = {config, image};
    struct strlist argv = {0};
    struct buf said = {0};
    size_t size;
    char *path = alloc_printf("/proc/self/fd/%d", image), *data = NULL;
    strlist_add(&argv, tool);
    strlist_split(&argv, platform, " ");
    strlist_addf(&argv, "-c/proc/self/fd/%d", config);
    strlist_addf(&argv, "-p(,gpt%u)/", partition); /* the disk it was booted from */
    strlist_addf(&argv, "-o%s", path);
    strlist_split(&argv, modules, " ");
    bool ok = config >= 0 && image >= 0 &&
              write(config, grub_config, sizeof grub_config - 1) == sizeof grub_config - 1;
    if (!ok)
        err_errno(err, "prepare", "GRUB's image");
    ok = ok && child_collect(&argv, keep, 2, &said, err) &&
         (data = path_read(path, 4 << 20, &size, err));
    if (ok)
        buf_add(to, data, size);
    free(data);
    buf_free(&said);
    strlist_free(&argv);
    free(path);
    if (config >= 0)
        close(config);
    if (image >= 0)
        close(image);
    return ok;
}

bool grub_make(struct grub *g, uint64_t first, unsigned partition, struct err *err)
{
    size_t size;
    *g = (struct grub){0};
    char *tool = script_find(NULL, "grub-mkimage");
    if (!tool)
        return grub_missing("grub-mkimage", err);
    char *boot = path_read(GRUB_DIR "/boot.img", 4096, &size, err);
    bool ok = boot && size == GRUB_SECTOR;
    if (!ok) {
        grub_missing("files for BIOS machines in " GRUB_DIR, err);
    } else if (access(GRUB_EFI_DIR "/moddep.lst", R_OK) < 0) {
        ok = grub_missing("files for UEFI machines in " GRUB_EFI_DIR, err);
    } else {
        put_le(boot + GRUB_BOOT_SECTOR, first, 8);
        memcpy(g->boot, boot, GRUB_SECTOR);
        ok = image_make(&g->core, tool, "-O i386-pc -d " GRUB_DIR,
                        "biosdisk part_gpt ext2 multiboot2", partition, err) &&
             core_check(g, first, err) &&
             image_make(&g->efi, tool, "-O x86_64-efi -d " GRUB_EFI_DIR, "part_gpt ext2 multiboot2",
                        partition, err);
    }
    free(boot);
    free(tool);
    return ok;
}

void grub_free(struct grub *g)
{
    buf_free(&g->core);
    buf_free(&g->efi);
}
