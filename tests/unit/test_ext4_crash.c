/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power cuts. A random sequence of operations is logged write by write; then the
 * disk is what a cut at some point leaves: everything before the last flush, and
 * any of the writes behind it, torn at sectors. Our replay and e2fsck's must both
 * find a consistent volume, files that were fsynced must be whole, and none may
 * show what its blocks held before. EXT4_CUTS=n tries n points (default: some).
 */
#include "ext4_rig.h"

#include <linux/falloc.h>

#define STALE        0xee /* what free blocks hold in the beginning */
#define FILES        400
#define SUPER_SECOND 3 /* its second sector */

struct synced {
    size_t at; /* events of the log when the fsync had returned */
    size_t size;
    unsigned seed;
};

static struct synced synced[FILES];
static unsigned synced_count;

static size_t rig_block; /* bytes */

static unsigned cuts_wanted(void)
{
    const char *n = getenv("EXT4_CUTS");
    return n ? (unsigned)atoi(n) : 20;
}

static void fill(char *p, size_t n, unsigned seed, size_t off)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (char)(((i + off) * 31 + seed * 17 + (i + off) / 509) % 0xed);
}

static void make_stale(const char *options, const char *size)
{
    snprintf(rig.dir, sizeof rig.dir, "/tmp/ext4-crash-XXXXXX");
    if (!mkdtemp(rig.dir))
        abort();
    rig_run("tr '\\0' '\\356' < /dev/zero | head -c %s > %s/image && "
            "mke2fs -q -q -F %s -E nodiscard,lazy_itable_init=0 %s %s/image > /dev/null 2>&1",
            size, rig.dir, rig_type(options), options, rig.dir);
    char path[128];
    snprintf(path, sizeof path, "%s/image", rig.dir);
    rig.image = fake_image_load(path, &rig.bytes);
    rig_mount();
}

/* A file of its own that is made durable and never touched again. */
static void step_synced(char *buf)
{
    char name[64];
    struct synced *s = &synced[synced_count];
    if (synced_count == FILES)
        return;
    s->seed = (unsigned)rand();
    s->size = (size_t)rand() % 60000;
    snprintf(name, sizeof name, "d%u/s%u", synced_count % 4, synced_count);
    if (rig_create(name, S_IFREG | 0644, NULL))
        return;
    fill(buf, s->size, s->seed, 0);
    ssize_t n = rig_write(name, 0, buf, s->size);
    if (n != (ssize_t)s->size) {
        rig_unlink(name);
        return;
    }
    assert_int_equal(rig_fsync(name), 0);
    s->at = fake_blk_log_count;
    synced_count++;
}

static void step(char *buf)
{
    char a[64], b[64];
    size_t n = (size_t)rand() % 30000;
    snprintf(a, sizeof a, "d%d/f%d", rand() % 4, rand() % 12);
    snprintf(b, sizeof b, "d%d/f%d", rand() % 4, rand() % 12);
    uint64_t off = (uint64_t)rand() % 100000;
    switch (rand() % 14) {
    case 0:
    case 1:
        rig_create(a, S_IFREG | 0644, NULL);
        break;
    case 2:
    case 3:
    case 4:
        fill(buf, n, 1, off);
        rig_write(a, off, buf, n);
        break;
    case 5:
        rig_truncate(a, off);
        break;
    case 6:
        rig_unlink(a);
        break;
    case 7:
        rig_rename(a, b, 0);
        break;
    case 8:
        rig_link(a, b);
        break;
    case 9:
        if (rand() & 1)
            rig_allocate(a, rand() & 1 ? 0 : FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off,
                         n + 1);
        else
            rig_allocate(a, rand() & 1 ? FALLOC_FL_COLLAPSE_RANGE : FALLOC_FL_INSERT_RANGE,
                         off & ~4095ull, (n & ~4095ull) + 4096);
        break;
    case 10:
        snprintf(a, sizeof a, "d%d/sub%d", rand() % 4, rand() % 6);
        if (rand() & 1)
            rig_create(a, S_IFDIR | 0755, NULL);
        else
            rig_unlink(a);
        break;
    case 11:
        memset(buf, 'l', 300);
        buf[rand() % 250 + 1] = 0;
        rig_create(a, S_IFLNK | 0777, buf);
        break;
    case 12:
        if (rand() % 4 == 0)
            fs_sync(rig.fs);
        break;
    default:
        if (rand() % 3 == 0)
            step_synced(buf);
    }
}

