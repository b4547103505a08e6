/* SPDX-License-Identifier: Apache-2.0 */
/* ELF files: see elf.h. */
#include "proc/elf.h"

#include <asm/mman.h>
#include <linux/mman.h>
#include <linux/errno.h>

#include "arch/x86_64/layout.h"
#include "file/file.h"
#include "fs/vnode.h"
#include "lib/string.h"
#include "vm/map.h"

#define SPAN_MAX (1ull << 40)

static int read_at(struct file *f, void *buf, size_t n, uint64_t off)
{
    ssize_t got = vnode_read_kernel(f->vnode, buf, n, off);
    return got < 0 ? (int)got : (size_t)got == n ? 0 : -ENOEXEC;
}

static const char *check_header(const Elf64_Ehdr *h)
{
    if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0)
        return "not an ELF file";
    if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB ||
        h->e_machine != EM_X86_64)
        return "not an x86-64 program";
    if (h->e_type != ET_EXEC && h->e_type != ET_DYN)
        return "not an executable";
    if (h->e_phentsize != sizeof(Elf64_Phdr) || !h->e_phnum || h->e_phnum > ELF_PHDRS_MAX)
        return "bad program header table";
    return NULL;
}

/* Widens the span by one PT_LOAD. */
static const char *check_load(struct elf *e, const Elf64_Phdr *p)
{
    if (p->p_filesz > p->p_memsz || p->p_offset + p->p_filesz < p->p_offset)
        return "segment larger in the file than in memory";
    if (p->p_vaddr >= USER_END || p->p_memsz > USER_END - p->p_vaddr)
        return "segment outside the address space";
    if ((p->p_vaddr ^ p->p_offset) & (PAGE_SIZE - 1) && p->p_filesz)
        return "segment is not aligned as in the file";
    uint64_t low = ALIGN_DOWN(p->p_vaddr, PAGE_SIZE);
    uint64_t high = ALIGN_UP(p->p_vaddr + p->p_memsz, PAGE_SIZE);
    if (e->high && low < e->high - PAGE_SIZE && low < e->low)
        return "segments out of order";
    e->low = e->high ? MIN(e->low, low) : low;
    e->high = MAX(e->high, high);
    if (p->p_align > e->align && !(p->p_align & (p->p_align - 1)) && p->p_align <= 1ull << 30)
        e->align = p->p_align;
    return e->high - e->low > SPAN_MAX ? "segments too far apart" : NULL;
}

static int read_interp(struct file *f, struct elf *e, const Elf64_Phdr *p, const char **why)
{
    *why = "bad interpreter name";
    if (p->p_filesz < 2 || p->p_filesz > ELF_INTERP_MAX)
        return -ENOEXEC;
    int err = read_at(f, e->interp, p->p_filesz, p->p_offset);
    if (!err && e->interp[p->p_filesz - 1])
        err = -ENOEXEC;
    return err;
}

int elf_read(struct file *f, struct elf *e, const char **why)
{
    memset(e, 0, sizeof *e);
    e->align = PAGE_SIZE;
    *why = "too short for an ELF file";
    int err = read_at(f, &e->header, sizeof e->header, 0);
    if (err)
        return err;
    *why = check_header(&e->header);
    if (*why)
        return -ENOEXEC;
    e->count = e->header.e_phnum;
    *why = "program headers beyond the end of the file";
    err = read_at(f, e->phdr, e->count * sizeof e->phdr[0], e->header.e_phoff);
    for (unsigned i = 0; i < e->count && !err; i++) {
        const Elf64_Phdr *p = &e->phdr[i];
        if (p->p_type == PT_LOAD && p->p_memsz) {
            *why = check_load(e, p);
            err = *why ? -ENOEXEC : 0;
        } else if (p->p_type == PT_INTERP) {
            err = read_interp(f, e, p, why);
        } else if (p->p_type == PT_GNU_STACK) {
            e->exec_stack = p->p_flags & PF_X;
        }
    }
    if (!err && !e->high) {
        *why = "nothing to load";
        err = -ENOEXEC;
    }
    return err;
}

static uint32_t segment_prot(const Elf64_Phdr *p)
{
    return (p->p_flags & PF_R ? PROT_READ : 0) | (p->p_flags & PF_W ? PROT_WRITE : 0) |
           (p->p_flags & PF_X ? PROT_EXEC : 0);
}

static int map_fixed(uint64_t addr, uint64_t end, uint32_t prot, struct vm_object *obj,
                     uint64_t pgoff)
{
    if (addr >= end)
        return 0;
    return vm_map(&addr, end - addr, prot, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, 7, obj, pgoff);
}

/* One PT_LOAD: the file's part, then zeroes to the end of its memory. */
static int map_segment(struct vm_object *obj, const Elf64_Phdr *p, uint64_t bias)
{
    uint64_t start = bias + p->p_vaddr, file_end = start + p->p_filesz, end = start + p->p_memsz;
    uint64_t first = ALIGN_DOWN(start, PAGE_SIZE);
    uint64_t file_pages_end = p->p_filesz ? ALIGN_UP(file_end, PAGE_SIZE) : first;
    uint32_t prot = segment_prot(p);
    int err = map_fixed(first, file_pages_end, prot, obj, p->p_offset >> PAGE_SHIFT);
    if (!err)
        err = map_fixed(file_pages_end, ALIGN_UP(end, PAGE_SIZE), prot, NULL, 0);
    if (!err && end > file_end && file_pages_end > file_end && prot & PROT_WRITE)
        err = zero_user((struct uptr){file_end},
                        MIN(file_pages_end, ALIGN_UP(end, PAGE_SIZE)) - file_end);
    return err;
}

static void image_add(struct elf_image *im, const Elf64_Ehdr *h, const Elf64_Phdr *p)
{
    uint64_t start = im->bias + p->p_vaddr, end = start + p->p_memsz;
    if (h->e_phoff >= p->p_offset && h->e_phoff < p->p_offset + p->p_filesz)
        im->phdr = start + h->e_phoff - p->p_offset;
    if (p->p_flags & PF_X) {
        im->code_start = im->code_start ? MIN(im->code_start, start) : start;
        im->code_end = MAX(im->code_end, start + p->p_filesz);
    }
    if (start >= im->data_start) {
        im->data_start = start;
        im->data_end = start + p->p_filesz;
    }
    im->brk = MAX(im->brk, ALIGN_UP(end, PAGE_SIZE));
}

int elf_map(struct file *f, const struct elf *e, uint64_t bias, struct elf_image *out)
{
    struct vm_object *obj;
    memset(out, 0, sizeof *out);
    out->bias = bias;
    out->entry = e->header.e_entry + bias;
    int err = f->ops->mmap ? f->ops->mmap(f, &obj) : -ENODEV;
    if (err)
        return err;
    for (unsigned i = 0; i < e->count && !err; i++) {
        const Elf64_Phdr *p = &e->phdr[i];
        if (p->p_type != PT_LOAD || !p->p_memsz)
            continue;
        err = map_segment(obj, p, bias);
        image_add(out, &e->header, p);
    }
    obj->ops->put(obj);
    return err;
}
