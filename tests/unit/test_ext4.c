/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ext4 reader against images that the host's mke2fs and debugfs make: every
 * variant holds the same tree, which is read back and compared. Then damage.
 */
#include "fs_test.h"

#include <unistd.h>

#include "fake_blkdev.h"
#include "fs/ext4/ext4.h"
#include "mem/page.h"

struct fs_context ctx; /* not used: these tests work on vnodes */

static char dir[64];
static struct blkdev dev;
static void *image;
static size_t image_bytes;
static unsigned big_count = 1500; /* files in tree/big */

static void run(const char *fmt, ...)
{
    char cmd[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(cmd, sizeof cmd, fmt, ap);
    va_end(ap);
    if (system(cmd)) {
        fprintf(stderr, "failed: %s\n", cmd);
        abort();
    }
}

/* A tree with something of everything, in `dir`/tree. */
static int make_tree(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/ext4-test-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    run("mkdir -p %s/tree/sub/deep %s/tree/big %s/tree/small && cd %s/tree && "
        "printf 'hello, world\\n' > hello && : > empty && "
        "seq 1 40000 > numbers && printf tiny > small/tiny && seq 1 30 > small/thirty && "
        "ln -s hello fast && ln -s sub/../sub/deep/../../hello dots && "
        "ln -s /$(printf 'x%%.0s' $(seq 1 200)) slow && ln hello hard && "
        "truncate -s 3500000000 sparse && printf middle | dd of=sparse bs=1 seek=3000000000 "
        "conv=notrunc status=none && touch -d '2040-05-06 07:08:09.123456789' empty && "
        "chmod 4751 hello && for i in $(seq 1 %u); do : > big/file-$i; done",
        dir, dir, dir, dir, big_count);
    return 0;
}

static int remove_tree(void **state)
{
    (void)state;
    run("rm -rf %s", dir);
    return 0;
}

static struct fs *mount_image(const char *options)
{
    struct fs *fs;
    char path[128];
    snprintf(path, sizeof path, "%s/image", dir);
    run("rm -f %s && mke2fs -q -q -F -L test %s -d %s/tree %s 48M > /dev/null 2>&1", path, options,
        dir, path);
    image = fake_image_load(path, &image_bytes);
    fake_blkdev_init(&dev, image, image_bytes);
    dev.read_only = true;
    assert_int_equal(ext4_mount(&dev, false, &fs), 0);
    return fs;
}

static void unmount_image(struct fs *fs)
{
    ext4_unmount(fs);
    free(image);
}

static int lookup(struct vnode *d, const char *name, struct vnode **out)
{
    mutex_lock(&d->lock);
    int err = d->ops->lookup ? d->ops->lookup(d, &(struct vnode_name){name, strlen(name)}, out)
                             : -ENOTDIR;
    mutex_unlock(&d->lock);
    return err;
}

static struct vnode *get(struct vnode *d, const char *name)
{
    struct vnode *v;
    assert_int_equal(lookup(d, name, &v), 0);
    return v;
}

/* Compares a file with the one in the tree, byte for byte. */
static void same_as_host(struct vnode *v, const char *name)
{
    char path[256];
    size_t n;
    snprintf(path, sizeof path, "%s/tree/%s", dir, name);
    char *want = fake_image_load(path, &n), *got = malloc(n + 1);
    assert_int_equal(v->size, n);
    assert_int_equal(vnode_read_kernel(v, got, n + 1, 0), n);
    assert_memory_equal(got, want, n);
    free(want);
    free(got);
}

static int count_name(void *arg, const char *name, size_t len, uint64_t ino, unsigned type,
                      uint64_t next)
{
    (void)name, (void)len, (void)ino, (void)type, (void)next;
    ++*(unsigned *)arg;
    return 0;
}

static unsigned entries(struct vnode *d)
{
    unsigned n = 0;
    uint64_t pos = 0;
    mutex_lock(&d->lock);
    assert_int_equal(d->ops->readdir(d, &pos, count_name, &n), 0);
    mutex_unlock(&d->lock);
    return n;
}

static void check_links(struct vnode *root)
{
    char text[PATH_LIMIT];
    struct vnode *fast = get(root, "fast"), *slow = get(root, "slow"), *hard = get(root, "hard");
    assert_int_equal(fast->ops->readlink(fast, text, sizeof text), 5);
    assert_memory_equal(text, "hello", 5);
    assert_int_equal(slow->ops->readlink(slow, text, sizeof text), 201);
    assert_memory_equal(text, "/xxxx", 5);
    assert_int_equal(hard->nlink, 2);
    assert_int_equal(hard->mode, S_IFREG | 04751);
    struct vnode *hello = get(root, "hello");
    assert_ptr_equal(hello, hard);
    vnode_put(hello);
    vnode_put(hard);
    vnode_put(fast);
    vnode_put(slow);
}

static void check_files(struct vnode *root)
{
    static const char *const names[] = {"hello", "numbers", "empty"};
    for (unsigned i = 0; i < 3; i++) {
        struct vnode *v = get(root, names[i]);
        same_as_host(v, names[i]);
        vnode_put(v);
    }
    struct vnode *small = get(root, "small");
    struct vnode *tiny = get(small, "tiny"), *thirty = get(small, "thirty"), *v;
    same_as_host(tiny, "small/tiny");
    same_as_host(thirty, "small/thirty");
    assert_int_equal(entries(small), 4);
    assert_int_equal(lookup(small, "none", &v), -ENOENT);
    vnode_put(tiny);
    vnode_put(thirty);
    vnode_put(small);
}

static void check_sparse(struct vnode *root)
{
    char text[8];
    struct vnode *v = get(root, "sparse");
    assert_true(v->size == 3500000000);
    assert_int_equal(vnode_read_kernel(v, text, 8, 2999999999), 8);
    assert_memory_equal(text, "\0middle", 8);
    assert_int_equal(vnode_read_kernel(v, text, 8, 3400000000), 8);
    assert_memory_equal(text, "\0\0\0\0\0\0\0\0", 8);
    vnode_put(v);
}

static void check_big(struct vnode *root)
{
    char name[32];
    struct vnode *big = get(root, "big"), *v;
    for (unsigned i = 1; i <= big_count; i += 37) {
        snprintf(name, sizeof name, "file-%u", i);
        v = get(big, name);
        vnode_put(v);
    }
    assert_int_equal(lookup(big, "file-0", &v), -ENOENT);
    snprintf(name, sizeof name, "file-%u", big_count + 1);
    assert_int_equal(lookup(big, name, &v), -ENOENT);
    assert_int_equal(entries(big), big_count + 2);
    vnode_put(big);
}

static void check_image(const char *options)
{
    struct fs *fs = mount_image(options);
    check_files(fs->root);
    check_links(fs->root);
    if (!strstr(options, "inline_data")) /* there mke2fs 1.47 itself cuts sparse files short */
        check_sparse(fs->root);
    check_big(fs->root);
    unmount_image(fs);
}

#define VARIANT(name, options)                                                                     \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        check_image(options);                                                                      \
    }
