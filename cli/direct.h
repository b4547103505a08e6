/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image for machines that load a kernel themselves: its parts as the files of a directory, or
 * of a tar where the path ends in .tar. No bootloader and no partition table.
 *   kernel.elf  starts by its PVH note
 *   manifest    goes with it as the initial ramdisk
 *   root.ext4   is the virtio disk with the root filesystem
 * The kernel's command line may be empty; it reads what virtual machines add to it by themselves
 * (`virtio_mmio.device=`).
 */
#pragma once

#include "disk.h"

#define DIRECT_KERNEL   "kernel.elf"
#define DIRECT_MANIFEST "manifest"
#define DIRECT_ROOT     "root.ext4"

/* Is `path` the tar, not the directory? */
bool direct_is_tar(const char *path);

bool direct_write(const char *path, const struct disk_content *content, struct err *err);
