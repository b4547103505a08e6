/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A socket: what all families share. It is a struct file whose operations end in
 * those of its family (socket_ops), which embeds struct socket in its own. As
 * with files, an operation never sleeps for readiness: it answers -EAGAIN, and
 * THE wait loop sleeps (file/wait.h).
 */
#pragma once

#include <linux/socket.h>

#include "file/file.h"

struct fd_table;
struct fs_context;
struct socket;

/* Where a receive puts control messages (net/control_message.h). */
struct control_room {
    struct uptr at;
    size_t left, used; /* bytes */
};

/* One send or receive. */
struct message {
    struct uio *uio;
    unsigned flags;     /* MSG_* that the caller asked for */
    unsigned out_flags; /* MSG_TRUNC, MSG_EOR, MSG_CTRUNC that it is told */
    unsigned name_len;  /* of `name`, 0: none; a receive sets it */
    bool enough;        /* the family: no more data into this receive, whatever it waits for */
    struct __kernel_sockaddr_storage name;
    const void *control; /* of a send: the caller's control messages, copied */
    size_t control_len;
    struct control_room room; /* of a receive */
};

/* Who sends, as struct ucred. */
struct credentials {
    uint32_t pid, uid, gid;
};

/* What sockets need to know of the process; proc/ fills it in. */
struct socket_process {
    struct fd_table *fds;
    struct fs_context *fs;
    bool (*privileged)(void);
    struct credentials (*credentials)(void); /* pid, euid, egid */
    /* May the process say that this is who it is? 0, -EPERM, -ESRCH. */
    int (*may_claim)(const struct credentials *c);
    /* The network says what this machine's name is. */
    void (*host_named)(const char *name);
};
extern struct socket_process socket_process;

/* NULL: -EOPNOTSUPP. */
struct socket_ops {
    /* Bytes; -EAGAIN; -EPIPE raises SIGPIPE on stream sockets. May send less than there is. */
    ssize_t (*send)(struct socket *s, struct message *m);
    /* file_ops.send_pages. [-EOPNOTSUPP] */
    ssize_t (*send_pages)(struct socket *s, struct file_pages *p);
    /* Bytes, 0 at the end. */
    ssize_t (*receive)(struct socket *s, struct message *m);
    /* What MSG_OOB receives, at once; sends with MSG_OOB come to send(). [-EOPNOTSUPP, both] */
    ssize_t (*receive_urgent)(struct socket *s, struct message *m);
    int (*at_mark)(struct socket *s);                          /* SIOCATMARK: 0, 1 [-ENOTTY] */
    uint32_t (*poll)(struct socket *s, struct poll_table *pt); /* required */
    int (*bind)(struct socket *s, const struct message *name);
    int (*listen)(struct socket *s, int backlog);
    /* The file of the first connection that waits, and its peer's name; -EAGAIN. */
    int (*accept)(struct socket *s, uint32_t flags, struct file **out, struct message *name);
    /* 0; -EINPROGRESS: begun, connect_done() tells the end; -EAGAIN: it has to wait. */
    int (*connect)(struct socket *s, const struct message *to);
    /* -EAGAIN: not yet. Only for families whose connect() takes time. */
    int (*connect_done)(struct socket *s);
    int (*shutdown)(struct socket *s, int how);
    /* The own or the peer's address; -ENOTCONN. */
    int (*name)(struct socket *s, bool peer, struct __kernel_sockaddr_storage *out, unsigned *len);
    /* Options of the family's own levels. [-EOPNOTSUPP] */
    int (*set_option)(struct socket *s, int level, int name, struct uptr value, unsigned len);
    int (*get_option)(struct socket *s, int level, int name, struct uptr value, unsigned *len);
    /* Bytes that can be read; that are not taken yet by the other side. */
    size_t (*queued)(struct socket *s, bool out);
    bool (*listening)(struct socket *s); /* [false] */
    /* Takes the error that SO_ERROR tells: a positive errno or 0. */
    int (*error)(struct socket *s);
    struct credentials (*peer)(struct socket *s); /* SO_PEERCRED [nobody] */
    int (*option_changed)(struct socket *s,
                          int name);   /* after SOL_SOCKET; what it answers is told */
    void (*release)(struct socket *s); /* frees it */
};

/* Numbers of SOL_SOCKET that are kept and told. */
enum {
    NUMBER_PRIORITY,
    NUMBER_MARK,
    NUMBER_LOW_WATER, /* SO_RCVLOWAT, at least 1 */
    NUMBER_BUSY_POLL,
    NUMBER_INCOMING_CPU,
    NUMBER_PACING,
    SOCKET_NUMBERS
};

struct socket {
    const struct socket_ops *ops;
    struct file *file; /* not referenced: it owns the socket */
    int family, type, protocol;
    uint64_t ino;
    unsigned send_size, receive_size; /* SO_SNDBUF, SO_RCVBUF as getsockopt tells them */
    bool send_sized, receive_sized;   /* the program has set them */
    uint64_t switches[2];             /* bit per SO_* that is on or off */
    int numbers[SOCKET_NUMBERS];      /* SO_* that are one number (net/options.c) */
    unsigned device;                  /* SO_BINDTODEVICE: an interface's index; 0: any */
    int linger[2];                    /* on, seconds */
};

#define SOCKET_BUFFER 212992u /* default SO_SNDBUF and SO_RCVBUF */

/* Fills in what is common; the family calls it first. */
void socket_init(struct socket *s, const struct socket_ops *ops, int family, int type,
                 int protocol);
/* The file of a socket; flags: O_NONBLOCK. On failure the socket is left to the caller. -ENOMEM. */
int socket_file(struct socket *s, uint32_t flags, struct file **out);
/* NULL: the file is none. */
struct socket *socket_of(struct file *f);
/* A new socket. -EAFNOSUPPORT, -EPROTONOSUPPORT, -ESOCKTNOSUPPORT, -EINVAL, -ENOMEM. */
int socket_create(int family, int type, int protocol, uint32_t flags, struct file **out);
int socket_create_pair(int family, int type, int protocol, uint32_t flags, struct file *out[2]);
/* accept(2) and connect(2): they wait as O_NONBLOCK and timeouts say. */
int socket_accept(struct socket *s, uint32_t flags, struct file **out, struct message *name);
int socket_connect(struct socket *s, struct message *to);
/* A switch of SOL_SOCKET (SO_REUSEADDR and such). */
static inline bool socket_option_on(const struct socket *s, int name)
{
    return s->switches[name / 64] >> name % 64 & 1;
}
static inline void socket_option_switch(struct socket *s, int name, bool on)
{
    uint64_t bit = 1ull << name % 64;
    s->switches[name / 64] = on ? s->switches[name / 64] | bit : s->switches[name / 64] & ~bit;
}
/* What accept(2) passes on from the listener. */
void socket_inherit(struct socket *s, const struct socket *from);
/* send(2) and recv(2) with everything: they wait as flags, O_NONBLOCK and timeouts say. */
ssize_t socket_send(struct socket *s, struct message *m);
ssize_t socket_receive(struct socket *s, struct message *m);
