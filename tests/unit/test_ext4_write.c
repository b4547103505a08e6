/* SPDX-License-Identifier: Apache-2.0 */
/* Writing to ext4, operation by operation, on images with several sets of features. */
#include "ext4_rig.h"

#include <linux/falloc.h>
#include <linux/fcntl.h>

static const char *const variants[] = {
    "-b 4096",
    "-b 1024",
    "-b 2048 -O ^has_journal",
    "-b 4096 -O ^metadata_csum,^64bit",
    "-b 1024 -O ^metadata_csum,uninit_bg,^64bit -I 128",
    "-b 1024 -O meta_bg,^resize_inode",
    "-b 4096 -O sparse_super2,^resize_inode,metadata_csum_seed,large_dir",
    "-b 1024 -O ^flex_bg,^has_journal,^dir_nlink -g 2048",
    "-b 1024 -O ^extent,^64bit",
    "-t ext3 -b 4096",
    "-t ext2 -b 1024",
};

#define FOR_EACH_VARIANT for (size_t k = 0; k < sizeof variants / sizeof variants[0]; k++)

/* Only files with extents can have blocks that are allocated and read as zeroes. */
static int preallocated(const char *options, int result)
{
    return strstr(options, "^extent") || strstr(options, "-t ext") ? -EOPNOTSUPP : result;
}

static char *pattern(size_t n, unsigned seed)
{
    char *p = malloc(n);
    for (size_t i = 0; i < n; i++)
        p[i] = (char)((i * 7 + i / 251 + seed) ^ (i >> 12));
    return p;
}

static void same(const char *path, uint64_t off, const char *want, size_t n)
{
    char *got = malloc(n + 1);
    assert_int_equal(rig_read(path, off, got, n + 1) >= (ssize_t)n, 1);
    assert_memory_equal(got, want, n);
    free(got);
}

static void remount(void)
{
    rig_unmount();
    rig_check();
    rig_mount();
}

static void nothing_is_written_without_need(void **state)
{
    (void)state;
    rig_make("", "16M");
    assert_false(rig.fs->read_only);
    struct vnode *v;
    assert_int_equal(rig_get("lost+found", &v), 0);
    vnode_put(v);
    fs_sync(rig.fs);
    rig_unmount();
    assert_int_equal(fake_blk_writes, 0);
    rig_check();
    rig_free();
}

static void files_are_made_and_removed(void **state)
{
    (void)state;
    FOR_EACH_VARIANT
    {
        rig_make(variants[k], "16M");
        assert_int_equal(rig_create("a", S_IFREG | 0640, NULL), 0);
        assert_int_equal(rig_create("a", S_IFREG | 0640, NULL), -EEXIST);
        assert_int_equal(rig_write("a", 0, "hello", 5), 5);
        remount();
        same("a", 0, "hello", 5);
        struct vnode *v;
        assert_int_equal(rig_get("a", &v), 0);
        assert_int_equal(v->mode, S_IFREG | 0640);
        assert_int_equal(v->uid, 1000);
        assert_int_equal(v->gid, 100000);
        vnode_put(v);
        assert_int_equal(rig_unlink("a"), 0);
        assert_int_equal(rig_get("a", &v), -ENOENT);
        rig_end();
    }
}

static void content_of_all_sizes(void **state)
{
    (void)state;
    FOR_EACH_VARIANT
    {
        static const size_t sizes[] = {1, 1023, 1024, 4096, 4097, 70000, 1 << 20, 3000001};
        char name[32];
        char *data = pattern(4 << 20, 1);
        rig_make(variants[k], "32M");
        for (unsigned i = 0; i < 8; i++) {
            snprintf(name, sizeof name, "f%u", i);
            assert_int_equal(rig_create(name, S_IFREG | 0644, NULL), 0);
            assert_int_equal(rig_write(name, 0, data, sizes[i]), sizes[i]);
        }
        for (unsigned round = 0; round < 2; round++) {
            for (unsigned i = 0; i < 8; i++) {
                snprintf(name, sizeof name, "f%u", i);
                same(name, 0, data, sizes[i]);
            }
            remount();
        }
        rig_end();
        free(data);
    }
}

