/* SPDX-License-Identifier: Apache-2.0 */
/* Options of IPPROTO_TCP: tcp(7). */
#include <linux/errno.h>
#include <linux/tcp.h>

#include "net/abi.h"
#include "net/tcp_state.h"
#include "net/tcp_table.h"

int tcp_option_set(struct socket *s, int level, int name, struct uptr value, unsigned len)
{
    struct tcp_socket *t = tcp_of(s);
    int v;
    if (level == IPPROTO_IP || level == IPPROTO_IPV6)
        return inet_option_set(s, level, name, value, len, &t->any_version);
    if (level != IPPROTO_TCP)
        return -ENOPROTOOPT;
    if (len < sizeof v)
        return -EINVAL;
    if (copy_from_user(&v, value, sizeof v))
        return -EFAULT;
    switch (name) {
    case TCP_NODELAY:
        stack_lock();
        t->no_delay = v;
        if (t->pcb && t->phase != LISTENING) {
            tcp_table_enter(t->pcb);
            if (v) {
                tcp_nagle_disable(t->pcb);
                tcp_output(t->pcb);
            } else {
                tcp_nagle_enable(t->pcb);
            }
            tcp_table_leave();
        }
        stack_unlock();
        return 0;
    case TCP_CORK:
        stack_lock();
        t->cork = v;
        if (!v && t->pcb && t->phase == OPEN) {
            tcp_table_enter(t->pcb);
            tcp_output(t->pcb);
            tcp_table_leave();
        }
        stack_unlock();
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

int tcp_option_get(struct socket *s, int level, int name, struct uptr value, unsigned *len)
{
    struct tcp_socket *t = tcp_of(s);
    int v;
    if (level == IPPROTO_IP || level == IPPROTO_IPV6)
        return inet_option_get(s, level, name, value, len, t->any_version);
    if (level != IPPROTO_TCP)
        return -ENOPROTOOPT;
    switch (name) {
    case TCP_NODELAY:
        v = t->no_delay;
        break;
    case TCP_CORK:
        v = t->cork;
        break;
    case TCP_MAXSEG:
        v = t->pcb && t->phase == OPEN ? (int)tcp_table_mss(t->pcb) : 536;
        break;
    default:
        return -ENOPROTOOPT;
    }
    *len = MIN(*len, sizeof v);
    return copy_to_user(value, &v, *len);
}
