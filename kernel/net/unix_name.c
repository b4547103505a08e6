/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of AF_UNIX sockets: abstract names, one space for each type, and
 * files of type socket, found by their vnode. All names are in one hash table,
 * under unix_lock.
 */
#include <linux/errno.h>

#include "core/random.h"
#include "fs/fs.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "net/abi.h"
#include "net/unix_state.h"

#define BUCKETS   64u
#define NAME_HEAD offsetof(struct sockaddr_un, sun_path)
#define AUTO_MAX  0xfffffu /* names that the kernel chooses have five hexadecimal digits */

static struct list names[BUCKETS];

static struct list *bucket(size_t key)
{
    struct list *l = &names[(key ^ key >> 9) % BUCKETS];
    if (!l->next)
        list_init(l);
    return l;
}

static size_t abstract_key(const struct sockaddr_un *a, unsigned len, int type)
{
    size_t h = (size_t)type;
    for (unsigned i = 0; i < len - NAME_HEAD; i++)
        h = h * 31 + (unsigned char)a->sun_path[i];
    return h;
}

static struct list *path_bucket(const struct path *p)
{
    return bucket((uintptr_t)p->vnode / 64);
}

/* An address from the program, with a terminator behind a path; -EINVAL. */
static int address_get(const struct message *m, struct sockaddr_un *a, unsigned *len)
{
    if (m->name_len <= NAME_HEAD || m->name_len > sizeof *a || m->name.ss_family != AF_UNIX)
        return -EINVAL;
    memset(a, 0, sizeof *a);
    memcpy(a, &m->name, m->name_len);
    *len = m->name_len;
    return 0;
}

/* The path as a string. */
static void path_get_text(const struct sockaddr_un *a, char out[UNIX_PATH_MAX + 1])
{
    memcpy(out, a->sun_path, UNIX_PATH_MAX);
    out[UNIX_PATH_MAX] = '\0';
}

void unix_name_put(struct unix_name *n)
{
    if (!n || __atomic_sub_fetch(&n->refs, 1, __ATOMIC_ACQ_REL))
        return;
    path_put(n->path);
    kfree(n);
}

void unix_name_release(struct unix_socket *u)
{
    if (!u->name)
        return;
    list_remove(&u->name->link);
    u->name->owner = NULL;
}

unsigned unix_name_copy(const struct unix_name *n, struct __kernel_sockaddr_storage *out)
{
    out->ss_family = AF_UNIX;
    if (!n)
        return sizeof out->ss_family;
    memcpy(out, &n->address, MIN(n->len, (unsigned)sizeof n->address));
    if (n->len > sizeof n->address) /* a path of full length: its terminator */
        ((char *)out)[sizeof n->address] = '\0';
    return n->len;
}

static struct unix_name *abstract_find(const struct sockaddr_un *a, unsigned len, int type)
{
    LIST_FOR_EACH(l, bucket(abstract_key(a, len, type)))
    {
        struct unix_name *n = LIST_ENTRY(l, struct unix_name, link);
        if (!n->path && n->len == len && n->owner->socket.type == type &&
            !memcmp(&n->address, a, len))
            return n;
    }
    return NULL;
}

static struct unix_name *path_find_name(const struct path *p)
{
    LIST_FOR_EACH(l, path_bucket(p))
    {
        struct unix_name *n = LIST_ENTRY(l, struct unix_name, link);
        if (n->path && n->path->vnode == p->vnode)
            return n;
    }
    return NULL;
}

/* Gives the socket the name, which it takes over. unix_lock is held. */
static void name_set(struct unix_socket *u, struct unix_name *n, struct list *where)
{
    n->owner = u;
    list_add_tail(where, &n->link);
    u->name = n;
}

static struct unix_name *name_new(const struct sockaddr_un *a, unsigned len)
{
    struct unix_name *n = kzalloc(sizeof *n);
    if (!n)
        return NULL;
    n->refs = 1;
    n->address = *a;
    n->len = len;
    return n;
}

