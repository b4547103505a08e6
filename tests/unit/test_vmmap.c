/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of mappings against a plain model: one protection byte a page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <asm/mman.h>
#include <linux/errno.h>
#include <linux/mman.h>

#include "mem/page.h"
#include "vm/huge.h"
#include "vm/map.h"
#include "vm/pages.h"
#include "vm/range.h"
#include "vm/remap.h"

#define TOP   0x7f0000000000ull
#define BASE  0x10000000ull
#define PAGES 256
#define RW    (PROT_READ | PROT_WRITE)
#define FIXED (MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED)

extern int fake_mem_fail_after;

static size_t dropped; /* pages the map asked to drop */

void pages_drop(uint64_t start, uint64_t end, bool prune)
{
    (void)prune;
    dropped += (end - start) >> PAGE_SHIFT;
}

void pages_drop_file(uint64_t start, uint64_t end)
{
    (void)start, (void)end;
}

void pages_protect(uint64_t start, uint64_t end, uint32_t prot, bool shared)
{
    (void)start, (void)end, (void)prot, (void)shared;
}

int pages_move(uint64_t from, uint64_t to, uint64_t len)
{
    (void)from, (void)to, (void)len;
    return 0;
}

int pages_put_frame(uint64_t va, paddr_t frame, uint32_t prot)
{
    (void)va, (void)frame, (void)prot;
    return 0;
}

bool pages_present(uint64_t va)
{
    (void)va;
    return false;
}

int vm_populate(uint64_t addr, uint64_t len, enum populate how)
{
    (void)addr, (void)len, (void)how;
    return 0;
}

void paging_walk(uint64_t start, uint64_t end, void (*fn)(uint64_t, pte_t *, void *), void *arg,
                 bool prune)
{
    (void)start, (void)end, (void)fn, (void)arg, (void)prune;
}

struct page *page_of_paddr(paddr_t paddr)
{
    (void)paddr;
    return NULL;
}

void huge_split_at(uint64_t addr)
{
    (void)addr;
}

void huge_init(void)
{
}

static int setup(void **state)
{
    (void)state;
    memset(&vm, 0, sizeof vm);
    vm_init(TOP);
    vm.stack_limit = vm.as_limit = vm.data_limit = UINT64_MAX;
    vm.brk_start = vm.brk = 0x600000000000;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    vm_unmap(VM_MIN_ADDR, (1ull << 47) - PAGE_SIZE - VM_MIN_ADDR);
    assert_int_equal(vm.count, 0);
    assert_int_equal(vm.mapped, 0);
    return 0;
}

static uint64_t map(uint64_t addr, size_t pages, uint32_t prot, uint32_t flags)
{
    assert_int_equal(vm_map(&addr, pages << PAGE_SHIFT, prot, flags, 7, NULL, 0), 0);
    return addr;
}

static void places(void **state)
{
    (void)state;
    uint64_t a = map(0, 4, RW, MAP_PRIVATE | MAP_ANONYMOUS);
    uint64_t b = map(0, 4, RW, MAP_PRIVATE | MAP_ANONYMOUS);
    assert_int_equal(a, TOP - 4 * PAGE_SIZE);
    assert_int_equal(b, a - 4 * PAGE_SIZE);
    assert_int_equal(vm.count, 1); /* neighbours that differ in nothing are one */
    assert_int_equal(map(BASE, 1, RW, MAP_PRIVATE | MAP_ANONYMOUS), BASE);
    assert_true(map(BASE, 1, RW, MAP_PRIVATE | MAP_ANONYMOUS) != BASE);
    assert_true(map(0, 1, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT) < 0x80000000);
    vm_unmap(a, 4 << PAGE_SHIFT);
    assert_int_equal(map(0, 4, RW, MAP_PRIVATE | MAP_ANONYMOUS), a); /* the hole is used again */
}

static void errors(void **state)
{
    (void)state;
    uint64_t a = 0x1000;
    assert_int_equal(vm_map(&a, PAGE_SIZE, RW, FIXED, 7, NULL, 0), -EPERM);
    a = BASE + 1;
    assert_int_equal(vm_map(&a, PAGE_SIZE, RW, FIXED, 7, NULL, 0), -EINVAL);
    map(BASE, 2, RW, FIXED);
    a = BASE + PAGE_SIZE;
    assert_int_equal(
        vm_map(&a, PAGE_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, 7, NULL, 0),
        -EEXIST);
    a = 0;
    assert_int_equal(vm_map(&a, 1ull << 46, RW, MAP_PRIVATE | MAP_ANONYMOUS, 7, NULL, 0), -ENOMEM);
    assert_int_equal(
        vm_map(&a, 1ull << 43, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, 7, NULL, 0),
        0);
    assert_int_equal(vm_protect(BASE, 3 * PAGE_SIZE, PROT_READ), -ENOMEM);
    assert_int_equal(vm_check_hint(BASE, 2 * PAGE_SIZE, 0, false), 0);
    assert_int_equal(vm_check_hint(BASE, 3 * PAGE_SIZE, 0, false), -ENOMEM);
}

