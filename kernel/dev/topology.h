/* SPDX-License-Identifier: Apache-2.0 */
/* Which processors and interrupt controllers the machine has. After acpi_init(). */
#pragma once

#include "lib/types.h"

#define IOAPIC_DEFAULT 0xfec00000ul

/*
 * Local APIC ids of the enabled processors, at most `max`: how many, at least 1.
 * From the MADT; else QEMU's fw_cfg count (ids 0, 1, ...); else the MP table;
 * else one processor whose id is `boot_id`. `mapped_end` as for acpi_init().
 */
unsigned cpu_apic_ids(uint32_t *ids, unsigned max, uint32_t boot_id, paddr_t mapped_end);
/* How many of them there are, running or not yet; counted once. */
unsigned cpu_present(void);
/* The n-th IO-APIC and its first interrupt; without a MADT one at IOAPIC_DEFAULT. False: no more.
 */
bool ioapic_nth(unsigned n, paddr_t *address, unsigned *gsi_base);