VARIANT(plain_4k, "-t ext4 -b 4096 -N 12000")
VARIANT(blocks_of_1k, "-t ext4 -b 1024 -N 12000")
VARIANT(blocks_of_2k, "-t ext4 -b 2048 -N 12000")
VARIANT(ext2_indirect_blocks, "-t ext2 -b 1024 -N 12000 -O ^resize_inode")
VARIANT(ext3_with_index, "-t ext3 -b 4096 -N 12000")
VARIANT(inline_data, "-t ext4 -O inline_data -I 256 -b 4096 -N 12000")
VARIANT(inline_data_large_inodes, "-t ext4 -O inline_data -I 1024 -b 4096 -N 12000")
VARIANT(no_checksums, "-t ext4 -O ^metadata_csum -b 4096 -N 12000")
VARIANT(old_group_checksums, "-t ext4 -O ^metadata_csum,uninit_bg -b 1024 -N 12000")
VARIANT(without_64bit, "-t ext4 -O ^64bit -b 4096 -N 12000")
VARIANT(meta_groups, "-t ext4 -O meta_bg,^resize_inode -b 1024 -N 12000")
VARIANT(seed_of_checksums, "-t ext4 -O metadata_csum_seed -b 4096 -N 12000")
VARIANT(small_inodes, "-t ext4 -I 128 -b 4096 -N 12000")
VARIANT(sparse_super2, "-t ext4 -O sparse_super2,^resize_inode -b 1024 -N 12000")

