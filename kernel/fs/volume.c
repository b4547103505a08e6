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
    s->found = dev;
    s->count++;
    return 0;
}

static int mounted_from(void *arg, const char *source, const char *at, const struct fs *fs,
                        const char *options)
{
    (void)at, (void)fs, (void)options;
    return !strcmp(source, arg);
}

int volume_mount(const char *spec, const char **why)
{
    struct mount_spec v;
    struct fs *fs;
    *why = "it must be LABEL:/path or UUID:/path";
    if (!mount_spec_parse(spec, &v))
        return -EINVAL;
    struct search s = {.name = v.name};
    blkdev_for_each(search_probe, &s);
    *why = s.count ? "several disks have that label or UUID" : "no disk has that label or UUID";
    if (s.count != 1)
        return s.count ? -ENOTUNIQ : -ENODEV;
    *why = "it is mounted already";
    if (mount_for_each(mounted_from, s.found->name))
        return -EBUSY;
    *why = "the filesystem cannot be mounted";
    int err = ext4_mount(s.found, v.read_only, &fs);
    if (err)
        return err;
    if (fs->read_only && !v.read_only)
        log_warn("volume %s on %s is read-only", v.name, v.at);
    *why = err == -ENOMEM ? "out of memory" : "its mount point is not there";
    return mount_add(fs, s.found->name, v.at, fs->read_only ? "ro" : "rw");
}
