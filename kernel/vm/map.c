/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of mappings and the calls that change it: see map.h. Pages are pages.c's business. */
#include "vm/map.h"

#include <asm/mman.h>
#include <linux/errno.h>
#include <linux/mman.h>

#include "arch/x86_64/layout.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "mem/page.h"
#include "vm/fault.h"
#include "vm/pages.h"

#define MAP_32BIT_TOP 0x80000000ull

struct vm_space vm;

void vm_init(uint64_t mmap_top)
{
    mutex_init(&vm.lock);
    vm.mmap_top = vm.mmap_hint = mmap_top;
}

struct vma *vma_find(uint64_t addr)
{
    struct vma *best = NULL;
    for (struct rb_node *n = vm.root.node; n;) {
        struct vma *v = RB_ENTRY(n, struct vma, node);
        if (addr < v->end) {
            best = v;
            n = n->left;
        } else {
            n = n->right;
        }
    }
    return best;
}

struct vma *vma_next(struct vma *v)
{
    struct rb_node *n = rb_next(&v->node);
    return n ? RB_ENTRY(n, struct vma, node) : NULL;
}

static struct vma *vma_prev(struct vma *v)
{
    struct rb_node *n = rb_prev(&v->node);
    return n ? RB_ENTRY(n, struct vma, node) : NULL;
}

static void vma_insert(struct vma *v)
{
    struct rb_node *parent = NULL, **link = &vm.root.node;
    while (*link) {
        parent = *link;
        link =
            v->start < RB_ENTRY(parent, struct vma, node)->start ? &parent->left : &parent->right;
    }
    rb_link(&v->node, parent, link);
    rb_insert(&vm.root, &v->node);
    vm.mapped += v->end - v->start;
    vm.count++;
}

static void vma_delete(struct vma *v)
{
    rb_remove(&vm.root, &v->node);
    vm.mapped -= v->end - v->start;
    vm.count--;
    if (v->object)
        v->object->ops->put(v->object);
    kfree(v);
}

static uint64_t vma_pgoff_at(const struct vma *v, uint64_t addr)
{
    return v->pgoff + (v->object ? (addr - v->start) >> PAGE_SHIFT : 0);
}

/* Cuts `v` at addr; the upper part is a new mapping. */
static int vma_split(struct vma *v, uint64_t addr)
{
    struct vma *upper = kmemdup(v, sizeof *v);
    if (!upper)
        return -ENOMEM;
    upper->start = addr;
    upper->pgoff = vma_pgoff_at(v, addr);
    if (upper->object)
        upper->object->ops->get(upper->object);
    vm.mapped -= v->end - addr;
    v->end = addr;
    vma_insert(upper);
    return 0;
}

/* Makes mapping borders at both ends of the range. */
static int vma_split_range(uint64_t start, uint64_t end)
{
    struct vma *v = vma_find(start);
    if (v && v->start < start) {
        int err = vma_split(v, start);
        if (err)
            return err;
    }
    v = vma_find(end - 1);
    return v && v->start < end && v->end > end ? vma_split(v, end) : 0;
}

static bool vma_can_merge(const struct vma *a, const struct vma *b)
{
    return a->end == b->start && a->prot == b->prot && a->flags == b->flags &&
           a->max_prot == b->max_prot && a->object == b->object &&
           !(a->flags & (VMA_FIXED_PAGES | VMA_STACK | VMA_GROWSDOWN)) &&
           (!a->object || vma_pgoff_at(a, a->end) == b->pgoff);
}

/* Joins `v` with its neighbours where they differ in nothing; returns what holds it now. */
static struct vma *vma_merge(struct vma *v)
{
    struct vma *prev = vma_prev(v), *next = vma_next(v);
    if (next && vma_can_merge(v, next)) {
        uint64_t end = next->end;
        vma_delete(next);
        vm.mapped += end - v->end;
        v->end = end;
    }
    if (prev && vma_can_merge(prev, v)) {
        uint64_t end = v->end;
        vma_delete(v);
        vm.mapped += end - prev->end;
        prev->end = end;
        return prev;
    }
    return v;
}

