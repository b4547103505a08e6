/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a disk of `ops build` shall run: which format that takes, and the file a user needs next,
 * written beside the disk. Names of machines and memory are those of the build.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "disk_format.h"
#include "err.h"

struct target;

/* The target of that name. Errors (OPS_EXIT_USAGE): unknown, the names are listed; or one whose
 * machines have devices that the kernel has no drivers for. */
const struct target *target_find(const char *name, struct err *err);

/* What it takes where nobody says another; `output`'s suffix may choose among two. */
enum disk_format target_format(const struct target *t, const char *output);

/* Have its machines virtio's disks and cards? */
bool target_virtio(const struct target *t);

/* Errors (OPS_EXIT_USAGE): it starts nothing of this format, or of this name. */
bool target_takes(const struct target *t, enum disk_format format, const char *output,
                  struct err *err);

/* Writes the files beside the disk `output`; prints their names. `ports`: TCP ports of the guest.
 */
bool target_files(const struct target *t, enum disk_format format, const char *output,
                  const struct appliance *a, const unsigned *ports, size_t port_count,
                  struct err *err);
