/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Demand paging: zero pages, file pages, copy on write, stack growth. Takes
 * vm.lock; lets go of it while a file page is read, and looks again after.
 */
#include "vm/fault.h"

#include <asm/mman.h>
#include <linux/errno.h>

#include "arch/x86_64/layout.h"
#include "arch/x86_64/trap.h"
#include "arch/x86_64/upcalls.h"
#include "lib/string.h"
#include "mem/page.h"
#include "sched/thread.h"
#include "vm/map.h"
#include "vm/pages.h"

#define ERROR_PRESENT 1
#define ERROR_WRITE   2
#define ERROR_EXEC    16
#define AROUND_PAGES  16
#define STACK_GUARD   (256 * PAGE_SIZE)

static enum fault fault_of(int err)
{
    return err == -ENOMEM ? FAULT_OOM : err ? FAULT_BUS : FAULT_NONE;
}

static bool access_allowed(const struct vma *v, bool write, bool exec)
{
    if (write)
        return v->prot & PROT_WRITE;
    if (exec)
        return v->prot & PROT_EXEC;
    return v->prot & (PROT_READ | PROT_WRITE | PROT_EXEC);
}

/* The mapping for addr, after growing a stack towards it if that is allowed. */
static struct vma *vma_for_fault(uint64_t addr)
{
    struct vma *v = vma_find(addr);
    if (!v || v->start <= addr || !(v->flags & VMA_GROWSDOWN))
        return v && v->start <= addr ? v : NULL;
    uint64_t start = addr & PAGE_MASK;
    struct rb_node *below = rb_prev(&v->node);
    uint64_t floor = below ? RB_ENTRY(below, struct vma, node)->end + STACK_GUARD : VM_MIN_ADDR;
    if (v->end - start > vm.stack_limit || start < floor)
        return NULL;
    vm.mapped += v->start - start;
    v->start = start;
    return v;
}

static int map_zero(const struct vma *v, uint64_t va, bool write)
{
    if (!write)
        return pages_put_frame(va, pages_zero_frame(), v->prot);
    struct page *p = page_alloc_zero(0);
    return p ? pages_map(va, p, v->prot, true) : -ENOMEM;
}

/* A private page of the program's own with the content of `from` (a file page, or NULL: zeroes). */
static struct page *copy_page(struct page *from)
{
    struct page *p = from ? page_alloc(0) : page_alloc_zero(0);
    if (p && from)
        memcpy(page_address(p), page_address(from), PAGE_SIZE);
    return p;
}

/* Write to a page that is present read-only. */
static int copy_on_write(const struct vma *v, uint64_t va, pte_t *pte)
{
    struct page *old = page_of_paddr(*pte & PTE_ADDR);
    if (v->flags & VMA_SHARED || (old && !old->owner)) {
        *pte |= PTE_WRITE;
        tlb_flush_range(va, va + PAGE_SIZE);
        return 0;
    }
    struct page *p = copy_page(old);
    if (!p)
        return -ENOMEM;
    pages_replace(va, pte, p, v->prot);
    return 0;
}

/* Maps pages of the file that are in memory anyway, next to one that was asked for. */
static void map_around(const struct vma *v, uint64_t va)
{
    uint64_t start = MAX(va & ~(AROUND_PAGES * PAGE_SIZE - 1), v->start);
    uint64_t end = MIN(start + AROUND_PAGES * PAGE_SIZE, v->end);
    for (uint64_t a = start; a < end; a += PAGE_SIZE) {
        if (a == va || pages_present(a))
            continue;
        struct page *p =
            v->object->ops->find_page(v->object, v->pgoff + ((a - v->start) >> PAGE_SHIFT));
        if (p && pages_map(a, p, v->prot, v->flags & VMA_SHARED))
            return;
    }
}

static int map_file_page(const struct vma *v, uint64_t va, struct page *p, bool write)
{
    if (write && !(v->flags & VMA_SHARED)) {
        struct page *own = copy_page(p);
        page_put(p);
        return own ? pages_map(va, own, v->prot, true) : -ENOMEM;
    }
    int err = pages_map(va, p, v->prot, v->flags & VMA_SHARED);
    if (!err && v->object->ops->find_page)
        map_around(v, va);
    return err;
}

/* vm.lock is held, and is let go of while the page is read. */
static int fault_file(struct vma *v, uint64_t va, bool write)
{
    struct vm_object *obj = v->object;
    uint64_t index = v->pgoff + ((va - v->start) >> PAGE_SHIFT);
    bool shared_write = write && v->flags & VMA_SHARED;
    struct page *p = obj->ops->find_page && !shared_write ? obj->ops->find_page(obj, index) : NULL;
    if (p)
        return map_file_page(v, va, p, write);
    obj->ops->get(obj);
    mutex_unlock(&vm.lock);
    int err = obj->ops->get_page(obj, index, shared_write, &p);
    mutex_lock(&vm.lock);
    if (!err) {
        v = vma_find(va);
        if (v && v->start <= va && v->object == obj && access_allowed(v, write, false) &&
            v->pgoff + ((va - v->start) >> PAGE_SHIFT) == index)
            err = map_file_page(v, va, p, write);
        else
            page_put(p); /* the mapping changed meanwhile: the access is tried again */
    }
    obj->ops->put(obj);
    return err;
}

static enum fault fault_locked(uint64_t addr, bool write, bool exec)
{
    struct vma *v = vma_for_fault(addr);
    if (!v)
        return FAULT_MAPERR;
    if (!access_allowed(v, write, exec))
        return FAULT_ACCERR;
    uint64_t va = addr & PAGE_MASK;
    pte_t *pte = paging_pte(va, false);
    if (pte && *pte & PTE_PRESENT) { /* copy on write, or another thread was first */
        if (write && !(*pte & PTE_WRITE))
            return fault_of(copy_on_write(v, va, pte));
        return FAULT_NONE;
    }
    if (v->flags & VMA_FIXED_PAGES)
        return FAULT_BUS;
    return fault_of(v->object ? fault_file(v, va, write) : map_zero(v, va, write));
}

static enum fault fault_resolve(uint64_t addr, bool write, bool exec)
{
    if (addr >= USER_END)
        return FAULT_MAPERR;
    mutex_lock(&vm.lock);
    enum fault f = fault_locked(addr, write, exec);
    mutex_unlock(&vm.lock);
    return f;
}

bool fault_handle(struct trap_frame *f, uint64_t addr)
{
    enum fault fault = fault_resolve(addr, f->error & ERROR_WRITE, f->error & ERROR_EXEC);
    thread_current()->fault = fault;
    if (fault != FAULT_NONE)
        thread_current()->fault_addr = addr;
    return fault == FAULT_NONE;
}

int vm_populate(uint64_t addr, uint64_t len, bool write)
{
    for (uint64_t va = addr; va < addr + len; va += PAGE_SIZE) {
        struct vma v;
        if (pages_present(va) && !write)
            continue;
        if (!vm_lookup(va, &v))
            return -ENOMEM;
        enum fault f = fault_resolve(va, write && v.prot & PROT_WRITE, false);
        if (f != FAULT_NONE)
            return f == FAULT_OOM ? -ENOMEM : -EFAULT;
    }
    return 0;
}