/* Makes the big directory an indexed one, as e2fsck -D does for mke2fs's linear ones. */
static void index_is_used(void **state)
{
    static const char *const hash[] = {"tea", "legacy", "half_md4"};
    static const char *const block[] = {"4096", "1024"};
    (void)state;
    for (unsigned h = 0; h < 6; h++) {
        struct fs *fs;
        char path[128];
        snprintf(path, sizeof path, "%s/image", dir);
        if (h == 5) { /* once with enough for two levels of index */
            big_count = 10000;
            run("cd %s/tree/big && for i in $(seq 1 %u); do : > file-$i; done", dir, big_count);
        }
        run("rm -f %s && mke2fs -q -F -t ext4 -b %s -N 12000 -d %s/tree %s 48M && "
            "tune2fs -E hash_alg=%s %s > /dev/null && { e2fsck -fyD %s > /dev/null 2>&1; test $? "
            "-le 1; }",
            path, block[h / 3], dir, path, hash[h % 3], path, path);
        image = fake_image_load(path, &image_bytes);
        fake_blkdev_init(&dev, image, image_bytes);
        assert_int_equal(ext4_mount(&dev, false, &fs), 0);
        struct vnode *v, *big = get(fs->root, "big");
        unsigned before = fake_blk_reads;
        v = get(big, "file-777");
        assert_true(fake_blk_reads - before < 12); /* not the whole directory */
        vnode_put(v);
        vnode_put(big);
        check_big(fs->root);
        unmount_image(fs);
    }
}

static void times_beyond_2038(void **state)
{
    char path[128];
    struct file_stat st;
    (void)state;
    struct fs *fs = mount_image("-t ext4 -b 4096 -N 12000 -I 256");
    unmount_image(fs);
    snprintf(path, sizeof path, "%s/image", dir);
    run("debugfs -w -R 'sif empty mtime 20400506070809' %s 2> /dev/null && "
        "debugfs -w -R 'sif empty mtime_extra 0x1d6f3455' %s 2> /dev/null",
        path, path);
    image = fake_image_load(path, &image_bytes);
    fake_blkdev_init(&dev, image, image_bytes);
    assert_int_equal(ext4_mount(&dev, false, &fs), 0);
    struct vnode *v = get(fs->root, "empty");
    vnode_stat(v, &st);
    assert_int_equal(st.mtime, 2219900889ll * 1000000000 + 123456789);
    vnode_put(v);
    unmount_image(fs);
}

static void probe_tells_the_label(void **state)
{
    char label[17];
    (void)state;
    struct fs *fs = mount_image("-t ext4 -N 12000");
    assert_int_equal(ext4_probe(&dev, label), 0);
    assert_string_equal(label, "test");
    unmount_image(fs);
    char zero[8192] = {0};
    fake_blkdev_init(&dev, zero, sizeof zero);
    assert_int_equal(ext4_probe(&dev, label), -EINVAL);
}

static void read_ahead_is_one_request(void **state)
{
    char *buf = malloc(1 << 20);
    (void)state;
    struct fs *fs = mount_image("-t ext4 -b 4096 -N 12000");
    struct vnode *v = get(fs->root, "numbers");
    unsigned before = fake_blk_reads;
    ssize_t n = vnode_read_kernel(v, buf, 1 << 20, 0);
    assert_true(n > 200000);
    assert_true(fake_blk_reads - before <= 5);
    before = fake_blk_reads;
    assert_int_equal(vnode_read_kernel(v, buf, 1 << 20, 0), n);
    assert_int_equal(fake_blk_reads, before); /* all of it cached */
    vnode_put(v);
    unmount_image(fs);
    free(buf);
}