static void split_and_merge(void **state)
{
    (void)state;
    map(BASE, 5, RW, FIXED);
    assert_int_equal(vm_protect(BASE + 2 * PAGE_SIZE, PAGE_SIZE, PROT_READ), 0);
    assert_int_equal(vm.count, 3);
    assert_int_equal(vm_protect(BASE, 5 * PAGE_SIZE, RW), 0);
    assert_int_equal(vm.count, 1);
    dropped = 0;
    assert_int_equal(vm_unmap(BASE + PAGE_SIZE, PAGE_SIZE), 0);
    assert_int_equal(vm.count, 2);
    assert_int_equal(dropped, 1);
    map(BASE + PAGE_SIZE, 1, RW, FIXED);
    assert_int_equal(vm.count, 1);
}

/* Page i of the model: 0 unmapped, else prot + 1. */
static void check_model(const uint8_t *model)
{
    for (unsigned i = 0; i < PAGES; i++) {
        struct vma v;
        bool mapped = vm_lookup(BASE + i * PAGE_SIZE, &v);
        assert_int_equal(mapped ? v.prot + 1 : 0, model[i]);
    }
}

static void against_model(void **state)
{
    (void)state;
    static const uint32_t prots[] = {PROT_NONE, PROT_READ, RW, PROT_READ | PROT_EXEC};
    uint8_t model[PAGES] = {0};
    srand(5);
    for (int step = 0; step < 5000; step++) {
        unsigned first = (unsigned)rand() % PAGES, n = 1 + (unsigned)rand() % (PAGES - first);
        uint64_t addr = BASE + first * PAGE_SIZE, len = n * PAGE_SIZE;
        uint32_t prot = prots[rand() % 4];
        int what = rand() % 3;
        if (what == 0) {
            map(addr, n, prot, FIXED);
            memset(model + first, (int)prot + 1, n);
        } else if (what == 1) {
            assert_int_equal(vm_unmap(addr, len), 0);
            memset(model + first, 0, n);
        } else {
            bool hole = memchr(model + first, 0, n);
            int err = vm_protect(addr, len, prot);
            assert_int_equal(err, hole ? -ENOMEM : 0);
            /* as Linux: what lies before the first hole has changed */
            for (unsigned i = first; i < first + n && model[i]; i++)
                model[i] = (uint8_t)(prot + 1);
        }
        if (step % 20 == 0)
            check_model(model);
    }
    check_model(model);
}

static void remaps(void **state)
{
    (void)state;
    uint64_t a = map(BASE, 2, RW, FIXED);
    assert_int_equal(vm_remap(&a, 2 * PAGE_SIZE, 4 * PAGE_SIZE, 0, 0), 0); /* in place */
    assert_int_equal(a, BASE);
    map(BASE + 4 * PAGE_SIZE, 1, PROT_READ, FIXED);
    assert_int_equal(vm_remap(&a, 4 * PAGE_SIZE, 6 * PAGE_SIZE, 0, 0), -ENOMEM);
    assert_int_equal(vm_remap(&a, 4 * PAGE_SIZE, 6 * PAGE_SIZE, MREMAP_MAYMOVE, 0), 0);
    assert_true(a != BASE);
    assert_int_equal(vm_check_hint(a, 6 * PAGE_SIZE, 0, false), 0);
    assert_int_equal(vm_check_hint(BASE, PAGE_SIZE, 0, false), -ENOMEM);
    assert_int_equal(vm_remap(&a, 6 * PAGE_SIZE, PAGE_SIZE, 0, 0), 0); /* shrink */
    assert_int_equal(vm_check_hint(a, 2 * PAGE_SIZE, 0, false), -ENOMEM);
    uint64_t b = a;
    assert_int_equal(vm_remap(&b, PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, BASE), 0);
    assert_int_equal(b, BASE);
    uint64_t none = 0x20000000;
    assert_int_equal(vm_remap(&none, PAGE_SIZE, 2 * PAGE_SIZE, MREMAP_MAYMOVE, 0), -EFAULT);
}

static void breaks(void **state)
{
    (void)state;
    uint64_t start = vm.brk_start;
    assert_int_equal(vm_set_brk(0), start);
    assert_int_equal(vm_set_brk(start + 5000), start + 5000);
    assert_int_equal(vm_check_hint(start, 2 * PAGE_SIZE, 0, false), 0);
    assert_int_equal(vm_set_brk(start + 100), start + 100);
    assert_int_equal(vm_check_hint(start, 2 * PAGE_SIZE, 0, false), -ENOMEM);
    map(start + 4 * PAGE_SIZE, 1, RW, FIXED);
    assert_int_equal(vm_set_brk(start + 8 * PAGE_SIZE), start + 100);
    assert_int_equal(vm_set_brk(start), start);
}

