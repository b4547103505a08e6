/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Demand paging: zero pages, file pages, copy on write, stack growth. Takes
 * vm.lock; lets go of it while a file page is read, and looks again after.
 * Memory that is written page after page gets more pages with each fault: as many
 * as are present right below, so a run doubles and random access pays nothing.
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
#include "vm/huge.h"
#include "vm/pages.h"
#include "vm/range.h"

#define ERROR_PRESENT 1
#define ERROR_WRITE   2
#define ERROR_EXEC    16
#define AROUND_PAGES  16
#define RUN_MAX       64 /* pages of anonymous memory made in one fault */

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

/* Stretches a stack down to the page of addr; false if a limit or a neighbour forbids it. */
static bool stack_grow(struct vma *v, uint64_t addr)
{
    uint64_t start = addr & PAGE_MASK, more = v->start - start;
    const struct vma *below = vma_prev(v);
    /* A neighbour that nobody can touch is as good as a guard. */
    bool guard = below && below->prot && !(below->flags & VMA_GROWSDOWN);
    uint64_t floor = below ? below->end + (guard ? VM_STACK_GUARD : 0) : VM_MIN_ADDR;
    if (start < floor || v->end - start > vm.stack_limit ||
        !vma_may_expand(more, v->prot, v->flags))
        return false;
    vma_resize(v, start, v->end);
    return true;
}

/* The mapping for addr, after growing a stack towards it if that is allowed. */
static struct vma *vma_for_fault(uint64_t addr)
{
    struct vma *v = vma_find(addr);
    if (!v || v->start <= addr)
        return v;
    return v->flags & VMA_GROWSDOWN && stack_grow(v, addr) ? v : NULL;
}

/* Pages to make at once: the length of the run below, for writing while memory is plenty. */
static unsigned run_length(const struct vma *v, uint64_t va, bool write)
{
    unsigned run = pages_run_below(va, RUN_MAX, write);
    uint64_t most = (v->end - va) >> PAGE_SHIFT;
    if (run < 2)
        return 1;
    if (write)
        most = MIN(most, page_count_free() / RUN_MAX);
    return MAX((unsigned)MIN(run, most), 1u);
}

static int map_zero(const struct vma *v, uint64_t va, bool write, unsigned ahead)
{
    if (!write)
        return pages_fill_zero(va, ahead ? MIN(ahead, RUN_MAX) : run_length(v, va, false), v->prot);
    if (huge_wanted(v, va, ahead) && !huge_make(va))
        return 0;
    return pages_fill(va, ahead ? MIN(ahead, RUN_MAX) : run_length(v, va, true), v->prot);
}

/* A private page of the program's own with the content of another frame. */
static struct page *copy_page(const void *from)
{
    struct page *p = page_alloc(0);
    if (p)
        memcpy(page_address(p), from, PAGE_SIZE);
    return p;
}

/* Write to a page that is present read-only. */
static int copy_on_write(const struct vma *v, uint64_t va, pte_t *pte)
{
    struct page *old = page_of_paddr(*pte & PTE_ADDR);
    if (v->flags & VMA_SHARED || (old && page_is_own(old))) {
        *pte |= PTE_WRITE;
        tlb_flush_range(va, va + PAGE_SIZE);
        return 0;
    }
    if (pages_is_zero(*pte)) {
        if (huge_wanted(v, va, 0) && !huge_make(va))
            return 0;
        return pages_unzero(va, run_length(v, va, true), v->prot);
    }
    struct page *p = copy_page(phys_to_virt(*pte & PTE_ADDR));
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
        if (p && pages_map(a, p, v->prot, v->flags & VMA_SHARED && !v->object->tracked))
            return;
    }
}

/* A page that was mapped for reading and may be written from now on. */
static void map_writable(uint64_t va, pte_t *pte, struct page *p)
{
    if (page_of_paddr(*pte & PTE_ADDR) == p && *pte & PTE_PRESENT) {
        *pte |= PTE_WRITE;
        tlb_flush_range(va, va + PAGE_SIZE);
    }
    page_put(p);
}

/*
 * The object must hear of writes: mapped for reading, a page stays read-only. A dirty page
 * does not leave the object, and write-back makes it read-only after us, as it needs vm.lock.
 */
static int map_tracked(const struct vma *v, uint64_t va, struct page *p, bool write)
{
    pte_t *pte = paging_pte(va, false);
    if (!write)
        return pages_map(va, p, v->prot, false);
    if (!v->object->ops->dirty_page(v->object, p)) {
        page_put(p); /* the access is tried again */
        return 0;
    }
    if (!pte || !*pte)
        return pages_map(va, p, v->prot, true);
    map_writable(va, pte, p);
    return 0;
}

