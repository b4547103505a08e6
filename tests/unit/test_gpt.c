/* SPDX-License-Identifier: Apache-2.0 */
/* Partition tables, sound and damaged, on a disk in memory. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "dev/blkdev.h"
#include "dev/gpt.h"
#include "mem/kmalloc.h"

extern int fake_mem_fail_after;

#define DISK_BYTES (1u << 20)

static uint8_t disk[DISK_BYTES];
static unsigned reads;

static void ram_submit(struct blkdev *dev, struct bio *bio)
{
    assert_int_equal(bio->sector * 512 % dev->block_size, 0);
    assert_int_equal(bio->vec[0].len % dev->block_size, 0);
    memcpy(bio->vec[0].data, disk + bio->sector * 512, bio->vec[0].len);
    reads++;
    bio->status = 0;
    bio->done(bio);
}

static const struct blkdev_ops ram_ops = {.submit = ram_submit};
static struct blkdev ram;

static uint32_t crc(const uint8_t *p, size_t n)
{
    uint32_t c = ~0u;
    while (n--) {
        c ^= *p++;
        for (int k = 0; k < 8; k++)
            c = c & 1 ? c >> 1 ^ 0xedb88320 : c >> 1;
    }
    return ~c;
}

static void put(uint8_t *p, uint64_t v, unsigned n)
{
    memcpy(p, &v, n);
}

static uint64_t blocks;
static uint32_t bs;

/* Recomputes the checksums of the copy whose header is at `lba`. */
static void seal(uint64_t lba)
{
    uint8_t *h = disk + lba * bs;
    uint64_t table;
    uint32_t count, size;
    memcpy(&table, h + 72, 8);
    memcpy(&count, h + 80, 4);
    memcpy(&size, h + 84, 4);
    if (table < blocks && table * bs + (uint64_t)count * size <= DISK_BYTES)
        put(h + 88, crc(disk + table * bs, (size_t)count * size), 4);
    put(h + 16, 0, 4);
    put(h + 16, crc(h, 92), 4);
}

static void entry_put(uint8_t *e, uint64_t first, uint64_t last, const char *name)
{
    memset(e, 0, 128);
    memset(e, 0x11, 32);
    put(e + 32, first, 8);
    put(e + 40, last, 8);
    for (unsigned i = 0; name[i]; i++)
        e[56 + 2 * i] = (uint8_t)name[i];
}

static void copy_put(uint64_t lba, uint64_t other, uint64_t table)
{
    uint8_t *h = disk + lba * bs;
    memcpy(h, "EFI PART", 8);
    put(h + 8, 0x10000, 4);
    put(h + 12, 92, 4);
    put(h + 24, lba, 8);
    put(h + 32, other, 8);
    put(h + 40, 40, 8);
    put(h + 48, blocks - 40, 8);
    put(h + 72, table, 8);
    put(h + 80, 128, 4);
    put(h + 84, 128, 4);
    entry_put(disk + table * bs, 40, 49, "boot");
    entry_put(disk + table * bs + 2 * 128, 60, blocks - 40, "ops-root");
    seal(lba);
}

static void disk_make(uint32_t block_size)
{
    memset(disk, 0, sizeof disk);
    bs = block_size;
    blocks = DISK_BYTES / bs;
    ram = (struct blkdev){
        .ops = &ram_ops, .name = "vda", .sectors = DISK_BYTES / 512, .block_size = bs};
    disk[450] = 0xee;
    disk[510] = 0x55;
    disk[511] = 0xaa;
    copy_put(1, blocks - 1, 2);
    copy_put(blocks - 1, 1, blocks - 1 - 128 * 128 / bs);
    reads = 0;
}

static struct gpt_partition *part;
static unsigned count;

static int table_read(void)
{
    kfree(part);
    return gpt_read(&ram, &part, &count);
}

static void expect_both(void)
{
    assert_int_equal(table_read(), 0);
    assert_int_equal(count, 2);
    assert_int_equal(part[0].number, 1);
    assert_int_equal(part[0].start, 40 * bs / 512);
    assert_int_equal(part[0].sectors, 10 * bs / 512);
    assert_string_equal(part[0].label, "boot");
    assert_int_equal(part[1].number, 3);
    assert_string_equal(part[1].label, "ops-root");
    assert_int_equal(part[1].start + part[1].sectors, (blocks - 39) * bs / 512);
}

static void test_sound(void **state)
{
    (void)state;
    disk_make(512);
    expect_both();
    disk_make(4096);
    expect_both();
}

/* The image of a disk on a CD: it counts in 512 bytes, the drive in 2048. */
static void test_small_units(void **state)
{
    (void)state;
    for (unsigned damaged = 0; damaged < 2; damaged++) {
        disk_make(512);
        entry_put(disk + 1024 + 128, 50, 57, "between blocks");
        memcpy(disk + (blocks - 33) * 512 + 128, disk + 1024 + 128, 128);
        seal(1);
        seal(blocks - 1);
        ram.block_size = 2048;
        disk[512 + 60] ^= (uint8_t)damaged;
        assert_int_equal(table_read(), 0);
        assert_int_equal(count, 2);
        assert_int_equal(part[0].start, 40);
        assert_int_equal(part[0].sectors, 8); /* of 10: whole blocks */
        assert_int_equal(part[1].number, 3);
        assert_int_equal(part[1].start, 60);
        assert_int_equal(part[1].sectors, blocks - 100);
    }
}

