/* SPDX-License-Identifier: Apache-2.0 */
/* Advice, locks and residence of ranges: see range.h. */
#include "vm/range.h"

#include <asm/mman.h>
#include <linux/errno.h>

#include "arch/x86_64/layout.h"
#include "mem/page.h"
#include "vm/pages.h"
#include "vm/vma.h"

static int discard_check(const struct vma *v, enum discard how)
{
    bool ok = !(v->flags & VMA_FIXED_PAGES) && (how == DISCARD_LOCKED || !(v->flags & VMA_LOCKED));
    if (how == DISCARD_FREE)
        ok = ok && !v->object;
    return ok ? 0 : -EINVAL;
}

int vm_discard(uint64_t addr, uint64_t len, enum discard how)
{
    uint64_t end = addr + len, at = addr;
    int err = 0, hole = 0;
    mutex_lock(&vm.lock);
    for (struct vma *v = vma_find(addr); v && v->start < end && !err; v = vma_next(v)) {
        if (v->start > at)
            hole = -ENOMEM;
        err = discard_check(v, how);
        if (!err)
            pages_drop(MAX(v->start, addr), MIN(v->end, end), false);
        at = v->end;
    }
    mutex_unlock(&vm.lock);
    return err ? err : at < end ? -ENOMEM : hole;
}

int vm_change_flags(uint64_t addr, uint64_t len, uint32_t set, uint32_t clear)
{
    uint64_t end = addr + len, at = addr;
    int hole = 0;
    mutex_lock(&vm.lock);
    int err = vma_split_range(addr, end);
    struct vma *v = err ? NULL : vma_find(addr);
    for (; v && v->start < end; v = vma_next(v)) {
        if (v->start > at)
            hole = -ENOMEM;
        uint32_t flags = (v->flags | set) & ~clear;
        if (flags != v->flags && !(v->flags & VMA_FIXED_PAGES)) {
            vma_change(v, v->prot, flags);
            v = vma_merge(v);
        }
        at = v->end;
    }
    mutex_unlock(&vm.lock);
    return err ? err : at < end ? -ENOMEM : hole;
}

void vm_lock_all(bool populate)
{
    vm_change_flags(0, USER_END, VMA_LOCKED, 0);
    for (uint64_t at = 0, len = 0; populate; at += len) {
        mutex_lock(&vm.lock);
        const struct vma *v = vma_find(at);
        at = v ? v->start : 0;
        len = v ? v->end - v->start : 0;
        mutex_unlock(&vm.lock);
        if (!len)
            return;
        vm_populate(at, len, POPULATE_ALLOWED);
    }
}

static int check_mapped_locked(uint64_t addr, uint64_t end)
{
    struct vma *v = vma_find(addr);
    while (v && v->start <= addr && v->end < end) {
        addr = v->end;
        v = vma_next(v);
    }
    return v && v->start <= addr ? 0 : -ENOMEM;
}

int vm_check_hint(uint64_t addr, uint64_t len, uint32_t never, bool anonymous)
{
    uint64_t end = addr + len;
    int err = 0;
    mutex_lock(&vm.lock);
    for (struct vma *v = vma_find(addr); v && v->start < end && !err; v = vma_next(v))
        err = v->flags & never || (anonymous && v->object) ? -EINVAL : 0;
    if (!err)
        err = check_mapped_locked(addr, end);
    mutex_unlock(&vm.lock);
    return err;
}

/* Calls an operation of the mapping's object without vm.lock. */
static int object_punch(const struct vma *v, uint64_t start, uint64_t end)
{
    struct vm_object *obj = v->object;
    uint64_t offset = vma_pgoff_at(v, start) << PAGE_SHIFT;
    obj->ops->get(obj);
    mutex_unlock(&vm.lock);
    int err = obj->ops->punch ? obj->ops->punch(obj, offset, end - start) : -EOPNOTSUPP;
    obj->ops->put(obj);
    mutex_lock(&vm.lock);
    return err;
}

