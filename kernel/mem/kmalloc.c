/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel heap: see kmalloc.h. A slab is one page cut into objects of one size
 * class, with the free objects chained through themselves; larger blocks are
 * whole pages. What a page is stands in its descriptor: `owner` is the class
 * (slab) or &large_owner, `index` the first free object, `pad` how many are in use.
 * Lock: each class has one, taken with interrupts off.
 */
#include "mem/kmalloc.h"

#include "core/panic.h"
#include "core/spinlock.h"
#include "lib/string.h"
#include "mem/page.h"

struct size_class {
    struct spinlock lock;
    uint32_t size;
    uint32_t spare; /* empty slabs kept */
    uint32_t used;  /* objects handed out */
    uint32_t slabs;
    struct list partial; /* slabs with a free object */
};

#define CLASS(n)                                                                                   \
    {                                                                                              \
        SPINLOCK_INIT, n, 0, 0, 0,                                                                 \
        {                                                                                          \
            NULL, NULL                                                                             \
        }                                                                                          \
    }
static struct size_class classes[] = {CLASS(16),  CLASS(32),   CLASS(64),   CLASS(128),
                                      CLASS(192), CLASS(256),  CLASS(384),  CLASS(512),
                                      CLASS(768), CLASS(1024), CLASS(1344), CLASS(2048)};
static const char large_owner;
static size_t large_used[PAGE_ORDER_MAX]; /* blocks of whole pages, by order */

/* Class of a size, by 16 bytes up to 2048: filled at the first use. */
static uint8_t class_index[2048 / 16 + 1];

static void classes_init(void)
{
    for (unsigned c = 0; c < ARRAY_SIZE(classes); c++)
        list_init(&classes[c].partial);
    unsigned c = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(class_index); i++) {
        while (classes[c].size < i * 16)
            c++;
        class_index[i] = (uint8_t)c;
    }
}

static struct page *slab_create(struct size_class *c, bool io)
{
    struct page *p = io ? page_alloc(0) : page_alloc_object(0);
    if (!p)
        return NULL;
    char *base = page_address(p);
    uint64_t next = 0;
    for (size_t off = (PAGE_SIZE / c->size - 1) * c->size;; off -= c->size) {
        *(uint64_t *)(base + off) = next;
        next = (uint64_t)(base + off);
        if (!off)
            break;
    }
    p->owner = c;
    p->index = next;
    p->pad = 0;
    return p;
}

static void *slab_take(struct size_class *c, struct page *p)
{
    void *obj = (void *)p->index;
    p->index = *(uint64_t *)obj;
    p->pad++;
    if (!p->index)
        list_remove(&p->link);
    if (p->pad == 1 && c->spare)
        c->spare--;
    return obj;
}

static void *alloc_small(struct size_class *c, bool io)
{
    irqflags_t flags = spin_lock_irq(&c->lock);
    if (list_empty(&c->partial)) {
        spin_unlock_irq(&c->lock, flags);
        struct page *p = slab_create(c, io);
        if (!p)
            return NULL;
        flags = spin_lock_irq(&c->lock);
        c->spare++;
        c->slabs++;
        list_add_head(&c->partial, &p->link);
    }
    void *obj = slab_take(c, LIST_ENTRY(c->partial.next, struct page, link));
    c->used++;
    spin_unlock_irq(&c->lock, flags);
    return obj;
}

static void *alloc_large(size_t n)
{
    unsigned order = 0;
    while (order < PAGE_ORDER_MAX && PAGE_SIZE << order < n)
        order++;
    struct page *p = page_alloc_object(order);
    if (!p)
        return NULL;
    p->owner = (void *)&large_owner;
    __atomic_add_fetch(&large_used[order], 1, __ATOMIC_RELAXED);
    return page_address(p);
}

static void *alloc(size_t n, bool io)
{
    if (!classes[0].partial.next)
        classes_init();
    if (n > 2048)
        return alloc_large(n);
    return alloc_small(&classes[class_index[(n + 15) / 16]], io);
}

void *kmalloc(size_t n)
{
    return alloc(n, false);
}

void *kzalloc_io(size_t n)
{
    void *p = alloc(n, true);
    return p ? memset(p, 0, n) : NULL;
}

void *kzalloc(size_t n)
{
    void *p = kmalloc(n);
    return p ? memset(p, 0, n) : NULL;
}

static size_t block_size(const struct page *page)
{
    if (page->owner == &large_owner)
        return PAGE_SIZE << page->order;
    return ((const struct size_class *)page->owner)->size;
}

void kfree(void *obj)
{
    if (!obj)
        return;
    struct page *p = page_of_address(obj);
    ASSERT(p && p->owner);
    if (p->owner == &large_owner) {
        __atomic_sub_fetch(&large_used[p->order], 1, __ATOMIC_RELAXED);
        page_put(p);
        return;
    }
    struct size_class *c = p->owner;
    irqflags_t flags = spin_lock_irq(&c->lock);
    if (!p->index)
        list_add_head(&c->partial, &p->link);
    *(uint64_t *)obj = p->index;
    p->index = (uint64_t)obj;
    bool drop = --p->pad == 0 && c->spare > 0;
    c->used--;
    c->slabs -= drop;
    if (drop)
        list_remove(&p->link);
    else if (!p->pad)
        c->spare++;
    spin_unlock_irq(&c->lock, flags);
    if (drop)
        page_put(p);
}

void *krealloc(void *p, size_t n)
{
    if (!p)
        return kmalloc(n);
    size_t old = block_size(page_of_address(p));
    if (n <= old && n > old / 2)
        return p;
    void *q = kmalloc(n);
    if (!q)
        return NULL;
    memcpy(q, p, MIN(n, old));
    kfree(p);
    return q;
}

char *kstrdup(const char *s)
{
    return kmemdup(s, strlen(s) + 1);
}

void *kmemdup(const void *p, size_t n)
{
    void *q = kmalloc(n);
    return q ? memcpy(q, p, n) : NULL;
}

size_t kmalloc_used(void)
{
    struct kmalloc_count c;
    size_t n = 0;
    for (unsigned i = 0; kmalloc_count(i, &c); i++)
        n += c.used * c.size;
    return n;
}

bool kmalloc_count(unsigned index, struct kmalloc_count *out)
{
    if (index < ARRAY_SIZE(classes)) {
        struct size_class *c = &classes[index];
        irqflags_t flags = spin_lock_irq(&c->lock);
        *out = (struct kmalloc_count){c->size, c->used, c->slabs * (PAGE_SIZE / c->size), c->slabs};
        spin_unlock_irq(&c->lock, flags);
        return true;
    }
    index -= ARRAY_SIZE(classes);
    if (index >= PAGE_ORDER_MAX)
        return false;
    size_t n = __atomic_load_n(&large_used[index], __ATOMIC_RELAXED);
    *out = (struct kmalloc_count){PAGE_SIZE << index, n, n, n << index};
    return true;
}
