/* SPDX-License-Identifier: Apache-2.0 */
/* Growing, shrinking and moving mappings: see remap.h. Takes vm.lock. */
#include "vm/remap.h"

#include <asm/mman.h>
#include <linux/errno.h>
#include <linux/mman.h>

#include "arch/x86_64/layout.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "vm/map.h"
#include "vm/pages.h"
#include "vm/range.h"

struct remap {
    uint64_t old, old_len;
    uint64_t new, new_len; /* new: wanted with MREMAP_FIXED, else chosen */
    uint32_t flags;
};

/* May the mapping become that much longer? */
static int expand_check(const struct vma *v, uint64_t more)
{
    if (v->flags & VMA_FIXED_PAGES)
        return -EFAULT;
    if (!vma_may_expand(more, v->prot, v->flags))
        return -ENOMEM;
    bool charged = v->prot & PROT_WRITE && !(v->flags & (VMA_SHARED | VMA_NORESERVE));
    return charged && vm_overcommits(more) ? -ENOMEM : 0;
}

/* Grows `v` where it is; false if something is in the way. */
static bool grow_in_place(struct vma *v, uint64_t end)
{
    if (end > USER_END || end < v->end || !vma_range_free(v->end, end))
        return false;
    vma_resize(v, v->start, end);
    vma_merge(v);
    return true;
}

/* Moves what `v` has of the old range to a new mapping at r->new. */
static int remap_move(struct vma *v, const struct remap *r)
{
    struct vma *n = vm.count < VMA_COUNT_MAX ? kmemdup(v, sizeof *v) : NULL;
    if (!n)
        return -ENOMEM;
    n->start = r->new;
    n->end = r->new + r->new_len;
    n->pgoff = vma_pgoff_at(v, r->old);
    if (n->object)
        n->object->ops->get(n->object);
    vma_insert(n);
    uint64_t len = MIN(r->old_len, r->new_len);
    int err = len ? pages_move(r->old, r->new, len) : 0;
    if (err) { /* back with what has moved: the tables there exist */
        pages_move(r->new, r->old, len);
        vma_delete(n);
        return err;
    }
    vma_merge(n);
    if (!r->old_len)
        return 0;
    if (r->flags & MREMAP_DONTUNMAP) { /* what stays is empty, and not locked any more */
        v = vma_find(r->old);
        if (v->start == r->old && v->end == r->old + r->old_len)
            vma_change(v, v->prot, v->flags & ~(uint32_t)VMA_LOCKED);
        return 0;
    }
    return vm_unmap_locked(r->old, r->old + r->old_len);
}

/* Makes room at the wanted address and cuts the old range to the new length. */
static int remap_clear_target(struct remap *r)
{
    if (r->new < VM_MIN_ADDR)
        return -EPERM;
    int err = vm_unmap_locked(r->new, r->new + r->new_len);
    if (!err && r->old_len > r->new_len) {
        err = vm_unmap_locked(r->old + r->new_len, r->old + r->old_len);
        r->old_len = r->new_len;
    }
    return err;
}

static int remap_locked(struct remap *r)
{
    struct vma *v = vma_find(r->old);
    if (!v || v->start > r->old)
        return -EFAULT;
    if (!r->old_len && !(v->flags & VMA_SHARED))
        return -EINVAL;
    if (r->old_len > v->end - r->old)
        return -EFAULT;
    bool stay = !(r->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP));
    if (stay && r->new_len <= r->old_len) {
        r->new = r->old;
        return r->new_len < r->old_len ? vm_unmap_locked(r->old + r->new_len, r->old + r->old_len)
                                       : 0;
    }
    uint64_t more = r->flags & MREMAP_DONTUNMAP ? r->new_len
                    : r->new_len > r->old_len   ? r->new_len - r->old_len
                                                : 0;
    int err = more ? expand_check(v, more) : 0;
    if (err)
        return err;
    if (stay && r->old_len && r->old + r->old_len == v->end &&
        grow_in_place(v, r->old + r->new_len)) {
        r->new = r->old;
        return 0;
    }
    if (!(r->flags & MREMAP_MAYMOVE))
        return -ENOMEM;
    if (r->flags & MREMAP_FIXED)
        err = remap_clear_target(r);
    else if (!(r->new = vma_find_gap(r->new_len, vm.mmap_top)))
        err = -ENOMEM;
    return err ? err : remap_move(vma_find(r->old), r); /* clearing may have split it */
}

int vm_remap(uint64_t *addr, uint64_t old_len, uint64_t new_len, uint32_t flags, uint64_t new_addr)
{
    struct remap r = {*addr, old_len, new_addr, new_len, flags};
    mutex_lock(&vm.lock);
    int err = remap_locked(&r);
    const struct vma *v = err ? NULL : vma_find(r.new);
    bool populate = v && v->flags & VMA_LOCKED && new_len > old_len;
    mutex_unlock(&vm.lock);
    if (populate)
        vm_populate(r.new + old_len, new_len - old_len, POPULATE_ALLOWED);
    if (!err)
        *addr = r.new;
    return err;
}