static void faults_share_the_page_of_read(void **state)
{
    struct page *a, *b;
    char c;
    (void)state;
    struct fs *fs = mount_image("-t ext4 -b 1024 -N 12000");
    struct vnode *v = get(fs->root, "numbers");
    struct vm_object *o = &v->cache.object;
    assert_int_equal(o->ops->get_page(o, 20, false, &a), 0);
    unsigned before = fake_blk_reads;
    b = o->ops->find_page(o, 16); /* 64 KiB around came with it */
    assert_non_null(b);
    page_put(b);
    assert_int_equal(vnode_read_kernel(v, &c, 1, 20 * PAGE_SIZE), 1);
    assert_int_equal(fake_blk_reads, before);
    b = o->ops->find_page(o, 20);
    assert_ptr_equal(a, b);
    assert_int_equal(*(char *)page_address(a), c);
    page_put(a);
    page_put(b);
    assert_int_equal(o->ops->get_page(o, v->size / PAGE_SIZE + 1, false, &a), -EFAULT);
    assert_int_equal(o->ops->get_page(o, 0, true, &a), -EROFS);
    vnode_put(v);
    unmount_image(fs);
}

static void a_bad_sector_fails_only_itself(void **state)
{
    char c[16];
    (void)state;
    struct fs *fs = mount_image("-t ext4 -b 4096 -N 12000");
    struct vnode *v = get(fs->root, "numbers");
    struct page *p;
    assert_int_equal(page_cache_get(&v->cache, 8, 1, &p), 0);
    const char *at = memmem(image, image_bytes, page_address(p), PAGE_SIZE);
    assert_non_null(at);
    page_put(p);
    assert_int_equal(page_cache_drop(&v->cache, 0, UINT64_MAX), 1);
    fake_blk_bad = (uint64_t)(at - (char *)image) / 512;
    assert_int_equal(vnode_read_kernel(v, c, 16, 7 * PAGE_SIZE), 16);
    assert_int_equal(vnode_read_kernel(v, c, 16, 8 * PAGE_SIZE), -EIO);
    fake_blk_bad = UINT64_MAX;
    assert_int_equal(vnode_read_kernel(v, c, 16, 8 * PAGE_SIZE), 16);
    vnode_put(v);
    unmount_image(fs);
}

static void unknown_features_are_refused(void **state)
{
    struct fs *fs;
    (void)state;
    fs = mount_image("-t ext4 -O ^metadata_csum -N 12000");
    ext4_unmount(fs);
    uint8_t *sb = (uint8_t *)image + 1024;
    sb[0x60 + 2] |= 1; /* incompat: encrypt */
    assert_int_equal(ext4_mount(&dev, false, &fs), -EINVAL);
    sb[0x60 + 2] &= 0xfe;
    sb[0x64 + 3] |= 0x80; /* ro_compat: unknown, fine for reading */
    assert_int_equal(ext4_mount(&dev, false, &fs), 0);
    unmount_image(fs);
}

/* Walks everything up to a bound; only errors may come of damage. */
static void walk_all(struct vnode *d, int depth, unsigned *budget);

struct names {
    char name[64][256];
    unsigned count;
};

static int keep_name(void *arg, const char *name, size_t len, uint64_t ino, unsigned type,
                     uint64_t next)
{
    struct names *n = arg;
    (void)ino, (void)type, (void)next;
    if (n->count == 64)
        return 1;
    snprintf(n->name[n->count++], 256, "%.*s", (int)len, name);
    return 0;
}

static void walk_file(struct vnode *v)
{
    char buf[8192];
    if (vnode_is_link(v)) {
        v->ops->readlink(v, buf, sizeof buf);
        return;
    }
    for (uint64_t off = 0; off < 3; off++)
        vnode_read_kernel(v, buf, sizeof buf, v->size * off / 3);
}

