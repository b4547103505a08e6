/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets: decoding around net/socket.h; what is sent: sys_message.c. */
#include <linux/errno.h>
#include <linux/fcntl.h>

#include "lib/string.h"
#include "net/abi.h"
#include "net/options.h"
#include "syscall/socket_args.h"
#include "syscall/syscalls.h"

int socket_get(int fd, struct file **f, struct socket **s)
{
    int err = file_of(fd, f);
    if (err)
        return err;
    *s = socket_of(*f);
    if (*s)
        return 0;
    file_put(*f);
    return -ENOTSOCK;
}

int name_from_user(struct message *m, struct uptr name, int len)
{
    m->name_len = 0;
    if (len < 0 || (size_t)len > sizeof m->name)
        return -EINVAL;
    memset(&m->name, 0, sizeof m->name);
    m->name_len = (unsigned)len;
    return copy_from_user(&m->name, name, (size_t)len);
}

int name_to_user(struct uptr name, struct uptr len, const void *from, unsigned size)
{
    int room;
    if (copy_from_user(&room, len, sizeof room))
        return -EFAULT;
    if (room < 0)
        return -EINVAL;
    if (copy_to_user(name, from, MIN((unsigned)room, size)))
        return -EFAULT;
    return copy_to_user(len, &size, sizeof size);
}

long sys_socket(int family, unsigned type, int protocol)
{
    struct file *f;
    if (type & ~(unsigned)(SOCK_TYPE_MASK | SOCK_CLOEXEC | SOCK_NONBLOCK))
        return -EINVAL;
    int err = socket_create(family, (int)(type & SOCK_TYPE_MASK), protocol,
                            type & SOCK_NONBLOCK ? O_NONBLOCK : 0, &f);
    return err ? err : file_install(f, type & SOCK_CLOEXEC);
}

long sys_socketpair(int family, unsigned type, int protocol, struct uptr fds)
{
    struct file *end[2];
    if (type & ~(unsigned)(SOCK_TYPE_MASK | SOCK_CLOEXEC | SOCK_NONBLOCK))
        return -EINVAL;
    int err = socket_create_pair(family, (int)(type & SOCK_TYPE_MASK), protocol,
                                 type & SOCK_NONBLOCK ? O_NONBLOCK : 0, end);
    return err ? err : file_install_pair(end, fds, type & SOCK_CLOEXEC);
}

static long with_name(int fd, struct uptr name, int len,
                      int (*op)(struct socket *s, struct message *m))
{
    struct message m = {.uio = NULL};
    struct file *f;
    struct socket *s;
    int err = socket_get(fd, &f, &s);
    if (err)
        return err;
    err = name_from_user(&m, name, len);
    if (!err)
        err = op(s, &m);
    file_put(f);
    return err;
}

long sys_connect(int fd, struct uptr name, int len)
{
    return with_name(fd, name, len, socket_connect);
}

static int socket_bind(struct socket *s, struct message *m)
{
    return s->ops->bind ? s->ops->bind(s, m) : -EOPNOTSUPP;
}

long sys_bind(int fd, struct uptr name, int len)
{
    return with_name(fd, name, len, socket_bind);
}

long sys_listen(int fd, int backlog)
{
    struct file *f;
    struct socket *s;
    int err = socket_get(fd, &f, &s);
    if (err)
        return err;
    err = s->ops->listen ? s->ops->listen(s, backlog) : -EOPNOTSUPP;
    file_put(f);
    return err;
}

long sys_accept4(int fd, struct uptr name, struct uptr len, unsigned flags)
{
    struct message m = {.uio = NULL};
    struct file *f, *new;
    struct socket *s;
    if (flags & ~(unsigned)(SOCK_CLOEXEC | SOCK_NONBLOCK))
        return -EINVAL;
    int err = socket_get(fd, &f, &s);
    if (err)
        return err;
    err = socket_accept(s, flags & SOCK_NONBLOCK ? O_NONBLOCK : 0, &new, &m);
    file_put(f);
    if (err)
        return err;
    if (!uptr_null(name))
        err = name_to_user(name, len, &m.name, m.name_len);
    if (err) {
        file_put(new);
        return err;
    }
    return file_install(new, flags & SOCK_CLOEXEC);
}

long sys_accept(int fd, struct uptr name, struct uptr len)
{
    return sys_accept4(fd, name, len, 0);
}

static long socket_name(int fd, bool peer, struct uptr name, struct uptr len)
{
    struct __kernel_sockaddr_storage out;
    struct file *f;
    struct socket *s;
    unsigned size;
    int err = socket_get(fd, &f, &s);
    if (err)
        return err;
    err = s->ops->name ? s->ops->name(s, peer, &out, &size) : -EOPNOTSUPP;
    if (!err)
        err = name_to_user(name, len, &out, size);
    file_put(f);
    return err;
}

long sys_getsockname(int fd, struct uptr name, struct uptr len)
{
    return socket_name(fd, false, name, len);
}

long sys_getpeername(int fd, struct uptr name, struct uptr len)
{
    return socket_name(fd, true, name, len);
}

long sys_shutdown(int fd, int how)
{
    struct file *f;
    struct socket *s;
    int err = socket_get(fd, &f, &s);
    if (err)
        return err;
    if (how < SHUT_RD || how > SHUT_RDWR)
        err = -EINVAL;
    else
        err = s->ops->shutdown ? s->ops->shutdown(s, how) : -EOPNOTSUPP;
    file_put(f);
    return err;
}

long sys_setsockopt(int fd, int level, int name, struct uptr value, int len)
{
    struct file *f;
    struct socket *s;
    if (len < 0)
        return -EINVAL;
    int err = socket_get(fd, &f, &s);
    if (err)
        return err;
    err = option_set(s, level, name, value, (unsigned)len);
    file_put(f);
    return err;
}

long sys_getsockopt(int fd, int level, int name, struct uptr value, struct uptr len)
{
    struct file *f;
    struct socket *s;
    int room;
    int err = socket_get(fd, &f, &s);
    if (err)
        return err;
    err = copy_from_user(&room, len, sizeof room);
    if (!err && room < 0)
        err = -EINVAL;
    unsigned size = (unsigned)room;
    if (!err)
        err = option_get(s, level, name, value, &size);
    if (!err)
        err = copy_to_user(len, &size, sizeof size);
    file_put(f);
    return err;
}