static void symlinks_and_devices(void **state)
{
    (void)state;
    FOR_EACH_VARIANT
    {
        char text[PATH_LIMIT], target[1000];
        struct vnode *v;
        memset(target, 'x', sizeof target);
        target[sizeof target - 1] = 0;
        rig_make(variants[k], "16M");
        assert_int_equal(rig_create("fast", S_IFLNK | 0777, "where"), 0);
        assert_int_equal(rig_create("slow", S_IFLNK | 0777, target), 0);
        char most[4097];
        memset(most, 'y', 4096);
        most[4096] = 0;
        assert_int_equal(rig_create("long", S_IFLNK | 0777, most), -ENAMETOOLONG);
        assert_int_equal(rig_create("gone", S_IFLNK | 0777, target), 0);
        assert_int_equal(rig_create("null", S_IFCHR | 0666, "0x103"), 0);
        assert_int_equal(rig_create("big", S_IFBLK | 0600, "0x12345678"), 0);
        assert_int_equal(rig_create("fifo", S_IFIFO | 0600, NULL), 0);
        assert_int_equal(rig_create("sock", S_IFSOCK | 0600, NULL), 0);
        assert_int_equal(rig_unlink("gone"), 0);
        remount();
        assert_int_equal(rig_get("fast", &v), 0);
        assert_int_equal(v->ops->readlink(v, text, sizeof text), 5);
        assert_memory_equal(text, "where", 5);
        vnode_put(v);
        assert_int_equal(rig_get("slow", &v), 0);
        assert_int_equal(v->ops->readlink(v, text, sizeof text), 999);
        assert_memory_equal(text, target, 999);
        vnode_put(v);
        assert_int_equal(rig_get("null", &v), 0);
        assert_int_equal(v->rdev, 0x103);
        vnode_put(v);
        assert_int_equal(rig_get("big", &v), 0);
        assert_int_equal(v->rdev, 0x12345678);
        vnode_put(v);
        rig_end();
    }
}

static void large_directories(void **state)
{
    (void)state;
    FOR_EACH_VARIANT
    {
        char name[300];
        unsigned count = strstr(variants[k], "1024") ? 3000 : 1500;
        rig_make(variants[k], "48M -N 8000");
        assert_int_equal(rig_create("d", S_IFDIR | 0755, NULL), 0);
        for (unsigned i = 0; i < count; i++) {
            snprintf(name, sizeof name, "d/a rather long name, so that blocks fill up %u", i);
            assert_int_equal(rig_create(name, S_IFREG | 0644, NULL), 0);
        }
        remount();
        for (unsigned i = 0; i < count; i++) {
            struct vnode *v;
            snprintf(name, sizeof name, "d/a rather long name, so that blocks fill up %u", i);
            assert_int_equal(rig_get(name, &v), 0);
            vnode_put(v);
            if (i % 3)
                assert_int_equal(rig_unlink(name), 0);
        }
        assert_int_equal(rig_unlink("d"), -ENOTEMPTY);
        remount();
        for (unsigned i = 0; i < count; i += 3) {
            snprintf(name, sizeof name, "d/a rather long name, so that blocks fill up %u", i);
            assert_int_equal(rig_unlink(name), 0);
        }
        assert_int_equal(rig_unlink("d"), 0);
        rig_end();
    }
}

/* Names of 250 bytes fill an index of 1 KiB blocks: two levels. */
static void deep_index(void **state)
{
    (void)state;
    char name[300];
    rig_make("-b 1024 -N 20000", "64M");
    assert_int_equal(rig_create("d", S_IFDIR | 0755, NULL), 0);
    for (unsigned i = 0; i < 9000; i++) {
        snprintf(name, sizeof name, "d/%0200u", i * 7919u);
        assert_int_equal(rig_create(name, S_IFREG | 0644, NULL), 0);
    }
    remount();
    for (unsigned i = 0; i < 9000; i++) {
        struct vnode *v;
        snprintf(name, sizeof name, "d/%0200u", i * 7919u);
        assert_int_equal(rig_get(name, &v), 0);
        vnode_put(v);
    }
    rig_end();
}

