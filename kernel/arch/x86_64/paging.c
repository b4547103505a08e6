/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page table: see paging.h. Tables are reached through the direct map. The
 * kernel half's top-level entries are all made at boot and never change.
 * Lock: kernel_map_lock for the KERNEL_MAP region; the user half is the
 * caller's. tlb_lock serialises shootdowns.
 */
#include "arch/x86_64/paging.h"

#include "arch/x86_64/apic.h"
#include "arch/x86_64/boot.h"
#include "arch/x86_64/features.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/msr.h"
#include "arch/x86_64/trap.h"
#include "arch/x86_64/upcalls.h"
#include "core/panic.h"
#include "core/spinlock.h"

#define ENTRIES          512
#define LEVELS           4
#define FLUSH_SINGLE_MAX 32 /* pages; more is cheaper by dropping everything */

extern uint8_t kernel_start[], kernel_text_end[], kernel_rodata_end[], kernel_end[];

static pte_t *pml4;
static uint64_t kernel_map_next = KERNEL_MAP;
static struct spinlock kernel_map_lock;

static struct spinlock tlb_lock;
static uint64_t tlb_start, tlb_end;
static volatile uint32_t tlb_waiting;
static struct tlb_cpu {
    volatile bool idle;  /* nobody uses the translations now */
    volatile bool stale; /* they have to go when somebody does */
} tlb_cpus[CPU_MAX];

static unsigned entry_index(uint64_t va, unsigned level)
{
    return va >> (PAGE_SHIFT + 9 * level) & (ENTRIES - 1);
}

static pte_t *entry_table(pte_t e)
{
    return phys_to_virt(e & PTE_ADDR);
}

/*
 * The entry for va at `level` (0 is the last), with tables above it made when asked. A 2 MiB
 * entry above the last level is the answer itself.
 */
static pte_t *paging_entry(uint64_t va, unsigned level, bool create)
{
    pte_t *table = pml4;
    for (unsigned l = LEVELS - 1; l > level; l--) {
        pte_t *e = &table[entry_index(va, l)];
        if (*e & PTE_LARGE) {
            return l == 1 ? e : NULL;
        } else if (!(*e & PTE_PRESENT)) {
            void *t = create ? paging_table_alloc() : NULL;
            if (!t)
                return NULL;
            *e = virt_to_phys(t) | PTE_PRESENT | PTE_WRITE | (va < USER_END ? PTE_USER : 0);
        }
        table = entry_table(*e);
    }
    return &table[entry_index(va, level)];
}

pte_t *paging_pte(uint64_t va, bool create)
{
    return paging_entry(va, 0, create);
}

paddr_t paging_frame(const pte_t *pte, uint64_t va)
{
    return (*pte & PTE_ADDR) + (*pte & PTE_LARGE ? va % LARGE_SIZE & PAGE_MASK : 0);
}

static void tlb_flush(uint64_t start, uint64_t end, bool lazy);

struct walk {
    uint64_t start, end;
    void (*fn)(uint64_t va, pte_t *pte, void *arg);
    void *arg;
    bool prune;
    void *freed; /* empty tables, chained; a link looks like an entry that is not present */
};

static bool table_empty(const pte_t *table)
{
    for (unsigned i = 0; i < ENTRIES; i++)
        if (table[i])
            return false;
    return true;
}

bool paging_set_large(uint64_t va, pte_t entry, void **table)
{
    pte_t *e = paging_entry(va, 1, true);
    *table = NULL;
    if (!e || *e & PTE_LARGE || (*e && !table_empty(entry_table(*e))))
        return false;
    if (*e)
        *table = paging_take_table(va);
    *e = entry | PTE_LARGE;
    return true;
}

pte_t paging_take_large(uint64_t va)
{
    pte_t old = __atomic_exchange_n(paging_entry(va, 1, false), 0, __ATOMIC_SEQ_CST);
    if (old & PTE_PRESENT) /* any address drops the whole translation */
        tlb_flush_range(va & PAGE_MASK, (va & PAGE_MASK) + PAGE_SIZE);
    return old;
}

pte_t *paging_take_table(uint64_t va)
{
    pte_t *e = paging_entry(va, 1, false), *table = entry_table(*e);
    uint64_t start = ALIGN_DOWN(va, LARGE_SIZE);
    *e = 0;
    tlb_flush(start, start + LARGE_SIZE, false);
    return table;
}

void paging_put_table(uint64_t va, void *table)
{
    *paging_entry(va, 1, false) = virt_to_phys(table) | PTE_PRESENT | PTE_WRITE | PTE_USER;
}

