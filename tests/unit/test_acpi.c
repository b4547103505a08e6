/* SPDX-License-Identifier: Apache-2.0 */
/* ACPI tables, the MP table and fw_cfg: sound, cut short, and wrong. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "arch/x86_64/io.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/paging.h"
#include "dev/acpi.h"
#include "dev/topology.h"

#define MEMORY (1u << 20)
#define RSDP   0xf5000
#define RSDT   0x10000
#define XSDT   0x10800
#define MADT   0x11000
#define FADT   0x12000
#define DSDT   0x13000

static uint8_t memory[MEMORY];
static const char *fw_cfg; /* what key 0 gives; NULL: no device */
static unsigned fw_key, fw_at;
static uint8_t cpus;
static uint32_t written[65536];

uint32_t fake_port_read(uint16_t port, unsigned size)
{
    if (port == 0x511 && fw_cfg)
        return fw_key == 0 ? (uint8_t)fw_cfg[fw_at++ & 3] : fw_at++ ? 0 : cpus;
    return size == 1 ? 0xff : size == 2 ? 0xffff : UINT32_MAX;
}

void fake_port_write(uint16_t port, uint32_t v, unsigned size)
{
    (void)size;
    written[port] = v;
    if (port == 0x510) {
        fw_key = v;
        fw_at = 0;
    }
}

void *paging_map_device(paddr_t pa, size_t size)
{
    (void)size;
    return memory + pa;
}

static void put(paddr_t at, uint64_t v, unsigned n)
{
    memcpy(memory + at, &v, n);
}

static void seal(paddr_t at, unsigned checksum_at, unsigned n)
{
    uint8_t sum = 0;
    memory[at + checksum_at] = 0;
    for (unsigned i = 0; i < n; i++)
        sum = (uint8_t)(sum + memory[at + i]);
    memory[at + checksum_at] = (uint8_t)-sum;
}

static void table_put(paddr_t at, const char *signature, unsigned length)
{
    memcpy(memory + at, signature, 4);
    put(at + 4, length, 4);
    seal(at, 9, length);
}

static void madt_put(void)
{
    paddr_t p = MADT + 44;
    for (unsigned i = 0; i < 4; i++, p += 8) { /* id 2 is disabled */
        put(p, 0x0800, 2);
        memory[p + 3] = (uint8_t)i;
        put(p + 4, i != 2, 4);
    }
    put(p, 0x1009, 2); /* an x2APIC */
    put(p + 4, 300, 4);
    put(p + 8, 1, 4);
    p += 16;
    put(p, 0x0c01, 2); /* IO-APIC */
    put(p + 4, 0xfec10000, 4);
    put(p + 8, 24, 4);
    p += 12;
    put(p, 0x0a02, 2); /* ISA 9 -> 20, level, low */
    memory[p + 3] = 9;
    put(p + 4, 20, 4);
    put(p + 8, 0xf, 2);
    p += 10;
    put(p, 0x06ff, 2); /* an unknown type */
    p += 6;
    table_put(MADT, "APIC", (unsigned)(p - MADT));
}

static void fadt_put(unsigned length)
{
    put(FADT + 40, DSDT, 4);
    put(FADT + 46, 9, 2);
    put(FADT + 48, 0xb2, 4);
    memory[FADT + 52] = 2;
    put(FADT + 56, 0x600, 4);
    put(FADT + 64, 0x604, 4);
    memory[FADT + 88] = 4;
    put(FADT + 112, 1u << 10, 4);
    memory[FADT + 116] = 1;
    put(FADT + 120, 0xcf9, 8);
    memory[FADT + 128] = 0x0f;
    table_put(FADT, "FACP", length);
}

static void dsdt_put(const char *aml, unsigned n)
{
    memcpy(memory + DSDT + 36, "\x10\x20\x30\x40", 4);
    memcpy(memory + DSDT + 40, aml, n);
    table_put(DSDT, "DSDT", 40 + n + 8);
}

#define S5 "\x08_S5_\x12\x0a\x04\x0a\x05\x0a\x07\x00\x00"

static void tables_make(void)
{
    memset(memory, 0, sizeof memory);
    fake_phys_base = (char *)memory;
    fw_cfg = NULL;
    madt_put();
    fadt_put(244);
    dsdt_put(S5, sizeof S5 - 1);
    put(RSDT + 36, MADT, 4);
    put(RSDT + 40, 0xfffffff0, 4); /* outside memory: ignored */
    put(RSDT + 44, FADT, 4);
    table_put(RSDT, "RSDT", 48);
    memcpy(memory + RSDP, "RSD PTR ", 8);
    put(RSDP + 16, RSDT, 4);
    seal(RSDP, 8, 20);
}

