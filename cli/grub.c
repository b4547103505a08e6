/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GRUB for BIOS machines: see grub.h. Two places hold disk addresses: the boot
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
    return err_set(err, OPS_EXIT_FAILED, "install it: apt install grub-pc-bin grub-common",
                   "cannot find GRUB's %s, which makes the disk bootable", what);
}

static bool core_check(struct grub *g, const char *path, uint64_t first, struct err *err)
{
    size_t size;
    char *data = path_read(path, 1 << 20, &size, err);
    if (!data)
        return false;
    buf_add(&g->core, data, size);
    free(data);
    static const char zeros[GRUB_SECTOR];
    buf_add(&g->core, zeros, (GRUB_SECTOR - size % GRUB_SECTOR) % GRUB_SECTOR);
    uint64_t sectors = g->core.size / GRUB_SECTOR;
    if (sectors < 2 || sectors > 1024)
        return err_set(err, OPS_EXIT_FAILED, NULL, "grub-mkimage made an image of a strange size");
    put_le(g->core.data + GRUB_LIST_START, first + 1, 8);
    put_le(g->core.data + GRUB_LIST_LENGTH, sectors - 1, 2);
    return true;
}

/* Runs grub-mkimage between two files in memory. */
static bool core_make(struct grub *g, const char *tool, uint64_t first, unsigned partition,
                      struct err *err)
{
    int config = memfd_create("grub.cfg", 0), core = memfd_create("core.img", 0);
    const int keep[] = {config, core};
    struct strlist argv = {0};
    struct buf said = {0};
    char *path = alloc_printf("/proc/self/fd/%d", core);
    strlist_add(&argv, tool);
    strlist_split(&argv, "-O i386-pc -d " GRUB_DIR " -c", " ");
    strlist_addf(&argv, "/proc/self/fd/%d", config);
    strlist_add(&argv, "-p");
    strlist_addf(&argv, "(,gpt%u)/", partition); /* the disk it was booted from */
    strlist_add(&argv, "-o");
    strlist_add(&argv, path);
    strlist_split(&argv, "biosdisk part_gpt ext2 multiboot2", " ");
    bool ok = config >= 0 && core >= 0 &&
              write(config, grub_config, sizeof grub_config - 1) == sizeof grub_config - 1;
    if (!ok)
        err_errno(err, "prepare", "GRUB's image");
    ok = ok && child_collect(&argv, keep, 2, &said, err) && core_check(g, path, first, err);
    buf_free(&said);
    strlist_free(&argv);
    free(path);
    if (config >= 0)
        close(config);
    if (core >= 0)
        close(core);
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
    if (ok) {
        put_le(boot + GRUB_BOOT_SECTOR, first, 8);
        memcpy(g->boot, boot, GRUB_SECTOR);
        ok = core_make(g, tool, first, partition, err);
    } else {
        grub_missing("files for BIOS machines in " GRUB_DIR, err);
    }
    free(boot);
    free(tool);
    return ok;
}

void grub_free(struct grub *g)
{
    buf_free(&g->core);
}