static int unmap_locked(uint64_t start, uint64_t end)
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
    if (end <= vm.mmap_top && end > vm.mmap_hint)
        vm.mmap_hint = end;
    return 0;
}

static bool range_free(uint64_t start, uint64_t end)
{
    struct vma *v = vma_find(start);
    return !v || v->start >= end;
}

/* Highest gap of `len` bytes that ends at or below `top`. */
static uint64_t gap_below(uint64_t len, uint64_t top)
{
    struct vma *next = vma_find(top - 1);
    uint64_t end = next && next->start < top ? next->start : top;
    struct rb_node *n = next ? rb_prev(&next->node) : rb_last(&vm.root);
    for (;;) {
        struct vma *prev = n ? RB_ENTRY(n, struct vma, node) : NULL;
        uint64_t floor = prev ? prev->end : VM_MIN_ADDR;
        if (end > floor && end - floor >= len)
            return end - len;
        if (!prev)
            return 0;
        end = prev->start;
        n = rb_prev(n);
    }
}

uint64_t vm_find_gap(uint64_t len, uint64_t top)
{
    if (top != vm.mmap_top)
        return gap_below(len, top);
    uint64_t addr = gap_below(len, vm.mmap_hint);
    if (!addr)
        addr = gap_below(len, vm.mmap_top);
    if (addr)
        vm.mmap_hint = addr + len;
    return addr;
}

/* Decides where a mapping goes: 0, -ENOMEM, -EINVAL, -EPERM, -EEXIST. */
static int place(uint64_t *addr, uint64_t len, uint32_t flags)
{
    if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
        if (*addr & ~PAGE_MASK)
            return -EINVAL;
        if (*addr >= USER_END || len > USER_END - *addr)
            return -ENOMEM;
        if (*addr < VM_MIN_ADDR)
            return -EPERM;
        if (flags & MAP_FIXED_NOREPLACE)
            return range_free(*addr, *addr + len) ? 0 : -EEXIST;
        return unmap_locked(*addr, *addr + len);
    }
    uint64_t hint = *addr & PAGE_MASK;
    if (hint >= VM_MIN_ADDR && hint < USER_END && len <= USER_END - hint &&
        range_free(hint, hint + len) && (!(flags & MAP_32BIT) || hint + len <= MAP_32BIT_TOP)) {
        *addr = hint;
        return 0;
    }
    *addr = vm_find_gap(len, flags & MAP_32BIT ? MAP_32BIT_TOP : vm.mmap_top);
    if (!*addr && !(flags & MAP_32BIT)) /* the space above, around the stack */
        *addr = vm_find_gap(len, USER_END);
    return *addr ? 0 : -ENOMEM;
}

static struct vma *vma_create(uint64_t start, uint64_t len, uint32_t prot, uint32_t flags)
{
    struct vma *v = kzalloc(sizeof *v);
    if (!v)
        return NULL;
    v->start = start;
    v->end = start + len;
    v->prot = prot;
    v->flags = flags;
    v->max_prot = PROT_READ | PROT_WRITE | PROT_EXEC;
    return v;
}

/* Linux' heuristic overcommit: only what could never fit is refused. */
static bool overcommits(uint64_t len, uint32_t prot, uint32_t flags)
{
    return prot & PROT_WRITE && !(flags & MAP_NORESERVE) && len >> PAGE_SHIFT > page_count_total();
}

int vm_map(uint64_t *addr, uint64_t len, uint32_t prot, uint32_t flags, uint32_t max_prot,
           struct vm_object *object, uint64_t pgoff)
{
    bool shared = (flags & MAP_TYPE) != MAP_PRIVATE;
    uint32_t vma_flags = (shared ? VMA_SHARED : 0) | (flags & MAP_GROWSDOWN ? VMA_GROWSDOWN : 0);
    if (!(shared && object) && overcommits(len, prot, flags))
        return -ENOMEM;
    if (shared && !object)
        vma_flags &= ~VMA_SHARED; /* nobody to share it with */
    mutex_lock(&vm.lock);
    struct vma *v = vma_create(0, 0, prot & 7, vma_flags);
    int err = v ? place(addr, len, flags) : -ENOMEM;
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
    if (!err && flags & MAP_POPULATE && !(flags & MAP_NONBLOCK))
        vm_populate(*addr, len, true);
    return err;
}