static void test_sound(void **state)
{
    (void)state;
    tables_make();
    assert_int_equal(acpi_init(RSDP, MEMORY), 0);
    assert_int_equal(acpi_info.cpu_count, 4);
    assert_int_equal(acpi_info.cpu[2], 3);
    assert_int_equal(acpi_info.cpu[3], 300);
    assert_int_equal(acpi_info.ioapic_count, 1);
    assert_int_equal(acpi_info.ioapic[0].address, 0xfec10000);
    assert_int_equal(acpi_info.ioapic[0].gsi_base, 24);
    assert_int_equal(acpi_info.pm1a, 0x604);
    assert_true(acpi_info.power_button);
    assert_int_equal(acpi_info.pm1a_event, 0x600);
    assert_int_equal(acpi_info.sci, 9);
    assert_true(acpi_info.s5_known);
    assert_int_equal(acpi_info.s5a, 5);
    assert_int_equal(acpi_info.s5b, 7);
    assert_int_equal(acpi_info.reset_port, 0xcf9);
    struct acpi_irq irq = acpi_isa_irq(9);
    assert_true(irq.gsi == 20 && irq.level && irq.active_low);
    irq = acpi_isa_irq(4);
    assert_true(irq.gsi == 4 && !irq.level && !irq.active_low);
}

static void test_xsdt(void **state)
{
    (void)state;
    tables_make();
    put(XSDT + 36, MADT, 8);
    table_put(XSDT, "XSDT", 44);
    memory[RSDP + 15] = 2;
    put(RSDP + 24, XSDT, 8);
    seal(RSDP, 8, 20);
    assert_int_equal(acpi_init(RSDP, MEMORY), 0);
    assert_int_equal(acpi_info.cpu_count, 4);
    assert_int_equal(acpi_info.pm1a, 0); /* not in this one */
}

static void test_absent(void **state)
{
    (void)state;
    tables_make();
    assert_int_equal(acpi_init(0, MEMORY), -ENOENT);
    assert_int_equal(acpi_init(MEMORY - 4, MEMORY), -ENOENT);
    assert_int_equal(acpi_init(UINT64_MAX, MEMORY), -ENOENT);
    assert_int_equal(acpi_init(RSDT, MEMORY), -EINVAL);
    assert_int_equal(acpi_info.cpu_count, 0);
}

static void test_bad_checksum(void **state)
{
    (void)state;
    tables_make();
    memory[RSDP + 10] ^= 1;
    assert_int_equal(acpi_init(RSDP, MEMORY), -EINVAL);
    tables_make();
    memory[RSDT + 20] ^= 1;
    assert_int_equal(acpi_init(RSDP, MEMORY), -EINVAL);
    tables_make();
    memory[MADT + 20] ^= 1; /* only that table is lost */
    assert_int_equal(acpi_init(RSDP, MEMORY), 0);
    assert_int_equal(acpi_info.cpu_count, 0);
    assert_int_equal(acpi_info.pm1a, 0x604);
    tables_make();
    memory[DSDT + 37] ^= 1;
    assert_int_equal(acpi_init(RSDP, MEMORY), 0);
    assert_false(acpi_info.s5_known);
}

static void test_truncated(void **state)
{
    (void)state;
    tables_make();
    for (unsigned n = 36; n < 120; n++) { /* cut at any byte: never beyond, never for ever */
        table_put(MADT, "APIC", n);
        table_put(FADT, "FACP", n);
        assert_int_equal(acpi_init(RSDP, MEMORY), 0);
        assert_true(acpi_info.cpu_count <= 4);
    }
    static const uint32_t lengths[] = {0, 35, 0x200000, 0xffffffff};
    for (unsigned i = 0; i < 4; i++) {
        tables_make();
        put(RSDT + 4, lengths[i], 4);
        assert_int_equal(acpi_init(RSDP, MEMORY), -EINVAL);
    }
    tables_make();
    assert_int_equal(acpi_init(RSDP, RSDP + 20), 0);
    assert_int_equal(acpi_init(RSDP, RSDP + 19), -ENOENT);
}

static void test_madt_records(void **state)
{
    (void)state;
    tables_make();
    memory[MADT + 45] = 0; /* a record of length 0 ends the walk */
    seal(MADT, 9, 44 + 32 + 16 + 12 + 10 + 6);
    assert_int_equal(acpi_init(RSDP, MEMORY), 0);
    assert_int_equal(acpi_info.cpu_count, 0);
    tables_make();
    memory[MADT + 45] = 255; /* beyond the table */
    seal(MADT, 9, 44 + 32 + 16 + 12 + 10 + 6);
    assert_int_equal(acpi_init(RSDP, MEMORY), 0);
    assert_int_equal(acpi_info.cpu_count, 0);
}

