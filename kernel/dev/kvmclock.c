/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM's paravirtual clock (Linux Documentation/virt/kvm/x86/msr.rst): the host
 * keeps a record with the relation of the TSC to time. The boot CPU's record
 * serves all when the clock is stable; when it is not, TSCs differ between vCPUs
 * and each reads its own. Main struct: pvclock_time, shared with the host, whose
 * version is odd while it writes. No lock.
 */
#include <asm/kvm_para.h>
#include <errno.h>

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/msr.h"
#include "arch/x86_64/percpu.h"
#include "dev/wallclock.h"
#include "lib/string.h"

#define NSEC        1000000000ull
#define FLAG_STABLE 1
#define READ_TRIES  1000
#define HYPERVISOR  (1u << 31) /* CPUID.1:ECX */

struct pvclock_time {
    volatile uint32_t version;
    uint32_t pad;
    uint64_t tsc, ns;
    uint32_t mult;
    int8_t shift;
    uint8_t flags, pad2[2];
};

struct pvclock_wall {
    volatile uint32_t version;
    uint32_t seconds, nanoseconds; /* since 1970, when the guest's clock was 0 */
};

static struct pvclock_time shared_time[CPU_MAX] __attribute__((aligned(64))); /* by CPU */
static struct pvclock_wall shared_wall __attribute__((aligned(16)));
static bool running;

/* KVM's feature bits, 0 when it is not KVM. */
static uint32_t kvm_features(void)
{
    uint32_t r[4];
    cpu_cpuid(1, 0, r);
    if (!(r[2] & HYPERVISOR))
        return 0;
    cpu_cpuid(KVM_CPUID_SIGNATURE, 0, r);
    if (memcmp(&r[1], KVM_SIGNATURE, 12))
        return 0;
    cpu_cpuid(KVM_CPUID_FEATURES, 0, r);
    return r[0];
}

/* A consistent copy of this CPU's record; false if the host never filled it. */
static bool time_snapshot(struct pvclock_time *t)
{
    const struct pvclock_time *from = &shared_time[percpu()->id];
    for (unsigned i = 0; i < READ_TRIES; i++) {
        uint32_t version = __atomic_load_n(&from->version, __ATOMIC_ACQUIRE);
        memcpy(t, (const void *)from, sizeof *t);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (version && !(version & 1) && version == from->version)
            return t->mult && t->shift > -32 && t->shift < 32;
    }
    return false;
}

static uint64_t scale(uint64_t ticks, uint32_t mult, int8_t shift)
{
    ticks = shift < 0 ? ticks >> -shift : ticks << shift;
    return (uint64_t)((unsigned __int128)ticks * mult >> 32);
}

int kvmclock_init(struct kvmclock *clock)
{
    struct pvclock_time t;
    uint32_t features = kvm_features();
    if (!(features & 1u << KVM_FEATURE_CLOCKSOURCE2))
        return -ENODEV;
    running = true;
    kvmclock_start_cpu();
    running = time_snapshot(&t);
    if (!running)
        return -ENODEV;
    clock->base_tsc = t.tsc;
    clock->base_ns = t.ns;
    clock->mult = t.mult;
    clock->shift = t.shift;
    clock->stable = features & 1u << KVM_FEATURE_CLOCKSOURCE_STABLE_BIT && t.flags & FLAG_STABLE;
    uint64_t hz = (NSEC << 32) / t.mult;
    clock->tsc_hz = t.shift < 0 ? hz << -t.shift : hz >> t.shift;
    return 0;
}

void kvmclock_start_cpu(void)
{
    if (running)
        cpu_wrmsr(MSR_KVM_SYSTEM_TIME_NEW,
                  virt_to_phys(&shared_time[percpu()->id]) | KVM_MSR_ENABLED);
}

uint64_t kvmclock_now(void)
{
    struct pvclock_time t;
    irqflags_t flags = irq_save();
    uint64_t ns = time_snapshot(&t) ? t.ns + scale(cpu_tsc() - t.tsc, t.mult, t.shift) : 0;
    irq_restore(flags);
    return ns;
}

int kvmclock_wall(uint64_t *ns)
{
    if (!running)
        return -ENODEV;
    cpu_wrmsr(MSR_KVM_WALL_CLOCK_NEW, virt_to_phys(&shared_wall));
    if (!shared_wall.version || shared_wall.version & 1) /* written before the MSR access ends */
        return -ENODEV;
    *ns = shared_wall.seconds * NSEC + shared_wall.nanoseconds + kvmclock_now();
    return 0;
}