static int map_file_page(const struct vma *v, uint64_t va, struct page *p, bool write)
{
    int err;
    if (write && !(v->flags & VMA_SHARED)) {
        struct page *own = copy_page(page_address(p));
        page_put(p);
        return own ? pages_map(va, own, v->prot, true) : -ENOMEM;
    }
    if (v->flags & VMA_SHARED && v->object->tracked)
        err = map_tracked(v, va, p, write);
    else
        err = pages_map(va, p, v->prot, v->flags & VMA_SHARED);
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
        if (v && v->start <= va && v->object == obj && !(p->flags & PAGE_GONE) &&
            access_allowed(v, write, false) && v->pgoff + ((va - v->start) >> PAGE_SHIFT) == index)
            err = map_file_page(v, va, p, write);
        else
            page_put(p); /* the mapping changed meanwhile: the access is tried again */
    }
    obj->ops->put(obj);
    return err;
}

/* An access that the mapping allows; `ahead`: pages of zeroed memory to make, 0: by the run. */
static enum fault fault_mapped(struct vma *v, uint64_t addr, bool write, unsigned ahead)
{
    uint64_t va = addr & PAGE_MASK;
    pte_t *pte = paging_pte(va, false);
    if (pte && *pte & PTE_PRESENT) { /* copy on write, or another thread was first */
        if (!write || *pte & PTE_WRITE)
            return FAULT_NONE;
        if (!(v->flags & VMA_SHARED && v->object && v->object->tracked))
            return fault_of(copy_on_write(v, va, pte));
        return fault_of(fault_file(v, va, true));
    }
    if (v->flags & VMA_FIXED_PAGES)
        return FAULT_BUS;
    return fault_of(v->object ? fault_file(v, va, write) : map_zero(v, va, write, ahead));
}

static enum fault fault_locked(uint64_t addr, bool write, bool exec)
{
    struct vma *v = vma_for_fault(addr);
    if (!v)
        return FAULT_MAPERR;
    return access_allowed(v, write, exec) ? fault_mapped(v, addr, write, 0) : FAULT_ACCERR;
}

static enum fault fault_resolve(uint64_t addr, bool write, bool exec)
{
    if (addr >= USER_END)
        return FAULT_MAPERR;
    mutex_lock(&vm.lock);
    enum fault f = fault_locked(addr, write, exec);
    if (f == FAULT_OOM && huge_shrink(RUN_MAX))
        f = fault_locked(addr, write, exec);
    vm.faults += f == FAULT_NONE;
    mutex_unlock(&vm.lock);
    return f;
}

bool fault_handle(struct trap_frame *f, uint64_t addr)
{
    struct thread *t = thread_current();
    enum fault fault = fault_resolve(addr, f->error & ERROR_WRITE, f->error & ERROR_EXEC);
    t->fault = fault;
    if (fault != FAULT_NONE)
        t->fault_addr = addr;
    if (fault == FAULT_OOM)
        thread_interrupt(t); /* a system call fails, but the program ends on its way back */
    return fault == FAULT_NONE;
}

/* Makes the pages from *at on that one step can make, and moves *at behind them. */
static int populate_step(uint64_t *at, uint64_t end, enum populate how)
{
    struct vma *v = vma_find(*at);
    if (!v || v->start > *at)
        return -ENOMEM;
    bool write = how == POPULATE_WRITE;
    if (how == POPULATE_ALLOWED)
        write = v->prot & PROT_WRITE && !(v->flags & VMA_SHARED);
    if (!access_allowed(v, write, false))
        return how == POPULATE_ALLOWED ? -EFAULT : -EINVAL;
    uint64_t left = (MIN(v->end, end) - *at) >> PAGE_SHIFT;
    enum fault f = fault_mapped(v, *at, write, (unsigned)MIN(left, HUGE_PAGES));
    if (f != FAULT_NONE)
        return f == FAULT_OOM ? -ENOMEM : -EFAULT;
    const pte_t *pte = paging_pte(*at, false);
    if (pte && *pte & PTE_LARGE)
        *at = ALIGN_DOWN(*at, LARGE_SIZE) + LARGE_SIZE;
    else if (pte && *pte) /* else the mapping changed meanwhile: look again */
        *at += PAGE_SIZE;
    return 0;
}

int vm_populate(uint64_t addr, uint64_t len, enum populate how)
{
    int err = 0;
    for (uint64_t at = addr; at < addr + len && !err;) {
        mutex_lock(&vm.lock);
        err = populate_step(&at, addr + len, how);
        if (err == -ENOMEM && huge_shrink(RUN_MAX))
            err = 0;
        mutex_unlock(&vm.lock);
    }
    return err;
}
