/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/self/maps, smaps and statm: the address space as text (proc(5)). */
#include <asm/mman.h>

#include "fs/procfs.h"
#include "lib/fmt.h"
#include "proc/process.h"
#include "proc/procinfo.h"
#include "vm/huge.h"
#include "vm/range.h"

#define NAME_COLUMN 73 /* where names begin */
#define LINE_MAX    384

static const char *vma_label(const struct vma *v)
{
    if (v->flags & VMA_STACK)
        return "[stack]";
    if (v->flags & VMA_HEAP)
        return "[heap]";
    if (v->flags & VMA_VVAR)
        return "[vvar]";
    return v->flags & VMA_FIXED_PAGES ? "[vdso]" : "";
}

/* One line of maps without its newline; returns its length. */
static size_t maps_text(const struct vma *v, char *buf, size_t n)
{
    char name[256];
    uint64_t dev = 0, ino = 0;
    if (!v->object || v->object->ops->describe(v->object, name, sizeof name, &dev, &ino))
        snprintf(name, sizeof name, "%s", vma_label(v));
    size_t len =
        (size_t)snprintf(buf, n, "%08lx-%08lx %c%c%c%c %08lx %02x:%02x %lu ", v->start, v->end,
                         v->prot & PROT_READ ? 'r' : '-', v->prot & PROT_WRITE ? 'w' : '-',
                         v->prot & PROT_EXEC ? 'x' : '-', v->flags & VMA_SHARED ? 's' : 'p',
                         v->object ? v->pgoff << PAGE_SHIFT : 0, (unsigned)(dev >> 8 & 0xfff),
                         (unsigned)(dev & 0xff), ino);
    size_t pad = *name && len < NAME_COLUMN ? NAME_COLUMN - len : 0;
    len += (size_t)snprintf(buf + len, n - len, "%*s%s", (int)pad, "", name);
    return MIN(len, n - 1);
}

static void maps_line(struct seq *out, const struct vma *v)
{
    char line[LINE_MAX];
    seq_write(out, line, maps_text(v, line, sizeof line));
    seq_text(out, "\n");
}

/* A copy of the mapping at or above addr, its object referenced; false at the end. */
static bool vma_copy_next(uint64_t addr, struct vma *out)
{
    mutex_lock(&vm.lock);
    struct vma *v = vma_find(addr);
    if (v) {
        *out = *v;
        if (v->object)
            v->object->ops->get(v->object);
    }
    mutex_unlock(&vm.lock);
    return v;
}

bool procmem_describe(uint64_t addr, char *buf, size_t n)
{
    struct vma v;
    if (!vma_copy_next(addr, &v))
        return false;
    bool found = v.start <= addr;
    if (found)
        maps_text(&v, buf, n);
    if (v.object)
        v.object->ops->put(v.object);
    return found;
}

/* Calls fn for each mapping, without a lock. */
static int for_each_vma(struct seq *out, void (*fn)(struct seq *out, const struct vma *v))
{
    struct vma v;
    for (uint64_t at = 0; vma_copy_next(at, &v); at = v.end) {
        fn(out, &v);
        if (v.object)
            v.object->ops->put(v.object);
    }
    return 0;
}

static int gen_maps(struct seq *out)
{
    return for_each_vma(out, maps_line);
}

static void usage_lines(struct seq *out, uint64_t size, const struct vm_usage *u, bool locked)
{
    const struct {
        const char *name;
        uint64_t bytes;
    } lines[] = {
        {"Size:", size},
        {"KernelPageSize:", PAGE_SIZE},
        {"MMUPageSize:", PAGE_SIZE},
        {"Rss:", u->resident},
        {"Pss:", u->resident},
        {"Shared_Clean:", 0},
        {"Shared_Dirty:", 0},
        {"Private_Clean:", u->resident - u->dirty},
        {"Private_Dirty:", u->dirty},
        {"Referenced:", u->resident},
        {"Anonymous:", u->anonymous},
        {"LazyFree:", 0},
        {"AnonHugePages:", u->huge},
        {"ShmemPmdMapped:", 0},
        {"FilePmdMapped:", 0},
        {"Shared_Hugetlb:", 0},
        {"Private_Hugetlb:", 0},
        {"Swap:", 0},
        {"SwapPss:", 0},
        {"Locked:", locked ? u->resident : 0},
    };
    for (unsigned i = size ? 0 : 3; i < ARRAY_SIZE(lines); i++)
        seq_printf(out, "%-16s%8lu kB\n", lines[i].name, lines[i].bytes >> 10);
}

static void smaps_entry(struct seq *out, const struct vma *v)
{
    struct vm_usage u;
    vm_usage(v->start, v->end, &u);
    maps_line(out, v);
    usage_lines(out, v->end - v->start, &u, v->flags & VMA_LOCKED);
    seq_printf(out, "THPeligible:    %d\nVmFlags:", huge_eligible(v));
    const struct {
        bool set;
        const char *name;
    } flags[] = {
        {v->prot & PROT_READ, "rd"},        {v->prot & PROT_WRITE, "wr"},
        {v->prot & PROT_EXEC, "ex"},        {v->flags & VMA_SHARED, "sh"},
        {v->max_prot & PROT_READ, "mr"},    {v->max_prot & PROT_WRITE, "mw"},
        {v->max_prot & PROT_EXEC, "me"},    {v->flags & VMA_GROWSDOWN, "gd"},
        {v->flags & VMA_LOCKED, "lo"},      {v->flags & VMA_NORESERVE, "nr"},
        {v->flags & VMA_FIXED_PAGES, "de"}, {v->flags & VMA_DONTDUMP, "dd"},
        {v->flags & VMA_HUGE, "hg"},        {v->flags & VMA_NOHUGE, "nh"},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(flags); i++)
        if (flags[i].set)
            seq_printf(out, " %s", flags[i].name);
    seq_text(out, "\n");
}

static int gen_smaps(struct seq *out)
{
    return for_each_vma(out, smaps_entry);
}

static int gen_smaps_rollup(struct seq *out)
{
    struct vm_usage u;
    struct vma first;
    vm_usage(0, UINT64_MAX, &u);
    if (!vma_copy_next(0, &first))
        return 0;
    if (first.object)
        first.object->ops->put(first.object);
    seq_printf(out, "%08lx-%08lx ---p 00000000 00:00 0                          [rollup]\n",
               first.start, process.stack_top);
    usage_lines(out, 0, &u, false);
    return 0;
}

static int gen_statm(struct seq *out)
{
    uint64_t text = (process.code_end - process.code_start) >> PAGE_SHIFT;
    struct vm_usage u;
    vm_usage(0, UINT64_MAX, &u);
    seq_printf(out, "%lu %lu %lu %lu 0 %lu 0\n", vm.mapped >> PAGE_SHIFT, u.resident >> PAGE_SHIFT,
               (u.resident - u.anonymous) >> PAGE_SHIFT, text, vm.data >> PAGE_SHIFT);
    return 0;
}

int procmem_init(void)
{
    int err = procfs_register("self/maps", gen_maps);
    if (!err)
        err = procfs_register_mode("self/smaps", 0444, gen_smaps);
    if (!err)
        err = procfs_register_mode("self/smaps_rollup", 0444, gen_smaps_rollup);
    return err ? err : procfs_register("self/statm", gen_statm);
}
