/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4: extended attributes, behind the fields of a large inode and in one block.
 * An entry is {name length 1, name index 1, value offset 2, inode 4, size 4, hash 4,
 * name}; values stand at the end of the room. A change loads all of them, changes
 * the list and lays both places out anew. `struct attrs` is that list; names and
 * values point into copies. Lock: the vnode's.
 */
#include <linux/errno.h>
#include <linux/xattr.h>

#include "fs/ext4/ext4_fs.h"
#include "fs/xattr.h"
#include "lib/crc.h"
#include "mem/kmalloc.h"

#define ATTR_MAGIC   0xea020000u
#define ENTRY_SIZE   16
#define INDEX_SYSTEM 7
#define CREDITS      10

/* The block's header. */
enum { BH_REFS = 4, BH_BLOCKS = 8, BH_HASH = 12, BH_CHECKSUM = 16, BH_SIZE = 32 };

struct attr {
    const char *name;
    const uint8_t *value;
    uint32_t size, hash;
    uint8_t index, name_len;
    bool in_inode;
};

struct attrs {
    struct ext4_inode *n;
    uint8_t *body, *block; /* copies; NULL: there is none */
    uint32_t body_at, body_size;
    struct attr *a;
    unsigned count, room;
};

static const struct {
    uint8_t index;
    const char *prefix;
} prefixes[] = {
    {1, XATTR_USER_PREFIX},    {2, "system.posix_acl_access"}, {3, "system.posix_acl_default"},
    {4, XATTR_TRUSTED_PREFIX}, {6, XATTR_SECURITY_PREFIX},
};

static int attrs_add(struct attrs *s, const struct attr *a)
{
    if (s->count == s->room) {
        unsigned room = s->room ? s->room * 2 : 8;
        struct attr *more = krealloc(s->a, room * sizeof *more);
        if (!more)
            return -ENOMEM;
        s->a = more;
        s->room = room;
    }
    s->a[s->count++] = *a;
    return 0;
}

/* Entries of a region from `at` on; offsets of values count from `base`. */
static int region_parse(struct attrs *s, const uint8_t *data, uint32_t size, uint32_t at,
                        uint32_t base, bool in_inode)
{
    struct ext4_fs *fs = ext4_fs(&s->n->v);
    while (at + 4 <= size && le32(data + at)) {
        const uint8_t *e = data + at;
        if (at + ENTRY_SIZE > size || at + ENTRY_SIZE + e[0] > size || le32(e + 4))
            return ext4_bad(fs, "attribute of inode", s->n->v.ino);
        uint32_t off = base + le16(e + 2), length = le32(e + 8);
        if (length && (off > size || length > size - off))
            return ext4_bad(fs, "attribute value of inode", s->n->v.ino);
        int err = attrs_add(s, &(struct attr){.name = (const char *)e + ENTRY_SIZE,
                                              .value = data + off,
                                              .size = length,
                                              .hash = le32(e + 12),
                                              .index = e[1],
                                              .name_len = e[0],
                                              .in_inode = in_inode});
        if (err)
            return err;
        at += ALIGN_UP(ENTRY_SIZE + e[0], 4u);
    }
    return 0;
}

static uint32_t block_csum(struct ext4_fs *fs, uint64_t number, const uint8_t *data)
{
    static const uint8_t zero[4];
    uint32_t c = crc32c(fs->seed, &number, sizeof number);
    c = crc32c(c, data, BH_CHECKSUM);
    c = crc32c(c, zero, sizeof zero);
    return crc32c(c, data + BH_CHECKSUM + 4, fs->block_size - BH_CHECKSUM - 4);
}

static bool block_sealed(struct ext4_fs *fs, const struct ext4_block *b)
{
    return !fs->csum || block_csum(fs, b->number, b->data) == le32(b->data + BH_CHECKSUM);
}

static int block_get(struct ext4_inode *n, struct ext4_block *b)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    int err = ext4_block_get(fs, n->xattr_block, b);
    if (err)
        return err;
    bool again = fs->csum && !mutex_held(&fs->op) && !block_sealed(fs, b);
    if (again) /* another inode may share it, and give it up just now */
        mutex_lock(&fs->op);
    if (le32(b->data) != ATTR_MAGIC || le32(b->data + BH_BLOCKS) != 1 || !le32(b->data + BH_REFS) ||
        !block_sealed(fs, b))
        err = ext4_bad(fs, "attribute block of inode", n->v.ino);
    if (again)
        mutex_unlock(&fs->op);
    if (err)
        ext4_block_put(b);
    return err;
}

