/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local APIC and IO-APIC, and the interrupt vectors of devices. Lock: irq_lock
 * for the vector table and IO-APIC registers; handlers run without it.
 */
#include "arch/x86_64/apic.h"

#include <linux/errno.h>

#include "arch/x86_64/features.h"
#include "arch/x86_64/io.h"
#include "arch/x86_64/irq.h"
#include "arch/x86_64/msr.h"
#include "arch/x86_64/paging.h"
#include "arch/x86_64/trap.h"
#include "arch/x86_64/upcalls.h"
#include "core/spinlock.h"

#define LAPIC_ID            0x20
#define LAPIC_EOI           0xb0
#define LAPIC_SVR           0xf0
#define LAPIC_ICR           0x300
#define LAPIC_ICR_HIGH      0x310
#define LAPIC_LVT_TIMER     0x320
#define LAPIC_LVT_LINT0     0x350
#define LAPIC_TIMER_INITIAL 0x380
#define LAPIC_TIMER_CURRENT 0x390
#define LAPIC_TIMER_DIVIDE  0x3e0
#define ICR_PENDING         (1u << 12)
#define ICR_OTHERS          (3u << 18)
#define LVT_MASKED          (1u << 16)
#define LVT_DEADLINE        (2u << 17)

#define IOAPIC_MAX 4
#define IRQ_SLOTS  (VECTOR_IRQ_LAST - VECTOR_IRQ_FIRST + 1)

struct ioapic {
    volatile uint8_t *regs;
    unsigned gsi_base, inputs;
};

struct irq_slot {
    irq_handler_fn *fn[IRQ_SHARED];
    void *arg[IRQ_SHARED];
    const char *name[IRQ_SHARED];
    unsigned count;
    int gsi; /* -1 for MSI */
    bool level;
};

static volatile uint8_t *lapic_regs;
static struct ioapic ioapics[IOAPIC_MAX];
static unsigned ioapic_count;
static struct irq_slot irq_slots[IRQ_SLOTS];
static unsigned irq_slots_used;
static struct spinlock irq_lock;

static uint32_t lapic_read(unsigned reg)
{
    if (cpu_has(CPU_X2APIC))
        return (uint32_t)cpu_rdmsr(MSR_X2APIC + (reg >> 4));
    return mmio_read32(lapic_regs + reg);
}

static void lapic_write(unsigned reg, uint32_t v)
{
    if (cpu_has(CPU_X2APIC))
        cpu_wrmsr(MSR_X2APIC + (reg >> 4), v);
    else
        mmio_write32(lapic_regs + reg, v);
}

static void lapic_icr(uint32_t apic_id, uint32_t low)
{
    if (cpu_has(CPU_X2APIC)) {
        cpu_barrier();
        cpu_wrmsr(MSR_X2APIC + (LAPIC_ICR >> 4), (uint64_t)apic_id << 32 | low);
        return;
    }
    irqflags_t flags = irq_save();
    while (lapic_read(LAPIC_ICR) & ICR_PENDING)
        cpu_relax();
    lapic_write(LAPIC_ICR_HIGH, apic_id << 24);
    lapic_write(LAPIC_ICR, low);
    irq_restore(flags);
}

/*
 * Silences the 8259s that a PC firmware leaves running: vectors out of the way
 * of exceptions, everything masked. Before LINT0 is masked: QEMU would keep an
 * interrupt that was already on its way, and deliver vector -1.
 */
static void pic_disable(void)
{
    static const uint16_t ports[] = {0x20, 0xa0};
    for (unsigned i = 0; i < ARRAY_SIZE(ports); i++) {
        outb(ports[i], 0x11);                      /* ICW1: start, ICW4 follows */
        outb(ports[i] + 1, 0xf0 + 8 * (uint8_t)i); /* ICW2: vectors */
        outb(ports[i] + 1, i ? 2 : 4);             /* ICW3: the cascade on input 2 */
        outb(ports[i] + 1, 1);                     /* ICW4: 8086 mode */
        outb(ports[i] + 1, 0xff);                  /* all masked */
    }
}

