/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An AF_UNIX socket, for the files that share it: unix.c (life, options, poll),
 * unix_name.c (addresses), unix_connect.c (listeners, connections), unix_data.c
 * (what is sent), unix_rights.c (descriptors and credentials on their way), unix_gc.c (those
 * that go in circles).
 *
 * A socket's inbox is what it will receive; a sender puts packets there. A stream
 * fills up the last packet, the other types keep one for each message. Sockets
 * are counted: a peer keeps what is left of a closed one.
 * Locks: unix_lock (names, peers, listeners) > unix_socket.lock (its inbox), never
 * two of those at once. Both are mutexes, because user memory is touched under them.
 */
#pragma once

#include <linux/un.h>

#include "lib/list.h"
#include "net/abi.h"
#include "net/socket.h"
#include "sched/waitq.h"

/* An address that is bound. */
struct unix_name {
    uint32_t refs;
    struct list link;          /* by hash; unix_lock */
    struct unix_socket *owner; /* not referenced; NULL: closed */
    struct path *path;         /* the file's, referenced; NULL: an abstract name */
    unsigned len;              /* of address */
    struct sockaddr_un address;
};

/* Descriptors on their way. */
struct unix_files {
    struct unix_files *next;
    unsigned count;
    struct file *file[]; /* referenced */
};

struct packet {
    struct list link;
    size_t start, end, size; /* of data: read up to, written up to, room */
    struct credentials who;
    struct unix_name *from; /* datagrams: the sender's, referenced, or NULL */
    struct unix_files *files;
    bool urgent; /* one byte of MSG_OOB: taken, it stays as a mark */
    char data[];
};

#define UNIX_NO_READ  1u
#define UNIX_NO_WRITE 2u
#define UNIX_MESSAGES 10u /* datagrams of strangers that wait, as net.unix.max_dgram_qlen */

struct unix_socket {
    struct socket socket;
    uint32_t refs;
    struct list all_link; /* of all sockets: unix.c */
    struct list gc_link;  /* this and what follows: unix_gc.c */
    unsigned flying;      /* references to its file in inboxes */
    bool suspect, reached;
    struct mutex lock;
    struct list inbox;
    struct packet *volatile urgent; /* of the inbox: the byte that MSG_OOB would take; NULL: none */
    volatile size_t used;           /* bytes there, for messages with what keeps them */
    volatile unsigned count;        /* packets there */
    volatile unsigned shut;         /* UNIX_NO_*; changed under lock */
    volatile bool dead;             /* its file is closed */
    bool refused;                   /* somebody waits for room in the inbox; under lock */
    volatile int error;             /* SO_ERROR, a positive errno */
    struct waitq wait;              /* everything that poll tells */
    /* Under unix_lock; a connection's peer never changes. */
    struct unix_socket *peer; /* referenced */
    struct unix_name *name;   /* referenced */
    bool listening;
    unsigned backlog, pending;
    struct list waiting, waiting_link; /* of a listener: connections not accepted; of those */
    struct credentials owner, peer_owner;
};

static inline struct unix_socket *unix_of(struct socket *s)
{
    return (struct unix_socket *)s;
}
static inline bool unix_is_stream(const struct unix_socket *u)
{
    return u->socket.type == SOCK_STREAM;
}
static inline bool unix_is_datagram(const struct unix_socket *u)
{
    return u->socket.type == SOCK_DGRAM;
}

extern struct mutex unix_lock;
/* Woken when a full inbox or a full listener has room again, for those without that peer. */
extern struct waitq unix_room;

/* unix.c */
struct unix_socket *unix_new(int type, int protocol); /* one reference; NULL: no memory */
void unix_get(struct unix_socket *u);
void unix_put(struct unix_socket *u);
/* Makes a and b peers, of the owners they have. */
void unix_join(struct unix_socket *a, struct unix_socket *b);
/* The end of a socket that nobody will use again; frees the reference. Takes the locks. */
void unix_close(struct unix_socket *u, bool refused);
/* The peer, referenced, or NULL. */
struct unix_socket *unix_peer(struct unix_socket *u);

/* The list of all sockets, locked. unix_lock is held, and no socket's. */
struct list *unix_all_lock(void);
void unix_all_unlock(void);

/* unix_name.c */
int unix_name_bind(struct socket *s, const struct message *name);
/* A free abstract name, if it has none. -ENOSPC, -ENOMEM. */
int unix_name_choose(struct unix_socket *u);
/* Who is bound to the address, referenced. -ECONNREFUSED, -EPROTOTYPE, path_walk()'s errors. */
int unix_name_find(const struct message *to, int type, struct unix_socket **out);
/* The address is free again. unix_lock is held. */
void unix_name_release(struct unix_socket *u);
void unix_name_put(struct unix_name *n); /* NULL is fine */
/* Copies it (NULL: the empty one); its length. */
unsigned unix_name_copy(const struct unix_name *n, struct __kernel_sockaddr_storage *out);

/* unix_connect.c */
int unix_listen(struct socket *s, int backlog);
int unix_connect(struct socket *s, const struct message *to);
int unix_accept(struct socket *s, uint32_t flags, struct file **out, struct message *name);
/* Refuses all who wait. Takes the locks. */
void unix_listener_close(struct unix_socket *u);

/* unix_data.c */
ssize_t unix_send(struct socket *s, struct message *m);
ssize_t unix_receive(struct socket *s, struct message *m);
ssize_t unix_receive_urgent(struct socket *s, struct message *m);
int unix_at_mark(struct socket *s); /* -EOPNOTSUPP: no stream */
void unix_packet_free(struct packet *p);
/* The first that is not the mark of a byte taken by MSG_OOB; NULL. */
struct packet *unix_first_unread(const struct list *inbox);
/* No room for one more of that sender. */
bool unix_full(const struct unix_socket *to, const struct unix_socket *from);

/* unix_rights.c */
/* What a send carries: *files (NULL: none), *who only if it says who. -EBADF, -EINVAL, -EPERM,
 * -ETOOMANYREFS. */
int unix_rights_take(const struct message *m, struct unix_files **files, struct credentials *who);
/* Descriptors for as many of the files as the receiver has room for. */
void unix_rights_give(struct message *m, const struct unix_files *f);
/* NULL is fine. No lock may be held: a file may be a socket. */
void unix_files_free(struct unix_files *f);

/* unix_gc.c */
/* Descriptors come into an inbox, or out of it: before they do, under the socket's lock. */
void unix_gc_moved(void);
/* A file is on its way (1), or no longer (-1). */
void unix_gc_count(struct file *f, int change);
/* After a socket was closed, or when one more is sent: frees those that nobody can receive from any
 * more. No lock is held. */
void unix_gc(bool closed);
