/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CPU's own state: features, GDT, TSS with its interrupt stacks, GS base,
 * control registers and the system-call MSRs.
 */
#include "arch/x86_64/features.h"

#include "arch/x86_64/fpu.h"
#include "arch/x86_64/msr.h"
#include "arch/x86_64/paging.h"
#include "arch/x86_64/setup.h"
#include "arch/x86_64/trap.h"
#include "lib/string.h"

#define IST_COUNT 4 /* double fault, NMI, machine check, debug */

struct tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t iomap;
} __attribute__((packed));

struct cpu_block {
    struct percpu percpu;
    struct tss tss;
    uint64_t gdt[10];
};

uint32_t cpu_features;
uint32_t cpu_hwcap;

static struct cpu_block boot_block;
static uint8_t early_stack[PAGE_SIZE]
    __attribute__((aligned(16))); /* until there are mapped ones */
static struct percpu *cpus[CPU_MAX] = {&boot_block.percpu};
static unsigned cpus_running;

void syscall_entry(void);
void syscall_entry_traced(void);

struct percpu *percpu_of(unsigned cpu)
{
    return cpus[cpu];
}

unsigned cpu_count(void)
{
    return cpus_running;
}

static void feature_if(bool present, enum cpu_feature f)
{
    if (present)
        cpu_features |= f;
}

void cpu_detect(void)
{
    uint32_t r[4];
    cpu_cpuid(1, 0, r);
    cpu_hwcap = r[3];
    feature_if(r[2] & 1u << 26, CPU_XSAVE);
    feature_if(r[2] & 1u << 21, CPU_X2APIC);
    feature_if(r[2] & 1u << 24, CPU_TSC_DEADLINE);
    feature_if(r[2] & 1u << 30, CPU_RDRAND);
    if (r[2] & 1u << 31) {
        cpu_cpuid(0x40000000, 0, r);
        feature_if(!memcmp(&r[1], "KVMKVMKVM\0\0\0", 12), CPU_HYPERVISOR_KVM);
        feature_if(!memcmp(&r[1], "TCGTCGTCGTCG", 12), CPU_HYPERVISOR_TCG);
    }
    cpu_cpuid(7, 0, r);
    feature_if(r[1] & 1u << 0, CPU_FSGSBASE);
    feature_if(r[1] & 1u << 7, CPU_SMEP);
    feature_if(r[1] & 1u << 9, CPU_ERMS);
    feature_if(r[1] & 1u << 18, CPU_RDSEED);
    feature_if(r[1] & 1u << 20, CPU_SMAP);
    feature_if(r[2] & 1u << 2, CPU_UMIP);
    cpu_cpuid(0xd, 1, r);
    feature_if(cpu_has(CPU_XSAVE) && r[0] & 1, CPU_XSAVEOPT);
    cpu_cpuid(0x80000001, 0, r);
    feature_if(r[3] & 1u << 26, CPU_PAGE_1G);
    feature_if(r[3] & 1u << 27, CPU_RDTSCP);
}

static void gdt_setup(struct cpu_block *b)
{
    uint64_t tss = (uint64_t)&b->tss;
    b->gdt[KERNEL_CS / 8] = 0x00af9b000000ffff;
    b->gdt[KERNEL_DS / 8] = 0x00cf93000000ffff;
    b->gdt[4] = 0x00cffb000000ffff;           /* 0x20: 32-bit user code, for sysret's arithmetic */
    b->gdt[USER_DS / 8] = 0x00cff3000000ffff; /* 0x28 */
    b->gdt[USER_CS / 8] = 0x00affb000000ffff; /* 0x30 */
    b->gdt[GDT_TSS / 8] = (sizeof(struct tss) - 1) | (tss & 0xffffff) << 16 | 0x89ull << 40 |
                          (tss >> 24 & 0xff) << 56;
    b->gdt[GDT_TSS / 8 + 1] = tss >> 32;
    b->tss.iomap = sizeof(struct tss);
    for (unsigned i = 0; i < IST_COUNT && !b->tss.ist[i]; i++)
        b->tss.ist[i] = (uint64_t)early_stack + sizeof early_stack;

    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) ptr = {sizeof b->gdt - 1, (uint64_t)b->gdt};
    __asm__ volatile("lgdt %0\n\t"
                     "pushq %1\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1: movl %2, %%ds\n\t"
                     "movl %2, %%es\n\t"
                     "movl %2, %%ss\n\t"
                     "movl %3, %%fs\n\t"
                     "movl %3, %%gs\n\t"
                     "ltr %w4"
                     :
                     : "m"(ptr), "i"(KERNEL_CS), "r"(KERNEL_DS), "r"(0), "r"(GDT_TSS)
                     : "rax", "memory");
}

