/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the names sda, sdb, ... are taken: a bitmap under names_lock. */
#include "dev/sd_name.h"

#include <errno.h>

#include "core/spinlock.h"

#define NAMES 256

static struct spinlock names_lock;
static uint64_t names[NAMES / 64]; /* taken */

int sd_name_take(struct blkdev *dev, unsigned *index)
{
    int err = -ENOSPC;
    irqflags_t flags = spin_lock_irq(&names_lock);
    for (unsigned i = 0; i < ARRAY_SIZE(names) && err; i++) {
        if (!~names[i])
            continue;
        *index = i * 64 + (unsigned)__builtin_ctzll(~names[i]);
        names[i] |= 1ull << *index % 64;
        err = 0;
    }
    spin_unlock_irq(&names_lock, flags);
    if (!err)
        blkdev_set_name(dev, "sd", *index);
    return err;
}

void sd_name_give_back(unsigned index)
{
    irqflags_t flags = spin_lock_irq(&names_lock);
    names[index / 64] &= ~(1ull << index % 64);
    spin_unlock_irq(&names_lock, flags);
}
