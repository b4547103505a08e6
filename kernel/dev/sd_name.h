/* SPDX-License-Identifier: Apache-2.0 */
/* The letters of disks that speak SCSI or ATA: sda, sdb, ... for all drivers. */
#pragma once

#include "dev/blkdev.h"

/* Names the disk; *index is for sd_name_give_back(). -ENOSPC: too many. Any context. */
int sd_name_take(struct blkdev *dev, unsigned *index);
void sd_name_give_back(unsigned index);
