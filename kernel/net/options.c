/* SPDX-License-Identifier: Apache-2.0 */
/* Socket options: see options.h. */
#include "net/options.h"

#include <asm/socket.h>
#include <linux/errno.h>
#include <linux/time_types.h>

#include "net/abi.h"
#include "sched/clock.h"

#define BUFFER_MIN 2304u
#define BUFFER_MAX 212992u /* before it is doubled, as net.core.wmem_max */

/* Options that are on or off and mean nothing to a socket without a network: kept and told. */
static int switch_bit(int name)
{
    switch (name) {
    case SO_DEBUG:
    case SO_REUSEADDR:
    case SO_DONTROUTE:
    case SO_BROADCAST:
    case SO_KEEPALIVE:
    case SO_OOBINLINE:
    case SO_REUSEPORT:
    case SO_PASSCRED:
    case SO_TIMESTAMP_OLD:
    case SO_TIMESTAMPNS_OLD:
        return name;
    default:
        return -1;
    }
}

bool socket_option_on(const struct socket *s, int name)
{
    return s->options >> switch_bit(name) % 32 & 1;
}

static int timeout_set(struct socket *s, bool write, struct uptr value, unsigned len)
{
    struct __kernel_sock_timeval tv;
    if (len < sizeof tv)
        return -EINVAL;
    if (copy_from_user(&tv, value, sizeof tv))
        return -EFAULT;
    if (tv.tv_usec < 0 || tv.tv_usec >= 1000000)
        return -EDOM;
    uint64_t ns = 0;
    if (tv.tv_sec < 0)
        ns = 1; /* as Linux: no wait at all */
    else if ((uint64_t)tv.tv_sec < CLOCK_NEVER / NSEC_PER_SEC / 2)
        ns = (uint64_t)tv.tv_sec * NSEC_PER_SEC + (uint64_t)tv.tv_usec * 1000;
    s->file->patience[write] = ns;
    return 0;
}

static unsigned buffer_size(int wanted)
{
    unsigned size = wanted < 0 ? BUFFER_MAX : MIN((unsigned)wanted, BUFFER_MAX);
    return MAX(size * 2, BUFFER_MIN * 2);
}

static int linger_set(struct socket *s, struct uptr value, unsigned len)
{
    return len < sizeof s->linger ? -EINVAL : copy_from_user(s->linger, value, sizeof s->linger);
}

static int socket_set(struct socket *s, int name, struct uptr value, unsigned len)
{
    int v, bit = switch_bit(name);
    if (len < sizeof v)
        return -EINVAL;
    if (copy_from_user(&v, value, sizeof v))
        return -EFAULT;
    if (bit >= 0) {
        s->options = v ? s->options | 1u << bit % 32 : s->options & ~(1u << bit % 32);
        return 0;
    }
    switch (name) {
    case SO_SNDBUF:
    case SO_SNDBUFFORCE:
        s->send_size = buffer_size(v);
        return 0;
    case SO_RCVBUF:
    case SO_RCVBUFFORCE:
        s->receive_size = buffer_size(v);
        return 0;
    case SO_PRIORITY:
        s->priority = v;
        return 0;
    case SO_LINGER:
        return linger_set(s, value, len);
    case SO_RCVTIMEO_OLD:
    case SO_RCVTIMEO_NEW:
        return timeout_set(s, false, value, len);
    case SO_SNDTIMEO_OLD:
    case SO_SNDTIMEO_NEW:
        return timeout_set(s, true, value, len);
    default:
        return -ENOPROTOOPT;
    }
}

int option_set(struct socket *s, int level, int name, struct uptr value, unsigned len)
{
    if (level == SOL_SOCKET)
        return socket_set(s, name, value, len);
    return s->ops->set_option ? s->ops->set_option(s, level, name, value, len) : -EOPNOTSUPP;
}

static int put(struct uptr value, unsigned *len, const void *from, unsigned size)
{
    *len = MIN(*len, size);
    return copy_to_user(value, from, *len);
}

static int timeout_get(struct socket *s, bool write, struct uptr value, unsigned *len)
{
    uint64_t ns = s->file->patience[write];
    const int64_t tv[2] = {(int64_t)(ns / NSEC_PER_SEC), (int64_t)(ns % NSEC_PER_SEC / 1000)};
    return put(value, len, tv, sizeof tv);
}

static int credentials_get(struct socket *s, struct uptr value, unsigned *len)
{
    struct credentials who = {0, UINT32_MAX, UINT32_MAX};
    if (s->ops->peer)
        who = s->ops->peer(s);
    return put(value, len, &who, sizeof who);
}

/* Options that are one number: it, or -1. */
static long number_get(struct socket *s, int name)
{
    int bit = switch_bit(name);
    if (bit >= 0)
        return s->options >> bit % 32 & 1;
    switch (name) {
    case SO_TYPE:
        return s->type;
    case SO_DOMAIN:
        return s->family;
    case SO_PROTOCOL:
        return s->protocol;
    case SO_ERROR:
        return s->ops->error ? s->ops->error(s) : 0;
    case SO_SNDBUF:
        return s->send_size;
    case SO_RCVBUF:
        return s->receive_size;
    case SO_PRIORITY:
        return s->priority;
    case SO_RCVLOWAT:
    case SO_SNDLOWAT:
        return 1;
    case SO_ACCEPTCONN:
        return s->ops->listening && s->ops->listening(s);
    default:
        return -1;
    }
}

int option_get(struct socket *s, int level, int name, struct uptr value, unsigned *len)
{
    if (level != SOL_SOCKET)
        return s->ops->get_option ? s->ops->get_option(s, level, name, value, len) : -EOPNOTSUPP;
    switch (name) {
    case SO_LINGER:
        return put(value, len, s->linger, sizeof s->linger);
    case SO_RCVTIMEO_OLD:
    case SO_RCVTIMEO_NEW:
        return timeout_get(s, false, value, len);
    case SO_SNDTIMEO_OLD:
    case SO_SNDTIMEO_NEW:
        return timeout_get(s, true, value, len);
    case SO_PEERCRED:
        return credentials_get(s, value, len);
    default: {
        long n = number_get(s, name);
        int v = (int)n;
        return n < 0 ? -ENOPROTOOPT : put(value, len, &v, sizeof v);
    }
    }
}
