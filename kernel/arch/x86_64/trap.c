/* SPDX-License-Identifier: Apache-2.0 */
/* The interrupt table, and where each vector goes. */
#include "arch/x86_64/trap.h"

#include "arch/x86_64/apic.h"
#include "arch/x86_64/extable.h"
#include "arch/x86_64/features.h"
#include "arch/x86_64/msr.h"
#include "arch/x86_64/upcalls.h"
#include "core/panic.h"

#define TRAP_DEBUG         1
#define TRAP_NMI           2
#define TRAP_BREAKPOINT    3
#define TRAP_OVERFLOW      4
#define TRAP_DOUBLE_FAULT  8
#define TRAP_PAGE_FAULT    14
#define TRAP_MACHINE_CHECK 18

struct idt_gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_mid;
    uint32_t offset_high, zero;
};

static struct idt_gate idt[256] __attribute__((aligned(16)));
extern const uint8_t trap_stubs[256][16];

void trap_dispatch(struct trap_frame *f);

static unsigned vector_ist(unsigned v)
{
    switch (v) {
    case TRAP_DOUBLE_FAULT:
        return 1;
    case TRAP_NMI:
        return 2;
    case TRAP_MACHINE_CHECK:
        return 3;
    case TRAP_DEBUG:
        return 4;
    default:
        return 0;
    }
}

void trap_init(void)
{
    for (unsigned v = 0; v < 256; v++) {
        uint64_t stub = (uint64_t)trap_stubs[v];
        bool user = v == TRAP_BREAKPOINT || v == TRAP_OVERFLOW;
        idt[v] = (struct idt_gate){
            .offset_low = (uint16_t)stub,
            .selector = KERNEL_CS,
            .ist = (uint8_t)vector_ist(v),
            .type = user ? 0xee : 0x8e, /* interrupt gate, DPL 3 or 0 */
            .offset_mid = (uint16_t)(stub >> 16),
            .offset_high = (uint32_t)(stub >> 32),
        };
    }
}

void trap_load(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) ptr = {sizeof idt - 1, (uint64_t)idt};
    __asm__ volatile("lidt %0" ::"m"(ptr));
}

static const char *trap_name(unsigned v)
{
    static const char *const names[] = {
        "divide error",
        "debug",
        "NMI",
        "breakpoint",
        "overflow",
        "bound range",
        "invalid opcode",
        "no FPU",
        "double fault",
        "coprocessor",
        "invalid TSS",
        "segment not present",
        "stack segment",
        "general protection",
        "page fault",
        "reserved",
        "x87 error",
        "alignment check",
        "machine check",
        "SIMD error",
    };
    return v < ARRAY_SIZE(names) ? names[v] : "exception";
}

static void page_fault(struct trap_frame *f)
{
    uint64_t addr = cpu_cr2();
    bool user = trap_from_user(f);
    uint64_t fixup = user ? 0 : extable_find(f->rip);
    /* The kernel touches user memory only where a fix-up says so; anything else is a bug. */
    if (!user && (!fixup || (int64_t)addr < 0))
        panic_at(f, "page fault at %#lx (%s, error %#lx)", addr,
                 f->error & 16  ? "execute"
                 : f->error & 2 ? "write"
                                : "read",
                 f->error);
    /* With a lock held the page cannot be fetched: the copy fails and its caller retries. */
    if (!user && (percpu()->preempt || !(f->rflags & RFLAGS_IF))) {
        f->rip = fixup;
        return;
    }
    irq_enable();
    bool ok = fault_handle(f, addr);
    if (!ok && user)
        trap_user(f, addr);
    irq_disable();
    if (!ok && !user)
        f->rip = fixup;
}

static void exception(struct trap_frame *f)
{
    if (f->vector == TRAP_DOUBLE_FAULT || f->vector == TRAP_MACHINE_CHECK)
        panic_at(f, "%s", trap_name((unsigned)f->vector));
    if (trap_from_user(f)) {
        irq_enable();
        trap_user(f, f->vector == TRAP_PAGE_FAULT ? cpu_cr2() : f->rip);
        irq_disable();
        return;
    }
    uint64_t fixup = extable_find(f->rip);
    if (!fixup)
        panic_at(f, "%s in the kernel, error %#lx", trap_name((unsigned)f->vector), f->error);
    f->rip = fixup;
}

void trap_dispatch(struct trap_frame *f)
{
    if (f->vector == TRAP_PAGE_FAULT)
        page_fault(f);
    else if (f->vector == TRAP_NMI)
        cpu_halt(); /* sent to the other CPUs by a panic */
    else if (f->vector < 32)
        exception(f);
    else
        apic_interrupt((unsigned)f->vector);
}