int vm_map_kernel(uint64_t addr, uint64_t len, uint32_t prot, uint32_t vma_flags)
{
    mutex_lock(&vm.lock);
    struct vma *v = vma_create(addr, len, prot, vma_flags);
    int err = !v ? -ENOMEM : range_free(addr, addr + len) ? 0 : -EEXIST;
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
    int err = unmap_locked(addr, addr + len);
    mutex_unlock(&vm.lock);
    return err;
}

int vm_check_mapped(uint64_t addr, uint64_t len)
{
    uint64_t end = addr + len;
    mutex_lock(&vm.lock);
    struct vma *v = vma_find(addr);
    while (v && v->start <= addr && v->end < end) {
        addr = v->end;
        v = vma_next(v);
    }
    int err = v && v->start <= addr ? 0 : -ENOMEM;
    mutex_unlock(&vm.lock);
    return err;
}

static int protect_locked(uint64_t start, uint64_t end, uint32_t prot)
{
    struct vma *v = vma_find(start);
    if (!v || v->start > start)
        return -ENOMEM;
    int err = vma_split_range(start, end);
    if (err)
        return err;
    uint64_t at = start;
    for (v = vma_find(start); v && v->start < end; v = vma_next(v)) {
        if (v->start != at)
            return -ENOMEM;
        if (prot & ~v->max_prot || v->flags & VMA_VVAR)
            return -EACCES;
        if (v->prot != prot) {
            v->prot = prot;
            pages_protect(v->start, v->end, prot, v->flags & VMA_SHARED);
            v = vma_merge(v);
        }
        at = v->end;
    }
    return at < end ? -ENOMEM : 0;
}

int vm_protect(uint64_t addr, uint64_t len, uint32_t prot)
{
    mutex_lock(&vm.lock);
    int err = protect_locked(addr, addr + len, prot & 7);
    mutex_unlock(&vm.lock);
    return err;
}

int vm_discard(uint64_t addr, uint64_t len)
{
    uint64_t end = addr + len, at = addr;
    int err = 0;
    mutex_lock(&vm.lock);
    for (struct vma *v = vma_find(addr); v && v->start < end; v = vma_next(v)) {
        if (v->start > at)
            err = -ENOMEM;
        if (v->flags & VMA_FIXED_PAGES) {
            err = -EINVAL;
            break;
        }
        pages_drop(MAX(v->start, addr), MIN(v->end, end), false);
        at = v->end;
    }
    mutex_unlock(&vm.lock);
    return err ? err : at < end ? -ENOMEM : 0;
}

uint64_t vm_set_brk(uint64_t addr)
{
    mutex_lock(&vm.lock);
    uint64_t old = ALIGN_UP(vm.brk, PAGE_SIZE), new = ALIGN_UP(addr, PAGE_SIZE);
    int err = addr < vm.brk_start || addr >= USER_END ? -ENOMEM : 0;
    if (!err && new < old) {
        err = unmap_locked(new, old);
    } else if (!err && new > old) {
        struct vma *v = NULL;
        if (!range_free(old, new + PAGE_SIZE) || overcommits(new - old, PROT_WRITE, 0))
            err = -ENOMEM;
        else
            v = vma_create(old, new - old, PROT_READ | PROT_WRITE, VMA_HEAP);
        if (v)
            vma_insert(v), vma_merge(v);
        else
            err = -ENOMEM;
    }
    if (!err)
        vm.brk = addr;
    uint64_t result = vm.brk;
    mutex_unlock(&vm.lock);
    return result;
}

/* Grows `v` where it is; false if something is in the way. */
static bool grow_in_place(struct vma *v, uint64_t end)
{
    if (!range_free(v->end, end) || end > USER_END)
        return false;
    vm.mapped += end - v->end;
    v->end = end;
    return true;
}