static void paging_walk_level(struct walk *w, pte_t *table, unsigned level, uint64_t base)
{
    uint64_t span = 1ull << (PAGE_SHIFT + 9 * level);
    unsigned i = w->start > base ? (unsigned)((w->start - base) / span) : 0;
    for (; i < ENTRIES && base + i * span < w->end; i++) {
        pte_t *e = &table[i];
        uint64_t va = base + i * span;
        if (!*e)
            continue;
        if (level == 0 || *e & PTE_LARGE) {
            w->fn(va, e, w->arg);
            continue;
        }
        paging_walk_level(w, entry_table(*e), level - 1, va);
        if (w->prune && table_empty(entry_table(*e))) {
            void **t = phys_to_virt(*e & PTE_ADDR);
            *e = 0;
            *t = w->freed;
            w->freed = t;
        }
    }
}

void paging_walk(uint64_t start, uint64_t end, void (*fn)(uint64_t, pte_t *, void *), void *arg,
                 bool prune)
{
    struct walk w = {start, end, fn, arg, prune, NULL};
    paging_walk_level(&w, pml4, LEVELS - 1, 0);
    if (w.freed) /* any CPU, also an idle one, may have them in its paging-structure cache */
        tlb_flush(start, end, false);
    while (w.freed) {
        void **t = w.freed;
        w.freed = *t;
        paging_table_free(t);
    }
}

void *paging_map_device(paddr_t pa, size_t size)
{
    uint64_t offset = pa & (PAGE_SIZE - 1);
    size_t pages = (offset + size + PAGE_SIZE - 1) / PAGE_SIZE;
    irqflags_t flags = spin_lock_irq(&kernel_map_lock);
    uint64_t va = kernel_map_next;
    kernel_map_next += (pages + 1) * PAGE_SIZE;
    bool ok = kernel_map_next < KERNEL_MAP_END;
    for (size_t i = 0; i < pages && ok; i++) {
        pte_t *e = paging_pte(va + i * PAGE_SIZE, true);
        ok = e != NULL;
        if (ok)
            *e = ((pa & PTE_ADDR) + i * PAGE_SIZE) | PTE_PRESENT | PTE_WRITE | PTE_NX | PTE_PCD |
                 PTE_PWT | PTE_GLOBAL;
    }
    spin_unlock_irq(&kernel_map_lock, flags);
    return ok ? (void *)(va + offset) : NULL;
}

void *paging_map_stack(unsigned pages)
{
    irqflags_t flags = spin_lock_irq(&kernel_map_lock);
    uint64_t va = kernel_map_next + PAGE_SIZE; /* the guard page */
    bool ok = va + pages * PAGE_SIZE < KERNEL_MAP_END;
    unsigned done = 0;
    for (; done < pages && ok; done++) {
        pte_t *e = paging_pte(va + done * PAGE_SIZE, true);
        void *frame = e ? paging_table_alloc() : NULL;
        ok = frame != NULL;
        if (ok)
            *e = virt_to_phys(frame) | PTE_PRESENT | PTE_WRITE | PTE_NX | PTE_GLOBAL;
    }
    if (ok)
        kernel_map_next = va + pages * PAGE_SIZE;
    while (!ok && done-- > 0) {
        pte_t *e = paging_pte(va + done * PAGE_SIZE, false);
        if (e && *e) {
            paging_table_free(phys_to_virt(*e & PTE_ADDR));
            *e = 0;
        }
    }
    spin_unlock_irq(&kernel_map_lock, flags);
    return ok ? (void *)(va + pages * PAGE_SIZE) : NULL;
}

static void tlb_flush_local(uint64_t start, uint64_t end)
{
    if ((end - start) / PAGE_SIZE > FLUSH_SINGLE_MAX) {
        cpu_set_cr3(cpu_cr3());
        return;
    }
    for (uint64_t va = start; va < end; va += PAGE_SIZE)
        cpu_invlpg(va);
}

void tlb_interrupt(void)
{
    tlb_flush_local(tlb_start, tlb_end);
    __atomic_sub_fetch(&tlb_waiting, 1, __ATOMIC_RELEASE);
}

/* The other CPUs that must be told; those without a thread only get a mark, if `lazy`. */
static uint64_t tlb_targets(bool lazy)
{
    uint64_t targets = 0;
    for (unsigned i = 0; i < cpu_count(); i++) {
        struct tlb_cpu *c = &tlb_cpus[i];
        if (i == percpu()->id)
            continue;
        if (lazy && c->idle) {
            __atomic_store_n(&c->stale, true, __ATOMIC_SEQ_CST);
            if (__atomic_load_n(&c->idle, __ATOMIC_SEQ_CST))
                continue;
        }
        targets |= 1ull << i;
    }
    return targets;
}