static int object_sync(const struct vma *v)
{
    struct vm_object *obj = v->object;
    obj->ops->get(obj);
    mutex_unlock(&vm.lock);
    int err = obj->ops->sync ? obj->ops->sync(obj) : 0;
    obj->ops->put(obj);
    mutex_lock(&vm.lock);
    return err;
}

static int punch_one(const struct vma *v, uint64_t start, uint64_t end)
{
    if (v->flags & VMA_LOCKED || !v->object)
        return -EINVAL;
    if (!(v->flags & VMA_SHARED) || !(v->max_prot & PROT_WRITE))
        return -EACCES;
    return object_punch(v, start, end);
}

int vm_punch(uint64_t addr, uint64_t len)
{
    uint64_t end = addr + len, at = addr;
    int err = 0, hole = 0;
    mutex_lock(&vm.lock);
    while (at < end && !err) {
        const struct vma *v = vma_find(at);
        if (!v || v->start >= end)
            break;
        if (v->start > at)
            hole = -ENOMEM;
        uint64_t start = MAX(v->start, at);
        at = MIN(v->end, end);
        err = punch_one(v, start, at);
    }
    mutex_unlock(&vm.lock);
    return err ? err : at < end ? -ENOMEM : hole;
}

int vm_sync(uint64_t addr, uint64_t len, uint32_t flags)
{
    uint64_t end = addr + len, at = addr;
    int err = 0, hole = 0;
    mutex_lock(&vm.lock);
    while (at < end && !err) {
        const struct vma *v = vma_find(at);
        if (!v || v->start >= end || (v->start > at && flags == MS_ASYNC)) {
            err = -ENOMEM;
            break;
        }
        if (v->start > at)
            hole = -ENOMEM;
        at = v->end;
        if (flags & MS_INVALIDATE && v->flags & VMA_LOCKED)
            err = -EBUSY;
        else if (flags & MS_SYNC && v->object && v->flags & VMA_SHARED)
            err = object_sync(v);
    }
    mutex_unlock(&vm.lock);
    return err ? err : hole;
}

/* In memory: mapped, or the page of the file is there anyway. */
static bool page_resident(const struct vma *v, uint64_t va)
{
    if (pages_present(va))
        return true;
    struct page *p = v->object && v->object->ops->find_page
                         ? v->object->ops->find_page(v->object, vma_pgoff_at(v, va))
                         : NULL;
    if (p)
        page_put(p);
    return p;
}

int vm_resident(uint64_t addr, size_t pages, uint8_t *out)
{
    mutex_lock(&vm.lock);
    int err = check_mapped_locked(addr, addr + (pages << PAGE_SHIFT));
    struct vma *v = err ? NULL : vma_find(addr);
    for (size_t i = 0; i < pages && v; i++, addr += PAGE_SIZE) {
        if (addr >= v->end)
            v = vma_next(v);
        out[i] = page_resident(v, addr);
    }
    mutex_unlock(&vm.lock);
    return err;
}

static void usage_add(uint64_t va, pte_t *pte, void *arg)
{
    struct vm_usage *u = arg;
    const struct page *p = page_of_paddr(*pte & PTE_ADDR);
    uint64_t size = *pte & PTE_LARGE ? LARGE_SIZE : PAGE_SIZE;
    (void)va;
    u->resident += size;
    u->anonymous += p && page_is_own(p) ? size : 0;
    u->dirty += p && (page_is_own(p) || *pte & PTE_DIRTY) ? size : 0;
    u->huge += *pte & PTE_LARGE ? size : 0;
}

void vm_usage(uint64_t start, uint64_t end, struct vm_usage *out)
{
    *out = (struct vm_usage){0};
    mutex_lock(&vm.lock);
    paging_walk(start, MIN(end, USER_END), usage_add, out, false);
    mutex_unlock(&vm.lock);
}

uint64_t vm_stack_size(void)
{
    uint64_t size = 0;
    mutex_lock(&vm.lock);
    for (struct rb_node *n = rb_last(&vm.root); n; n = rb_prev(n)) {
        const struct vma *v = RB_ENTRY(n, struct vma, node);
        if (v->flags & VMA_STACK)
            size += v->end - v->start;
    }
    mutex_unlock(&vm.lock);
    return size;
}
