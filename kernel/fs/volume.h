/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes: ext4 filesystems beside the root, named by the manifest's `mount`. */
#pragma once

#include "lib/types.h"

/*
 * Mounts one volume, `spec` as in include/ops/manifest.h: the only block device or
 * partition with that label or UUID, which may come until `deadline` (clock_now() based,
 * 0: it must be there). After fs_init(); may sleep. 0, or -errno with *why a static
 * text: -EINVAL malformed, -ENODEV none, -ENOTUNIQ several, -EBUSY mounted already; else
 * what mounting gave.
 */
int volume_mount(const char *spec, uint64_t deadline, const char **why);
/*
 * Syncs and takes away the volume with that label or UUID; may sleep. -EBUSY while it is
 * in use; -ENODEV, -ENOTUNIQ, -EINVAL (not mounted) and errors of the sync, with *why.
 */
int volume_unmount(const char *name, const char **why);