static void attrs_free(struct attrs *s)
{
    kfree(s->body);
    kfree(s->block);
    kfree(s->a);
}

static int attrs_load(struct ext4_inode *n, struct attrs *s)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    struct ext4_block b;
    uint32_t offset, extra;
    *s = (struct attrs){.n = n};
    int err = ext4_inode_block(fs, n->v.ino, &b, &offset);
    if (err)
        return err;
    extra = fs->inode_size > IN_SIZE_MIN ? le16(b.data + offset + IN_EXTRA_SIZE) : 0;
    if (extra >= 4 && IN_SIZE_MIN + extra + 8 <= fs->inode_size) {
        s->body_at = IN_SIZE_MIN + extra;
        s->body_size = fs->inode_size - s->body_at;
        s->body = kmemdup(b.data + offset + s->body_at, s->body_size);
        err = s->body ? 0 : -ENOMEM;
    }
    ext4_block_put(&b);
    if (!err && s->body && le32(s->body) == ATTR_MAGIC)
        err = region_parse(s, s->body, s->body_size, 4, 4, true);
    if (!err && n->xattr_block && !(err = block_get(n, &b))) {
        s->block = kmemdup(b.data, fs->block_size);
        err = s->block ? 0 : -ENOMEM;
        ext4_block_put(&b);
        if (!err)
            err = region_parse(s, s->block, fs->block_size, BH_SIZE, 0, false);
    }
    if (err)
        attrs_free(s);
    return err;
}

/* Splits "user.name" into the index of its prefix and the rest. */
static int name_split(const char *name, uint8_t *index, const char **rest)
{
    for (unsigned i = 0; i < ARRAY_SIZE(prefixes); i++) {
        size_t n = strlen(prefixes[i].prefix);
        bool whole = prefixes[i].prefix[n - 1] != '.';
        if (strncmp(name, prefixes[i].prefix, n) || (whole && name[n]))
            continue;
        *index = prefixes[i].index;
        *rest = name + n;
        return 0;
    }
    return -EOPNOTSUPP;
}

static struct attr *attr_find(const struct attrs *s, uint8_t index, const char *name)
{
    for (unsigned i = 0; i < s->count; i++)
        if (s->a[i].index == index && s->a[i].name_len == strlen(name) &&
            !memcmp(s->a[i].name, name, s->a[i].name_len))
            return &s->a[i];
    return NULL;
}

int ext4_xattr_get(struct vnode *v, const char *name, void *value, size_t size)
{
    struct attrs s;
    uint8_t index;
    int err = name_split(name, &index, &name);
    if (!err)
        err = attrs_load(ext4_inode(v), &s);
    if (err)
        return err;
    const struct attr *a = attr_find(&s, index, name);
    int result = a ? (int)a->size : -ENODATA;
    if (a && size && size < a->size)
        result = -ERANGE;
    else if (a && size)
        memcpy(value, a->value, a->size);
    attrs_free(&s);
    return result;
}

static const char *prefix_of(uint8_t index)
{
    for (unsigned i = 0; i < ARRAY_SIZE(prefixes); i++)
        if (prefixes[i].index == index)
            return prefixes[i].prefix;
    return NULL;
}

int ext4_xattr_list(struct vnode *v, char *list, size_t size)
{
    struct attrs s;
    size_t at = 0;
    int err = attrs_load(ext4_inode(v), &s);
    if (err)
        return err;
    for (unsigned i = 0; i < s.count; i++) {
        const char *prefix = prefix_of(s.a[i].index);
        size_t n = prefix ? strlen(prefix) : 0, all = n + s.a[i].name_len + 1;
        if (!prefix)
            continue;
        if (size && at + all > size) {
            err = -ERANGE;
            break;
        }
        if (size) {
            memcpy(list + at, prefix, n);
            memcpy(list + at + n, s.a[i].name, s.a[i].name_len);
            list[at + all - 1] = 0;
        }
        at += all;
    }
    attrs_free(&s);
    return err ? err : (int)at;
}