/* The disk after a cut behind event `cut`: of the writes since the last flush any may be lost. */
static void cut_at(char *disk, const char *base, size_t cut, unsigned how)
{
    size_t last = 0;
    memcpy(disk, base, rig.bytes);
    for (size_t i = 0; i < cut; i++)
        if (!fake_blk_log[i].bytes)
            last = i;
    srand(how);
    for (size_t i = 0; i < cut; i++) {
        const struct fake_blk_event *e = &fake_blk_log[i];
        bool keep = true;
        for (size_t s = 0; s < e->bytes; s += 512) {
            /* Superblock and commit blocks are written whole, as e2fsck takes it to be. */
            static const uint8_t commit[] = {0xc0, 0x3b, 0x39, 0x98, 0, 0, 0, 2};
            bool second = e->sector + s / 512 == SUPER_SECOND ||
                          (s && !memcmp((char *)e->data + s / rig_block * rig_block, commit, 8));
            if (!second || s % rig_block == 0)
                keep = how % 3 == 0 || (how % 3 == 1 ? rand() % 2 : rand() % 16 != 0);
            if (i < last || keep)
                memcpy(disk + e->sector * 512 + s, (char *)e->data + s, 512);
        }
    }
}

static int no_stale(void *arg, const char *name, size_t len, uint64_t ino, unsigned type,
                    uint64_t next)
{
    char path[400], *buf = malloc(300000);
    (void)ino, (void)next;
    snprintf(path, sizeof path, "%s/%.*s", (char *)arg, (int)len, name);
    ssize_t n = type == 8 ? rig_read(path, 0, buf, 300000) : 0;
    assert_true(n >= 0);
    for (ssize_t i = 0; i < n; i++)
        if ((uint8_t)buf[i] == STALE)
            fail_msg("%s shows old content at %zd", path, i);
    free(buf);
    return 0;
}

static void look_around(void)
{
    for (unsigned i = 0; i < 4; i++) {
        char name[8], list[1] = {0};
        struct vnode *d;
        uint64_t pos = 0;
        (void)list;
        snprintf(name, sizeof name, "d%u", i);
        if (rig_get(name, &d))
            continue; /* the cut was before it was made durable */
        assert_int_equal(d->ops->readdir(d, &pos, no_stale, name), 0);
        vnode_put(d);
    }
}

static void check_synced(size_t cut)
{
    char name[64], *want = malloc(60000), *got = malloc(60001);
    for (unsigned i = 0; i < synced_count && synced[i].at <= cut; i++) {
        snprintf(name, sizeof name, "d%u/s%u", i % 4, i);
        fill(want, synced[i].size, synced[i].seed, 0);
        assert_int_equal(rig_read(name, 0, got, 60001), synced[i].size);
        assert_memory_equal(got, want, synced[i].size);
    }
    free(want);
    free(got);
}

/* e2fsck replays and must find nothing to repair but inodes on the orphan list. */
static void check_by_e2fsck(void)
{
    char cmd[512];
    snprintf(cmd, sizeof cmd,
             "e2fsck -fy -E no_optimize_extents %s > %s/said 2>&1; test $? -le 1 && ! grep -q '? "
             "yes' %s/said",
             rig_save(), rig.dir, rig.dir);
    if (!system(cmd))
        return;
    rig_run("cat %s/said >&2", rig.dir);
    fail_msg("e2fsck had to repair: %s", rig.dir);
}

/* A journal that was damaged: whatever comes of it, only errors. */
static void damaged(char *disk, const char *base, size_t count, unsigned how)
{
    char buf[3000] = {0};
    srand(how);
    cut_at(disk, base, count * 3 / 4 + (size_t)rand() % (count / 4), 0);
    for (int i = rand() % 30; i >= 0; i--) {
        size_t byte = (size_t)rand() % (rand() % 2 ? rig.bytes : (size_t)3 << 20);
        disk[byte] ^= (char)(1 << rand() % 8);
    }
    rig.image = disk;
    fake_blkdev_init(&rig.dev, rig.image, rig.bytes);
    if (ext4_mount(&rig.dev, false, &rig.fs))
        return;
    for (unsigned i = 0; i < 60; i++) {
        char name[64];
        snprintf(name, sizeof name, "d%u/f%u", i % 4, i % 12);
        rig_read(name, 0, buf, sizeof buf);
        rig_write(name, 1000 * i, buf, sizeof buf);
        if (i % 3 == 0)
            rig_truncate(name, 700 * i);
        if (i % 5 == 0)
            rig_unlink(name);
        rig_create(name, S_IFREG | 0600, NULL);
    }
    rig_unmount();
}

