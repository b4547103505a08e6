/* SPDX-License-Identifier: Apache-2.0 */
/* GPT bytes, against the layout of UEFI 2.10 §5. (sgdisk judges real disks in tests/e2e.) */
#include "cli_test.h"

#include "gpt_table.h"

#define SECTORS 65536u

static uint8_t head[GPT_HEAD_SECTORS * GPT_SECTOR], tail[GPT_TAIL_SECTORS * GPT_SECTOR];

static uint64_t get(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = n; i--;)
        v = v << 8 | p[i];
    return v;
}

static uint32_t crc(const uint8_t *p, size_t n, size_t skip)
{
    uint32_t c = ~0u;
    for (size_t i = 0; i < n; i++) {
        c ^= i >= skip && i < skip + 4 ? 0 : p[i];
        for (int b = 0; b < 8; b++)
            c = c >> 1 ^ (c & 1 ? 0xedb88320u : 0);
    }
    return ~c;
}

static int setup(void **state)
{
    (void)state;
    static const uint8_t id[16] = {1, 2, 3};
    struct gpt_partition parts[] = {
        {GPT_BIOS_BOOT, {0xaa}, 2048, 4095, "grub"},
        {GPT_LINUX, {0xbb}, 4096, 61439, "a-name-of-exactly-thirty-six-letters"},
    };
    memset(head, 0x55, sizeof head);
    memset(tail, 0x55, sizeof tail);
    gpt_fill(head, tail, SECTORS, id, parts, 2);
    return 0;
}

static void test_protective_mbr(void **state)
{
    (void)state;
    assert_int_equal(head[439], 0x55); /* boot code is left alone */
    assert_int_equal(head[446], 0);
    assert_int_equal(head[450], 0xee);
    assert_int_equal(get(head + 454, 4), 1);
    assert_int_equal(get(head + 458, 4), SECTORS - 1);
    assert_int_equal(get(head + 510, 2), 0xaa55);
}

static void test_headers(void **state)
{
    (void)state;
    const uint8_t *first = head + GPT_SECTOR, *last = tail + 32 * GPT_SECTOR;
    assert_memory_equal(first, "EFI PART", 8);
    assert_memory_equal(last, "EFI PART", 8);
    assert_int_equal(get(first + 24, 8), 1);
    assert_int_equal(get(first + 32, 8), SECTORS - 1);
    assert_int_equal(get(last + 24, 8), SECTORS - 1);
    assert_int_equal(get(last + 32, 8), 1);
    assert_int_equal(get(first + 40, 8), 34);
    assert_int_equal(get(first + 48, 8), SECTORS - 34);
    assert_int_equal(get(first + 72, 8), 2);
    assert_int_equal(get(last + 72, 8), SECTORS - 33);
    assert_int_equal(get(first + 16, 4), crc(first, 92, 16));
    assert_int_equal(get(last + 16, 4), crc(last, 92, 16));
}

static void test_entries(void **state)
{
    (void)state;
    const uint8_t *e = head + 2 * GPT_SECTOR;
    assert_memory_equal(e, tail, 128 * 128);
    assert_int_equal(get(head + GPT_SECTOR + 88, 4), crc(e, 128 * 128, 128 * 128));
    assert_memory_equal(e, "Hah!IdontNeedEFI", 16);
    assert_int_equal(get(e + 128 + 32, 8), 4096);
    assert_int_equal(get(e + 128 + 40, 8), 61439);
    assert_int_equal(e[56], 'g');
    assert_int_equal(e[57], 0);
    assert_int_equal(e[128 + 56 + 70], 's'); /* the 36th letter */
    assert_int_equal(get(e + 256, 8), 0);
}

static void test_large_disk(void **state)
{
    (void)state;
    static const uint8_t id[16];
    gpt_fill(head, tail, UINT64_C(1) << 40, id, NULL, 0);
    assert_int_equal(get(head + 458, 4), UINT32_MAX);
}

static void test_id(void **state)
{
    (void)state;
    uint8_t id[16];
    memset(id, 0xff, sizeof id);
    gpt_id_stamp(id);
    assert_int_equal(id[7], 0x4f);
    assert_int_equal(id[8], 0xbf);
}

static void test_read_back(void **state)
{
    (void)state;
    struct gpt_partition parts[4];
    char names[4][37];
    uint8_t id[16];
    assert_true(gpt_present(head));
    assert_int_equal(gpt_read(head, SECTORS, parts, names, 4, id), 2);
    assert_int_equal(id[2], 3);
    assert_int_equal(parts[0].type, GPT_BIOS_BOOT);
    assert_int_equal(parts[1].type, GPT_LINUX);
    assert_int_equal(parts[1].id[0], 0xbb);
    assert_int_equal(parts[1].last, 61439);
    assert_string_equal(parts[1].name, "a-name-of-exactly-thirty-six-letters");
    assert_int_equal(gpt_read(head, SECTORS, parts, names, 1, id), 1);
    assert_true(gpt_find(head, SECTORS, "grub", &parts[0]));
    assert_int_equal(parts[0].first, 2048);
    assert_false(gpt_find(head, SECTORS, "gru", &parts[0]));
    assert_false(gpt_find(head, 61439, "a-name-of-exactly-thirty-six-letters", &parts[0]));
}

static void test_damage_is_seen(void **state)
{
    (void)state;
    head[GPT_SECTOR + 60] ^= 1;
    assert_false(gpt_present(head));
    head[GPT_SECTOR + 60] ^= 1;
    head[2 * GPT_SECTOR + 32] ^= 1;
    assert_false(gpt_present(head));
    memset(head, 0, sizeof head);
    assert_false(gpt_present(head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_protective_mbr, setup),
        cmocka_unit_test_setup(test_headers, setup),
        cmocka_unit_test_setup(test_entries, setup),
        cmocka_unit_test_setup(test_read_back, setup),
        cmocka_unit_test_setup(test_damage_is_seen, setup),
        cmocka_unit_test(test_large_disk),
        cmocka_unit_test(test_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
