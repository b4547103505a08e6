/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI tables. Every table is checked (bounds, checksum) before it is read, and
 * every record against its table's length. Main struct: acpi_info. No lock:
 * written once at boot.
 */
#include "dev/acpi.h"

#include <errno.h>

#include "arch/x86_64/io.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/paging.h"
#include "dev/firmware.h"
#include "lib/string.h"

#define TABLE_MAX    (1u << 20)
#define TABLES_MAX   256
#define MADT_ENABLED 1u

#define PM1_SCI_EN    (1u << 0)
#define PM1_SLP_EN    (1u << 13)
#define PM1_SLP_SHIFT 10

#define FADT_BUTTON_CONTROL   (1u << 4) /* the power button is a device of AML */
#define FADT_RESET_SUPPORTED  (1u << 10)
#define FADT_HARDWARE_REDUCED (1u << 20)
#define SLEEP_CONTROL_SLP_EN  0x20
#define SLEEP_CONTROL_SHIFT   2
#define ADDRESS_SPACE_MEMORY  0
#define ADDRESS_SPACE_PORT    1
#define ENABLE_POLLS          100000

struct table {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum;
    char oem[6], oem_table[8];
    uint32_t oem_revision, creator, creator_revision;
} __attribute__((packed));

struct rsdp {
    char signature[8];
    uint8_t checksum;
    char oem[6];
    uint8_t revision;
    uint32_t rsdt;
    uint32_t length; /* from here on: revision 2 */
    uint64_t xsdt;
    uint8_t extended_checksum, reserved[3];
} __attribute__((packed));

#define RSDP_V1_BYTES 20

struct acpi_info acpi_info;
static paddr_t limit; /* end of what the direct map covers */

/* ACPI 6.5 table 5.9: offsets in the FADT. */
enum {
    FADT_DSDT = 40,
    FADT_SCI_INT = 46,
    FADT_SMI_CMD = 48,
    FADT_ACPI_ENABLE = 52,
    FADT_PM1A_EVT = 56,
    FADT_PM1A_CNT = 64,
    FADT_PM1B_CNT = 68,
    FADT_PM1_EVT_LEN = 88,
    FADT_FLAGS = 112,
    FADT_RESET_REG = 116,
    FADT_RESET_VALUE = 128,
    FADT_X_DSDT = 140,
    FADT_SLEEP_CONTROL = 244,
};

static const void *memory_at(paddr_t pa, size_t n)
{
    return pa && pa < limit && n <= limit - pa ? phys_to_virt(pa) : NULL;
}

/* A whole, sound table at this address, or NULL. */
static const struct table *table_at(paddr_t pa)
{
    const struct table *t = memory_at(pa, sizeof *t);
    if (!t || t->length < sizeof *t || t->length > TABLE_MAX || !memory_at(pa, t->length) ||
        !firmware_checksum_ok(t, t->length))
        return NULL;
    return t;
}

/* The field of `n` bytes at `offset`, 0 if the table ends before it. */
static uint64_t field(const struct table *t, unsigned offset, unsigned n)
{
    uint64_t v = 0;
    if (offset + n <= t->length)
        memcpy(&v, (const char *)t + offset, n);
    return v;
}

/* MADT interrupt flags: 0 means "as the bus has it", for ISA edge and active high. */
static struct acpi_irq override_irq(uint32_t gsi, uint16_t flags)
{
    return (struct acpi_irq){
        .gsi = gsi, .active_low = (flags & 3) == 3, .level = (flags >> 2 & 3) == 3};
}

static void madt_cpu(uint32_t apic_id, uint32_t flags)
{
    if (flags & MADT_ENABLED && acpi_info.cpu_count < CPU_MAX)
        acpi_info.cpu[acpi_info.cpu_count++] = apic_id;
}