static void crash(const char *options, const char *size, unsigned seed, unsigned steps)
{
    char *buf = malloc(200000);
    make_stale(options, size);
    rig_block = strstr(options, "1024") ? 1024 : 4096;
    for (unsigned i = 0; i < 4; i++) {
        char name[8];
        snprintf(name, sizeof name, "d%u", i);
        assert_int_equal(rig_create(name, S_IFDIR | 0755, NULL), 0);
    }
    fs_sync(rig.fs);
    char *base = malloc(rig.bytes), *disk = malloc(rig.bytes), *live = rig.image;
    memcpy(base, rig.image, rig.bytes);
    synced_count = 0;
    srand(seed);
    fake_blk_log_start();
    for (unsigned i = 0; i < steps; i++)
        step(buf);
    rig_unmount();
    rig_check();
    fake_blk_log_stop();
    size_t count = fake_blk_log_count;
    assert_true(count > 100);
    for (unsigned i = 0; i < cuts_wanted(); i++) {
        unsigned how = seed * 1000 + i;
        srand(how);
        size_t cut = (size_t)rand() % count;
        cut_at(disk, base, cut, how);
        rig.image = disk;
        check_by_e2fsck();
        rig_mount();
        check_synced(cut);
        look_around();
        rig_unmount();
        rig_check();
    }
    for (unsigned i = 0; i < 5 * cuts_wanted(); i++)
        damaged(disk, base, count, seed * 7777 + i);
    rig.image = live;
    fake_blk_log_end();
    free(base);
    free(disk);
    free(buf);
    rig_free();
}

/* Journals of another writer, debugfs: every kind of checksum, revoked blocks, escaped ones. */
static void journals_of_debugfs(void **state)
{
    static const char *const options[] = {"-b 4096 -O ^metadata_csum,^64bit",
                                          "-b 4096 -O ^metadata_csum,64bit", "-b 4096", "-b 1024"};
    static const char *const open[] = {"jo", "jo -c", "jo -c -v 2", "jo -c -v 3"};
    (void)state;
    for (unsigned k = 0; k < 16; k++) {
        const char *o = options[k / 4];
        size_t block = strstr(o, "1024") ? 1024 : 4096;
        rig_make(o, "24M");
        rig_unmount();
        const char *path = rig_save();
        rig_run("head -c %zu /dev/zero | tr '\\0' 'J' > %s/j && "
                "{ printf '\\300\\073\\071\\230'; head -c %zu %s/j; } > %s/magic",
                2 * block, rig.dir, block - 4, rig.dir, rig.dir);
        rig_run("printf '%s\\njw -b 4000,4002 %s/j\\njw -b 4003 %s/magic\\njw -r 4002\\njc\\n' > "
                "%s/script && debugfs -w -f %s/script %s > /dev/null 2>&1",
                open[k % 4], rig.dir, rig.dir, rig.dir, rig.dir, path);
        free(rig.image);
        rig.image = fake_image_load(path, &rig.bytes);
        bool dirty = rig.image[1024 + 0x60] & 4;
        assert_true(dirty);
        rig_mount();
        assert_int_equal(rig.image[4000 * block + 7], 'J');
        assert_int_equal(rig.image[4002 * block + 7], 0);
        assert_memory_equal(rig.image + 4003 * block, "\300\073\071\230J", 5);
        assert_int_equal(rig_create("f", S_IFREG | 0644, NULL), 0);
        assert_int_equal(rig_fsync("f"), 0);
        rig_end();
    }
}

static void cuts_4k(void **state)
{
    (void)state;
    crash("-b 4096 -J size=4", "16M", 1, 1500);
}

static void cuts_1k(void **state)
{
    (void)state;
    crash("-b 1024 -J size=1", "12M", 2, 1500);
}

static void cuts_without_checksums(void **state)
{
    (void)state;
    crash("-b 1024 -J size=1 -O ^metadata_csum,^64bit", "12M", 3, 1500);
}

static void cuts_on_a_full_disk(void **state)
{
    (void)state;
    crash("-b 1024 -J size=1", "3M", 4, 2500);
}

static void cuts_without_extents(void **state)
{
    (void)state;
    crash("-b 1024 -J size=1 -O ^extent,^64bit", "12M", 5, 1500);
}

static void cuts_of_ext3_on_a_full_disk(void **state)
{
    (void)state;
    crash("-t ext3 -b 1024 -J size=1", "3M", 6, 2500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(journals_of_debugfs),
        cmocka_unit_test(cuts_4k),
        cmocka_unit_test(cuts_1k),
        cmocka_unit_test(cuts_without_checksums),
        cmocka_unit_test(cuts_on_a_full_disk),
        cmocka_unit_test(cuts_without_extents),
        cmocka_unit_test(cuts_of_ext3_on_a_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
