/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The formats a disk of `ops build` can have, by name and by the output's suffix. qemu-img makes
 * those with a structure of their own; what it draws at random (identifiers, and the records
 * that hold them) is then replaced by what follows from the disk, so that equal inputs give
 * equal bytes in every format.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "outfile.h"

enum disk_format {
    FORMAT_RAW,
    FORMAT_QCOW2,
    FORMAT_QCOW2_SMALL, /* its clusters compressed */
    FORMAT_VMDK,        /* streamOptimized */
    FORMAT_VHD,         /* fixed */
    FORMAT_VHDX,
    FORMAT_VDI,
    FORMAT_GCP,       /* disk.raw in a .tar.gz */
    FORMAT_OVA,       /* OVF, manifest and vmdk in a tar */
    FORMAT_VMDK_FLAT, /* a descriptor, and the raw disk in a second file */
    FORMAT_ISO,       /* raw, and a CD-ROM as well */
    FORMAT_CONTAINER, /* qcow2 in a container image, for KubeVirt */
    FORMAT_DIRECT,    /* no disk: kernel, manifest and root filesystem as files */
    FORMAT_COUNT,
};

/* What a machine that is given the disk should have. */
struct appliance {
    const char *name;
    uint64_t memory; /* bytes */
    uint64_t cpus;
    bool virtio; /* its disk controller and card; else AHCI and e1000e, as VMware has them */
};

/* The format called `given`, else the one of the path's suffix, else raw. Errors (OPS_EXIT_USAGE):
 * unknown; the names are listed. */
bool format_choose(const char *given, const char *path, enum disk_format *format, struct err *err);

const char *format_name(enum disk_format format);

/* Does the path's suffix say this format? */
bool format_suffix(enum disk_format format, const char *path);

/* What the size of the raw disk must be a multiple of. */
uint64_t format_align(enum disk_format format);

/* Is it there, before any work? Errors: qemu-img is not installed. */
bool format_ready(enum disk_format format, struct err *err);

/* Raw, or raw with something behind it: the disk is written to its place at once, and then
 * format_finish() adds the rest. */
bool format_flat(enum disk_format format);
bool format_finish(enum disk_format format, int fd, const char *shown, struct err *err);

/* Others: writes the raw disk `raw` into `out`. */
bool format_write(enum disk_format format, int raw, const struct outfile *out,
                  const struct appliance *a, struct err *err);

/* The identifier in a raw disk's partition table; all others follow from it. */
bool format_disk_id(int raw, const char *shown, uint8_t id[16], struct err *err);

/* The same into any file; `name` is what the format itself may call it. Not for archives. */
bool format_convert(enum disk_format format, int raw, int to, const char *name, const char *shown,
                    struct err *err);
