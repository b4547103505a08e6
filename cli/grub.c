/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GRUB: see grub.h. For BIOS machines two places hold disk addresses: the boot
 * sector the one of the core image, and the core's own first sector (diskboot)
 * the list of sectors of what follows.
 */
#include "grub.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "alloc.h"
#include "child.h"
#include "hostpath.h"
#include "little.h"
#include "ops/exit.h"
#include "script.h"
#include "strlist.h"

#define GRUB_DIR         "/usr/lib/grub/i386-pc"
#define GRUB_EFI_DIR     "/usr/lib/grub/x86_64-efi"
#define GRUB_BOOT_SECTOR 0x5c  /* boot.img: 64-bit sector of the core image */
#define GRUB_LIST_START  0x1f4 /* diskboot.img: 64-bit sector of the rest ... */
#define GRUB_LIST_LENGTH 0x1fc /* ... and how many, 16 bits */

/* Checksums of packed files are compared (gzio with gcry_crc). */
#define LOAD_MODULES "multiboot2 gzio gcry_crc halt"
#define DISK_MODULES "part_gpt ext2 search_fs_uuid " LOAD_MODULES

/* One image of grub-mkimage; lists are words with spaces between. */
struct core {
    const char *platform; /* its words for it */
    const char *modules;
    bool bios;
    const struct buf *carried; /* files of its own; NULL: those of the partition */
};

static const struct core core_bios = {"-O i386-pc -d " GRUB_DIR,
                                      "biosdisk serial terminal " DISK_MODULES, true, NULL};
static const struct core core_cd = {"-O i386-pc-eltorito -d " GRUB_DIR,
                                    "biosdisk serial terminal " DISK_MODULES, true, NULL};
static const struct core core_efi = {"-O x86_64-efi -d " GRUB_EFI_DIR, DISK_MODULES, false, NULL};
/* Under Secure Boot GRUB wants every file verified, by shim or somebody, but for those that the
 * signed program carries. */
static const struct core core_signed = {"-O x86_64-efi --disable-shim-lock -d " GRUB_EFI_DIR,
                                        "memdisk tar " LOAD_MODULES, false, NULL};

static void load_add(struct buf *b, const struct grub_request *r, bool root)
{
    buf_addf(b, "multiboot2 /kernel.elf\nmodule2 /manifest manifest\n");
    if (root)
        buf_addf(b, "search.fs_uuid %s disk\nmodule2 ($disk)0+%llu root\n", r->memory_root,
                 (unsigned long long)r->memory_sectors);
    buf_addf(b, "boot\n");
}

/*
 * What an image does. The serial line gets to know what is wrong by a second try, as its terminal
 * begins with some bytes that are not the program's; UEFI's console is there already. Then the
 * machine goes off: it does not wait for somebody at a keyboard.
 */
static void config_write(struct buf *b, const struct core *core, const struct grub_request *r)
{
    bool root = r->memory_root && !core->carried;
    load_add(b, r, root);
    if (core->bios) {
        buf_addf(b, "serial\nterminal_output --append serial\n");
        load_add(b, r, root);
    }
    buf_addf(b, "halt\n");
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

/* A file in memory with these bytes; -1: see err. */
static int memory_file(const char *name, const void *bytes, size_t n, struct err *err)
{
    int fd = memfd_create(name, 0);
    if (fd >= 0 && path_put(fd, bytes, n))
        return fd;
    err_errno(err, "prepare", "GRUB's image");
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool memory_read(int fd, struct buf *to, struct err *err)
{
    size_t size;
    char *path = alloc_printf("/proc/self/fd/%d", fd);
    char *data = path_read(path, 16 << 20, &size, err);
    if (data)
        buf_add(to, data, size);
    free(data);
    free(path);
    return data != NULL;
}

static void descriptor_close(int fd)
{
    if (fd >= 0)
        close(fd);
}

/* Runs grub-mkimage between files in memory. */
static bool image_make(struct buf *to, const char *tool, const struct core *core,
                       const struct grub_request *r, struct err *err)
{
    const struct buf *carried = core->carried;
    struct buf text = {0};
    config_write(&text, core, r);
    int config = memory_file("grub.cfg", text.data, text.size, err);
    int image = memory_file("core.img", "", 0, err);
    int disk = carried ? memory_file("files.tar", carried->data, carried->size, err) : -1;
    const int keep[] = {config, image, disk};
    struct strlist argv = {0};
    struct buf said = {0};
    strlist_add(&argv, tool);
    strlist_split(&argv, core->platform, " ");
    strlist_addf(&argv, "-c/proc/self/fd/%d", config);
    if (carried) {
        strlist_addf(&argv, "-m/proc/self/fd/%d", disk);
        strlist_add(&argv, "-p(memdisk)/");
    } else {
        strlist_addf(&argv, "-p(,gpt%u)/", r->partition); /* the disk it was booted from */
    }
    strlist_addf(&argv, "-o/proc/self/fd/%d", image);
    strlist_split(&argv, core->modules, " ");
    bool ok = config >= 0 && image >= 0 && (!carried || disk >= 0) &&
              child_collect(&argv, keep, carried ? 3 : 2, &said, err) &&
              memory_read(image, to, err);
    buf_free(&text);
    buf_free(&said);
    strlist_free(&argv);
    descriptor_close(config);
    descriptor_close(image);
    descriptor_close(disk);
    return ok;
}

/* Replaces the program by one with a signature. */
static bool program_sign(struct buf *program, const struct grub_request *r, struct err *err)
{
    char *tool = script_find(NULL, "sbsign");
    if (!tool)
        return err_set(err, OPS_EXIT_FAILED, "install it: apt install sbsigntool",
                       "cannot find sbsign, which signs programs for Secure Boot");
    int from = memory_file("BOOTX64.EFI", program->data, program->size, err);
    int to = memory_file("signed.efi", "", 0, err);
    const int keep[] = {from, to};
    struct strlist argv = {0};
    struct buf said = {0};
    strlist_add(&argv, tool);
    strlist_add(&argv, "--key");
    strlist_add(&argv, r->key);
    strlist_add(&argv, "--cert");
    strlist_add(&argv, r->certificate);
    strlist_add(&argv, "--output");
    strlist_addf(&argv, "/proc/self/fd/%d", to);
    strlist_addf(&argv, "/proc/self/fd/%d", from);
    bool ok = from >= 0 && to >= 0 && child_collect(&argv, keep, 2, &said, err);
    if (ok) {
        buf_free(program);
        ok = memory_read(to, program, err);
    }
    buf_free(&said);
    strlist_free(&argv);
    free(tool);
    descriptor_close(from);
    descriptor_close(to);
    return ok;
}

static bool images_make(struct grub *g, const char *tool, const struct grub_request *r,
                        struct err *err)
{
    struct core efi = r->key ? core_signed : core_efi;
    efi.carried = r->key ? r->carried : NULL;
    return image_make(&g->core, tool, &core_bios, r, err) && core_check(g, r->first, err) &&
           (!r->cd || image_make(&g->cd, tool, &core_cd, r, err)) &&
           image_make(&g->efi, tool, &efi, r, err) && (!r->key || program_sign(&g->efi, r, err));
}

bool grub_make(struct grub *g, const struct grub_request *r, struct err *err)
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
        put_le(boot + GRUB_BOOT_SECTOR, r->first, 8);
        memcpy(g->boot, boot, GRUB_SECTOR);
        ok = images_make(g, tool, r, err);
    }
    free(boot);
    free(tool);
    return ok;
}

void grub_free(struct grub *g)
{
    buf_free(&g->core);
    buf_free(&g->cd);
    buf_free(&g->efi);
}
