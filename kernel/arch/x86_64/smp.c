/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting the other CPUs: INIT and STARTUP to each, through one trampoline
 * page below 1 MiB that runs on the boot page table (it maps low memory) and
 * then enters the kernel's own.
 */
#include "arch/x86_64/apic.h"
#include "arch/x86_64/features.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/msr.h"
#include "arch/x86_64/paging.h"
#include "arch/x86_64/setup.h"
#include "arch/x86_64/trap.h"
#include "arch/x86_64/upcalls.h"
#include "core/log.h"
#include "lib/string.h"

#define TRAMPOLINE_PAGE 8 /* physical 0x8000; memory below 64 KiB is never given away */
#define START_SPINS     20000000u

extern const uint8_t trampoline_start[], trampoline_end[], trampoline_params[];
extern uint8_t boot_pml4[];

struct smp_params {
    uint64_t boot_cr3, kernel_cr3, stack, id, entry;
};

static uint32_t smp_apic_ids[CPU_MAX];

void smp_entry(void);
_Noreturn void smp_enter(uint64_t id);

/* First C code of another CPU. */
void smp_enter(uint64_t id)
{
    cpu_setup((unsigned)id, smp_apic_ids[id]);
    lapic_setup();
    kernel_main_ap();
}

static bool smp_start_one(unsigned id, struct smp_params *params)
{
    void *block = cpu_block_create(id);
    void *stack = paging_map_stack(KSTACK_PAGES);
    if (!block || !stack)
        return false;
    params->stack = (uint64_t)stack;
    params->id = id;
    cpu_barrier();
    lapic_init_ipi(smp_apic_ids[id]);
    for (int i = 0; i < 1000; i++)
        cpu_relax();
    for (int attempt = 0; attempt < 2; attempt++) {
        lapic_startup_ipi(smp_apic_ids[id], TRAMPOLINE_PAGE);
        for (unsigned n = 0; n < START_SPINS; n++) {
            if (__atomic_load_n(&percpu_of(id)->online, __ATOMIC_ACQUIRE))
                return true;
            cpu_relax();
        }
    }
    log_warn("cpu with APIC id %u does not start", smp_apic_ids[id]);
    return false;
}

unsigned smp_start(const uint32_t *apic_ids, unsigned count)
{
    uint8_t *page = phys_to_virt(TRAMPOLINE_PAGE * PAGE_SIZE);
    struct smp_params *params = (void *)(page + (trampoline_params - trampoline_start));
    memcpy(page, trampoline_start, (size_t)(trampoline_end - trampoline_start));
    params->boot_cr3 = virt_to_phys(boot_pml4);
    params->kernel_cr3 = cpu_cr3();
    params->entry = (uint64_t)smp_entry;
    unsigned next = 1;
    for (unsigned i = 0; i < count && next < CPU_MAX; i++) {
        if (apic_ids[i] == percpu_of(0)->apic_id)
            continue;
        smp_apic_ids[next] = apic_ids[i];
        if (!smp_start_one(next, params))
            break;
        next++;
    }
    return cpu_count();
}
