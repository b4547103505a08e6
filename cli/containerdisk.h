/* SPDX-License-Identifier: Apache-2.0 */
/* A disk as a container image that KubeVirt starts (a containerDisk): /disk/disk.qcow2, which
 * belongs to user 107, in one layer of an OCI image layout, as an archive. */
#pragma once

#include "outfile.h"

/* Writes the raw disk `raw` into `out`. */
bool containerdisk_write(int raw, const struct outfile *out, struct err *err);
