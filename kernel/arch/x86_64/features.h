/* SPDX-License-Identifier: Apache-2.0 */
/* Which CPU features exist and are switched on; the same on every CPU. */
#pragma once

#include "arch/x86_64/cpu.h"

enum cpu_feature {
    CPU_FSGSBASE = 1 << 0,
    CPU_SMAP = 1 << 1,
    CPU_SMEP = 1 << 2,
    CPU_UMIP = 1 << 3,
    CPU_XSAVE = 1 << 4,
    CPU_XSAVEOPT = 1 << 5,
    CPU_X2APIC = 1 << 6,
    CPU_TSC_DEADLINE = 1 << 7,
    CPU_RDRAND = 1 << 8,
    CPU_RDSEED = 1 << 9,
    CPU_RDTSCP = 1 << 10,
    CPU_PAGE_1G = 1 << 11,
    CPU_ERMS = 1 << 12,
    CPU_HYPERVISOR_KVM = 1 << 13,
    CPU_HYPERVISOR_TCG = 1 << 14,
    CPU_CRC32 = 1 << 15,
};

extern uint32_t cpu_features; /* bits of enum cpu_feature */
extern uint32_t cpu_hwcap;    /* CPUID.1:EDX, the program's AT_HWCAP */

static inline bool cpu_has(enum cpu_feature f)
{
    return cpu_features & f;
}

/* Detects features (boot CPU, first thing). */
void cpu_detect(void);
/* Switches on on this CPU what cpu_detect() found; sets up GDT, TSS, GS base, syscall MSRs. */
void cpu_setup(unsigned id, uint32_t apic_id);
/* Where traps from the program push their frame. */
void cpu_set_trap_stack(uint64_t top);
/* System calls go through syscall_dispatch() (traced) or straight through the table. */
void cpu_trace_syscalls(bool on);
/* A number from RDSEED or RDRAND; false where the CPU has neither or it failed. */
bool cpu_random(uint64_t *out);
/* Stops this CPU for ever. */
_Noreturn void cpu_halt(void);
/* Starts the other CPUs and waits until they are online: how many run now. */
unsigned smp_start(const uint32_t *apic_ids, unsigned count);