static void msr_setup(void)
{
    cpu_wrmsr(MSR_STAR, (uint64_t)(KERNEL_CS) << 32 | (uint64_t)(0x20 | 3) << 48);
    cpu_wrmsr(MSR_LSTAR, (uint64_t)syscall_entry);
    cpu_wrmsr(MSR_SFMASK, 0x257fd5); /* everything but the fixed bit: IF, DF, TF, AC, NT, ... */
    cpu_wrmsr(MSR_EFER, cpu_rdmsr(MSR_EFER) | 1);
}

static void cr_setup(void)
{
    uint64_t cr4 = cpu_cr4() | CR4_PGE;
    if (cpu_has(CPU_FSGSBASE))
        cr4 |= CR4_FSGSBASE;
    if (cpu_has(CPU_SMEP))
        cr4 |= CR4_SMEP;
    if (cpu_has(CPU_SMAP))
        cr4 |= CR4_SMAP;
    if (cpu_has(CPU_UMIP))
        cr4 |= CR4_UMIP;
    cpu_set_cr4(cr4);
}

bool cpu_map_stacks(unsigned id)
{
    struct cpu_block *b = CONTAINER_OF(cpus[id], struct cpu_block, percpu);
    for (unsigned i = 0; i < IST_COUNT; i++) {
        void *top = paging_map_stack(1);
        if (!top)
            return false;
        b->tss.ist[i] = (uint64_t)top;
    }
    return true;
}

void *cpu_block_create(unsigned id)
{
    const unsigned pages = (sizeof(struct cpu_block) + PAGE_SIZE - 1) / PAGE_SIZE;
    uint8_t *top = paging_map_stack(pages);
    if (!top)
        return NULL;
    struct cpu_block *b = (void *)(top - pages * PAGE_SIZE);
    cpus[id] = &b->percpu;
    return cpu_map_stacks(id) ? b : NULL;
}

void cpu_run_on(void *stack_top, void (*fn)(void))
{
    __asm__ volatile("movq %0, %%rsp\n\txorl %%ebp, %%ebp\n\tcall *%1\n\tud2" ::"r"(stack_top),
                     "r"(fn)
                     : "memory");
    __builtin_unreachable();
}

void cpu_setup(unsigned id, uint32_t apic_id)
{
    struct cpu_block *b = CONTAINER_OF(cpus[id], struct cpu_block, percpu);
    gdt_setup(b);
    b->percpu.self = &b->percpu;
    b->percpu.tss = &b->tss;
    b->percpu.id = id;
    b->percpu.apic_id = apic_id;
    b->percpu.preempt = 1; /* until the scheduler runs */
    cpu_wrmsr(MSR_GS_BASE, (uint64_t)&b->percpu);
    cpu_wrmsr(MSR_KERNEL_GS_BASE, 0);
    if (cpu_has(CPU_RDTSCP))
        cpu_wrmsr(MSR_TSC_AUX, id);
    cr_setup();
    fpu_setup();
    trap_load();
    msr_setup();
    __atomic_store_n(&b->percpu.online, 1, __ATOMIC_RELEASE);
    __atomic_add_fetch(&cpus_running, 1, __ATOMIC_ACQ_REL);
}

void cpu_set_trap_stack(uint64_t top)
{
    percpu()->tss->rsp[0] = top;
}

void cpu_trace_syscalls(bool on)
{
    cpu_wrmsr(MSR_LSTAR, (uint64_t)(on ? syscall_entry_traced : syscall_entry));
}

bool cpu_random(uint64_t *out)
{
    bool ok = false;
    for (int i = 0; i < 10 && !ok; i++) {
        if (cpu_has(CPU_RDSEED))
            __asm__ volatile("rdseed %0" : "=r"(*out), "=@ccc"(ok));
        else if (cpu_has(CPU_RDRAND))
            __asm__ volatile("rdrand %0" : "=r"(*out), "=@ccc"(ok));
    }
    return ok;
}

void cpu_halt(void)
{
    for (;;)
        __asm__ volatile("cli; hlt");
}