static void tlb_flush(uint64_t start, uint64_t end, bool lazy)
{
    if (cpu_count() == 1) {
        tlb_flush_local(start, end);
        return;
    }
    /* Interrupts stay on while waiting, so that two CPUs cannot wait for each other. */
    spin_lock(&tlb_lock);
    tlb_flush_local(start, end);
    uint64_t targets = tlb_targets(lazy);
    tlb_start = start;
    tlb_end = end;
    for (; targets; targets &= targets - 1) {
        __atomic_add_fetch(&tlb_waiting, 1, __ATOMIC_RELEASE);
        lapic_ipi(percpu_of((unsigned)__builtin_ctzll(targets))->apic_id, VECTOR_TLB);
    }
    while (__atomic_load_n(&tlb_waiting, __ATOMIC_ACQUIRE))
        cpu_relax();
    spin_unlock(&tlb_lock);
}

void tlb_flush_range(uint64_t start, uint64_t end)
{
    tlb_flush(start, end, true);
}

void tlb_idle_begin(void)
{
    tlb_cpus[percpu()->id].idle = true;
}

void tlb_idle_end(void)
{
    struct tlb_cpu *c = &tlb_cpus[percpu()->id];
    __atomic_store_n(&c->idle, false, __ATOMIC_SEQ_CST);
    if (!__atomic_load_n(&c->stale, __ATOMIC_SEQ_CST))
        return;
    c->stale = false;
    cpu_set_cr3(cpu_cr3());
}

static pte_t *paging_entry_boot(uint64_t va, unsigned level)
{
    pte_t *e = paging_entry(va, level, true);
    if (!e)
        panic("no memory for the kernel's page tables");
    return e;
}

static void map_image(const uint8_t *from, const uint8_t *to, pte_t prot)
{
    pte_t *e = NULL;
    for (uint64_t va = (uint64_t)from; va < (uint64_t)to; va += PAGE_SIZE, e++) {
        if (!e || va % LARGE_SIZE == 0) /* the next table */
            e = paging_entry_boot(va, 0);
        *e = virt_to_phys((void *)va) | PTE_PRESENT | PTE_GLOBAL | prot;
    }
}

/* Direct map of RAM in the largest pages that fit; what is mapped already stays. */
static void map_range(paddr_t start, paddr_t end)
{
    const uint64_t m2 = 2ul << 20, g1 = 1ul << 30;
    start = ALIGN_DOWN(start, m2);
    pte_t *e = NULL;
    bool giant = false;
    for (paddr_t pa = start; pa < end; e++) {
        if (!e || pa % g1 == 0) { /* the next table */
            const pte_t *top = paging_entry_boot(DIRECT_MAP + pa, 2);
            giant = *top & PTE_LARGE ||
                    (!*top && cpu_has(CPU_PAGE_1G) && pa % g1 == 0 && end - pa >= g1);
            e = paging_entry_boot(DIRECT_MAP + pa, giant ? 2 : 1);
        }
        if (!(*e & PTE_PRESENT))
            *e = pa | PTE_PRESENT | PTE_WRITE | PTE_NX | PTE_LARGE | PTE_GLOBAL;
        pa = ALIGN_DOWN(pa, giant ? g1 : m2) + (giant ? g1 : m2);
    }
}

void paging_init(void)
{
    pml4 = paging_table_alloc();
    if (!pml4)
        panic("no memory for the kernel's page tables");
    for (unsigned i = ENTRIES / 2; i < ENTRIES; i++) {
        uint64_t va = 0xffff000000000000 | (uint64_t)i << 39;
        if (va == DIRECT_MAP || va == KERNEL_MAP || i == ENTRIES - 1)
            paging_entry_boot(va, 2); /* makes the table below the top level */
    }
    for (unsigned i = 0; i < boot_info.range_count; i++)
        map_range(boot_info.range[i].start, boot_info.range[i].end);
    for (unsigned i = 0; i < boot_info.module_count; i++)
        map_range(boot_info.module[i].start, boot_info.module[i].end);
    map_range(0, 2ul << 20); /* firmware tables below 1 MiB */
    map_image(kernel_start, kernel_text_end, 0);
    map_image(kernel_text_end, kernel_rodata_end, PTE_NX);
    map_image(kernel_rodata_end, kernel_end, PTE_NX | PTE_WRITE);
    cpu_set_cr3(virt_to_phys(pml4));
}
