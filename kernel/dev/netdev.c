/* SPDX-License-Identifier: Apache-2.0 */
/* The list of network devices: see netdev.h. Filled at boot, constant then. */
#include "dev/netdev.h"

#include "lib/fmt.h"

static struct list devices = LIST_INIT(devices);
static unsigned device_count;

static void nobody(struct netdev *d)
{
    (void)d;
}

void netdev_register(struct netdev *d)
{
    snprintf(d->name, sizeof d->name, "eth%u", device_count++ % 1000);
    if (!d->wake)
        d->wake = nobody;
    list_add_tail(&devices, &d->link_all);
}

int netdev_for_each(int (*fn)(struct netdev *d, void *arg), void *arg)
{
    LIST_FOR_EACH_SAFE(l, &devices)
    {
        int r = fn(LIST_ENTRY(l, struct netdev, link_all), arg);
        if (r)
            return r;
    }
    return 0;
}
