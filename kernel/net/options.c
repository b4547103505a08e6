/* SPDX-License-Identifier: Apache-2.0 */
/* Socket options: see options.h. */
#include "net/options.h"

#include <asm/socket.h>
#include <linux/errno.h>
#include <linux/time_types.h>

#include "lib/string.h"
#include "net/abi.h"
#include "net/interface.h"
#include "sched/clock.h"

#define BUFFER_MIN 2304u
#define BUFFER_MAX 212992u    /* before it is doubled, as net.core.wmem_max */
#define FORCED_MAX (1u << 29) /* what the privileged may set */

/* Options that are on or off; what they mean stands where they are asked for. */
static bool is_switch(int name)
{
    switch (name) {
    case SO_DEBUG:
    case SO_REUSEADDR:
    case SO_DONTROUTE:
    case SO_BROADCAST:
    case SO_KEEPALIVE:
    case SO_OOBINLINE:
    case SO_NO_CHECK:
    case SO_REUSEPORT:
    case SO_PASSCRED:
    case SO_PASSSEC:
    case SO_TIMESTAMP_OLD:
    case SO_TIMESTAMPNS_OLD:
    case SO_RXQ_OVFL:
    case SO_NOFCS:
    case SO_SELECT_ERR_QUEUE:
    case SO_PREFER_BUSY_POLL:
    case SO_TXREHASH:
        return true;
    default:
        return false;
    }
}

struct number {
    int name, index, min, max;
    int free_max; /* more needs privileges */
};

static const struct number numbers[] = {
    {SO_PRIORITY, NUMBER_PRIORITY, INT32_MIN, INT32_MAX, 6},
    {SO_MARK, NUMBER_MARK, INT32_MIN, INT32_MAX, -1},
    {SO_RCVLOWAT, NUMBER_LOW_WATER, INT32_MIN, INT32_MAX, INT32_MAX},
    {SO_BUSY_POLL, NUMBER_BUSY_POLL, 0, INT32_MAX, 0},
    {SO_INCOMING_CPU, NUMBER_INCOMING_CPU, INT32_MIN, INT32_MAX, INT32_MAX},
    {SO_MAX_PACING_RATE, NUMBER_PACING, INT32_MIN, INT32_MAX, INT32_MAX},
};

static const struct number *number_of(int name)
{
    for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++)
        if (numbers[i].name == name)
            return &numbers[i];
    return NULL;
}