static void walk_all(struct vnode *d, int depth, unsigned *budget)
{
    struct names *n = calloc(1, sizeof *n);
    uint64_t pos = 0;
    d->ops->readdir(d, &pos, keep_name, n);
    for (unsigned i = 0; i < n->count && *budget; i++) {
        struct vnode *v;
        --*budget;
        if (!strcmp(n->name[i], ".") || !strcmp(n->name[i], ".."))
            continue;
        if (lookup(d, n->name[i], &v))
            continue;
        if (!vnode_is_dir(v))
            walk_file(v);
        else if (depth < 6)
            walk_all(v, depth + 1, budget);
        vnode_put(v);
    }
    free(n);
}

/* Flips bits all over the metadata of an image; returns how many mounts were refused. */
static void damage(const char *options, unsigned rounds)
{
    struct fs *fs = mount_image(options);
    ext4_unmount(fs);
    uint8_t *clean = malloc(image_bytes);
    memcpy(clean, image, image_bytes);
    dev.read_only = false;
    srand(7);
    for (unsigned i = 0; i < rounds; i++) {
        unsigned budget = 300;
        for (unsigned k = 0; k < 1 + i % 40; k++) {
            /* Most of the metadata is at the front. */
            size_t at = (size_t)rand() % (i & 1 ? 8192 : 4 << 20);
            ((uint8_t *)image)[at] ^= (uint8_t)(1 << rand() % 8);
        }
        if (!ext4_mount(&dev, false, &fs)) {
            walk_all(fs->root, 0, &budget);
            ext4_unmount(fs);
        }
        memcpy(image, clean, MIN(image_bytes, (size_t)8 << 20));
    }
    free(clean);
    free(image);
}

static void damage_with_checksums(void **state)
{
    (void)state;
    damage("-t ext4 -b 1024 -N 12000 -O inline_data", 600);
}

static void damage_without_checksums(void **state)
{
    (void)state;
    damage("-t ext4 -b 1024 -N 12000 -O ^metadata_csum", 1500);
}

static void damage_of_indirect_blocks(void **state)
{
    (void)state;
    damage("-t ext2 -b 1024 -N 12000", 800);
}

/* One flipped bit in the checksummed block that holds `what` gives -EIO. */
static void flip_found(const void *what, size_t n, size_t offset, int (*use)(struct fs *fs))
{
    struct fs *fs;
    uint8_t *at = memmem(image, image_bytes, what, n);
    assert_non_null(at);
    assert_int_equal(ext4_mount(&dev, false, &fs), 0);
    assert_int_equal(use(fs), 0);
    ext4_unmount(fs);
    at[offset] ^= 4;
    assert_int_equal(ext4_mount(&dev, false, &fs), 0);
    assert_int_equal(use(fs), -EIO);
    ext4_unmount(fs);
    at[offset] ^= 4;
}

static int use_deep(struct fs *fs)
{
    struct vnode *sub, *deep;
    int err = lookup(fs->root, "sub", &sub);
    if (err)
        return err;
    err = lookup(sub, "deep", &deep);
    if (!err)
        vnode_put(deep);
    vnode_put(sub);
    return err;
}

static int use_numbers(struct fs *fs)
{
    struct vnode *v;
    char c;
    int err = lookup(fs->root, "numbers", &v);
    if (err)
        return err;
    ssize_t n = vnode_read_kernel(v, &c, 1, 0);
    vnode_put(v);
    return n == 1 ? 0 : (int)n;
}

static void flipped_bits_are_found(void **state)
{
    (void)state;
    struct fs *fs = mount_image("-t ext4 -b 1024 -N 12000");
    struct vnode *v = get(fs->root, "numbers"), *sub = get(fs->root, "sub");
    uint8_t inode[8];
    /* The inode by mode, uid, size; the directory by its entry "deep". */
    uint32_t size = (uint32_t)v->size;
    memcpy(inode, "\xa4\x81\0\0", 4);
    memcpy(inode + 4, &size, 4);
    vnode_put(v);
    vnode_put(sub);
    ext4_unmount(fs);
    flip_found("\4\2deep", 6, 3, use_deep);
    uint8_t *at = memmem(image, image_bytes, &size, 4);
    assert_non_null(at);
    flip_found(at - 4, 8, 0x18, use_numbers);
    free(image);
}