static void renames(void **state)
{
    (void)state;
    FOR_EACH_VARIANT
    {
        struct vnode *v;
        rig_make(variants[k], "16M");
        assert_int_equal(rig_create("a", S_IFDIR | 0755, NULL), 0);
        assert_int_equal(rig_create("b", S_IFDIR | 0755, NULL), 0);
        assert_int_equal(rig_create("a/sub", S_IFDIR | 0755, NULL), 0);
        assert_int_equal(rig_create("a/f", S_IFREG | 0644, NULL), 0);
        assert_int_equal(rig_create("b/g", S_IFREG | 0644, NULL), 0);
        assert_int_equal(rig_write("a/f", 0, "one", 3), 3);
        assert_int_equal(rig_write("b/g", 0, "two", 3), 3);
        assert_int_equal(rig_rename("a/sub", "b/sub", 0), 0);
        assert_int_equal(rig_rename("a/f", "b/g", RENAME_SWAP), 0);
        same("a/f", 0, "two", 3);
        same("b/g", 0, "one", 3);
        assert_int_equal(rig_rename("b/g", "a/f", 0), 0);
        same("a/f", 0, "one", 3);
        assert_int_equal(rig_get("b/g", &v), -ENOENT);
        assert_int_equal(rig_create("a/empty", S_IFDIR | 0755, NULL), 0);
        assert_int_equal(rig_rename("b/sub", "a/empty", 0), 0);
        assert_int_equal(rig_rename("a/empty", "b", 0), 0);
        assert_int_equal(rig_rename("b", "a", 0), -ENOTEMPTY);
        assert_int_equal(rig_link("a/f", "again"), 0);
        assert_int_equal(rig_rename("a", "b", RENAME_SWAP), 0);
        assert_int_equal(rig_rename("b/f", "c", 0), 0);
        remount();
        same("c", 0, "one", 3);
        same("again", 0, "one", 3);
        rig_end();
    }
}

static void truncate_and_holes(void **state)
{
    (void)state;
    FOR_EACH_VARIANT
    {
        char *data = pattern(1 << 20, 3), zero[5000] = {0};
        rig_make(variants[k], "16M");
        assert_int_equal(rig_create("f", S_IFREG | 0644, NULL), 0);
        assert_int_equal(rig_write("f", 0, data, 1 << 20), 1 << 20);
        assert_int_equal(rig_truncate("f", 100001), 0);
        assert_int_equal(rig_truncate("f", 300000), 0);
        same("f", 0, data, 100001);
        same("f", 100001, zero, 5000);
        remount();
        same("f", 0, data, 100001);
        same("f", 100001, zero, 5000);
        assert_int_equal(rig_write("f", 5000000, "far", 3), 3);
        assert_int_equal(rig_truncate("f", 5), 0);
        assert_int_equal(rig_write("f", 9, "x", 1), 1);
        same("f", 5, "\0\0\0\0x", 5);
        remount();
        same("f", 5, "\0\0\0\0x", 5);
        assert_int_equal(rig_truncate("f", 0), 0);
        struct vnode *v;
        assert_int_equal(rig_get("f", &v), 0);
        assert_int_equal(v->blocks, 0);
        vnode_put(v);
        rig_end();
        free(data);
    }
}

