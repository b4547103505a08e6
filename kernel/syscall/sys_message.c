/* SPDX-License-Identifier: Apache-2.0 */
/* send(2), recv(2) and their kin: decoding around net/socket.h. */
#include <linux/errno.h>
#include <linux/time_types.h>

#include "lib/string.h"
#include "mem/kmalloc.h"
#include "net/abi.h"
#include "net/control_message.h"
#include "sched/clock.h"
#include "syscall/socket_args.h"
#include "syscall/syscalls.h"

struct user_msghdr {
    uint64_t name;
    int name_len, pad;
    uint64_t iov, iov_len;
    uint64_t control, control_len;
    unsigned flags;
};

struct user_mmsghdr {
    struct user_msghdr header;
    unsigned len, pad;
};

/* A message with its header, as struct msghdr. */
struct call {
    struct uptr user;
    struct user_msghdr header;
    struct iov v;
    struct message m;
};

long sys_sendto(int fd, struct uptr buf, unsigned long size, unsigned flags, struct uptr name,
                int name_len)
{
    struct uio_vec vec;
    struct uio u;
    struct message m = {.uio = &u, .flags = flags};
    struct file *f;
    struct socket *s;
    long r = buffer_get(&u, &vec, buf, size);
    if (!r)
        r = socket_get(fd, &f, &s);
    if (r)
        return r;
    r = uptr_null(name) ? 0 : name_from_user(&m, name, name_len);
    if (!r)
        r = socket_send(s, &m);
    file_put(f);
    return r;
}

long sys_recvfrom(int fd, struct uptr buf, unsigned long size, unsigned flags, struct uptr name,
                  struct uptr name_len)
{
    struct uio_vec vec;
    struct uio u;
    struct message m = {.uio = &u, .flags = flags};
    struct file *f;
    struct socket *s;
    long r = buffer_get(&u, &vec, buf, size);
    if (!r)
        r = socket_get(fd, &f, &s);
    if (r)
        return r;
    r = socket_receive(s, &m);
    file_put(f);
    if (r >= 0 && !uptr_null(name)) {
        int err = name_to_user(name, name_len, &m.name, m.name_len);
        r = err ? err : r;
    }
    return r;
}

/* The header and its pieces; c->v must be put. */
static int call_get(struct call *c, struct uptr user, unsigned flags)
{
    struct user_msghdr *h = &c->header;
    c->user = user;
    c->m = (struct message){.uio = &c->v.uio, .flags = flags};
    if (copy_from_user(h, user, sizeof *h))
        return -EFAULT;
    if (h->iov_len > IOV_LIMIT)
        return -EMSGSIZE;
    if (h->name_len < 0)
        return -EINVAL;
    return iov_get(&c->v, (struct uptr){h->iov}, h->iov_len);
}

/* The caller's control messages, copied: *out is the caller's to free. */
static int control_get(struct call *c, void **out)
{
    size_t n = c->header.control_len;
    if (n > CONTROL_MAX)
        return -ENOBUFS;
    *out = kmalloc(n);
    if (!*out)
        return -ENOBUFS;
    c->m.control = *out;
    c->m.control_len = n;
    return copy_from_user(*out, (struct uptr){c->header.control}, n);
}

static long message_send(struct socket *s, struct uptr user, unsigned flags)
{
    struct call c;
    void *control = NULL;
    long r = call_get(&c, user, flags);
    if (r)
        return r;
    if (c.header.name)
        r = name_from_user(&c.m, (struct uptr){c.header.name},
                           MIN(c.header.name_len, (int)sizeof c.m.name));
    if (!r && c.header.control_len)
        r = control_get(&c, &control);
    if (!r)
        r = socket_send(s, &c.m);
    kfree(control);
    iov_put(&c.v);
    return r;
}

/* What a receive tells beside the data. */
static int call_put(const struct call *c)
{
    const struct message *m = &c->m;
    const uint64_t control_len = m->room.used;
    const unsigned out_flags = m->out_flags | (m->flags & MSG_CMSG_CLOEXEC);
    int err = 0;
    if (c->header.name)
        err = name_to_user((struct uptr){c->header.name},
                           uptr_add(c->user, offsetof(struct user_msghdr, name_len)), &m->name,
                           m->name_len);
    if (!err)
        err = copy_to_user(uptr_add(c->user, offsetof(struct user_msghdr, flags)), &out_flags,
                           sizeof out_flags);
    return err ? err
               : copy_to_user(uptr_add(c->user, offsetof(struct user_msghdr, control_len)),
                              &control_len, sizeof control_len);
}

static long message_receive(struct socket *s, struct uptr user, unsigned flags)
{
    struct call c;
    long r = call_get(&c, user, flags);
    if (r)
        return r;
    if (c.header.control)
        c.m.room = (struct control_room){.at = {c.header.control}, .left = c.header.control_len};
    r = socket_receive(s, &c.m);
    iov_put(&c.v);
    int err = r >= 0 ? call_put(&c) : 0;
    return err ? err : r;
}

typedef long message_fn(struct socket *s, struct uptr user, unsigned flags);

static long one_message(int fd, struct uptr user, unsigned flags, message_fn *fn)
{
    struct file *f;
    struct socket *s;
    long r = socket_get(fd, &f, &s);
    if (r)
        return r;
    r = fn(s, user, flags);
    file_put(f);
    return r;
}

long sys_sendmsg(int fd, struct uptr user, unsigned flags)
{
    return one_message(fd, user, flags, message_send);
}

long sys_recvmsg(int fd, struct uptr user, unsigned flags)
{
    return one_message(fd, user, flags, message_receive);
}

/* How many of an array of messages went through; an error counts only at the first. */
static long many_messages(int fd, struct uptr user, unsigned count, unsigned flags,
                          uint64_t deadline, message_fn *fn)
{
    struct file *f;
    struct socket *s;
    long done = 0, r = socket_get(fd, &f, &s);
    if (r)
        return r;
    for (; (unsigned)done < MIN(count, (unsigned)IOV_LIMIT); done++) {
        struct uptr at = uptr_add(user, (uint64_t)done * sizeof(struct user_mmsghdr));
        r = fn(s, at, flags & ~MSG_WAITFORONE);
        if (r < 0)
            break;
        const unsigned len = (unsigned)r;
        r = copy_to_user(uptr_add(at, offsetof(struct user_mmsghdr, len)), &len, sizeof len);
        if (r)
            break;
        if (flags & MSG_WAITFORONE)
            flags |= MSG_DONTWAIT;
        if (clock_now() >= deadline) {
            done++;
            break;
        }
    }
    file_put(f);
    return done ? done : r;
}

long sys_sendmmsg(int fd, struct uptr messages, unsigned count, unsigned flags)
{
    return many_messages(fd, messages, count, flags, CLOCK_NEVER, message_send);
}

/* recvmmsg(2): the time is looked at after each message only. */
long sys_recvmmsg(int fd, struct uptr messages, unsigned count, unsigned flags, struct uptr timeout)
{
    uint64_t deadline;
    int err = deadline_get(timeout, &deadline);
    if (err)
        return err;
    long r = many_messages(fd, messages, count, flags, deadline, message_receive);
    if (r < 0 || uptr_null(timeout))
        return r;
    uint64_t now = clock_now(), left = deadline > now ? deadline - now : 0;
    const struct __kernel_timespec ts = {(long long)(left / NSEC_PER_SEC),
                                         (long long)(left % NSEC_PER_SEC)};
    return copy_to_user(timeout, &ts, sizeof ts) ? -EFAULT : r;
}
