/* SPDX-License-Identifier: Apache-2.0 */
/* A namespace of an NVMe controller as a block device. */
#pragma once

#include "dev/blkdev.h"
#include "lib/list.h"

struct nvme;

struct nvme_disk {
    struct blkdev dev;
    struct nvme *nvme;
    uint32_t nsid;
    unsigned shift;  /* of a block: 9 to 12 */
    bool seen;       /* in the latest list of namespaces */
    bool arrived;    /* to be registered */
    bool registered; /* and to be unregistered when it is not seen any more */
    struct list link;
};