static void allocation(void **state)
{
    (void)state;
    FOR_EACH_VARIANT
    {
        if (preallocated(variants[k], 0)) /* see test_ext4_indirect.c */
            continue;
        char *data = pattern(200000, 5), *zero = calloc(1, 200000);
        struct vnode *v;
        rig_make(variants[k], "16M");
        assert_int_equal(rig_create("f", S_IFREG | 0644, NULL), 0);
        assert_int_equal(rig_allocate("f", 0, 0, 150000), 0);
        same("f", 0, zero, 150000);
        assert_int_equal(rig_write("f", 50000, data, 20000), 20000);
        assert_int_equal(rig_allocate("f", FALLOC_FL_KEEP_SIZE, 150000, 100000), 0);
        assert_int_equal(rig_get("f", &v), 0);
        assert_int_equal(v->size, 150000);
        assert_true(v->blocks >= 250000 / 512);
        vnode_put(v);
        remount();
        same("f", 0, zero, 50000);
        same("f", 50000, data, 20000);
        same("f", 70000, zero, 80000);
        assert_int_equal(rig_write("f", 0, data, 150000), 150000);
        assert_int_equal(
            rig_allocate("f", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10001, 99999), 0);
        remount();
        same("f", 0, data, 10001);
        same("f", 10001, zero, 99999);
        same("f", 110000, data + 110000, 40000);
        assert_int_equal(rig_allocate("f", FALLOC_FL_ZERO_RANGE, 5000, 300000), 0);
        remount();
        same("f", 0, data, 5000);
        same("f", 5000, zero, 195000);
        rig_end();
        free(data);
        free(zero);
    }
}

/* Every second block: many extents, a tree of some levels, then holes filled and punched. */
static void fragments(void **state)
{
    (void)state;
    FOR_EACH_VARIANT
    {
        char block[4096], got[4096];
        rig_make(variants[k], "32M");
        assert_int_equal(rig_create("f", S_IFREG | 0644, NULL), 0);
        for (unsigned i = 0; i < 2000; i++) {
            memset(block, (int)(i % 251 + 1), sizeof block);
            uint64_t at = (uint64_t)((i * 1103) % 2000) * 8192;
            assert_int_equal(rig_write("f", at, block, 4096), 4096);
            if (i % 97 == 0)
                fs_sync(rig.fs);
        }
        remount();
        for (unsigned i = 0; i < 2000; i++) {
            uint64_t at = (uint64_t)((i * 1103) % 2000) * 8192;
            assert_int_equal(rig_read("f", at, got, 4096), 4096);
            assert_int_equal((uint8_t)got[17], i % 251 + 1);
            if (i % 5 == 0)
                assert_int_equal(
                    rig_allocate("f", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, 4096), 0);
            if (i % 5 == 1)
                assert_int_equal(rig_allocate("f", 0, at + 4096, 4096),
                                 preallocated(variants[k], 0));
        }
        remount();
        assert_int_equal(rig_truncate("f", 4000000), 0);
        remount();
        assert_int_equal(rig_unlink("f"), 0);
        rig_end();
    }
}

static void a_full_disk_is_no_disaster(void **state)
{
    (void)state;
    FOR_EACH_VARIANT
    {
        char *data = pattern(1 << 20, 9);
        rig_make(variants[k], "8M");
        assert_int_equal(rig_create("f", S_IFREG | 0644, NULL), 0);
        ssize_t n;
        uint64_t at = 0;
        while ((n = rig_write("f", at, data, 1 << 20)) > 0)
            at += (uint64_t)n;
        assert_int_equal(n, -ENOSPC);
        assert_true(at > 2 << 20);
        assert_int_equal(fs_sync(rig.fs), 0);
        assert_int_equal(rig_create("g", S_IFREG | 0644, NULL), 0);
        for (at = 0; (n = rig_write("g", at, data, 1 << 20)) > 0;)
            at += (uint64_t)n; /* what was kept for the tree of the other file */
        assert_int_equal(n, -ENOSPC);
        assert_true(at < 1 << 20);
        assert_int_equal(rig_allocate("g", 0, 0, 1 << 20), preallocated(variants[k], -ENOSPC));
        assert_int_equal(rig_unlink("f"), 0);
        assert_int_equal(rig_write("g", 0, data, 1 << 20), 1 << 20);
        remount();
        same("g", 0, data, 1 << 20);
        rig_end();
        free(data);
    }
}

static void inodes_run_out(void **state)
{
    (void)state;
    char name[32];
    int err = 0;
    unsigned n = 0;
    rig_make("-b 1024 -N 64", "8M");
    while (!err && n < 1000) {
        snprintf(name, sizeof name, "f%u", n++);
        err = rig_create(name, S_IFREG | 0644, NULL);
    }
    assert_int_equal(err, -ENOSPC);
    assert_int_equal(rig_unlink("f3"), 0);
    assert_int_equal(rig_create("again", S_IFDIR | 0755, NULL), 0);
    rig_end();
}

