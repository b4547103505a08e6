/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads what the loader left (PVH: xen/include/public/arch-x86/hvm/start_info.h;
 * multiboot2: specification 2.0 §3.6) into boot_info. Runs on the boot page
 * table, which maps the first 4 GiB.
 */
#include "arch/x86_64/boot.h"

#include "arch/x86_64/apic.h"
#include "arch/x86_64/features.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/trap.h"
#include "arch/x86_64/upcalls.h"
#include "lib/string.h"

#define BOOT_MAP_END (4ull << 30)
#define PVH_MAGIC    0x336ec578
#define PVH_RAM      1

struct pvh_info {
    uint32_t magic, version, flags, nr_modules;
    uint64_t modlist, cmdline, rsdp, memmap;
    uint32_t memmap_entries, reserved;
};

struct pvh_module {
    uint64_t paddr, size, cmdline, reserved;
};

struct pvh_range {
    uint64_t addr, size;
    uint32_t type, reserved;
};

enum mb2_tag_type {
    MB2_END = 0,
    MB2_CMDLINE = 1,
    MB2_MODULE = 3,
    MB2_MEMORY_MAP = 6,
    MB2_FRAMEBUFFER = 8,
    MB2_RSDP_OLD = 14,
    MB2_RSDP_NEW = 15,
};

struct mb2_tag {
    uint32_t type, size;
};

struct mb2_module {
    struct mb2_tag tag;
    uint32_t start, end;
    char cmdline[];
};

struct mb2_memory_map {
    struct mb2_tag tag;
    uint32_t entry_size, entry_version;
};

struct mb2_range {
    uint64_t addr, size;
    uint32_t type, reserved;
};

struct mb2_framebuffer { /* without what follows for other types */
    struct mb2_tag tag;
    uint64_t address;
    uint32_t pitch, width, height;
    uint8_t bits, type;
};

#define MB2_TEXT 2 /* mb2_framebuffer.type */

struct boot_info boot_info;

_Noreturn void boot_main(uint32_t info, uint32_t loader);

static void boot_add_range(paddr_t start, uint64_t size)
{
    if (boot_info.range_count == BOOT_RANGES || start + size < start)
        return;
    boot_info.range[boot_info.range_count++] = (struct boot_range){start, start + size};
}

static void boot_add_module(paddr_t start, paddr_t end)
{
    if (boot_info.module_count < BOOT_MODULES && start <= end)
        boot_info.module[boot_info.module_count++] = (struct boot_range){start, end};
}

static void boot_set_cmdline(const char *s)
{
    size_t n = strnlen(s, sizeof boot_info.cmdline - 1);
    memcpy(boot_info.cmdline, s, n);
    boot_info.cmdline[n] = '\0';
}

static bool boot_readable(uint64_t paddr, uint64_t size)
{
    return paddr && paddr < BOOT_MAP_END && size <= BOOT_MAP_END - paddr;
}

static void boot_read_pvh(const struct pvh_info *info)
{
    if (info->magic != PVH_MAGIC)
        return;
    if (info->version >= 1 && boot_readable(info->memmap, 0)) {
        const struct pvh_range *r = phys_to_virt(info->memmap);
        for (uint32_t i = 0; i < info->memmap_entries; i++)
            if (r[i].type == PVH_RAM)
                boot_add_range(r[i].addr, r[i].size);
    }
    if (boot_readable(info->modlist, 0)) {
        const struct pvh_module *m = phys_to_virt(info->modlist);
        for (uint32_t i = 0; i < info->nr_modules; i++)
            boot_add_module(m[i].paddr, m[i].paddr + m[i].size);
    }
    if (boot_readable(info->cmdline, 0))
        boot_set_cmdline(phys_to_virt(info->cmdline));
    boot_info.rsdp = info->rsdp;
}

static void boot_read_mb2_map(const struct mb2_memory_map *map)
{
    const uint8_t *p = (const uint8_t *)(map + 1), *end = (const uint8_t *)map + map->tag.size;
    for (; map->entry_size >= sizeof(struct mb2_range) && p + map->entry_size <= end;
         p += map->entry_size) {
        const struct mb2_range *r = (const void *)p;
        if (r->type == 1)
            boot_add_range(r->addr, r->size);
    }
}

static void boot_read_mb2_screen(const struct mb2_framebuffer *f)
{
    if (f->tag.size >= sizeof *f && f->type == MB2_TEXT)
        boot_info.screen = (struct boot_screen){f->address, f->pitch, f->width, f->height};
}

static void boot_read_mb2(const uint8_t *info)
{
    uint32_t size;
    memcpy(&size, info, sizeof size);
    const uint8_t *p = info + 8, *end = info + size;
    while (p + sizeof(struct mb2_tag) <= end) {
        const struct mb2_tag *tag = (const void *)p;
        if (tag->type == MB2_END || tag->size < sizeof *tag)
            return;
        const struct mb2_module *m = (const void *)p;
        if (tag->type == MB2_CMDLINE)
            boot_set_cmdline((const char *)(tag + 1));
        else if (tag->type == MB2_MODULE)
            boot_add_module(m->start, m->end);
        else if (tag->type == MB2_MEMORY_MAP)
            boot_read_mb2_map((const void *)p);
        else if (tag->type == MB2_FRAMEBUFFER)
            boot_read_mb2_screen((const void *)p);
        else if (tag->type == MB2_RSDP_NEW || (tag->type == MB2_RSDP_OLD && !boot_info.rsdp))
            boot_info.rsdp = virt_to_phys(tag + 1);
        p += ALIGN_UP(tag->size, 8);
    }
}

void boot_main(uint32_t info, uint32_t loader)
{
    boot_info.loader = loader;
    if (loader == BOOT_PVH)
        boot_read_pvh(phys_to_virt(info));
    else
        boot_read_mb2(phys_to_virt(info));
    cpu_detect();
    trap_init();
    cpu_setup(0, 0);
    kernel_main();
}

bool boot_option_nth(const char *name, unsigned nth, char *buf, size_t n)
{
    size_t len = strlen(name);
    const char *p = boot_info.cmdline;
    while (*p) {
        while (*p == ' ')
            p++;
        const char *word = p;
        while (*p && *p != ' ')
            p++;
        size_t word_len = (size_t)(p - word);
        if (word_len <= len || strncmp(word, name, len) || word[len] != '=' || nth-- > 0)
            continue;
        size_t value = MIN(word_len - len - 1, n - 1);
        memcpy(buf, word + len + 1, value);
        buf[value] = '\0';
        return true;
    }
    return false;
}

bool boot_option(const char *name, char *buf, size_t n)
{
    return boot_option_nth(name, 0, buf, n);
}
