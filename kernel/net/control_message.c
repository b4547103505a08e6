/* SPDX-License-Identifier: Apache-2.0 */
/* Control messages: see control_message.h. */
#include "net/control_message.h"

#include <linux/errno.h>

#include "lib/string.h"
#include "net/abi.h"

struct header {
    uint64_t len; /* with the header */
    int level, type;
};

#define ALIGNED(n) (((n) + 7) & ~7ul)

int control_next(const struct message *m, size_t *at, struct control_message *out)
{
    struct header h;
    if (*at > m->control_len || m->control_len - *at < sizeof h)
        return 0;
    size_t left = m->control_len - *at;
    memcpy(&h, (const char *)m->control + *at, sizeof h);
    if (h.len < sizeof h || h.len > left)
        return -EINVAL;
    *out = (struct control_message){h.level, h.type, (const char *)m->control + *at + sizeof h,
                                    h.len - sizeof h};
    *at += ALIGNED(h.len);
    return 1;
}

size_t control_room(const struct message *m)
{
    return m->room.left > sizeof(struct header) ? m->room.left - sizeof(struct header) : 0;
}

void control_put(struct message *m, int level, int type, const void *data, size_t len)
{
    struct control_room *r = &m->room;
    if (r->left < sizeof(struct header)) {
        m->out_flags |= MSG_CTRUNC;
        return;
    }
    if (len > control_room(m)) {
        m->out_flags |= MSG_CTRUNC;
        len = control_room(m);
    }
    const struct header h = {sizeof h + len, level, type};
    if (copy_to_user(r->at, &h, sizeof h) || copy_to_user(uptr_add(r->at, sizeof h), data, len)) {
        r->left = 0;
        return;
    }
    size_t space = MIN(ALIGNED(h.len), r->left);
    r->at = uptr_add(r->at, space);
    r->left -= space;
    r->used += space;
}