static void open_files_outlive_their_names(void **state)
{
    (void)state;
    FOR_EACH_VARIANT
    {
        struct vnode *v;
        struct fs_stats before, after;
        char *data = pattern(300000, 2);
        rig_make(variants[k], "16M");
        rig.fs->ops->statfs(rig.fs, &before);
        assert_int_equal(rig_create("f", S_IFREG | 0644, NULL), 0);
        assert_int_equal(rig_write("f", 0, data, 300000), 300000);
        assert_int_equal(rig_get("f", &v), 0);
        assert_int_equal(rig_unlink("f"), 0);
        fs_sync(rig.fs);
        char got[100];
        assert_int_equal(vnode_read_kernel(v, got, 100, 200000), 100);
        assert_memory_equal(got, data + 200000, 100);
        vnode_put(v);
        rig.fs->ops->statfs(rig.fs, &after);
        assert_int_equal(before.blocks_free, after.blocks_free);
        assert_int_equal(before.files_free, after.files_free);
        rig_end();
        free(data);
    }
}

/* Inline files and directories of mke2fs -d get blocks when they are changed. */
static void inline_data_moves_out(void **state)
{
    (void)state;
    for (unsigned k = 0; k < 2; k++) {
        struct vnode *v;
        char dir[64] = "/tmp/ext4-inline-XXXXXX", options[200], name[64];
        assert_non_null(mkdtemp(dir));
        rig_run("cd %s && mkdir sub && printf tiny > tiny && seq 1 40 > forty && : > none && "
                "for i in 1 2 3 4; do echo $i > sub/$i; done && cp -p tiny gone",
                dir);
        snprintf(options, sizeof options, "-O inline_data -I %u -b 4096 -d %s", k ? 1024 : 256,
                 dir);
        rig_make(options, "16M");
        same("tiny", 0, "tiny", 4);
        assert_int_equal(rig_write("tiny", 4, " or not", 7), 7);
        assert_int_equal(rig_write("none", 0, "some", 4), 4);
        assert_int_equal(rig_truncate("forty", 10), 0);
        assert_int_equal(rig_unlink("gone"), 0);
        for (unsigned i = 5; i < 40; i++) {
            snprintf(name, sizeof name, "sub/name number %u", i);
            assert_int_equal(rig_create(name, S_IFREG | 0644, NULL), 0);
        }
        remount();
        same("tiny", 0, "tiny or not", 11);
        same("none", 0, "some", 4);
        same("forty", 0, "1\n2\n3\n4\n5\n", 10);
        same("sub/3", 0, "3\n", 2);
        assert_int_equal(rig_get("sub/name number 39", &v), 0);
        vnode_put(v);
        rig_end();
        rig_run("rm -rf %s", dir);
    }
}

static int set(const char *path, const char *name, const char *value, size_t n, int flags)
{
    struct vnode *v;
    assert_int_equal(rig_get(path, &v), 0);
    int err = v->ops->xattr_set(v, name, value, n, flags);
    vnode_put(v);
    return err;
}

static int get(const char *path, const char *name, char *value, size_t n)
{
    struct vnode *v;
    assert_int_equal(rig_get(path, &v), 0);
    int err = v->ops->xattr_get(v, name, value, n);
    vnode_put(v);
    return err;
}