void lapic_setup(void)
{
    if (!percpu()->id)
        pic_disable();
    uint64_t base = cpu_rdmsr(MSR_APIC_BASE);
    if (cpu_has(CPU_X2APIC))
        cpu_wrmsr(MSR_APIC_BASE, base | 3u << 10);
    else if (!lapic_regs)
        lapic_regs = paging_map_device(base & PTE_ADDR, PAGE_SIZE);
    lapic_write(LAPIC_SVR, 0x100 | VECTOR_SPURIOUS);
    lapic_write(LAPIC_LVT_LINT0, LVT_MASKED);
    lapic_write(LAPIC_TIMER_DIVIDE, 0xb); /* by 1 */
    lapic_write(LAPIC_LVT_TIMER, VECTOR_TIMER | LVT_MASKED);
    if (cpu_has(CPU_TSC_DEADLINE))
        lapic_write(LAPIC_LVT_TIMER, VECTOR_TIMER | LVT_DEADLINE);
    else
        lapic_write(LAPIC_TIMER_INITIAL, UINT32_MAX); /* runs masked: the calibration clock */
}

uint32_t lapic_id(void)
{
    uint32_t id = lapic_read(LAPIC_ID);
    return cpu_has(CPU_X2APIC) ? id : id >> 24;
}

void lapic_eoi(void)
{
    lapic_write(LAPIC_EOI, 0);
}

void lapic_ipi(uint32_t apic_id, unsigned vector)
{
    lapic_icr(apic_id, vector);
}

void lapic_ipi_others(unsigned vector)
{
    lapic_icr(0, vector | ICR_OTHERS);
}

void lapic_nmi_others(void)
{
    lapic_icr(0, 4u << 8 | ICR_OTHERS);
}

void lapic_init_ipi(uint32_t apic_id)
{
    lapic_icr(apic_id, 5u << 8 | 1u << 14);
}

void lapic_startup_ipi(uint32_t apic_id, unsigned page)
{
    lapic_icr(apic_id, 6u << 8 | page);
}

void lapic_timer_tsc(uint64_t tsc)
{
    cpu_wrmsr(MSR_TSC_DEADLINE, tsc);
}

void lapic_timer_count(uint32_t count)
{
    lapic_write(LAPIC_LVT_TIMER, count ? VECTOR_TIMER : VECTOR_TIMER | LVT_MASKED);
    lapic_write(LAPIC_TIMER_INITIAL, count);
}

uint32_t lapic_timer_left(void)
{
    return lapic_read(LAPIC_TIMER_CURRENT);
}

static uint32_t ioapic_read(const struct ioapic *io, unsigned reg)
{
    mmio_write32(io->regs, reg);
    return mmio_read32(io->regs + 0x10);
}

static void ioapic_write(const struct ioapic *io, unsigned reg, uint32_t v)
{
    mmio_write32(io->regs, reg);
    mmio_write32(io->regs + 0x10, v);
}

int ioapic_add(paddr_t base, unsigned gsi_base)
{
    if (ioapic_count == IOAPIC_MAX)
        return -ENOSPC;
    struct ioapic *io = &ioapics[ioapic_count];
    io->regs = paging_map_device(base, PAGE_SIZE);
    if (!io->regs)
        return -ENOMEM;
    io->gsi_base = gsi_base;
    io->inputs = (ioapic_read(io, 1) >> 16 & 0xff) + 1;
    for (unsigned i = 0; i < io->inputs; i++)
        ioapic_write(io, 0x10 + 2 * i, LVT_MASKED);
    ioapic_count++;
    return 0;
}

static struct ioapic *ioapic_of(unsigned gsi)
{
    for (unsigned i = 0; i < ioapic_count; i++)
        if (gsi >= ioapics[i].gsi_base && gsi - ioapics[i].gsi_base < ioapics[i].inputs)
            return &ioapics[i];
    return NULL;
}