/* One record: type and length bytes, then what ACPI 6.5 §5.2.12 says for the type. */
static void madt_record(const uint8_t *r, unsigned len)
{
    uint32_t a = 0, b = 0;
    if (r[0] == 0 && len >= 8) { /* local APIC: id at 3, flags at 4 */
        memcpy(&b, r + 4, 4);
        madt_cpu(r[3], b);
    } else if (r[0] == 9 && len >= 16) { /* local x2APIC: id at 4, flags at 8 */
        memcpy(&a, r + 4, 4);
        memcpy(&b, r + 8, 4);
        madt_cpu(a, b);
    } else if (r[0] == 1 && len >= 12 && acpi_info.ioapic_count < ACPI_IOAPICS) {
        memcpy(&a, r + 4, 4);
        memcpy(&b, r + 8, 4);
        acpi_info.ioapic[acpi_info.ioapic_count++] = (struct acpi_ioapic){a, b};
    } else if (r[0] == 2 && len >= 10 && acpi_info.override_count < ACPI_OVERRIDES) {
        uint16_t flags;
        memcpy(&a, r + 4, 4);
        memcpy(&flags, r + 8, 2);
        unsigned i = acpi_info.override_count++;
        acpi_info.override[i].isa = r[3];
        acpi_info.override[i].irq = override_irq(a, flags);
    }
}

static void madt_parse(const struct table *t)
{
    const uint8_t *p = (const uint8_t *)t + sizeof *t + 8, *end = (const uint8_t *)t + t->length;
    while (p + 2 <= end && p[1] >= 2 && p[1] <= end - p) {
        madt_record(p, p[1]);
        p += p[1];
    }
}

/* A byte-sized AML integer: ZeroOp, OneOp or BytePrefix. Advances; false for anything else. */
static bool aml_byte(const uint8_t **p, const uint8_t *end, uint8_t *out)
{
    if (*p < end && **p <= 1) {
        *out = *(*p)++;
        return true;
    }
    if (end - *p < 2 || **p != 0x0a)
        return false;
    *out = (*p)[1];
    *p += 2;
    return true;
}

/* Name(_S5_, Package {a, b, ...}): NameOp, maybe a root prefix, the name, PackageOp, length, count.
 */
static void dsdt_find_s5(const struct table *t)
{
    const uint8_t *aml = (const uint8_t *)t, *end = aml + t->length;
    for (const uint8_t *p = aml + sizeof *t + 2; p + 8 < end; p++) {
        if (memcmp(p, "_S5_", 4) || !(p[-1] == 0x08 || (p[-1] == '\\' && p[-2] == 0x08)) ||
            p[4] != 0x12)
            continue;
        const uint8_t *q = p + 5;
        q += (*q >> 6) + 1 + 1; /* PkgLength: its first byte tells how many follow; count */
        if (q < end && aml_byte(&q, end, &acpi_info.s5a) && aml_byte(&q, end, &acpi_info.s5b)) {
            acpi_info.s5_known = true;
            return;
        }
    }
}

/* A generic address: space id, bit width, bit offset, access size, 64-bit address. */
static uint64_t fadt_address(const struct table *t, unsigned offset, unsigned space)
{
    return field(t, offset, 1) == space ? field(t, offset + 4, 8) : 0;
}

static void fadt_parse(const struct table *t)
{
    uint32_t flags = (uint32_t)field(t, FADT_FLAGS, 4);
    acpi_info.pm1a = (uint16_t)field(t, FADT_PM1A_CNT, 4);
    acpi_info.pm1b = (uint16_t)field(t, FADT_PM1B_CNT, 4);
    acpi_info.pm1a_event = (uint16_t)field(t, FADT_PM1A_EVT, 4);
    acpi_info.pm1_event_length = (uint8_t)field(t, FADT_PM1_EVT_LEN, 1);
    acpi_info.power_button = acpi_info.pm1a_event && acpi_info.pm1_event_length >= 4 &&
                             !(flags & (FADT_BUTTON_CONTROL | FADT_HARDWARE_REDUCED));
    acpi_info.sci = (uint16_t)field(t, FADT_SCI_INT, 2);
    acpi_info.smi_command = (uint16_t)field(t, FADT_SMI_CMD, 4);
    acpi_info.acpi_enable = (uint8_t)field(t, FADT_ACPI_ENABLE, 1);
    if (flags & FADT_RESET_SUPPORTED) {
        acpi_info.reset_port = (uint16_t)fadt_address(t, FADT_RESET_REG, ADDRESS_SPACE_PORT);
        acpi_info.reset_value = (uint8_t)field(t, FADT_RESET_VALUE, 1);
    }
    if (flags & FADT_HARDWARE_REDUCED)
        acpi_info.sleep_address = fadt_address(t, FADT_SLEEP_CONTROL, ADDRESS_SPACE_MEMORY);
    const struct table *dsdt = table_at(field(t, FADT_X_DSDT, 8));
    if (!dsdt)
        dsdt = table_at(field(t, FADT_DSDT, 4));
    if (dsdt)
        dsdt_find_s5(dsdt);
}