static void extended_attributes(void **state)
{
    (void)state;
    FOR_EACH_VARIANT
    {
        char value[5000], got[5000], name[64];
        struct vnode *v;
        memset(value, 'v', sizeof value);
        rig_make(variants[k], "16M");
        assert_int_equal(rig_create("f", S_IFREG | 0644, NULL), 0);
        assert_int_equal(rig_create("d", S_IFDIR | 0755, NULL), 0);
        assert_int_equal(get("f", "user.none", got, 10), -ENODATA);
        assert_int_equal(set("f", "user.a", "hello", 5, 0), 0);
        assert_int_equal(set("f", "user.a", "hello", 5, 1), -EEXIST);
        assert_int_equal(set("f", "user.b", "hello", 5, 2), -ENODATA);
        assert_int_equal(set("f", "user.empty", "", 0, 0), 0);
        assert_int_equal(set("f", "trusted.big", value, 700, 0), 0);
        assert_int_equal(set("f", "security.x", value, 100, 0), 0);
        assert_int_equal(set("f", "user.huge", value, 4500, 0), -ENOSPC);
        assert_int_equal(set("d", "user.d", "dir", 3, 0), 0);
        remount();
        assert_int_equal(get("f", "user.a", got, 0), 5);
        assert_int_equal(get("f", "user.a", got, 3), -ERANGE);
        assert_int_equal(get("f", "user.a", got, 100), 5);
        assert_memory_equal(got, "hello", 5);
        assert_int_equal(get("f", "trusted.big", got, 5000), 700);
        assert_memory_equal(got, value, 700);
        assert_int_equal(get("f", "user.empty", got, 5000), 0);
        assert_int_equal(get("d", "user.d", got, 5000), 3);
        assert_int_equal(rig_get("f", &v), 0);
        assert_int_equal(v->ops->xattr_list(v, got, sizeof got), 7 + 11 + 12 + 11);
        vnode_put(v);
        assert_int_equal(set("f", "trusted.big", NULL, 0, 0), 0);
        assert_int_equal(set("f", "trusted.big", NULL, 0, 0), -ENODATA);
        for (unsigned i = 0; i < 200; i++) { /* until it is full */
            snprintf(name, sizeof name, "user.%u", i);
            int err = set("f", name, name, 5, 0);
            assert_true(err == 0 || (err == -ENOSPC && i > 5));
        }
        remount();
        assert_int_equal(get("f", "user.4", got, 100), 5);
        assert_int_equal(rig_unlink("f"), 0);
        rig_end();
    }
}

extern int fake_mem_fail_after;

/* Each allocation in turn fails, once: an errno, and everything goes on. */
static void no_memory_is_an_errno(void **state)
{
    (void)state;
    char *data = pattern(100000, 4);
    rig_make("-b 1024", "16M");
    rig_create("d", S_IFDIR | 0755, NULL);
    for (int k = 0; k < 160; k++) {
        char name[40], other[40];
        snprintf(name, sizeof name, "d/file %d", k);
        snprintf(other, sizeof other, "d/other %d", k);
        page_cache_reclaim(100000);
        fake_mem_fail_after = k / 2;
        rig_create(name, S_IFREG | 0644, NULL);
        rig_write(name, (uint64_t)(k % 7) * 3000, data, 20000);
        if (k & 1)
            fake_mem_fail_after = k / 2;
        rig_fsync(name);
        rig_rename(name, other, 0);
        rig_allocate(other, 0, 5000, 100000);
        rig_truncate(other, 10000);
        if (k % 3)
            rig_unlink(other);
        fs_sync(rig.fs);
        fake_mem_fail_after = -1;
        if (rig.fs->read_only)
            fail_msg("given up after allocation %d of step %d", k / 2, k);
        fs_sync(rig.fs);
    }
    rig_end();
    free(data);
}

