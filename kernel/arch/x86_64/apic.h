/* SPDX-License-Identifier: Apache-2.0 */
/* Local APIC (x2APIC where there is one) and IO-APIC. */
#pragma once

#include "lib/types.h"

void lapic_setup(void); /* on each CPU */
uint32_t lapic_id(void);
void lapic_eoi(void);
void lapic_ipi(uint32_t apic_id, unsigned vector);
void lapic_ipi_others(unsigned vector);
void lapic_nmi_others(void);
/* INIT or STARTUP (page = entry >> 12) to a CPU that waits. */
void lapic_init_ipi(uint32_t apic_id);
void lapic_startup_ipi(uint32_t apic_id, unsigned page);
/* Fires VECTOR_TIMER once at a TSC value, or after `count` timer ticks; 0 disarms. */
void lapic_timer_tsc(uint64_t tsc);
void lapic_timer_count(uint32_t count);
/* Ticks left of a count-down that started at 2^32 - 1: a clock for calibration, 1 GHz on QEMU and
 * KVM. */
uint32_t lapic_timer_left(void);

/* Where the IO-APIC is and the first input it serves; before irq_register(). */
int ioapic_add(paddr_t base, unsigned gsi_base);
/* Interrupts above the exceptions: device, timer and inter-processor ones. */
void apic_interrupt(unsigned vector);
