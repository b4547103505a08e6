/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets on their way to sockets that nobody can receive from any more: they hold each
 * other for ever unless somebody looks. Whoever closes a socket looks, as on Linux, and whoever
 * sends one more when there are many.
 *
 * A socket is suspect when all references to its file are in inboxes. What can still be
 * reached is what the others' inboxes hold, and so on; a suspect that is not reached is
 * garbage, and stays so: to receive from it somebody would need its file. The look is valid only if
 * no descriptor came into or went out of an inbox meanwhile (`moves`): a file that was counted in
 * an inbox may have gone to a program since.
 */
#include "core/spinlock.h"
#include "net/unix_state.h"

#define TRIES 8   /* looks, when descriptors keep moving */
#define SHARE 64u /* sockets looked at for each that is closed: one look costs them all */
#define MANY  512u

static struct mutex collecting = MUTEX_INIT(collecting);
static unsigned moves;   /* of descriptors into and out of inboxes */
static unsigned flying;  /* sockets on their way */
static unsigned debt;    /* closed since the last look */
static unsigned sockets; /* at the last look; written under `collecting`, likewise the next */
static unsigned flew;    /* those on their way that it left */

void unix_gc_moved(void)
{
    __atomic_add_fetch(&moves, 1, __ATOMIC_SEQ_CST);
}

/* The AF_UNIX socket that the file is; NULL: something else. */
static struct unix_socket *unix_of_file(struct file *f)
{
    struct socket *s = socket_of(f);
    return s && s->family == AF_UNIX ? unix_of(s) : NULL;
}

void unix_gc_count(struct file *f, int change)
{
    if (unix_of_file(f))
        __atomic_add_fetch(&flying, (unsigned)change, __ATOMIC_RELAXED);
}

/* For each file in the inbox of a socket. */
static void inbox_visit(struct unix_socket *u, void (*visit)(struct unix_socket *v, void *arg),
                        void *arg)
{
    mutex_lock(&u->lock);
    LIST_FOR_EACH(l, &u->inbox)
    {
        const struct unix_files *f = LIST_ENTRY(l, struct packet, link)->files;
        for (unsigned i = 0; f && i < f->count; i++) {
            struct unix_socket *v = unix_of_file(f->file[i]);
            if (v)
                visit(v, arg);
        }
    }
    mutex_unlock(&u->lock);
}

static void count(struct unix_socket *v, void *arg)
{
    (void)arg;
    v->flying++;
}

static void reach(struct unix_socket *v, void *arg)
{
    if (v->reached)
        return;
    v->reached = true;
    list_add_tail(arg, &v->gc_link);
}

/* A closed one's file may be gone; its inbox is empty or about to be. */
static bool look_suspect(const struct unix_socket *u)
{
    return u->flying && !u->dead && u->socket.file &&
           __atomic_load_n(&u->socket.file->refs, __ATOMIC_SEQ_CST) == u->flying;
}

/* Marks what can be reached. Connections that wait have no file: they are as their listener is. */
static void mark(struct list *all)
{
    struct list found;
    list_init(&found);
    LIST_FOR_EACH(l, all)
    {
        struct unix_socket *u = LIST_ENTRY(l, struct unix_socket, all_link);
        u->suspect = look_suspect(u);
        if (!u->suspect && u->socket.file)
            reach(u, &found);
    }
    for (struct list *l; (l = list_pop_head(&found)) != NULL;) {
        struct unix_socket *u = LIST_ENTRY(l, struct unix_socket, gc_link);
        inbox_visit(u, reach, &found);
        LIST_FOR_EACH(w, &u->waiting)
        reach(LIST_ENTRY(w, struct unix_socket, waiting_link), &found);
    }
}

static void garbage_add(struct unix_socket *u, struct list *out)
{
    unix_get(u);
    list_add_tail(out, &u->gc_link);
}

/* One look: adds garbage to `out`, referenced; false: something moved. unix_lock and the list's are
 * held. */
static bool look(struct list *all, struct list *out)
{
    unsigned before = __atomic_load_n(&moves, __ATOMIC_SEQ_CST);
    LIST_FOR_EACH(l, all)
    {
        struct unix_socket *u = LIST_ENTRY(l, struct unix_socket, all_link);
        u->flying = 0;
        u->reached = false;
    }
    LIST_FOR_EACH(l, all)
    inbox_visit(LIST_ENTRY(l, struct unix_socket, all_link), count, NULL);
    mark(all);
    if (__atomic_load_n(&moves, __ATOMIC_SEQ_CST) != before)
        return false;
    LIST_FOR_EACH(l, all)
    {
        struct unix_socket *u = LIST_ENTRY(l, struct unix_socket, all_link);
        if (!u->suspect || u->reached)
            continue;
        garbage_add(u, out);
        LIST_FOR_EACH(w, &u->waiting)
        garbage_add(LIST_ENTRY(w, struct unix_socket, waiting_link), out);
    }
    return true;
}

/* The descriptors in an inbox go; closing them closes the cycle. */
static void empty(struct unix_socket *u)
{
    struct list packets;
    list_init(&packets);
    mutex_lock(&u->lock);
    unix_gc_moved();
    LIST_FOR_EACH_SAFE(l, &u->inbox)
    {
        if (!LIST_ENTRY(l, struct packet, link)->files)
            continue;
        list_remove(l);
        u->count--;
        list_add_tail(&packets, l);
    }
    mutex_unlock(&u->lock);
    while (!list_empty(&packets))
        unix_packet_free(LIST_ENTRY(packets.next, struct packet, link));
}

static void collect(void)
{
    struct list garbage;
    bool done = false;
    list_init(&garbage);
    for (int i = 0; i < TRIES && !done; i++) {
        mutex_lock(&unix_lock);
        struct list *all = unix_all_lock();
        done = look(all, &garbage);
        sockets = 0;
        LIST_FOR_EACH(l, all)
        sockets++;
        unix_all_unlock();
        mutex_unlock(&unix_lock);
    }
    for (struct list *l; (l = list_pop_head(&garbage)) != NULL;) {
        struct unix_socket *u = LIST_ENTRY(l, struct unix_socket, gc_link);
        empty(u);
        unix_put(u);
    }
    flew = __atomic_load_n(&flying, __ATOMIC_RELAXED);
}

/* Is a look worth what it costs? */
static bool is_due(void)
{
    unsigned now = __atomic_load_n(&flying, __ATOMIC_RELAXED);
    unsigned owed = __atomic_load_n(&debt, __ATOMIC_RELAXED);
    return now && ((owed && owed * SHARE >= sockets) || now > MAX(MANY, 2 * flew));
}

void unix_gc(bool closed)
{
    if (closed)
        __atomic_add_fetch(&debt, 1, __ATOMIC_RELAXED);
    while (is_due() && mutex_trylock(&collecting)) { /* again if some were closed meanwhile */
        __atomic_store_n(&debt, 0, __ATOMIC_RELAXED);
        collect();
        mutex_unlock(&collecting);
    }
}
