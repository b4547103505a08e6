/* SPDX-License-Identifier: Apache-2.0 */
/* Options of IPPROTO_IP and IPPROTO_IPV6 that both protocols have: ip(7), ipv6(7). */
#include <linux/errno.h>

#include "net/abi.h"
#include "net/inet.h"
#include "vm/uaccess.h"

int inet_option_set(struct socket *s, int level, int name, struct uptr value, unsigned len,
                    bool *any_version)
{
    int v = 0;
    if (len >= sizeof v) {
        if (copy_from_user(&v, value, sizeof v))
            return -EFAULT;
    } else {
        uint8_t byte;
        if (!len)
            return -EINVAL;
        if (copy_from_user(&byte, value, 1))
            return -EFAULT;
        v = byte;
    }
    if (level == IPPROTO_IPV6 && s->family == AF_INET6 && name == IPV6_V6ONLY) {
        *any_version = !v;
        return 0;
    }
    return -ENOPROTOOPT;
}

int inet_option_get(struct socket *s, int level, int name, struct uptr value, unsigned *len,
                    bool any_version)
{
    if (level != IPPROTO_IPV6 || s->family != AF_INET6 || name != IPV6_V6ONLY)
        return -ENOPROTOOPT;
    int v = !any_version;
    *len = MIN(*len, sizeof v);
    return copy_to_user(value, &v, *len);
}