static int irq_slot_share(struct irq_slot *s, irq_handler_fn *fn, void *arg, const char *name)
{
    if (s->count == IRQ_SHARED)
        return -ENOSPC;
    s->fn[s->count] = fn;
    s->arg[s->count] = arg;
    s->name[s->count] = name;
    __atomic_store_n(&s->count, s->count + 1, __ATOMIC_RELEASE);
    return 0;
}

static struct irq_slot *irq_slot_new(int gsi)
{
    if (irq_slots_used == IRQ_SLOTS)
        return NULL;
    struct irq_slot *s = &irq_slots[irq_slots_used++];
    s->gsi = gsi;
    return s;
}

static unsigned irq_slot_vector(const struct irq_slot *s)
{
    return VECTOR_IRQ_FIRST + (unsigned)(s - irq_slots);
}

int irq_register(unsigned gsi, bool level, bool active_low, irq_handler_fn *fn, void *arg,
                 const char *name)
{
    struct ioapic *io = ioapic_of(gsi);
    if (!io)
        return -EINVAL;
    irqflags_t flags = spin_lock_irq(&irq_lock);
    struct irq_slot *s = NULL;
    for (unsigned i = 0; i < irq_slots_used && !s; i++)
        if (irq_slots[i].gsi == (int)gsi)
            s = &irq_slots[i];
    bool fresh = !s;
    if (fresh)
        s = irq_slot_new((int)gsi);
    int err = s ? irq_slot_share(s, fn, arg, name) : -ENOSPC;
    if (!err && fresh) {
        s->level = level;
        unsigned reg = 0x10 + 2 * (gsi - io->gsi_base);
        ioapic_write(io, reg + 1, percpu_of(0)->apic_id << 24);
        ioapic_write(io, reg,
                     irq_slot_vector(s) | (level ? 1u << 15 : 0) | (active_low ? 1u << 13 : 0));
    }
    spin_unlock_irq(&irq_lock, flags);
    return err;
}

int irq_register_msi(irq_handler_fn *fn, void *arg, const char *name, uint64_t *address,
                     uint32_t *data)
{
    irqflags_t flags = spin_lock_irq(&irq_lock);
    struct irq_slot *s = irq_slot_new(-1);
    int err = s ? irq_slot_share(s, fn, arg, name) : -ENOSPC;
    spin_unlock_irq(&irq_lock, flags);
    if (err)
        return err;
    *address = 0xfee00000ull | (uint64_t)(percpu_of(0)->apic_id & 0xff) << 12;
    *data = irq_slot_vector(s);
    return 0;
}

bool irq_line(unsigned n, struct irq_line *out)
{
    const struct irq_slot *s = &irq_slots[n];
    if (n >= irq_slots_used)
        return false;
    *out =
        (struct irq_line){.vector = irq_slot_vector(s), .message = s->gsi < 0, .level = s->level};
    for (unsigned i = 0; i < ioapic_count && s->gsi < 0; i++)
        out->number = MAX(out->number, ioapics[i].gsi_base + ioapics[i].inputs);
    out->number += s->gsi < 0 ? n : (unsigned)s->gsi;
    for (unsigned i = 0; i < s->count; i++)
        out->name[i] = s->name[i];
    return true;
}

uint32_t irq_count(unsigned cpu, unsigned vector)
{
    return percpu_of(cpu)->interrupts[vector];
}

void apic_interrupt(unsigned vector)
{
    struct percpu *p = percpu();
    p->interrupts[vector]++;
    if (vector == VECTOR_SPURIOUS)
        return;
    p->irq_depth++;
    if (vector == VECTOR_TIMER)
        timer_interrupt();
    else if (vector == VECTOR_TLB)
        tlb_interrupt();
    else if (vector >= VECTOR_IRQ_FIRST && vector <= VECTOR_IRQ_LAST) {
        struct irq_slot *s = &irq_slots[vector - VECTOR_IRQ_FIRST];
        for (unsigned i = 0; i < __atomic_load_n(&s->count, __ATOMIC_ACQUIRE); i++)
            s->fn[i](s->arg[i]);
    }
    p->irq_depth--;
    lapic_eoi();
    if (p->work && !p->preempt && !p->irq_depth)
        preempt_check();
}
