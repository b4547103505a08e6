/* SPDX-License-Identifier: Apache-2.0 */
/* Finding volumes by label or UUID, and mounting them: see volume.h. No state of its own. */
#include "fs/volume.h"

#include <linux/errno.h>

#include "core/log.h"
#include "dev/blkdev.h"
#include "fs/ext4/ext4.h"
#include "fs/mount.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "sched/clock.h"

/* Whether `text` is this UUID: 32 hexadecimal digits, dashes anywhere. */
static bool uuid_is(const uint8_t uuid[16], const char *text)
{
    char digits[33];
    for (unsigned i = 0; i < 16; i++)
        snprintf(digits + 2 * i, 3, "%02x", uuid[i]);
    unsigned at = 0;
    for (; *text; text++) {
        char c = *text >= 'A' && *text <= 'F' ? (char)(*text + 'a' - 'A') : *text;
        if (c != '-' && (at == 32 || digits[at++] != c))
            return false;
    }
    return at == 32;
}

struct search {
    const char *name;
    struct blkdev *found;
    unsigned count;
};

static int search_probe(struct blkdev *dev, void *arg)
{
    struct search *s = arg;
    char label[17];
    uint8_t uuid[16];
    if (ext4_identify(dev, label, uuid) || (strcmp(label, s->name) && !uuid_is(uuid, s->name)))
        return 0;
    if (s->found)
        blkdev_put(s->found);
    blkdev_get(dev);
    s->found = dev;
    s->count++;
    return 0;
}

/* The only disk of that name, referenced; waits for it until `deadline`. */
static int volume_find(const char *name, uint64_t deadline, struct blkdev **out, const char **why)
{
    for (;;) {
        struct search s = {.name = name};
        unsigned seen = blkdev_arrivals();
        blkdev_for_each(search_probe, &s);
        *why = "several disks have that label or UUID";
        *out = s.found;
        if (s.count == 1)
            return 0;
        if (s.count) {
            blkdev_put(s.found);
            return -ENOTUNIQ;
        }
        *why = "no disk has that label or UUID";
        if (blkdev_wait(seen, deadline))
            return -ENODEV;
    }
}

static int mounted_from(void *arg, const char *source, const char *at, const struct fs *fs,
                        const char *options)
{
    (void)at, (void)fs, (void)options;
    return !strcmp(source, arg);
}

/* Mounts what was found. */
static int volume_add(struct blkdev *dev, const struct mount_spec *v, const char **why)
{
    struct fs *fs;
    *why = "it is mounted already";
    if (mount_for_each(mounted_from, dev->name))
        return -EBUSY;
    *why = "the filesystem cannot be mounted";
    int err = ext4_mount(dev, v->read_only, &fs);
    if (err)
        return err;
    if (fs->read_only && !v->read_only)
        log_warn("volume %s on %s is read-only", v->name, v->at);
    err = mount_add(fs, dev->name, v->at, fs->read_only ? "ro" : "rw");
    *why = err == -ENOMEM   ? "out of memory"
           : err == -ENOSPC ? "too much is mounted"
           : err == -EBUSY  ? "something is mounted there already"
                            : "the directory of its mount point is not there";
    if (err)
        ext4_unmount(fs);
    return err;
}

int volume_mount(const char *spec, uint64_t deadline, const char **why)
{
    struct mount_spec v;
    struct blkdev *dev;
    *why = "it must be LABEL:/path or UUID:/path";
    if (!mount_spec_parse(spec, &v))
        return -EINVAL;
    int err = volume_find(v.name, deadline, &dev, why);
    if (err)
        return err;
    err = volume_add(dev, &v, why);
    blkdev_put(dev); /* a mounted file system has its own reference */
    return err;
}

int volume_unmount(const char *name, const char **why)
{
    struct blkdev *dev;
    int err = volume_find(name, 0, &dev, why);
    if (err)
        return err;
    err = mount_remove(dev->name);
    *why = err == -EBUSY    ? "files of it are in use"
           : err == -EINVAL ? "it is not mounted, or has to stay"
                            : "not everything could be written to it";
    blkdev_put(dev);
    return err;
}