/* Many extents in a tree of more than one level, and one that was never written. */
static void fragmented_file(void **state)
{
    struct fs *fs;
    char path[128];
    (void)state;
    snprintf(path, sizeof path, "%s/image", dir);
    run("rm -f %s && mke2fs -q -F -t ext4 -b 1024 %s 16M && cd %s && "
        "python3 -c \"import os; f=open('holes','wb'); "
        "[(f.seek(i*2048), f.write(b'%%04d' %% i + b'.'*1020)) for i in range(1500)]; f.close()\" "
        "&& "
        "debugfs -w -R 'write holes holes' %s 2>/dev/null && "
        "debugfs -w -R 'write /dev/null unwritten' %s 2>/dev/null && "
        "debugfs -w -R 'fallocate unwritten 0 63' %s 2>/dev/null && "
        "debugfs -w -R 'sif unwritten size 65536' %s 2>/dev/null",
        path, path, dir, path, path, path, path);
    image = fake_image_load(path, &image_bytes);
    fake_blkdev_init(&dev, image, image_bytes);
    assert_int_equal(ext4_mount(&dev, false, &fs), 0);
    struct vnode *v = get(fs->root, "holes");
    char text[8], want[8];
    assert_true(v->blocks >= 3000);
    for (unsigned i = 0; i < 1500; i += 7) {
        assert_int_equal(vnode_read_kernel(v, text, 4, i * 2048), 4);
        snprintf(want, sizeof want, "%04u", i);
        assert_memory_equal(text, want, 4);
        if (i < 1490)
            assert_int_equal(vnode_read_kernel(v, text, 4, i * 2048 + 1024), 4);
    }
    vnode_put(v);
    v = get(fs->root, "unwritten");
    char zero[4096] = {1};
    assert_int_equal(vnode_read_kernel(v, zero, 4096, 8192), 4096);
    for (unsigned i = 0; i < 4096; i++)
        assert_int_equal(zero[i], 0);
    vnode_put(v);
    unmount_image(fs);
}

static void unused_pages_are_reclaimed(void **state)
{
    char *buf = malloc(1 << 20);
    (void)state;
    struct fs *fs = mount_image("-t ext4 -N 12000");
    struct vnode *v = get(fs->root, "numbers");
    struct page *p;
    vnode_read_kernel(v, buf, 1 << 20, 0);
    assert_int_equal(page_cache_get(&v->cache, 3, 1, &p), 0);
    uint64_t before = v->cache.count;
    assert_true(page_cache_reclaim(1000000) >= before - 1);
    assert_int_equal(v->cache.count, 1); /* the one in use */
    page_put(p);
    same_as_host(v, "numbers");
    vnode_put(v);
    unmount_image(fs);
    free(buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_4k),
        cmocka_unit_test(blocks_of_1k),
        cmocka_unit_test(blocks_of_2k),
        cmocka_unit_test(ext2_indirect_blocks),
        cmocka_unit_test(ext3_with_index),
        cmocka_unit_test(inline_data),
        cmocka_unit_test(inline_data_large_inodes),
        cmocka_unit_test(no_checksums),
        cmocka_unit_test(old_group_checksums),
        cmocka_unit_test(without_64bit),
        cmocka_unit_test(meta_groups),
        cmocka_unit_test(seed_of_checksums),
        cmocka_unit_test(small_inodes),
        cmocka_unit_test(sparse_super2),

        cmocka_unit_test(times_beyond_2038),
        cmocka_unit_test(probe_tells_the_label),
        cmocka_unit_test(read_ahead_is_one_request),
        cmocka_unit_test(faults_share_the_page_of_read),
        cmocka_unit_test(a_bad_sector_fails_only_itself),
        cmocka_unit_test(unknown_features_are_refused),
        cmocka_unit_test(flipped_bits_are_found),
        cmocka_unit_test(fragmented_file),
        cmocka_unit_test(unused_pages_are_reclaimed),
        cmocka_unit_test(damage_with_checksums),
        cmocka_unit_test(damage_without_checksums),
        cmocka_unit_test(damage_of_indirect_blocks),
        cmocka_unit_test(index_is_used),
    };
    return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
