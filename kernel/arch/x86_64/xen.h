/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest of Xen (PVH) has in place of devices: a port for its log, and the call that ends
 * the domain (xen/include/public/sched.h). Hypercalls are made directly, with what the
 * hypercall page of this CPU's vendor would hold.
 */
#pragma once

#include "arch/x86_64/io.h"
#include "arch/x86_64/msr.h"
#include "lib/string.h"

#define XEN_LOG_PORT 0xe9 /* what is written there stands in `xl dmesg` */

enum xen_end { XEN_POWEROFF = 0, XEN_CRASH = 3 };

static inline bool xen_present(void)
{
    uint32_t r[4];
    cpu_cpuid(1, 0, r);
    if (!(r[2] & 1u << 31)) /* no hypervisor at all */
        return false;
    cpu_cpuid(0x40000000, 0, r);
    return !memcmp(&r[1], "XenVMMXenVMM", 12);
}

/* Only where xen_present(). Returns if Xen does not want to. */
static inline void xen_shutdown(enum xen_end end)
{
    const uint32_t reason = end;
    uint32_t r[4];
    uint64_t call = 29, command = 2; /* sched_op, SCHEDOP_shutdown */
    const uint32_t *argument = &reason;
    cpu_cpuid(0, 0, r);
    if (!memcmp(&r[1], "Auth", 4) || !memcmp(&r[1], "Hygo", 4))
        __asm__ volatile("vmmcall" : "+a"(call), "+D"(command), "+S"(argument) : : "memory");
    else
        __asm__ volatile("vmcall" : "+a"(call), "+D"(command), "+S"(argument) : : "memory");
}
