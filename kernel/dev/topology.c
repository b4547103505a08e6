/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processors and IO-APICs from whatever the machine offers: ACPI, fw_cfg, or the
 * MultiProcessor Specification 1.4 table (chapter 4). Boot only; no lock.
 */
#include "dev/topology.h"

#include "arch/x86_64/layout.h"
#include "dev/acpi.h"
#include "dev/firmware.h"
#include "dev/fwcfg.h"
#include "lib/string.h"

#define LOADER_MAPPED (4ull << 30) /* what was mapped at boot, and still is */

struct mp_pointer {
    char signature[4]; /* "_MP_" */
    uint32_t table;
    uint8_t length, revision, checksum, features[5]; /* length in units of 16 bytes */
} __attribute__((packed));

struct mp_table {
    char signature[4]; /* "PCMP" */
    uint16_t length;
    uint8_t revision, checksum;
    char oem[8], product[12];
    uint32_t oem_table;
    uint16_t oem_length, entries;
    uint32_t lapic;
    uint16_t extended_length;
    uint8_t extended_checksum, reserved;
} __attribute__((packed));

#define MP_CPU_ENTRY   0
#define MP_CPU_BYTES   20 /* every other entry of the base table has 8 */
#define MP_OTHER_BYTES 8
#define MP_CPU_ENABLED 1

static bool mp_pointer_ok(const void *p)
{
    return !memcmp(p, "_MP_", 4) && firmware_checksum_ok(p, sizeof(struct mp_pointer));
}

static unsigned mp_cpus(uint32_t *ids, unsigned max, paddr_t mapped_end)
{
    paddr_t at = firmware_scan(mp_pointer_ok, sizeof(struct mp_pointer), mapped_end);
    if (!at)
        return 0;
    struct mp_pointer ptr;
    memcpy(&ptr, phys_to_virt(at), sizeof ptr);
    if (!ptr.table || ptr.table + sizeof(struct mp_table) > mapped_end)
        return 0;
    const struct mp_table *t = phys_to_virt(ptr.table);
    if (memcmp(t->signature, "PCMP", 4) || t->length < sizeof *t ||
        ptr.table + t->length > mapped_end || !firmware_checksum_ok(t, t->length))
        return 0;
    const uint8_t *p = (const uint8_t *)(t + 1), *end = (const uint8_t *)t + t->length;
    unsigned n = 0;
    for (unsigned i = 0; i < t->entries && n < max; i++) {
        unsigned size = p < end && *p == MP_CPU_ENTRY ? MP_CPU_BYTES : MP_OTHER_BYTES;
        if (end - p < (long)size)
            break;
        if (*p == MP_CPU_ENTRY && p[3] & MP_CPU_ENABLED)
            ids[n++] = p[1];
        p += size;
    }
    return n;
}

unsigned cpu_apic_ids(uint32_t *ids, unsigned max, uint32_t boot_id, paddr_t mapped_end)
{
    unsigned n = 0, count;
    for (; n < acpi_info.cpu_count && n < max; n++)
        ids[n] = acpi_info.cpu[n];
    if (!n && fwcfg_cpu_count(&count) == 0)
        for (; n < count && n < max; n++)
            ids[n] = n;
    if (!n)
        n = mp_cpus(ids, max, mapped_end);
    if (!n && max)
        ids[n++] = boot_id;
    return n;
}

unsigned cpu_present(void)
{
    static unsigned count;
    uint32_t ids[CPU_MAX];
    if (!count)
        count = cpu_apic_ids(ids, CPU_MAX, 0, LOADER_MAPPED);
    return count;
}

bool ioapic_nth(unsigned n, paddr_t *address, unsigned *gsi_base)
{
    if (n < acpi_info.ioapic_count) {
        *address = acpi_info.ioapic[n].address;
        *gsi_base = acpi_info.ioapic[n].gsi_base;
        return true;
    }
    *address = IOAPIC_DEFAULT;
    *gsi_base = 0;
    return n == 0;
}
