/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer entry for the ext4 reader. The input is a list of patches, 6 bytes
 * each {byte offset 4, value 1, operation 1}, applied to a small valid image
 * (made by mke2fs when the harness is built, embedded as fuzz_ext4_image). The
 * image is mounted and everything in it is walked, within a budget.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fake_blkdev.h"
#include "fs/ext4/ext4.h"
#include "fs/path.h"

#define BUDGET  200
#define PATCHES 64

extern const uint8_t fuzz_ext4_image[], fuzz_ext4_image_end[];
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fs_context ctx;
static unsigned budget;

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
            use(v);
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
    if (!ext4_mount(&dev, false, &fs)) {
        walk(fs->root, 0);
        ext4_unmount(fs);
    }
    free(image);
    return 0;
}
