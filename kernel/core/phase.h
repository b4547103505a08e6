/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the parts of the boot were done, by the TSC, which counts from the machine's
 * power-on. For `ops run --boot-chart` (include/ops/control.h, `phase`). Only the boot
 * CPU's first thread marks, so there is no lock.
 */
#pragma once

#include "lib/types.h"

enum phase {
    PHASE_ENTRY,   /* the kernel was loaded and runs */
    PHASE_MEMORY,  /* page frames and page tables */
    PHASE_CORE,    /* manifest, threads */
    PHASE_DEVICES, /* all found and set up */
    PHASE_ROOT,    /* the root filesystem is mounted */
    PHASE_PROCESS, /* its tables, the network, the control channel */
    PHASE_CPUS,    /* clock and the other CPUs */
    PHASE_MOUNTS,  /* volumes and shares */
    PHASE_COUNT
};

void phase_mark(enum phase p);

/* What `ops` calls it; *ns: since power-on. */
const char *phase_name(enum phase p);
uint64_t phase_ns(enum phase p, uint64_t tsc_hz);