static int bind_abstract(struct unix_socket *u, const struct sockaddr_un *a, unsigned len)
{
    struct unix_name *n = name_new(a, len);
    int err = 0;
    if (!n)
        return -ENOMEM;
    mutex_lock(&unix_lock);
    if (u->name)
        err = -EINVAL;
    else if (abstract_find(a, len, u->socket.type))
        err = -EADDRINUSE;
    else
        name_set(u, n, bucket(abstract_key(a, len, u->socket.type)));
    mutex_unlock(&unix_lock);
    if (err)
        kfree(n);
    return err;
}

static int bind_path(struct unix_socket *u, const struct sockaddr_un *a)
{
    char text[UNIX_PATH_MAX + 1];
    path_get_text(a, text);
    struct unix_name *n = name_new(a, (unsigned)(NAME_HEAD + strlen(text) + 1));
    if (!n)
        return -ENOMEM;
    int err = fs_make(socket_process.fs, NULL, text, S_IFSOCK | 0777, 0);
    if (err == -EEXIST)
        err = -EADDRINUSE;
    if (!err)
        err = path_walk(socket_process.fs, NULL, text, WALK_NOFOLLOW, NULL, &n->path);
    if (!err) {
        mutex_lock(&unix_lock);
        if (u->name)
            err = -EINVAL;
        else
            name_set(u, n, path_bucket(n->path));
        mutex_unlock(&unix_lock);
        if (err)
            fs_unlink(socket_process.fs, NULL, text, false);
    }
    if (err)
        unix_name_put(n);
    return err;
}

int unix_name_choose(struct unix_socket *u)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const unsigned len = NAME_HEAD + 6; /* a zero and five digits */
    unsigned start = (unsigned)random_u64();
    for (unsigned i = 0; i <= AUTO_MAX; i++) {
        snprintf(a.sun_path + 1, sizeof a.sun_path - 1, "%05x", (start + i) & AUTO_MAX);
        int err = bind_abstract(u, &a, len);
        if (err != -EADDRINUSE)
            return err == -EINVAL ? 0 : err;
    }
    return -ENOSPC;
}

int unix_name_bind(struct socket *s, const struct message *name)
{
    struct unix_socket *u = unix_of(s);
    struct sockaddr_un a;
    unsigned len;
    if (name->name_len == NAME_HEAD && name->name.ss_family == AF_UNIX)
        return unix_name_choose(u);
    int err = address_get(name, &a, &len);
    if (err)
        return err;
    return a.sun_path[0] ? bind_path(u, &a) : bind_abstract(u, &a, len);
}

/* The socket that stands at the path, as connect(2) asks for it. */
static int path_resolve(const struct sockaddr_un *a, struct path **out)
{
    char text[UNIX_PATH_MAX + 1];
    path_get_text(a, text);
    int err = path_walk(socket_process.fs, NULL, text, 0, NULL, out);
    if (err)
        return err;
    err = vnode_access((*out)->vnode, &socket_process.fs->cred, MAY_WRITE);
    if (!err && !S_ISSOCK((*out)->vnode->mode))
        err = -ECONNREFUSED;
    if (err)
        path_put(*out);
    return err;
}

int unix_name_find(const struct message *to, int type, struct unix_socket **out)
{
    struct sockaddr_un a;
    struct path *p = NULL;
    unsigned len;
    int err = address_get(to, &a, &len);
    if (!err && a.sun_path[0])
        err = path_resolve(&a, &p);
    if (err)
        return err;
    mutex_lock(&unix_lock);
    const struct unix_name *n = p ? path_find_name(p) : abstract_find(&a, len, type);
    if (!n)
        err = -ECONNREFUSED;
    else if (n->owner->socket.type != type)
        err = -EPROTOTYPE;
    else
        unix_get(*out = n->owner);
    mutex_unlock(&unix_lock);
    path_put(p);
    return err;
}
