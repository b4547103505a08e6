/* SPDX-License-Identifier: Apache-2.0 */
/* A disk as an OVA: an OVF 1.0 descriptor (DMTF DSP0243), a manifest of digests and the disk as
 * streamOptimized vmdk, in a tar. */
#pragma once

#include "disk_format.h"

/* Writes the raw disk `raw` into `out`. */
bool appliance_write(int raw, const struct outfile *out, const struct appliance *a,
                     struct err *err);