/* Highest gap below `top`, by walking over everything. */
static uint64_t slow_gap(uint64_t len, uint64_t top)
{
    uint64_t found = 0, end = VM_MIN_ADDR;
    for (struct vma *v = vma_find(0); v; v = vma_next(v)) {
        uint64_t limit = vma_floor(v) < top ? vma_floor(v) : top;
        if (limit > end && limit - end >= len)
            found = limit - len;
        end = v->end;
    }
    return end < top && top - end >= len ? top - len : found;
}

static void gaps(void **state)
{
    (void)state;
    srand(11);
    for (int step = 0; step < 4000; step++) {
        uint64_t at = BASE + (uint64_t)(rand() % 4096) * PAGE_SIZE, n = 1 + (uint64_t)rand() % 8;
        uint32_t grows = rand() % 8 ? 0 : MAP_GROWSDOWN;
        if (rand() % 3)
            map(at, n, rand() % 2 ? RW : PROT_READ, FIXED | grows);
        else
            assert_int_equal(vm_unmap(at, n << PAGE_SHIFT), 0);
        uint64_t len = (1 + (uint64_t)rand() % 64) << PAGE_SHIFT;
        uint64_t top = rand() % 2 ? TOP : BASE + (uint64_t)(rand() % 4200) * PAGE_SIZE;
        assert_int_equal(vma_find_gap(len, top), slow_gap(len, top));
    }
}

static void sums(void **state)
{
    (void)state;
    map(BASE, 10, RW, FIXED);
    map(BASE + 20 * PAGE_SIZE, 5, PROT_READ, FIXED);
    assert_int_equal(vm.mapped, 15 * PAGE_SIZE);
    assert_int_equal(vm.data, 10 * PAGE_SIZE);
    assert_int_equal(vm_protect(BASE, 4 * PAGE_SIZE, PROT_READ), 0);
    assert_int_equal(vm.data, 6 * PAGE_SIZE);
    assert_int_equal(vm_change_flags(BASE + 2 * PAGE_SIZE, 3 * PAGE_SIZE, VMA_LOCKED, 0), 0);
    assert_int_equal(vm.locked, 3 * PAGE_SIZE);
    vm_unmap(BASE + 3 * PAGE_SIZE, PAGE_SIZE);
    assert_int_equal(vm.locked, 2 * PAGE_SIZE);
    vm.data_limit = 7 * PAGE_SIZE;
    uint64_t a = 0;
    assert_int_equal(vm_map(&a, 2 * PAGE_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS, 7, NULL, 0),
                     -ENOMEM);
    assert_int_equal(vm_map(&a, PAGE_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS, 7, NULL, 0), 0);
    vm_unmap(BASE, 100 * PAGE_SIZE);
    vm_unmap(a, PAGE_SIZE);
    assert_int_equal(vm.data, 0);
    assert_int_equal(vm.locked, 0);
}

/* Each allocation of each call fails once: an error, and nothing lost or left over. */
static void no_memory(void **state)
{
    (void)state;
    for (int fail = 0; fail < 3; fail++) {
        for (int what = 0; what < 5; what++) {
            uint64_t a = BASE;
            map(BASE, 8, RW, FIXED);
            fake_mem_fail_after = fail;
            int err = what == 0   ? vm_map(&a, PAGE_SIZE, PROT_READ, FIXED, 7, NULL, 0)
                      : what == 1 ? vm_unmap(BASE + PAGE_SIZE, PAGE_SIZE)
                      : what == 2 ? vm_protect(BASE + PAGE_SIZE, PAGE_SIZE, PROT_READ)
                      : what == 3 ? vm_change_flags(BASE + PAGE_SIZE, PAGE_SIZE, VMA_LOCKED, 0)
                                  : vm_remap(&a, 8 * PAGE_SIZE, 9 * PAGE_SIZE,
                                             MREMAP_MAYMOVE | MREMAP_FIXED, BASE + 99 * PAGE_SIZE);
            fake_mem_fail_after = -1;
            assert_true(err == 0 || err == -ENOMEM);
            if (err)
                assert_int_equal(vm_check_hint(BASE, 8 * PAGE_SIZE, 0, false), 0);
            vm_unmap(BASE, 200 * PAGE_SIZE);
            assert_int_equal(vm.mapped, 0);
        }
    }
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(places),        CASE(errors), CASE(split_and_merge),
        CASE(against_model), CASE(remaps), CASE(breaks),
        CASE(gaps),          CASE(sums),   CASE(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
