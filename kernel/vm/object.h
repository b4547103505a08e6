/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands behind a mapping of a file: something that hands out the pages of
 * its content. A vnode embeds one; the page cache implements it.
 */
#pragma once

#include "lib/list.h"

struct page;
struct vm_object;

struct vm_object_ops {
    /*
     * The page with this number, content valid, one reference added for the
     * caller. May sleep. -EIO when it cannot be read, -EFAULT beyond the end
     * (SIGBUS), -ENOMEM. `write`: the caller will change a shared page.
     */
    int (*get_page)(struct vm_object *obj, uint64_t index, bool write, struct page **out);
    /* The page if it is there already (no sleep, no I/O), referenced; else NULL. For fault-around.
     */
    struct page *(*find_page)(struct vm_object *obj, uint64_t index);
    /*
     * A page that get_page(write) gave is about to be mapped writable: it must be
     * written out some time. False: it has left the object, ask again. No sleep;
     * vm.lock is held until it is mapped. For tracked objects.
     */
    bool (*dirty_page)(struct vm_object *obj, struct page *p);
    void (*get)(struct vm_object *obj);
    void (*put)(struct vm_object *obj);
    /* Its path for /proc/self/maps, terminated; also device and inode number. */
    int (*describe)(struct vm_object *obj, char *buf, size_t n, uint64_t *dev, uint64_t *ino);
    /* What mappings changed goes to where it is kept (MS_SYNC). May sleep. */
    int (*sync)(struct vm_object *obj);
    /* Makes a hole, bytes (MADV_REMOVE); mappings show zeroes then. -EOPNOTSUPP. May sleep. */
    int (*punch)(struct vm_object *obj, uint64_t offset, uint64_t len);
};

struct vm_object {
    const struct vm_object_ops *ops;
    struct list mappings; /* of it, struct vma.object_link; guarded by vm.lock */
    bool tracked; /* the first write to a page must be known: shared pages are mapped read-only */
};

static inline void vm_object_init(struct vm_object *obj, const struct vm_object_ops *ops)
{
    obj->ops = ops;
    list_init(&obj->mappings);
}
