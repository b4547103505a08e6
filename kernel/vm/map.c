/* SPDX-License-Identifier: Apache-2.0 */
/* Making, changing and removing mappings: see map.h. Pages are pages.c's business. */
#include "vm/map.h"

#include <asm/mman.h>
#include <linux/errno.h>
#include <linux/mman.h>

#include "arch/x86_64/layout.h"
#include "mem/kmalloc.h"
#include "mem/page.h"
#include "vm/huge.h"
#include "vm/pages.h"
#include "vm/range.h"

#define MAP_32BIT_TOP 0x80000000ull

struct vm_space vm;

void vm_init(uint64_t mmap_top)
{
    mutex_init(&vm.lock);
    vm.mmap_top = mmap_top;
    vm.stack_limit = vm.as_limit = vm.data_limit = UINT64_MAX;
    huge_init();
}

int vm_unmap_locked(uint64_t start, uint64_t end)
{
    int err = vma_split_range(start, end);
    if (err)
        return err;
    struct vma *v = vma_find(start);
    if (!v || v->start >= end)
        return 0;
    while (v && v->start < end) {
        struct vma *next = vma_next(v);
        vma_delete(v);
        v = next;
    }
    pages_drop(start, end, true);
    return 0;
}

static int place_fixed(uint64_t addr, uint64_t len, bool replace)
{
    if (addr & ~PAGE_MASK)
        return -EINVAL;
    if (addr >= USER_END || len > USER_END - addr)
        return -ENOMEM;
    if (addr < VM_MIN_ADDR)
        return -EPERM;
    if (!replace)
        return vma_range_free(addr, addr + len) ? 0 : -EEXIST;
    return vm_unmap_locked(addr, addr + len);
}

/* True if a mapping may go to the hint: nothing there, and no stack's guard. */
static bool hint_fits(uint64_t hint, uint64_t len, uint64_t top)
{
    if (hint < VM_MIN_ADDR || hint >= top || len > top - hint)
        return false;
    const struct vma *v = vma_find(hint);
    return !v || (v->start >= hint + len && vma_floor(v) >= hint + len);
}

/* Decides where a mapping goes: 0, -ENOMEM, -EINVAL, -EPERM, -EEXIST. */
static int place(uint64_t *addr, uint64_t len, uint32_t flags)
{
    if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))
        return place_fixed(*addr, len, !(flags & MAP_FIXED_NOREPLACE));
    uint64_t top = flags & MAP_32BIT ? MAP_32BIT_TOP : USER_END;
    uint64_t hint = *addr & PAGE_MASK;
    if (hint_fits(hint, len, top)) {
        *addr = hint;
        return 0;
    }
    *addr = vma_find_gap(len, MIN(top, vm.mmap_top));
    if (!*addr) /* the space above, around the stack */
        *addr = vma_find_gap(len, top);
    return *addr ? 0 : -ENOMEM;
}

bool vm_overcommits(uint64_t len)
{
    return len >> PAGE_SHIFT > page_count_total();
}

/* Flags of a new mapping from mmap's. */
static uint32_t flags_of_mmap(uint32_t flags)
{
    return ((flags & MAP_TYPE) != MAP_PRIVATE ? VMA_SHARED : 0) |
           (flags & MAP_GROWSDOWN ? VMA_GROWSDOWN : 0) |
           (flags & MAP_NORESERVE ? VMA_NORESERVE : 0) | (flags & MAP_LOCKED ? VMA_LOCKED : 0);
}

/* Limits, overcommit and place; the range is free afterwards. */
static int map_check(uint64_t *addr, uint64_t len, uint32_t prot, uint32_t flags)
{
    uint32_t vma_flags = flags_of_mmap(flags);
    uint64_t extra = len;
    if (vm.count >= VMA_COUNT_MAX)
        return -ENOMEM;
    if (prot & PROT_WRITE && !(vma_flags & (VMA_SHARED | VMA_NORESERVE)) && vm_overcommits(len))
        return -ENOMEM;
    if (flags & MAP_FIXED && *addr < USER_END && len <= USER_END - *addr)
        extra -= vma_range_mapped(*addr, *addr + len);
    if (!vma_may_expand(extra, prot, vma_flags))
        return -ENOMEM;
    return place(addr, len, flags);
}