static uint32_t attr_hash(const struct attr *a)
{
    uint32_t h = 0;
    for (unsigned i = 0; i < a->name_len; i++)
        h = h << 5 ^ h >> 27 ^ (uint8_t)a->name[i];
    for (uint32_t i = 0; i < a->size; i += 4) {
        uint32_t word = 0;
        memcpy(&word, a->value + i, MIN(a->size - i, 4u));
        h = h << 16 ^ h >> 16 ^ word;
    }
    return h;
}

static uint32_t attr_room(const struct attr *a)
{
    return ALIGN_UP(ENTRY_SIZE + a->name_len, 4u) + ALIGN_UP(a->size, 4u);
}

/* Where each attribute goes: those that were in the inode first. False: they do not fit. */
static bool attrs_place(struct attrs *s, bool *block_needed)
{
    struct ext4_fs *fs = ext4_fs(&s->n->v);
    uint32_t body = s->body ? s->body_size - 8 : 0, block = fs->block_size - BH_SIZE - 4;
    *block_needed = false;
    for (unsigned turn = 0; turn < 2; turn++)
        for (unsigned i = 0; i < s->count; i++) {
            struct attr *a = &s->a[i];
            uint32_t need = attr_room(a);
            if (a->in_inode == (turn != 0))
                continue;
            bool fits = need <= body;
            if (!fits && (need > block || a->index == INDEX_SYSTEM))
                return false;
            *(fits ? &body : &block) -= need;
            a->in_inode = fits;
            *block_needed |= !fits;
            if (turn == 0 && !fits)
                a->in_inode = false;
        }
    return true;
}

/* By index, length, name: the order of entries in a block. */
static bool attr_before(const struct attr *a, const struct attr *b)
{
    if (a->index != b->index)
        return a->index < b->index;
    if (a->name_len != b->name_len)
        return a->name_len < b->name_len;
    return memcmp(a->name, b->name, a->name_len) < 0;
}

static void attrs_sort(struct attrs *s)
{
    for (unsigned i = 1; i < s->count; i++) {
        struct attr x = s->a[i];
        unsigned k = i;
        for (; k && attr_before(&x, &s->a[k - 1]); k--)
            s->a[k] = s->a[k - 1];
        s->a[k] = x;
    }
}

/* Writes the entries of one place into `data`, zeroed; they fit. Returns the hash of all. */
static uint32_t region_encode(const struct attrs *s, uint8_t *data, uint32_t size, uint32_t at,
                              uint32_t base, bool in_inode)
{
    uint32_t end = size, hash = 0;
    for (unsigned i = 0; i < s->count; i++) {
        const struct attr *a = &s->a[i];
        if (a->in_inode != in_inode)
            continue;
        end -= ALIGN_UP(a->size, 4u);
        data[at] = a->name_len;
        data[at + 1] = a->index;
        put16(data + at + 2, a->size ? end - base : 0);
        put32(data + at + 8, a->size);
        put32(data + at + 12, attr_hash(a));
        memcpy(data + at + ENTRY_SIZE, a->name, a->name_len);
        memcpy(data + end, a->value, a->size);
        at += ALIGN_UP(ENTRY_SIZE + a->name_len, 4u);
        hash = hash << 16 ^ hash >> 16 ^ attr_hash(a);
    }
    return hash;
}

static void body_write(uint8_t *raw, void *arg)
{
    const struct attrs *s = arg;
    uint8_t *body = raw + s->body_at;
    if (!s->body)
        return;
    memset(body, 0, s->body_size);
    for (unsigned i = 0; i < s->count; i++)
        if (s->a[i].in_inode)
            put32(body, ATTR_MAGIC);
    region_encode(s, body, s->body_size, 4, 4, true);
}

/* One user of the block less; the last one frees it. */
static int block_release(struct ext4_inode *n)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    struct ext4_block b;
    int err = block_get(n, &b);
    if (err)
        return err;
    uint32_t refs = le32(b.data + BH_REFS);
    if (refs > 1) {
        err = ext4_block_change(fs, &b);
        if (!err) {
            put32(b.data + BH_REFS, refs - 1);
            if (fs->csum)
                put32(b.data + BH_CHECKSUM, block_csum(fs, b.number, b.data));
        }
    }
    ext4_block_put(&b);
    if (!err && refs == 1)
        err = ext4_free(fs, n->xattr_block, 1, true);
    if (!err) {
        n->xattr_block = 0;
        n->v.blocks -= fs->block_size / 512;
    }
    return err;
}

