/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random operations on ext4, each compared with a model in memory: what it
 * answers, and from time to time the whole tree, after a sync, after memory
 * pressure, after a remount with e2fsck in between. EXT4_STEPS=n: more of them.
 */
#include "ext4_rig.h"

#include <linux/falloc.h>

#define DIRS        4
#define NAMES       40
#define INODES      (DIRS * NAMES)
#define CONTENT_MAX 200000

struct model_inode {
    uint32_t mode; /* 0: not in use */
    unsigned nlink;
    size_t size;
    char *data; /* content, or the link's text */
    uint32_t perm;
};

static struct model_inode inode[INODES];
static bool extents;
static size_t block_size;
static int entry[DIRS][NAMES]; /* inode index, -1: none */

struct where {
    int dir, name;
    char path[80];
};

static struct where pick(void)
{
    struct where w = {rand() % DIRS, rand() % NAMES, ""};
    snprintf(w.path, sizeof w.path, "d%d/%s%d", w.dir,
             w.name % 3 ? "n" : "a name that is somewhat longer than the others ", w.name);
    return w;
}

static struct model_inode *at(const struct where *w)
{
    int i = entry[w->dir][w->name];
    return i < 0 ? NULL : &inode[i];
}

static bool is_file(const struct model_inode *m)
{
    return m && S_ISREG(m->mode);
}

static void drop(const struct where *w)
{
    struct model_inode *m = at(w);
    entry[w->dir][w->name] = -1;
    if (--m->nlink == 0) {
        free(m->data);
        *m = (struct model_inode){0};
    }
}

static void do_create(void)
{
    struct where w = pick();
    static const uint32_t kinds[] = {S_IFREG, S_IFREG, S_IFREG, S_IFDIR, S_IFLNK};
    uint32_t mode = kinds[rand() % 5] | 0600;
    char text[400];
    size_t len = (size_t)rand() % 390 + 1;
    memset(text, 'a' + rand() % 26, len);
    text[len] = 0;
    int err = rig_create(w.path, mode, text);
    assert_int_equal(err, at(&w) ? -EEXIST : 0);
    if (err)
        return;
    int i = 0;
    while (inode[i].mode)
        i++;
    entry[w.dir][w.name] = i;
    inode[i] = (struct model_inode){.mode = mode, .nlink = 1};
    inode[i].data = calloc(1, CONTENT_MAX);
    if (S_ISLNK(mode)) {
        inode[i].size = len;
        memcpy(inode[i].data, text, len);
    }
}

static void do_write(void)
{
    struct where w = pick();
    struct model_inode *m = at(&w);
    size_t off = rand() % 3 && is_file(m) ? m->size : (size_t)rand() % (CONTENT_MAX / 2);
    size_t n = (size_t)rand() % (rand() % 4 ? 5000 : CONTENT_MAX / 4) + 1;
    if (!is_file(m) || off + n > CONTENT_MAX)
        return;
    char *buf = malloc(n);
    int c = rand();
    for (size_t i = 0; i < n; i++)
        buf[i] = (char)(c + (int)(i * 3 + i / 300));
    assert_int_equal(rig_write(w.path, off, buf, n), n);
    memcpy(m->data + off, buf, n);
    m->size = off + n > m->size ? off + n : m->size;
    free(buf);
}

static void do_truncate(void)
{
    struct where w = pick();
    struct model_inode *m = at(&w);
    size_t size = (size_t)rand() % CONTENT_MAX;
    if (!is_file(m))
        return;
    assert_int_equal(rig_truncate(w.path, size), 0);
    if (size < m->size)
        memset(m->data + size, 0, CONTENT_MAX - size);
    m->size = size;
}

static void do_allocate(void)
{
    static const int modes[] = {0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                FALLOC_FL_ZERO_RANGE, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE};
    struct where w = pick();
    struct model_inode *m = at(&w);
    int mode = modes[rand() % 5];
    size_t off = (size_t)rand() % (CONTENT_MAX / 2), n = (size_t)rand() % 30000 + 1;
    if (!is_file(m))
        return;
    if (!extents && !(mode & FALLOC_FL_PUNCH_HOLE)) {
        assert_int_equal(rig_allocate(w.path, mode, off, n), -EOPNOTSUPP);
        return;
    }
    assert_int_equal(rig_allocate(w.path, mode, off, n), 0);
    if (mode & ~FALLOC_FL_KEEP_SIZE)
        memset(m->data + off, 0, n);
    if (!(mode & FALLOC_FL_KEEP_SIZE) && off + n > m->size)
        m->size = off + n;
}