static int number_set(struct socket *s, const struct number *n, int v)
{
    if (v < n->min || v > n->max)
        return -EINVAL;
    if ((v > n->free_max || (n->free_max < INT32_MAX && v < 0)) && !socket_process.privileged())
        return -EPERM;
    if (n->index == NUMBER_LOW_WATER)
        v = v < 0 ? INT32_MAX : MAX(v, 1);
    s->numbers[n->index] = v;
    return 0;
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

static int buffer_set(struct socket *s, bool send, int wanted, bool forced)
{
    unsigned most = forced ? FORCED_MAX : BUFFER_MAX;
    unsigned size = wanted < 0 ? (forced ? 0 : most) : MIN((unsigned)wanted, most);
    if (forced && !socket_process.privileged())
        return -EPERM;
    size = MAX(size * 2, BUFFER_MIN * (send ? 2 : 1));
    *(send ? &s->send_size : &s->receive_size) = size;
    *(send ? &s->send_sized : &s->receive_sized) = true;
    return 0;
}

static int linger_set(struct socket *s, struct uptr value, unsigned len)
{
    int v[2];
    if (len < sizeof v)
        return -EINVAL;
    if (copy_from_user(v, value, sizeof v))
        return -EFAULT;
    s->linger[0] = !!v[0];
    s->linger[1] = v[1];
    return 0;
}

static int device_set(struct socket *s, struct uptr value, unsigned len)
{
    char name[INTERFACE_NAME] = "";
    unsigned index = 0;
    if (copy_from_user(name, value, MIN(len, (unsigned)sizeof name - 1)))
        return -EFAULT;
    if (s->device && !socket_process.privileged())
        return -EPERM;
    if (name[0] && !(index = interface_index(name)))
        return -ENODEV;
    s->device = index;
    return 0;
}

/* Those that are one number, but not kept as one. */
static int plain_set(struct socket *s, int name, int v)
{
    const struct number *n = number_of(name);
    if (n)
        return number_set(s, n, v);
    switch (name) {
    case SO_SNDBUF:
    case SO_SNDBUFFORCE:
        return buffer_set(s, true, v, name == SO_SNDBUFFORCE);
    case SO_RCVBUF:
    case SO_RCVBUFFORCE:
        return buffer_set(s, false, v, name == SO_RCVBUFFORCE);
    case SO_DETACH_FILTER:
        return -ENOENT;
    default:
        if (!is_switch(name))
            return -ENOPROTOOPT;
        socket_option_switch(s, name, v);
        if (name == SO_TIMESTAMP_OLD || name == SO_TIMESTAMPNS_OLD) /* one or the other */
            socket_option_switch(s, SO_TIMESTAMP_OLD + SO_TIMESTAMPNS_OLD - name, false);
        return 0;
    }
}

static int socket_set(struct socket *s, int name, struct uptr value, unsigned len)
{
    int v;
    if (name == SO_BINDTODEVICE)
        return device_set(s, value, len);
    if (len < sizeof v)
        return -EINVAL;
    if (copy_from_user(&v, value, sizeof v))
        return -EFAULT;
    switch (name) {
    case SO_LINGER:
        return linger_set(s, value, len);
    case SO_RCVTIMEO_OLD:
    case SO_RCVTIMEO_NEW:
        return timeout_set(s, false, value, len);
    case SO_SNDTIMEO_OLD:
    case SO_SNDTIMEO_NEW:
        return timeout_set(s, true, value, len);
    default:
        return plain_set(s, name, v);
    }
}

int option_set(struct socket *s, int level, int name, struct uptr value, unsigned len)
{
    if (level != SOL_SOCKET)
        return s->ops->set_option ? s->ops->set_option(s, level, name, value, len) : -EOPNOTSUPP;
    int err = socket_set(s, name, value, len);
    return err || !s->ops->option_changed ? err : s->ops->option_changed(s, name);
}

int option_put(struct uptr value, unsigned *len, const void *from, unsigned size)
{
    *len = MIN(*len, size);
    return copy_to_user(value, from, *len);
}

static int timeout_get(struct socket *s, bool write, struct uptr value, unsigned *len)
{
    uint64_t ns = s->file->patience[write];
    const int64_t tv[2] = {(int64_t)(ns / NSEC_PER_SEC), (int64_t)(ns % NSEC_PER_SEC / 1000)};
    return option_put(value, len, tv, sizeof tv);
}

static int credentials_get(struct socket *s, struct uptr value, unsigned *len)
{
    struct credentials who = {0, UINT32_MAX, UINT32_MAX};
    if (s->ops->peer)
        who = s->ops->peer(s);
    return option_put(value, len, &who, sizeof who);
}

static int device_get(struct socket *s, struct uptr value, unsigned *len)
{
    char name[INTERFACE_NAME] = "";
    if (!s->device) {
        *len = 0;
        return 0;
    }
    if (*len < sizeof name)
        return -EINVAL;
    interface_name(s->device, name);
    return option_put(value, len, name, (unsigned)strlen(name) + 1);
}

/* Options that are one number. */
static int number_get(struct socket *s, int name, int *out)
{
    const struct number *n = number_of(name);
    if (n || is_switch(name)) {
        *out = n ? s->numbers[n->index] : socket_option_on(s, name);
        return 0;
    }
    switch (name) {
    case SO_TYPE:
        *out = s->type;
        return 0;
    case SO_DOMAIN:
        *out = s->family;
        return 0;
    case SO_PROTOCOL:
        *out = s->protocol;
        return 0;
    case SO_ERROR:
        *out = s->ops->error ? s->ops->error(s) : 0;
        return 0;
    case SO_SNDBUF:
        *out = (int)s->send_size;
        return 0;
    case SO_RCVBUF:
        *out = (int)s->receive_size;
        return 0;
    case SO_SNDLOWAT:
        *out = 1;
        return 0;
    case SO_INCOMING_NAPI_ID:
        *out = 0;
        return 0;
    case SO_BINDTOIFINDEX:
        *out = (int)s->device;
        return 0;
    case SO_ACCEPTCONN:
        *out = s->ops->listening && s->ops->listening(s);
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

int option_get(struct socket *s, int level, int name, struct uptr value, unsigned *len)
{
    if (level != SOL_SOCKET)
        return s->ops->get_option ? s->ops->get_option(s, level, name, value, len) : -EOPNOTSUPP;
    switch (name) {
    case SO_LINGER:
        return option_put(value, len, s->linger, sizeof s->linger);
    case SO_RCVTIMEO_OLD:
    case SO_RCVTIMEO_NEW:
        return timeout_get(s, false, value, len);
    case SO_SNDTIMEO_OLD:
    case SO_SNDTIMEO_NEW:
        return timeout_get(s, true, value, len);
    case SO_PEERCRED:
        return credentials_get(s, value, len);
    case SO_BINDTODEVICE:
        return device_get(s, value, len);
    case SO_COOKIE:
        return *len < sizeof s->ino ? -EINVAL : option_put(value, len, &s->ino, sizeof s->ino);
    default: {
        int v = 0, err = number_get(s, name, &v);
        return err ? err : option_put(value, len, &v, sizeof v);
    }
    }
}
