/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files with the block maps of ext2: tables of all three levels come and go, i_blocks
 * counts them (e2fsck compares), and what is not possible there is refused as by Linux.
 */
#include "ext4_rig.h"

#include <linux/falloc.h>

#define BLOCK 1024
#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

/* Pages around the borders of the levels, in blocks of 1 KiB: 12, 268, 65804. */
static const uint64_t places[] = {0,      4,      8,     12,    16,    264,   268,   272,
                                  520,    524,    65800, 65804, 65808, 66056, 66060, 131336,
                                  131596, 200000, 16842, 33000, 65544, 65548, 66316, 66320};
#define PLACE_COUNT (sizeof places / sizeof places[0])

static unsigned value[PLACE_COUNT]; /* what the page at a place is filled with; 0: a hole */

static void remount(void)
{
    rig_unmount();
    rig_check();
    rig_mount();
}

static void check_places(uint64_t size)
{
    static char got[4096];
    for (size_t i = 0; i < PLACE_COUNT; i++) {
        if (places[i] * BLOCK >= size)
            continue;
        size_t n = size - places[i] * BLOCK < 4096 ? (size_t)(size - places[i] * BLOCK) : 4096;
        assert_int_equal(rig_read("f", places[i] * BLOCK, got, 4096), n);
        for (size_t k = 0; k < n; k++)
            assert_int_equal((uint8_t)got[k], value[i]);
    }
}

static uint64_t cut_to(uint64_t size)
{
    assert_int_equal(rig_truncate("f", size), 0);
    for (size_t i = 0; i < PLACE_COUNT; i++)
        if (places[i] * BLOCK >= size)
            value[i] = 0;
    return size;
}

static void punch(uint64_t first, uint64_t end)
{
    assert_int_equal(rig_allocate("f", PUNCH, first * BLOCK, (end - first) * BLOCK), 0);
    for (size_t i = 0; i < PLACE_COUNT; i++)
        if (places[i] >= first && places[i] < end)
            value[i] = 0;
}

static void tables_come_and_go(void **state)
{
    static const char *const options[] = {"-b 1024 -O ^extent,^64bit", "-t ext3 -b 1024",
                                          "-t ext2 -b 1024 -g 512 -O ^resize_inode"};
    char block[4096];
    (void)state;
    for (unsigned k = 0; k < 3; k++) {
        uint64_t size = 0;
        rig_make(options[k], "16M");
        assert_int_equal(rig_create("f", S_IFREG | 0644, NULL), 0);
        memset(value, 0, sizeof value);
        srand(k + 1);
        for (unsigned i = 0; i < 1500; i++) {
            size_t at = (size_t)rand() % PLACE_COUNT, to = (size_t)rand() % PLACE_COUNT;
            if (rand() % 8) {
                value[at] = (unsigned)rand() % 255 + 1;
                memset(block, (int)value[at], sizeof block);
                assert_int_equal(rig_write("f", places[at] * BLOCK, block, 4096), 4096);
                size = places[at] * BLOCK + 4096 > size ? places[at] * BLOCK + 4096 : size;
            } else if (rand() % 4 == 0) {
                size = cut_to(places[at] * BLOCK);
            } else if (places[at] < places[to]) {
                punch(places[at], places[to]);
            }
            if (rand() % 20 == 0)
                fs_sync(rig.fs);
            if (rand() % 60 == 0) {
                remount();
                check_places(size);
            }
        }
        check_places(size);
        cut_to(0);
        struct vnode *v;
        assert_int_equal(rig_get("f", &v), 0);
        assert_int_equal(v->blocks, 0);
        vnode_put(v);
        rig_end();
    }
}

/* A file that fills the disk to the last block is read back whole, and its tables are freed. */
static void a_full_disk(void **state)
{
    (void)state;
    rig_make("-t ext3 -b 1024 -J size=1", "6M");
    struct fs_stats before, after;
    rig.fs->ops->statfs(rig.fs, &before);
    char block[4096], got[4096];
    uint64_t at = 0, sparse = 0;
    ssize_t n = 0;
    assert_int_equal(rig_create("f", S_IFREG | 0644, NULL), 0);
    assert_int_equal(rig_create("g", S_IFREG | 0644, NULL), 0);
    for (;; at += 4096, sparse += 1200 * 1024) { /* each page of g needs a table or two */
        memset(block, (int)(at / 4096 % 251 + 1), sizeof block);
        n = rig_write("f", at, block, 4096);
        if (n != 4096)
            break;
        n = rig_write("g", sparse, block, 4096);
        if (n != 4096)
            break;
    }
    assert_int_equal(n, -ENOSPC);
    assert_true(at > 1 << 20);
    assert_int_equal(fs_sync(rig.fs), 0);
    remount();
    for (uint64_t i = 0, k = 0; i < at; i += 4096, k += 1200 * 1024) {
        assert_int_equal(rig_read("f", i, got, 4096), 4096);
        assert_int_equal((uint8_t)got[77], i / 4096 % 251 + 1);
        assert_int_equal(rig_read("g", k, got, 4096), 4096);
        assert_int_equal((uint8_t)got[4095], i / 4096 % 251 + 1);
    }
    assert_int_equal(rig_unlink("f"), 0);
    assert_int_equal(rig_unlink("g"), 0);
    rig.fs->ops->statfs(rig.fs, &after);
    assert_int_equal(after.blocks_free, before.blocks_free);
    rig_end();
}