int ext4_xattr_free(struct ext4_inode *n)
{
    return n->xattr_block ? block_release(n) : 0;
}

/* The inode's own block, to be written: the one it has, or a new one. */
static int block_own(struct ext4_inode *n, struct ext4_block *b)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    uint64_t start, count = 1;
    int err;
    if (n->xattr_block) {
        err = block_get(n, b);
        if (err)
            return err;
        if (le32(b->data + BH_REFS) == 1) {
            err = ext4_block_change(fs, b);
            if (err)
                ext4_block_put(b);
            return err;
        }
        ext4_block_put(b);
    }
    err = ext4_room(fs) ? ext4_alloc(fs, n->goal, &start, &count) : -ENOSPC;
    if (!err && n->xattr_block)
        err = block_release(n);
    if (!err)
        err = ext4_block_new(fs, start, b);
    if (err)
        return err;
    n->xattr_block = start;
    n->v.blocks += fs->block_size / 512;
    return 0;
}

static int block_write(struct attrs *s)
{
    struct ext4_fs *fs = ext4_fs(&s->n->v);
    struct ext4_block b;
    int err = block_own(s->n, &b);
    if (err)
        return err;
    memset(b.data, 0, fs->block_size);
    put32(b.data, ATTR_MAGIC);
    put32(b.data + BH_REFS, 1);
    put32(b.data + BH_BLOCKS, 1);
    put32(b.data + BH_HASH, region_encode(s, b.data, fs->block_size, BH_SIZE, 0, false));
    if (fs->csum)
        put32(b.data + BH_CHECKSUM, block_csum(fs, b.number, b.data));
    ext4_block_put(&b);
    return 0;
}

/* Writes the list back; during an operation. */
static int attrs_store(struct attrs *s)
{
    bool block_needed;
    if (!attrs_place(s, &block_needed))
        return -ENOSPC;
    attrs_sort(s);
    int err = block_needed ? block_write(s) : ext4_xattr_free(s->n);
    if (!err)
        err = ext4_inode_edit(s->n, body_write, s);
    s->n->data_tid = s->n->tid;
    return err;
}

int ext4_xattr_drop_inline(struct ext4_inode *n)
{
    struct attrs s;
    int err = attrs_load(n, &s);
    if (err)
        return err;
    struct attr *a = attr_find(&s, INDEX_SYSTEM, "data");
    if (a)
        *a = s.a[--s.count];
    err = attrs_store(&s);
    attrs_free(&s);
    return err;
}

/* The list as the change makes it. */
static int attrs_change(struct attrs *s, const struct attr *fresh, bool remove, int flags)
{
    struct attr *a = attr_find(s, fresh->index, fresh->name);
    if (!a && (remove || flags & XATTR_REPLACE))
        return -ENODATA;
    if (a && !remove && flags & XATTR_CREATE)
        return -EEXIST;
    if (remove) {
        *a = s->a[--s->count];
        return 0;
    }
    if (!a)
        return attrs_add(s, fresh);
    bool in_inode = a->in_inode;
    *a = *fresh;
    a->in_inode = in_inode;
    return 0;
}

int ext4_xattr_set(struct vnode *v, const char *name, const void *value, size_t size, int flags)
{
    struct ext4_inode *n = ext4_inode(v);
    struct ext4_fs *fs = ext4_fs(v);
    struct attr fresh = {.value = value, .size = (uint32_t)size};
    struct attrs s;
    int err = fs->compat & COMPAT_XATTR ? name_split(name, &fresh.index, &fresh.name) : -EOPNOTSUPP;
    if (err)
        return err;
    fresh.name_len = (uint8_t)strlen(fresh.name);
    if (size > fs->block_size)
        return -ENOSPC;
    err = ext4_begin(fs, CREDITS);
    if (err)
        return err;
    err = attrs_load(n, &s);
    if (!err) {
        err = attrs_change(&s, &fresh, !value, flags);
        if (!err)
            err = attrs_store(&s);
        attrs_free(&s);
    }
    return ext4_end(fs, err);
}
