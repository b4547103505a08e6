/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes: ext4 filesystems beside the root, named by the manifest's `mount`. */
#pragma once

/*
 * Mounts one volume, `spec` as in include/ops/manifest.h: the only block device or
 * partition with that label or UUID. After fs_init(); may sleep. 0, or -errno with
 * *why a static text: -EINVAL malformed, -ENODEV none, -ENOTUNIQ several, -EBUSY
 * mounted already; else what mounting gave.
 */
int volume_mount(const char *spec, const char **why);
