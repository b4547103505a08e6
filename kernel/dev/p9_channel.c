/* SPDX-License-Identifier: Apache-2.0 */
/* The list of channels to 9p servers: see p9_channel.h. It only grows, at boot. */
#include "dev/p9_channel.h"

#include "lib/string.h"

static struct list channels = LIST_INIT(channels);

void p9_channel_register(struct p9_channel *c)
{
    list_add_tail(&channels, &c->link);
}

struct p9_channel *p9_channel_find(const char *tag)
{
    LIST_FOR_EACH(l, &channels)
    {
        struct p9_channel *c = LIST_ENTRY(l, struct p9_channel, link);
        if (!strcmp(c->tag, tag))
            return c;
    }
    return NULL;
}
