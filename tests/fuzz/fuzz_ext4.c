/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer entry for the ext4 driver. The input is a list of patches, 6 bytes
 * each {byte offset 4, value 1, operation 1}, applied to a small valid image
 * (made by mke2fs when the harness is built, embedded as fuzz_ext4_image). The
 * image is mounted and everything in it is walked, within a budget; the bits of
 * `operation` choose changes that are made on the way.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fake_blkdev.h"
#include "fs/ext4/ext4.h"
#include "fs/path.h"

#define BUDGET  200
#define PATCHES 64
#define LONG_TEXT                                                                                  \
    "a text that does not fit into the sixty bytes which an inode has for a symbolic link"

extern const uint8_t fuzz_ext4_image[], fuzz_ext4_image_end[];
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fs_context ctx;
static unsigned budget;
static const uint8_t *choices; /* what is done with the next file */
static size_t choice_count, choice_next;

struct names {
    unsigned count;
    struct {
        size_t len;
        char text[256];
    } name[32];
};

static int keep(void *arg, const char *name, size_t len, uint64_t ino, unsigned type, uint64_t next)
{
    struct names *n = arg;
    (void)ino, (void)type, (void)next;
    if (n->count == 32 || len > 255)
        return 1;
    memcpy(n->name[n->count].text, name, len);
    n->name[n->count++].len = len;
    return 0;
}

static void use(struct vnode *v)
{
    char buf[4096];
    if (vnode_is_link(v)) {
        v->ops->readlink(v, buf, sizeof buf);
        return;
    }
    vnode_read_kernel(v, buf, sizeof buf, 0);
    vnode_read_kernel(v, buf, sizeof buf, v->size / 2);
}

static unsigned choose(void)
{
    return choice_count ? choices[choice_next++ % choice_count * 6 + 5] >> 1 : 0;
}

static void change(struct vnode *v, unsigned how)
{
    static char data[9000];
    struct uio_vec vec;
    struct uio u;
    uint64_t pos = (uint64_t)how * 777;
    if (how & 1 && vnode_is_regular(v)) {
        uio_init_kernel(&u, &vec, data, sizeof data);
        vnode_write(v, &u, &pos, how & 2);
    }
    if (how & 4)
        vnode_truncate(v, how * 1000);
    if (how & 8 && v->ops->allocate) {
        mutex_lock(&v->lock);
        v->ops->allocate(v, how & 16 ? 3 : 0, how * 500, 5000);
        mutex_unlock(&v->lock);
    }
    if (how & 32 && v->ops->xattr_set)
        v->ops->xattr_set(v, "user.x", data, how * 3, 0);
    if (how & 64)
        v->ops->fsync(v, false);
}

static void change_names(struct vnode *d, struct vnode *v, const struct vnode_name *name,
                         unsigned how)
{
    static const uint32_t kinds[] = {S_IFREG, S_IFDIR, S_IFLNK, S_IFCHR};
    struct vnode_new what = {.mode = kinds[how & 3] | 0644,
                             .target = how & 8 ? "there" : LONG_TEXT};
    struct vnode_name fresh = {"a new name", 4 + how % 7};
    struct vnode *other;
    if (!d->ops->make || vnode_is_dir(v))
        return;
    if (how & 4 && d->ops->lookup(d, &fresh, &other) == -ENOENT &&
        !d->ops->make(d, &fresh, &what, &other))
        vnode_put(other);
    if (how & 16 && v->nlink)
        d->ops->unlink(d, name, v);
    else if (how & 32 && v->nlink && d->ops->lookup(d, &fresh, &other) == -ENOENT)
        d->ops->rename(d, name, v, d, &fresh, NULL, 0);
}

static void walk(struct vnode *d, int depth)
{
    struct names *n = calloc(1, sizeof *n);
    uint64_t pos = 0;
    d->ops->readdir(d, &pos, keep, n);
    for (unsigned i = 0; i < n->count && budget; i++) {
        struct vnode_name name = {n->name[i].text, n->name[i].len};
        struct vnode *v;
        budget--;
        if (d->ops->lookup(d, &name, &v))
            continue;
        if (!vnode_is_dir(v))
            use(v), change(v, choose()), change_names(d, v, &name, choose());
        else if (depth < 4)
            walk(v, depth + 1);
        vnode_put(v);
    }
    free(n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t bytes = (size_t)(fuzz_ext4_image_end - fuzz_ext4_image);
    uint8_t *image = malloc(bytes);
    struct blkdev dev;
    struct fs *fs;
    memcpy(image, fuzz_ext4_image, bytes);
    for (size_t i = 0; i + 6 <= size && i < 6 * PATCHES; i += 6) {
        uint32_t at;
        memcpy(&at, data + i, 4);
        uint8_t *p = image + at % bytes;
        *p = data[i + 5] & 1 ? data[i + 4] : *p ^ data[i + 4];
    }
    fake_blkdev_init(&dev, image, bytes);
    budget = BUDGET;
    choices = data;
    choice_count = size / 6;
    choice_next = 0;
    if (!ext4_mount(&dev, false, &fs)) {
        walk(fs->root, 0);
        ext4_unmount(fs);
    }
    free(image);
    return 0;
}