/* Takes whole blocks out of a file or puts a hole between them. */
static void do_shift(void)
{
    struct where w = pick();
    struct model_inode *m = at(&w);
    bool insert = rand() & 1;
    size_t unit = rand() % 8 ? 4096 : 512, off = (size_t)rand() % 20 * unit;
    size_t n = ((size_t)rand() % 12 + 1) * unit;
    int want = 0;
    if (!is_file(m) || m->size + n > CONTENT_MAX)
        return;
    if (!extents)
        want = -EOPNOTSUPP;
    else if (unit == 512 && (off | n) & (block_size - 1))
        want = -EINVAL;
    else if (insert ? off >= m->size : off + n >= m->size)
        want = -EINVAL;
    int mode = insert ? FALLOC_FL_INSERT_RANGE : FALLOC_FL_COLLAPSE_RANGE;
    assert_int_equal(rig_allocate(w.path, mode, off, n), want);
    if (want)
        return;
    if (insert) {
        memmove(m->data + off + n, m->data + off, m->size - off);
        memset(m->data + off, 0, n);
        m->size += n;
    } else {
        memmove(m->data + off, m->data + off + n, m->size - off - n);
        m->size -= n;
        memset(m->data + m->size, 0, n);
    }
}

static void do_unlink(void)
{
    struct where w = pick();
    assert_int_equal(rig_unlink(w.path), at(&w) ? 0 : -ENOENT);
    if (at(&w))
        drop(&w);
}

static void do_link(void)
{
    struct where a = pick(), b = pick();
    struct model_inode *m = at(&a);
    int want = !m ? -ENOENT : S_ISDIR(m->mode) ? -EPERM : at(&b) ? -EEXIST : 0;
    assert_int_equal(rig_link(a.path, b.path), want);
    if (want)
        return;
    m->nlink++;
    entry[b.dir][b.name] = entry[a.dir][a.name];
}

static void do_rename(void)
{
    struct where a = pick(), b = pick();
    struct model_inode *m = at(&a), *v = at(&b);
    unsigned flags = rand() % 4 ? 0 : RENAME_SWAP;
    int want = 0;
    if (!m || (flags && !v))
        want = -ENOENT;
    else if (v && !flags && S_ISDIR(m->mode) != S_ISDIR(v->mode))
        want = S_ISDIR(m->mode) ? -ENOTDIR : -EISDIR;
    assert_int_equal(rig_rename(a.path, b.path, flags), want);
    if (want || m == v)
        return;
    int i = entry[a.dir][a.name];
    if (flags) {
        entry[a.dir][a.name] = entry[b.dir][b.name];
    } else {
        if (v)
            drop(&b);
        entry[a.dir][a.name] = -1;
    }
    entry[b.dir][b.name] = i;
}

static void do_mode(void)
{
    struct where w = pick();
    struct vnode *v;
    if (!at(&w))
        return;
    assert_int_equal(rig_get(w.path, &v), 0);
    at(&w)->perm = (uint32_t)rand() & 0777;
    struct vnode_attr a = {.mask = ATTR_MODE, .mode = at(&w)->perm};
    assert_int_equal(vnode_setattr(v, &a), 0);
    at(&w)->mode = (at(&w)->mode & S_IFMT) | at(&w)->perm;
    vnode_put(v);
}

static void check_one(const struct where *w)
{
    const struct model_inode *m = at(w);
    static char got[CONTENT_MAX + 1];
    struct vnode *v;
    int err = rig_get(w->path, &v);
    assert_int_equal(err, m ? 0 : -ENOENT);
    if (err)
        return;
    assert_int_equal(v->mode & S_IFMT, m->mode & S_IFMT);
    if (is_file(m)) {
        assert_int_equal(v->mode, m->mode);
        assert_int_equal(v->nlink, m->nlink);
        assert_int_equal(v->size, m->size);
        assert_int_equal(vnode_read_kernel(v, got, sizeof got, 0), m->size);
        for (size_t i = 0; i < m->size; i++)
            if (got[i] != m->data[i])
                fail_msg("%s differs at %zu of %zu: %02x, not %02x", w->path, i, m->size,
                         (uint8_t)got[i], (uint8_t)m->data[i]);
    } else if (S_ISLNK(m->mode)) {
        assert_int_equal(v->ops->readlink(v, got, sizeof got), m->size);
        assert_memory_equal(got, m->data, m->size);
    } else {
        assert_int_equal(v->nlink, 2);
    }
    vnode_put(v);
}