/* The disk fails: fsync tells it once, the journal is given up, nothing is written any more. */
static void write_errors_end_the_journal(void **state)
{
    struct vnode *v;
    struct file *f;
    (void)state;
    char *data = pattern(100000, 4);
    rig_make("-b 1024", "16M");
    assert_int_equal(rig_create("f", S_IFREG | 0644, NULL), 0);
    assert_int_equal(rig_write("f", 0, data, 50000), 50000);
    assert_int_equal(rig_get("f", &v), 0);
    assert_int_equal(rig_fsync("f"), 0);
    assert_int_equal(vnode_file_create(v, NULL, O_RDWR, &f), 0);
    assert_int_equal(rig_write("f", 0, data + 1000, 30000), 30000);
    fake_blk_write_fail_after = 0; /* content in place: no journal is needed for it */
    assert_int_equal(f->ops->fsync(f, true), -EIO);
    fake_blk_write_fail_after = -1;
    assert_int_equal(f->ops->fsync(f, false), 0);
    assert_false(rig.fs->read_only);
    assert_int_equal(rig_create("g", S_IFREG | 0644, NULL), 0);
    fake_blk_write_fail_after = 0;
    assert_int_equal(fs_sync(rig.fs), -EIO);
    fake_blk_write_fail_after = -1;
    assert_true(rig.fs->read_only);
    unsigned before = fake_blk_writes;
    assert_int_equal(rig_create("h", S_IFREG | 0644, NULL), -EROFS);
    assert_int_equal(rig_write("f", 0, data, 10), -EROFS);
    assert_true(f->ops->fsync(f, false) < 0);
    file_put(f);
    vnode_put(v);
    rig_unmount();
    assert_int_equal(fake_blk_writes, before);
    rig_mount(); /* replays */
    assert_int_equal(rig_get("g", &v), -ENOENT);
    rig_end();
    free(data);
}

/* Whether a cut now would leave that file. */
static bool is_durable(const char *name)
{
    struct fs *live = rig.fs, *fs;
    struct blkdev dev;
    struct vnode *v;
    char *copy = malloc(rig.bytes);
    memcpy(copy, rig.image, rig.bytes);
    fake_blkdev_init(&dev, copy, rig.bytes);
    assert_int_equal(ext4_mount(&dev, false, &fs), 0);
    rig.fs = fs;
    bool there = !rig_get(name, &v);
    if (there)
        vnode_put(v);
    ext4_unmount(fs);
    rig.fs = live;
    free(copy);
    return there;
}

/* The transaction of a change is remembered even when the inode has left the memory meanwhile. */
static void fsync_of_what_was_opened_again(void **state)
{
    (void)state;
    rig_make("", "16M");
    assert_int_equal(rig_create("f", S_IFREG | 0644, NULL), 0);
    assert_int_equal(rig_fsync("f"), 0);
    assert_true(is_durable("f"));
    rig_end();
}

/* What was written in place through a mapping belongs to no transaction; sync flushes all the same.
 */
static void sync_flushes(void **state)
{
    struct vnode *v;
    struct page *p;
    (void)state;
    rig_make("", "16M");
    assert_int_equal(rig_create("f", S_IFREG | 0644, NULL), 0);
    assert_int_equal(rig_write("f", 0, "before", 6), 6);
    rig_unmount();
    rig_mount();
    for (unsigned again = 0; again < 2; again++) {
        assert_int_equal(rig_get("f", &v), 0);
        assert_int_equal(v->cache.ops->write_page(&v->cache, 0, NULL, &p), 0);
        memcpy(page_address(p), "mapped", 6);
        page_cache_dirty(&v->cache, p);
        page_put(p);
        unsigned writes = fake_blk_writes, flushes = fake_blk_flushes;
        assert_int_equal(again ? vnode_write_back(v) || v->ops->fsync(v, true) : fs_sync(rig.fs),
                         0);
        assert_true(fake_blk_writes > writes && fake_blk_flushes > flushes);
        vnode_put(v);
    }
    rig_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_written_without_need),
        cmocka_unit_test(files_are_made_and_removed),
        cmocka_unit_test(content_of_all_sizes),
        cmocka_unit_test(symlinks_and_devices),
        cmocka_unit_test(large_directories),
        cmocka_unit_test(deep_index),
        cmocka_unit_test(renames),
        cmocka_unit_test(truncate_and_holes),
        cmocka_unit_test(allocation),
        cmocka_unit_test(fragments),
        cmocka_unit_test(a_full_disk_is_no_disaster),
        cmocka_unit_test(inodes_run_out),
        cmocka_unit_test(open_files_outlive_their_names),
        cmocka_unit_test(inline_data_moves_out),
        cmocka_unit_test(extended_attributes),
        cmocka_unit_test(no_memory_is_an_errno),
        cmocka_unit_test(write_errors_end_the_journal),
        cmocka_unit_test(fsync_of_what_was_opened_again),
        cmocka_unit_test(sync_flushes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
