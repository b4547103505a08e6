/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of mappings: see vma.h. Each node knows the greatest gap below any
 * mapping of its subtree, so that an unused range is found in O(log n) however
 * many mappings there are.
 */
#include "vm/vma.h"

#include <asm/mman.h>
#include <linux/errno.h>

#include "mem/kmalloc.h"
#include "vm/huge.h"

static struct vma *vma_of(const struct rb_node *n)
{
    return RB_ENTRY(n, struct vma, node);
}

struct vma *vma_find(uint64_t addr)
{
    struct vma *best = NULL;
    for (struct rb_node *n = vm.root.node; n;) {
        struct vma *v = vma_of(n);
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
    return n ? vma_of(n) : NULL;
}

struct vma *vma_prev(struct vma *v)
{
    struct rb_node *n = rb_prev(&v->node);
    return n ? vma_of(n) : NULL;
}

static uint64_t gap_max(const struct rb_node *n)
{
    return n ? vma_of(n)->gap_max : 0;
}

static void gap_update(struct rb_node *n)
{
    struct vma *v = vma_of(n);
    v->gap_max = MAX(v->gap, MAX(gap_max(n->left), gap_max(n->right)));
}

uint64_t vma_floor(const struct vma *v)
{
    uint64_t guard = v->flags & VMA_GROWSDOWN ? VM_STACK_GUARD : 0;
    return v->start > guard ? v->start - guard : 0;
}

/* Recomputes the gap below `v` (NULL: nothing) from its lower neighbour. */
static void gap_refresh(struct vma *v)
{
    if (!v)
        return;
    const struct vma *prev = vma_prev(v);
    uint64_t below = prev ? prev->end : VM_MIN_ADDR, floor = vma_floor(v);
    v->gap = floor > below ? floor - below : 0;
    rb_update(&vm.root, &v->node);
}

/* Adds the mapping to the sums, or with `sign` -1 takes it away. */
static void account(const struct vma *v, int64_t sign)
{
    uint64_t bytes = (uint64_t)((int64_t)(v->end - v->start) * sign);
    vm.mapped += bytes;
    vm.mapped_max = MAX(vm.mapped_max, vm.mapped);
    if (v->prot & PROT_WRITE && !(v->flags & (VMA_SHARED | VMA_GROWSDOWN)))
        vm.data += bytes;
    if (v->flags & VMA_LOCKED)
        vm.locked += bytes;
}

struct vma *vma_create(uint64_t start, uint64_t len, uint32_t prot, uint32_t flags)
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

void vma_insert(struct vma *v)
{
    struct rb_node *parent = NULL, **link = &vm.root.node;
    vm.root.update = gap_update;
    while (*link) {
        parent = *link;
        link = v->start < vma_of(parent)->start ? &parent->left : &parent->right;
    }
    rb_link(&v->node, parent, link);
    rb_insert(&vm.root, &v->node);
    gap_refresh(v);
    gap_refresh(vma_next(v));
    account(v, 1);
    list_init(&v->object_link);
    if (v->object)
        list_add_tail(&v->object->mappings, &v->object_link);
    vm.count++;
}

void vma_delete(struct vma *v)
{
    struct vma *next = vma_next(v);
    rb_remove(&vm.root, &v->node);
    gap_refresh(next);
    account(v, -1);
    vm.count--;
    list_remove(&v->object_link);
    if (v->object)
        v->object->ops->put(v->object);
    kfree(v);
}

void vma_resize(struct vma *v, uint64_t start, uint64_t end)
{
    account(v, -1);
    v->start = start;
    v->end = end;
    account(v, 1);
    gap_refresh(v);
    gap_refresh(vma_next(v));
}

void vma_change(struct vma *v, uint32_t prot, uint32_t flags)
{
    account(v, -1);
    v->prot = prot;
    v->flags = flags;
    account(v, 1);
}

uint64_t vma_pgoff_at(const struct vma *v, uint64_t addr)
{
    return v->pgoff + (v->object ? (addr - v->start) >> PAGE_SHIFT : 0);
}

/* Cuts `v` at addr; the upper part is a new mapping. */
static int vma_split(struct vma *v, uint64_t addr)
{
    struct vma *upper = vm.count < VMA_COUNT_MAX ? kmemdup(v, sizeof *v) : NULL;
    if (!upper)
        return -ENOMEM;
    upper->start = addr;
    upper->pgoff = vma_pgoff_at(v, addr);
    if (upper->object)
        upper->object->ops->get(upper->object);
    huge_split_at(addr);
    vma_resize(v, v->start, addr);
    vma_insert(upper);
    return 0;
}

int vma_split_range(uint64_t start, uint64_t end)
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

/* Joins two neighbours, `b` the upper one, if they differ in nothing. */
static bool vma_join(struct vma *a, struct vma *b)
{
    if (!vma_can_merge(a, b))
        return false;
    uint64_t end = b->end;
    vma_delete(b);
    vma_resize(a, a->start, end);
    return true;
}

struct vma *vma_merge(struct vma *v)
{
    struct vma *prev = vma_prev(v), *next = vma_next(v);
    if (next)
        vma_join(v, next);
    return prev && vma_join(prev, v) ? prev : v;
}

bool vma_range_free(uint64_t start, uint64_t end)
{
    const struct vma *v = vma_find(start);
    return !v || v->start >= end;
}

uint64_t vma_range_mapped(uint64_t start, uint64_t end)
{
    uint64_t sum = 0;
    for (struct vma *v = vma_find(start); v && v->start < end; v = vma_next(v))
        sum += MIN(v->end, end) - MAX(v->start, start);
    return sum;
}

/*
 * Highest fitting gap of the subtree. Only the one gap that `top` cuts can be long enough and
 * yet not fit, so at most two paths are walked.
 */
static uint64_t gap_search(const struct rb_node *n, uint64_t len, uint64_t top)
{
    while (gap_max(n) >= len) {
        const struct vma *v = vma_of(n);
        uint64_t found = v->end < top ? gap_search(n->right, len, top) : 0;
        if (found)
            return found;
        uint64_t end = MIN(vma_floor(v), top), start = vma_floor(v) - v->gap;
        if (v->gap >= len && end > start && end - start >= len)
            return end - len;
        n = n->left;
    }
    return 0;
}

uint64_t vma_find_gap(uint64_t len, uint64_t top)
{
    const struct rb_node *last = rb_last(&vm.root);
    uint64_t floor = last ? vma_of(last)->end : VM_MIN_ADDR;
    if (floor < top && top - floor >= len)
        return top - len;
    return gap_search(vm.root.node, len, top);
}

bool vma_may_expand(uint64_t len, uint32_t prot, uint32_t flags)
{
    if (len > vm.as_limit || vm.mapped > vm.as_limit - len)
        return false;
    if (!(prot & PROT_WRITE) || flags & (VMA_SHARED | VMA_GROWSDOWN))
        return true;
    return len <= vm.data_limit && vm.data <= vm.data_limit - len;
}
