/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The static ACPI tables (ACPI 6.5 §5.2): processors, IO-APICs, interrupt
 * overrides, power off and reset. No AML is interpreted; the soft-off value is
 * found by its bytes. Read once at boot, before other CPUs run; constant then.
 */
#pragma once

#include "arch/x86_64/percpu.h"
#include "lib/types.h"

#define ACPI_IOAPICS   8
#define ACPI_OVERRIDES 16

struct acpi_irq {
    unsigned gsi;
    bool level, active_low;
};

struct acpi_ioapic {
    paddr_t address;
    uint32_t gsi_base;
};

struct acpi_info {
    unsigned cpu_count;    /* enabled ones, 0 without a MADT */
    uint32_t cpu[CPU_MAX]; /* local APIC ids */
    unsigned ioapic_count;
    struct acpi_ioapic ioapic[ACPI_IOAPICS];
    unsigned override_count;
    struct {
        uint8_t isa;
        struct acpi_irq irq;
    } override[ACPI_OVERRIDES];
    uint16_t pm1a, pm1b; /* control ports, 0 if there is none */
    uint16_t pm1a_event; /* status port, the enable port half of pm1_event_length behind it; or 0 */
    uint8_t pm1_event_length;
    bool power_button;    /* a fixed one, reported by the event ports */
    uint16_t sci;         /* ISA number of ACPI's interrupt */
    uint16_t smi_command; /* where `acpi_enable` is written to take over */
    uint8_t acpi_enable;
    bool s5_known;                 /* s5a and s5b are valid */
    uint8_t s5a, s5b;              /* sleep types of soft-off */
    paddr_t sleep_address;         /* of the sleep register, hardware-reduced ACPI; 0 if none */
    volatile void *sleep_register; /* the same, mapped */
    uint16_t reset_port;           /* 0 if there is none */
    uint8_t reset_value;
};

extern struct acpi_info acpi_info;

/*
 * Fills acpi_info. `rsdp` as the boot loader gave it, 0 if it found none (PVH
 * and multiboot2 loaders look in the BIOS areas or ask UEFI). Physical memory
 * below `mapped_end` can be read through the direct map; tables beyond it are
 * ignored. Tables may lie outside RAM, so this is to be called while the boot
 * mapping of the first 4 GiB is up, before paging_init(). -ENOENT: no ACPI;
 * -EINVAL: damaged.
 */
int acpi_init(paddr_t rsdp, paddr_t mapped_end);
/* Maps what acpi_power_off() needs; after paging_init(). */
void acpi_map_registers(void);
/* Where an ISA interrupt arrives: an override, else the same number, edge, active high. */
struct acpi_irq acpi_isa_irq(uint8_t isa);
/* Takes the machine over from the firmware's legacy mode, which ignores PM1 (§4.8.2.1). */
void acpi_enable(void);
/* Try to switch off, or to reset; return if the machine has no such thing. */
void acpi_power_off(void);
void acpi_reset(void);