static void test_none(void **state)
{
    (void)state;
    disk_make(512);
    memset(disk, 0, 40 * 512);
    assert_int_equal(table_read(), 0);
    assert_int_equal(count, 0);
    assert_null(part);
    assert_int_equal(reads, 1); /* a bare file system costs one read */
    ram.sectors = 2;
    assert_int_equal(table_read(), 0);
}

static void test_backup(void **state)
{
    (void)state;
    disk_make(512);
    disk[512 + 60] ^= 1; /* header checksum */
    expect_both();
    disk_make(512);
    disk[1024 + 5] ^= 1; /* table checksum */
    expect_both();
    disk_make(512);
    memset(disk + 512, 0, 512); /* signature */
    expect_both();
}

static void test_both_damaged(void **state)
{
    (void)state;
    disk_make(512);
    disk[512 + 60] ^= 1;
    disk[(blocks - 1) * 512 + 60] ^= 1;
    assert_int_equal(table_read(), -EIO);
    assert_null(part);
}

/* A field with an impossible value, correctly sealed, in both copies. */
static void hostile(unsigned offset, uint64_t value, unsigned n)
{
    disk_make(512);
    put(disk + 512 + offset, value, n);
    put(disk + (blocks - 1) * 512 + offset, value, n);
    seal(1);
    seal(blocks - 1);
    assert_int_equal(table_read(), -EIO);
}

static void test_hostile_header(void **state)
{
    (void)state;
    hostile(12, 91, 4);         /* header size */
    hostile(12, 0xffffffff, 4); /* beyond the block */
    hostile(24, 7, 8);          /* not where it says it is */
    hostile(40, UINT64_MAX, 8); /* first usable */
    hostile(48, UINT64_MAX, 8); /* last usable */
    hostile(72, 0, 8);          /* the table's place */
    hostile(72, UINT64_MAX, 8); /* overflows */
    hostile(72, 2040, 8);       /* runs over the end */
    hostile(80, 0, 4);          /* no entries */
    hostile(80, 0xffffffff, 4); /* far too many */
    hostile(84, 64, 4);         /* entries too small */
    hostile(84, 0x80000000, 4); /* too large */
    hostile(84, 129, 4);        /* odd */
}

static void test_hostile_entries(void **state)
{
    (void)state;
    disk_make(512);
    uint8_t *table = disk + 1024;
    entry_put(table, 39, 50, "before");
    entry_put(table + 128, 60, blocks - 39, "behind");
    entry_put(table + 256, 70, 69, "backwards");
    entry_put(table + 384, 1ull << 63, UINT64_MAX, "huge");
    entry_put(table + 512, 80, 80, "good");
    seal(1);
    assert_int_equal(table_read(), 0);
    assert_int_equal(count, 1);
    assert_string_equal(part[0].label, "good");
    assert_int_equal(part[0].number, 5);
}

static void test_label(void **state)
{
    (void)state;
    disk_make(512);
    entry_put(disk + 1024, 40, 49, "0123456789012345678901234567890123456789abcd");
    put(disk + 1024 + 56, 0x263a, 2);
    seal(1);
    assert_int_equal(table_read(), 0);
    assert_string_equal(part[0].label, "?12345678901234567890123456789012345");
}

static void test_no_memory(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        disk_make(512);
        fake_mem_fail_after = i;
        assert_int_equal(table_read(), -ENOMEM);
    }
    fake_mem_fail_after = -1;
}

static const char *names[8];
static unsigned name_count;

static int name_take(struct blkdev *dev, void *arg)
{
    (void)arg;
    names[name_count++] = dev->name;
    return name_count == 3;
}

static void test_register(void **state)
{
    (void)state;
    disk_make(512);
    assert_int_equal(blkdev_register(&ram), 0);
    assert_int_equal(blkdev_for_each(name_take, NULL), 1);
    assert_string_equal(names[0], "vda");
    assert_string_equal(names[1], "vda1");
    assert_string_equal(names[2], "vda3");
}

/* Where the disk's name ends with a digit a letter stands before the partition's number. */
static void test_numbered_name(void **state)
{
    (void)state;
    static struct blkdev numbered;
    blkdev_unregister(&ram);
    disk_make(512);
    numbered = ram;
    strcpy(numbered.name, "nvme0n1");
    name_count = 0;
    assert_int_equal(blkdev_register(&numbered), 0);
    blkdev_for_each(name_take, NULL);
    assert_string_equal(names[1], "nvme0n1p1");
    assert_string_equal(names[2], "nvme0n1p3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound),
        cmocka_unit_test(test_small_units),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_backup),
        cmocka_unit_test(test_both_damaged),
        cmocka_unit_test(test_hostile_header),
        cmocka_unit_test(test_hostile_entries),
        cmocka_unit_test(test_label),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_register),
        cmocka_unit_test(test_numbered_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
