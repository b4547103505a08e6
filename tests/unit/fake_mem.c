/* SPDX-License-Identifier: Apache-2.0 */
/* Host stand-ins for mem/: pages and blocks from the C heap, so that ASan watches them. */
#include <stdlib.h>
#include <string.h>

#include "arch/x86_64/layout.h"
#include "mem/kmalloc.h"
#include "mem/page.h"

/* The next allocation after this many fails; negative: none does. */
int fake_mem_fail_after = -1;
size_t fake_mem_pages; /* pages in use */

static bool mem_fails(void)
{
    return fake_mem_fail_after >= 0 && fake_mem_fail_after-- == 0;
}

void *kmalloc(size_t n)
{
    return mem_fails() ? NULL : malloc(n);
}

void *kzalloc(size_t n)
{
    return mem_fails() ? NULL : calloc(1, n);
}

void *kzalloc_io(size_t n)
{
    return kzalloc(n);
}

void *krealloc(void *p, size_t n)
{
    return mem_fails() ? NULL : realloc(p, n);
}

void kfree(void *p)
{
    free(p);
}

char *kstrdup(const char *s)
{
    return mem_fails() ? NULL : strdup(s);
}

void *kmemdup(const void *p, size_t n)
{
    void *d = kmalloc(n);
    return d ? memcpy(d, p, n) : NULL;
}

/* The frame's descriptor and its memory are two host blocks; `owner` of the fake holds neither. */
struct fake_page {
    struct list all;
    struct page page;
    void *memory;
};

static struct list fake_pages = LIST_INIT(fake_pages);

struct page *page_alloc(unsigned order)
{
    if (mem_fails())
        return NULL;
    struct fake_page *f = calloc(1, sizeof *f);
    f->memory = aligned_alloc(PAGE_SIZE, PAGE_SIZE << order);
    list_add_tail(&fake_pages, &f->all);
    f->page.refs = 1;
    f->page.order = (uint8_t)order;
    list_init(&f->page.link);
    fake_mem_pages += (size_t)1 << order;
    return &f->page;
}

struct page *page_alloc_zero(unsigned order)
{
    struct page *p = page_alloc(order);
    if (p)
        memset(page_address(p), 0, PAGE_SIZE << order);
    return p;
}

struct page *page_alloc_free(unsigned order)
{
    return page_alloc(order);
}

void page_put(struct page *p)
{
    if (--p->refs)
        return;
    struct fake_page *f = CONTAINER_OF(p, struct fake_page, page);
    fake_mem_pages -= (size_t)1 << p->order;
    list_remove(&f->all);
    free(f->memory);
    free(f);
}

void *page_address(const struct page *p)
{
    return CONTAINER_OF(p, const struct fake_page, page)->memory;
}

paddr_t page_paddr(const struct page *p)
{
    return virt_to_phys(page_address(p));
}

struct page *page_of_address(const void *addr)
{
    LIST_FOR_EACH(l, &fake_pages)
    {
        struct fake_page *f = LIST_ENTRY(l, struct fake_page, all);
        if ((const char *)addr >= (char *)f->memory &&
            (const char *)addr < (char *)f->memory + (PAGE_SIZE << f->page.order))
            return &f->page;
    }
    return NULL;
}

/* Weak: a test may have frames of its own. */
__attribute__((weak)) struct page *page_of_paddr(paddr_t paddr)
{
    return page_of_address(phys_to_virt(paddr));
}

size_t page_count_total(void)
{
    return 1 << 18;
}

size_t page_count_free(void)
{
    return (1 << 18) - fake_mem_pages;
}

page_reclaim_fn *fake_mem_reclaim; /* what the tested code registered */

void page_set_reclaim(enum reclaim turn, page_reclaim_fn *fn)
{
    (void)turn;
    fake_mem_reclaim = fn;
}

bool kmalloc_count(unsigned index, struct kmalloc_count *out)
{
    (void)index;
    (void)out;
    return false;
}

unsigned page_report_take(struct page **blocks, unsigned n)
{
    (void)blocks, (void)n;
    return 0;
}

void page_report_give(struct page **blocks, unsigned n)
{
    (void)blocks, (void)n;
}

void page_report_start(void (*freed)(void))
{
    (void)freed;
}