int vm_map(uint64_t *addr, uint64_t len, uint32_t prot, uint32_t flags, uint32_t max_prot,
           struct vm_object *object, uint64_t pgoff)
{
    mutex_lock(&vm.lock);
    bool populate = vm.future_populate || flags & MAP_LOCKED;
    struct vma *v = vma_create(0, 0, prot & 7, flags_of_mmap(flags) | vm.future_flags);
    int err = v ? map_check(addr, len, prot, flags) : -ENOMEM;
    if (err) {
        kfree(v);
    } else {
        v->start = *addr;
        v->end = *addr + len;
        v->max_prot = max_prot;
        v->object = object;
        v->pgoff = object ? pgoff : 0;
        if (object)
            object->ops->get(object);
        vma_insert(v);
        vma_merge(v);
    }
    mutex_unlock(&vm.lock);
    if (!err && (populate || (flags & MAP_POPULATE && !(flags & MAP_NONBLOCK))))
        vm_populate(*addr, len, POPULATE_ALLOWED);
    return err;
}

int vm_map_kernel(uint64_t addr, uint64_t len, uint32_t prot, uint32_t vma_flags)
{
    mutex_lock(&vm.lock);
    struct vma *v = vma_create(addr, len, prot, vma_flags);
    int err = !v ? -ENOMEM : vma_range_free(addr, addr + len) ? 0 : -EEXIST;
    if (!err)
        vma_insert(v);
    else
        kfree(v);
    mutex_unlock(&vm.lock);
    return err;
}

int vm_put_frame(uint64_t addr, paddr_t frame, uint32_t prot)
{
    mutex_lock(&vm.lock);
    int err = pages_put_frame(addr, frame, prot);
    mutex_unlock(&vm.lock);
    return err;
}

int vm_unmap(uint64_t addr, uint64_t len)
{
    mutex_lock(&vm.lock);
    int err = vm_unmap_locked(addr, addr + len);
    mutex_unlock(&vm.lock);
    return err;
}

/* May this mapping get the protection? Making private memory writable is what commits it. */
static int protect_check(const struct vma *v, uint32_t prot)
{
    if (prot & ~v->max_prot || v->flags & VMA_VVAR)
        return -EACCES;
    if (!(prot & ~v->prot & PROT_WRITE) || v->flags & VMA_SHARED)
        return 0;
    uint64_t len = v->end - v->start;
    if (!(v->flags & VMA_GROWSDOWN) && (len > vm.data_limit || vm.data > vm.data_limit - len))
        return -ENOMEM;
    return !(v->flags & VMA_NORESERVE) && vm_overcommits(len) ? -ENOMEM : 0;
}

static int protect_locked(uint64_t start, uint64_t end, uint32_t prot)
{
    struct vma *v = vma_find(start);
    if (!v || v->start > start)
        return -ENOMEM;
    if (prot & PROT_GROWSDOWN) {
        if (!(v->flags & VMA_GROWSDOWN))
            return -EINVAL;
        start = v->start;
    }
    prot &= PROT_READ | PROT_WRITE | PROT_EXEC;
    int err = vma_split_range(start, end);
    uint64_t at = start;
    for (v = vma_find(start); v && v->start < end && !err; v = vma_next(v)) {
        if (v->start != at)
            return -ENOMEM;
        err = protect_check(v, prot);
        if (!err && v->prot != prot) {
            vma_change(v, prot, v->flags);
            bool tracked = v->object && v->object->tracked;
            pages_protect(v->start, v->end, prot, v->flags & VMA_SHARED && !tracked);
            v = vma_merge(v);
        }
        at = v->end;
    }
    return err ? err : at < end ? -ENOMEM : 0;
}

int vm_protect(uint64_t addr, uint64_t len, uint32_t prot)
{
    mutex_lock(&vm.lock);
    int err = protect_locked(addr, addr + len, prot);
    mutex_unlock(&vm.lock);
    return err;
}