/* The RSDT's entries are 4 bytes wide, the XSDT's 8. */
static void root_parse(const struct table *root, unsigned width)
{
    unsigned count = MIN((root->length - (uint32_t)sizeof *root) / width, TABLES_MAX);
    for (unsigned i = 0; i < count; i++) {
        const struct table *t = table_at(field(root, (uint32_t)sizeof *root + i * width, width));
        if (!t)
            continue;
        if (!memcmp(t->signature, "APIC", 4))
            madt_parse(t);
        else if (!memcmp(t->signature, "FACP", 4))
            fadt_parse(t);
    }
}

static bool rsdp_ok(const void *p)
{
    return !memcmp(p, "RSD PTR ", 8) && firmware_checksum_ok(p, RSDP_V1_BYTES);
}

int acpi_init(paddr_t rsdp, paddr_t mapped_end)
{
    memset(&acpi_info, 0, sizeof acpi_info);
    limit = mapped_end;
    const struct rsdp *r = memory_at(rsdp, RSDP_V1_BYTES);
    if (!r)
        return -ENOENT;
    if (!rsdp_ok(r))
        return -EINVAL;
    const struct table *root = NULL;
    unsigned width = 8;
    if (r->revision >= 2 && memory_at(rsdp, sizeof *r))
        root = table_at(r->xsdt);
    if (!root) {
        width = 4;
        root = table_at(r->rsdt);
    }
    if (!root)
        return -EINVAL;
    root_parse(root, width);
    return 0;
}

void acpi_map_registers(void)
{
    if (acpi_info.sleep_address)
        acpi_info.sleep_register = paging_map_device(acpi_info.sleep_address, 1);
}

struct acpi_irq acpi_isa_irq(uint8_t isa)
{
    for (unsigned i = 0; i < acpi_info.override_count; i++)
        if (acpi_info.override[i].isa == isa)
            return acpi_info.override[i].irq;
    return (struct acpi_irq){.gsi = isa};
}

void acpi_enable(void)
{
    if (!acpi_info.smi_command || !acpi_info.acpi_enable || inw(acpi_info.pm1a) & PM1_SCI_EN)
        return;
    outb(acpi_info.smi_command, acpi_info.acpi_enable);
    for (unsigned i = 0; i < ENABLE_POLLS && !(inw(acpi_info.pm1a) & PM1_SCI_EN); i++)
        ;
}

void acpi_power_off(void)
{
    if (!acpi_info.s5_known)
        return;
    if (acpi_info.sleep_register)
        mmio_write8(acpi_info.sleep_register,
                    (uint8_t)(acpi_info.s5a << SLEEP_CONTROL_SHIFT | SLEEP_CONTROL_SLP_EN));
    if (acpi_info.pm1a) {
        acpi_enable();
        outw(acpi_info.pm1a, (uint16_t)(acpi_info.s5a << PM1_SLP_SHIFT | PM1_SLP_EN));
    }
    if (acpi_info.pm1b)
        outw(acpi_info.pm1b, (uint16_t)(acpi_info.s5b << PM1_SLP_SHIFT | PM1_SLP_EN));
}

void acpi_reset(void)
{
    if (acpi_info.reset_port)
        outb(acpi_info.reset_port, acpi_info.reset_value);
}
