/* SPDX-License-Identifier: Apache-2.0 */
/* Times of the boot: see phase.h. */
#include "core/phase.h"

#include "arch/x86_64/cpu.h"

#define NSEC 1000000000ul

static uint64_t marks[PHASE_COUNT];

static const char *const names[PHASE_COUNT] = {
    [PHASE_ENTRY] = "entry",     [PHASE_MEMORY] = "memory", [PHASE_CORE] = "core",
    [PHASE_DEVICES] = "devices", [PHASE_ROOT] = "root",     [PHASE_PROCESS] = "process",
    [PHASE_CPUS] = "cpus",       [PHASE_MOUNTS] = "mounts",
};

void phase_mark(enum phase p)
{
    marks[p] = cpu_tsc();
}

const char *phase_name(enum phase p)
{
    return names[p];
}

uint64_t phase_ns(enum phase p, uint64_t tsc_hz)
{
    return marks[p] / tsc_hz * NSEC + marks[p] % tsc_hz * NSEC / tsc_hz;
}