static int count_name(void *arg, const char *name, size_t len, uint64_t ino, unsigned type,
                      uint64_t next)
{
    (void)name, (void)len, (void)ino, (void)type, (void)next;
    ++*(unsigned *)arg;
    return 0;
}

static void check_all(void)
{
    for (int d = 0; d < DIRS; d++) {
        unsigned names = 2, found = 0;
        char path[16];
        struct vnode *v;
        uint64_t pos = 0;
        for (int n = 0; n < NAMES; n++) {
            struct where w = {d, n, ""};
            snprintf(w.path, sizeof w.path, "d%d/%s%d", d,
                     n % 3 ? "n" : "a name that is somewhat longer than the others ", n);
            check_one(&w);
            names += entry[d][n] >= 0;
        }
        snprintf(path, sizeof path, "d%d", d);
        assert_int_equal(rig_get(path, &v), 0);
        assert_int_equal(v->ops->readdir(v, &pos, count_name, &found), 0);
        assert_int_equal(found, names);
        vnode_put(v);
    }
}

static void step(void)
{
    static void (*const ops[])(void) = {do_create,   do_create, do_write,  do_write, do_write,
                                        do_truncate, do_unlink, do_rename, do_link,  do_allocate,
                                        do_shift,    do_shift,  do_mode};
    ops[(size_t)rand() % (sizeof ops / sizeof ops[0])]();
    switch (rand() % 400) {
    case 0:
        fs_sync(rig.fs);
        break;
    case 1:
        page_cache_reclaim(100000);
        break;
    case 2:
        check_all();
        break;
    case 3:
        rig_unmount();
        rig_check();
        rig_mount();
        check_all();
    }
}

static void model(const char *options, const char *size, unsigned seed)
{
    const char *n = getenv("EXT4_STEPS");
    unsigned steps = n ? (unsigned)atoi(n) : 2500;
    rig_make(options, size);
    struct fs_stats st;
    rig.fs->ops->statfs(rig.fs, &st);
    block_size = st.block_size;
    extents = !strstr(options, "^extent") && !strstr(options, "-t ext");
    for (int d = 0; d < DIRS; d++) {
        char path[16];
        snprintf(path, sizeof path, "d%d", d);
        assert_int_equal(rig_create(path, S_IFDIR | 0755, NULL), 0);
    }
    for (int i = 0; i < INODES; i++)
        entry[i / NAMES][i % NAMES] = -1;
    srand(seed);
    while (steps--)
        step();
    check_all();
    rig_unmount();
    rig_check();
    rig_mount();
    check_all();
    rig_end();
    for (int i = 0; i < INODES; i++) {
        free(inode[i].data);
        inode[i] = (struct model_inode){0};
    }
}

#define VARIANT(name, options, seed)                                                               \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        model(options, "64M", seed);                                                               \
    }
VARIANT(as_usual, "", 1)
VARIANT(blocks_of_1k, "-b 1024", 2)
VARIANT(blocks_of_2k_without_journal, "-b 2048 -O ^has_journal", 3)
VARIANT(without_checksums, "-b 1024 -O ^metadata_csum,^64bit", 4)
VARIANT(old_checksums_small_inodes, "-b 4096 -O ^metadata_csum,uninit_bg,^64bit -I 128", 5)
VARIANT(small_groups, "-b 1024 -g 1024 -O ^flex_bg,^resize_inode -J size=1", 6)
VARIANT(without_extents, "-b 1024 -O ^extent,^64bit", 7)
VARIANT(ext3, "-t ext3 -b 4096", 8)
VARIANT(ext2_in_small_groups, "-t ext2 -b 1024 -g 1024 -O ^resize_inode", 9)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_usual),
        cmocka_unit_test(blocks_of_1k),
        cmocka_unit_test(blocks_of_2k_without_journal),
        cmocka_unit_test(without_checksums),
        cmocka_unit_test(old_checksums_small_inodes),
        cmocka_unit_test(small_groups),
        cmocka_unit_test(without_extents),
        cmocka_unit_test(ext3),
        cmocka_unit_test(ext2_in_small_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