static void what_cannot_be(void **state)
{
    (void)state;
    rig_make("-t ext3 -b 1024", "16M");
    assert_int_equal(rig_create("f", S_IFREG | 0644, NULL), 0);
    assert_int_equal(rig_allocate("f", 0, 0, 5000), -EOPNOTSUPP);
    assert_int_equal(rig_allocate("f", FALLOC_FL_KEEP_SIZE, 0, 5000), -EOPNOTSUPP);
    assert_int_equal(rig_allocate("f", FALLOC_FL_ZERO_RANGE, 0, 5000), -EOPNOTSUPP);
    uint64_t most = (12 + 256 + 65536 + 16777216ull) * 1024;
    assert_int_equal(rig.fs->size_limit, most);
    assert_int_equal(rig_truncate("f", most + 1), -EFBIG);
    assert_int_equal(rig_truncate("f", most), 0);
    assert_int_equal(rig_write("f", most - 5, "12345", 5), 5);
    assert_int_equal(rig_write("f", most, "6", 1), -EFBIG);
    remount();
    char got[8] = "";
    assert_int_equal(rig_read("f", most - 6, got, 8), 6);
    assert_memory_equal(got, "\00012345", 6);
    assert_int_equal(rig_truncate("f", 0), 0);
    rig_end();
}

/* A file with extents and one without beside each other, as on a volume that was upgraded. */
static void upgraded(void **state)
{
    (void)state;
    char block[4096];
    memset(block, 'o', sizeof block);
    rig_make("-t ext3 -b 1024", "16M");
    assert_int_equal(rig_create("old", S_IFREG | 0644, NULL), 0);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(rig_write("old", i * 4096, block, 4096), 4096);
    rig_unmount();
    const char *path = rig_save();
    rig_run("tune2fs -O extents %s > /dev/null 2>&1", path);
    free(rig.image);
    rig.image = fake_image_load(path, &rig.bytes);
    rig_mount();
    assert_int_equal(rig_create("new", S_IFREG | 0644, NULL), 0);
    assert_int_equal(rig_allocate("new", 0, 0, 5000), 0);
    assert_int_equal(rig_allocate("old", 0, 0, 500000), -EOPNOTSUPP);
    assert_int_equal(rig_write("old", 409600, block, 4096), 4096);
    assert_int_equal(rig_truncate("old", 300000), 0);
    assert_int_equal(rig_rename("old", "new", 0), 0);
    rig_end();
}

/* chattr +A, here by debugfs: reading leaves atime alone. */
static void no_atime(void **state)
{
    (void)state;
    rig_make("-b 1024", "16M");
    assert_int_equal(rig_create("quiet", S_IFREG | 0644, NULL), 0);
    assert_int_equal(rig_create("usual", S_IFREG | 0644, NULL), 0);
    rig_unmount();
    const char *path = rig_save();
    rig_run("debugfs -w -R 'sif quiet flags 0x80080' %s > /dev/null 2>&1", path);
    rig_run(
        "for f in quiet usual; do debugfs -w -R \"sif $f atime @1000\" %s; done > /dev/null 2>&1",
        path);
    free(rig.image);
    rig.image = fake_image_load(path, &rig.bytes);
    rig_mount();
    for (unsigned i = 0; i < 2; i++) {
        struct vnode *v;
        assert_int_equal(rig_get(i ? "usual" : "quiet", &v), 0);
        int64_t before = v->atime;
        vnode_accessed(v);
        assert_int_equal(v->atime != before, i);
        vnode_put(v);
    }
    rig_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_come_and_go), cmocka_unit_test(a_full_disk),
        cmocka_unit_test(what_cannot_be),     cmocka_unit_test(upgraded),
        cmocka_unit_test(no_atime),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