/* Moves [old, old + old_len) of `v` to a new mapping of new_len bytes at `to`. */
static int move_locked(struct vma *v, uint64_t old, uint64_t old_len, uint64_t to, uint64_t new_len,
                       bool keep_old)
{
    struct vma *n = kmemdup(v, sizeof *v);
    if (!n)
        return -ENOMEM;
    n->start = to;
    n->end = to + new_len;
    n->pgoff = vma_pgoff_at(v, old);
    if (n->object)
        n->object->ops->get(n->object);
    vma_insert(n);
    int err = old_len ? pages_move(old, to, MIN(old_len, new_len)) : 0;
    if (err) { /* what has moved stays readable at the new place; nothing is lost */
        pages_move(to, old, MIN(old_len, new_len));
        vma_delete(n);
        return err;
    }
    vma_merge(n);
    return keep_old || !old_len ? 0 : unmap_locked(old, old + old_len);
}

static int remap_locked(uint64_t *addr, uint64_t old_len, uint64_t new_len, uint32_t flags,
                        uint64_t new_addr)
{
    uint64_t old = *addr;
    struct vma *v = vma_find(old);
    if (!v || v->start > old || old + old_len > v->end || v->flags & VMA_FIXED_PAGES)
        return -EFAULT;
    if (!old_len && !(v->flags & VMA_SHARED))
        return -EINVAL;
    if (!(flags & MREMAP_FIXED)) {
        if (new_len <= old_len && !(flags & MREMAP_DONTUNMAP))
            return new_len < old_len ? unmap_locked(old + new_len, old + old_len) : 0;
        if (old_len && old + old_len == v->end && !(flags & MREMAP_DONTUNMAP) &&
            grow_in_place(v, old + new_len)) {
            vma_merge(v);
            return 0;
        }
        if (!(flags & MREMAP_MAYMOVE))
            return -ENOMEM;
        new_addr = vm_find_gap(new_len, vm.mmap_top);
        if (!new_addr)
            return -ENOMEM;
    } else {
        if (new_addr < VM_MIN_ADDR)
            return -EPERM;
        int err = unmap_locked(new_addr, new_addr + new_len);
        v = vma_find(old); /* unmapping may have split it */
        if (err)
            return err;
        if (new_len < old_len && !(flags & MREMAP_DONTUNMAP)) {
            err = unmap_locked(old + new_len, old + old_len);
            if (err)
                return err;
            old_len = new_len;
            v = vma_find(old);
        }
    }
    int err = move_locked(v, old, old_len, new_addr, new_len, flags & MREMAP_DONTUNMAP);
    if (!err)
        *addr = new_addr;
    return err;
}

int vm_remap(uint64_t *addr, uint64_t old_len, uint64_t new_len, uint32_t flags, uint64_t new_addr)
{
    mutex_lock(&vm.lock);
    int err = remap_locked(addr, old_len, new_len, flags, new_addr);
    mutex_unlock(&vm.lock);
    return err;
}

void vm_forget_object(const struct vm_object *obj, uint64_t from, uint64_t to)
{
    mutex_lock(&vm.lock);
    for (struct rb_node *n = rb_first(&vm.root); n; n = rb_next(n)) {
        const struct vma *v = RB_ENTRY(n, struct vma, node);
        uint64_t pages = (v->end - v->start) >> PAGE_SHIFT;
        if (v->object != obj || v->pgoff >= to || v->pgoff + pages <= from)
            continue;
        uint64_t first = MAX(from, v->pgoff) - v->pgoff, last = MIN(to - v->pgoff, pages);
        pages_drop(v->start + (first << PAGE_SHIFT), v->start + (last << PAGE_SHIFT), false);
    }
    mutex_unlock(&vm.lock);
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

int vm_resident(uint64_t addr, size_t pages, uint8_t *out)
{
    int err = vm_check_mapped(addr, pages << PAGE_SHIFT);
    mutex_lock(&vm.lock);
    for (size_t i = 0; i < pages && !err; i++)
        out[i] = pages_present(addr + (i << PAGE_SHIFT));
    mutex_unlock(&vm.lock);
    return err;
}