/* Makes the heap reach from `old` up to `new`. */
static int brk_grow(uint64_t old, uint64_t new)
{
    const uint32_t prot = PROT_READ | PROT_WRITE;
    if (!vma_range_free(old, new + PAGE_SIZE) || vm_overcommits(new - old) ||
        vm.count >= VMA_COUNT_MAX || !vma_may_expand(new - old, prot, VMA_HEAP))
        return -ENOMEM;
    struct vma *v = vma_create(old, new - old, prot, VMA_HEAP | vm.future_flags);
    if (!v)
        return -ENOMEM;
    vma_insert(v);
    vma_merge(v);
    return 0;
}

uint64_t vm_set_brk(uint64_t addr)
{
    mutex_lock(&vm.lock);
    uint64_t old = ALIGN_UP(vm.brk, PAGE_SIZE), new = ALIGN_UP(addr, PAGE_SIZE);
    int err = addr < vm.brk_start || addr >= USER_END ? -ENOMEM : 0;
    bool populate = vm.future_populate && new > old;
    if (!err && new < old)
        err = vm_unmap_locked(new, old);
    else if (!err && new > old)
        err = brk_grow(old, new);
    if (!err)
        vm.brk = addr;
    uint64_t result = vm.brk;
    mutex_unlock(&vm.lock);
    if (!err && populate)
        vm_populate(old, new - old, POPULATE_ALLOWED);
    return result;
}

/* The part of a mapping that shows pages from..to-1 of its object: false if none does. */
static bool object_part(const struct vma *v, uint64_t from, uint64_t to, uint64_t *start,
                        uint64_t *end)
{
    uint64_t pages = (v->end - v->start) >> PAGE_SHIFT;
    if (v->pgoff >= to || v->pgoff + pages <= from)
        return false;
    *start = v->start + ((MAX(from, v->pgoff) - v->pgoff) << PAGE_SHIFT);
    *end = v->start + (MIN(to - v->pgoff, pages) << PAGE_SHIFT);
    return true;
}

/* Takes the object's pages from..to-1 out of every mapping; `copies`: private ones too. */
static void forget(const struct vm_object *obj, uint64_t from, uint64_t to, bool copies)
{
    uint64_t start, end;
    mutex_lock(&vm.lock);
    LIST_FOR_EACH(l, &obj->mappings)
    {
        const struct vma *v = LIST_ENTRY(l, struct vma, object_link);
        if (!object_part(v, from, to, &start, &end))
            continue;
        if (copies || v->flags & VMA_SHARED)
            pages_drop(start, end, false);
        else
            pages_drop_file(start, end);
    }
    mutex_unlock(&vm.lock);
}

void vm_protect_object(const struct vm_object *obj, uint64_t from, uint64_t to)
{
    uint64_t start, end;
    mutex_lock(&vm.lock);
    LIST_FOR_EACH(l, &obj->mappings)
    {
        const struct vma *v = LIST_ENTRY(l, struct vma, object_link);
        if (v->flags & VMA_SHARED && object_part(v, from, to, &start, &end))
            pages_protect(start, end, v->prot, false);
    }
    mutex_unlock(&vm.lock);
}

void vm_forget_object(const struct vm_object *obj, uint64_t from, uint64_t to)
{
    forget(obj, from, to, true);
}

void vm_forget_hole(const struct vm_object *obj, uint64_t from, uint64_t to)
{
    forget(obj, from, to, false);
}

bool vm_object_mapped(const struct vm_object *obj)
{
    mutex_lock(&vm.lock);
    bool mapped = !list_empty(&obj->mappings);
    mutex_unlock(&vm.lock);
    return mapped;
}

bool vm_object_writable(const struct vm_object *obj)
{
    bool found = false;
    mutex_lock(&vm.lock);
    LIST_FOR_EACH(l, &obj->mappings)
    {
        const struct vma *v = LIST_ENTRY(l, struct vma, object_link);
        found = found || (v->flags & VMA_SHARED && v->max_prot & PROT_WRITE);
    }
    mutex_unlock(&vm.lock);
    return found;
}

bool vm_lookup(uint64_t addr, struct vma *out)
{
    mutex_lock(&vm.lock);
    struct vma *v = vma_find(addr);
    bool found = v && v->start <= addr;
    if (found)
        *out = *v;
    mutex_unlock(&vm.lock);
    return found;
}
