/* SPDX-License-Identifier: Apache-2.0 */
/* Mounting directories of the host: see share.h. No state of its own. */
#include "fs/share.h"

#include <linux/errno.h>

#include "dev/p9_channel.h"
#include "fs/mount.h"
#include "fs/p9/p9.h"

int share_mount(const char *spec, uint32_t uid, const char **why)
{
    struct mount_spec s;
    struct fs *fs;
    *why = "it must be TAG:/path";
    if (!mount_spec_parse(spec, &s))
        return -EINVAL;
    struct p9_channel *channel = p9_channel_find(s.name);
    *why = "no virtio-9p device has that tag";
    if (!channel)
        return -ENODEV;
    *why = "the host does not answer as it should";
    int err = p9_mount(channel, uid, s.read_only, &fs);
    if (err)
        return err;
    *why = "its mount point is not there";
    return mount_add(fs, channel->tag, s.at,
                     s.read_only ? "ro,access=client,trans=virtio"
                                 : "rw,access=client,trans=virtio");
}
