/* SPDX-License-Identifier: Apache-2.0 */
/* How a file tells its wait queues to whoever waits for it. */
#pragma once

#include "sched/waitq.h"

/* A poll in progress: `add` is called once for each queue that can change the answer. */
struct poll_table {
    void (*add)(struct poll_table *pt, struct waitq *q);
};

static inline void poll_add(struct poll_table *pt, struct waitq *q)
{
    if (pt)
        pt->add(pt, q);
}
