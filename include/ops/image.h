/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layout of the disks that `ops` writes and the kernel reads.
 *
 * `ops run`: the disk is one bare ext4 filesystem whose volume label is
 * OPS_ROOT_LABEL; kernel and manifest are handed over by QEMU.
 *
 * `ops build -o FILE`: a raw disk of 512-byte sectors with a GPT:
 *   1  BIOS boot partition: GRUB's core image
 *   2  EFI system partition: a FAT with GRUB as \EFI\BOOT\BOOTX64.EFI
 *   3  OPS_BOOT_LABEL: a small ext2 with /kernel.elf and /manifest, read by GRUB, both packed
 *      by gzip, whose checksum GRUB compares; and OPS_DIGESTS_PATH for `ops image verify`
 *   4  OPS_ROOT_LABEL: the ext4 root filesystem, same label on the volume
 *   5  OPS_LOG_LABEL (ops/crashlog.h): records of bad ends, before the first MiB
 * The kernel mounts as root the first disk or GPT partition that holds an ext4
 * filesystem with the label named by the manifest's `root`.
 */
#pragma once

/* Where a position-independent program is loaded when the manifest says `aslr=false`. */
#define OPS_PIE_BASE 0x555555554000ull

#define OPS_ROOT_LABEL "ops-root"
#define OPS_BOOT_LABEL "ops-boot"

#define OPS_KERNEL_PATH   "/kernel.elf"
#define OPS_MANIFEST_PATH "/manifest"
#define OPS_DIGESTS_PATH  "/digests"
