/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names. A `struct path` is one name in the tree of all mounts: a node of the
 * name cache, counted. Unused nodes stay cached, also those that say "there is
 * no such name". A mount hangs the root node of a file system on another node.
 * One walker resolves every path of the system.
 * Lock: one spinlock guards all links between nodes (namecache.c).
 */
#pragma once

#include "fs/vnode.h"

#define PATH_LIMIT  4096 /* longest path with its terminator */
#define NAME_LIMIT  255
#define LINKS_LIMIT 40 /* symbolic links followed in one walk */

struct path {
    uint32_t refs;        /* 0: only cached */
    bool hashed;          /* false: deleted, or in a VNODE_DYNAMIC directory */
    bool pinned;          /* a mount point that exists only here */
    uint16_t len;         /* of name */
    uint32_t hash;        /* of parent and name */
    char *name;           /* terminated; "" for the root of a file system */
    struct path *parent;  /* referenced; NULL for the root of a file system */
    struct vnode *vnode;  /* referenced; NULL: there is no such file */
    struct path *mounted; /* root of what is mounted here */
    struct path *covered; /* for a root: where it is mounted */
    struct list hash_link, idle_link, alias_link;
    struct list children, sibling_link; /* hashed nodes of this directory; the parent's list */
};

/* What a process's path look-ups start from. */
struct fs_context {
    struct spinlock lock; /* guards cwd and root */
    struct path *root, *cwd;
    uint32_t umask;
    struct cred cred; /* proc/ keeps it equal to fsuid, fsgid and groups */
};

void path_get(struct path *p);
void path_put(struct path *p); /* may sleep; NULL is fine */

/* Starts in the root of everything, uid 0, umask 022. -ENOENT before fs_init(). */
int fs_context_init(struct fs_context *ctx);
/* Both referenced. */
struct path *fs_context_root(struct fs_context *ctx);
struct path *fs_context_cwd(struct fs_context *ctx);

#define WALK_NOFOLLOW 1 /* a symbolic link at the end is the result */
#define WALK_EMPTY    2 /* "" is `start` itself */
#define WALK_DIR      4 /* the result must be a directory: -ENOTDIR */
/* openat2(2)'s restrictions; a walk that they stop answers the error in brackets. */
#define WALK_NO_XDEV  8   /* stays in the file system it starts in [-EXDEV] */
#define WALK_NO_MAGIC 16  /* follows no link that leads to an object [-ELOOP] */
#define WALK_NO_LINKS 32  /* follows no symbolic link at all [-ELOOP] */
#define WALK_BENEATH  64  /* stays below the start [-EXDEV] */
#define WALK_IN_ROOT  128 /* the start is the root; objects are not followed [-EXDEV] */
#define WALK_CACHED   256 /* asks the name cache only [-EAGAIN] */

/*
 * Resolves a terminated path, absolute or from `start` (NULL: the working
 * directory), for `cred` (NULL: ctx->cred). *out has a vnode and is referenced.
 * -ENOENT, -ENOTDIR, -ELOOP, -EACCES, -ENAMETOOLONG, -ENOMEM, -EIO.
 */
int path_walk(struct fs_context *ctx, struct path *start, const char *name, unsigned flags,
              const struct cred *cred, struct path **out);

/* The last component of a path whose directory has been found. */
struct path_last {
    struct path *dir; /* referenced */
    char name[NAME_LIMIT + 1];
    size_t len;
    enum { LAST_NAME, LAST_DOT, LAST_DOTDOT, LAST_ROOT } kind;
    bool slash; /* slashes followed: only a directory will do */
};
/* All but the last component; without WALK_NOFOLLOW a link by name there is followed too. */
int path_walk_parent(struct fs_context *ctx, struct path *start, const char *name, unsigned flags,
                     struct path_last *out);
/* The child of a directory: from the cache, else from the file system; maybe without vnode. */
int path_child(struct path *dir, const char *name, size_t len, struct path **out);
/* As path_child() for a caller that holds dir's vnode lock. */
int path_child_locked(struct path *dir, const char *name, size_t len, struct path **out);

/*
 * The path from ctx's root as text (root NULL: from the root of all), terminated;
 * " (deleted)" behind removed names. Its length or -ENAMETOOLONG; -ENOENT when it
 * does not lead to root.
 */
int path_text(struct path *p, struct path *root, char *buf, size_t n);
/* One name of a vnode, as path_text(); -ENOENT when it has none in the cache. */
int path_text_of_vnode(struct vnode *v, char *buf, size_t n);
/* The name (not "") and the directory, referenced, of one of the vnode's paths: length or -ENOENT.
 */
int path_name_of_vnode(struct vnode *v, char name[NAME_LIMIT + 1], struct vnode **dir);
bool path_deleted(struct path *p);
/* Whether p is `root` or lies under it, across mounts. */
bool path_within(struct path *p, const struct path *root);

/*
 * For those in fs/ that change the tree. The vnode locks of the directories are held.
 */
/* A new node for a vnode (NULL: "no such name"), referenced; replaces one of that name. -ENOMEM. */
int path_attach(struct path *dir, const char *name, size_t len, struct vnode *v, struct path **out);
/* A node for a file that no look-up in dir finds: called "#" and its number. -ENOMEM. */
int path_attach_unnamed(struct path *dir, struct vnode *v, struct path **out);
/* The name is gone; whoever uses the node keeps it. */
void path_detach(struct path *p);
/* rename(2): p gets a new place. -ENOMEM before anything changed. */
int path_move(struct path *p, struct path *dir, const char *name, size_t len);
void path_swap(struct path *a, struct path *b);
/* The child if the cache knows it, referenced. */
struct path *path_find(struct path *dir, const char *name, size_t len);
/* Root node of a file system, one reference; NULL: no memory. Destroy: nothing may be in use. */
struct path *path_root_create(struct vnode *root);
void path_root_destroy(struct path *p);
/* Hangs a root on a node; both are referenced by that. -EBUSY. */
int path_mount(struct path *at, struct path *root);
/* Forgets the unused names below a file system's root. May sleep. */
void path_forget_below(struct path *root);
/* Takes the root from where it is mounted, unless any name below it is in use: -EBUSY. */
int path_unmount(struct path *root);
/* What p leads to across mounts, and "..": both take over the reference to p. */
struct path *path_cross(struct path *p);
struct path *path_up(struct path *p, const struct path *root);
/* Frees unused nodes, oldest first; how many. */
size_t path_cache_shrink(size_t wanted);