static void expect_s5(const char *aml, unsigned n, bool known, uint8_t a)
{
    tables_make();
    memset(memory + DSDT, 0, 256);
    dsdt_put(aml, n);
    assert_int_equal(acpi_init(RSDP, MEMORY), 0);
    assert_int_equal(acpi_info.s5_known, known);
    if (known)
        assert_int_equal(acpi_info.s5a, a);
}

static void test_s5(void **state)
{
    (void)state;
    expect_s5("\x08_S5_\x12\x06\x04\x00\x00\x00\x00", 12, true, 0);
    expect_s5("\x08\\_S5_\x12\x08\x04\x0a\x02\x01\x00\x00", 14, true, 2);
    expect_s5("\x08_S5_\x12\x40\x01\x04\x0a\x06\x01", 12, true, 6); /* a longer PkgLength */
    expect_s5("\x09_S5_\x12\x06\x04\x00\x00\x00\x00", 12, false, 0);
    expect_s5("\x08_S5_\x12\x08\x04\x0c\x02\x00\x00\x00", 12, false, 0); /* not a byte */
}

static void test_power_off(void **state)
{
    (void)state;
    tables_make();
    acpi_init(RSDP, MEMORY);
    written[0x604] = 0;
    acpi_power_off();
    assert_int_equal(written[0x604], 5 << 10 | 1 << 13);
    acpi_reset();
    assert_int_equal(written[0xcf9], 0x0f);
}

static void test_topology(void **state)
{
    (void)state;
    uint32_t ids[64];
    paddr_t address;
    unsigned base;
    tables_make();
    acpi_init(RSDP, MEMORY);
    assert_int_equal(cpu_apic_ids(ids, 64, 0, MEMORY), 4);
    assert_int_equal(cpu_apic_ids(ids, 2, 0, MEMORY), 2);
    assert_true(ioapic_nth(0, &address, &base));
    assert_int_equal(address, 0xfec10000);
    assert_false(ioapic_nth(1, &address, &base));
    acpi_init(0, MEMORY);
    assert_true(ioapic_nth(0, &address, &base));
    assert_int_equal(address, IOAPIC_DEFAULT);
    fw_cfg = "QEMU";
    cpus = 3;
    assert_int_equal(cpu_apic_ids(ids, 64, 0, MEMORY), 3);
    assert_int_equal(ids[2], 2);
    fw_cfg = NULL;
    assert_int_equal(cpu_apic_ids(ids, 64, 5, MEMORY), 1);
    assert_int_equal(ids[0], 5);
}

static void test_mp_table(void **state)
{
    (void)state;
    uint32_t ids[64];
    tables_make();
    acpi_init(0, MEMORY);
    memcpy(memory + 0xf6000, "_MP_", 4);
    put(0xf6004, 0x20000, 4);
    memory[0xf6008] = 1;
    seal(0xf6000, 10, 16);
    unsigned n = 44;
    static const uint8_t apic[] = {0, 4, 6};
    for (unsigned i = 0; i < 3; i++, n += 20) {
        memory[0x20000 + n + 1] = apic[i];
        memory[0x20000 + n + 3] = i != 1;
    }
    memory[0x20000 + n] = 1; /* a bus */
    n += 8;
    memcpy(memory + 0x20000, "PCMP", 4);
    put(0x20004, n, 2);
    put(0x20000 + 34, 4, 2);
    seal(0x20000, 7, n);
    assert_int_equal(cpu_apic_ids(ids, 64, 9, MEMORY), 2);
    assert_int_equal(ids[1], 6);
    put(0x20000 + 34, 60000, 2); /* more entries than the table has */
    seal(0x20000, 7, n);
    assert_int_equal(cpu_apic_ids(ids, 64, 9, MEMORY), 2);
    memory[0x20009] ^= 1;
    assert_int_equal(cpu_apic_ids(ids, 64, 9, MEMORY), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound),     cmocka_unit_test(test_xsdt),
        cmocka_unit_test(test_absent),    cmocka_unit_test(test_bad_checksum),
        cmocka_unit_test(test_truncated), cmocka_unit_test(test_madt_records),
        cmocka_unit_test(test_s5),        cmocka_unit_test(test_power_off),
        cmocka_unit_test(test_topology),  cmocka_unit_test(test_mp_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
